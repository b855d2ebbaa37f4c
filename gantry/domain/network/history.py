"""Checks a recorded booking history: nothing overlapped, nothing was half taken, no activity leaked.

It knows no table and no solver: only what was said to have happened. The constraint in the database makes the overlap
impossible; this finds it if the constraint were not there.
"""

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from itertools import accumulate
from math import isclose

from gantry.domain.appointment import Span
from gantry.domain.events import EventKind

K = EventKind


class Effect(StrEnum):
    HOLD = "hold"
    BOOK = "book"
    TELL = "tell"
    RETURN = "return"
    """Scanner, room and activity are free again."""
    SPEND = "spend"
    """Scanner and room are free; the activity is in the patient."""


EFFECT: Mapping[EventKind, Effect] = {
    K.SLOT_HELD: Effect.HOLD,
    K.APPOINTMENT_BOOKED: Effect.BOOK,
    K.PATIENT_TOLD: Effect.TELL,
    K.HOLD_EXPIRED: Effect.RETURN,
    K.APPOINTMENT_CANCELLED: Effect.RETURN,
    K.APPOINTMENT_MOVED: Effect.RETURN,
    K.PATIENT_DID_NOT_ATTEND: Effect.RETURN,
    K.PATIENT_NOT_BROUGHT: Effect.RETURN,
    K.PATIENT_TURNED_AWAY: Effect.RETURN,
    K.APPOINTMENT_FULFILLED: Effect.SPEND,
}


@dataclass(frozen=True, slots=True)
class Claimed:
    """What a claim says it took."""

    scanner: str
    on_scanner: Span
    room: str
    in_room: Span
    allotment: str
    activity_mbq: float


@dataclass(frozen=True, slots=True)
class Act:
    """One event about one appointment. `order` counts claims and releases as the database let them happen."""

    effect: Effect
    appointment: str
    procedure: str
    recorded_at: datetime
    order: int | None = None
    claimed: Claimed | None = None
    returned_mbq: float | None = None


@dataclass(frozen=True, slots=True)
class Allotted:
    """A run's total and what is free of it at the end, in MBq at its reference time."""

    total_mbq: float
    free_mbq: float


@dataclass(slots=True)
class _Standing:
    """What the history says stands, as it is read."""

    claims: dict[str, Claimed] = field(default_factory=dict)
    on: defaultdict[str, dict[str, Span]] = field(default_factory=lambda: defaultdict(dict))
    """By scanner or room: which appointments have it, and when."""
    booked: dict[str, str] = field(default_factory=dict)
    """Appointment by procedure."""
    taken_mbq: dict[str, float] = field(default_factory=dict)
    ended: set[str] = field(default_factory=set)


def faults(history: Iterable[Act], allotments: Mapping[str, Allotted] | None = None) -> list[str]:
    """Everything wrong with it, in the order it happened; empty means nothing is."""
    standing = _Standing()
    found: list[str] = []
    for act in in_order(history):
        found.extend(_read(act, standing))
    found.extend(_leaks(standing, allotments or {}))
    return found


def in_order(history: Iterable[Act]) -> list[Act]:
    """By the database's own count; an act without one follows whatever had been recorded by its own time."""
    history = list(history)
    counted = sorted((act for act in history if act.order is not None), key=lambda act: act.order or 0)
    times = list(accumulate((act.recorded_at for act in counted), max))
    placed = [(float(index), act.recorded_at, act) for index, act in enumerate(counted)]
    placed += [
        (bisect_right(times, act.recorded_at) - 0.5, act.recorded_at, act) for act in history if act.order is None
    ]
    return [act for _, _, act in sorted(placed, key=lambda entry: entry[:2])]


def _read(act: Act, standing: _Standing) -> Iterator[str]:
    if act.effect is Effect.HOLD and act.claimed is None:
        yield f"{act.appointment} was held without scanner, room and activity"
    if act.claimed is not None:
        yield from _claim(act, act.claimed, standing)
    if act.effect is Effect.BOOK:
        yield from _book(act, standing)
    if act.effect in (Effect.RETURN, Effect.SPEND):
        yield from _end(act, standing)


def _claim(act: Act, claimed: Claimed, standing: _Standing) -> Iterator[str]:
    if act.appointment in standing.claims or act.appointment in standing.ended:
        yield f"{act.appointment} claimed twice"
    for what, resource, span in (
        ("scanner", claimed.scanner, claimed.on_scanner),
        ("room", claimed.room, claimed.in_room),
    ):
        for other, theirs in standing.on[resource].items():
            if theirs.overlaps(span):
                yield f"{act.appointment} and {other} have {what} {resource} at once"
        standing.on[resource][act.appointment] = span
    if claimed.on_scanner.start < claimed.in_room.end:
        yield f"{act.appointment} is on the scanner before it leaves the room"
    if claimed.activity_mbq < 0:
        yield f"{act.appointment} took less than nothing"
    standing.claims[act.appointment] = claimed
    standing.taken_mbq[claimed.allotment] = standing.taken_mbq.get(claimed.allotment, 0.0) + claimed.activity_mbq


def _book(act: Act, standing: _Standing) -> Iterator[str]:
    if act.appointment not in standing.claims:
        yield f"{act.appointment} was booked without standing"
    other = standing.booked.get(act.procedure)
    if other is not None and other != act.appointment:
        yield f"{act.procedure} is booked twice: {other} and {act.appointment}"
    standing.booked[act.procedure] = act.appointment


def _end(act: Act, standing: _Standing) -> Iterator[str]:
    claimed = standing.claims.pop(act.appointment, None)
    if claimed is None:
        yield f"{act.appointment} ended without standing"
        return
    standing.ended.add(act.appointment)
    standing.on[claimed.scanner].pop(act.appointment, None)
    standing.on[claimed.room].pop(act.appointment, None)
    if standing.booked.get(act.procedure) == act.appointment:
        del standing.booked[act.procedure]
    if act.effect is Effect.SPEND:
        return
    returned = claimed.activity_mbq if act.returned_mbq is None else act.returned_mbq
    if not isclose(returned, claimed.activity_mbq, rel_tol=1e-9, abs_tol=1e-6):
        yield f"{act.appointment} gave back {returned:.3f} MBq of {claimed.activity_mbq:.3f} MBq"
    standing.taken_mbq[claimed.allotment] -= returned


def _leaks(standing: _Standing, allotments: Mapping[str, Allotted]) -> Iterator[str]:
    for key, allotted in allotments.items():
        taken = standing.taken_mbq.get(key, 0.0)
        gone = allotted.total_mbq - allotted.free_mbq
        if not isclose(taken, gone, rel_tol=1e-9, abs_tol=1e-3):
            yield f"{key} is short of {gone:.3f} MBq, and appointments account for {taken:.3f} MBq"
        if allotted.free_mbq < 0:
            yield f"{key} is overdrawn"

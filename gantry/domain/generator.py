"""Decides what a generator may give: regrowth after an elution, breakthrough, and when it has to be replaced.

Two nuclides in a chain (Bateman 1910): with nothing of the daughter at the last elution,
A_d(t) = A_p · λd ÷ (λd − λp) · (e^(−λp·t) − e^(−λd·t)), with A_p the parent's activity at that elution.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from math import exp, log

from gantry.domain.decay import Assay, Nuclide
from gantry.domain.lifecycle import Table


class DayState(StrEnum):
    """A generator's day: nothing of it is given until the day's own tests are released."""

    UNTESTED = "untested"
    RELEASED = "released"
    BLOCKED = "blocked"
    CLOSED = "closed"


class DayEvent(StrEnum):
    RELEASE = "release"
    BLOCK = "block"
    CLOSE = "close"


DAY: Table[DayState, DayEvent] = {
    (DayState.UNTESTED, DayEvent.RELEASE): DayState.RELEASED,
    (DayState.UNTESTED, DayEvent.BLOCK): DayState.BLOCKED,
    (DayState.UNTESTED, DayEvent.CLOSE): DayState.CLOSED,
    (DayState.RELEASED, DayEvent.BLOCK): DayState.BLOCKED,
    (DayState.RELEASED, DayEvent.CLOSE): DayState.CLOSED,
    (DayState.BLOCKED, DayEvent.CLOSE): DayState.CLOSED,
}


@dataclass(frozen=True, slots=True)
class Kind:
    """A make of generator: what it is of, what it may be used for, and what it may let through."""

    code: str
    parent: Nuclide
    daughter: Nuclide
    most_elutions: int | None
    most_age: timedelta
    most_litres: float | None
    breakthrough: tuple["Limit", ...]
    """Of the parent, or of what came with it, against the daughter at the end of the elution."""
    wait: timedelta = timedelta(0)
    """Between two elutions."""
    most_ml: float | None = None
    """Of one elution."""


@dataclass(frozen=True, slots=True)
class Limit:
    """Alert: test more often. Stop: the generator gives nothing more."""

    what: str
    alert: float | None
    stop: float
    unit: str


def regrown(kind: Kind, since: timedelta) -> float:
    """Share of what is in equilibrium that has grown back since an elution that took everything."""
    if since < timedelta(0):
        raise ValueError("an elution is before its regrowth")
    lp, ld = (log(2) / each.half_life.total_seconds() for each in (kind.parent, kind.daughter))
    t = since.total_seconds()
    return (exp(-lp * t) - exp(-ld * t)) * ld / (ld - lp)


def eluted_mbq(kind: Kind, calibrated: Assay, *, last_at: datetime, at: datetime, efficiency: float) -> float:
    """What an elution should give now: the parent's activity, the daughter grown since the last, the column's yield."""
    return calibrated.activity_at(last_at) * regrown(kind, at - last_at) * efficiency


@dataclass(frozen=True, slots=True)
class Eluate:
    """A test of what came out, as the share of each impurity in the daughter, in its limit's unit."""

    what: str
    value: float


def why_blocked(kind: Kind, tests: Iterable[Eluate]) -> Iterator[str]:
    """Why nothing of today may be given: a missing test, or one at its limit or above."""
    values = {each.what: each.value for each in tests}
    for limit in kind.breakthrough:
        value = values.get(limit.what)
        if value is None:
            yield f"{limit.what} has not been tested today"
        elif value >= limit.stop:
            yield f"{limit.what} is {value:g} {limit.unit}; {limit.stop:g} {limit.unit} stops the generator"


def alerts(kind: Kind, tests: Iterable[Eluate]) -> list[str]:
    """What calls for more frequent tests, and does not stop today."""
    values = {each.what: each.value for each in tests}
    return [
        f"{one.what} is {values[one.what]:g} {one.unit}: test again at {one.alert:g} {one.unit} and above"
        for one in kind.breakthrough
        if one.alert is not None and one.alert <= values.get(one.what, 0.0) < one.stop
    ]


def why_not_yet(kind: Kind, *, last_at: datetime | None, at: datetime, volume_ml: float = 0.0) -> Iterator[str]:
    """Why an elution comes too soon after the one before, or is more than one elution may be."""
    if last_at is not None and at - last_at < kind.wait:
        waits = kind.wait.total_seconds() / 60
        yield f"{(at - last_at).total_seconds() / 60:.0f} minutes after the last elution; it waits {waits:g}"
    if kind.most_ml is not None and volume_ml > kind.most_ml:
        yield f"{volume_ml:g} mL in one elution; {kind.most_ml:g} mL is the most"


def why_expired(
    kind: Kind, *, made_at: datetime, elutions: int, litres: float, at: datetime
) -> Iterator[str]:  # fmt: skip
    """Why a generator has come to its end, whatever it still gives."""
    if at - made_at > kind.most_age:
        yield f"It is {(at - made_at).days} days old; {kind.most_age.days} days is the most"
    if kind.most_elutions is not None and elutions >= kind.most_elutions:
        yield f"It has been eluted {elutions} times; {kind.most_elutions} is the most"
    if kind.most_litres is not None and litres >= kind.most_litres:
        yield f"{litres:g} L have gone through it; {kind.most_litres:g} L is the most"

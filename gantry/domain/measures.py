"""Measures as data: small expression trees over events, read here for one unit and compiled to SQL for millions.

A unit is one requested procedure, or one referral; its events come in with the latest correction of each cause already
applied. The plain reading below is the definition; any faster one must agree with it.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from enum import StrEnum
from uuid import UUID

from gantry.domain.events import Cause, CauseCode, EventKind, Initiator


@dataclass(frozen=True, slots=True)
class Act:
    """An event of a unit, as a measure sees it. `on` is the local day at the site where it happened."""

    id: UUID
    kind: EventKind
    happened_at: datetime
    recorded_at: datetime
    on: date
    cause: Cause | None = None
    data: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Pick:
    """Which events: of these kinds and, where given, these causes, these initiators, and this value under this key."""

    kinds: frozenset[EventKind]
    causes: frozenset[CauseCode] | None = None
    initiators: frozenset[Initiator] | None = None
    key: str | None = None
    value: str | None = None

    def takes(self, act: Act) -> bool:
        if act.kind not in self.kinds:
            return False
        if self.causes is not None and (act.cause is None or act.cause.code not in self.causes):
            return False
        if self.initiators is not None and (act.cause is None or act.cause.initiator not in self.initiators):
            return False
        return self.key is None or _text(act.data.get(self.key)) == self.value


def _text(value: object) -> str:
    """As PostgreSQL writes a JSON scalar by ->>: true, not True."""
    return str(value).lower() if isinstance(value, bool) else str(value)


@dataclass(frozen=True, slots=True)
class First:
    """The instant of the earliest event picked."""

    pick: Pick

    def at(self, acts: Sequence[Act]) -> datetime | None:
        return min((act.happened_at for act in acts if self.pick.takes(act)), default=None)


@dataclass(frozen=True, slots=True)
class FirstDate:
    """The date under `key` of the earliest event picked: the first date that the patient was told."""

    pick: Pick
    key: str

    def on(self, acts: Sequence[Act]) -> date | None:
        found = min(
            (act for act in acts if self.pick.takes(act)), key=lambda act: (act.happened_at, act.id), default=None
        )
        return date.fromisoformat(str(found.data[self.key])) if found else None


@dataclass(frozen=True, slots=True)
class Exists:
    """Some event is picked: and, where given, not before `after`, before `before`, and by the end of the day `by`."""

    pick: Pick
    after: First | None = None
    before: First | None = None
    by: FirstDate | None = None

    def holds(self, acts: Sequence[Act]) -> bool:
        after = self.after.at(acts) if self.after else None
        before = self.before.at(acts) if self.before else None
        day = self.by.on(acts) if self.by else None
        if (self.after and after is None) or (self.by and day is None):
            return False
        return any(
            self.pick.takes(act)
            and (after is None or act.happened_at >= after)
            and (before is None or act.happened_at < before)
            and (day is None or act.on <= day)
            for act in acts
        )


@dataclass(frozen=True, slots=True)
class Not:
    of: "Condition"

    def holds(self, acts: Sequence[Act]) -> bool:
        return not self.of.holds(acts)


@dataclass(frozen=True, slots=True)
class All:
    of: tuple["Condition", ...]

    def holds(self, acts: Sequence[Act]) -> bool:
        return all(condition.holds(acts) for condition in self.of)


@dataclass(frozen=True, slots=True)
class Some:
    of: tuple["Condition", ...]

    def holds(self, acts: Sequence[Act]) -> bool:
        return any(condition.holds(acts) for condition in self.of)


type Condition = Exists | Not | All | Some


class Unit(StrEnum):
    """What a measure counts: a procedure once vetted, or a referral from the moment it came in."""

    PROCEDURE = "procedure"
    REFERRAL = "referral"


class Better(StrEnum):
    LOWER = "lower"
    HIGHER = "higher"


@dataclass(frozen=True, slots=True)
class Share:
    """So many of so many: units that `counts` lets in, and those of them that `meets`. Dated by `dated`."""

    code: str
    title: str
    definition: str
    source: str
    dated: FirstDate
    counts: Condition
    meets: Condition
    unit: Unit = Unit.PROCEDURE
    better: Better = Better.LOWER


@dataclass(frozen=True, slots=True)
class Wait:
    """How long from one event to another. Units still waiting are counted beside, never left out of sight."""

    code: str
    title: str
    definition: str
    source: str
    start: First
    end: First
    ended_early: Condition
    """A unit that ended without the second event: counted as neither finished nor waiting."""
    unit: Unit = Unit.REFERRAL


type Measure = Share | Wait


@dataclass(frozen=True, slots=True)
class ShareResult:
    met: int
    counted: int

    @property
    def percent(self) -> float | None:
        return 100 * self.met / self.counted if self.counted else None


@dataclass(frozen=True, slots=True)
class WaitResult:
    finished: int
    waiting: int
    median: timedelta | None
    p90: timedelta | None
    longest_waiting: timedelta | None


def unit_share(measure: Share, acts: Sequence[Act]) -> tuple[date, bool] | None:
    """The day that this unit counts on and whether it meets the measure; None when it does not count."""
    day = measure.dated.on(acts)
    if day is None or not measure.counts.holds(acts):
        return None
    return day, measure.meets.holds(acts)


def unit_wait(measure: Wait, acts: Sequence[Act]) -> tuple[datetime, datetime | None] | None:
    """When this unit's wait began and ended; None when it never began, or ended without its second event."""
    start = measure.start.at(acts)
    if start is None:
        return None
    end = measure.end.at(acts)
    if end is None and measure.ended_early.holds(acts):
        return None
    return start, end


def share(measure: Share, units: Iterable[Sequence[Act]], *, start: date, end: date) -> ShareResult:
    """Over units dated from `start` to `end`, both included."""
    read = [r for r in (unit_share(measure, acts) for acts in units) if r and start <= r[0] <= end]
    return ShareResult(sum(met for _, met in read), len(read))


def wait(measure: Wait, units: Iterable[Sequence[Act]], *, start: date, end: date, now: datetime) -> WaitResult:
    """Over units whose wait ended on a day (UTC) from `start` to `end`; the waiting are all who wait at `now`."""
    read = [r for r in (unit_wait(measure, acts) for acts in units) if r]
    done = sorted(to - since for since, to in read if to and start <= to.date() <= end)
    open_since = [since for since, to in read if to is None]
    return WaitResult(
        finished=len(done),
        waiting=len(open_since),
        median=quantile(done, 0.5),
        p90=quantile(done, 0.9),
        longest_waiting=max((now - since for since in open_since), default=None),
    )


def quantile(ordered: Sequence[timedelta], p: float) -> timedelta | None:
    """The linear quantile (PostgreSQL's percentile_cont): exact, so that every reading agrees."""
    if not ordered:
        return None
    at = p * (len(ordered) - 1)
    low = int(at)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (ordered[high] - ordered[low]) * (at - low)


@dataclass(frozen=True, slots=True)
class Correction:
    """A later word on an event's cause, with its reason."""

    of: UUID
    cause: Cause
    recorded_at: datetime


def corrected(acts: Iterable[Act], corrections: Iterable[Correction]) -> list[Act]:
    """Each act under the latest correction of its cause."""
    latest: dict[UUID, Correction] = {}
    for correction in sorted(corrections, key=lambda c: c.recorded_at):
        latest[correction.of] = correction
    return [
        Act(a.id, a.kind, a.happened_at, a.recorded_at, a.on, latest[a.id].cause, a.data) if a.id in latest else a
        for a in acts
    ]

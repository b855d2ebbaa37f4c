"""Fails each batch and each scanner at every step of a day, and says what becomes of everybody by the best option.

And once more: an hour after what was accepted, the next thing fails, so that being moved twice is put to the proof.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from random import Random

from gantry.domain.scheduling.carried_out import carried_out, known_after
from gantry.domain.scheduling.failures import Failure, FailureKind, Situation, injected
from gantry.domain.scheduling.recovery import NeedKind, Option, faults_of
from gantry.solvers.recovery import options_after

REPAIRED_MIN = (30, 60, 90, 120, 180, 240)
"""How long a scanner stands, one of these by its name and the minute: the same day gives the same failures."""
NEXT_MIN = 60


def outage_min(scanner: str, minute: int) -> int:
    return Random(f"{scanner}/{minute}").choice(REPAIRED_MIN)


class End(StrEnum):
    """Every person of the plan ends in one of these."""

    SCANNED = "scanned today"
    OTHER_TIME = "offered another time inside their limit"
    LISTED = "listed with the reason"
    INCIDENT = "injected and not scanned: an incident"
    NOWHERE = "not accounted for"


@dataclass(frozen=True, slots=True)
class Strike:
    """One failure at one minute, and where its best option leaves everybody."""

    failure: Failure
    ends: Mapping[End, int]
    moved: int
    again: int
    """Moved by this after the failure before it had moved them."""
    faults: tuple[str, ...]
    """By the checker that knows no solver: needless moves are among them."""
    listed: tuple[tuple[str, str], ...] = ()
    second: "Strike | None" = None


@dataclass(slots=True)
class Sum:
    """Many strikes added up."""

    strikes: int = 0
    ends: Counter[End] = field(default_factory=Counter)
    moved: int = 0
    again: int = 0
    faults: list[str] = field(default_factory=list)

    def add(self, strike: Strike) -> None:
        self.strikes += 1
        self.ends.update(strike.ends)
        self.moved += strike.moved
        self.again += strike.again
        self.faults += strike.faults

    @property
    def people(self) -> int:
        return sum(self.ends.values())


def strikes(
    base: Situation,
    *,
    every: int = 15,
    first: int | None = None,
    last: int | None = None,
    seconds: float = 0.2,
    twice: bool = False,
) -> Iterator[Strike]:
    """`base` gives day, plan and people; its own failure is not looked at."""
    places = {base.day.scanner(visit.scanner).place for visit in base.plan.visits}
    arrivals = [v.injection_min - base.day.patient(v.patient).preparation_min for v in base.plan.visits]
    ends = [v.scan_min + base.day.patient(v.patient).scan_min for v in base.plan.visits]
    if not arrivals:
        return
    begin = min(arrivals) - 30 if first is None else first
    begin -= begin % every
    for minute in range(begin, (max(ends) if last is None else last) + 1, every):
        for number, failure in enumerate(things_that_fail(base, places, minute)):
            s = replace(base, failure=failure)
            made = best(s, seconds)
            second = None
            if twice and made is not None:
                day, plan = carried_out(s, made)
                after = replace(base, day=day, plan=plan, circumstances=known_after(s, made))
                others = list(things_that_fail(after, places, minute + NEXT_MIN))
                again = replace(after, failure=others[(number + 1) % len(others)])
                gone = {move.patient for move in made.moves}
                second = judged(again, best(again, seconds), gone)
            yield replace(judged(s, made, set()), second=second)


def things_that_fail(s: Situation, places: Iterable[str], minute: int) -> Iterator[Failure]:
    """Each batch that somebody counts on at these places, and each scanner, which is back after half an hour to four hours."""
    here = set(places)
    for delivery in s.day.deliveries:
        coming = s.plan.orders.get(delivery.ref, 0.0) if delivery.ordered_mbq is None else delivery.ordered_mbq
        if delivery.place in here and coming > 0:
            yield Failure(FailureKind.BATCH_LOST, delivery.ref, minute)
    for scanner in s.day.scanners:
        if scanner.place in here:
            back = minute + outage_min(scanner.ref, minute)
            yield Failure(FailureKind.SCANNER_DOWN, scanner.ref, minute, minute, back)


def best(s: Situation, seconds: float) -> Option | None:
    return next(iter(options_after(s, seconds=seconds)), None)


def judged(s: Situation, made: Option | None, gone: set[str]) -> Strike:
    """Everybody who was in the plan is looked for by name: nobody may be missing."""
    if made is None:
        return Strike(s.failure, {End.NOWHERE: len(s.plan.visits)}, 0, 0, ("no option without a fault was found",))
    ends: Counter[End] = Counter()
    listed = []
    asked = {need.patient for need in made.needs if need.kind is NeedKind.INCIDENT}
    for visit in s.plan.visits:
        patient, why = s.day.patient(visit.patient), made.plan.left_out.get(visit.patient, "")
        other = s.about(visit.patient).other_day
        if made.plan.visit(visit.patient) is not None:
            ends[End.SCANNED] += 1
        elif injected(s, patient):
            ends[End.INCIDENT if visit.patient in asked else End.NOWHERE] += 1
            listed.append((visit.patient, why))
        elif other is not None and other.within_limit:
            ends[End.OTHER_TIME] += 1
        else:
            ends[End.LISTED if why else End.NOWHERE] += 1
            listed.append((visit.patient, why))
    again = sum(move.patient in gone for move in made.moves if move.now_min is not None)
    return Strike(s.failure, ends, len(made.moves), again, tuple(faults_of(s, made)), tuple(listed))


def by_kind(found: Iterable[Strike]) -> dict[str, Sum]:
    """Added up by what failed; what failed after something else stands by itself."""
    stands = f"a scanner, for {min(REPAIRED_MIN)} to {max(REPAIRED_MIN)} minutes"
    batch, scanner, after = "a batch", stands, "the next thing, an hour later"
    sums = {name: Sum() for name in (batch, scanner, after)}
    for strike in found:
        sums[batch if strike.failure.kind is FailureKind.BATCH_LOST else scanner].add(strike)
        if strike.second is not None:
            sums[after].add(strike.second)
    return {name: each for name, each in sums.items() if each.strikes}


def table(sums: Mapping[str, Sum]) -> list[str]:
    """As it is printed: everybody in one of the columns, and the last two have to be empty."""
    head = ["fails", "times", "people", *(end.value for end in End), "moved", "moved again", "faults"]
    rows = [
        [name, s.strikes, s.people, *(s.ends[end] for end in End), s.moved, s.again, len(s.faults)]
        for name, s in sums.items()
    ]  # fmt: skip
    lines = [" | ".join(f"{cell:,}" if isinstance(cell, int) else str(cell) for cell in row) for row in rows]
    return [f"| {' | '.join(head)} |", "|" + "---|" * len(head), *(f"| {line} |" for line in lines)]

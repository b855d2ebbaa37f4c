"""A failure at any time of day: everybody ends somewhere, nothing is at fault, and nobody is moved twice for nothing."""

from dataclasses import replace

import pytest

from benchmarks.recovery import MORE, lifted, with_every_way
from gantry.domain.scheduling.carried_out import carried_out
from gantry.domain.scheduling.check import faults as plan_faults
from gantry.domain.scheduling.failures import Failure, FailureKind, Situation
from gantry.domain.scheduling.recovery import faults_of, option
from gantry.solvers.recovery import options_after
from gantry.solvers.replay import REPAIRED_MIN, End, by_kind, judged, outage_min, strikes, table
from tests.solvers.broken_days import situation

NOTHING = Failure(FailureKind.BATCH_LOST, "D0", 0)
DAYS = {
    "demonstration": lifted,
    "a child asleep": lambda: lifted(MORE / "R0A01-2026-11-23"),
    "every way": lambda: with_every_way(lifted()),
    "seeded": lambda: situation(4, 14, 2, 2, NOTHING),
}


@pytest.mark.parametrize("day", DAYS)
def test_everybody_ends_somewhere_whatever_fails_and_whenever(day: str) -> None:
    base = DAYS[day]()
    found = list(strikes(base, every=105, seconds=0.02, twice=True))
    assert len(found) >= 8
    for strike in [s for each in found for s in (each, each.second) if s is not None]:
        assert strike.faults == (), strike.failure
        assert strike.ends.get(End.NOWHERE, 0) == 0, strike.failure
        assert all(why for _, why in strike.listed), strike.failure
    assert all(sum(strike.ends.values()) == len(base.plan.visits) for strike in found)
    sums = by_kind(found)
    assert {"a batch", "a scanner, for 30 to 240 minutes", "the next thing, an hour later"} == set(sums)
    assert len(table(sums)) == 2 + len(sums)


def test_a_scanner_stands_as_long_on_the_same_day_and_not_always_as_long() -> None:
    stands = {outage_min("S1", minute) for minute in range(400, 700)}
    assert stands == set(REPAIRED_MIN)
    assert outage_min("S1", 431) == outage_min("S1", 431)


def test_every_lifted_day_is_a_day_with_a_plan_that_can_be_carried_out() -> None:
    bases = [lifted(folder) for folder in sorted(MORE.iterdir())]
    assert len({base.day.scanner(visit.scanner).place for base in bases for visit in base.plan.visits}) == 5
    assert any(patient.anaesthetist for base in bases for patient in base.day.patients)
    assert all(base.plan.visits and not plan_faults(base.day, base.plan) for base in bases)


def test_whoever_was_moved_by_the_first_failure_is_kept_by_the_second_where_another_can_go() -> None:
    s = replace(situation(0, 16, 1, 2, NOTHING), failure=Failure(FailureKind.BATCH_LOST, "D0", 430))
    made = options_after(s, seconds=0.1)[0]
    day, plan = carried_out(s, made)
    told = {p.ref: p.told.moves_before for p in day.patients if p.told}
    before = {p.ref: p.told.moves_before for p in s.day.patients if p.told}
    moved = {m.patient for m in made.moves if m.now_min is not None and m.told}
    assert moved and all(told[ref] == before[ref] + 1 for ref in moved)
    assert {ref: n for ref, n in told.items() if ref not in moved} == {
        ref: before[ref] for ref in told if ref not in moved
    }
    again = replace(s, day=day, plan=plan, failure=Failure(FailureKind.SCANNER_DOWN, "S0", 600, 600, 690))
    for made in options_after(again, seconds=0.1):
        assert faults_of(again, made) == []


def test_a_plan_that_forgets_somebody_is_found_out() -> None:
    s: Situation = replace(situation(2, 10, 1, 2, NOTHING), failure=Failure(FailureKind.BATCH_LOST, "D0", 430))
    made = options_after(s, seconds=0.05)[0]
    visit = made.plan.visits[0]
    fewer = replace(made.plan, visits=made.plan.visits[1:])
    cheat = option(s, made.way, fewer, made.fraction)
    strike = judged(s, cheat, set())
    assert strike.faults and visit.patient in " ".join(strike.faults)
    assert judged(s, None, set()).ends == {End.NOWHERE: len(s.plan.visits)}

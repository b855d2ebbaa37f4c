"""Options after a failure: no fault in any, everybody accounted for, quick, and never worse than doing nothing clever."""

import pytest

from gantry.domain.scheduling import check
from gantry.domain.scheduling.failures import Failure, FailureKind, injected
from gantry.domain.scheduling.recovery import Way, day_for, faults_of, harm, option, ways
from gantry.solvers.recovery import options_after, repair
from tests.solvers.broken_days import planned_day, situation

FAILURES = [
    Failure(FailureKind.BATCH_LOST, "D0", 430),
    Failure(FailureKind.BATCH_LOST, "D1", 620),
    Failure(FailureKind.BATCH_SHORT, "D0", 460, mbq=2_500),
    Failure(FailureKind.BATCH_LATE, "D1", 600, to_min=780),
    Failure(FailureKind.SCANNER_DOWN, "S0", 600, 600, 690),
    Failure(FailureKind.SCANNER_DOWN, "S0", 570, 560, None),
    Failure(FailureKind.ANAESTHETIST_ABSENT, "A", 400, 0, 600),
    Failure(FailureKind.PATIENT_LATE, "P03", 500, to_min=700),
    Failure(FailureKind.HYPERGLYCAEMIA, "P05", 560, to_min=680),
    Failure(FailureKind.SNOW, "A", 400, 420, 570),
]


@pytest.mark.parametrize("failure", FAILURES, ids=lambda f: f"{f.kind}-{f.known_min}")
def test_every_way_gives_a_plan_without_fault_that_leaves_nobody_out_unsaid(failure: Failure) -> None:
    s = situation(3, 16, 2, 2, failure)
    assert check.faults(s.day, s.plan) == []
    for way, fraction in ways(s):
        made = option(s, way, repair(s, day_for(s, way, fraction), seconds=0.02), fraction)
        assert faults_of(s, made) == []
        scanned = {v.patient for v in made.plan.visits}
        assert scanned | set(made.plan.left_out) == {p.ref for p in s.day.patients}


@pytest.mark.parametrize("minute", range(420, 1080, 60))
def test_a_scanner_that_fails_at_any_hour_leaves_the_injected_first(minute: int) -> None:
    s = situation(5, 14, 2, 2, Failure(FailureKind.SCANNER_DOWN, "S0", minute, minute))
    for made in options_after(s, seconds=0.2):
        assert faults_of(s, made) == []
        for move in made.abandoned:
            assert injected(s, s.day.patient(move.patient))
            assert any(n.patient == move.patient for n in made.needs)


def test_options_are_ranked_by_harm_and_differ() -> None:
    s = situation(1, 24, 2, 3, FAILURES[0])
    found = options_after(s)
    assert 2 <= len(found) <= 3
    assert [harm(s, o) for o in found] == sorted(harm(s, o) for o in found)
    assert len({o.way for o in found}) == len(found)


def test_a_failure_that_touches_nobody_moves_nobody() -> None:
    s = situation(2, 12, 1, 2, Failure(FailureKind.SCANNER_DOWN, "T0", 430, 430))
    found = options_after(s)
    assert [(o.way, o.moves, o.ready) for o in found] == [(Way.WAIT, (), True)]


def test_another_run_is_used_where_it_saves_people() -> None:
    s = situation(0, 12, 1, 2, FAILURES[0])
    by_way = {o.way: o for o in options_after(s)}
    ordered = by_way[Way.OTHER_RUN]
    assert len(ordered.called_off) < len(option(s, Way.ROUTINE_FIRST, repair(
        s, day_for(s, Way.ROUTINE_FIRST), seconds=0.05)).called_off)  # fmt: skip
    assert not ordered.ready
    assert ordered.extra_pence > 0


def test_days_of_every_size_have_options() -> None:
    """From 12 to 50 patients, one scanner to three. How long they take is measured in benchmarks, not here."""
    for size in ((12, 1, 2), (25, 1, 2), (40, 2, 3), (50, 3, 3)):
        for failure in (FAILURES[0], FAILURES[4]):
            assert options_after(situation(0, *size, failure))


def test_a_plan_before_the_failure_is_one_that_can_be_carried_out() -> None:
    day, plan = planned_day(4, 30, 2, 3)
    assert check.faults(day, plan) == []


def test_what_can_be_done_at_once_stands_among_the_three_whatever_ranks_above_it() -> None:
    """Another site and another run keep more people today, but each has to be asked for first."""
    for seed in range(6):
        s = situation(seed, 12, 2, 2, Failure(FailureKind.BATCH_LOST, "D0", 430))
        made = options_after(s, seconds=0.1)
        every = options_after(s, seconds=0.1, most=9)
        if any(option.ready for option in every):
            assert any(option.ready for option in made)

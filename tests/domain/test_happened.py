"""A day with what has happened in it: real injections and scans, and nobody who has gone is still to come."""

from dataclasses import replace
from datetime import UTC, datetime

from gantry.domain.scheduling import check
from gantry.domain.scheduling.failures import Circumstances, Failure, FailureKind, Situation, Standing, left_of
from gantry.domain.scheduling.happened import Facts, as_it_happened, on_grid
from gantry.domain.scheduling.problem import (
    Day,
    Delivery,
    Patient,
    Place,
    Plan,
    PlannedVisit,
    Scanner,
    Told,
    Tracer,
    Uptake,
    Window,
)

WINDOW = Uptake(55, 60, 75)


def a_day(*starts: int) -> tuple[Day, Plan]:
    """One injection for each start, an hour before its scan, all on one scanner with five minutes of cleaning."""
    patients = tuple(
        Patient(f"p{n}", "fdg", 250.0, Uptake(60, 60, 60), 20, told=Told("here", start - 30))
        for n, start in enumerate(starts)
    )
    day = Day(
        datetime(2026, 3, 3, tzinfo=UTC),
        "Europe/London",
        (Tracer("fdg", 110.0),),
        (Place("here", Window(400, 1200), 6),),
        (Scanner("one", "here", (Window(480, 1100),), turnaround_min=5),),
        (Delivery("run", "here", "fdg", 420, 1000, 480, ordered_mbq=5_000.0),),
        patients,
    )
    return day, Plan(tuple(PlannedVisit(f"p{n}", "one", "run", start, 60) for n, start in enumerate(starts)))


def test_somebody_injected_early_has_their_window_from_then_and_the_late_scan_is_a_fault():
    day, plan = a_day(740)
    then, real = as_it_happened(day, plan, {"p0": Facts(642.0, WINDOW)}, now_min=645)
    visit, patient = real.visits[0], then.patients[0]
    assert (visit.injection_min, visit.scan_min) == (640, 800)
    assert patient.uptake == Uptake(60, 65, 75), "57, 62 and 77 minutes after the grid's minute"
    assert any("an uptake of 160 minutes" in fault for fault in check.faults(then, real))
    assert check.score(then, real).moved == 0, "they came when they came"


def test_a_scan_before_the_planned_injection_has_an_uptake_of_nothing_not_less():
    day, plan = a_day(740)
    then, real = as_it_happened(
        day, replace(plan, visits=(replace(plan.visits[0], uptake_min=0),)), {"p0": Facts(760.0, WINDOW)}, now_min=760
    )
    assert real.visits[0].uptake_min == 0
    assert then.patients[0].uptake.least_min == 55


def test_a_window_of_one_minute_off_the_grid_keeps_a_minute_of_it():
    assert on_grid(Uptake(55, 55, 55), 3.0, 5) == Uptake(60, 60, 60)


def test_whoever_is_scanned_or_gone_holds_nothing_that_is_still_to_come():
    day, plan = a_day(740, 800)
    facts = {"p0": Facts(642.0, WINDOW, 701, 722, gone=True), "p1": Facts(650.0, WINDOW, gone=True)}
    then, real = as_it_happened(day, plan, facts, now_min=730)
    first, second = real.visits
    assert (first.scan_min, then.patients[0].scan_min) == (700, 20)
    assert second.scan_min + then.patients[1].scan_min <= 730
    assert check.faults(then, real) == []


def test_scans_that_were_done_never_overlap_for_cleaning_or_rounding():
    day, plan = a_day(600, 640)
    facts = {"p0": Facts(600.0, WINDOW, 663, 684, gone=True), "p1": Facts(620.0, WINDOW, 685, 704, gone=True)}
    then, real = as_it_happened(day, plan, facts, now_min=730)
    assert check.faults(then, real) == []


def test_a_second_failure_finds_the_first():
    """Snow at the site, then a scanner that fails: nobody is told to come through the snow."""
    day, plan = a_day(740)
    snow = Failure(FailureKind.SNOW, "here", 600, 600, 900)
    down = Failure(FailureKind.SCANNER_DOWN, "other", 610, 610)
    about = {"p0": Circumstances(Standing.AT_HOME)}
    assert left_of(Situation(day, plan, down, about)).patients[0].earliest_min < 900
    assert left_of(Situation(day, plan, down, about, others=(snow,))).patients[0].earliest_min == 900


def test_a_run_that_does_not_hold_what_is_drawn_is_named_with_how_many_need_it():
    day, plan = a_day(740, 765)
    assert check.without_tracer(day, plan) == []
    short = replace(day, deliveries=(replace(day.deliveries[0], ordered_mbq=127.0),))
    (words,) = check.without_tracer(short, plan)
    assert words.startswith("run holds 127 MBq; the plan draws ") and words.endswith(" for 2 people")
    late = replace(day, deliveries=(replace(day.deliveries[0], arrives_min=750),))
    assert check.without_tracer(late, plan) == ["p0 cannot be injected from run at minute 740"]

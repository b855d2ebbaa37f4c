"""A day widened to what is booked: the plan stands in it, nothing else is loosened, and the rows still say what was broken."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from gantry.domain.scheduling.as_booked import as_booked, as_they_lay, merged, peaks_of
from gantry.domain.scheduling.check import faults
from gantry.domain.scheduling.problem import Plan, PlannedVisit, Window, capacities
from tests.solvers.drawn_days import day, days, delivery, patient, place, scanner

OF_THE_ROWS = (
    "need the room", "need the injector", "need the toilet", "need the anaesthetist", "need the play", "is not open",
    "cannot come", "would leave", " needs ", "No anaesthetist", "No play",
)  # fmt: skip


@st.composite
def booked(draw: st.DrawFn):
    """Any visits at all, one after the other on each scanner, as people book who know less than the rows."""
    of_day = draw(days())
    free = {s.ref: 0 for s in of_day.scanners}
    visits = []
    for one in of_day.patients:
        lies_on = draw(st.sampled_from(of_day.scanners))
        uptake = -(-one.uptake.least_min // of_day.grid_min) * of_day.grid_min
        injection = max(draw(st.integers(10, 50)) * of_day.grid_min, free[lies_on.ref] - uptake)
        injection = -(-injection // of_day.grid_min) * of_day.grid_min
        drawn_on = draw(st.sampled_from(of_day.deliveries)).ref
        visits.append(PlannedVisit(one.ref, lies_on.ref, drawn_on, injection, uptake))
        free[lies_on.ref] = injection + uptake + one.scan_min + lies_on.turnaround_min
    return of_day, Plan(tuple(visits))


@given(booked())
def test_whatever_is_booked_stands(given_day):
    of_day, plan = given_day
    wider = as_booked(of_day, plan)
    assert [fault for fault in faults(wider, plan) if any(kind in fault for kind in OF_THE_ROWS)] == []
    before, after, used = capacities(of_day), capacities(wider), peaks_of(of_day, plan)
    for resource, units in after.items():
        assert units == max(before[resource], used.get(resource, 0)) or resource.startswith("scanner"), resource
    assert as_booked(wider, plan) == wider, "once is enough"


def test_a_day_that_is_kept_is_left_alone():
    of_day = day((patient(latest_min=600),), scanners=(scanner(open=(Window(540, 1080),)),))
    plan = Plan((PlannedVisit("P1", "S1", "D1", 480, 60),))
    assert as_booked(of_day, plan) == of_day


def test_the_rows_still_say_what_booking_did_not_keep():
    two = (patient("P1"), patient("P2", latest_min=400))
    rooms = (place(injectors=1, hot_toilets=1),)
    of_day = day(two, places=rooms, scanners=(scanner("S1"), scanner("S2")), deliveries=(delivery(ordered_mbq=9e3),))
    plan = Plan((PlannedVisit("P1", "S1", "D1", 480, 60), PlannedVisit("P2", "S2", "D1", 480, 60)))
    assert faults(of_day, plan) == [
        "P2 cannot come so late",
        "P1, P2 need the injector of A at once at minute 480",
        "P1, P2 need the toilet of A at once at minute 535",
    ]
    wider = as_booked(of_day, plan)
    assert faults(wider, plan) == []
    third = replace(plan, visits=(plan.visits[0], replace(plan.visits[1], injection_min=485)))
    assert faults(wider, third) == ["P2 cannot come so late"], "a worse time is not let in with it"


def test_windows_that_touch_are_one():
    assert merged([Window(5, 9), Window(1, 5), Window(12, 12), Window(11, 13)]) == (Window(1, 9), Window(11, 13))


def test_whoever_keeps_their_time_keeps_their_scanner():
    """A solver that takes like scanners for one may deal them anew: nobody is told of another room for nothing."""
    two = (scanner("S1"), scanner("S2"))
    of_day = day(
        tuple(patient(f"P{n}") for n in (1, 2, 3)), scanners=two, deliveries=(delivery(ordered_mbq=9e3),)
    )  # fmt: skip
    before = Plan(
        (
            PlannedVisit("P1", "S1", "D1", 480, 60),
            PlannedVisit("P2", "S2", "D1", 485, 60),
            PlannedVisit("P3", "S1", "D1", 600, 60),
        )
    )
    dealt = Plan(
        (
            PlannedVisit("P1", "S2", "D1", 480, 60),
            PlannedVisit("P2", "S1", "D1", 485, 60),
            PlannedVisit("P3", "S1", "D1", 505, 60),
        )
    )
    found = as_they_lay(of_day, before, dealt)
    assert [(v.patient, v.scanner, v.injection_min) for v in found.visits] == [
        ("P1", "S1", 480),
        ("P2", "S2", 485),
        ("P3", "S1", 505),
    ]
    assert faults(of_day, found) == []


def test_where_old_scanners_do_not_work_out_the_plan_stays_as_it_was_found():
    of_day = day(
        tuple(patient(f"P{n}", scan_min=30) for n in (1, 2, 3)), scanners=(scanner("S1"), scanner("S2")),
        deliveries=(delivery(ordered_mbq=9e3),),
    )  # fmt: skip
    before = Plan((PlannedVisit("P1", "S1", "D1", 480, 60), PlannedVisit("P2", "S2", "D1", 510, 60)))
    dealt = Plan((*(replace(v, scanner="S1") for v in before.visits), PlannedVisit("P3", "S2", "D1", 495, 60)))
    assert as_they_lay(of_day, before, dealt) == dealt

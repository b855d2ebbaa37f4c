"""What a plan costs, counted by hand; the next best time of one patient is the best of every plan that differs only in them."""

from dataclasses import astuple, replace

import pytest
from hypothesis import given, settings

from gantry.domain.scheduling.check import faults, score
from gantry.domain.scheduling.costs import Costs, costs, next_best
from gantry.domain.scheduling.problem import Plan, PlannedVisit, Told, Window
from tests.solvers.drawn_days import day, days, delivery, every_plan, patient, place, scanner


def test_each_cost_is_in_its_own_unit():
    people = (
        patient("P1", told=Told("A", 440, 1)),
        patient("P2", prefers=Window(560, 580), limit_min=600),
        patient("P3", weight=4),
    )
    of_day = day(
        people,
        places=(place(overtime_from_min=625),),
        deliveries=(delivery(ordered_mbq=2000.0, price_pence_per_gbq=50_000),),
    )
    plan = Plan((PlannedVisit("P1", "S1", "D1", 480, 60), PlannedVisit("P2", "S1", "D1", 550, 60)))
    found = costs(of_day, plan)
    mbq = 250 * 2 ** (30 / 109.77) + 250 * 2 ** (100 / 109.77)
    assert found.unscanned_weight == 4 + 1, "P3 is not planned, P2 is scanned after the limit"
    assert found.moved == 2, "moved once before: it counts double"
    assert found.mbq == pytest.approx(mbq)
    assert found.pence == pytest.approx(mbq / 1000 * 50_000)
    assert (found.overtime_min, found.waiting_min) == (5, 30)
    assert found.staff_mbq_min == pytest.approx(score(of_day, plan).staff_dose, abs=1e-3)


@given(days(most_patients=2, grid=(30,)))
@settings(max_examples=60, deadline=None)
def test_the_next_best_is_the_best_of_all_that_differ_in_one_patient(of_day):
    of_day = replace(of_day, patients=tuple(replace(p, lock=None) for p in of_day.patients))
    full = (p for p in every_plan(of_day) if len(p.visits) == len(of_day.patients) and not faults(of_day, p))
    plan = next(full, None)
    if plan is None:
        return
    first = plan.visits[0]
    found = next_best(of_day, plan, first.patient)
    tried = []
    for other in every_plan(of_day):
        visit = other.visit(first.patient)
        if visit is None or {*other.visits} - {visit} != {*plan.visits} - {first}:
            continue
        here = of_day.scanner(visit.scanner).place == of_day.scanner(first.scanner).place
        if (visit.injection_min == first.injection_min and here) or faults(of_day, other):
            continue
        tried.append(costs(of_day, other).less(costs(of_day, plan)))
    if not tried:
        assert found is None or any(d.ordered_mbq is None for d in of_day.deliveries)
        return
    assert found is not None
    runs = {d.ref for d in of_day.deliveries if d.ordered_mbq is None and d.price_pence}
    if not runs:
        assert astuple(found.more) == pytest.approx(astuple(min(tried)), abs=0.01)


def test_a_full_day_has_no_other_time():
    of_day = day((patient("P1"),), scanners=(scanner(open=(Window(540, 560),)),))
    plan = Plan((PlannedVisit("P1", "S1", "D1", 480, 60),), {"D1": 400.0})
    assert next_best(of_day, plan, "P1") is None
    assert next_best(of_day, Plan(()), "P1") is None


def test_costs_are_compared_the_gravest_first():
    assert Costs(moved=1) > Costs(pence=1e9)
    assert Costs(pence=2.0, mbq=1.0) > Costs(pence=1.0, mbq=9.0)

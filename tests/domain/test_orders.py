"""What to order for people who may not come: beside every way in which they can, one by one."""

import json
from dataclasses import fields, replace
from itertools import product
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from gantry.domain.scheduling import problem
from gantry.domain.scheduling.files import Refused
from gantry.domain.scheduling.orders import (
    Draw,
    Readiness,
    Terms,
    all_served,
    amount,
    changes,
    costs_by_size,
    draws_on,
    orders,
    questions,
    sizes,
)
from gantry.domain.scheduling.problem import Lock, Plan, PlannedVisit
from gantry.domain.scheduling.terms_files import TermsOnPaper, read_terms
from tests.solvers.drawn_days import day, delivery, patient


@st.composite
def lists(draw: st.DrawFn) -> list[Draw]:
    return [
        Draw(
            f"P{n}", float(steps), steps, draw(st.sampled_from([0.0, 0.25, 0.5, 0.9, 1.0])), draw(st.integers(0, 9000))
        )
        for n, steps in enumerate(draw(st.lists(st.integers(1, 9), min_size=1, max_size=6)))
    ]


def served(draws: list[Draw], came: tuple[bool, ...], size: int) -> tuple[int, list[Draw]]:
    """What is left, and who is sent home, if these come."""
    left, home = size, []
    for one, here in zip(draws, came, strict=True):
        if here and one.steps <= left:
            left -= one.steps
        elif here:
            home.append(one)
    return left, home


def chance_of(draws: list[Draw], came: tuple[bool, ...]) -> float:
    total = 1.0
    for one, here in zip(draws, came, strict=True):
        total *= one.chance if here else 1 - one.chance
    return total


@given(lists(), st.integers(0, 60), st.integers(0, 5000), st.integers(0, 5000))
@settings(derandomize=True, max_examples=150, deadline=None)
def test_the_means_are_those_of_every_way_to_come(draws, size, price, waste):
    of_day, run = day(waste_pence_per_gbq=waste), delivery(price_pence=70, price_pence_per_gbq=price)
    pence = home = left = together = 0.0
    for came in product([True, False], repeat=len(draws)):
        chance, (over, gone) = chance_of(draws, came), served(draws, came, size)
        left += chance * over
        home += chance * len(gone)
        together += chance * (not gone)
        pence += chance * (over * waste / 1000 + sum(one.sent_home_pence for one in gone))
    found = amount(of_day, run, draws, size, 1.0)
    assert found.pence == pytest.approx(70 + size * price / 1000 + pence)
    assert (found.sent_home, found.left_mbq) == (pytest.approx(home), pytest.approx(left))
    assert found.all_served == pytest.approx(together) == pytest.approx(all_served(draws, size))


def ordered(chances: dict[str, float], *, home: int = 50_000, **over: object):
    people = tuple(patient(f"P{n}", activity_mbq=200.0 + 50 * n) for n in range(4))
    of_day = day(people, deliveries=(delivery(price_pence_per_gbq=4000, **over),))
    plan = Plan(tuple(PlannedVisit(f"P{n}", "S1", "D1", 480 + 30 * n, 60) for n in range(4)), {"D1": 9000.0})
    ready = {ref: Readiness(chance) for ref, chance in chances.items()}
    return of_day, plan, Terms(home, ready, {"D1": 300}, step_mbq=1.0)


def test_the_order_is_the_cheapest_of_every_size():
    of_day, plan, terms = ordered({"P0": 0.5, "P3": 0.6}, home=900)
    (order,) = orders(of_day, plan, terms)
    draws = draws_on(of_day, plan, of_day.deliveries[0], terms)
    least, most = sizes(of_day.deliveries[0], draws, 1.0)
    every = [amount(of_day, of_day.deliveries[0], draws, size, 1.0).pence for size in range(least, most + 1)]
    assert order.best.pence == pytest.approx(min(every))
    assert order.best.mbq < order.everybody.mbq
    assert order.cut_off_min == 300
    assert all(order.best.pence <= each.pence for each in (order.everybody, *order.compared))


def test_who_surely_comes_is_ordered_for_and_nothing_is_asked():
    (order,) = orders(*ordered({}))
    assert order.best == order.everybody
    assert order.best.all_served == 1.0
    assert order.questions == ()


def test_a_margin_is_bought_only_while_sending_home_costs_more():
    cheap = orders(*ordered({"P3": 0.3}, home=10))[0]
    dear = orders(*ordered({"P3": 0.3}, home=50_000))[0]
    assert cheap.best.mbq < dear.best.mbq == dear.everybody.mbq


def test_the_least_and_the_most_that_a_supplier_takes_bind():
    assert orders(*ordered({}, least_mbq=5000.0))[0].best.mbq == 5000.0
    assert orders(*ordered({}, most_mbq=700.0))[0].best.mbq <= 700.0


def test_the_answer_that_saves_most_is_asked_for_first():
    (order,) = orders(*ordered({"P0": 0.99, "P3": 0.5}, home=5000))
    assert [question.patient for question in order.questions] == ["P3", "P0"]
    assert order.questions[0].worth_pence > order.questions[1].worth_pence >= 0


@given(lists(), st.integers(0, 5000))
@settings(derandomize=True, max_examples=60, deadline=None)
def test_an_answer_is_worth_what_both_answers_save(draws, price):
    of_day, run = day(), delivery(price_pence_per_gbq=price)
    least, most = sizes(run, draws, 1.0)

    def best(some: list[Draw]) -> float:
        return min(costs_by_size(of_day, run, some, most, 1.0)[least:])

    for asked in questions(of_day, run, draws, Terms(0, step_mbq=1.0)):
        place = next(n for n, one in enumerate(draws) if one.patient == asked.patient)
        come, stay = (
            best([*draws[:place], replace(draws[place], chance=sure), *draws[place + 1 :]]) for sure in (1.0, 0.0)
        )
        worth = best(draws) - asked.chance * come - (1 - asked.chance) * stay
        assert asked.worth_pence == pytest.approx(max(0.0, worth), abs=1e-6)


def test_the_margin_is_what_is_ordered_beyond_the_mean():
    (order,) = orders(*ordered({"P0": 0.5, "P3": 0.6}))
    assert order.mean_mbq == pytest.approx(sum(one.mbq * one.chance for one in order.draws))
    assert order.margin_mbq == order.best.mbq - order.mean_mbq > 0
    assert order.best.short == 1 - order.best.all_served


def test_what_changed_since_an_order_is_who_came_who_went_and_who_moved():
    def draw(ref: str, mbq: float, chance: float = 0.9) -> Draw:
        return Draw(ref, mbq, round(mbq), chance, 0)

    before = [draw("same", 400), draw("moved", 400), draw("gone", 400), draw("asked", 400)]
    now = [draw("same", 403), draw("moved", 460), draw("asked", 400, 0.97), draw("new", 400)]
    found = {one.patient: (one.before, one.now) for one in changes(before, now, mbq=5, chance=0.01)}
    assert found == {
        "moved": (before[1], now[1]),
        "asked": (before[3], now[2]),
        "new": (None, now[3]),
        "gone": (before[2], None),
    }


def test_whose_injection_is_a_fact_comes_for_certain():
    of_day, plan, terms = ordered({"P0": 0.1})
    locked = replace(of_day.patients[0], lock=Lock(injection_min=480))
    of_day = replace(of_day, patients=(locked, *of_day.patients[1:]))
    assert orders(of_day, plan, terms)[0].best.all_served == 1.0


def test_an_order_already_placed_is_not_made_again():
    of_day, plan, terms = ordered({}, ordered_mbq=9000.0)
    assert orders(of_day, plan, terms) == ()


def test_terms_are_read_and_refused_where_they_are_wrong():
    of_day, _, _ = ordered({})
    good = {
        "version": 1,
        "sent_home_pence": 40_000,
        "ready": {"P1": {"chance": 0.8, "missing": ["transport"]}},
        "cut_offs": {"D1": "2026-11-22T16:00:00+00:00"},
    }
    schema = json.loads((Path(problem.__file__).parents[2] / "schemas" / "terms.schema.json").read_text())
    Draft202012Validator(schema).validate(good)
    assert set(schema["properties"]) == {"version", *(f.name for f in fields(TermsOnPaper))}
    assert set(schema["$defs"]["Readiness"]["properties"]) == {f.name for f in fields(Readiness)}
    terms = read_terms(of_day, good)
    assert isinstance(terms, Terms)
    assert terms.of("P1") == Readiness(0.8, missing=frozenset({"transport"}))
    assert terms.of("P0").chance == 1.0
    assert terms.cut_offs == {"D1": -480}
    for wrong, pointer in (
        ([], ""),
        ({**good, "version": 2}, "/version"),
        ({"version": 1}, ""),
        ({**good, "ready": {"P9": {}}}, "/ready/P9"),
        ({**good, "ready": {"P1": {"chance": 2.0}}}, "/ready/P1"),
        ({**good, "cut_offs": {"D9": "2026-11-22T16:00:00+00:00"}}, "/cut_offs/D9"),
        ({**good, "step_mbq": -1.0}, ""),
    ):
        found = read_terms(of_day, wrong)
        assert isinstance(found, Refused), wrong
        assert found.faults[0].pointer == pointer

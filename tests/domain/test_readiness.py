"""What is asked of whom the day before, and what the answers make of the chance to come."""

from math import isclose

import pytest

from gantry.domain.readiness import Item, Risk, Standing, asked_of, chance_of_coming, why_not_said
from gantry.reference.attendance import risks_of

ALL = (Item.ANSWERED, Item.INSTRUCTIONS, Item.TRANSPORT, Item.GLUCOSE_PLAN)


@pytest.mark.parametrize(
    ("diabetes", "glucose_matters", "asked"),
    [
        ("none", True, ALL[:3]),
        ("diet", True, ALL[:3]),
        ("oral", True, ALL),
        ("insulin", True, ALL),
        ("insulin", False, ALL[:3]),
        ("", True, ALL[:3]),
    ],
)
def test_a_glucose_plan_is_for_treated_diabetes_and_a_tracer_that_glucose_competes_with(
    diabetes, glucose_matters, asked
):
    assert asked_of(diabetes=diabetes, glucose_matters=glucose_matters) == asked


def test_the_chance_is_that_nothing_of_it_happens():
    risks = (Risk(Item.ANSWERED, 0.1, 0.5, 2.0), Risk(None, 0.2))
    assert isclose(chance_of_coming(risks, {}), 0.9 * 0.8)
    assert isclose(chance_of_coming(risks, {Item.ANSWERED: True}), 0.95 * 0.8)
    assert isclose(chance_of_coming(risks, {Item.ANSWERED: False}), 0.8 * 0.8)
    assert chance_of_coming((Risk(Item.ANSWERED, 0.6, open_leaves=3.0),), {Item.ANSWERED: False}) == 0
    with pytest.raises(ValueError, match="share"):
        Risk(None, 1.2)


@pytest.mark.parametrize("asked", [ALL, ALL[:3]])
@pytest.mark.parametrize("item", ALL)
def test_settling_anything_never_lowers_the_chance_and_leaving_it_open_never_raises_it(asked, item):
    risks = risks_of(asked, glucose_matters=True)
    unasked = chance_of_coming(risks, {})
    settled, still_open = (chance_of_coming(risks, {item: answer}) for answer in (True, False))
    assert still_open <= unasked <= settled
    assert (still_open < unasked < settled) == (item in asked)


def test_somebody_is_ready_when_all_that_is_asked_is_settled():
    half = Standing(ALL, {Item.ANSWERED: True, Item.INSTRUCTIONS: True, Item.TRANSPORT: False})
    assert half.settled == {Item.ANSWERED, Item.INSTRUCTIONS} and not half.ready
    assert half.missing == (Item.TRANSPORT, Item.GLUCOSE_PLAN)
    assert Standing(ALL, dict.fromkeys(ALL, True)).ready


def test_answers_that_cannot_be_are_refused():
    nothing = Standing(ALL[:3], {})
    assert why_not_said(nothing, {Item.ANSWERED: True}, upcoming=True) == []
    assert len(why_not_said(nothing, {}, upcoming=False)) == 2
    assert "not asked" in why_not_said(nothing, {Item.GLUCOSE_PLAN: True}, upcoming=True)[0]
    nobody = why_not_said(nothing, {Item.ANSWERED: False, Item.TRANSPORT: True}, upcoming=True)
    assert nobody == ["Nobody answered: then nothing else can have been settled in this call"]
    assert why_not_said(nothing, {Item.ANSWERED: False, Item.TRANSPORT: False}, upcoming=True) == []

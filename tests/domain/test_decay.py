"""Decay: the law rather than the numbers, then the published factors as a check on the half-life."""

from datetime import UTC, datetime, timedelta
from math import isclose

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gantry.domain.decay import (
    Assay,
    Nuclide,
    fraction_left,
    net_administered_mbq,
    time_to_fraction,
    why_not_plausible,
)

F18 = Nuclide("F-18", timedelta(seconds=6586.2))
GA68 = Nuclide("Ga-68", timedelta(minutes=67.7))
NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
WITHIN_TEN = st.timedeltas(-10 * F18.half_life, 10 * F18.half_life)
MBQ = st.floats(0.01, 100_000)


@given(WITHIN_TEN, WITHIN_TEN)
def test_waiting_twice_is_waiting_once_for_both(a, b):
    assert isclose(fraction_left(F18, a + b), fraction_left(F18, a) * fraction_left(F18, b), rel_tol=1e-12)


@given(WITHIN_TEN)
def test_half_is_left_after_one_more_half_life(elapsed):
    assert isclose(fraction_left(F18, elapsed + F18.half_life), fraction_left(F18, elapsed) / 2, rel_tol=1e-12)


@given(st.floats(1e-3, 1e3))
def test_time_to_a_fraction_undoes_the_fraction(fraction):
    assert isclose(fraction_left(F18, time_to_fraction(F18, fraction)), fraction, rel_tol=1e-6)


@given(MBQ, WITHIN_TEN, WITHIN_TEN)
def test_an_assay_does_not_care_at_which_moment_it_is_restated(activity, a, b):
    assay = Assay(F18, activity, NOON)
    restated = Assay(F18, assay.activity_at(NOON + a), NOON + a)
    assert isclose(restated.activity_at(NOON + b), assay.activity_at(NOON + b), rel_tol=1e-9)


@pytest.mark.parametrize(
    ("minutes", "left"),
    [(5, 0.969), (15, 0.910), (30, 0.827), (60, 0.685), (120, 0.469), (240, 0.220), (480, 0.048)],
)
def test_published_factors_of_f18(minutes, left):
    assert round(fraction_left(F18, timedelta(minutes=minutes)), 3) == left


@given(
    MBQ,
    st.floats(0, 1),
    st.timedeltas(timedelta(0), timedelta(hours=2)),
    st.timedeltas(timedelta(0), timedelta(hours=2)),
)
def test_net_activity_is_what_the_formula_says(before, share, early, late):
    pre = Assay(F18, before, NOON - early)
    post = Assay(F18, before * share * fraction_left(F18, early + late), NOON + late)
    half_life = F18.half_life / timedelta(seconds=1)
    expected = before * 2 ** (-early.total_seconds() / half_life) - post.activity_mbq * 2 ** (
        late.total_seconds() / half_life
    )
    assert isclose(net_administered_mbq(pre, post, NOON), expected, rel_tol=1e-9, abs_tol=1e-9)


def test_without_a_residual_the_whole_syringe_counts():
    assert net_administered_mbq(Assay(F18, 300, NOON), None, NOON) == 300


def test_what_cannot_be_built():
    with pytest.raises(ValueError, match="half-life"):
        Nuclide("X", timedelta(0))
    with pytest.raises(ValueError, match="timezone-aware"):
        Assay(F18, 1, NOON.replace(tzinfo=None))
    for activity in (-1, float("nan"), float("inf")):
        with pytest.raises(ValueError, match="finite number"):
            Assay(F18, activity, NOON)
    with pytest.raises(ValueError, match="timezone-aware"):
        Assay(F18, 1, NOON).activity_at(NOON.replace(tzinfo=None))
    with pytest.raises(ValueError, match="residual of Ga-68"):
        net_administered_mbq(Assay(F18, 300, NOON), Assay(GA68, 3, NOON), NOON)
    with pytest.raises(ValueError, match="never reaches nothing"):
        time_to_fraction(F18, 0)


def test_times_in_the_wrong_order_are_all_told():
    hour = timedelta(hours=1)
    assert why_not_plausible(Assay(F18, 300, NOON - hour), Assay(F18, 3, NOON + hour), NOON) == []
    assert why_not_plausible(Assay(F18, 300, NOON), None, NOON) == []
    assert why_not_plausible(Assay(F18, 300, NOON + hour), Assay(F18, 900, NOON - hour), NOON) == [
        "The syringe was assayed after the injection",
        "The residual was assayed before the injection",
        "More was left in the syringe than it held before",
    ]
    assert why_not_plausible(Assay(F18, 300, NOON - 4 * hour), None, NOON) == [
        "The syringe was assayed more than two half-lives before the injection"
    ]

"""What to administer: the published worked values, the card's own columns, and the limits' edges."""

from dataclasses import replace
from datetime import date
from math import isclose

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gantry.domain.activity import (
    Basis,
    NotOnCard,
    effective_dose_msv,
    from_card,
    prescribe,
    to_whole_mbq,
    why_out_of_tolerance,
    why_review,
)
from gantry.reference import schemes
from gantry.reference.dated import RECALLED_NOTICE, Fact, NothingInForce
from gantry.reference.effective_dose import COEFFICIENTS, coefficient
from gantry.reference.levels import TRACER_LEVELS, tracer_level
from gantry.reference.schemes import BEDS, SCHEMES, TOLERANCE_PERCENT, card, scheme
from gantry.reference.tracers import TRACERS

DAY = date(2026, 11, 23)
TORSO = card("fdg-torso", DAY).value
PER_KG = scheme("fdg-3.5", DAY).value
LINEAR = scheme("fdg-linear-14", DAY).value
QUADRATIC = scheme("fdg-quadratic-1050", DAY).value


@pytest.mark.parametrize(
    ("kg", "per_kg", "linear_2", "linear_3", "quadratic_3"),
    [
        (50, 175, 350, 233, 156),
        (60, 210, 420, 280, 224),
        (70, 245, 490, 327, 305),
        (80, 280, 530, 373, 398),
        (90, 315, 530, 420, 504),
        (100, 350, 530, 467, 530),
        (120, 420, 530, 530, 530),
    ],
)
def test_worked_values(kg, per_kg, linear_2, linear_3, quadratic_3):
    assert prescribe(PER_KG, kg).prescribed_mbq == per_kg
    assert prescribe(LINEAR, kg, minutes_per_bed=2).prescribed_mbq == linear_2
    assert prescribe(LINEAR, kg, minutes_per_bed=3).prescribed_mbq == linear_3
    assert prescribe(QUADRATIC, kg, minutes_per_bed=3).prescribed_mbq == quadratic_3


@given(st.floats(0.5, 10))
def test_linear_and_quadratic_agree_at_75_kg(minutes):
    linear = prescribe(LINEAR, 75, minutes_per_bed=minutes)
    quadratic = prescribe(QUADRATIC, 75, minutes_per_bed=minutes)
    assert isclose(linear.computed_mbq, quadratic.computed_mbq)


@given(st.sampled_from(sorted(SCHEMES)), st.floats(2, 350), st.floats(0.5, 10))
def test_no_prescription_leaves_its_limits(code, kg, minutes):
    rule = scheme(code, DAY).value
    given_out = prescribe(rule, kg, minutes_per_bed=minutes)
    assert rule.least_mbq <= given_out.limited_mbq <= (rule.most_mbq or 1_000_000)
    assert bool(given_out.note) is (given_out.limited_mbq != given_out.computed_mbq)
    assert (given_out.minutes_per_bed is None) is not rule.needs_minutes


def test_a_least_raises_and_says_so():
    small = prescribe(scheme("piflufolastat-per-kg", DAY).value, 40)
    assert (small.prescribed_mbq, small.note) == (190, "Raised to the least, 190 MBq")


def test_what_cannot_be_prescribed():
    with pytest.raises(ValueError, match="more than nothing"):
        prescribe(PER_KG, 0)
    for minutes in (None, 0):
        with pytest.raises(ValueError, match="minutes per bed"):
            prescribe(LINEAR, 70, minutes_per_bed=minutes)
    with pytest.raises(ValueError, match="more than nothing"):
        from_card(TORSO, 0)


@pytest.mark.parametrize(
    ("kg", "torso", "brain", "peptide", "low", "naf"),
    [
        (3, 26, 14, 14, 11, 14),
        (4, 30, 16, 15, 12, 14),
        (10, 70, 38, 35, 29, 28),
        (20, 126, 68, 62, 52, 51),
        (34, 200, 108, 99, 83, 81),
        (50, 277, 150, 137, 115, 112),
        (54, 292, 158, 145, 121, 119),
        (68, 363, 196, 179, 150, 147),
    ],
)
def test_the_cards_columns(kg, torso, brain, peptide, low, naf):
    names = ("fdg-torso", "fdg-brain", "ga-peptide", "fdg-low", "naf")
    assert [from_card(card(name, DAY).value, kg).prescribed_mbq for name in names] == [torso, brain, peptide, low, naf]


@pytest.mark.parametrize(("kg", "row"), [(1, 3), (3.4, 3), (3.5, 4), (5, 6), (51.9, 50), (52, 54), (67, 68)])
def test_between_weights_the_nearest_counts_and_ties_go_up(kg, row):
    assert f"Card row {row} kg" in from_card(TORSO, kg).note


def test_the_minimum_and_the_end_of_the_card():
    assert from_card(TORSO, 3).note == "Card row 3 kg, × 1; raised to the minimum, 26 MBq"
    assert from_card(TORSO, 68.1) == NotOnCard(
        "The card ends at 68 kg: use an adult scheme, not above the child's ceiling"
    )


@given(st.floats(0.5, 67))
def test_a_heavier_child_never_gets_less(kg):
    assert from_card(TORSO, kg + 1).limited_mbq >= from_card(TORSO, kg).limited_mbq


def test_tolerance():
    allowed = TOLERANCE_PERCENT.value
    assert why_out_of_tolerance(308, 280, allowed) is None
    assert why_out_of_tolerance(252, 280, allowed) is None
    assert why_out_of_tolerance(310, 280, allowed) == ("310 MBq is 11 % over the prescribed 280 MBq; ±10 % is allowed")
    assert "under" in why_out_of_tolerance(200, 280, allowed)
    assert "no prescription" in why_out_of_tolerance(200, 0, allowed)


def test_a_reference_level_asks_for_review_and_forbids_nothing():
    level = tracer_level("FDG", DAY, age=50, weight_kg=70).value
    assert why_review(245, level, 70) is None
    assert why_review(250, level, 70) == "250 MBq is above the reference level of 245 MBq at 70 kg: review"


def test_dose_and_rounding():
    assert isclose(effective_dose_msv(250, 0.019), 4.75)
    assert [to_whole_mbq(value) for value in (0.49, 0.5, 1.5, 2.5)] == [0, 1, 2, 3]


def test_a_level_is_that_of_the_day_and_of_the_tracer():
    older = tracer_level("FDG", date(2024, 12, 31), age=50, weight_kg=70)
    assert (older.value.basis, older.value.mbq, older.recalled) == (Basis.OLDER, 400.0, True)
    assert why_review(401, older.value, 70) == "401 MBq is above the older reference level of 400 MBq: review"
    brain = tracer_level("FDG-BRAIN", DAY, age=50, weight_kg=70)
    assert why_review(260, brain.value, 70) == "260 MBq is above the usual most of this tracer of 250 MBq: review"
    assert why_review(900, tracer_level("FDG", DAY, age=50, weight_kg=None).value, None) is None
    assert TRACER_LEVELS.keys() == TRACERS.keys()


def test_a_childs_level_is_the_card_for_the_weight_and_none_where_there_is_no_card():
    nine = {"age": 9, "weight_kg": 30.0}
    card_level = tracer_level("FDG", DAY, **nine)
    assert why_review(200, card_level.value, 30.0) == "200 MBq is above the dosage card of 178 MBq at 30 kg: review"
    assert tracer_level("GA-DOTATATE", DAY, **nine).value.mbq == 88
    assert tracer_level("PSMA-1007", DAY, **nine) is None
    assert tracer_level("FDG", DAY, age=9, weight_kg=None) is None
    assert tracer_level("FDG", DAY, age=15, weight_kg=90.0) is None
    assert tracer_level("FDG", DAY, age=None, weight_kg=70.0) is None


@pytest.mark.parametrize(
    ("code", "age", "value"),
    [
        ("FDG", 0, 0.095), ("FDG", 3, 0.095), ("FDG", 4, 0.056), ("FDG", 12, 0.037), ("FDG", 13, 0.024), ("FDG", 40, 0.019),
        ("FDG-BRAIN", 9, 0.037), ("NAF", 40, 0.009), ("NAF", 9, None), ("GA-PSMA-11", 17, 0.022), ("GA-PSMA-11", 15, None),
        ("FDOPA", None, 0.025), ("NOSUCH", 40, None),
    ],
)  # fmt: skip
def test_a_coefficient_is_of_the_age_or_there_is_none(code, age, value):
    found = coefficient(code, age, DAY)
    assert (found.value if found else None) == value


def test_the_adult_value_of_fdg_is_confirmed_and_the_childrens_are_marked():
    assert coefficient("FDG", 40, DAY).mark == "" and coefficient("FDG", 5, DAY).mark == RECALLED_NOTICE
    assert coefficient("FLUCICLOVINE", 40, DAY).mark == RECALLED_NOTICE
    assert COEFFICIENTS.keys() == TRACERS.keys()


def test_a_scheme_is_read_as_it_stood_on_the_day(monkeypatch):
    later = Fact(replace(PER_KG, factor=3.0), "MBq", "A later edition", date(2026, 12, 1))
    monkeypatch.setitem(schemes.SCHEMES, "fdg-3.5", (*SCHEMES["fdg-3.5"], later))
    assert prescribe(scheme("fdg-3.5", date(2026, 11, 30)).value, 80).prescribed_mbq == 280
    assert prescribe(scheme("fdg-3.5", date(2026, 12, 1)).value, 80).prescribed_mbq == 240
    with pytest.raises(NothingInForce, match="2024-12-31"):
        scheme("fdg-3.5", date(2024, 12, 31))
    assert (
        next(fact.value.code for fact in schemes.schemes_for("FDG", "fdg-3.5", date(2024, 12, 31))) == "fdg-linear-14"
    )


def test_a_card_is_read_as_it_stood_on_the_day(monkeypatch):
    lower = Fact(replace(TORSO, baseline_mbq=20.0, minimum_mbq=20.0), "MBq", "A later card", date(2027, 1, 1))
    monkeypatch.setitem(schemes.CARDS, "fdg-torso", (*schemes.CARDS["fdg-torso"], lower))
    assert from_card(card("fdg-torso", DAY).value, 20).prescribed_mbq == 126
    assert from_card(card("fdg-torso", date(2027, 1, 1)).value, 20).prescribed_mbq == 97


@pytest.mark.parametrize(("minutes", "scan"), [(2, 20), (2.5, 24), (3, 27), (4, 34)])
def test_the_scan_is_as_long_as_its_beds(minutes, scan):
    assert BEDS["fdg_body"].value.scan_min(minutes) == scan


def test_what_is_held_at_the_most_says_how_long_a_bed_would_have_to_be():
    held = prescribe(LINEAR, 100, minutes_per_bed=2)
    assert held.note.endswith("lengthen the acquisition instead, to 2.7 minutes per bed")
    assert prescribe(LINEAR, 100, minutes_per_bed=2.7).note == ""

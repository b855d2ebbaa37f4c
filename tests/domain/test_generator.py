"""Regrowth against the published table, breakthrough limits, and the end of a generator."""

from datetime import UTC, datetime, timedelta
from math import isclose

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gantry.domain.decay import Assay
from gantry.domain.generator import Eluate, alerts, eluted_mbq, regrown, why_blocked, why_expired, why_not_yet
from gantry.reference.generators import GENERATORS

AT = datetime(2026, 11, 23, 8, 0, tzinfo=UTC)
GA, RB = GENERATORS["ge-ga"].value, GENERATORS["sr-rb"].value


@pytest.mark.parametrize(("minutes", "percent"), [(30, 26), (60, 46), (90, 60), (120, 71), (180, 84), (240, 91)])
def test_gallium_grows_back_as_published(minutes, percent):
    assert isclose(regrown(GA, timedelta(minutes=minutes)) * 100, percent, abs_tol=0.6)


def test_rubidium_is_back_after_ten_minutes():
    assert isclose(regrown(RB, timedelta(minutes=10)), 0.996, abs_tol=0.001)


@given(st.integers(0, 600), st.integers(1, 600))
def test_more_time_never_gives_less_in_a_working_day(minutes, more):
    assert regrown(GA, timedelta(minutes=minutes)) <= regrown(GA, timedelta(minutes=minutes + more)) + 1e-3


def test_an_elution_by_hand():
    """1,000 MBq of Ge-68 calibrated now, two hours since the last elution, 70 % yield."""
    grown = eluted_mbq(GA, Assay(GA.parent, 1_000, AT), last_at=AT, at=AT + timedelta(hours=2), efficiency=0.7)
    assert isclose(grown, 1_000 * 0.7073 * 0.7, rel_tol=2e-3)
    with pytest.raises(ValueError, match="before"):
        regrown(GA, timedelta(minutes=-1))


def test_breakthrough_alerts_then_stops_and_a_missing_test_stops_too():
    fine = [Eluate("Sr-82", 0.001), Eluate("Sr-85", 0.01)]
    assert not list(why_blocked(RB, fine)) and not alerts(RB, fine)
    warned = [Eluate("Sr-82", 0.002), Eluate("Sr-85", 0.05)]
    assert not list(why_blocked(RB, warned)) and len(alerts(RB, warned)) == 2
    stopped = [Eluate("Sr-82", 0.01), Eluate("Sr-85", 0.1)]
    assert len(list(why_blocked(RB, stopped))) == 2 and not alerts(RB, stopped)
    assert list(why_blocked(RB, fine[:1])) == ["Sr-85 has not been tested today"]


def test_a_generator_ends_by_age_use_or_volume():
    assert not list(why_expired(RB, made_at=AT, elutions=5_000, litres=16.9, at=AT + timedelta(days=42)))
    assert len(list(why_expired(RB, made_at=AT, elutions=1, litres=17, at=AT + timedelta(days=43)))) == 2
    assert "250" in next(why_expired(GA, made_at=AT, elutions=250, litres=0, at=AT))


@pytest.mark.parametrize(
    ("kind", "minutes", "ml", "words"),
    [
        (RB, None, 20, []),
        (RB, 10, 100, []),
        (RB, 9, 20, ["9 minutes after the last elution; it waits 10"]),
        (RB, 4, 101, ["it waits 10", "101 mL in one elution; 100 mL"]),
        (GA, 1, 500, []),
    ],
)
def test_rubidium_grows_for_ten_minutes_and_gives_a_hundred_millilitres(kind, minutes, ml, words):
    last = None if minutes is None else AT - timedelta(minutes=minutes)
    said = list(why_not_yet(kind, last_at=last, at=AT, volume_ml=ml))
    assert len(said) == len(words) and all(word in one for word, one in zip(words, said, strict=True))

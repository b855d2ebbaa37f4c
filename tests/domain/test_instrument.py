"""What a device's tests allow, and what a permit allows."""

from datetime import UTC, datetime, timedelta
from math import isclose

import pytest

from gantry.domain.decay import Assay
from gantry.domain.instrument import (
    Allowed,
    LastTest,
    TestKind,
    linearity_percent,
    off_percent,
    overdue,
    passes,
    why_not_trusted,
)
from gantry.domain.permit import release_at
from gantry.reference.nuclides import F18

AT = datetime(2026, 11, 23, 8, 0, tzinfo=UTC)
RULES = [
    (TestKind.CONSTANCY, Allowed(5, timedelta(days=1), daily=True)),
    (TestKind.LINEARITY, Allowed(5, timedelta(days=92))),
]


def test_a_straight_source_is_linear_and_one_bent_reading_is_the_deviation():
    straight = [Assay(F18, Assay(F18, 900, AT).activity_at(AT + timedelta(hours=h)), AT + timedelta(hours=h))
                for h in range(5)]  # fmt: skip
    assert isclose(linearity_percent(straight), 0, abs_tol=1e-9)
    bent = [*straight[:-1], Assay(F18, straight[-1].activity_mbq * 0.9, straight[-1].at)]
    assert isclose(linearity_percent(bent), (0.9**0.8 - 1) * 100)
    with pytest.raises(ValueError, match="three"):
        linearity_percent(straight[:2])


@pytest.mark.parametrize(("off", "good"), [(5, True), (-5, True), (5.01, False), (-6, False)])
def test_a_tolerance_includes_its_edge(off, good):
    assert passes(off, RULES[0][1]) is good


def test_an_expected_value_is_needed():
    assert isclose(off_percent(105, 100), 5)
    with pytest.raises(ValueError, match="expected"):
        off_percent(1, 0)


def a_trial(kind, *, passed=True, today=True, at=AT):
    return LastTest(kind, at, passed, today)


def test_a_missing_daily_test_and_any_failed_test_stop_and_a_late_one_is_only_shown():
    fine = [a_trial(TestKind.CONSTANCY), a_trial(TestKind.LINEARITY, today=False, at=AT - timedelta(days=100))]
    assert why_not_trusted("C", fine, RULES) == [] and overdue(fine, RULES, at=AT) == [TestKind.LINEARITY]
    assert why_not_trusted("C", [a_trial(TestKind.CONSTANCY, today=False)], RULES)[0].endswith("recorded today")
    failed = [a_trial(TestKind.CONSTANCY), a_trial(TestKind.LINEARITY, passed=False)]
    assert why_not_trusted("C", failed, RULES) == ["C failed its last linearity test"]


def test_the_decay_store_keeps_f18_for_a_little_over_eighteen_hours():
    assert isclose((release_at(F18, AT) - AT) / timedelta(hours=1), 18.3, abs_tol=0.05)

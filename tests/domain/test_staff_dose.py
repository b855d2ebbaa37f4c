"""A badge's reading, its year and its limits; a permit's months."""

from datetime import UTC, date, datetime, timedelta

import pytest

from gantry.domain.permit import Terms, kept_too_long, why_not_disposed, why_not_held
from gantry.domain.staff_dose import Part, Reading, YearLimits, of_year, why_look, why_not_kept, why_year

BODY = YearLimits(Part.BODY, 0.3, 6.0, 20.0)
NOW = datetime(2026, 11, 23, 9, tzinfo=UTC)


def reading(msv: float, first: date = date(2026, 10, 1), last: date = date(2026, 10, 31), part: Part = Part.BODY):
    return Reading(part, first, last, msv)


@pytest.mark.parametrize(("msv", "asked"), [(0.3, False), (0.31, True)])
def test_a_month_above_the_local_level_is_asked_about(msv, asked):
    assert bool(list(why_look(reading(msv), BODY))) is asked


def test_a_longer_period_allows_more_and_a_shorter_one_no_more_than_a_month():
    quarter = reading(0.8, date(2026, 7, 1), date(2026, 9, 30))
    assert not list(why_look(quarter, BODY))
    assert list(why_look(reading(0.4, date(2026, 10, 1), date(2026, 10, 7)), BODY))


@pytest.mark.parametrize(
    ("msv", "said"), [(6.0, None), (6.1, "classified"), (20.0, "classified"), (20.1, "limit of 20")]
)
def test_the_year_asks_at_classification_and_at_the_limit(msv, said):
    found = list(why_year(msv, BODY, 2026))
    assert (said is None and not found) or said in found[0]


def test_a_reading_counts_in_the_year_in_which_it_ends_and_for_its_own_part():
    over_new_year = reading(1.0, date(2025, 12, 1), date(2026, 1, 4))
    rows = [over_new_year, reading(2.0), reading(4.0, part=Part.EYE)]
    assert of_year(rows, Part.BODY, 2026) == 3.0 and of_year(rows, Part.BODY, 2025) == 0


def test_what_cannot_be_a_badge_is_not_kept():
    assert list(why_not_kept(reading(1.0, date(2026, 2, 1), date(2026, 1, 1)), []))
    assert list(why_not_kept(reading(-1.0), []))
    assert list(why_not_kept(reading(1.0, date(2026, 10, 31), date(2026, 11, 30)), [reading(1.0)]))
    assert not list(why_not_kept(reading(1.0, date(2026, 11, 1), date(2026, 11, 30)), [reading(1.0)]))
    assert not list(why_not_kept(reading(1.0, part=Part.EYE), [reading(1.0)]))


TERMS = Terms("P", "F-18", date(2026, 1, 1), date(2026, 12, 31), 100.0, {"sewer": 10.0}, timedelta(days=2))


def test_a_permit_that_is_not_in_force_holds_nothing_and_a_route_without_a_limit_is_free():
    assert not list(why_not_held(TERMS, held_mbq=60, more_mbq=40, on=NOW.date()))
    assert "would be 101 MBq" in next(why_not_held(TERMS, held_mbq=60, more_mbq=41, on=NOW.date()))
    assert "not in force" in next(why_not_held(TERMS, held_mbq=0, more_mbq=1, on=date(2027, 1, 1)))
    assert not list(why_not_held(None, held_mbq=0, more_mbq=1e9, on=NOW.date()))

    def asked(route: str, mbq: float):
        return list(why_not_disposed(TERMS, route=route, activity_mbq=mbq, this_month_mbq=8, releases=[], at=NOW))

    assert not asked("sewer", 2) and asked("sewer", 2.1) and not asked("solid", 1e6)


def test_waste_is_kept_too_long_after_the_permits_own_time():
    assert not kept_too_long(TERMS, since=NOW - timedelta(days=2), at=NOW)
    assert kept_too_long(TERMS, since=NOW - timedelta(days=2, minutes=1), at=NOW)
    assert not kept_too_long(None, since=NOW - timedelta(days=900), at=NOW)

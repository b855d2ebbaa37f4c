"""Times, identifiers and quantities: said as people say them, read as people type them."""

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gantry.apps.ui import typed, wording

LONDON = ZoneInfo("Europe/London")
NOW = datetime(2026, 11, 22, 9, 0, tzinfo=UTC)
SUNDAY = date(2026, 11, 22)


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (NOW + timedelta(hours=5, minutes=20), "today 14:20"),
        (NOW + timedelta(days=1), "tomorrow 09:00"),
        (NOW - timedelta(hours=10), "yesterday 23:00"),
        (NOW + timedelta(days=3), "Wed 25 Nov, 09:00"),
        (NOW - timedelta(days=3), "3 days ago"),
        (NOW + timedelta(days=20), "12 Dec, 09:00 (in 20 days)"),
        (SUNDAY + timedelta(days=20), "12 Dec (in 20 days)"),
        (SUNDAY, "today"),
        (SUNDAY + timedelta(days=2), "Tue 24 Nov"),
        (date(1961, 3, 27), "27 Mar 1961"),
        (None, "–"),
    ],
)
def test_times_are_said_as_people_say_them(value: datetime | date | None, said: str) -> None:
    assert wording.say_when(value, NOW, LONDON) == said


def test_a_day_is_the_local_day() -> None:
    just_after_midnight = datetime(2026, 7, 1, 23, 30, tzinfo=UTC)
    assert wording.say_when(just_after_midnight, datetime(2026, 7, 2, 8, 0, tzinfo=UTC), LONDON) == "today 00:30"
    assert wording.say_exactly(just_after_midnight, LONDON) == "Thursday 2 July 2026, 00:30 BST"


def test_quantities() -> None:
    assert [wording.say_mbq(v) for v in (4.123, 41.23, 412.3, 4123.4, None, float("nan"))] == [
        "4.12\u00a0MBq",
        "41.2\u00a0MBq",
        "412\u00a0MBq",
        "4,123\u00a0MBq",
        "–",
        "–",
    ]
    assert wording.say_nhs_number("9990000018") == "999\u00a0000\u00a00018"
    assert wording.say_nhs_number("unknown") == "unknown"
    assert [wording.say_minutes(m) for m in (0, 12, 65, -3)] == ["0 min", "12 min", "1 h 05 min", "−3 min"]
    assert wording.pluralise(1, "patient") == "1 patient"
    assert wording.pluralise(1204, "body", "bodies") == "1,204 bodies"


@pytest.mark.parametrize(
    ("text", "day"),
    [
        ("27/3/1961", date(1961, 3, 27)),
        ("27.3.61", date(1961, 3, 27)),
        ("27 mar 1961", date(1961, 3, 27)),
        ("27March1961", date(1961, 3, 27)),
        ("27031961", date(1961, 3, 27)),
        ("1961-03-27", date(1961, 3, 27)),
        ("1st Dec 2025", date(2025, 12, 1)),
        ("2 dec", date(2025, 12, 2)),
        ("yesterday", date(2026, 11, 21)),
        ("fri", date(2026, 11, 20)),
    ],
)
def test_dates_are_read_as_typed(text: str, day: date) -> None:
    assert typed.read_date(text, SUNDAY, past=True) == day


@pytest.mark.parametrize(("text", "day"), [("fri", 27), ("+3", 25), ("tomorrow", 23), ("30 nov", 30)])
def test_dates_ahead(text: str, day: int) -> None:
    assert typed.read_date(text, SUNDAY) == date(2026, 11, day)


@pytest.mark.parametrize("text", ["31/2/1961", "13/13/2020", "soon", "", "1/2", "27//1961", "99999999", "0/0/0"])
def test_what_is_no_date_is_refused(text: str) -> None:
    with pytest.raises(typed.NotUnderstood):
        typed.read_date(text, SUNDAY)


@pytest.mark.parametrize(
    ("text", "at"),
    [("14:16", time(14, 16)), ("1416", time(14, 16)), ("2.16pm", time(14, 16)), ("9am", time(9)), ("12am", time(0))],
)
def test_clock_times(text: str, at: time) -> None:
    assert typed.read_time(text) == at


@pytest.mark.parametrize("text", ["25:00", "14:60", "14", "13pm", "now", ""])
def test_what_is_no_time_is_refused(text: str) -> None:
    with pytest.raises(typed.NotUnderstood):
        typed.read_time(text)


@pytest.mark.parametrize(
    ("text", "minutes"),
    [
        ("now", 0),
        ("4 minutes ago", -4),
        ("four minutes ago", -4),
        ("-4", -4),
        ("4 min", -4),
        ("an hour ago", -60),
        ("08:56", -4),
        ("yesterday 23:50", -550),
        ("23:50", -550),
        ("21/11/2026 23:50", -550),
        ("2026-11-22T08:56:00Z", -4),
        ("8:56 am", -4),
    ],
)
def test_moments_are_read_against_now(text: str, minutes: int) -> None:
    assert typed.read_moment(text, NOW, LONDON) == NOW + timedelta(minutes=minutes)


def test_the_hour_that_happens_twice_is_the_latest_that_has_been() -> None:
    first, second = datetime(2026, 10, 25, 0, 30, tzinfo=UTC), datetime(2026, 10, 25, 1, 30, tzinfo=UTC)
    assert typed.read_moment("01:30", second + timedelta(minutes=5), LONDON) == second
    assert typed.read_moment("01:30", first + timedelta(minutes=5), LONDON) == first
    with pytest.raises(typed.NotUnderstood, match="clocks go forward"):
        typed.read_moment("29/3/2026 01:30", NOW, LONDON)


@given(st.text(max_size=30))
def test_no_text_breaks_the_readers(text: str) -> None:
    for read in (
        lambda: typed.read_date(text, SUNDAY),
        lambda: typed.read_time(text),
        lambda: typed.read_moment(text, NOW, LONDON),
    ):
        try:
            read()
        except typed.NotUnderstood:
            pass

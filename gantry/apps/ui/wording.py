"""How a time, an identifier or a quantity is said on a page."""

from contextlib import contextmanager
from contextvars import ContextVar
from datetime import date, datetime, tzinfo
from math import isfinite

from django.utils import timezone

_NOW: ContextVar[datetime | None] = ContextVar("now_of_the_page", default=None)
DASH = "–"


@contextmanager
def as_at(now: datetime):
    """Say times as they were at `now`: for tests, replays and print runs."""
    token = _NOW.set(now)
    try:
        yield now
    finally:
        _NOW.reset(token)


def page_now() -> datetime:
    return _NOW.get() or timezone.now()


def say_when(value: datetime | date | None, now: datetime, zone: tzinfo) -> str:
    """'today 14:20', 'tomorrow 09:00', 'in 3 days', '12 Mar 2026': the nearer, the more exact."""
    if value is None:
        return DASH
    today = now.astimezone(zone).date()
    if not isinstance(value, datetime):
        return _say_day(value, today)
    local = value.astimezone(zone)
    days = (local.date() - today).days
    said = _say_day(local.date(), today)
    if days in (-1, 0, 1):
        return f"{said} {local:%H:%M}"
    if 7 <= days <= 60:
        # A cut-off or a run of next week is of no use without its clock.
        return f"{local.day} {local:%b}, {local:%H:%M} (in {days} days)"
    return f"{said}, {local:%H:%M}" if 1 < days < 7 else said


def _say_day(day: date, today: date) -> str:
    days = (day - today).days
    if days == 0:
        return "today"
    if days == 1:
        return "tomorrow"
    if days == -1:
        return "yesterday"
    if 1 < days < 7:
        return f"{day:%a} {day.day} {day:%b}"
    if -7 < days < -1:
        return f"{-days} days ago"
    if 7 <= days <= 60:
        return f"{day.day} {day:%b} (in {days} days)"
    return say_date(day, short=True)


def say_date(day: date, *, short: bool = False) -> str:
    return f"{day.day} {day:%b} {day.year}" if short else f"{day:%A} {day.day} {day:%B} {day.year}"


def say_exactly(value: datetime | date, zone: tzinfo) -> str:
    """'Thursday 12 March 2026, 14:20 GMT': what hover and print show."""
    if not isinstance(value, datetime):
        return say_date(value)
    local = value.astimezone(zone)
    return f"{say_date(local.date())}, {local:%H:%M %Z}"


def say_minutes(minutes: float) -> str:
    """'12 min', '1 h 05 min'; a minus sign for what is past."""
    whole = round(abs(minutes))
    sign = "−" if minutes < 0 and whole else ""
    hours, rest = divmod(whole, 60)
    return f"{sign}{hours} h {rest:02d} min" if hours else f"{sign}{rest} min"


def say_mbq(value: float | None) -> str:
    """Activity to three figures where they mean something: 4.12 MBq, 41.2 MBq, 412 MBq, 4,120 MBq."""
    if value is None or not isfinite(value):
        return DASH
    size = abs(value)
    places = 2 if size < 10 else 1 if size < 100 else 0
    return f"{value:,.{places}f}\N{NO-BREAK SPACE}MBq"


def say_nhs_number(value: str | None) -> str:
    digits = "".join(c for c in value or "" if c.isdigit())
    if len(digits) != 10:
        return value or DASH
    return f"{digits[:3]}\N{NO-BREAK SPACE}{digits[3:6]}\N{NO-BREAK SPACE}{digits[6:]}"


def pluralise(count: int, one: str, many: str | None = None) -> str:
    """'1 patient', '3 patients', '1,204 patients'."""
    return f"{count:,} {one if count == 1 else many or one + 's'}"

"""Reads dates and times as people type them: '27/3/61', 'fri', '1416', 'four minutes ago'. Told the time."""

import re
from datetime import UTC, date, datetime, time, timedelta, tzinfo

MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
NUMBERS = {
    word: number
    for number, word in enumerate(
        [
            "no",
            "one",
            "two",
            "three",
            "four",
            "five",
            "six",
            "seven",
            "eight",
            "nine",
            "ten",
            "eleven",
            "twelve",
            "thirteen",
            "fourteen",
            "fifteen",
        ]
    )
} | {"a": 1, "an": 1, "twenty": 20, "thirty": 30, "forty": 40, "fifty": 50}
_NUMERIC = re.compile(r"(\d{1,2})[/.\- ](\d{1,2})[/.\- ](\d{4}|\d{2})")
_WORDED = re.compile(r"(\d{1,2})(?:st|nd|rd|th)?[ \-]?([a-z]{3,9})[ \-,]*(\d{4}|\d{2})?")
_ISO = re.compile(r"(\d{4})-(\d{1,2})-(\d{1,2})")
_CLOCK = re.compile(r"(\d{1,2})(?:[:.h ]?([0-5]\d))?(?:[:.][0-5]\d)?\s*(am|pm)?")
_AGO = re.compile(r"(?:(\d+)|([a-z]+))\s*(m|min|mins|minute|minutes|h|hr|hrs|hour|hours)\s*(ago|before)?")


class NotUnderstood(ValueError):
    """The text is not a date or time that can be read one way."""


def read_date(text: str, today: date, *, past: bool = False) -> date:
    """A date; with `past`, two-digit years and bare days are read as the latest that has been."""
    text = " ".join(text.strip().lower().split())
    relative = {"today": 0, "tomorrow": 1, "yesterday": -1}
    if text in relative:
        return today + timedelta(days=relative[text])
    if found := re.fullmatch(r"([+-]\d{1,3})d?", text):
        return today + timedelta(days=int(found[1]))
    if len(text) >= 3 and text[:3] in WEEKDAYS and text.isalpha():
        ahead = (WEEKDAYS.index(text[:3]) - today.weekday()) % 7 or 7
        return today + timedelta(days=ahead - 7 if past else ahead)
    if found := _ISO.fullmatch(text):
        return _date(int(found[1]), int(found[2]), int(found[3]))
    if found := re.fullmatch(r"(\d{2})(\d{2})(\d{4})", text) or _NUMERIC.fullmatch(text):
        return _date(_year(found[3], today, past), int(found[2]), int(found[1]))
    found = _WORDED.fullmatch(text)
    if found and found[2][:3] in MONTHS:
        month, day = MONTHS.index(found[2][:3]) + 1, int(found[1])
        if found[3]:
            return _date(_year(found[3], today, past), month, day)
        this_year = _date(today.year, month, day)
        if past and this_year > today:
            return _date(today.year - 1, month, day)
        return _date(today.year + 1, month, day) if not past and this_year < today else this_year
    raise NotUnderstood("must be a real date, for example 27/3/1961")


def _year(text: str, today: date, past: bool) -> int:
    if len(text) == 4:
        return int(text)
    year = today.year // 100 * 100 + int(text)
    return year - 100 if year > today.year + (0 if past else 20) else year


def _date(year: int, month: int, day: int) -> date:
    try:
        return date(year, month, day)
    except ValueError:
        raise NotUnderstood("must be a real date") from None


def read_time(text: str) -> time:
    """A wall-clock time: 14:16, 1416, 14.16, 2:16pm, 9am."""
    text = text.strip().lower().replace("noon", "12:00").replace("midnight", "00:00")
    found = _CLOCK.fullmatch(text)
    if not found or (not found[2] and not found[3]):
        raise NotUnderstood("must be a time, for example 14:20")
    hour, minute = int(found[1]), int(found[2] or 0)
    if found[3]:
        if not 1 <= hour <= 12:
            raise NotUnderstood("must be a time, for example 2:20pm")
        hour = hour % 12 + (12 if found[3] == "pm" else 0)
    if hour > 23:
        raise NotUnderstood("must be a time between 00:00 and 23:59")
    return time(hour, minute)


def read_moment(text: str, now: datetime, zone: tzinfo, *, past: bool = True) -> datetime:
    """An instant in UTC: now, four minutes ago, -4, 14:16, yesterday 23:50, 27/3/2026 14:16, or ISO 8601."""
    try:
        return _read_moment(text, now, zone, past=past).astimezone(UTC)
    except OverflowError:
        raise NotUnderstood("must be a real date and time") from None


def _read_moment(text: str, now: datetime, zone: tzinfo, *, past: bool) -> datetime:
    given = " ".join(text.strip().lower().split())
    if given in {"now", "0"}:
        return now
    if found := re.fullmatch(r"-\s*(\d{1,3})", given):
        return now - timedelta(minutes=int(found[1]))
    if found := _AGO.fullmatch(given):
        if found[4] is None and not past:
            raise NotUnderstood("must say a time, for example 14:20")
        count = int(found[1]) if found[1] else NUMBERS.get(found[2])
        if count is not None:
            return now - (timedelta(hours=count) if found[3].startswith("h") else timedelta(minutes=count))
        raise NotUnderstood("must be a time, for example 14:20 or 4 minutes ago")
    if found := re.fullmatch(r"(\d{4}-\d\d-\d\d[t ]\d\d:\d\d(?::\d\d(?:\.\d+)?)?)(z|[+-]\d\d:?\d\d)?", given):
        try:
            said = datetime.fromisoformat(given.upper())
        except ValueError:
            raise NotUnderstood("must be a real date and time") from None
        return said if said.tzinfo else _at(said.date(), said.time(), now, zone, past=past)
    today = now.astimezone(zone).date()
    *days, clock = given.split(" ")
    if clock in {"am", "pm"} and days:
        clock = days.pop() + clock
    at = read_time(clock)
    if days:
        return _at(read_date(" ".join(days).rstrip(","), today, past=past), at, now, zone, past=past)
    moment = _at(today, at, now, zone, past=past)
    if past and moment - now > timedelta(hours=12):
        return _at(today - timedelta(days=1), at, now, zone, past=past)
    return moment


def _at(day: date, at: time, now: datetime, zone: tzinfo, *, past: bool) -> datetime:
    """The instant of a wall-clock time; the hour that happens twice is read as the latest that has been."""
    first = datetime.combine(day, at, tzinfo=zone)
    second = first.replace(fold=1)
    if first.utcoffset() == second.utcoffset():
        return first
    if first.utcoffset() < second.utcoffset():
        raise NotUnderstood("does not exist: the clocks go forward over it")
    return second if past and second.timestamp() <= now.timestamp() else first

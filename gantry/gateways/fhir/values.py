"""Decides whether a primitive value is written as FHIR R4 says, and reads its dates."""

import re
from collections.abc import Mapping
from datetime import date, datetime
from decimal import Decimal

DAY = r"([0-9]([0-9]([0-9][1-9]|[1-9]0)|[1-9]00)|[1-9]000)-(0[1-9]|1[0-2])-(0[1-9]|[1-2][0-9]|3[0-1])"
YEAR = r"([0-9]([0-9]([0-9][1-9]|[1-9]0)|[1-9]00)|[1-9]000)"
CLOCK = r"([01][0-9]|2[0-3]):[0-5][0-9]:([0-5][0-9]|60)(\.[0-9]+)?"
ZONE = r"(Z|(\+|-)((0[0-9]|1[0-3]):[0-5][0-9]|14:00))"

TEXT: Mapping[str, re.Pattern[str]] = {
    "string": re.compile(r"[ \r\n\t\S]+"),
    "markdown": re.compile(r"\s*(\S|\s)*"),
    "uri": re.compile(r"\S+"),
    "url": re.compile(r"\S+"),
    "canonical": re.compile(r"\S+"),
    "base64Binary": re.compile(r"(\s*([0-9a-zA-Z+/=]){4}\s*)+"),
    "instant": re.compile(rf"{DAY}T{CLOCK}{ZONE}"),
    "date": re.compile(rf"{YEAR}(-(0[1-9]|1[0-2])(-(0[1-9]|[1-2][0-9]|3[0-1]))?)?"),
    "dateTime": re.compile(rf"{YEAR}(-(0[1-9]|1[0-2])(-(0[1-9]|[1-2][0-9]|3[0-1])(T{CLOCK}{ZONE})?)?)?"),
    "time": re.compile(CLOCK),
    "code": re.compile(r"[^\s]+(\s[^\s]+)*"),
    "oid": re.compile(r"urn:oid:[0-2](\.(0|[1-9][0-9]*))+"),
    "id": re.compile(r"[A-Za-z0-9\-.]{1,64}"),
    "uuid": re.compile(r"urn:uuid:[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"),
    "xhtml": re.compile(r"(.|\s)+"),
}
LEAST = {"unsignedInt": 0, "positiveInt": 1, "integer": -(2**31)}
MOST = 2**31 - 1
LONGEST_STRING = 1_048_576
CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")


def why_not(kind: str, value: object) -> str:
    """What is wrong with the value as this primitive; empty when nothing is."""
    if kind == "boolean":
        return "" if isinstance(value, bool) else "is not true or false"
    if kind in LEAST:
        if isinstance(value, bool) or not isinstance(value, int):
            return "is not a whole number"
        return "" if LEAST[kind] <= value <= MOST else f"is outside the range of {kind}"
    if kind == "decimal":
        number = isinstance(value, int | Decimal) and not isinstance(value, bool)
        return "" if number else "is not a decimal number"
    if not isinstance(value, str):
        return f"is not written as a {kind}: text is expected"
    if not value.strip():
        return "is empty"
    if len(value) > LONGEST_STRING:
        return "is longer than one megabyte"
    if CONTROL.search(value):
        return "has a control character"
    if kind in {"date", "dateTime", "instant"}:
        return why_not_moment(kind, value)
    if kind == "base64Binary":
        return "" if base64_shaped(value) else "is not base64"
    pattern = TEXT.get(kind)
    return "" if pattern is None or pattern.fullmatch(value) else f"is not a valid {kind}"


def why_not_moment(kind: str, value: str) -> str:
    if not TEXT[kind].fullmatch(value):
        return f"is not a valid {kind}"
    day = value.partition("T")[0]
    try:
        if day.count("-") == 2:
            date.fromisoformat(day)
    except ValueError:
        return "is a day that no calendar has"
    return ""


def base64_shaped(value: str) -> bool:
    """Linear, where the pattern of the standard can be made to backtrack."""
    packed = "".join(value.split())
    return len(packed) % 4 == 0 and re.fullmatch(r"[0-9A-Za-z+/]*={0,2}", packed) is not None


def moment(value: str) -> datetime:
    """An instant or a dateTime that has a time; a leap second is read as the one before it. Raises ValueError."""
    at = datetime.fromisoformat(re.sub(r":60(\.\d+)?", ":59", value))
    if at.tzinfo is None:
        raise ValueError("an instant needs its zone")
    return at


def whole_day(value: object) -> date | None:
    """The day, where the value is a whole one."""
    if isinstance(value, str) and re.fullmatch(DAY, value):
        try:
            return date.fromisoformat(value)
        except ValueError:
            return None
    return None

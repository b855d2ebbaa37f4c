"""Decides which entries a query key selects: attribute matching of PS3.4 C.2.2.2 as the worklist uses it (K.6.1)."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from gantry.gateways.dicom.elements import Element, Elements

NO_WILDCARD = frozenset(
    [
        "AT",
        "DA",
        "DS",
        "DT",
        "FD",
        "FL",
        "IS",
        "OB",
        "OD",
        "OF",
        "OL",
        "OV",
        "OW",
        "SL",
        "SQ",
        "SS",
        "SV",
        "TM",
        "UI",
        "UL",
        "UN",
        "US",
        "UV",
    ]
)

DATE_AND_TIME = ((0x00400002, 0x00400003), (0x00400004, 0x00400005))
"""Pairs that are matched as one moment when both carry a value (PS3.4 Table K.6-1)."""

type Test = Callable[[Element], bool]


class Unmatchable(Exception):
    """The key's value cannot be what its VR says."""

    def __init__(self, tag: int, reason: str) -> None:
        self.tag, self.reason = tag, reason
        super().__init__(f"({tag >> 16:04X},{tag & 0xFFFF:04X}) {reason}")


@dataclass(frozen=True, slots=True)
class Key:
    """One attribute that must match: a test of its own, or keys that one item of the sequence must meet together."""

    tag: int
    test: Test | None = None
    inner: tuple[Key | MomentKey, ...] = ()

    def meets(self, elements: Elements) -> bool:
        element = elements.get(self.tag)
        if element is None:
            return False
        if self.test is not None:
            return self.test(element)
        return any(all(key.meets(item) for key in self.inner) for item in element.items)


@dataclass(frozen=True, slots=True)
class MomentKey:
    """A date and a time that are matched as one moment."""

    tag: int
    time_tag: int
    first: str
    last: str

    def meets(self, elements: Elements) -> bool:
        date, time = elements.get(self.tag), elements.get(self.time_tag)
        if date is None or time is None or not date.text or not time.text:
            return False
        try:
            moment = date_text(self.tag, date.text[0]) + time_text(self.time_tag, time.text[0], "0")
        except Unmatchable:
            return False
        return self.first <= moment <= self.last


def fold(name: str) -> str:
    """A person's name as it is compared: no case, no accents, no trailing carets (PS3.4 C.2.2.2.1)."""
    plain = unicodedata.normalize("NFKD", name).casefold()
    return "".join(c for c in plain if not unicodedata.combining(c)).rstrip("^= ")


def wildcard(pattern: str) -> re.Pattern[str]:
    return re.compile("".join(".*" if c == "*" else "." if c == "?" else re.escape(c) for c in pattern), re.DOTALL)


def universal(values: tuple[str, ...]) -> bool:
    return not values or all(value == "" for value in values) or any(value and not value.strip("*") for value in values)


def test_for(tag: int, vr: str, values: tuple[str, ...], raw: bytes) -> Test | None:
    """How one attribute is tested, or None where anything will do."""
    if vr not in {"PN"} and vr in NO_WILDCARD:
        if vr in {"DA", "TM", "DT"}:
            return None if not values or values == ("",) else range_test(tag, vr, values)
        if vr == "UI":
            wanted = frozenset(value for value in values if value)
            return (lambda element: not wanted.isdisjoint(element.text)) if wanted else None
        if vr in {"DS", "IS"}:
            return number_test(tag, values)
        return (lambda element: element.raw == raw) if raw else None
    if universal(values):
        return None
    if vr == "PN":
        return name_test(values)
    return text_test(values)


def text_test(values: tuple[str, ...]) -> Test:
    exact = frozenset(value for value in values if not set(value) & {"*", "?"})
    patterns = [wildcard(value) for value in values if value not in exact]

    def test(element: Element) -> bool:
        return any(text in exact or any(p.fullmatch(text) for p in patterns) for text in element.text if text)

    return test


def name_test(values: tuple[str, ...]) -> Test:
    wanted = [(wildcard(fold(value)), "=" in value, fold(value).count("^")) for value in values if value]

    def test(element: Element) -> bool:
        for name in element.text:
            groups = [fold(group) for group in name.split("=")]
            for pattern, whole, carets in wanted:
                if whole and pattern.fullmatch(fold(name)):
                    return True
                # A query in one form of the name finds it in whichever form it was kept.
                if not whole and any(group and meets_name(pattern, carets, group) for group in groups):
                    return True
        return False

    return test


def meets_name(pattern: re.Pattern[str], carets: int, group: str) -> bool:
    """Components that the query leaves off at the end are not asked about: FAMILY^GIVEN finds one with a prefix too."""
    return bool(pattern.fullmatch(group) or pattern.fullmatch("^".join(group.split("^")[: carets + 1]).rstrip("^")))


def number_test(tag: int, values: tuple[str, ...]) -> Test | None:
    try:
        wanted = {float(value) for value in values if value}
    except ValueError:
        raise Unmatchable(tag, "is not a number") from None
    return (lambda element: any(float(text) in wanted for text in element.text if text)) if wanted else None


def range_test(tag: int, vr: str, values: tuple[str, ...]) -> Test:
    spans = [span(tag, vr, value) for value in values if value]

    def within(text: str) -> bool:
        try:
            moment = at_edge(tag, vr, text, "0")
        except Unmatchable:
            return False
        return any(first <= moment <= last for first, last in spans)

    return lambda element: any(within(text) for text in element.text if text)


def span(tag: int, vr: str, value: str) -> tuple[str, str]:
    """First and last moment of a single value or a range, as texts that sort; both ends count (PS3.4 C.2.2.2.5)."""
    first, dash, last = value.strip().partition("-")
    first, last = first.strip(), last.strip()
    if not dash:
        last = first
    if not first and not last:
        raise Unmatchable(tag, "is a range without ends")
    low = at_edge(tag, vr, first, "0") if first else ""
    high = at_edge(tag, vr, last, "9") if last else "~"
    return low, high


def at_edge(tag: int, vr: str, value: str, pad: str) -> str:
    if vr == "DA":
        return date_text(tag, value)
    if vr == "TM":
        return time_text(tag, value, pad)
    if not re.fullmatch(r"[0-9]{4,14}(\.[0-9]{1,6})?", value):
        raise Unmatchable(tag, "is not a date and time")
    return value.replace(".", "").ljust(20, pad)


def date_text(tag: int, value: str) -> str:
    """YYYYMMDD; the dotted form of ACR-NEMA is read too (PS3.5 6.2)."""
    digits = value.strip().replace(".", "")
    try:
        datetime.strptime(digits, "%Y%m%d")  # noqa: DTZ007 - a wall-clock date, compared as text
    except ValueError:
        raise Unmatchable(tag, "is not a date") from None
    if len(digits) != 8:
        raise Unmatchable(tag, "is not a date")
    return digits


def time_text(tag: int, value: str, pad: str) -> str:
    digits = value.strip().replace(":", "")
    found = re.fullmatch(r"([01][0-9]|2[0-3])([0-5][0-9]([0-5][0-9]|60)?)?(\.[0-9]{1,6})?", digits)
    if not found or ("." in digits and digits.index(".") != 6):
        raise Unmatchable(tag, "is not a time")
    return digits.replace(".", "").ljust(12, pad)

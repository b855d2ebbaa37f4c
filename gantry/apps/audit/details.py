"""Decides how an event's own facts read: whole phrases and units, never the keys and codes they are kept under."""

import re
from collections.abc import Mapping
from datetime import date, datetime
from typing import Any
from uuid import UUID

from django.utils.dateparse import parse_date, parse_datetime
from django.utils.timezone import get_current_timezone

from gantry.apps.ui.wording import say_exactly

UNITS = {
    "_mbq": "MBq", "_kg": "kg", "_mmol_per_l": "mmol/L", "_min": "min", "_ml": "mL", "_km": "km", "_percent": "%",
}  # fmt: skip
HIDDEN = frozenset(
    {
        "nhs",
        "version",
        "digest",
        "fields",
        "path",
        "token",
        "step",
        "study_uid",
        "series_uid",
        "source_key",
        "state",
        "scanned",
    }
)
"""For machines, or said by the event's own name."""
BARE = frozenset({"label", "mbq", "said", "doubts", "body_site", "outcome", "edition", "kind", "action"})
"""The value says it all."""
ONE_OF_A_KIND = frozenset(
    {"Identity check", "Pregnancy enquiry", "Weight", "Glucose", "Cannula", "Injection", "Bladder emptied", "Scan",
     "Images check"}
)  # fmt: skip
"""Labels of steps that a protocol has once: the event's name says them."""
NAMES = {
    "by": "shown by",
    "channel": "by",
    "door": "by",
    "pays": "paid by the",
    "for": "for",
    "first_told_for": "first told a date of",
    "how": "by",
    "match": "matched by",
    "net_mbq": "net",
    "number": "number",
    "referring": "from",
    "scan_at": "scan",
    "arrival_at": "arrive",
    "injection_at": "injection",
    "ends_at": "ends",
    "where_to": "send to",
    "breach_on": "breach",
    "started_on": "counted from",
    "days": "days allowed",
}
SAID = {
    ("was_told", True): "the patient had been told the date",
    ("was_told", False): "the patient had not been told the date",
    ("completed", True): "everything done",
    ("completed", False): "not everything done",
    ("complete", False): "not complete",
    ("complete", True): "complete",
    ("within_tolerance", True): "within tolerance",
    ("within_tolerance", False): "out of tolerance",
    ("acceptable", True): "acceptable",
    ("acceptable", False): "not acceptable",
    ("acquired", True): "there are images",
    ("acquired", False): "there are no images",
    ("injected", True): "after the injection",
    ("injected", False): "before the injection",
    ("measured", False): "calculated, not measured",
    ("measured", True): "measured",
    ("door", "web"): "by web page",
    ("door", "hl7"): "by HL7 message",
    ("door", "fhir"): "by FHIR message",
    ("door", "csv"): "by uploaded file",
    ("how", "account_login"): "by password",
    ("act", "receive"): "on receipt",
    ("act", "draw"): "at the draw",
    ("act", "check"): "measured again",
    ("act", "elute"): "at the elution",
    ("act", "consign"): "sent by road",
    ("act", "residual"): "at the residual",
    ("match", "scan"): "matched by the barcode on the syringe",
    ("match", "typed"): "matched by two typed facts",
}
FIRST = ("label", "mbq", "sites", "arrival_at", "injection_at", "scan_at", "ends_at", "for")
"""What a reader wants first; the rest follow as they were kept."""
UNDERSCORED = re.compile(r"[a-z]+(_[a-z]+)+")


def detail(data: Mapping[str, Any], codes: Mapping[str, str] | None = None) -> str:
    """The event's own facts in one line. `codes` names the sites and organisations that are kept as codes."""
    parts: list[str] = []
    days: set[date] = set()
    for key in sorted(data, key=lambda name: FIRST.index(name) if name in FIRST else len(FIRST)):
        value = data[key]
        if _left_out(key, value, data):
            continue
        if isinstance(value, bool | str) and (known := SAID.get((key, value))):
            parts.append(known)
            continue
        if isinstance(value, list) and all(isinstance(one, dict) for one in value):
            parts.append(f"{len(value)} {key if len(value) > 1 else key.removesuffix('s')}")
            continue
        if key == "pence":
            parts.append(f"£{value / 100:,.2f}")
            continue
        suffix = next((one for one in UNITS if key.endswith(one)), "")
        unit = UNITS.get(suffix) or UNITS.get(f"_{key}", "")
        text = f"{_plain(value, codes or {}, days)} {unit}".strip()
        name = NAMES.get(key, key.removesuffix(suffix).replace("_", " "))
        parts.append(text if key in BARE else f"{name}{':' if _is_told(value) else ''} {text}")
    line = "; ".join(parts)
    return line[:1].upper() + line[1:]


def _is_told(value: Any) -> bool:
    """A sentence of somebody's, not a name or a time."""
    return isinstance(value, str) and value[:1].isupper() and value.count(" ") > 2


def _left_out(key: str, value: Any, data: Mapping[str, Any]) -> bool:
    empty = value in (None, "", [], {}) or isinstance(value, dict)
    told_again = key == "first_told_for" and value == data.get("for")
    ids = isinstance(value, list) and all(_is_id(one) for one in value)
    return empty or key in HIDDEN or told_again or ids or _is_id(value) or (key == "label" and value in ONE_OF_A_KIND)


def _plain(value: Any, codes: Mapping[str, str], days: set[date]) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:,.1f}".removesuffix(".0")
    if isinstance(value, list):
        said = [_plain(one, codes, days) for one in value if not isinstance(one, dict) and not _is_id(one)]
        return ("; " if any(_is_told(one) for one in said) else ", ").join(said)
    text = str(value)
    if len(text) > 18 and "T" in text and (moment := _moment(text)):
        return _time(moment, days)
    if len(text) == 10 and (day := _day(text)):
        return f"{day:%-d %B %Y}"
    return codes.get(text) or (text.replace("_", " ") if UNDERSCORED.fullmatch(text) else text)


def _time(moment: datetime, days: set[date]) -> str:
    """In full once; later moments of the same day as the time alone."""
    here = moment.astimezone(get_current_timezone())
    if here.date() in days:
        return f"{here:%H:%M}"
    days.add(here.date())
    return say_exactly(moment, get_current_timezone())


def _moment(text: str) -> datetime | None:
    try:
        return parse_datetime(text)
    except ValueError:
        return None


def _day(text: str) -> date | None:
    try:
        return parse_date(text)
    except ValueError:
        return None


def _is_id(value: Any) -> bool:
    if not isinstance(value, str) or len(value) not in (32, 36):
        return False
    try:
        UUID(value)
    except ValueError:
        return False
    return True

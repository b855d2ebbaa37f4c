"""Events as a reader meets them: one place that puts every kind into words, for the timeline on every subject."""

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from django.utils.dateparse import parse_date, parse_datetime
from django.utils.timezone import get_current_timezone

from gantry.apps.audit.models import Event
from gantry.apps.audit.services import history
from gantry.apps.ui.parts import TimelineEvent
from gantry.apps.ui.wording import say_exactly
from gantry.domain.events import EventKind

LATE = frozenset(
    {
        EventKind.BREACH_RECORDED,
        EventKind.BATCH_FAILED,
        EventKind.DISPATCH_FAILED,
        EventKind.DISPATCH_GIVEN_UP,
        EventKind.REPORT_WITHDRAWN,
        EventKind.SCANNER_FAILED,
        EventKind.IMAGES_HELD,
        EventKind.INCIDENT_OPENED,
    }
)
WORDS: Mapping[EventKind, str] = {
    EventKind.BATCH_ACCEPTED: "Batch accepted for use on site",
    EventKind.BATCH_RELEASED: "Batch released by the supplier",
    EventKind.BREAK_GLASS_USED: "Record opened from outside",
    EventKind.DISPATCH_GIVEN_UP: "Sending given up: a person owns it",
    EventKind.EXPOSURE_AUTHORISED: "Exposure authorised",
    EventKind.EXPOSURE_JUSTIFIED: "Exposure justified",
    EventKind.IMAGES_HELD: "Images held: it is not sure whose they are",
    EventKind.IMAGES_PROVED: "Images delivered: the far end proved every one",
    EventKind.PATIENT_DID_NOT_ATTEND: "Did not attend",
    EventKind.PATIENT_NOT_BROUGHT: "Was not brought",
    EventKind.REPORT_ACTED_ON: "Report acted on",
    EventKind.REPORT_DELIVERED: "Report delivered: the far end took it",
    EventKind.REPORT_READ: "Report read",
    EventKind.RESIDUAL_ASSAYED: "Residual assayed",
}
"""Kinds whose own name reads badly; the others are said as they are named."""

UNITS = {"_mbq": " MBq", "_kg": " kg", "_mmol_per_l": " mmol/L", "_min": " min", "_ml": " mL", "_km": " km"}
HIDDEN = frozenset({"nhs", "version", "digest", "fields", "path", "token"})


def said(kind: str) -> str:
    known = WORDS.get(EventKind(kind)) if kind in EventKind._value2member_map_ else None
    return known or kind.replace("_", " ").capitalize().replace("Mdt", "MDT")


def detail(data: Mapping[str, Any]) -> str:
    """The event's own facts in one line. Ids and machine facts are left out; units come from the name."""
    parts = []
    for key, value in data.items():
        if key in HIDDEN or value in (None, "", [], {}) or isinstance(value, dict) or _is_id(value):
            continue
        unit = next((u for suffix, u in UNITS.items() if key.endswith(suffix)), "")
        suffix = next((s for s in UNITS if key.endswith(s)), "")
        name = key.removesuffix(suffix).replace("_", " ")
        parts.append(f"{name} {_plain(value)}{unit}")
    text = "; ".join(parts)
    return text[:1].upper() + text[1:]


def _plain(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.1f}".removesuffix(".0")
    if isinstance(value, list):
        return ", ".join(_plain(v) for v in value if not isinstance(v, dict))
    text = str(value)
    if len(text) > 18 and "T" in text and (moment := _moment(text)):
        return say_exactly(moment, get_current_timezone())
    if len(text) == 10 and (day := _day(text)):
        return f"{day:%-d %B %Y}"
    return text


def _moment(text: str) -> datetime | None:
    try:
        return parse_datetime(text)
    except ValueError:
        return None


def _day(text: str) -> Any:
    try:
        return parse_date(text)
    except ValueError:
        return None


def _is_id(value: Any) -> bool:
    """An identifier, or nothing but identifiers: a reader has no use for either."""
    if isinstance(value, list):
        return bool(value) and all(_is_id(each) for each in value)
    if not isinstance(value, str) or len(value) not in (32, 36):
        return False
    try:
        UUID(value)
    except ValueError:
        return False
    return True


def as_read(event: Event, *, where: Callable[[UUID | None], str] = lambda _: "") -> TimelineEvent:
    cause = event.cause_code.replace("_", " ")
    if event.cause_code:
        cause += f" (said by the {event.cause_initiator})" if event.cause_initiator else ""
        cause += f": {event.cause_note}" if event.cause_note else ""
    return TimelineEvent(
        said=said(event.kind),
        happened_at=event.happened_at,
        recorded_at=event.recorded_at,
        by=event.by_name,
        where=where(event.site),
        cause=cause,
        detail=detail(event.data),
        tone="late" if event.kind in LATE else "plain",
        corrects="an earlier entry" if event.corrects else "",
    )


def timeline(subject: UUID, *, where: Callable[[UUID | None], str] = lambda _: "") -> list[TimelineEvent]:
    """Everything that happened to one subject, newest first, in words."""
    return read(reversed(history(subject)), where=where)


def read(events: Iterable[Event], *, where: Callable[[UUID | None], str] = lambda _: "") -> list[TimelineEvent]:
    return [as_read(event, where=where) for event in events]

"""Events as a reader meets them: one place that puts every kind into words, for the timeline on every subject."""

from collections.abc import Callable, Iterable, Mapping
from uuid import UUID

from gantry.apps.audit.details import detail
from gantry.apps.audit.models import Event
from gantry.apps.audit.services import history
from gantry.apps.ui.parts import TimelineEvent
from gantry.domain.events import CauseCode, EventKind
from gantry.reference.causes import causes_on

LATE = frozenset(
    {
        EventKind.BALANCE_QUERIED,
        EventKind.BREACH_RECORDED,
        EventKind.BATCH_FAILED,
        EventKind.DISPATCH_FAILED,
        EventKind.DISPATCH_GIVEN_UP,
        EventKind.REPORT_WITHDRAWN,
        EventKind.SCANNER_FAILED,
        EventKind.IMAGES_HELD,
        EventKind.INCIDENT_OPENED,
        EventKind.MESSAGE_FAILED,
    }
)
SIDE = {"patient": "the patient", "provider": "our side", "referrer": "the referrer", "supplier": "the supplier"}
WORDS: Mapping[EventKind, str] = {
    EventKind.BALANCE_QUERIED: "The ledger does not add up: somebody is asked why",
    EventKind.BATCH_ACCEPTED: "Batch accepted for use on site",
    EventKind.BATCH_RELEASED: "Batch released by the supplier",
    EventKind.BREAK_GLASS_USED: "Record opened from outside",
    EventKind.DISPATCH_GIVEN_UP: "Sending given up: a person owns it",
    EventKind.DOSE_RECORDED: "Dose report read",
    EventKind.DOSE_REVIEW_ASKED: "Somebody is asked to look at the dose",
    EventKind.DOSE_REVIEWED: "Dose looked at",
    EventKind.EXPOSURE_AUTHORISED: "Exposure authorised",
    EventKind.EXPOSURE_JUSTIFIED: "Exposure justified",
    EventKind.IMAGES_HELD: "Images held: it is not sure whose they are",
    EventKind.IMAGES_PROVED: "Images delivered: the far end proved every one",
    EventKind.IMAGES_WITHDRAWN: "Images taken back from the wrong name",
    EventKind.CONTACT_PROTECTED: "Contact details protected",
    EventKind.MESSAGE_DELIVERED: "Message delivered to the patient",
    EventKind.MESSAGE_FAILED: "Message not delivered: a person owns it",
    EventKind.MESSAGE_SENT: "Message on its way to the patient",
    EventKind.MESSAGE_TAKEN_BACK: "Message taken back before it was sent",
    EventKind.MESSAGE_WRITTEN: "The patient is to be told",
    EventKind.PATIENT_DIED: "The patient has died",
    EventKind.PATIENT_DID_NOT_ATTEND: "Did not attend",
    EventKind.PATIENT_NOT_BROUGHT: "Was not brought",
    EventKind.REPORT_ACTED_ON: "Report acted on",
    EventKind.REPORT_DELIVERED: "Report delivered: the far end took it",
    EventKind.REPORT_READ: "Report read",
    EventKind.RESIDUAL_ASSAYED: "Residual assayed",
}
"""Kinds whose own name reads badly; the others are said as they are named."""


def said(kind: str) -> str:
    known = WORDS.get(EventKind(kind)) if kind in EventKind._value2member_map_ else None
    return known or kind.replace("_", " ").capitalize().replace("Mdt", "MDT")


def said_of(event: Event) -> str:
    """An appointment that ended after an injection and without a whole scan was not fulfilled, whatever its kind is called."""
    if event.kind == EventKind.APPOINTMENT_FULFILLED and event.data.get("scanned") is False:
        return "Appointment ended: injected, the scan not finished"
    return said(event.kind)


def cause_said(event: Event) -> str:
    """The cause in the words of the mapping of that day, whose side it began on, and what was noted."""
    if event.cause_code not in CauseCode._value2member_map_:
        return ""
    words = causes_on(event.happened_at.date())[CauseCode(event.cause_code)].words
    side = SIDE.get(event.cause_initiator, "")
    return words + (f" ({side})" if side else "") + (f": {event.cause_note}" if event.cause_note else "")


def as_read(
    event: Event, *, where: Callable[[UUID | None], str] = lambda _: "", codes: Mapping[str, str] | None = None
) -> TimelineEvent:
    cause = cause_said(event)
    return TimelineEvent(
        said=said_of(event),
        happened_at=event.happened_at,
        recorded_at=event.recorded_at,
        by=event.by_name,
        where=where(event.site),
        cause=cause,
        detail=detail(event.data, codes),
        tone="late" if event.kind in LATE else "plain",
        corrects="an earlier entry" if event.corrects else "",
    )


def timeline(
    subject: UUID, *, where: Callable[[UUID | None], str] = lambda _: "", codes: Mapping[str, str] | None = None
) -> list[TimelineEvent]:
    """Everything that happened to one subject, newest first, in words."""
    return read(reversed(history(subject)), where=where, codes=codes)


def read(
    events: Iterable[Event],
    *,
    where: Callable[[UUID | None], str] = lambda _: "",
    codes: Mapping[str, str] | None = None,
) -> list[TimelineEvent]:
    return [as_read(event, where=where, codes=codes) for event in events]

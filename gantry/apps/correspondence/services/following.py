"""What word follows from what has happened: told, cancelled, moved again, spoken to, died. Called in the act's transaction."""

from collections.abc import Iterator
from datetime import timedelta

from gantry.apps.audit.models import Event
from gantry.apps.booking.models import Appointment
from gantry.apps.correspondence.models import PatientMessage
from gantry.apps.correspondence.services.sending import POSTMAN, settle_spoken, taken_back, whole
from gantry.apps.correspondence.services.writing import write
from gantry.apps.patients.services import record_death
from gantry.domain.events import Actor, Cause, CauseCode, Initiator
from gantry.domain.message import MessageState, Occasion
from gantry.reference.messages import HOLD_BACK

BY_VOICE = frozenset({"phone", "in_person", "referrer"})
NOT_LEFT = tuple(s.value for s in (MessageState.QUEUED, MessageState.FAILED, MessageState.TO_RING))


def told(event: Event) -> None:
    """Subscriber to `patient_told`: said aloud, it is sent to keep, and whatever was still to say it is settled."""
    if event.by == POSTMAN.id:
        return
    row = appointment_of(event)
    theirs = list(Appointment.objects.filter(procedure=row.procedure_id).values_list("pk", flat=True))
    settle_spoken(row.referral_id, theirs, at=event.happened_at, by=event.by_name, now=event.recorded_at)
    if event.data.get("channel") in BY_VOICE:
        was = last_told(row)
        changed = was is not None and (was.arrival_at, was.site_id) != (row.arrival_at, row.site_id)
        occasion = Occasion.MOVED if changed else Occasion.BOOKED
        write(row, occasion, was=was if changed else None, known=True, now=event.recorded_at, by=actor_of(event))


def cancelled(event: Event) -> None:
    """Subscriber to `appointment_cancelled`: whoever was told a time hears that it does not hold. The dead hear nothing."""
    row = appointment_of(event)
    if event.cause_code == CauseCode.DIED:
        record_death(
            row.referral.patient, on=event.happened_at.date(), source=f"Cancelled by {event.by_name}",
            now=event.recorded_at, by=actor_of(event),
        )  # fmt: skip
        return
    drop(row, "The appointment was cancelled", event)
    if event.data.get("was_told") or last_told(row) is not None:
        cause = cause_of(event)
        asked = cause is not None and cause.initiator is Initiator.PATIENT
        write(
            row, Occasion.CANCELLED, known=asked, cause=cause, hold_back=held_back(cause), now=event.recorded_at,
            by=actor_of(event),
        )  # fmt: skip


def moved(event: Event) -> None:
    """Subscriber to `appointment_moved`: what was still to be said of the old time is not said. Who moves says the new."""
    drop(appointment_of(event), "The appointment was moved", event)


def heard(event: Event) -> None:
    """Subscriber to `contact_attempted`: somebody rang. An undo waits for this, or this for the undo: never both."""
    if event.by == POSTMAN.id:
        return
    if event.data.get("outcome") == "spoke":
        settle_spoken(
            event.about["referral"], at=event.happened_at, by=event.by_name, now=event.recorded_at
        )  # fmt: skip
    else:
        list(PatientMessage.objects.select_for_update().filter(referral=event.about["referral"]).order_by("pk"))


def died(event: Event) -> None:
    """Subscriber to `patient_died`: nothing that has not left leaves (invariant 16)."""
    waiting = PatientMessage.objects.filter(referral__patient=event.about["patient"], state__in=NOT_LEFT)
    for row in waiting.order_by("pk"):
        taken_back(whole(row.pk), "The patient has died", now=event.recorded_at, by=POSTMAN)


def drop(appointment: Appointment, why: str, event: Event) -> None:
    waiting = PatientMessage.objects.filter(appointment=appointment, state__in=NOT_LEFT)
    for row in waiting.order_by("pk"):
        taken_back(whole(row.pk), why, now=event.recorded_at, by=POSTMAN)


def appointment_of(event: Event) -> Appointment:
    return Appointment.objects.select_related(
        "site__organisation", "procedure", "referral__patient", "referral__provider"
    ).get(pk=event.about["appointment"])


def earlier(appointment: Appointment) -> Iterator[Appointment]:
    before = appointment
    while before.replaces_id is not None:
        before = Appointment.objects.select_related("site").get(pk=before.replaces_id)
        yield before


def last_told(appointment: Appointment) -> Appointment | None:
    """The time that they still go by: the latest before this one that they were told."""
    return next((before for before in earlier(appointment) if before.told_at is not None), None)


def actor_of(event: Event) -> Actor:
    return Actor(event.by, event.by_name, event.organisation)


def cause_of(event: Event) -> Cause | None:
    if not event.cause_code:
        return None
    return Cause(CauseCode(event.cause_code), Initiator(event.cause_initiator), root_event=event.root_event)


def held_back(cause: Cause | None) -> timedelta | None:
    """Word of what one failure did to many waits a little: until then an undo reaches nobody."""
    return HOLD_BACK.value if cause is not None and cause.root_event else None

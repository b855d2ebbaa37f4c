"""Records that the patient was told, and each attempt to reach them."""

from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from django.db import transaction

from gantry.apps.audit.services import append
from gantry.apps.booking.models import Appointment, ContactAttempt
from gantry.apps.booking.services.holding import advance_to, record
from gantry.apps.referrals.models import Referral
from gantry.apps.referrals.services import point_to
from gantry.domain.access import Role
from gantry.domain.appointment import AppointmentEvent
from gantry.domain.events import Actor, EventKind

NHS_FUNDED = frozenset({"", "nhse_standard", "exceptional"})
"""Funding routes that NHS England pays for: what its two measures count. Unsaid counts as NHS."""
CHANNELS = {
    "phone": "Telephone",
    "letter": "Letter",
    "sms": "Text message",
    "email": "Email",
    "in_person": "In person",
    "referrer": "Through the referrer",
}
OUTCOMES = {
    # Of a person's call; the two of the messages themselves stand below.
    "no_answer": "No answer",
    "message_left": "Message left",
    "wrong_number": "Wrong number",
    "asked_to_ring_back": "Asked us to ring back",
    "spoke_to_other": "Spoke to somebody else",
    "spoke": "Spoke to the patient",
}
OF_MESSAGES = {"delivered": "Message delivered", "not_delivered": "Message not delivered"}
TRY_AGAIN = {"asked_to_ring_back": timedelta(hours=4), "wrong_number": timedelta(hours=2)}
TRY_AGAIN_USUALLY = timedelta(hours=20)


@transaction.atomic
def tell(
    appointment: Appointment, *, channel: str, now: datetime, by: Actor, happened_at: datetime | None = None
) -> Appointment:
    """The patient knows their date. The first date told is kept through every move. Raises Stale."""
    zone = ZoneInfo(appointment.site.zone)
    on = appointment.scan_at.astimezone(zone).date()
    advance_to(
        appointment,
        AppointmentEvent.TELL,
        told_at=happened_at or now,
        first_told_for=appointment.first_told_for or on,
    )
    held(appointment.referral)
    funding = str(appointment.referral.answers.get("funding_route") or "")
    record(
        EventKind.PATIENT_TOLD,
        appointment,
        now=now,
        by=by,
        happened_at=happened_at,
        data={
            "channel": channel,
            "for": on.isoformat(),
            "first_told_for": appointment.first_told_for.isoformat(),
            "nhs": funding in NHS_FUNDED,
        },
    )
    point_to(
        appointment.referral,
        said=f"Scan at {appointment.site.name}",
        owner=Role.RADIOGRAPHER,
        due_at=appointment.scan_at,
    )
    return appointment


@transaction.atomic
def log_attempt(
    referral: Referral,
    *,
    channel: str,
    outcome: str,
    note: str = "",
    appointment: Appointment | None = None,
    now: datetime,
    by: Actor,
    happened_at: datetime | None = None,
) -> ContactAttempt:
    """One try to reach the patient, by a person or by a message, whatever came of it."""
    held(referral)
    attempt = ContactAttempt.objects.create(
        referral=referral,
        appointment=appointment,
        at=happened_at or now,
        by_name=by.name,
        channel=channel,
        outcome=outcome,
        note=note,
    )
    subjects = {"referral": referral.pk, "patient": referral.patient_id, "attempt": attempt.pk}
    if appointment:
        subjects |= {"appointment": appointment.pk, "procedure": appointment.procedure_id}
    append(
        EventKind.CONTACT_ATTEMPTED,
        subjects=subjects,
        happened_at=happened_at or now,
        recorded_at=now,
        by=by,
        organisation=referral.provider_id,
        data={"channel": channel, "outcome": outcome},
    )
    if outcome != "spoke" and outcome not in OF_MESSAGES:
        point_to(
            referral,
            said=f"Ring again: {OUTCOMES.get(outcome, outcome).lower()}",
            owner=Role.BOOKING_COORDINATOR,
            due_at=now + TRY_AGAIN.get(outcome, TRY_AGAIN_USUALLY),
        )
    return attempt


def held(referral: Referral) -> None:
    """Locked before anything is said of its messages: everybody takes appointment, referral and message in this order."""
    Referral.objects.select_for_update().values("pk").get(pk=referral.pk)

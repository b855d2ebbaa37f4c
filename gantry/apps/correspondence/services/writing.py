"""Writes word to a patient in the transaction of the act that it is about, by the way that suits the person."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from django.db import transaction

from gantry.apps.accounts.models import Person
from gantry.apps.accounts.services import holder_of
from gantry.apps.audit.ids import new_id
from gantry.apps.audit.models import Event, OutboxMessage
from gantry.apps.audit.services import Outgoing, append
from gantry.apps.booking.models import Appointment
from gantry.apps.correspondence.models import PatientMessage
from gantry.apps.referrals.models import Referral
from gantry.domain.access import Role
from gantry.domain.appointment import ADULT_AGE
from gantry.domain.events import Actor, Cause, EventKind, Initiator
from gantry.domain.message import (
    OPEN,
    Channel,
    MessageState,
    News,
    Occasion,
    Reach,
    Way,
    Words,
    first_moment,
    way_for,
    words_for,
)
from gantry.domain.scan import age_in_years
from gantry.reference.messages import LEAD

DOOR = "messages"
WHO_RINGS = (Role.BOOKING_COORDINATOR, Role.SESSION_LEAD)
NO_NUMBER = "There is no telephone number of ours to give: say it"
ABOUT = {
    Occasion.BOOKED: "their time",
    Occasion.MOVED: "their new time",
    Occasion.CANCELLED: "a time that is cancelled",
    Occasion.RESTORED: "the first time, which holds again",
}
PREPARES = frozenset({"insulin"})
NO_ANAESTHETIC = frozenset({"", "none"})


@dataclass(frozen=True, slots=True)
class Written:
    """What would be said to whom, and how: shown before it is queued."""

    way: Way | None
    news: News
    words: Words


def preview(
    appointment: Appointment, occasion: Occasion, *, was: Appointment | None = None, cause: Cause | None = None,
    now: datetime,
) -> Written:  # fmt: skip
    """Who hears of it, how and in which words; no way at all to somebody who has died."""
    news = news_of(appointment, occasion, was=was, cause=cause)
    way = way_for(
        reach_of(appointment.referral, now), occasion, notice=first_moment(news) - now, lead=LEAD.value
    )  # fmt: skip
    if way is not None and not news.ring:
        way = Way(Channel.CALL, NO_NUMBER)
    return Written(way, news, words_for(news))


@transaction.atomic
def write(
    appointment: Appointment,
    occasion: Occasion,
    *,
    was: Appointment | None = None,
    known: bool = False,
    under: UUID | None = None,
    cause: Cause | None = None,
    hold_back: timedelta | None = None,
    now: datetime,
    by: Actor,
) -> PatientMessage | None:
    """Queue it, or put it on the telephone list with a person's name. None where there is nobody to tell, or nothing new.

    `known`: they have been told by voice, and this is for them to keep. What it replaces and has not left is taken back.
    """
    made = preview(appointment, occasion, was=was, cause=cause, now=now)
    way = made.way
    if way is None or (known and way.channel is Channel.CALL):
        return None
    if PatientMessage.objects.filter(
        appointment=appointment, occasion=occasion.value, state__in=[s.value for s in OPEN]
    ).exists():
        return None
    return keep(
        appointment, occasion, made, way, known=known, under=under, cause=cause, hold_back=hold_back, now=now, by=by
    )


def keep(
    appointment: Appointment,
    occasion: Occasion,
    made: Written,
    way: Way,
    *,
    known: bool,
    under: UUID | None,
    cause: Cause | None,
    hold_back: timedelta | None,
    now: datetime,
    by: Actor,
) -> PatientMessage:
    rung = way.channel is Channel.CALL
    row = PatientMessage(
        pk=new_id(),
        referral=appointment.referral,
        appointment=appointment,
        occasion=occasion.value,
        channel=way.channel.value,
        why=way.why[:200],
        state=(MessageState.TO_RING if rung else MessageState.QUEUED).value,
        subject=made.words.subject,
        body=made.words.body,
        large_print=way.large_print,
        known=known,
        under=under,
        root_event=cause.root_event if cause else None,
        concerns_at=first_moment(made.news),
        created_at=now,
        owner=who_rings(appointment.referral, now) if rung else None,
    )
    outgoing = Outgoing(
        DOOR,
        f"message:{row.pk}",
        {"message": row.pk},
        organisation=appointment.referral.provider_id,
        not_before=now + hold_back if hold_back else None,
    )
    data = {"channel": way.channel.value, "about": ABOUT[occasion], "because": way.why[:1].lower() + way.why[1:]}
    if row.owner is not None:
        data["owner"] = row.owner.name
    record(row, EventKind.MESSAGE_WRITTEN, now=now, by=by, cause=cause, data=data, outbox=() if rung else (outgoing,))
    if not rung:
        row.message = OutboxMessage.objects.get(key=outgoing.key)
    row.save(force_insert=True)
    return row


def record(
    row: PatientMessage,
    kind: EventKind,
    *,
    now: datetime,
    by: Actor,
    data: Mapping[str, Any],
    cause: Cause | None = None,
    outbox: tuple[Outgoing, ...] = (),
    happened_at: datetime | None = None,
) -> Event:
    """Ids, the way and the reason: never the words, the address or the name."""
    return append(
        kind,
        subjects={
            "message": row.pk,
            "appointment": row.appointment_id,
            "procedure": row.appointment.procedure_id,
            "referral": row.referral_id,
            "patient": row.referral.patient_id,
        },
        happened_at=happened_at or now,
        recorded_at=now,
        by=by,
        organisation=row.referral.provider_id,
        site=row.appointment.site_id,
        cause=cause,
        data=data,
        outbox=outbox,
    )


def who_rings(referral: Referral, now: datetime) -> Person | None:
    return holder_of(referral.provider_id, WHO_RINGS, now.date())


def reach_of(referral: Referral, now: datetime) -> Reach:
    patient, answers = referral.patient, referral.answers
    born = patient.date_of_birth
    return Reach(
        prefers=str(answers.get("preferred_contact") or ""),
        phone=patient.phone_primary,
        other_phone=patient.phone_alt,
        email=patient.email,
        address=patient.address if patient.postcode else "",
        dead=patient.died_on is not None,
        protected=patient.contact_protected,
        child=born is not None and age_in_years(born, now.date()) < ADULT_AGE,
        language=patient.language,
        interpreter=patient.interpreter_required,
        needs=frozenset(each.strip() for each in patient.adjustments.split(",") if each.strip()),
        prepares=answers.get("diabetes") in PREPARES
        or str(answers.get("anaesthetic_required") or "") not in NO_ANAESTHETIC,
    )


def news_of(
    appointment: Appointment, occasion: Occasion, *, was: Appointment | None = None, cause: Cause | None = None
) -> News:
    local = ZoneInfo(appointment.site.zone)
    return News(
        occasion,
        appointment.arrival_at.astimezone(local),
        appointment.site.name,
        number_of(appointment),
        was=was.arrival_at.astimezone(ZoneInfo(was.site.zone)) if was else None,
        was_place=was.site.name if was else "",
        theirs=cause is not None and cause.initiator is Initiator.PATIENT,
    )


def number_of(appointment: Appointment) -> str:
    """The number to ring: of whoever books, for they can change it; else of the place."""
    return appointment.referral.provider.phone or appointment.site.organisation.phone

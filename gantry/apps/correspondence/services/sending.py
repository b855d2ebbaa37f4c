"""How far word to a patient has come: handed over, delivered, spoken, or taken back before it left. Never two of these.

Whoever takes several locks takes them in one order: appointment, referral, message.
"""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from django.db import transaction

from gantry.apps.audit import outbox
from gantry.apps.audit.models import OutboxMessage, OutboxState
from gantry.apps.booking import services as booking
from gantry.apps.booking.models import Appointment
from gantry.apps.correspondence.models import PatientMessage
from gantry.apps.correspondence.services.writing import record, who_rings
from gantry.apps.referrals.models import Referral
from gantry.apps.referrals.services import point_to
from gantry.domain.access import Role
from gantry.domain.appointment import AppointmentState
from gantry.domain.events import Actor, EventKind, system
from gantry.domain.lifecycle import advance, allowed
from gantry.domain.message import GONE_OUT, KNOWN, MESSAGE, Channel, MessageEvent, MessageState, Occasion, proof_due
from gantry.reference.messages import PROOF

POSTMAN = system("messages")
CHANNELS = {Channel.TEXT.value: "sms", Channel.EMAIL.value: "email", Channel.LETTER.value: "letter"}
"""The channel by the words of a contact attempt."""
COMING = (AppointmentState.BOOKED.value, AppointmentState.TOLD.value)
STILL_TRUE = {
    Occasion.CANCELLED.value: (AppointmentState.CANCELLED.value,),
    **dict.fromkeys((Occasion.BOOKED.value, Occasion.MOVED.value, Occasion.RESTORED.value), COMING),
}
UNDONE = "The move was undone"
OVERTAKEN = "The appointment has changed since"


class Overtaken(Exception):
    """Somebody knows already: what they were told cannot be undone. Carries how many."""

    def __init__(self, count: int) -> None:
        self.count = count
        super().__init__(f"{count} know already")


def move(row: PatientMessage, event: MessageEvent, **columns: object) -> bool:
    """Compare and set from the state in which the database has it. False where the table has no such move."""
    state = MessageState(PatientMessage.objects.select_for_update().get(pk=row.pk).state)
    if event not in allowed(MESSAGE, state):
        row.state = state.value
        return False
    after = advance(MESSAGE, state, event)
    PatientMessage.objects.filter(pk=row.pk, state=state.value).update(state=after.value, **columns)
    row.state = after.value
    for name, value in columns.items():
        setattr(row, name, value)
    return True


def whole(key: UUID) -> PatientMessage:
    return PatientMessage.objects.select_related(
        "message", "owner", "referral__patient", "referral__provider",
        "appointment__site__organisation", "appointment__procedure", "appointment__referral__patient",
    ).get(pk=key)  # fmt: skip


def locked(row: PatientMessage) -> None:
    """The appointment, then the referral; the message last."""
    Appointment.objects.select_for_update().get(pk=row.appointment_id)
    Referral.objects.select_for_update().get(pk=row.referral_id)


@transaction.atomic
def begin(message: OutboxMessage, *, now: datetime) -> tuple[PatientMessage, MessageState] | None:
    """Take it in hand, or None where it is not to be sent any more. The state says where it stood before."""
    row = whole(UUID(message.body["message"]))
    before = MessageState(PatientMessage.objects.select_for_update().get(pk=row.pk).state)
    if before is MessageState.SENT:
        return row, before
    if why := why_not_sent(row, now):
        # Where the news still holds, or may have left, somebody has to say it; else there is nothing to say.
        if row.known or (why == OVERTAKEN and before is not MessageState.SENDING) or row.referral.patient.died_on:
            taken_back(row, why, now=now, by=POSTMAN)
        else:
            fail(row, why, now=now)
        settle(message, now=now, why=why)
        return None
    if not move(row, MessageEvent.SEND):
        settle(message, now=now, why=f"It is {row.state.replace('_', ' ')}")
        return None
    return row, before


def why_not_sent(row: PatientMessage, now: datetime) -> str:
    """What has changed since it was written: the appointment itself, the hour, or the person."""
    if row.referral.patient.died_on is not None:
        return "The patient has died"
    if row.referral.patient.contact_protected:
        return "The patient's details are protected"
    if row.appointment.state not in STILL_TRUE[row.occasion]:
        return OVERTAKEN
    if row.concerns_at <= now:
        return "The hour has come: it would be too late"
    return ""


def settle(message: OutboxMessage, *, now: datetime, why: str) -> None:
    OutboxMessage.objects.filter(pk=message.pk, state__in=outbox.OPEN).update(
        state=OutboxState.GIVEN_UP, settled_at=now, phase="not sent", reason=why
    )


@transaction.atomic
def handed_over(row: PatientMessage, *, address: str, their_id: str, proof: str, now: datetime) -> None:
    """The far end has it: sent, and not known to be delivered. Without a receipt in time a person rings."""
    receipt_first = not move(row, MessageEvent.ACCEPT, address=address[:300], their_id=their_id[:80], sent_at=now)
    if receipt_first:
        PatientMessage.objects.filter(pk=row.pk).update(address=address[:300], their_id=their_id[:80], sent_at=now)
        return
    assert row.message is not None
    outbox.sent(row.message, now=now, phase="accepted", detail=proof)
    due = proof_due(Channel(row.channel), sent_at=now, concerns=row.concerns_at, usual=PROOF.value)
    outbox.put_off(row.message, until=due)
    record(row, EventKind.MESSAGE_SENT, now=now, by=POSTMAN, data={"channel": row.channel})


@transaction.atomic
def not_handed_over(
    row: PatientMessage, *, phase: str, reason: str, now: datetime, for_good: bool = False, in_doubt: bool = False
) -> OutboxState | None:
    """One try has failed. Tried again while there is time; after that a person rings.

    `in_doubt`: the far end may have it, so it stays at sending: it cannot be taken back, and the next try asks first.
    """
    assert row.message is not None
    late = proof_due(Channel(row.channel), sent_at=row.created_at, concerns=row.concerns_at, usual=PROOF.value) <= now
    state = outbox.failed(row.message, now=now, phase=phase, reason=reason, for_good=for_good or late)
    if state is OutboxState.GIVEN_UP:
        fail(row, reason, now=now)
    elif state is not None and not in_doubt:
        move(row, MessageEvent.PUT_BACK)
    return state


@transaction.atomic
def leave_it_at_that(row: PatientMessage, *, now: datetime) -> None:
    """They know by voice, and no receipt has come for what they were sent to keep: nobody rings for it."""
    OutboxMessage.objects.filter(pk=row.message_id, state=OutboxState.SENT).update(
        state=OutboxState.GIVEN_UP, settled_at=now, phase="receipt", reason="No receipt; they know by voice"
    )


@transaction.atomic
def not_delivered(row: PatientMessage, *, reason: str, now: datetime) -> bool:
    """The far end says that it did not arrive, or has said nothing for too long."""
    done = fail(row, reason, now=now)
    if done and row.message is not None:
        outbox.failed(row.message, now=now, phase="receipt", reason=reason, for_good=True)
    return done


def fail(row: PatientMessage, reason: str, *, now: datetime) -> bool:
    """Back on the telephone list with the reason and a name; whoever knows already is not rung for it."""
    locked(row)
    owner = who_rings(row.referral, now)
    if not move(row, MessageEvent.FAIL, reason=reason[:300], owner=owner):
        return False
    if row.message_id:
        OutboxMessage.objects.filter(pk=row.message_id).update(owner=owner.pk if owner else None)
    record(
        row, EventKind.MESSAGE_FAILED, now=now, by=POSTMAN,
        data={"channel": row.channel, "reason": reason[:300], "owner": owner.name if owner else ""},
    )  # fmt: skip
    booking.log_attempt(
        row.referral, channel=CHANNELS[row.channel], outcome="not_delivered", note=reason[:200],
        appointment=row.appointment, now=now, by=POSTMAN,
    )  # fmt: skip
    if not row.known:
        point_to(row.referral, said="Ring: word did not reach them", owner=Role.BOOKING_COORDINATOR, due_at=now)
    return True


@transaction.atomic
def delivered(row: PatientMessage, *, at: datetime, proof: str, now: datetime) -> bool:
    """The far end's own word that it arrived: the patient knows from `at`. False where that changes nothing any more."""
    locked(row)
    if not move(row, MessageEvent.DELIVER, settled_at=at, settled_by="receipt", reason=""):
        if row.message is not None:
            outbox.delivered(row.message, now=now, proof=proof)
        return False
    if row.message is not None:
        outbox.delivered(row.message, now=now, proof=proof)
    record(row, EventKind.MESSAGE_DELIVERED, now=now, by=POSTMAN, happened_at=at, data={"channel": row.channel})
    booking.log_attempt(
        row.referral, channel=CHANNELS[row.channel], outcome="delivered", appointment=row.appointment,
        now=now, by=POSTMAN, happened_at=at,
    )  # fmt: skip
    now_knows(row, at=at, now=now)
    return True


def now_knows(row: PatientMessage, *, at: datetime, now: datetime) -> None:
    """A time that stands is told by this; one that has changed meanwhile needs a person's voice at once."""
    current = Appointment.objects.select_related("site", "procedure", "referral").get(pk=row.appointment_id)
    if current.state == AppointmentState.BOOKED and row.occasion != Occasion.CANCELLED:
        booking.tell(current, channel=CHANNELS[row.channel], now=now, by=POSTMAN, happened_at=at)
    elif current.state not in STILL_TRUE[row.occasion] and current.state in (
        AppointmentState.REPLACED.value, AppointmentState.CANCELLED.value
    ):  # fmt: skip
        point_to(
            row.referral, said="Ring: word came to them of a time that has changed since",
            owner=Role.BOOKING_COORDINATOR, due_at=now,
        )  # fmt: skip


@transaction.atomic
def spoken(
    row: PatientMessage, *, outcome: str, note: str = "", now: datetime, by: Actor, happened_at: datetime | None = None
) -> PatientMessage:
    """Somebody rang about this message. Spoken to, they know, and a time that waited to be told is told."""
    row = whole(row.pk)
    locked(row)
    current = Appointment.objects.select_related("site", "procedure", "referral").get(pk=row.appointment_id)
    booking.log_attempt(
        row.referral, channel="phone", outcome=outcome, note=note, appointment=current, now=now, by=by,
        happened_at=happened_at,
    )  # fmt: skip
    if outcome == "spoke" and current.state == AppointmentState.BOOKED and row.occasion != Occasion.CANCELLED:
        booking.tell(current, channel="phone", now=now, by=by, happened_at=happened_at)
    return whole(row.pk)


def settle_spoken(referral: UUID, appointments: Sequence[UUID] = (), *, at: datetime, by: str, now: datetime) -> int:
    """Whatever was still to reach them has been said aloud: it is not sent, and nobody rings again for it."""
    rows = PatientMessage.objects.select_for_update().filter(referral=referral, known=False)
    found = 0
    for row in (rows.filter(appointment__in=appointments) if appointments else rows).order_by("pk"):
        if move(row, MessageEvent.SPEAK, settled_at=at, settled_by=by[:120]):
            found += 1
            if row.message_id:
                settle(OutboxMessage(pk=row.message_id), now=now, why="It was said aloud")
    return found


def taken_back(row: PatientMessage, why: str, *, now: datetime, by: Actor) -> bool:
    if not move(row, MessageEvent.TAKE_BACK, settled_at=now, settled_by=by.name[:120], reason=why[:300]):
        return False
    if row.message_id:
        settle(OutboxMessage(pk=row.message_id), now=now, why=why)
    record(row, EventKind.MESSAGE_TAKEN_BACK, now=now, by=by, data={"channel": row.channel, "reason": why})
    return True


def why_not_taken_back(under: UUID) -> list[str]:
    """Who knows already, by name; empty means that an undo would reach nobody who does."""
    known = PatientMessage.objects.filter(under=under, state__in=[s.value for s in KNOWN])
    return [
        f"{row.referral.patient.name} {'has been spoken to' if row.state == MessageState.SPOKEN else 'has had a message'}"
        for row in known.select_related("referral__patient").order_by("pk")
    ]


@transaction.atomic
def take_back(under: UUID, *, why: str = UNDONE, now: datetime, by: Actor) -> list[PatientMessage]:
    """Nothing of this recovery is sent any more; those whose message had left are returned, to be sent a word after it.

    Called last in the undo's own transaction. Raises Overtaken when somebody knows: then nothing is undone.
    """
    rows = list(PatientMessage.objects.select_for_update().filter(under=under).order_by("pk"))
    if known := sum(row.state in KNOWN for row in rows):
        raise Overtaken(known)
    after = []
    for row in rows:
        if row.state in GONE_OUT:
            after.append(whole(row.pk))
        else:
            taken_back(whole(row.pk), why, now=now, by=by)
    return after


@transaction.atomic
def try_again(row: PatientMessage, *, now: datetime, by: Actor) -> bool:
    """A person has mended the cause. What is over, or about somebody to be rung, is not sent again."""
    if row.message is None or why_not_sent(row, now) or not move(row, MessageEvent.TRY_AGAIN, reason="", owner=None):
        return False
    outbox.try_again(row.message, now=now)
    record(row, EventKind.MESSAGE_WRITTEN, now=now, by=by, data={"channel": row.channel, "again": True})
    return True


def of_reference(reference: str) -> PatientMessage | None:
    """The message that a receipt is about, by the reference that we gave: its own id."""
    try:
        key = UUID(reference)
    except ValueError:
        return None
    found = PatientMessage.objects.filter(pk=key).first()
    return whole(found.pk) if found else None

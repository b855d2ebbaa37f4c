"""Joins the HL7 door to the referrals room: who sent it, which referral it is about, and the answer kept for a repeat."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import UUID
from zoneinfo import ZoneInfo

from django.conf import settings
from django.db import DataError, close_old_connections, transaction
from django.utils import timezone

from gantry.apps.audit.ids import new_id
from gantry.apps.audit.models import InboxMessage
from gantry.apps.audit.services import append
from gantry.apps.estate.models import Endpoint, EndpointKind, Network, Organisation
from gantry.apps.referrals import services as referrals
from gantry.apps.referrals.models import Referral
from gantry.domain.events import Actor, EventKind, system
from gantry.domain.lifecycle import IllegalMove
from gantry.domain.referral import ITEM, Finding, Severity, typed
from gantry.gateways.hl7 import door, mllp
from gantry.gateways.hl7.ack import sender_of_unread
from gantry.gateways.hl7.answers import location_of, to_answers, to_refusals
from gantry.gateways.hl7.door import Kept
from gantry.gateways.hl7.orders import Order, OrderAct
from gantry.gateways.hl7.refusals import Fault, Refusal, Refused

log = logging.getLogger(__name__)

LONDON = ZoneInfo("Europe/London")
DOOR = "hl7"
UNREGISTERED = "This sender is not registered here: ask the service to add it"
LONGEST_PLACER = 120
"""With its assigner. A longer one goes into the key by its digest: cut, it would take the patient off the key's end."""
LOOK_AGAIN = "The sender put the order on hold"


@dataclass(frozen=True, slots=True)
class Sender:
    """For whom a message speaks: the organisation, and the network that it refers within."""

    organisation: Organisation
    network: Network

    @property
    def actor(self) -> Actor:
        return system(f"HL7 from {self.organisation.ods_code}", self.organisation.pk)


class NotTaken(Exception):
    """One order of a message cannot be kept, so none is: carries what to tell the sender."""

    def __init__(self, refusals: Sequence[Refusal]) -> None:
        self.refusals = tuple(refusals)
        super().__init__(f"{len(self.refusals)} refusals")


def receive(data: bytes, peer: str, *, now: datetime | None = None, default_sender: str | None = None) -> bytes:
    """One message in, one acknowledgement out. The bytes are kept before they are judged; the same bytes again get the
    same answer."""
    with database():
        now = now or timezone.now()
        inbox = keep_bytes(data, now)
        if inbox.reply:
            return bytes(inbox.reply)
        organisation = settings.MLLP_SENDER if default_sender is None else default_sender
        taken: list[UUID] = []

        def keep(orders: tuple[Order, ...], raw: bytes, sent_by: str) -> Kept | Refused:
            return keep_orders(orders, inbox=inbox, default_sender=organisation, now=now, taken=taken)

        def refused(raw: bytes, sent_by: str, why: Sequence[Refusal]) -> None:
            note_refusal(inbox, why, now=now)

        reply = door.answer(data, peer, keep=keep, now=now, control_id=inbox.pk.hex[-20:], zone=LONDON, refused=refused)
        settle(inbox, reply, taken)
        return reply


@contextmanager
def database() -> Iterator[None]:
    """A connection of this thread's own: opened when needed, closed when it is old or broken."""
    close_old_connections()
    try:
        yield
    finally:
        close_old_connections()


def keep_bytes(data: bytes, now: datetime) -> InboxMessage:
    sender = sender_of_unread(data)
    inbox, _ = InboxMessage.objects.get_or_create(
        door=DOOR,
        sender=f"{sender.application}|{sender.facility}"[:200],
        key=sender.control_id[:200],
        digest=hashlib.sha256(data).hexdigest(),
        defaults={"received_at": now, "body": data, "outcome": "received"},
    )
    return inbox


def settle(inbox: InboxMessage, reply: bytes, taken: Sequence[UUID]) -> None:
    """The answer is final unless we failed: then the same bytes are tried afresh."""
    final = door.NOT_KEPT.text.encode() not in reply
    InboxMessage.objects.filter(pk=inbox.pk).update(
        outcome="answered" if final else "received", reply=reply if final else b"", subject=taken[0] if taken else None
    )


def keep_orders(
    orders: tuple[Order, ...], *, inbox: InboxMessage, default_sender: str, now: datetime, taken: list[UUID]
) -> Kept | Refused:
    """Every order of the message in one transaction, or none of them."""
    try:
        with transaction.atomic():
            sender = sender_for(orders[0], default_sender)
            if sender is None:
                raise NotTaken([Refusal("MSH^1^4", Fault.UNKNOWN_KEY, UNREGISTERED)])
    except (NotTaken, DataError) as stop:
        refusals = stop.refusals if isinstance(stop, NotTaken) else (not_storable(inbox),)
        note_refusal(inbox, refusals, now=now)
        return Refused(refusals)
    findings: list[Refusal] = []
    try:
        with transaction.atomic():
            for order in orders:
                try:
                    findings += carry_out(order, sender, inbox, now=now, taken=taken)
                except NotTaken as stop:
                    if taken or findings:
                        raise
                    # Nothing was kept before it, so there is nothing to undo: its own record of the refusal stands.
                    note_refusal(inbox, stop.refusals, now=now, by=sender.actor)
                    return Refused(stop.refusals)
    except NotTaken as stop:
        taken.clear()
        note_refusal(inbox, stop.refusals, now=now, by=sender.actor)
        return Refused(stop.refusals)
    except DataError:
        taken.clear()
        refusal = not_storable(inbox)
        note_refusal(inbox, (refusal,), now=now, by=sender.actor)
        return Refused((refusal,))
    return Kept(tuple(findings))


def not_storable(inbox: InboxMessage) -> Refusal:
    """The database says that it cannot hold a value, and will say so again: the sender must change it, not wait."""
    place = nul_in(bytes(inbox.body))
    said = "A NUL character cannot be kept: take it out and send again" if place else "A value is too long to be kept"
    return Refusal(place or "MSH^1", Fault.DATA_TYPE, said)


def nul_in(data: bytes) -> str:
    """Where a message holds its first NUL, or nothing."""
    seen: dict[str, int] = {}
    for line in data.replace(b"\n", b"\r").split(b"\r"):
        name = line[:3].decode("ascii", "replace")
        seen[name] = seen.get(name, 0) + 1
        before, found, _ = line.partition(b"\0")
        if found:
            return f"{name}^{seen[name]}^{before.count(b'|') + (name == 'MSH')}"
    return ""


def sender_for(order: Order, default_sender: str) -> Sender | None:
    """The organisation registered under MSH-3 and MSH-4, or whose ODS code MSH-4 is, or whose line this is."""
    registered = Endpoint.objects.filter(
        kind=EndpointKind.HL7, active=True, application=order.sending_application, facility=order.sending_facility
    ).exclude(application="", facility="")
    organisation = (
        Organisation.objects.filter(pk__in=registered.values("organisation")).first()
        or Organisation.objects.filter(ods_code=order.sending_facility.upper()).first()
        or Organisation.objects.filter(ods_code=default_sender).first()
    )
    if organisation is None:
        return None
    network = (
        Network.objects.filter(members=organisation).first()
        or Network.objects.filter(provider=organisation).first()
        or Network.objects.order_by("pk").first()
    )
    return Sender(organisation, network) if network else None


def carry_out(order: Order, sender: Sender, inbox: InboxMessage, *, now: datetime, taken: list[UUID]) -> list[Refusal]:
    """What the order control asks for; raises NotTaken."""
    if order.act is OrderAct.NOTE:
        note_message(order, inbox, sender, now=now)
        return []
    referral = referral_of(order, sender)
    if order.act is OrderAct.NEW or (order.act is OrderAct.CHANGE and referral is None):
        return take(order, sender, inbox, now=now, taken=taken)
    if referral is None:
        raise NotTaken([Refusal(f"ORC^{order.number}^2", Fault.UNKNOWN_KEY, "No order with this number is kept here")])
    taken.append(referral.pk)
    reason = f"{order.act.replace('_', ' ').capitalize()} by the sender's order message"
    try:
        match order.act:
            case OrderAct.CANCEL:
                referrals.withdraw(referral, reason=reason, now=now, by=sender.actor)
            case OrderAct.HOLD:
                referrals.put_on_hold(referral, reason=LOOK_AGAIN, until=hold_until(now), now=now, by=sender.actor)
            case OrderAct.RESUME:
                referrals.resume(referral, now=now, by=sender.actor)
            case OrderAct.CHANGE:
                return change(order, referral, sender, now=now)
    except IllegalMove as illegal:
        words = f"The referral is {illegal.state.replace('_', ' ')}: ring the service"
        raise NotTaken([Refusal(f"ORC^{order.number}^1", Fault.TABLE_VALUE_NOT_FOUND, words)]) from illegal
    return []


def hold_until(now: datetime) -> datetime:
    """An order put on hold without a date is looked at again in a fortnight: nobody waits unseen."""
    return datetime.fromtimestamp(now.timestamp() + 14 * 86_400, UTC)


def source_key(order: Order, sender: Sender) -> str:
    """The order's own identity. Hospitals use a placer number again for another patient, so the patient is in it."""
    patient = order.patient
    who = "|".join([patient.nhs_number or patient.local_id, str(patient.date_of_birth or ""), patient.family_name])
    digest = hashlib.sha256(who.upper().encode()).hexdigest()[:16]
    placer = f"{order.placer_assigner}|{order.placer_order_number}"
    if len(placer) > LONGEST_PLACER:
        placer = hashlib.sha256(placer.encode()).hexdigest()
    return f"hl7|{sender.organisation.ods_code}|{placer}|{digest}"[:200]


def referral_of(order: Order, sender: Sender) -> Referral | None:
    return Referral.objects.filter(source_key=source_key(order, sender)).first()


def take(order: Order, sender: Sender, inbox: InboxMessage, *, now: datetime, taken: list[UUID]) -> list[Refusal]:
    context = referrals.context_for(sender.network, timezone.localdate(now), referring=sender.organisation)
    raw = to_answers(order)
    raw.setdefault("referring_org_ods", sender.organisation.ods_code)
    raw.setdefault("report_to", (sender.organisation.ods_code,))
    answers, unreadable = typed(raw, context)
    earlier = referral_of(order, sender)
    outcome = referrals.receive(
        referrals.Submission(
            door=DOOR,
            source_key=source_key(order, sender),
            answers=answers,
            network=sender.network,
            coordinates={name: location_of(order, name) for name in ITEM},
            sender_organisation=sender.organisation,
            raw_inbox_id=inbox.pk,
            placer_order_number=order.placer_order_number,
            findings=tuple(unreadable),
        ),
        now=now,
        by=sender.actor,
    )
    if isinstance(outcome, referrals.Refused):
        raise NotTaken(to_refusals(outcome.findings, order))
    taken.append(outcome.referral.pk)
    if outcome.repeated and earlier is not None:
        return change(order, earlier, sender, now=now)
    return list(to_refusals(outcome.findings, order))


def change(order: Order, referral: Referral, sender: Sender, *, now: datetime) -> list[Refusal]:
    """The same order again, with other words: what is new is kept over what was said before."""
    context = referrals.context_for(referral.network, timezone.localdate(now), referring=sender.organisation)
    answers, unreadable = typed(to_answers(order), context)
    held = referrals.case_of(referral, timezone.localdate(now)).answers
    new = {name: value for name, value in answers.items() if held.get(name) != value and name != "request_datetime"}
    if not new and not unreadable:
        return list(to_refusals(standing(referral), order))
    try:
        answered = referrals.answer(
            referral,
            new,
            text="Sent again with changes",
            now=now,
            by=sender.actor,
            unreadable=unreadable,
            coordinates={name: location_of(order, name) for name in new},
        )
    except IllegalMove as illegal:
        words = f"The referral is {illegal.state.replace('_', ' ')}: its order cannot be changed"
        raise NotTaken([Refusal(f"ORC^{order.number}^1", Fault.TABLE_VALUE_NOT_FOUND, words)]) from illegal
    return list(to_refusals(answered.left, order))


def standing(referral: Referral) -> list[Finding]:
    rows = referral.findings.filter(resolved_at=None).order_by("pk")
    return [Finding(row.code, row.field, row.message, Severity(row.severity)) for row in rows]


def note_message(order: Order, inbox: InboxMessage, sender: Sender, *, now: datetime) -> None:
    """A message about an order that asks for nothing: kept and acknowledged, and no referral is made of it."""
    append(
        EventKind.MESSAGE_RECEIVED,
        subjects={"message": inbox.pk},
        happened_at=now,
        recorded_at=now,
        by=sender.actor,
        organisation=sender.network.provider_id,
        data={"control": order.control, "type": order.message_type},
    )


@transaction.atomic
def note_refusal(inbox: InboxMessage, why: Sequence[Refusal], *, now: datetime, by: Actor | None = None) -> None:
    append(
        EventKind.MESSAGE_REFUSED,
        subjects={"message": inbox.pk},
        happened_at=now,
        recorded_at=now,
        by=by or system("HL7 listener"),
        data={"places": [refusal.location for refusal in why], "codes": [str(refusal.code) for refusal in why]},
    )


def refuse_unreceived(data: bytes, peer: str, why: str) -> bytes:
    return door.refuse_unreceived(data, peer, why, now=timezone.now(), control_id=new_id().hex[-20:])


def serve(address: tuple[str, int], *, limits: mllp.Limits | None = None) -> mllp.Listener:
    return mllp.serve(address, receive, refuse_unreceived, limits=limits)

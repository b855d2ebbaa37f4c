"""Joins the FHIR door to the rooms: who speaks, what they ask to be done, and the answer kept for a repeat."""

import hashlib
from collections.abc import Iterator
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import transaction
from django.utils import timezone

from gantry.apps.accounts.access import Acting
from gantry.apps.audit.models import InboxMessage
from gantry.apps.audit.services import append
from gantry.apps.booking.models import Appointment
from gantry.apps.estate.models import Network, Organisation
from gantry.apps.referrals import services as referrals
from gantry.domain.access import Verb, why_not_allowed
from gantry.domain.events import EventKind
from gantry.gateways.fhir import booking_requests, keeping, reads, replies
from gantry.gateways.fhir.booking_requests import carry_out as carry_out_booking
from gantry.gateways.fhir.booking_requests import uuid_of
from gantry.gateways.fhir.message import ENDING, Message, MessageEvent, Placed
from gantry.gateways.fhir.outcomes import Errors, Refusal
from gantry.gateways.fhir.reading import Tree
from gantry.gateways.fhir.referral_requests import NotTaken, Taken
from gantry.gateways.fhir.referral_requests import carry_out as carry_out_referral
from gantry.gateways.fhir.referral_requests import receive as receive_request
from gantry.gateways.fhir.sender import Sender
from gantry.gateways.fhir.served import SERVED
from gantry.gateways.fhir.writing import as_json

DOOR = "fhir"
VERB = {MessageEvent.BOOKING: Verb.BOOK, MessageEvent.REFERRAL: Verb.REFER}


def sender_for(acting: Acting) -> Sender:
    """Raises Refusal where the organisation belongs to no network here."""
    organisation = Organisation.objects.filter(pk=acting.actor.organisation).first()
    networks = Network.objects.order_by("pk")
    network = (
        (networks.filter(members=organisation).first() or networks.filter(provider=organisation).first())
        if organisation
        else None
    )
    if organisation is None or network is None:
        raise Refusal(Errors.FORBIDDEN, text="Your organisation is in no network of this service")
    return Sender(acting, organisation, network)


def must(acting: Acting, verb: Verb, now: datetime) -> None:
    """Raises Refusal."""
    if not acting.may(verb):
        reason = why_not_allowed(acting.grants, verb, timezone.localdate(now))
        raise Refusal(Errors.FORBIDDEN, text=reason or "Not allowed")


def process(message: Message, data: bytes, sender: Sender, *, now: datetime, address: str) -> str:
    """Do what a message asks, once, and give the answer as JSON. Raises Refusal, with nothing changed."""
    must(sender.acting, VERB[message.event], now)
    inbox = keep_bytes(message.id, data, sender, now)
    stopped: Refusal | None = None
    written = ""
    try:
        with transaction.atomic():
            held = InboxMessage.objects.select_for_update().get(pk=inbox.pk)
            if held.reply:
                return bytes(held.reply).decode()
            try:
                reply, subject = act(message, sender, inbox.pk, now=now, address=address)
            except NotTaken as refusal:
                # The referral's own record of its refusal stands: nothing was kept before it.
                stopped = refusal
            else:
                written = as_json(reply)
                InboxMessage.objects.filter(pk=inbox.pk).update(
                    outcome="answered", reply=written.encode(), subject=subject
                )
    except keeping.NotKept as error:
        stopped = Refusal(Errors.IDENTIFIER, *error.issues)
    except Refusal as refusal:
        stopped = refusal
    if stopped is not None:
        refused(inbox, sender, now=now)
        raise stopped
    return written


def keep_bytes(key: str, data: bytes, sender: Sender, now: datetime) -> InboxMessage:
    """The message as it came, before it is judged. Raises Refusal for another message under an id already answered."""
    digest = hashlib.sha256(data).hexdigest()
    same = {"door": DOOR, "sender": sender.organisation.ods_code, "key": key[:200]}
    if InboxMessage.objects.filter(**same, outcome="answered").exclude(digest=digest).exists():
        said = "A message with this id and other contents has been processed already"
        raise Refusal(Errors.CONFLICT, text=said, where="Bundle.id")
    inbox, _ = InboxMessage.objects.get_or_create(
        **same, digest=digest, defaults={"received_at": now, "body": data, "outcome": "received"}
    )
    return inbox


@transaction.atomic
def refused(inbox: InboxMessage, sender: Sender, *, now: datetime) -> None:
    """A refusal is an event too. The same message may be sent again when what stood against it is mended."""
    InboxMessage.objects.filter(pk=inbox.pk).update(outcome="refused")
    append(
        EventKind.MESSAGE_REFUSED,
        subjects={"message": inbox.pk},
        happened_at=now,
        recorded_at=now,
        by=sender.acting.actor,
        organisation=sender.organisation.pk,
        data={"door": DOOR},
    )


def act(message: Message, sender: Sender, inbox: UUID, *, now: datetime, address: str) -> tuple[Tree, UUID]:
    """The answer, and the row of ours that the message led to. Raises Refusal and NotKept."""
    if message.event is MessageEvent.BOOKING:
        appointment = carry_out_booking(message, sender, now=now)
        reply = replies.for_appointment(message, appointment, address=address, now=now)
        subject = appointment.pk
    else:
        taken = carry_out_referral(message, sender, inbox=inbox, now=now)
        reply = replies.for_referral(message, taken.referral, taken.issues, address=address, now=now)
        subject = taken.referral.pk
    keeping.import_resources(
        stated(message),
        sender=sender.organisation,
        organisations=[sender.network.provider_id],
        now=now,
        by=sender.acting.actor,
        message=inbox,
        subject=subject,
    )
    return reply, subject


def stated(message: Message) -> Iterator[Tree]:
    """What came with the message and is of a type that is kept."""
    for _, placed in message.entries:
        if placed.type in SERVED:
            yield placed.tree


def take_request(tree: Tree, sender: Sender, *, now: datetime) -> Taken:
    """A ServiceRequest on its own: its patient and the rest are contained, or the patient is one of ours.

    Raises Refusal.
    """
    request = Placed(tree, "ServiceRequest")
    others = [
        Placed(one, f"ServiceRequest.contained[{place}]") for place, one in enumerate(tree.get("contained") or ())
    ]

    def resolve(reference: Any) -> Placed | None:
        said = str(reference.get("reference") or "") if isinstance(reference, dict) else ""
        if said.startswith("#"):
            return next((one for one in others if one.tree.get("id") == said[1:]), None)
        return ours(said, sender, now)

    stopped: Refusal | None = None
    try:
        with transaction.atomic():
            try:
                taken = receive_request(request, others, resolve, sender, inbox=None, now=now)
            except NotTaken as refusal:
                stopped = refusal
            else:
                keeping.import_resource(
                    tree,
                    sender=sender.organisation,
                    organisations=[sender.network.provider_id],
                    now=now,
                    by=sender.acting.actor,
                    subject=taken.referral.pk,
                )
                return taken
    except keeping.NotKept as error:
        stopped = Refusal(Errors.IDENTIFIER, *error.issues)
    raise stopped


def ours(said: str, sender: Sender, now: datetime) -> Placed | None:
    """A patient or an organisation of ours, where the sender may see it."""
    kind, _, key = said.rpartition("/")
    kind = kind.rpartition("/")[2]
    found = uuid_of(key)
    if found is None or kind not in {"Patient", "Organization"}:
        return None
    person = sender.acting.person.pk
    body = reads.read(SERVED[kind], found, reads.Reader(person, True, now))
    return Placed(reads.as_tree(body), "ServiceRequest.subject") if body else None


@transaction.atomic
def book(tree: Tree, sender: Sender, *, now: datetime) -> Appointment:
    """An Appointment posted on its own: a slot of ours for a referral of ours. Raises Refusal."""
    focus = Placed(tree, "Appointment")
    if not tree.get("basedOn"):
        raise Refusal(Errors.NOT_VALID, text="Say which ServiceRequest it is for", where="Appointment.basedOn")
    procedure = booking_requests.procedure_for(None, focus, sender)
    authorisation = referrals.authorisation_for(procedure)
    wanted = booking_requests.wanted_slot(None, focus, list(authorisation.sites) if authorisation else [])
    return booking_requests.book(procedure, wanted, now=now, by=sender.acting.actor)


@transaction.atomic
def change(appointment: Appointment, tree: Tree, sender: Sender, *, now: datetime) -> Appointment:
    """Cancelled, moved, or as it was. Raises Refusal."""
    if tree.get("status") in ENDING:
        return cancel(appointment, tree, sender, now=now)
    wanted = booking_requests.wanted_slot(None, Placed(tree, "Appointment"), [appointment.site_id])
    return booking_requests.move(appointment, wanted, now=now, by=sender.acting.actor)


@transaction.atomic
def cancel(appointment: Appointment, tree: Tree, sender: Sender, *, now: datetime) -> Appointment:
    """Raises Refusal."""
    return booking_requests.cancel(appointment, tree, now=now, by=sender.acting.actor)

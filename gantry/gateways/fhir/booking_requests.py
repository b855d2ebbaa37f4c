"""Books, moves and cancels as a BaRS booking request asks: a slot of ours for a referral that is authorised."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db.models import Q

from gantry.apps.audit.services import Stale
from gantry.apps.booking import services as booking
from gantry.apps.booking.models import Appointment
from gantry.apps.estate.models import Deployment, Site
from gantry.apps.patients import services as patients
from gantry.apps.patients.models import Patient
from gantry.apps.referrals import services as referrals
from gantry.apps.referrals.models import RequestedProcedure
from gantry.domain.access import Scope
from gantry.domain.appointment import AppointmentState
from gantry.domain.events import Actor, Cause, CauseCode, Initiator
from gantry.domain.identifiers import valid_nhs_number
from gantry.domain.lifecycle import IllegalMove
from gantry.gateways.fhir import patient, slot
from gantry.gateways.fhir.issues import Issue, IssueType
from gantry.gateways.fhir.message import Message, Placed
from gantry.gateways.fhir.outcomes import Errors, Refusal
from gantry.gateways.fhir.reading import Tree
from gantry.gateways.fhir.resource import ODS_SITE
from gantry.gateways.fhir.sender import Sender
from gantry.gateways.fhir.values import moment, whole_day

STANDING = (AppointmentState.HELD.value, AppointmentState.BOOKED.value, AppointmentState.TOLD.value)
BY_PATIENT = frozenset({"pat", "pat-crs", "pat-cpp", "pat-dec", "pat-fin", "pat-lav", "pat-mt", "pat-mv", "pat-preg"})
"""HL7 appointment-cancellation-reason: the patient's wish. Anything else from a referrer is the referrer's."""


@dataclass(frozen=True, slots=True)
class WantedSlot:
    """A time, and the places where it could be meant."""

    arrival_at: datetime
    choices: tuple[booking.Choice, ...]
    where: str


def carry_out(message: Message, sender: Sender, *, now: datetime) -> Appointment:
    """Raises Refusal."""
    focus = message.focus
    actor, scope = sender.acting.actor, sender.acting.scope
    standing = appointment_of(focus.tree, scope)
    if message.ends:
        if standing is None:
            raise Refusal(Errors.NOT_FOUND, text="No appointment with this id is here", where=f"{focus.path}.id")
        return cancel(standing, focus.tree, now=now, by=actor)
    if standing is not None:
        wanted = wanted_slot(message, focus, [standing.site_id])
        return move(standing, wanted, now=now, by=actor)
    procedure = procedure_for(message, focus, sender)
    authorisation = referrals.authorisation_for(procedure)
    sites = list(authorisation.sites) if authorisation else []
    wanted = wanted_slot(message, focus, sites)
    return book(procedure, wanted, now=now, by=actor, key=f"fhir|{sender.organisation.ods_code}|{message.id}")


def appointment_of(tree: Tree, scope: Scope) -> Appointment | None:
    """One of ours by the id that we gave it."""
    key = uuid_of(str(tree.get("id") or ""))
    return Appointment.objects.for_user(scope).filter(pk=key).first() if key else None


def uuid_of(said: str) -> UUID | None:
    try:
        return UUID(said.removeprefix("urn:uuid:"))
    except ValueError:
        return None


def book(
    procedure: RequestedProcedure, wanted: WantedSlot, *, now: datetime, by: Actor, key: str | None = None
) -> Appointment:
    """Raises Refusal: with every reason, or because somebody was first."""
    reasons: list[str] = []
    gone = ""
    for choice in wanted.choices:
        try:
            held = booking.hold(procedure, choice, now=now, by=by, source_key=key[:200] if key else None)
        except booking.Refused as refused:
            reasons += refused.reasons
            continue
        if isinstance(held, booking.Gone):
            gone = held.reason
            continue
        try:
            return booking.confirm(held, now=now, by=by)
        except booking.Refused as refused:
            raise Refusal(Errors.UNPROCESSABLE, *said(refused.reasons, wanted.where)) from refused
    if any("already booked" in reason for reason in reasons):
        raise Refusal(Errors.CONFLICT, *said(reasons, wanted.where))
    if gone:
        raise Refusal(Errors.CONFLICT, text=gone, where=wanted.where)
    raise Refusal(Errors.UNPROCESSABLE, *said(reasons or ["No scanner of ours stands there then"], wanted.where))


def said(reasons: list[str], where: str) -> list[Issue]:
    return [Issue(IssueType.PROCESSING, where, reason) for reason in dict.fromkeys(reasons)]


def move(appointment: Appointment, wanted: WantedSlot, *, now: datetime, by: Actor) -> Appointment:
    """To another slot; the same slot again is no move. Raises Refusal."""
    if appointment.arrival_at == wanted.arrival_at and appointment.state in STANDING:
        return appointment
    cause = Cause(CauseCode.CHANGED_PLAN, Initiator.REFERRER)
    reasons: list[str] = []
    for choice in wanted.choices:
        try:
            moved = booking.move(appointment, choice, cause=cause, now=now, by=by)
        except booking.Refused as refused:
            reasons += refused.reasons
            continue
        except (IllegalMove, Stale) as error:
            text = f"The appointment is {appointment.state.replace('_', ' ')}"
            raise Refusal(Errors.CONFLICT, text=text) from error
        if isinstance(moved, Appointment):
            return moved
        reasons.append(moved.reason)
    raise Refusal(Errors.UNPROCESSABLE, *said(reasons or ["No scanner of ours stands there then"], wanted.where))


def cancel(appointment: Appointment, tree: Tree, *, now: datetime, by: Actor) -> Appointment:
    """Cancelled already is cancelled. Raises Refusal."""
    if appointment.state == AppointmentState.CANCELLED:
        return appointment
    code = patient.coded(tree.get("cancelationReason"))
    cause = (
        Cause(CauseCode.PATIENT_CANCELLED, Initiator.PATIENT)
        if code in BY_PATIENT
        else Cause(CauseCode.CHANGED_PLAN, Initiator.REFERRER)
    )
    try:
        return booking.cancel(appointment, cause=cause, now=now, by=by)
    except booking.Refused as refused:
        raise Refusal(Errors.UNPROCESSABLE, *said(refused.reasons, "Appointment.status")) from refused
    except (IllegalMove, Stale) as error:
        text = f"The appointment is {appointment.state.replace('_', ' ')}: ring the service"
        raise Refusal(Errors.CONFLICT, text=text, where="Appointment.status") from error


def procedure_for(message: Message | None, focus: Placed, sender: Sender) -> RequestedProcedure:
    """What is to be booked: of the referral that it is based on, else the one thing that waits for this patient."""
    scope = sender.acting.scope
    for place, one in enumerate(focus.tree.get("basedOn") or ()):
        key = uuid_of(str(one.get("reference") or "").rpartition("/")[2])
        found = RequestedProcedure.objects.for_user(scope).filter(referral=key).order_by("pk").first() if key else None
        if found:
            return found
        raise Refusal(Errors.NOT_FOUND, text="That ServiceRequest is not here", where=f"{focus.path}.basedOn[{place}]")
    if message is None:
        raise Refusal(Errors.NOT_VALID, text="Say which ServiceRequest it is for", where=f"{focus.path}.basedOn")
    person, where = patient_for(message, focus, scope)
    open_ones = [
        procedure
        for procedure in RequestedProcedure.objects.for_user(scope).filter(referral__patient=person).order_by("pk")
        if referrals.authorisation_for(procedure)
    ]
    waiting = [one for one in open_ones if not one.appointments.exclude(state__in=ENDED).exists()]
    if len(waiting) == 1:
        return waiting[0]
    if waiting:
        raise Refusal(Errors.UNPROCESSABLE, text="Several referrals wait: say which in basedOn", where=focus.path)
    if open_ones:
        raise Refusal(Errors.CONFLICT, text="This patient's scan is booked already", where=focus.path)
    raise Refusal(Errors.UNPROCESSABLE, text="No authorised referral of this patient waits to be booked", where=where)


ENDED = [
    state.value
    for state in (
        AppointmentState.CANCELLED,
        AppointmentState.EXPIRED,
        AppointmentState.REPLACED,
        AppointmentState.TURNED_AWAY,
        AppointmentState.DID_NOT_ATTEND,
        AppointmentState.WAS_NOT_BROUGHT,
    )
]


def patient_for(message: Message, focus: Placed, scope: Scope) -> tuple[Patient, str]:
    """The patient whom the message describes, known here by NHS number and date of birth. Raises Refusal."""
    for place, one in enumerate(focus.tree.get("participant") or ()):
        placed = message.resolve(one.get("actor"))
        if placed is None or placed.type != "Patient":
            continue
        facts = facts_of(placed)
        found = patients.match(facts)
        if found is None or not Patient.objects.for_user(scope).filter(pk=found.pk).exists():
            said_there = f"{focus.path}.participant[{place}]"
            text = "No patient of yours with this NHS number and date of birth is known here"
            raise Refusal(Errors.UNPROCESSABLE, text=text, where=said_there)
        return found, placed.path
    raise Refusal(Errors.NOT_VALID, text="The patient takes part in the appointment", where=f"{focus.path}.participant")


def facts_of(placed: Placed) -> patients.PatientFacts:
    """Raises Refusal for an NHS number that cannot be one."""
    given: dict[str, Any] = {}
    for name, value, where in patient.answers(placed.tree, placed.path):
        if name == "nhs_number" and value and not valid_nhs_number(str(value)):
            raise Refusal(Errors.IDENTIFIER, text="The NHS number's check digit is wrong", where=where)
        given.setdefault(name, value)
    return patients.PatientFacts(
        family_name=str(given.get("family_name") or ""),
        given_name=str(given.get("given_name") or ""),
        date_of_birth=whole_day(placed.tree.get("birthDate")),
        nhs_number=str(given.get("nhs_number") or ""),
        nhs_number_status=str(given.get("nhs_number_status") or ""),
    )


def wanted_slot(message: Message | None, focus: Placed, sites: list[UUID]) -> WantedSlot:
    """The slot that the appointment names: one of ours by its id, else its start at the places that could be meant."""
    for place, one in enumerate(focus.tree.get("slot") or ()):
        where = f"{focus.path}.slot[{place}]"
        placed = message.resolve(one) if message else None
        named = str(placed.tree.get("id") or "") if placed else str(one.get("reference") or "").rpartition("/")[2]
        ours = slot.read_id(named)
        if ours is not None:
            return at_scanner(ours, where)
        if placed is not None and placed.tree.get("start"):
            return at_time(read_moment(placed.tree["start"], f"{placed.path}.start"), message, sites, where)
        raise Refusal(Errors.UNPROCESSABLE, text="That slot is none of ours", where=where)
    if focus.tree.get("start"):
        where = f"{focus.path}.start"
        return at_time(read_moment(focus.tree["start"], where), message, sites, where)
    raise Refusal(Errors.NOT_VALID, text="Say which slot is wanted", where=f"{focus.path}.slot")


def read_moment(said_there: Any, where: str) -> datetime:
    try:
        return moment(str(said_there))
    except ValueError:
        raise Refusal(Errors.NOT_VALID, text="This is no instant", where=where) from None


def at_scanner(ours: slot.SlotId, where: str) -> WantedSlot:
    standing = standing_then(ours.arrival_at).filter(scanner=ours.scanner)
    choices = tuple(booking.Choice(row.site_id, row.scanner_id, ours.arrival_at) for row in standing)
    return WantedSlot(ours.arrival_at, choices, where)


def at_time(at: datetime, message: Message | None, sites: list[UUID], where: str) -> WantedSlot:
    """Somebody else's slot resource: its time, at the site that it names as ours, else at any site that is authorised."""
    named = list(sites_named(message)) if message else []
    standing = standing_then(at).filter(site__in=named or sites)
    choices = tuple(booking.Choice(row.site_id, row.scanner_id, at) for row in standing)
    return WantedSlot(at, choices, where)


def standing_then(at: datetime) -> Any:
    standing = Deployment.objects.filter(Q(to_at=None) | Q(to_at__gt=at), from_at__lte=at)
    return standing.order_by("site__name", "scanner__name", "pk")


def sites_named(message: Message) -> Iterator[UUID]:
    """Sites of ours that the message's services and places are, by id or ODS site code."""
    for kind in ("HealthcareService", "Location"):
        for placed in message.all(kind):
            key = uuid_of(str(placed.tree.get("id") or ""))
            codes = [
                str(one.get("value"))
                for one in placed.tree.get("identifier") or ()
                if str(one.get("system", "")).lower() == ODS_SITE.lower()
            ]
            yield from Site.objects.filter(Q(pk=key) | Q(ods_code__in=codes)).values_list("pk", flat=True)

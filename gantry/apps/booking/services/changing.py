"""Moves and ends appointments: the old slot stays until the new one is sure, and each says who, why and what began it."""

from dataclasses import asdict
from datetime import datetime, timedelta

from django.db import transaction

from gantry.apps.booking.models import Appointment
from gantry.apps.booking.services import claiming
from gantry.apps.booking.services.claiming import Taken, site_day
from gantry.apps.booking.services.holding import (
    Gone,
    Refused,
    advance_to,
    claim_for,
    expire_in_the_way,
    give_back,
    gone,
    let_go,
    moments,
    record,
    site_chosen,
    want,
)
from gantry.apps.booking.services.offering import Choice, settle_offers
from gantry.apps.referrals.services import point_to
from gantry.domain.access import Role
from gantry.domain.appointment import AppointmentEvent, AppointmentState, not_seen_event, why_not_caused
from gantry.domain.events import Actor, Cause, CauseCode, EventKind, Initiator
from gantry.solvers.offers import Wish


def move(
    appointment: Appointment,
    choice: Choice,
    *,
    cause: Cause,
    now: datetime,
    by: Actor,
    wish: Wish | None = None,
) -> Appointment | Gone:
    """A new appointment replaces the old in one transaction, or the old stands untouched. Raises Refused and Stale."""
    checked(cause)
    try:
        with transaction.atomic():
            return _move(appointment, choice, cause=cause, now=now, by=by)
    except Taken as taken:
        appointment.refresh_from_db(fields=["state", "ended_at"])
        return gone(appointment.procedure, choice, taken, now=now, wish=wish)


def _move(appointment: Appointment, choice: Choice, *, cause: Cause, now: datetime, by: Actor) -> Appointment:
    if appointment.state == AppointmentState.ARRIVED:
        raise Refused(["They are here already: the session's recovery sends them elsewhere, or they are turned away"])
    site = site_chosen(choice)
    claiming.lock(site_day(appointment.site, appointment.arrival_at), site_day(site, choice.arrival_at))
    wanted = want(appointment.procedure, choice, site, now=now)
    expire_in_the_way(wanted, now=now)
    # Given up first, so that a shift of ten minutes does not collide with itself; the transaction brings it back.
    advance_to(appointment, AppointmentEvent.REPLACE, ended_at=now)
    claiming.release([appointment])
    claiming.give_activity_back(appointment)
    released = claiming.claim_order()
    new, claim = claim_for(
        wanted, AppointmentState.BOOKED, replaces=appointment, first_told_for=appointment.first_told_for
    )
    both = {"replaced_by": new.pk}
    record(
        EventKind.APPOINTMENT_MOVED,
        appointment,
        now=now,
        by=by,
        cause=cause,
        subjects=both,
        data={
            "returned": {
                "allotment": appointment.allotment_id,
                "activity_mbq": appointment.activity_mbq,
                "claim_order": released,
            },
            "was_told": appointment.told_at is not None,
            "from": appointment.scan_at,
            "to": new.scan_at,
        },
    )
    if new.site_id != appointment.site_id:
        record(
            EventKind.SITE_CHANGED,
            new,
            now=now,
            by=by,
            cause=cause,
            data={"from": appointment.site_id, "to": new.site_id},
        )
    record(
        EventKind.APPOINTMENT_BOOKED,
        new,
        now=now,
        by=by,
        subjects={"replaces": appointment.pk},
        data={**moments(new), "claim": asdict(claim)},
    )
    settle_offers(appointment.procedure, choice, "taken")
    point_to(
        new.referral,
        said="Tell the patient their new date",
        owner=Role.BOOKING_COORDINATOR,
        due_at=now + timedelta(days=1),
    )
    return new


def still_told(appointment: Appointment, told: Appointment) -> None:
    """The time is the one that the patient was told: what they know still holds, and nobody is rung for nothing."""
    advance_to(appointment, AppointmentEvent.TELL, told_at=told.told_at)
    point_to(
        appointment.referral,
        said=f"Scan at {appointment.site.name}",
        owner=Role.RADIOGRAPHER,
        due_at=appointment.scan_at,
    )


def cancel(
    appointment: Appointment, *, cause: Cause, now: datetime, by: Actor, happened_at: datetime | None = None
) -> Appointment:
    """Before arrival. A slot that is only held is let go: nobody was promised it. Raises Refused and Stale."""
    if appointment.state == AppointmentState.HELD:
        return let_go(appointment, now=now, by=by)
    checked(cause)
    with transaction.atomic():
        claiming.lock(site_day(appointment.site, appointment.arrival_at))
        advance_to(appointment, AppointmentEvent.CANCEL, ended_at=now)
        give_back(
            EventKind.APPOINTMENT_CANCELLED, appointment, now=now, by=by, happened_at=happened_at, cause=cause,
            data=told_facts(appointment),
        )  # fmt: skip
        ask_for_another(appointment, now=now)
    return appointment


def not_attended(
    appointment: Appointment,
    *,
    now: datetime,
    by: Actor,
    at_risk: bool = False,
    note: str = "",
    happened_at: datetime | None = None,
) -> Appointment:
    """They did not come. A child, or an adult at risk, was not brought: a safeguarding task. Raises Stale."""
    patient = appointment.referral.patient
    on = site_day(appointment.site, appointment.arrival_at)[1]
    event = not_seen_event(born_on=patient.date_of_birth, on=on, at_risk=at_risk)
    brought = event is AppointmentEvent.NOT_ATTEND
    kind = EventKind.PATIENT_DID_NOT_ATTEND if brought else EventKind.PATIENT_NOT_BROUGHT
    code = CauseCode.DID_NOT_ATTEND if brought else CauseCode.NOT_BROUGHT
    with transaction.atomic():
        claiming.lock(site_day(appointment.site, appointment.arrival_at))
        advance_to(appointment, event, ended_at=now)
        give_back(
            kind, appointment, now=now, by=by, happened_at=happened_at,
            cause=Cause(code, Initiator.PATIENT, note=note), data=told_facts(appointment),
        )  # fmt: skip
        point_to(
            appointment.referral,
            said="Ring: they did not come" if brought else "Safeguarding: ask why they were not brought",
            owner=Role.BOOKING_COORDINATOR,
            due_at=now + timedelta(hours=4),
        )
    return appointment


@transaction.atomic
def arrive(appointment: Appointment, *, now: datetime, by: Actor) -> Appointment:
    """They are here. The scan day's own event (patient_arrived) is its record. Raises Stale."""
    advance_to(appointment, AppointmentEvent.ARRIVE)
    return appointment


@transaction.atomic
def fulfil(
    appointment: Appointment, *, now: datetime, by: Actor, happened_at: datetime | None = None, scanned: bool = True
) -> Appointment:
    """The visit is done: scanner and room are free, the activity is spent, with a whole scan or without. Raises Stale."""
    claiming.lock(site_day(appointment.site, appointment.arrival_at))
    advance_to(appointment, AppointmentEvent.FULFIL, ended_at=now)
    claiming.release([appointment])
    record(
        EventKind.APPOINTMENT_FULFILLED,
        appointment,
        now=now,
        by=by,
        happened_at=happened_at,
        data={"released": {"claim_order": claiming.claim_order()}, "scanned": scanned},
    )
    return appointment


@transaction.atomic
def turn_away(appointment: Appointment, *, cause: Cause, now: datetime, by: Actor) -> Appointment:
    """They came and were not injected. The scan day's own event (patient_turned_away) carries the cause. Raises Stale."""
    checked(cause)
    claiming.lock(site_day(appointment.site, appointment.arrival_at))
    advance_to(appointment, AppointmentEvent.TURN_AWAY, ended_at=now)
    claiming.release([appointment])
    claiming.give_activity_back(appointment)
    ask_for_another(appointment, now=now)
    return appointment


def checked(cause: Cause) -> None:
    if reasons := why_not_caused(cause.code, cause.initiator):
        raise Refused(reasons)


def told_facts(appointment: Appointment) -> dict[str, object]:
    return {"was_told": appointment.told_at is not None, "scan_at": appointment.scan_at}


def ask_for_another(appointment: Appointment, *, now: datetime) -> None:
    point_to(
        appointment.referral,
        said="Offer another date",
        owner=Role.BOOKING_COORDINATOR,
        due_at=now + timedelta(days=1),
    )

"""How a visit begins and ends: arrived, left after the scan, turned away before an injection, ended early after one."""

from datetime import datetime, timedelta

from django.db import transaction

from gantry.apps.audit.services import Stale
from gantry.apps.booking import services as booking
from gantry.apps.estate.models import Room
from gantry.apps.radiopharmacy.models import Dose
from gantry.apps.referrals.services import point_to
from gantry.apps.scanning.models import ScheduledStep, Visit
from gantry.apps.scanning.services.steps import completed, locked, record
from gantry.domain.access import Role
from gantry.domain.events import Actor, Cause, EventKind
from gantry.domain.lifecycle import advance
from gantry.domain.scan import VISIT, VisitEvent, VisitState
from gantry.domain.supply import DoseState


class NeedsCause(Exception):
    """A visit that does not end with a whole scan ends with a cause."""


class WasInjected(Exception):
    """Turned away means not injected: this person was. The visit ends early instead."""


@transaction.atomic
def arrive(visit: Visit, *, happened_at: datetime, now: datetime, by: Actor, room: Room | None = None) -> Visit:
    """Raises IllegalMove when the person is already here, or the appointment has ended."""
    visit = locked(visit)
    visit.state = advance(VISIT, VisitState(visit.state), VisitEvent.ARRIVE)
    visit.arrived_at, visit.room, visit.version = happened_at, room or visit.room, visit.version + 1
    visit.save(update_fields=["state", "arrived_at", "room", "version"])
    booking.arrive(visit.appointment, now=now, by=by)
    record(visit, EventKind.PATIENT_ARRIVED, at=happened_at, now=now, by=by, data={"room": room.name if room else ""})
    return visit


@transaction.atomic
def leave(visit: Visit, *, happened_at: datetime, now: datetime, by: Actor, cause: Cause | None = None) -> Visit:
    """The person goes. After a whole scan no cause is asked; an injection without one ends early, and says so.

    Raises NeedsCause; a person who was not injected is turned away instead.
    """
    visit = locked(visit)
    whole, injected = completed(visit), visit.injections.exists()
    if not whole and cause is None:
        raise NeedsCause("Say why the scan was not finished")
    if not whole and not injected:
        return turn_away(visit, cause=cause, happened_at=happened_at, now=now, by=by)
    if not whole:
        record(
            visit,
            EventKind.VISIT_ABANDONED,
            at=happened_at,
            now=now,
            by=by,
            cause=cause,
            data={"injected": True, "acquired": visit.steps.filter(act="acquire", current=True).exists()},
        )
        # Invariant 10: a dose without an answer is on somebody's list.
        point_to(
            visit.appointment.referral,
            said="Decide what follows an unfinished scan",
            owner=Role.PRACTITIONER,
            due_at=now + timedelta(days=1),
        )
    go(visit, happened_at, ended_early=not whole)
    record(visit, EventKind.PATIENT_LEFT, at=happened_at, now=now, by=by, data={"completed": whole})
    booking.fulfil(visit.appointment, now=now, by=by, happened_at=happened_at)
    ScheduledStep.objects.filter(appointment=visit.appointment_id, state__in=["scheduled", "started"]).update(
        state="done", changed_at=now
    )
    return visit


@transaction.atomic
def turn_away(visit: Visit, *, cause: Cause, happened_at: datetime, now: datetime, by: Actor) -> Visit:
    """Arrived, not injected, sent home with a cause. Raises WasInjected."""
    visit = locked(visit)
    if visit.injections.exists():
        raise WasInjected("This person was injected: record that the visit ended early")
    go(visit, happened_at, ended_early=True)
    booking.turn_away(visit.appointment, cause=cause, now=now, by=by)
    record(
        visit,
        EventKind.PATIENT_TURNED_AWAY,
        at=happened_at,
        now=now,
        by=by,
        cause=cause,
        data={"was_told": visit.appointment.told_at is not None},
    )
    ScheduledStep.objects.filter(appointment=visit.appointment_id, state="scheduled").update(
        state="removed", changed_at=now
    )
    return visit


def unused_doses(visit: Visit) -> list[Dose]:
    """Drawn for this person and not given: each has to be wasted with a cause."""
    return list(Dose.objects.filter(appointment=visit.appointment_id, state=DoseState.ASSIGNED))


def go(visit: Visit, at: datetime, *, ended_early: bool) -> None:
    before = VisitState(visit.state)
    after = advance(VISIT, before, VisitEvent.LEAVE)
    moved = Visit.objects.filter(pk=visit.pk, state=before).update(
        state=after, left_at=at, ended_early=ended_early, version=visit.version + 1
    )
    if not moved:
        raise Stale(visit.pk)
    visit.state, visit.left_at, visit.ended_early = after, at, ended_early

"""How a visit begins and ends: arrived, left after the scan, turned away before an injection, ended early after one."""

from datetime import datetime, timedelta

from django.db import transaction

from gantry.apps.audit.models import Event
from gantry.apps.audit.services import Stale
from gantry.apps.booking import services as booking
from gantry.apps.estate.models import Room
from gantry.apps.radiopharmacy.models import Dose
from gantry.apps.referrals.services import point_to
from gantry.apps.scanning.models import Injection, ScheduledStep, Visit
from gantry.apps.scanning.services.scanners import waiting_for
from gantry.apps.scanning.services.steps import completed, locked, progress_of, record
from gantry.domain.access import Role
from gantry.domain.events import Actor, Cause, EventKind
from gantry.domain.lifecycle import advance
from gantry.domain.scan import VISIT, Act, VisitEvent, VisitState
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
            data={"injected": True, "acquired": begun(visit), "reasons": [unscanned(visit)]},
        )
        # Invariant 10: a dose without an answer is on somebody's list.
        point_to(
            visit.appointment.referral,
            said="Decide what follows: injected, and the scan not finished",
            owner=Role.PRACTITIONER,
            due_at=now + timedelta(days=1),
        )
    go(visit, happened_at, ended_early=not whole)
    record(visit, EventKind.PATIENT_LEFT, at=happened_at, now=now, by=by, data={"completed": whole})
    booking.fulfil(visit.appointment, now=now, by=by, happened_at=happened_at, scanned=whole)
    ScheduledStep.objects.filter(appointment=visit.appointment_id, state__in=["scheduled", "started"]).update(
        state="done", changed_at=now
    )
    return visit


def begun(visit: Visit) -> bool:
    return visit.steps.filter(act=Act.ACQUIRE, current=True).exists()


def unscanned(visit: Visit) -> str:
    """The worst outcome in words: whoever reads the incident needs no other page to know what it is."""
    net = sum(i.dose.net_mbq or 0.0 for i in visit.injections.select_related("dose"))
    return f"Injected with {net:.0f} MBq, and {'the scan was not finished' if begun(visit) else 'not scanned'}"


GRACE = timedelta(minutes=30)
"""A scanner that tells late has told by then."""
LOOK_BACK = timedelta(days=2)


@transaction.atomic
def watch(*, now: datetime, by: Actor) -> list[Visit]:
    """Whoever is injected and whose window has closed without a scan: an incident, though nobody wrote an ending."""
    found = []
    since = (now - LOOK_BACK).date()
    had = Injection.objects.filter(visit__on__gte=since).values("visit")
    here = Visit.objects.filter(state=VisitState.PRESENT, pk__in=had)
    for visit in here.select_for_update(skip_locked=True).order_by("pk"):
        closed = [w.most for w in waiting_for(visit, progress_of(visit))]
        if not closed or now < min(closed) + GRACE or watched(visit):
            continue
        reasons = [f"{unscanned(visit)}: the window closed without a scan on record"]
        data = {"act": NOT_SCANNED, "reasons": reasons}
        record(visit, EventKind.BREACH_RECORDED, at=min(closed), now=now, by=by, data=data)
        found.append(visit)
    return found


NOT_SCANNED = "not_scanned"


def watched(visit: Visit) -> bool:
    earlier = Event.objects.filter(kind=EventKind.BREACH_RECORDED, subjects__contains=[visit.appointment_id])
    return earlier.filter(data__act=NOT_SCANNED).exists()


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

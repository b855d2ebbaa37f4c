"""Somebody who is here goes on under another appointment: their visit, their dose and the worklist go with them."""

from django.db import transaction

from gantry.apps.audit.models import Event
from gantry.apps.booking.models import Appointment
from gantry.apps.radiopharmacy.services.doses import go_with
from gantry.apps.scanning.models import ScheduledStep, Visit
from gantry.apps.scanning.services.steps import progress_of, protocol_of, record, touch
from gantry.domain.appointment import AppointmentState
from gantry.domain.events import Actor, EventKind
from gantry.domain.scan import NOTHING, Act, Phase, VisitState


@transaction.atomic
def carry(old: Appointment, *, of: Event) -> Visit | None:
    """After a move of somebody who is present. None for everybody else, and for whoever was carried already."""
    if old.state != AppointmentState.REPLACED:
        return None
    visit = Visit.objects.select_for_update().filter(appointment=old, state=VisitState.PRESENT).first()
    new = Appointment.objects.select_related("site", "scanner").filter(replaces=old).first()
    if visit is None or new is None:
        return None
    ScheduledStep.objects.filter(appointment=old, state__in=["scheduled", "started"]).update(
        state="removed", changed_at=of.recorded_at
    )
    visit.appointment = new
    if visit.site_id != new.site_id:
        visit.site, visit.room = new.site, None
    Visit.objects.filter(pk=visit.pk).update(appointment=new, site=visit.site, room=visit.room)
    touch(visit)
    go_with(old, new)
    break_off(visit, of)
    return visit


def break_off(visit: Visit, of: Event) -> None:
    """A scan that had begun on the other scanner has ended without its images: it may begin again on this one."""
    progress = progress_of(visit)
    for step in protocol_of(visit).of(Act.ACQUIRE):
        done = progress.get(step.key, NOTHING)
        if done.began_at is None or done.done_at is not None:
            continue
        visit.steps.filter(key=step.key, phase=Phase.START, current=True).update(current=False)
        record(
            visit,
            EventKind.ACQUISITION_DISCONTINUED,
            at=of.happened_at,
            now=of.recorded_at,
            by=Actor(of.by, of.by_name, of.organisation),
            data={"step": step.key, "label": step.label, "complete": False, "broken_off": True, "of_event": of.pk},
        )


def weigh(visit: Visit) -> None:
    """What was measured today goes to the other scanner too: uptake values are computed from it."""
    if visit.weight_kg is not None:
        ScheduledStep.objects.filter(appointment=visit.appointment_id).update(weight_kg=visit.weight_kg)

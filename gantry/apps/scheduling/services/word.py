"""Who hears of it when many are moved at once, and when that is undone: each by their own way, in the act's transaction."""

from datetime import datetime
from uuid import UUID

from django.db.models import QuerySet

from gantry.apps.audit.models import Event
from gantry.apps.booking.models import Appointment, ContactAttempt
from gantry.apps.correspondence import services as correspondence
from gantry.apps.correspondence.services.following import actor_of, cause_of, last_told
from gantry.apps.referrals.models import Referral
from gantry.apps.scheduling.models import PlanVersion, RecoveryPlan
from gantry.apps.scheduling.services.refusals import NotPossible
from gantry.apps.scheduling.services.undoing import KNOWN_BY
from gantry.domain.appointment import AppointmentState
from gantry.domain.events import Actor, Cause
from gantry.domain.message import Occasion
from gantry.reference.messages import HOLD_BACK

WITH = ("site__organisation", "procedure", "referral__patient", "referral__provider")


def recovery_chosen(event: Event) -> None:
    """Subscriber to `recovery_chosen`: accepted, word goes out after a pause; undone, it is taken back, or nothing is.

    Raises NotPossible where somebody knows: the undo's transaction ends with it.
    """
    row = RecoveryPlan.objects.get(pk=event.about["recovery"])
    now, by, cause = event.recorded_at, actor_of(event), cause_of(event)
    if not event.data.get("undone"):
        keys = row.moves.filter(undone=False).values_list("now", flat=True)
        announce(Appointment.objects.filter(pk__in=keys), row.pk, cause=cause, now=now, by=by)
        return
    nobody_heard(row)
    try:
        had_left = correspondence.take_back(row.pk, now=now, by=by)
    except correspondence.Overtaken as known:
        raise NotPossible(f"{known.count} {'person knows' if known.count == 1 else 'people know'} already") from known
    for message in had_left:
        again = Appointment.objects.filter(replaces=message.appointment_id).select_related(*WITH).first()
        if again is not None:
            correspondence.write(again, Occasion.RESTORED, cause=cause, now=now, by=by)


def nobody_heard(row: RecoveryPlan) -> None:
    """A call that is being put on record waits for this undo, or this undo for the call: then it is refused."""
    people = [move.was.referral_id for move in row.moves.select_related("was")]
    list(Referral.objects.select_for_update().filter(pk__in=people).order_by("pk").values_list("pk"))
    heard = ContactAttempt.objects.filter(referral__in=people, at__gte=row.accepted_at, outcome__in=KNOWN_BY)
    if heard.exists():
        raise NotPossible("Somebody has been spoken to")


def plan_published(event: Event) -> None:
    """Subscriber to `plan_published`: those who were told a time and have another now."""
    draft = PlanVersion.objects.get(pk=event.about["plan"])
    moved = Appointment.objects.filter(replaces__in=list(draft.changes))
    announce(moved, draft.pk, cause=cause_of(event), now=event.recorded_at, by=actor_of(event))


def announce(
    rows: QuerySet[Appointment], under: UUID, *, cause: Cause | None, now: datetime, by: Actor
) -> None:  # fmt: skip
    """Whoever was promised another time or place. Who keeps theirs, or was never told one, is not written to."""
    for row in rows.filter(state=AppointmentState.BOOKED).select_related(*WITH).order_by("pk"):
        was = last_told(row)
        if was is not None and (was.arrival_at, was.site_id) != (row.arrival_at, row.site_id):
            correspondence.write(
                row, Occasion.MOVED, was=was, under=under, cause=cause, hold_back=HOLD_BACK.value, now=now, by=by
            )

"""Puts everybody back where they were after a recovery, while nobody has been told."""

from collections.abc import Iterator, Sequence
from datetime import datetime

from django.db import transaction

from gantry.apps.audit.models import Event
from gantry.apps.audit.services import append
from gantry.apps.booking import services as booking
from gantry.apps.booking.models import Appointment, ContactAttempt
from gantry.apps.booking.services import Refused
from gantry.apps.correspondence.services import why_not_taken_back
from gantry.apps.scheduling.models import RecoveryMove, RecoveryPlan
from gantry.apps.scheduling.services.building import UNDONE
from gantry.apps.scheduling.services.recovering import cause_of
from gantry.apps.scheduling.services.refusals import NotPossible
from gantry.domain.appointment import AppointmentState
from gantry.domain.events import Actor, Cause, EventKind

GONE_ON = [
    EventKind.DOSE_INJECTED.value,
    EventKind.ACQUISITION_STARTED.value,
    EventKind.ACQUISITION_COMPLETED.value,
]
KNOWN_BY = ("spoke", "spoke_to_other", "message_left")


def why_not_undone(row: RecoveryPlan) -> list[str]:
    """Undo works until one message is delivered or spoken; empty means that it still does."""
    if row.state != "accepted" or row.accepted_at is None:
        return ["Nothing has been accepted"]
    reasons = []
    moves = list(row.moves.filter(undone=False).select_related("was", "now", "was__referral__patient"))
    for move in moves:
        name = move.was.referral.patient.name
        if move.now is not None and move.now.replaces_id is not None:
            current = move.now
            told_since = current.told_at is not None and current.told_at >= row.accepted_at
            if told_since:
                reasons.append(f"{name} has been told")
            elif current.redirected_at is not None:
                reasons += why_not_sent_back(current, name)
            elif current.state not in (AppointmentState.BOOKED, AppointmentState.TOLD):
                reasons.append(f"The new appointment of {name} has changed since")
        if move.outcome == "another_day" and move.now is None:
            reasons.append(f"{name} has no appointment any more: book one")
    spoken = ContactAttempt.objects.filter(
        referral__in=[m.was.referral_id for m in moves], at__gte=row.accepted_at, outcome__in=KNOWN_BY
    )
    if spoken.exists():
        reasons.append("Somebody has been spoken to")
    reasons += why_not_taken_back(row.pk)
    return reasons


def undo(row: RecoveryPlan, *, now: datetime, by: Actor) -> RecoveryPlan:
    """Everybody back where they were, while nobody knows. Raises NotPossible and Stale."""
    return undo_together([row], now=now, by=by)[0]


@transaction.atomic
def undo_together(rows: Sequence[RecoveryPlan], *, now: datetime, by: Actor) -> list[RecoveryPlan]:
    """Every list of one root event at once, also of people who went from one of its sites to another. All or none."""
    keys = sorted({row.pk for row in rows})
    locked = list(RecoveryPlan.objects.select_for_update().filter(pk__in=keys).order_by("pk"))
    reasons = [reason for row in locked for reason in why_not_undone(row)]
    if reasons or not locked:
        raise NotPossible(*(dict.fromkeys(reasons) or ["Nothing has been accepted"]))
    cause = cause_of(Event.objects.get(pk=locked[0].root_event))
    cause = Cause(cause.code, cause.initiator, cause.root_event, note=UNDONE)
    moves = RecoveryMove.objects.filter(recovery__in=locked, undone=False)
    moved = [
        move.now
        for move in moves.filter(now__isnull=False).select_related(
            "now__site", "now__referral__patient", "now__replaces__site", "now__replaces__scanner"
        )
    ]
    try:
        booking.put_back(moved, cause=cause, now=now, by=by)
    except Refused as refused:
        raise NotPossible(*refused.reasons) from refused
    moves.update(undone=True)
    for row in locked:
        row.state, row.undone_by, row.undone_at, row.options = "undone", by.name, now, []
        row.save(update_fields=["state", "undone_by", "undone_at", "options"])
        append(
            EventKind.RECOVERY_CHOSEN,
            subjects={"recovery": row.pk},
            happened_at=now,
            recorded_at=now,
            by=by,
            site=row.site_id,
            cause=cause,
            data={"undone": True},
        )
    return locked


def why_not_sent_back(row: Appointment, name: str) -> Iterator[str]:
    """Whoever was here and has gone on since stays where they are."""
    if row.state != AppointmentState.ARRIVED:
        yield f"The new appointment of {name} has changed since"
    elif Event.objects.filter(
        kind__in=GONE_ON, subjects__contains=[row.procedure_id], recorded_at__gt=row.redirected_at
    ).exists():
        yield f"{name} has been injected or scanned since"

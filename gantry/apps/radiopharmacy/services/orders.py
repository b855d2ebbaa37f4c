"""Runs and orders: what may be asked of a supplier by when, and who is displaced when it does not come."""

from datetime import datetime

from django.db import transaction

from gantry.apps.audit.models import Event
from gantry.apps.audit.services import Stale, append
from gantry.apps.estate.models import Organisation, Site
from gantry.apps.radiopharmacy.models import SupplyRun, TracerOrder
from gantry.apps.radiopharmacy.services.allotments import LIVE_ORDERS, allot, coming_mbq, settle_loss
from gantry.apps.radiopharmacy.services.permits import why_over_permit
from gantry.apps.radiopharmacy.services.refusals import NotDone
from gantry.domain.events import Actor, Cause, EventKind
from gantry.domain.lifecycle import advance
from gantry.domain.supply import ORDER, OrderEvent, OrderState, why_not_ordered


@transaction.atomic
def open_run(
    *,
    supplier: Organisation,
    site: Site,
    tracer: str,
    production_site: str,
    due_at: datetime,
    reference_at: datetime,
    cut_off_at: datetime,
    capacity_mbq: float,
    assumed: bool = False,
) -> SupplyRun:
    """A supplier's timed run to a site. Weeks ahead its whole capacity may be promised. A repeat finds the same run."""
    run, _ = SupplyRun.objects.get_or_create(
        supplier=supplier,
        site=site,
        tracer=tracer,
        due_at=due_at,
        defaults={
            "production_site": production_site,
            "reference_at": reference_at,
            "cut_off_at": cut_off_at,
            "capacity_mbq": capacity_mbq,
            "assumed": assumed,
        },
    )
    allot(run, run.capacity_mbq)
    return run


@transaction.atomic
def place_order(run: SupplyRun, *, activity_mbq: float, patients: int, now: datetime, by: Actor) -> TracerOrder:
    """Raises NotDone after the cut-off, for nothing, and for more than the run can bring or the permit allows."""
    run = SupplyRun.objects.select_for_update().get(pk=run.pk)
    ordered = sum(run.orders.filter(state__in=LIVE_ORDERS).values_list("activity_mbq", flat=True))
    reasons = list(
        why_not_ordered(
            now=now, cut_off_at=run.cut_off_at, activity_mbq=activity_mbq, free_mbq=run.capacity_mbq - ordered
        )
    )
    reasons += why_over_permit(run, activity_mbq, now=now)
    if reasons:
        raise NotDone(reasons)
    order = TracerOrder.objects.create(
        run=run,
        site_id=run.site_id,
        tracer=run.tracer,
        activity_mbq=activity_mbq,
        patients=patients,
        state=advance(ORDER, OrderState.DRAFTED, OrderEvent.PLACE),
        placed_at=now,
    )
    record(order, EventKind.ORDER_PLACED, at=now, now=now, by=by, data={"mbq": activity_mbq, "patients": patients})
    return order


@transaction.atomic
def confirm_order(order: TracerOrder, *, supplier_reference: str = "", now: datetime, by: Actor) -> TracerOrder:
    move(order, OrderEvent.CONFIRM, supplier_reference=supplier_reference.strip())
    record(order, EventKind.ORDER_CONFIRMED, at=now, now=now, by=by, data={"reference": order.supplier_reference})
    if now > order.run.cut_off_at:
        allot(order.run, coming_mbq(order.run))
    return order


@transaction.atomic
def cancel_order(order: TracerOrder, *, reason: str, now: datetime, by: Actor) -> TracerOrder:
    move(order, OrderEvent.CANCEL, ended_reason=reason.strip())
    record(order, EventKind.ORDER_CANCELLED, at=now, now=now, by=by, data={"reason": order.ended_reason})
    if now > order.run.cut_off_at:
        allot(order.run, coming_mbq(order.run))
    return order


@transaction.atomic
def close_run(run: SupplyRun, *, now: datetime, by: Actor) -> Event | None:
    """At the cut-off only what was ordered may still be promised. A second call changes nothing.

    A run that nobody ordered from and nobody was promised of passes without an event: nothing happened.
    """
    if now < run.cut_off_at or Event.objects.filter(subjects__contains=[run.pk], kind=EventKind.ORDER_CUT_OFF).exists():
        return None
    ordered = coming_mbq(run)
    row = allot(run, ordered)
    if not ordered and row.total_mbq == 0:
        return None
    return append(
        EventKind.ORDER_CUT_OFF,
        subjects={"run": run.pk},
        happened_at=run.cut_off_at,
        recorded_at=now,
        by=by,
        site=run.site_id,
        data={"ordered_mbq": ordered, "promised_mbq": row.total_mbq - row.free_mbq},
    )


@transaction.atomic
def fail_order(
    order: TracerOrder, *, cause: Cause, happened_at: datetime | None = None, now: datetime, by: Actor
) -> Event:
    """The supplier cannot make it. The event is the root of every move that follows; it lists who is displaced."""
    move(order, OrderEvent.FAIL, ended_reason=cause.note)
    remaining = coming_mbq(order.run)
    lost = settle_loss(order.run, remaining, now=now)
    return record(
        order,
        EventKind.ORDER_FAILED,
        at=happened_at or now,
        now=now,
        by=by,
        cause=cause,
        data={"displaced": [p.appointment for p in lost], "remaining_mbq": remaining},
    )


def move(order: TracerOrder, event: OrderEvent, **columns: object) -> None:
    """Compare and set. Raises IllegalMove, or Stale when somebody moved the order first."""
    before = OrderState(order.state)
    after = advance(ORDER, before, event)
    if not TracerOrder.objects.filter(pk=order.pk, state=before).update(state=after, **columns):
        raise Stale(order.pk)
    order.state = after
    for name, value in columns.items():
        setattr(order, name, value)


def record(
    order: TracerOrder,
    kind: EventKind,
    *,
    at: datetime,
    now: datetime,
    by: Actor,
    data: dict[str, object],
    cause: Cause | None = None,
) -> Event:
    return append(
        kind,
        subjects={"order": order.pk, "run": order.run_id},
        happened_at=at,
        recorded_at=now,
        by=by,
        site=order.site_id,
        cause=cause,
        data={"tracer": order.tracer, **data},
    )

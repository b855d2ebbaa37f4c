"""Runs and orders: what may be asked of a supplier by when, and who is displaced when it does not come."""

from dataclasses import dataclass
from datetime import datetime

from django.db import transaction

from gantry.apps.audit.models import Event
from gantry.apps.audit.services import Stale, append
from gantry.apps.estate.models import Organisation, OrganisationKind, Site
from gantry.apps.radiopharmacy.models import SupplyRun, TracerOrder
from gantry.apps.radiopharmacy.services.allotments import LIVE_ORDERS, allot, coming_mbq, promises, settle_loss
from gantry.apps.radiopharmacy.services.permits import why_over_permit
from gantry.apps.radiopharmacy.services.refusals import NotDone
from gantry.domain.events import Actor, Cause, EventKind
from gantry.domain.lifecycle import advance
from gantry.domain.ordering import Payer, Tariff, why_not_cancelled, why_not_opened
from gantry.domain.supply import ORDER, OrderEvent, OrderState, Promise, displaced, why_not_ordered

FREE = Tariff()
OPEN_ORDERS = (OrderState.PLACED, OrderState.CONFIRMED)
"""Neither come nor ended."""


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
    tariff: Tariff = FREE,
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
            "price_pence": tariff.run_pence,
            "price_pence_per_gbq": tariff.pence_per_gbq,
            "assumed": assumed,
        },
    )
    allot(run, run.capacity_mbq)
    return run


@dataclass(frozen=True, slots=True)
class RunFacts:
    """A run as a supplier offers it."""

    tracer: str
    production_site: str
    due_at: datetime
    reference_at: datetime
    cut_off_at: datetime
    capacity_mbq: float
    tariff: Tariff


@transaction.atomic
def add_run(supplier: Organisation, site: Site, facts: RunFacts, *, now: datetime, by: Actor) -> SupplyRun:
    """Somebody opens a run for orders. Raises NotDone when its times or its activity cannot be, or it is there already."""
    reasons = list(
        why_not_opened(
            now=now,
            cut_off_at=facts.cut_off_at,
            reference_at=facts.reference_at,
            due_at=facts.due_at,
            capacity_mbq=facts.capacity_mbq,
        )
    )
    if supplier.kind != OrganisationKind.SUPPLIER:
        reasons.append(f"{supplier.name} is no supplier")
    if SupplyRun.objects.filter(supplier=supplier, site=site, tracer=facts.tracer, due_at=facts.due_at).exists():
        reasons.append("This supplier has a run of this product at that time already")
    if reasons:
        raise NotDone(reasons)
    run = open_run(
        supplier=supplier,
        site=site,
        tracer=facts.tracer,
        production_site=facts.production_site.strip(),
        due_at=facts.due_at,
        reference_at=facts.reference_at,
        cut_off_at=facts.cut_off_at,
        capacity_mbq=facts.capacity_mbq,
        tariff=facts.tariff,
    )
    append(
        EventKind.SUPPLY_RUN_OPENED,
        subjects={"run": run.pk},
        happened_at=now,
        recorded_at=now,
        by=by,
        site=run.site_id,
        data={"tracer": run.tracer, "capacity_mbq": run.capacity_mbq, "from": run.production_site},
    )
    return run


def priced(order: TracerOrder) -> dict[str, int]:
    """What nobody knows the price of did not cost nothing."""
    return {"pence": order.price_pence} if order.price_pence else {}


def tariff_of(run: SupplyRun) -> Tariff:
    return Tariff(run.price_pence, run.price_pence_per_gbq)


@transaction.atomic
def place_order(
    run: SupplyRun, *, activity_mbq: float, patients: int, tariff: Tariff | None = None, now: datetime, by: Actor
) -> TracerOrder:
    """Raises NotDone after the cut-off, for nothing, and for more than the run can bring or the permit allows.

    `tariff` is what was agreed where the run has no price of its own.
    """
    run = SupplyRun.objects.select_for_update().get(pk=run.pk)
    live = list(run.orders.filter(state__in=LIVE_ORDERS).values_list("activity_mbq", flat=True))
    ordered = sum(live)
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
        price_pence=(tariff or tariff_of(run)).of(activity_mbq, first=not live),
        placed_at=now,
    )
    data = {"mbq": activity_mbq, "patients": patients, **priced(order)}
    record(order, EventKind.ORDER_PLACED, at=now, now=now, by=by, data=data)
    return order


@transaction.atomic
def replace_orders(
    run: SupplyRun,
    *,
    activity_mbq: float,
    patients: int,
    reason: str,
    tariff: Tariff | None = None,
    now: datetime,
    by: Actor,
) -> TracerOrder:
    """One order of this size instead of those that stand: before the cut-off an order is changed by placing it anew."""
    run = SupplyRun.objects.select_for_update().get(pk=run.pk)
    if reasons := list(
        why_not_ordered(now=now, cut_off_at=run.cut_off_at, activity_mbq=activity_mbq, free_mbq=run.capacity_mbq)
    ):
        raise NotDone(reasons)
    for order in run.orders.filter(state__in=OPEN_ORDERS).order_by("pk"):
        cancel_order(order, reason=reason, now=now, by=by)
    return place_order(run, activity_mbq=activity_mbq, patients=patients, tariff=tariff, now=now, by=by)


@transaction.atomic
def confirm_order(order: TracerOrder, *, supplier_reference: str = "", now: datetime, by: Actor) -> TracerOrder:
    move(order, OrderEvent.CONFIRM, supplier_reference=supplier_reference.strip())
    record(order, EventKind.ORDER_CONFIRMED, at=now, now=now, by=by, data={"reference": order.supplier_reference})
    if now > order.run.cut_off_at:
        allot(order.run, coming_mbq(order.run))
    return order


@transaction.atomic
def cancel_order(
    order: TracerOrder,
    *,
    reason: str,
    payer: Payer = Payer.NOBODY,
    agreed: str = "",
    now: datetime,
    by: Actor,
) -> TracerOrder:
    """Raises NotDone. Until the cut-off it costs nothing; after it the price is somebody's, and nobody may be left without."""
    SupplyRun.objects.select_for_update().get(pk=order.run_id)
    late = now > order.run.cut_off_at
    reasons = list(
        why_not_cancelled(
            now=now,
            cut_off_at=order.run.cut_off_at,
            reason=reason,
            payer=payer,
            agreed=agreed,
            left_without=len(left_without(order)) if late else 0,
        )
    )
    if reasons:
        raise NotDone(reasons)
    move(order, OrderEvent.CANCEL, ended_reason=reason.strip(), paid_by=payer)
    data: dict[str, object] = {"reason": order.ended_reason}
    if late:
        data |= {"pays": payer, **priced(order), "agreed": agreed.strip()}
    record(order, EventKind.ORDER_CANCELLED, at=now, now=now, by=by, data=data)
    if now > order.run.cut_off_at:
        allot(order.run, coming_mbq(order.run))
    return order


def left_without(order: TracerOrder) -> tuple[Promise, ...]:
    """Whom the rest of the run could not serve."""
    return displaced(promises(order.run), coming_mbq(order.run, without_order=order))


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

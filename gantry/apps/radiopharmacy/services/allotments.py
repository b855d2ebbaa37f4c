"""Keeps each run's allotment true: what may still be promised, from capacity, then orders, then what came."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from uuid import UUID

from gantry.apps.booking.models import Appointment
from gantry.apps.estate.models import ActivityAllotment
from gantry.apps.radiopharmacy.models import Batch, Dose, SupplyRun, TracerOrder
from gantry.apps.radiopharmacy.services.stock import nuclide_of
from gantry.domain.appointment import ACTIVE
from gantry.domain.decay import Assay
from gantry.domain.supply import BatchState, DoseState, OrderState, Promise, displaced
from gantry.reference.hot_lab import RECEIPT_TAKES, USABLE_FOR

LIVE_ORDERS = (OrderState.PLACED, OrderState.CONFIRMED, OrderState.FULFILLED)
LOST_BATCHES = (BatchState.REJECTED, BatchState.FAILED, BatchState.RECALLED)


def allot(run: SupplyRun, capacity_mbq: float) -> ActivityAllotment:
    """Say how much of a run may be promised. What is promised already stays promised: nothing goes below nothing."""
    until = run.due_at + min(USABLE_FOR.value, 5 * nuclide_of(run.tracer).half_life)
    ActivityAllotment.objects.get_or_create(
        supply_run=run.pk,
        defaults={
            "site_id": run.site_id,
            "tracer": run.tracer,
            "reference_at": run.reference_at,
            "usable_from": run.due_at + RECEIPT_TAKES.value,
            "usable_to": until,
            "total_mbq": 0.0,
            "free_mbq": 0.0,
        },
    )
    row = ActivityAllotment.objects.select_for_update().get(supply_run=run.pk)
    promised = row.total_mbq - row.free_mbq
    row.total_mbq = max(capacity_mbq, promised)
    row.free_mbq = row.total_mbq - promised
    if capacity_mbq > 0 and row.usable_to < row.usable_from:
        # Everything of the run was lost, and it has been ordered again: its hours open with it.
        row.usable_to = until
    row.save(update_fields=["total_mbq", "free_mbq", "usable_to"])
    return row


def allotments_of(runs: Iterable[SupplyRun]) -> dict[UUID, ActivityAllotment]:
    """By run, for runs that the asker may see."""
    return {row.supply_run: row for row in ActivityAllotment.objects.filter(supply_run__in=[run.pk for run in runs])}


def stop_promising(run: SupplyRun) -> None:
    """Nothing of this run may be promised again, whatever is given back to it."""
    for row in ActivityAllotment.objects.select_for_update().filter(supply_run=run.pk):
        row.total_mbq -= row.free_mbq
        row.free_mbq, row.usable_to = 0.0, row.usable_from - timedelta(microseconds=1)
        row.save(update_fields=["total_mbq", "free_mbq", "usable_to"])


def put_off(run: SupplyRun, arrives_at: datetime) -> None:
    """A run comes later than it was due: nothing of it is promised for a time before that. Its cut-off stays."""
    for row in ActivityAllotment.objects.select_for_update().filter(supply_run=run.pk):
        row.usable_from = max(row.usable_from, arrives_at + RECEIPT_TAKES.value)
        row.save(update_fields=["usable_from"])


def coming_mbq(run: SupplyRun, *, without_order: TracerOrder | None = None, without: Batch | None = None) -> float:
    """What the run brings, at its reference time: what was measured where it has come, else what was ordered."""
    nuclide, total = nuclide_of(run.tracer), 0.0
    for order in run.orders.filter(state__in=LIVE_ORDERS).prefetch_related("batches__deliveries"):
        if without_order is not None and order.pk == without_order.pk:
            continue
        batches = list(order.batches.all())
        if not batches:
            total += order.activity_mbq
        for batch in batches:
            if batch.state in LOST_BATCHES or (without is not None and batch.pk == without.pk):
                continue
            delivery = max(batch.deliveries.all(), key=lambda d: d.received_at)
            total += Assay(nuclide, delivery.measured_mbq, delivery.measured_at).activity_at(run.reference_at)
    return total


def promises(run: SupplyRun) -> Iterable[Promise]:
    """Everybody who has activity of this run and has not had their injection."""
    injected = Dose.objects.filter(state=DoseState.ADMINISTERED, appointment__isnull=False).values("appointment")
    waiting = Appointment.objects.filter(
        allotment__supply_run=run.pk, state__in=[state.value for state in ACTIVE]
    ).exclude(pk__in=injected)
    return [Promise(str(a.pk), a.activity_mbq, a.injection_at) for a in waiting]


def settle_loss(run: SupplyRun, remaining_mbq: float, *, now: datetime) -> list[Promise]:
    """After a batch or an order is lost: set what may be promised, and say who is left without."""
    lost = list(displaced(promises(run), remaining_mbq))
    if remaining_mbq > 0:
        allot(run, remaining_mbq)
    else:
        stop_promising(run)
    return lost

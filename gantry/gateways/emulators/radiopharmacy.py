"""Plays a supplier: confirms what was ordered, sends it at its hour, and releases each batch as an act of its own.

Suppliers have no wire that Gantry speaks yet, so this one acts through the services, on a schedule, under its own
name. The courier who brings the vial and the calibrator that measures it belong to it; accepting the batch for use is
the site's, by a person, and is never done here.
"""

from datetime import datetime, timedelta

from gantry.apps.radiopharmacy import services as radiopharmacy
from gantry.apps.radiopharmacy.models import Batch, TracerOrder
from gantry.domain.decay import fraction_left
from gantry.domain.events import Actor, system
from gantry.domain.supply import BatchState, OrderState
from gantry.domain.transport import Label

RELEASED_BY = "Q. Pargeter (emulated)"
VIAL_LASTS = timedelta(hours=9)
RELEASE_AFTER = timedelta(minutes=3)


def actor(order: TracerOrder) -> Actor:
    return system("emulated radiopharmacy", order.run.supplier_id)


def confirm_orders(now: datetime) -> list[TracerOrder]:
    """Every order that waits for an answer."""
    waiting = TracerOrder.objects.filter(state=OrderState.PLACED).select_related("run")
    return [
        radiopharmacy.confirm_order(order, supplier_reference=reference(order), now=now, by=actor(order))
        for order in waiting
    ]


def reference(order: TracerOrder) -> str:
    return f"E-{order.pk.hex[-8:].upper()}"


def deliver_due(now: datetime) -> list[Batch]:
    """What is due has come: into quarantine, measured on receipt."""
    due = TracerOrder.objects.filter(state=OrderState.CONFIRMED, run__due_at__lte=now).select_related("run__site")
    return [deliver(order, now) for order in due if now < order.run.reference_at + VIAL_LASTS]


def deliver(order: TracerOrder, now: datetime) -> Batch:
    run = order.run
    left = fraction_left(radiopharmacy.nuclide_of(order.tracer), now - run.reference_at)
    facts = radiopharmacy.DeliveryFacts(
        number=reference(order),
        stated_mbq=order.activity_mbq,
        reference_at=run.reference_at,
        expires_at=run.reference_at + VIAL_LASTS,
        measured_mbq=round(order.activity_mbq * left, 1),
        measured_at=now,
        instrument="Calibrator 1",
        received_at=now,
        volume_ml=12.0,
        transport_index=0.6,
        label=Label.YELLOW_2,
        surface_msv_per_h=0.12,
        at_one_metre_msv_per_h=0.004,
    )
    return radiopharmacy.receive_delivery(order, facts, now=now, by=system("emulated courier"))


def release_delivered(now: datetime) -> list[Batch]:
    """The qualified person's certificate follows a few minutes after the vial."""
    waiting = Batch.objects.filter(
        state=BatchState.RECEIVED, order__isnull=False, deliveries__received_at__lte=now - RELEASE_AFTER
    ).select_related("order__run")
    return [
        radiopharmacy.release_batch(
            batch, released_by=RELEASED_BY, released_at=now, now=now, by=actor(batch.order),
            certificate=f"C-{batch.number}",
        )
        for batch in waiting.distinct()
    ]  # fmt: skip


def act(now: datetime) -> list[str]:
    """One look at the books: confirm, bring, release. Says what was done."""
    return [
        *(f"radiopharmacy: order {reference(one)} confirmed" for one in confirm_orders(now)),
        *(f"radiopharmacy: batch {one.number} delivered" for one in deliver_due(now)),
        *(f"radiopharmacy: batch {one.number} released" for one in release_delivered(now)),
    ]

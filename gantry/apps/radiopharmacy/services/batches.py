"""Batches: received and measured, released by the supplier, accepted by the site, and every way they end."""

import base64
from dataclasses import dataclass
from datetime import datetime

from django.db import transaction

from gantry.apps.audit.ids import new_id
from gantry.apps.audit.models import Event
from gantry.apps.audit.services import Stale, append
from gantry.apps.radiopharmacy.models import Assay, Batch, Container, TracerDelivery, TracerOrder, WasteItem
from gantry.apps.radiopharmacy.services import ledger
from gantry.apps.radiopharmacy.services.allotments import allot, coming_mbq, settle_loss
from gantry.apps.radiopharmacy.services.arrivals import difference_of, wrong_with
from gantry.apps.radiopharmacy.services.orders import move as move_order
from gantry.apps.radiopharmacy.services.orders import record as record_order
from gantry.apps.radiopharmacy.services.refusals import NotDone
from gantry.apps.radiopharmacy.services.stock import HELD, delivery_of, nuclide_of
from gantry.domain import decay
from gantry.domain.events import Actor, Cause, CauseCode, EventKind
from gantry.domain.ledger import Way
from gantry.domain.lifecycle import IllegalMove, advance
from gantry.domain.supply import BATCH, ENDED, BatchEvent, BatchState, OrderEvent, why_not_accepted


@dataclass(frozen=True, slots=True)
class DeliveryFacts:
    """What the papers say and what the calibrator says. Stated activity is at `reference_at`."""

    number: str
    stated_mbq: float
    reference_at: datetime
    expires_at: datetime
    measured_mbq: float
    measured_at: datetime
    instrument: str
    received_at: datetime
    volume_ml: float | None = None
    packages: int = 1
    transport_index: float | None = None
    label: str = ""
    surface_msv_per_h: float | None = None
    at_one_metre_msv_per_h: float | None = None
    """As our meter reads them, the highest of its packages."""
    barcode: str = ""


def new_barcode(prefix: str) -> str:
    """Short enough to read out, long enough never to meet its like: 50 random bits in base 32."""
    return prefix + base64.b32encode(new_id().bytes[-7:]).decode()[:10]


@transaction.atomic
def receive_delivery(order: TracerOrder, facts: DeliveryFacts, *, now: datetime, by: Actor) -> Batch:
    """Into quarantine, measured. The difference from what was expected is kept, whatever it is."""
    if why := why_not_received(order, facts):
        raise NotDone(why)
    move_order(order, OrderEvent.FULFIL)
    batch = Batch.objects.create(
        order=order,
        site_id=order.site_id,
        supplier_id=order.run.supplier_id,
        number=facts.number.strip(),
        tracer=order.tracer,
        reference_at=facts.reference_at,
        activity_mbq=facts.stated_mbq,
        volume_ml=facts.volume_ml,
        expires_at=facts.expires_at,
        state=advance(BATCH, BatchState.EXPECTED, BatchEvent.RECEIVE),
    )
    delivery = keep_delivery(batch, facts, by=by)
    vial = Container.objects.create(
        batch=batch, kind="vial", barcode=facts.barcode.strip() or new_barcode("V"), volume_ml=facts.volume_ml
    )
    difference = difference_of(delivery)
    event = record(
        batch,
        EventKind.DELIVERY_RECEIVED,
        at=facts.received_at,
        now=now,
        by=by,
        data={
            "number": batch.number,
            "measured_mbq": facts.measured_mbq,
            "measured_at": facts.measured_at,
            "expected_mbq": delivery.expected_mbq,
            "within_tolerance": difference.within,
        },
    )
    record_breach(batch, delivery, at=facts.received_at, now=now, by=by)
    Assay.objects.create(
        container=vial,
        purpose="receipt",
        activity_mbq=facts.measured_mbq,
        at=facts.measured_at,
        instrument=facts.instrument,
        by_name=by.name,
        event=event.pk,
    )
    ledger.post(
        batch, Way.RECEIVED, vial.barcode, facts.measured_mbq, at=facts.measured_at, instrument=facts.instrument,
        volume_ml=facts.volume_ml, by=by, event=event,
    )  # fmt: skip
    record_order(order, EventKind.ORDER_FULFILLED, at=facts.received_at, now=now, by=by, data={"batch": batch.pk})
    allot(order.run, coming_mbq(order.run))
    return batch


def why_not_received(order: TracerOrder, facts: DeliveryFacts) -> list[str]:
    """Facts that cannot be kept at all: a number that is there already, a time that has not been."""
    reasons = []
    number = facts.number.strip()
    if not number:
        reasons.append("Enter the batch number on the certificate")
    elif Batch.objects.filter(supplier=order.run.supplier_id, number=number, site=order.site_id).exists():
        reasons.append(f"Batch {number} has been received already")
    if facts.stated_mbq <= 0 or facts.measured_mbq < 0:
        reasons.append("Activities are more than 0 MBq")
    if facts.expires_at <= facts.received_at:
        reasons.append("The batch expired before it was received")
    if facts.barcode.strip() and Container.objects.filter(barcode=facts.barcode.strip()).exists():
        reasons.append(f"Another vial or syringe has the barcode {facts.barcode.strip()}")
    return reasons


def keep_delivery(batch: Batch, facts: DeliveryFacts, *, by: Actor) -> TracerDelivery:
    """As it was read and measured, with where the two disagree."""
    stated = decay.Assay(nuclide_of(batch.tracer), batch.activity_mbq, batch.reference_at)
    delivery = TracerDelivery(
        pk=new_id(),
        batch=batch,
        received_at=facts.received_at,
        received_by=by.name,
        packages=facts.packages,
        transport_index=facts.transport_index,
        label=facts.label,
        surface_msv_per_h=facts.surface_msv_per_h,
        at_one_metre_msv_per_h=facts.at_one_metre_msv_per_h,
        measured_mbq=facts.measured_mbq,
        measured_at=facts.measured_at,
        instrument=facts.instrument,
        expected_mbq=stated.activity_at(facts.measured_at),
    )
    delivery.breach = wrong_with(delivery, tracer=batch.tracer, stated_mbq=batch.activity_mbq)
    delivery.save(force_insert=True)
    return delivery


def record_breach(batch: Batch, delivery: TracerDelivery, *, at: datetime, now: datetime, by: Actor) -> None:
    """It has come and is received; what is wrong with it is recorded as the breach it is."""
    if delivery.breach:
        breach = {"act": "receive", "reasons": delivery.breach}
        record(batch, EventKind.BREACH_RECORDED, at=at, now=now, by=by, data=breach)


@transaction.atomic
def release_batch(
    batch: Batch, *, released_by: str, released_at: datetime, now: datetime, by: Actor, certificate: str = ""
) -> Batch:
    """The supplier's act, by its qualified person, as the certificate says; the site's acceptance is another."""
    if not released_by.strip():
        raise NotDone(["Enter the name of the qualified person on the certificate"])
    move(batch, BatchEvent.RELEASE, released_by=released_by.strip(), released_at=released_at)
    record(
        batch,
        EventKind.BATCH_RELEASED,
        at=released_at,
        now=now,
        by=by,
        data={"released_by": batch.released_by, "certificate": certificate.strip()},
    )
    return batch


@transaction.atomic
def accept_batch(
    batch: Batch, *, now: datetime, by: Actor, accepted_at: datetime | None = None, despite: str = ""
) -> Batch:
    """For use at this site. `despite` is the reason to accept an activity outside tolerance; nothing else bends."""
    at = accepted_at or now
    delivery = delivery_of(batch)
    if delivery is None:
        raise NotDone([f"Batch {batch.number} has not been measured here"])
    difference = difference_of(delivery)
    reasons = list(
        why_not_accepted(
            state=BatchState(batch.state),
            number=batch.number,
            released_by=batch.released_by,
            accepted_by=by.name,
            difference=difference,
            expires_at=batch.expires_at,
            at=at,
        )
    )
    if despite.strip():
        reasons = [reason for reason in reasons if reason != str(difference)]
    if reasons:
        raise NotDone(reasons)
    move(batch, BatchEvent.ACCEPT, accepted_by=by.name, accepted_at=at)
    record(
        batch,
        EventKind.BATCH_ACCEPTED,
        at=at,
        now=now,
        by=by,
        data={"difference_percent": round(difference.percent, 2), "despite": despite.strip()},
    )
    return batch


def reject_batch(batch: Batch, *, cause: Cause, now: datetime, by: Actor) -> Event:
    """The site refuses it. The event is the root of every move that follows."""
    return lose(batch, BatchEvent.REJECT, EventKind.BATCH_REJECTED, cause=cause, happened_at=now, now=now, by=by)


def fail_batch(
    batch: Batch, *, cause: Cause, happened_at: datetime | None = None, now: datetime, by: Actor
) -> Event:  # fmt: skip
    """It may not be used. A batch in use is recalled instead: what was given from it has to be followed up."""
    if batch.state in (BatchState.ACCEPTED, BatchState.SPENT, BatchState.EXPIRED):
        return recall_batch(batch, cause=cause, happened_at=happened_at, now=now, by=by)
    at = happened_at or now
    return lose(batch, BatchEvent.FAIL, EventKind.BATCH_FAILED, cause=cause, happened_at=at, now=now, by=by)


def recall_batch(
    batch: Batch, *, cause: Cause, happened_at: datetime | None = None, now: datetime, by: Actor
) -> Event:  # fmt: skip
    at = happened_at or now
    return lose(batch, BatchEvent.RECALL, EventKind.BATCH_RECALLED, cause=cause, happened_at=at, now=now, by=by)


@transaction.atomic
def lose(
    batch: Batch,
    step: BatchEvent,
    kind: EventKind,
    *,
    cause: Cause,
    happened_at: datetime,
    now: datetime,
    by: Actor,
) -> Event:
    """One root event; its data list the appointments that the rest of the run cannot serve, and who was injected.

    What is in the vial is waste by the cause, and whoever owns the cause pays. One that never came leaves nothing.
    """
    here = batch.state not in ENDED and batch.deliveries.exists()
    left = ledger.in_vial_mbq(batch, at=now) if here else 0.0
    move(batch, step, ended_reason=cause.note)
    data: dict[str, object] = {"number": batch.number, "displaced": [], "remaining_mbq": 0.0, "wasted_mbq": left}
    if batch.order is not None:
        remaining = coming_mbq(batch.order.run, without=batch)
        lost = settle_loss(batch.order.run, remaining, now=now)
        data |= {"displaced": [p.appointment for p in lost], "remaining_mbq": remaining}
    injected = batch.doses.filter(injected_at__isnull=False, appointment__isnull=False)
    data["injected"] = [str(pk) for pk in injected.values_list("appointment", flat=True)]
    event = record(batch, kind, at=happened_at, now=now, by=by, cause=cause, data=data)
    if here:
        throw_away(batch, left, cause.code, at=now, instrument="", computed=True, by=by, event=event)
    return event


def loss_of(batch: Batch) -> Event | None:
    """The root event of a batch that was lost."""
    kinds = (EventKind.BATCH_FAILED, EventKind.BATCH_REJECTED, EventKind.BATCH_RECALLED)
    return Event.objects.filter(subjects__contains=[batch.pk], kind__in=kinds).order_by("-pk").first()


@transaction.atomic
def spend_batch(
    batch: Batch, *, activity_mbq: float | None = None, at: datetime, instrument: str = "", now: datetime, by: Actor
) -> Batch:
    """Nothing more is drawn. What is left goes to waste: as measured, which closes the book, or else as computed."""
    move(batch, BatchEvent.SPEND)
    left = ledger.in_vial_mbq(batch, at=at) if activity_mbq is None else activity_mbq
    event = record(
        batch, EventKind.BATCH_SPENT, at=at, now=now, by=by, data={"wasted_mbq": left, "measured": activity_mbq is not None}
    )  # fmt: skip
    if activity_mbq is not None:
        ledger.count(batch, activity_mbq, at=at, instrument=instrument, now=now, by=by, event=event)
    throw_away(
        batch, left, "left_over", at=at, instrument=instrument, computed=activity_mbq is None, by=by, event=event
    )
    return batch


@transaction.atomic
def expire_batch(batch: Batch, *, now: datetime, by: Actor) -> Batch:
    if now < batch.expires_at:
        raise NotDone([f"Batch {batch.number} has not expired yet"])
    move(batch, BatchEvent.EXPIRE)
    left = ledger.in_vial_mbq(batch, at=now)
    event = record(batch, EventKind.BATCH_EXPIRED, at=batch.expires_at, now=now, by=by, data={"wasted_mbq": left})
    throw_away(batch, left, "expired", at=now, instrument="", computed=True, by=by, event=event)
    return batch


def expire_due(*, now: datetime, by: Actor) -> int:
    """Every vial that is here and past its time, each in a transaction of its own. One that has just ended is let be."""
    here = Batch.objects.filter(state__in=[state.value for state in HELD], expires_at__lte=now)
    done = 0
    for batch in here.select_related("site", "order__run").order_by("expires_at"):
        try:
            expire_batch(batch, now=now, by=by)
        except (Stale, IllegalMove):
            continue
        done += 1
    return done


def throw_away(
    batch: Batch, mbq: float, cause: str, *, at: datetime, instrument: str, computed: bool, by: Actor, event: Event
) -> None:
    """What is left in the vial, to the decay store."""
    WasteItem.objects.create(batch=batch, activity_mbq=mbq, at=at, cause_code=cause, event=event.pk)
    ledger.post(
        batch,
        Way.WASTED,
        ledger.vial_of(batch),
        mbq,
        at=at,
        instrument=instrument,
        computed=computed,
        by=by,
        event=event,
    )


def move(batch: Batch, event: BatchEvent, **columns: object) -> None:
    """Compare and set. Raises IllegalMove, or Stale when somebody moved the batch first."""
    before = BatchState(batch.state)
    after = advance(BATCH, before, event)
    if not Batch.objects.filter(pk=batch.pk, state=before).update(state=after, **columns):
        raise Stale(batch.pk)
    batch.state = after
    for name, value in columns.items():
        setattr(batch, name, value)


def record(
    batch: Batch,
    kind: EventKind,
    *,
    at: datetime,
    now: datetime,
    by: Actor,
    data: dict[str, object],
    cause: Cause | None = None,
) -> Event:
    order = {"order": batch.order_id, "run": batch.order.run_id} if batch.order is not None else {}
    return append(
        kind,
        subjects={"batch": batch.pk, **order},
        happened_at=at,
        recorded_at=now,
        by=by,
        site=batch.site_id,
        cause=cause,
        data={"tracer": batch.tracer, **data},
    )


LOSSES = (
    CauseCode.BATCH_FAILED,
    CauseCode.BATCH_FAILED_QC,
    CauseCode.BATCH_LATE,
    CauseCode.BATCH_SHORT,
    CauseCode.NOT_RELEASED,
    CauseCode.COURIER_FAILED,
    CauseCode.HOT_LAB_FAILED,
)
"""The causes that end a batch or an order."""

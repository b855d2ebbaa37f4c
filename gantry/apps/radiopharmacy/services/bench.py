"""What else happens to a vial: spilt, sampled, counted, sent to another site, sent back. Always recorded."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.db import transaction

from gantry.apps.audit.models import Event
from gantry.apps.estate.models import Site
from gantry.apps.radiopharmacy.models import Batch, Container
from gantry.apps.radiopharmacy.services import ledger
from gantry.apps.radiopharmacy.services.batches import (
    DeliveryFacts,
    keep_delivery,
    move,
    new_barcode,
    record,
    record_breach,
)
from gantry.apps.radiopharmacy.services.refusals import NotDone
from gantry.apps.radiopharmacy.services.stock import left_in
from gantry.domain.events import Actor, EventKind
from gantry.domain.ledger import Way
from gantry.domain.supply import LOST, BatchEvent, BatchState


@dataclass(frozen=True, slots=True)
class Reading:
    """An activity as it was measured on the bench."""

    activity_mbq: float
    at: datetime
    instrument: str
    volume_ml: float | None = None


@transaction.atomic
def spill(batch: Batch, reading: Reading, *, where: str, note: str = "", now: datetime, by: Actor) -> Event:
    """Onto the floor or the bench: a holding still, until it has decayed."""
    data = {"where": where.strip(), "note": note.strip()}
    return leave(batch, Way.SPILT, EventKind.SPILL_RECORDED, reading, data=data, now=now, by=by)


@transaction.atomic
def sample(batch: Batch, reading: Reading, *, note: str = "", now: datetime, by: Actor) -> Event:
    """For quality control."""
    data = {"note": note.strip()}
    return leave(batch, Way.SAMPLED, EventKind.ACTIVITY_SAMPLED, reading, data=data, now=now, by=by)


@transaction.atomic
def send_back(batch: Batch, reading: Reading, *, reason: str, now: datetime, by: Actor) -> Event:
    """To the supplier, with what is in it."""
    data = {"reason": reason.strip()}
    return leave(batch, Way.RETURNED, EventKind.ACTIVITY_RETURNED, reading, data=data, now=now, by=by)


def leave(
    batch: Batch, way: Way, kind: EventKind, reading: Reading, *, data: Mapping[str, object], now: datetime, by: Actor
) -> Event:  # fmt: skip
    """Out of the vial by this way. More than the vial can hold is recorded as well, and as the breach that it is."""
    if reading.activity_mbq <= 0:
        raise NotDone(["An activity that leaves a vial is more than 0 MBq"])
    there = left_in(batch, reading.at)
    # A vial that may not be used still stands there: what goes back to its supplier was not thrown away after all.
    if batch.state in LOST and (waste := ledger.thrown_away(batch)) is not None:
        there = ledger.as_entry(waste).mbq(reading.at)
    event = record(
        batch,
        kind,
        at=reading.at,
        now=now,
        by=by,
        data={"mbq": reading.activity_mbq, "instrument": reading.instrument, **data},
    )
    ledger.post(
        batch, way, ledger.vial_of(batch), reading.activity_mbq, at=reading.at, instrument=reading.instrument,
        volume_ml=reading.volume_ml, by=by, event=event,
    )  # fmt: skip
    if reading.activity_mbq > there * 1.05:
        said = f"There should have been {there:,.0f} MBq in batch {batch.number}, not {reading.activity_mbq:,.0f} MBq"
        record(batch, EventKind.BREACH_RECORDED, at=reading.at, now=now, by=by, data={"act": way, "reasons": [said]})
    ledger.judge(batch, ledger.vial_of(batch), at=reading.at, now=now, by=by)
    return event


@transaction.atomic
def count_vial(batch: Batch, reading: Reading, *, now: datetime, by: Actor) -> Event | None:
    """Measured again. The event that asks about a difference, when the instruments cannot explain it."""
    event = record(
        batch,
        EventKind.ACTIVITY_COUNTED,
        at=reading.at,
        now=now,
        by=by,
        data={
            "mbq": reading.activity_mbq,
            "expected_mbq": left_in(batch, reading.at),
            "instrument": reading.instrument,
        },
    )
    return ledger.count(
        batch, reading.activity_mbq, at=reading.at, instrument=reading.instrument, now=now, by=by, event=event
    )


@transaction.atomic
def transfer(batch: Batch, reading: Reading, *, to: Site, now: datetime, by: Actor) -> Batch:
    """Part of a vial to another site, which expects it, measures it and accepts it for itself. Raises NotDone."""
    if to.pk == batch.site_id:
        raise NotDone(["A transfer goes to another site"])
    if batch.state != BatchState.ACCEPTED:
        raise NotDone([f"Batch {batch.number} is {batch.state.replace('_', ' ')}, not accepted for use"])
    if Batch.objects.filter(supplier=batch.supplier_id, number=batch.number, site=to).exists():
        raise NotDone([f"Batch {batch.number} has been sent to {to.name} already"])
    if reading.activity_mbq > left_in(batch, reading.at) * 1.05:
        raise NotDone([f"Batch {batch.number} does not hold {reading.activity_mbq:,.0f} MBq"])
    data = {"to": to.name}
    leave(batch, Way.TRANSFERRED_OUT, EventKind.ACTIVITY_TRANSFERRED, reading, data=data, now=now, by=by)
    sent = Batch.objects.create(
        site=to,
        supplier_id=batch.supplier_id,
        number=batch.number,
        tracer=batch.tracer,
        reference_at=reading.at,
        activity_mbq=reading.activity_mbq,
        volume_ml=reading.volume_ml,
        expires_at=batch.expires_at,
        state=BatchState.EXPECTED,
    )
    record(sent, EventKind.BATCH_DISPATCHED, at=reading.at, now=now, by=by, data={"from": batch.site.name})
    return sent


@transaction.atomic
def receive_transfer(batch: Batch, facts: DeliveryFacts, *, now: datetime, by: Actor) -> Batch:
    """At the site that it was sent to: into quarantine, measured; then released and accepted there like any other."""
    move(batch, BatchEvent.RECEIVE)
    delivery = keep_delivery(batch, facts, by=by)
    vial = Container.objects.create(
        batch=batch, kind="vial", barcode=facts.barcode.strip() or new_barcode("V"), volume_ml=facts.volume_ml
    )
    event = record(
        batch, EventKind.DELIVERY_RECEIVED, at=facts.received_at, now=now, by=by,
        data={"number": batch.number, "measured_mbq": facts.measured_mbq, "transferred": True},
    )  # fmt: skip
    record_breach(batch, delivery, at=facts.received_at, now=now, by=by)
    ledger.post(
        batch, Way.TRANSFERRED_IN, vial.barcode, facts.measured_mbq, at=facts.measured_at, instrument=facts.instrument,
        volume_ml=facts.volume_ml, by=by, event=event,
    )  # fmt: skip
    return batch


@dataclass(frozen=True, slots=True)
class Recipient:
    """Somebody who had activity of a batch."""

    appointment: UUID
    patient: UUID
    injected_at: datetime
    net_mbq: float


def recipients(batch: Batch) -> list[Recipient]:
    """By batch, everybody who was injected from it, at this site and wherever part of it was sent."""
    everywhere = Batch.objects.filter(supplier=batch.supplier_id, number=batch.number)
    found = []
    for one in everywhere.prefetch_related("doses__appointment__referral"):
        found += [
            Recipient(dose.appointment_id, dose.appointment.referral.patient_id, dose.injected_at, dose.net_mbq or 0.0)
            for dose in one.doses.all()
            if dose.injected_at is not None and dose.appointment is not None
        ]
    return sorted(found, key=lambda r: r.injected_at)

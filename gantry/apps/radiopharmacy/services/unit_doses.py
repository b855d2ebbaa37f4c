"""Receives what a supplier drew for us: syringes for a named person or for nobody yet, each with an assay of its own."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from django.db import transaction

from gantry.apps.booking.models import Appointment
from gantry.apps.radiopharmacy.models import Batch, Container, Dose, TracerOrder
from gantry.apps.radiopharmacy.services import ledger
from gantry.apps.radiopharmacy.services.allotments import allot, coming_mbq
from gantry.apps.radiopharmacy.services.batches import (
    DeliveryFacts,
    keep_delivery,
    new_barcode,
    record_breach,
    why_not_received,
)
from gantry.apps.radiopharmacy.services.batches import record as record_batch
from gantry.apps.radiopharmacy.services.doses import assign, measure, record
from gantry.apps.radiopharmacy.services.orders import move as move_order
from gantry.apps.radiopharmacy.services.orders import record as record_order
from gantry.apps.radiopharmacy.services.refusals import NotDone
from gantry.apps.radiopharmacy.services.stock import nuclide_of
from gantry.domain.decay import Assay
from gantry.domain.events import Actor, EventKind
from gantry.domain.ledger import Way
from gantry.domain.lifecycle import advance
from gantry.domain.supply import BATCH, BatchEvent, BatchState, Difference, DoseState, OrderEvent, why_not_named
from gantry.reference.hot_lab import DELIVERY_TOLERANCE_PERCENT


@dataclass(frozen=True, slots=True)
class Syringe:
    """One unit dose: what its label says, and what our calibrator says."""

    stated_mbq: float
    """At the batch's reference time."""
    measured_mbq: float
    measured_at: datetime
    barcode: str = ""
    volume_ml: float | None = None
    labelled_for: str = ""
    appointment: Appointment | None = None


@transaction.atomic
def receive_unit_doses(
    order: TracerOrder, facts: DeliveryFacts, syringes: Sequence[Syringe], *, now: datetime, by: Actor
) -> Batch:
    """All syringes of one delivery, into quarantine like a vial. What is stated and measured of the whole is their sum."""
    facts = summed(order, facts, syringes)
    reasons = why_not_received(order, facts) if syringes else ["Enter at least one syringe"]
    for number, one in enumerate(syringes, 1):
        reasons += [f"Syringe {number}: {reason}" for reason in why_not_taken(one)]
    codes = [one.barcode.strip() for one in syringes if one.barcode.strip()]
    if len(codes) != len(set(codes)):
        reasons.append("Two of the syringes have one barcode")
    if reasons:
        raise NotDone(reasons)
    move_order(order, OrderEvent.FULFIL)
    batch = Batch.objects.create(
        order=order,
        site_id=order.site_id,
        supplier_id=order.run.supplier_id,
        number=facts.number.strip(),
        tracer=order.tracer,
        reference_at=facts.reference_at,
        activity_mbq=facts.stated_mbq,
        expires_at=facts.expires_at,
        state=advance(BATCH, BatchState.EXPECTED, BatchEvent.RECEIVE),
    )
    delivery = keep_delivery(batch, facts, by=by)
    record_batch(
        batch,
        EventKind.DELIVERY_RECEIVED,
        at=facts.received_at,
        now=now,
        by=by,
        data={"number": batch.number, "unit_doses": len(syringes), "measured_mbq": facts.measured_mbq},
    )
    record_breach(batch, delivery, at=facts.received_at, now=now, by=by)
    for one in syringes:
        take(batch, one, instrument=facts.instrument, now=now, by=by)
    record_order(order, EventKind.ORDER_FULFILLED, at=facts.received_at, now=now, by=by, data={"batch": batch.pk})
    allot(order.run, coming_mbq(order.run))
    return batch


def summed(order: TracerOrder, facts: DeliveryFacts, syringes: Sequence[Syringe]) -> DeliveryFacts:
    """The delivery as a whole, at its own measuring time."""
    nuclide = nuclide_of(order.tracer)
    measured = sum(Assay(nuclide, one.measured_mbq, one.measured_at).activity_at(facts.measured_at) for one in syringes)
    return replace(facts, stated_mbq=sum(one.stated_mbq for one in syringes), measured_mbq=measured, volume_ml=None)


def why_not_taken(one: Syringe) -> list[str]:
    reasons = []
    if one.stated_mbq <= 0 or one.measured_mbq <= 0:
        reasons.append("a dose is more than 0 MBq")
    if one.barcode.strip() and Container.objects.filter(barcode=one.barcode.strip()).exists():
        reasons.append(f"another vial or syringe has the barcode {one.barcode.strip()}")
    if one.appointment is not None:
        reasons += why_not_named(one.labelled_for, one.appointment.referral.patient.family_name)
    return reasons


def take(batch: Batch, one: Syringe, *, instrument: str, now: datetime, by: Actor) -> Dose:
    """One syringe with its own account in the ledger. Far from what it states, it is a breach and stops at the check."""
    syringe = Container.objects.create(
        batch=batch, kind="syringe", barcode=one.barcode.strip() or new_barcode("D"), volume_ml=one.volume_ml
    )
    dose = Dose.objects.create(
        batch=batch,
        container=syringe,
        site_id=batch.site_id,
        tracer=batch.tracer,
        drawn_mbq=one.measured_mbq,
        drawn_at=one.measured_at,
        volume_ml=one.volume_ml,
        stated_mbq=one.stated_mbq,
        labelled_for=one.labelled_for.strip(),
        state=DoseState.RECEIVED,
    )
    stated = Assay(nuclide_of(batch.tracer), one.stated_mbq, batch.reference_at)
    difference = Difference(one.measured_mbq, stated.activity_at(one.measured_at), DELIVERY_TOLERANCE_PERCENT.value)
    event = record(
        dose,
        EventKind.DOSE_RECEIVED,
        at=one.measured_at,
        now=now,
        by=by,
        data={
            "mbq": one.measured_mbq,
            "stated_mbq": one.stated_mbq,
            "instrument": instrument,
            "labelled_for": dose.labelled_for,
            "within_tolerance": difference.within,
        },
    )
    measure(dose, "receipt", one.measured_mbq, one.measured_at, instrument, by, event)
    ledger.post(
        batch, Way.RECEIVED, syringe.barcode, one.measured_mbq, at=one.measured_at, instrument=instrument,
        volume_ml=one.volume_ml, by=by, event=event,
    )  # fmt: skip
    if not difference.within:
        breach = {"act": "receive", "reasons": [f"Syringe {syringe.barcode}: {difference}"]}
        record(dose, EventKind.BREACH_RECORDED, at=one.measured_at, now=now, by=by, data=breach)
    if one.appointment is not None:
        assign(dose, one.appointment, now=now, by=by)
    return dose

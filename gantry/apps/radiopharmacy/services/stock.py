"""What is in the hot lab at a moment: each vial less what was taken from it, all decayed to then."""

from collections.abc import Sequence
from datetime import datetime

from gantry.apps.estate.models import Site
from gantry.apps.radiopharmacy.models import Batch, Dose, TracerDelivery
from gantry.domain.decay import Assay, Nuclide
from gantry.domain.supply import Balance, BatchState, DoseState, left_mbq
from gantry.reference.protocols import product_of
from gantry.reference.tracers import TRACERS

HELD = (BatchState.ACCEPTED, BatchState.SUPPLIER_RELEASED, BatchState.RECEIVED)


def nuclide_of(tracer: str) -> Nuclide:
    return TRACERS[tracer].value.nuclide


def delivery_of(batch: Batch) -> TracerDelivery | None:
    return max(batch.deliveries.all(), key=lambda d: (d.received_at, d.pk), default=None)


def as_received(batch: Batch) -> Assay:
    """The vial as it was measured here; as the supplier states it until it has been."""
    nuclide, delivery = nuclide_of(batch.tracer), delivery_of(batch)
    if delivery is None:
        return Assay(nuclide, batch.activity_mbq, batch.reference_at)
    return Assay(nuclide, delivery.measured_mbq, delivery.measured_at)


def taken_from(batch: Batch) -> list[Assay]:
    """Doses drawn and waste poured straight from the vial. A dose never goes back."""
    nuclide = nuclide_of(batch.tracer)
    return [Assay(nuclide, dose.drawn_mbq, dose.drawn_at) for dose in batch.doses.all()] + [
        Assay(nuclide, item.activity_mbq, item.at) for item in batch.waste.all() if item.dose_id is None
    ]


def left_in(batch: Batch, at: datetime) -> float:
    return max(0.0, left_mbq(as_received(batch), taken_from(batch), at))


def held_at(site: Site, tracer: str | None = None, *, accepted_only: bool = True) -> Sequence[Batch]:
    found = Batch.objects.filter(site=site, state__in=[BatchState.ACCEPTED] if accepted_only else list(HELD))
    found = found.prefetch_related("deliveries", "doses", "waste").order_by("reference_at", "number")
    return [batch for batch in found if tracer is None or batch.tracer == product_of(tracer)]


def activity_left(site: Site, tracer: str, *, at: datetime) -> float:
    """MBq in accepted, unexpired vials at a moment: what can still be drawn."""
    return sum(left_in(batch, at) for batch in held_at(site, tracer) if at < batch.expires_at)


def balance(batch: Batch, *, at: datetime) -> Balance:
    """Where every MBq of a batch went, decayed to one instant (invariant 4)."""
    nuclide = nuclide_of(batch.tracer)

    def then(activity_mbq: float, measured_at: datetime) -> float:
        return Assay(nuclide, activity_mbq, measured_at).activity_at(at)

    given = residual = wasted = waiting = 0.0
    for dose in batch.doses.all():
        if dose.state == DoseState.ADMINISTERED:
            given += then(dose.net_mbq or 0.0, dose.injected_at)
            if dose.residual_mbq is not None:
                residual += then(dose.residual_mbq, dose.residual_at)
        elif dose.state in (DoseState.PREPARED, DoseState.ASSIGNED):
            waiting += then(dose.drawn_mbq, dose.drawn_at)
        else:
            wasted += then(dose.drawn_mbq, dose.drawn_at)
    wasted += sum(then(item.activity_mbq, item.at) for item in batch.waste.all() if item.dose_id is None)
    left = left_in(batch, at) if batch.state not in (BatchState.SPENT, BatchState.EXPIRED) else 0.0
    return Balance(at, as_received(batch).activity_at(at), given, residual, wasted, waiting, left)


def drawn_for(dose: Dose) -> Assay:
    return Assay(nuclide_of(dose.tracer), dose.drawn_mbq, dose.drawn_at)

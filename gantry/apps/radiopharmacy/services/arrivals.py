"""Judges what came: the package by its label and our meter, its contents by the paper and our calibrator."""

from gantry.apps.radiopharmacy.models import TracerDelivery
from gantry.apps.radiopharmacy.services.stock import nuclide_of
from gantry.domain.supply import Difference
from gantry.domain.transport import Arrived, Label, why_not_as_labelled
from gantry.reference.carriage import A2_MBQ, CATEGORIES, METER_PERCENT
from gantry.reference.hot_lab import DELIVERY_TOLERANCE_PERCENT


def difference_of(delivery: TracerDelivery) -> Difference:
    return Difference(delivery.measured_mbq, delivery.expected_mbq, DELIVERY_TOLERANCE_PERCENT.value)


def wrong_with(delivery: TracerDelivery, *, tracer: str, stated_mbq: float) -> list[str]:
    """Where papers, label and measurements disagree; empty means that they agree as far as they were read."""
    nuclide = nuclide_of(tracer)
    a2 = A2_MBQ.get(nuclide.symbol)
    arrived = Arrived(
        nuclide,
        stated_mbq / delivery.packages,
        Label(delivery.label) if delivery.label else None,
        delivery.transport_index,
        delivery.surface_msv_per_h,
        delivery.at_one_metre_msv_per_h,
    )
    reasons = list(
        why_not_as_labelled(
            arrived, a2_mbq=a2.value if a2 else None, categories=CATEGORIES.value, meter_percent=METER_PERCENT.value
        )
    )
    difference = difference_of(delivery)
    return reasons if difference.within else [*reasons, str(difference)]

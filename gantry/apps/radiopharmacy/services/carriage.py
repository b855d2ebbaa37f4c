"""A package leaves by road: judged by the class 7 rules, written down with what its paper says."""

from dataclasses import dataclass
from datetime import datetime

from django.db import transaction

from gantry.apps.audit.ids import new_id
from gantry.apps.radiopharmacy.models import Batch, Consignment, LedgerEntry
from gantry.apps.radiopharmacy.services.batches import record
from gantry.apps.radiopharmacy.services.ledger import as_entry
from gantry.apps.radiopharmacy.services.refusals import NotDone
from gantry.apps.radiopharmacy.services.stock import nuclide_of
from gantry.domain.events import Actor, EventKind
from gantry.domain.ledger import Way
from gantry.domain.transport import Label, Package, label_for, transport_index, why_not_sent
from gantry.reference.carriage import A2_MBQ, CATEGORIES
from gantry.reference.hot_lab import DELIVERY_TOLERANCE_PERCENT


@dataclass(frozen=True, slots=True)
class Parcel:
    consignee: str
    address: str
    activity_mbq: float
    surface_msv_per_h: float
    at_one_metre_msv_per_h: float
    carrier: str = ""
    label: Label | None = None
    """As it was put on; worked out where it was not read."""


LEAVES = (Way.TRANSFERRED_OUT, Way.RETURNED)


def without_paper(batch: Batch) -> list[LedgerEntry]:
    """What the ledger says has left the site from this batch, and no transport paper carries; the oldest first."""
    rows = LedgerEntry.objects.filter(batch=batch, way__in=[way.value for way in LEAVES], consignments=None)
    replaced = LedgerEntry.objects.filter(batch=batch, corrects__isnull=False).values("corrects")
    return list(rows.exclude(pk__in=replaced).order_by("at", "pk"))


def why_not_in_it(batch: Batch, entry: LedgerEntry, parcel: Parcel, *, at: datetime) -> list[str]:
    """Why this entry of the ledger is not what the package carries."""
    if entry.pk not in {row.pk for row in without_paper(batch)}:
        return ["That has left with another package, or has not left this batch"]
    mbq = as_entry(entry).mbq(at)
    if abs(parcel.activity_mbq - mbq) > mbq * DELIVERY_TOLERANCE_PERCENT.value / 100:
        return [f"The ledger says {mbq:,.1f} MBq left, the package says {parcel.activity_mbq:,.1f} MBq"]
    return []


@transaction.atomic
def consign(
    batch: Batch,
    parcel: Parcel,
    *,
    at: datetime,
    now: datetime,
    by: Actor,
    entry: LedgerEntry | None = None,
    already_happened: bool = False,
) -> Consignment:
    """Raises NotDone with why it may not travel; what has left already is recorded, as the breach it is.

    `entry` is the transfer or the return that the package carries. None: nothing of a vial, an empty shield.
    """
    nuclide = nuclide_of(batch.tracer)
    package = Package(
        nuclide, parcel.activity_mbq, parcel.surface_msv_per_h, parcel.at_one_metre_msv_per_h, parcel.label
    )  # fmt: skip
    a2 = A2_MBQ.get(nuclide.symbol)
    reasons = list(why_not_sent(package, a2_mbq=a2.value if a2 else None, categories=CATEGORIES.value))
    if entry is not None:
        reasons += why_not_in_it(batch, entry, parcel, at=at)
    if reasons and not already_happened:
        raise NotDone(reasons)
    index = transport_index(parcel.at_one_metre_msv_per_h)
    label = parcel.label or label_for(parcel.surface_msv_per_h, index, CATEGORIES.value)
    row = Consignment(
        pk=new_id(), batch=batch, consignee=parcel.consignee.strip(), address=parcel.address.strip(),
        activity_mbq=parcel.activity_mbq, at=at, surface_msv_per_h=parcel.surface_msv_per_h,
        at_one_metre_msv_per_h=parcel.at_one_metre_msv_per_h, transport_index=index, label=label or "none fits",
        carrier=parcel.carrier.strip(), by_name=by.name, breach=reasons, entry=entry,
    )  # fmt: skip
    data = {"to": row.consignee, "label": row.label, "transport_index": index, "activity_mbq": row.activity_mbq}
    row.event = record(batch, EventKind.BATCH_DISPATCHED, at=at, now=now, by=by, data=data).pk
    row.save(force_insert=True)
    if reasons:
        breach = {"act": "consign", "reasons": reasons}
        record(batch, EventKind.BREACH_RECORDED, at=at, now=now, by=by, data=breach)
    return row

"""What is in the hot lab at a moment: each vial less what was taken from it, all decayed to then."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from gantry.apps.booking.models import Appointment
from gantry.apps.estate.models import Site
from gantry.apps.radiopharmacy.models import Batch, Dose, LedgerEntry, TracerDelivery, TracerOrder
from gantry.domain.appointment import ACTIVE
from gantry.domain.decay import Assay, Nuclide
from gantry.domain.ledger import INWARD, Way
from gantry.domain.supply import (
    ENDED,
    IN_HAND,
    Balance,
    BatchState,
    DoseState,
    OrderState,
    Wanted,
    left_mbq,
    needed_mbq,
)
from gantry.reference.protocols import product_of
from gantry.reference.tracers import TRACERS

FROM_VIALS = (Way.SPILT, Way.SAMPLED, Way.TRANSFERRED_OUT, Way.RETURNED)
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
    held = [e for e in standing_rows(batch) if e.way in INWARD]
    # The reading on arrival stays as it was typed; the entry that corrects it holds.
    if len(held) == 1 and held[0].corrects:
        return Assay(nuclide, held[0].activity_mbq, held[0].at)
    return Assay(nuclide, delivery.measured_mbq, delivery.measured_at)


def taken_from(batch: Batch) -> list[Assay]:
    """Doses drawn, waste poured straight from the vial, and what left it in other ways. A dose never goes back."""
    nuclide = nuclide_of(batch.tracer)
    return [Assay(nuclide, dose.drawn_mbq, dose.drawn_at) for dose in batch.doses.all()] + other_ways(batch)


def other_ways(batch: Batch) -> list[Assay]:
    """Out of the vial otherwise than by a dose: poured away, spilt, sampled, sent on, sent back."""
    nuclide = nuclide_of(batch.tracer)
    poured = [(item.activity_mbq, item.at) for item in batch.waste.all() if item.dose_id is None]
    entries = standing_rows(batch)
    syringes = syringes_of(batch, entries)
    left = [(e.activity_mbq, e.at) for e in entries if e.way in FROM_VIALS and e.source not in syringes]
    return [Assay(nuclide, mbq, at) for mbq, at in (*poured, *left)]


def syringes_of(batch: Batch, rows: Sequence[LedgerEntry]) -> set[str]:
    """What came in syringes has no vial: each of them is a dose, and is counted as one."""
    came = Way.RECEIVED if any(dose.stated_mbq is not None for dose in batch.doses.all()) else Way.DRAWN
    return {row.target for row in rows if row.way in (Way.DRAWN, came)}


def standing_rows(batch: Batch) -> list[LedgerEntry]:
    """The entries that hold, as `gantry.domain.ledger.standing` orders them: without those that another corrects."""
    rows = sorted(batch.entries.all(), key=lambda row: row.pk)
    replaced = {row.corrects for row in rows if row.corrects}
    place: dict[UUID, int] = {}
    for number, row in enumerate(rows):
        place[row.pk] = place.get(row.corrects, number) if row.corrects else number
    return sorted((row for row in rows if row.pk not in replaced), key=lambda row: (row.at, place[row.pk]))


def counted(batch: Batch, at: datetime) -> tuple[Assay, list[Assay]] | None:
    """What was last measured in the vial, and what left it after that; None where nobody has measured it."""
    rows = [row for row in standing_rows(batch) if row.at <= at]
    syringes = syringes_of(batch, rows)
    counts = [number for number, row in enumerate(rows) if row.way == Way.COUNTED and row.source not in syringes]
    if not counts:
        return None
    nuclide, count = nuclide_of(batch.tracer), rows[counts[-1]]
    later = [row for row in rows[counts[-1] + 1 :] if row.source == count.source]
    return Assay(nuclide, count.activity_mbq, count.at), [Assay(nuclide, row.activity_mbq, row.at) for row in later]


def left_in(batch: Batch, at: datetime) -> float:
    """As it was last measured, else by the book. Nothing once the vial has ended and what was left was thrown away."""
    if batch.state in ENDED and any(item.dose_id is None and item.at <= at for item in batch.waste.all()):
        return 0.0
    start, taken = counted(batch, at) or (as_received(batch), taken_from(batch))
    return max(0.0, left_mbq(start, taken, at))


def spare_in(batch: Batch, at: datetime) -> float:
    """In syringes that are nobody's yet."""
    return sum(
        drawn_for(dose).activity_at(at)
        for dose in batch.doses.all()
        if dose.state in (DoseState.PREPARED, DoseState.RECEIVED)
    )


def held_at(site: Site, tracer: str | None = None, *, accepted_only: bool = True) -> Sequence[Batch]:
    found = Batch.objects.filter(site=site, state__in=[BatchState.ACCEPTED] if accepted_only else list(HELD))
    found = found.prefetch_related("deliveries", "doses", "waste", "entries").order_by("reference_at", "number")
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
        elif dose.state in IN_HAND:
            waiting += then(dose.drawn_mbq, dose.drawn_at)
        else:
            wasted += then(dose.drawn_mbq, dose.drawn_at)
    wasted += sum(each.activity_at(at) for each in other_ways(batch) if each.at <= at)
    left = left_in(batch, at) if batch.state not in (BatchState.SPENT, BatchState.EXPIRED) else 0.0
    return Balance(at, as_received(batch).activity_at(at), given, residual, wasted, waiting, left)


def drawn_for(dose: Dose) -> Assay:
    return Assay(nuclide_of(dose.tracer), dose.drawn_mbq, dose.drawn_at)


@dataclass(frozen=True, slots=True)
class Hour:
    """What a site has and needs of a product at one moment, all in MBq decayed to it."""

    at: datetime
    left_mbq: float
    """In accepted vials, and in syringes of them that are nobody's yet."""
    coming_mbq: float
    """Ordered and due by then, or here and not accepted yet."""
    needed_mbq: float
    """For the injections still to be given from then on."""

    @property
    def spare_mbq(self) -> float:
        return self.left_mbq + self.coming_mbq - self.needed_mbq


def by_hour(site: Site, product: str, *, hours: Sequence[datetime]) -> list[Hour]:
    """Activity at each moment: in hand, coming and promised."""
    nuclide = nuclide_of(product)
    held = list(held_at(site, product, accepted_only=False))
    first, last = hours[0], hours[-1]
    expected = TracerOrder.objects.filter(
        site=site,
        tracer=product,
        state__in=[OrderState.PLACED, OrderState.CONFIRMED],
        run__due_at__gt=first - timedelta(hours=12),
        run__due_at__lte=last,
    ).select_related("run")
    coming = [(o.run.due_at, Assay(nuclide, o.activity_mbq, o.run.reference_at)) for o in expected]
    wanted = [w for code, w in promised(site, first=first - timedelta(hours=3), last=last) if code == product]
    return [
        Hour(
            at,
            sum(left_in(b, at) + spare_in(b, at) for b in held if b.state == BatchState.ACCEPTED and at < b.expires_at),
            sum(left_in(b, at) + spare_in(b, at) for b in held if b.state != BatchState.ACCEPTED and at < b.expires_at)
            + sum(assay.activity_at(at) for due_at, assay in coming if due_at <= at),
            needed_mbq([w for w in wanted if w.injection_at >= at or at == first], nuclide, reference_at=at),
        )
        for at in hours
    ]


def promised(site: Site, *, first: datetime, last: datetime) -> list[tuple[str, Wanted]]:
    """The injections that are booked and have neither been given nor been drawn for, by product."""
    served = Dose.objects.filter(
        appointment__isnull=False, state__in=[DoseState.ASSIGNED, DoseState.ADMINISTERED]
    ).values("appointment")
    rows = (
        Appointment.objects.filter(
            site=site, injection_at__range=(first, last), state__in=[state.value for state in ACTIVE]
        )
        .exclude(pk__in=served)
        .select_related("allotment", "procedure")
    )
    return [
        (
            product_of(row.procedure.tracer),
            Wanted(
                Assay(nuclide_of(row.procedure.tracer), row.activity_mbq, row.allotment.reference_at).activity_at(
                    row.injection_at
                ),
                row.injection_at,
            ),
        )
        for row in rows
    ]


def hours_from(now: datetime, count: int = 7) -> list[datetime]:
    """Now, then each full hour."""
    hour = now.replace(minute=0, second=0, microsecond=0)
    return [now, *(hour + timedelta(hours=n) for n in range(1, count))]

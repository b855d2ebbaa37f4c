"""Reads what has happened to a day's people and tracer: real injections and scans, and what each run really brought."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.db.models import Q

from gantry.apps.audit.models import Event
from gantry.apps.booking.models import Appointment
from gantry.apps.radiopharmacy.models import Batch, Dose, SupplyRun
from gantry.apps.radiopharmacy.services.allotments import LIVE_ORDERS
from gantry.apps.radiopharmacy.services.stock import nuclide_of
from gantry.apps.scheduling.services.reckoning import Minutes
from gantry.domain.appointment import AppointmentState
from gantry.domain.decay import Assay, Nuclide
from gantry.domain.events import EventKind
from gantry.domain.scan import Act
from gantry.domain.scheduling.happened import Facts
from gantry.domain.scheduling.problem import Uptake
from gantry.domain.supply import ENDED, DoseState, OrderState
from gantry.reference.protocols import protocol, timed, usual_for

BEGUN, DONE, BROKEN_OFF = (
    EventKind.ACQUISITION_STARTED.value,
    EventKind.ACQUISITION_COMPLETED.value,
    EventKind.ACQUISITION_DISCONTINUED.value,
)


def window_of(row: Appointment, planned: int) -> Uptake:
    """The uptake that its protocol accepts, which only somebody injected makes use of."""
    graph = protocol(row.procedure.protocol or usual_for(row.procedure.tracer))
    steps = timed(graph, row.procedure.minutes_per_bed).of(Act.ACQUIRE)
    window = next((step.window for step in steps if step.window is not None), None)
    if window is None:
        return Uptake(max(0, planned), max(0, planned), max(0, planned))
    # A row whose scan stands before its injection says nothing about the uptake that was meant.
    meant = planned if planned > 0 else window.planned
    least, most = min(window.least, meant), max(window.most, meant)
    return Uptake(least, min(max(meant, window.least, least), most), most)


def injections(rows: Sequence[Appointment]) -> dict[UUID, datetime]:
    given = Dose.objects.filter(appointment__in=rows, state=DoseState.ADMINISTERED, injected_at__isnull=False)
    return {row.appointment_id: row.injected_at for row in given.order_by("injected_at")}


def facts_of(rows: Sequence[Appointment], given: dict[UUID, datetime], minute: Minutes) -> dict[str, Facts]:
    """By appointment, of everybody to whom something was done that cannot be planned any more."""
    scans = acquisitions(rows, since=minute.origin)
    found = {}
    for row in rows:
        gone, at = row.state == AppointmentState.FULFILLED, given.get(row.pk)
        if not gone and at is None:
            continue
        started, ended = scans.get(row.procedure_id, (None, None))
        found[str(row.pk)] = Facts(
            injected_min=(at - minute.origin).total_seconds() / 60 if at else None,
            window=window_of(row, minute(row.scan_at) - minute(row.injection_at)),
            scan_from_min=minute(started) if started else None,
            scan_to_min=minute(ended) if ended else None,
            gone=gone,
        )
    return found


def acquisitions(
    rows: Sequence[Appointment], *, since: datetime
) -> dict[UUID, tuple[datetime | None, datetime | None]]:  # fmt: skip
    """By procedure, from when to when it was scanned that day. A scan that was broken off is none."""
    ids = [row.procedure_id for row in rows]
    told = Event.objects.filter(kind__in=[BEGUN, DONE, BROKEN_OFF], subjects__overlap=ids, happened_at__gte=since)
    found: dict[UUID, tuple[datetime | None, datetime | None]] = {}
    for event in told.order_by("happened_at", "pk"):
        if "procedure" not in event.about:
            continue
        key = UUID(event.about["procedure"])
        if event.kind == BROKEN_OFF:
            found.pop(key, None)
        elif event.kind == BEGUN:
            found.setdefault(key, (event.happened_at, None))
        else:
            found[key] = (found.get(key, (None, None))[0], event.happened_at)
    return found


# Tracer


@dataclass(frozen=True, slots=True)
class Brought:
    """What a run that has come, or failed, holds for patients: MBq at its reference time, and until when it may be used."""

    mbq: float
    until: datetime | None


def brought(keys: Collection[UUID]) -> dict[UUID, Brought]:
    """Runs of which something has come or failed. What is recalled, failed, rejected or thrown away is not there any more."""
    come = Q(orders__batches__isnull=False) | Q(orders__state=OrderState.FAILED.value)
    runs = SupplyRun.objects.filter(come, pk__in=keys).distinct()
    return {run.pk: held_by(run) for run in runs.prefetch_related("orders__batches__deliveries")}


def held_by(run: SupplyRun) -> Brought:
    nuclide, total, ends = nuclide_of(run.tracer), 0.0, []
    for order in run.orders.all():
        batches = list(order.batches.all())
        if not batches and order.state in LIVE_ORDERS:
            total += order.activity_mbq
            ends.append(None)
        for batch in batches:
            if batch.state in ENDED:
                total += given_from(batch, run, nuclide)
            elif delivery := max(batch.deliveries.all(), key=lambda d: d.received_at, default=None):
                total += Assay(nuclide, delivery.measured_mbq, delivery.measured_at).activity_at(run.reference_at)
                ends.append(batch.expires_at)
    known = [end for end in ends if end is not None]
    return Brought(total, max(known) if known and len(known) == len(ends) else None)


def given_from(batch: Batch, run: SupplyRun, nuclide: Nuclide) -> float:
    """What had gone into people before it ended."""
    doses = Dose.objects.filter(batch=batch, state=DoseState.ADMINISTERED, appointment__isnull=False)
    return sum(
        Assay(nuclide, mbq, at).activity_at(run.reference_at) for mbq, at in doses.values_list("drawn_mbq", "drawn_at")
    )


__all__ = ["Brought", "Facts", "acquisitions", "brought", "facts_of", "held_by", "injections", "window_of"]

"""Somebody says what has gone wrong: one root event, what it means for the rows, and a recovery can start."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from uuid import UUID
from zoneinfo import ZoneInfo

from django.db import transaction

from gantry.apps.audit.models import Event
from gantry.apps.audit.services import append
from gantry.apps.booking.models import Appointment
from gantry.apps.estate import services as estate
from gantry.apps.estate.models import ActivityAllotment, Site
from gantry.apps.radiopharmacy.models import Dose, SupplyRun, TracerOrder
from gantry.apps.radiopharmacy.services import fail_order
from gantry.apps.radiopharmacy.services.allotments import coming_mbq, put_off, settle_loss
from gantry.apps.scheduling.models import Trouble
from gantry.apps.scheduling.services.refusals import NotPossible
from gantry.domain.appointment import AppointmentState
from gantry.domain.events import Actor, Cause, CauseCode, EventKind, Initiator
from gantry.domain.scheduling.failures import FailureKind
from gantry.domain.supply import DoseState, OrderState

CAUSES = {
    FailureKind.BATCH_LATE: (CauseCode.BATCH_LATE, Initiator.SUPPLIER),
    FailureKind.BATCH_SHORT: (CauseCode.BATCH_SHORT, Initiator.SUPPLIER),
    FailureKind.BATCH_LOST: (CauseCode.BATCH_FAILED, Initiator.SUPPLIER),
    FailureKind.ANAESTHETIST_ABSENT: (CauseCode.ANAESTHETIST_ABSENT, Initiator.PROVIDER),
    FailureKind.PATIENT_LATE: (CauseCode.PATIENT_LATE, Initiator.PATIENT),
    FailureKind.HYPERGLYCAEMIA: (CauseCode.HYPERGLYCAEMIA, Initiator.PROVIDER),
    FailureKind.SNOW: (CauseCode.WEATHER, Initiator.PROVIDER),
}
NOT_COME = (AppointmentState.BOOKED, AppointmentState.TOLD)
STILL_OPEN = (OrderState.PLACED, OrderState.CONFIRMED)


@dataclass(frozen=True, slots=True)
class Said:
    """What a person told: which of these it is, what it hits and when it is over."""

    kind: FailureKind
    run: SupplyRun | None = None
    patient: Appointment | None = None
    since: datetime | None = None
    until: datetime | None = None
    mbq: float | None = None
    shut: bool = False
    by_transport: bool = False
    """A patient who is late because the transport was: not their doing."""


def why_not_told(site: Site, said: Said, *, now: datetime) -> list[str]:
    """What is missing or cannot be, before anything is written down."""
    about_runs = said.kind in (FailureKind.BATCH_LATE, FailureKind.BATCH_SHORT, FailureKind.BATCH_LOST)
    reasons = []
    if about_runs and (said.run is None or said.run.site_id != site.pk):
        reasons.append("Say which delivery")
    if said.kind in (FailureKind.PATIENT_LATE, FailureKind.HYPERGLYCAEMIA):
        if said.patient is None or said.patient.site_id != site.pk:
            reasons.append("Say which patient")
        elif Dose.objects.filter(appointment=said.patient, state=DoseState.ADMINISTERED).exists():
            reasons.append(f"{said.patient.referral.patient.name} has been injected already")
    if said.kind in (FailureKind.BATCH_LATE, FailureKind.PATIENT_LATE) and said.until is None:
        reasons.append("Say when it comes" if said.kind is FailureKind.BATCH_LATE else "Say when they come")
    if said.kind is FailureKind.SNOW and said.until is None:
        reasons.append("Say until when")
    if said.until is not None and said.until <= now:
        reasons.append("That time has passed")
    if said.kind is FailureKind.BATCH_SHORT and (said.mbq is None or said.mbq < 0):
        reasons.append("Say how much there is")
    return reasons


@transaction.atomic
def tell(site: Site, on: date, said: Said, *, now: datetime, by: Actor) -> Event:
    """The root event of one site's trouble. Raises NotPossible with every reason."""
    if reasons := why_not_told(site, said, now=now):
        raise NotPossible(*reasons)
    zone = ZoneInfo(site.zone)
    code, initiator = CAUSES[said.kind]
    if said.by_transport:
        code, initiator = CauseCode.TRANSPORT_FAILED, Initiator.PROVIDER
    words = worded(said, zone)
    event = append(
        EventKind.DAY_DISRUPTED,
        subjects=subjects_of(site, said),
        happened_at=said.since or now,
        recorded_at=now,
        by=by,
        site=site.pk,
        cause=Cause(code, initiator, note=words),
        data={"kind": said.kind.value, "on": on.isoformat(), "until": said.until, "mbq": said.mbq, "shut": said.shut},
    )
    keep(event, site, on, said.kind, refs_of(site, said), words, said=said, now=now, by=by)
    if said.kind is FailureKind.BATCH_LATE and said.run and said.until:
        put_off(said.run, said.until)
    if said.kind is FailureKind.BATCH_SHORT and said.run:
        settle_loss(said.run, said.mbq or 0.0, now=now)
    if said.kind is FailureKind.BATCH_LOST and said.run:
        lose_run(said.run, root=event, now=now, by=by)
    if said.kind is FailureKind.SNOW and said.shut and said.until:
        estate.shut(site, since=said.since or now, until=said.until, reason=words)
    return event


@transaction.atomic
def tell_production_failed(runs: Sequence[SupplyRun], *, note: str = "", now: datetime, by: Actor) -> Event:
    """A cyclotron fails: one event, and every site that its runs were to feed has a trouble of its own under it."""
    if not runs:
        raise NotPossible("No run of that production site is still to come")
    supplier, place = runs[0].supplier, runs[0].production_site
    sites = {run.site_id: run.site for run in runs}
    words = f"{place} makes no more today" + (f": {note.strip()}" if note.strip() else "")
    event = append(
        EventKind.DAY_DISRUPTED,
        subjects={"supplier": supplier.pk},
        happened_at=now,
        recorded_at=now,
        by=by,
        cause=Cause(CauseCode.BATCH_FAILED, Initiator.SUPPLIER, note=words),
        data={
            "kind": FailureKind.BATCH_LOST.value,
            "production_site": place,
            "sites": sorted(str(pk) for pk in sites),
            "runs": sorted(str(run.pk) for run in runs),
        },
    )
    for site in sites.values():
        zone, mine = ZoneInfo(site.zone), [run for run in runs if run.site_id == site.pk]
        for on in sorted({run.reference_at.astimezone(zone).date() for run in mine}):
            day = [run for run in mine if run.reference_at.astimezone(zone).date() == on]
            refs = [str(pk) for pk in allotments_of(day)]
            if refs:
                keep(event, site, on, FailureKind.BATCH_LOST, refs, words, now=now, by=by)
    for run in runs:
        lose_run(run, root=event, now=now, by=by)
    return event


def keep(
    event: Event,
    site: Site,
    on: date,
    kind: FailureKind,
    refs: Iterable[str],
    words: str,
    *,
    said: Said | None = None,
    now: datetime,
    by: Actor,
) -> Trouble:
    return Trouble.objects.create(
        site=site,
        on=on,
        kind=kind.value,
        subjects=list(refs),
        from_at=(said.since if said else None) or now,
        to_at=said.until if said else None,
        mbq=said.mbq if said else None,
        shut=said.shut if said else False,
        words=words[:300],
        event=event.pk,
        said_by=by.name,
        said_at=now,
    )


def lose_run(run: SupplyRun, *, root: Event, now: datetime, by: Actor) -> None:
    """Its open orders fail under the root event, and what is not here already is promised to nobody."""
    cause = Cause(CauseCode.BATCH_FAILED, Initiator.SUPPLIER, root_event=root.pk, note=root.cause_note)
    for order in TracerOrder.objects.filter(run=run, state__in=[s.value for s in STILL_OPEN], batches=None):
        fail_order(order, cause=cause, now=now, by=by)
    settle_loss(run, coming_mbq(run), now=now)


def runs_of(production_site: str, site: Site, on: date) -> list[SupplyRun]:
    """What one production site was to send that day to any site of this network, and has not."""
    zone = ZoneInfo(site.zone)
    near = SupplyRun.objects.filter(production_site=production_site, site__network=site.network_id)
    day = [run for run in near.select_related("site", "supplier") if run.due_at.astimezone(zone).date() == on]
    return [run for run in day if not run.orders.filter(batches__isnull=False).exists()]


def allotments_of(runs: Iterable[SupplyRun]) -> list[UUID]:
    found = ActivityAllotment.objects.filter(supply_run__in=[run.pk for run in runs]).order_by("usable_from", "pk")
    return list(found.values_list("pk", flat=True))


def subjects_of(site: Site, said: Said) -> dict[str, UUID]:
    if said.run is not None:
        return {"run": said.run.pk}
    if said.patient is not None:
        row = said.patient
        return {"appointment": row.pk, "referral": row.referral_id, "patient": row.referral.patient_id}
    return {"site": site.pk}


def refs_of(site: Site, said: Said) -> list[str]:
    if said.run is not None:
        return [str(pk) for pk in allotments_of([said.run])]
    return [str(said.patient.pk if said.patient is not None else site.pk)]


def worded(said: Said, zone: ZoneInfo) -> str:
    """In the words of a timeline, without a name: names stand where people may see them."""
    until = f"{said.until.astimezone(zone):%H:%M}" if said.until else ""
    run = f"The run of {said.run.due_at.astimezone(zone):%H:%M}" if said.run else ""
    return {
        FailureKind.BATCH_LATE: f"{run} comes at {until}",
        FailureKind.BATCH_SHORT: f"{run} holds {said.mbq or 0:,.0f} MBq",
        FailureKind.BATCH_LOST: f"{run} does not come",
        FailureKind.ANAESTHETIST_ABSENT: f"No anaesthetist before {until}" if until else "No anaesthetist today",
        FailureKind.PATIENT_LATE: f"A patient comes at {until}",
        FailureKind.HYPERGLYCAEMIA: "A patient's glucose is too high" + (f": test again, {until}" if until else ""),
        FailureKind.SNOW: f"{'The site is closed' if said.shut else 'Nobody can travel'} until {until}",
    }[said.kind]

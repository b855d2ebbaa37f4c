"""Tries changes to a day before anybody is told, says what each breaks or costs, and publishes them by booking's verbs."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from datetime import date, datetime
from uuid import UUID

from django.db import transaction
from django.db.models import Max

from gantry.apps.audit.services import Stale, append
from gantry.apps.booking import services as booking
from gantry.apps.booking.models import Appointment
from gantry.apps.booking.services import Change, Choice, Refused
from gantry.apps.estate.models import Site
from gantry.apps.scheduling.models import Lock, PlanVersion
from gantry.apps.scheduling.services.building import Built, build
from gantry.apps.scheduling.services.noting import standing_on
from gantry.apps.scheduling.services.refusals import NotPossible
from gantry.domain.appointment import AppointmentState
from gantry.domain.events import Actor, Cause, EventKind
from gantry.domain.scheduling import check
from gantry.domain.scheduling.problem import Plan, PlannedVisit, Score
from gantry.domain.scheduling.weights import Unsigned, digest
from gantry.reference.day_plans import weights_on

MOVABLE = (AppointmentState.BOOKED, AppointmentState.TOLD)


@dataclass(frozen=True, slots=True)
class Judged:
    """A draft against what is booked."""

    built: Built
    plan: Plan
    changed: tuple[str, ...]
    faults: tuple[str, ...]
    before: Score
    after: Score


def draft_of(site: Site, on: date) -> PlanVersion | None:
    return PlanVersion.objects.filter(site=site, on=on, state="draft").first()


def draft_for(site: Site, on: date, *, now: datetime, by_name: str) -> PlanVersion:
    """The day's one draft, locked; made where there is none."""
    draft = PlanVersion.objects.select_for_update().filter(site=site, on=on, state="draft").first()
    if draft is None:
        last = PlanVersion.objects.filter(site=site, on=on).aggregate(last=Max("number"))["last"] or 0
        draft = PlanVersion.objects.create(site=site, on=on, number=last + 1, made_by=by_name, made_at=now)
    return draft


def judge(built: Built, changes: Mapping[str, Mapping[str, str]]) -> Judged:
    """What the changes break and cost, by the checker that judges every plan."""
    visits, changed = [], []
    for visit in built.plan.visits:
        change = changes.get(visit.patient)
        if change is None:
            visits.append(visit)
            continue
        after = as_visit(built, visit, change)
        visits.append(after)
        if after != visit:
            changed.append(visit.patient)
    plan = Plan(tuple(visits), built.plan.orders)
    unbroken = set(check.faults(built.day, built.plan))
    faults = [fault for fault in check.faults(built.day, plan) if fault not in unbroken]
    return Judged(
        built, plan, tuple(changed), tuple(faults), check.score(built.day, built.plan), check.score(built.day, plan)
    )


def as_visit(built: Built, visit: PlannedVisit, change: Mapping[str, str]) -> PlannedVisit:
    """The same person at the typed time, drawn from the run that booking would take: the freshest that has arrived."""
    patient = built.day.patient(visit.patient)
    arrival = built.day.minute(datetime.fromisoformat(change["arrival_at"]))
    injection = arrival + patient.preparation_min
    usable = [
        d
        for d in built.day.deliveries
        if d.place == built.day.scanner(change["scanner"]).place
        and d.tracer == patient.tracer
        and d.arrives_min <= injection < d.expires_min
    ]
    same = next((d for d in usable if d.ref == visit.delivery), None)
    freshest = min(usable, key=lambda d: built.day.drawn_mbq(patient, injection, d), default=None)
    delivery = freshest or same
    return replace(
        visit,
        scanner=change["scanner"],
        injection_min=injection,
        delivery=delivery.ref if delivery is not None else visit.delivery,
    )


@transaction.atomic
def change(
    site: Site, on: date, appointment: Appointment, *, scanner: UUID, arrival_at: datetime, now: datetime, by: Actor
) -> PlanVersion:
    """Put one change into the day's draft. Nothing is booked yet. Raises NotPossible."""
    if appointment.state not in MOVABLE:
        raise NotPossible(f"{appointment.referral.patient.name} is here or has been scanned already")
    if Lock.objects.filter(appointment=appointment, lifted_at=None).exists():
        raise NotPossible(f"{appointment.referral.patient.name} is locked: lift the lock first")
    draft = draft_for(site, on, now=now, by_name=by.name)
    draft.changes[str(appointment.pk)] = {"scanner": str(scanner), "arrival_at": arrival_at.isoformat()}
    if (scanner, arrival_at) == (appointment.scanner_id, appointment.arrival_at):
        del draft.changes[str(appointment.pk)]
    draft.save(update_fields=["changes"])
    return draft


@transaction.atomic
def drop(draft: PlanVersion) -> None:
    """Forget the draft. Raises Stale when it was published meanwhile."""
    if not PlanVersion.objects.filter(pk=draft.pk, state="draft").update(state="dropped"):
        raise Stale(draft.pk)


@transaction.atomic
def lock(appointment: Appointment, *, reason: str, now: datetime, by: Actor) -> Lock:
    """A person's word that this stays where it is."""
    standing = Lock.objects.filter(appointment=appointment, lifted_at=None).first()
    if standing is not None:
        return standing
    _of_lock(EventKind.APPOINTMENT_LOCKED, appointment, {"reason": reason}, now=now, by=by)
    return Lock.objects.create(appointment=appointment, reason=reason, by_name=by.name, placed_at=now)


@transaction.atomic
def lift(row: Lock, *, now: datetime, by: Actor) -> None:
    """Raises Stale when somebody has lifted it already."""
    if not Lock.objects.filter(pk=row.pk, lifted_at=None).update(lifted_at=now):
        raise Stale(row.pk)
    _of_lock(EventKind.APPOINTMENT_UNLOCKED, row.appointment, {"placed_by": row.by_name}, now=now, by=by)


def _of_lock(kind: EventKind, row: Appointment, data: Mapping[str, str], *, now: datetime, by: Actor) -> None:
    about = {
        "appointment": row.pk,
        "referral": row.referral_id,
        "procedure": row.procedure_id,
        "patient": row.referral.patient_id,
    }
    append(kind, subjects=about, happened_at=now, recorded_at=now, by=by, site=row.site_id, data=data)


@transaction.atomic
def publish(draft: PlanVersion, *, cause: Cause, now: datetime, by: Actor) -> PlanVersion:
    """Move everybody who changed, into each other's places too, or nobody. The worklist follows. Raises NotPossible, Stale."""
    draft = PlanVersion.objects.select_for_update().get(pk=draft.pk)
    if draft.state != "draft":
        raise Stale(draft.pk)
    judged = judge(build(draft.site, draft.on, now=now), draft.changes)
    if judged.faults:
        raise NotPossible(*judged.faults)
    if not judged.changed:
        raise NotPossible("Nothing differs from what is booked")
    changes = [change_of(judged, ref, draft.changes[ref]) for ref in judged.changed]
    try:
        moved = booking.rearrange(changes, cause=cause, now=now, by=by)
    except Refused as refused:
        raise NotPossible(*refused.reasons) from refused
    for one, row in zip(changes, moved, strict=True):
        if one.appointment.told_at is not None and row.arrival_at == one.appointment.arrival_at:
            booking.still_told(row, one.appointment)
    draft.state, draft.published_at, draft.score = "published", now, asdict(judged.after)
    draft.save(update_fields=["state", "published_at", "score"])
    append(
        EventKind.PLAN_PUBLISHED,
        subjects={"plan": draft.pk},
        happened_at=now,
        recorded_at=now,
        by=by,
        site=draft.site_id,
        cause=cause,
        data={
            "number": draft.number,
            "on": draft.on.isoformat(),
            "moved": len(judged.changed),
            "digest": digest(weights_on(draft.on).value),
            "weights": weights_in_words(draft.site, draft.on),
        },
    )
    return draft


def weights_in_words(site: Site, on: date) -> str:
    """Under whose signature the plan was judged: kept with it, so that it can be judged again by the same."""
    standing = standing_on(site.network.provider_id, on)
    return "unsigned" if isinstance(standing, Unsigned) else f"signed by {standing.by}"


def change_of(judged: Judged, ref: str, to: Mapping[str, str]) -> Change:
    """As booking does it, from the run that the plan draws on."""
    visit, row = judged.plan.visit(ref), judged.built.appointments[ref]
    assert visit is not None
    choice = Choice(judged.built.site.pk, UUID(to["scanner"]), datetime.fromisoformat(to["arrival_at"]))
    return Change(row, choice, allotment=UUID(visit.delivery))

"""Asks the solver for the best plan of a site's day and puts it into the draft: nobody is booked, nobody is told."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from uuid import UUID

from django.db import transaction

from gantry.apps.estate.models import Site
from gantry.apps.radiopharmacy.models import SupplyRun
from gantry.apps.radiopharmacy.services.allotments import LIVE_ORDERS
from gantry.apps.scheduling.models import PlanVersion
from gantry.apps.scheduling.services.building import Built, build
from gantry.apps.scheduling.services.drafting import MOVABLE, draft_for, draft_of, judge
from gantry.apps.scheduling.services.refusals import NotPossible
from gantry.domain.scheduling.as_booked import as_they_lay
from gantry.domain.scheduling.failures import NOTICE_MIN
from gantry.domain.scheduling.problem import Day, Delivery, Lock, Patient, Plan, PlannedVisit
from gantry.reference.ordering import PENCE_PER_GBQ
from gantry.solvers.day_plan import Infeasible, Planned, Stage, plan_day

SECONDS = 6.0


@dataclass(frozen=True, slots=True)
class Proposed:
    draft: PlanVersion
    changed: int
    saved_mbq: float
    proved: bool
    """No plan scans more, moves fewer or draws less than this one."""


@transaction.atomic
def propose(site: Site, on: date, *, now: datetime, by_name: str, seconds: float = SECONDS) -> Proposed:
    """The best plan that keeps every lock and every change tried so far. Raises NotPossible, with the locks that clash."""
    built, draft = build(site, on, now=now), draft_of(site, on)
    judged = judge(built, draft.changes if draft else {})
    day = free_day(built, judged.plan, frozenset(judged.changed), now=now)
    found = plan_day(day, seconds=seconds, before=judged.plan)
    if isinstance(found, Infeasible):
        also = "no fewer contradict one another" if found.smallest else "fewer may do: it took too long to prove"
        raise NotPossible(*((f"These cannot all be kept; {also}",) if len(found.reasons) > 1 else ()), *found.reasons)
    if not isinstance(found, Planned):
        raise NotPossible("No plan that keeps every lock was found in time")
    best = as_they_lay(day, judged.plan, found.plan)
    changes = dict(changes_in(built, judged.plan, best)) | (draft.changes if draft else {})
    after = judge(built, changes)
    if not changes or after.changed == judged.changed:
        raise NotPossible("Nothing to propose: no plan that keeps what people were told is better than this one")
    saved = drawn_mbq(built.day, judged.plan) - drawn_mbq(built.day, after.plan)
    row = draft_for(site, on, now=now, by_name=by_name)
    row.changes = changes
    row.save(update_fields=["changes"])
    done = {Stage.IN_TIME, Stage.MOVED, Stage.ACTIVITY} <= found.proved
    return Proposed(row, len(after.changed), round(saved, 1), done)


def free_day(built: Built, plan: Plan, tried: frozenset[str], *, now: datetime) -> Day:
    """The day in which whoever may still move is free, at this site; what has happened or was tried by hand is a lock."""
    home = str(built.site.pk)
    mine = [d for d in built.day.deliveries if d.place == home]
    still_open = open_runs([a.supply_run for a in built.allotments.values() if a.supply_run], now=now)
    today = built.day.minute(now)
    patients = tuple(_patient(built, p, plan, tried, today) for p in built.day.patients)
    return replace(
        built.day,
        places=tuple(p for p in built.day.places if p.ref == home),
        scanners=tuple(s for s in built.day.scanners if s.place == home),
        deliveries=tuple(_priced(d, built.allotments[d.ref].supply_run in still_open) for d in mine),
        patients=patients,
    )


def open_runs(keys: Sequence[UUID], *, now: datetime) -> set[UUID]:
    """Runs of which nothing is ordered and something still can be: how much, and whether at all, is the plan's to say."""
    runs = SupplyRun.objects.filter(pk__in=keys, cut_off_at__gt=now)
    return set(runs.exclude(orders__state__in=LIVE_ORDERS).values_list("pk", flat=True))


def _priced(delivery: Delivery, still_open: bool) -> Delivery:
    """Each GBq at its price. Of what is on its way only what is not drawn can be given to others: the run is paid for."""
    once = {} if still_open else {"price_pence": 0, "least_mbq": 0.0}
    return replace(
        delivery,
        ordered_mbq=None,
        most_mbq=max(delivery.ordered_mbq or 0.0, delivery.least_mbq),
        price_pence_per_gbq=delivery.price_pence_per_gbq or PENCE_PER_GBQ.value,
        **once,
    )


def _patient(built: Built, patient: Patient, plan: Plan, tried: frozenset[str], today: int) -> Patient:
    visit, row = plan.visit(patient.ref), built.appointments[patient.ref]
    assert visit is not None
    if patient.ref in tried or row.state not in MOVABLE:
        place = str(built.site.pk)
        return replace(patient, lock=Lock(place, visit.scanner, visit.injection_min, visit.delivery), told=None)
    arrival = visit.injection_min - patient.preparation_min
    # Nobody is asked to come sooner than they can; the time that they have stays possible.
    soonest = min(arrival, today + NOTICE_MIN) if arrival > today else arrival
    return replace(patient, earliest_min=max(patient.earliest_min, soonest))


def changes_in(built: Built, before: Plan, after: Plan) -> Iterator[tuple[str, dict[str, str]]]:
    """Whoever arrives at another time or lies on another scanner; another run beside the same time moves nobody."""
    for visit in after.visits:
        was = before.visit(visit.patient)
        if was is None or (was.injection_min, was.scanner) == (visit.injection_min, visit.scanner):
            continue
        yield visit.patient, typed(built, visit)


def typed(built: Built, visit: PlannedVisit) -> dict[str, str]:
    arrival = visit.injection_min - built.day.patient(visit.patient).preparation_min
    return {"scanner": visit.scanner, "arrival_at": built.at(arrival).isoformat()}


def drawn_mbq(day: Day, plan: Plan) -> float:
    return sum(day.drawn_mbq(day.patient(v.patient), v.injection_min, day.delivery(v.delivery)) for v in plan.visits)

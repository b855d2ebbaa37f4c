"""Says why a patient has their time in the day's plan, and what the next best would cost if nobody else moved."""

from dataclasses import dataclass, replace
from datetime import datetime

from gantry.apps.booking.models import Appointment
from gantry.apps.estate.models import Site
from gantry.apps.scheduling.models import StatedTimes
from gantry.apps.scheduling.services.building import Built, build
from gantry.apps.scheduling.services.drafting import MOVABLE, Judged, draft_of, judge
from gantry.apps.scheduling.services.proposing import free_day
from gantry.apps.scheduling.services.reckoning import Minutes, diabetes_slot
from gantry.domain.scheduling import check
from gantry.domain.scheduling.costs import Costs, Other, next_best
from gantry.domain.scheduling.failures import FOREVER, NOTICE_MIN
from gantry.domain.scheduling.problem import Day, Patient, PlannedVisit
from gantry.reference.day_plans import weights_on
from gantry.solvers.day_plan.explain import next_best as best_elsewhere
from gantry.solvers.day_plan.explain import reasons


@dataclass(frozen=True, slots=True)
class Explained:
    """One visit of the day as it is planned, drafts included."""

    judged: Judged
    patient: Patient
    visit: PlannedVisit
    reasons: tuple[str, ...]
    weighed: str
    other: Other | None
    movable: bool
    wider: "Wider | None" = None


@dataclass(frozen=True, slots=True)
class Wider:
    """The best day in which this patient has another time and whoever may still move may move too."""

    visit: PlannedVisit | None
    """None: they would be left out."""
    more: Costs
    proved: bool


def explain(row: Appointment, *, now: datetime, seconds: float = 0.0) -> Explained | None:
    """None where the appointment is not part of its day any more. With `seconds`, others may move too: a solver is asked."""
    site: Site = row.site
    on = Minutes(row.arrival_at, site.zone).on
    built, draft = build(site, on, now=now), draft_of(site, on)
    judged = judge(built, draft.changes if draft else {})
    visit = judged.plan.visit(str(row.pk))
    if visit is None:
        return None
    patient = built.day.patient(visit.patient)
    movable = row.state in MOVABLE and str(row.pk) not in built.locks
    # Whoever may still move comes no sooner than they can be asked to: as a proposal would have it.
    free = free_day(built, judged.plan, frozenset(), now=now)
    ahead = still_ahead(free, visit.patient, built.day.minute(now))
    other = next_best(ahead, judged.plan, visit.patient) if movable else None
    told = still_ahead(built.day, visit.patient, built.day.minute(now) if movable else FOREVER)
    said = (*reasons(told, judged.plan, visit), *of_the_patient(row, patient, built))
    wider = asked_of_the_solver(ahead, judged, visit, seconds) if movable and seconds else None
    return Explained(judged, patient, visit, said, weighed(row, patient, built), other, movable, wider)


def still_ahead(day: Day, ref: str, now_min: int) -> Day:
    """Only times that this patient can still be asked to come at: no time that has passed is another time."""
    soonest = now_min + NOTICE_MIN
    return replace(
        day,
        patients=tuple(
            replace(p, earliest_min=max(p.earliest_min, soonest)) if p.ref == ref else p for p in day.patients
        ),
    )


def asked_of_the_solver(day: Day, judged: Judged, visit: PlannedVisit, seconds: float) -> Wider | None:
    """None where it found none in the time, or no other time keeps every lock."""
    found = best_elsewhere(day, judged.plan, visit, seconds, 0)
    if found is None:
        return None
    now, then = check.score(day, judged.plan), found.score
    more = Costs(
        then.unscanned_weight - now.unscanned_weight,
        then.moved - now.moved,
        round(found.pence, 3),
        round(found.mbq, 3),
        then.overtime_min - now.overtime_min,
        then.waiting_min - now.waiting_min,
        round(then.staff_dose - now.staff_dose, 3),
    )
    return Wider(found.visit, more, found.proved)


def of_the_patient(row: Appointment, patient: Patient, built: Built) -> list[str]:
    said = []
    stated = StatedTimes.objects.filter(referral=row.referral_id).first()
    if patient.latest_min is not None or (stated and stated.arrive_from):
        said.append(f"When they can come was said to {stated.by_name}: {stated.why}" if stated else "")
    if patient.prefers is not None:
        window = f"{built.day.clock(patient.prefers.start)} to {built.day.clock(patient.prefers.end)}"
        whose = "as they said" if stated and (stated.suits_from or stated.suits_to) else "for their diabetes"
        said.append(f"A scan from {window} suits them, {whose}")
    elif diabetes_slot(row) is not None:
        said.append("Their diabetes asks for a time of its own")
    if patient.anaesthetist:
        said.append("The scan is under anaesthetic, inside the anaesthetist's session")
    if patient.play_specialist:
        said.append("A play specialist is with them from arrival to the scan")
    return [each for each in said if each]


def weighed(row: Appointment, patient: Patient, built: Built) -> str:
    """Their weight with what it is made of."""
    weights = weights_on(built.on).value
    base = dict(weights.priority).get(row.referral.priority, 1)
    if row.referral.breach_on is None:
        return f"{patient.weight}, by priority {row.referral.priority}; no breach date"
    days = (row.referral.breach_on - built.on).days
    left = f"{days} days left" if days > 0 else "the last day" if days == 0 else f"{-days} days over"
    return (
        f"{patient.weight}: {base} by priority {row.referral.priority}, {patient.weight - base} for the breach ({left})"
    )

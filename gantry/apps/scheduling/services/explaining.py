"""Says why a patient has their time in the day's plan, and what the next best would cost if nobody else moved."""

from dataclasses import dataclass
from datetime import datetime

from gantry.apps.booking.models import Appointment
from gantry.apps.estate.models import Site
from gantry.apps.scheduling.models import StatedTimes
from gantry.apps.scheduling.services.building import Built, build
from gantry.apps.scheduling.services.drafting import MOVABLE, Judged, draft_of, judge
from gantry.apps.scheduling.services.proposing import free_day
from gantry.apps.scheduling.services.reckoning import Minutes, diabetes_slot
from gantry.domain.scheduling.costs import Other, next_best
from gantry.domain.scheduling.problem import Patient, PlannedVisit
from gantry.reference.day_plans import weights_on
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


def explain(row: Appointment, *, now: datetime) -> Explained | None:
    """None where the appointment is not part of its day any more."""
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
    other = next_best(free, judged.plan, visit.patient) if movable else None
    said = (*reasons(built.day, judged.plan, visit), *of_the_patient(row, patient, built))
    return Explained(judged, patient, visit, said, weighed(row, patient, built), other, movable)


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

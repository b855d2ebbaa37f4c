"""Why a patient has this time: what stands in the way of a cheaper one, and what the next best would cost."""

from dataclasses import dataclass, replace
from time import perf_counter

from gantry.domain.scheduling.check import drawn, faults, score
from gantry.domain.scheduling.problem import Day, Plan, PlannedVisit, Score, choices, in_time, locked_in_words, moved
from gantry.solvers.day_plan import Infeasible, Planned, Unfinished, plan_columns
from gantry.solvers.day_plan.columns import columns_of


@dataclass(frozen=True, slots=True)
class NextBest:
    """The best plan of the day in which this patient has another time or place."""

    visit: PlannedVisit | None
    score: Score
    pence: float
    """More than the plan costs."""
    mbq: float
    """More activity drawn, each at its delivery's reference time."""
    scan_later_min: int
    proved: bool


@dataclass(frozen=True, slots=True)
class Explanation:
    reasons: tuple[str, ...]
    next_best: NextBest | None


def explain(day: Day, plan: Plan, ref: str, *, seconds: float = 10.0, seed: int = 0) -> Explanation:
    visit = plan.visit(ref)
    if visit is None:
        return Explanation((plan.left_out.get(ref, "Not in the plan"),), None)
    return Explanation(tuple(reasons(day, plan, visit)), next_best(day, plan, visit, seconds, seed))


def reasons(day: Day, plan: Plan, visit: PlannedVisit) -> list[str]:
    patient, delivery = day.patient(visit.patient), day.delivery(visit.delivery)
    mbq = day.drawn_mbq(patient, visit.injection_min, delivery)
    said = [
        f"Injected at {day.clock(visit.injection_min)}, {patient.activity_mbq:.0f} MBq take {mbq:.0f} MBq of "
        f"{delivery.ref} at its reference time, {day.clock(delivery.reference_min)}"
    ]
    if patient.lock is not None:
        said.append(locked_in_words(day, patient))
    if patient.told is not None and not moved(day, patient, visit):
        said.append("It is the time that the patient was told")
    if patient.limit_min is not None and in_time(patient, visit):
        said.append(f"The scan starts within the clinical limit, {day.clock(patient.limit_min)}")
    cheaper = [
        one
        for one in choices(day, patient)
        if one.delivery == visit.delivery and day.drawn_mbq(patient, one.injection_min, delivery) < mbq - 1e-6
    ]
    if not cheaper:
        said.append("No time that is possible for this patient draws less")
        return said
    least = min(cheaper, key=lambda one: (one.injection_min, one.uptake_min, one.scanner))
    saved = mbq - day.drawn_mbq(patient, least.injection_min, delivery)
    others = replace(plan, visits=(*(v for v in plan.visits if v.patient != visit.patient), least))
    in_the_way = [fault for fault in faults(day, others) if visit.patient in fault]
    said.append(
        f"Alone, {day.clock(least.injection_min)} would draw {saved:.0f} MBq less"
        + (f"; but {in_the_way[0]}" if in_the_way else "; there it would push others to dearer times")
    )
    return said


def next_best(day: Day, plan: Plan, visit: PlannedVisit, seconds: float, seed: int) -> NextBest | None:
    columns = columns_of(day)
    who = next(number for number, p in enumerate(day.patients) if p.ref == visit.patient)
    place = day.scanner(visit.scanner).place
    here = [number for number, members in enumerate(columns.groups) if members[0].place == place]
    same = (columns.patient == who) & (columns.injection == visit.injection_min)
    same &= sum((columns.group == number for number in here), start=columns.group < 0)
    found = plan_columns(columns.only(~same), deadline=perf_counter() + seconds, seed=seed)
    match found:
        case Planned():
            other, now = found.plan.visit(visit.patient), score(day, plan)
            return NextBest(
                other,
                found.score,
                found.score.activity_pence - now.activity_pence,
                total_drawn(day, found.plan) - total_drawn(day, plan),
                other.scan_min - visit.scan_min if other is not None else 0,
                bool(found.proved),
            )
        case Infeasible() | Unfinished():
            return None


def total_drawn(day: Day, plan: Plan) -> float:
    return sum(drawn(day, plan, delivery) for delivery in day.deliveries)

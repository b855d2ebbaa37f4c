"""What a plan costs, each thing in its own unit, in the order in which it counts; and the best other time of one patient.

The activity is counted as it is drawn, at its run's price: what a plan leaves in a run that is ordered already can be given
to somebody else until it has decayed.
"""

from collections.abc import Iterator
from dataclasses import dataclass, fields, replace

from gantry.domain.scheduling.check import (
    drawn,
    known,
    overtime_min,
    staff_dose,
    waiting_min,
)
from gantry.domain.scheduling.occupied import Occupied, possible
from gantry.domain.scheduling.problem import Day, Patient, Plan, PlannedVisit, in_time, moved


@dataclass(frozen=True, slots=True, order=True)
class Costs:
    """Compared in this order: less is better. MBq say what the pence buy, and only tell them apart where nothing has a price."""

    unscanned_weight: int = 0
    moved: int = 0
    pence: float = 0.0
    mbq: float = 0.0
    overtime_min: int = 0
    waiting_min: int = 0
    staff_mbq_min: float = 0.0
    """MBq-minutes within reach of staff: it compares plans, it is no dose."""

    def less(self, other: "Costs") -> "Costs":
        return Costs(*(round(getattr(self, f.name) - getattr(other, f.name), 3) for f in fields(self)))


def costs(day: Day, plan: Plan) -> Costs:
    placed = {patient.ref: visit for patient, visit in known(day, plan)}
    total = Costs(overtime_min=overtime_min(day, plan))
    for patient in day.patients:
        total = added(total, of_one(day, patient, placed.get(patient.ref)))
    for delivery in day.deliveries:
        if delivery.ordered_mbq is None and drawn(day, plan, delivery) > 0:
            total = replace(total, pence=total.pence + delivery.price_pence)
    return total


def of_one(day: Day, patient: Patient, visit: PlannedVisit | None) -> Costs:
    """All of a visit but overtime, which belongs to a scanner."""
    if visit is None:
        return Costs(unscanned_weight=patient.weight)
    delivery = day.delivery(visit.delivery)
    mbq = day.drawn_mbq(patient, visit.injection_min, delivery)
    away = patient.away_pence.get(day.scanner(visit.scanner).place, 0)
    return Costs(
        unscanned_weight=0 if in_time(patient, visit) else patient.weight,
        moved=int(moved(day, patient, visit)) * (1 + (patient.told.moves_before if patient.told else 0)),
        pence=mbq / 1000 * delivery.price_pence_per_gbq + away,
        mbq=mbq,
        waiting_min=waiting_min(day, patient, visit),
        staff_mbq_min=staff_dose(day, patient, visit),
    )


def added(one: Costs, other: Costs) -> Costs:
    return Costs(*(getattr(one, f.name) + getattr(other, f.name) for f in fields(one)))


@dataclass(frozen=True, slots=True)
class Other:
    """Another time of one patient, everybody else staying where they are, and what it would cost more."""

    visit: PlannedVisit
    more: Costs


def next_best(day: Day, plan: Plan, ref: str) -> Other | None:
    """The cheapest arrival but the planned one that breaks nothing; None where no other time is free."""
    return min(others(day, plan, ref), key=lambda other: (other.more, other.visit.injection_min), default=None)


def others(day: Day, plan: Plan, ref: str) -> Iterator[Other]:
    """Another scanner at the same time is not another time: only what moves the injection or the place is told."""
    patient, now = day.patient(ref), plan.visit(ref)
    if now is None:
        return
    rest = replace(plan, visits=tuple(v for v in plan.visits if v.patient != ref))
    taken = Occupied(day, rest)
    here = day.scanner(now.scanner).place
    before = replace(of_one(day, patient, now), overtime_min=overtime_min(day, plan))
    free = replace(patient, lock=None)
    for visit in possible(day, free):
        if visit.injection_min == now.injection_min and day.scanner(visit.scanner).place == here:
            continue
        if not taken.fits(free, visit):
            continue
        overtime = overtime_min(day, replace(rest, visits=(*rest.visits, visit)))
        yield Other(visit, replace(of_one(day, patient, visit), overtime_min=overtime).less(before))

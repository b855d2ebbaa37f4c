"""Counts what a plan holds, minute by minute, so that one more visit can be tried without judging the whole plan again."""

from collections.abc import Iterator

from gantry.domain.scheduling.check import TOLERANCE_MBQ
from gantry.domain.scheduling.problem import Day, Patient, Plan, PlannedVisit, capacities, choices, holds, why_not_visit


class Occupied:
    """Holds and activity of the visits that were added. Only visits that are allowed by themselves belong here."""

    def __init__(self, day: Day, plan: Plan | None = None) -> None:
        self.day = day
        self.limits = capacities(day)
        self.counts: dict[str, dict[int, int]] = {resource: {} for resource in self.limits}
        self.patients = {p.ref: p for p in day.patients}
        self.deliveries = {d.ref: d for d in day.deliveries}
        self.left = {d.ref: most_of(day, d.ref) for d in day.deliveries}
        for visit in plan.visits if plan else ():
            self.add(visit)

    def add(self, visit: PlannedVisit, units: int = 1) -> None:
        patient = self.patients[visit.patient]
        for hold in holds(self.day, patient, visit):
            count = self.counts[hold.resource]
            for minute in range(hold.start, hold.end):
                count[minute] = count.get(minute, 0) + units
        self.left[visit.delivery] -= units * self._mbq(patient, visit)

    def remove(self, visit: PlannedVisit) -> None:
        self.add(visit, -1)

    def fits(self, patient: Patient, visit: PlannedVisit) -> bool:
        """Whether it is allowed by itself and nothing that it needs is taken."""
        if next(why_not_visit(self.day, patient, visit), None) is not None:
            return False
        if self._mbq(patient, visit) > self.left[visit.delivery] + TOLERANCE_MBQ:
            return False
        return all(
            self.counts[hold.resource].get(minute, 0) < self.limits[hold.resource]
            for hold in holds(self.day, patient, visit)
            for minute in range(hold.start, hold.end)
        )

    def _mbq(self, patient: Patient, visit: PlannedVisit) -> float:
        return self.day.drawn_mbq(patient, visit.injection_min, self.deliveries[visit.delivery])


def possible(day: Day, patient: Patient) -> Iterator[PlannedVisit]:
    """As `choices`; for somebody whose injection is a fact, without asking about every other minute."""
    lock = patient.lock
    if lock is None or lock.injection_min is None:
        yield from choices(day, patient)
        return
    for scanner in day.scanners:
        for delivery in day.deliveries:
            for uptake in range(patient.uptake.least_min, patient.uptake.most_min + 1):
                visit = PlannedVisit(patient.ref, scanner.ref, delivery.ref, lock.injection_min, uptake)
                if next(why_not_visit(day, patient, visit), None) is None:
                    yield visit


def most_of(day: Day, ref: str) -> float:
    """The most that can be drawn from a delivery, at its reference minute."""
    delivery = day.delivery(ref)
    if delivery.ordered_mbq is not None:
        return delivery.ordered_mbq
    return float("inf") if delivery.most_mbq is None else delivery.most_mbq

"""Writes what has happened into a day: real injections and scans stand where they were, whatever had been planned."""

from collections.abc import Iterable
from dataclasses import dataclass, replace

from gantry.domain.scheduling.problem import Day, Patient, Plan, PlannedVisit, Told, Uptake


@dataclass(frozen=True, slots=True)
class Facts:
    """What was done to one person, in minutes from the day's origin; None has not happened."""

    injected_min: float | None = None
    """To the second: what rounding to the grid takes is taken off the window."""
    window: Uptake | None = None
    """What the protocol accepts for them, counted from the injection."""
    scan_from_min: int | None = None
    scan_to_min: int | None = None
    gone: bool = False
    """They have left: nothing of them is still to come."""

    @property
    def hot(self) -> bool:
        """They have been given what they were promised."""
        return self.injected_min is not None or self.gone


def on_grid(window: Uptake, late_min: float, grid: int) -> Uptake:
    """The window counted from the grid's minute before the injection: no scan starts before or after what is allowed.

    A window that holds no minute of the grid keeps its first one: somebody injected is never without a scan for rounding.
    """
    least = int(-(-(window.least_min + late_min) // grid) * grid)
    most = max(least, int((window.most_min + late_min) // grid * grid))
    target = int(-(-(window.target_min + late_min) // grid) * grid)
    return Uptake(least, min(max(least, target), most), most)


def as_it_happened(day: Day, plan: Plan, facts: dict[str, Facts], *, now_min: int) -> tuple[Day, Plan]:
    """The day and its plan with every fact in it. Whoever has no facts stays as planned."""
    patients = {p.ref: p for p in day.patients}
    visits = []
    for visit in plan.visits:
        mine = facts.get(visit.patient)
        if mine is not None and visit.patient in patients:
            visit, patients[visit.patient] = one(day, patients[visit.patient], visit, mine, now_min)
        visits.append(visit)
    done = {ref for ref, each in facts.items() if each.gone or each.scan_to_min is not None}
    visits, patients = beside(day, visits, patients, done)
    return replace(day, patients=tuple(patients.values())), Plan(tuple(visits), plan.orders, plan.left_out)


def one(day: Day, patient: Patient, visit: PlannedVisit, facts: Facts, now_min: int) -> tuple[PlannedVisit, Patient]:
    grid, injection, window = day.grid_min, visit.injection_min, patient.uptake
    planned_scan, lasts = visit.scan_min, patient.scan_min
    if facts.injected_min is not None:
        injection = int(facts.injected_min // grid) * grid
        window = on_grid(facts.window or window, facts.injected_min - injection, grid)
    scan = planned_scan
    if facts.scan_from_min is not None:
        scan = facts.scan_from_min // grid * grid
    elif facts.gone and planned_scan >= now_min:
        # Gone without the minute of a scan: what was planned for later will not be.
        scan = max(injection, now_min // grid * grid - grid)
    if facts.scan_to_min is not None:
        lasts = max(grid, facts.scan_to_min // grid * grid - scan)
    elif facts.gone:
        lasts = max(grid, min(lasts, now_min - scan))
    uptake = max(0, scan - injection)
    if facts.gone or facts.scan_to_min is not None:
        # A scan under way may still be broken off: then the rest of the window is theirs.
        window = Uptake(uptake, uptake, uptake)
    arrival = injection - patient.preparation_min
    there = replace(
        patient,
        uptake=window,
        scan_min=lasts,
        earliest_min=min(patient.earliest_min, arrival),
        latest_min=None,
        lock=None,
        told=Told(patient.told.place, arrival, patient.told.moves_before) if patient.told else None,
    )
    return replace(visit, injection_min=injection, uptake_min=uptake), there


def beside(
    day: Day, visits: Iterable[PlannedVisit], patients: dict[str, Patient], done: set[str]
) -> tuple[list[PlannedVisit], dict[str, Patient]]:
    """Scans that were done one after another never stand on the scanner at once because of rounding or cleaning."""
    found = {v.patient: v for v in visits}
    order = list(found)
    turnaround = {s.ref: s.turnaround_min for s in day.scanners}
    for scanner in turnaround:
        mine = [v for v in found.values() if v.scanner == scanner and v.patient in done and v.patient in patients]
        limit: int | None = None
        for visit in sorted(mine, key=lambda v: -v.scan_min):
            patient = patients[visit.patient]
            scan, lasts = visit.scan_min, patient.scan_min
            if limit is not None and scan + lasts > limit:
                scan = max(visit.injection_min, min(scan, (limit - 1) // day.grid_min * day.grid_min))
                lasts = max(1, limit - scan)
                uptake = scan - visit.injection_min
                found[visit.patient] = replace(visit, uptake_min=uptake)
                patients[visit.patient] = replace(patient, scan_min=lasts, uptake=Uptake(uptake, uptake, uptake))
            limit = scan - turnaround[scanner]
    return [found[ref] for ref in order], patients


__all__ = ["Facts", "as_it_happened", "on_grid"]

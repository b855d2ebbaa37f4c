"""Widens a day just enough that what is booked stands: nobody loses their place because the rows were tighter than booking.

What the rows say and booking did not keep is no secret: the checker finds it on the day as it was, and a page shows it. The
wider day is what changes and recoveries are judged by, so that only what they break themselves is theirs.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from gantry.domain.scheduling.check import faults, known, score
from gantry.domain.scheduling.problem import (
    Day,
    Patient,
    Place,
    Plan,
    PlannedVisit,
    Scanner,
    Window,
    holds,
    why_not_visit,
)


def as_booked(day: Day, plan: Plan) -> Day:
    """Hours, people's sessions and units as the plan needs them where the day has less."""
    placed = list(known(day, plan))
    visits = {patient.ref: visit for patient, visit in placed}
    peaks = peaks_of(day, plan)
    return replace(
        day,
        places=tuple(widened(day, place, placed, peaks) for place in day.places),
        scanners=tuple(kept_open(scanner, placed) for scanner in day.scanners),
        patients=tuple(let_in(day, p, visits[p.ref]) if p.ref in visits else p for p in day.patients),
    )


def peaks_of(day: Day, plan: Plan) -> dict[str, int]:
    """The most units of each resource that the plan holds at one minute."""
    changes: dict[str, list[tuple[int, int]]] = {}
    for patient, visit in known(day, plan):
        for hold in holds(day, patient, visit):
            if hold.end > hold.start:
                changes.setdefault(hold.resource, []).extend([(hold.start, 1), (hold.end, -1)])
    return {resource: max(running(marks)) for resource, marks in changes.items()}


def running(marks: Iterable[tuple[int, int]]) -> Iterator[int]:
    count = 0
    for _, change in sorted(marks):
        count += change
        yield count


def widened(
    day: Day, place: Place, placed: Sequence[tuple[Patient, PlannedVisit]], peaks: dict[str, int]
) -> Place:  # fmt: skip
    here = [(p, v) for p, v in placed if day.scanner(v.scanner).place == place.ref]
    arrivals = [v.injection_min - p.preparation_min for p, v in here]
    ends = [v.scan_min + p.scan_min + p.recovery_min for p, v in here]
    asleep = [
        Window(v.scan_min, v.scan_min + p.scan_min + day.steps.anaesthesia_after_min) for p, v in here if p.anaesthetist
    ]
    played = [Window(v.injection_min - p.preparation_min, v.scan_min) for p, v in here if p.play_specialist]

    def units(kind: str, said: int) -> int:
        return max(said, peaks.get(f"{kind}:{place.ref}", 0))

    return replace(
        place,
        opens=Window(min([place.opens.start, *arrivals]), max([place.opens.end, *ends])),
        uptake_rooms=units("room", place.uptake_rooms),
        injectors=units("injector", place.injectors),
        hot_toilets=units("toilet", place.hot_toilets),
        anaesthetist=merged([*place.anaesthetist, *asleep]),
        anaesthetists=units("anaesthetist", place.anaesthetists),
        play_specialist=merged([*place.play_specialist, *played]),
        play_specialists=units("play", place.play_specialists),
    )


def kept_open(scanner: Scanner, placed: Sequence[tuple[Patient, PlannedVisit]]) -> Scanner:
    booked = [Window(v.scan_min, v.scan_min + p.scan_min) for p, v in placed if v.scanner == scanner.ref]
    return replace(scanner, open=merged([*scanner.open, *booked]))


def let_in(day: Day, patient: Patient, visit: PlannedVisit) -> Patient:
    """They may come when they are booked; what their scanner lacks is asked of no other either."""
    arrival = visit.injection_min - patient.preparation_min
    scanner = day.scanner(visit.scanner)
    lacking = patient.needs - scanner.capabilities - day.place(scanner.place).capabilities
    return replace(
        patient,
        earliest_min=min(patient.earliest_min, arrival),
        latest_min=None if patient.latest_min is None else max(patient.latest_min, arrival),
        needs=patient.needs - lacking,
    )


def as_they_lay(day: Day, before: Plan, after: Plan) -> Plan:
    """The same times with everybody on their old scanner where they keep their time: another one of the same kind is no gain.

    Whoever has another time takes a scanner that is left; where that does not work out or costs more, the plan as it was found.
    """
    was = {v.patient: v for v in before.visits}
    kept = [v for v in after.visits if v.patient in was and v.scan_min == was[v.patient].scan_min]
    placed = [replace(v, scanner=was[v.patient].scanner) for v in kept]
    others = sorted((v for v in after.visits if v not in kept), key=lambda v: (v.scan_min, v.patient))
    for visit in others:
        scanner = next((s for s in of_choice(day, visit) if free_on(day, s, visit, placed)), None)
        if scanner is None:
            return after
        placed.append(replace(visit, scanner=scanner.ref))
    found = replace(after, visits=tuple(sorted(placed, key=lambda v: (v.injection_min, v.patient))))
    as_good = len(faults(day, found)) <= len(faults(day, after)) and score(day, found) <= score(day, after)
    return found if as_good else after


def of_choice(day: Day, visit: PlannedVisit) -> list[Scanner]:
    """The found one first, then the others of its place."""
    place = day.scanner(visit.scanner).place
    return sorted((s for s in day.scanners if s.place == place), key=lambda s: s.ref != visit.scanner)


def free_on(day: Day, scanner: Scanner, visit: PlannedVisit, placed: Sequence[PlannedVisit]) -> bool:
    def span(one: PlannedVisit) -> Window:
        return Window(one.scan_min, one.scan_min + day.patient(one.patient).scan_min + scanner.turnaround_min)

    patient, mine = day.patient(visit.patient), span(visit)
    if next(why_not_visit(day, patient, replace(visit, scanner=scanner.ref)), None) is not None:
        return False
    there = [span(one) for one in placed if one.scanner == scanner.ref]
    return all(mine.end <= other.start or other.end <= mine.start for other in there)


def merged(windows: Iterable[Window]) -> tuple[Window, ...]:
    """The same minutes in as few windows as can be, in order."""
    found: list[Window] = []
    for window in sorted(windows, key=lambda w: (w.start, w.end)):
        if window.start == window.end:
            continue
        if found and window.start <= found[-1].end:
            found[-1] = Window(found[-1].start, max(found[-1].end, window.end))
        else:
            found.append(window)
    return tuple(found)


__all__ = ["as_booked", "as_they_lay", "merged", "peaks_of"]

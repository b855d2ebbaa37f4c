"""Every visit that a day allows, as arrays: one column says who, on which scanners, from which delivery and when.

A visit is a fixed chain (room, injector, toilet, scanner), so a column says at once what it holds and what it costs.
Scanners that nothing tells apart are one group that can take several patients at once; members are told apart
afterwards, which an interval graph always allows.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from gantry.domain.scheduling.certificate import chargeable
from gantry.domain.scheduling.check import staff_dose, waiting_min
from gantry.domain.scheduling.problem import Day, Patient, PlannedVisit, Scanner, Window

type Ints = NDArray[np.int64]
type Floats = NDArray[np.float64]
type Bools = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class Columns:
    day: Day
    groups: tuple[tuple[Scanner, ...], ...]
    patient: Ints
    group: Ints
    delivery: Ints
    injection: Ints
    uptake: Ints
    scan: Ints
    drawn: Floats
    """MBq at the delivery's reference minute."""
    pence: Floats
    """What the column adds to the price of the activity, runs and least orders apart."""
    in_time: Bools
    value: Ints
    """Weight if in time; a locked patient adds `lock_value` however late, so that every lock comes first."""
    moves: Ints
    lock_value: int
    resource: Ints
    """(kind of hold, column) → resource."""
    starts: Ints
    ends: Ints
    resources: tuple[str, ...]
    capacity: Ints
    first_minute: int
    minutes: int

    @property
    def count(self) -> int:
        return len(self.patient)

    def only(self, wanted: Bools) -> "Columns":
        """The same day with fewer visits to choose from."""
        cut = {name: getattr(self, name)[wanted] for name in OF_A_COLUMN}
        cut |= {name: getattr(self, name)[:, wanted] for name in ("resource", "starts", "ends")}
        return replace(self, **cut)

    def loads(self, amount: Floats, columns: Ints) -> Floats:
        """(resource, minute) → how much of it `amount` of each column takes."""
        change = np.zeros((len(self.resources), self.minutes + 1))
        for kind in range(len(self.resource)):
            which = self.resource[kind, columns]
            np.add.at(change, (which, self.starts[kind, columns] - self.first_minute), amount)
            np.add.at(change, (which, self.ends[kind, columns] - self.first_minute), -amount)
        return change.cumsum(axis=1)[:, : self.minutes]

    def charged(self, prices: Floats) -> Floats:
        """What each column pays for its holds at these prices for (resource, minute)."""
        running = np.zeros((prices.shape[0], prices.shape[1] + 1))
        np.cumsum(prices, axis=1, out=running[:, 1:])
        total = np.zeros(self.count)
        for kind in range(len(self.resource)):
            which = self.resource[kind]
            total += running[which, self.ends[kind] - self.first_minute]
            total -= running[which, self.starts[kind] - self.first_minute]
        return total

    def meeting(self, columns: Ints, resource: Ints, minute: Ints) -> tuple[Ints, Ints]:
        """Which of `columns` holds which of these (resource, minute): places in the one and in the other."""
        width = self.minutes + 1
        keys = resource * width + (minute - self.first_minute)
        order = np.argsort(keys, kind="stable")
        sorted_keys = keys[order]
        found_columns, found_rows = [], []
        for kind in range(len(self.resource)):
            base = self.resource[kind, columns] * width - self.first_minute
            low = np.searchsorted(sorted_keys, base + self.starts[kind, columns])
            size = np.searchsorted(sorted_keys, base + self.ends[kind, columns]) - low
            at = np.repeat(np.arange(len(columns)), size)
            within = np.arange(len(at)) - np.repeat(np.cumsum(size) - size, size)
            found_columns.append(at)
            found_rows.append(order[np.repeat(low, size) + within])
        return np.concatenate(found_columns), np.concatenate(found_rows)

    def undominated(self) -> "Columns":
        """Without visits that another matches in all they hold, at no higher price, where neither delivery is scarce."""
        free = np.array(
            [d.ordered_mbq is None and d.most_mbq is None and not chargeable(d) for d in self.day.deliveries]
        )
        open_to = free[self.delivery]
        order = np.lexsort((self.pence, ~open_to, self.uptake, self.injection, self.group, self.patient))
        key = np.stack([each[order] for each in (self.patient, self.group, self.injection, self.uptake)], 1)
        same = np.concatenate([[False], (np.diff(key, axis=0) == 0).all(axis=1)])
        keep = np.ones(self.count, bool)
        keep[order[same & open_to[order]]] = False
        return self.only(keep)

    def visits(self, chosen: Sequence[int]) -> tuple[PlannedVisit, ...]:
        """The chosen columns as visits, each on a scanner of its own within its group."""
        day = self.day
        free: dict[int, dict[str, int]] = {g: {s.ref: -1 << 30 for s in group} for g, group in enumerate(self.groups)}
        found = []
        for column in sorted(chosen, key=lambda c: (int(self.scan[c]), int(self.patient[c]))):
            patient = day.patients[self.patient[column]]
            group, scan = int(self.group[column]), int(self.scan[column])
            # The one that was free last: no other choice keeps fewer scanners working late.
            ready = {ref: since for ref, since in free[group].items() if since <= scan}
            scanner = max(ready, key=lambda ref: (ready[ref], ref))
            free[group][scanner] = scan + patient.scan_min + self.groups[group][0].turnaround_min
            delivery = day.deliveries[self.delivery[column]].ref
            found.append(
                PlannedVisit(patient.ref, scanner, delivery, int(self.injection[column]), int(self.uptake[column]))
            )
        return tuple(sorted(found, key=lambda v: (v.injection_min, v.patient)))

    def waiting(self, columns: Ints) -> Ints:
        day = self.day
        return np.array([waiting_min(day, day.patients[self.patient[c]], self.one(c)) for c in columns], dtype=np.int64)

    def dose(self, columns: Ints) -> Floats:
        day = self.day
        return np.array([staff_dose(day, day.patients[self.patient[c]], self.one(c)) for c in columns], dtype=float)

    def one(self, column: int) -> PlannedVisit:
        day = self.day
        return PlannedVisit(
            day.patients[self.patient[column]].ref,
            self.groups[self.group[column]][0].ref,
            day.deliveries[self.delivery[column]].ref,
            int(self.injection[column]),
            int(self.uptake[column]),
        )


def columns_of(day: Day) -> Columns:
    groups = like_scanners(day)
    parts = [
        part
        for number, patient in enumerate(day.patients)
        for group, members in enumerate(groups)
        for part in allowed(day, number, patient, group, members[0])
    ]
    if parts:
        who, group, delivery, injection, uptake = (np.concatenate(each) for each in zip(*parts, strict=True))
    else:
        who, group, delivery, injection, uptake = (np.zeros(0, np.int64) for _ in range(5))
    scan = injection + uptake
    patients, deliveries = day.patients, day.deliveries
    asked = ints(p.weight for p in patients)
    locked = ints(p.lock is not None for p in patients)
    limit = ints(p.limit_min if p.limit_min is not None else 1 << 40 for p in patients)
    lock_value = int(asked.sum()) + 1
    in_time = scan <= limit[who]
    half_life = floats(day.tracer(p.tracer).half_life_min for p in patients)
    reference = ints(d.reference_min for d in deliveries)
    prescribed = floats(p.activity_mbq for p in patients)
    drawn = prescribed[who] * np.exp2((injection - reference[delivery]) / half_life[who]) * (1 + day.loss_percent / 100)
    per_mbq = floats(
        (d.price_pence_per_gbq if d.ordered_mbq is None else -day.waste_pence_per_gbq) / 1000 for d in deliveries
    )
    place = ints(day.places.index(day.place(members[0].place)) for members in groups)
    away = np.array([[p.away_pence.get(each.ref, 0) for each in day.places] for p in patients], dtype=np.int64)
    told = ints(p.told.arrival_min if p.told else 0 for p in patients)
    told_place = ints(place_number(day, p.told.place) if p.told else 0 for p in patients)
    penalty = ints(1 + p.told.moves_before if p.told else 0 for p in patients)
    preparation = ints(p.preparation_min for p in patients)
    if len(who):
        where = place[group]
        costs = drawn * per_mbq[delivery] + away.reshape(len(patients), -1)[who, where]
        same = (told[who] == injection - preparation[who]) & (told_place[who] == where)
        moves = np.where(same, 0, penalty[who])
        value = np.where(in_time, asked[who], 0) + lock_value * locked[who]
        resource, starts, ends = holds_of(day, groups, place, who, group, injection, uptake)
    else:
        costs, moves, value = np.zeros(0), np.zeros(0, np.int64), np.zeros(0, np.int64)
        resource = starts = ends = np.zeros((1, 0), np.int64)
    names = [f"group:{number}" for number in range(len(groups))]
    names += [f"{kind}:{each.ref}" for kind in PLACE_KINDS for each in day.places]
    capacity = [len(members) for members in groups]
    capacity += [each.uptake_rooms for each in day.places] + [each.injectors for each in day.places]
    capacity += [each.hot_toilets for each in day.places] + [each.anaesthetists for each in day.places]
    capacity += [each.play_specialists for each in day.places]
    first = int(starts.min()) if len(who) else 0
    minutes = (int(ends.max()) if len(who) else 0) - first + 1
    return Columns(
        day,
        groups,
        who,
        group,
        delivery,
        injection,
        uptake,
        scan,
        drawn,
        costs,
        in_time,
        value.astype(np.int64),
        moves.astype(np.int64),
        lock_value,
        resource,
        starts,
        ends,
        tuple(names),
        ints(capacity),
        first,
        minutes,
    )


OF_A_COLUMN = (
    *("patient", "group", "delivery", "injection", "uptake", "scan"),
    *("drawn", "pence", "in_time", "value", "moves"),
)
PLACE_KINDS = ("room", "injector", "toilet", "anaesthetist", "play")


def ints(values: object) -> Ints:
    return np.array([int(v) for v in values], dtype=np.int64)  # type: ignore[attr-defined]


def floats(values: object) -> Floats:
    return np.array([float(v) for v in values], dtype=np.float64)  # type: ignore[attr-defined]


def place_number(day: Day, ref: str) -> int:
    return next((number for number, place in enumerate(day.places) if place.ref == ref), -1)


def like_scanners(day: Day) -> tuple[tuple[Scanner, ...], ...]:
    """A lock on a scanner tells it apart from its like."""
    named = {p.lock.scanner for p in day.patients if p.lock is not None and p.lock.scanner is not None}
    groups: dict[object, list[Scanner]] = {}
    for scanner in day.scanners:
        alone = scanner.ref if scanner.ref in named else None
        key = (scanner.place, scanner.open, scanner.capabilities, scanner.turnaround_min, alone)
        groups.setdefault(key, []).append(scanner)
    return tuple(tuple(members) for members in groups.values())


def allowed(day: Day, number: int, patient: Patient, group: int, scanner: Scanner) -> list[tuple[Ints, ...]]:
    """The rules of `why_not_visit`, many visits at a time."""
    place, grid = day.place(scanner.place), day.grid_min
    if patient.needs - scanner.capabilities - place.capabilities:
        return []
    if patient.away_pence and place.ref not in patient.away_pence:
        return []
    lock = patient.lock
    if lock and (lock.place not in (None, place.ref) or lock.scanner not in (None, scanner.ref)):
        return []
    least = -(-patient.uptake.least_min // grid) * grid
    uptakes = np.arange(least, patient.uptake.most_min + 1, grid, dtype=np.int64)
    found: list[tuple[Ints, ...]] = []
    for which, delivery in enumerate(day.deliveries):
        if delivery.place != place.ref or delivery.tracer != patient.tracer:
            continue
        if lock and lock.delivery not in (None, delivery.ref):
            continue
        from_min = -(-delivery.arrives_min // grid) * grid
        times = np.arange(from_min, delivery.expires_min, grid, dtype=np.int64)
        arrivals = times - patient.preparation_min
        fit = arrivals >= max(patient.earliest_min, place.opens.start)
        if patient.latest_min is not None:
            fit &= arrivals <= patient.latest_min
        if lock and lock.injection_min is not None:
            fit &= times == lock.injection_min
        times = times[fit]
        injection, uptake = (each.ravel() for each in np.meshgrid(times, uptakes, indexing="ij"))
        scan = injection + uptake
        done = scan + patient.scan_min
        good = inside(scanner.open, scan, done) & (done + patient.recovery_min <= place.opens.end)
        if patient.anaesthetist:
            good &= inside(place.anaesthetist, scan, done + day.steps.anaesthesia_after_min)
        if patient.play_specialist:
            good &= inside(place.play_specialist, injection - patient.preparation_min, scan)
        size = int(good.sum())
        found.append(
            (
                np.full(size, number, dtype=np.int64),
                np.full(size, group, dtype=np.int64),
                np.full(size, which, dtype=np.int64),
                injection[good],
                uptake[good],
            )
        )
    return found


def inside(windows: Sequence[Window], start: Ints, end: Ints) -> Bools:
    found = np.zeros(len(start), bool)
    for window in windows:
        found |= (window.start <= start) & (end <= window.end)
    return found


def holds_of(
    day: Day,
    groups: Sequence[Sequence[Scanner]],
    place: Ints,
    who: Ints,
    group: Ints,
    injection: Ints,
    uptake: Ints,
) -> tuple[Ints, Ints, Ints]:
    """The intervals of `holds`, many visits at a time; one that holds nothing is empty."""
    steps, patients = day.steps, day.patients
    scan = injection + uptake
    length = ints(p.scan_min for p in patients)[who]
    preparation = ints(p.preparation_min for p in patients)[who]
    turnaround = ints(members[0].turnaround_min for members in groups)[group]
    asleep = ints(p.anaesthetist for p in patients)[who]
    played = ints(p.play_specialist for p in patients)[who]
    base, size = len(groups) + place[group], len(day.places)
    arrival = injection - preparation
    toilet = np.where(uptake >= steps.void_min + steps.inject_min, scan, scan - steps.void_min)
    room_until = np.maximum(scan - steps.leaves_min, injection)
    kinds = [
        (group, scan, scan + length + turnaround),
        (base, injection - np.minimum(steps.room_before_min, preparation), room_until),
        (base + size, injection, injection + steps.inject_min),
        (base + 2 * size, scan - steps.void_min, toilet),
    ]
    if asleep.any():
        kinds.append((base + 3 * size, scan, scan + asleep * (length + steps.anaesthesia_after_min)))
    if played.any():
        kinds.append((base + 4 * size, arrival, np.where(played > 0, scan, arrival)))
    resource, starts, ends = (np.stack(each) for each in zip(*kinds, strict=True))
    return resource, starts, ends


def peaks(values: Floats) -> Ints:
    """Places where a step function is above 0 and no lower than its neighbours: one for each flat top."""
    above = np.nonzero(values > 1e-6)[0]
    found: list[int] = []
    for run in np.split(above, np.nonzero(np.diff(above) > 1)[0] + 1):
        if not len(run):
            continue
        changes = run[np.concatenate([[True], np.diff(values[run]) != 0])]
        levels = [0.0, *values[changes], 0.0]
        tops = [v >= before and v >= after for (before, v), after in zip(pairwise(levels), levels[2:], strict=False)]
        found.extend(int(minute) for minute, top in zip(changes, tops, strict=True) if top)
    return np.array(found, dtype=np.int64)

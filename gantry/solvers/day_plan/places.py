"""A week over many sites: who goes to which place, from the relaxation; then each place is a day of its own.

Few patients are torn between places by the relaxation. Those it is surest of are settled first and the rest follow, so that
the bound hardly rises; with everybody settled nothing ties one place to another but what all the plans add up to.
"""

from dataclasses import replace
from time import perf_counter

import numpy as np

from gantry.domain.scheduling.problem import Day
from gantry.solvers.day_plan.columns import Columns, Floats, Ints
from gantry.solvers.day_plan.relaxation import Branch, Relaxation

WHOLE = 0.999
AT_A_TIME = 0.25
"""Of those who are still torn, how many are settled before the rest are asked again."""


def place_of(columns: Columns) -> Ints:
    """Column → place."""
    places = {place.ref: number for number, place in enumerate(columns.day.places)}
    group: Ints = np.array([places[members[0].place] for members in columns.groups], dtype=np.int64)
    return group[columns.group]


def settled(columns: Columns, relaxation: Relaxation, deadline: float) -> Ints:
    """Patient → place, or -1 for whom the relaxation leaves out. It must have been asked and priced."""
    place = place_of(columns)
    found = np.full(len(columns.day.patients), -1, dtype=np.int64)
    values = relaxation.solve(Branch()).values
    while True:
        share = shares(columns, place, values)
        surest, where = share.max(axis=1), share.argmax(axis=1)
        torn = np.nonzero((found < 0) & (surest > 1e-6))[0]
        if not len(torn):
            return found
        order = torn[np.lexsort((torn, -surest[torn]))]
        some = max(5, int(len(order) * AT_A_TIME))
        now = np.union1d(order[:some], torn[surest[torn] > WHOLE])
        if len(now) == len(torn) or perf_counter() > deadline:
            found[torn] = where[torn]
            return found
        found[now] = where[now]
        values = relaxation.solve(
            Branch(), only=(found[columns.patient] < 0) | (found[columns.patient] == place)
        ).values


def shares(columns: Columns, place: Ints, values: Floats) -> Floats:
    """(patient, place) → the part of the patient's visit that is there."""
    found = np.zeros((len(columns.day.patients), len(columns.day.places)))
    np.add.at(found, (columns.patient, place), values)
    return found


def day_at(day: Day, number: int, patients: Ints) -> Day:
    """One place of the day, with those of its patients who go there."""
    place = day.places[number]
    return replace(
        day,
        places=(place,),
        scanners=tuple(s for s in day.scanners if s.place == place.ref),
        deliveries=tuple(d for d in day.deliveries if d.place == place.ref),
        patients=tuple(day.patients[patient] for patient in patients),
    )


def as_columns(columns: Columns, part: Columns, chosen: tuple[int, ...]) -> list[int]:
    """The same visits, as columns of the whole."""
    day = columns.day
    patients = {p.ref: n for n, p in enumerate(day.patients)}
    deliveries = {d.ref: n for n, d in enumerate(day.deliveries)}
    groups = {members[0].ref: n for n, members in enumerate(columns.groups)}
    found = []
    for one in chosen:
        visit = part.one(one)
        patient = patients[visit.patient]
        low, high = np.searchsorted(columns.patient, (patient, patient + 1))
        own = slice(int(low), int(high))
        same = (columns.group[own] == groups[visit.scanner]) & (columns.delivery[own] == deliveries[visit.delivery])
        same &= (columns.injection[own] == visit.injection_min) & (columns.uptake[own] == visit.uptake_min)
        found += (np.nonzero(same)[0] + int(low)).tolist()
    return found

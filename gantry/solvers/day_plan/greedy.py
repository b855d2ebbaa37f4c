"""A plan at once: patients one after the other, each at the cheapest place that is still free."""

from collections.abc import Iterable, Sequence
from itertools import pairwise

import numpy as np

from gantry.solvers.day_plan.columns import Columns, Floats, Ints

FORWARD = 4
"""Places by which somebody moves forward in the next round for each unit of weight that was left out."""


class Filling:
    """What is free while a plan grows."""

    def __init__(self, columns: Columns) -> None:
        self.columns = columns
        self.load = np.zeros((len(columns.resources), columns.minutes), np.int64)
        self.full = np.zeros((len(columns.resources), columns.minutes + 1), np.int64)
        """Minutes before this one at which the resource has nothing left."""
        limits = [d.ordered_mbq if d.ordered_mbq is not None else d.most_mbq for d in columns.day.deliveries]
        self.left: Floats = np.array([np.inf if limit is None else limit for limit in limits])
        edges = np.searchsorted(columns.patient, np.arange(len(columns.day.patients) + 1))
        self.own = [np.arange(a, b) for a, b in pairwise(edges)]
        self.taken: dict[int, int] = {}

    def free(self, columns: Ints) -> Ints:
        c = self.columns
        good = c.drawn[columns] <= self.left[c.delivery[columns]]
        for kind in range(len(c.resource)):
            which = c.resource[kind, columns]
            start, end = c.starts[kind, columns] - c.first_minute, c.ends[kind, columns] - c.first_minute
            good &= self.full[which, end] == self.full[which, start]
        return columns[good]

    def take(self, column: int) -> None:
        c = self.columns
        for kind in range(len(c.resource)):
            start, end = c.starts[kind, column] - c.first_minute, c.ends[kind, column] - c.first_minute
            resource = c.resource[kind, column]
            self.load[resource, start:end] += 1
            np.cumsum(self.load[resource] >= c.capacity[resource], out=self.full[resource, 1:])
        self.left[c.delivery[column]] -= c.drawn[column]
        self.taken[int(c.patient[column])] = int(column)


def fill(columns: Columns, order: Iterable[int], costs: Floats, first: Sequence[int] = ()) -> tuple[int, ...]:
    """After those who are placed, each patient in turn takes the free visit that costs least, if one counts for anything."""
    filling = Filling(columns)
    for column in first:
        filling.take(column)
    for patient in order:
        mine = filling.own[patient]
        open_to = filling.free(mine[columns.value[mine] > 0]) if patient not in filling.taken else mine[:0]
        if len(open_to):
            filling.take(int(open_to[np.argmin(costs[open_to])]))
    return tuple(sorted(filling.taken.values()))


def guided(columns: Columns, fractions: Floats, reduced: Floats) -> list[tuple[int, ...]]:
    """Plans near the programme's: what it takes whole first, then whom it is surest of, each where it adds least."""
    patients = len(columns.day.patients)
    sure = np.zeros(patients)
    np.maximum.at(sure, columns.patient, fractions)
    near = np.bincount(columns.patient[reduced < 1.0], minlength=patients)
    found = []
    for key in (lambda i: (-sure[i], near[i]), lambda i: (near[i], -sure[i])):
        filling = Filling(columns)
        for column in np.nonzero(fractions > 0.99)[0]:
            if len(filling.free(np.array([column]))):
                filling.take(int(column))
        for patient in sorted(range(patients), key=key):
            mine = filling.own[patient]
            open_to = filling.free(mine[columns.value[mine] > 0]) if patient not in filling.taken else mine[:0]
            if len(open_to):
                filling.take(int(open_to[np.lexsort((-fractions[open_to], np.round(reduced[open_to], 6)))[0]]))
        found.append(tuple(sorted(filling.taken.values())))
    return found


def persistent(columns: Columns, costs: Floats, worth: Ints, rounds: int, first: Sequence[int] = ()) -> tuple[int, ...]:
    """The best of some rounds; whoever was left out of one comes earlier in the next."""
    day = columns.day
    patients = range(len(day.patients))
    room = np.bincount(columns.patient, minlength=len(day.patients))
    place = np.empty(len(day.patients))
    place[np.argsort(room, kind="stable")] = np.arange(len(day.patients))
    best: tuple[int, ...] = ()
    most = -1
    for _ in range(rounds):
        found = fill(columns, sorted(patients, key=lambda i: (day.patients[i].lock is None, place[i], i)), costs, first)
        if (score := int(worth[list(found)].sum())) > most:
            best, most = found, score
        left = np.setdiff1d(np.unique(columns.patient), columns.patient[list(found)])
        if not len(left):
            break
        place[left] -= [FORWARD * day.patients[i].weight for i in left]
    return best


def greedy(columns: Columns, first: Sequence[int] = ()) -> tuple[int, ...]:
    """The best of a few orders, by value, then moves, then cost. Visits in `first` are taken as they are."""
    day = columns.day
    patients = range(len(day.patients))
    room = np.bincount(columns.patient, minlength=len(day.patients))
    locked = [p.lock is None for p in day.patients]
    early = columns.scan.astype(float)
    dear = columns.pence.astype(float)
    stay = 1e9 * columns.moves
    keys = [
        (lambda i: (locked[i], -day.patients[i].weight / day.patients[i].scan_min, room[i]), stay + early),
        (lambda i: (locked[i], room[i]), stay + early),
        (lambda i: (locked[i], room[i]), stay + dear + 0.001 * early),
        (lambda i: (locked[i], day.patients[i].scan_min, room[i]), stay + early),
    ]
    found = [fill(columns, sorted(patients, key=key), costs, first) for key, costs in keys]

    def merit(plan: tuple[int, ...]) -> tuple[int, int, float]:
        chosen = list(plan)
        return -int(columns.value[chosen].sum()), int(columns.moves[chosen].sum()), float(columns.pence[chosen].sum())

    return min(found, key=merit)

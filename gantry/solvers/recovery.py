"""Finds whole plans after a failure, within a second: people keep their times where they can, then the fewest move.

Keep whoever can stay, insert the others where it asks least, then take some out and put them back better until time is up.
"""

import random
import time
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from gantry.domain.scheduling.failures import Situation, Standing, injected, standing
from gantry.domain.scheduling.occupied import most_of
from gantry.domain.scheduling.problem import Day, Patient, Plan, PlannedVisit, capacities, holds
from gantry.domain.scheduling.recovery import (
    Option,
    burden,
    day_for,
    faults_of,
    option,
    ranked,
    reason_left_out,
    rules_for,
    ways,
)

type Floats = npt.NDArray[np.float64]
type Ints = npt.NDArray[np.int64]
type Mask = npt.NDArray[np.bool_]

ABANDONED = 1e9
LOCKED = 1e8
OUT_OF_LIMIT = 1e6
CALLED_OFF = 1e5
PROTECTED = 2e4
MOVED = 1e3
PENNY = 1e-3
NEVER = -(10**6)


@dataclass(slots=True)
class Columns:
    """Every visit that one patient may have, side by side."""

    scanner: Ints
    delivery: Ints
    injection: Ints
    uptake: Ints
    mbq: Floats
    cost: Floats
    rows: Ints
    """[hold, column] → the resource's row."""
    starts: Ints
    ends: Ints
    old: int
    """The column of the time that the patient has now, or -1."""


class Board:
    """What is held and drawn at this point of the search, and where everybody stands in it."""

    def __init__(self, s: Situation, day: Day) -> None:
        self.s, self.day = s, day
        self.patients = day.patients
        limits = capacities(day)
        self.row = {name: index for index, name in enumerate(limits)}
        self.limit = np.array(list(limits.values()))
        stay = [standing(s, p) for p in s.day.patients]
        self.where = {p.ref: w for p, w in zip(s.day.patients, stay, strict=True)}
        self.hot = {p.ref for p in s.day.patients if injected(s, p)}
        self.locked = {p.ref for p, kept in zip(s.day.patients, day.patients, strict=True) if p.lock and kept.lock}
        self.burdens = {p.ref: burden(s, p) for p in s.day.patients}
        self.columns = [self._columns(p) for p in day.patients]
        low = min((int(c.starts.min()) for c in self.columns if len(c.cost)), default=0)
        high = max((int(c.ends.max()) for c in self.columns if len(c.cost)), default=1)
        self.low, self.span = low, high - low + 2
        self.count = np.zeros((len(self.limit), self.span), dtype=np.int64)
        self.full = np.zeros((len(self.limit), self.span + 1), dtype=np.int64)
        self.left = np.array([most_of(day, d.ref) for d in day.deliveries])
        self.fixed = np.array(
            [d.price_pence * PENNY if d.ordered_mbq is None else 0.0 for d in day.deliveries]
        )  # fmt: skip
        self.users = np.zeros(len(day.deliveries), dtype=np.int64)
        self.at = [-1] * len(self.patients)

    def _columns(self, patient: Patient) -> Columns:
        day, steps = self.day, self.day.steps
        found: list[tuple[Ints, Ints, Ints, Ints]] = []
        uptakes = np.array(
            [u for u in range(patient.uptake.least_min, patient.uptake.most_min + 1) if u % day.grid_min == 0],
            dtype=np.int64,
        )
        for index, scanner in enumerate(day.scanners):
            place = day.place(scanner.place)
            if patient.needs - scanner.capabilities - place.capabilities:
                continue
            if patient.away_pence and place.ref not in patient.away_pence:
                continue
            lock = patient.lock
            if lock and (lock.place not in (None, place.ref) or lock.scanner not in (None, scanner.ref)):
                continue
            for number, delivery in enumerate(day.deliveries):
                if delivery.place != place.ref or delivery.tracer != patient.tracer:
                    continue
                if lock and lock.delivery not in (None, delivery.ref):
                    continue
                first = -(-delivery.arrives_min // day.grid_min) * day.grid_min
                moments = np.arange(first, delivery.expires_min, day.grid_min, dtype=np.int64)
                if lock and lock.injection_min is not None:
                    moments = moments[moments == lock.injection_min]
                inj, upt = (a.ravel() for a in np.meshgrid(moments, uptakes, indexing="ij"))
                scan, came = inj + upt, inj - patient.preparation_min
                ok = np.zeros(len(inj), dtype=np.bool_)
                for window in scanner.open:
                    ok |= (window.start <= scan) & (scan + patient.scan_min <= window.end)
                ok &= came >= max(patient.earliest_min, place.opens.start, patient.reach_min.get(place.ref, 0))
                if patient.latest_min is not None:
                    ok &= came <= patient.latest_min
                ok &= scan + patient.scan_min + patient.recovery_min <= place.opens.end
                if patient.anaesthetist:
                    ready = scan + patient.scan_min + steps.anaesthesia_after_min
                    ok &= _inside(place.anaesthetist, scan, ready)
                if patient.play_specialist:
                    ok &= _inside(place.play_specialist, came, scan)
                count = int(ok.sum())
                if count:
                    found.append((np.full(count, index), np.full(count, number), inj[ok], upt[ok]))
        empty = np.zeros(0, dtype=np.int64)
        s, d, t, u = (np.concatenate(each) for each in zip(*found, strict=True)) if found else (empty,) * 4
        rows, starts, ends = self._holds(patient, s, t, u)
        old = self._old(patient, s, d, t, u)
        return Columns(s, d, t, u, self._mbq(patient, d, t), self._cost(patient, s, d, t, u), rows, starts, ends, old)

    def _mbq(self, patient: Patient, d: Ints, t: Ints) -> Floats:
        half_life = self.day.tracer(patient.tracer).half_life_min
        reference = np.array([x.reference_min for x in self.day.deliveries])
        mbq: Floats = patient.activity_mbq * np.exp2((t - reference[d]) / half_life) * (1 + self.day.loss_percent / 100)
        return mbq

    def _holds(self, patient: Patient, s: Ints, t: Ints, u: Ints) -> tuple[Ints, Ints, Ints]:
        """By the domain's own rule, once for each scanner; the minutes then shift with injection and uptake."""
        kinds: list[list[tuple[int, str]]] = []
        for scanner in self.day.scanners:
            late = PlannedVisit(patient.ref, scanner.ref, "", 0, 10**5)
            kinds.append([(self.row[h.resource], h.resource.partition(":")[0]) for h in holds(self.day, patient, late)])
        steps, scan = self.day.steps, t + u
        turn = np.array([x.turnaround_min for x in self.day.scanners], dtype=np.int64)
        spans: dict[str, tuple[Ints, Ints]] = {
            "scanner": (scan, scan + patient.scan_min + (turn[s] if len(s) else 0)),
            "room": (
                t - min(steps.room_before_min, patient.preparation_min),
                np.maximum(scan - steps.leaves_min, t),
            ),
            "injector": (t, t + steps.inject_min),
            "toilet": (
                scan - steps.void_min,
                np.where(u >= steps.void_min + steps.inject_min, scan, scan - steps.void_min),
            ),
            "anaesthetist": (scan, scan + patient.scan_min + steps.anaesthesia_after_min),
            "play": (t - patient.preparation_min, scan),
        }
        names = [name for _, name in kinds[0]] if kinds else []
        table = np.array([[row for row, _ in each] for each in kinds], dtype=np.int64).reshape(len(kinds), len(names))
        rows = table[s].T if len(s) else np.zeros((len(names), 0), dtype=np.int64)
        starts = np.array([spans[name][0] for name in names], dtype=np.int64).reshape(len(names), len(s))
        ends = np.array([spans[name][1] for name in names], dtype=np.int64).reshape(len(names), len(s))
        return rows, starts, ends

    def _old(self, patient: Patient, s: Ints, d: Ints, t: Ints, u: Ints) -> int:
        visit = self.s.plan.visit(patient.ref)
        if visit is None or not len(s):
            return -1
        scanner = next((i for i, x in enumerate(self.day.scanners) if x.ref == visit.scanner), -1)
        delivery = next((i for i, x in enumerate(self.day.deliveries) if x.ref == visit.delivery), -1)
        same = np.flatnonzero((s == scanner) & (d == delivery) & (t == visit.injection_min) & (u == visit.uptake_min))
        return int(same[0]) if len(same) else -1

    def _cost(self, patient: Patient, s: Ints, d: Ints, t: Ints, u: Ints) -> Floats:
        """What it asks of the patient and the purse, the gravest by far the dearest."""
        if not len(s):
            return np.zeros(0)
        cost = np.maximum(0, u - patient.uptake.target_min) * 0.5
        price = np.array(
            [x.price_pence_per_gbq / 1000 if x.ordered_mbq is None else 0.0 for x in self.day.deliveries]
        )  # fmt: skip
        cost = cost + PENNY * price[d] * self._mbq(patient, d, t)
        away = np.array([patient.away_pence.get(x.place, 0) for x in self.day.scanners])
        cost += PENNY * away[s]
        if patient.limit_min is not None:
            cost += np.where(t + u > patient.limit_min, 0.9 * OUT_OF_LIMIT * patient.weight, 0.0)
        visit = self.s.plan.visit(patient.ref)
        if visit is None or patient.ref in self.hot:
            return cost
        protected, before, _ = self.burdens[patient.ref]
        was = patient.told.arrival_min if patient.told else visit.injection_min - patient.preparation_min
        home = patient.told.place if patient.told else self.s.day.scanner(visit.scanner).place
        elsewhere = np.array([x.place != home for x in self.day.scanners])[s]
        moved = (t - patient.preparation_min != was) | elsewhere
        once = MOVED * (1 + 3 * before) + PROTECTED * protected
        cost += np.where(moved, once if patient.told else 1.0, 0.0) + np.where(elsewhere, 2 * MOVED, 0.0)
        shift = np.abs(t - patient.preparation_min - was)
        # A long wait for one is worse than short ones for several, so people keep their order.
        return cost + shift + 2.0 * (shift / 60) ** 2

    def out_cost(self, index: int) -> float:
        """What it costs to have nothing for this patient today."""
        patient = self.patients[index]
        if patient.ref in self.hot:
            return ABANDONED
        other = self.s.about(patient.ref).other_day
        protected, before, on_the_way = self.burdens[patient.ref]
        grave = CALLED_OFF if other and other.within_limit else OUT_OF_LIMIT
        if patient.ref in self.locked:
            grave = LOCKED
        return grave * patient.weight + MOVED * (5 + 6 * before + 5 * on_the_way) + 5 * PROTECTED * protected

    def fits(self, index: int) -> Mask:
        """Which of a patient's columns nothing stands against."""
        c = self.columns[index]
        ok: Mask = c.mbq <= self.left[c.delivery] + 1e-7
        for rows, starts, ends in zip(c.rows, c.starts, c.ends, strict=True):
            ok &= self.full[rows, ends - self.low] == self.full[rows, np.minimum(starts, ends) - self.low]
        return ok

    def put(self, index: int, column: int, units: int = 1) -> None:
        c = self.columns[index]
        for row, start, end in zip(c.rows[:, column], c.starts[:, column], c.ends[:, column], strict=True):
            if end > start:
                self.count[row, start - self.low : end - self.low] += units
                np.cumsum(self.count[row] >= self.limit[row], out=self.full[row, 1:])
        delivery = c.delivery[column]
        self.left[delivery] -= units * c.mbq[column]
        self.users[delivery] += units
        self.at[index] = column if units > 0 else -1

    def take(self, index: int) -> int:
        column = self.at[index]
        if column >= 0:
            self.put(index, column, -1)
        return column

    def place(self, index: int) -> bool:
        """The cheapest column that fits, if it is better than nothing."""
        c = self.columns[index]
        if not len(c.cost):
            return False
        opening = np.where(self.users[c.delivery] == 0, self.fixed[c.delivery], 0.0)
        cost = np.where(self.fits(index), c.cost + opening, np.inf)
        best = int(np.argmin(cost))
        if not np.isfinite(cost[best]) or cost[best] >= self.out_cost(index):
            return False
        self.put(index, best)
        return True

    def cost(self) -> float:
        total = float(self.fixed[self.users > 0].sum())
        return total + sum(
            float(self.columns[i].cost[c]) if c >= 0 else self.out_cost(i) for i, c in enumerate(self.at)
        )  # fmt: skip

    def keep(self, index: int) -> bool:
        """Where they are now, if that still stands."""
        column = self.columns[index].old
        if column < 0 or not self.fits(index)[column]:
            return False
        self.put(index, column)
        return True

    def plan(self) -> Plan:
        visits, out = [], {}
        for index, column in enumerate(self.at):
            patient, c = self.patients[index], self.columns[index]
            if column < 0:
                out[patient.ref] = reason_left_out(self.s, patient, could_have=len(c.cost) > 0)
                continue
            visits.append(
                PlannedVisit(
                    patient.ref,
                    self.day.scanners[int(c.scanner[column])].ref,
                    self.day.deliveries[int(c.delivery[column])].ref,
                    int(c.injection[column]),
                    int(c.uptake[column]),
                )
            )
        drawn: dict[str, float] = {}
        for index, column in enumerate(self.at):
            if column >= 0:
                delivery = self.day.deliveries[int(self.columns[index].delivery[column])]
                if delivery.ordered_mbq is None:
                    drawn[delivery.ref] = drawn.get(delivery.ref, 0.0) + float(self.columns[index].mbq[column])
        orders = {ref: max(mbq, self.day.delivery(ref).least_mbq) for ref, mbq in drawn.items()}
        return Plan(tuple(visits), orders, out)


def _inside(windows: tuple[object, ...], start: Ints, end: Ints) -> Mask:
    ok = np.zeros(len(start), dtype=np.bool_)
    for window in windows:
        ok |= (window.start <= start) & (end <= window.end)  # type: ignore[attr-defined]
    return ok


def repair(s: Situation, day: Day, *, seconds: float, seed: int = 1) -> Plan:
    """One whole plan of the day that is left, as near to the old one as it can be."""
    board, chance = Board(s, day), random.Random(seed)
    until = time.perf_counter() + seconds
    pinned = {i for i, p in enumerate(day.patients) if board.where[p.ref] in (Standing.SCANNING, Standing.SCANNED)}
    order = sorted(
        range(len(day.patients)),
        key=lambda i: (
            i not in pinned,
            day.patients[i].ref not in board.hot,
            board.patients[i].ref not in board.locked,
            *(-b for b in board.burdens[day.patients[i].ref][:1]),
            -day.patients[i].weight,
            *(-b for b in board.burdens[day.patients[i].ref]),
        ),
    )
    for index in order:
        board.keep(index) or (day.patients[index].ref in board.hot and board.place(index))
    for index in order:
        if board.at[index] < 0:
            board.place(index)
    improve(board, [i for i in range(len(day.patients)) if i not in pinned], chance, until)
    rescue(board, order)
    spare(board, pinned)
    return board.plan()


def improve(board: Board, free: list[int], chance: random.Random, until: float) -> None:
    """Take a few out and put them back; keep what is no worse."""
    best, quiet = board.cost(), 0
    while time.perf_counter() < until and quiet < 40 + 4 * len(free):
        unhappy = [i for i in free if board.at[i] < 0 or board.at[i] != board.columns[i].old]
        if not unhappy:
            return
        picked = {chance.choice(unhappy), *chance.sample(free, min(len(free), chance.randint(1, 4)))}
        before = {i: board.take(i) for i in picked}
        again = sorted(picked, key=lambda i: (-board.out_cost(i) * chance.uniform(0.5, 1.5), i))
        for index in again:
            if not (chance.random() < 0.5 and board.keep(index)):
                board.place(index)
        cost = board.cost()
        if cost <= best + 1e-9:
            quiet = 0 if cost < best - 1e-9 else quiet + 1
            best = cost
            continue
        quiet += 1
        for index in picked:
            board.take(index)
        for index, column in before.items():
            if column >= 0:
                board.put(index, column)


def rescue(board: Board, order: list[int]) -> None:
    """Whoever is injected and has no scan goes before everybody who is not."""
    hot = [i for i in order if board.patients[i].ref in board.hot]
    if all(board.at[i] >= 0 for i in hot):
        return
    cold = {i: board.take(i) for i in order if i not in set(hot)}
    for index in hot:
        if board.at[index] < 0:
            board.place(index)
    for index, column in cold.items():
        if column >= 0 and board.fits(index)[column]:
            board.put(index, column)
    for index in cold:
        if board.at[index] < 0:
            board.place(index)


def spare(board: Board, pinned: set[int]) -> None:
    """The rules with memory, to the letter: back to the old time for nothing, or for somebody who was never moved."""
    for _ in range(3 * len(board.patients)):
        if not any(_spared(board, i) for i in range(len(board.patients)) if i not in pinned):
            return


def _spared(board: Board, index: int) -> bool:
    c, patient = board.columns[index], board.patients[index]
    if c.old < 0 or board.at[index] == c.old or patient.ref in board.hot or _unmoved(board, index):
        return False
    now = board.take(index)
    if board.keep(index):
        return True
    s = board.s
    for other, column in enumerate(board.at):
        mate = board.patients[other]
        if column < 0 or other == index or mate.ref in board.hot or not _unmoved(board, other):
            continue
        if (
            mate.weight > patient.weight
            or mate.told is None
            or s.day.patient(mate.ref).lock
            or not rules_for(s, patient, mate)
        ):
            continue
        board.take(other)
        if board.keep(index):
            if now < 0 or board.place(other):
                if board.at[other] < 0:
                    board.place(other)
                return True
            board.take(index)
        board.put(other, column)
    if now >= 0:
        board.put(index, now)
    return False


def _unmoved(board: Board, index: int) -> bool:
    """By arrival and place: another scanner beside the old one, or another run, moves nobody."""
    c, patient, column = board.columns[index], board.patients[index], board.at[index]
    visit = board.s.plan.visit(patient.ref)
    if column < 0 or visit is None:
        return False
    place = board.day.scanners[int(c.scanner[column])].place
    if patient.told:
        came = int(c.injection[column]) - patient.preparation_min
        return (came, place) == (patient.told.arrival_min, patient.told.place)
    return int(c.injection[column]) == visit.injection_min and place == board.s.day.scanner(visit.scanner).place


def options_after(s: Situation, *, seconds: float = 0.5, seed: int = 1, most: int = 3) -> list[Option]:
    """The best whole options, each judged; an option with a fault is never shown."""
    tried, until = ways(s), time.perf_counter() + 0.75 * seconds
    found = []
    for number, (way, fraction) in enumerate(tried):
        share = max(0.0, until - time.perf_counter()) / (len(tried) - number)
        plan = repair(s, day_for(s, way, fraction), seconds=share / 2, seed=seed)
        found.append(option(s, way, plan, fraction))
    best: list[Option] = []
    for each in ranked(s, found, most=len(found)):
        # Whatever ranks above it, one that can be done at once stands among those that somebody must be asked for.
        last = len(best) == most and each.ready and not any(option.ready for option in best)
        if (len(best) < most or last) and not faults_of(s, each):
            best[most - 1 :] = [each]
    return best


__all__ = ["options_after", "repair"]

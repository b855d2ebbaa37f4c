"""The best plan of a day, with a proof of what no plan can beat.

Objectives in order, the gravest first: priority-weighted patients scanned before their limit; patients moved after being
told; activity ordered and wasted, priced; overtime; waiting; staff dose. A person's lock is a constraint. What is not
proved is not said to be.
"""

from dataclasses import dataclass, replace
from enum import StrEnum
from time import perf_counter

import numpy as np

from gantry.domain.scheduling.certificate import Certificate, Prices, chargeable
from gantry.domain.scheduling.check import drawn, score
from gantry.domain.scheduling.problem import Day, Plan, Score, why_left_out
from gantry.solvers.day_plan.activity import (
    TIE_PENCE,
    Cheapest,
    candidates,
    cheapest,
    placed_pence,
    reaches,
    too_dear,
    total_pence,
)
from gantry.solvers.day_plan.columns import Columns, Ints, columns_of
from gantry.solvers.day_plan.counting import most
from gantry.solvers.day_plan.greedy import Filling, greedy, persistent
from gantry.solvers.day_plan.packing import Packing
from gantry.solvers.day_plan.places import as_columns, day_at, settled
from gantry.solvers.day_plan.reaching import ROUNDS, most_reached, rounded
from gantry.solvers.day_plan.reasons import conflict
from gantry.solvers.day_plan.relaxation import MANY_COLUMNS, Branch, Relaxation

SPARSE_MIN = 60
"""How far apart first guesses of a scan are where there are very many columns."""


TIE_NODES = 200
"""How long ties are looked through, in branches and not in seconds: the same day gives the same plan."""


class Stage(StrEnum):
    IN_TIME = "in_time"
    MOVED = "moved"
    ACTIVITY = "activity"
    OVERTIME = "overtime"
    WAITING = "waiting"
    DOSE = "dose"


@dataclass(frozen=True, slots=True)
class Planned:
    plan: Plan
    score: Score
    bound: float
    """Pence of activity below which no plan of this value and these moves can cost, by the certificate."""
    gap: float
    """How much of the activity's cost is not proved by the certificate."""
    certificate: Certificate
    proved: frozenset[Stage]
    """The objectives at which no plan is better, those before being equal."""


@dataclass(frozen=True, slots=True)
class Infeasible:
    reasons: tuple[str, ...]
    """Locks that cannot all be kept."""
    smallest: bool = True
    """No fewer contradict one another: proved. Else none of these is known to be superfluous."""


@dataclass(frozen=True, slots=True)
class Unfinished:
    """Time ran out with no plan that keeps every lock, and no proof that there is none."""

    bound: int
    """At least this much weight is left unscanned by any plan."""


@dataclass(frozen=True, slots=True)
class Reached:
    """What the first two objectives come to, as one whole number: value × scale − moves."""

    scale: int
    score: int
    top: int
    columns: tuple[int, ...] | None
    best: tuple[int, ...] = ()
    """The best plan in hand where none is known that comes to the score."""

    @property
    def value(self) -> int:
        return -(-self.score // self.scale)

    @property
    def moves(self) -> int:
        return self.value * self.scale - self.score


def plan_day(
    day: Day, *, seconds: float = 30.0, seed: int = 0, before: Plan | None = None
) -> Planned | Infeasible | Unfinished:
    """`before` is a plan of this day as it was: what still stands of it is where the search begins, and binds nothing."""
    return plan_columns(columns_of(day), deadline=perf_counter() + seconds, seed=seed, before=before)


def plan_columns(
    columns: Columns, *, deadline: float, seed: int, before: Plan | None = None
) -> Planned | Infeasible | Unfinished:
    columns = columns.undominated()
    day = columns.day
    locks = sum(p.lock is not None for p in day.patients)
    if not columns.count:
        return infeasible(day, deadline, seed) if locks else nobody(day)
    relaxation = Relaxation(columns, deadline, seed)
    reached = first_reach(columns, relaxation, standing(columns, before))
    locked_worth = locks * columns.lock_value * reached.scale
    if -(-reached.top // reached.scale) * reached.scale < locked_worth:
        return infeasible(day, deadline, seed)
    if columns.count > MANY_COLUMNS and len(day.places) > 1:
        reached = place_by_place(columns, relaxation, reached, deadline, seed)
    found = cheapest_at(columns, relaxation, reached, deadline, seed)
    if found.columns is None:
        reached = exact_reach(columns, reached, deadline=(perf_counter() + deadline) / 2, seed=seed)
        if kept_locks(columns, reached.columns or ()) < locks:
            if reached.score == reached.top:
                return infeasible(day, deadline, seed)
            unscanned = sum(p.weight for p in day.patients) - (
                -(-reached.top // reached.scale) - locks * columns.lock_value
            )
            return Unfinished(max(0, unscanned))
        found = cheapest_at(columns, relaxation, reached, deadline, seed)
    return finished(columns, reached, found, deadline, seed)


def infeasible(day: Day, deadline: float, seed: int) -> Infeasible:
    found = conflict(day, deadline=deadline, seed=seed)
    return Infeasible(found.reasons, found.smallest)


def kept_locks(columns: Columns, chosen: tuple[int, ...]) -> int:
    return sum(columns.day.patients[columns.patient[c]].lock is not None for c in chosen)


def nobody(day: Day) -> Planned:
    plan = Plan((), {}, {p.ref: why_left_out(day, p) for p in day.patients})
    runs = frozenset(d.ref for d in day.deliveries if chargeable(d))
    certificate = Certificate(0, 0, (Prices(frozenset(), runs),))
    reached = score(day, plan)
    return Planned(plan, reached, reached.activity_pence, 0.0, certificate, frozenset(Stage))


def worth(columns: Columns, scale: int) -> Ints:
    each: Ints = columns.value * scale - columns.moves
    return each


def first_reach(columns: Columns, relaxation: Relaxation, before: tuple[int, ...] = ()) -> Reached:
    """A plan at once; if it is not plainly the best, the programme's floor says how far one could get."""
    scale = 1 + sum(1 + p.told.moves_before for p in columns.day.patients if p.told is not None)
    each = worth(columns, scale)
    chosen = max(
        at_once(columns, relaxation.deadline, relaxation.seed),
        continued(columns, each, before),
        key=lambda plan: int(each[list(plan)].sum()),
    )
    score_now = int(each[list(chosen)].sum())
    best_alone = np.zeros(len(columns.day.patients), np.int64)
    np.maximum.at(best_alone, columns.patient, each)
    top = int(best_alone.sum())
    few = np.array(chosen, dtype=np.int64)
    relaxation.price(columns.pence, 0.0, 0.0, fixed=False)
    relaxation.take(few)
    relaxation.take(starters(columns))
    relaxation.watch(
        [("minute", g, int(m)) for g in range(len(columns.groups)) for m in np.unique(columns.scan[columns.group == g])]
    )
    if score_now == top:
        return Reached(scale, top, top, chosen)
    relaxation.ask(0, 1 << 30)
    beyond = 1.0 + float(best_alone.sum())
    relaxation.price(-each.astype(float), beyond, beyond, fixed=False)
    relaxed = relaxation.solve(Branch(), fixed_costs=False)
    if columns.count > MANY_COLUMNS:
        top = min(top, rounded(relaxed))
        return Reached(scale, top, top, chosen if score_now == top else None, chosen)
    until = perf_counter() + (relaxation.deadline - perf_counter()) / 2
    chosen, top = most_reached(columns, relaxation, relaxed, each, chosen, until)
    return Reached(scale, top, top, chosen if int(each[list(chosen)].sum()) == top else None, chosen)


def standing(columns: Columns, before: Plan | None) -> tuple[int, ...]:
    """What of a plan from before is still allowed, as columns."""
    if before is None:
        return ()
    day = columns.day
    group = {scanner.ref: number for number, members in enumerate(columns.groups) for scanner in members}
    delivery = {each.ref: number for number, each in enumerate(day.deliveries)}
    found = []
    for number, patient in enumerate(day.patients):
        visit = before.visit(patient.ref)
        if visit is None or visit.scanner not in group or visit.delivery not in delivery:
            continue
        same = (columns.patient == number) & (columns.group == group[visit.scanner])
        same &= (columns.injection == visit.injection_min) & (columns.uptake == visit.uptake_min)
        of_run = same & (columns.delivery == delivery[visit.delivery])
        found += np.nonzero(of_run if of_run.any() else same)[0][:1].tolist()
    return tuple(found)


def continued(columns: Columns, each: Ints, before: tuple[int, ...]) -> tuple[int, ...]:
    """The plan from before as far as it stands, with everybody else put in where there is room."""
    if not before:
        return ()
    filling = Filling(columns)
    locked = [column for column in before if columns.day.patients[columns.patient[column]].lock is not None]
    for column in dict.fromkeys((*locked, *before)):
        if len(filling.free(np.array([column]))):
            filling.take(column)
    return persistent(columns, columns.pence + columns.scan / 1000, each, ROUNDS, tuple(filling.taken.values()))


def place_by_place(columns: Columns, relaxation: Relaxation, reached: Reached, deadline: float, seed: int) -> Reached:
    """A plan of many places put together from a best plan of each, if that is all that could be reached."""
    dear = too_dear(columns)
    relaxation.ask(reached.value, reached.moves)
    relaxation.price(columns.pence, dear, dear, fixed=True)
    where = settled(columns, relaxation, deadline)
    chosen: list[int] = []
    for number in range(len(columns.day.places)):
        part = columns_of(day_at(columns.day, number, np.nonzero(where == number)[0])).undominated()
        if not part.count:
            continue
        of_part = Relaxation(part, deadline, seed)
        found = cheapest_at(part, of_part, first_reach(part, of_part), deadline, seed)
        chosen += as_columns(columns, part, found.columns or ())
    plan = tuple(sorted(chosen))
    if not reaches(columns, plan, reached.value, reached.moves):
        return reached
    if reached.columns is not None and total_pence(columns, reached.columns) <= total_pence(columns, plan):
        return reached
    return replace(reached, columns=plan)


def at_once(columns: Columns, deadline: float, seed: int) -> tuple[int, ...]:
    chosen = greedy(columns)
    if kept_locks(columns, chosen) == sum(p.lock is not None for p in columns.day.patients):
        return chosen
    return greedy(columns, locked_together(columns, deadline, seed))


def locked_together(columns: Columns, deadline: float, seed: int) -> tuple[int, ...]:
    """Visits that keep every lock, if any do: one after the other they can get into each other's way."""
    locked = np.array([p.lock is not None for p in columns.day.patients])
    few = np.nonzero(locked[columns.patient])[0]
    packing = Packing(columns, few, value=int(locked.sum()) * columns.lock_value, moves=1 << 30)
    packed = packing.solve(np.concatenate(packing.pence()), deadline=deadline, seed=seed, nodes=TIE_NODES)
    return () if packed is None else packed.columns


def starters(columns: Columns) -> Ints:
    """For each patient, group and start of scan, the cheapest column; fewer starts where there are very many."""
    starts = columns.scan // (1 if columns.count <= MANY_COLUMNS else SPARSE_MIN)
    order = np.lexsort((columns.pence, starts, columns.group, columns.patient))
    key = np.stack([columns.patient[order], columns.group[order], starts[order]], 1)
    new = np.concatenate([[True], (np.diff(key, axis=0) != 0).any(axis=1)])
    first: Ints = order[new]
    return first


def exact_reach(columns: Columns, reached: Reached, *, deadline: float, seed: int) -> Reached:
    """The floor was not reached by the columns that looked best: settle who can be scanned by intervals."""
    each = worth(columns, reached.scale)
    chosen = max(at_once(columns, deadline, seed), reached.best, key=lambda plan: int(each[list(plan)].sum()))
    counted = most(columns, each, deadline=deadline, seed=seed, hint=chosen)
    best = max((counted.columns, chosen), key=lambda plan: int(each[list(plan)].sum()))
    return Reached(reached.scale, int(each[list(best)].sum()), min(reached.top, counted.bound), best)


def cheapest_at(columns: Columns, relaxation: Relaxation, reached: Reached, deadline: float, seed: int) -> Cheapest:
    return cheapest(
        columns,
        relaxation,
        value=reached.value,
        moves=reached.moves,
        known=reached.columns,
        deadline=deadline,
        seed=seed,
    )


def finished(columns: Columns, reached: Reached, found: Cheapest, deadline: float, seed: int) -> Planned:
    day = columns.day
    chosen, ties = among_ties(columns, reached, found, deadline, seed)
    visits = columns.visits(chosen)
    bare = Plan(visits)
    used = {v.delivery for v in visits}
    orders = {
        d.ref: max(d.least_mbq, drawn(day, bare, d)) for d in day.deliveries if d.ordered_mbq is None and d.ref in used
    }
    planned = {v.patient for v in visits}
    plan = Plan(visits, orders, {p.ref: why_left_out(day, p) for p in day.patients if p.ref not in planned})
    result = score(day, plan)
    locks = sum(p.lock is not None for p in day.patients)
    certificate = Certificate(
        reached.value - locks * columns.lock_value, reached.moves, tuple(leaf.prices for leaf in found.leaves)
    )
    gap = max(0.0, result.activity_pence - found.bound) / max(1.0, abs(result.activity_pence))
    proved: set[Stage] = set()
    if reached.score == reached.top:
        proved |= {Stage.IN_TIME, Stage.MOVED}
        if found.exact:
            proved |= {Stage.ACTIVITY, *ties}
    return Planned(plan, result, found.bound, gap, certificate, frozenset(proved))


def among_ties(
    columns: Columns, reached: Reached, found: Cheapest, deadline: float, seed: int
) -> tuple[tuple[int, ...], tuple[Stage, ...]]:
    """Of plans that cost the same: least overtime, then waiting, then staff dose."""
    chosen = found.columns or ()
    few = np.union1d(candidates(columns, found.leaves, found.pence + TIE_PENCE), np.array(chosen, dtype=np.int64))
    if len(few) > 4000:
        few = np.array(chosen, dtype=np.int64)
    packing = Packing(columns, few, value=reached.value, moves=reached.moves)
    packing.costs_at_most(found.pence - placed_pence(columns) + TIE_PENCE)
    beyond = packing.minutes_beyond()
    waiting, dose = columns.waiting(few).astype(float), columns.dose(few)
    proved: list[Stage] = []
    for stage, costs in ((Stage.OVERTIME, beyond), (Stage.WAITING, waiting), (Stage.DOSE, dose)):
        if costs.any():
            packed = packing.solve(costs, deadline=deadline, seed=seed, hint=chosen, nodes=TIE_NODES)
            if packed is None or not packed.proved:
                break
            chosen = packed.columns
            some = np.nonzero(costs)[0]
            slack = 1e-4 if stage is Stage.DOSE else 0.5
            packing.row(some, costs[some], float("-inf"), packed.amount + slack)
        proved.append(stage)
    return chosen, tuple(proved)

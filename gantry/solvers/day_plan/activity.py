"""The cheapest activity for a given value and moves: branch a little, pack, and branch on until the proof is closed.

Each leaf is one choice of runs and starts with a bound of its own. A column can be in a plan cheaper than a target only if, in some
leaf, the bound plus its reduced cost stays below the target; the few that can are packed exactly.
"""

from dataclasses import dataclass, replace
from time import perf_counter

import numpy as np

from gantry.domain.scheduling.certificate import chargeable
from gantry.solvers.day_plan.branching import by_patients, by_runs, lowest, open_still
from gantry.solvers.day_plan.columns import Columns, Ints
from gantry.solvers.day_plan.greedy import guided
from gantry.solvers.day_plan.packing import Packed, Packing
from gantry.solvers.day_plan.relaxation import MANY_COLUMNS, Branch, Relaxation, Relaxed

GROW = 8
"""Splits between one packing and the next, wider one."""
NODES = 200
"""How far a packing goes before the relaxation is split further instead."""
TIE_PENCE = 1e-5
"""Plans this near in price are ties: what follows in the order of objectives decides."""
MANY = 20_000
NEXT_FEW = 4
ENOUGH = 5e-4
"""Where there are very many columns, a plan this near its bound is not looked beyond: half of 0.1 %."""
WIDER = (1.0, 5.0, 25.0, 125.0, float("inf"))
"""How the target is raised, times 0.02 %, while nothing that cheap can be packed; never above a plan in hand."""
BLIND = 5.0
"""How far without any plan in hand: then it is better to ask first who can be scanned."""


@dataclass(frozen=True, slots=True, eq=False)
class Cheapest:
    columns: tuple[int, ...] | None
    pence: float
    bound: float
    leaves: tuple[Relaxed, ...]
    exact: bool
    """No plan is cheaper at all, and every tie is among the columns that the leaves leave in."""


def placed_pence(columns: Columns) -> float:
    """What would be wasted of orders already placed if nobody came: columns take their part off it."""
    day = columns.day
    return sum((d.ordered_mbq or 0.0) / 1000 * day.waste_pence_per_gbq for d in day.deliveries)


def total_pence(columns: Columns, chosen: tuple[int, ...]) -> float:
    some = np.array(chosen, dtype=np.int64)
    total = placed_pence(columns) + float(columns.pence[some].sum())
    for number, delivery in enumerate(columns.day.deliveries):
        mine = some[columns.delivery[some] == number]
        if len(mine) and chargeable(delivery):
            short = max(0.0, delivery.least_mbq - float(columns.drawn[mine].sum()))
            total += delivery.price_pence + short * delivery.price_pence_per_gbq / 1000
    return total


def too_dear(columns: Columns) -> float:
    """More than any plan costs: the price of missing one unit of value."""
    worst = np.zeros(len(columns.day.patients))
    np.maximum.at(worst, columns.patient, np.abs(columns.pence))
    runs = sum(d.price_pence + d.least_mbq * d.price_pence_per_gbq / 1000 for d in columns.day.deliveries)
    return float(worst.sum()) + runs + 1.0


def cheapest(
    columns: Columns,
    relaxation: Relaxation,
    *,
    value: int,
    moves: int,
    known: tuple[int, ...] | None,
    deadline: float,
    seed: int,
) -> Cheapest:
    """`known` is a plan of this value and moves, if there is one already."""
    dear = too_dear(columns)
    relaxation.ask(value, moves)
    relaxation.price(columns.pence, dear, dear, fixed=True)
    best, pence = known, total_pence(columns, known) if known is not None else float("inf")
    many = columns.count > MANY_COLUMNS
    leaves = by_runs(relaxation, [relaxation.solve(Branch())], pence, deadline)
    exact = False
    for step, widen in enumerate(WIDER):
        if step and not many and best is not None:
            leaves = by_patients(relaxation, leaves, pence, deadline, more=GROW)
        low = lowest(leaves).bound
        if best is None and low > dear * 0.9:
            return Cheapest(None, pence, low, tuple(leaves), False)
        for plan in guided(columns, lowest(leaves).values, lowest(leaves).reduced):
            if reaches(columns, plan, value, moves) and (found := total_pence(columns, plan)) < pence - 1e-9:
                best, pence = plan, found
        if best is not None and many and pence <= low * (1 + ENOUGH):
            break
        target = min(low + max(1.0, 2e-4 * abs(low)) * widen, max(pence, low))
        last = target >= pence and not open_still(leaves, pence, deadline)
        packed = pack(
            columns,
            leaves,
            target,
            value,
            moves,
            best,
            # Never all the time there is: where no packing ends, splitting on still brings the bound nearer.
            deadline=(perf_counter() + deadline) / 2,
            seed=seed,
            nodes=None if many or last else NODES,
        )
        if packed is not None and (found := total_pence(columns, packed.columns)) < pence - 1e-9:
            best, pence = packed.columns, found
        exact = packed is not None and packed.proved and pence <= target + TIE_PENCE
        if exact or perf_counter() > deadline or (best is None and widen >= BLIND):
            break
    if best is not None and not many:
        leaves = by_patients(relaxation, leaves, pence, deadline)
    return Cheapest(best, pence, lowest(leaves).bound, tuple(leaves), exact)


def reaches(columns: Columns, plan: tuple[int, ...], value: int, moves: int) -> bool:
    chosen = list(plan)
    return int(columns.value[chosen].sum()) >= value and int(columns.moves[chosen].sum()) <= moves


def candidates(columns: Columns, leaves: list[Relaxed] | tuple[Relaxed, ...], target: float) -> Ints:
    """Columns that can be in a plan that costs no more than the target."""
    able = np.zeros(columns.count, bool)
    for leaf in leaves:
        if leaf.bound <= target + 1e-6:
            able |= leaf.bound + leaf.reduced <= target + 1e-6
    return np.nonzero(able)[0]


def likeliest(columns: Columns, leaves: list[Relaxed], few: Ints) -> Ints:
    """What the programme takes, and for each patient the next few: a plan comes out of these, but no proof."""
    lowest = min(leaves, key=lambda leaf: leaf.bound)
    order = few[np.lexsort((lowest.reduced[few], -lowest.values[few], columns.patient[few]))]
    who = columns.patient[order]
    rank = np.arange(len(order)) - np.searchsorted(who, who)
    taken: Ints = np.sort(order[(rank < NEXT_FEW) | (lowest.values[order] > 1e-6)])
    return taken


def pack(
    columns: Columns,
    leaves: list[Relaxed],
    target: float,
    value: int,
    moves: int,
    known: tuple[int, ...] | None,
    *,
    deadline: float,
    seed: int,
    nodes: int | None,
) -> Packed | None:
    few = candidates(columns, leaves, target)
    whole = len(few) <= MANY
    if not whole:
        few = likeliest(columns, leaves, few)
    if known is not None:
        few = np.union1d(few, np.array(known, dtype=np.int64))
    packing = Packing(columns, few, value=value, moves=moves)
    packed = packing.solve(
        np.concatenate(packing.pence()),
        deadline=deadline,
        seed=seed,
        gap=0.0 if whole else ENOUGH / 2,
        hint=known if known is not None else (),
        **({} if nodes is None else {"nodes": nodes}),
    )
    return packed if packed is None or whole else replace(packed, proved=False)

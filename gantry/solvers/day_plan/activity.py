"""The cheapest activity for a given value and moves: branch over the runs that cost something to use, then pack.

Each leaf is one choice of runs with a bound of its own. A column can be in a plan cheaper than a target only if, in some
leaf, the bound plus its reduced cost stays below the target; the few that can are packed exactly.
"""

from dataclasses import dataclass, replace
from time import perf_counter

import numpy as np

from gantry.domain.scheduling.certificate import chargeable
from gantry.solvers.day_plan.columns import Columns, Ints
from gantry.solvers.day_plan.greedy import guided
from gantry.solvers.day_plan.packing import Packed, Packing
from gantry.solvers.day_plan.relaxation import MANY_COLUMNS, Relaxation, Relaxed, Runs

CLOSE = 1e-4
"""A gap of 0.01 %: where the proof is called closed."""
LEAVES = 128
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
    leaves = [relaxation.solve(Runs())]
    while True:
        leaves = branched(relaxation, leaves, pence, deadline)
        low = min(leaf.bound for leaf in leaves)
        if best is None and low > dear * 0.9:
            return Cheapest(None, pence, low, tuple(leaves), False)
        lowest = min(leaves, key=lambda leaf: leaf.bound)
        for plan in guided(columns, lowest.values, lowest.reduced):
            if reaches(columns, plan, value, moves) and (found := total_pence(columns, plan)) < pence - 1e-9:
                best, pence = plan, found
        exact = False
        for widen in WIDER:
            target = min(low + max(1.0, 2e-4 * abs(low)) * widen, max(pence, low))
            packed = pack(columns, leaves, target, value, moves, best, deadline=deadline, seed=seed)
            if packed is not None and (found := total_pence(columns, packed.columns)) < pence - 1e-9:
                best, pence = packed.columns, found
            exact = packed is not None and packed.proved and pence <= target + TIE_PENCE
            enough = best is not None and columns.count > MANY_COLUMNS and pence <= low * (1 + ENOUGH)
            if exact or enough or perf_counter() > deadline or (best is None and widen >= BLIND):
                break
        if best is None or perf_counter() > deadline or not splittable(leaves, pence):
            return Cheapest(best, pence, low, tuple(leaves), exact)


def reaches(columns: Columns, plan: tuple[int, ...], value: int, moves: int) -> bool:
    chosen = list(plan)
    return int(columns.value[chosen].sum()) >= value and int(columns.moves[chosen].sum()) <= moves


def undecided(leaf: Relaxed) -> int | None:
    """The run that the leaf uses most nearly by half."""
    open_runs = {n: abs(used - 0.5) for n, used in leaf.used.items() if n not in leaf.runs.paid | leaf.runs.banned}
    halves = {n: away for n, away in open_runs.items() if away < 0.5 - 1e-6}
    return min(halves, key=lambda n: (halves[n], n)) if halves else None


def splittable(leaves: list[Relaxed], pence: float) -> bool:
    lowest = min(leaves, key=lambda leaf: leaf.bound)
    return len(leaves) < LEAVES and undecided(lowest) is not None and lowest.bound < pence * (1 - CLOSE)


def branched(relaxation: Relaxation, leaves: list[Relaxed], pence: float, deadline: float) -> list[Relaxed]:
    """Split the lowest leaf until its runs are decided or it is close enough to the plan in hand."""
    leaves = list(leaves)
    while splittable(leaves, pence) and perf_counter() < deadline:
        lowest = min(leaves, key=lambda leaf: leaf.bound)
        run = undecided(lowest)
        if run is None:
            break
        runs = lowest.runs
        both = [
            relaxation.solve(Runs(runs.paid | {run}, runs.banned)),
            relaxation.solve(Runs(runs.paid, runs.banned | {run})),
        ]
        leaves.remove(lowest)
        leaves += both
    return leaves


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
    )
    return packed if packed is None or whole else replace(packed, proved=False)

"""How much can be reached of the two gravest objectives: the relaxation is split until no part of it promises more than a plan has.

The score is a whole number, so that a part whose floor rounds to the plan in hand is done with. A split over how many draw on
a delivery moves the bound at once where activity is what is scarce.
"""

from collections.abc import Callable
from time import perf_counter

import numpy as np

from gantry.solvers.day_plan.branching import in_part, torn_counts, torn_draws, torn_starts
from gantry.solvers.day_plan.columns import Columns, Ints
from gantry.solvers.day_plan.greedy import guided, persistent
from gantry.solvers.day_plan.relaxation import Branch, Relaxation, Relaxed

type Split = Callable[[Columns, Relaxed], list[tuple[Branch, Branch]]]

SPLITS = 60
TRIED = 3
ROUNDS = 6
FLAT = 1e-4
WORTH_IT = 0.01
"""How far both halves of a split have to move for no other kind of split to be tried."""


def most_reached(
    columns: Columns, relaxation: Relaxation, root: Relaxed, each: Ints, known: tuple[int, ...], deadline: float
) -> tuple[tuple[int, ...], int]:
    """A plan of the highest sum of `each`, and what none can exceed: the same number if there was time to prove it."""
    best, reached = known, int(each[list(known)].sum())
    leaves = [root]
    for _ in range(SPLITS):
        top = max(map(rounded, leaves))
        if top <= reached or perf_counter() > deadline:
            break
        # Of those that promise the most the last one found: a plan is nearer there.
        leaf = next(one for one in reversed(leaves) if rounded(one) == top)
        near = leaf.reduced * 10 - leaf.values * 100 + columns.pence / 1000
        for plan in (
            *guided(columns, leaf.values, leaf.reduced),
            persistent(columns, near, each, ROUNDS),
        ):
            if (score := int(each[list(plan)].sum())) > reached:
                best, reached = plan, score
        if rounded(leaf) <= reached:
            continue
        parts = split(columns, relaxation, leaf)
        if not parts:
            break
        leaves = [one for one in leaves if one is not leaf and rounded(one) > reached] + parts
    return best, max(reached, *map(rounded, leaves))


def rounded(leaf: Relaxed) -> int:
    return int(np.floor(-leaf.bound + 1e-6)) if np.isfinite(leaf.bound) else -(1 << 60)


def split(columns: Columns, relaxation: Relaxation, leaf: Relaxed) -> list[Relaxed]:
    """The two parts that promise least, the likelier of them last. A leaf that promises a whole number is hardly moved by
    any split: few are tried then."""
    best: tuple[float, list[Relaxed]] = (-1.0, [])
    tried = 1 if -leaf.bound - rounded(leaf) < FLAT else TRIED
    kinds: tuple[Split, ...] = (in_part, torn_counts, torn_draws, torn_starts)
    for kind in kinds:
        for pair in kind(columns, leaf)[:tried]:
            parts = [relaxation.solve(branch, fixed_costs=False) for branch in pair]
            rises = sorted(min(1.0, max(0.0, part.bound - leaf.bound)) for part in parts)
            merit = max(rises[0], 1e-3) * max(rises[1], 1e-3)
            if merit > best[0]:
                best = merit, sorted(parts, key=lambda part: -part.bound)
        if best[0] > WORTH_IT:
            break
    return best[1]

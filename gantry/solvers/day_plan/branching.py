"""Where the relaxation is split so that its bound rises: first over runs that cost something, then over single patients.

A leaf is one branch with prices of its own; together the leaves speak for every plan. Splitting a patient's starts in two
takes away the cheap mixture of early and late that no whole plan can have; so with the deliveries that they draw on,
with patients who are scanned in part so that the value comes out, and with how many draw on a delivery: where activity is
scarce that speaks for every choice of who they are.
"""

from dataclasses import replace
from time import perf_counter

import numpy as np

from gantry.domain.scheduling.certificate import Takers, extent
from gantry.domain.scheduling.problem import Window
from gantry.solvers.day_plan.columns import Columns
from gantry.solvers.day_plan.relaxation import Branch, Relaxation, Relaxed

CLOSE = 1e-4
"""A gap of 0.01 %: where the proof is called closed."""
LEAVES = 256
TRIED = 6
"""Splits of each kind that are tried; the one that raises both halves most is taken."""


def lowest(leaves: list[Relaxed]) -> Relaxed:
    return min(leaves, key=lambda leaf: leaf.bound)


def open_still(leaves: list[Relaxed], pence: float, deadline: float) -> bool:
    """Whether the lowest leaf is too far below the plan in hand, and there is room and time to split it."""
    return len(leaves) < LEAVES and lowest(leaves).bound < pence * (1 - CLOSE) and perf_counter() < deadline


def by_runs(relaxation: Relaxation, leaves: list[Relaxed], pence: float, deadline: float) -> list[Relaxed]:
    """Split the lowest leaf until its runs are decided or it is close enough to the plan in hand."""
    leaves = list(leaves)
    while open_still(leaves, pence, deadline):
        leaf = lowest(leaves)
        run = undecided(leaf)
        if run is None:
            break
        leaves.remove(leaf)
        leaves += of_run(relaxation, leaf, run)
    return leaves


def undecided(leaf: Relaxed) -> int | None:
    """The run that the leaf uses most nearly by half."""
    decided = leaf.branch.paid | leaf.branch.banned
    halves = {n: abs(used - 0.5) for n, used in leaf.used.items() if n not in decided and 1e-6 < used < 1 - 1e-6}
    return min(halves, key=lambda n: (halves[n], n)) if halves else None


def of_run(relaxation: Relaxation, leaf: Relaxed, run: int) -> list[Relaxed]:
    branch = leaf.branch
    return [
        relaxation.solve(replace(branch, paid=branch.paid | {run})),
        relaxation.solve(replace(branch, banned=branch.banned | {run})),
    ]


def by_patients(
    relaxation: Relaxation, leaves: list[Relaxed], pence: float, deadline: float, *, more: int = LEAVES
) -> list[Relaxed]:
    """Split the lowest leaf, over a run or a patient, until it is close to the plan in hand, or `more` times."""
    leaves = list(leaves)
    for _ in range(more):
        if not open_still(leaves, pence, deadline):
            break
        leaf = lowest(leaves)
        run = undecided(leaf)
        parts = of_run(relaxation, leaf, run) if run is not None else of_patient(relaxation, leaf, pence, deadline)
        if not parts:
            break
        leaves.remove(leaf)
        leaves += parts
    return leaves


def of_patient(relaxation: Relaxation, leaf: Relaxed, pence: float, deadline: float) -> list[Relaxed]:
    """The best of a few splits: nothing where the leaf tears nobody apart, or time runs out."""
    best: tuple[float, list[Relaxed]] = (-1.0, [])
    enough = pence * (1 - CLOSE)
    c = relaxation.columns
    for ones, others in [
        pair for torn in (torn_counts, in_part, torn_starts, torn_draws) for pair in torn(c, leaf)[:TRIED]
    ]:
        if best[1] and perf_counter() > deadline:
            break
        parts = [relaxation.solve(ones), relaxation.solve(others)]
        # Beyond the plan in hand a bound is worth no more.
        rises = sorted(max(0.0, min(part.bound, pence) - leaf.bound) for part in parts)
        merit = max(rises[0], 1e-3) * max(rises[1], 1e-3)
        if merit > best[0]:
            best = merit, parts
        if min(part.bound for part in parts) >= enough:
            break
    return best[1]


def in_part(columns: Columns, leaf: Relaxed) -> list[tuple[Branch, Branch]]:
    """Patients whom the leaf neither scans nor leaves out, the most evenly first."""
    share = np.bincount(columns.patient, weights=leaf.values, minlength=len(columns.day.patients))
    torn = np.nonzero((share > 1e-6) & (share < 1 - 1e-6))[0].tolist()
    return [
        (
            replace(leaf.branch, scanned=leaf.branch.scanned | {patient}),
            replace(leaf.branch, left_out=leaf.branch.left_out | {patient}),
        )
        for patient in sorted(torn, key=lambda patient: (abs(share[patient] - 0.5), patient))
    ]


def torn_starts(columns: Columns, leaf: Relaxed) -> list[tuple[Branch, Branch]]:
    """Patients whose scan the leaf starts at several minutes, the widest apart first: before and after the middle."""
    some = np.nonzero(leaf.values > 1e-6)[0]
    who, weight, start = columns.patient[some], leaf.values[some], columns.scan[some].astype(float)
    size = len(columns.day.patients)
    whole = np.maximum(np.bincount(who, weights=weight, minlength=size), 1e-9)
    mean = np.bincount(who, weights=weight * start, minlength=size) / whole
    spread = np.bincount(who, weights=weight * (start - mean[who]) ** 2, minlength=size)
    found = []
    for patient in sorted(np.nonzero(spread > 1e-3)[0].tolist(), key=lambda patient: (-spread[patient], patient)):
        now, at = leaf.branch.starts.get(patient, extent(columns.day).starts), int(np.floor(mean[patient])) + 1
        halves = (Window(now.start, at), Window(at, now.end))
        before, after = (replace(leaf.branch, starts={**leaf.branch.starts, patient: half}) for half in halves)
        found.append((before, after))
    return found


def torn_draws(columns: Columns, leaf: Relaxed) -> list[tuple[Branch, Branch]]:
    """Patients whom the leaf lets draw on several deliveries, the most evenly first: the one most drawn on, or others."""
    size = len(columns.day.deliveries)
    share = np.zeros((len(columns.day.patients), size))
    np.add.at(share, (columns.patient, columns.delivery), leaf.values)
    most = share.max(axis=1, initial=0.0)
    rest = share.sum(axis=1) - most
    found = []
    for patient in sorted(np.nonzero(rest > 1e-6)[0].tolist(), key=lambda patient: (-rest[patient], patient)):
        one = frozenset({int(share[patient].argmax())})
        others = leaf.branch.draws.get(patient, frozenset(range(size))) - one
        first, second = (replace(leaf.branch, draws={**leaf.branch.draws, patient: half}) for half in (one, others))
        found.append((first, second))
    return found


def torn_counts(columns: Columns, leaf: Relaxed) -> list[tuple[Branch, Branch]]:
    """Deliveries on which no whole number of patients draws, the most evenly first: at most so many, or one more."""
    size = len(columns.day.deliveries)
    drawing = np.bincount(columns.delivery, weights=leaf.values, minlength=size)
    apart = np.abs(drawing - np.round(drawing))
    found = []
    for number in sorted(np.nonzero(apart > 1e-4)[0].tolist(), key=lambda number: (-apart[number], number)):
        now, few = leaf.branch.takers.get(number, extent(columns.day).takers), int(drawing[number])
        halves = Takers(now.least, few), Takers(few + 1, now.most)
        fewer, more = (replace(leaf.branch, takers={**leaf.branch.takers, number: half}) for half in halves)
        found.append((fewer, more))
    return found

"""Who can be scanned in time at all, and who need not be moved: constraint programming over intervals.

The linear programme's floor is nearly always reached and then nothing here runs. Where it is not, intervals close the
question that fractions leave open, and prove it.
"""

from collections import defaultdict
from dataclasses import dataclass
from time import perf_counter

import numpy as np
from ortools.sat.python import cp_model

from gantry.solvers.day_plan.columns import Columns, Ints

PARTS_OF_AN_MBQ = 10**8
"""Activity in whole numbers, fine enough that rounding stays below the checker's tolerance."""


@dataclass(frozen=True, slots=True)
class Counted:
    columns: tuple[int, ...]
    score: int
    bound: int
    """No plan has a higher score."""


def most(columns: Columns, worth: Ints, *, deadline: float, seed: int, hint: tuple[int, ...] = ()) -> Counted:
    """The highest sum of `worth` (whole numbers, by column) over plans; leaving everybody out is always one."""
    model, objective, chosen_of = build(columns, worth, hint)
    model.maximize(objective)
    solver = cp_model.CpSolver()
    solver.parameters.num_workers = 1
    solver.parameters.random_seed = seed
    solver.parameters.max_time_in_seconds = max(0.05, deadline - perf_counter())
    status = solver.solve(model)
    if status not in (cp_model.OPTIMAL, cp_model.FEASIBLE):
        top = np.zeros(len(columns.day.patients), np.int64)
        np.maximum.at(top, columns.patient, worth)
        return Counted((), 0, int(top.sum()))
    chosen = tuple(
        column
        for literal, step, by_step in chosen_of
        if solver.boolean_value(literal)
        for column in [by_step[solver.value(step)]]
    )
    return Counted(
        chosen, int(worth[list(chosen)].sum()) if chosen else 0, int(np.floor(solver.best_objective_bound + 1e-6))
    )


type Chosen = list[tuple[cp_model.IntVar, cp_model.IntVar, dict[int, int]]]


def build(
    columns: Columns, worth: Ints, hint: tuple[int, ...]
) -> tuple[cp_model.CpModel, cp_model.LinearExprT, Chosen]:
    c, grid = columns, columns.day.grid_min
    model = cp_model.CpModel()
    objective: list[cp_model.LinearExprT] = []
    chosen_of: Chosen = []
    demands: dict[int, list[cp_model.IntervalVar]] = defaultdict(list)
    drawn: dict[int, list[cp_model.IntVar]] = defaultdict(list)
    hinted = set(hint)
    for patient in np.unique(c.patient):
        mine = np.nonzero(c.patient == patient)[0]
        steps = c.injection[mine] // grid
        step = model.new_int_var_from_domain(
            cp_model.Domain.from_values(sorted({int(s) for s in steps})), f"t{patient}"
        )
        ways: dict[tuple[int, int, int, int], list[int]] = defaultdict(list)
        for column in mine:
            key = (int(c.group[column]), int(c.delivery[column]), int(c.uptake[column]), int(worth[column]))
            ways[key].append(int(column))
        literals = []
        of_hold: dict[tuple[int, int, int, int], list[cp_model.IntVar]] = defaultdict(list)
        of_delivery: dict[int, list[cp_model.IntVar]] = defaultdict(list)
        for number, ((_, delivery, _, worth_of), members) in enumerate(ways.items()):
            literal = model.new_bool_var(f"way{patient}/{number}")
            literals.append(literal)
            by_step = {int(c.injection[m]) // grid: m for m in members}
            model.add_linear_expression_in_domain(step, cp_model.Domain.from_values(sorted(by_step))).only_enforce_if(
                literal
            )
            chosen_of.append((literal, step, by_step))
            objective.append(worth_of * literal)
            of_delivery[delivery].append(literal)
            model.add_hint(literal, any(m in hinted for m in members))
            for m in members:
                if m in hinted:
                    model.add_hint(step, int(c.injection[m]) // grid)
            first = members[0]
            for kind in range(len(c.resource)):
                start, end = int(c.starts[kind, first]), int(c.ends[kind, first])
                if end > start:
                    hold = (int(c.resource[kind, first]), kind, start - int(c.injection[first]), end - start)
                    of_hold[hold].append(literal)
        model.add_at_most_one(literals)
        for (resource, kind, offset, length), alternatives in of_hold.items():
            held = alternatives[0]
            if len(alternatives) > 1:
                held = model.new_bool_var(f"held{patient}/{resource}/{kind}/{offset}")
                model.add(sum(alternatives) == held)
            demands[resource].append(
                model.new_optional_fixed_size_interval_var(
                    step * grid + offset, length, held, f"hold{patient}/{resource}/{kind}/{offset}"
                )
            )
        for delivery, alternatives in of_delivery.items():
            if limit_of(c, delivery) is None:
                continue
            low, high = int(steps.min()), int(steps.max())
            table = {int(c.injection[m]) // grid: float(c.drawn[m]) for m in mine if c.delivery[m] == delivery}
            parts = [round(table.get(at, 0.0) * PARTS_OF_AN_MBQ) for at in range(low, high + 1)]
            taken = model.new_int_var(0, max(parts), f"parts{patient}/{delivery}")
            amount = model.new_int_var(0, max(parts), f"drawn{patient}/{delivery}")
            model.add_element(step - low, parts, taken)
            model.add(amount >= taken).only_enforce_if(using(model, alternatives, f"uses{patient}/{delivery}"))
            drawn[delivery].append(amount)
    for resource, intervals in demands.items():
        capacity = int(c.capacity[resource])
        if capacity == 1:
            model.add_no_overlap(intervals)
        else:
            model.add_cumulative(intervals, [1] * len(intervals), capacity)
    for delivery, amounts in drawn.items():
        model.add(sum(amounts) <= round((limit_of(c, delivery) or 0.0) * PARTS_OF_AN_MBQ))
    return model, cp_model.LinearExpr.sum(objective), chosen_of


def using(model: cp_model.CpModel, alternatives: list[cp_model.IntVar], name: str) -> cp_model.IntVar:
    used = model.new_bool_var(name)
    model.add(sum(alternatives) == used)
    return used


def limit_of(columns: Columns, delivery: int) -> float | None:
    one = columns.day.deliveries[delivery]
    return one.ordered_mbq if one.ordered_mbq is not None else one.most_mbq

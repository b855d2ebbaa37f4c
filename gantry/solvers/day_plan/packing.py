"""Whole visits out of few: an integer programme over the columns that can still be in a best plan.

It holds every rule of the day over those columns, so what it finds can be carried out, and what it proves is proved for
the day if no other column can be in a better plan.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from time import perf_counter

import highspy
import numpy as np

from gantry.domain.scheduling.certificate import chargeable
from gantry.solvers.day_plan.columns import Columns, Floats, Ints
from gantry.solvers.day_plan.relaxation import ENDLESS


@dataclass(frozen=True, slots=True)
class Packed:
    columns: tuple[int, ...]
    amount: float
    """What was minimised."""
    bound: float
    proved: bool


class Packing:
    """Rows are gathered as (which columns, amounts, least, most); columns of its own follow the visits."""

    def __init__(self, columns: Columns, few: Ints, *, value: int, moves: int) -> None:
        self.columns, self.few = columns, few
        self.count = len(few)
        self.rows: list[tuple[Ints, Floats, float, float]] = []
        self.extra_upper: list[float] = []
        self.extra_whole: list[bool] = []
        self.extra_pence: list[float] = []
        for rule in (
            self.one_visit_each,
            self.resources_suffice,
            self.activity_suffices,
        ):
            rule()
        self.row(np.arange(self.count), columns.value[few].astype(float), float(value), ENDLESS)
        self.row(np.arange(self.count), columns.moves[few].astype(float), -ENDLESS, float(moves))

    def row(self, which: Ints, amounts: Floats, least: float, most: float) -> None:
        self.rows.append((which, amounts, least, most))

    def extra(self, pence: float, upper: float, *, whole: bool) -> int:
        self.extra_upper.append(upper)
        self.extra_whole.append(whole)
        self.extra_pence.append(pence)
        return self.count + len(self.extra_upper) - 1

    def one_visit_each(self) -> None:
        who = self.columns.patient[self.few]
        for patient in np.unique(who):
            mine = np.nonzero(who == patient)[0]
            self.row(mine, np.ones(len(mine)), -ENDLESS, 1.0)

    def resources_suffice(self) -> None:
        """A row at each minute where something starts, if more patients could be there than fit."""
        c, few = self.columns, self.few
        for kind in range(len(c.resource)):
            which, start, end = c.resource[kind, few], c.starts[kind, few], c.ends[kind, few]
            for resource in np.unique(which):
                mine = np.nonzero((which == resource) & (end > start))[0]
                capacity = int(c.capacity[resource])
                before: frozenset[int] = frozenset()
                for minute in np.unique(start[mine])[::-1]:
                    here = mine[(start[mine] <= minute) & (minute < end[mine])]
                    if len(np.unique(c.patient[few[here]])) <= capacity:
                        continue
                    now = frozenset(here.tolist())
                    if not now <= before:
                        self.row(here, np.ones(len(here)), -ENDLESS, float(capacity))
                        before = now

    def activity_suffices(self) -> None:
        c, few = self.columns, self.few
        delivery, drawn = c.delivery[few], c.drawn[few]
        for number, one in enumerate(c.day.deliveries):
            mine = np.nonzero(delivery == number)[0]
            if not len(mine):
                continue
            most = one.ordered_mbq if one.ordered_mbq is not None else one.most_mbq
            if not chargeable(one):
                if most is not None:
                    self.row(mine, drawn[mine], -ENDLESS, most)
                continue
            used = self.extra(one.price_pence, 1.0, whole=True)
            if most is not None:
                self.row(np.append(mine, used), np.append(drawn[mine], -most), -ENDLESS, 0.0)
            if one.least_mbq:
                short = self.extra(one.price_pence_per_gbq / 1000, ENDLESS, whole=False)
                amounts = np.append(drawn[mine], [1.0, -one.least_mbq])
                self.row(np.append(mine, [short, used]), amounts, 0.0, ENDLESS)
            who = c.patient[few[mine]]
            for patient in np.unique(who):
                his = mine[who == patient]
                self.row(np.append(his, used), np.append(np.ones(len(his)), -1.0), -ENDLESS, 0.0)

    def pence(self) -> tuple[Floats, Floats]:
        return self.columns.pence[self.few], np.array(self.extra_pence)

    def costs_at_most(self, pence: float) -> None:
        costs = np.concatenate(self.pence())
        some = np.nonzero(costs)[0]
        self.row(some, costs[some], -ENDLESS, pence)

    def minutes_beyond(self) -> Floats:
        """Columns of overtime: at each minute past a place's paid hours, how many scanners are still to work then or later.

        The scanner that was free last is taken first, so that this many is also enough. Returns what each column counts.
        """
        c, few = self.columns, self.few
        counts = [0.0] * (self.count + len(self.extra_upper))
        for group, members in enumerate(c.groups):
            paid = c.day.place(members[0].place).overtime_from_min
            if paid is None:
                continue
            mine = np.nonzero(c.group[few] == group)[0]
            start, end = c.starts[0, few[mine]], c.ends[0, few[mine]]
            marks = sorted({paid, *(int(m) for m in np.concatenate([start, end]) if m > paid)})
            before: int | None = None
            for minute, following in pairwise(marks):
                working = self.extra(0.0, float(len(members)), whole=False)
                counts.append(float(following - minute))
                here = mine[(start <= minute) & (minute < end)]
                if len(here):
                    self.row(np.append(here, working), np.append(np.ones(len(here)), -1.0), -ENDLESS, 0.0)
                if before is not None:
                    self.row(np.array([before, working]), np.array([1.0, -1.0]), 0.0, ENDLESS)
                before = working
        return np.array(counts)

    def solve(
        self,
        costs: Floats,
        *,
        deadline: float,
        seed: int,
        gap: float = 0.0,
        hint: Sequence[int] = (),
        nodes: int = 1 << 30,
    ) -> Packed | None:
        """The least total; None where no plan was found, with certainty only if there was time."""
        size = self.count + len(self.extra_upper)
        if not size:
            possible = all(low <= 0.0 <= high for _, _, low, high in self.rows)
            return Packed((), 0.0, 0.0, True) if possible else None
        padded = np.zeros(size)
        padded[: len(costs)] = costs
        highs = highspy.Highs()
        for option, value in {
            "output_flag": False,
            "threads": 1,
            "random_seed": seed,
            "mip_rel_gap": gap,
            "mip_abs_gap": 1e-7,
            "mip_max_nodes": nodes,
            "mip_feasibility_tolerance": 1e-7,
            "time_limit": max(0.05, deadline - perf_counter()),
        }.items():
            highs.setOptionValue(option, value)
        model = highspy.HighsLp()
        model.num_col_, model.num_row_ = size, len(self.rows)
        model.col_cost_ = padded
        model.col_lower_ = np.zeros(size)
        model.col_upper_ = np.concatenate([np.ones(self.count), np.array(self.extra_upper)])
        model.row_lower_ = np.array([low for _, _, low, _ in self.rows])
        model.row_upper_ = np.array([high for _, _, _, high in self.rows])
        lengths = [len(which) for which, _, _, _ in self.rows]
        model.a_matrix_.format_ = highspy.MatrixFormat.kRowwise
        model.a_matrix_.start_ = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int32)
        model.a_matrix_.index_ = np.concatenate([which for which, _, _, _ in self.rows]).astype(np.int32)
        model.a_matrix_.value_ = np.concatenate([amounts for _, amounts, _, _ in self.rows])
        whole, part = highspy.HighsVarType.kInteger, highspy.HighsVarType.kContinuous
        model.integrality_ = [whole] * self.count + [whole if each else part for each in self.extra_whole]
        highs.passModel(model)
        if len(hint):
            at = np.nonzero(np.isin(self.few, np.array(hint)))[0]
            values = np.zeros(self.count)
            values[at] = 1.0
            highs.setSolution(self.count, np.arange(self.count, dtype=np.int32), values)
        highs.run()
        info = highs.getInfo()
        if info.primal_solution_status != 2:
            return None
        taken = np.array(highs.getSolution().col_value)[: self.count] > 0.5
        proved = highs.getModelStatus() == highspy.HighsModelStatus.kOptimal
        chosen = tuple(int(each) for each in self.few[taken])
        return Packed(chosen, float(info.objective_function_value), float(info.mip_dual_bound), proved)

"""What the day plan is measured beside: three ways in which departments book, and three solvers used plainly.

The practices are our models of them, not measured ones: first come first served on the five-minute grid; a template with a
slot every 30 minutes, in the order of the phone; and the most urgent first. All are given the same deliveries at the same
prices, take the latest run that has arrived, and another where that is used up. The plain models hold every visit and every
minute at once, with like scanners as one: HiGHS over a time-indexed model, and CP-SAT over intervals.

PyJobShop has no cost that decays, so that only the number scanned could be put to it; it has not been
timed here.
"""

from dataclasses import dataclass
from time import perf_counter, process_time

import numpy as np

from gantry.domain.scheduling.check import drawn
from gantry.domain.scheduling.problem import Day, Plan
from gantry.solvers.day_plan import worth
from gantry.solvers.day_plan.columns import Columns, columns_of
from gantry.solvers.day_plan.counting import most
from gantry.solvers.day_plan.greedy import Filling
from gantry.solvers.day_plan.packing import Packing


def practice(day: Day, *, slot_min: int | None = None, urgent_first: bool = False) -> Plan:
    """Each patient in turn takes the earliest free time, with the latest run that has arrived by then."""
    columns = columns_of(day)
    filling = Filling(columns)
    arrives = np.array([d.arrives_min for d in day.deliveries])
    order = list(range(len(day.patients)))
    if urgent_first:
        order.sort(key=lambda i: (-day.patients[i].weight, i))
    target = np.array([p.uptake.target_min for p in day.patients])
    usual = columns.uptake == target[columns.patient]
    if slot_min is not None:
        opens = np.array([members[0].open[0].start for members in columns.groups])
        usual &= (columns.scan - opens[columns.group]) % slot_min == 0
    for patient in order:
        mine = filling.own[patient]
        free = filling.free(mine[usual[mine]])
        if len(free):
            filling.take(int(free[np.lexsort((-arrives[columns.delivery[free]], columns.scan[free]))[0]]))
    return planned(columns, tuple(filling.taken.values()))


def first_come(day: Day) -> Plan:
    return practice(day)


def template(day: Day) -> Plan:
    return practice(day, slot_min=30)


def most_urgent(day: Day) -> Plan:
    return practice(day, urgent_first=True)


PRACTICES = {"first come": first_come, "30-minute template": template, "most urgent first": most_urgent}


def planned(columns: Columns, chosen: tuple[int, ...]) -> Plan:
    day, visits = columns.day, columns.visits(chosen)
    bare, used = Plan(visits), {v.delivery for v in visits}
    orders = {
        d.ref: max(d.least_mbq, drawn(day, bare, d)) for d in day.deliveries if d.ref in used and d.ordered_mbq is None
    }
    left_out = {p.ref: "no time was free" for p in day.patients if bare.visit(p.ref) is None}
    return Plan(visits, orders, left_out)


@dataclass(frozen=True, slots=True)
class Plain:
    seconds: float
    """Of the processor."""
    plan: Plan | None
    bound: float
    closed: bool


def plain_highs(day: Day, *, seconds: float) -> Plain:
    """The whole time-indexed model: first the value and moves, then the activity at that value; gap 0.01 % as is usual."""
    began, cpu = perf_counter(), process_time()
    columns = columns_of(day)
    each = worth(columns, 1)
    every = np.arange(columns.count)
    first = Packing(columns, every, value=0, moves=1 << 30)
    counted = first.solve(-each.astype(float), deadline=began + seconds, seed=0)
    if counted is None or not counted.proved:
        return Plain(process_time() - cpu, None, float("-inf"), False)
    value = int(columns.value[list(counted.columns)].sum())
    second = Packing(columns, every, value=value, moves=1 << 30)
    packed = second.solve(np.concatenate(second.pence()), deadline=began + seconds, seed=0, gap=1e-4)
    if packed is None:
        return Plain(process_time() - cpu, None, float("-inf"), False)
    return Plain(process_time() - cpu, planned(columns, packed.columns), packed.bound, packed.proved)


def plain_cp_sat(day: Day, *, seconds: float) -> Plain:
    """The value by intervals, then the activity with a literal for each visit, in tenths of a penny."""
    began, cpu = perf_counter(), process_time()
    columns = columns_of(day)
    each = worth(columns, 1)
    counted = most(columns, each, deadline=began + seconds / 2, seed=0)
    if counted.score < counted.bound:
        return Plain(process_time() - cpu, None, float("-inf"), False)
    tenths = np.round(columns.pence * 10).astype(np.int64)
    big = int(tenths.sum()) + 1 if columns.count < 1000 else 10 * int(np.abs(tenths).max()) * len(day.patients)
    cheap = most(columns, each * big - tenths, deadline=began + seconds, seed=0, hint=counted.columns)
    bound = (counted.score * big - cheap.bound) / 10
    plan = planned(columns, cheap.columns) if cheap.columns else None
    return Plain(process_time() - cpu, plan, bound, cheap.bound - cheap.score <= 1)

"""What the day plan is measured beside: three ways in which departments book, and three solvers used plainly.

The practices are our models of them, not measured ones: first come first served on the five-minute grid; a template with a
slot every 30 minutes, in the order of the phone; and the most urgent first. All are given the same deliveries at the same
prices, take the latest run that has arrived, and another where that is used up. The plain models hold every visit and every
minute at once, with like scanners as one: HiGHS over a time-indexed model, and CP-SAT over intervals.

PyJobShop has no cost that decays, so only the number scanned is put to it (`make bench` installs it, nothing else of ours
needs it): a patient is a job, one who cannot be scanned in time is a late job, and late jobs run on after closing time. Who must
arrive early is judged there by the end of the scan, a few minutes more leniently, so its count may be higher and never lower.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from math import ceil
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


@dataclass(frozen=True, slots=True)
class Counting:
    seconds: float
    unscanned_weight: int
    bound: float
    closed: bool


AFTER_CLOSING_MIN = 24 * 60


def job_shop(day: Day, *, seconds: float) -> Counting | None:
    """The weight left unscanned, by PyJobShop on one thread; None where it is not installed."""
    if find_spec("pyjobshop") is None:
        return None
    began = process_time()
    model, grid, steps, (place,) = import_module("pyjobshop").Model(), day.grid_min, day.steps, day.places
    closes = max(window.end for scanner in day.scanners for window in scanner.open)
    end = (closes + AFTER_CLOSING_MIN) // grid

    def renewable(capacity: int, breaks: Sequence[tuple[int, int]] = ()) -> object:
        return model.add_renewable(capacity, breaks=[(a // grid, b // grid) for a, b in breaks if b > a])

    machines = {s.ref: model.add_machine(breaks=[(0, s.open[0].start // grid)]) for s in day.scanners}
    room, injector, toilet = (renewable(n) for n in (place.uptake_rooms, place.injectors, place.hot_toilets))
    asleep = None
    if place.anaesthetist:
        (hours,) = place.anaesthetist
        asleep = renewable(place.anaesthetists, [(0, hours.start), (hours.end, closes)])
    from_min = min(d.arrives_min for d in day.deliveries)
    for patient in day.patients:
        latest = closes
        if patient.latest_min is not None:
            last = patient.latest_min + patient.preparation_min + patient.uptake.most_min
            latest = min(latest, last + patient.scan_min)
        job = model.add_job(weight=patient.weight, due_date=latest // grid)
        first = max(from_min, max(patient.earliest_min, place.opens.start) + patient.preparation_min)
        before = min(steps.room_before_min, patient.preparation_min) // grid
        injection = model.add_task(job=job, earliest_start=ceil(first / grid), latest_end=end)
        model.add_mode(injection, [injector], steps.inject_min // grid, [1])
        waiting = model.add_task(job=job, latest_end=end, allow_idle=True)
        model.add_mode(waiting, [room], before + (patient.uptake.least_min - steps.void_min) // grid, [1])
        leaving = model.add_task(job=job, latest_end=end)
        model.add_mode(leaving, [toilet], steps.void_min // grid, [1])
        scan = model.add_task(job=job, latest_end=end)
        for machine in machines.values():
            model.add_mode(scan, [machine], patient.scan_min // grid)
        model.add_start_before_start(injection, scan, patient.uptake.least_min // grid)
        model.add_start_before_start(scan, injection, -(patient.uptake.most_min // grid))
        model.add_start_at_start(waiting, injection, before)
        model.add_end_at_start(waiting, scan, steps.void_min // grid)
        model.add_end_at_start(leaving, scan)
        if patient.anaesthetist and asleep is not None:
            watched = model.add_task(job=None, latest_end=end + 10)
            model.add_mode(watched, [asleep], (patient.scan_min + steps.anaesthesia_after_min) // grid, [1])
            model.add_start_at_start(watched, scan)
    model.set_objective(weight_tardy_jobs=1)
    found = model.solve(time_limit=seconds, display=False, num_workers=1)
    closed = found.status.value == "Optimal"
    return Counting(process_time() - began, round(found.objective), found.lower_bound, closed)

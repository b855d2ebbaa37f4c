"""A day planned again after something went wrong: how long until there are options, and until the rest has a proof.

    python -m benchmarks.replan [--quick] [--json]

Two ways of replanning. `options_after` ranks whole plans after a batch or a scanner fails, as the recovery page shows them;
`plan_day` plans the rest of the day from 10:00 with those injected by then locked, from the plan that was in force, within
0.8 s. Every plan is judged by the checker and every proof worked out again from its prices by the domain, outside the clock.
Seconds are on the wall, those of the processor stand beside them. A budget stands for the peer: no other system ranks what to
do when a batch fails.
"""

import argparse
import json
import statistics
import sys
from collections.abc import Iterator
from dataclasses import replace
from time import perf_counter, process_time

from benchmarks.day_plan import NEARLY, Line, sample, shown, solved
from benchmarks.recovery import SEEDS, SIZES, failures
from gantry.domain.scheduling.certificate import bound
from gantry.domain.scheduling.check import faults
from gantry.domain.scheduling.problem import Day, Lock
from gantry.domain.scheduling.recovery import faults_of
from gantry.solvers.day_plan import Planned, Stage, plan_day
from gantry.solvers.recovery import options_after
from tests.solvers.broken_days import situation

BUDGET_S = 1.0
FROM_MIN = 600
SECONDS = 0.8
"""What a replan may take; its proof is then as near as it got."""


def p95(taken: list[float]) -> float:
    return statistics.quantiles(taken, n=20, method="inclusive")[-1] if len(taken) > 1 else taken[0]


def after_failures(quick: bool, say: bool) -> Iterator[Line]:
    """Each batch and each scanner fails at several minutes of seeded days."""
    everything: list[float] = []
    processor: list[float] = []
    faulty = without = 0
    for size in SIZES[:: 2 if quick else 1]:
        taken = []
        for seed in SEEDS if not quick else SEEDS[:1]:
            for minute in (540,) if quick else (430, 540, 660):
                for failure in failures(minute, size[1], size[2]):
                    s = situation(seed, *size, failure)
                    began, began_cpu = perf_counter(), process_time()
                    options = options_after(s)
                    taken.append(perf_counter() - began)
                    processor.append(process_time() - began_cpu)
                    without += not options
                    faulty += sum(bool(faults_of(s, each)) for each in options)
        everything += taken
        if say:
            print(
                f"{size[0]} patients, {size[1]} scanners, {size[2]} runs: median {statistics.median(taken):.2f} s, "
                f"most {max(taken):.2f} s"
            )
    worst = p95(everything)
    yield Line(
        "ranked options after a batch or scanner fails (p95)", round(worst, 3), BUDGET_S, round(BUDGET_S / worst, 2), "s",
        not faulty and not without, f"{len(everything)} failures; {faulty} options with a fault, {without} without options; "
        f"the slowest {max(everything):.2f} s; of the processor {p95(processor):.2f} s",
    )  # fmt: skip


def rest_of(day: Day, found: Planned) -> Day:
    """The scanner is down until ten: those injected by then are locked, the rest cannot come before."""
    gone = {v.patient: v for v in found.plan.visits if v.injection_min < FROM_MIN}
    people = tuple(
        replace(p, lock=Lock(injection_min=gone[p.ref].injection_min, delivery=gone[p.ref].delivery))
        if p.ref in gone
        else replace(p, earliest_min=max(p.earliest_min, FROM_MIN))
        for p in day.patients
    )
    return replace(day, patients=people)


def proved_nearly(day: Day, found: Planned) -> bool:
    """The value and the moves are the best there are, the activity within 0.1 %, and the prices bear it out."""
    again = bound(day, found.certificate)
    cost = found.score.activity_pence
    return {Stage.IN_TIME, Stage.MOVED} <= found.proved and cost - again <= NEARLY * abs(cost) + 1e-6


def rest_of_days(quick: bool, say: bool) -> Iterator[Line]:
    every = [one for kind in ("priced", "capped") for one in sample(kind, False, seeds=2)]
    some = [one for one in every if one.seed == 1 and one.patients <= 30]
    times, processor, gaps, proved, checked = [], [], [], 0, True
    for instance in some if quick else every:
        planned = solved(instance, 2.0)
        day = rest_of(planned.day, planned.found)
        began, began_cpu = perf_counter(), process_time()
        found = plan_day(day, seconds=SECONDS, before=planned.found.plan)
        times.append(perf_counter() - began)
        processor.append(process_time() - began_cpu)
        good = isinstance(found, Planned) and faults(day, found.plan) == []
        checked &= good
        if isinstance(found, Planned):
            gaps.append(found.gap)
            proved += good and proved_nearly(day, found)
        if say:
            print(f"{instance.name}: {times[-1]:.2f} s, {processor[-1]:.2f} s of the processor, gap {gaps[-1]:.4%}")
    worst = p95(times)
    yield Line(
        "the rest of the day planned again from 10:00 (p95)", round(worst, 3), BUDGET_S, round(BUDGET_S / worst, 2), "s",
        checked and proved == len(times),
        f"{len(times)} days; proved to 0.1 % on {proved}, to 0.01 % on {sum(gap <= 1e-4 for gap in gaps)}, worst gap "
        f"{max(gaps):.3%}; the slowest {max(times):.2f} s; of the processor {p95(processor):.2f} s",
    )  # fmt: skip


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--quick", action="store_true")
    options.add_argument("--json", action="store_true")
    chosen = options.parse_args()
    missed = False
    for make in (after_failures, rest_of_days):
        for line in make(chosen.quick, not chosen.json):
            print(json.dumps(line.as_json()) if chosen.json else shown(line), flush=True)
            missed |= not line.met
    return int(missed)


if __name__ == "__main__":
    sys.exit(main())

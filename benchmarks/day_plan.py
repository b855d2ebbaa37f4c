"""The day plan beside practice and beside plain solvers, on the published days of `benchmarks.days`.

    python -m benchmarks.day_plan [--quick] [--json]

Ours is `plan_day` with all it does: both gravest objectives, the activity with its proof, and the ties after it. Each plan is
judged by the checker, and each proof is worked out again from its prices by the domain alone, outside the clock. The peers'
plans are judged by the same checker. A peer that was stopped is counted at the time it had, and said to be stopped: the ratio
is then a floor. `--quick` takes a sample of the days; the whole table takes some minutes.
"""

import argparse
import json
import statistics
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from time import perf_counter, process_time

from benchmarks.baselines import PRACTICES, Plain, plain_cp_sat, plain_highs
from benchmarks.days import PUBLISHED, Instance, realistic, week
from gantry.domain.scheduling.certificate import bound
from gantry.domain.scheduling.check import drawn, faults, score
from gantry.domain.scheduling.problem import Day, Lock, Plan
from gantry.solvers.day_plan import Planned, Stage, plan_day

QUICK = ((16, 1, 2), (40, 2, 2))
CLOSED, NEARLY = 1e-4, 1e-3
SPEED, SAVED = 5.0, 0.15
REPLAN = 0.8
"""Seconds that a replan may take: its proof is then as near as it got."""


@dataclass(frozen=True, slots=True)
class Line:
    name: str
    ours: float
    peer: float
    ratio: float
    unit: str
    checked: bool
    note: str = ""
    target: float = 1.0

    @property
    def met(self) -> bool:
        return self.checked and self.ratio >= self.target


@dataclass(frozen=True, slots=True)
class Solved:
    instance: Instance
    day: Day
    found: Planned
    seconds: float
    """Of the processor: both sides run on one thread, and a busy machine shall not speak."""
    wall: float
    checked: bool


def solved(instance: Instance, seconds: float) -> Solved:
    day = realistic(instance)
    began, began_cpu = perf_counter(), process_time()
    found = plan_day(day, seconds=seconds)
    wall, cpu = perf_counter() - began, process_time() - began_cpu
    if not isinstance(found, Planned):
        raise TypeError(f"{instance.name}: {found}")
    proof = bound(day, found.certificate)
    checked = faults(day, found.plan) == [] and abs(proof - found.bound) <= 1e-4 * max(1.0, abs(proof))
    return Solved(instance, day, found, cpu, wall, checked)


def completed(day: Day, plan: Plan) -> tuple[int, float]:
    """Patients scanned, and MBq drawn at each delivery's reference time."""
    return len(plan.visits), sum(drawn(day, plan, delivery) for delivery in day.deliveries)


def against_practice(done: list[Solved], say: bool) -> Iterator[Line]:
    """MBq ordered per completed scan, beside the best practice that scans as many as any of them."""
    savings, fewer, checked = [], 0, True
    if say:
        print(f"{'day':<24}{'':<20}{'scanned':>8}{'weight':>8}{'MBq/scan':>10}{'pounds':>9}{'overtime':>9}")
    for one in done:
        count, mbq = completed(one.day, one.found.plan)
        rows = {"day plan": (one.found.plan, one.found.score)}
        rows |= {name: (plan, score(one.day, plan)) for name, make in PRACTICES.items() for plan in [make(one.day)]}
        for name, (plan, reached) in rows.items():
            checked &= faults(one.day, plan) == []
            their_count, their_mbq = completed(one.day, plan)
            if say:
                print(
                    f"{one.instance.name if name == 'day plan' else '':<24}{name:<20}{their_count:>8}"
                    f"{reached.unscanned_weight:>8}{their_mbq / max(1, their_count):>10.1f}"
                    f"{reached.activity_pence / 100:>9.2f}{reached.overtime_min:>9}"
                )
        theirs = [completed(one.day, plan) for name, (plan, _) in rows.items() if name != "day plan"]
        fewer += count < max(n for n, _ in theirs)
        savings.append((mbq / count, min(m / n for n, m in theirs if n)))
    ours, peer = (statistics.mean(each) for each in zip(*savings, strict=True))
    yield Line(
        "MBq ordered per completed scan, best of three practices on each day",
        round(ours, 1),
        round(peer, 1),
        round(peer / ours, 3),
        "MBq",
        checked and all(one.checked for one in done),
        f"{1 - ours / peer:.1%} less; fewer scanned than the best practice on {fewer} of {len(done)} days",
        1 / (1 - SAVED),
    )


def against_plain(done: list[Solved], seconds: float, say: bool) -> Iterator[Line]:
    """Time to value and activity proved, beside the whole time-indexed model in HiGHS."""
    ratios, ours, theirs, stopped, checked = [], [], [], 0, True
    for one in done:
        plain = plain_highs(one.day, seconds=seconds)
        checked &= one.checked and agrees(one, plain)
        stopped += not plain.closed
        ours.append(one.seconds)
        theirs.append(plain.seconds)
        ratios.append(plain.seconds / one.seconds)
        if say:
            print(
                f"{one.instance.name:<26}{one.seconds:>8.2f} s  gap {one.found.gap:.4%}   plain HiGHS {plain.seconds:>7.2f} s"
                f"{'' if plain.closed else ' stopped'}"
            )
    proved = sum(one.found.gap <= CLOSED and Stage.ACTIVITY in one.found.proved for one in done)
    yield Line(
        "value and MBq proved, beside a plain time-indexed HiGHS model (median)",
        round(statistics.median(ours), 3),
        round(statistics.median(theirs), 2),
        round(statistics.median(ratios), 1),
        "s",
        checked,
        f"gap at most 0.01 % on {proved} of {len(done)} days; plain stopped at {seconds:.0f} s on {stopped}",
        SPEED,
    )


def agrees(one: Solved, plain: Plain) -> bool:
    """The peer's plan is a plan, no better than ours, and as good where it closed."""
    if plain.plan is None:
        return True
    theirs = score(one.day, plain.plan)
    ours = one.found.score
    if faults(one.day, plain.plan):
        return False
    if theirs.unscanned_weight != ours.unscanned_weight:
        return theirs.unscanned_weight > ours.unscanned_weight
    slack = 1e-4 * ours.activity_pence + 0.01
    return theirs.activity_pence >= ours.activity_pence - slack and (
        not plain.closed or theirs.activity_pence <= ours.activity_pence * (1 + 2e-4) + 0.01
    )


def closed_gaps(done: list[Solved], say: bool) -> Iterator[Line]:
    """Priced runs, least orders and caps: within 0.1 % of the proof, in 30 s."""
    gaps = [one.found.gap for one in done]
    slowest = max(one.wall for one in done)
    if say:
        for one in done:
            exact = "optimal" if Stage.ACTIVITY in one.found.proved else "not proved optimal"
            print(f"{one.instance.name:<26}{one.seconds:>8.2f} s  gap {one.found.gap:.4%}  {exact}")
    yield Line(
        "priced runs and capped batches: gap by the certificate (worst)",
        round(max(gaps), 6),
        NEARLY,
        round(NEARLY / max(max(gaps), 1e-9), 2),
        "of the cost",
        all(one.checked for one in done) and slowest <= 40,
        f"{sum(g <= NEARLY for g in gaps)} of {len(gaps)} days within 0.1 %; optimal on "
        f"{sum(Stage.ACTIVITY in one.found.proved for one in done)}; slowest {slowest:.1f} s",
    )


def replans(done: list[Solved]) -> Iterator[Line]:
    """The scanner is down for an hour at ten: those injected by then are locked, the rest is planned again."""
    times, checked = [], True
    for one in done:
        gone = [v for v in one.found.plan.visits if v.injection_min < 600]
        keep = {v.patient: v for v in gone}
        last = max((v.delivery for v in gone), default=None)
        people = tuple(
            replace(p, lock=Lock(injection_min=keep[p.ref].injection_min, delivery=keep[p.ref].delivery))
            if p.ref in keep
            else replace(p, earliest_min=max(p.earliest_min, 600))
            for p in one.day.patients
        )
        began = process_time()
        found = plan_day(replace(one.day, patients=people), seconds=REPLAN)
        times.append(process_time() - began)
        checked &= (
            isinstance(found, Planned) and faults(replace(one.day, patients=people), found.plan) == [] and bool(last)
        )
    times.sort()
    p95 = times[min(len(times) - 1, round(0.95 * len(times)))]
    yield Line(
        "the rest of the day planned again from 10:00 (p95)", round(p95, 3), 1.0, round(1 / p95, 2), "s", checked,
        f"{len(times)} days; median {statistics.median(times):.2f} s",
    )  # fmt: skip


def whole_week(plain_seconds: float, check_proof: bool, say: bool) -> Iterator[Line]:
    day = week()
    began = process_time()
    found = plan_day(day, seconds=300.0)
    seconds = process_time() - began
    if not isinstance(found, Planned):
        raise TypeError(str(found))
    plain = plain_highs(day, seconds=plain_seconds)
    checked = faults(day, found.plan) == [] and found.gap <= NEARLY
    if check_proof:
        checked &= abs(bound(day, found.certificate) - found.bound) <= 1e-4 * found.bound
    if say:
        print(f"week: {seconds:.1f} s, {found.score}, gap {found.gap:.4%}")
    yield Line(
        "four sites, five days, 700 patients, to 0.1 %",
        round(seconds, 2),
        round(plain.seconds, 1),
        round(plain.seconds / seconds, 1),
        "s",
        checked,
        f"gap {found.gap:.4%}; plain HiGHS {'closed' if plain.closed else f'stopped at {plain_seconds:.0f} s'}",
        SPEED,
    )


def cp_sat_table(done: list[Solved]) -> None:
    """For the record: it never closes the activity."""
    for one in done:
        plain = plain_cp_sat(one.day, seconds=30.0)
        reached = f"{score(one.day, plain.plan).activity_pence:.0f}" if plain.plan else "none"
        print(
            f"{one.instance.name:<26} plain CP-SAT {plain.seconds:>6.1f} s: {reached} pence, bound {plain.bound:.0f}; ours "
            f"{one.found.score.activity_pence:.0f} in {one.seconds:.2f} s"
        )


def sample(kind: str, quick: bool, seeds: int = 3) -> list[Instance]:
    return [
        one
        for one in PUBLISHED
        if one.kind == kind
        and one.seed < (1 if quick else seeds)
        and (not quick or (one.patients, one.scanners, one.runs) in QUICK)
    ]


def measured(quick: bool, say: bool) -> Iterator[Line]:
    limit = 30.0
    uncapped = [solved(one, limit) for one in sample("uncapped", quick)]
    dear = [solved(one, limit) for kind in ("priced", "capped") for one in sample(kind, quick)]
    small = [one for one in PUBLISHED if one.kind == "priced" and one.seed == 1 and one.patients <= 30]
    everyday = [solved(one, limit) for one in small] if quick else dear
    yield from against_plain(uncapped, 15.0 if quick else 60.0, say)
    yield from closed_gaps(dear, say)
    yield from against_practice(everyday, say)
    yield from replans(everyday)
    if not quick:
        yield from whole_week(300.0, True, say)
        cp_sat_table(uncapped[:6])


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--quick", action="store_true")
    options.add_argument("--json", action="store_true")
    chosen = options.parse_args()
    missed = []
    for line in measured(chosen.quick, not chosen.json):
        if chosen.json:
            shown = {"name": line.name, "ours": line.ours, "peer": line.peer, "ratio": line.ratio, "unit": line.unit}
            print(json.dumps({**shown, "checked": line.checked, "note": line.note}), flush=True)
        else:
            verdict = "met" if line.met else f"missed, target {line.target:.2f}"
            print(
                f"{line.name}: {line.ours} against {line.peer} {line.unit}, ratio {line.ratio} ({verdict}). {line.note}"
            )
        missed += [] if line.met else [line.name]
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())

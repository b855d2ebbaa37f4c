"""The day plan beside practice and beside plain solvers, on the published days of `benchmarks.days`.

    python -m benchmarks.day_plan [--quick] [--json]

Ours is `plan_day` with all it does: both gravest objectives, the activity with its proof, and the ties after it. Each plan is
judged by the checker, and each proof is worked out again from its prices by the domain alone, outside the clock. The peers'
plans are judged by the same checker. A peer that was stopped is counted at the time it had, and said to be stopped: the ratio
is then a floor. `--quick` takes a sample of the days; the whole table takes some minutes. A line with no target is there to
be read. Replanning is timed by `benchmarks.replan`.
"""

import argparse
import json
import statistics
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from time import perf_counter, process_time

from benchmarks.baselines import PRACTICES, Plain, job_shop, plain_cp_sat, plain_highs
from benchmarks.days import PUBLISHED, Instance, realistic, week
from gantry.domain.scheduling.certificate import bound
from gantry.domain.scheduling.check import drawn, faults, score
from gantry.domain.scheduling.problem import Day, Plan
from gantry.solvers.day_plan import Planned, Stage, plan_day

QUICK = ((16, 1, 2), (30, 2, 2))
CLOSED, NEARLY = 1e-4, 1e-3
SPEED, SAVED = 5.0, 0.15
READ_ONLY = 0.0


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

    def as_json(self) -> dict[str, object]:
        said = {"name": self.name, "ours": self.ours, "peer": self.peer, "ratio": self.ratio, "unit": self.unit}
        return {**said, "checked": self.checked, "note": self.note}


def shown(line: Line) -> str:
    verdict = "met" if line.met else f"missed, target {line.target:.2f}"
    if line.target == READ_ONLY and line.checked:
        verdict = "to be read"
    return f"{line.name}: {line.ours} against {line.peer} {line.unit}, ratio {line.ratio} ({verdict}). {line.note}"


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
    """Patients scanned, and MBq ordered at each delivery's reference time: the least order in full where less is drawn."""
    used = {visit.delivery for visit in plan.visits}
    return len(plan.visits), sum(max(d.least_mbq, drawn(day, plan, d)) for d in day.deliveries if d.ref in used)


@dataclass(frozen=True, slots=True)
class Row:
    """What one way of booking makes of one day."""

    scanned: int
    unscanned_weight: int
    mbq: float
    pence: float
    overtime_min: int


def row(day: Day, plan: Plan) -> Row:
    count, mbq = completed(day, plan)
    reached = score(day, plan)
    return Row(count, reached.unscanned_weight, mbq, reached.activity_pence, reached.overtime_min)


def against_practice(done: list[Solved], say: bool) -> Iterator[Line]:
    """Patients scanned, MBq for each completed scan and overtime, beside each practice and the best of them."""
    ours: list[Row] = []
    theirs: dict[str, list[Row]] = {name: [] for name in PRACTICES}
    checked = all(one.checked for one in done)
    if say:
        print(f"{'day':<24}{'':<20}{'scanned':>8}{'weight':>8}{'MBq/scan':>10}{'pounds':>9}{'overtime':>9}")
    for one in done:
        ours.append(row(one.day, one.found.plan))
        for name, make in PRACTICES.items():
            plan = make(one.day)
            checked &= faults(one.day, plan) == []
            theirs[name].append(row(one.day, plan))
        if say:
            for name, each in {"day plan": ours[-1], **{name: rows[-1] for name, rows in theirs.items()}}.items():
                print(
                    f"{one.instance.name if each is ours[-1] else '':<24}{name:<20}{each.scanned:>8}"
                    f"{each.unscanned_weight:>8}{each.mbq / max(1, each.scanned):>10.1f}{each.pence / 100:>9.2f}"
                    f"{each.overtime_min:>9}"
                )
    for name, rows in theirs.items():
        yield beside(ours, rows, name, checked)
    days = list(zip(*theirs.values(), strict=True))
    fewer = sum(mine.scanned < max(each.scanned for each in day) for mine, day in zip(ours, days, strict=True))
    mbq = statistics.mean(each.mbq / each.scanned for each in ours)
    best = statistics.mean(min(each.mbq / each.scanned for each in day if each.scanned) for day in days)
    yield Line(
        "MBq ordered per completed scan, best of three practices on each day",
        round(mbq, 1), round(best, 1), round(best / mbq, 3), "MBq", checked and not fewer,
        f"{1 - mbq / best:.1%} less; fewer scanned than the best practice on {fewer} of {len(done)} days", 1 / (1 - SAVED),
    )  # fmt: skip
    pounds = statistics.mean(each.pence / each.scanned for each in ours) / 100
    least = statistics.mean(min(each.pence / each.scanned for each in day if each.scanned) for day in days) / 100
    yield Line(
        "pounds of activity and runs per completed scan, best of three practices on each day",
        round(pounds, 2), round(least, 2), round(least / pounds, 3), "pounds", checked and not fewer,
        f"{1 - pounds / least:.1%} less at the same prices: a run that costs more than it saves is left out",
    )  # fmt: skip


def beside(ours: list[Row], theirs: list[Row], name: str, checked: bool) -> Line:
    mbq = [statistics.mean(each.mbq / max(1, each.scanned) for each in rows) for rows in (ours, theirs)]
    scanned, weight, overtime = (
        [sum(getattr(each, what) for each in rows) for rows in (ours, theirs)]
        for what in ("scanned", "unscanned_weight", "overtime_min")
    )
    return Line(
        f"MBq per completed scan beside {name}", round(mbq[0], 1), round(mbq[1], 1), round(mbq[1] / mbq[0], 3), "MBq",
        checked and scanned[0] >= scanned[1],
        f"scanned {scanned[0]} against {scanned[1]}, weight left out {weight[0]} against {weight[1]}, overtime "
        f"{overtime[0]} against {overtime[1]} min over {len(ours)} days",
    )  # fmt: skip


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


def closed_gaps(done: list[Solved], what: str, say: bool) -> Iterator[Line]:
    """Priced runs, least orders, caps, and needs that few scanners meet: within 0.1 % of the proof, in 30 s."""
    gaps = [one.found.gap for one in done]
    slowest = max(one.wall for one in done)
    if say:
        for one in done:
            exact = "optimal" if Stage.ACTIVITY in one.found.proved else "not proved optimal"
            print(f"{one.instance.name:<26}{one.seconds:>8.2f} s  gap {one.found.gap:.4%}  {exact}")
    yield Line(
        f"{what}: gap by the certificate (worst)",
        round(max(gaps), 6),
        NEARLY,
        round(NEARLY / max(max(gaps), 1e-9), 2),
        "of the cost",
        all(one.checked for one in done) and slowest <= 40,
        f"{sum(g <= NEARLY for g in gaps)} of {len(gaps)} days within 0.1 %; optimal on "
        f"{sum(Stage.ACTIVITY in one.found.proved for one in done)}; slowest {slowest:.1f} s",
    )


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


def against_cp_sat(done: list[Solved], seconds: float, say: bool) -> Iterator[Line]:
    """The same proof by a plain CP-SAT model: it never closes the activity, so that the ratio is a floor."""
    open_gaps, ratios, closed, checked = [], [], 0, True
    ours, theirs = [], []
    for one in done:
        plain = plain_cp_sat(one.day, seconds=seconds)
        checked &= one.checked and agrees(one, plain)
        closed += plain.closed
        ours.append(one.seconds)
        theirs.append(plain.seconds)
        ratios.append(plain.seconds / one.seconds)
        if plain.plan is not None:
            cost = score(one.day, plain.plan).activity_pence
            open_gaps.append((cost - plain.bound) / max(1.0, cost))
        if say:
            print(
                f"{one.instance.name:<26} plain CP-SAT {plain.seconds:>6.1f} s, {'closed' if plain.closed else 'stopped'}"
            )
    left = f"its gap then {min(open_gaps):.1%} to {max(open_gaps):.1%}" if open_gaps else "no plan then"
    yield Line(
        "value and MBq proved, beside a plain CP-SAT model (median)",
        round(statistics.median(ours), 3), round(statistics.median(theirs), 2), round(statistics.median(ratios), 1), "s",
        checked, f"plain stopped at {seconds:.0f} s on {len(done) - closed} of {len(done)}; {left}",
    )  # fmt: skip


def against_job_shop(done: list[Solved], seconds: float) -> Iterator[Line]:
    """Only the first objective can be put to it; ours is timed with all that follows."""
    ours, theirs, ratios, checked, stopped = [], [], [], True, 0
    for one in done:
        found = job_shop(one.day, seconds=seconds)
        if found is None:
            yield Line(
                "weight scanned, beside PyJobShop", 0, 0, 0, "s", True, "PyJobShop 0.0.9 is not installed: not timed", READ_ONLY
            )  # fmt: skip
            return
        reached = one.found.score.unscanned_weight
        checked &= one.checked and Stage.IN_TIME in one.found.proved and found.bound <= reached + 1e-6
        stopped += not found.closed
        ours.append(one.seconds)
        theirs.append(found.seconds)
        ratios.append(found.seconds / one.seconds)
    yield Line(
        "weight scanned by PyJobShop, beside the whole plan of ours (median)",
        round(statistics.median(ours), 3), round(statistics.median(theirs), 2), round(statistics.median(ratios), 2), "s",
        checked, f"{len(done)} days, PyJobShop stopped at {seconds:.0f} s on {stopped}; no cost that decays in it", READ_ONLY,
    )  # fmt: skip


def sample(kind: str, quick: bool, seeds: int = 3) -> list[Instance]:
    return [
        one
        for one in PUBLISHED
        if one.kind == kind
        and one.seed < (1 if quick else seeds)
        and (not quick or (one.patients, one.scanners, one.runs) in (QUICK if kind != "needs" else QUICK[:1]))
    ]


def measured(quick: bool, say: bool) -> Iterator[Line]:
    limit = 30.0
    uncapped = [solved(one, limit) for one in sample("uncapped", quick)]
    dear = [solved(one, limit) for kind in ("priced", "capped", "needs") for one in sample(kind, quick)]
    small = [one for one in PUBLISHED if one.kind == "priced" and one.seed == 1 and one.patients <= 30]
    everyday = [solved(one, limit) for one in small] if quick else [*uncapped, *dear]
    yield from against_plain(uncapped, 4.0 if quick else 20.0, say)
    yield from against_cp_sat(uncapped[:1] if quick else uncapped[:6], 6.0 if quick else 15.0, say)
    yield from against_job_shop(uncapped[:1] if quick else uncapped[:12], 6.0 if quick else 10.0)
    yield from closed_gaps([one for one in dear if one.instance.kind != "needs"], "priced runs and capped batches", say)
    yield from closed_gaps([one for one in dear if one.instance.kind == "needs"], "priced runs, needs that bind", say)
    yield from against_practice(everyday, say)
    if not quick:
        yield from whole_week(160.0, True, say)


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--quick", action="store_true")
    options.add_argument("--json", action="store_true")
    chosen = options.parse_args()
    missed = []
    for line in measured(chosen.quick, not chosen.json):
        print(json.dumps(line.as_json()) if chosen.json else shown(line), flush=True)
        missed += [] if line.met else [line.name]
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())

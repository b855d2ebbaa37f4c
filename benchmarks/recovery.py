"""Recovery measured: how soon there are options after a failure, and what becomes of people when it strikes at any time of day.

    python -m benchmarks.recovery [--soon | --replay] [--every MINUTES] [--quick]

`--soon`: seeded days of 12 to 50 patients, each batch and each scanner failing at three hours; seconds on the wall and of
one processor, from the event to options that the checker has passed. A miss of one second on the wall at p95 ends with 1.
`--replay`: every quarter of an hour, each batch and each scanner fails, and an hour after what was accepted the next thing
fails too; on days lifted from the demonstration network (`benchmarks/demonstration_day`, `demonstration_days`)
and on seeded ones. A scanner stands for half an hour to four hours, drawn by its name and the minute. A fault of
any option, or a person who is nowhere, ends with 1.
"""

import argparse
import json
import statistics
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from gantry.domain.scheduling.failure_files import read_event
from gantry.domain.scheduling.failures import (
    Failure,
    FailureKind,
    LengthenRule,
    OtherTracer,
    Rules,
    Situation,
    TransferRule,
)
from gantry.domain.scheduling.files import Refused, read_day, read_plan
from gantry.domain.scheduling.problem import Tracer, Uptake
from gantry.solvers.recovery import options_after
from gantry.solvers.replay import End, Sum, by_kind, outage_min, strikes, table
from tests.solvers.broken_days import situation

LIFTED = Path(__file__).parent / "demonstration_day"
MORE = Path(__file__).parent / "demonstration_days"
"""A day of each of the five sites, and one with a child on an anaesthetic list: no patients are in them, all is played."""
SIZES = ((12, 1, 2), (25, 1, 2), (30, 2, 2), (40, 2, 3), (50, 3, 3))
"""Patients, scanners, runs."""
SEEDS = range(4)
BUDGET_S = 1.0


def failures(minute: int, scanners: int, runs: int) -> Iterator[Failure]:
    for number in range(runs):
        yield Failure(FailureKind.BATCH_LOST, f"D{number}", minute)
    for number in range(scanners):
        yield Failure(FailureKind.SCANNER_DOWN, f"S{number}", minute, minute, minute + outage_min(f"S{number}", minute))


def soon(sizes: tuple[tuple[int, int, int], ...], seeds: range) -> bool:
    """Whether every size keeps the budget at p95."""
    print("patients scanners runs  failures   wall in s: median   p95   most   processor: p95")
    kept = True
    for size in sizes:
        wall, processor = [], []
        for seed in seeds:
            for minute in (430, 540, 660):
                for failure in failures(minute, size[1], size[2]):
                    s = situation(seed, *size, failure)
                    began, cpu = time.perf_counter(), time.process_time()
                    assert options_after(s)
                    wall.append(time.perf_counter() - began)
                    processor.append(time.process_time() - cpu)
        kept &= p95(wall) <= BUDGET_S
        print(
            f"{size[0]:8} {size[1]:8} {size[2]:4} {len(wall):9} {statistics.median(wall):18.2f} {p95(wall):6.2f}"
            f" {max(wall):6.2f} {p95(processor):16.2f}",
            flush=True,
        )
    return kept


def p95(taken: list[float]) -> float:
    return statistics.quantiles(taken, n=20)[-1]


def lifted(folder: Path = LIFTED) -> Situation:
    """The demonstration's day, as `gantry day lift` wrote it."""
    read = {name: json.loads((folder / f"{name}.json").read_text()) for name in ("day", "plan", "event")}
    day = read_day(read["day"])
    assert not isinstance(day, Refused), day.faults
    plan = read_plan(day, read["plan"])
    assert not isinstance(plan, Refused), plan.faults
    base = read_event(day, plan, read["event"])
    assert not isinstance(base, Refused), base.faults
    return base


def with_every_way(base: Situation) -> Situation:
    """The same day where rules are approved, a run can still be ordered from, and another tracer comes."""
    place = base.day.scanner(base.plan.visits[0].scanner).place
    there = next(p.ref for p in base.day.places if p.ref != place)
    like = next(d for d in base.day.deliveries if d.place == place)
    first = min(v.injection_min for v in base.plan.visits)
    run = replace(
        like, ref="open run", arrives_min=first + 150, expires_min=first + 610, reference_min=first + 130,
        ordered_mbq=None, most_mbq=6_000.0, price_pence=40_000, price_pence_per_gbq=2_000,
    )  # fmt: skip
    other = replace(run, ref="other tracer", tracer="OTHER", ordered_mbq=1_500.0, most_mbq=None, price_pence=0)
    day = replace(
        base.day, deliveries=(*base.day.deliveries, run, other), tracers=(*base.day.tracers, Tracer("OTHER", 109.77))
    )  # fmt: skip
    instead = OtherTracer("OTHER", 250.0, Uptake(60, 60, 90), 25)
    about = {
        p.ref: replace(base.about(p.ref), other_tracers=(instead,) if number % 3 == 0 else ())
        for number, p in enumerate(base.day.patients)
    }
    rules = Rules(
        (LengthenRule("Dr Example", "FDG", 0.7, patients=frozenset(p.ref for p in base.day.patients[::2])),),
        TransferRule("the adviser", {(place, there): 20}),
    )
    return replace(base, day=day, circumstances=about, rules=rules, cut_offs={**base.cut_offs, "open run": first + 60})


def replays(quick: bool) -> Iterator[tuple[str, Situation]]:
    yield "a day of the demonstration network, two sites", lifted()
    yield (
        "the same day with every way open to it: approved rules, an open run, another tracer",
        with_every_way(lifted()),
    )
    for folder in sorted(MORE.iterdir())[: 2 if quick else None]:
        yield f"lifted: {folder.name}", lifted(folder)
    nothing = Failure(FailureKind.BATCH_LOST, "D0", 0)
    for size, seed in ((SIZES[0], 0),) if quick else ((SIZES[0], 0), (SIZES[1], 1), (SIZES[2], 2)):
        yield f"{size[0]} patients, {size[1]} scanners, {size[2]} runs, seed {seed}", situation(seed, *size, nothing)


def replay(every: int, quick: bool) -> bool:
    """Whether nobody is nowhere and the checker finds no fault."""
    right = True
    total: dict[str, Sum] = {}
    for name, base in replays(quick):
        sums = by_kind(strikes(base, every=every, seconds=0.1, twice=True))
        print(f"\n{name}, every {every} minutes\n", *table(sums), sep="\n", flush=True)
        for kind, each in sums.items():
            both = total.setdefault(kind, Sum())
            both.strikes += each.strikes
            both.ends.update(each.ends)
            both.moved, both.again, both.faults = (
                both.moved + each.moved,
                both.again + each.again,
                both.faults + each.faults,
            )
        right &= not any(each.faults or each.ends[End.NOWHERE] for each in sums.values())
    print("\nall of them\n", *table(total), sep="\n")
    return right


def main(argv: list[str]) -> int:
    asked = argparse.ArgumentParser(description="Recovery measured.")
    asked.add_argument("--soon", action="store_true")
    asked.add_argument("--replay", action="store_true")
    asked.add_argument("--quick", action="store_true")
    asked.add_argument("--every", type=int, default=15)
    given = asked.parse_args(argv)
    both = given.soon == given.replay
    right = True
    if given.soon or both:
        right &= soon(SIZES[-1:] if given.quick else SIZES, SEEDS[:1] if given.quick else SEEDS)
    if given.replay or both:
        right &= replay(60 if given.quick else given.every, given.quick)
    return 0 if right else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

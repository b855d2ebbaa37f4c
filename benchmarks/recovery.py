"""Recovery measured: how much work it takes to have options after a failure, and what becomes of people when it strikes at any time of day.

Run as `python -m benchmarks.recovery`. Days are drawn by seed; every option printed has passed the checker. Seconds are
of one processor: the search uses one, and what else the machine does does not count.
"""

import statistics
import sys
import time
from collections.abc import Iterator

from gantry.domain.scheduling.failures import Failure, FailureKind, Standing, standing
from gantry.domain.scheduling.recovery import faults_of
from gantry.solvers.recovery import options_after
from tests.solvers.broken_days import situation

SIZES = ((12, 1, 2), (25, 1, 2), (30, 2, 2), (40, 2, 3), (50, 3, 3))
"""Patients, scanners, runs."""
SEEDS = range(4)
EVERY_MIN = 15


def failures(minute: int, scanners: int, runs: int) -> Iterator[Failure]:
    for number in range(runs):
        yield Failure(FailureKind.BATCH_LOST, f"D{number}", minute)
    for number in range(scanners):
        yield Failure(FailureKind.SCANNER_DOWN, f"S{number}", minute, minute, minute + 90)


def soon() -> None:
    print("patients scanners  options in s: median   p95   most")
    everything = []
    for size in SIZES:
        taken = []
        for seed in SEEDS:
            for minute in (430, 540, 660):
                for failure in failures(minute, size[1], size[2]):
                    s = situation(seed, *size, failure)
                    began = time.process_time()
                    options_after(s)
                    taken.append(time.process_time() - began)
        everything += taken
        print(f"{size[0]:8} {size[1]:8} {statistics.median(taken):20.2f} {p95(taken):6.2f} {max(taken):6.2f}")
    print(f"all days: p95 {p95(everything):.2f} s of {len(everything)} failures")


def p95(taken: list[float]) -> float:
    return statistics.quantiles(taken, n=20)[-1]


def replay(seed: int, size: tuple[int, int, int], every: int = EVERY_MIN) -> None:
    """Each batch and scanner fails at every quarter of an hour; where each person ends by the best option."""
    count = dict.fromkeys(
        ("failures", "people", "scanned", "other day in the limit", "listed", "abandoned", "faults"), 0
    )
    for minute in range(420, 1080, every):
        for failure in failures(minute, size[1], size[2]):
            s = situation(seed, *size, failure)
            options = options_after(s, seconds=0.3)
            count["failures"] += 1
            if not options:
                count["faults"] += 1
                continue
            best = options[0]
            count["faults"] += len(faults_of(s, best))
            for patient in s.day.patients:
                if s.plan.visit(patient.ref) is None:
                    continue
                count["people"] += 1
                other = s.about(patient.ref).other_day
                if best.plan.visit(patient.ref) is not None:
                    count["scanned"] += 1
                elif standing(s, patient) in (Standing.INJECTED, Standing.SCANNING):
                    count["abandoned"] += 1
                elif other is not None and other.within_limit:
                    count["other day in the limit"] += 1
                else:
                    assert best.plan.left_out[patient.ref]
                    count["listed"] += 1
    print(f"seed {seed}, {size[0]} patients: " + ", ".join(f"{name} {number:,}" for name, number in count.items()))


def main(argv: list[str]) -> None:
    if "replay" not in argv:
        soon()
    for seed in SEEDS:
        replay(seed, SIZES[seed % 2])


if __name__ == "__main__":
    main(sys.argv[1:])

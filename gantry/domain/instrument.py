"""Decides whether a measuring device may be trusted today: its tests, what each allows, and how often it is due."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from math import exp, log

from gantry.domain.decay import Assay


class DeviceKind(StrEnum):
    CALIBRATOR = "calibrator"
    INJECTOR = "injector"
    GLUCOMETER = "glucometer"


class TestKind(StrEnum):
    """A check source each day, a decaying source each quarter, a traceable source each year."""

    __test__ = False  # not for pytest

    CONSTANCY = "constancy"
    LINEARITY = "linearity"
    ACCURACY = "accuracy"


@dataclass(frozen=True, slots=True)
class Allowed:
    """What one test of one kind of device allows."""

    percent: float
    every: timedelta
    daily: bool = False
    """Due on each local day of use: without it nothing is authorised on this device."""


def off_percent(measured: float, expected: float) -> float:
    """How far a reading is from what it should be. The expected value is decayed to the reading's own instant."""
    if expected <= 0:
        raise ValueError("a test needs an expected value above nothing")
    return (measured - expected) / expected * 100


def linearity_percent(readings: Sequence[Assay]) -> float:
    """The largest deviation of a decaying source from its own half-life, in per cent.

    Every reading is decayed to the first; the reference is their geometric mean, which least squares on the logarithm
    gives when the half-life is known.
    """
    if len(readings) < 3:
        raise ValueError("linearity needs at least three readings of one source")
    at = min(each.at for each in readings)
    together = [each.activity_at(at) for each in readings]
    if min(together) <= 0:
        raise ValueError("linearity needs readings above nothing")
    mean = exp(sum(log(each) for each in together) / len(together))
    return max(((each / mean - 1) * 100 for each in together), key=abs)


def passes(percent: float, allowed: Allowed) -> bool:
    return abs(percent) <= allowed.percent + 1e-7


@dataclass(frozen=True, slots=True)
class LastTest:
    """The latest test of one kind: the day is the site's own."""

    kind: TestKind
    at: datetime
    passed: bool
    today: bool


def why_not_trusted(
    name: str, latest: Iterable[LastTest], rules: Iterable[tuple[TestKind, Allowed]]
) -> list[str]:  # fmt: skip
    """Why nothing may be authorised on this device now. A test that is late in its quarter or year is only shown."""
    by_kind, reasons = {each.kind: each for each in latest}, []
    for kind, allowed in rules:
        test = by_kind.get(kind)
        if allowed.daily and (test is None or not test.today):
            reasons.append(f"{name} has no {kind} test recorded today")
        elif test is not None and not test.passed:
            reasons.append(f"{name} failed its last {kind} test")
    return reasons


def overdue(latest: Iterable[LastTest], rules: Iterable[tuple[TestKind, Allowed]], *, at: datetime) -> list[TestKind]:
    """Tests that have not been made within their interval: to be planned, not a stop."""
    by_kind = {each.kind: each for each in latest}
    return [k for k, allowed in rules if not allowed.daily and (k not in by_kind or by_kind[k].at + allowed.every < at)]

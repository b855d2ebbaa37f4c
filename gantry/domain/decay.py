"""Decides how much activity is left: activities in MBq, moments timezone-aware, half-lives from reference data."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from math import exp2, isfinite, log2


@dataclass(frozen=True, slots=True)
class Nuclide:
    symbol: str
    half_life: timedelta

    def __post_init__(self) -> None:
        if self.half_life <= timedelta(0):
            raise ValueError("a half-life is longer than nothing")


def fraction_left(nuclide: Nuclide, elapsed: timedelta) -> float:
    """Share of the activity left after `elapsed`; above 1 when looking back."""
    return exp2(-(elapsed / nuclide.half_life))


def time_to_fraction(nuclide: Nuclide, fraction: float) -> timedelta:
    """How long until only `fraction` is left; negative for a fraction above 1."""
    if fraction <= 0:
        raise ValueError("activity halves for ever and never reaches nothing")
    return -log2(fraction) * nuclide.half_life


@dataclass(frozen=True, slots=True)
class Assay:
    """An activity as it was measured: how much, of what, and when."""

    nuclide: Nuclide
    activity_mbq: float
    at: datetime

    def __post_init__(self) -> None:
        if self.at.tzinfo is None:
            raise ValueError("an assay needs a timezone-aware time")
        if not isfinite(self.activity_mbq) or self.activity_mbq < 0:
            raise ValueError("an activity is a finite number of MBq, not below zero")

    def activity_at(self, when: datetime) -> float:
        if when.tzinfo is None:
            raise ValueError("decay needs a timezone-aware time")
        return self.activity_mbq * fraction_left(self.nuclide, when - self.at)


def net_administered_mbq(before: Assay, residual: Assay | None, injected_at: datetime) -> float:
    """What went into the patient, at the moment of injection: syringe before less syringe after, both decayed to then.

    Without a residual the answer is what was in the syringe: say so wherever it is shown.
    """
    if residual is None:
        return before.activity_at(injected_at)
    if residual.nuclide != before.nuclide:
        raise ValueError(f"residual of {residual.nuclide.symbol} cannot be taken from {before.nuclide.symbol}")
    return before.activity_at(injected_at) - residual.activity_at(injected_at)


def why_not_plausible(before: Assay, residual: Assay | None, injected_at: datetime) -> list[str]:
    """What looks wrong about the three times and two activities: shown at once, recorded all the same."""
    reasons = []
    if before.at > injected_at:
        reasons.append("The syringe was assayed after the injection")
    if injected_at - before.at > 2 * before.nuclide.half_life:
        reasons.append("The syringe was assayed more than two half-lives before the injection")
    if residual is not None:
        if residual.at < injected_at:
            reasons.append("The residual was assayed before the injection")
        if net_administered_mbq(before, residual, injected_at) < 0:
            reasons.append("More was left in the syringe than it held before")
    return reasons

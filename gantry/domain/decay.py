"""Decides how much activity is left: activities in MBq, moments timezone-aware, half-lives from reference data.

The law, and where each line of it is from:

    A(t) = A₀ · e^(−λ·t)          activity and decay constant, ICRU Report 85 (2011), 6.1 and 6.2
    λ = ln 2 / T                  the half-life T, the same place
    A(t) = A₀ · 2^(−t/T)          both together; the form that is computed here
    t = −T · log₂(A/A₀)           solved for the time

A is in MBq (SI: 1 MBq = 10⁶ decays in a second), t and T are lengths of time between instants, never wall clocks.
T comes from `gantry.reference.nuclides`, each value with its source and the mark of those that nobody has confirmed.

What is taken as exact: T (published values for F-18 differ by about 0.04 %, which is recalled: 0.13 % after five of them), and
the clock (a minute is 0.63 % of F-18, 1 − 2^(−1/109.77), and 1.02 % of Ga-68). What the instruments add is in `ledger`.
"""

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
    """2^(−t/T): the share of the activity left after `elapsed`, without a unit; above 1 when looking back."""
    return exp2(-(elapsed / nuclide.half_life))


def time_to_fraction(nuclide: Nuclide, fraction: float) -> timedelta:
    """t = −T · log₂(fraction): how long until only `fraction` is left; negative for a fraction above 1.

    Raises ValueError for a fraction that is never reached.
    """
    if fraction <= 0:
        raise ValueError("activity halves for ever and never reaches nothing")
    return -log2(fraction) * nuclide.half_life


@dataclass(frozen=True, slots=True)
class Assay:
    """An activity as it was measured: how much (MBq), of what, and when. Raises ValueError for what is no activity."""

    nuclide: Nuclide
    activity_mbq: float
    at: datetime

    def __post_init__(self) -> None:
        if self.at.tzinfo is None:
            raise ValueError("an assay needs a timezone-aware time")
        if not isfinite(self.activity_mbq) or self.activity_mbq < 0:
            raise ValueError("an activity is a finite number of MBq, not below zero")

    def activity_at(self, when: datetime) -> float:
        """A(when) = A₀ · 2^(−(when − at)/T), in MBq: forwards and back."""
        if when.tzinfo is None:
            raise ValueError("decay needs a timezone-aware time")
        return self.activity_mbq * fraction_left(self.nuclide, when - self.at)


def net_administered_mbq(before: Assay, residual: Assay | None, injected_at: datetime) -> float:
    """What went into the patient, at the moment of injection: syringe before less syringe after, both decayed to then.

        A_net(t_inj) = A_before · 2^(−(t_inj − t_before)/T) − A_after · 2^(−(t_inj − t_after)/T)

    DICOM PS3.16, DCM 113507 “Administered activity”: the activity at the start of the administration, with the residual
    and decay taken into account. t_after is later than t_inj, so the residual is brought back and grows. Below nothing
    when more was left than there was: the caller names that. Without a residual the answer is what was in the syringe:
    say so wherever it is shown. Raises ValueError for a residual of another nuclide.
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

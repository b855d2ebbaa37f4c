"""Decides how an image's counts become a standardised uptake value, and what two sources of one dose disagree about."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from math import exp2

SECONDS_EARLY = 60.0
"""A slice may say that it began a moment before its series did: clocks of one scanner, not another injection."""


@dataclass(frozen=True, slots=True)
class PetFacts:
    """What a PET series states of itself and of the injection."""

    units: str
    corrections: frozenset[str]
    decay_correction: str
    weight_kg: float | None
    total_bq: float | None
    half_life_s: float | None
    injected_at: datetime | None
    series_at: datetime | None
    first_acquired_at: datetime | None


@dataclass(frozen=True, slots=True)
class Uptake:
    """SUVbw = Bq/mL × factor; the factor is weight in grams ÷ the activity decayed to the reference time."""

    seconds: float
    decayed_bq: float
    factor: float


def why_no_suv(facts: PetFacts) -> list[str]:
    """Why no uptake value may be shown (QIBA FDG-PET profile: attenuation and decay corrected, everything known)."""
    reasons = [
        f"The image is not corrected for {name}"
        for code, name in (("ATTN", "attenuation"), ("DECY", "decay"))
        if code not in facts.corrections
    ]
    if facts.units != "BQML":
        reasons.append(f"The image is in {facts.units or 'no unit'}, not in Bq/mL")
    if facts.decay_correction != "START":
        reasons.append("The image is not corrected to the start of the series")
    for value, name in (
        (facts.weight_kg, "weight"),
        (facts.total_bq, "injected activity"),
        (facts.half_life_s, "half-life"),
        (facts.injected_at, "injection time"),
        (reference_at(facts), "series time"),
    ):
        if not value:
            reasons.append(f"The {name} is not stated")
    if (elapsed := elapsed_s(facts)) is not None and elapsed < 0:
        reasons.append("The injection is stated after the scan")
    return reasons


def reference_at(facts: PetFacts) -> datetime | None:
    """The series' own time, unless the first slice was acquired well before it; then that is what decay counts to."""
    first, series = facts.first_acquired_at, facts.series_at
    if series is None or first is None:
        return series or first
    return first if series - first > timedelta(seconds=SECONDS_EARLY) else series


def elapsed_s(facts: PetFacts) -> float | None:
    at = reference_at(facts)
    return None if at is None or facts.injected_at is None else (at - facts.injected_at).total_seconds()


def uptake(facts: PetFacts) -> Uptake | None:
    """None where `why_no_suv` gives a reason."""
    seconds = elapsed_s(facts)
    if why_no_suv(facts) or seconds is None or not (facts.weight_kg and facts.total_bq and facts.half_life_s):
        return None
    decayed = facts.total_bq * exp2(-seconds / facts.half_life_s)
    return Uptake(seconds, decayed, facts.weight_kg * 1000 / decayed)


@dataclass(frozen=True, slots=True)
class Stated:
    """One source's word on one administration: a dose report, an image header, our own record."""

    source: str
    injected_at: datetime | None = None
    activity_mbq: float | None = None
    half_life_s: float | None = None
    weight_kg: float | None = None


@dataclass(frozen=True, slots=True)
class Disagreement:
    """Sources that differ: all are shown, none is averaged."""

    what: str
    said: Mapping[str, datetime | float]
    apart: float
    """In seconds for a time, in per cent of the least for a quantity."""


APART = {"activity_mbq": 1.0, "half_life_s": 0.1, "weight_kg": 1.0}
CLOCKS_APART_S = 60.0


def disagreements(
    sources: Iterable[Stated], *, apart_percent: Mapping[str, float] = APART, clocks_apart_s: float = CLOCKS_APART_S
) -> list[Disagreement]:
    """What the sources do not agree about. Rounding and a minute between clocks are no disagreement."""
    listed, found = list(sources), []
    times = {s.source: s.injected_at for s in listed if s.injected_at is not None}
    if len(times) > 1:
        apart = (max(times.values()) - min(times.values())).total_seconds()
        if apart > clocks_apart_s:
            found.append(Disagreement("injected_at", dict(times), apart))
    for what, percent in apart_percent.items():
        said = {s.source: float(v) for s in listed if (v := getattr(s, what)) is not None}
        if len(said) > 1 and (least := min(said.values())) > 0:
            apart = (max(said.values()) - least) / least * 100
            if apart > percent:
                found.append(Disagreement(what, dict(said), apart))
    return found

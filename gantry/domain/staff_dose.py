"""Decides what a worker's dose record asks for: a look at one reading, at the year so far, or at a limit that is passed.

Limits are for a calendar year and per part of the body; a reading counts in the year in which its period ends.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date
from enum import StrEnum


class Part(StrEnum):
    """What a badge stands for."""

    BODY = "whole body"
    FINGER = "fingers"
    EYE = "lens of the eye"


@dataclass(frozen=True, slots=True)
class Reading:
    part: Part
    first: date
    last: date
    msv: float


@dataclass(frozen=True, slots=True)
class YearLimits:
    """Of one part. All in mSv."""

    part: Part
    look_a_month: float
    """By the local rules: a reading above this, scaled to its own length, is asked about."""
    classify: float
    """Above this in a year somebody has to be a classified worker."""
    limit: float


DAYS_A_MONTH = 365.25 / 12


def of_year(readings: Iterable[Reading], part: Part, year: int) -> float:
    return sum(each.msv for each in readings if each.part is part and each.last.year == year)


def why_look(reading: Reading, limits: YearLimits) -> Iterator[str]:
    """Why somebody looks at one reading."""
    days = (reading.last - reading.first).days + 1
    allowed = limits.look_a_month * max(days / DAYS_A_MONTH, 1.0)
    if reading.msv > allowed:
        yield (
            f"{reading.msv:g} mSv to the {reading.part} in {days} days; "
            f"the local rules ask above {allowed:.2g} mSv in that time"
        )


def why_year(year_msv: float, limits: YearLimits, year: int) -> Iterator[str]:
    """What the year so far asks for."""
    if year_msv > limits.limit:
        yield f"{year_msv:g} mSv to the {limits.part} in {year} is above the limit of {limits.limit:g} mSv"
    elif year_msv > limits.classify:
        yield (
            f"{year_msv:g} mSv to the {limits.part} in {year}: above {limits.classify:g} mSv somebody is a classified worker"
        )


def why_not_kept(reading: Reading, others: Iterable[Reading]) -> Iterator[str]:
    """Why a reading cannot be a badge's: backwards, below nothing, or a time that another reading has already."""
    if reading.last < reading.first:
        yield "A period ends after it begins"
    if reading.msv < 0:
        yield "A dose is not below 0 mSv"
    for each in others:
        if each.part is reading.part and each.first <= reading.last and reading.first <= each.last:
            yield (
                f"A reading of the {each.part} from {each.first:%-d %B %Y} to {each.last:%-d %B %Y} is there already"
            )

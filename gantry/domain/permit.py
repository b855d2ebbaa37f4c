"""Decides what an environmental permit allows: how much of a nuclide a site may hold, store and dispose of."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from gantry.domain.decay import Nuclide, fraction_left

STORE_HALF_LIVES = 10
"""After ten half-lives 2⁻¹⁰, a thousandth, is left."""


def release_at(nuclide: Nuclide, stored_at: datetime) -> datetime:
    """When an item may leave the decay store."""
    return stored_at + STORE_HALF_LIVES * nuclide.half_life


@dataclass(frozen=True, slots=True)
class Terms:
    """What the permit says of one nuclide at one site. None: it sets no limit."""

    number: str
    nuclide: str
    valid_from: date
    valid_to: date
    holding_mbq: float
    sewer_mbq_a_month: float | None = None
    accumulation: timedelta | None = None

    def in_force(self, on: date) -> bool:
        return self.valid_from <= on <= self.valid_to


@dataclass(frozen=True, slots=True)
class Coming:
    """Ordered, not here yet: stated at its reference time."""

    activity_mbq: float
    reference_at: datetime


def held_then(held_mbq: float, now: datetime, nuclide: Nuclide, then: datetime) -> float:
    return held_mbq * fraction_left(nuclide, then - now)


def why_not_ordered(
    terms: Terms | None, *, nuclide: Nuclide, held_mbq: float, coming: Iterable[Coming], wanted: Coming, now: datetime,
    on: date,
) -> Iterator[str]:  # fmt: skip
    """Why this order would break the permit when it arrives. A site without any permit of ours is not judged here."""
    if terms is None:
        return
    if not terms.in_force(on):
        yield f"Permit {terms.number} for {terms.nuclide} is not in force on {on:%-d %B %Y}"
        return
    then = wanted.reference_at
    there = held_then(held_mbq, now, nuclide, then) + sum(
        one.activity_mbq * fraction_left(nuclide, then - one.reference_at) for one in coming if one.reference_at <= then
    )
    total = there + wanted.activity_mbq
    if total > terms.holding_mbq:
        yield (
            f"Permit {terms.number} allows {terms.holding_mbq:,.0f} MBq of {terms.nuclide} here; with this order there "
            f"would be {total:,.0f} MBq"
        )


def why_not_disposed(
    terms: Terms | None, *, route: str, activity_mbq: float, this_month_mbq: float, releases: Iterable[datetime],
    at: datetime,
) -> Iterator[str]:  # fmt: skip
    """Why something may not leave now: still decaying in the store, or the month's sewer limit is used up."""
    late = [moment for moment in releases if moment > at]
    if route != "sewer" and late:
        yield f"It decays until {max(late):%H:%M on %-d %B %Y} UTC"
    limit = terms.sewer_mbq_a_month if terms else None
    if route == "sewer" and limit is not None and this_month_mbq + activity_mbq > limit:
        yield (
            f"{this_month_mbq:,.0f} MBq went to the sewer this month; with {activity_mbq:,.0f} MBq more it would be above "
            f"the {limit:,.0f} MBq of the permit"
        )

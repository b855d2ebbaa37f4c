"""Decides what an environmental permit allows: how much of a nuclide a site may hold, store and dispose of."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
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
    monthly_mbq: Mapping[str, float] = field(default_factory=dict)
    """By route: what may leave in a calendar month. A route that is not named has no limit."""
    accumulation: timedelta | None = None
    """How long waste may be kept."""

    def in_force(self, on: date) -> bool:
        return self.valid_from <= on <= self.valid_to


@dataclass(frozen=True, slots=True)
class Coming:
    """Ordered, not here yet: stated at its reference time."""

    activity_mbq: float
    reference_at: datetime


def held_then(held_mbq: float, now: datetime, nuclide: Nuclide, then: datetime) -> float:
    return held_mbq * fraction_left(nuclide, then - now)


EXEMPT_BELOW = timedelta(seconds=100)
"""Half-lives for which EPR 2016 has an exempt regime: no permit has to name them."""


def why_not_ordered(
    terms: Terms | None,
    *,
    nuclide: Nuclide,
    held_mbq: float,
    coming: Iterable[Coming],
    wanted: Coming,
    now: datetime,
    on: date,
    month_mbq: Mapping[str, float] | None = None,
    names_others: bool = False,
) -> Iterator[str]:
    """Why this order would break the permit: when it arrives, or by the end of its month.

    `month_mbq` is what will have left by each route in the month of the order, with what is to be given from it; decayed
    waste is too little to foresee. A site whose permits name other nuclides may not have this one; a site without any
    recorded permit is not judged here, and its pages say so.
    """
    if terms is None:
        if names_others and nuclide.half_life >= EXEMPT_BELOW:
            yield f"No permit of this site names {nuclide.symbol}"
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
    for route, mbq in (month_mbq or {}).items():
        limit = terms.monthly_mbq.get(route)
        if limit is not None and mbq > limit:
            yield (
                f"Permit {terms.number} allows {in_words(limit)} of {terms.nuclide} to {WHERE.get(route, route)} a month; "
                f"with this order it would be {in_words(mbq)} in {on:%B}"
            )


def why_not_held(terms: Terms | None, *, held_mbq: float, more_mbq: float, on: date) -> Iterator[str]:
    """Why something more may not be held here: a sealed source, a generator. What is here all the same is a breach."""
    if terms is None:
        return
    if not terms.in_force(on):
        yield f"Permit {terms.number} for {terms.nuclide} is not in force on {on:%-d %B %Y}"
    elif held_mbq + more_mbq > terms.holding_mbq:
        yield (
            f"Permit {terms.number} allows {terms.holding_mbq:,.0f} MBq of {terms.nuclide} here; with this there would be "
            f"{held_mbq + more_mbq:,.0f} MBq"
        )


def why_not_disposed(
    terms: Terms | None, *, route: str, activity_mbq: float, this_month_mbq: float, releases: Iterable[datetime],
    at: datetime,
) -> Iterator[str]:  # fmt: skip
    """Why something may not leave now: still decaying in the store, or the month's limit of its route is used up."""
    late = [moment for moment in releases if moment > at]
    if route != SEWER and late:
        yield f"It decays until {max(late):%H:%M on %-d %B %Y} UTC"
    limit = terms.monthly_mbq.get(route) if terms else None
    if limit is not None and this_month_mbq + activity_mbq > limit:
        yield (
            f"{in_words(this_month_mbq)} went to {WHERE.get(route, route)} this month; with {in_words(activity_mbq)} more it "
            f"would be above the {in_words(limit)} of the permit"
        )


def in_words(mbq: float) -> str:
    """What has decayed is little: it keeps its digits."""
    return f"{mbq:,.0f} MBq" if mbq >= 10 or not mbq else f"{mbq:.3g} MBq"


SEWER = "sewer"
WHERE = {SEWER: "the sewer", "solid": "ordinary waste", "contractor": "the contractor"}


def kept_too_long(terms: Terms | None, *, since: datetime, at: datetime) -> bool:
    """Whether waste has been kept for longer than the permit lets it accumulate."""
    return terms is not None and terms.accumulation is not None and at - since > terms.accumulation

"""A proof that no plan can cost less: prices for the scarce things, from which anybody can work out a bound.

Lagrange: charge each minute of each resource a price, pay back a price for each unit of value, and let every patient choose
alone. Whatever the prices, no plan that keeps the rules and the value costs less than what comes out. Good prices come from a
solver; that they prove what they claim is checked here, from the problem alone.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from gantry.domain.scheduling.problem import (
    Day,
    Delivery,
    Patient,
    PlannedVisit,
    Window,
    capacities,
    choices,
    holds,
    in_time,
    moved,
)


@dataclass(frozen=True, slots=True)
class Takers:
    """How many patients draw on a delivery."""

    least: int
    most: int


@dataclass(frozen=True, slots=True)
class Prices:
    """For one choice of the runs that are used, of who is scanned, when, and from what. Every price is at least 0."""

    runs: frozenset[str]
    """Runs that cost something to use, and are paid for."""
    perhaps: frozenset[str] = frozenset()
    """Runs that the plan may pay for or not: the prices speak for either."""
    minute: Mapping[tuple[str, int], float] = field(default_factory=dict)
    """(resource, minute) → pence for one unit of it."""
    value: float = 0.0
    """Pence paid back for each unit of weight scanned in time."""
    move: float = 0.0
    """Pence charged for each move of a patient who was told."""
    mbq: Mapping[str, float] = field(default_factory=dict)
    """Delivery → pence for one MBq of what may be drawn, over and above what it costs."""
    least: Mapping[str, float] = field(default_factory=dict)
    """Delivery → the part of its price per MBq that is charged for the least order instead."""
    share: Mapping[tuple[str, str], float] = field(default_factory=dict)
    """(patient, delivery) → pence of the price of the run that this patient bears for using it."""
    starts: Mapping[str, Window] = field(default_factory=dict)
    """Patient → the minutes in which their scan starts, if they are scanned at all."""
    draws: Mapping[str, frozenset[str]] = field(default_factory=dict)
    """Patient → the deliveries that they may draw on, if they are scanned at all."""
    scanned: frozenset[str] = frozenset()
    """Patients who are scanned for certain."""
    left_out: frozenset[str] = frozenset()
    """Patients who are not."""
    takers: Mapping[str, Takers] = field(default_factory=dict)
    """Delivery → how many draw on it."""
    fewer: Mapping[str, float] = field(default_factory=dict)
    """Delivery → pence paid back for each patient who draws on it, of whom there are so many at least."""
    more: Mapping[str, float] = field(default_factory=dict)
    """Delivery → pence charged for each patient who draws on it, of whom there are so many at most."""


@dataclass(frozen=True, slots=True)
class Certificate:
    """At least `pence`, for any plan that scans `weight` in time and moves at most `moves`. One set of prices for each
    choice: a plan makes some choice."""

    weight: int
    moves: int
    prices: tuple[Prices, ...]


@dataclass(frozen=True, slots=True)
class Choice:
    """What is decided so far. A run is paid for or not used, a patient scanned or left out: by name; and for a patient who
    is scanned, the minutes in which the scan starts and the deliveries that it may draw on; and how many draw on one."""

    yes: frozenset[str] = frozenset()
    no: frozenset[str] = frozenset()
    starts: Mapping[str, Window] = field(default_factory=dict)
    draws: Mapping[str, frozenset[str]] = field(default_factory=dict)
    takers: Mapping[str, Takers] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Extent:
    """What there is to choose from where nothing is decided."""

    starts: Window
    draws: frozenset[str]
    takers: Takers = Takers(0, 0)


type Split = str | tuple[str, int] | tuple[str, frozenset[str]] | tuple[str, Takers]
"""What tells two choices apart: a yes or no, whether a patient's scan starts before a minute, whether they draw on one of
these deliveries, or whether so many draw on a delivery that they are among the fewer or the more."""

type Visits = Sequence[tuple[Patient, Sequence[PlannedVisit]]]


def bound(day: Day, certificate: Certificate) -> float:
    """The least that any such plan can cost for activity, in pence; minus infinity while some choice has no
    prices. Raises ValueError for prices that no proof may use."""
    if uncovered(day, certificate) is not None:
        return float("-inf")
    visits = [(patient, tuple(choices(day, patient))) for patient in day.patients]
    return min(one_bound(day, certificate, prices, visits) for prices in certificate.prices)


def chargeable(delivery: Delivery) -> bool:
    """Whether using it at all costs something: its choice is then part of the plan."""
    return delivery.ordered_mbq is None and bool(delivery.price_pence or delivery.least_mbq)


def extent(day: Day) -> Extent:
    """No scan starts outside the hours of every scanner."""
    hours = [window for scanner in day.scanners for window in scanner.open]
    starts = Window(min((w.start for w in hours), default=0), max((w.end for w in hours), default=0))
    return Extent(starts, frozenset(d.ref for d in day.deliveries), Takers(0, len(day.patients)))


def uncovered(day: Day, certificate: Certificate) -> Choice | None:
    """A choice that no set of prices speaks for: the certificate proves nothing while there is one."""
    runs = frozenset(d.ref for d in day.deliveries if chargeable(d))
    return unspoken(extent(day), [narrowed(prices, runs) for prices in certificate.prices], Choice())


def narrowed(prices: Prices, runs: frozenset[str]) -> Choice:
    """The choice that a set of prices speaks for."""
    unused = runs - prices.runs - prices.perhaps
    yes = {f"run {ref}" for ref in prices.runs & runs} | {f"patient {ref}" for ref in prices.scanned}
    no = {f"run {ref}" for ref in unused} | {f"patient {ref}" for ref in prices.left_out}
    return Choice(frozenset(yes), frozenset(no), prices.starts, prices.draws, prices.takers)


def unspoken(whole: Extent, spoken: Sequence[Choice], of: Choice) -> Choice | None:
    """Split only where some prices tell the parts apart, and first where the fewest speak for either part."""
    spoken = [one for one in spoken if meets(whole, one, of)]
    if not spoken:
        return of
    splits: dict[Split, None] = {}
    for one in spoken:
        own = dict.fromkeys(told_apart(whole, one, of))
        if not own:
            return None
        splits |= own
    fewest, parts = 2 * len(spoken) + 1, (of, of)
    for split in splits:
        halves = halved(whole, of, split)
        count = sum(meets(whole, one, half) for half in halves for one in spoken)
        if count < fewest:
            fewest, parts = count, halves
        if count == len(spoken):
            break
    return next((found for half in parts if (found := unspoken(whole, spoken, half)) is not None), None)


def told_apart(whole: Extent, spoken: Choice, of: Choice) -> Iterator[Split]:
    """Where a choice is wider than what is spoken for."""
    yield from sorted((spoken.yes - of.yes) | (spoken.no - of.no))
    for patient, window in sorted(spoken.starts.items()):
        now = of.starts.get(patient, whole.starts)
        if window.start > now.start:
            yield patient, window.start
        if window.end < now.end:
            yield patient, window.end
    for patient, some in sorted(spoken.draws.items()):
        if of.draws.get(patient, whole.draws) - some:
            yield patient, some
    for delivery, count in sorted(spoken.takers.items()):
        now_count = of.takers.get(delivery, whole.takers)
        if count.least > now_count.least:
            yield delivery, Takers(count.least - 1, count.least)
        if count.most < now_count.most:
            yield delivery, Takers(count.most, count.most + 1)


def halved(whole: Extent, of: Choice, split: Split) -> tuple[Choice, Choice]:
    if isinstance(split, str):
        return replace(of, yes=of.yes | {split}), replace(of, no=of.no | {split})
    patient, at = split
    if isinstance(at, int):
        now = of.starts.get(patient, whole.starts)
        before, after = Window(now.start, at), Window(at, now.end)
        return replace(of, starts={**of.starts, patient: before}), replace(of, starts={**of.starts, patient: after})
    if isinstance(at, Takers):
        count = of.takers.get(patient, whole.takers)
        few, many = Takers(count.least, at.least), Takers(at.most, count.most)
        return replace(of, takers={**of.takers, patient: few}), replace(of, takers={**of.takers, patient: many})
    draws = of.draws.get(patient, whole.draws)
    ones, others = draws & at, draws - at
    return replace(of, draws={**of.draws, patient: ones}), replace(of, draws={**of.draws, patient: others})


def meets(whole: Extent, one: Choice, other: Choice) -> bool:
    """Whether some plan makes both choices."""
    if one.yes & other.no or one.no & other.yes:
        return False
    for patient, window in one.starts.items():
        now = other.starts.get(patient, whole.starts)
        if max(window.start, now.start) >= min(window.end, now.end):
            return False
    for delivery, count in one.takers.items():
        also = other.takers.get(delivery, whole.takers)
        if max(count.least, also.least) > min(count.most, also.most):
            return False
    return all(some & other.draws.get(patient, whole.draws) for patient, some in one.draws.items())


def one_bound(day: Day, certificate: Certificate, prices: Prices, visits: Visits) -> float:
    charged = [*prices.minute.values(), prices.value, prices.move, *prices.mbq.values(), *prices.least.values()]
    charged += [*prices.share.values(), *prices.fewer.values(), *prices.more.values()]
    if any(price < 0 for price in charged):
        raise ValueError("a price is never below 0")
    if (prices.fewer.keys() | prices.more.keys()) - prices.takers.keys():
        raise ValueError("a price for how many draw on a delivery needs their number")
    limits = capacities(day)
    total = prices.value * certificate.weight - prices.move * certificate.moves
    total -= sum(price * limits[resource] for (resource, _), price in prices.minute.items())
    total += sum(price * prices.takers[ref].least for ref, price in prices.fewer.items())
    total -= sum(price * prices.takers[ref].most for ref, price in prices.more.items())
    for delivery in day.deliveries:
        if delivery.ordered_mbq is not None:
            total += delivery.ordered_mbq / 1000 * day.waste_pence_per_gbq
            total -= prices.mbq.get(delivery.ref, 0.0) * delivery.ordered_mbq
            continue
        used = once_used(delivery, prices)
        if not chargeable(delivery) or delivery.ref in prices.runs:
            total += used
        elif delivery.ref in prices.perhaps:
            total += min(0.0, used)
    sums = prefix_sums(prices)
    for patient, possible in visits:
        if patient.ref in prices.left_out:
            continue
        best = min(
            (reduced(day, patient, v, prices, sums) for v in possible if usable(day, v, prices)),
            default=float("inf"),
        )
        # With nothing to choose from there is no such plan, and a bound of it may be as high as one likes.
        total += best if patient.lock is not None or patient.ref in prices.scanned else min(0.0, best)
    return total


def once_used(delivery: Delivery, prices: Prices) -> float:
    """What paying for a run adds, whoever draws on it."""
    shifted = prices.least.get(delivery.ref, 0.0)
    if shifted > delivery.price_pence_per_gbq / 1000 + 1e-12:
        raise ValueError(f"{delivery.ref}: more is shifted to the least order than an MBq costs")
    if delivery.most_mbq is None and prices.mbq.get(delivery.ref):
        raise ValueError(f"{delivery.ref} is uncapped: its MBq have no price of their own")
    total = delivery.price_pence + shifted * delivery.least_mbq
    total -= prices.mbq.get(delivery.ref, 0.0) * (delivery.most_mbq or 0.0)
    return total - sum(pence for (_, run), pence in prices.share.items() if run == delivery.ref)


def usable(day: Day, visit: PlannedVisit, prices: Prices) -> bool:
    window = prices.starts.get(visit.patient)
    if window is not None and not window.start <= visit.scan_min < window.end:
        return False
    if visit.delivery not in prices.draws.get(visit.patient, (visit.delivery,)):
        return False
    delivery = day.delivery(visit.delivery)
    return not chargeable(delivery) or delivery.ref in prices.runs or delivery.ref in prices.perhaps


type Sums = Mapping[str, tuple[int, list[float]]]


def prefix_sums(prices: Prices) -> Sums:
    """Resource → (first priced minute, running total): what an interval costs is one subtraction."""
    by_resource: dict[str, dict[int, float]] = {}
    for (resource, minute), price in prices.minute.items():
        by_resource.setdefault(resource, {})[minute] = price
    sums: dict[str, tuple[int, list[float]]] = {}
    for resource, priced in by_resource.items():
        first, last = min(priced), max(priced)
        running = [0.0]
        for minute in range(first, last + 1):
            running.append(running[-1] + priced.get(minute, 0.0))
        sums[resource] = (first, running)
    return sums


def over(sums: Sums, resource: str, start: int, end: int) -> float:
    if resource not in sums:
        return 0.0
    first, running = sums[resource]
    low = min(max(start - first, 0), len(running) - 1)
    high = min(max(end - first, 0), len(running) - 1)
    return running[high] - running[low] if high > low else 0.0


def reduced(day: Day, patient: Patient, visit: PlannedVisit, prices: Prices, sums: Sums) -> float:
    """What this visit costs once everything scarce that it takes is charged for."""
    delivery = day.delivery(visit.delivery)
    mbq = day.drawn_mbq(patient, visit.injection_min, delivery)
    place = day.scanner(visit.scanner).place
    cost = float(patient.away_pence.get(place, 0))
    if delivery.ordered_mbq is not None:
        cost -= mbq / 1000 * day.waste_pence_per_gbq
    else:
        cost += mbq * (delivery.price_pence_per_gbq / 1000 - prices.least.get(delivery.ref, 0.0))
    cost += mbq * prices.mbq.get(delivery.ref, 0.0)
    cost += prices.share.get((patient.ref, delivery.ref), 0.0)
    cost += prices.more.get(delivery.ref, 0.0) - prices.fewer.get(delivery.ref, 0.0)
    cost -= prices.value * patient.weight * in_time(patient, visit)
    if patient.told is not None and moved(day, patient, visit):
        cost += prices.move * (1 + patient.told.moves_before)
    return cost + sum(over(sums, hold.resource, hold.start, hold.end) for hold in holds(day, patient, visit))

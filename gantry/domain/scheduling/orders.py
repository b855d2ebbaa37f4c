"""How much activity to order for a plan whose people may not all come: a newsvendor whose goods decay.

What each patient draws is exact at the delivery's reference time, so decay is in the amounts and not in the choice. Patients
are injected in the plan's order; who finds too little left is sent home, and somebody smaller after them may still be served.
Activity is counted in whole steps, each draw rounded up and each order down: the figures err on the side of having enough.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import ceil, floor

from gantry.domain.scheduling.problem import Day, Delivery, Plan

STEP_MBQ = 5.0
EVERYBODY = 1.0
ROUNDING = 1e-9


@dataclass(frozen=True, slots=True)
class Readiness:
    """What is known of one patient before the cut-off."""

    chance: float = EVERYBODY
    """That they come and can be injected."""
    confirmed: frozenset[str] = frozenset()
    """What was settled: answered, transport, glucose plan."""
    missing: frozenset[str] = frozenset()
    """What was asked and is still open."""

    def __post_init__(self) -> None:
        if not 0 <= self.chance <= 1:
            raise ValueError("a chance is from 0 to 1")


@dataclass(frozen=True, slots=True)
class Terms:
    """What is known and what it costs to be wrong."""

    sent_home_pence: int
    """For each unit of weight of a patient who came and found too little activity."""
    ready: Mapping[str, Readiness] = field(default_factory=dict)
    """Patient → readiness; who is not named comes for certain."""
    cut_offs: Mapping[str, int] = field(default_factory=dict)
    """Delivery → the minute until which its order can be changed."""
    step_mbq: float = STEP_MBQ

    def __post_init__(self) -> None:
        if self.sent_home_pence < 0 or self.step_mbq <= 0:
            raise ValueError("a cost is never below 0, and a step is above 0")

    def of(self, patient: str) -> Readiness:
        return self.ready.get(patient, Readiness())


@dataclass(frozen=True, slots=True)
class Draw:
    patient: str
    mbq: float
    """At the delivery's reference time."""
    steps: int
    chance: float
    sent_home_pence: int


@dataclass(frozen=True, slots=True)
class Amount:
    """One size of an order, and what it comes to on average."""

    mbq: float
    pence: float
    """Activity, run, what is left over if that costs, and patients sent home."""
    sent_home: float
    """Patients."""
    left_mbq: float
    """At the reference time."""
    all_served: float
    """The chance that nobody who comes is sent home."""

    @property
    def short(self) -> float:
        """The chance that somebody who comes is sent home."""
        return 1 - self.all_served


@dataclass(frozen=True, slots=True)
class Question:
    """What it is worth to know before the cut-off whether somebody comes."""

    patient: str
    chance: float
    mbq: float
    missing: frozenset[str]
    worth_pence: float


@dataclass(frozen=True, slots=True)
class Order:
    delivery: str
    cut_off_min: int | None
    best: Amount
    everybody: Amount
    """The order that would serve every patient of the plan if all came."""
    compared: tuple[Amount, ...]
    """Other sizes, so that the price of a margin is seen."""
    questions: tuple[Question, ...]
    """Whom to ask first."""
    draws: tuple[Draw, ...] = ()
    """Who draws on it, in the order of injection."""

    @property
    def mean_mbq(self) -> float:
        """What those who come draw on average: the order without any margin."""
        return sum(draw.chance * draw.mbq for draw in self.draws)

    @property
    def margin_mbq(self) -> float:
        return self.best.mbq - self.mean_mbq


@dataclass(frozen=True, slots=True)
class Changed:
    """Where one patient stands otherwise than when it was ordered; None: not there then, or not now."""

    patient: str
    before: Draw | None
    now: Draw | None


def changes(before: Sequence[Draw], now: Sequence[Draw], *, mbq: float, chance: float) -> list[Changed]:
    """Who came, who went, and whose draw or chance has moved by more than this much."""
    then, found = {draw.patient: draw for draw in before}, []
    for draw in now:
        was = then.pop(draw.patient, None)
        if was is None or abs(draw.mbq - was.mbq) > mbq or abs(draw.chance - was.chance) > chance:
            found.append(Changed(draw.patient, was, draw))
    return found + [Changed(gone.patient, gone, None) for gone in then.values()]


def orders(day: Day, plan: Plan, terms: Terms) -> tuple[Order, ...]:
    """One for each delivery that the plan uses and whose amount can still be chosen."""
    found = []
    for delivery in day.deliveries:
        draws = draws_on(day, plan, delivery, terms)
        if draws and delivery.ordered_mbq is None:
            found.append(order_of(day, delivery, draws, terms))
    return tuple(found)


def draws_on(day: Day, plan: Plan, delivery: Delivery, terms: Terms) -> list[Draw]:
    """In the order of injection."""
    found = []
    for visit in sorted(plan.visits, key=lambda v: (v.injection_min, v.patient)):
        if visit.delivery != delivery.ref:
            continue
        patient = day.patient(visit.patient)
        mbq = day.drawn_mbq(patient, visit.injection_min, delivery)
        steps = ceil(mbq / terms.step_mbq - ROUNDING)
        chance = EVERYBODY if patient.lock is not None else terms.of(patient.ref).chance
        found.append(Draw(patient.ref, mbq, steps, chance, terms.sent_home_pence * patient.weight))
    return found


def order_of(day: Day, delivery: Delivery, draws: Sequence[Draw], terms: Terms) -> Order:
    least, most = sizes(delivery, draws, terms.step_mbq)
    costs = costs_by_size(day, delivery, draws, most, terms.step_mbq)
    best = min(range(least, most + 1), key=lambda size: (costs[size], -size))
    full = min(most, max(least, sum(draw.steps for draw in draws)))
    beside = {min(most, max(least, round(full * part))) for part in (0.8, 0.9, 0.95)}
    amounts = {size: amount(day, delivery, draws, size, terms.step_mbq) for size in (best, full, *sorted(beside))}
    return Order(
        delivery.ref,
        terms.cut_offs.get(delivery.ref),
        amounts[best],
        amounts[full],
        tuple(amounts[size] for size in sorted(beside - {best, full})),
        tuple(sorted(questions(day, delivery, draws, terms), key=lambda q: (-q.worth_pence, q.patient))),
        tuple(draws),
    )


def sizes(delivery: Delivery, draws: Sequence[Draw], step_mbq: float) -> tuple[int, int]:
    """The least and the most that it can make sense to order, in steps."""
    least = ceil(delivery.least_mbq / step_mbq - ROUNDING)
    most = max(least, sum(draw.steps for draw in draws))
    if delivery.most_mbq is not None:
        most = min(most, floor(delivery.most_mbq / step_mbq + ROUNDING))
    return min(least, most), most


def after_all(draws: Sequence[Draw], most: int, left: Sequence[float], home: Sequence[float]) -> list[float]:
    """Steps at the start → the mean of what is left at the end and of each patient sent home, at these prices.

    Backwards: with r steps left, a patient who comes takes theirs if r is enough. All sizes of the order at once.
    """
    now = list(left)
    for draw, price in zip(reversed(draws), reversed(home), strict=True):
        come, stay = draw.chance, 1 - draw.chance
        now = [
            come * (now[r - draw.steps] if r >= draw.steps else now[r] + price) + stay * now[r] for r in range(most + 1)
        ]
    return now


def costs_by_size(day: Day, delivery: Delivery, draws: Sequence[Draw], most: int, step_mbq: float) -> list[float]:
    waste, price = day.waste_pence_per_gbq / 1000 * step_mbq, delivery.price_pence_per_gbq / 1000 * step_mbq
    mean = after_all(draws, most, [waste * r for r in range(most + 1)], [draw.sent_home_pence for draw in draws])
    return [delivery.price_pence + price * size + mean[size] for size in range(most + 1)]


def amount(day: Day, delivery: Delivery, draws: Sequence[Draw], size: int, step_mbq: float) -> Amount:
    nothing, ones = [0.0] * (size + 1), [1.0] * len(draws)
    left = after_all(draws, size, [r * step_mbq for r in range(size + 1)], [0.0] * len(draws))[size]
    return Amount(
        size * step_mbq,
        costs_by_size(day, delivery, draws, size, step_mbq)[size],
        after_all(draws, size, nothing, ones)[size],
        left,
        all_served(draws, size),
    )


def all_served(draws: Sequence[Draw], size: int) -> float:
    now = [1.0] * (size + 1)
    for draw in reversed(draws):
        now = [
            draw.chance * (now[r - draw.steps] if r >= draw.steps else 0.0) + (1 - draw.chance) * now[r]
            for r in range(size + 1)
        ]
    return now[size]


def questions(day: Day, delivery: Delivery, draws: Sequence[Draw], terms: Terms) -> list[Question]:
    """The mean saving if the order could wait for each one's answer: never below 0."""
    least, most = sizes(delivery, draws, terms.step_mbq)

    now, found = costs_by_size(day, delivery, draws, most, terms.step_mbq), []
    for place, draw in enumerate(draws):
        if not 0 < draw.chance < 1:
            continue
        sure = [*draws[:place], replace(draw, chance=EVERYBODY), *draws[place + 1 :]]
        come = costs_by_size(day, delivery, sure, most, terms.step_mbq)
        # What it comes to is between the two, by the chance: the other end needs no walk of its own.
        stay = [(mean - draw.chance * here) / (1 - draw.chance) for mean, here in zip(now, come, strict=True)]
        worth = min(now[least:]) - draw.chance * min(come[least:]) - (1 - draw.chance) * min(stay[least:])
        found.append(Question(draw.patient, draw.chance, draw.mbq, terms.of(draw.patient).missing, max(0.0, worth)))
    return found

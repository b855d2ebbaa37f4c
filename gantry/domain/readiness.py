"""Decides what is settled with a person before their day, and from it how likely they are to come and be injected."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum


class Item(StrEnum):
    """What is asked of a person the day before."""

    ANSWERED = "answered"
    INSTRUCTIONS = "instructions"
    TRANSPORT = "transport"
    GLUCOSE_PLAN = "glucose_plan"


TREATED = frozenset({"oral", "glp1_sglt2", "insulin"})
"""Diabetes that somebody takes something for: fasting then needs a plan."""


def asked_of(*, diabetes: str, glucose_matters: bool) -> tuple[Item, ...]:
    """A glucose plan is for people whose diabetes is treated, and for tracers that glucose competes with."""
    plan = (Item.GLUCOSE_PLAN,) if glucose_matters and diabetes in TREATED else ()
    return (Item.ANSWERED, Item.INSTRUCTIONS, Item.TRANSPORT, *plan)


@dataclass(frozen=True, slots=True)
class Risk:
    """One way in which a day goes wrong for a person: how often, and what asking the day before makes of it."""

    item: Item | None
    """None: nobody can settle it beforehand."""
    share: float
    """Of everybody, when nothing has been asked."""
    settled_leaves: float = 1.0
    """Times the share, once it is settled."""
    open_leaves: float = 1.0
    """Times the share, once it was asked and is not settled."""

    def __post_init__(self) -> None:
        if not 0 <= self.share <= 1 or min(self.settled_leaves, self.open_leaves) < 0:
            raise ValueError("a share is from 0 to 1, and what is left of it is not below 0")

    def then(self, settled: bool | None) -> float:
        times = {None: 1.0, True: self.settled_leaves, False: self.open_leaves}[settled]
        return min(1.0, self.share * times)


def chance_of_coming(risks: Iterable[Risk], said: Mapping[Item, bool]) -> float:
    """That nothing of it happens: each risk by what was said of its item, as if they knew nothing of each other."""
    chance = 1.0
    for risk in risks:
        chance *= 1 - risk.then(said.get(risk.item) if risk.item is not None else None)
    return chance


@dataclass(frozen=True, slots=True)
class Standing:
    """What has been said of one person so far, and what is still to be asked or settled."""

    asked: tuple[Item, ...]
    said: Mapping[Item, bool]

    @property
    def settled(self) -> frozenset[Item]:
        return frozenset(item for item in self.asked if self.said.get(item))

    @property
    def missing(self) -> tuple[Item, ...]:
        return tuple(item for item in self.asked if not self.said.get(item))

    @property
    def ready(self) -> bool:
        return not self.missing


def why_not_said(standing: Standing, said: Mapping[Item, bool], *, upcoming: bool) -> list[str]:
    """Why these answers cannot be kept."""
    reasons = [] if upcoming else ["This appointment is not one that anybody still prepares for"]
    if not said:
        reasons.append("Say what was settled, or what is still open")
    if any(item not in standing.asked for item in said):
        reasons.append("That is not asked of this person")
    if said.get(Item.ANSWERED) is False and any(settled for item, settled in said.items() if item is not Item.ANSWERED):
        reasons.append("Nobody answered: then nothing else can have been settled in this call")
    return reasons

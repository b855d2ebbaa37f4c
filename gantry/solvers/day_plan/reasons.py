"""Why people's decisions cannot all be kept: the fewest locks that already contradict one another, as far as time allows.

Every contradiction needs one lock from outside each set that can be kept. So the fewest locks that reach outside every such
set found so far are a lower bound; if they cannot be kept themselves, they are a smallest contradiction, and that is proved.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from itertools import combinations
from time import perf_counter

import numpy as np

from gantry.domain.scheduling.problem import Day, choices, locked_in_words, why_left_out
from gantry.solvers.day_plan.columns import Columns, columns_of
from gantry.solvers.day_plan.counting import most

SECONDS = 2.0
"""For finding the fewest, beyond what the plan itself may take."""


@dataclass(frozen=True, slots=True)
class Conflict:
    reasons: tuple[str, ...]
    smallest: bool
    """No smaller set of locks is a contradiction: proved. Else none of these is known to be superfluous."""


def conflict(day: Day, *, deadline: float, seed: int) -> Conflict:
    """Of a day whose locks are proved not to be kept all. A lock that nothing allows stands alone."""
    locked = [p for p in day.patients if p.lock is not None]
    for patient in locked:
        if next(choices(day, patient), None) is None:
            return Conflict((f"{locked_in_words(day, patient)}: {sentence(why_left_out(day, patient))}",), True)
    ask = Asking(replace(day, patients=tuple(locked)), max(deadline, perf_counter() + SECONDS), seed)
    refs = [p.ref for p in locked]
    few, smallest = fewest(refs, shrunk(refs, ask), ask)
    return Conflict(tuple(locked_in_words(day, p) for p in locked if p.ref in few), smallest)


def sentence(words: str) -> str:
    return words[0].lower() + words[1:]


@dataclass(slots=True)
class Asking:
    """Which locks can be kept with these: None while time has run out before an answer was proved."""

    day: Day
    deadline: float
    seed: int
    columns: Columns = field(init=False)

    def __post_init__(self) -> None:
        self.columns = columns_of(self.day)

    def kept_with(self, refs: Iterable[str]) -> frozenset[str] | bool | None:
        """As many as can be kept along with all of `refs`; False where those contradict one another."""
        wanted = frozenset(refs)
        count = len(self.day.patients)
        each = np.array([1 + count * (p.ref in wanted) for p in self.day.patients], dtype=np.int64)
        found = most(self.columns, each[self.columns.patient], deadline=self.deadline, seed=self.seed)
        kept = frozenset(self.day.patients[self.columns.patient[c]].ref for c in found.columns)
        if wanted <= kept:
            return kept
        return False if found.bound < len(wanted) * (count + 1) else None


def shrunk(refs: Sequence[str], ask: Asking) -> frozenset[str]:
    """Without those that the contradiction does not need: none of what is left can be spared, as far as is proved."""
    kept = list(refs)
    for ref in refs:
        without = [one for one in kept if one != ref]
        if ask.kept_with(without) is False:
            kept = without
    return frozenset(kept)


def fewest(refs: Sequence[str], few: frozenset[str], ask: Asking) -> tuple[frozenset[str], bool]:
    """A smallest contradiction and whether that is proved; `few` is one already."""
    outside: list[frozenset[str]] = []
    while True:
        least = reaching(outside, len(few))
        if least is None:
            return few, True
        kept = ask.kept_with(least)
        if kept is False:
            return least, True
        if not isinstance(kept, frozenset):
            return few, False
        outside.append(frozenset(refs) - kept)


def reaching(outside: Sequence[frozenset[str]], below: int) -> frozenset[str] | None:
    """The fewest locks, fewer than `below`, with one in each of the sets; None where there are none so few."""
    among = sorted(frozenset().union(*outside))
    for size in range(below):
        for some in combinations(among, size):
            if all(each.intersection(some) for each in outside):
                return frozenset(some)
    return None

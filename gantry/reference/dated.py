"""Says what a dated fact is: a value with its unit, its source, the day it holds from, and whether it is confirmed."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date

RECALLED_NOTICE = "Recalled, not yet confirmed by a named professional"
ASSUMED_NOTICE = "Assumed for the demonstration"
LIBRARY_FROM = date(2024, 9, 1)
"""Facts without a date of their own hold from the specification's month (2266, September 2024)."""


@dataclass(frozen=True, slots=True)
class Fact[T]:
    value: T
    unit: str
    source: str
    valid_from: date
    recalled: bool = False
    notice: str = ""

    @property
    def mark(self) -> str:
        """What a page shows beside the value; empty for a confirmed fact."""
        return self.notice or (RECALLED_NOTICE if self.recalled else "")


class NothingInForce(LookupError):
    """No fact of this row holds on the day asked for."""


def in_force[T](facts: Iterable[Fact[T]], on: date) -> Fact[T]:
    """The latest fact that holds on a day, so that a decision can be judged by the numbers of its day."""
    held = [fact for fact in facts if fact.valid_from <= on]
    if not held:
        raise NothingInForce(f"nothing in force on {on.isoformat()}")
    return max(held, key=lambda fact: fact.valid_from)

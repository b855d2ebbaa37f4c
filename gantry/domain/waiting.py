"""Decides how long a patient may still wait: pathway clocks, breach dates, days left, and who comes first.

Clocks belong to the trust of the pathway. A provider reads them; it never pauses, adjusts or stops one.
Payment is not an argument of anything here.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from enum import StrEnum


class Standard(StrEnum):
    FDS_28 = "28-day faster diagnosis"
    DAY_31 = "31-day"
    DAY_62 = "62-day"


@dataclass(frozen=True, slots=True)
class Adjustment:
    """Days that the owning trust took out, with its code."""

    days: int
    code: str
    by: str


@dataclass(frozen=True, slots=True)
class Clock:
    standard: Standard
    days: int
    """How many the standard allows; from reference data, dated."""
    started_on: date
    owner: str
    """ODS code of the trust whose clock it is."""
    stopped_on: date | None = None
    adjustments: tuple[Adjustment, ...] = ()

    @property
    def breach_on(self) -> date:
        """The last day inside the standard."""
        return self.started_on + timedelta(days=self.days + sum(one.days for one in self.adjustments))

    def days_left(self, on: date) -> int | None:
        """Below zero once breached; None when the clock has stopped."""
        return None if self.stopped_on else (self.breach_on - on).days

    def breached(self, on: date) -> bool:
        return (self.stopped_on or on) > self.breach_on


def why_not_changed(clock: Clock, *, by: str) -> list[str]:
    """Why an organisation may not adjust or stop this clock."""
    if by != clock.owner:
        return [f"This clock belongs to {clock.owner}: only it may adjust or stop it; a provider never does"]
    if clock.stopped_on:
        return [f"This clock stopped on {clock.stopped_on:%-d %B %Y}"]
    return []


def days_left_in_words(days_left: int | None) -> str:
    match days_left:
        case None:
            return "stopped"
        case 0:
            return "breaches after today"
        case 1:
            return "1 day left"
        case -1:
            return "1 day over"
        case _ if days_left < 0:
            return f"{-days_left} days over"
        case _:
            return f"{days_left} days left"


def started_from_breach(breach_on: date, days: int) -> date:
    """A referrer who gives only a breach date has told us the start."""
    return breach_on - timedelta(days=days)


@dataclass(frozen=True, slots=True)
class Waiting:
    """One patient on a list: what decides their place, and nothing that must not."""

    ref: str
    priority: str
    received_at: datetime
    wanted_by: date | None = None
    clocks: tuple[Clock, ...] = ()

    @property
    def due_on(self) -> date:
        """The soonest of the referrer's date and every running clock.

        Nothing known is due on the day it came: someone has to find out.
        """
        dates = [clock.breach_on for clock in self.clocks if clock.stopped_on is None]
        if self.wanted_by:
            dates.append(self.wanted_by)
        return min(dates, default=self.received_at.date())


def in_order(waiting: Iterable[Waiting], ranks: Mapping[str, int]) -> list[Waiting]:
    """Soonest due first; then by clinical priority (lower rank first), then by who has waited longest."""
    last = max(ranks.values(), default=0) + 1
    return sorted(waiting, key=lambda one: (one.due_on, ranks.get(one.priority, last), one.received_at, one.ref))

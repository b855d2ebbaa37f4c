"""The cancer waiting times: days allowed, and the share that must meet them, as each came into force."""

from datetime import date

from gantry.domain.waiting import Clock, Standard
from gantry.reference.dated import Fact, in_force

CWT = "Cancer waiting times, NHS England"

DAYS: dict[Standard, tuple[Fact[int], ...]] = {
    Standard.FDS_28: (Fact(28, "days", CWT, date(2021, 10, 1)),),
    Standard.DAY_31: (Fact(31, "days", CWT, date(2009, 1, 1), recalled=True),),
    Standard.DAY_62: (Fact(62, "days", CWT, date(2009, 1, 1), recalled=True),),
}
"""Day counts from the standards' own names; the starting dates of the last two are recalled."""

SHARE_PERCENT: dict[Standard, tuple[Fact[int], ...]] = {
    Standard.FDS_28: (
        Fact(75, "%", CWT, date(2021, 10, 1)),
        Fact(77, "%", CWT, date(2024, 4, 1)),
        Fact(80, "%", CWT, date(2025, 4, 1)),
    ),
    Standard.DAY_31: (Fact(96, "%", CWT, date(2023, 10, 1)),),
    Standard.DAY_62: (Fact(85, "%", CWT, date(2023, 10, 1)),),
}


def clock(standard: Standard, started_on: date, owner: str, *, stopped_on: date | None = None) -> Clock:
    """A clock with the days in force when it started."""
    return Clock(standard, in_force(DAYS[standard], started_on).value, started_on, owner, stopped_on)

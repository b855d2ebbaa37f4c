"""How often a message is tried again, and when a person must take it over."""

from datetime import datetime, timedelta

BACK_OFF = (
    timedelta(seconds=5),
    timedelta(seconds=20),
    timedelta(minutes=1),
    timedelta(minutes=5),
    timedelta(minutes=15),
    timedelta(hours=1),
    timedelta(hours=2),
    timedelta(hours=4),
)
"""Eight tries more over a working day: longer than a lunch-time outage, shorter than anybody's memory of it."""

CLAIM = timedelta(minutes=5)
"""How long a worker may hold a message before the sweeper gives it to another: a killed worker loses nothing."""


def next_try_at(attempts: int, *, now: datetime, spread: float) -> datetime | None:
    """When to try again after `attempts` failures; None when a person must own it.

    `spread`, from 0 to 1, is drawn by the caller: peers that failed together are not tried together.
    """
    if attempts > len(BACK_OFF):
        return None
    return now + BACK_OFF[attempts - 1] * (1 + spread / 4)

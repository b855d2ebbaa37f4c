"""Says what an approval for a bad day may allow: less activity with a longer scan, and the transfer of somebody injected."""

from collections.abc import Iterator
from datetime import date, timedelta

LEAST_FRACTION = 0.5
"""Below half, the scan would take more than twice as long: no list has room for it."""
LONGEST = timedelta(days=366)
MOST_TRANSFER_MIN = 90


def why_not_less(*, least_fraction: float, scans: int, valid_from: date, valid_to: date, today: date) -> Iterator[str]:
    """Why a practitioner's rule on activity cannot stand; empty means it can. `scans`: of the protocol."""
    if not LEAST_FRACTION <= least_fraction < 1:
        yield f"Give at least {LEAST_FRACTION:.0%} and less than the whole of the activity"
    if scans != 1:
        yield "A protocol with several scans has no one scan to lengthen"
    yield from why_not_between(valid_from, valid_to, today)


def why_not_transfer(*, minutes: int, same: bool, valid_from: date, valid_to: date, today: date) -> Iterator[str]:
    """Why the adviser's rule on a transfer cannot stand."""
    if same:
        yield "A transfer goes to another site"
    if not 0 < minutes <= MOST_TRANSFER_MIN:
        yield f"The journey takes between 1 and {MOST_TRANSFER_MIN} minutes, door to couch"
    yield from why_not_between(valid_from, valid_to, today)


def why_not_between(valid_from: date, valid_to: date, today: date) -> Iterator[str]:
    if valid_to < valid_from:
        yield "The last day is before the first"
    elif valid_to < today:
        yield "The last day has passed"
    elif valid_to - valid_from > LONGEST:
        yield f"An approval stands for at most {LONGEST.days} days"

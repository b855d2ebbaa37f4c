"""Finds the best choices of date, time and place for one person in a network's calendar.

A choice is the first fitting arrival of one morning or afternoon at one site, so that ten choices are ten different
answers and not ten neighbouring minutes. In time comes before late; then each day of delay costs as much as twenty
minutes of travel. `plain_choices` says the same thing slowly: it judges the compiled search and stands in for it until
that is loaded.
"""

from collections.abc import Callable, Sequence
from threading import Lock, Thread

from gantry.solvers.offers.plain import plain_choices, plain_fit
from gantry.solvers.offers.question import (
    GRID_MIN,
    MINUTES_PER_DAY_OF_DELAY,
    MINUTES_PER_KM,
    NO_WISH,
    SLOTS,
    WORDS,
    Bits,
    Choice,
    Half,
    Need,
    NetworkCalendar,
    Places,
    Query,
    Wish,
    distances_km,
    places,
    query,
    reach,
)
from gantry.solvers.offers.several import take, without

__all__ = [
    "GRID_MIN",
    "MINUTES_PER_DAY_OF_DELAY",
    "MINUTES_PER_KM",
    "NO_WISH",
    "SLOTS",
    "WORDS",
    "Bits",
    "Choice",
    "Half",
    "Need",
    "NetworkCalendar",
    "Places",
    "Query",
    "Wish",
    "arrival_at",
    "best_choices",
    "distances_km",
    "load",
    "one_each",
    "places",
    "plain_choices",
    "plain_fit",
    "query",
    "reach",
    "warm",
]

type Search = Callable[[NetworkCalendar, Query, int], list[Choice]]

_compiled: list[Search] = []
_loading = Lock()


def warm() -> None:
    """Load the compiled search in the background; until it is there, the plain one answers."""
    if not _compiled and _loading.acquire(blocking=False):
        Thread(target=load, name="offers", daemon=True).start()


def load() -> Search:
    """The compiled search, from its cache on disk or compiled now."""
    if not _compiled:
        from gantry.solvers.offers.compiled import compiled_choices

        _compiled.append(compiled_choices)
    return _compiled[0]


def best_choices(calendar: NetworkCalendar, need: Need, wish: Wish = NO_WISH, *, limit: int = 10) -> list[Choice]:
    """The best choices in order of fit: in time before late, then delay and travel together."""
    asked = query(calendar, need, wish)
    if asked is None:
        return []
    search = _compiled[0] if _compiled else plain_choices
    return search(calendar, asked, limit)


def one_each(calendar: NetworkCalendar, asked: Sequence[tuple[Need, Wish]]) -> list[Choice | None]:
    """The best choice for each in this order, beside what those before them were given. None where nothing is left."""
    left, found = without(calendar), []
    for need, wish in asked:
        best = next(iter(best_choices(left, need, wish, limit=1)), None)
        given = query(left, need, wish)
        if best is not None and given is not None:
            take(left, given, best)
        found.append(best)
    return found


def arrival_at(calendar: NetworkCalendar, choice: Choice) -> int:
    """Unix minutes."""
    return int(calendar.midnight[choice.site, choice.day]) + choice.slot * GRID_MIN

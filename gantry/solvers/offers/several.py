"""Finds a time for each of several people: what one is given, the next cannot have."""

from collections.abc import Iterable
from dataclasses import replace

from gantry.solvers.offers.question import GRID_MIN, SLOTS, Bits, Choice, NetworkCalendar, Query


def without(calendar: NetworkCalendar) -> NetworkCalendar:
    """The same calendar with what is free in arrays of its own."""
    return replace(
        calendar,
        free=calendar.free.copy(),
        room_free=calendar.room_free.copy(),
        run_free_mbq=calendar.run_free_mbq.copy(),
    )


def take(calendar: NetworkCalendar, asked: Query, choice: Choice) -> None:
    """Scanner, one room and the activity of a choice are no longer free in this calendar."""
    day, site, slot = choice.day, choice.site, choice.slot
    _clear(calendar.free[choice.row, day], slot + asked.scan_slot, asked.scan_slots)
    rooms = range(int(calendar.room_from[site]), int(calendar.room_from[site + 1]))
    room = next((r for r in rooms if _free(calendar.room_free[r, day], slot, asked.room_slots)), None)
    if room is not None:
        _clear(calendar.room_free[room, day], slot, asked.room_slots)
    injection = int(calendar.midnight[site, day]) + slot * GRID_MIN + asked.prepare_min
    fitting = list(_runs(calendar, asked, day, site, injection))
    if fitting:
        mbq, run = min(fitting)
        calendar.run_free_mbq[run] -= mbq


def _runs(
    calendar: NetworkCalendar, asked: Query, day: int, site: int, injection: int
) -> Iterable[tuple[float, int]]:  # fmt: skip
    """What each run of that day would have to give, where it is usable then and holds it."""
    first, last = (int(calendar.run_from[asked.tracer, site, day + more]) for more in (0, 1))
    for run in range(first, last):
        mbq = asked.activity_mbq * 2 ** ((injection - int(calendar.run_reference[run])) / asked.half_life_min)
        usable = calendar.run_usable_from[run] <= injection <= calendar.run_usable_to[run]
        if usable and mbq <= calendar.run_free_mbq[run]:
            yield mbq, run


def _mask(start: int, slots: int) -> Iterable[tuple[int, int]]:
    for slot in range(start, min(start + slots, SLOTS)):
        yield slot // 64, slot % 64


def _free(words: Bits, start: int, slots: int) -> bool:
    return start + slots <= SLOTS and all(int(words[word]) >> bit & 1 for word, bit in _mask(start, slots))


def _clear(words: Bits, start: int, slots: int) -> None:
    for word, bit in _mask(start, slots):
        words[word] = int(words[word]) & ~(1 << bit)

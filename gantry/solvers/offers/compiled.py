"""The search for choices as shifts and masks over bitsets, compiled and kept on disk; it stops as soon as it can.

Imported only by `gantry.solvers.offers.load`, because loading Numba takes about a second.
"""

from math import log2

import numpy as np
from numba import njit

from gantry.solvers.offers.question import MINUTES_PER_DAY_OF_DELAY, SLOTS, WORDS, Choice, NetworkCalendar, Query

WORD = np.uint64(64)
NONE = np.uint64(0)
ALL = np.uint64(0xFFFFFFFFFFFFFFFF)
EDGE = 1e-9
"""MBq compare as reals; a run that holds exactly enough holds enough."""


@njit(cache=True, inline="always")
def _shift_down(words, by, out):  # type: ignore[no-untyped-def]
    """out[i] = bit i + by of `words`. In place is safe: it reads ahead of what it writes."""
    skip = by // 64
    bits = np.uint64(by % 64)
    for i in range(WORDS):
        low = words[i + skip] if i + skip < WORDS else NONE
        if bits == NONE:
            out[i] = low
        else:
            high = words[i + skip + 1] if i + skip + 1 < WORDS else NONE
            out[i] = (low >> bits) | (high << (WORD - bits))


@njit(cache=True, inline="always")
def _runs(words, length, out, scratch):  # type: ignore[no-untyped-def]
    """out[i] = `length` free slots start at i, by doubling."""
    for i in range(WORDS):
        out[i] = words[i]
    have = 1
    while have < length:
        step = min(have, length - have)
        _shift_down(out, step, scratch)
        for i in range(WORDS):
            out[i] &= scratch[i]
        have += step


@njit(cache=True, inline="always")
def _set_range(words, first, last):  # type: ignore[no-untyped-def]
    """Set the bits first..last."""
    for i in range(WORDS):
        low, high = max(first - 64 * i, 0), min(last - 64 * i, 63)
        if low <= high:
            words[i] |= (ALL >> np.uint64(63 - (high - low))) << np.uint64(low)


@njit(cache=True, inline="always")
def _first_bit(words, first, last):  # type: ignore[no-untyped-def]
    """The lowest bit of first..last that is set, or -1."""
    for i in range(max(first, 0) // 64, WORDS):
        if 64 * i > last:
            return -1
        word = words[i]
        if 64 * i < first:
            word &= ALL << np.uint64(first - 64 * i)
        if word != NONE:
            bit = 64 * i
            width = 32
            while width:
                if word << np.uint64(64 - width) == NONE:
                    word >>= np.uint64(width)
                    bit += width
                width //= 2
            return bit if bit <= last else -1
    return -1


@njit(cache=True, inline="always")
def _some_free(rooms, first_room, past_room, day, first, last):  # type: ignore[no-untyped-def]
    """Whether one of the rooms has every slot of first..last free."""
    if last >= SLOTS:
        return False
    for room in range(first_room, past_room):
        whole = True
        for i in range(first // 64, last // 64 + 1):
            low, high = max(first - 64 * i, 0), min(last - 64 * i, 63)
            mask = (ALL >> np.uint64(63 - (high - low))) << np.uint64(low)
            if rooms[room, day, i] & mask != mask:
                whole = False
                break
        if whole:
            return True
    return False


@njit(cache=True)
def _search(  # type: ignore[no-untyped-def]
    midnight, noon, row_from, row_max_kg, free, room_from, room_free,
    run_from, run_reference, run_usable_from, run_usable_to, run_free_mbq, licensed,
    sites, travel_min, days, first, last, delay_from, due, earliest_min, prepare_min,
    room_slots, scan_slot, scan_slots, activity_mbq, half_life_min, weight_kg, morning, afternoon, limit,
):  # fmt: skip
    found = np.empty((limit, 5), dtype=np.int64)  # cost, day, site, slot, row
    count = 0
    may = np.empty(WORDS, dtype=np.uint64)
    run = np.empty(WORDS, dtype=np.uint64)
    scratch = np.empty(WORDS, dtype=np.uint64)
    on_row = np.empty(WORDS, dtype=np.uint64)
    best = np.empty(2, dtype=np.int64)
    row_of = np.empty(2, dtype=np.int64)
    nearest = travel_min[sites[0]]
    for day in range(first, last + 1):
        if day > due and count and found[0, 1] <= due:
            break
        if not days[day]:
            continue
        delay = MINUTES_PER_DAY_OF_DELAY * (day - delay_from)
        if count == limit and delay + nearest >= found[limit - 1, 0]:
            break
        for rank in range(sites.shape[0]):
            site = sites[rank]
            cost = delay + travel_min[site]
            if count == limit and cost >= found[limit - 1, 0]:
                break
            if not licensed[site, day]:
                continue
            zero = midnight[site, day]
            # Injection times that some run can serve, as arrival slots.
            for i in range(WORDS):
                may[i] = NONE
            earliest = max(0, -((zero - earliest_min) // 5))
            for r in range(run_from[site, day], run_from[site, day + 1]):
                if run_free_mbq[r] <= 0.0:
                    continue
                until = run_usable_to[r]
                if activity_mbq > 0.0:
                    spent = run_reference[r] + half_life_min * log2(run_free_mbq[r] / activity_mbq) + EDGE
                    until = min(until, int(np.floor(spent)))
                low = max(earliest, -((zero + prepare_min - run_usable_from[r]) // 5))
                high = min(SLOTS - 1, (until - zero - prepare_min) // 5)
                if low <= high:
                    _set_range(may, low, high)
            if _first_bit(may, 0, SLOTS - 1) < 0:
                continue
            best[0] = best[1] = -1
            for row in range(row_from[site], row_from[site + 1]):
                if weight_kg > row_max_kg[row]:
                    continue
                _runs(free[row, day], scan_slots, run, scratch)
                _shift_down(run, scan_slot, on_row)
                for i in range(WORDS):
                    on_row[i] &= may[i]
                for half in range(2):
                    if not (morning if half == 0 else afternoon):
                        continue
                    low = 0 if half == 0 else noon[site, day]
                    high = noon[site, day] - 1 if half == 0 else SLOTS - 1
                    if best[half] >= 0:
                        high = best[half] - 1
                    slot = _first_bit(on_row, low, high)
                    while slot >= 0 and not _some_free(
                        room_free, room_from[site], room_from[site + 1], day, slot, slot + room_slots - 1
                    ):
                        slot = _first_bit(on_row, slot + 1, high)
                    if slot >= 0:
                        best[half] = slot
                        row_of[half] = row
            for half in range(2):
                if best[half] < 0:
                    continue
                if count == limit and cost >= found[limit - 1, 0]:
                    continue
                place = min(count, limit - 1)
                while place > 0 and found[place - 1, 0] > cost:
                    found[place] = found[place - 1]
                    place -= 1
                found[place, 0] = cost
                found[place, 1] = day
                found[place, 2] = site
                found[place, 3] = best[half]
                found[place, 4] = row_of[half]
                count = min(limit, count + 1)
    return found[:count]


def compiled_choices(calendar: NetworkCalendar, asked: Query, limit: int) -> list[Choice]:
    found = _search(
        calendar.midnight,
        calendar.noon,
        calendar.row_from,
        calendar.row_max_kg,
        calendar.free,
        calendar.room_from,
        calendar.room_free,
        calendar.run_from[asked.tracer],
        calendar.run_reference,
        calendar.run_usable_from,
        calendar.run_usable_to,
        calendar.run_free_mbq,
        calendar.licensed[asked.procedure],
        asked.sites,
        asked.travel_min,
        asked.days,
        asked.first,
        asked.last,
        asked.delay_from,
        asked.due,
        asked.earliest_min,
        asked.prepare_min,
        asked.room_slots,
        asked.scan_slot,
        asked.scan_slots,
        asked.activity_mbq,
        asked.half_life_min,
        asked.weight_kg,
        asked.morning,
        asked.afternoon,
        limit,
    )
    late = len(found) > 0 and found[0, 1] > asked.due
    return [Choice(bool(late), *row) for row in found.tolist()]

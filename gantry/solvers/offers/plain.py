"""The search for choices said slowly: it judges the compiled one and stands in for it until that is loaded."""

from gantry.solvers.offers.question import (
    GRID_MIN,
    MINUTES_PER_DAY_OF_DELAY,
    SLOTS,
    Bits,
    Choice,
    NetworkCalendar,
    Query,
)


def plain_choices(calendar: NetworkCalendar, asked: Query, limit: int) -> list[Choice]:
    """Every day, every site, every slot, one question at a time; then sort. Late choices only where none is in time."""
    found: list[tuple[tuple[bool, int, int, int, bool], Choice]] = []
    for day in range(asked.first, asked.last + 1):
        for rank, site in enumerate(int(each) for each in asked.sites):
            noon = int(calendar.noon[site, day])
            cost = MINUTES_PER_DAY_OF_DELAY * (day - asked.delay_from) + int(asked.travel_min[site])
            late = day > asked.due
            for afternoon, slots in ((False, range(noon)), (True, range(noon, SLOTS))):
                fits = (
                    Choice(late, cost, day, site, slot, row)
                    for slot in slots
                    if (asked.afternoon if afternoon else asked.morning)
                    for row in range(int(calendar.row_from[site]), int(calendar.row_from[site + 1]))
                    if plain_fit(calendar, asked, day, site, slot, row)
                )
                if choice := next(fits, None):
                    found.append(((late, cost, day, rank, afternoon), choice))
    found.sort(key=lambda pair: pair[0])
    late_only = bool(found) and found[0][1].late
    return [choice for _, choice in found if choice.late == late_only][:limit]


def plain_fit(calendar: NetworkCalendar, asked: Query, day: int, site: int, slot: int, row: int) -> bool:
    arrival = int(calendar.midnight[site, day]) + slot * GRID_MIN
    injection = arrival + asked.prepare_min
    runs = range(int(calendar.run_from[asked.tracer, site, day]), int(calendar.run_from[asked.tracer, site, day + 1]))
    return (
        bool(asked.days[day])
        and bool(calendar.licensed[asked.procedure, site, day])
        and arrival >= asked.earliest_min
        and asked.weight_kg <= calendar.row_max_kg[row]
        and any(
            calendar.run_usable_from[run] <= injection <= calendar.run_usable_to[run]
            and asked.activity_mbq * 2 ** ((injection - int(calendar.run_reference[run])) / asked.half_life_min)
            <= calendar.run_free_mbq[run]
            for run in runs
        )
        and _all_free(calendar.free[row, day], slot + asked.scan_slot, asked.scan_slots)
        and any(
            _all_free(calendar.room_free[room, day], slot, asked.room_slots)
            for room in range(int(calendar.room_from[site]), int(calendar.room_from[site + 1]))
        )
    )


def _all_free(words: Bits, start: int, slots: int) -> bool:
    if start + slots > SLOTS:
        return False
    return all(int(words[slot // 64]) >> (slot % 64) & 1 for slot in range(start, start + slots))

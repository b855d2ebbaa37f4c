"""Several people at once: no scanner, room or activity is given twice, and each has the best that is left."""

from dataclasses import replace
from datetime import timedelta
from itertools import pairwise

from gantry.solvers.network_calendar import build
from gantry.solvers.offers import NO_WISH, Wish, arrival_at, best_choices, one_each
from tests.solvers.test_offers import MONDAY, NEAR, Busy, Run, at, facts, need


def test_each_is_given_what_is_left_by_those_before() -> None:
    calendar = build(facts(), first_day=MONDAY, days=3)
    before = calendar.free.copy()
    found = one_each(calendar, [(need(), NO_WISH)] * 8)
    assert found[0] == best_choices(calendar, need(), limit=1)[0]
    spans = sorted((c.row, c.day, c.slot) for c in found if c is not None)
    assert len(spans) == 8
    for (row, day, slot), (other, same, later) in pairwise(spans):
        # A scan of twenty minutes and its cleaning hold five slots.
        assert (row, day) != (other, same) or later - slot >= 5
    assert (calendar.free == before).all(), "the network's own calendar is not touched"


def test_a_room_and_the_activity_run_out() -> None:
    one_room = facts(busy=[Busy(room, at(0, 0), at(2, 0)) for room in facts().sites[0].rooms[1:]])
    only_near = [(need(sites=frozenset({NEAR})), Wish(to_day=MONDAY))] * 9
    calendar = build(one_room, first_day=MONDAY, days=3)
    arrivals = sorted(arrival_at(calendar, c) for c in one_each(calendar, only_near) if c is not None)
    # The one room is held from arrival to the scan.
    assert len(arrivals) > 1 and all(b - a >= 90 for a, b in pairwise(arrivals))
    little = replace(facts(), runs=[Run(NEAR, "FDG", at(0, 8), at(0, 8), at(0, 16), 700.0)])
    found = one_each(build(little, first_day=MONDAY, days=3), only_near)
    assert [c is not None for c in found] == [True, True, *[False] * 7]
    assert all(c is None for c in one_each(calendar, [(need(earliest=at(0, 6) + timedelta(days=90)), NO_WISH)]))

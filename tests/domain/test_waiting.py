"""Clocks: counted, owned, never paused by a provider; lists in an order that payment cannot touch."""

from dataclasses import fields, replace
from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gantry.domain.waiting import (
    Adjustment,
    Standard,
    Waiting,
    days_left_in_words,
    in_order,
    started_from_breach,
    why_not_changed,
)
from gantry.reference.clocks import clock
from gantry.reference.lists import PRIORITY_RANKS

START = date(2026, 11, 1)
DAY = timedelta(days=1)
NOW = datetime(2026, 11, 20, 9, tzinfo=UTC)


@pytest.mark.parametrize(
    ("standard", "breach"),
    [
        (Standard.FDS_28, date(2026, 11, 29)),
        (Standard.DAY_31, date(2026, 12, 2)),
        (Standard.DAY_62, date(2027, 1, 2)),
    ],
)
def test_breach_dates(standard, breach):
    running = clock(standard, START, "RBV")
    assert running.breach_on == breach
    assert running.days_left(breach) == 0
    assert not running.breached(breach)
    assert running.breached(breach + DAY)
    assert started_from_breach(breach, running.days) == START


def test_a_stopped_clock_keeps_its_outcome():
    late = clock(Standard.FDS_28, START, "RBV", stopped_on=date(2026, 12, 1))
    assert late.days_left(date(2027, 1, 1)) is None
    assert late.breached(date(2026, 11, 2))
    assert not replace(late, stopped_on=START).breached(date(2027, 1, 1))


def test_only_the_owner_adjusts():
    running = clock(Standard.DAY_62, START, "RBV")
    assert why_not_changed(running, by="RBV") == []
    assert why_not_changed(running, by="NZZ") == [
        "This clock belongs to RBV: only it may adjust or stop it; a provider never does"
    ]
    stopped = replace(running, stopped_on=START)
    assert why_not_changed(stopped, by="RBV") == ["This clock stopped on 1 November 2026"]
    adjusted = replace(running, adjustments=(Adjustment(5, "3", "RBV"),))
    assert adjusted.breach_on == running.breach_on + 5 * DAY


@pytest.mark.parametrize(
    ("left", "words"),
    [
        (None, "stopped"),
        (0, "breaches after today"),
        (1, "1 day left"),
        (9, "9 days left"),
        (-1, "1 day over"),
        (-4, "4 days over"),
    ],
)
def test_days_left_in_words(left, words):
    assert days_left_in_words(left) == words


def waiting(ref, priority="1", days=0, wanted=None, clocks=()):
    return Waiting(ref, priority, NOW - days * DAY, wanted, clocks)


def test_soonest_due_then_clinical_priority_then_longest_wait():
    soon = START + 22 * DAY
    running = clock(Standard.FDS_28, soon - 28 * DAY, "RBV")
    people = [
        waiting("stopped clock", wanted=soon + 9 * DAY, clocks=(replace(running, stopped_on=START),)),
        waiting("routine", wanted=soon),
        waiting("urgent", "2", wanted=soon),
        waiting("treatment", "T", wanted=soon),
        waiting("urgent, longer", "2", days=3, wanted=soon),
        waiting("clock", wanted=soon + 9 * DAY, clocks=(running,)),
        waiting("priority unheard of", "?", wanted=soon),
        waiting("nothing known"),
    ]
    assert [one.ref for one in in_order(people, PRIORITY_RANKS.value)] == [
        "nothing known",
        "treatment",
        "urgent, longer",
        "urgent",
        "clock",
        "routine",
        "priority unheard of",
        "stopped clock",
    ]


def test_without_ranks_the_order_still_stands():
    assert [one.ref for one in in_order([waiting("b"), waiting("a")], {})] == ["a", "b"]


@given(st.permutations([waiting(str(n), str(n % 3), n % 4) for n in range(8)]))
def test_the_order_does_not_depend_on_how_the_list_came(people):
    assert in_order(people, {"0": 0, "1": 1}) == in_order(people[::-1], {"0": 0, "1": 1})


def test_payment_has_no_place_to_be_put():
    names = {field.name for field in fields(Waiting)}
    assert names == {"ref", "priority", "received_at", "wanted_by", "clocks"}

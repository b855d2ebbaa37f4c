"""A difference has an owner, a time, a finding and an end; who made the slip does not end it."""

from datetime import UTC, datetime, timedelta

import pytest

from gantry.domain.implausible import Rule
from gantry.domain.investigation import (
    BY_RULE,
    IN_WORDS,
    INVESTIGATION,
    Found,
    State,
    Step,
    due_at,
    overdue,
    why_not_closed,
    why_not_concluded,
)
from gantry.domain.lifecycle import IllegalMove, advance
from gantry.reference.hot_lab import INVESTIGATE_WITHIN
from gantry.reference.nuclides import NUCLIDES

AT = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)
NAMED = ("a", "b")


def test_it_is_closed_only_after_somebody_took_it_and_said_what_it_was():
    state = State.OPEN
    for step, then in ((Step.TAKE, State.TAKEN), (Step.CONCLUDE, State.CONCLUDED), (Step.CLOSE, State.CLOSED)):
        state = advance(INVESTIGATION, state, step)
        assert state is then
    for early in (State.OPEN, State.TAKEN):
        with pytest.raises(IllegalMove):
            advance(INVESTIGATION, early, Step.CLOSE)
    with pytest.raises(IllegalMove):
        advance(INVESTIGATION, State.OPEN, Step.CONCLUDE)


def test_a_finding_that_the_next_reading_does_not_bear_out_is_none():
    assert advance(INVESTIGATION, State.CONCLUDED, Step.ASK_AGAIN) is State.TAKEN


@pytest.mark.parametrize(
    ("symbol", "wanted"),
    [
        ("F-18", timedelta(seconds=65_862)),
        ("Rb-82", timedelta(hours=1)),
        ("Zr-89", INVESTIGATE_WITHIN.value),
        ("Ge-68", INVESTIGATE_WITHIN.value),
    ],
)
def test_it_is_due_while_what_is_missing_can_still_be_found(symbol, wanted):
    """Ten half-lives of F-18 are 18.3 h."""
    due = due_at(NUCLIDES[symbol].value, AT, INVESTIGATE_WITHIN.value)
    assert due == AT + wanted
    assert not overdue(State.TAKEN, due, due) and overdue(State.CONCLUDED, due, due + timedelta(seconds=1))
    assert not overdue(State.CLOSED, due, due + timedelta(days=9))


def test_a_slip_names_its_entry_and_the_entry_is_one_of_those_in_question():
    assert not list(why_not_concluded(Found.WRONG_UNIT, "Read off the printout", entry="a", named=NAMED))
    assert not list(why_not_concluded(Found.SPILL, "Wet bench, 40 counts", entry="", named=NAMED))
    assert list(why_not_concluded(None, " ", entry="", named=NAMED)) == [
        "Say what it was",
        "Say what you found, and how you know",
    ]
    assert list(why_not_concluded(Found.MISTYPED, "Typed", entry="", named=NAMED)) == [
        "Say which of the entries was wrong"
    ]
    assert "not one of those" in next(why_not_concluded(Found.MISTYPED, "Typed", entry="c", named=NAMED))


def test_nobody_closes_the_question_about_their_own_entry_nor_alone_what_nobody_could_explain():
    assert not list(why_not_closed(Found.SPILL, concluded_by="Robin Roe", wrote="", closing="Robin Roe"))
    assert list(why_not_closed(Found.MISTYPED, concluded_by="Sam", wrote="Robin  roe", closing="Robin Roe"))
    assert list(why_not_closed(Found.UNEXPLAINED, concluded_by="Sam", wrote="", closing="Sam"))
    assert not list(why_not_closed(Found.UNEXPLAINED, concluded_by="Sam", wrote="", closing="Robin Roe"))


def test_every_finding_has_words_and_every_rule_that_explains_a_difference_has_a_finding():
    assert IN_WORDS.keys() == set(Found)
    assert {Rule.KBQ_FOR_MBQ, Rule.WRONG_CLOCK} <= BY_RULE.keys()

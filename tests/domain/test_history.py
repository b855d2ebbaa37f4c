"""The checker of booking histories finds each kind of wrong, and nothing wrong with what is right."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gantry.domain.appointment import Span
from gantry.domain.events import EventKind
from gantry.domain.network.history import EFFECT, Act, Allotted, Claimed, Effect, faults, in_order

NINE = datetime(2026, 11, 24, 9, tzinfo=UTC)


def span(start: int, minutes: int) -> Span:
    return Span(NINE + timedelta(minutes=start), NINE + timedelta(minutes=start + minutes))


def claimed(start: int = 0, **over: object) -> Claimed:
    return replace(Claimed("S", span(start + 60, 25), "R", span(start, 60), "run", 300.0), **over)


def act(effect: Effect, who: str = "a", order: int = 0, **over: object) -> Act:
    given = claimed() if effect is Effect.HOLD else None
    return replace(Act(effect, who, f"procedure {who}", NINE, order, given), **over)


HOLD, BOOK, RETURN, SPEND = Effect.HOLD, Effect.BOOK, Effect.RETURN, Effect.SPEND


def test_a_whole_life_is_right():
    lived = [act(HOLD, order=1), act(BOOK, order=2), act(Effect.TELL, order=None), act(SPEND, order=3)]
    assert faults(lived, {"run": Allotted(1000, 700)}) == []


def test_what_was_given_back_may_be_taken_again():
    lived = [act(HOLD, order=1), act(RETURN, order=2, returned_mbq=300.0), act(HOLD, "b", order=3)]
    assert faults(lived, {"run": Allotted(1000, 700)}) == []


@pytest.mark.parametrize(
    ("history", "found"),
    [
        ([act(HOLD, order=1), act(HOLD, "b", order=2, claimed=claimed(30, room="Q"))],
         []),
        ([act(HOLD, order=1), act(HOLD, "b", order=2, claimed=claimed(20, room="Q"))],
         ["b and a have scanner S at once"]),
        ([act(HOLD, order=1), act(HOLD, "b", order=2, claimed=claimed(55, scanner="T"))],
         ["b and a have room R at once"]),
        ([act(HOLD, order=1, claimed=None)], ["a was held without scanner, room and activity"]),
        ([act(HOLD, order=1, claimed=claimed(in_room=span(10, 60)))],
         ["a is on the scanner before it leaves the room"]),
        ([act(HOLD, order=1, claimed=claimed(activity_mbq=-1.0))], ["a took less than nothing"]),
        ([act(RETURN, order=1)], ["a ended without standing"]),
        ([act(BOOK, order=1)], ["a was booked without standing"]),
        ([act(HOLD, order=1), act(RETURN, order=2, returned_mbq=299.0)], ["a gave back 299.000 MBq of 300.000 MBq"]),
        ([act(HOLD, order=1), act(RETURN, order=2), act(RETURN, order=3)], ["a ended without standing"]),
        ([act(HOLD, order=1), act(RETURN, order=2), act(HOLD, order=3)], ["a claimed twice"]),
        ([act(HOLD, order=1), act(BOOK, order=2),
          act(BOOK, "b", order=3, procedure="procedure a", claimed=claimed(120))],
         ["procedure a is booked twice: a and b"]),
    ],
    ids=["apart is right", "scanner", "room", "half a hold", "out of order", "negative", "never began", "never held",
         "short change", "ended twice", "claimed twice", "booked twice"],
)  # fmt: skip
def test_each_wrong_is_found(history, found):
    assert faults(history) == found


def test_a_leak_of_activity_is_found():
    assert faults([act(HOLD, order=1)], {"run": Allotted(1000, 650)}) == [
        "run is short of 350.000 MBq, and appointments account for 300.000 MBq"
    ]
    assert "run is overdrawn" in faults([], {"run": Allotted(0, -1)})


def test_an_act_without_a_count_stands_where_its_time_puts_it():
    later = NINE + timedelta(hours=1)
    lived = [
        act(HOLD, order=1), act(RETURN, order=None, recorded_at=NINE + timedelta(minutes=5)),
        act(HOLD, "b", order=2, recorded_at=later),
    ]  # fmt: skip
    assert [a.appointment for a in in_order(reversed(lived))] == ["a", "a", "b"]
    assert faults(lived) == []


def test_every_end_of_an_appointment_is_understood():
    named = {k for k in EventKind if k.value.startswith(("appointment_", "patient_did", "patient_not_brought", "hold"))}
    # A lock says who may move a time; it takes nothing and gives nothing back.
    assert named - {EventKind.APPOINTMENT_LOCKED, EventKind.APPOINTMENT_UNLOCKED} <= set(EFFECT)


@given(st.lists(st.tuples(st.integers(0, 20), st.sampled_from("ST"), st.booleans()), max_size=12))
def test_a_constraint_that_refuses_overlaps_leaves_a_clean_history(asked):
    """The smallest possible booking service: it refuses what overlaps and lets go of the oldest now and then."""
    standing: list[tuple[str, Claimed]] = []
    history, order = [], 0
    for number, (start, scanner, lets_go) in enumerate(asked):
        want = claimed(start * 10, scanner=scanner, room=f"room {scanner}")
        if any(c.scanner == scanner and (c.on_scanner.overlaps(want.on_scanner) or c.in_room.overlaps(want.in_room))
               for _, c in standing):  # fmt: skip
            continue
        order += 1
        history.append(act(HOLD, f"n{number}", order, claimed=want))
        standing.append((f"n{number}", want))
        if lets_go:
            order += 1
            history.append(act(RETURN, standing.pop(0)[0], order))
    assert faults(history, {"run": Allotted(10_000, 10_000 - 300.0 * len(standing))}) == []

"""What an injector says of an injection: matched to it, or held with the rule that says why."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from gantry.domain.injector import Held, Recorded, Rule, Told, match, why_look
from gantry.domain.uptake import Stated

AT = datetime(2026, 11, 23, 9, 10, tzinfo=ZoneInfo("Europe/London"))
NEAR, MINUTE = timedelta(minutes=30), timedelta(minutes=1)
OURS = Recorded("a", AT, 250.0, "F-18")


def told(**over) -> Told:
    return Told(**({"at": AT, "clock_stated": True, "activity": 252.0, "unit": "MBq", "nuclide": "F-18"} | over))


def held(answer) -> list[Rule]:
    assert isinstance(answer, list)
    return [each.rule for each in answer]


def test_the_nearest_injection_in_time_is_the_one_it_speaks_of():
    second = Recorded("b", AT + 50 * MINUTE, 240.0, "F-18")
    assert match(told(at=AT + 2 * MINUTE), [OURS, second], now=AT + 2 * MINUTE, near=NEAR) is OURS
    assert match(told(at=AT + 40 * MINUTE), [OURS, second], now=AT + 60 * MINUTE, near=NEAR) is second


@pytest.mark.parametrize(
    ("over", "rules"),
    [
        ({"unit": "kBq", "activity": 252_000.0}, [Rule.WRONG_UNIT]),
        ({"unit": ""}, [Rule.WRONG_UNIT]),
        ({"activity": 252_000.0}, [Rule.WRONG_UNIT]),
        ({"activity": 0.252}, [Rule.WRONG_UNIT]),
        ({"activity": float("nan")}, [Rule.NO_ACTIVITY]),
        ({"activity": -1.0, "at": None}, [Rule.NO_ACTIVITY, Rule.NO_TIME]),
        ({"at": AT - 60 * MINUTE}, [Rule.WRONG_CLOCK]),
        ({"at": AT + 62 * MINUTE}, [Rule.WRONG_CLOCK]),
        ({"at": AT + 90 * MINUTE}, [Rule.AHEAD_OF_US]),
        ({"at": AT - 45 * MINUTE}, [Rule.NOT_RECORDED]),
        ({"nuclide": "Ga-68"}, [Rule.WRONG_NUCLIDE]),
    ],
)
def test_what_cannot_be_read_as_it_stands_is_held(over, rules):
    assert held(match(told(**over), [OURS], now=AT + MINUTE, near=NEAR)) == rules


def test_only_what_the_room_has_yet_to_record_waits():
    none = match(told(), [], now=AT + MINUTE, near=NEAR)
    assert held(none) == [Rule.NOT_RECORDED] and none[0].waits
    assert not any(each.waits for each in match(told(unit="Bq"), [OURS], now=AT, near=NEAR))


def test_another_site_and_a_second_word_are_held():
    there = Recorded("a", AT, 250.0, "F-18", here=False, said=frozenset({"1.2.3"}))
    assert held(match(told(), [there], now=AT, near=NEAR)) == [Rule.ELSEWHERE, Rule.SAID_TWICE]
    named = told(replaces=frozenset({"1.2.3"}))
    assert held(match(named, [there], now=AT, near=NEAR)) == [Rule.ELSEWHERE]


def test_a_bare_clock_is_taken_but_for_the_hour_that_comes_twice():
    twice = datetime(2026, 10, 25, 1, 30, tzinfo=ZoneInfo("Europe/London"))
    assert match(told(clock_stated=False), [OURS], now=AT, near=NEAR) is OURS
    assert held(match(told(at=twice, clock_stated=False), [], now=AT, near=NEAR)) == [Rule.LOCAL_CLOCK]
    assert held(match(told(at=twice), [], now=AT, near=NEAR)) == [Rule.NOT_RECORDED]


def test_a_rule_begins_its_sentence_and_keeps_its_unit():
    assert str(Held(Rule.WRONG_UNIT, "said")) == "Not in MBq: said"


def test_beyond_what_two_instruments_differ_by_somebody_looks():
    room = Stated("the room", AT, 250.0)
    near, far = Stated("Injector 1", AT + timedelta(seconds=50), 260.0), Stated("Injector 2", AT.astimezone(UTC), 200.0)
    late = Stated("the image header", AT + 4 * MINUTE, 250.0)
    assert list(why_look(room, [near], apart_percent=5, clocks_apart=MINUTE)) == []
    assert list(why_look(room, [far, late], apart_percent=5, clocks_apart=MINUTE)) == [
        "Injector 2 says 200.0 MBq, the room 250.0 MBq: 25 % apart, 5 % is usual of two instruments",
        "the image header says 09:14:00, the room 09:10:00: 4 minutes apart",
    ]

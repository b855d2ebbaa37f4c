"""Who is told how, and in which words: the way that they chose where it serves, a voice where it does not, nothing to the dead."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from gantry.domain.message import (
    KNOWN,
    MESSAGE,
    Channel,
    MessageEvent,
    MessageState,
    News,
    Occasion,
    Reach,
    Way,
    first_moment,
    is_mobile,
    proof_due,
    way_for,
    words_for,
)
from gantry.reference.messages import LEAD, PROOF

MOBILE = "07700 900123"
FULL = {"phone": MOBILE, "email": "a@example.test", "address": "1 Example Road"}
WEEKS = timedelta(days=30)


def way(notice: timedelta = WEEKS, occasion: Occasion = Occasion.MOVED, **record: Any) -> Way | None:
    return way_for(Reach(**(FULL | record)), occasion, notice=notice, lead=LEAD.value)


@pytest.mark.parametrize(
    ("record", "channel", "why"),
    [
        ({"prefers": "text"}, Channel.TEXT, "Prefers a text"),
        ({"prefers": "email"}, Channel.EMAIL, "Prefers an email"),
        ({"prefers": "letter"}, Channel.LETTER, "Prefers a letter"),
        ({"prefers": "phone"}, Channel.CALL, "Prefers a call"),
        ({}, Channel.CALL, "Prefers a call"),
        ({"prefers": "carer"}, Channel.CALL, "Through their carer"),
        ({"prefers": "text", "phone": "01632 960001"}, Channel.CALL, "Prefers a text, and we hold no mobile number"),
        ({"prefers": "text", "phone": "", "other_phone": MOBILE}, Channel.TEXT, "Prefers a text"),
        ({"prefers": "email", "email": " "}, Channel.CALL, "Prefers an email, and we hold no email address"),
        ({"prefers": "text", "protected": True}, Channel.CALL, "Protected details"),
        ({"prefers": "text", "child": True}, Channel.CALL, "A child"),
        ({"prefers": "text", "interpreter": True, "language": "Polish"}, Channel.CALL, "With an interpreter: Polish"),
        ({"prefers": "phone", "interpreter": True, "language": "BSL"}, Channel.TEXT, "Signs: in writing"),
        ({"prefers": "phone", "needs": frozenset({"bsl"}), "phone": ""}, Channel.EMAIL, "Signs: in writing"),
        ({"needs": frozenset({"bsl"}), "phone": "", "email": ""}, Channel.CALL, "Signs: ring through an interpreter"),
        ({"prefers": "letter", "needs": frozenset({"easy_read"})}, Channel.CALL, "Easy read"),
        ({"prefers": "text", "prepares": True}, Channel.CALL, "Their preparation changes"),
    ],
)
def test_the_way_is_the_person_s_own_where_it_serves(record, channel, why):
    found = way(**record)
    assert found is not None and found.channel is channel
    assert found.why.startswith(why)


def test_the_dead_receive_nothing_and_nobody_is_asked_to_ring_them():
    assert way(prefers="phone", dead=True) is None
    assert way(prefers="text", dead=True, protected=True) is None


def test_large_print_is_kept_on_a_letter():
    found = way(prefers="letter", needs=frozenset({"large_print"}))
    assert found == Way(Channel.LETTER, "Prefers a letter", large_print=True)


@pytest.mark.parametrize("channel", [Channel.TEXT, Channel.EMAIL, Channel.LETTER])
def test_what_would_come_too_late_is_said_aloud(channel):
    lead = LEAD.value[channel]
    prefers = channel.value
    assert way(lead, prefers=prefers).channel is channel
    late = way(lead - timedelta(minutes=1), prefers=prefers)
    assert late.channel is Channel.CALL and late.why.startswith("Too soon for")


def test_a_cancelled_time_needs_no_preparation_talked_through():
    assert way(occasion=Occasion.CANCELLED, prefers="text", prepares=True).channel is Channel.TEXT


@pytest.mark.parametrize(
    ("number", "mobile"),
    [
        ("07700 900123", True), ("+44 7700 900123", True), ("0044 (7700) 900-123", True), ("07624 123456", True),
        ("07012 345678", False), ("07600 123456", False), ("01632 960001", False), ("", False), ("0770090012", False),
        ("07700900123; 1", False), ("+33612345678", False),
    ],
)  # fmt: skip
def test_only_a_mobile_of_the_plan_takes_a_text(number, mobile):
    assert is_mobile(number) is mobile


AT = datetime(2026, 11, 24, 13, 0, tzinfo=UTC)
WAS = datetime(2026, 11, 24, 9, 0, tzinfo=UTC)


def news(occasion: Occasion, **more: Any) -> News:
    return News(occasion, AT, "Northern site", "01632 960100", **more)


@pytest.mark.parametrize("occasion", Occasion)
def test_the_words_hold_the_time_the_place_and_a_number_and_nothing_of_why(occasion):
    words = words_for(news(occasion, was=WAS))
    whole = f"{words.subject} {words.body}"
    assert "Tuesday 24 November at 13:00" in whole and "Northern site" in whole and "01632 960100" in whole
    for never in ("scan", "PET", "cancer", "tracer", "inject", "NHS number", "consultant"):
        assert never not in whole.replace("cancelled", "")
    assert len(words.body) < 420, "three texts at most"
    assert whole.isascii(), "one alphabet on every telephone"


def test_a_move_says_which_time_no_longer_holds_and_a_cancellation_by_themselves_promises_nothing():
    assert "do not come on Tuesday 24 November at 09:00" in words_for(news(Occasion.MOVED, was=WAS)).body
    assert "We will contact you" in words_for(news(Occasion.CANCELLED)).body
    assert "We will contact you" not in words_for(news(Occasion.CANCELLED, theirs=True)).body


def test_the_first_moment_is_the_one_they_would_set_out_for():
    assert first_moment(news(Occasion.MOVED, was=WAS)) == WAS
    assert first_moment(news(Occasion.BOOKED)) == AT


def test_without_a_receipt_a_person_takes_over_while_half_the_notice_is_left():
    sent = AT - timedelta(minutes=40)
    assert proof_due(Channel.TEXT, sent_at=sent, concerns=AT, usual=PROOF.value) == sent + timedelta(minutes=20)
    assert proof_due(Channel.TEXT, sent_at=AT - WEEKS, concerns=AT, usual=PROOF.value) == AT - WEEKS + timedelta(
        hours=1
    )
    assert proof_due(Channel.TEXT, sent_at=AT, concerns=WAS, usual=PROOF.value) == AT


def test_what_is_known_or_taken_back_stays_so():
    ends = {MessageState.DELIVERED, MessageState.SPOKEN, MessageState.TAKEN_BACK}
    assert not [state for state, _ in MESSAGE if state in ends]
    takes_back = {state for state, event in MESSAGE if event is MessageEvent.TAKE_BACK}
    assert not takes_back & (KNOWN | {MessageState.SENDING, MessageState.SENT}), "nothing that may be on a screen"

"""Decides whether somebody is written to, by which way, and in which words: the least that brings them to the right place in time."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum

from gantry.domain.lifecycle import Table


class Channel(StrEnum):
    TEXT = "text"
    EMAIL = "email"
    LETTER = "letter"
    CALL = "call"
    """A person rings: nothing is sent."""


class Occasion(StrEnum):
    BOOKED = "booked"
    MOVED = "moved"
    CANCELLED = "cancelled"
    RESTORED = "restored"
    """A move was undone after its message had left: the first time holds again."""


class MessageState(StrEnum):
    QUEUED = "queued"
    SENDING = "sending"
    SENT = "sent"
    DELIVERED = "delivered"
    TO_RING = "to_ring"
    FAILED = "failed"
    SPOKEN = "spoken"
    TAKEN_BACK = "taken_back"


class MessageEvent(StrEnum):
    SEND = "send"
    PUT_BACK = "put_back"
    ACCEPT = "accept"
    DELIVER = "deliver"
    FAIL = "fail"
    SPEAK = "speak"
    TRY_AGAIN = "try_again"
    TAKE_BACK = "take_back"


S, E = MessageState, MessageEvent

MESSAGE: Table[MessageState, MessageEvent] = {
    (S.QUEUED, E.SEND): S.SENDING,
    (S.QUEUED, E.FAIL): S.FAILED,
    (S.QUEUED, E.SPEAK): S.SPOKEN,
    (S.QUEUED, E.TAKE_BACK): S.TAKEN_BACK,
    # A worker died with it in its hands: the next one asks the far end before it sends again.
    (S.SENDING, E.SEND): S.SENDING,
    (S.SENDING, E.PUT_BACK): S.QUEUED,
    (S.SENDING, E.ACCEPT): S.SENT,
    # A receipt may overtake the answer to the message itself.
    (S.SENDING, E.DELIVER): S.DELIVERED,
    (S.SENDING, E.FAIL): S.FAILED,
    (S.SENDING, E.SPEAK): S.SPOKEN,
    (S.SENT, E.DELIVER): S.DELIVERED,
    (S.SENT, E.FAIL): S.FAILED,
    (S.SENT, E.SPEAK): S.SPOKEN,
    (S.FAILED, E.DELIVER): S.DELIVERED,
    (S.FAILED, E.SPEAK): S.SPOKEN,
    (S.FAILED, E.TRY_AGAIN): S.QUEUED,
    (S.FAILED, E.TAKE_BACK): S.TAKEN_BACK,
    (S.TO_RING, E.SPEAK): S.SPOKEN,
    (S.TO_RING, E.TAKE_BACK): S.TAKEN_BACK,
}
"""Delivered, spoken and taken back have no way out: what a patient knows cannot be undone, and what was undone is not sent."""

KNOWN = frozenset({S.DELIVERED, S.SPOKEN})
"""The patient knows: from here on nothing is undone silently."""
GONE_OUT = frozenset({S.SENDING, S.SENT})
"""Out of our hands, and perhaps on a screen any moment: an undo sends a word after it."""
OPEN = frozenset({S.QUEUED, S.SENDING, S.SENT, S.FAILED, S.TO_RING})
OWNED = frozenset({S.FAILED, S.TO_RING})
"""On the telephone list, with a person's name."""


@dataclass(frozen=True, slots=True)
class Reach:
    """What the record says of how somebody may be reached."""

    prefers: str = ""
    phone: str = ""
    other_phone: str = ""
    email: str = ""
    address: str = ""
    dead: bool = False
    protected: bool = False
    """A flag on the record: their address or telephone may be in somebody else's hands."""
    child: bool = False
    language: str = ""
    interpreter: bool = False
    needs: frozenset[str] = field(default_factory=frozenset)
    """Adjustments of the Accessible Information Standard, by the data set's codes."""
    prepares: bool = False
    """Insulin, an anaesthetic: the preparation changes with the hour."""

    @property
    def mobile(self) -> str:
        return next((number for number in (self.phone, self.other_phone) if is_mobile(number)), "")

    @property
    def signs(self) -> bool:
        return "bsl" in self.needs or bool(re.search(r"\b(bsl|sign language)\b", self.language, re.IGNORECASE))


@dataclass(frozen=True, slots=True)
class Way:
    channel: Channel
    why: str
    """In words, beside the message: why so and not otherwise."""
    large_print: bool = False


PREFERRED = {"text": Channel.TEXT, "email": Channel.EMAIL, "letter": Channel.LETTER}


def is_mobile(number: str) -> bool:
    """A number that takes texts: 07 in the national plan, without 070 (personal numbers) and 076 (pagers, but 07624)."""
    digits = re.sub(r"^(\+44|0044)", "0", re.sub(r"[\s().-]", "", number))
    return bool(re.fullmatch(r"07(?:[1-57-9]\d{8}|624\d{6})", digits))


def way_for(
    reach: Reach, occasion: Occasion, *, notice: timedelta | None, lead: Mapping[Channel, timedelta]
) -> Way | None:
    """How this person hears of it; None where nobody is to be written to or rung, because they have died (invariant 16).

    `notice` is the time until the first moment that the news concerns; `lead` what each channel needs.
    """
    if reach.dead:
        return None
    if reason := why_a_person_rings(reach, occasion):
        return Way(Channel.CALL, reason)
    chosen = Channel.TEXT if reach.signs and reach.mobile else PREFERRED.get(reach.prefers)
    if chosen is None and reach.signs and reach.email:
        chosen = Channel.EMAIL
    if chosen is None:
        return Way(Channel.CALL, "Signs: ring through an interpreter or a relay" if reach.signs else "Prefers a call")
    if not address_for(reach, chosen):
        return Way(Channel.CALL, f"Prefers {NOUNS[chosen]}, and we hold no {ADDRESSES[chosen]}")
    if notice is not None and notice < lead[chosen]:
        return Way(Channel.CALL, f"Too soon for {NOUNS[chosen]}")
    why = "Signs: in writing" if reach.signs else f"Prefers {NOUNS[chosen]}"
    return Way(chosen, why, large_print="large_print" in reach.needs and chosen is Channel.LETTER)


def why_a_person_rings(reach: Reach, occasion: Occasion) -> str:
    """Why nothing is written, whatever they chose; empty where it may be."""
    if reach.protected:
        return "Protected details: speak to the person alone, as their record says"
    if reach.child:
        return "A child: speak to the parent or carer"
    if reach.prefers == "carer":
        return "Through their carer"
    if reach.interpreter and not reach.signs:
        return f"With an interpreter: {reach.language or 'language not held'}"
    if "easy_read" in reach.needs:
        return "Easy read: say it, for we have no such letter"
    if reach.prepares and occasion is not Occasion.CANCELLED:
        return "Their preparation changes with the time: talk it through"
    return ""


def address_for(reach: Reach, channel: Channel) -> str:
    held = {Channel.TEXT: reach.mobile, Channel.EMAIL: reach.email, Channel.LETTER: reach.address}
    return held.get(channel, "").strip()


NOUNS = {Channel.TEXT: "a text", Channel.EMAIL: "an email", Channel.LETTER: "a letter", Channel.CALL: "a call"}
ADDRESSES = {Channel.TEXT: "mobile number", Channel.EMAIL: "email address", Channel.LETTER: "postal address"}


@dataclass(frozen=True, slots=True)
class Words:
    subject: str
    body: str


@dataclass(frozen=True, slots=True)
class News:
    """What is to be said: local times, a place, a number to ring. Nothing of who they are or why they come."""

    occasion: Occasion
    at: datetime
    place: str
    ring: str
    was: datetime | None = None
    was_place: str = ""
    theirs: bool = False
    """They asked for it themselves."""


def words_for(news: News) -> Words:
    when = said(news.at)
    questions = f"If you cannot come, or want to ask something, ring {news.ring}."
    match news.occasion:
        case Occasion.BOOKED:
            return Words(
                "Your hospital appointment",
                f"Your hospital appointment is on {when}, at {news.place}.\nPlease prepare as we told you.\n{questions}",
            )
        case Occasion.MOVED:
            old = f"Please do not come on {said(news.was)}.\n" if news.was else ""
            return Words(
                "Your hospital appointment has changed",
                f"Your hospital appointment has changed.\n{old}Please come on {when}, at {news.place}.\n"
                f"Prepare as we told you, counted from the new time.\n{questions}",
            )
        case Occasion.CANCELLED:
            more = "" if news.theirs else "We will contact you to offer another time.\n"
            return Words(
                "Your hospital appointment is cancelled",
                f"Your hospital appointment on {when}, at {news.place}, is cancelled. Please do not come.\n{more}"
                f"If you want to ask something, ring {news.ring}.",
            )
        case Occasion.RESTORED:
            return Words(
                "Your hospital appointment is as it was",
                "Please ignore our last message, which said that your hospital appointment had changed.\n"
                f"It is as it was: {when}, at {news.place}.\n{questions}",
            )


def said(at: datetime) -> str:
    """Already in the site's own time."""
    return f"{at:%A} {at.day} {at:%B} at {at:%H:%M}"


def first_moment(news: News) -> datetime:
    """The first moment that the news concerns: where they would set out for a time that no longer holds, that one."""
    return min(news.at, news.was) if news.was else news.at


def proof_due(
    channel: Channel, *, sent_at: datetime, concerns: datetime, usual: Mapping[Channel, timedelta]
) -> datetime:
    """When a person takes over because no receipt has come: sooner where the hour is near."""
    half_way = sent_at + max(concerns - sent_at, timedelta()) / 2
    return min(sent_at + usual[channel], half_way)

"""Decides how a difference beyond uncertainty is looked into: who owns it, by when, what was found, and who may close it."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from enum import StrEnum

from gantry.domain.decay import Nuclide
from gantry.domain.implausible import Rule
from gantry.domain.ledger import Way
from gantry.domain.lifecycle import Table
from gantry.domain.permit import STORE_HALF_LIVES
from gantry.domain.supply import same_name


class State(StrEnum):
    OPEN = "open"
    TAKEN = "taken"
    CONCLUDED = "concluded"
    CLOSED = "closed"


class Step(StrEnum):
    ASK_AGAIN = "ask_again"
    TAKE = "take"
    CONCLUDE = "conclude"
    CLOSE = "close"


INVESTIGATION: Table[State, Step] = {
    (State.OPEN, Step.ASK_AGAIN): State.OPEN,
    (State.OPEN, Step.TAKE): State.TAKEN,
    (State.TAKEN, Step.ASK_AGAIN): State.TAKEN,
    (State.TAKEN, Step.TAKE): State.TAKEN,
    (State.TAKEN, Step.CONCLUDE): State.CONCLUDED,
    # A finding that the next reading does not bear out is not one.
    (State.CONCLUDED, Step.ASK_AGAIN): State.TAKEN,
    (State.CONCLUDED, Step.CONCLUDE): State.CONCLUDED,
    (State.CONCLUDED, Step.CLOSE): State.CLOSED,
}


class Found(StrEnum):
    """What a difference turned out to be: the slips that have a rule, what nobody wrote down, and what nobody knows."""

    WRONG_UNIT = "wrong_unit"
    WRONG_CLOCK = "wrong_clock"
    SWAPPED = "swapped"
    WRONG_NUCLIDE = "wrong_nuclide"
    MISTYPED = "mistyped"
    NOT_RECORDED = "not_recorded"
    SPILL = "spill"
    INSTRUMENT = "instrument"
    UNEXPLAINED = "unexplained"


IN_WORDS = {
    Found.WRONG_UNIT: "kBq typed for MBq",
    Found.WRONG_CLOCK: "clock wrong by an hour",
    Found.SWAPPED: "two containers swapped",
    Found.WRONG_NUCLIDE: "measured as another nuclide",
    Found.MISTYPED: "another slip in what was typed",
    Found.NOT_RECORDED: "something happened that was not recorded",
    Found.SPILL: "spilt or leaked",
    Found.INSTRUMENT: "the instrument, its background or its geometry",
    Found.UNEXPLAINED: "nobody could explain it",
}
BY_RULE = {
    Rule.KBQ_FOR_MBQ: Found.WRONG_UNIT,
    Rule.WRONG_CLOCK: Found.WRONG_CLOCK,
    Rule.SWAPPED_SYRINGE: Found.SWAPPED,
    Rule.WRONG_NUCLIDE: Found.WRONG_NUCLIDE,
}
OF_AN_ENTRY = frozenset({Found.WRONG_UNIT, Found.WRONG_CLOCK, Found.SWAPPED, Found.WRONG_NUCLIDE, Found.MISTYPED})
"""These are the slip of somebody's entry, which has to be named."""
LEAST = timedelta(hours=1)


def due_at(nuclide: Nuclide, asked_at: datetime, within: timedelta) -> datetime:
    """What is missing can be searched for until it has decayed: ten half-lives, never under an hour nor over the rule."""
    return asked_at + max(LEAST, min(within, STORE_HALF_LIVES * nuclide.half_life))


def overdue(state: State, due: datetime, at: datetime) -> bool:
    """Past its time without an end. A finding that nobody has closed is late as well."""
    return state is not State.CLOSED and at > due


def why_not_concluded(found: Found | None, finding: str, *, entry: str, named: tuple[str, ...]) -> Iterator[str]:
    """Why this is no finding yet."""
    if found is None:
        yield "Say what it was"
    if not finding.strip():
        yield "Say what you found, and how you know"
    if found in OF_AN_ENTRY and not entry:
        yield "Say which of the entries was wrong"
    if entry and entry not in named:
        yield "That entry is not one of those that the question names"


def why_not_closed(found: Found, *, concluded_by: str, wrote: str, closing: str) -> Iterator[str]:
    """Why this person may not close it. `wrote` is who made the entry that is blamed, if one is."""
    if wrote and same_name(wrote, closing):
        yield "Whoever made the entry does not close the question about it"
    if found is Found.UNEXPLAINED and same_name(concluded_by, closing):
        yield "What nobody could explain is closed by somebody else than who looked"


def why_not_corrected(
    state: State, way: Way | None, *, activity_mbq: float, at: datetime, now: datetime, why: str, same: bool
) -> Iterator[str]:
    """Why no entry may be put in the place of another. `way` is that of the entry that the finding blames, None: none."""
    if state not in (State.CONCLUDED, State.CLOSED):
        yield "Say first which entry was wrong, and how you know"
    if way is None:
        yield "No entry is left to correct: the finding names none, or it has been corrected already"
    if way is Way.ADMINISTERED:
        yield "What was given is worked out: correct what was drawn, the residual or the time of the injection"
    if activity_mbq < 0:
        yield "An activity is not below 0 MBq"
    if at > now:
        yield "That time has not come yet"
    if same:
        yield "That is what the entry says already"
    if not why.strip():
        yield "Say how you know what it should have been"

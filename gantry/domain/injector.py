"""Decides whether what an injector says of an injection stands beside our own record of it, or is held and why.

Nothing it says changes our record, and no unit, clock or person is guessed: what cannot be read as it stands is held.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from gantry.domain.uptake import Stated, disagreements

MEGABECQUEREL = "MBq"
HOUR, ABOUT_AN_HOUR = timedelta(hours=1), timedelta(minutes=5)
AHEAD = timedelta(minutes=1)
"""How far a clock may run before ours."""
THOUSANDFOLD = 500.0
"""Two instruments of one dose never differ by this much: a unit was taken for another."""


class Rule(StrEnum):
    UNKNOWN_SENDER = "unknown injector"
    WRONG_PERSON = "not surely this person's"
    UNREADABLE = "states no injection"
    WRONG_UNIT = "not in MBq"
    NO_ACTIVITY = "no activity"
    NO_TIME = "no time"
    LOCAL_CLOCK = "a clock without its offset"
    WRONG_CLOCK = "clock wrong by an hour"
    AHEAD_OF_US = "after it was sent"
    NOT_RECORDED = "no injection recorded"
    ELSEWHERE = "another site"
    WRONG_NUCLIDE = "wrong nuclide"
    SAID_TWICE = "said twice"


@dataclass(frozen=True, slots=True)
class Told:
    """One injection as an injector states it, in its own words."""

    at: datetime | None
    clock_stated: bool
    activity: float | None
    unit: str
    nuclide: str
    replaces: frozenset[str] = frozenset()
    """Its own earlier reports that this one stands in the place of."""


@dataclass(frozen=True, slots=True)
class Recorded:
    """An injection of this person as the room recorded it."""

    key: str
    at: datetime
    net_mbq: float
    nuclide: str
    here: bool = True
    """At the site where the injector stands."""
    said: frozenset[str] = frozenset()
    """What this injector has said of it before, and still stands."""


@dataclass(frozen=True, slots=True)
class Held:
    rule: Rule
    said: str
    waits: bool = False
    """It may be settled by what the room has yet to record; anything else is for a person."""

    def __str__(self) -> str:
        return f"{self.rule[0].upper()}{self.rule[1:]}: {self.said}"


def why_unreadable(told: Told, *, now: datetime) -> Iterator[Held]:
    """What is wrong with the report by itself."""
    if told.unit != MEGABECQUEREL:
        unit = told.unit or "no unit"
        yield Held(Rule.WRONG_UNIT, f"the activity is stated in {unit}; a dose report states MBq (PS3.16 TID 10022)")
    if not (told.activity and told.activity > 0):
        yield Held(Rule.NO_ACTIVITY, "it does not say how much was given")
    if told.at is None:
        yield Held(Rule.NO_TIME, "it does not say when")
    elif not told.clock_stated and told.at.replace(fold=0).utcoffset() != told.at.replace(fold=1).utcoffset():
        yield Held(Rule.LOCAL_CLOCK, f"{told.at:%H:%M} came twice that night, and it does not say which")


def match(told: Told, recorded: Sequence[Recorded], *, now: datetime, near: timedelta) -> Recorded | list[Held]:
    """The injection that it speaks of, or every reason why it is held."""
    held = list(why_unreadable(told, now=now))
    if held or told.at is None or told.activity is None:
        return held
    found = min(recorded, key=lambda each: abs(each.at - told.at) if told.at else HOUR, default=None)
    if found is None or abs(found.at - told.at) > near:
        return [not_found(told.at, found, now=now, near=near)]
    held = list(why_not_this(told, told.activity, found))
    return held or found


def not_found(at: datetime, nearest: Recorded | None, *, now: datetime, near: timedelta) -> Held:
    if nearest is not None:
        apart = abs(nearest.at - at)
        hours = round(apart / HOUR)
        if hours and abs(apart - hours * HOUR) <= ABOUT_AN_HOUR:
            ours = nearest.at.astimezone(at.tzinfo)
            return Held(Rule.WRONG_CLOCK, f"it says {at:%H:%M}, and the room recorded {ours:%H:%M}")
    if at > now + AHEAD:
        return Held(Rule.AHEAD_OF_US, f"it says {at:%-d %b %H:%M}, which had not come yet")
    minutes = near // timedelta(minutes=1)
    return Held(
        Rule.NOT_RECORDED, f"the room recorded none of this person within {minutes} minutes of {at:%H:%M}", waits=True
    )


def why_not_this(told: Told, activity: float, found: Recorded) -> Iterator[Held]:
    if not found.here:
        yield Held(Rule.ELSEWHERE, "this injector stands at another site than the injection")
    if told.nuclide and told.nuclide != found.nuclide:
        yield Held(Rule.WRONG_NUCLIDE, f"it says {told.nuclide}, and the room gave {found.nuclide}")
    if found.net_mbq > 0 and not 1 / THOUSANDFOLD < activity / found.net_mbq < THOUSANDFOLD:
        yield Held(Rule.WRONG_UNIT, f"it says {activity:,.6g} MBq, and the room gave {found.net_mbq:.0f} MBq")
    if found.said - told.replaces:
        yield Held(Rule.SAID_TWICE, "it spoke of this injection before, and does not say that this replaces it")


def why_look(
    room: Stated, others: Iterable[Stated], *, apart_percent: float, clocks_apart: timedelta
) -> Iterator[str]:  # fmt: skip
    """What asks a person to look: a source that differs from the room's record beyond tolerance. None is averaged."""
    allowed: Mapping[str, float] = {"activity_mbq": apart_percent}
    for other in others:
        for each in disagreements(
            [room, other], apart_percent=allowed, clocks_apart_s=clocks_apart.total_seconds()
        ):  # fmt: skip
            if each.what == "activity_mbq":
                yield (
                    f"{other.source} says {other.activity_mbq:.1f} MBq, {room.source} {room.activity_mbq:.1f} MBq: "
                    f"{each.apart:.0f} % apart, {apart_percent:g} % is usual of two instruments"
                )
            elif room.injected_at is not None and other.injected_at is not None:
                theirs = other.injected_at.astimezone(room.injected_at.tzinfo)
                yield (
                    f"{other.source} says {theirs:%H:%M:%S}, {room.source} {room.injected_at:%H:%M:%S}: "
                    f"{each.apart / 60:.0f} minutes apart"
                )

"""What is asked of a network's calendar, and the calendar itself, as numbers that a search can read."""

from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from enum import StrEnum
from functools import lru_cache
from math import asin, cos, radians, sin, sqrt
from typing import Any, NamedTuple
from uuid import UUID

import numpy as np
from numpy.typing import NDArray

from gantry.domain.appointment import CLEANING, VisitShape

GRID_MIN = 5
SLOTS = 24 * 60 // GRID_MIN
WORDS = -(-SLOTS // 64)
"""A local day of 5-minute slots from its midnight: 288 bits in five words, the lowest bit first."""
MINUTES_PER_DAY_OF_DELAY = 20
MINUTES_PER_KM = 1.2
"""Assumed, door to door, until measured travel times are loaded."""
EARTH_KM = 6371.0088
ANY_WEIGHT = 1e9

type Bits = NDArray[np.uint64]
type Whole = NDArray[np.int64]
type Real = NDArray[np.float64]


class Half(StrEnum):
    MORNING = "morning"
    AFTERNOON = "afternoon"


@dataclass(frozen=True, slots=True, eq=False)
class Places:
    """Where the sites are and what they can do. One object for the same facts, so that reach is worked out once."""

    sites: tuple[UUID, ...]
    coordinates: tuple[tuple[float, float], ...]
    """Latitude and longitude of each site."""
    capabilities: tuple[frozenset[str], ...]


@lru_cache(maxsize=16)
def places(
    sites: tuple[UUID, ...],
    coordinates: tuple[tuple[float, float], ...],
    capabilities: tuple[frozenset[str], ...],
) -> Places:
    return Places(sites, coordinates, capabilities)


@dataclass(frozen=True, slots=True, eq=False)
class NetworkCalendar:
    """What is free, as arrays. Times are whole minutes of Unix time; days are local days from `first_day`.

    A row of `free` is one scanner at one site: a mobile unit has a row for each place it goes to. Rows of one site are
    neighbours, from `row_from[site]` to `row_from[site + 1]`; rooms likewise.
    """

    first_day: date
    days: int
    places: Places
    names: tuple[str, ...]
    midnight: Whole
    """[site, day]"""
    noon: Whole
    """[site, day]: the slot at which the afternoon starts (it moves on the days the clocks change)."""
    rows: tuple[UUID, ...]
    row_from: Whole
    row_max_kg: Real
    free: Bits
    """[row, day, word]"""
    rooms: tuple[UUID, ...]
    room_from: Whole
    room_free: Bits
    """[room, day, word]"""
    tracers: tuple[str, ...]
    run_from: Whole
    """[tracer, site, day + 1]: where that day's allotments start in the next four arrays."""
    run_reference: Whole
    run_usable_from: Whole
    run_usable_to: Whole
    run_free_mbq: Real
    procedures: tuple[str, ...]
    licensed: NDArray[np.bool_]
    """[procedure, site, day]"""
    version: tuple[Any, ...] = ()

    @property
    def sites(self) -> tuple[UUID, ...]:
        return self.places.sites

    def day(self, number: int) -> date:
        return self.first_day + timedelta(days=number)


@dataclass(frozen=True, slots=True)
class Need:
    """What one procedure asks of the network."""

    tracer: str
    procedure_code: str
    activity_mbq: float
    half_life: timedelta
    shape: VisitShape
    earliest: datetime
    """Nobody is asked to arrive before this."""
    authorised_from: date
    authorised_to: date
    sites: frozenset[UUID]
    """Where the exposure is authorised."""
    not_before: date | None = None
    needed_by: date | None = None
    capabilities: frozenset[str] = field(default_factory=frozenset)
    weight_kg: float = 0.0
    latitude: float | None = None
    longitude: float | None = None


@dataclass(frozen=True, slots=True)
class Wish:
    """What the person would like: it narrows the choices and never widens them."""

    half: Half | None = None
    sites: frozenset[UUID] = field(default_factory=frozenset)
    from_day: date | None = None
    to_day: date | None = None
    weekdays: frozenset[int] = field(default_factory=frozenset)
    """Monday is 0; empty means any."""


class Choice(NamedTuple):
    """One answer: a row and site of the calendar, a day, a slot, and what it costs in minutes of travel and delay.

    A tuple, because making ten dataclasses took as long as finding them.
    """

    late: bool
    cost: int
    day: int
    site: int
    slot: int
    row: int


NO_WISH = Wish()


@lru_cache(maxsize=8192)
def distances_km(places: Places, latitude: float, longitude: float) -> tuple[float, ...]:
    """Great-circle distance to each site."""
    return tuple(_haversine_km(latitude, longitude, *site) for site in places.coordinates)


@lru_cache(maxsize=8192)
def reach(
    places: Places,
    sites: frozenset[UUID],
    capabilities: frozenset[str],
    latitude: float | None,
    longitude: float | None,
) -> tuple[Whole, Whole]:
    """The sites in play, nearest first, and the minutes of travel to every site."""
    known = latitude is not None and longitude is not None
    km = distances_km(places, latitude, longitude) if known else (0.0,) * len(places.sites)
    travel = [round(each * MINUTES_PER_KM) for each in km]
    in_play = [
        index for index, site in enumerate(places.sites) if site in sites and capabilities <= places.capabilities[index]
    ]
    in_play.sort(key=lambda index: (travel[index], index))
    return np.array(in_play, dtype=np.int64), np.array(travel, dtype=np.int64)


@lru_cache(maxsize=512)
def _days(first_weekday: int, days: int, weekdays: frozenset[int]) -> NDArray[np.bool_]:
    return np.array([not weekdays or (first_weekday + day) % 7 in weekdays for day in range(days)], dtype=np.bool_)


def _haversine_km(lat1: float, lon1: float, lat2: float, lon2: float) -> float:
    a, b = radians(lat1), radians(lat2)
    h = sin((b - a) / 2) ** 2 + cos(a) * cos(b) * sin(radians(lon2 - lon1) / 2) ** 2
    return 2 * EARTH_KM * asin(sqrt(h))


@dataclass(frozen=True, slots=True, eq=False)
class Query:
    """A need and a wish in the calendar's own numbers: both searches read this and nothing else."""

    tracer: int
    procedure: int
    sites: Whole
    """Sites in play, nearest first."""
    travel_min: Whole
    days: NDArray[np.bool_]
    """Which days the wish and the authorisation leave."""
    first: int
    last: int
    delay_from: int
    due: int
    """The last day that is in time."""
    earliest_min: int
    prepare_min: int
    room_slots: int
    scan_slot: int
    scan_slots: int
    activity_mbq: float
    half_life_min: float
    weight_kg: float
    morning: bool
    afternoon: bool


def query(calendar: NetworkCalendar, need: Need, wish: Wish = NO_WISH) -> Query | None:
    """None when nothing in the calendar can suit: an unknown tracer or procedure, no site, no day."""
    if need.tracer not in calendar.tracers or need.procedure_code not in calendar.procedures:
        return None
    start = max(filter(None, (need.authorised_from, need.not_before, wish.from_day, calendar.first_day)))
    until = min(need.authorised_to, wish.to_day or need.authorised_to)
    first = (start - calendar.first_day).days
    last = min(calendar.days - 1, (until - calendar.first_day).days)
    if last < first:
        return None
    wanted = need.sites & wish.sites if wish.sites else need.sites
    sites, travel = reach(calendar.places, wanted, need.capabilities, need.latitude, need.longitude)
    if not len(sites):
        return None
    in_room = need.shape.preparation_min + need.shape.uptake_min
    on_scanner = in_room + need.shape.scan_min + int(CLEANING.total_seconds() // 60)
    earliest = need.earliest.timestamp() / 60
    return Query(
        tracer=calendar.tracers.index(need.tracer),
        procedure=calendar.procedures.index(need.procedure_code),
        sites=sites,
        travel_min=travel,
        days=_days(calendar.first_day.weekday(), calendar.days, wish.weekdays),
        first=first,
        last=last,
        delay_from=max(0, (need.not_before - calendar.first_day).days) if need.not_before else 0,
        due=(need.needed_by - calendar.first_day).days if need.needed_by else calendar.days,
        earliest_min=int(earliest) + (earliest > int(earliest)),
        prepare_min=need.shape.preparation_min,
        room_slots=-(-in_room // GRID_MIN),
        scan_slot=in_room // GRID_MIN,
        scan_slots=-(-on_scanner // GRID_MIN) - in_room // GRID_MIN,
        activity_mbq=need.activity_mbq,
        half_life_min=need.half_life.total_seconds() / 60,
        weight_kg=need.weight_kg,
        morning=wish.half is not Half.AFTERNOON,
        afternoon=wish.half is not Half.MORNING,
    )

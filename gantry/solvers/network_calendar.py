"""Turns sessions, closures, reservations, rooms, allotments and licences into the arrays that the offer search reads."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import numpy as np

from gantry.solvers.offers import GRID_MIN, SLOTS, WORDS, Bits, NetworkCalendar, places

_EMPTY = 0
_FULL = (1 << SLOTS) - 1


@dataclass(frozen=True, slots=True)
class SiteFacts:
    id: UUID
    name: str
    zone: str
    latitude: float
    longitude: float
    capabilities: frozenset[str]
    rooms: tuple[UUID, ...]


@dataclass(frozen=True, slots=True)
class Stand:
    """A scanner while it stands at a site."""

    scanner: UUID
    site: UUID
    max_weight_kg: float


@dataclass(frozen=True, slots=True)
class Opening:
    """A session: only inside one can a scan be promised."""

    scanner: UUID
    site: UUID
    start: datetime
    end: datetime


@dataclass(frozen=True, slots=True)
class Busy:
    """A resource that cannot be promised: reserved, closed, or out of order."""

    resource: UUID
    start: datetime
    end: datetime


@dataclass(frozen=True, slots=True)
class Run:
    """Activity of one supply run that is still free at a site."""

    site: UUID
    tracer: str
    reference_at: datetime
    usable_from: datetime
    usable_to: datetime
    free_mbq: float


@dataclass(frozen=True, slots=True)
class Licence:
    """An employer's licence for one procedure at one site, the last day included."""

    site: UUID
    procedure: str
    valid_from: date
    valid_to: date


@dataclass(frozen=True, slots=True)
class NetworkFacts:
    sites: Sequence[SiteFacts]
    stands: Sequence[Stand]
    openings: Iterable[Opening]
    busy: Iterable[Busy]
    runs: Iterable[Run]
    licences: Iterable[Licence]


def unix_minutes(at: datetime) -> int:
    """Whole minutes; anything between rounds down."""
    return int(at.timestamp() // 60)


def build(facts: NetworkFacts, *, first_day: date, days: int, version: tuple[Any, ...] = ()) -> NetworkCalendar:
    sites = tuple(facts.sites)
    site_index = {site.id: index for index, site in enumerate(sites)}
    midnight, noon = _midnights(sites, first_day, days)

    stands = sorted(facts.stands, key=lambda stand: (site_index[stand.site], str(stand.scanner)))
    rows = {(stand.scanner, stand.site): index for index, stand in enumerate(stands)}
    rows_of: dict[UUID, list[tuple[int, int]]] = defaultdict(list)
    for (scanner, site), row in rows.items():
        rows_of[scanner].append((row, site_index[site]))
    rooms = [(room, index) for index, site in enumerate(sites) for room in site.rooms]
    rooms_of = {room: (row, index) for row, (room, index) in enumerate(rooms)}

    open_bits = [[_EMPTY] * days for _ in stands]
    room_bits = [[_FULL] * days for _ in rooms]
    for opening in facts.openings:
        stood = rows.get((opening.scanner, opening.site))
        if stood is not None:
            # A slot is open only if all of it is: inward rounding.
            start, end = -(-opening.start.timestamp() // 60), opening.end.timestamp() // 60
            for day, mask in _slots(midnight[site_index[opening.site]], start, end, inward=True):
                open_bits[stood][day] |= mask
    for busy in facts.busy:
        start, end = busy.start.timestamp() // 60, -(-busy.end.timestamp() // 60)
        for row, index in rows_of.get(busy.resource, ()):
            for day, mask in _slots(midnight[index], start, end):
                open_bits[row][day] &= ~mask
        if busy.resource in rooms_of:
            row, index = rooms_of[busy.resource]
            for day, mask in _slots(midnight[index], start, end):
                room_bits[row][day] &= ~mask

    tracers, run_from, kept = _runs_by_day(facts.runs, site_index, midnight, days)
    procedures, licensed = _licensed(facts.licences, site_index, first_day, days)
    return NetworkCalendar(
        first_day=first_day,
        days=days,
        places=places(
            tuple(site.id for site in sites),
            tuple((site.latitude, site.longitude) for site in sites),
            tuple(site.capabilities for site in sites),
        ),
        names=tuple(site.name for site in sites),
        midnight=midnight,
        noon=noon,
        rows=tuple(stand.scanner for stand in stands),
        row_from=_starts([site_index[stand.site] for stand in stands], len(sites)),
        row_max_kg=np.array([stand.max_weight_kg for stand in stands], dtype=np.float64),
        free=_words(open_bits, days),
        rooms=tuple(room for room, _ in rooms),
        room_from=_starts([index for _, index in rooms], len(sites)),
        room_free=_words(room_bits, days),
        tracers=tracers,
        run_from=run_from,
        run_reference=np.array([unix_minutes(run.reference_at) for run in kept], dtype=np.int64),
        run_usable_from=np.array([-int(-run.usable_from.timestamp() // 60) for run in kept], dtype=np.int64),
        run_usable_to=np.array([unix_minutes(run.usable_to) for run in kept], dtype=np.int64),
        run_free_mbq=np.array([run.free_mbq for run in kept], dtype=np.float64),
        procedures=procedures,
        licensed=licensed,
        version=version,
    )


def _midnights(sites: Sequence[SiteFacts], first_day: date, days: int) -> tuple[Any, Any]:
    """Each local day's midnight, and the slot of its noon: 143 or 145 or so on the two days when the clocks change."""
    midnight = np.zeros((len(sites), days), dtype=np.int64)
    noon = np.zeros((len(sites), days), dtype=np.int64)
    by_zone: dict[str, tuple[list[int], list[int]]] = {}
    for index, site in enumerate(sites):
        if site.zone not in by_zone:
            zone = ZoneInfo(site.zone)
            starts, noons = [], []
            for offset in range(days):
                day = first_day + timedelta(days=offset)
                starts.append(unix_minutes(datetime.combine(day, time(0), zone)))
                noons.append((unix_minutes(datetime.combine(day, time(12), zone)) - starts[-1]) // GRID_MIN)
            by_zone[site.zone] = starts, noons
        midnight[index], noon[index] = by_zone[site.zone]
    return midnight, noon


def _slots(midnight: Any, start: float, end: float, *, inward: bool = False) -> list[tuple[int, int]]:
    """The days that a span of minutes touches, each with its mask."""
    found = []
    first = max(0, int(np.searchsorted(midnight, start, side="right")) - 1)
    for day in range(first, len(midnight)):
        zero = int(midnight[day])
        if zero >= end:
            break
        low, high = (start - zero) / GRID_MIN, (end - zero) / GRID_MIN
        from_slot = max(0, int(-(-low // 1) if inward else low // 1))
        to_slot = min(SLOTS, int(high // 1 if inward else -(-high // 1)))
        if from_slot < to_slot:
            found.append((day, ((1 << (to_slot - from_slot)) - 1) << from_slot))
    return found


def _words(masks: list[list[int]], days: int) -> Bits:
    packed = b"".join(mask.to_bytes(WORDS * 8, "little") for row in masks for mask in row)
    return np.frombuffer(packed, dtype="<u8").reshape(len(masks), days, WORDS).astype(np.uint64)


def _starts(owners: list[int], count: int) -> Any:
    return np.searchsorted(np.array(owners, dtype=np.int64), np.arange(count + 1), side="left").astype(np.int64)


def _runs_by_day(
    runs: Iterable[Run], site_index: dict[UUID, int], midnight: Any, days: int
) -> tuple[tuple[str, ...], Any, list[Run]]:
    """Runs in order of tracer, site and day; one that is usable on two days is listed under both."""
    by_cell: dict[tuple[str, int, int], list[Run]] = defaultdict(list)
    tracers: set[str] = set()
    for run in runs:
        site = site_index.get(run.site)
        if site is None:
            continue
        tracers.add(run.tracer)
        start, end = run.usable_from.timestamp() / 60, run.usable_to.timestamp() / 60
        first = max(0, int(np.searchsorted(midnight[site], start, side="right")) - 1)
        for day in range(first, days):
            if midnight[site][day] > end:
                break
            if midnight[site][day] + 24 * 60 + 60 > start:
                by_cell[run.tracer, site, day].append(run)
    names = tuple(sorted(tracers))
    run_from = np.zeros((len(names), len(site_index), days + 1), dtype=np.int64)
    kept: list[Run] = []
    for index, tracer in enumerate(names):
        for site in range(len(site_index)):
            for day in range(days):
                run_from[index, site, day] = len(kept)
                kept += by_cell.get((tracer, site, day), ())
            run_from[index, site, days] = len(kept)
    return names, run_from, kept


def _licensed(
    licences: Iterable[Licence], site_index: dict[UUID, int], first_day: date, days: int
) -> tuple[tuple[str, ...], Any]:
    held = [licence for licence in licences if licence.site in site_index]
    procedures = tuple(sorted({licence.procedure for licence in held}))
    licensed = np.zeros((len(procedures), len(site_index), days), dtype=np.bool_)
    for licence in held:
        first = max(0, (licence.valid_from - first_day).days)
        last = min(days, (licence.valid_to - first_day).days + 1)
        if first < last:
            licensed[procedures.index(licence.procedure), site_index[licence.site], first:last] = True
    return procedures, licensed

"""Decides which scheduled steps answer a worklist query, from memory, and never from older news than the last commit."""

from __future__ import annotations

import threading
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from zoneinfo import ZoneInfo

from gantry.gateways.dicom.elements import SPECIFIC_CHARACTER_SET, TIMEZONE_OFFSET, Elements, Shape, encode
from gantry.gateways.dicom.matching import Key, MomentKey
from gantry.gateways.dicom.query import WorklistQuery
from gantry.gateways.dicom.worklist import (
    PATIENT_ID,
    STEP_SEQUENCE,
    WorklistItem,
    elements_of,
)

SHAPES_KEPT = 16
"""Different return-key lists whose encoded answers are kept for one item: a scanner always asks the same way."""

ALWAYS: Shape = ((SPECIFIC_CHARACTER_SET, "CS", None), (TIMEZONE_OFFSET, "SH", None))


@dataclass(frozen=True, slots=True)
class Changes:
    """What the worklist became since a version: items to put in (by key), keys to take out, or everything anew."""

    version: object
    put: Mapping[str, WorklistItem] = field(default_factory=dict)
    removed: Iterable[str] = ()
    everything: bool = False


@dataclass(frozen=True, slots=True)
class WorklistSource:
    """Where the worklist lives. `version` is cheap and is asked before each answer; `changes` takes the version held."""

    version: Callable[[], object]
    changes: Callable[[object | None], Changes]


class Entry:
    """One item, its attributes ready to match, and its answers already encoded."""

    __slots__ = ("_elements", "_encoded", "_zone", "item", "places")

    def __init__(self, item: WorklistItem, zone: ZoneInfo) -> None:
        self.item, self._zone = item, zone
        self._elements: Elements | None = None
        self._encoded: dict[tuple[Shape, bool], bytes] = {}
        day = f"{item.local_start(zone):%Y%m%d}"
        self.places = (
            ("day", day),
            ("patient", item.patient_id),
            ("accession", item.accession_number),
            ("study", item.study_uid),
            ("step", item.step_id),
            *(("station", title) for title in item.station_ae_titles),
            *(("station and day", title, day) for title in item.station_ae_titles),
        )

    @property
    def elements(self) -> Elements:
        if self._elements is None:
            self._elements = elements_of(self.item, self._zone)
        return self._elements

    def answer(self, shape: Shape, *, explicit: bool) -> bytes:
        key = (shape, explicit)
        encoded = self._encoded.get(key)
        if encoded is None:
            if len(self._encoded) >= SHAPES_KEPT:
                self._encoded.clear()
            encoded = encode(self.elements, explicit=explicit, shape=tuple(sorted({*shape, *ALWAYS}, key=tag_of)))
            self._encoded[key] = encoded
        return encoded


def tag_of(part: tuple[int, str, Shape | None]) -> int:
    return part[0]


@dataclass(frozen=True, slots=True)
class Answer:
    """The data sets of a query's matches, encoded; `all_keys_supported` picks between pending FF00 and FF01."""

    data_sets: list[bytes]
    all_keys_supported: bool


class WorklistIndex:
    """The worklist in memory, by station, day, patient, accession, study and step."""

    def __init__(self, source: WorklistSource, zone: ZoneInfo) -> None:
        self._source, self._zone = source, zone
        self._lock = threading.Lock()
        self._version: object | None = None
        self._entries: dict[str, Entry] = {}
        self._postings: dict[tuple[str, ...], dict[str, Entry]] = {}
        self._days: list[str] = []
        self._in_order: list[Entry] | None = None
        self._held_for_others: dict[tuple[int, ...], int] = {}

    def __len__(self) -> int:
        return len(self._entries)

    def find(self, query: WorklistQuery, *, explicit: bool) -> Answer:
        with self._lock:
            self._refresh()
            unknown = [path for path in paths(query.returns) if not self._knows(path)]
            keys = tuple(self._supported(query.keys, ()))
            found = [entry for entry in self._candidates(query) if all(key.meets(entry.elements) for key in keys)]
            return Answer([entry.answer(query.returns, explicit=explicit) for entry in found], not unknown)

    def _refresh(self) -> None:
        version = self._source.version()
        if self._version is not None and version == self._version:
            return
        changes = self._source.changes(self._version)
        if changes.everything:
            self._entries.clear()
            self._postings.clear()
            self._held_for_others.clear()
        for key in changes.removed:
            self._take_out(key)
        for key, item in changes.put.items():
            self._take_out(key)
            self._put(key, item)
        self._days = sorted(place[1] for place in self._postings if place[0] == "day")
        self._in_order = None
        self._version = changes.version

    def _put(self, key: str, item: WorklistItem) -> None:
        entry = Entry(item, self._zone)
        self._entries[key] = entry
        for place in entry.places:
            self._postings.setdefault(place, {})[key] = entry
        for path in extra_paths(entry):
            self._held_for_others[path] = self._held_for_others.get(path, 0) + 1

    def _take_out(self, key: str) -> None:
        entry = self._entries.pop(key, None)
        if entry is None:
            return
        for place in entry.places:
            posting = self._postings.get(place, {})
            posting.pop(key, None)
            if not posting:
                self._postings.pop(place, None)
        for path in extra_paths(entry):
            self._held_for_others[path] -= 1

    def _candidates(self, query: WorklistQuery) -> list[Entry]:
        """The fewest entries that surely hold every match, in order of start."""
        sets: list[list[tuple[str, ...]]] = [
            [(kind, value) for value in values]
            for kind, values in (
                ("step", query.step_ids),
                ("accession", query.accession_numbers),
                ("study", query.study_uids),
                ("patient", query.patient_ids),
            )
            if values
        ]
        if query.first_day or query.last_day != "~":
            days = self._days[bisect_left(self._days, query.first_day) : bisect_right(self._days, query.last_day)]
            if query.station_ae_titles:
                sets.append([("station and day", title, day) for title in query.station_ae_titles for day in days])
            else:
                sets.append([("day", day) for day in days])
        elif query.station_ae_titles:
            sets.append([("station", title) for title in query.station_ae_titles])
        if not sets:
            return self._ordered()
        places = min(sets, key=lambda places: sum(len(self._postings.get(place, ())) for place in places))
        found: dict[str, Entry] = {}
        for place in places:
            found.update(self._postings.get(place, {}))
        return sorted(found.values(), key=in_order)

    def _ordered(self) -> list[Entry]:
        if self._in_order is None:
            self._in_order = sorted(self._entries.values(), key=in_order)
        return self._in_order

    def _knows(self, path: tuple[int, ...]) -> bool:
        return path in SUPPORTED or self._held_for_others.get(path, 0) > 0

    def _supported(self, keys: Iterable[Key | MomentKey], above: tuple[int, ...]) -> Iterator[Key | MomentKey]:
        """The keys we can match; an optional key we do not support is as if not given (PS3.4 C.2.2.1.2)."""
        for key in keys:
            if not self._knows((*above, key.tag)):
                continue
            if isinstance(key, Key) and key.inner:
                inner = tuple(self._supported(key.inner, (*above, key.tag)))
                if inner:
                    yield Key(key.tag, inner=inner)
            else:
                yield key


def in_order(entry: Entry) -> tuple[float, str]:
    return entry.item.start.timestamp(), entry.item.step_id


def paths(shape: Shape, above: tuple[int, ...] = ()) -> Iterator[tuple[int, ...]]:
    for tag, _, inner in shape:
        yield (*above, tag)
        if inner:
            yield from paths(inner, (*above, tag))


def element_paths(elements: Elements, above: tuple[int, ...] = ()) -> Iterator[tuple[int, ...]]:
    for tag, element in elements.items():
        yield (*above, tag)
        for item in element.items:
            yield from element_paths(item, (*above, tag))


def extra_paths(entry: Entry) -> set[tuple[int, ...]]:
    if not entry.item.extra:
        return set()
    return {path for path in element_paths(entry.elements) if path not in SUPPORTED}


CODE = (0x00080100, 0x00080102, 0x00080104)
TOP = (
    0x00080050, 0x00080090, 0x00081110, 0x00081120, 0x00100010, 0x00100020, 0x00100021, 0x00100030, 0x00100040,
    0x00101002, 0x00101020, 0x00101030, 0x00102000, 0x00102110, 0x001021B0, 0x001021C0, 0x00104000, 0x0020000D,
    0x00321032, 0x00321033, 0x00321060, 0x00321064, 0x00380010, 0x00380050, 0x00380300, 0x00380500, 0x00400100,
    0x00401001, 0x00401002, 0x00401003, 0x00401004, 0x00401400, 0x00402016, 0x00402017, 0x00403001,
)  # fmt: skip
STEP = (
    0x00080060, 0x00321070, 0x00400001, 0x00400002, 0x00400003, 0x00400006, 0x00400007, 0x00400008, 0x00400009,
    0x00400010, 0x00400011, 0x00400012, 0x00400020, 0x00400400,
)  # fmt: skip
REFERENCE = (0x00081150, 0x00081155)

SUPPORTED: frozenset[tuple[int, ...]] = frozenset(
    [(tag,) for tag in TOP]
    + [(STEP_SEQUENCE, tag) for tag in STEP]
    + [(STEP_SEQUENCE, 0x00400008, tag) for tag in CODE]
    + [(0x00321064, tag) for tag in CODE]
    + [(0x00101002, tag) for tag in (PATIENT_ID, 0x00100021)]
    + [(sequence, tag) for sequence in (0x00081110, 0x00081120) for tag in REFERENCE]
)
"""Attributes matched and returned for every item; the conformance statement lists the same."""

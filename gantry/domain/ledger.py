"""Decides whether the activity of a site adds up: double entry in MBq, every entry decayed to one instant.

For each container: in (received, eluted, transferred) = net administered + residual + waste + spill + QC
+ transferred or returned + left, within the combined uncertainty of the instruments.

The sum, and where each line of it is from (JCGM 100:2008 is the GUM):

    a_i(t) = A_i · 2^(−(t − t_i)/T)               each entry at the instant t of the statement (`decay`)
    d(t)   = Σ s_i · a_i(t)                       s = +1 into the container, −1 out of it, −1 a count of what is left
    u_r²   = Σ (r_i · a_i(t))²                    readings are independent: in quadrature, GUM 5.1.2, eq. 10
    u_c²   = Σ_k (c_k · Σ_(i of k) s_i · a_i(t))² readings of one instrument k share the error of its calibration, fully
                                                  correlated: they add with their signs, GUM 5.2.2, note 1
    U      = k · √(u_r² + u_c²), k = 2            expanded uncertainty, about 95 %, GUM 6.2.1 and 6.3.3
    f      = F · 2^(−(t − t_l)/T)                 F is the last digit of a calibrator; t_l the last entry of what is judged
    ask where |d| > U and |d| > f

a, d, F and f are in MBq; r_i and c_k are standard uncertainties (k = 1) as shares of a reading, from the certificate of each
instrument. t_i, t and T are taken as exact. d, U and f decay alike, so the verdict is the same at any instant t.
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from itertools import groupby
from math import hypot

from gantry.domain.decay import Assay, fraction_left

COVERAGE = 2.0
"""k of the expanded uncertainty U = k · u_c: about 95 % where the sum is nearly normal (GUM 6.2.1, 6.3.3)."""


READABLE_MBQ = 0.01
"""F: the last digit of a dose calibrator's display. Nobody can read, nor look for, a difference below it (assumed)."""


class Way(StrEnum):
    """How activity comes into a container, and how it leaves one."""

    RECEIVED = "received"
    ELUTED = "eluted"
    TRANSFERRED_IN = "transferred_in"
    DRAWN = "drawn"
    """From one container into another: the only way that has both ends inside a site."""
    ADMINISTERED = "administered"
    """Net, at the instant of injection."""
    RESIDUAL = "residual"
    WASTED = "wasted"
    SPILT = "spilt"
    SAMPLED = "sampled"
    """For quality control."""
    TRANSFERRED_OUT = "transferred_out"
    RETURNED = "returned"
    COUNTED = "counted"
    """Nothing moves: what is left was measured."""


END = {
    Way.RECEIVED: "supplier",
    Way.ELUTED: "generator",
    Way.TRANSFERRED_IN: "other site",
    Way.ADMINISTERED: "person",
    Way.RESIDUAL: "used syringe",
    Way.WASTED: "decay store",
    Way.SPILT: "floor",
    Way.SAMPLED: "quality control",
    Way.TRANSFERRED_OUT: "other site",
    Way.RETURNED: "supplier",
}
"""The account at the far end of each way that crosses a container's wall."""

_FAR_ENDS = frozenset(END.values())
INWARD = frozenset({Way.RECEIVED, Way.ELUTED, Way.TRANSFERRED_IN})
STILL_HERE = frozenset({Way.RESIDUAL, Way.WASTED, Way.SPILT, Way.SAMPLED})
"""Out of its container, and still on the premises until it has decayed or is disposed of."""


@dataclass(frozen=True, slots=True)
class Instrument:
    """Standard uncertainties (k = 1), in per cent of the reading."""

    name: str
    scale_percent: float
    """Of its calibration: the same error in every reading that it gives."""
    reading_percent: float
    """Of one reading: repeatability, geometry, the container's place in the well."""


@dataclass(frozen=True, slots=True)
class Entry:
    """Activity taken from one account and put into another: who measured how much, when and with what.

    Entries are never edited. One that `corrects` another stands in its place.
    """

    key: str
    way: Way
    source: str
    target: str
    assay: Assay
    instrument: Instrument
    by: str
    volume_ml: float | None = None
    corrects: str = ""

    def __post_init__(self) -> None:
        if (self.source == self.target) is not (self.way is Way.COUNTED):
            raise ValueError(f"{self.key}: activity moves between two accounts, or is counted in one")
        if self.way in INWARD and self.source != END[self.way]:
            raise ValueError(f"{self.key}: what is {self.way} comes from the {END[self.way]}")
        if self.way in END and self.way not in INWARD and self.target != END[self.way]:
            raise ValueError(f"{self.key}: what is {self.way} goes to the {END[self.way]}")

    def mbq(self, at: datetime) -> float:
        """a(t) = A · 2^(−(t − t_i)/T): this entry at the instant of a statement."""
        return self.assay.activity_at(at)


def standing(entries: Iterable[Entry]) -> list[Entry]:
    """The entries that hold, by time and then as they were written: without those that a later one corrects.

    One that corrects another stands in its place: before a count of the same minute if the first stood before it.
    """
    listed = list(entries)
    replaced = {each.corrects for each in listed if each.corrects}
    place: dict[str, int] = {}
    for number, each in enumerate(listed):
        place[each.key] = place.get(each.corrects, number)
    return sorted((each for each in listed if each.key not in replaced), key=lambda e: (e.assay.at, place[e.key]))


def containers(entries: Iterable[Entry]) -> frozenset[str]:
    """Every vial and syringe that the entries name; the far ends of the ways are none."""
    return frozenset(name for each in entries for name in (each.source, each.target) if name not in _FAR_ENDS)


@dataclass(frozen=True, slots=True)
class Line:
    """One row of a statement: how much went this way, at the instant of the statement."""

    way: Way
    activity_mbq: float
    entries: tuple[str, ...]


class Verdict(StrEnum):
    """Whether a statement balances, and against what."""

    ASK = "ask"
    AGREES = "agrees"
    """With what was measured, within the instruments' uncertainty."""
    BY_THE_BOOK = "by the book"
    """Nobody measured what is left: it is what the entries leave."""


@dataclass(frozen=True, slots=True)
class Balance:
    """A statement of some containers at one instant."""

    at: datetime
    into: tuple[Line, ...]
    out: tuple[Line, ...]
    left_mbq: float
    """As counted where it was counted, else what the book says; never below nothing."""
    book_mbq: float
    """All that came in less all that went out."""
    uncertainty_mbq: float
    """Expanded (k = 2), of the difference."""
    in_play: tuple[str, ...]
    """The entries that the difference was made from."""
    floor_mbq: float = 0.0
    """What no instrument could read when the last of the entries was made, at the instant of the statement."""

    @property
    def in_mbq(self) -> float:
        return sum(line.activity_mbq for line in self.into)

    @property
    def out_mbq(self) -> float:
        return sum(line.activity_mbq for line in self.out)

    @property
    def difference_mbq(self) -> float:
        """In, less out, less left: what nobody can account for. Below nothing: more was found than there can be."""
        return self.book_mbq - self.left_mbq

    @property
    def within(self) -> bool:
        explained = self.uncertainty_mbq + FUZZ * (self.in_mbq + self.out_mbq)
        return abs(self.difference_mbq) <= max(explained, self.floor_mbq)

    @property
    def verdict(self) -> "Verdict":
        if not self.within:
            return Verdict.ASK
        return Verdict.AGREES if self.in_play else Verdict.BY_THE_BOOK

    def of(self, *ways: Way) -> float:
        return sum(line.activity_mbq for line in (*self.into, *self.out) if line.way in ways)


FUZZ = 1e-9
"""Forgives binary fractions, not activity."""


@dataclass(frozen=True, slots=True)
class Term:
    """What one entry adds to a difference: its sign, and its activity at the instant of the statement."""

    entry: Entry
    sign: int
    activity_mbq: float


def balance(
    entries: Iterable[Entry], at: datetime, of: Collection[str] | None = None, *, until: datetime | None = None
) -> Balance:
    """What came into these containers, what went where, what is left, and what is not explained.

    Draws between two of them cancel, so that one vial, a batch with its syringes and a whole site are judged alike.
    Everything up to `until` counts (up to `at` where it is not given), corrected for decay to `at`, before or after.
    """
    held = [each for each in standing(entries) if each.assay.at <= (until or at)]
    inside = containers(held) if of is None else frozenset(of)
    moves = [each for each in held if each.way is not Way.COUNTED]
    into = [each for each in moves if each.target in inside and each.source not in inside]
    out = [each for each in moves if each.source in inside and each.target not in inside]
    counts = {each.source: each for each in held if each.way is Way.COUNTED and each.source in inside}
    terms: list[Term] = []
    book = left = 0.0
    for name in sorted(inside):
        in_book = sum(e.mbq(at) for e in moves if e.target == name) - sum(e.mbq(at) for e in moves if e.source == name)
        book += in_book
        count = counts.get(name)
        if count is not None:
            when = held.index(count)
            terms += [*_moved(held[:when], name, at), Term(count, -1, count.mbq(at))]
            left += count.mbq(at) + sum(t.sign * t.activity_mbq for t in _moved(held[when:], name, at))
        elif in_book < -readable([e for e in moves if name in (e.source, e.target)], at):
            terms += _moved(moves, name, at)
        else:
            left += max(0.0, in_book)
    touching = [each for each in held if each.source in inside or each.target in inside]
    return Balance(
        at,
        _lines(into, at),
        _lines(out, at),
        left,
        book,
        uncertainty(terms),
        tuple(_keys(terms)),
        readable(touching, at),
    )


def readable(entries: Iterable[Entry], at: datetime) -> float:
    """f: of the last entry, so that a difference of yesterday is not forgiven because it has decayed since."""
    last = max(entries, key=lambda e: e.assay.at, default=None)
    if last is None:
        return 0.0
    return READABLE_MBQ * fraction_left(last.assay.nuclide, at - last.assay.at)


def by_container(entries: Iterable[Entry], at: datetime, *, until: datetime | None = None) -> dict[str, Balance]:
    """The statement of each container by itself. What is drawn from one into another is in both, out and in."""
    touching: dict[str, list[Entry]] = {}
    for each in standing(entries):
        for name in {each.source, each.target} - _FAR_ENDS:
            touching.setdefault(name, []).append(each)
    return {name: balance(mine, at, {name}, until=until) for name, mine in touching.items()}


@dataclass(frozen=True, slots=True)
class After:
    """One entry of a container, and what the book leaves in it after that entry, at the entry's own moment."""

    entry: Entry
    moved_mbq: float
    """At that moment: into it above nothing, out of it below; nothing for a count."""
    left_mbq: float


def running(entries: Iterable[Entry], name: str) -> list[After]:
    """Where each megabecquerel of one container went, line by line. The book alone: a count changes nothing in it."""
    mine = [each for each in standing(entries) if name in (each.source, each.target)]
    lines = []
    for number, each in enumerate(mine, 1):
        at = each.assay.at
        left = sum(term.sign * term.activity_mbq for term in _moved(mine[:number], name, at))
        sign = (each.target == name) - (each.source == name)
        lines.append(After(each, sign * each.assay.activity_mbq, left))
    return lines


def _moved(entries: Iterable[Entry], name: str, at: datetime) -> list[Term]:
    """Into this container with a plus, out of it with a minus; a count moves nothing."""
    signs = ((each, (each.target == name) - (each.source == name)) for each in entries)
    return [Term(each, sign, each.mbq(at)) for each, sign in signs if sign]


def _lines(entries: Iterable[Entry], at: datetime) -> tuple[Line, ...]:
    order = list(Way)
    rows = sorted(entries, key=lambda e: order.index(e.way))
    grouped = ((way, list(each)) for way, each in groupby(rows, key=lambda e: e.way))
    return tuple(Line(way, sum(e.mbq(at) for e in each), tuple(e.key for e in each)) for way, each in grouped)


def _keys(terms: Iterable[Term]) -> list[str]:
    """Largest first. An entry with one end in each of two containers cancels and is not named."""
    net: dict[str, float] = {}
    for term in terms:
        net[term.entry.key] = net.get(term.entry.key, 0.0) + term.sign * term.activity_mbq
    return [key for key, mbq in sorted(net.items(), key=lambda pair: (-abs(pair[1]), pair[0])) if mbq]


def uncertainty(terms: Sequence[Term]) -> float:
    """Expanded uncertainty of the sum of the terms, in MBq (GUM eq. 10 for readings, 5.2.2 note 1 for each calibration)."""
    # One reading may stand in two terms, out of one container and into another: it has one error, so it counts once, net.
    net: dict[str, tuple[Entry, float]] = {}
    for term in terms:
        before = net.get(term.entry.key, (term.entry, 0.0))[1]
        net[term.entry.key] = term.entry, before + term.sign * term.activity_mbq
    # u_r: the sensitivity of the sum to each reading is its own decay factor, so u_i = r_i · a_i(t) (GUM 5.1.3, eq. 11).
    readings = [mbq * entry.instrument.reading_percent / 100 for entry, mbq in net.values()]
    # u_c: the terms of one calibration are summed first, with their signs, and only then squared (GUM 5.2.2, note 1).
    scales: dict[Instrument, float] = {}
    for entry, mbq in net.values():
        scales[entry.instrument] = scales.get(entry.instrument, 0.0) + mbq
    calibrations = [mbq * instrument.scale_percent / 100 for instrument, mbq in scales.items()]
    # U = k · √(u_r² + u_c²).
    return COVERAGE * hypot(*readings, *calibrations)


@dataclass(frozen=True, slots=True)
class Investigation:
    """A difference that the instruments cannot explain, and the entries that a person has to look at."""

    at: datetime
    difference_mbq: float
    uncertainty_mbq: float
    entries: tuple[str, ...]
    """Largest first."""

    def __str__(self) -> str:
        what = "is missing" if self.difference_mbq > 0 else "more was found than there can be"
        return f"{abs(self.difference_mbq):,.1f} MBq {what}; ±{self.uncertainty_mbq:,.1f} MBq is explained"


def investigation(statement: Balance) -> Investigation | None:
    """None where the difference is within the expanded uncertainty."""
    if statement.within:
        return None
    return Investigation(statement.at, statement.difference_mbq, statement.uncertainty_mbq, statement.in_play)


def on_site_mbq(entries: Iterable[Entry], at: datetime) -> float:
    """Holdings of open sources: everything that is here, in a container or out of it (EPR 2016 counts both).

    What is in a person has left the premises with them; a disposal is another record, taken off by its own rule.
    """
    held = [each for each in standing(entries) if each.assay.at <= at]
    came = sum(each.mbq(at) for each in held if each.way in INWARD)
    went = sum(
        each.mbq(at) for each in held if each.way in (Way.ADMINISTERED, Way.TRANSFERRED_OUT, Way.RETURNED)
    )  # fmt: skip
    return max(0.0, came - went)

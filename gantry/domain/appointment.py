"""Appointments: the lifecycle, how long a hold lasts, and what a move or an end must say."""

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from enum import StrEnum

from gantry.domain.decay import Nuclide, fraction_left
from gantry.domain.events import CauseCode, Initiator
from gantry.domain.lifecycle import Table

HOLD_FOR = timedelta(minutes=10)
"""Long enough to ring somebody and read the preparation out; short enough not to hide a slot."""
CLEANING = timedelta(minutes=5)
"""Kept free on the scanner after each person."""
ADULT_AGE = 16
"""Specification 2266, Annex 1: children are those before their 16th birthday."""


class AppointmentState(StrEnum):
    HELD = "held"
    BOOKED = "booked"
    TOLD = "told"
    ARRIVED = "arrived"
    FULFILLED = "fulfilled"
    TURNED_AWAY = "turned_away"
    EXPIRED = "expired"
    CANCELLED = "cancelled"
    DID_NOT_ATTEND = "did_not_attend"
    WAS_NOT_BROUGHT = "was_not_brought"
    REPLACED = "replaced"


class AppointmentEvent(StrEnum):
    BOOK = "book"
    TELL = "tell"
    ARRIVE = "arrive"
    FULFIL = "fulfil"
    TURN_AWAY = "turn_away"
    EXPIRE = "expire"
    CANCEL = "cancel"
    NOT_ATTEND = "not_attend"
    NOT_BRING = "not_bring"
    REPLACE = "replace"


S, E = AppointmentState, AppointmentEvent

APPOINTMENT: Table[AppointmentState, AppointmentEvent] = {
    (S.HELD, E.BOOK): S.BOOKED,
    (S.HELD, E.EXPIRE): S.EXPIRED,
    (S.HELD, E.CANCEL): S.CANCELLED,
    (S.BOOKED, E.TELL): S.TOLD,
    (S.BOOKED, E.CANCEL): S.CANCELLED,
    (S.BOOKED, E.REPLACE): S.REPLACED,
    (S.BOOKED, E.ARRIVE): S.ARRIVED,
    (S.BOOKED, E.NOT_ATTEND): S.DID_NOT_ATTEND,
    (S.BOOKED, E.NOT_BRING): S.WAS_NOT_BROUGHT,
    (S.TOLD, E.CANCEL): S.CANCELLED,
    (S.TOLD, E.REPLACE): S.REPLACED,
    (S.TOLD, E.ARRIVE): S.ARRIVED,
    (S.TOLD, E.NOT_ATTEND): S.DID_NOT_ATTEND,
    (S.TOLD, E.NOT_BRING): S.WAS_NOT_BROUGHT,
    (S.ARRIVED, E.FULFIL): S.FULFILLED,
    (S.ARRIVED, E.TURN_AWAY): S.TURNED_AWAY,
    # Whoever is here and lies on another scanner has another appointment; only a recovery does that.
    (S.ARRIVED, E.REPLACE): S.REPLACED,
}

ACTIVE = frozenset({S.HELD, S.BOOKED, S.TOLD, S.ARRIVED})
"""States whose planned reservations hold their resources."""

FHIR_STATUS = {
    S.HELD: "pending",
    S.BOOKED: "booked",
    S.TOLD: "booked",
    S.ARRIVED: "arrived",
    S.FULFILLED: "fulfilled",
    S.TURNED_AWAY: "cancelled",
    S.EXPIRED: "cancelled",
    S.CANCELLED: "cancelled",
    S.REPLACED: "cancelled",
    S.DID_NOT_ATTEND: "noshow",
    S.WAS_NOT_BROUGHT: "noshow",
}
"""FHIR R4 Appointment.status for each state (model.md: an expired hold and a move read as cancelled)."""


@dataclass(frozen=True, slots=True)
class VisitShape:
    """How a protocol fills its appointment, in minutes: arrival, preparation, uptake, scan, leaving."""

    preparation_min: int
    uptake_min: int
    scan_min: int
    recovery_min: int = 10

    def injection_at(self, arrival: datetime) -> datetime:
        return arrival + timedelta(minutes=self.preparation_min)

    def scan_at(self, arrival: datetime) -> datetime:
        return self.injection_at(arrival) + timedelta(minutes=self.uptake_min)

    def ends_at(self, arrival: datetime) -> datetime:
        return self.scan_at(arrival) + timedelta(minutes=self.scan_min)

    def arrival_for_scan(self, scan_at: datetime) -> datetime:
        return scan_at - timedelta(minutes=self.preparation_min + self.uptake_min)


def hold_expires_at(held_at: datetime, hold: timedelta) -> datetime:
    return held_at + hold


def why_not_held_for(
    arrival: datetime, *, now: datetime, not_before: datetime | None, needed_by: datetime | None
) -> Iterator[str]:
    """Why this time does not suit the referral; empty means it does."""
    if arrival <= now:
        yield f"{arrival:%H:%M on %-d %B %Y} has passed"
    if not_before and arrival < not_before:
        yield f"The referrer asked for no scan before {not_before:%-d %B %Y}"
    if needed_by and arrival > needed_by:
        yield f"The referrer needs the scan by {needed_by:%-d %B %Y}"


@dataclass(frozen=True, slots=True)
class Span:
    """A half-open interval of time: touching spans do not overlap."""

    start: datetime
    end: datetime

    def __post_init__(self) -> None:
        if self.end <= self.start:
            raise ValueError("a span has length")

    def overlaps(self, other: "Span") -> bool:
        return self.start < other.end and other.start < self.end

    def covers(self, other: "Span") -> bool:
        return self.start <= other.start and other.end <= self.end


@dataclass(frozen=True, slots=True)
class Planned:
    """The moments of one visit, from its arrival and its protocol's shape."""

    arrival_at: datetime
    injection_at: datetime
    scan_at: datetime
    ends_at: datetime

    @property
    def room(self) -> Span:
        """From arrival, because the line goes in and the uptake is rested in the same room, until the scan."""
        return Span(self.arrival_at, self.scan_at)

    @property
    def scanner(self) -> Span:
        return Span(self.scan_at, self.ends_at + CLEANING)


def planned(shape: VisitShape, arrival: datetime) -> Planned:
    return Planned(arrival, shape.injection_at(arrival), shape.scan_at(arrival), shape.ends_at(arrival))


def activity_needed(
    prescribed_mbq: float, nuclide: Nuclide, *, injection_at: datetime, reference_at: datetime
) -> float:
    """What an allotment must give up, in MBq at its own reference time, for this injection at that moment."""
    return prescribed_mbq / fraction_left(nuclide, injection_at - reference_at)


@dataclass(frozen=True, slots=True)
class Requirement:
    """What the person and the referral ask of a place and a time."""

    capabilities: frozenset[str] = field(default_factory=frozenset)
    weight_kg: float | None = None
    not_before: date | None = None
    needed_by: date | None = None


@dataclass(frozen=True, slots=True)
class Place:
    """A scanner at a site around one day, as it stands now."""

    site: str
    scanner: str
    capabilities: frozenset[str]
    max_weight_kg: float
    open: tuple[Span, ...]
    closed: tuple[tuple[Span, str], ...] = ()
    deployed: bool = True


def why_not_here(place: Place, requirement: Requirement, plan: Planned, *, on: date, now: datetime) -> list[str]:
    """Why this person cannot be scanned there and then; empty means they can. What is taken is the constraint's to say.

    A date after `needed_by` is not refused: a late scan is often better than none, and the page says that it is late.
    """
    reasons = []
    if plan.arrival_at <= now:
        reasons.append("That time has passed")
    if requirement.not_before and on < requirement.not_before:
        reasons.append(f"The referrer asked for no scan before {requirement.not_before:%-d %B %Y}")
    if missing := sorted(requirement.capabilities - place.capabilities):
        reasons.append(f"{place.site} does not have: {', '.join(each.replace('_', ' ') for each in missing)}")
    if requirement.weight_kg is not None and requirement.weight_kg > place.max_weight_kg:
        reasons.append(
            f"{place.scanner} takes up to {place.max_weight_kg:g} kg and the patient weighs {requirement.weight_kg:g} kg"
        )
    if not place.deployed:
        reasons.append(f"{place.scanner} is not at {place.site} then")
    elif not any(session.covers(plan.scanner) for session in place.open):
        reasons.append(f"{place.scanner} at {place.site} has no session that holds the whole scan")
    reasons.extend(
        f"{place.site} is not open then: {why}"
        for span, why in place.closed
        if span.overlaps(plan.scanner) or span.overlaps(plan.room)
    )
    return reasons


def late_by_days(on: date, needed_by: date | None) -> int:
    return max(0, (on - needed_by).days) if needed_by else 0


def not_seen_event(*, born_on: date, on: date, at_risk: bool) -> AppointmentEvent:
    """A child, or an adult at risk, does not fail to attend: they were not brought, and somebody must ask why."""
    had_birthday = (on.month, on.day) >= (born_on.month, born_on.day)
    age = on.year - born_on.year - (0 if had_birthday else 1)
    return AppointmentEvent.NOT_BRING if at_risk or age < ADULT_AGE else AppointmentEvent.NOT_ATTEND


ONLY_THE_PATIENT = frozenset({CauseCode.PATIENT_CANCELLED, CauseCode.DECLINED})
NEVER_THE_PATIENT = frozenset(
    {CauseCode.BATCH_FAILED, CauseCode.SCANNER_FAILED, CauseCode.OVERBOOKED, CauseCode.BOOKED_IN_ERROR}
)


def why_not_caused(code: CauseCode, initiator: Initiator) -> list[str]:
    """Why these two cannot both be true. Blame put on the wrong side would empty M2 of its meaning."""
    if code in ONLY_THE_PATIENT and initiator is not Initiator.PATIENT:
        return [f"“{code.value.replace('_', ' ')}” is the patient's own choice: say that the patient asked"]
    if code in NEVER_THE_PATIENT and initiator is Initiator.PATIENT:
        return [f"“{code.value.replace('_', ' ')}” is not something a patient does: say who moved or cancelled it"]
    return []


def first_free(rooms: Iterable[str], taken: Collection[str]) -> list[str]:
    """Rooms in the order to try them: those nobody seems to hold first, in their own order, then the rest."""
    rooms = list(rooms)
    return [room for room in rooms if room not in taken] + [room for room in rooms if room in taken]


def fit_in_words(
    *, on: date, needed_by: date | None, soonest: date, nearest: bool, km: float | None
) -> tuple[str, ...]:
    """Why this choice stands where it does: the clinical limit, then how soon, then how far."""
    said = []
    if needed_by and on > needed_by:
        said.append(f"Late: {_days(late_by_days(on, needed_by))} after it is needed")
    elif needed_by:
        spare = (needed_by - on).days
        said.append(f"In time, {_days(spare)} to spare" if spare else "In time, on the last day")
    if on == soonest:
        said.append("the soonest anywhere")
    else:
        said.append(f"{_days((on - soonest).days)} after the soonest")
    if km is not None:
        said.append(f"{'the nearest site, ' if nearest else ''}{km:.0f} km away" if km >= 1 else "on the doorstep")
    return tuple(said)


def _days(count: int) -> str:
    return f"{count} day{'' if count == 1 else 's'}"

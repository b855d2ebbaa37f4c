"""Says what a failure leaves of a day: who is already injected, who can still be asked, and what there is to work with."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from functools import reduce

from gantry.domain.scheduling.problem import (
    Day,
    Delivery,
    Lock,
    Patient,
    Place,
    Plan,
    PlannedVisit,
    Scanner,
    Uptake,
    Window,
)

NOTICE_MIN = 30
"""A person at home needs this long, and their journey, to come earlier than they were told."""
FOREVER = 10**6


class FailureKind(StrEnum):
    BATCH_LATE = "batch_late"
    BATCH_SHORT = "batch_short"
    BATCH_LOST = "batch_lost"
    """Failed its quality control, was not released, or never came."""
    SCANNER_DOWN = "scanner_down"
    ANAESTHETIST_ABSENT = "anaesthetist_absent"
    PATIENT_LATE = "patient_late"
    HYPERGLYCAEMIA = "hyperglycaemia"
    SNOW = "snow"


@dataclass(frozen=True, slots=True)
class Failure:
    """What happened, to which delivery, scanner, place or patient, and the minute at which it is known."""

    kind: FailureKind
    subject: str
    known_min: int
    from_min: int = 0
    to_min: int | None = None
    """A late batch: its new arrival. A patient: when they come, or may be injected. Else the end; None is not today."""
    mbq: float = 0.0
    """A short batch: what it holds at its reference minute."""
    also: tuple[str, ...] = ()
    """Other deliveries that the same thing hits: a cyclotron feeds several runs."""
    shut: bool = False
    """Snow: the place closes too, once whoever is injected has been scanned; else it is only hard to reach."""

    def hits(self, ref: str) -> bool:
        return ref == self.subject or ref in self.also


class Standing(StrEnum):
    AT_HOME = "at_home"
    TRAVELLING = "travelling"
    HERE = "here"
    INJECTED = "injected"
    SCANNING = "scanning"
    SCANNED = "scanned"


@dataclass(frozen=True, slots=True)
class OtherTracer:
    """A tracer that the indication allows instead, as the protocol gives it."""

    code: str
    activity_mbq: float
    uptake: Uptake
    scan_min: int
    authorised: bool = False


@dataclass(frozen=True, slots=True)
class OtherDay:
    """The best other time found for somebody who cannot be scanned today."""

    said: str
    within_limit: bool
    limit: str = ""
    """The limit that it does not keep, in words; empty: the clock that is known of the patient."""


@dataclass(frozen=True, slots=True)
class Circumstances:
    """What is known of one patient beyond the day's problem."""

    standing: Standing | None = None
    """None: as the plan and the minute say."""
    journey_min: int = 60
    child: bool = False
    anaesthetic: bool = False
    insulin: bool = False
    inpatient: bool = False
    clock: str = ""
    """The pathway's clock in words, for whoever must choose who waits."""
    authorised_places: frozenset[str] | None = None
    """None: wherever the day lets the patient go."""
    elsewhere: Mapping[str, int] = field(default_factory=dict)
    """Other places that could be offered, with the pence of getting there."""
    travel_min: Mapping[str, int] = field(default_factory=dict)
    """Minutes to those places: from home, or from their own site for whoever has set out or come."""
    other_tracers: tuple[OtherTracer, ...] = ()
    other_day: OtherDay | None = None
    fraction: float = 1.0
    """Of what was authorised, as this person is booked already."""
    given_mbq: float | None = None
    """What was recorded as given for this referral so far, net; None: nothing is recorded, the prescription counts."""
    prescribed_mbq: float | None = None
    """What another injection would give; None: as the day has it."""


@dataclass(frozen=True, slots=True)
class LengthenRule:
    """A practitioner's approval to give less and scan for longer; activity × minutes stays."""

    approved_by: str
    tracer: str
    least_fraction: float
    children: bool = False
    ref: str = ""
    """By which whoever is given less under it can be traced to the approval."""
    patients: frozenset[str] | None = None
    """Whom it covers, by their protocol and site; None is everybody who is to have this tracer."""


@dataclass(frozen=True, slots=True)
class TransferRule:
    """The radiation protection adviser's rule for taking an injected person to another scanner."""

    approved_by: str
    minutes: Mapping[tuple[str, str], int]
    """(from place, to place) → the minutes that the journey takes, door to couch."""


@dataclass(frozen=True, slots=True)
class Rules:
    lengthen: tuple[LengthenRule, ...] = ()
    transfer: TransferRule | None = None
    fasting_before_min: int = 0
    """Whoever is told a time fasts at home from this long before they arrive; 0: nobody is known to."""


NOTHING_KNOWN = Circumstances()


@dataclass(frozen=True, slots=True)
class Situation:
    """A day under way, its plan, and what went wrong."""

    day: Day
    plan: Plan
    failure: Failure
    circumstances: Mapping[str, Circumstances] = field(default_factory=dict)
    rules: Rules = Rules()
    cut_offs: Mapping[str, int] = field(default_factory=dict)
    """Delivery → the last minute at which it can be ordered; one that is missing can be until it arrives."""
    others: tuple[Failure, ...] = ()
    """What else has gone wrong with this day and is not over: whatever is done now has to stand under it too."""

    @property
    def failures(self) -> tuple[Failure, ...]:
        return (self.failure, *self.others)

    def about(self, ref: str) -> Circumstances:
        return self.circumstances.get(ref, NOTHING_KNOWN)

    @property
    def known_min(self) -> int:
        return self.failure.known_min


def standing(s: Situation, patient: Patient) -> Standing:
    """Where this person is at the minute of knowing. A scan that the failure broke off is not a scan."""
    visit = s.plan.visit(patient.ref)
    found = s.about(patient.ref).standing or _by_plan(s, patient, visit)
    if found is Standing.SCANNING and visit is not None and broken_off(s, patient, visit):
        return Standing.INJECTED
    return found


def _by_plan(s: Situation, patient: Patient, visit: PlannedVisit | None) -> Standing:
    if visit is None:
        return Standing.AT_HOME
    arrival = visit.injection_min - patient.preparation_min
    begun = (
        (visit.scan_min, Standing.SCANNING),
        (visit.injection_min, Standing.INJECTED),
        (arrival, Standing.HERE),
        (arrival - s.about(patient.ref).journey_min, Standing.TRAVELLING),
    )
    if visit.scan_min + patient.scan_min <= s.known_min and not broken_off(s, patient, visit):
        return Standing.SCANNED
    return next((where for minute, where in begun if minute <= s.known_min), Standing.AT_HOME)


def broken_off(s: Situation, patient: Patient, visit: PlannedVisit) -> bool:
    return any(_broken_off(failure, patient, visit) for failure in s.failures)


def _broken_off(failure: Failure, patient: Patient, visit: PlannedVisit) -> bool:
    down = failure.kind is FailureKind.SCANNER_DOWN and failure.subject == visit.scanner
    until = FOREVER if failure.to_min is None else failure.to_min
    return down and failure.from_min < visit.scan_min + patient.scan_min and visit.scan_min < until


def injected(s: Situation, patient: Patient) -> bool:
    return standing(s, patient) in (Standing.INJECTED, Standing.SCANNING, Standing.SCANNED)


def protected(s: Situation, patient: Patient) -> str:
    """Why this person is moved last of all, or nothing."""
    facts, where = s.about(patient.ref), standing(s, patient)
    if (patient.anaesthetist or facts.anaesthetic) and (facts.child or "paediatric" in patient.needs):
        return "is a child with an anaesthetic list"
    if facts.insulin and (where is not Standing.AT_HOME or fasting_at_home(s, patient)):
        return "takes insulin and is fasting already"
    if facts.inpatient and where is not Standing.AT_HOME:
        return "is an inpatient who is travelling already"
    return ""


def fasting_at_home(s: Situation, patient: Patient) -> bool:
    """Whether the fast has begun by the time that they know of: nobody fasts for a time that they were not told."""
    if not s.rules.fasting_before_min or patient.told is None:
        return False
    return s.known_min >= patient.told.arrival_min - s.rules.fasting_before_min


def without(windows: tuple[Window, ...], start: int, end: int) -> tuple[Window, ...]:
    """What is left of the windows when from `start` to `end` is lost."""
    parts = [
        Window(a, b)
        for window in windows
        for a, b in ((window.start, min(window.end, start)), (max(window.start, end), window.end))
        if a < b
    ]
    return tuple(sorted(parts, key=lambda w: w.start))


def left_of(s: Situation) -> Day:
    """The day as everything that has failed leaves it: what has happened is pinned, what is lost is gone, the rest is free."""
    return replace(
        s.day,
        scanners=tuple(reduce(lambda one, f: _scanner(s, f, one), s.failures, each) for each in s.day.scanners),
        places=tuple(reduce(lambda one, f: _place(s, f, one), s.failures, each) for each in s.day.places),
        deliveries=tuple(reduce(lambda one, f: _delivery(s, f, one), s.failures, each) for each in s.day.deliveries),
        patients=tuple(_patient(s, patient) for patient in s.day.patients),
    )


def _scanner(s: Situation, failure: Failure, scanner: Scanner) -> Scanner:
    until = FOREVER if failure.to_min is None else failure.to_min
    if failure.kind is FailureKind.SNOW and failure.shut and failure.subject == scanner.place:
        return replace(scanner, open=without(scanner.open, _last_scanned(s, failure, scanner), until))
    if failure.kind is not FailureKind.SCANNER_DOWN or failure.subject != scanner.ref:
        return scanner
    return replace(scanner, open=without(scanner.open, max(failure.from_min, s.known_min), until))


def _last_scanned(s: Situation, failure: Failure, scanner: Scanner) -> int:
    """When a place that shuts has scanned whoever is injected: nobody leaves with tracer in them and no scan."""
    owed = [
        max(visit.scan_min, s.known_min) + patient.scan_min + scanner.turnaround_min
        for patient in s.day.patients
        if (visit := s.plan.visit(patient.ref))
        and visit.scanner == scanner.ref
        and standing(s, patient) in (Standing.INJECTED, Standing.SCANNING)
    ]
    return max(failure.from_min, s.known_min, *owed)


def _place(s: Situation, failure: Failure, place: Place) -> Place:
    if failure.kind is not FailureKind.ANAESTHETIST_ABSENT or failure.subject != place.ref:
        return place
    until = FOREVER if failure.to_min is None else failure.to_min
    return replace(place, anaesthetist=without(place.anaesthetist, max(failure.from_min, s.known_min), until))


def _delivery(s: Situation, failure: Failure, delivery: Delivery) -> Delivery:
    if delivery.ordered_mbq is None and s.known_min > s.cut_offs.get(delivery.ref, delivery.arrives_min):
        delivery = replace(delivery, ordered_mbq=s.plan.orders.get(delivery.ref, 0.0))
    if failure.kind is FailureKind.SNOW and failure.subject == delivery.place:
        until = FOREVER if failure.to_min is None else failure.to_min
        if failure.from_min <= delivery.arrives_min < until:
            return _late(delivery, until)
    if not failure.hits(delivery.ref):
        return delivery
    if failure.kind is FailureKind.BATCH_LATE and failure.to_min is not None:
        return _late(delivery, failure.to_min)
    if failure.kind is FailureKind.BATCH_SHORT:
        there = failure.mbq if delivery.ordered_mbq is None else min(failure.mbq, delivery.ordered_mbq)
        return replace(delivery, ordered_mbq=max(there, given_mbq(s, delivery)))
    if failure.kind is FailureKind.BATCH_LOST:
        # What is in people stays in the account; nothing more can be drawn.
        return replace(
            delivery, ordered_mbq=given_mbq(s, delivery), expires_min=min(delivery.expires_min, s.known_min + 1)
        )  # fmt: skip
    return delivery


def _late(delivery: Delivery, arrives: int) -> Delivery:
    """It comes at the new minute, or too late to be of use."""
    return replace(delivery, arrives_min=arrives, expires_min=max(delivery.expires_min, arrives))


def given_mbq(s: Situation, delivery: Delivery) -> float:
    """What has gone from it into people, at its reference minute."""
    return sum(
        s.day.drawn_mbq(patient, visit.injection_min, delivery)
        for patient in s.day.patients
        if (visit := s.plan.visit(patient.ref)) and visit.delivery == delivery.ref and injected(s, patient)
    )


def _patient(s: Situation, patient: Patient) -> Patient:
    visit, where, grid = s.plan.visit(patient.ref), standing(s, patient), s.day.grid_min
    if visit is None:
        return replace(patient, earliest_min=max(patient.earliest_min, _soonest(s, patient)))
    place = s.day.scanner(visit.scanner).place
    if where in (Standing.SCANNING, Standing.SCANNED):
        pinned = Uptake(visit.uptake_min, visit.uptake_min, visit.uptake_min)
        lock = Lock(place, visit.scanner, visit.injection_min, visit.delivery)
        return replace(patient, uptake=pinned, lock=lock, latest_min=None, earliest_min=0)
    if where is Standing.INJECTED:
        gone = -(-(s.known_min - visit.injection_min) // grid) * grid
        least = max(patient.uptake.least_min, gone)
        most = max(patient.uptake.most_min, least)
        if least > patient.uptake.most_min:
            # The window has passed: no scan can start inside it, which the lock on a moment gone by says.
            return replace(patient, lock=Lock(place, injection_min=-FOREVER))
        uptake = Uptake(least, max(least, patient.uptake.target_min), most)
        lock = Lock(place, None, visit.injection_min, visit.delivery)
        return replace(patient, uptake=uptake, lock=lock, latest_min=None, earliest_min=0)
    if where is Standing.HERE:
        freed = replace(
            patient, earliest_min=max(patient.earliest_min, s.known_min - patient.preparation_min), latest_min=None
        )
    else:
        told = patient.told.arrival_min if patient.told else visit.injection_min - patient.preparation_min
        if where is Standing.TRAVELLING:
            soonest = told
        else:
            soonest = min(told, _soonest(s, patient)) if told >= s.known_min else _soonest(s, patient)
        freed = replace(patient, earliest_min=max(patient.earliest_min, soonest, s.known_min - patient.preparation_min))
    return reduce(lambda one, failure: _own_trouble(s, failure, one, place), s.failures, freed)


def _soonest(s: Situation, patient: Patient) -> int:
    return s.known_min + NOTICE_MIN + s.about(patient.ref).journey_min


def soonest_at(s: Situation, patient: Patient, place: str) -> int:
    """The first minute at which they can be at another place. Whoever is on the way comes to their own site first."""
    travel = s.about(patient.ref).travel_min.get(place, s.about(patient.ref).journey_min)
    soonest = s.known_min + NOTICE_MIN
    if standing(s, patient) is Standing.TRAVELLING:
        visit = s.plan.visit(patient.ref)
        planned = visit.injection_min - patient.preparation_min if visit else soonest
        soonest = max(soonest, patient.told.arrival_min if patient.told else planned)
    return soonest + travel


def _own_trouble(s: Situation, failure: Failure, patient: Patient, place: str) -> Patient:
    """What a failure does to this person who has not been injected."""
    until = FOREVER if failure.to_min is None else failure.to_min
    if failure.subject == patient.ref and failure.kind is FailureKind.PATIENT_LATE:
        return replace(patient, earliest_min=max(patient.earliest_min, until), latest_min=None)
    if failure.subject == patient.ref and failure.kind is FailureKind.HYPERGLYCAEMIA:
        not_before = until - patient.preparation_min
        return replace(patient, earliest_min=max(patient.earliest_min, not_before), latest_min=None)
    snowed = failure.kind is FailureKind.SNOW and failure.subject == place
    if snowed and standing(s, patient) is not Standing.HERE and patient.earliest_min < until:
        arrival = (s.plan.visit(patient.ref) or PlannedVisit("", "", "", 0, 0)).injection_min - patient.preparation_min
        if arrival >= failure.from_min:
            return replace(patient, earliest_min=until, latest_min=None)
    return patient

"""A day of scans and a plan of it: what is to be done, with what, and what each way of doing it would cost.

Time is in whole minutes from the day's origin, an aware instant; the files that people exchange hold instants.
A place is a site on one local day, so a week over four sites is one problem with twenty places.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from math import exp2
from zoneinfo import ZoneInfo


@dataclass(frozen=True, slots=True)
class Window:
    """Minutes from `start` up to but not including `end`."""

    start: int
    end: int

    def __post_init__(self) -> None:
        if self.end < self.start:
            raise ValueError(f"a window cannot end ({self.end}) before it starts ({self.start})")

    def holds(self, start: int, end: int) -> bool:
        return self.start <= start and end <= self.end


@dataclass(frozen=True, slots=True)
class Tracer:
    code: str
    half_life_min: float


@dataclass(frozen=True, slots=True)
class Uptake:
    """Minutes between injection and scan: the least and the most that are evaluable, and what is aimed at."""

    least_min: int
    target_min: int
    most_min: int

    def __post_init__(self) -> None:
        if not 0 <= self.least_min <= self.target_min <= self.most_min:
            raise ValueError("an uptake needs least ≤ target ≤ most")


@dataclass(frozen=True, slots=True)
class Told:
    """A place and an arrival that the patient was told: another one is a move."""

    place: str
    arrival_min: int
    moves_before: int = 0


@dataclass(frozen=True, slots=True)
class Lock:
    """A person's own decision: a constraint. What is None is left open."""

    place: str | None = None
    scanner: str | None = None
    injection_min: int | None = None
    delivery: str | None = None


@dataclass(frozen=True, slots=True)
class Patient:
    ref: str
    tracer: str
    activity_mbq: float
    """Prescribed, at injection."""
    uptake: Uptake
    scan_min: int
    preparation_min: int = 30
    """From arrival to injection: identity, questions, weight, cannula."""
    recovery_min: int = 10
    earliest_min: int = 0
    """Not to arrive before."""
    latest_min: int | None = None
    """Not to arrive after (transport, fasting, school)."""
    limit_min: int | None = None
    """The clinical limit: a scan that starts later does not count as in time. Whose limit has passed already has none
    here; their weight says how late they are."""
    weight: int = 1
    """How much being scanned in time counts: priority and how near the pathway's breach is."""
    needs: frozenset[str] = frozenset()
    """Capabilities of the scanner or place: paediatric, contrast, rt_couch, isolation, hoist."""
    anaesthetist: bool = False
    play_specialist: bool = False
    prefers: Window | None = None
    """When the scan should start for the patient's diabetes or journey; outside it counts as waiting."""
    away_pence: Mapping[str, int] = field(default_factory=dict)
    """Places allowed, with what a journey there costs; empty means every place at no cost."""
    reach_min: Mapping[str, int] = field(default_factory=dict)
    """The first minute at which they can be at a place, where the journey there allows no earlier one."""
    told: Told | None = None
    lock: Lock | None = None

    def __post_init__(self) -> None:
        if self.activity_mbq <= 0 or self.scan_min <= 0 or self.weight <= 0:
            raise ValueError(f"{self.ref}: activity, scan minutes and weight must be above 0")


@dataclass(frozen=True, slots=True)
class Place:
    """A site on one day: rooms and people that any of its scanners' patients use."""

    ref: str
    opens: Window
    uptake_rooms: int
    injectors: int = 1
    hot_toilets: int = 1
    capabilities: frozenset[str] = frozenset()
    anaesthetist: tuple[Window, ...] = ()
    play_specialist: tuple[Window, ...] = ()
    anaesthetists: int = 1
    """How many may be at work at once."""
    play_specialists: int = 1
    overtime_from_min: int | None = None
    """Minutes worked on a scanner after this are overtime."""


@dataclass(frozen=True, slots=True)
class Scanner:
    ref: str
    place: str
    open: tuple[Window, ...]
    """Hours less quality control and downtime."""
    capabilities: frozenset[str] = frozenset()
    turnaround_min: int = 0
    """Cleaning after each scan."""


@dataclass(frozen=True, slots=True)
class Delivery:
    """Activity of one tracer that a place can draw on: ordered already, or still to be ordered up to `most_mbq`."""

    ref: str
    place: str
    tracer: str
    arrives_min: int
    """Released and accepted: the first minute at which a dose can be injected."""
    expires_min: int
    reference_min: int
    """The minute at which its activity is counted."""
    ordered_mbq: float | None = None
    """What is on the way; None while it can still be chosen."""
    least_mbq: float = 0.0
    """The smallest order that the supplier takes, if any is ordered."""
    most_mbq: float | None = None
    """The largest; None is uncapped."""
    price_pence: int = 0
    """For the run, if it is used at all."""
    price_pence_per_gbq: int = 0

    def __post_init__(self) -> None:
        if min(self.least_mbq, self.price_pence, self.price_pence_per_gbq, self.ordered_mbq or 0) < 0:
            raise ValueError(f"{self.ref}: activity and prices are never below 0")
        if self.most_mbq is not None and self.most_mbq < self.least_mbq:
            raise ValueError(f"{self.ref}: the largest order is below the smallest")


@dataclass(frozen=True, slots=True)
class Steps:
    """Minutes of a visit that hold a resource, counted from injection or scan. Dated reference data fill these."""

    room_before_min: int = 20
    """The uptake room is held from this long before injection."""
    void_min: int = 5
    """The hot toilet is held this long before the scan."""
    inject_min: int = 5
    anaesthesia_after_min: int = 10
    room_until_min: int | None = None
    """The uptake room is left this long before the scan; None is when the toilet is gone to."""

    @property
    def leaves_min(self) -> int:
        return self.void_min if self.room_until_min is None else self.room_until_min


@dataclass(frozen=True, slots=True)
class Day:
    origin: datetime
    zone: str
    tracers: tuple[Tracer, ...]
    places: tuple[Place, ...]
    scanners: tuple[Scanner, ...]
    deliveries: tuple[Delivery, ...]
    patients: tuple[Patient, ...]
    steps: Steps = Steps()
    grid_min: int = 5
    loss_percent: float = 0.0
    """Left in vial, line and syringe: drawn over and above what is injected."""
    waste_pence_per_gbq: int = 0
    """For activity of an order already placed that nobody gets."""

    def __post_init__(self) -> None:
        if self.origin.tzinfo is None:
            raise ValueError("a day needs a timezone-aware origin")
        for kind, refs in {
            "patient": [p.ref for p in self.patients],
            "scanner": [s.ref for s in self.scanners],
            "delivery": [d.ref for d in self.deliveries],
            "place": [p.ref for p in self.places],
            "tracer": [t.code for t in self.tracers],
        }.items():
            if twice := {ref for ref in refs if refs.count(ref) > 1}:
                raise ValueError(f"two {kind}s are called {', '.join(sorted(twice))}")

    def at(self, minute: int) -> datetime:
        return (self.origin.astimezone(UTC) + timedelta(minutes=minute)).astimezone(self.origin.tzinfo)

    def clock(self, minute: int) -> str:
        """Local wall-clock time, with its date where it is not the origin's."""
        local, origin = self.at(minute).astimezone(ZoneInfo(self.zone)), self.origin.astimezone(ZoneInfo(self.zone))
        return f"{local:%H:%M}" if local.date() == origin.date() else f"{local:%d %b %H:%M}"

    def minute(self, when: datetime) -> int:
        """Whole minutes from the origin; aware instants subtract rightly over a change of clocks only in UTC."""
        return round((when.timestamp() - self.origin.timestamp()) / 60)

    def tracer(self, code: str) -> Tracer:
        return next(t for t in self.tracers if t.code == code)

    def place(self, ref: str) -> Place:
        return next(p for p in self.places if p.ref == ref)

    def scanner(self, ref: str) -> Scanner:
        return next(s for s in self.scanners if s.ref == ref)

    def delivery(self, ref: str) -> Delivery:
        return next(d for d in self.deliveries if d.ref == ref)

    def patient(self, ref: str) -> Patient:
        return next(p for p in self.patients if p.ref == ref)

    def drawn_mbq(self, patient: Patient, injection_min: int, delivery: Delivery) -> float:
        """Activity at the delivery's reference minute that this injection uses up. Exact, and fixed for a column."""
        half_life = self.tracer(patient.tracer).half_life_min
        decay = exp2((injection_min - delivery.reference_min) / half_life)
        return patient.activity_mbq * decay * (1 + self.loss_percent / 100)


@dataclass(frozen=True, slots=True)
class PlannedVisit:
    patient: str
    scanner: str
    delivery: str
    injection_min: int
    uptake_min: int

    @property
    def scan_min(self) -> int:
        """The minute at which the scan starts."""
        return self.injection_min + self.uptake_min


@dataclass(frozen=True, slots=True)
class Plan:
    """Who is scanned when, where, from which delivery; what to order; and why somebody is not in it."""

    visits: tuple[PlannedVisit, ...]
    orders: Mapping[str, float] = field(default_factory=dict)
    """Delivery → MBq at its reference minute, for deliveries still to be ordered."""
    left_out: Mapping[str, str] = field(default_factory=dict)

    def visit(self, patient: str) -> PlannedVisit | None:
        return next((v for v in self.visits if v.patient == patient), None)


@dataclass(frozen=True, slots=True, order=True)
class Score:
    """What a plan costs, the gravest first: compared in this order, and less is better."""

    unscanned_weight: int
    moved: int
    activity_pence: float
    overtime_min: int
    waiting_min: int
    staff_dose: float
    """MBq-minutes within reach: a comparison of plans, not a dose."""


@dataclass(frozen=True, slots=True)
class Hold:
    """One unit of a resource for an interval of minutes. The checker counts these; the solver packs them."""

    resource: str
    start: int
    end: int


def holds(day: Day, patient: Patient, visit: PlannedVisit) -> Iterator[Hold]:
    """Everything one visit takes: scanner, room, injector, toilet and, where needed, people."""
    steps, scan = day.steps, visit.scan_min
    scanner = day.scanner(visit.scanner)
    yield Hold(f"scanner:{scanner.ref}", scan, scan + patient.scan_min + scanner.turnaround_min)
    room_from = max(visit.injection_min - steps.room_before_min, visit.injection_min - patient.preparation_min)
    yield Hold(f"room:{scanner.place}", room_from, max(scan - steps.leaves_min, visit.injection_min))
    yield Hold(f"injector:{scanner.place}", visit.injection_min, visit.injection_min + steps.inject_min)
    if visit.uptake_min >= steps.void_min + steps.inject_min:
        yield Hold(f"toilet:{scanner.place}", scan - steps.void_min, scan)
    if patient.anaesthetist:
        yield Hold(f"anaesthetist:{scanner.place}", scan, scan + patient.scan_min + steps.anaesthesia_after_min)
    if patient.play_specialist:
        yield Hold(f"play:{scanner.place}", visit.injection_min - patient.preparation_min, scan)


def locked_in_words(day: Day, patient: Patient) -> str:
    """A person's decision as they would say it; empty for a patient without a lock."""
    lock = patient.lock
    if lock is None:
        return ""
    said = [f"at {lock.place}"] if lock.place is not None else []
    said += [f"on {lock.scanner}"] if lock.scanner is not None else []
    if lock.injection_min is not None:
        said.append(f"to injection at {day.clock(lock.injection_min)}")
    said += [f"to {lock.delivery}"] if lock.delivery is not None else []
    return f"{patient.ref} is locked {', '.join(said)}" if said else f"{patient.ref} is locked into the day"


def capacities(day: Day) -> dict[str, int]:
    """How many holds of each resource may stand at one minute."""
    found = {f"scanner:{s.ref}": 1 for s in day.scanners}
    for place in day.places:
        found[f"room:{place.ref}"] = place.uptake_rooms
        found[f"injector:{place.ref}"] = place.injectors
        found[f"toilet:{place.ref}"] = place.hot_toilets
        found[f"anaesthetist:{place.ref}"] = place.anaesthetists
        found[f"play:{place.ref}"] = place.play_specialists
    return found


def why_not_visit(day: Day, patient: Patient, visit: PlannedVisit) -> Iterator[str]:
    """Why this visit alone is not allowed, whoever else is planned. Empty means it is."""
    scanner, delivery = day.scanner(visit.scanner), day.delivery(visit.delivery)
    place = day.place(scanner.place)
    arrival, scan = visit.injection_min - patient.preparation_min, visit.scan_min
    if delivery.place != place.ref:
        yield f"{delivery.ref} goes to {delivery.place}, not {place.ref}"
    if delivery.tracer != patient.tracer:
        yield f"{delivery.ref} is {delivery.tracer}; {patient.ref} is to have {patient.tracer}"
    if not delivery.arrives_min <= visit.injection_min < delivery.expires_min:
        yield f"{delivery.ref} cannot be injected at minute {visit.injection_min}"
    if visit.injection_min % day.grid_min or visit.uptake_min % day.grid_min:
        yield f"{patient.ref} is off the {day.grid_min}-minute grid"
    if not patient.uptake.least_min <= visit.uptake_min <= patient.uptake.most_min:
        yield f"{patient.ref}: an uptake of {visit.uptake_min} minutes is outside the protocol's"
    if not any(window.holds(scan, scan + patient.scan_min) for window in scanner.open):
        yield f"{scanner.ref} is not open for the scan of {patient.ref}"
    if arrival < max(patient.earliest_min, place.opens.start, patient.reach_min.get(place.ref, 0)):
        yield f"{patient.ref} cannot come so early"
    if patient.latest_min is not None and arrival > patient.latest_min:
        yield f"{patient.ref} cannot come so late"
    if scan + patient.scan_min + patient.recovery_min > place.opens.end:
        yield f"{patient.ref} would leave after {place.ref} closes"
    if lacking := patient.needs - scanner.capabilities - place.capabilities:
        yield f"{patient.ref} needs {', '.join(sorted(lacking))}"
    if patient.away_pence and place.ref not in patient.away_pence:
        yield f"{patient.ref} cannot go to {place.ref}"
    ready = scan + patient.scan_min + day.steps.anaesthesia_after_min
    if patient.anaesthetist and not any(w.holds(scan, ready) for w in place.anaesthetist):
        yield f"No anaesthetist is there for {patient.ref}"
    if patient.play_specialist and not any(w.holds(arrival, scan) for w in place.play_specialist):
        yield f"No play specialist is there for {patient.ref}"
    if lock := patient.lock:
        wanted = (lock.place, lock.scanner, lock.injection_min, lock.delivery)
        planned = (place.ref, scanner.ref, visit.injection_min, delivery.ref)
        if any(w is not None and w != p for w, p in zip(wanted, planned, strict=True)):
            yield f"{patient.ref} is locked elsewhere"


def in_time(patient: Patient, visit: PlannedVisit) -> bool:
    return patient.limit_min is None or visit.scan_min <= patient.limit_min


def moved(day: Day, patient: Patient, visit: PlannedVisit) -> bool:
    """Whether a patient who was told a time would have to be told another."""
    if patient.told is None:
        return False
    arrival = visit.injection_min - patient.preparation_min
    return patient.told.arrival_min != arrival or patient.told.place != day.scanner(visit.scanner).place


def why_left_out(day: Day, patient: Patient) -> str:
    """Why no visit is planned: nothing is possible for this patient alone, or others who count for more take its place."""
    visits = list(choices(day, patient))
    if not visits:
        return nothing_possible(day, patient)
    if not any(in_time(patient, visit) for visit in visits):
        return "Every time that is possible is after the clinical limit"
    first, last = min(v.injection_min for v in visits), max(v.injection_min for v in visits)
    return (
        f"Every time that is possible, injections from {day.clock(first)} to {day.clock(last)}, "
        "would displace patients who together count for at least as much, or draw activity that is not there"
    )


def nothing_possible(day: Day, patient: Patient) -> str:
    """The first thing that stands in the way of each visit."""
    able = [s for s in day.scanners if not patient.needs - s.capabilities - day.place(s.place).capabilities]
    if not able:
        return f"No scanner offers {', '.join(sorted(patient.needs))}" if patient.needs else "There is no scanner"
    reach = [s for s in able if not patient.away_pence or s.place in patient.away_pence]
    if not reach:
        return "No scanner that suits is at a place the patient can go to"
    if not any(d.tracer == patient.tracer and d.place in {s.place for s in reach} for d in day.deliveries):
        return f"No delivery of {patient.tracer} goes where the patient can be scanned"
    if patient.lock is not None and any(choices(day, replace(patient, lock=None))):
        return f"{locked_in_words(day, patient)}, which the day does not allow"
    if patient.anaesthetist and any(choices(day, replace(patient, anaesthetist=False, lock=None))):
        return "No anaesthetic session holds the scan"
    if patient.play_specialist and any(choices(day, replace(patient, play_specialist=False, lock=None))):
        return "No play specialist's session holds the visit"
    return "No injection fits the patient's hours, the delivery and the scanner's hours together"


def choices(day: Day, patient: Patient) -> Iterator[PlannedVisit]:
    """Every visit that is allowed for this patient alone: the columns that a solver packs."""
    grid, steps = day.grid_min, range(patient.uptake.least_min, patient.uptake.most_min + 1)
    uptakes = [u for u in steps if u % grid == 0]
    for scanner in day.scanners:
        for delivery in day.deliveries:
            if delivery.place != scanner.place or delivery.tracer != patient.tracer:
                continue
            first = -(-delivery.arrives_min // grid) * grid
            for injection in range(first, delivery.expires_min, grid):
                for uptake in uptakes:
                    visit = PlannedVisit(patient.ref, scanner.ref, delivery.ref, injection, uptake)
                    if next(why_not_visit(day, patient, visit), None) is None:
                        yield visit

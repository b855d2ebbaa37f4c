"""Builds a site's day from rows: who is booked, what is here and coming, which scanners are fit, who is injected."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime, time, timedelta
from math import asin, cos, gcd, radians, sin, sqrt
from uuid import UUID
from zoneinfo import ZoneInfo

from gantry.apps.audit.models import Event
from gantry.apps.booking.calendar import FAULT_SHUTS_FOR
from gantry.apps.booking.models import Appointment, Reservation
from gantry.apps.booking.services import offers_for, one_each, prescribed_for, shape_for
from gantry.apps.booking.services.need import nuclide_for
from gantry.apps.booking.services.offering import Offer
from gantry.apps.booking.services.places import why_not
from gantry.apps.estate.models import (
    ActivityAllotment,
    Closure,
    Deployment,
    Fault,
    Scanner,
    Session,
    Site,
)
from gantry.apps.referrals.services.given import given_to
from gantry.apps.scheduling.models import Lock as LockRow
from gantry.apps.scheduling.models import StatedTimes, Trouble
from gantry.apps.scheduling.services.happened import Brought, brought, facts_of, injections
from gantry.apps.scheduling.services.reckoning import (
    ALL_DAY,
    Minutes,
    Terms,
    fittings,
    needs_of,
    place_of,
    stated_of,
    steps_of,
    suits,
    terms_of,
    under_anaesthetic,
    with_play_specialist,
)
from gantry.apps.scheduling.services.refusals import said_in_words
from gantry.domain.appointment import ADULT_AGE, CLEANING, AppointmentState, Planned, planned
from gantry.domain.events import EventKind, Initiator
from gantry.domain.scheduling import check
from gantry.domain.scheduling.as_booked import as_booked
from gantry.domain.scheduling.failures import Circumstances, FailureKind, OtherDay, Standing, without
from gantry.domain.scheduling.happened import Facts, as_it_happened
from gantry.domain.scheduling.problem import (
    Day,
    Delivery,
    Lock,
    Patient,
    Plan,
    PlannedVisit,
    Told,
    Tracer,
    Uptake,
    Window,
)
from gantry.domain.scheduling.problem import Scanner as DayScanner
from gantry.domain.scheduling.weights import Weights, weight_of
from gantry.reference.day_plans import weights_on
from gantry.reference.protocols import product_of
from gantry.reference.recovering import (
    GETTING_READY_MIN,
    JOURNEY_MIN_PER_KM,
    TRANSPORT_PENCE_PER_KM,
)

GRID_MIN = 5
SHOWN = (AppointmentState.BOOKED, AppointmentState.TOLD, AppointmentState.ARRIVED, AppointmentState.FULFILLED)
OTHER_SITES = 2
UNDONE = "recovery undone"
"""The note of a cause by which everybody went back to where they were."""


@dataclass(frozen=True, slots=True)
class Odd:
    """An appointment whose row contradicts itself: it is in no plan until somebody has put it right."""

    row: Appointment
    words: str


@dataclass(frozen=True, slots=True)
class Built:
    """A day and its plan as booked, with the rows that they came from. Refs are ids as text."""

    site: Site
    on: date
    day: Day
    plan: Plan
    appointments: Mapping[str, Appointment]
    scanners: Mapping[str, Scanner]
    allotments: Mapping[str, ActivityAllotment]
    sites: Mapping[str, Site]
    locks: Mapping[str, LockRow]
    circumstances: Mapping[str, Circumstances]
    strict: Day
    """As the rows say it. `day` is wider where what is booked is not kept by them, so that everybody keeps their place."""
    injected_at: Mapping[str, datetime] = field(default_factory=dict)
    odd: tuple[Odd, ...] = ()

    def at(self, minute: int) -> datetime:
        return self.day.at(minute)

    @property
    def strained(self) -> list[str]:
        """What the day as it is booked breaks already, by the rows."""
        return check.faults(self.strict, self.plan)

    @property
    def without_tracer(self) -> list[str]:
        """Runs that do not hold what is drawn from them, and injections outside a run's hours."""
        return check.without_tracer(self.strict, self.plan)


def build(site: Site, on: date, *, now: datetime, wide: bool = False, happened: bool = True) -> Built:
    """As it stands now. `wide` adds what recovery asks: other sites with something free, and each person's journey.

    Not `happened`: as it had been planned. Raises CannotBuild where rows contradict one another.
    """
    with said_in_words(site, on):
        return _build(site, on, now=now, wide=wide, happened=happened)


def _build(site: Site, on: date, *, now: datetime, wide: bool, happened: bool) -> Built:
    zone = ZoneInfo(site.zone)
    origin = datetime.combine(on, time(), zone).astimezone(ZoneInfo("UTC"))
    end = origin + timedelta(days=1)
    found = list(
        Appointment.objects.filter(
            site=site, scan_at__gte=origin, scan_at__lt=end, state__in=[s.value for s in SHOWN]
        )
        .select_related(
            "site", "scanner", "procedure__referral__patient", "referral__patient", "authorisation__procedure__referral"
        )
        .order_by("scan_at", "pk")
    )  # fmt: skip
    minute = Minutes(origin, site.zone)
    injected = injections(found) if happened else {}
    odd = tuple(Odd(row, words) for row in found if (words := odd_in(row, zone, hot=row.pk in injected)))
    rows = [row for row in found if row.pk not in {each.row.pk for each in odd}]
    others = _other_sites(site, rows) if wide else []
    sites = [site, *others]
    locks = {str(row.appointment_id): row for row in LockRow.objects.filter(appointment__in=rows, lifted_at=None)}
    moves = _moves_before(rows)
    allotments = _allotments(sites, rows, origin, end)
    terms = terms_of(allotments.values())
    come = brought([a.supply_run for a in allotments.values() if a.supply_run]) if happened else {}
    facts_by = facts_of(rows, injected, minute) if happened else {}
    scanners, facts = _scanners(site, others, rows, minute, now)
    by_id = {s.pk: s for s in sites}
    fitted = fittings([s.pk for s in scanners.values()], {s.pk: by_id[facts[str(s.pk)][0]] for s in scanners.values()})
    stated, weights = stated_of(rows), weights_on(on).value
    kilos = {row.referral.weight_kg or 0 for row in rows}
    heavy = {kg for kg in kilos if any(kg > s.max_weight_kg for s in scanners.values())}
    patients = [
        _patient(
            row, minute, locks.get(str(row.pk)), moves.get(row.procedure_id, 0), heavy,
            stated.get(row.referral_id), weights,
        )
        for row in rows
    ]  # fmt: skip
    day = Day(
        origin=origin,
        zone=site.zone,
        tracers=_tracers(rows),
        places=tuple(place_of(s, site, minute, end) for s in sites),
        scanners=tuple(
            DayScanner(
                ref,
                str(facts[ref][0]),
                facts[ref][1],
                fitted[scanner.pk] | {_takes(kg) for kg in heavy if scanner.max_weight_kg >= kg},
                int(CLEANING.total_seconds() // 60),
            )
            for ref, scanner in scanners.items()
        ),
        deliveries=tuple(_delivery(a, site, rows, minute, terms, come.get(a.supply_run)) for a in allotments.values()),
        patients=tuple(patients),
        steps=steps_of(rows),
        grid_min=_grid(rows, minute),
    )
    plan = Plan(tuple(_visit(row, minute) for row in rows))
    day, plan = as_it_happened(day, plan, facts_by, now_min=minute(now))
    by_ref = {str(row.pk): row for row in rows}
    mine = [a for a in allotments.values() if a.site_id == site.pk and a.supply_run in come]
    real = said_short(site, on) if happened else {}
    real |= {str(a.pk): 0.0 for a in allotments.values() if happened and a.usable_to < a.usable_from}
    real |= {str(a.pk): come[a.supply_run].mbq for a in mine if a.supply_run}
    day = replace(day, deliveries=tuple(_held(day, d, plan, by_ref, facts_by, real.get(d.ref)) for d in day.deliveries))
    return Built(
        site,
        on,
        as_booked(day, plan),
        plan,
        by_ref,
        scanners,
        allotments,
        {str(s.pk): s for s in sites},
        locks,
        _circumstances(rows, injected, others, now) if wide else {},
        day,
        {str(key): at for key, at in injected.items()},
        odd,
    )


def said_short(site: Site, on: date) -> dict[str, float]:
    """By run, what somebody said that it will hold; what is measured when it comes counts more."""
    told = Trouble.objects.filter(site=site, on=on, kind=FailureKind.BATCH_SHORT.value).order_by("said_at")
    return {ref: trouble.mbq or 0.0 for trouble in told for ref in trouble.subjects}


def odd_in(row: Appointment, zone: ZoneInfo, *, hot: bool) -> str:
    """What of a row cannot be, in words; empty where it can be planned. Of whoever is injected only the scan is still planned."""

    def clock(moment: datetime) -> str:
        return f"{moment.astimezone(zone):%H:%M}"

    if row.ends_at <= row.scan_at:
        return f"the scan of {clock(row.scan_at)} ends at {clock(row.ends_at)}, not after it begins"
    if hot or row.state == AppointmentState.FULFILLED:
        return ""
    if row.scan_at < row.injection_at:
        return f"the scan, {clock(row.scan_at)}, is before the injection, {clock(row.injection_at)}"
    if row.injection_at < row.arrival_at:
        return f"the injection, {clock(row.injection_at)}, is before the arrival, {clock(row.arrival_at)}"
    return ""


def _grid(rows: Sequence[Appointment], minute: Minutes) -> int:
    grid = GRID_MIN
    for row in rows:
        for moment in (row.arrival_at, row.injection_at, row.scan_at):
            grid = gcd(grid, minute(moment))
    return grid or GRID_MIN


def _moves_before(rows: Sequence[Appointment]) -> dict[UUID, int]:
    """Moves that the patient did not ask for. One that was undone is none, and neither is its undoing."""
    ids = {row.procedure_id for row in rows}
    found: dict[UUID, int] = {}
    moved = Event.objects.filter(kind=EventKind.APPOINTMENT_MOVED, subjects__overlap=list(ids))
    changed = {UUID(about["appointment"]): about for about in moved.values_list("about", flat=True)}
    kept = _kept_their_time(changed)
    for about, initiator, note in moved.values_list("about", "cause_initiator", "cause_note"):
        key = UUID(about["procedure"])
        if key in ids and initiator != Initiator.PATIENT and UUID(about["appointment"]) not in kept:
            found[key] = found.get(key, 0) + (-1 if note == UNDONE else 1)
    return {key: max(0, count) for key, count in found.items()}


def _kept_their_time(changed: Mapping[UUID, Mapping[str, str]]) -> set[UUID]:
    """Whose arrival and site stayed: another scanner or run is nothing that the patient could notice."""
    now_by = {UUID(about["replaced_by"]): row for row, about in changed.items() if "replaced_by" in about}
    rows = Appointment.objects.filter(pk__in=[*changed, *now_by])
    times = {key: (at, site) for key, at, site in rows.values_list("pk", "arrival_at", "site")}
    return {was for now, was in now_by.items() if now in times and times[now] == times.get(was)}


def _takes(kg: float) -> str:
    return f"a table for {kg:g} kg"


def _patient(
    row: Appointment,
    minute: Minutes,
    lock: LockRow | None,
    moves: int,
    heavy: set[float],
    stated: StatedTimes | None,
    weights: Weights,
) -> Patient:
    shape, referral = shape_for(row.procedure), row.referral
    uptake = max(0, minute(row.scan_at) - minute(row.injection_at))
    prepared = minute(row.injection_at) - minute(row.arrival_at)
    needs = needs_of(row)
    if referral.weight_kg in heavy and referral.weight_kg <= row.scanner.max_weight_kg:
        needs.add(_takes(referral.weight_kg))
    locked = None
    if lock is not None and row.state != AppointmentState.FULFILLED:
        locked = Lock(str(row.site_id), str(row.scanner_id), minute(row.injection_at), None)
    told = row.state in (AppointmentState.TOLD, AppointmentState.ARRIVED)
    return Patient(
        ref=str(row.pk),
        tracer=product_of(row.procedure.tracer),
        activity_mbq=prescribed_for(row),
        # Booking keeps the protocol's own uptake; only somebody injected has the whole window.
        uptake=Uptake(uptake, uptake, uptake),
        scan_min=minute(row.ends_at) - minute(row.scan_at),
        preparation_min=prepared if prepared > 0 else shape.preparation_min,
        recovery_min=shape.recovery_min,
        earliest_min=minute.local(stated.arrive_from) if stated and stated.arrive_from else ALL_DAY.start,
        latest_min=minute.local(stated.arrive_by) if stated and stated.arrive_by else None,
        limit_min=_limit_min(row, minute),
        weight=weight_of(weights, priority=referral.priority, days_left=_days_left(row, minute)),
        needs=frozenset(needs),
        anaesthetist=under_anaesthetic(row),
        play_specialist=with_play_specialist(row),
        prefers=suits(row, stated, minute),
        told=Told(str(row.site_id), minute(row.arrival_at), moves) if told else None,
        lock=locked,
    )


def _limit_min(row: Appointment, minute: Minutes) -> int | None:
    """The day's last minute when the pathway's clock ends on it; a clock that ended before has none left to keep."""
    if row.referral.breach_on != minute.on:
        return None
    return minute(datetime.combine(minute.on + timedelta(days=1), time(), minute.zone)) - 1


def _days_left(row: Appointment, minute: Minutes) -> int | None:
    return (row.referral.breach_on - minute.on).days if row.referral.breach_on else None


def _visit(row: Appointment, minute: Minutes) -> PlannedVisit:
    scan, injection = minute(row.scan_at), minute(row.injection_at)
    return PlannedVisit(str(row.pk), str(row.scanner_id), str(row.allotment_id), injection, max(0, scan - injection))


def _tracers(rows: Sequence[Appointment]) -> tuple[Tracer, ...]:
    found = {product_of(r.procedure.tracer): nuclide_for(r.procedure).half_life for r in rows}
    return tuple(Tracer(code, half_life.total_seconds() / 60) for code, half_life in sorted(found.items()))


def _allotments(
    sites: Sequence[Site], rows: Sequence[Appointment], origin: datetime, end: datetime
) -> dict[str, ActivityAllotment]:
    products = {product_of(row.procedure.tracer) for row in rows}
    that_day = ActivityAllotment.objects.filter(
        site__in=sites, tracer__in=products, usable_from__gte=origin - timedelta(hours=12), usable_from__lt=end
    )
    used = ActivityAllotment.objects.filter(pk__in={row.allotment_id for row in rows})
    return {str(row.pk): row for row in (that_day | used).distinct().order_by("usable_from", "pk")}


def _delivery(
    row: ActivityAllotment,
    home: Site,
    rows: Sequence[Appointment],
    minute: Minutes,
    terms: Mapping[UUID, Terms],
    come: Brought | None,
) -> Delivery:
    """As promised, or as it was measured where it has come: what is lost, short or late carries nobody who is still to come."""
    ours = row.site_id == home.pk
    promised = sum(a.activity_mbq for a in rows if a.allotment_id == row.pk)
    bought = terms.get(row.supply_run, Terms()) if row.supply_run else Terms()
    ends = minute(row.usable_to) + 1
    if come is not None and come.until is not None:
        ends = min(ends, minute(come.until) + 1)
    return Delivery(
        ref=str(row.pk),
        place=str(row.site_id),
        tracer=row.tracer,
        arrives_min=minute(row.usable_from),
        expires_min=ends,
        reference_min=minute(row.reference_at),
        ordered_mbq=promised + row.free_mbq if ours else row.free_mbq,
        least_mbq=min(bought.least_mbq, row.total_mbq),
        most_mbq=row.total_mbq,
        price_pence=bought.price_pence,
        price_pence_per_gbq=bought.price_pence_per_gbq,
    )


def _held(
    day: Day,
    delivery: Delivery,
    plan: Plan,
    rows: Mapping[str, Appointment],
    facts: Mapping[str, Facts],
    real_mbq: float | None,
) -> Delivery:
    """What left this delivery in people left it when it did, also when that was more than was promised or is there."""
    hot = [v for v in plan.visits if v.delivery == delivery.ref and v.patient in facts and facts[v.patient].hot]
    given = {v.patient: day.drawn_mbq(day.patient(v.patient), v.injection_min, delivery) for v in hot}
    ordered = delivery.ordered_mbq or 0.0
    ordered += sum(max(0.0, mbq - rows[ref].activity_mbq) for ref, mbq in given.items())
    if real_mbq is not None:
        ordered = min(ordered, real_mbq)
    return replace(
        delivery,
        arrives_min=min([delivery.arrives_min, *(v.injection_min for v in hot)]),
        expires_min=max([delivery.expires_min, *(v.injection_min + 1 for v in hot)]),
        ordered_mbq=max(ordered, sum(given.values())),
    )


def _scanners(
    home: Site, others: Sequence[Site], rows: Sequence[Appointment], minute: Minutes, now: datetime
) -> tuple[dict[str, Scanner], dict[str, tuple[UUID, tuple[Window, ...]]]]:
    """Sessions less closures, faults and, elsewhere, what is reserved."""
    start, end = minute.origin, minute.origin + timedelta(days=1)
    where = dict(
        Deployment.objects.filter(site__in=[home, *others], from_at__lt=end)
        .exclude(to_at__lte=start)
        .values_list("scanner", "site")
    )
    where |= {row.scanner_id: home.pk for row in rows}
    found: dict[str, Scanner] = {}
    facts: dict[str, tuple[UUID, tuple[Window, ...]]] = {}
    for scanner in Scanner.objects.filter(pk__in=where).order_by("name", "pk"):
        site = where[scanner.pk]
        sessions = Session.objects.filter(scanner=scanner, site=site, starts_at__lt=end, ends_at__gt=start)
        open_: tuple[Window, ...] = tuple(
            Window(minute(a), minute(b)) for a, b in sessions.order_by("starts_at").values_list("starts_at", "ends_at")
        )
        shut = [
            (a, b)
            for a, b, only in Closure.objects.filter(site=site, to_at__gt=start, from_at__lt=end).values_list(
                "from_at", "to_at", "scanner"
            )
            if only in (None, scanner.pk)
        ]
        for since, until in Fault.objects.filter(scanner=scanner, from_at__lt=end).values_list("from_at", "to_at"):
            shut.append((max(since, now), until or max(since, now) + FAULT_SHUTS_FOR))
        if site != home.pk:
            held = Reservation.objects.filter(resource=scanner.pk, active=True, during__overlap=(start, end))
            # Whoever comes before one of these leaves time to clean.
            shut += [(during.lower - CLEANING, during.upper) for during in held.values_list("during", flat=True)]
        for since, until in shut:
            if until > since:
                open_ = without(open_, minute(since), minute(until))
        found[str(scanner.pk)], facts[str(scanner.pk)] = scanner, (site, open_)
    return found, facts


def _other_sites(site: Site, rows: Sequence[Appointment]) -> list[Site]:
    """The nearest of the network at which somebody here is authorised already, or could be."""
    if not rows:
        return []
    network = Site.objects.filter(network=site.network_id).exclude(pk=site.pk)
    return sorted(network, key=lambda s: km_between(site, s.latitude, s.longitude))[:OTHER_SITES]


def km_between(site: Site, latitude: float, longitude: float) -> float:
    a, b = radians(site.latitude), radians(latitude)
    half = sin((b - a) / 2) ** 2 + cos(a) * cos(b) * sin(radians(longitude - site.longitude) / 2) ** 2
    return 2 * 6371.0 * asin(sqrt(half))


def _circumstances(
    rows: Sequence[Appointment], injections: Mapping[UUID, datetime], others: Sequence[Site], now: datetime
) -> dict[str, Circumstances]:
    acquired = _acquisitions(rows)
    return {str(row.pk): _about(row, injections, acquired, others, now) for row in rows}


def _acquisitions(rows: Sequence[Appointment]) -> dict[UUID, Standing]:
    """What the scanners have told of these procedures, from the events of the scan day."""
    kinds = {
        EventKind.ACQUISITION_STARTED.value: Standing.SCANNING,
        EventKind.ACQUISITION_COMPLETED.value: Standing.SCANNED,
        EventKind.ACQUISITION_DISCONTINUED.value: Standing.INJECTED,
    }
    ids = [row.procedure_id for row in rows]
    events = Event.objects.filter(kind__in=kinds, subjects__overlap=ids).order_by("happened_at", "pk")
    return {UUID(e.about["procedure"]): kinds[e.kind] for e in events if "procedure" in e.about}


def _about(
    row: Appointment,
    injections: Mapping[UUID, datetime],
    acquired: Mapping[UUID, Standing],
    others: Sequence[Site],
    now: datetime,
) -> Circumstances:
    patient, answers = row.referral.patient, row.referral.answers
    journey = _journey(row)
    where = Standing.TRAVELLING if row.arrival_at - timedelta(minutes=journey) <= now else Standing.AT_HOME
    if row.state == AppointmentState.FULFILLED:
        where = Standing.SCANNED
    elif row.pk in injections:
        where = acquired.get(row.procedure_id, Standing.INJECTED)
    elif row.state == AppointmentState.ARRIVED:
        where = Standing.HERE
    born = patient.date_of_birth
    child = born is not None and (row.scan_at.date() - born).days < ADULT_AGE * 365.25
    return Circumstances(
        standing=where,
        journey_min=journey,
        child=child,
        anaesthetic=under_anaesthetic(row),
        insulin=answers.get("diabetes") == "insulin",
        inpatient=answers.get("patient_status") == "01",
        clock=f"the pathway's breach on {row.referral.breach_on:%-d %B}" if row.referral.breach_on else "",
        authorised_places=frozenset(str(site) for site in row.authorisation.sites),
        given_mbq=sum(each.mbq for each in given_to(row.referral)) if row.pk in injections else None,
        prescribed_mbq=prescribed_for(row),
        elsewhere={
            str(s.pk): round(2 * km_between(row.site, s.latitude, s.longitude) * TRANSPORT_PENCE_PER_KM.value)
            for s in others
            if not set(row.referral.capabilities) - set(s.capabilities)
        },
        travel_min={str(s.pk): _journey_to(row, s, from_home=where is Standing.AT_HOME) for s in others},
    )


def _journey(row: Appointment) -> int:
    patient = row.referral.patient
    if patient.latitude is None or patient.longitude is None:
        return 60
    km = km_between(row.site, patient.latitude, patient.longitude)
    return round(GETTING_READY_MIN.value + km * JOURNEY_MIN_PER_KM.value)


def _journey_to(row: Appointment, site: Site, *, from_home: bool) -> int:
    """To another site, from home or from their own one."""
    patient = row.referral.patient
    latitude, longitude = row.site.latitude, row.site.longitude
    if from_home and patient.latitude is not None and patient.longitude is not None:
        latitude, longitude = patient.latitude, patient.longitude
    ready = GETTING_READY_MIN.value if from_home else 0
    return round(ready + km_between(site, latitude, longitude) * JOURNEY_MIN_PER_KM.value)


def other_days(built: Built, *, now: datetime) -> dict[str, Offer]:
    """For everybody not injected yet: the network's best time on a later day, no scanner, room or activity twice."""
    graver = sorted(built.day.patients, key=lambda p: -p.weight)
    wanted = []
    for patient in graver:
        facts, row = built.circumstances.get(patient.ref), built.appointments[patient.ref]
        if facts is None or facts.standing in (Standing.INJECTED, Standing.SCANNING, Standing.SCANNED):
            continue
        if row.authorisation.state == "valid":
            wanted.append((patient.ref, row))
    asked = [(row.procedure, row.authorisation) for _, row in wanted]
    found = one_each(asked, from_day=built.on + timedelta(days=1), now=now)
    return {ref: offer for (ref, _), offer in zip(wanted, found, strict=True) if offer is not None}


type Taken = tuple[UUID, datetime, datetime]
LATER = timedelta(minutes=25)
TRIES = 24


def later_offers(built: Built, ref: str, taken: Sequence[Taken] = (), *, now: datetime) -> Iterator[Offer]:
    """The network's offers on later days; where one is taken already, the next that is free on that scanner that day."""
    row, zone = built.appointments[ref], ZoneInfo(built.site.zone)
    shape = shape_for(row.procedure)
    for offer in offers_for(row.procedure, now=now, limit=6):
        on = offer.arrival_at.astimezone(zone).date()
        if on <= built.on:
            continue
        for step in range(TRIES):
            plan = planned(shape, offer.arrival_at + step * LATER)
            if plan.arrival_at.astimezone(zone).date() != on:
                break
            span = plan.scanner
            if any(s == offer.choice.scanner and a < span.end and span.start < b for s, a, b in taken):
                continue
            if step and not stands(row, offer, plan, now=now):
                continue
            yield replace(offer, choice=replace(offer.choice, arrival_at=plan.arrival_at), plan=plan)
            break


def stands(row: Appointment, offer: Offer, plan: Planned, *, now: datetime) -> bool:
    """Whether nobody holds the scanner then and nothing of the place or the authorisation is against it."""
    scanner = offer.choice.scanner
    held = Reservation.objects.filter(
        resource=scanner, active=True, during__overlap=(plan.scanner.start, plan.scanner.end)
    )
    if held.exists():
        return False
    site = Site.objects.get(pk=offer.choice.site)
    return not why_not(
        row.procedure, row.authorisation, site=site, scanner=Scanner.objects.get(pk=scanner), plan=plan, now=now
    )


def said_offer(offer: Offer) -> str:
    local = offer.arrival_at.astimezone(ZoneInfo(offer.zone))
    return f"{local:%A %-d %B, %H:%M} at {offer.site_name}"


def other_day(offer: Offer, row: Appointment, on: date) -> OtherDay:
    """With the limit that it would break; one that has passed before this day is not broken by it."""
    then, referral = offer.arrival_at.astimezone(ZoneInfo(offer.zone)).date(), row.referral
    limits = ((referral.breach_on, "the pathway's breach on {}"), (referral.needed_by, "the date asked for, {},"))
    limit = next((said.format(f"{last:%-d %B}") for last, said in limits if last is not None and on <= last < then), "")
    return OtherDay(said_offer(offer), not limit, limit)


__all__ = ["UNDONE", "Built", "build", "other_day", "other_days", "said_offer"]

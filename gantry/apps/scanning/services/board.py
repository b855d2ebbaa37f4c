"""What a room sees of its day: who is where, what comes next for each, how much activity is left, which scanners are fit."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from uuid import UUID
from zoneinfo import ZoneInfo

from gantry.apps.audit.models import ScopedQuerySet
from gantry.apps.estate.models import Scanner, Site
from gantry.apps.radiopharmacy.services.stock import Hour, by_hour, hours_from
from gantry.apps.scanning.models import Visit
from gantry.apps.scanning.services.injecting import why_no_scanner
from gantry.apps.scanning.services.scanners import Running, here_on, running
from gantry.apps.scanning.services.steps import progress_of, protocol_of
from gantry.domain.injecting import why_glucose
from gantry.domain.scan import NOTHING, Act, Progress, Protocol, ProtocolStep, Stage, VisitState, due, stage, window
from gantry.domain.supply import DoseState
from gantry.reference.hot_lab import GLUCOSE_ACTION_MMOL_PER_L
from gantry.reference.protocols import product_of

LANES = (
    (Stage.EXPECTED, "Expected"),
    (Stage.PREPARING, "Preparing"),
    (Stage.UPTAKE, "Uptake"),
    (Stage.SCANNING, "Scanning"),
    (Stage.FINISHING, "Finishing"),
)
ONE_TAP = frozenset({Act.IDENTIFY, Act.PREPARE, Act.VOID, Act.ACQUIRE, Act.CHECK_IMAGES})
DONE_WORDS = {
    Act.IDENTIFY: "Identity checked",
    Act.PREPARE: "Cannula in",
    Act.VOID: "Bladder empty",
    Act.CHECK_IMAGES: "Images checked",
}
SHOWN_VERBS = 3


@dataclass(frozen=True, slots=True)
class Next:
    """What may be done next for a person: with one tap, or on a page of its own where something must be typed."""

    label: str
    key: str
    phase: str
    act: Act
    one_tap: bool


@dataclass(frozen=True, slots=True)
class Countdown:
    label: str
    until: datetime
    latest: datetime | None = None


@dataclass(frozen=True, slots=True)
class Card:
    visit: UUID
    name: str
    nhs_number: str
    born: date | None
    arrival_at: datetime
    scanner: str
    room: str
    protocol: str
    stage: Stage
    next: tuple[Next, ...]
    countdown: Countdown | None
    dose: str
    warnings: tuple[str, ...]
    tone: str
    can_leave: bool


@dataclass(frozen=True, slots=True)
class Lane:
    stage: Stage
    title: str
    cards: tuple[Card, ...]


@dataclass(frozen=True, slots=True)
class ScannerState:
    scanner: Scanner
    unfit: str | None


@dataclass(frozen=True, slots=True)
class Board:
    lanes: tuple[Lane, ...]
    gone: tuple[Card, ...]
    products: tuple[tuple[str, Sequence[Hour]], ...] = ()
    scanners: tuple[ScannerState, ...] = field(default_factory=tuple)


def of_day(visits: ScopedQuerySet[Visit], site: Site, on: date) -> ScopedQuerySet[Visit]:
    return (
        visits.filter(site=site, on=on)
        .select_related("appointment__referral__patient", "appointment__procedure", "appointment__scanner", "room")
        .prefetch_related("steps", "appointment__doses")
        .order_by("appointment__arrival_at", "pk")
    )


def board(visits: Iterable[Visit], site: Site, *, now: datetime) -> Board:
    visits = list(visits)
    room = room_of(visits, site, now=now)
    cards = [card_of(visit, now=now, room=room) for visit in visits]
    lanes = tuple(Lane(at, title, tuple(c for c in cards if c.stage is at)) for at, title in LANES)
    gone = tuple(card for card in cards if card.stage in (Stage.LEFT, Stage.NOT_SEEN))
    products = sorted({product_of(visit.appointment.procedure.tracer) for visit in visits})
    hours = hours_from(now)
    return Board(
        lanes,
        gone,
        tuple((product, by_hour(site, product, hours=hours)) for product in products),
        tuple(ScannerState(each.scanner, each.unfit) for each in room),
    )


def room_of(visits: Sequence[Visit], site: Site, *, now: datetime) -> list[Running]:
    """The scanners as they are, with what they owe to everybody who is here: also to people whom this reader may not see."""
    on = now.astimezone(ZoneInfo(site.zone)).date()
    return running(site, on, at=now, here=here_on(site, on), also=booked_on(visits))


def booked_on(visits: Sequence[Visit]) -> list[Scanner]:
    """Scanners of those who are here and still to be injected: one that has been taken away is said to be."""
    return [v.appointment.scanner for v in visits if v.state == VisitState.PRESENT]


def why_not_yet(
    visit: Visit, protocol: Protocol, progress: Progress, room: Sequence[Running], now: datetime
) -> list[str]:
    """Why nobody should reach for a syringe now, in words for the wall: their scanner cannot scan them in time."""
    for step in due(protocol, progress):
        if step.act is Act.INJECT:
            return [
                f"Do not inject: {why}" for why in why_no_scanner(visit, step, at=now, named=None, known=list(room))
            ]
    return []


def card_of(visit: Visit, *, now: datetime, room: Sequence[Running] = ()) -> Card:
    appointment, protocol, progress = visit.appointment, protocol_of(visit), progress_of(visit)
    patient, at = appointment.referral.patient, stage(protocol, visit.state, progress)
    moments = countdown(protocol, progress, at, appointment.arrival_at)
    warnings = warnings_of(visit)
    if room and visit.state == VisitState.PRESENT:
        warnings = (*why_not_yet(visit, protocol, progress, room, now), *warnings)
    return Card(
        visit=visit.pk,
        name=patient.name,
        nhs_number=patient.nhs_number,
        born=patient.date_of_birth,
        arrival_at=appointment.arrival_at,
        scanner=appointment.scanner.name,
        room=visit.room.name if visit.room else "",
        protocol=protocol.title,
        stage=at,
        next=next_of(protocol, progress, at),
        countdown=moments,
        dose=dose_of(visit),
        warnings=warnings,
        tone=tone(at, moments, warnings, now),
        can_leave=at is Stage.FINISHING,
    )


def next_of(protocol: Protocol, progress: Progress, at: Stage) -> tuple[Next, ...]:
    if at in (Stage.EXPECTED, Stage.LEFT, Stage.NOT_SEEN):
        return ()
    return tuple(verb_for(step, progress) for step in due(protocol, progress))[:SHOWN_VERBS]


def verb_for(step: ProtocolStep, progress: Progress) -> Next:
    if step.act is Act.ACQUIRE:
        begun = progress.get(step.key, NOTHING).began_at is not None
        return Next(
            f"{step.label} {'ended' if begun else 'started'}", step.key, "done" if begun else "start", step.act, True
        )
    label = DONE_WORDS.get(step.act, step.label)
    return Next(label, step.key, "done", step.act, step.act in ONE_TAP)


def countdown(protocol: Protocol, progress: Progress, at: Stage, arrival_at: datetime) -> Countdown | None:
    if at is Stage.EXPECTED:
        return Countdown("Due", arrival_at)
    for step in protocol.steps:
        moments = window(protocol, step.key, progress)
        if moments and progress.get(step.key, NOTHING).reached_at is None:
            return Countdown(f"{step.label} due", moments.planned, moments.most)
        if step.act is Act.ACQUIRE and at is Stage.SCANNING:
            began = progress.get(step.key, NOTHING)
            if began.began_at and not began.done_at:
                return Countdown(f"{step.label} ends", began.began_at + timedelta(minutes=step.minutes))
    return None


def dose_of(visit: Visit) -> str:
    """What is drawn for this person, or what they were given."""
    for dose in visit.appointment.doses.all():
        if dose.state == DoseState.ADMINISTERED and dose.net_mbq is not None:
            whole = "" if dose.residual_mbq is not None else ", residual not measured"
            return f"Given {dose.net_mbq:.0f} MBq{whole}"
        if dose.state == DoseState.ASSIGNED:
            return f"Dose drawn, {dose.drawn_mbq:.0f} MBq"
    return ""


def warnings_of(visit: Visit) -> tuple[str, ...]:
    found = [reason for step in visit.steps.all() if step.current for reason in step.breach]
    limit = GLUCOSE_ACTION_MMOL_PER_L.value
    injected = any(step.act == Act.INJECT for step in visit.steps.all() if step.current)
    if not injected and (high := why_glucose(visit.glucose_mmol_per_l, limit)):
        found.append(high)
    if not injected and visit.glucose_doubt:
        found.append(f"Measure the glucose again: {visit.glucose_doubt}")
    return tuple(dict.fromkeys(found))


def tone(at: Stage, moments: Countdown | None, warnings: Sequence[str], now: datetime) -> str:
    if moments and moments.latest and now > moments.latest:
        return "late"
    if warnings or (at is Stage.EXPECTED and moments and now > moments.until):
        return "soon"
    return {Stage.SCANNING: "info", Stage.FINISHING: "good"}.get(at, "plain")

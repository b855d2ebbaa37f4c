"""Reads what a site's day has and what each patient asks of it. Where nobody has said, what booking reckons with holds."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time
from uuid import UUID
from zoneinfo import ZoneInfo

from gantry.apps.booking.models import Appointment, Reservation
from gantry.apps.estate.models import ActivityAllotment, Room, RoomKind, Session, Site
from gantry.apps.radiopharmacy.models import SupplyRun
from gantry.apps.scheduling.models import (
    Attendance,
    DayFacts,
    Fitting,
    PeopleSession,
    ScannerFittings,
    StatedTimes,
    SupplierTerms,
)
from gantry.domain.scan import Act
from gantry.domain.scheduling.as_booked import merged
from gantry.domain.scheduling.problem import Place, Steps, Window
from gantry.reference.day_plans import ANAESTHESIA_AFTER_MIN, DIABETES_SLOTS
from gantry.reference.protocols import protocol, timed, usual_for
from gantry.reference.tracers import tracer

ALL_DAY = Window(-24 * 60, 48 * 60)
ANAESTHETIC = ("general_anaesthetic", "iv_sedation")
WITH_PLAY = ("to_arrange", "awake")
"""A child who may be scanned awake is with the play specialist from arrival to the scan; one who sleeps is not."""
ROOM_FROM_ARRIVAL_MIN = 24 * 60


class Minutes:
    """Minutes from the day's origin, of moments and of local times on that day."""

    def __init__(self, origin: datetime, zone: str = "Europe/London") -> None:
        self.origin, self.zone = origin, ZoneInfo(zone)

    def __call__(self, moment: datetime) -> int:
        return round((moment - self.origin).total_seconds() / 60)

    @property
    def on(self) -> date:
        return self.origin.astimezone(self.zone).date()

    def local(self, clock: time) -> int:
        return self(datetime.combine(self.on, clock, self.zone))


@dataclass(frozen=True, slots=True)
class Terms:
    """What a run costs and the least that is ordered of it."""

    price_pence: int = 0
    price_pence_per_gbq: int = 0
    least_mbq: float = 0.0


# The site


def place_of(site: Site, home: Site, minute: Minutes, end: datetime) -> Place:
    rooms = list(Room.objects.filter(site=site, kind=RoomKind.UPTAKE).values_list("pk", flat=True))
    toilets = Room.objects.filter(site=site, kind=RoomKind.HOT_TOILET).count()
    taken = 0
    if site.pk != home.pk:
        held = Reservation.objects.filter(resource__in=rooms, active=True, during__overlap=(minute.origin, end))
        taken = held.values("resource").distinct().count()
    said = DayFacts.objects.filter(site=site).first() or DayFacts(site=site)
    sessions = list(
        PeopleSession.objects.filter(
            site=site, starts_at__lt=end, ends_at__gt=minute.origin, called_off_at=None
        ).order_by("starts_at")
    )
    asleep = people_there(sessions, Attendance.ANAESTHETIST, minute)
    playing = people_there(sessions, Attendance.PLAY_SPECIALIST, minute)
    return Place(
        str(site.pk),
        Window(
            minute.local(said.doors_open) if said.doors_open else ALL_DAY.start,
            minute.local(said.doors_close) if said.doors_close else ALL_DAY.end,
        ),
        uptake_rooms=max(0, len(rooms) - taken),
        injectors=said.injectors or max(1, len(rooms)),
        hot_toilets=toilets or max(1, len(rooms)),
        capabilities=frozenset(site.capabilities),
        anaesthetist=asleep.windows if "anaesthesia" in site.capabilities else (),
        play_specialist=playing.windows,
        anaesthetists=asleep.people,
        play_specialists=playing.people,
        overtime_from_min=paid_until(site, said, minute, end),
    )


@dataclass(frozen=True, slots=True)
class There:
    windows: tuple[Window, ...]
    people: int
    said: bool


def people_there(sessions: Iterable[PeopleSession], kind: str, minute: Minutes) -> There:
    """A day without any session recorded is a day of which nobody has said: then booking's word holds all day."""
    mine = [row for row in sessions if row.kind == kind]
    if not mine:
        return There((ALL_DAY,), 1, said=False)
    windows = merged(Window(minute(row.starts_at), minute(row.ends_at)) for row in mine)
    # Sessions that overlap are several people; the plan knows one number for the day, the least that is always there.
    return There(windows, min(row.people for row in mine), said=True)


def paid_until(site: Site, said: DayFacts, minute: Minutes, end: datetime) -> int | None:
    """As the site said, else the end of its last session: a scan beyond it is worked overtime."""
    if said.paid_until:
        return minute.local(said.paid_until)
    last = Session.objects.filter(site=site, starts_at__lt=end, ends_at__gt=minute.origin).order_by("-ends_at").first()
    return minute(last.ends_at) if last else None


def fittings(scanners: Iterable[UUID], where: Mapping[UUID, Site]) -> dict[UUID, frozenset[str]]:
    """What each scanner is fitted with; where nobody has said, a couch if its site plans radiotherapy, and an injector."""
    said = {row.scanner_id: frozenset(row.has) for row in ScannerFittings.objects.filter(scanner__in=list(scanners))}
    return {pk: said.get(pk, usual_fittings(site)) for pk, site in where.items()}


def usual_fittings(site: Site) -> frozenset[str]:
    couch = {Fitting.FLAT_COUCH.value} if "radiotherapy_planning" in site.capabilities else set()
    return frozenset({Fitting.CONTRAST_INJECTOR.value, *couch})


def terms_of(allotments: Iterable[ActivityAllotment]) -> dict[UUID, Terms]:
    """By supply run: the run's own price where it has one, else the supplier's terms for this site."""
    keys = [row.supply_run for row in allotments if row.supply_run]
    runs = list(SupplyRun.objects.filter(pk__in=keys)) if keys else []
    standing = {
        (row.site_id, row.supplier_id, row.tracer): row
        for row in SupplierTerms.objects.filter(site__in={run.site_id for run in runs})
    }
    found = {}
    for run in runs:
        usual = standing.get((run.site_id, run.supplier_id, run.tracer)) or SupplierTerms()
        found[run.pk] = Terms(
            run.price_pence or usual.price_pence,
            run.price_pence_per_gbq or usual.price_pence_per_gbq,
            usual.least_mbq,
        )
    return found


def steps_of(rows: Sequence[Appointment]) -> Steps:
    """How long a visit holds the injector and the toilet, by its protocols; the room is booking's, from arrival to scan."""
    graphs = [
        timed(protocol(row.procedure.protocol or usual_for(row.procedure.tracer)), row.procedure.minutes_per_bed)
        for row in rows
    ]

    def longest(act: Act) -> int:
        return max((step.minutes for graph in graphs for step in graph.of(act)), default=0)

    return Steps(
        room_before_min=ROOM_FROM_ARRIVAL_MIN,
        void_min=longest(Act.VOID),
        inject_min=longest(Act.INJECT),
        anaesthesia_after_min=ANAESTHESIA_AFTER_MIN.value,
        room_until_min=0,
    )


# The patient


def under_anaesthetic(row: Appointment) -> bool:
    return row.referral.answers.get("anaesthetic_required") in ANAESTHETIC and "anaesthesia" in row.site.capabilities


def with_play_specialist(row: Appointment) -> bool:
    return row.referral.answers.get("play_specialist_assessment") in WITH_PLAY


def needs_of(row: Appointment) -> set[str]:
    """Of the place, by the referral; of the scanner, by the position for planning and what was authorised."""
    answers, needs = row.referral.answers, set(row.referral.capabilities)
    if "radiotherapy_planning" in needs or "flat_couch" in (answers.get("rt_planning_position") or ()):
        needs.add(Fitting.FLAT_COUCH.value)
    if "contrast" in row.authorisation.includes:
        needs.add(Fitting.CONTRAST_INJECTOR.value)
    return needs


def stated_of(rows: Sequence[Appointment]) -> dict[UUID, StatedTimes]:
    return {row.referral_id: row for row in StatedTimes.objects.filter(referral__in={r.referral_id for r in rows})}


def suits(row: Appointment, stated: StatedTimes | None, minute: Minutes) -> Window | None:
    """When the scan should start: as the patient said, else as their diabetes asks for a tracer that needs fasting."""
    if stated is not None and (stated.suits_from or stated.suits_to):
        start = minute.local(stated.suits_from) if stated.suits_from else 0
        return Window(start, max(start, minute.local(stated.suits_to) if stated.suits_to else 24 * 60))
    slot = diabetes_slot(row)
    return Window(minute.local(slot[0]), minute.local(slot[1])) if slot else None


def diabetes_slot(row: Appointment) -> tuple[time, time] | None:
    answers = row.referral.answers
    if not tracer(row.procedure.tracer).fasting:
        return None
    slots = DIABETES_SLOTS.value
    return slots.get(answers.get("insulin_regimen") or "", slots.get(answers.get("diabetes") or ""))

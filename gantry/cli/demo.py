"""Loads the demonstration: makes its network and people once, then lives its past weeks through the services."""

import hashlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from pathlib import Path
from time import monotonic

from django.conf import settings
from django.db import connection
from django.utils import timezone

from gantry.apps.audit.models import InboxMessage
from gantry.apps.booking.models import Appointment
from gantry.apps.estate.models import Network
from gantry.apps.patients.services import load_deprivation
from gantry.apps.radiopharmacy.models import SupplyRun
from gantry.apps.ui.demonstration import DOOR, LIVED, LIVING
from gantry.cli.demonstration.booking import Booking
from gantry.cli.demonstration.clock import Clock
from gantry.cli.demonstration.hot_lab import HotLab, Scanners
from gantry.cli.demonstration.places import (
    LONDON,
    NAME,
    WEEKS,
    make_organisations,
    make_runs,
    make_sessions,
    runs_on,
)
from gantry.cli.demonstration.referring import Referring
from gantry.cli.demonstration.reporting import Following
from gantry.cli.demonstration.scan_day import ScanDay
from gantry.cli.demonstration.staff import hospitals, make_people, password, show_signins
from gantry.cli.demonstration.stage import Stage, open_stage
from gantry.cli.demonstration.standing_in import clocks_waiting
from gantry.cli.places import VAR
from gantry.domain.deprivation import normal
from gantry.domain.events import Cause
from gantry.domain.network.people import Hospital
from gantry.domain.network.script import Script, Story, script
from gantry.gateways.emulators.hospital import Pacs, Results
from gantry.reference import deprivation
from gantry.reference.network import PRACTICE, PROVIDER, SITES

SEED, PATIENTS = 2266, 300
OUTSIDE = Hospital("RH8", "Dr Elsewhere", "C7299999")
LOCK = 71_030_266
TICK_S = 5.0
UNFINISHED_AFTER = timedelta(hours=22)

type Say = Callable[[str], None]

__all__ = ["Loaded", "load", "password", "show_signins"]


@dataclass(frozen=True, slots=True)
class Loaded:
    """What a run of the demonstration did; `acts` is nothing where it had been done already."""

    acts: int
    seconds: float


def load(
    now: datetime | None = None,
    *,
    seed: int = SEED,
    patients: int = PATIENTS,
    weeks: timedelta = WEEKS,
    progress: Say = print,
) -> Loaded:
    """Once for a database. Interrupted, it goes on where it was, as of the moment at which it first began."""
    began = monotonic()
    with only_one() as mine:
        if not mine:
            progress("The demonstration is being filled already")
            return Loaded(0, 0.0)
        if why := not_ours():
            progress(f"{why}: no demonstration is filled here")
            return Loaded(0, 0.0)
        marker = marked(now or timezone.now(), seed, patients)
        if marker.outcome == LIVED:
            return Loaded(0, monotonic() - began)
        make_organisations(marker.received_at)
        make_people(marker.received_at)
        load_deprivation(
            ((normal(postcode), "", fact.value) for postcode, fact in deprivation.DECILES.items()),
            index=deprivation.INDEX,
            now=marker.received_at,
        )
        progress("Demonstration people may sign in; their past weeks are being lived now")
        with clocks_waiting():
            make_sessions(marker.received_at, weeks)
            make_runs(marker.received_at, weeks)
            seed, patients = size_of(bytes(marker.body), default=(seed, patients))
            acts = live(marker.received_at, seed=seed, patients=patients, weeks=weeks, progress=progress)
        InboxMessage.objects.filter(pk=marker.pk).update(outcome=LIVED)
    seconds = monotonic() - began
    progress(f"Demonstration ready: {acts:,} acts of {patients} people in {seconds:.0f} s")
    return Loaded(acts, seconds)


def not_ours() -> str:
    """Why the demonstration's people, and the peers that they play, stay away from this database; empty where it is
    theirs, or nobody's. An emulated scanner that met real patients would store images of nobody under their names."""
    if not settings.DEMONSTRATION:
        return "This installation is not a demonstration (GANTRY_DEMONSTRATION)"
    networks = Network.objects.all()
    if InboxMessage.objects.filter(door=DOOR).exists():
        networks = networks.exclude(name=NAME, provider__ods_code=PROVIDER)
    return "This database holds a network that is not the demonstration's" if networks.exists() else ""


@contextmanager
def only_one() -> Iterator[bool]:
    """A lock of this session: a second loader leaves, and a killed one's lock goes with its connection.

    Nothing is lost that cannot be lived again, so commits do not wait for the disk.
    """
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_lock(%s)", [LOCK])
        mine = bool(cursor.fetchone()[0])
        cursor.execute("SET synchronous_commit TO off")
    try:
        yield mine
    finally:
        with connection.cursor() as cursor:
            cursor.execute("SET synchronous_commit TO DEFAULT")
            if mine:
                cursor.execute("SELECT pg_advisory_unlock(%s)", [LOCK])


def marked(now: datetime, seed: int, patients: int) -> InboxMessage:
    """The script as a message that came in: its moment is the one that every run of it goes by."""
    body = f"seed {seed}, {patients} patients".encode()
    found = InboxMessage.objects.filter(door=DOOR).first()
    if found is not None:
        return found
    return InboxMessage.objects.create(
        door=DOOR,
        sender="gantry",
        key="script",
        digest=hashlib.sha256(body).hexdigest(),
        received_at=now,
        body=body,
        outcome=LIVING,
    )


def size_of(body: bytes, *, default: tuple[int, int]) -> tuple[int, int]:
    """The seed and the number of people that a marker speaks of."""
    words = body.decode().replace(",", "").split()
    numbers = [int(word) for word in words if word.isdecimal()]
    return (numbers[0], numbers[1]) if len(numbers) == 2 else default


def script_for(now: datetime, *, seed: int, patients: int, weeks: timedelta) -> Script:
    local = now.astimezone(LONDON)
    midnight = datetime.combine(local.date(), time(), tzinfo=LONDON)
    minute = local.hour * 60 + local.minute
    return script(
        midnight - weeks,
        seed=seed,
        patients=patients,
        days=weeks.days + 1,
        hospitals=hospitals(),
        outside=OUTSIDE,
        practice=PRACTICE,
        today_from_min=max(minute - 230, 30),
        today_to_min=min(minute + 240, 22 * 60),
        failed_batch_day=last_weekday_before(midnight, weeks),
        breakdown_day=last_weekday_before(midnight - timedelta(days=8), weeks - timedelta(days=8)),
        next_day=weeks.days + next(n for n in (1, 2, 3) if (midnight + timedelta(days=n)).weekday() < 5),
    )


def last_weekday_before(midnight: datetime, weeks: timedelta) -> int:
    back = 1
    while (midnight - timedelta(days=back)).weekday() >= 5:
        back += 1
    return weeks.days - back


def live(now: datetime, *, seed: int, patients: int, weeks: timedelta, progress: Say) -> int:
    """Performs every act of the script that has happened by `now`."""
    clock = Clock(lambda: now)
    stage = opened(clock, now, seed=seed, patients=patients, weeks=weeks)
    prepare(stage, until=now)
    clock.run(Reporter(clock, stage.script.starts_at, progress))
    return clock.performed


def opened(clock: Clock, loaded_at: datetime, *, seed: int, patients: int, weeks: timedelta) -> Stage:
    return open_stage(
        script_for(loaded_at, seed=seed, patients=patients, weeks=weeks), clock, seed=seed, now=loaded_at
    )  # fmt: skip


def prepare(stage: Stage, *, until: datetime) -> None:
    """Puts the first act of everybody and everything on the clock."""
    day, played, clock = Day(stage), stage.script, stage.clock
    for story in played.stories:
        clock.at(story.refers_at, day.referring_for(story).refer)
    for rank, site in enumerate(stage.sites):
        scanners = Scanners(stage, site, rank, day.displace)
        runs = {(run.tracer, run.due_at): run for run in SupplyRun.objects.filter(site=site).select_related("site")}
        for number in range((until.astimezone(LONDON).date() - played.starts_at.date()).days + 2):
            scanners.begin(number)
            on = (played.starts_at + timedelta(days=number)).date()
            for due in runs_on(SITES[site.ods_code].value, on, stage.loaded_at):
                if run := runs.get((due.tracer, due.due_at)):
                    HotLab(stage, run, played.delivery(rank, number, due.number), due.number, day.displace).begin()


class Day:
    """Joins the rooms of one run: who follows a booking, and who moves a person that something has displaced."""

    def __init__(self, stage: Stage) -> None:
        self.stage = stage
        self.bookings: dict[int, Booking] = {}
        self.referring: dict[int, Referring] = {}
        self.hospital, self.pacs = Results(), Pacs(emulated_root())

    def referring_for(self, story: Story) -> Referring:
        booking = Booking(self.stage, story, lambda appointment: self.expect(story, appointment))
        self.bookings[story.person.number] = booking
        self.referring[story.person.number] = Referring(self.stage, story, booking)
        return self.referring[story.person.number]

    def expect(self, story: Story, appointment: Appointment) -> None:
        booking = self.bookings[story.person.number]
        meant = story.next_time() if booking.seen else story
        following = Following(self.stage, story, self.hospital, self.pacs, Path(settings.IMAGES_ROOT))
        ScanDay(self.stage, meant, appointment, following, lambda one, why: self.ended(story, one, why)).begin()

    def ended(self, story: Story, appointment: Appointment, cause: Cause | None) -> None:
        """Without a scan: rung for another date; once injected, it is for the practitioner to decide."""
        booking, referring = self.bookings[story.person.number], self.referring[story.person.number]
        if cause is None:
            booking.again(appointment)
        elif appointment.pk not in booking.seen and story.chased:
            booking.seen.add(appointment.pk)
            at = self.stage.working(appointment.arrival_at + UNFINISHED_AFTER)
            self.stage.clock.at(at, lambda on: referring.unfinished(appointment.referral, cause, on))

    def displace(self, appointment: Appointment, cause: Cause, now: datetime) -> None:
        number = int(appointment.referral.source_key.rpartition(":")[2])
        self.bookings[number].move(appointment, cause, now)


def emulated_root() -> Path:
    """Where the emulated hospital keeps its images: beside ours, never among them."""
    return VAR / "emulated" / "hospital"


@dataclass(slots=True)
class Reporter:
    """Says how far the weeks have been lived, every few seconds."""

    clock: Clock
    starts_at: datetime
    say: Say
    said_at: float = 0.0

    def __call__(self, moment: datetime) -> None:
        self.said_at = self.said_at or monotonic()
        if monotonic() - self.said_at < TICK_S:
            return
        self.said_at = monotonic()
        share = (moment - self.starts_at) / (self.clock.now() - self.starts_at)
        self.say(f"  {share:4.0%}  {moment.astimezone(LONDON):%a %-d %b}  {self.clock.performed:,} acts")

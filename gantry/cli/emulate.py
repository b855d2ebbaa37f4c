"""Plays the peers of a service: one of them, or all of them beside `gantry up`, so that a patient can be watched."""

import argparse
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from datetime import datetime, timedelta
from functools import partial
from urllib.parse import urlsplit

from django.conf import settings
from django.utils import timezone

from gantry.apps.audit.models import InboxMessage
from gantry.cli.demo import DOOR, LIVED, PATIENTS, SEED, emulated_root, not_ours, only_one, opened, prepare, size_of
from gantry.cli.demonstration.clock import Clock
from gantry.cli.demonstration.places import WEEKS
from gantry.cli.demonstration.staff import hospitals
from gantry.gateways.emulators import hospital, injector, radiopharmacy
from gantry.gateways.emulators.addresses import HOSPITAL
from gantry.gateways.emulators.hospital import aloud
from gantry.gateways.emulators.messenger import Messenger, open_messenger
from gantry.gateways.emulators.scanner import Gantry, NotDone, Scanner

PEERS = ("scanner", "hospital", "radiopharmacy", "injector", "all")
LOOK_EVERY_S = 15.0
RECEIPT_AFTER_S = 4.0
AHEAD = timedelta(days=1)


def run(peer: str, arguments: Sequence[str]) -> int:
    """Only beside a demonstration of our own: what an emulated peer sends is about nobody, and is not for care."""
    # The messenger waits beside a demonstration that is still to be filled.
    if peer in PEERS and (why := not_ours() if peer == "messenger" else stranger()):
        print(why, file=sys.stderr)
        return 1
    try:
        match peer:
            case "scanner":
                return play_scanner(arguments)
            case "hospital":
                return hospital.main(
                    arguments,
                    hospitals=hospitals(),
                    root=emulated_root(),
                    now=timezone.now,
                    address=HOSPITAL,
                    to=f"127.0.0.1:{settings.MLLP_PORT}",
                )
            case "radiopharmacy":
                return play_radiopharmacy(arguments)
            case "messenger":
                return play_messenger()
            case "injector":
                return play_injector(arguments)
            case "all":
                return play_all(arguments)
    except KeyboardInterrupt:
        return 0
    print(f"Which peer? One of: {', '.join(PEERS)}", file=sys.stderr)
    return 1


def stranger() -> str:
    """Why no peer may be played here; empty beside a demonstration."""
    if why := not_ours():
        return f"{why}: peers are emulated for the demonstration alone"
    if not InboxMessage.objects.filter(door=DOOR).exists():
        return "There is no demonstration here yet: `gantry up` fills it"
    return ""


def gantry_node() -> Gantry:
    return Gantry(port=settings.DICOM_PORT, ae_title=settings.DICOM_AE_TITLE)


def play_scanner(arguments: Sequence[str]) -> int:
    """One station: prints its worklist of today, or scans what an accession number names, or all that is due."""
    asked = argparse.ArgumentParser(prog="gantry emulate scanner")
    asked.add_argument("--station", default="PETRBV1", help="its AE title")
    asked.add_argument("--accession", help="scan this one")
    asked.add_argument("--due", action="store_true", help="scan everything whose hour has come")
    asked.add_argument("--minutes", type=float, default=0.0, help="how long a scan lasts")
    said = asked.parse_args(list(arguments))
    scanner = Scanner(said.station, gantry_node())
    today = timezone.localdate()
    try:
        items = scanner.worklist(today)
        for item in items:
            print(
                f"{item.start:%H:%M}  {item.accession_number:<16}  {item.patient_name.text()}  {item.step_description}"
            )
            due = said.due and item.start <= timezone.now()
            if due or item.accession_number == said.accession:
                done = scanner.scan(item, now=timezone.now, lasts=partial(time.sleep, said.minutes * 60))
                print(f"  scanned: {len(done.instances)} images, {'all' if done.all_kept else 'not all'} committed")
        if not items:
            print(f"Nothing on the worklist of {said.station} today")
    except NotDone as failure:
        print(failure, file=sys.stderr)
        return 1
    return 0


def play_radiopharmacy(arguments: Sequence[str]) -> int:
    """Looks at the books every few seconds until Ctrl-C; `--once` looks once."""
    asked = argparse.ArgumentParser(prog="gantry emulate radiopharmacy")
    asked.add_argument("--once", action="store_true")
    asked.add_argument("--every", type=float, default=LOOK_EVERY_S, help="seconds between looks")
    said = asked.parse_args(list(arguments))
    while True:
        for line in radiopharmacy.act(timezone.now()):
            aloud(line)
        if said.once:
            return 0
        time.sleep(said.every)


def play_injector(arguments: Sequence[str]) -> int:
    """Tells what each injector gave, as its own dose report on the wire, until Ctrl-C; `--once` looks once."""
    asked = argparse.ArgumentParser(prog="gantry emulate injector")
    asked.add_argument("--once", action="store_true")
    asked.add_argument("--every", type=float, default=LOOK_EVERY_S, help="seconds between looks")
    said = asked.parse_args(list(arguments))
    told: set[object] = set()
    try:
        while True:
            lines = injector.act(timezone.now(), gantry_node(), told)
            for line in lines:
                aloud(line)
            if said.once:
                if not lines:
                    print("No injector gave anything today that it has not told of")
                return 0
            time.sleep(said.every)
    except NotDone as failure:
        print(failure, file=sys.stderr)
        return 1


def play_messenger() -> int:
    """Takes texts, emails and letters on loopback, and posts a receipt for each a few seconds later, until Ctrl-C."""
    where = urlsplit(settings.EMULATED_MESSAGES)
    web = os.environ.get("GANTRY_WEB_PORT", "8000")
    messenger = Messenger(
        settings.MESSAGES_SECRET,
        f"http://127.0.0.1:{web}/messages/receipts/",
        settings.MESSAGES_RECEIPT_TOKEN,
        say=aloud,
        after_s=RECEIPT_AFTER_S,
    )
    with open_messenger(messenger, (where.hostname or "127.0.0.1", where.port or 0)) as server:
        aloud(f"messages: at {server.port}")
        stop = threading.Event()
        signal.signal(signal.SIGTERM, lambda *_: stop.set())
        stop.wait()
    return 0


def play_all(arguments: Sequence[str]) -> int:
    """The hospital, the scanners, the supplier and the people of the demonstration's script, in real time."""
    asked = argparse.ArgumentParser(prog="gantry emulate all")
    asked.add_argument("--for", dest="minutes", type=float, help="stop after so many minutes")
    said = asked.parse_args(list(arguments))
    marker = InboxMessage.objects.filter(door=DOOR, outcome=LIVED).first()
    if marker is None:
        print("The demonstration is not filled yet: wait for `gantry demo`, which `gantry up` starts", file=sys.stderr)
        return 1
    until = timezone.now() + timedelta(minutes=said.minutes) if said.minutes else None
    with ExitStack() as stack:
        if not stack.enter_context(only_one()):
            print("Somebody else is living the demonstration already", file=sys.stderr)
            return 1
        running = stack.enter_context(hospital.open_hospital(emulated_root(), HOSPITAL, say=aloud))
        aloud(f"hospital: MLLP at {running.mllp_port}, PACS {running.pacs.ae_title} at {running.dicom_port}")
        live_on(marker.received_at, bytes(marker.body), until=until)
    return 0


def live_on(loaded_at: datetime, body: bytes, *, until: datetime | None) -> None:
    """The script from where it is, each act at its hour; whatever somebody did by hand meanwhile stands."""
    seed, patients = size_of(body, default=(SEED, PATIENTS))
    clock = Clock(timezone.now)
    stage = opened(clock, loaded_at, seed=seed, patients=patients, weeks=WEEKS)
    stage.wire = lambda ae_title: Scanner(ae_title, gantry_node())
    aloud("people: catching up with what was lived already")
    prepare(stage, until=timezone.now() + AHEAD)
    between = partial(others, set())
    clock.run(Watched(clock), wait=partial(wait_for, stop=threading.Event(), until=until, between=between))


def others(told: set[object]) -> None:
    """The supplier and the injectors: both look at the books between the acts of people."""
    for line in radiopharmacy.act(timezone.now()):
        aloud(line)
    try:
        for line in injector.act(timezone.now(), gantry_node(), told):
            aloud(line)
    except NotDone as failure:
        aloud(f"injector: {failure}")


def wait_for(moment: datetime, *, stop: threading.Event, until: datetime | None, between: Callable[[], None]) -> bool:
    """Waits towards a moment, looking at the supplier's books meanwhile. False when time is up."""
    now = timezone.now()
    if until is not None and now >= until:
        return False
    between()
    remaining = min((moment - timezone.now()).total_seconds(), LOOK_EVERY_S)
    if until is not None:
        remaining = min(remaining, (until - timezone.now()).total_seconds())
    stop.wait(max(remaining, 0.0))
    return True


class Watched:
    """Says each act of today as it is done."""

    def __init__(self, clock: Clock) -> None:
        self.clock, self.performed = clock, 0

    def __call__(self, moment: datetime) -> None:
        if self.clock.performed > self.performed:
            aloud(f"people: {timezone.localtime(moment):%H:%M}  {self.clock.performed - self.performed} acts")
            self.performed = self.clock.performed

"""Fifty people press the same button: clients over HTTP against several web processes, round after round.

`run` needs a migrated database in DATABASE_URL that other processes can see (so not one inside a test's transaction).
Each round has one slot that everybody wants, half of them from a page drawn rounds ago. Who won, who was shown other
choices and what else was answered is counted; the history that was recorded is judged elsewhere, by the checker.
"""

import asyncio
import logging
import os
import random
import re
import socket
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import IO

import httpx
from django.conf import settings
from django.test import Client
from django.utils import timezone

from gantry.apps.booking import services as booking
from gantry.apps.booking.models import Appointment
from gantry.apps.referrals.models import RequestedProcedure
from gantry.domain.access import Role
from gantry.domain.events import Cause, CauseCode, Initiator, system
from tests.apps.factories import make_accepted, make_bookable, make_network, make_person, make_practitioner

ROOT = Path(__file__).resolve().parent.parent.parent
STARTS_WITHIN_SECONDS = 60.0
COORDINATORS = 5
TOKEN = re.compile(r'name="csrfmiddlewaretoken" value="([^"]+)"')
CHOICE = re.compile(
    r'name="site" value="([^"]+)"><input type="hidden" name="scanner" value="([^"]+)">'
    r'<input type="hidden" name="arrival_at" value="([^"]+)"'
)
BY = system("race")

type Slot = tuple[str, str, str]


class NotStarted(Exception):
    """A web process did not come up; carries what it said."""


@dataclass(slots=True)
class Runner:
    """One person at one screen: a procedure to book, the page as they last saw it."""

    procedure: RequestedProcedure
    http: httpx.AsyncClient
    token: str = ""
    choices: tuple[Slot, ...] = ()
    """As last drawn: for half of them that is long ago."""

    async def look(self) -> None:
        page = await self.http.get(f"/booking/scan/{self.procedure.pk}/")
        page.raise_for_status()
        self.token = TOKEN.search(page.text)[1]
        self.choices = tuple(CHOICE.findall(page.text))

    async def press(self, slot: Slot) -> httpx.Response:
        site, scanner, arrival_at = slot
        return await self.http.post(
            f"/booking/scan/{self.procedure.pk}/hold",
            data={"csrfmiddlewaretoken": self.token, "site": site, "scanner": scanner, "arrival_at": arrival_at},
        )


@dataclass(frozen=True, slots=True)
class Round:
    winners: int
    shown_others: int
    """Lost, were told so, and had other choices before them."""
    answers: Counter[int]


@dataclass(slots=True)
class Race:
    rounds: list[Round] = field(default_factory=list)
    stale_winners: int = 0
    seconds: float = 0.0


def run(*, rounds: int, seed: int, clients: int = 50, processes: int = 2) -> Race:
    """Raises NotStarted."""
    chance = random.Random(seed)
    logging.getLogger("httpx").setLevel(logging.WARNING)  # a line a request would drown what a failure says
    people = prepared(clients)
    # On a thread of its own: a browser's test may have left this one with an event loop.
    with web_processes(processes) as addresses, ThreadPoolExecutor(1) as apart:
        return apart.submit(asyncio.run, _run(people, addresses, rounds, chance)).result()


def prepared(clients: int) -> list[tuple[RequestedProcedure, str]]:
    """A network, as many accepted scans as clients, and a signed-in session for each."""
    now = timezone.now()
    made = make_network()
    make_bookable(made, days=12, mbq=40_000, rooms=3, now=now)
    practitioner = make_practitioner(made)
    sessions = [
        signed_in(make_person(Role.BOOKING_COORDINATOR, made.provider)) for _ in range(min(COORDINATORS, clients))
    ]
    return [
        (make_accepted(made, practitioner=practitioner, now=now).procedures.get(), sessions[n % len(sessions)])
        for n in range(clients)
    ]


def signed_in(person: object) -> str:
    client = Client()
    client.force_login(person, backend="django.contrib.auth.backends.ModelBackend")
    return client.cookies[settings.SESSION_COOKIE_NAME].value


async def _run(
    people: Sequence[tuple[RequestedProcedure, str]], addresses: Sequence[str], rounds: int, chance: random.Random
) -> Race:
    race = Race()
    started = time.monotonic()
    runners = [
        Runner(
            procedure,
            httpx.AsyncClient(
                base_url=addresses[number % len(addresses)],
                cookies={settings.SESSION_COOKIE_NAME: session},
                headers={"Origin": addresses[number % len(addresses)]},
                timeout=180,
            ),
        )
        for number, (procedure, session) in enumerate(people)
    ]
    try:
        await asyncio.gather(*(runner.look() for runner in runners))
        for _ in range(rounds):
            race.rounds.append(await _round(runners, race, chance))
            await asyncio.to_thread(settle, chance, timezone.now())
    finally:
        for runner in runners:
            await runner.http.aclose()
    race.seconds = time.monotonic() - started
    return race


async def _round(runners: list[Runner], race: Race, chance: random.Random) -> Round:
    chance.shuffle(runners)
    fresh, stale = runners[: len(runners) // 2], runners[len(runners) // 2 :]
    await asyncio.gather(*(runner.look() for runner in fresh))
    wanted = sorted(set(fresh[0].choices).intersection(*(runner.choices for runner in runners)))
    slot = chance.choice(wanted)
    order = [*fresh, *stale]
    chance.shuffle(order)
    answers = await asyncio.gather(*(runner.press(slot) for runner in order))
    won = [runner for runner, answer in zip(order, answers, strict=True) if answer.status_code == 302]
    race.stale_winners += sum(runner in stale for runner in won)
    return Round(
        winners=len(won),
        shown_others=sum(
            answer.status_code == 409 and "Nothing was changed" in answer.text and bool(CHOICE.search(answer.text))
            for answer in answers
        ),
        answers=Counter(answer.status_code for answer in answers),
    )


def settle(chance: random.Random, now: datetime) -> None:
    """Between rounds somebody lets go, books and cancels, or moves away: the slot is there for the next round."""
    from django.db import connection

    try:
        for row in Appointment.objects.filter(state="held").select_related("site", "referral", "procedure__referral"):
            what = chance.choice(["let go", "cancel", "move"])
            if what == "let go":
                booking.let_go(row, now=now, by=BY)
                continue
            booking.confirm(row, now=now, by=BY)
            if what == "move":
                offers = [o for o in booking.offers_for(row.procedure, now=now) if o.arrival_at != row.arrival_at]
                moved = booking.move(
                    row, chance.choice(offers).choice, cause=Cause(CauseCode.LIST_OVERRUN, Initiator.PROVIDER),
                    now=now, by=BY,
                )  # fmt: skip
                assert isinstance(moved, Appointment), moved
                row = moved
            booking.cancel(row, cause=Cause(CauseCode.UNWELL, Initiator.PATIENT), now=now, by=BY)
    finally:
        connection.close()


@contextmanager
def web_processes(count: int) -> Iterator[list[str]]:
    """As many separate web processes as asked for, on ports of their own, on the database of DATABASE_URL."""
    ports = [free_port() for _ in range(count)]
    environment = {
        **os.environ,
        "DJANGO_SETTINGS_MODULE": "gantry.config.settings",
        "GANTRY_SECRET_KEY": settings.SECRET_KEY,
        "PYTHONUNBUFFERED": "1",
    }
    # A file each, for a pipe that nobody reads fills up with refusals and then holds its process for ever.
    outputs = [tempfile.TemporaryFile() for _ in ports]  # noqa: SIM115 - closed when their processes have ended
    started = [
        subprocess.Popen(
            [
                *(sys.executable, "-m", "granian", "--interface", "wsgi", "--no-access-log", "--log-level", "warning"),
                *("--host", "127.0.0.1", "--port", str(port), "--workers", "1", "--blocking-threads", "4"),
                "gantry.config.wsgi:application",
            ],
            cwd=ROOT,
            env=environment,
            stdout=said,
            stderr=subprocess.STDOUT,
        )
        for port, said in zip(ports, outputs, strict=True)
    ]
    addresses = [f"http://127.0.0.1:{port}" for port in ports]
    try:
        for process, said, address in zip(started, outputs, addresses, strict=True):
            answering(process, said, address)
        yield addresses
    finally:
        for process in started:
            process.terminate()
        for process in started:
            try:
                process.wait(timeout=15)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        for said in outputs:
            said.close()


def answering(process: subprocess.Popen[bytes], said: IO[bytes], address: str) -> None:
    deadline = time.monotonic() + STARTS_WITHIN_SECONDS
    while time.monotonic() < deadline:
        if process.poll() is not None:
            said.seek(0)
            raise NotStarted(said.read().decode(errors="replace")[-2000:])
        try:
            httpx.get(f"{address}/healthz", timeout=5)
            return
        except httpx.TransportError:
            time.sleep(0.1)
    raise NotStarted(f"{address} did not answer within {STARTS_WITHIN_SECONDS:.0f} seconds")


def free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])

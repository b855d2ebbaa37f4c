"""A running Gantry for a journey: its own processes on free ports, its images in a folder, a clock to turn."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

import httpx
from django.conf import settings
from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY
from django.contrib.sessions.backends.db import SessionStore
from playwright.sync_api import Browser, Page

from gantry.apps.accounts.models import Person
from tests.gateways.peers import free_port, wait_for_port
from tests.journeys.axe import assert_accessible, assert_fits
from tests.journeys.clocked import FILE, honest_now, turned_now

ROOT = Path(__file__).resolve().parents[2]
WAIT_S = 30.0
PATIENCE_S = 0.05
PAGE_MS = 15_000


@dataclass
class House:
    """The processes, by name, and where they answer."""

    folder: Path
    clock: Path
    web_port: int
    dicom_port: int
    mllp_port: int
    environment: dict[str, str]
    running: dict[str, "subprocess.Popen[bytes]"] = field(default_factory=dict)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.web_port}"

    @property
    def images(self) -> Path:
        return self.folder / "images"

    def now(self) -> datetime:
        return turned_now()

    def turn(self, to: datetime) -> None:
        """Turn every process's clock to a moment; from there it runs on."""
        draft = self.clock.with_suffix(".new")
        draft.write_text(str((to - honest_now()).total_seconds()))
        draft.replace(self.clock)

    def pass_time(self, **span: float) -> None:
        self.turn(self.now() + timedelta(**span))

    def start(self, *names: str) -> None:
        """All of them at once, then each is waited for."""
        for name in names:
            self.launch(name)
        for name in names:
            self.wait_for(name)

    def launch(self, name: str) -> None:
        log = open(self.folder / f"{name}.log", "ab")  # noqa: SIM115 - the child holds it
        self.running[name] = subprocess.Popen(
            [sys.executable, "-m", "tests.journeys.clocked", name],
            cwd=ROOT,
            env=self.environment,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
        log.close()

    def wait_for(self, name: str) -> None:
        port = {"web": self.web_port, "dicom": self.dicom_port, "mllp": self.mllp_port}.get(name)
        if port:
            wait_for_port(port, self.running[name])
        if name == "web":
            until(lambda: httpx.get(f"{self.url}/healthz").status_code == 200)

    def kill(self, name: str) -> None:
        """As a power cut does: the process and its own children, with no time to tidy up."""
        process = self.running.pop(name)
        os.killpg(process.pid, signal.SIGKILL)
        process.wait(10)

    def stop(self) -> None:
        for process in self.running.values():
            process.terminate()
        for process in self.running.values():
            try:
                process.wait(15)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait(5)
        self.running.clear()

    def said(self, name: str) -> str:
        return (self.folder / f"{name}.log").read_text(errors="replace")


def until(true: object, *, within_s: float = WAIT_S, what: str = "it") -> None:
    """Wait for a condition; a condition that raises is not yet true."""
    deadline = time.monotonic() + within_s
    last: Exception | None = None
    while time.monotonic() < deadline:
        try:
            if true():  # type: ignore[operator]
                return
            last = None
        except Exception as error:
            last = error
        time.sleep(PATIENCE_S)
    raise AssertionError(f"{what} did not come true within {within_s:.0f} s") from last


@contextmanager
def open_house(folder: Path, *names: str, at: datetime) -> Iterator[House]:
    clock = folder / "clock"
    ports = {"GANTRY_WEB_PORT": free_port(), "GANTRY_DICOM_PORT": free_port(), "GANTRY_MLLP_PORT": free_port()}
    settings.IMAGES_ROOT = folder / "images"
    environment = os.environ | {name: str(port) for name, port in ports.items()}
    environment |= {
        "GANTRY_VAR": str(folder),
        "GANTRY_IMAGES": str(folder / "images"),
        "GANTRY_IMAGES_FSYNC": "0",
        "GANTRY_DEMONSTRATION": "0",
        "GANTRY_SECRET_KEY": settings.SECRET_KEY,
        "GANTRY_LOG_LEVEL": "WARNING",
        "DJANGO_SETTINGS_MODULE": "gantry.config.settings",
        "PYTHONUNBUFFERED": "1",
        FILE: str(clock),
    }
    os.environ[FILE] = str(clock)
    house = House(folder, clock, *ports.values(), environment)
    house.turn(at)
    try:
        house.start(*names)
        yield house
    finally:
        house.stop()
        del os.environ[FILE]


@dataclass
class Seat:
    """One signed-in person's browser. Every page opened through it is judged, wide and narrow."""

    house: House
    person: Person
    page: Page
    broken: list[str] = field(default_factory=list)

    def open(self, path: str) -> Page:
        try:
            answer = self.page.goto(path if path.startswith("http") else self.house.url + path)
            assert answer is not None and answer.status < 400, f"{path}: {answer and answer.status}"
            assert "/accounts/login/" not in self.page.url, "signed out"
        except Exception as error:
            raise AssertionError(f"{path}\n{self.house.said('web')[-3000:]}") from error
        self.judge()
        return self.page

    def judge(self) -> None:
        assert_accessible(self.page)
        self.page.set_viewport_size({"width": 320, "height": 800})
        assert_accessible(self.page)
        assert_fits(self.page)
        self.page.set_viewport_size({"width": 1280, "height": 900})

    def press(self, name: str, *, exact: bool = False) -> None:
        """Press a button or follow a link by its words, and judge what comes."""
        found = self.page.get_by_role("button", name=name, exact=exact)
        found = found.or_(self.page.get_by_role("link", name=name, exact=exact))
        found.first.click()
        self.page.wait_for_load_state("load")
        self.judge()


@contextmanager
def seat(house: House, browser: Browser, person: Person) -> Iterator[Seat]:
    context = browser.new_context(locale="en-GB", timezone_id="Europe/London")
    session = SessionStore()
    session[SESSION_KEY] = str(person.pk)
    session[BACKEND_SESSION_KEY] = "django.contrib.auth.backends.ModelBackend"
    session[HASH_SESSION_KEY] = person.get_session_auth_hash()
    session.save()
    context.add_cookies([{"name": settings.SESSION_COOKIE_NAME, "value": session.session_key, "url": house.url}])
    page = context.new_page()
    taken = Seat(house, person, page)
    page.on("pageerror", lambda error: taken.broken.append(str(error)))
    page.set_default_timeout(PAGE_MS)
    try:
        yield taken
        assert not taken.broken, f"the page's own script broke: {taken.broken}"
    except Exception as error:
        error.add_note(f"{page.url}\n{page.inner_text('body')[:2000]}")
        raise
    finally:
        context.close()

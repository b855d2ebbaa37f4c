"""Keeps every process of one installation alive, and stops them in order with PostgreSQL last."""

import ctypes
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from gantry.cli.postgres import PostgresUnavailable, Server

TICK_SECONDS = 0.2
LONGEST_WAIT_SECONDS = 30.0
SETTLED_SECONDS = 60.0
LARGEST_LOG_BYTES = 20_000_000
PR_SET_PDEATHSIG = 1


@dataclass(slots=True)
class Child:
    name: str
    command: Sequence[str]
    stop_seconds: float = 10
    once: bool = False
    """Done when it ends well; started again, like any other, when it does not."""
    process: subprocess.Popen[bytes] | None = None
    started: float = 0.0
    deaths: int = 0
    start_at: float = 0.0
    finished: bool = False


@dataclass(slots=True)
class Supervisor:
    server: Server
    environment: Mapping[str, str]
    logs: Path
    say: Callable[[str], None]
    children: list[Child] = field(default_factory=list)
    stopping: threading.Event = field(default_factory=threading.Event)
    database_start_at: float = 0.0
    database_deaths: int = 0

    def obey_signals(self) -> None:
        """A second Ctrl-C adds nothing: stopping is already as quick as it can be without losing work."""
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, lambda *_: self.stopping.set())

    def start(self, child: Child) -> None:
        self.children.append(child)
        self._spawn(child)

    def run_once(self, child: Child) -> bool:
        """Run to the end, in sight; False when it failed or we were told to stop."""
        child.once = True
        self._spawn(child)
        while child.process is not None and child.process.poll() is None:
            if self.stopping.wait(0.05):
                self._stop(child)
                return False
        return child.process is not None and child.process.returncode == 0

    def watch(self, each_tick: Callable[[], None]) -> None:
        while not self.stopping.is_set():
            self._mend_the_database()
            for child in self.children:
                self._mend(child)
            each_tick()
            self.stopping.wait(TICK_SECONDS)

    def stop(self) -> None:
        for child in reversed(self.children):
            self._stop(child)
        self.server.stop()

    def _spawn(self, child: Child) -> None:
        # In a session of its own, so that Ctrl-C reaches only us and a dead child's own children can be found.
        log = None if child.once else self._log(child)
        parent = os.getpid()
        child.process = subprocess.Popen(
            child.command,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            env=dict(self.environment),
            start_new_session=True,
            preexec_fn=lambda: _die_with(parent),
        )
        if log is not None:
            os.close(log)
        child.started = time.monotonic()

    def _log(self, child: Child) -> int:
        self.logs.mkdir(parents=True, exist_ok=True)
        path = self.logs / f"{child.name}.log"
        if path.exists() and path.stat().st_size > LARGEST_LOG_BYTES:
            path.rename(path.with_suffix(".log.1"))
        return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)

    def _mend(self, child: Child) -> None:
        if child.finished:
            return
        now = time.monotonic()
        if child.process is None:
            if now >= child.start_at:
                self._spawn(child)
            return
        status = child.process.poll()
        if status is None:
            return
        _kill_group(child.process.pid)
        child.process = None
        if child.once and status == 0:
            child.finished = True
            return
        child.deaths = 1 if now - child.started > SETTLED_SECONDS else child.deaths + 1
        wait = _back_off(child.deaths)
        child.start_at = now + wait
        self.say(f"{child.name} {_ending(status)}; starting it again in {wait:g} s (time {child.deaths})")
        if not child.once and child.deaths > 1 and (last := self._last_words(child)):
            self.say(f"  its log ends: {last}")

    def _last_words(self, child: Child) -> str:
        try:
            lines = (self.logs / f"{child.name}.log").read_text(errors="replace")[-4000:].split("\n")
        except OSError:
            return ""
        return next((line for line in reversed(lines) if line.strip()), "")

    def _mend_the_database(self) -> None:
        now = time.monotonic()
        if now < self.database_start_at or self.server.running():
            return
        self.say("PostgreSQL has gone; starting it again")
        try:
            self.server.start()
            self.database_deaths = 0
            self.say("PostgreSQL is back")
        except (PostgresUnavailable, OSError) as failure:
            self.database_deaths += 1
            wait = _back_off(self.database_deaths)
            self.database_start_at = now + wait
            self.say(f"PostgreSQL did not start; trying again in {wait:g} s\n{failure}")

    def _stop(self, child: Child) -> None:
        if child.process is None:
            return
        child.process.terminate()
        try:
            child.process.wait(child.stop_seconds)
        except subprocess.TimeoutExpired:
            self.say(f"{child.name} did not end within {child.stop_seconds:g} s and was killed")
        _kill_group(child.process.pid)
        child.process.wait()
        child.process = None


def _back_off(deaths: int) -> float:
    return min(LONGEST_WAIT_SECONDS, 0.5 * 2.0 ** min(deaths - 1, 10))


def _ending(status: int) -> str:
    if status < 0:
        return f"was ended by {signal.Signals(-status).name}"
    return f"ended with status {status}"


def _kill_group(pid: int) -> None:
    try:
        os.killpg(pid, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        pass


def _die_with(parent: int) -> None:
    """Where the system offers it, a child is told to end when its supervisor is killed without a chance to say so."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
        if os.getppid() != parent:
            os._exit(1)

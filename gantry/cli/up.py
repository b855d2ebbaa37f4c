"""Brings a whole installation up: database, tables, processes, demonstration, and the lines that say where it is."""

import fcntl
import http.client
import os
import socket
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

import psycopg

from gantry.cli.places import ROOT, VAR, var
from gantry.cli.postgres import Cluster, PostgresUnavailable, Server, chosen, remember_url
from gantry.cli.processes import STOP_SECONDS, Process, address, environment
from gantry.cli.supervisor import Child, Supervisor

SLOW_START_SECONDS = 60


class Refused(Exception):
    """Cannot start; the message says why and what to do."""


def say(line: str) -> None:
    print(line, flush=True)


def bring_up(*, demonstration: bool) -> int:
    began = time.monotonic()
    try:
        lock = only_one()
        _ports_are_free()
        server = chosen()
    except (Refused, PostgresUnavailable) as refusal:
        say(str(refusal))
        return 1
    with lock:
        supervisor = Supervisor(server, {}, VAR / "log", say)
        supervisor.obey_signals()
        try:
            supervisor.environment = environment(_database(server))
            return _run(supervisor, demonstration=demonstration, began=began)
        except (PostgresUnavailable, psycopg.OperationalError) as failure:
            say(f"The database cannot be used: {failure}")
            return 1
        finally:
            say("Stopping")
            supervisor.stop()
            say("Stopped; nothing is lost")


def _run(supervisor: Supervisor, *, demonstration: bool, began: float) -> int:
    if not supervisor.run_once(Child("migrate", gantry("migrate"))):
        return 0 if supervisor.stopping.is_set() else 1
    for process in (Process.WORKER, Process.WEB, Process.DICOM, Process.MLLP):
        supervisor.start(Child(process, gantry("serve", process), stop_seconds=STOP_SECONDS[process]))
    supervisor.watch(Announcement(supervisor, began, demonstration=demonstration))
    return 0


@dataclass(slots=True)
class Announcement:
    """Says where everything is once it answers, then lets the demonstration fill behind it."""

    supervisor: Supervisor
    began: float
    demonstration: bool
    made: bool = False
    complained: bool = False
    silent: list[Process] = field(default_factory=lambda: list(Process))

    def __call__(self) -> None:
        if self.made:
            return
        self.silent = [process for process in self.silent if not answers(process)]
        took = time.monotonic() - self.began
        if self.silent:
            if took > SLOW_START_SECONDS and not self.complained:
                self.complained = True
                say(f"Still no answer from {', '.join(self.silent)}; see {_shown(VAR / 'log')}")
            return
        self.made = True
        say(f"\nGantry answers after {took:.1f} s\n{addresses()}")
        if self.demonstration:
            self.supervisor.run_once(Child("signins", gantry("signins")))
            say("Ctrl-C stops everything\n")
            self.supervisor.start(Child("messenger", gantry("emulate", "messenger"), stop_seconds=3))
            self.supervisor.start(Child("demo", gantry("demo"), once=True))
        else:
            say("Ctrl-C stops everything\n")


def addresses() -> str:
    web, dicom, mllp = (f"{found.host}:{found.port}" for process in Process if (found := address(process)))
    title = os.environ.get("GANTRY_AE_TITLE", "GANTRY")
    lines = {
        "Pages": f"http://{web}/",
        "FHIR R4": f"http://{web}/fhir/R4/metadata",
        "DICOM": f"AE title {title} at {dicom} (worklist, performed steps, storage)",
        "HL7 v2": f"MLLP at {mllp}",
        "Logs": _shown(VAR / "log"),
    }
    return "\n".join(f"  {name:<9}{where}" for name, where in lines.items())


def answers(process: Process) -> bool:
    where = address(process)
    if where is None:
        return True
    if process is not Process.WEB:
        return _listens(where.host, where.port)
    connection = http.client.HTTPConnection(_near(where.host), where.port, timeout=10)
    try:
        connection.request("GET", "/", headers={"Host": "localhost"})
        return connection.getresponse().status < 500
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def gantry(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "gantry.cli", *arguments]


def _database(server: Server) -> str:
    server.start()
    url = server.ensure_database("gantry") if isinstance(server, Cluster) else server.address
    remember_url(url)
    return url


def only_one() -> IO[str]:
    lock = open(var() / "up.lock", "a+")  # noqa: SIM115 - held for as long as we run; the kernel lets go of it
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        lock.seek(0)
        holder = lock.read().strip()
        lock.close()
        raise Refused(
            f"Gantry is already running here, as process {holder}:\n{addresses()}\n"
            f"Stop it with Ctrl-C where it runs, or `kill {holder}`."
        ) from None
    lock.truncate(0)
    lock.write(str(os.getpid()))
    lock.flush()
    return lock


def _ports_are_free() -> None:
    """A killed supervisor's children take a moment to go, so a taken port is given that moment."""
    deadline = time.monotonic() + 10
    while taken := [found for process in Process if (found := address(process)) and _listens(found.host, found.port)]:
        if time.monotonic() > deadline:
            found = taken[0]
            raise Refused(
                f"Port {found.port} is taken by another program: end it, or choose another with {found.variable}=…"
            )
        time.sleep(0.2)


def _listens(host: str, port: int) -> bool:
    try:
        socket.create_connection((_near(host), port), timeout=2).close()
    except OSError:
        return False
    return True


def _near(host: str) -> str:
    return {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)


def _shown(path: Path) -> str:
    return str(path.relative_to(ROOT)) if path.is_relative_to(ROOT) else str(path)

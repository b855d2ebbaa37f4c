"""A whole installation: started once more in seconds, alive after any kill, quiet after Ctrl-C, and safe to restore."""

import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import psycopg
import pytest

from gantry.cli.processes import PORTS, Process

GANTRY = [sys.executable, "-m", "gantry.cli"]
ROOT = Path(__file__).resolve().parents[2]


PATIENCE_S = 240
"""A first start makes a cluster and migrates it, on a machine that others use as well: what never comes is still said."""


@dataclass
class Installation:
    place: Path
    environment: dict[str, str]
    running: list[subprocess.Popen[str]] = field(default_factory=list)

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*GANTRY, *arguments],
            cwd=ROOT,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=PATIENCE_S,
            check=False,
        )

    def up(self) -> subprocess.Popen[str]:
        said = open(self.place / "said", "w")  # noqa: SIM115 - closed as soon as the child holds it
        process = subprocess.Popen(
            [*GANTRY, "up", "--no-demonstration"],
            cwd=ROOT,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=said,
            stderr=said,
            text=True,
            start_new_session=True,
        )
        said.close()
        self.running.append(process)
        self.until(lambda: "Gantry answers" in self.said())
        return process

    def said(self) -> str:
        return (self.place / "said").read_text()

    def until(self, condition: Callable[[], bool]) -> None:
        deadline = time.monotonic() + PATIENCE_S
        while not condition():
            assert time.monotonic() < deadline, self.said()
            time.sleep(0.1)

    def listens(self, process: Process) -> bool:
        try:
            socket.create_connection(("127.0.0.1", int(self.environment[PORTS[process][0]])), timeout=5).close()
        except OSError:
            return False
        return True

    def url(self) -> str:
        return (self.place / "database_url").read_text()

    def ask(self, question: str) -> list[tuple[object, ...]]:
        with psycopg.connect(self.url(), autocommit=True) as connection:
            found = connection.execute(question)
            return found.fetchall() if found.description else []

    def answers(self) -> bool:
        try:
            return self.ask("SELECT 1") == [(1,)]
        except psycopg.OperationalError:
            return False


@pytest.fixture
def installation(place: Path) -> Iterator[Installation]:
    kept = {name: value for name, value in os.environ.items() if name not in {"DATABASE_URL", "GANTRY_SECRET_KEY"}}
    ports = {}
    held = [socket.create_server(("127.0.0.1", 0)) for _ in PORTS]
    for (variable, _), listener in zip(PORTS.values(), held, strict=True):
        ports[variable] = str(listener.getsockname()[1])
        listener.close()
    installation = Installation(place, kept | ports | {"GANTRY_VAR": str(place)})
    yield installation
    for process in installation.running:
        if process.poll() is None:
            process.terminate()
            process.wait(90)


def children(of: int) -> dict[str, int]:
    """What `gantry up` keeps, by the word in its command line that tells it from the others."""
    listed = subprocess.run(["ps", "-o", "pid=,args=", "--ppid", str(of)], capture_output=True, text=True, check=False)
    words = {"granian": "web", "procrastinate": "worker", "serve_dicom": "dicom", "serve_mllp": "mllp"}
    found = {}
    for line in listed.stdout.splitlines():
        pid, _, command = line.strip().partition(" ")
        for word, name in words.items():
            if re.search(rf"\b{word}\b", command):
                found[name] = int(pid)
    return found


@pytest.mark.journey
def test_an_installation_outlives_every_kill_and_stops_when_told(installation: Installation) -> None:
    first = installation.up()
    secret = (installation.place / "secret_key").read_text()
    installation.ask("CREATE TABLE kept (n int); INSERT INTO kept VALUES (7)")

    second = installation.run("up")
    assert second.returncode == 1
    assert f"already running here, as process {first.pid}" in second.stdout

    assert "Warning" not in (installation.place / "log" / "web.log").read_text()

    before = children(first.pid)
    assert sorted(before) == ["dicom", "mllp", "web", "worker"]
    for pid in before.values():
        os.kill(pid, signal.SIGKILL)
    installation.until(
        lambda: len(after := children(first.pid)) == 4 and not set(after.values()) & set(before.values())
    )
    for process in PORTS:
        installation.until(lambda process=process: installation.listens(process))

    postmaster = next(installation.place.glob("pg/*/postmaster.pid"))
    os.kill(int(postmaster.read_text().split()[0]), signal.SIGKILL)
    installation.until(installation.answers)
    assert installation.ask("SELECT n FROM kept") == [(7,)]

    # The supervisor itself: its children go with it, and the next start takes over the database it left.
    first.kill()
    first.wait()
    began = time.monotonic()
    third = installation.up()
    assert time.monotonic() - began < 60
    assert installation.ask("SELECT n FROM kept") == [(7,)]
    assert (installation.place / "secret_key").read_text() == secret

    third.send_signal(signal.SIGINT)
    assert third.wait(90) == 0
    assert "\nStopping\n" in installation.said()
    assert installation.said().endswith("Stopped; nothing is lost\n")
    assert not postmaster.exists()
    assert not any(installation.listens(process) for process in PORTS)


@pytest.mark.journey
def test_a_taken_port_is_named_with_the_variable_that_moves_it(installation: Installation) -> None:
    with socket.create_server(("127.0.0.1", int(installation.environment["GANTRY_MLLP_PORT"]))):
        refused = installation.run("up")
    assert refused.returncode == 1
    assert "choose another with GANTRY_MLLP_PORT=" in refused.stdout


def test_a_backup_is_put_back_beside_what_it_replaces(installation: Installation) -> None:
    backup = installation.place / "kept.dump"
    assert "No database yet" in installation.run("migrate").stderr
    start = (
        "from gantry.cli.postgres import chosen, remember_url\n"
        "server = chosen(); server.start(); remember_url(server.ensure_database('gantry'))"
    )
    subprocess.run([sys.executable, "-c", start], cwd=ROOT, env=installation.environment, check=True)
    try:
        installation.ask("CREATE TABLE kept (n int); INSERT INTO kept VALUES (7)")
        assert installation.run("backup", str(backup)).returncode == 0
        assert backup.stat().st_mode & 0o077 == 0
        installation.ask("UPDATE kept SET n = 8")
        assert installation.run("restore", str(backup)).returncode == 0

        spoilt = installation.place / "spoilt.dump"
        spoilt.write_bytes(backup.read_bytes()[:200])
        refused = installation.run("restore", str(spoilt))
        assert refused.returncode != 0
        assert "Nothing has changed" in refused.stdout

        subprocess.run([sys.executable, "-c", start], cwd=ROOT, env=installation.environment, check=True)
        assert installation.ask("SELECT n FROM kept") == [(7,)]
        aside = installation.ask("SELECT datname FROM pg_database WHERE datname LIKE 'gantry_before%'")
        assert len(aside) == 1
    finally:
        stop = "from gantry.cli.postgres import chosen; chosen().stop()"
        subprocess.run([sys.executable, "-c", stop], cwd=ROOT, env=installation.environment, check=True)

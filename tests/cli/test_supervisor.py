"""The supervisor's promises, kept with small children: started again, never silently, and stopped in order."""

import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from gantry.cli.postgres import PostgresUnavailable, Server
from gantry.cli.supervisor import Child, Supervisor, _back_off

PATIENT = "import signal, sys, time; signal.signal(signal.SIGTERM, lambda *_: sys.exit(0)); print('up', flush=True)\n"
STAYS = [sys.executable, "-c", PATIENT + "time.sleep(600)"]


class Database(Server):
    """Stands for PostgreSQL: goes when told to, and may refuse to come back a few times."""

    def __init__(self, order: list[str]) -> None:
        self.order, self.up, self.refusals = order, True, 0

    def start(self) -> None:
        if self.refusals:
            self.refusals -= 1
            raise PostgresUnavailable("not yet")
        self.up = True

    def running(self) -> bool:
        return self.up

    def stop(self) -> None:
        self.order.append("database")


class Watched:
    def __init__(self, logs: Path) -> None:
        self.said: list[str] = []
        self.order: list[str] = []
        self.database = Database(self.order)
        self.supervisor = Supervisor(self.database, dict(os.environ), logs, self.said.append)

    def watch_until(self, condition: Callable[[], bool]) -> None:
        deadline = time.monotonic() + 30

        def stop_when_met() -> None:
            if condition() or time.monotonic() > deadline:
                self.supervisor.stopping.set()

        self.supervisor.stopping.clear()
        self.supervisor.watch(stop_when_met)
        assert condition(), self.said


@pytest.fixture
def watched(tmp_path: Path) -> Iterator[Watched]:
    watched = Watched(tmp_path)
    yield watched
    watched.supervisor.stop()


def up(child: Child, than: int | None = None) -> bool:
    return child.process is not None and child.process.poll() is None and child.process.pid != than


def test_a_child_killed_without_warning_comes_back_and_is_spoken_of(watched: Watched) -> None:
    child = Child("web", STAYS)
    watched.supervisor.start(child)
    first = child.process.pid if child.process else 0
    os.kill(first, signal.SIGKILL)
    watched.watch_until(lambda: up(child, than=first))
    assert watched.said == ["web was ended by SIGKILL; starting it again in 0.5 s (time 1)"]


def test_what_a_dead_child_had_started_goes_with_it(watched: Watched, tmp_path: Path) -> None:
    note = tmp_path / "grandchild"
    program = (
        "import pathlib, subprocess, sys, time\n"
        "grandchild = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'])\n"
        f"pathlib.Path({str(note)!r}).write_text(str(grandchild.pid))\n"
        "time.sleep(600)"
    )
    child = Child("web", [sys.executable, "-c", program])
    watched.supervisor.start(child)
    watched.watch_until(lambda: note.exists() and note.read_text() != "")
    grandchild = int(note.read_text())
    first = child.process.pid if child.process else 0
    os.kill(first, signal.SIGKILL)
    watched.watch_until(lambda: up(child, than=first))
    assert _gone(grandchild)


def test_a_child_that_cannot_start_is_tried_again_ever_more_slowly_with_its_last_words(watched: Watched) -> None:
    child = Child("dicom", [sys.executable, "-c", "raise SystemExit('port taken')"])
    watched.supervisor.start(child)
    watched.watch_until(lambda: child.deaths >= 3)
    assert "dicom ended with status 1; starting it again in 2 s (time 3)" in watched.said
    assert "  its log ends: port taken" in watched.said
    assert [_back_off(deaths) for deaths in (1, 2, 7, 1000)] == [0.5, 1.0, 30.0, 30.0]


def test_a_child_that_is_done_is_not_started_again(watched: Watched) -> None:
    child = Child("demo", [sys.executable, "-c", ""], once=True)
    watched.supervisor.start(child)
    watched.watch_until(lambda: child.finished)
    assert child.process is None
    assert watched.said == []


def test_a_child_that_should_finish_but_fails_is_tried_again(watched: Watched, tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    program = f"import pathlib, sys; p = pathlib.Path({str(mark)!r}); sys.exit(0 if p.exists() else p.touch() or 3)"
    child = Child("demo", [sys.executable, "-c", program], once=True)
    watched.supervisor.start(child)
    watched.watch_until(lambda: child.finished)
    assert watched.said == ["demo ended with status 3; starting it again in 0.5 s (time 1)"]


def test_the_database_is_brought_back_however_often_it_refuses(watched: Watched) -> None:
    watched.database.up, watched.database.refusals = False, 2
    watched.watch_until(lambda: watched.database.up)
    assert sum(line.startswith("PostgreSQL did not start; trying again") for line in watched.said) == 2
    assert watched.said[-1] == "PostgreSQL is back"


def test_everything_stops_in_order_with_the_database_last(watched: Watched, tmp_path: Path) -> None:
    ends = tmp_path / "ends"
    for name in ("worker", "web", "dicom"):
        program = (
            "import signal, sys, time\n"
            "def end(*_):\n"
            f"    open({str(ends)!r}, 'a').write('{name} ')\n"
            "    sys.exit(0)\n"
            "signal.signal(signal.SIGTERM, end)\n"
            "print('up', flush=True)\n"
            "time.sleep(600)"
        )
        watched.supervisor.start(Child(name, [sys.executable, "-c", program]))
    watched.watch_until(lambda: all((tmp_path / f"{n}.log").read_text() == "up\n" for n in ("worker", "web", "dicom")))
    watched.supervisor.stop()
    assert ends.read_text().split() == ["dicom", "web", "worker"]
    assert watched.order == ["database"]


def test_a_child_that_will_not_end_is_killed_and_that_is_said(watched: Watched, tmp_path: Path) -> None:
    deaf = (
        "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up', flush=True); time.sleep(600)"
    )
    child = Child("mllp", [sys.executable, "-c", deaf], stop_seconds=0.3)
    watched.supervisor.start(child)
    watched.watch_until(lambda: (tmp_path / "mllp.log").read_text() == "up\n")
    watched.supervisor.stop()
    assert watched.said == ["mllp did not end within 0.3 s and was killed"]


def test_stopping_does_not_wait_for_the_first_step_to_end(watched: Watched) -> None:
    threading.Timer(0.3, watched.supervisor.stopping.set).start()
    assert not watched.supervisor.run_once(Child("migrate", STAYS))


def _gone(pid: int) -> bool:
    for _ in range(100):
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
        except OSError:
            return True
        if state == "Z":
            return True
        time.sleep(0.05)
    return False

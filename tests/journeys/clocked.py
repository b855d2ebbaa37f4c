"""Runs one process of Gantry under a clock that a journey can turn: what it says is real but for the time of day.

`python -m tests.journeys.clocked web|worker|dicom|mllp`; the file named by GANTRY_JOURNEY_CLOCK holds the offset, in
seconds, from the machine's clock.
"""

import os
import sys
from datetime import datetime, timedelta
from pathlib import Path

from django.utils import timezone

FILE = "GANTRY_JOURNEY_CLOCK"
honest_now = timezone.now


def turned_now() -> datetime:
    return honest_now() + timedelta(seconds=float(Path(os.environ[FILE]).read_text()))


def turn_clock() -> None:
    """Before anything of Gantry is imported, so that nobody holds the honest one."""
    timezone.now = turned_now


def main(process: str) -> None:
    turn_clock()
    from gantry.cli.processes import Process, command

    program = command(Process(process))
    if process == "web":
        os.execve(program[0], [*program[:-1], "tests.journeys.clocked_web:application"], os.environ)
    from django.core.management import execute_from_command_line

    execute_from_command_line(["manage.py", *program[3:]])


if __name__ == "__main__":
    main(sys.argv[1])

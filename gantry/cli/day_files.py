"""What the commands about days read from files, and how they refuse what is not one."""

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

import typer

from gantry.domain.scheduling.files import Refused, read_day, read_plan
from gantry.domain.scheduling.problem import Day, Plan


def read(path: Path) -> object:
    try:
        return json.loads(path.read_text())
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        refuse(f"{path.name} is not JSON:", [str(error)])


def day_of(path: Path) -> Day:
    return checked_day(path.name, read(path))


def day_in(path: Path, data: object) -> Day:
    inner = data.get("day") if isinstance(data, dict) else None
    return checked_day(f"{path.name} at /day", inner)


def checked_day(name: str, data: object) -> Day:
    found = read_day(data)
    if isinstance(found, Refused):
        refuse(f"{name} is not a day:", [str(fault) for fault in found.faults])
    return found


def plan_of(day: Day, path: Path, data: object) -> Plan:
    found = read_plan(day, data)
    if isinstance(found, Refused):
        refuse(f"{path.name} is not a plan:", [str(fault) for fault in found.faults])
    return found


def refuse(headline: str, lines: Sequence[str]) -> NoReturn:
    print(headline, file=sys.stderr)
    for line in lines:
        print(f"  {line}", file=sys.stderr)
    raise typer.Exit(1)

"""Decides what became of a check: passed, failed, or not asked and why."""

import time
import traceback
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path


class Verdict(StrEnum):
    PASSED = "passed"
    FAILED = "failed"
    NOT_ASKED = "not asked"


@dataclass(frozen=True, slots=True)
class Found:
    """What a check saw. It passed when there is no fault; notes are what a reader should know all the same."""

    said: str
    faults: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Check:
    """One check of the README. `wants` are patterns below the folder: any file of each must be there."""

    name: str
    title: str
    wants: tuple[str, ...]
    run: Callable[[Path], Found] | None = None
    """None while nothing of ours answers to it yet; `later` then says why."""
    later: str = ""


@dataclass(frozen=True, slots=True)
class Row:
    name: str
    title: str
    verdict: Verdict
    seconds: float
    found: Found


def judge(checks: Iterable[Check], data: Path) -> Iterator[Row]:
    for check in checks:
        began = time.monotonic()
        verdict, found = outcome(check, data)
        yield Row(check.name, check.title, verdict, time.monotonic() - began, found)


def outcome(check: Check, data: Path) -> tuple[Verdict, Found]:
    missing = [pattern for pattern in check.wants if not any(path.is_file() for path in data.glob(pattern))]
    if missing:
        return Verdict.NOT_ASKED, Found(f"no input: {', '.join(missing)}")
    if check.run is None:
        return Verdict.NOT_ASKED, Found(check.later)
    try:
        found = check.run(data)
    except Exception as error:
        return Verdict.FAILED, Found("the check itself fell", (fall(error),))
    return (Verdict.FAILED if found.faults else Verdict.PASSED), found


def fall(error: Exception) -> str:
    """Which error, in which of our lines."""
    frames = traceback.extract_tb(error.__traceback__)
    where = " > ".join(f"{Path(frame.filename).name}:{frame.lineno}" for frame in frames[-4:])
    return f"{type(error).__name__}: {error} ({where})"

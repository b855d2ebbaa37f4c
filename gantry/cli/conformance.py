"""Runs the conformance checks over a folder of input and prints a row and a time for each."""

import json
import logging
import sys
from pathlib import Path

from gantry.gateways.conformance.checks import CHECKS, chosen
from gantry.gateways.conformance.judging import Row, Verdict, judge

FAULTS_SHOWN = 20


def run(data: Path, *, only: tuple[str, ...] = (), as_json: bool = False) -> int:
    try:
        checks = chosen(only)
    except KeyError as unknown:
        known = ", ".join(check.name for check in CHECKS)
        print(f"No check called {unknown.args[0]}. There are: {known}", file=sys.stderr)
        return 2
    # The refusals provoked here are the point; the log would bury the rows.
    logging.disable(logging.ERROR)
    try:
        rows = []
        for row in judge(checks, data):
            print(as_line(row) if as_json else in_words(row), flush=True)
            rows.append(row)
    finally:
        logging.disable(logging.NOTSET)
    failed = [row.name for row in rows if row.verdict is Verdict.FAILED]
    if not as_json:
        passed = sum(row.verdict is Verdict.PASSED for row in rows)
        seconds = sum(row.seconds for row in rows)
        verdict = f"{len(failed)} failed: {', '.join(failed)}" if failed else "none failed"
        print(f"\n{passed} passed, {verdict}, {len(rows) - passed - len(failed)} not asked, in {seconds:.1f} s")
    return 1 if failed else 0


def in_words(row: Row) -> str:
    lines = [f"{row.name:<3} {row.verdict:<9} {row.seconds:7.2f} s  {row.title}: {row.found.said}"]
    faults = row.found.faults
    lines += [f"      ✗ {fault}" for fault in faults[:FAULTS_SHOWN]]
    if len(faults) > FAULTS_SHOWN:
        lines.append(f"      ✗ and {len(faults) - FAULTS_SHOWN} more")
    lines += [f"      · {note}" for note in row.found.notes]
    return "\n".join(lines)


def as_line(row: Row) -> str:
    return json.dumps(
        {
            "check": row.name,
            "title": row.title,
            "verdict": row.verdict,
            "seconds": round(row.seconds, 3),
            "said": row.found.said,
            "faults": list(row.found.faults),
            "notes": list(row.found.notes),
        },
        ensure_ascii=False,
    )

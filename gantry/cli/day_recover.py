"""`gantry day recover`: after a failure, up to three whole options in plain words, the best first."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from gantry.cli.day_files import day_of, plan_of, read, refuse
from gantry.domain.scheduling.failure_files import read_event
from gantry.domain.scheduling.files import Refused, write_plan
from gantry.domain.scheduling.problem import Day
from gantry.domain.scheduling.recovery import Move, Option
from gantry.reference.recovering import FASTING_BEFORE_ARRIVAL_MIN


def recover(
    day_file: Annotated[Path, typer.Argument(metavar="DAY.json", exists=True, dir_okay=False)],
    plan_file: Annotated[Path, typer.Argument(metavar="PLAN.json", exists=True, dir_okay=False)],
    event_file: Annotated[Path, typer.Argument(metavar="EVENT.json", exists=True, dir_okay=False)],
    out: Annotated[Path | None, typer.Option(metavar="PLAN.json", help="Where to keep the best option's plan.")] = None,
    seconds: Annotated[float, typer.Option(min=0.0, help="When to stop looking for better.")] = 0.5,
) -> None:
    """Say what can be done after a failure: who moves, how far, what it costs and what it still needs."""
    from gantry.solvers.recovery import options_after

    day = day_of(day_file)
    plan = plan_of(day, plan_file, read(plan_file))
    situation = read_event(day, plan, read(event_file))
    if isinstance(situation, Refused):
        refuse(f"{event_file.name} is not an event of this day:", [str(fault) for fault in situation.faults])
    fast = FASTING_BEFORE_ARRIVAL_MIN.value
    situation = replace(situation, rules=replace(situation.rules, fasting_before_min=fast))
    options = options_after(situation, seconds=seconds)
    if not options:
        refuse("No option without a fault was found", ())
    for number, option in enumerate(options, start=1):
        show(day, number, option)
    if out is not None:
        out.write_text(json.dumps(write_plan(options[0].day, options[0].plan), indent=1) + "\n")


def show(day: Day, number: int, option: Option) -> None:
    ready = "ready" if option.ready else "NOT READY"
    print(f"{number}. {option.title} ({ready}; decide by {day.clock(option.decide_by_min)})")
    print(f"   {option.extra_mbq:+,.0f} MBq, {option.extra_pence / 100:+,.2f} pounds")
    for move in option.moves:
        print(f"   {said(day, move)}")
    for patient, clock in option.clocks:
        print(f"   {patient}: {clock}")
    for need in option.needs:
        print(f"   Needs {need.kind.replace('_', ' ')}: {f'{need.patient} ' if need.patient else ''}{need.words}")
    if not option.moves:
        print("   Nobody moves.")


def said(day: Day, move: Move) -> str:
    was = f"{move.patient} ({move.standing.replace('_', ' ')}): {day.clock(move.was_min)}"
    if move.abandoned:
        return f"{was}, injected and NOT SCANNED: {move.why}"
    if move.now_min is None:
        return f"{was} to another day: {move.why}"
    place = f" at {move.now_place}" if move.other_place else ""
    sister = f" {move.now_scanner} at" if move.now_scanner else ""
    return f"{was} to{sister} {day.clock(move.now_min)}{place} ({move.minutes:+d} min)"

"""`gantry day replay` and `gantry day lift`: fail everything at every step of a day, from a file or out of the rows."""

import json
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Annotated

import typer

from gantry.cli.day_files import day_of, plan_of, read, refuse
from gantry.domain.scheduling.failure_files import read_event
from gantry.domain.scheduling.files import Refused


def replay(
    day_file: Annotated[Path, typer.Argument(metavar="DAY.json", exists=True, dir_okay=False)],
    plan_file: Annotated[Path, typer.Argument(metavar="PLAN.json", exists=True, dir_okay=False)],
    event_file: Annotated[Path, typer.Argument(metavar="EVENT.json", exists=True, dir_okay=False)],
    every: Annotated[int, typer.Option(min=1, help="Minutes between failures.")] = 15,
    seconds: Annotated[float, typer.Option(min=0.0, help="For each set of options.")] = 0.2,
    twice: Annotated[bool, typer.Option(help="Fail the next thing an hour after each.")] = True,
) -> None:
    """Fail each batch and each scanner at every step of a day: where does everybody end? Of the event only its people count."""
    from gantry.solvers.replay import End, by_kind, strikes, table

    day = day_of(day_file)
    plan = plan_of(day, plan_file, read(plan_file))
    base = read_event(day, plan, read(event_file))
    if isinstance(base, Refused):
        refuse(f"{event_file.name} is not an event of this day:", [str(fault) for fault in base.faults])
    sums = by_kind(strikes(base, every=every, seconds=seconds, twice=twice))
    for line in table(sums):
        print(line)
    wrong = [fault for each in sums.values() for fault in each.faults]
    lost = sum(each.ends[End.NOWHERE] for each in sums.values())
    if wrong or lost:
        refuse(f"{len(wrong)} faults, {lost} people not accounted for:", wrong[:20])


def lift(
    site: Annotated[str, typer.Argument(help="The site's ODS code.")],
    on: Annotated[str, typer.Argument(help="The local day, like 2026-11-24.")],
    out: Annotated[Path, typer.Option(file_okay=False, help="Where to put day.json, plan.json and event.json.")],
) -> None:
    """A day out of the database as three files, without names: to plan, check, recover and replay it elsewhere."""
    from gantry.cli import _with_django

    _with_django()
    from gantry.apps.estate.models import Site
    from gantry.apps.scheduling.services.lifting import lift as lifted

    try:
        local = date.fromisoformat(on)
    except ValueError:
        refuse(f"{on} is not a day like 2026-11-24", ())
    place = Site.objects.filter(ods_code=site).first()
    if place is None:
        refuse(f"No site has the code {site}", ())
    dawn = datetime.combine(local, datetime.min.time(), UTC) + timedelta(hours=5)
    made = lifted(place, local, now=dawn)
    out.mkdir(parents=True, exist_ok=True)
    for name, document in (("day", made.day), ("plan", made.plan), ("event", made.event)):
        (out / f"{name}.json").write_text(json.dumps(document, indent=1, sort_keys=True) + "\n")
    print(f"{len(made.day['patients'])} people, in {out}")

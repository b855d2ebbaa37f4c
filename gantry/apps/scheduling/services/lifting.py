"""A day out of the rows as a file can hold it: names of places, scanners and runs in short, people as numbers."""

import json
from dataclasses import asdict, dataclass, replace
from datetime import date, datetime, time
from typing import Any
from zoneinfo import ZoneInfo

from gantry.apps.estate.models import Site
from gantry.apps.scheduling.services.approving import rules_on
from gantry.apps.scheduling.services.building import Built, build, other_day, other_days
from gantry.apps.scheduling.services.happened import window_of
from gantry.apps.scheduling.services.widening import with_open_runs, with_other_tracers
from gantry.domain.scheduling.failures import Circumstances, Rules, Standing
from gantry.domain.scheduling.files import VERSION, write_day, write_plan
from gantry.domain.scheduling.problem import Plan

KNOWN_AT = time(7, 10)


@dataclass(frozen=True, slots=True)
class Lifted:
    """Three documents: the day, its plan, and an event with everybody's circumstances to start from."""

    day: dict[str, Any]
    plan: dict[str, Any]
    event: dict[str, Any]


def lift(site: Site, on: date, *, now: datetime) -> Lifted:
    """As it was planned, whatever has happened since: nobody has come yet, and uptake may use its whole window."""
    built = build(site, on, now=now, wide=True, happened=False)
    patients = tuple(
        replace(p, uptake=window_of(built.appointments[p.ref], p.uptake.target_min)) for p in built.day.patients
    )
    waiting = {ref: replace(facts, standing=Standing.AT_HOME) for ref, facts in built.circumstances.items()}
    built = with_other_tracers(replace(built, day=replace(built.day, patients=patients), circumstances=waiting))
    built, cut_offs = with_open_runs(built, now=now)
    rules = rules_on(built)
    offers = other_days(built, now=now)
    people = {
        ref: replace(
            facts,
            standing=None,
            other_day=other_day(offers[ref], built.appointments[ref], built.on) if ref in offers else None,
        )
        for ref, facts in built.circumstances.items()
    }
    day, plan = write_day(built.day), write_plan(built.day, Plan(built.plan.visits, built.plan.orders))
    first = min((v.injection_min, v.delivery) for v in built.plan.visits)[1] if built.plan.visits else ""
    event = {
        "version": VERSION,
        "kind": "batch_lost",
        "subject": first,
        "known": datetime.combine(on, KNOWN_AT, ZoneInfo(site.zone)).isoformat(),
        "people": {ref: on_paper(facts, built) for ref, facts in people.items()},
        **rules_on_paper(rules, {place.ref for place in built.day.places}),
        **({"cut_offs": {ref: built.at(minute).isoformat() for ref, minute in cut_offs.items()}} if cut_offs else {}),
    }
    names = short_names(built)
    return Lifted(*(renamed(each, names) for each in (day, plan, event)))


def on_paper(facts: Circumstances, built: Built) -> dict[str, Any]:
    """What is known of a person beyond the day, without what its defaults say already."""
    here = {place.ref for place in built.day.places}
    found = {name: value for name, value in asdict(facts).items() if value != getattr(Circumstances(), name)}
    if facts.authorised_places is not None:
        found["authorised_places"] = sorted(facts.authorised_places & here)
    found.pop("standing", None)
    return found


def rules_on_paper(rules: Rules, places: set[str]) -> dict[str, Any]:
    """What is approved, without who approved it; nothing of what nobody has."""
    found: dict[str, Any] = {}
    if rules.lengthen:
        found["lengthen"] = [
            {
                "approved_by": "a practitioner",
                "tracer": rule.tracer,
                "least_fraction": rule.least_fraction,
                "children": rule.children,
                "ref": f"rule {number}",
                "patients": sorted(rule.patients or ()),
            }
            for number, rule in enumerate(rules.lengthen, start=1)
        ]
    if rules.transfer is not None:
        found["transfer"] = [
            {"approved_by": "the adviser", "start": start, "end": end, "minutes": minutes}
            for (start, end), minutes in rules.transfer.minutes.items()
            if {start, end} <= places
        ]
    return found


def short_names(built: Built) -> dict[str, str]:
    day = built.day
    return {
        **{ref: f"P{number:02}" for number, ref in enumerate((p.ref for p in day.patients), start=1)},
        **{s.ref: built.scanners[s.ref].ae_title for s in day.scanners},
        **{p.ref: built.sites[p.ref].ods_code for p in day.places},
        **{d.ref: f"{d.tracer} {number}" for number, d in enumerate(day.deliveries, start=1)},
    }


def renamed(document: dict[str, Any], names: dict[str, str]) -> dict[str, Any]:
    """Ids stand in keys and in values: each is long and only itself, so that text is the safe place to change it."""
    text = json.dumps(document)
    for ref, name in names.items():
        text = text.replace(ref, name)
    found: dict[str, Any] = json.loads(text)
    return found

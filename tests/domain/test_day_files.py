"""A day on paper: what is written is read back the same, the schemas say what the dataclasses say, and a bad file is
refused at the very place."""

import json
from dataclasses import fields, replace
from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import jsonschema
import pytest
from hypothesis import HealthCheck, given, settings
from referencing import Registry, Resource

from gantry.domain.scheduling import problem
from gantry.domain.scheduling.certificate import Certificate, Prices, Takers
from gantry.domain.scheduling.files import (
    Refused,
    on_paper,
    read_certificate,
    read_day,
    read_plan,
    required,
    write_day,
    write_plan,
)
from gantry.domain.scheduling.problem import Day, Lock, Plan, PlannedVisit, Told, Window
from tests.solvers.drawn_days import day, days, delivery, patient, place, scanner

SCHEMAS = Path(problem.__file__).parents[2] / "schemas"
DAY = json.loads((SCHEMAS / "day.schema.json").read_text())
PLAN = json.loads((SCHEMAS / "plan.schema.json").read_text())
BOTH: Registry[Any] = Registry().with_resources(
    [(s["$id"], Resource.from_contents(s)) for s in (DAY, PLAN)]  # type: ignore[misc]
)


def valid(schema: dict[str, Any], document: object) -> None:
    jsonschema.Draft202012Validator(schema, registry=BOTH).validate(json.loads(json.dumps(document)))


@given(days(most_patients=5, locks=False))
@settings(deadline=None, max_examples=40, suppress_health_check=[HealthCheck.too_slow])
def test_what_is_written_is_read_back(drawn_day):
    document = json.loads(json.dumps(write_day(drawn_day)))
    valid(DAY, document)
    assert read_day(document) == drawn_day


def test_when_a_place_can_be_reached_is_a_moment_on_paper():
    of_day = day((patient("P1", away_pence={"A": 500}, reach_min={"A": 605}),))
    document = json.loads(json.dumps(write_day(of_day)))
    valid(DAY, document)
    assert document["patients"][0]["reach"]["A"].startswith("20")
    assert read_day(document) == of_day
    document["patients"][0]["reach"] = {"A": 605}
    refused = read_day(document)
    assert isinstance(refused, Refused) and refused.faults[0].pointer == "/patients/0/reach/A"


def test_a_plan_and_its_proof_are_read_back():
    of_day = day((patient("P1"), patient("P2")))
    plan = Plan((PlannedVisit("P1", "S1", "D1", 480, 60),), {"D1": 300.0}, {"P2": "A reason"})
    prices = Prices(
        frozenset({"D1"}),
        frozenset({"D2"}),
        {("scanner:S1", 540): 1.5},
        value=2.0,
        mbq={"D1": 0.5},
        share={("P1", "D2"): 3.0},
        starts={"P2": Window(540, 700)},
        draws={"P2": frozenset({"D1"})},
        scanned=frozenset({"P1"}),
        left_out=frozenset({"P2"}),
        takers={"D1": Takers(1, 2)},
        fewer={"D1": 0.25},
        more={"D1": 0.75},
    )
    proof = Certificate(2, 0, (prices,))
    document = json.loads(json.dumps(write_plan(of_day, plan, proof)))
    valid(PLAN, document)
    assert read_plan(of_day, document) == plan
    assert read_certificate(of_day, document) == proof
    assert read_day(document["day"]) == of_day
    assert "certificate" not in write_plan(of_day, plan)


@pytest.mark.parametrize("name", [*DAY["$defs"], "Day", "PlannedVisit"])
def test_the_schemas_say_what_the_dataclasses_say(name):
    kind = getattr(problem, name)
    schema = {"Day": DAY, "PlannedVisit": PLAN["$defs"]["PlannedVisit"]}.get(name) or DAY["$defs"][name]
    beside = {"Day": {"version"}, "PlannedVisit": {"scan"}}.get(name, set())
    assert set(schema["properties"]) - beside == {on_paper(kind, f.name) for f in fields(kind)}
    assert set(schema["required"]) - beside == {on_paper(kind, f.name) for f in fields(kind) if required(f)}
    assert schema["additionalProperties"] is False


def test_instants_keep_their_meaning_when_the_clocks_change():
    origin = datetime(2026, 10, 25, 0, 0, tzinfo=ZoneInfo("Europe/London"))
    of_day = replace(day(), origin=origin)
    assert of_day.clock(60) == "01:00"
    assert of_day.clock(120) == "01:00"
    assert of_day.minute(of_day.at(500)) == 500
    assert read_day(json.loads(json.dumps(write_day(of_day)))) == replace(of_day, origin=of_day.at(0))


GOOD = write_day(
    day(
        (
            patient(
                told=Told("A", 480),
                lock=Lock("A", "S1", 480, "D1"),
                prefers=Window(500, 600),
                away_pence={"A": 5},
                needs=frozenset({"contrast"}),
            ),
        ),
        places=(place(anaesthetist=(Window(500, 600),)),),
        deliveries=(delivery(most_mbq=5000.0),),
        scanners=(scanner(),),
    )
)


def broken(pointer: str, value: object) -> object:
    document = json.loads(json.dumps(GOOD))
    at, *path = [document], *pointer.split("/")[1:]
    here: Any = at[0]
    for step in path[:-1]:
        here = here[int(step)] if isinstance(here, list) else here[step]
    if value is ...:
        del here[path[-1]]
    else:
        here[path[-1]] = value
    return document


@pytest.mark.parametrize(
    ("pointer", "value", "refused_at"),
    [
        ("/version", 2, "/version"),
        ("/zone", "Europe/Nowhere", "/zone"),
        ("/origin", "2026-11-23T00:00:00", "/origin"),
        ("/origin", 5, "/origin"),
        ("/origin", "yesterday", "/origin"),
        ("/patients", {}, "/patients"),
        ("/patients", [4], "/patients/0"),
        ("/patients/0/ref", 4, "/patients/0/ref"),
        ("/patients/0/ref", ..., "/patients/0"),
        ("/patients/0/weight", 1.5, "/patients/0/weight"),
        ("/patients/0/weight", True, "/patients/0/weight"),
        ("/patients/0/weight", 0, "/patients/0"),
        ("/patients/0/activity_mbq", float("nan"), "/patients/0/activity_mbq"),
        ("/patients/0/activity_mbq", "much", "/patients/0/activity_mbq"),
        ("/patients/0/colour", "blue", "/patients/0/colour"),
        ("/patients/0/needs", "contrast", "/patients/0/needs"),
        ("/patients/0/needs", [1], "/patients/0/needs/0"),
        ("/patients/0/tracer", "X", "/patients/0/tracer"),
        ("/patients/0/away_pence", [], "/patients/0/away_pence"),
        ("/patients/0/away_pence", {"a/b~": 1}, "/patients/0/away_pence/a~1b~0"),
        ("/patients/0/lock/scanner", "S9", "/patients/0/lock/scanner"),
        ("/patients/0/lock/injection", "2026-11-23T08:00:30+00:00", "/patients/0/lock/injection"),
        ("/patients/0/told", "then", "/patients/0/told"),
        ("/patients/0/prefers/end", "2026-11-23T01:00:00+00:00", "/patients/0/prefers"),
        ("/patients/0/uptake/least_min", 90, "/patients/0/uptake"),
        ("/deliveries/0/place", "Z", "/deliveries/0/place"),
        ("/deliveries/0/tracer", "Z", "/deliveries/0/tracer"),
        ("/deliveries/0/least_mbq", 6000.0, "/deliveries/0"),
        ("/deliveries/0/price_pence", -1, "/deliveries/0"),
        ("/scanners/0/place", "Z", "/scanners/0/place"),
        ("/tracers/0/half_life_min", 0, "/tracers/0/half_life_min"),
        ("/grid_min", 0, "/grid_min"),
    ],
)
def test_a_bad_day_is_refused_at_the_place(pointer, value, refused_at):
    found = read_day(broken(pointer, value))
    assert isinstance(found, Refused)
    assert refused_at in [fault.pointer for fault in found.faults]
    assert all(str(fault) for fault in found.faults)


def test_a_good_day_is_not_refused_and_nothing_is_no_day():
    assert isinstance(read_day(json.loads(json.dumps(GOOD))), Day)
    assert read_day([]) == Refused(read_day([]).faults)  # type: ignore[union-attr]
    lost = read_day(broken("/patients/0/lock/injection", None))
    assert isinstance(lost, Day)


VISIT = {
    "patient": "P1",
    "scanner": "S1",
    "delivery": "D1",
    "injection": "2026-11-23T08:00:00+00:00",
    "uptake_min": 60,
    "scan": "2026-11-23T09:00:00+00:00",
}


@pytest.mark.parametrize(
    ("document", "refused_at"),
    [
        ([], ""),
        ({"version": 0}, "/version"),
        ({"version": 1}, "/visits"),
        ({"version": 1, "visits": [{**VISIT, "scan": "2026-11-23T09:05:00+00:00"}]}, "/visits/0/scan"),
        ({"version": 1, "visits": [{**VISIT, "scan": "soon"}]}, "/visits/0/scan"),
        ({"version": 1, "visits": [{**VISIT, "scanner": 1}]}, "/visits/0/scanner"),
        ({"version": 1, "visits": ["P1"]}, "/visits/0"),
        ({"version": 1, "visits": [VISIT], "orders": {"D1": "much"}}, "/orders/D1"),
        ({"version": 1, "visits": [VISIT], "left_out": {"P2": 4}}, "/left_out/P2"),
        ({"version": 1, "visits": [VISIT], "more": 1}, "/more"),
    ],
)
def test_a_bad_plan_is_refused_at_the_place(document, refused_at):
    found = read_plan(day(), document)
    assert isinstance(found, Refused)
    assert refused_at in [fault.pointer for fault in found.faults]


def test_a_plan_need_not_repeat_when_the_scan_is():
    bare = {key: value for key, value in VISIT.items() if key != "scan"}
    found = read_plan(day(), {"version": 1, "visits": [bare]})
    assert found == Plan((PlannedVisit("P1", "S1", "D1", 480, 60),))


@pytest.mark.parametrize(
    ("certificate", "refused_at"),
    [
        (None, "/certificate"),
        ({"weight": 1, "moves": 0}, "/certificate/prices"),
        ({"weight": 1, "moves": 0, "prices": [1]}, "/certificate/prices/0"),
        ({"weight": 1, "moves": 0, "prices": [{"minute": [1]}]}, "/certificate/prices/0/minute/0"),
        ({"weight": 1, "moves": 0, "prices": [{"minute": [["a", "b", 1]]}]}, "/certificate/prices/0/minute/0/1"),
        ({"weight": 1, "moves": 0, "prices": [{"takers": {"D1": {"least": 1}}}]}, "/certificate/prices/0/takers/D1"),
        ({"weight": 1, "moves": 0, "prices": [{"share": [["a", 2, 1]]}]}, "/certificate/prices/0/share/0/1"),
    ],
)
def test_a_bad_proof_is_refused_at_the_place(certificate, refused_at):
    found = read_certificate(day(), {"certificate": certificate})
    assert isinstance(found, Refused)
    assert refused_at in [fault.pointer for fault in found.faults]

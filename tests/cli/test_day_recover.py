"""`gantry day recover`: three options in words, and a bad event refused where it is bad."""

import json
from dataclasses import fields
from pathlib import Path

import jsonschema
import pytest
from typer.testing import CliRunner

from gantry.cli.day import app
from gantry.domain.scheduling.failure_files import EventOnPaper, PersonOnPaper, read_event
from gantry.domain.scheduling.failures import FailureKind, Situation
from gantry.domain.scheduling.files import Refused, write_day, write_plan
from tests.solvers.broken_days import planned_day

run = CliRunner().invoke
SCHEMA = json.loads(
    (Path(__file__).resolve().parents[2] / "gantry" / "schemas" / "event.schema.json").read_text()
)  # fmt: skip
LOST = {
    "version": 1,
    "kind": "batch_lost",
    "subject": "D0",
    "known": "2026-11-23T07:10:00+00:00",
    "people": {
        "P01": {"standing": "travelling", "insulin": True, "other_day": {"said": "Thursday", "within_limit": True}}
    },
    "lengthen": [{"approved_by": "Dr Example", "tracer": "FDG", "least_fraction": 0.8}],
    "transfer": [{"approved_by": "the adviser", "start": "A", "end": "B", "minutes": 15}],
    "cut_offs": {"D1": "2026-11-22T16:00:00+00:00"},
}


@pytest.fixture
def files(tmp_path: Path) -> list[str]:
    day, plan = planned_day(1, 12, 1, 2)
    named = {"day": write_day(day), "plan": write_plan(day, plan), "event": LOST}
    for name, data in named.items():
        (tmp_path / f"{name}.json").write_text(json.dumps(data))
    return [str(tmp_path / f"{name}.json") for name in named]


def test_options_say_who_moves_and_what_they_need(files: list[str]) -> None:
    said = run(app, ["recover", *files])
    assert said.exit_code == 0, said.output
    assert said.output.startswith("1. ")
    assert "decide by" in said.output
    assert " MBq, " in said.output


def test_the_best_plan_is_kept_and_is_a_plan(files: list[str], tmp_path: Path) -> None:
    out = tmp_path / "after.json"
    assert run(app, ["recover", *files, "--out", str(out)]).exit_code == 0
    made = json.loads(out.read_text())
    day = tmp_path / "left.json"
    day.write_text(json.dumps(made["day"]))
    checked = run(app, ["check", str(day), str(out)])
    assert checked.exit_code == 0, checked.output


def test_a_bad_event_is_refused_at_its_pointer(files: list[str]) -> None:
    Path(files[2]).write_text(json.dumps({**LOST, "subject": "D9", "people": {"P77": {}}}))
    said = run(app, ["recover", *files])
    assert said.exit_code == 1
    assert "/subject: is none of the day's deliveries" in said.output
    assert "/people/P77: is not a patient of the day" in said.output


def test_the_schema_and_the_dataclasses_agree() -> None:
    jsonschema.validate(LOST, SCHEMA)
    assert set(SCHEMA["properties"]) == {"version", *(f.name for f in fields(EventOnPaper))}
    assert set(SCHEMA["$defs"]["PersonOnPaper"]["properties"]) == {f.name for f in fields(PersonOnPaper)}
    day, plan = planned_day(1, 12, 1, 2)
    assert isinstance(read_event(day, plan, LOST), Situation)
    assert isinstance(read_event(day, plan, {**LOST, "kind": "fire"}), Refused)
    assert set(SCHEMA["properties"]["kind"]["enum"]) == {k.value for k in FailureKind}

"""`gantry day`: a file in, a plan out, judged and explained; a bad file is refused where it is bad."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from gantry.cli.day import app
from gantry.domain.scheduling.files import write_day
from gantry.domain.scheduling.problem import Lock
from tests.solvers.drawn_days import day, delivery, patient, scanner

run = CliRunner().invoke


@pytest.fixture
def day_file(tmp_path: Path) -> Path:
    people = (*(patient(f"P{n}", activity_mbq=200 + 17 * n) for n in range(1, 7)), patient("P9", tracer="PSMA"))
    path = tmp_path / "day.json"
    path.write_text(json.dumps(write_day(day(people, scanners=(scanner("S1"), scanner("S2"))))))
    return path


@pytest.fixture
def plan_file(day_file: Path, tmp_path: Path) -> Path:
    path = tmp_path / "plan.json"
    made = run(app, ["plan", str(day_file), "--out", str(path)])
    assert made.exit_code == 0, made.output
    assert "Proved best: activity" in made.output
    assert "Left out: P9. No delivery of PSMA goes where the patient can be scanned" in made.output
    return path


def test_a_plan_is_judged_with_its_proof(day_file, plan_file):
    judged = run(app, ["check", str(day_file), str(plan_file)])
    assert judged.exit_code == 0, judged.output
    assert "Nothing wrong" in judged.output
    assert "costs at least" in judged.output


def test_a_plan_begins_with_what_stands_of_one_before(day_file, plan_file, tmp_path):
    again = run(app, ["plan", str(day_file), "--before", str(plan_file), "--out", str(tmp_path / "again.json")])
    assert again.exit_code == 0, again.output
    assert json.loads((tmp_path / "again.json").read_text())["visits"] == json.loads(plan_file.read_text())["visits"]
    plan_file.write_text("{}")
    refused = run(app, ["plan", str(day_file), "--before", str(plan_file)])
    assert refused.exit_code == 1
    assert "is not a plan" in refused.stderr


def test_a_plan_with_faults_is_refused(day_file, plan_file):
    plan = json.loads(plan_file.read_text())
    plan["visits"][0]["uptake_min"] = 70
    del plan["visits"][0]["scan"]
    plan_file.write_text(json.dumps(plan))
    judged = run(app, ["check", str(day_file), str(plan_file)])
    assert judged.exit_code == 1
    assert "outside the protocol's" in judged.stderr


def test_a_proof_that_claims_too_much_is_refused(day_file, plan_file):
    plan = json.loads(plan_file.read_text())
    plan["certificate"]["prices"][0]["value"] = -1.0
    plan_file.write_text(json.dumps(plan))
    judged = run(app, ["check", str(day_file), str(plan_file)])
    assert judged.exit_code == 1
    assert "The proof does not hold" in judged.stderr


def test_a_patient_s_time_is_explained(day_file, plan_file):
    told = run(app, ["explain", str(plan_file), "P6", "--day", str(day_file)])
    assert told.exit_code == 0, told.output
    assert "MBq of D1 at its reference time" in told.output
    assert "Next best: injection at" in told.output
    assert "pence over the whole day" in told.output


def test_who_is_left_out_is_told_why(plan_file):
    told = run(app, ["explain", str(plan_file), "P9"])
    assert told.output.strip() == "No delivery of PSMA goes where the patient can be scanned"
    assert run(app, ["explain", str(plan_file), "P0"]).exit_code == 1


def test_locks_that_contradict_are_said(tmp_path):
    people = tuple(patient(f"P{n}", lock=Lock(injection_min=600)) for n in (1, 2))
    path = tmp_path / "day.json"
    path.write_text(json.dumps(write_day(day(people, deliveries=(delivery(),)))))
    made = run(app, ["plan", str(path)])
    assert made.exit_code == 1
    assert "P2 is locked to injection at 10:00" in made.stderr


@pytest.mark.parametrize(
    ("content", "said"),
    [("{", "is not JSON"), ("{}", "/version"), ('{"version": 1}', "/zone"), ("\xff", "is not JSON")],
)
def test_a_bad_day_is_refused(tmp_path, content, said):
    path = tmp_path / "day.json"
    path.write_bytes(content.encode("latin-1"))
    made = run(app, ["plan", str(path)])
    assert made.exit_code == 1
    assert said in made.stderr


def test_orders_follow_from_a_plan(day_file, plan_file, tmp_path):
    terms = tmp_path / "terms.json"
    ready = {"P2": {"chance": 0.5, "missing": ["answered"]}}
    cut_offs = {"D1": "2026-11-22T16:00:00+00:00"}
    terms.write_text(json.dumps({"version": 1, "sent_home_pence": 200, "ready": ready, "cut_offs": cut_offs}))
    told = run(app, ["orders", str(day_file), str(plan_file), str(terms)])
    assert told.exit_code == 0, told.output
    assert "to be changed until 22 Nov 16:00" in told.output
    assert "Ask P2: comes with 50%" in told.output
    assert "open: answered" in told.output
    rows = [line.split() for line in told.output.splitlines() if line.startswith(("this order", "if all came"))]
    assert float(rows[0][2]) < float(rows[1][3])
    terms.write_text(json.dumps({"version": 1, "sent_home_pence": 200, "ready": {"P77": {}}}))
    refused = run(app, ["orders", str(day_file), str(plan_file), str(terms)])
    assert refused.exit_code == 1
    assert "/ready/P77" in refused.stderr


def test_nothing_is_ordered_twice(tmp_path):
    of_day = day((patient(),), deliveries=(delivery(ordered_mbq=900.0),))
    files = [tmp_path / name for name in ("day.json", "plan.json", "terms.json")]
    files[0].write_text(json.dumps(write_day(of_day)))
    files[2].write_text(json.dumps({"version": 1, "sent_home_pence": 200}))
    assert run(app, ["plan", str(files[0]), "--out", str(files[1])]).exit_code == 0
    told = run(app, ["orders", *map(str, files)])
    assert told.output == "Nothing can still be ordered for this plan.\n"

"""`gantry day replay`: a table of where everybody ends, from the day that was lifted out of the demonstration."""

from typer.testing import CliRunner

from benchmarks.recovery import LIFTED
from gantry.cli.day import app

FILES = [str(LIFTED / f"{name}.json") for name in ("day", "plan", "event")]


def test_a_day_is_replayed_and_everybody_is_in_the_table() -> None:
    said = CliRunner().invoke(app, ["replay", *FILES, "--every", "300", "--seconds", "0.02", "--no-twice"])
    assert said.exit_code == 0, said.output
    head, _, *rows = said.output.splitlines()
    assert "not accounted for" in head and rows[0].startswith("| a batch | ")
    assert all(row.endswith("| 0 |") for row in rows), "no faults"


def test_a_file_that_is_no_event_of_this_day_is_refused(tmp_path) -> None:
    bad = tmp_path / "event.json"
    bad.write_text('{"version": 1, "kind": "batch_lost", "subject": "nothing", "known": "2026-11-22T07:10:00+00:00"}')
    said = CliRunner().invoke(app, ["replay", *FILES[:2], str(bad)])
    assert said.exit_code == 1 and "is none of the day's deliveries" in said.output

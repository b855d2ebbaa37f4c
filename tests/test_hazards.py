"""Each hazard names a test that exists."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
LOG = (ROOT / "docs" / "safety" / "hazards.md").read_text()
ROWS = [line for line in LOG.splitlines() if line.startswith("| H-")]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.split("|")[1].strip())
def test_a_hazard_is_held_by_a_test_that_is_there(row):
    named = re.findall(r"`(tests/[\w/]+\.py)(?:::(\w+))?`", row)
    assert named
    for path, test in named:
        source = (ROOT / path).read_text()
        assert not test or re.search(rf"^\s*def {test}\(", source, re.M), f"{path}::{test}"


def test_hazards_are_numbered_once():
    numbers = [row.split("|")[1].strip() for row in ROWS]
    assert numbers == [f"H-{n:02}" for n in range(1, len(numbers) + 1)]

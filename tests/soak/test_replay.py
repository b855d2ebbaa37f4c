"""The failure replay at every minute of a demonstration day: nobody nowhere, no fault, nobody moved twice for nothing."""

import os

import pytest

from benchmarks.recovery import LIFTED, MORE, lifted
from gantry.solvers.replay import End, by_kind, strikes

pytestmark = pytest.mark.soak
SIZE = os.environ.get("GANTRY_SOAK_SIZE")
EVERY = 1 if SIZE else 60


@pytest.mark.parametrize("folder", [LIFTED, *sorted(MORE.iterdir())], ids=lambda folder: folder.name)
def test_each_batch_and_each_scanner_fails_at_every_minute(folder):
    sums = by_kind(strikes(lifted(folder), every=EVERY, seconds=0.05, twice=bool(SIZE)))
    assert sum(each.strikes for each in sums.values()) >= 5
    assert [fault for each in sums.values() for fault in each.faults] == []
    assert sum(each.ends[End.NOWHERE] for each in sums.values()) == 0

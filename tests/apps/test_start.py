"""A web process settles once: what stays for good is no longer gone through while somebody waits for a page."""

import gc

import pytest

from gantry.config import start


@pytest.fixture
def thawed():
    pace = gc.get_threshold()
    yield
    gc.unfreeze()
    gc.set_threshold(*pace)


def test_what_stays_for_good_is_taken_out_of_the_collectors_rounds(thawed, monkeypatch) -> None:
    loaded = []
    monkeypatch.setattr(start, "load", lambda: loaded.append("search"))
    before = gc.get_freeze_count()
    start.settle()
    assert loaded == ["search"]
    assert gc.get_freeze_count() > before + 10_000
    assert gc.get_threshold() == start.PACE

"""A place under var/ for what these tests start: PostgreSQL's borrowed account may not enter pytest's private folders."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from tempfile import mkdtemp

import pytest

from gantry.cli.places import ROOT


@pytest.fixture
def place() -> Iterator[Path]:
    (ROOT / "var").mkdir(exist_ok=True)
    path = Path(mkdtemp(prefix="test-", dir=ROOT / "var"))
    path.chmod(0o755)
    yield path
    shutil.rmtree(path)

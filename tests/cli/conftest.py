"""A place for what these tests start: PostgreSQL's borrowed account may not enter pytest's private folders."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from tempfile import mkdtemp

import pytest


@pytest.fixture
def place() -> Iterator[Path]:
    path = Path(mkdtemp(prefix="gantry-test-"))
    path.chmod(0o755)
    yield path
    shutil.rmtree(path)

"""A database of its own for a run that must neither see nor touch the live one, gone when the run ends."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import mkdtemp

from gantry.cli.places import var
from gantry.cli.postgres import FAST, Cluster, Server
from gantry.cli.processes import environment
from gantry.cli.up import gantry


@contextmanager
def throwaway_database() -> Iterator[str]:
    """A migrated, empty database; this process and those it starts are pointed at it."""
    given = os.environ.get("DATABASE_URL")
    home = Path(mkdtemp(prefix="throwaway-", dir=var()))
    home.chmod(0o755)
    server = Server(given) if given else Cluster(home, FAST)
    name = f"gantry_throwaway_{os.getpid()}"
    try:
        server.start()
        server.create_database(name)
        os.environ.update(environment(server.url(name)))
        subprocess.run(gantry("migrate"), check=True)
        yield server.url(name)
    finally:
        if isinstance(server, Cluster):
            server.stop()
            shutil.rmtree(server.home)
        else:
            server.drop_database(name)
        shutil.rmtree(home, ignore_errors=True)
        os.environ.pop("DATABASE_URL")
        if given:
            os.environ["DATABASE_URL"] = given

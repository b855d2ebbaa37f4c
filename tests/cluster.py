"""One throw-away PostgreSQL for every test run on this machine, and one migrated template to clone from.

Several runs may share it at once: the first to come starts it, the last to go stops it, and what a killed run leaves
behind is cleared by the next one that finds itself alone. Locks are the kernel's, so a killed run lets go of its own.
"""

import ast
import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from typing import IO

from gantry.cli.postgres import FAST, Cluster, PostgresUnavailable, Server

ROOT = Path(__file__).resolve().parent.parent
HOME = ROOT / "var" / "test-pg"
TEMPLATES_KEPT = 4


@contextmanager
def lock(name: str) -> Iterator[None]:
    HOME.mkdir(parents=True, exist_ok=True)
    with open(HOME / f"{name}.lock", "w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def joined() -> tuple[Server, IO[str] | None]:
    """The server to test on, and the mark of being one of its users."""
    if address := os.environ.get("DATABASE_URL"):
        return Server(address), None
    with lock("change"):
        users = open(HOME / "users.lock", "w")  # noqa: SIM115 - held open for the whole run: that is the mark
        alone = _locked(users, fcntl.LOCK_EX)
        cluster = Cluster(HOME, FAST)
        try:
            cluster.start()
        except PostgresUnavailable:
            # Without fsync a power cut may spoil the data, and nothing in it is worth mending.
            if not alone:
                raise
            shutil.rmtree(cluster.data)
            cluster.start()
        if alone:
            for name in [*cluster.databases("run_%"), *cluster.databases("building_%")]:
                cluster.drop_database(name)
        fcntl.flock(users, fcntl.LOCK_SH)
    return cluster, users


def left(server: Server, users: IO[str] | None) -> None:
    if users is None:
        return
    with lock("change"):
        last = _locked(users, fcntl.LOCK_EX)
        if last:
            server.stop()
        users.close()


def _locked(file: IO[str], kind: int) -> bool:
    try:
        fcntl.flock(file, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def template_name(server: Server) -> str:
    """Named after everything that shapes a migrated database, so that a stale one is never cloned."""
    digest = sha256(str(getattr(server, "major", "")).encode())
    sources = [ROOT / "requirements" / "run.lock", *sorted((ROOT / "gantry" / "config").glob("*.py"))]
    for path in sorted((ROOT / "gantry").rglob("*.py")):
        if path.parent.name == "migrations":
            sources += [path, *_own_imports(path)]
        elif path.name in {"models.py", "apps.py"} or path.parent.name == "models":
            sources.append(path)
    for path in dict.fromkeys(sources):
        digest.update(str(path.relative_to(ROOT)).encode() + b"\0" + path.read_bytes())
    return f"template_{digest.hexdigest()[:16]}"


def _own_imports(migration: Path) -> Iterator[Path]:
    for node in ast.walk(ast.parse(migration.read_bytes())):
        if isinstance(node, ast.Import):
            modules = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            modules = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
        else:
            continue
        for module in modules:
            path = ROOT.joinpath(*module.split(".")).with_suffix(".py")
            if module.startswith("gantry.") and path.exists():
                yield path


def forget_old_templates(server: Server, current: str) -> None:
    """Run files by age: a clone in progress holds its template, and that one is kept for another day."""
    marks = sorted(HOME.glob("template_*"), key=lambda path: path.stat().st_mtime, reverse=True)
    for mark in marks[TEMPLATES_KEPT:]:
        if mark.name != current:
            server.drop_database(mark.name)
            mark.unlink(missing_ok=True)

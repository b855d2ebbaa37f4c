"""What a reader may rely on without looking."""

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

import pytest
from django.db.migrations.loader import MigrationLoader

ROOT = Path(__file__).resolve().parent.parent
GANTRY = ROOT / "gantry"
DOMAIN = sorted((GANTRY / "domain").rglob("*.py"))
ROOMS = sorted(path.parent.name for path in (GANTRY / "apps").glob("*/__init__.py"))
MODELS = sorted([*GANTRY.glob("apps/*/models.py"), *GANTRY.glob("apps/*/models/*.py")])
# Whatever meets a request, a form or a queue asks a service to write.
ASKERS = sorted(
    path
    for kind in ("views", "forms", "jobs", "admin", "context", "middleware")
    for path in [*GANTRY.glob(f"apps/*/{kind}.py"), *GANTRY.glob(f"apps/*/{kind}/*.py")]
)
WRITES_ON_A_QUERYSET = {"create", "bulk_create", "get_or_create", "update_or_create", "update", "bulk_update", "delete"}
WRITES_ON_A_ROW = {"save", "delete"}
QUERYSET_MARKS = {
    *("objects", "_default_manager", "_base_manager", "for_user", "filter", "exclude", "all", "select_for_update"),
}
# Things that have a save or delete of their own and are no rows.
NOT_ROWS = {"session", "cache", "storage", "default_storage", "figure", "workbook", "canvas", "messages"}


def shown(path: Path) -> str:
    return str(path.relative_to(ROOT))


def imports(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield "." * node.level + (node.module or "")
            yield from (f"{node.module}.{alias.name}" for alias in node.names if node.module)


def writes(source: str) -> Iterator[str]:
    """Each call that changes a row otherwise than through a service."""
    for node in ast.walk(ast.parse(source)):
        if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)):
            continue
        verb = node.func.attr.removeprefix("a")
        chain = set(_chain(node.func.value))
        on_a_queryset = verb in WRITES_ON_A_QUERYSET and chain & QUERYSET_MARKS
        on_a_row = verb in WRITES_ON_A_ROW and not chain & NOT_ROWS
        if on_a_queryset or on_a_row:
            yield f"line {node.lineno}: {ast.unparse(node.func)}"


def _chain(node: ast.expr) -> Iterator[str]:
    while True:
        if isinstance(node, ast.Attribute):
            yield node.attr
            node = node.value
        elif isinstance(node, ast.Call):
            node = node.func
        elif isinstance(node, ast.Subscript):
            node = node.value
        else:
            if isinstance(node, ast.Name):
                yield node.id
            return


@pytest.mark.parametrize("path", DOMAIN, ids=shown)
def test_the_domain_imports_only_itself_and_the_standard_library(path):
    for name in imports(path):
        assert name.startswith("gantry.domain") or name.split(".")[0] in sys.stdlib_module_names, name


@pytest.mark.parametrize("path", DOMAIN, ids=shown)
def test_the_domain_is_told_the_time(path):
    assert not re.search(r"\b(now|today|utcnow)\(", path.read_text())


@pytest.mark.parametrize("path", MODELS, ids=shown)
def test_models_decide_nothing(path):
    assert not [name for name in imports(path) if ".services" in name or name == "services"]


@pytest.mark.parametrize("path", ASKERS, ids=shown)
def test_pages_forms_and_jobs_write_only_through_services(path):
    assert not list(writes(path.read_text()))


@pytest.mark.parametrize(
    "line",
    [
        "Referral.objects.create(a=1)",
        "Referral.objects.for_user(u).filter(a=1).update(a=2)",
        "referral.save(update_fields=['a'])",
        "rows[0].delete()",
        "Referral.objects.abulk_create([])",
    ],
)
def test_a_write_past_the_services_is_seen(line):
    assert list(writes(line))


@pytest.mark.parametrize(
    "line", ["request.session.save()", "context.update(a=1)", "cache.delete(key)", "services.create(a=1)"]
)
def test_what_is_no_write_is_let_be(line):
    assert not list(writes(line))


@pytest.fixture(scope="module")
def migrations() -> MigrationLoader:
    return MigrationLoader(None, ignore_no_migrations=True)


@pytest.mark.parametrize("room", ROOMS)
def test_the_migrations_of_a_room_are_one_line(migrations, room):
    own = {key: migration for key, migration in migrations.disk_migrations.items() if key[0] == room}
    parents = [[key for key in migration.dependencies if key[0] == room] for migration in own.values()]
    assert sum(not found for found in parents) <= 1, "more than one first migration"
    assert all(len(found) <= 1 for found in parents), "a merge"
    used = [found[0] for found in parents if found]
    assert len(used) == len(set(used)), "two migrations follow the same one"
    numbers = sorted(name.split("_")[0] for _, name in own)
    assert numbers == [f"{number:04d}" for number in range(1, len(own) + 1)]


def test_no_room_waits_for_a_higher_one_in_its_migrations(migrations):
    waits_for: dict[str, set[str]] = {room: set() for room in ROOMS}
    for (room, _), migration in migrations.disk_migrations.items():
        for other, _name in migration.dependencies:
            if room in waits_for and other in waits_for and other != room:
                waits_for[room].add(other)
        for other, _name in migration.run_before:
            if room in waits_for and other in waits_for and other != room:
                waits_for[other].add(room)
    list(TopologicalSorter(waits_for).static_order())  # raises CycleError, naming the cycle


@pytest.mark.parametrize("order", ["ortools.sat.python.cp_model, highspy", "highspy, ortools.sat.python.cp_model"])
def test_both_solvers_share_one_process(order):
    program = f"import {order}; cp_model = ortools.sat.python.cp_model.CpModel(); highspy.Highs()"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr


def test_the_import_contracts_are_kept():
    lint = Path(sys.executable).parent / "lint-imports"
    done = subprocess.run([lint, "--no-cache"], cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout[-3000:]

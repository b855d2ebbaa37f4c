"""What every test may ask for: a migrated database cloned from a template, and the real input where it is present."""

import os
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
from django.core.management import call_command
from django.db import connections
from django.test import TransactionTestCase
from hypothesis import HealthCheck, settings
from pytest_django import DjangoDbBlocker

from gantry.cli.postgres import Server
from tests import cluster

# The machine is shared and the suite is the same each time: nothing fails for being slow, or for a new throw of the dice.
# `make soak` draws anew.
settings.register_profile("suite", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("soak", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("soak" if os.environ.get("GANTRY_SOAK_SEED") else "suite")

REAL_DATA = cluster.ROOT.parent / "shared" / "data"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if REAL_DATA.is_dir():
        return
    for item in items:
        if item.get_closest_marker("data"):
            item.add_marker(
                pytest.mark.skip(reason=f"the real input is not at ../shared/data beside {cluster.ROOT.name}")
            )


@pytest.fixture(scope="session")
def real_data() -> Path:
    if not REAL_DATA.is_dir():
        pytest.skip("the real input is not at ../shared/data")
    return REAL_DATA


@pytest.fixture(scope="session")
def database_server() -> Iterator[Server]:
    server, users = cluster.joined()
    yield server
    cluster.left(server, users)


@pytest.fixture(scope="session")
def migrated_template(database_server: Server, django_db_blocker: DjangoDbBlocker) -> str:
    """Made once for one state of the migrations, under another name until it is whole."""
    name = cluster.template_name(database_server)
    with cluster.lock("template"):
        if not database_server.databases(name):
            draft = name.replace("template_", "building_")
            database_server.drop_database(draft)
            database_server.create_database(draft)
            with django_db_blocker.unblock():
                point_at(database_server, draft)
                call_command("migrate", verbosity=0, interactive=False)
                connections.close_all()
            database_server.rename_database(draft, name)
        (cluster.HOME / name).touch()
    with cluster.lock("change"):
        cluster.forget_old_templates(database_server, name)
    return name


@pytest.fixture(scope="session")
def django_db_setup(
    database_server: Server, migrated_template: str, django_db_blocker: DjangoDbBlocker, worker_id: str
) -> Iterator[None]:
    """A clone for this worker. A test that commits leaves its traces, so after it the clone is made afresh."""
    name = f"run_{os.getpid()}_{worker_id}"

    def clone() -> None:
        connections.close_all()
        database_server.drop_database(name)
        database_server.create_database(name, template=migrated_template)

    with django_db_blocker.unblock():
        clone()
        point_at(database_server, name)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(TransactionTestCase, "_fixture_teardown", lambda case: clone())
        yield
    with django_db_blocker.unblock():
        connections.close_all()
        database_server.drop_database(name)


def point_at(server: Server, name: str) -> None:
    url = urlsplit(server.url(name))
    connections.close_all()
    os.environ["DATABASE_URL"] = server.url(name)  # for the processes that a test starts
    for held in (connections.settings["default"], connections["default"].settings_dict):
        held["NAME"] = name
        held["HOST"], held["PORT"] = url.hostname or "", str(url.port or "")
        held["USER"], held["PASSWORD"] = unquote(url.username or ""), unquote(url.password or "")
        held["CONN_MAX_AGE"] = 0

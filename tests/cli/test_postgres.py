"""The embedded server is made once, found again, mended after a crash, and never shares its port or its data."""

import os
import signal
import socket
import stat
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from gantry.cli.postgres import FAST, Cluster, PostgresUnavailable, Server


@pytest.fixture
def cluster(place: Path) -> Iterator[Cluster]:
    cluster = Cluster(place / "pg", FAST)
    yield cluster
    cluster.stop()


def ask(url: str, question: str) -> list[tuple[object, ...]]:
    with psycopg.connect(url, autocommit=True) as connection:
        found = connection.execute(question)
        return found.fetchall() if found.description else []


def test_a_cluster_lives_through_stops_crashes_and_lost_ports(cluster: Cluster, place: Path) -> None:
    cluster.start()
    url = cluster.ensure_database("gantry")
    ask(url, "CREATE TABLE kept (n int); INSERT INTO kept VALUES (7)")

    assert ask(url, "SELECT rolsuper FROM pg_roles WHERE rolname = current_user") == [(False,)]
    assert ask(url, "SHOW listen_addresses") == [("127.0.0.1",)]
    assert stat.S_IMODE(cluster.data.stat().st_mode) == 0o700
    assert stat.S_IMODE((cluster.home / "password").stat().st_mode) == 0o600
    wrong = url.replace(cluster.password, "wrong")
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        ask(wrong, "SELECT 1")

    # The constraint that makes double booking impossible needs an extension that only some builds carry.
    ask(url, "CREATE EXTENSION btree_gist")

    again = Cluster(place / "pg", FAST)
    assert again.running()
    again.start()
    assert again.url("gantry") == url

    os.kill(cluster._pid() or 0, signal.SIGKILL)
    cluster.start()
    assert ask(url, "SELECT n FROM kept") == [(7,)]

    cluster.create_database("copy", template="gantry")
    assert ask(cluster.url("copy"), "SELECT n FROM kept") == [(7,)]
    cluster.drop_database("copy")
    assert cluster.databases("copy") == []

    cluster.stop()
    assert not cluster.running()
    # A crashed machine leaves a pid file, and by now the number may belong to anybody: here, to us.
    (cluster.data / "postmaster.pid").write_text(f"{os.getpid()}\n{cluster.data}\n")
    assert not cluster.running()
    with socket.socket() as stranger:
        stranger.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        stranger.bind(("127.0.0.1", cluster._port()))
        stranger.listen()
        cluster.start()
        assert cluster._port() != stranger.getsockname()[1]
    assert ask(cluster.url("gantry"), "SELECT n FROM kept") == [(7,)]


def test_an_initdb_cut_short_is_not_taken_for_a_cluster(cluster: Cluster) -> None:
    draft = cluster.home / f"{cluster.major}.new"
    draft.mkdir()
    (draft / "PG_VERSION").write_text(str(cluster.major))
    cluster.start()
    assert ask(cluster.url("postgres"), "SELECT 1") == [(1,)]


def test_data_of_a_version_that_is_not_installed_is_never_passed_over(place: Path) -> None:
    (place / "pg" / "99").mkdir(parents=True)
    (place / "pg" / "99" / "PG_VERSION").write_text("99\n")
    with pytest.raises(PostgresUnavailable, match="holds the data of PostgreSQL 99"):
        Cluster(place / "pg", FAST)


def test_a_server_kept_by_others_is_used_as_given(database_server: Server) -> None:
    given = Server(database_server.url("postgres"))
    name = f"run_given_{os.getpid()}"
    url = given.ensure_database(name)
    try:
        assert ask(url, "SELECT pg_encoding_to_char(encoding) FROM pg_database WHERE datname = current_database()") == [
            ("UTF8",)
        ]
        # Lower-casing beyond ASCII works, whatever the machine's own locale.
        assert ask(url, "SELECT lower('ÉÖ')") == [("éö",)]
    finally:
        given.drop_database(name)
    assert given.running()


def test_a_database_is_dropped_while_it_is_being_vacuumed(place: Path) -> None:
    """The vacuum belongs to no role, so some versions refuse our role the force that it needs not."""
    slowly = {"autovacuum_naptime": "1", "autovacuum_vacuum_cost_delay": "100ms", "autovacuum_vacuum_cost_limit": "1"}
    cluster = Cluster(place / "pg", FAST | slowly)
    try:
        cluster.start()
        url = cluster.ensure_database("vacuumed")
        ask(url, "CREATE TABLE much AS SELECT n FROM generate_series(1, 60000) n; DELETE FROM much")
        owner = cluster.url("postgres").replace("//gantry:", "//postgres:", 1)
        vacuums = "SELECT 1 FROM pg_stat_activity WHERE backend_type = 'autovacuum worker' AND datname = 'vacuumed'"
        deadline = time.monotonic() + 30
        while not ask(owner, vacuums):
            assert time.monotonic() < deadline, "no vacuum came"
            time.sleep(0.05)
        with psycopg.connect(url):  # and somebody is still connected
            cluster.drop_database("vacuumed")
        assert cluster.databases("vacuumed") == []
    finally:
        cluster.stop()

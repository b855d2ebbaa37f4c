"""FHIR reads with authorisation and audit beside the same reads by plain ORM objects: one server, equal answers, then time.

    python -m benchmarks.fhir_reads [--quick] [--json]

Ours builds JSON in SQL, in the statement that also authorises the reader and records who looked. The peer asks the same
questions through Django's objects, in the same processes (granian, WSGI, 2 workers), over the same rows; once recording
the read as ours does, once recording nothing. PostgreSQL commits durably on both sides. The load is wrk's where it is
installed (apt: wrk), else an asyncio client of our own: 8 connections. Runs are interleaved; a ratio is of medians.
"""

import argparse
import asyncio
import json
import os
import random
import re
import shutil
import socket
import statistics
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import psycopg

from gantry.cli.postgres import DURABLE, Cluster

CONNECTIONS = 8
EACH = 20
"""Referrals of one patient: a page of a search."""
TARGET = 1.5
ASKED = 400
"""Different ids that the load walks through."""
LOAD = """
INSERT INTO patients_patient (id, family_name, given_name, title, date_of_birth, stated_gender, sex_assigned_at_birth,
    nhs_number, nhs_number_status, nhs_number_unavailable_reason, address, postcode, phone_primary, phone_alt, email,
    gp_practice_ods, language, interpreter_required, adjustments, organisations, synthetic)
SELECT md5('patient' || n)::uuid, 'Testcase', 'Number' || n, '', '1958-03-14', '2', 'female', '', '', '', '', '', '', '',
    '', '', '', false, '', ARRAY[%(trust)s, %(provider)s]::uuid[], true
FROM generate_series(1, %(patients)s) AS n;
INSERT INTO referrals_referral (id, referrer_name, organisations, door, placer_order_number, data_set_version, answers,
    state, version, priority, needed_by, indication_code, tracer, procedure_code, capabilities, received_at, next_step,
    next_owner, network_id, patient_id, provider_id, referring_organisation_id)
SELECT md5('referral' || n)::uuid, 'Dr Example', ARRAY[%(trust)s, %(provider)s]::uuid[], 'hl7', 'ORD' || n, '2026.1',
    jsonb_build_object('clinical_question', 'Stage before treatment: nodal or distant disease? ' || n,
        'weight_kg', 71.5, 'family_name', 'Testcase', 'prior_imaging', jsonb_build_array('CT chest')),
    'to_vet', 1, 2, '2026-12-04', 'ONC-NSC', 'FDG', 'PET-FDG-ONC', '{}',
    timestamptz '2026-01-01 09:00Z' + n * interval '90 seconds', 'Vet', 'practitioner',
    %(network)s, md5('patient' || (n - 1) / %(each)s + 1)::uuid, %(provider)s, %(trust)s
FROM generate_series(1, %(referrals)s) AS n;
"""


@dataclass(frozen=True, slots=True)
class Case:
    name: str
    paths: Sequence[str]
    """Below /fhir/R4/ and below the peer's prefix alike."""


@dataclass(frozen=True, slots=True)
class Line:
    name: str
    ours: float
    peer: float
    ratio: float
    unit: str
    checked: int


def prepared(database: str) -> dict[str, Any]:
    """A migrated database with one interface and its network; returns its keys and token."""
    os.environ["DATABASE_URL"] = database
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "gantry.config.settings")
    import django

    django.setup()
    from django.core.management import call_command
    from django.db import connection
    from django.utils import timezone

    call_command("migrate", verbosity=0, interactive=False)
    from gantry.apps.accounts.models import Person, RoleGrant
    from gantry.apps.estate.models import Network, Organisation
    from gantry.domain.access import Role
    from gantry.gateways.fhir import tokens

    now = timezone.now()
    trust = Organisation.objects.create(ods_code="RBV", name="Trust", kind="acute_trust")
    provider = Organisation.objects.create(ods_code="NZZ", name="Provider", kind="independent_provider")
    network = Network.objects.create(name="Bench", provider=provider, outside_contact="Desk")
    person = Person.objects.create_user(email="engine@example.test", name="Engine")
    RoleGrant.objects.create(person=person, organisation=trust, role=Role.INTERFACE, valid_from=now.date())
    token = tokens.issue(person, until=now + timedelta(days=2), now=now)
    connection.close()
    return {"trust": trust.pk, "provider": provider.pk, "network": network.pk, "token": token}


def load(database: str, keys: dict[str, Any], referrals: int) -> None:
    values = {**keys, "patients": referrals // EACH, "referrals": referrals, "each": EACH}
    with psycopg.connect(database, autocommit=True) as connection:
        # Loaded without the row triggers of history: reading does not look at it.
        for table in ("patients_patient", "referrals_referral"):
            connection.execute(f"ALTER TABLE {table} DISABLE TRIGGER USER")
        for statement in LOAD.split(";\n"):
            if statement.strip():
                psycopg.ClientCursor(connection).execute(statement, values)
        connection.execute("ANALYZE")


@contextmanager
def server(database: str, secret: str) -> Iterator[str]:
    """Granian with two WSGI workers, serving ours and the peer."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "granian", "--interface", "wsgi", "--workers", "2", "--blocking-threads", "4"]
    command += [
        "--no-access-log",
        "--log-level",
        "error",
        "--host",
        "127.0.0.1",
        "--port",
        str(port),
        "benchmarks.fhir_server:application",
    ]
    environment = {**os.environ, "DATABASE_URL": database, "GANTRY_SECRET_KEY": secret, "GANTRY_LOG_LEVEL": "ERROR"}
    environment["PYTHONWARNINGS"] = "ignore"
    process = subprocess.Popen(command, env=environment)
    try:
        yield wait_for(f"http://127.0.0.1:{port}", process)
    finally:
        process.terminate()
        process.wait(10)


def wait_for(base: str, process: subprocess.Popen[bytes]) -> str:
    give_up = time.monotonic() + 30
    while time.monotonic() < give_up and process.poll() is None:
        try:
            with urllib.request.urlopen(f"{base}/fhir/R4/metadata", timeout=5):
                return base
        except OSError:
            time.sleep(0.1)
    raise RuntimeError("the server did not come up")


def fetched(url: str, token: str) -> Any:
    asked = urllib.request.Request(url, headers={"Authorization": f"Bearer {token}"})
    with urllib.request.urlopen(asked, timeout=10) as response:
        return json.loads(response.read())


def checked(base: str, case: Case, token: str) -> int:
    """Both sides give the same trees, with something in them, before anything is timed."""
    count = 0
    for path in case.paths[:40]:
        ours, peer = (fetched(f"{base}/{prefix}/{path}", token) for prefix in ("fhir/R4", "peer"))
        for tree in (ours, peer):
            tree.get("link", [{}])[0].pop("url", None)
        if ours != peer or not (ours.get("subject") or len(ours.get("entry", ())) == EACH):
            raise SystemExit(f"{case.name}: answers differ or are empty at {path}")
        count += 1
    return count


LUA = """
local paths = {%s}
local at = 0
request = function()
  at = at %% #paths + 1
  return wrk.format("GET", paths[at], {["Authorization"] = "Bearer %s"})
end
"""


def with_wrk(base: str, paths: Sequence[str], token: str, seconds: float, folder: Path) -> float:
    script = folder / "load.lua"
    script.write_text(LUA % (",".join(json.dumps(path) for path in paths), token))
    command = ["wrk", "-t2", f"-c{CONNECTIONS}", f"-d{round(seconds)}s", "-s", str(script), base]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    if "Non-2xx" in said:
        raise SystemExit(f"some answers were no answers: {said}")
    rate = re.search(r"Requests/sec:\s+([\d.]+)", said)
    if rate is None:
        raise SystemExit(said)
    return float(rate[1])


async def with_asyncio(base: str, paths: Sequence[str], token: str, seconds: float) -> float:
    """Keep-alive connections that ask one thing after another; only whole 200s count."""
    host, port = base.removeprefix("http://").split(":")
    end = time.monotonic() + seconds
    done = 0

    async def ask(start: int) -> None:
        nonlocal done
        reader, writer = await asyncio.open_connection(host, int(port))
        place = start
        while time.monotonic() < end:
            path = paths[place % len(paths)]
            place += 1
            writer.write(
                f"GET {path} HTTP/1.1\r\nHost: {host}:{port}\r\nAuthorization: Bearer {token}\r\n\r\n".encode()
            )
            head = await reader.readuntil(b"\r\n\r\n")
            length = re.search(rb"content-length: (\d+)", head.lower())
            if not head.startswith(b"HTTP/1.1 200") or length is None:
                raise SystemExit(f"no answer: {head[:200]!r}")
            await reader.readexactly(int(length[1]))
            done += 1
        writer.close()

    began = time.monotonic()
    await asyncio.gather(*(ask(number * 37) for number in range(CONNECTIONS)))
    return done / (time.monotonic() - began)


def rate(base: str, prefix: str, case: Case, token: str, seconds: float, folder: Path) -> float:
    paths = [f"/{prefix}/{path}" for path in case.paths]
    if shutil.which("wrk"):
        return with_wrk(base, paths, token, seconds, folder)
    return asyncio.run(with_asyncio(base, paths, token, seconds))


def timed(base: str, case: Case, token: str, *, rounds: int, seconds: float, folder: Path) -> Iterator[Line]:
    count = checked(base, case, token)
    sides = {"ours": "fhir/R4", "recorded": "peer", "unrecorded": "peer/unrecorded"}
    found: dict[str, list[float]] = {side: [] for side in sides}
    for prefix in sides.values():
        asyncio.run(with_asyncio(base, [f"/{prefix}/{path}" for path in case.paths], token, 0.3))
    for _ in range(rounds):
        for side, prefix in sides.items():
            found[side].append(rate(base, prefix, case, token, seconds, folder))
    ours = statistics.median(found["ours"])
    for side, words in (("recorded", "ORM with the same record"), ("unrecorded", "ORM that records nothing")):
        peer = statistics.median(found[side])
        yield Line(f"{case.name}, beside {words}", round(ours), round(peer), round(ours / peer, 2), "req/s", count)


def cases(database: str, referrals: int) -> list[Case]:
    chance = random.Random(2266)
    with psycopg.connect(database) as connection:
        keys = connection.execute("SELECT id, patient_id FROM referrals_referral ORDER BY id").fetchall()
    picked = chance.sample(keys, min(ASKED, len(keys)))
    return [
        Case("FHIR read by id", [f"ServiceRequest/{key}" for key, _ in picked]),
        Case(
            f"FHIR search, {EACH} found", [f"ServiceRequest?patient={patient}&_count={EACH}" for _, patient in picked]
        ),
    ]


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--quick", action="store_true", help="40,000 referrals and shorter runs; else 200,000")
    arguments.add_argument("--json", action="store_true")
    given = arguments.parse_args()
    referrals, rounds, seconds = (40_000, 3, 1.0) if given.quick else (200_000, 5, 4.0)
    os.environ["GANTRY_SECRET_KEY"] = secret = "for-this-run-only"
    lines: list[Line] = []
    with TemporaryDirectory() as folder:
        cluster = Cluster(Path(folder) / "postgres", DURABLE)
        cluster.start()
        try:
            database = cluster.ensure_database("bench")
            keys = prepared(database)
            load(database, keys, referrals)
            with server(database, secret) as base:
                for case in cases(database, referrals):
                    for line in timed(base, case, keys["token"], rounds=rounds, seconds=seconds, folder=Path(folder)):
                        lines.append(line)
                        if not given.json:
                            print(f"{line.name}: {line.ours:,.0f} against {line.peer:,.0f} {line.unit}, {line.ratio} ×")
        finally:
            cluster.stop()
    if given.json:
        for line in lines:
            print(json.dumps(asdict(line)))
    else:
        load_by = "wrk" if shutil.which("wrk") else "asyncio client"
        print(f"{referrals:,} referrals, {CONNECTIONS} connections by {load_by}, durable commits")
    if any(line.ratio < TARGET for line in lines if "same record" in line.name):
        raise SystemExit(f"below {TARGET} ×")


if __name__ == "__main__":
    main()

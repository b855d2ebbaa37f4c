"""Worklist queries beside DCMTK's wlmscpfs and Orthanc's plugin: the same items, the same query, equal answers, then time.

    python -m benchmarks.worklist [--quick] [--json]

Ours asks PostgreSQL for the worklist's version at each query, as the live door does. All three run with TCP_NODELAY.
"""

import argparse
import json
import multiprocessing
import os
import statistics
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import psycopg
from pydicom.dataset import Dataset

from benchmarks.dicom_wire import Client, read
from gantry.cli.postgres import FAST, Cluster
from gantry.gateways.dicom.elements import Element, encode
from gantry.gateways.dicom.index import Changes, WorklistIndex, WorklistSource
from gantry.gateways.dicom.server import Doors, serve
from gantry.gateways.dicom.storage import Sent, meta
from gantry.gateways.dicom.worklist import Code, Name, WorklistItem, elements_of
from tests.gateways.peers import free_port, start_orthanc, wait_for_port

LONDON = ZoneInfo("Europe/London")
MONDAY = datetime(2026, 11, 23, 8, tzinfo=LONDON)
STEPS_A_DAY = 10
SIZES = (100, 1_000, 10_000)
STATIONS = {100: 5, 1_000: 5, 10_000: 20}
QUERIES = {100: 40, 1_000: 9, 10_000: 3}


def items(size: int) -> list[WorklistItem]:
    """Steps spread over stations and days, so that one station's day holds two of a hundred and ten of more."""
    stations = STATIONS[size]
    a_day = 2 if size == 100 else STEPS_A_DAY
    made = []
    for number in range(size):
        station, place = number % stations, number // stations
        day, minute = divmod(place, a_day)
        made.append(
            WorklistItem(
                step_id=f"SPS{number}",
                station_ae_titles=(f"PETCT{station}",),
                start=MONDAY + timedelta(days=day, minutes=30 * minute),
                modality="PT",
                study_uid=f"1.2.826.0.1.3680043.8.498.7.{number + 1}",
                accession_number=f"A{number:07}",
                patient_id=f"{9990000000 + number}",
                patient_name=Name(f"ZZTEST{number}", "PAT"),
                sex="F",
                birth_date=datetime(1950, 1, 1, tzinfo=LONDON).date(),
                weight_kg=70 + number % 30,
                requested_procedure_id=f"RP{number}",
                requested_procedure_description="FDG PET-CT half body",
                requested_procedure_codes=(Code("443271005", "SCT", "FDG PET-CT"),),
                step_description="FDG half body",
                station_name=f"PETCT{station}",
                location="Room 1",
                performing_physician=Name("PHYSICIAN", "PAT"),
                referring_physician=Name("REFERRER", "RAY"),
            )
        )
    return made


def query(station: int, day: datetime) -> bytes:
    step = {
        tag: Element(vr) for tag, vr in ((0x00080060, "CS"), (0x00400003, "TM"), (0x00400007, "LO"), (0x00400009, "SH"))
    }
    step[0x00400001] = Element("AE", (f"PETCT{station}",))
    step[0x00400002] = Element("DA", (f"{day:%Y%m%d}",))
    asked = {
        tag: Element(vr)
        for tag, vr in (
            (0x00080050, "SH"), (0x00100010, "PN"), (0x00100020, "LO"), (0x00100030, "DA"), (0x00100040, "CS"),
            (0x0020000D, "UI"), (0x00321060, "LO"), (0x00401001, "SH"),
        )
    }  # fmt: skip
    asked[0x00400100] = Element("SQ", items=(step,))
    return encode(asked, explicit=False)


def said(data_set: bytes) -> tuple[tuple[str, str], ...]:
    """One answer's values by tag; the character set and the zone, which not every server sends, left out."""
    ds = read(data_set)
    return tuple(flat(ds, ""))


def flat(ds: Dataset, above: str) -> Iterator[tuple[str, str]]:
    for data in ds:
        name = f"{above}{data.tag}"
        if data.VR == "SQ":
            for inner in data.value:
                yield from flat(inner, f"{name}/")
        elif data.keyword not in {"SpecificCharacterSet", "TimezoneOffsetFromUTC"} and data.tag.element:
            yield name, str(data.value or "").strip()


def expected(made: list[WorklistItem], station: int, day: datetime) -> set[str]:
    return {
        item.step_id
        for item in made
        if item.station_ae_titles == (f"PETCT{station}",) and item.start.date() == day.date()
    }


def serve_ours(size: int, address: str, ready: Any) -> None:
    held = {item.step_id: item for item in items(size)}
    database = psycopg.connect(address, autocommit=True)

    def version() -> object:
        row = database.execute("SELECT max(change) FROM worklist_change").fetchone()
        return row[0] if row else 0

    source = WorklistSource(version, lambda since: Changes(version(), held, everything=True))
    server = serve("GANTRY", ("127.0.0.1", 0), Doors(zone=LONDON, worklist=WorklistIndex(source, LONDON)))
    ready.send(server.port)
    ready.recv()
    server.stop()


@contextmanager
def ours(size: int, address: str) -> Iterator[int]:
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe()
    process = context.Process(target=serve_ours, args=(size, address, there))
    process.start()
    try:
        yield here.recv()
    finally:
        here.send("stop")
        process.join(20)


def write_items(made: list[WorklistItem], folder: Path) -> None:
    folder.mkdir(parents=True)
    (folder / "lockfile").touch()
    for item in made:
        sent = Sent("1.2.840.10008.5.1.4.31", item.study_uid, "1.2.840.10008.1.2.1", memoryview(b""), "")
        (folder / f"{item.step_id}.wl").write_bytes(meta(sent) + encode(elements_of(item, LONDON), explicit=True))


@contextmanager
def wlmscpfs(folder: Path) -> Iterator[int]:
    port = free_port()
    process = subprocess.Popen(
        ["/usr/bin/wlmscpfs", "-dfr", "-dfp", str(folder), str(port)],
        env={**os.environ, "TCP_NODELAY": "1"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        wait_for_port(port)
        yield port
    finally:
        process.terminate()
        process.wait(10)


def compare(size: int, address: str, queries: int) -> list[dict[str, object]]:
    made = items(size)
    days = sorted({item.start.date() for item in made})
    day = datetime(days[0].year, days[0].month, days[0].day, tzinfo=LONDON)
    asked, wanted = query(1, day), expected(made, 1, day)
    with ExitStack() as stack:
        home = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        write_items(made, home / "wl" / "GANTRY")
        ports = {
            "ours": stack.enter_context(ours(size, address)),
            "wlmscpfs": stack.enter_context(wlmscpfs(home / "wl")),
            "orthanc": stack.enter_context(start_orthanc(home, worklists=home / "wl" / "GANTRY")).dicom_port,
        }
        clients = {name: Client(port, "GANTRY") for name, port in ports.items()}
        contents = {name: {said(answer) for answer in client.find(asked)} for name, client in clients.items()}
        steps = {dict(answer)["(0040,0100)/(0040,0009)"] for answer in contents["ours"]}
        if steps != wanted or len(contents["ours"]) != (2 if size == 100 else STEPS_A_DAY):
            raise AssertionError(f"ours answered {sorted(steps)}, not {sorted(wanted)}")
        for name in ("wlmscpfs", "orthanc"):
            if contents[name] != contents["ours"]:
                raise AssertionError(f"{name} and ours differ: {contents[name] ^ contents['ours']}")
        times: dict[str, list[float]] = {name: [] for name in clients}
        for _ in range(queries):
            for name, client in clients.items():
                began = time.perf_counter()
                answers = client.find(asked)
                times[name].append((time.perf_counter() - began) * 1000)
                if len(answers) != len(wanted):
                    raise AssertionError(f"{name} answered {len(answers)}")
        for client in clients.values():
            client.close()
    middle = {name: statistics.median(each) for name, each in times.items()}
    return [
        {
            "name": f"worklist {size} items, beside {name}",
            "ours": round(middle["ours"], 3),
            "peer": round(middle[name], 3),
            "ratio": round(middle[name] / middle["ours"], 2),
            "unit": "ms a query (median)",
            "checked": f"{len(wanted)} answers equal in every value",
        }
        for name in ("wlmscpfs", "orthanc")
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--json", action="store_true")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as home:
        cluster = Cluster(Path(home), FAST)
        cluster.start()
        try:
            address = cluster.ensure_database("bench")
            with psycopg.connect(address) as database:
                database.execute("CREATE TABLE worklist_change (change bigint PRIMARY KEY)")
                database.execute("INSERT INTO worklist_change VALUES (1)")
            for size in SIZES:
                for line in compare(size, address, QUERIES[size] * (1 if chosen.quick else 4)):
                    print(
                        json.dumps(line)
                        if chosen.json
                        else "{name}: {ours} against {peer} {unit}, {ratio}×".format(**line)
                    )
        finally:
            cluster.stop()


if __name__ == "__main__":
    main()

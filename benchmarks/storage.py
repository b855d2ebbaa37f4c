"""Storing images beside Orthanc: the same sender, the same slices, the same fsync, every file read again.

    python -m benchmarks.storage [--quick] [--json] [--no-sync]

DCMTK's storescu sends to both, on one association and on four at once, in turns. Ours writes each file and its index
row in PostgreSQL before it says success; Orthanc writes each file and its index in SQLite. "The same fsync" is what
Orthanc does with SyncStorageArea: one fdatasync a file, and an index whose commits do not wait for the disk (our
PostgreSQL then runs with synchronous_commit off). Ours alone is shown besides as it ships: file, folder and commit are
all on the disk before the answer. `--no-sync` syncs nothing on either side.
"""

import argparse
import json
import os
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from zoneinfo import ZoneInfo

import psycopg
from pydicom.uid import CTImageStorage

from gantry.cli.postgres import DURABLE, FAST, Cluster
from gantry.gateways.dicom.processes import serve_forever
from gantry.gateways.dicom.server import Doors
from gantry.gateways.dicom.status import Refusal, Status
from gantry.gateways.dicom.storage import Kept, Store, StoredInstance
from tests.gateways.dicom_samples import pet_image
from tests.gateways.peers import start_orthanc

ROOT = Path(__file__).resolve().parent.parent
PROCESSES = 4
SLICE_ROWS = 512
WARM_UP = 4

TABLE = """CREATE TABLE instance (
    sop_instance_uid text PRIMARY KEY, sop_class_uid text NOT NULL, study_uid text NOT NULL, series_uid text NOT NULL,
    transfer_syntax_uid text NOT NULL, path text NOT NULL, size_bytes bigint NOT NULL, sha256 text NOT NULL,
    patient_id text NOT NULL, patient_name text NOT NULL, accession_number text NOT NULL, modality text NOT NULL,
    received_at timestamptz NOT NULL DEFAULT now())"""
COLUMNS = (
    "sop_instance_uid", "sop_class_uid", "study_uid", "series_uid", "transfer_syntax_uid", "path", "size_bytes",
    "sha256", "patient_id", "patient_name", "accession_number", "modality",
)  # fmt: skip
INSERT = (
    f"INSERT INTO instance ({', '.join(COLUMNS)}) VALUES ({', '.join(['%s'] * len(COLUMNS))})"
    " ON CONFLICT (sop_instance_uid) DO UPDATE SET sha256 = instance.sha256 RETURNING sha256"
)


def serve_ours(root: str, address: str, sync: bool, strict: bool) -> None:
    """The child's main: our listener with its index row in PostgreSQL."""
    zone = ZoneInfo("Europe/London")

    def make() -> Doors:
        held = threading.local()

        def keep(instance: StoredInstance) -> Kept | Refusal:
            if not hasattr(held, "database"):
                held.database = psycopg.connect(address, autocommit=True)
                held.database.execute(f"SET synchronous_commit = {'on' if strict else 'off'}")
            values = [getattr(instance, column) for column in COLUMNS]
            (digest,) = held.database.execute(INSERT, values).fetchone()
            return Kept() if digest == instance.sha256 else Refusal(Status.CONFLICT, "Another image has this UID")

        return Doors(zone=zone, storage=Store(Path(root), keep, zone, sync=sync, sync_folder=strict))

    serve_forever("GANTRY", ("127.0.0.1", 0), make, processes=PROCESSES, listening=lambda port: print(port, flush=True))


@contextmanager
def ours(folder: Path, address: str, sync: bool, strict: bool) -> Iterator[int]:
    folder.mkdir(exist_ok=True)
    child = f"from benchmarks.storage import serve_ours; serve_ours({str(folder)!r}, {address!r}, {sync!r}, {strict!r})"
    process = subprocess.Popen([sys.executable, "-c", child], stdout=subprocess.PIPE, text=True, cwd=ROOT)
    try:
        assert process.stdout is not None
        yield int(process.stdout.readline())
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(30)


def slices(folder: Path, count: int, study: int) -> dict[str, bytes]:
    """CT-sized slices, each with pixels of its own; data sets by SOP instance UID."""
    folder.mkdir(parents=True)
    made = {}
    for number in range(1, count + 1):
        ds = pet_image(number, study=study, rows=SLICE_ROWS, SOPClassUID=CTImageStorage, Modality="CT")
        ds.file_meta.MediaStorageSOPClassUID = CTImageStorage
        ds.PixelData = os.urandom(4096) * (len(ds.PixelData) // 4096)
        path = folder / f"{number:04}.dcm"
        ds.save_as(path, enforce_file_format=True)
        made[str(ds.SOPInstanceUID)] = data_set(path)
    return made


def data_set(path: Path) -> bytes:
    content = path.read_bytes()
    return content[144 + int.from_bytes(content[140:144], "little") :]


def send(port: int, folders: list[Path]) -> float:
    """Seconds until every sender has had every answer."""
    began = time.perf_counter()
    senders = [
        subprocess.Popen(
            [
                "/usr/bin/storescu",
                "-aec",
                "GANTRY",
                "--max-send-pdu",
                "131072",
                "+sd",
                "127.0.0.1",
                str(port),
                str(folder),
            ],
            env={**os.environ, "TCP_NODELAY": "1"},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        for folder in folders
    ]
    for sender in senders:
        said, _ = sender.communicate()
        if sender.returncode or b"E:" in said:
            raise AssertionError(f"a sender failed: {said.decode(errors='replace')[-500:]}")
    return time.perf_counter() - began


def check(root: Path, sent: dict[str, bytes], database: psycopg.Connection[tuple[str]]) -> None:
    rows = dict(database.execute("SELECT sop_instance_uid, path FROM instance").fetchall())
    for uid, content in sent.items():
        if uid not in rows or data_set(root / rows[uid]) != content:
            raise AssertionError(f"ours: {uid} is not what was sent")


def check_orthanc(storage: Path, sent: dict[str, bytes]) -> None:
    kept = [data_set(path) for path in storage.glob("??/??/*") if path.read_bytes()[128:132] == b"DICM"]
    missing = set(sent.values()) - set(kept)
    if missing:
        raise AssertionError(f"orthanc: {len(missing)} images are not what was sent")


def compare(home: Path, count: int, rounds: int, sync: bool) -> list[dict[str, object]]:
    with ExitStack() as stack:
        cluster = Cluster(home / "pg", DURABLE if sync else FAST)
        cluster.start()
        stack.callback(cluster.stop)
        address = cluster.ensure_database("bench")
        database = stack.enter_context(psycopg.connect(address, autocommit=True))
        database.execute(TABLE)
        orthanc = stack.enter_context(start_orthanc(home, settings={"SyncStorageArea": sync}))
        ports = {
            "ours": stack.enter_context(ours(home / "images", address, sync, strict=False)),
            "orthanc": orthanc.dicom_port,
        }
        if sync:
            ports["as shipped"] = stack.enter_context(ours(home / "images", address, sync, strict=True))
        study = 0
        times: dict[tuple[str, int], list[float]] = {(name, n): [] for name in ports for n in (1, 4)}
        megabytes = count * SLICE_ROWS * SLICE_ROWS * 2 / 1e6
        for turn in range(rounds + 1):
            for associations in (1, 4):
                each = WARM_UP if turn == 0 else count // associations
                folders, sent = [], {}
                for _ in range(associations):
                    study += 1
                    folders.append(home / "sent" / str(study))
                    sent.update(slices(folders[-1], each, study))
                for name in list(ports) if turn % 2 else reversed(ports):
                    if name != "orthanc":
                        forget(database, home / "images")
                    took = send(ports[name], folders)
                    if name != "orthanc":
                        check(home / "images", sent, database)
                    if turn:
                        times[name, associations].append(took)
                check_orthanc(orthanc.storage, sent)
                for folder in folders:
                    shutil.rmtree(folder)
        lines = []
        for name, associations in [(name, n) for name in ports if name != "orthanc" for n in (1, 4)]:
            mine, theirs = times[name, associations], times["orthanc", associations]
            lines.append(
                {
                    "name": f"storage on {associations} association{'s' if associations > 1 else ''}, beside orthanc"
                    + (", ours syncing more" if name == "as shipped" else ""),
                    "ours": round(megabytes / statistics.median(mine), 1),
                    "peer": round(megabytes / statistics.median(theirs), 1),
                    "ratio": round(statistics.median(b / a for a, b in zip(mine, theirs, strict=True)), 2),
                    "unit": f"MB/s (median), {count} slices, {said_of(sync, name)}",
                    "checked": "every file read again and equal, every row present",
                }
            )
        return lines


def said_of(sync: bool, name: str) -> str:
    if not sync:
        return "nothing synced on either side"
    return (
        "ours syncs file, folder and commit; orthanc the file" if name == "as shipped" else "fdatasync a file on both"
    )


def forget(database: psycopg.Connection[tuple[str]], images: Path) -> None:
    database.execute("TRUNCATE instance")
    for folder in images.iterdir():
        shutil.rmtree(folder)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--no-sync", action="store_true")
    chosen = parser.parse_args()
    var = ROOT / "var"
    var.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=var) as home:
        count, rounds = (60, 3) if chosen.quick else (300, 7)
        for line in compare(Path(home), count, rounds, not chosen.no_sync):
            print(json.dumps(line) if chosen.json else "{name}: {ours} against {peer} {unit}, {ratio}×".format(**line))


if __name__ == "__main__":
    main()

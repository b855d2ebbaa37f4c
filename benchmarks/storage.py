"""Storing images beside Orthanc: the same sender, the same slices, the same fsync, every file read again.

    python -m benchmarks.storage [--quick] [--json] [--no-sync]

DCMTK's storescu sends to both, on one association and on four at once, in turns. Ours is the product's own listener with
the product's own rows: each association brings the images of a booked visit, which are matched to it by NHS number and
accession number; study, series, instance and the event are asserted before a time counts. Orthanc writes each file and
its index in SQLite. "The same fsync" is what Orthanc does with SyncStorageArea: one fdatasync a file, and an index whose
commits do not wait for the disk (our PostgreSQL then runs with synchronous_commit off). Ours alone is shown besides as
it ships: file, folder and commit are all on the disk before the answer. `--no-sync` syncs nothing on either side.
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
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from urllib.parse import quote

from pydicom.uid import CTImageStorage

from gantry.cli.postgres import DURABLE, FAST, Cluster
from gantry.gateways.dicom.processes import serve_forever
from gantry.gateways.dicom.server import Doors
from tests.gateways.dicom_samples import pet_image
from tests.gateways.peers import start_orthanc

ROOT = Path(__file__).resolve().parent.parent
SETTINGS = "gantry.config.settings"
ASSOCIATIONS = 4
PROCESSES = 4
SLICE_ROWS = 512
WARM_UP = 4
APART = timedelta(minutes=30)


@dataclass(frozen=True, slots=True)
class Booked:
    """What a scanner read from the worklist and writes into each image of the visit."""

    study_uid: str
    accession_number: str
    patient_id: str
    patient_name: str


def book(address: str, visits: int) -> list[Booked]:
    """The house's tables, one day at a site, and its booked visits."""
    os.environ.update(DATABASE_URL=address, DJANGO_SETTINGS_MODULE=SETTINGS)
    import django

    django.setup()
    from django.core.management import call_command

    call_command("migrate", verbosity=0, interactive=False)
    from gantry.apps.scanning.models import ScheduledStep
    from tests.apps.factories import NOW
    from tests.apps.scan_day import make_booked, make_day

    day = make_day()
    steps = [
        ScheduledStep.objects.get(appointment=make_booked(day, arrival_at=NOW + number * APART).appointment_id)
        for number in range(visits)
    ]
    return [
        Booked(one.study_uid, one.accession_number, one.patient_id, f"{one.family_name}^{one.given_name}")
        for one in steps
    ]


def serve_ours(strict: bool) -> None:
    """The child's main: the listener as it ships, but for its syncing where that shall be what Orthanc's is."""
    import django

    django.setup()
    from gantry.gateways.dicom.wiring import make_doors

    def make() -> Doors:
        doors = make_doors()
        assert doors.storage is not None
        return replace(doors, storage=replace(doors.storage, sync_folder=strict))

    serve_forever("GANTRY", ("127.0.0.1", 0), make, processes=PROCESSES, listening=lambda port: print(port, flush=True))


@contextmanager
def ours(folder: Path, address: str, sync: bool, strict: bool) -> Iterator[int]:
    folder.mkdir(exist_ok=True)
    commits = "" if strict else "?options=" + quote("-c synchronous_commit=off")
    environment = {
        **os.environ,
        "DATABASE_URL": address + commits,
        "GANTRY_IMAGES": str(folder),
        "GANTRY_IMAGES_FSYNC": "1" if sync else "0",
    }
    child = f"from benchmarks.storage import serve_ours; serve_ours({strict!r})"
    process = subprocess.Popen(
        [sys.executable, "-c", child], stdout=subprocess.PIPE, text=True, cwd=ROOT, env=environment
    )
    try:
        assert process.stdout is not None
        yield int(process.stdout.readline())
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(30)


def slices(folder: Path, count: int, turn: int, visit: Booked) -> dict[str, bytes]:
    """CT-sized slices of a visit, each with pixels of its own; data sets by SOP instance UID."""
    folder.mkdir(parents=True)
    made = {}
    series = f"{visit.study_uid}.{turn}"
    for number in range(1, count + 1):
        ds = pet_image(
            number,
            rows=SLICE_ROWS,
            SOPClassUID=CTImageStorage,
            Modality="CT",
            StudyInstanceUID=visit.study_uid,
            SeriesInstanceUID=series,
            SOPInstanceUID=f"{series}.{number}",
            AccessionNumber=visit.accession_number,
            PatientID=visit.patient_id,
            PatientName=visit.patient_name,
        )
        del ds.RadiopharmaceuticalInformationSequence
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


def check(root: Path, sent: dict[str, bytes], visits: list[Booked]) -> None:
    """Every image in its file, and the product's rows: matched to its visit, counted, told once."""
    from gantry.apps.audit.models import Event
    from gantry.apps.scanning.models import Instance, ReconcileItem, Study
    from gantry.domain.events import EventKind

    paths = dict(Instance.objects.values_list("sop_instance_uid", "path"))
    for uid, content in sent.items():
        if uid not in paths or data_set(root / paths[uid]) != content:
            raise AssertionError(f"ours: {uid} is not what was sent")
    studies = {study.study_uid: study for study in Study.objects.all()}
    told = Event.objects.filter(kind=EventKind.IMAGES_RECEIVED)
    for visit in visits:
        study = studies.pop(visit.study_uid)
        found = (study.state, study.accession_number, study.instances_count, study.series.count())
        if found != ("matched", visit.accession_number, len(sent) // len(visits), 1) or study.appointment is None:
            raise AssertionError(f"ours: {visit.study_uid} is {found}")
        if told.filter(subjects__contains=[study.pk]).count() != 1:
            raise AssertionError(f"ours: {visit.study_uid} was not told once")
    if studies or ReconcileItem.objects.exists() or len(paths) != len(sent):
        raise AssertionError("ours: more was kept than was sent")


def check_orthanc(storage: Path, sent: dict[str, bytes], before: set[Path]) -> None:
    """What Orthanc holds beyond the files that were checked `before`, which grows by these."""
    new = set(storage.glob("??/??/*")) - before
    kept = [data_set(path) for path in new if path.read_bytes()[128:132] == b"DICM"]
    missing = set(sent.values()) - set(kept)
    if missing:
        raise AssertionError(f"orthanc: {len(missing)} images are not what was sent")
    before |= new


def compare(home: Path, count: int, rounds: int, sync: bool) -> list[dict[str, object]]:
    with ExitStack() as stack:
        cluster = Cluster(home / "pg", DURABLE if sync else FAST)
        cluster.start()
        stack.callback(cluster.stop)
        address = cluster.ensure_database("bench")
        visits = book(address, ASSOCIATIONS)
        stack.callback(hang_up)
        orthanc = stack.enter_context(start_orthanc(home, settings={"SyncStorageArea": sync}))
        ports = {
            "ours": stack.enter_context(ours(home / "images", address, sync, strict=False)),
            "orthanc": orthanc.dicom_port,
        }
        if sync:
            ports["as shipped"] = stack.enter_context(ours(home / "images", address, sync, strict=True))
        times: dict[tuple[str, int], list[float]] = {(name, n): [] for name in ports for n in (1, ASSOCIATIONS)}
        megabytes = count * SLICE_ROWS * SLICE_ROWS * 2 / 1e6
        checked: set[Path] = set()
        for turn in range(rounds + 1):
            for associations in (1, ASSOCIATIONS):
                each = WARM_UP if turn == 0 else count // associations
                folders, sent = [], {}
                for number, visit in enumerate(visits[:associations]):
                    folders.append(home / "sent" / str(number))
                    sent.update(slices(folders[-1], each, 2 * turn + (associations > 1), visit))
                for name in list(ports) if turn % 2 else reversed(ports):
                    if name != "orthanc":
                        forget(home / "images")
                    took = send(ports[name], folders)
                    if name != "orthanc":
                        check(home / "images", sent, visits[:associations])
                    if turn:
                        times[name, associations].append(took)
                check_orthanc(orthanc.storage, sent, checked)
                for folder in folders:
                    shutil.rmtree(folder)
        lines = []
        for name, associations in [(name, n) for name in ports if name != "orthanc" for n in (1, ASSOCIATIONS)]:
            mine, theirs = times[name, associations], times["orthanc", associations]
            ratios = [b / a for a, b in zip(mine, theirs, strict=True)]
            lines.append(
                {
                    "name": f"storage on {associations} association{'s' if associations > 1 else ''}, beside orthanc"
                    + (", ours syncing more" if name == "as shipped" else ""),
                    "ours": round(megabytes / statistics.median(mine), 1),
                    "peer": round(megabytes / statistics.median(theirs), 1),
                    "ratio": round(statistics.median(ratios), 2),
                    "lowest": round(min(ratios), 2),
                    "unit": f"MB/s (median), {count} slices of booked visits, {said_of(sync, name)}",
                    "checked": "every file read again and equal, every row, every study matched to its visit",
                }
            )
        return lines


def said_of(sync: bool, name: str) -> str:
    if not sync:
        return "nothing synced on either side"
    return (
        "ours syncs file, folder and commit; orthanc the file" if name == "as shipped" else "fdatasync a file on both"
    )


def forget(images: Path) -> None:
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute("TRUNCATE scanning_study CASCADE")
    for folder in images.iterdir():
        shutil.rmtree(folder)


def hang_up() -> None:
    from django.db import connections

    connections.close_all()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--no-sync", action="store_true")
    chosen = parser.parse_args()
    var = ROOT / "var"
    var.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=var) as home:
        count, rounds = (120, 3) if chosen.quick else (300, 7)
        for line in compare(Path(home), count, rounds, not chosen.no_sync):
            print(json.dumps(line) if chosen.json else "{name}: {ours} against {peer} {unit}, {ratio}×".format(**line))


if __name__ == "__main__":
    main()

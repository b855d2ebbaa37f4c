"""What is kept of images that are sent: all of each, byte for byte with its row, or a refusal and nothing."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from threading import Lock

import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate
from pydicom.uid import (
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
)
from pynetdicom import AE
from pynetdicom.dimse_messages import C_STORE_RQ
from pynetdicom.dimse_primitives import C_STORE

from gantry.gateways.dicom.server import Doors, Server, serve
from gantry.gateways.dicom.status import Refusal, Status
from gantry.gateways.dicom.storage import Kept, Store, StoredInstance, alike, unindexed
from gantry.gateways.dicom.wholeness import not_whole
from tests.gateways.dicom_samples import LONDON, PET, cut_short, pet_image, save, without_meta
from tests.gateways.peers import needs, run_echoscu, run_storescu, statuses

ROOT_FOLDER = Path(__file__).parents[2]


A_ABORT = 0x07


@dataclass
class Shelf:
    """An index as the house would keep it: one row an instance, a differing second one refused."""

    rows: dict[str, StoredInstance] = field(default_factory=dict)
    seen: int = 0
    lock: Lock = field(default_factory=Lock)

    def keep(self, instance: StoredInstance) -> Kept | Refusal:
        with self.lock:
            self.seen += 1
            first = self.rows.setdefault(instance.sop_instance_uid, instance)
        if (first.sha256, first.transfer_syntax_uid) != (instance.sha256, instance.transfer_syntax_uid):
            return Refusal(Status.CONFLICT, "Another image was kept under this UID")
        return Kept()


@pytest.fixture
def shelf() -> Shelf:
    return Shelf()


@pytest.fixture
def kept_in(tmp_path: Path) -> Path:
    folder = tmp_path / "images"
    folder.mkdir()
    return folder


@pytest.fixture
def server(shelf: Shelf, kept_in: Path) -> Iterator[Server]:
    running = serve("GANTRY", ("127.0.0.1", 0), Doors(zone=LONDON, storage=Store(kept_in, shelf.keep, LONDON)))
    yield running
    running.stop()


def data_set_of(path: Path) -> bytes:
    return without_meta(path.read_bytes())


def files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


@needs("storescu")
def test_what_was_sent_is_kept_byte_for_byte_and_described(
    server: Server, shelf: Shelf, kept_in: Path, tmp_path: Path
) -> None:
    sent = save(pet_image(), tmp_path)
    assert statuses(run_storescu(server.port, sent, called="GANTRY", calling="PETCT1", options=["-xe"])) == [0]
    (row,) = shelf.rows.values()
    stored = kept_in / row.path
    assert data_set_of(stored) == data_set_of(sent)
    assert dcmread(stored).PatientName == "ZZTEST^Zoë"
    assert (row.patient_name, row.patient_name_raw) == ("ZZTEST^Zoë", "ZZTEST^Zoë".encode())
    assert (row.nhs_number, row.accession_number, row.calling_ae_title) == ("9990000018", "ACC00001", "PETCT1")
    (injection,) = row.injections
    assert injection.started_at is not None
    assert (injection.started_at.isoformat(), injection.total_dose_bq) == ("2026-11-23T08:30:00+00:00", 350e6)
    assert (injection.half_life_s, injection.weight_kg, injection.start_day_assumed) == (6586.2, 81.5, False)


@pytest.mark.parametrize("syntax", [ImplicitVRLittleEndian, ExplicitVRBigEndian, JPEG2000Lossless])
def test_the_senders_syntax_stays(server: Server, shelf: Shelf, kept_in: Path, tmp_path: Path, syntax: UID) -> None:
    ds = pet_image()
    if syntax.is_compressed:
        ds.PixelData = encapsulate([b"\xff\x4f\xff\x51"])
        ds["PixelData"].is_undefined_length = True
    ds.file_meta.TransferSyntaxUID = syntax
    sent = tmp_path / "sent.dcm"
    ds.save_as(sent, enforce_file_format=True)
    assert send(server.port, sent, syntax) == 0
    (row,) = shelf.rows.values()
    assert (row.transfer_syntax_uid, row.patient_id) == (syntax, "9990000018")
    assert data_set_of(kept_in / row.path) == data_set_of(sent)
    assert dcmread(kept_in / row.path).file_meta.TransferSyntaxUID == syntax


def send(port: int, path: Path, syntax: UID) -> int:
    ae = AE("TESTER")
    ae.add_requested_context(PET, syntax)
    association = ae.associate("127.0.0.1", port, ae_title="GANTRY")
    assert association.is_established
    try:
        return int(association.send_c_store(path).Status)
    finally:
        association.release()


def test_what_a_series_shares_is_read_once_and_what_is_an_images_own_each_time(
    server: Server, shelf: Shelf, kept_in: Path, tmp_path: Path
) -> None:
    alike.cache_clear()
    images = [pet_image(number, ContentTime=f"09300{number}") for number in (1, 2, 3)]
    images += [pet_image(4, PatientName="ZZTEST^Other"), pet_image(5, study=2)]
    for ds in images:
        assert send(server.port, save(ds, tmp_path), ExplicitVRLittleEndian) == 0
    assert alike.cache_info().misses == 3
    for ds in images:
        row = shelf.rows[ds.SOPInstanceUID]
        assert (row.instance_number, row.patient_name, row.study_uid) == (
            str(ds.InstanceNumber),
            str(ds.PatientName),
            ds.StudyInstanceUID,
        )
        assert dcmread(kept_in / row.path) == ds
        assert len(row.injections) == 1


def test_a_store_that_names_who_moved_it_is_kept_too(server: Server, shelf: Shelf, tmp_path: Path) -> None:
    ae = AE("TESTER")
    ae.add_requested_context(PET, ExplicitVRLittleEndian)
    association = ae.associate("127.0.0.1", server.port, ae_title="GANTRY")
    answer = association.send_c_store(save(pet_image(), tmp_path), originator_aet="MOVER", originator_id=7)
    association.release()
    assert (answer.Status, len(shelf.rows)) == (0, 1)


def test_a_command_within_a_data_set_ends_the_association_and_no_other(server: Server, shelf: Shelf) -> None:
    ae = AE("TESTER")
    ae.add_requested_context(PET, ExplicitVRLittleEndian)
    association = ae.associate("127.0.0.1", server.port, ae_title="GANTRY")
    request = C_STORE()
    request.MessageID, request.Priority = 1, 2
    request.AffectedSOPClassUID, request.AffectedSOPInstanceUID = PET, "1.2.3"
    request.DataSet = BytesIO(bytes(range(256)))
    message = C_STORE_RQ()
    message.primitive_to_message(request)
    units = list(message.encode_msg(association.accepted_contexts[0].context_id, 128))
    for unit in (*units[:2], units[0]):
        association.dul.send_pdu(unit)
    until = time.monotonic() + 10
    while association.is_alive() and time.monotonic() < until:
        time.sleep(0.01)
    assert association.is_aborted
    assert shelf.rows == {}
    assert run_echoscu(server.port, called="GANTRY").returncode == 0


@needs("storescu")
def test_the_same_again_is_one_and_another_under_its_name_is_refused(
    server: Server, shelf: Shelf, kept_in: Path, tmp_path: Path
) -> None:
    sent = save(pet_image(), tmp_path)
    other = save(pet_image(PatientID="9990000026"), tmp_path, "other.dcm")
    assert run_storescu(server.port, sent, sent, called="GANTRY").returncode == 0
    refused = run_storescu(server.port, other, called="GANTRY")
    assert statuses(refused) == [0xC010]
    assert "Another image was kept under this UID" in refused.stdout + refused.stderr
    assert [row.patient_id for row in shelf.rows.values()] == ["9990000018"]
    assert len(files(kept_in)) == 1


SYNTAXES = [ExplicitVRLittleEndian, ImplicitVRLittleEndian, ExplicitVRBigEndian]


def send_bytes(port: int, ds: Dataset, data_set: bytes, syntax: UID = ExplicitVRLittleEndian) -> tuple[int, str]:
    """These bytes and no others: a toolkit would read a damaged data set and write it anew."""
    ae = AE("TESTER")
    ae.add_requested_context(ds.SOPClassUID, syntax)
    association = ae.associate("127.0.0.1", port, ae_title="GANTRY")
    assert association.is_established
    request = C_STORE()
    request.MessageID, request.Priority = 1, 2
    request.AffectedSOPClassUID, request.AffectedSOPInstanceUID = ds.SOPClassUID, ds.SOPInstanceUID
    request.DataSet = BytesIO(data_set)
    association._reactor_checkpoint.clear()
    try:
        association.dimse.send_msg(request, association.accepted_contexts[0].context_id)
        _, answer = association.dimse.get_msg(block=True)
    finally:
        association._reactor_checkpoint.set()
        association.release()
    return int(answer.Status), str(answer.ErrorComment or "")


def test_an_image_cut_short_is_refused_and_leaves_nothing(server: Server, shelf: Shelf, kept_in: Path) -> None:
    ds = pet_image()
    status, reason = send_bytes(server.port, ds, cut_short(ds, ExplicitVRLittleEndian))
    assert (status, reason) == (0xC000, "Cut short: (7FE0,0010) says 512 bytes, 450 came")
    assert (shelf.rows, files(kept_in)) == ({}, [])


@pytest.mark.parametrize("undefined", [False, True])
@pytest.mark.parametrize("syntax", SYNTAXES)
def test_wherever_it_is_cut_it_is_seen_unless_between_two_elements(syntax: UID, undefined: bool) -> None:
    ds = pet_image(rows=2)
    whole = cut_short(ds, syntax, keep=1 << 20, undefined=undefined)
    assert not_whole(memoryview(whole), syntax) is None
    assert not_whole(memoryview(whole + b"\0" * 9), syntax) is None
    unseen = [cut for cut in range(1, len(whole)) if not_whole(memoryview(whole[:cut]), syntax) is None]
    # A header's first byte may be zero in big-endian: then it looks like padding.
    assert len(unseen) <= len(ds) * (2 if syntax == ExplicitVRBigEndian else 1)


def test_an_encapsulated_image_without_its_end_is_refused(server: Server, shelf: Shelf) -> None:
    ds = pet_image()
    ds.PixelData = encapsulate([b"\xff\x4f\xff\x51"])
    ds["PixelData"].is_undefined_length = True
    # Without the sequence delimiter, and within a fragment.
    for keep, reason in ((-8, "is not ended"), (-10, "says 4 bytes, 2 came")):
        data_set = cut_short(ds, JPEG2000Lossless, keep=keep)
        assert send_bytes(server.port, ds, data_set, JPEG2000Lossless) == (0xC000, f"Cut short: (7FE0,0010) {reason}")
    assert shelf.rows == {}


def test_sequences_within_sequences_are_followed_however_deep() -> None:
    opened = b"\x40\x00\x75\x02SQ\0\0\xff\xff\xff\xff\xfe\xff\x00\xe0\xff\xff\xff\xff"
    closed = b"\xfe\xff\x0d\xe0\0\0\0\0\xfe\xff\xdd\xe0\0\0\0\0"
    deep = opened * 5000 + closed * 5000
    assert not_whole(memoryview(deep), ExplicitVRLittleEndian) is None
    assert not_whole(memoryview(deep[:-8]), ExplicitVRLittleEndian) is not None
    # PS3.5 6.2.2: within UN of undefined length all is implicit; after it, what was agreed goes on.
    unknown = b"\x09\x00\x10\x10UN\0\0\xff\xff\xff\xff" + closed[8:] + b"\x10\x00\x10\x00PN\x02\0A "
    assert not_whole(memoryview(unknown), ExplicitVRLittleEndian) is None


@needs("storescu")
def test_a_row_that_cannot_be_written_is_no_success(kept_in: Path, tmp_path: Path) -> None:
    def fails(instance: StoredInstance) -> Kept | Refusal:
        raise ConnectionError("no database")

    running = serve("GANTRY", ("127.0.0.1", 0), Doors(zone=LONDON, storage=Store(kept_in, fails, LONDON)))
    try:
        done = run_storescu(running.port, save(pet_image(), tmp_path), called="GANTRY")
        assert statuses(done) == [0xC001]
        assert run_echoscu(running.port, called="GANTRY").returncode == 0
    finally:
        running.stop()
    # Whether a row was committed before the failure nobody knows here: the whole file waits for the sweep.
    (left,) = unindexed(kept_in, lambda path: False, before=time.time() + 1)
    assert dcmread(left).PatientID == "9990000018"


@needs("storescu")
def test_a_full_disk_is_said_and_leaves_nothing(server: Server, shelf: Shelf, kept_in: Path, tmp_path: Path) -> None:
    (kept_in / "blocked").write_text("")
    running = serve(
        "GANTRY", ("127.0.0.1", 0), Doors(zone=LONDON, storage=Store(kept_in / "blocked", shelf.keep, LONDON))
    )
    try:
        done = run_storescu(running.port, save(pet_image(), tmp_path), called="GANTRY")
    finally:
        running.stop()
    assert statuses(done) == [0xA700]
    assert shelf.rows == {}


@needs("storescu")
@pytest.mark.parametrize("uid", ["", "../../etc", "1.2.3/4", "1." + "2" * 70])
def test_a_study_uid_that_is_none_never_becomes_a_path(
    server: Server, shelf: Shelf, kept_in: Path, tmp_path: Path, uid: str
) -> None:
    ds = pet_image()
    ds["StudyInstanceUID"]._value = uid
    path = tmp_path / "bad.dcm"
    ds.save_as(path, enforce_file_format=False)
    done = run_storescu(server.port, path, called="GANTRY")
    assert statuses(done) == [0xA900]
    assert (shelf.rows, files(kept_in)) == ({}, [])


def test_a_pdu_that_claims_four_gigabytes_is_not_believed(server: Server) -> None:
    for claim in (
        b"\x01\x00\xff\xff\xff\xff",
        b"\x04\x00\xff\xff\xff\xff",
        b"\x09\x00\x00\x00\x00\x04abcd",
        b"GET / HTTP/1.1\r\n\r\n",
    ):
        with socket.create_connection(("127.0.0.1", server.port), timeout=5) as peer:
            peer.sendall(claim)
            assert peer.recv(10)[0] == A_ABORT
    assert run_echoscu(server.port, called="GANTRY").returncode == 0


def test_deflated_is_not_agreed_to(server: Server) -> None:
    ae = AE("TESTER")
    ae.add_requested_context(pet_image().SOPClassUID, DeflatedExplicitVRLittleEndian)
    association = ae.associate("127.0.0.1", server.port, ae_title="GANTRY")
    assert not association.accepted_contexts
    association.abort()


@pytest.mark.data
@needs("storescu")
def test_malformed_files_are_refused_with_a_reason_or_kept_whole(
    server: Server, shelf: Shelf, kept_in: Path, real_data: Path
) -> None:
    """D6."""
    before = memory_kb()
    answered = {}
    for path in sorted(real_data.glob("dicom/malformed-*/*")):
        for option in ("-xe", "-xi"):
            done = run_storescu(server.port, path, called="GANTRY", options=["-R", option])
            answered[path.name, option] = statuses(done)
    assert run_echoscu(server.port, called="GANTRY").returncode == 0
    assert memory_kb() - before < 64 * 1024
    assert len(answered) >= 30
    assert len(shelf.rows) == len(files(kept_in))
    for row in shelf.rows.values():
        assert (kept_in / row.path).stat().st_size > row.size_bytes
    common = [row for row in shelf.rows.values() if row.patient_id == "COMMON"]
    assert len(common) == 3
    assert len({row.study_uid for row in common}) == 3


@pytest.mark.data
def test_a_real_image_that_was_cut_short_is_refused_as_it_lies(
    server: Server, shelf: Shelf, kept_in: Path, real_data: Path
) -> None:
    path = real_data / "dicom" / "malformed-pydicom" / "MR_truncated.dcm"
    ds = dcmread(path, stop_before_pixels=True)
    status, reason = send_bytes(server.port, ds, data_set_of(path))
    assert (status, reason) == (0xC000, "Cut short: (7FE0,0010) says 8192 bytes, 8130 came")
    assert (shelf.rows, files(kept_in)) == ({}, [])


@pytest.mark.data
@needs("storescu")
def test_real_pet_images(server: Server, shelf: Shelf, kept_in: Path, real_data: Path) -> None:
    folder = real_data / "dicom" / "openrem-dose-and-pet"
    sent = [folder / "NM-PetIm-Siemens.dcm", folder / "NM-PetIm-GE.dcm"]
    assert run_storescu(server.port, *sent, called="GANTRY").returncode == 0
    rows = {row.manufacturer.split()[0]: row for row in shelf.rows.values()}
    assert rows["GE"].study_description == "Teilkörper-PET"
    assert rows["SIEMENS"].injections[0].total_dose_bq == 394e6
    for path in sent:
        original = dcmread(path)
        # DCMTK writes sequences anew on the way, so values are compared here and bytes in the test above.
        assert dcmread(kept_in / shelf.rows[original.SOPInstanceUID].path) == original


def memory_kb() -> int:
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmRSS"))


# Several processes

SERVING = """
import sys, time
from pathlib import Path
from gantry.gateways.dicom.processes import serve_forever
from gantry.gateways.dicom.server import Doors
from gantry.gateways.dicom.storage import Kept, Store
from zoneinfo import ZoneInfo
import os

root, zone = Path(sys.argv[1]), ZoneInfo("Europe/London")

def make():
    def keep(instance):
        with open(root / f"rows-{os.getpid()}", "a") as rows:
            rows.write(instance.path + "\\n")
        return Kept()
    return Doors(zone=zone, storage=Store(root / "images", keep, zone))

serve_forever("GANTRY", ("127.0.0.1", 0), make, processes=4, listening=lambda port: print(port, flush=True))
"""


@pytest.fixture
def several(tmp_path: Path) -> Iterator[tuple[subprocess.Popen[str], int]]:
    (tmp_path / "images").mkdir()
    process = subprocess.Popen(
        [sys.executable, "-c", SERVING, str(tmp_path)], stdout=subprocess.PIPE, text=True, cwd=ROOT_FOLDER
    )
    assert process.stdout is not None
    port = int(process.stdout.readline())
    yield process, port
    process.terminate()
    assert process.wait(20) == 0
    process.stdout.close()


def workers(process: "subprocess.Popen[str]") -> set[int]:
    listed = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    return {int(pid) for pid in listed}


@needs("storescu")
def test_four_senders_are_served_by_four_processes_and_a_killed_one_is_replaced(
    several: "tuple[subprocess.Popen[str], int]", tmp_path: Path
) -> None:
    process, port = several
    sent = [[save(pet_image(number, study=study), tmp_path) for number in range(1, 16)] for study in range(1, 5)]
    with ThreadPoolExecutor(4) as pool:
        done = list(pool.map(lambda batch: run_storescu(port, *batch, called="GANTRY"), sent))
    assert [each.returncode for each in done] == [0] * 4
    assert len(files(tmp_path / "images")) == 60
    assert len(list(tmp_path.glob("rows-*"))) >= 2

    victims = workers(process)
    assert len(victims) == 4
    for victim in victims:
        os.kill(victim, signal.SIGKILL)
    until = time.monotonic() + 20
    while time.monotonic() < until and (len(workers(process)) < 4 or workers(process) & victims):
        time.sleep(0.05)
    assert run_echoscu(port, called="GANTRY").returncode == 0
    again = save(pet_image(99, study=9), tmp_path)
    assert run_storescu(port, again, called="GANTRY").returncode == 0
    assert len(files(tmp_path / "images")) == 61

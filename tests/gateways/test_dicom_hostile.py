"""What no scanner should send: an image is kept whole or refused with a reason, and the listener goes on."""

import errno
import os
import socket
import struct
import time
from io import BytesIO
from pathlib import Path

import pytest
from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian
from pynetdicom import AE
from pynetdicom.dimse_primitives import C_STORE

from gantry.apps.audit.models import Event
from gantry.apps.scanning.models import DoseRecord, Instance, PerformedStep, ReconcileItem, Series, Study
from gantry.domain.events import EventKind
from gantry.gateways.database import Desk
from gantry.gateways.dicom import storage
from gantry.gateways.dicom.commitment import NO_SUCH_OBJECT, Asked
from gantry.gateways.dicom.server import PERFORMED_STEP, Doors, serve
from gantry.gateways.dicom.storage import Store
from gantry.gateways.dicom.wiring import committed, make_doors, whole_number
from tests.apps.scan_day import make_booked, make_day
from tests.gateways.dicom_samples import LONDON, cut_short, pet_image
from tests.gateways.peers import needs, run_echoscu
from tests.gateways.test_dicom_storage import data_set_of, files, kept_in, send_bytes, server, shelf

__all__ = ["kept_in", "server", "shelf"]
live = pytest.mark.django_db(transaction=True)
ASSOCIATE = 0x01


def element(group: int, number: int, vr: bytes, value: bytes) -> bytes:
    value += b" " * (len(value) % 2)
    return struct.pack("<HH", group, number) + vr + struct.pack("<H", len(value)) + value


def raw(number: int, changes: dict[tuple[int, int], tuple[bytes, bytes]]) -> tuple[Dataset, bytes]:
    """A header written byte by byte: a toolkit would not write what some scanners do."""
    fields = {
        (0x08, 0x05): (b"CS", b"ISO_IR 192"),
        (0x08, 0x16): (b"UI", b"1.2.840.10008.5.1.4.1.1.128\0"),
        (0x08, 0x18): (b"UI", b"1.2.3.%d" % number),
        (0x08, 0x50): (b"SH", b"ACC1"),
        (0x08, 0x60): (b"CS", b"PT"),
        (0x10, 0x10): (b"PN", b"ZZTEST^A"),
        (0x10, 0x20): (b"LO", b"9990000018"),
        (0x20, 0x0D): (b"UI", b"1.2.4.%d" % number),
        (0x20, 0x0E): (b"UI", b"1.2.5.%d" % number),
        (0x20, 0x11): (b"IS", b"1"),
    } | changes
    named = pet_image(SOPInstanceUID=f"1.2.3.{number}")
    return named, b"".join(element(*tag, *field) for tag, field in sorted(fields.items()))


@live
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_no_odd_value_keeps_an_image_out_or_leaves_a_file_without_its_row(tmp_path: Path, settings) -> None:
    """A series number beyond 32 bits did both, for ever: the scanner would have sent it again each time."""
    settings.IMAGES_ROOT, settings.IMAGES_FSYNC = tmp_path / "images", False
    settings.IMAGES_ROOT.mkdir()
    make_day()
    desk = Desk()
    running = serve("GANTRY", ("127.0.0.1", 0), make_doors(desk))
    odd = [
        {(0x20, 0x11): (b"IS", b"999999999999")},
        {(0x20, 0x11): (b"IS", b"-9999999999")},
        {(0x20, 0x11): (b"IS", b"-")},
        {(0x20, 0x11): (b"US", b"\1\2")},
        {(0x10, 0x10): (b"PN", b"M\xfcller^\xff\xfe")},
        {(0x08, 0x05): (b"CS", b"ISO_IR 999"), (0x10, 0x10): (b"PN", b"M\xfcller")},
        {(0x08, 0x05): (b"CS", b"\\ISO 2022 IR 87"), (0x10, 0x10): (b"PN", b"\x1b$B\xff\xff\x1b(B^X")},
        {(0x10, 0x10): (b"PN", b"A\xed\xa0\x80B")},
        {(0x10, 0x20): (b"LO", b"999000\0\0001")},
        {(0x08, 0x20): (b"US", b"\1\2"), (0x10, 0x30): (b"DA", b"no date at all")},
        {(0x08, 0x50): (b"SH", b"A" * 300), (0x08, 0x60): (b"CS", b"X" * 300), (0x08, 0x1030): (b"LO", b"x" * 60_000)},
        {(0x10, 0x1030): (b"DS", b"1e400")},
    ]
    try:
        for number, changes in enumerate(odd):
            named, content = raw(number, changes)
            assert (number, send_bytes(running.port, named, content)) == (number, (0, ""))
        for number, day in enumerate((b"00010101", b"99991231", b"20261399"), start=50):
            image = pet_image(number, study=number)
            content = cut_short(image, ExplicitVRLittleEndian, keep=None).replace(b"20261123", day)
            assert send_bytes(running.port, image, content) == (0, "")
    finally:
        running.stop()
        desk.close()
    assert Instance.objects.count() == len(files(settings.IMAGES_ROOT)) == len(odd) + 3
    assert Study.objects.count() == ReconcileItem.objects.count() == len(odd) + 3
    assert Series.objects.filter(number=None).count() >= 3
    assert not DoseRecord.objects.exclude(injected_at=None).exists()


@pytest.mark.parametrize(
    ("text", "number"),
    [("2147483647", 2147483647), ("2147483648", None), ("-7", -7), ("--7", None), ("٣", None), ("9" * 5000, None)],
)
def test_a_series_number_is_one_that_can_be_kept_or_none(text: str, number: int | None) -> None:
    assert whole_number(text) == number


def test_sequences_within_sequences_without_end_are_refused(server, shelf, kept_in) -> None:
    named, content = raw(1, {})
    begin = (
        struct.pack("<HH", 0x40, 0x275) + b"SQ\0\0\xff\xff\xff\xff" + struct.pack("<HHI", 0xFFFE, 0xE000, 0xFFFFFFFF)
    )
    end = struct.pack("<HHIHHI", 0xFFFE, 0xE00D, 0, 0xFFFE, 0xE0DD, 0)
    status, reason = send_bytes(server.port, named, content + begin * 20_000 + end * 20_000)
    assert status == 0xC000 and "Cannot read" in reason
    assert (shelf.rows, files(kept_in)) == ({}, [])


@pytest.mark.parametrize("at", [0, 1, 3])
def test_a_disk_that_fills_in_the_middle_is_said_and_leaves_nothing(server, shelf, kept_in, monkeypatch, at) -> None:
    write, calls = os.write, []

    def full(file: int, part: memoryview) -> int:
        calls.append(len(part))
        if len(calls) > at:
            raise OSError(errno.ENOSPC, "No space left on device")
        return write(file, part[: max(len(part) // 2, 1)])

    image = pet_image(rows=64)
    content = cut_short(image, ExplicitVRLittleEndian, keep=None)
    monkeypatch.setattr(storage.os, "write", full)
    status, reason = send_bytes(server.port, image, content)
    assert (status, reason) == (0xA700, "Cannot write: No space left on device")
    assert (shelf.rows, files(kept_in)) == ({}, [])
    monkeypatch.undo()
    assert send_bytes(server.port, image, content) == (0, "")
    assert len(shelf.rows) == len(files(kept_in)) == 1


def test_bytes_that_may_not_have_reached_the_disk_are_written_again(server, shelf, kept_in, monkeypatch) -> None:
    """The name is there after a failed flush, but nobody was told so: what comes again takes its place."""

    def fails(file: int) -> None:
        raise OSError(errno.EIO, "Input/output error")

    image = pet_image()
    content = cut_short(image, ExplicitVRLittleEndian, keep=None)
    monkeypatch.setattr(storage.os, "fdatasync", fails)
    assert send_bytes(server.port, image, content)[0] == 0xA700
    assert shelf.rows == {}
    monkeypatch.undo()
    for path in files(kept_in):
        path.write_bytes(b"what was left in the cache")
    assert send_bytes(server.port, image, content) == (0, "")
    (path,) = files(kept_in)
    assert data_set_of(path) == content


@pytest.mark.parametrize("cut", [1, 7, 200, 3_000, "last unit"])
def test_a_sender_that_goes_away_in_the_middle_of_an_image_leaves_nothing(server, shelf, kept_in, cut) -> None:
    image = pet_image(rows=64)
    association = associated(server.port, image.SOPClassUID)
    request = C_STORE()
    request.MessageID, request.Priority = 1, 2
    request.AffectedSOPClassUID, request.AffectedSOPInstanceUID = image.SOPClassUID, image.SOPInstanceUID
    request.DataSet = BytesIO(cut_short(image, ExplicitVRLittleEndian, keep=None))
    units: list[bytes] = []
    send = association.dul.socket.send
    association.dul.socket.send = units.append
    association.dimse.send_msg(request, association.accepted_contexts[0].context_id)
    deadline = time.monotonic() + 5
    while sum(map(len, units)) < 8_000 and time.monotonic() < deadline:
        time.sleep(0.01)
    association.dul.socket.send = send
    if isinstance(cut, int):
        send(b"".join(units)[:-cut])
        association.dul.socket.close()
        association.kill()
    else:
        send(b"".join(units[:-1]))
        association.abort()
    deadline = time.monotonic() + 5
    while server.active and time.monotonic() < deadline:
        time.sleep(0.02)
    assert server.active == 0
    assert (shelf.rows, files(kept_in)) == ({}, [])


def associated(port: int, abstract_syntax: str):
    ae = AE("TESTER")
    ae.add_requested_context(abstract_syntax, ExplicitVRLittleEndian)
    association = ae.associate("127.0.0.1", port, ae_title="GANTRY")
    assert association.is_established
    return association


@needs("echoscu")
def test_connections_that_never_greet_lose_their_places(shelf, kept_in) -> None:
    """Sixty-four of them shut every scanner out for half a minute."""
    doors = Doors(zone=LONDON, storage=Store(kept_in, shelf.keep, LONDON), largest_associations=4, greeting_s=0.5)
    running = serve("GANTRY", ("127.0.0.1", 0), doors)
    mute = [socket.create_connection(("127.0.0.1", running.port), timeout=10) for _ in range(4)]
    try:
        began = time.monotonic()
        for each in mute:
            each.settimeout(10)
            assert each.recv(100)[:1] in (b"", b"\x07")
        assert 0.3 < time.monotonic() - began < 8
        deadline = time.monotonic() + 5
        while running.active and time.monotonic() < deadline:
            time.sleep(0.02)
        assert run_echoscu(running.port, called="GANTRY").returncode == 0
    finally:
        for each in mute:
            each.close()
        running.stop()
    assert Doors(zone=LONDON).greeting_s <= 10


@needs("echoscu")
@pytest.mark.parametrize(
    "pdu",
    [
        struct.pack(">BxL", ASSOCIATE, 4) + b"\0\1\0\0",
        struct.pack(">BxL", ASSOCIATE, 68) + b"\0\1\0\0" + b"\xff" * 64,
        struct.pack(">BxL", ASSOCIATE, 72) + b"\0\1\0\0" + b"G" * 64 + b"\x10\x00\xff\xff",
        struct.pack(">BxL", 0x04, 0),
        struct.pack(">BxL", 0x05, 0),
        struct.pack(">BxL", 0x07, 4) + b"\0\0\0\0",
        struct.pack(">BxL", ASSOCIATE, 1 << 20) + b"\0" * 1000,
    ],
)
def test_a_unit_that_is_no_greeting_ends_its_own_connection_only(server, pdu) -> None:
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as peer:
        peer.sendall(pdu)
        peer.shutdown(socket.SHUT_WR)
        while peer.recv(4096):
            pass
    assert run_echoscu(server.port, called="GANTRY").returncode == 0


@live
def test_a_step_that_cannot_be_is_refused_at_its_attribute_and_an_odd_one_is_kept(settings, tmp_path) -> None:
    settings.IMAGES_ROOT = tmp_path
    day = make_day()
    visit = make_booked(day)
    desk = Desk()
    running = serve("GANTRY", ("127.0.0.1", 0), make_doors(desk))
    ae = AE("PETCT1")
    ae.add_requested_context(PERFORMED_STEP, ImplicitVRLittleEndian)
    cases = [
        ({"PerformedProcedureStepStartDate": "99991231"}, 0x0106),
        ({"PerformedProcedureStepStartDate": "00010101"}, 0x0106),
        ({"PerformedProcedureStepStartDate": "20261301"}, 0x0106),
        ({"PerformedProcedureStepStartTime": "9999"}, 0x0106),
        ({"PerformedProcedureStepID": "P" * 500, "PerformedStationAETitle": "X" * 500}, 0),
        ({"PatientID": "999\0"}, 0),
    ]
    try:
        association = ae.associate("127.0.0.1", running.port, ae_title="GANTRY")
        for number, (changes, status) in enumerate(cases):
            step = begun()
            for keyword, value in changes.items():
                step[keyword]._value = value
            answer, _ = association.send_n_create(step, PERFORMED_STEP, f"1.2.9.{number}")
            assert (changes, answer.Status) == (changes, status)
        association.release()
    finally:
        running.stop()
        desk.close()
    assert PerformedStep.objects.count() == 2
    started = Event.objects.filter(kind=EventKind.ACQUISITION_STARTED)
    assert started.count() == 2 and not started.filter(subjects__contains=[visit.appointment_id]).exists()
    asked = Asked("1.2.3", "PETCT1", tuple(("1.2", f"1.2.{n}") for n in range(70_000)))
    report = committed(asked, tmp_path)
    assert not report.committed and {reason for _, _, reason in report.failed} == {NO_SUCH_OBJECT}
    assert len(report.failed) == 70_000


def begun() -> Dataset:
    step = Dataset()
    step.PerformedProcedureStepID, step.PerformedStationAETitle = "PPS1", "PETCT1"
    step.PerformedProcedureStepStartDate, step.PerformedProcedureStepStartTime = "20261123", "103000"
    step.PerformedProcedureStepStatus, step.Modality = "IN PROGRESS", "PT"
    step.PatientID, step.PatientName = "9990000018", "A^B"
    reference = Dataset()
    reference.StudyInstanceUID, reference.AccessionNumber = "1.2.3.4", "NONE"
    reference.RequestedProcedureID, reference.ScheduledProcedureStepID = "NONE", "NONE"
    step.ScheduledStepAttributesSequence = [reference]
    return step

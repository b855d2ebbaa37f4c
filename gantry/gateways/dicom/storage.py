"""Decides whether an image that was sent is kept: whole, byte for byte, with its index row, or refused with a reason."""

from __future__ import annotations

import contextlib
import hashlib
import logging
import os
import re
import secrets
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import lru_cache
from io import BytesIO
from pathlib import Path
from zoneinfo import ZoneInfo

from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset
from pydicom.filereader import read_dataset
from pydicom.tag import Tag
from pydicom.uid import ExplicitVRBigEndian, ImplicitVRLittleEndian

from gantry.domain.identifiers import valid_nhs_number
from gantry.gateways.dicom import dose, dose_report
from gantry.gateways.dicom.elements import header
from gantry.gateways.dicom.status import Refusal, Status
from gantry.gateways.dicom.wholeness import Places, not_whole

log = logging.getLogger(__name__)

IMPLEMENTATION_CLASS_UID = "2.25.119145838843700223468538885038488495508"
IMPLEMENTATION_VERSION = "GANTRY_1"

INSTANCE_LIMIT_BYTES = 2 << 30
"""A larger data set is refused; it is held in memory while it arrives."""

TEXT_LIMIT = 1024
"""Characters kept of any one header text."""

UID_FORM = re.compile(r"[0-9]+(\.[0-9]+)*")


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredInstance:
    """One kept SOP instance as its header states it, and where its file lies under the root."""

    sop_instance_uid: str
    sop_class_uid: str
    study_uid: str
    series_uid: str
    transfer_syntax_uid: str
    path: str
    size_bytes: int
    sha256: str
    """Of the data set as received, without the file meta information."""
    calling_ae_title: str
    patient_name: str
    patient_name_raw: bytes
    patient_id: str
    patient_id_issuer: str
    nhs_number: str
    """The first identifier that is a valid NHS number; empty where none is."""
    patient_birth_date: str
    patient_sex: str
    accession_number: str
    requested_procedure_id: str
    scheduled_step_id: str
    modality: str
    study_date: str
    study_time: str
    study_description: str
    series_date: str
    series_time: str
    series_number: str
    series_description: str
    instance_number: str
    station_name: str
    manufacturer: str
    injections: tuple[dose.PetInjection, ...] = ()


@dataclass(frozen=True, slots=True)
class Kept:
    """The index row is committed. `held` says it waits for a person; the file stays either way."""

    held: str = ""


type Keep = Callable[[StoredInstance], Kept | Refusal]
"""Writes the index row and commits; a second identical instance is Kept, a differing one Kept as held or refused."""


@dataclass(frozen=True, slots=True)
class Sent:
    """What arrived in one C-STORE request."""

    sop_class_uid: str
    sop_instance_uid: str
    transfer_syntax_uid: str
    data_set: memoryview
    calling_ae_title: str


@dataclass(frozen=True, slots=True)
class Store:
    """Where files go and who writes the index. `sync` makes the file durable before the answer, and its name."""

    root: Path
    keep: Keep
    zone: ZoneInfo
    sync: bool = True
    sync_folder: bool = True
    """False leaves the name to the file system's own pace: a power cut may then lose a file whose row is kept."""
    limit_bytes: int = INSTANCE_LIMIT_BYTES


WANTED = frozenset(
    int(Tag(keyword))
    for keyword in (
        "SpecificCharacterSet", "SOPClassUID", "SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID",
        "StudyDate", "StudyTime", "StudyDescription", "SeriesDescription", "SeriesNumber", "InstanceNumber",
        "AccessionNumber", "Modality", "Manufacturer", "StationName", "PatientName", "PatientID",
        "IssuerOfPatientID", "OtherPatientIDsSequence", "PatientBirthDate", "PatientSex", "RequestAttributesSequence",
        *dose.HEADER,
    )
)  # fmt: skip
"""Nothing else is read of a data set, so pixels and overlays are never parsed."""

TAGS = {
    keyword: Tag(keyword)
    for keyword in (
        "SOPClassUID", "SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID", "StudyDate", "StudyTime",
        "StudyDescription", "SeriesDate", "SeriesTime", "SeriesDescription", "SeriesNumber", "InstanceNumber",
        "AccessionNumber", "Modality", "Manufacturer", "StationName", "PatientName", "PatientID", "IssuerOfPatientID",
        "PatientBirthDate", "PatientSex",
    )
}  # fmt: skip
ESCAPE = b"\x1b"
"""Begins a change of character set inside a text (PS3.5 6.1.2.5), which is ASCII to look at."""

OWN = (0x00080018, 0x00200013)
"""SOPInstanceUID and InstanceNumber: what the images of a series do not share."""

REPORTED = 0x0040A730
"""ContentSequence: only what has one is dated by its content, which else differs from image to image."""
CONTENT_TIMES = (0x00080023, 0x00080033)

ALIKE_LIMIT_BYTES = 1 << 14
"""A header that is longer is read each time: a report's tree is no series."""


def store(sent: Sent, into: Store) -> Kept | Refusal:
    """Keeps one instance. Success is only said when file and index row are both there."""
    if sent.data_set.nbytes > into.limit_bytes:
        return Refusal(Status.OUT_OF_RESOURCES, f"More than {into.limit_bytes} bytes")
    places: Places = {}
    cut = not_whole(sent.data_set, sent.transfer_syntax_uid, places)
    if cut is not None:
        return cut
    digest = hashlib.sha256(sent.data_set).hexdigest()
    read = read_instance(sent, places, digest, into.zone)
    if isinstance(read, Refusal):
        return read
    target = into.root / read.path
    new = not target.exists()
    try:
        write_whole(
            target, meta(sent), sent.data_set, sync=into.sync, sync_folder=into.sync and into.sync_folder, fresh=new
        )
    except OSError as fault:
        log.exception("image not written", extra={"sop_instance_uid": read.sop_instance_uid})
        return Refusal(Status.OUT_OF_RESOURCES, f"Cannot write: {fault.strerror}")
    # An exception leaves the whole file: whether its row was committed is not known, and `unindexed` finds it.
    answer = into.keep(read)
    if isinstance(answer, Refusal) and new:
        target.unlink(missing_ok=True)
    return answer


def read_instance(sent: Sent, places: Places, digest: str, zone: ZoneInfo) -> StoredInstance | Refusal:
    try:
        own = [value_text(sent.data_set, places.get(tag)) for tag in OWN]
        unread = OWN if REPORTED in places else (*OWN, *CONTENT_TIMES)
        header_bytes = b"".join(
            [
                sent.data_set[begins:ends]
                for tag, (begins, _, ends) in places.items()
                if tag in WANTED and tag not in unread
            ]
        )
        read = alike if len(header_bytes) <= ALIKE_LIMIT_BYTES else alike.__wrapped__
        return completed(read(header_bytes, sent.transfer_syntax_uid, zone), own[0], own[1], sent, digest)
    # pydicom meets malformed input with whatever its innards raise, and a sender must not bring the door down.
    except Exception as fault:
        log.warning("unreadable data set", extra={"calling_ae": sent.calling_ae_title, "fault": type(fault).__name__})
        return Refusal(Status.CANNOT_UNDERSTAND, f"Cannot read the data set: {type(fault).__name__}")


def value_text(data: memoryview, place: tuple[int, int, int] | None) -> str:
    """Of an element whose value is digits, whatever its character set."""
    value = bytes(data[place[1] : place[2]]) if place else b""
    return value.decode("ascii", "replace").replace("\0", "").strip()[:TEXT_LIMIT]


@lru_cache(maxsize=64)
def alike(header_bytes: bytes, syntax: str, zone: ZoneInfo) -> StoredInstance:
    """What all images with this header share; their own names, sizes and places are still empty.

    The images of a series come one after another with the same header but for OWN: it is read once.
    """
    ds = read_dataset(
        BytesIO(header_bytes),
        is_implicit_VR=syntax == ImplicitVRLittleEndian,
        is_little_endian=syntax != ExplicitVRBigEndian,
    )
    request = next(iter(ds.get("RequestAttributesSequence") or [Dataset()]))
    name = ds.get_item(TAGS["PatientName"]) if TAGS["PatientName"] in ds else None
    others = [shown(other, "PatientID") for other in ds.get("OtherPatientIDsSequence") or []]
    identifiers = [each.replace(" ", "") for each in (shown(ds, "PatientID"), *others)]
    return StoredInstance(
        sop_instance_uid="",
        sop_class_uid=shown(ds, "SOPClassUID"),
        study_uid=shown(ds, "StudyInstanceUID"),
        series_uid=shown(ds, "SeriesInstanceUID"),
        transfer_syntax_uid=syntax,
        path="",
        size_bytes=0,
        sha256="",
        calling_ae_title="",
        patient_name_raw=name.value.strip(b" \0") if name is not None and isinstance(name.value, bytes) else b"",
        patient_name=shown(ds, "PatientName"),
        patient_id=shown(ds, "PatientID"),
        patient_id_issuer=shown(ds, "IssuerOfPatientID"),
        nhs_number=next((each for each in identifiers if valid_nhs_number(each)), ""),
        patient_birth_date=shown(ds, "PatientBirthDate"),
        patient_sex=shown(ds, "PatientSex"),
        accession_number=shown(ds, "AccessionNumber") or shown(request, "AccessionNumber"),
        requested_procedure_id=shown(request, "RequestedProcedureID"),
        scheduled_step_id=shown(request, "ScheduledProcedureStepID"),
        modality=shown(ds, "Modality"),
        study_date=shown(ds, "StudyDate"),
        study_time=shown(ds, "StudyTime"),
        study_description=shown(ds, "StudyDescription"),
        series_date=shown(ds, "SeriesDate"),
        series_time=shown(ds, "SeriesTime"),
        series_number=shown(ds, "SeriesNumber"),
        series_description=shown(ds, "SeriesDescription"),
        instance_number="",
        station_name=shown(ds, "StationName"),
        manufacturer=shown(ds, "Manufacturer"),
        injections=dose_report.injections(ds, zone),
    )


def completed(like: StoredInstance, uid: str, number: str, sent: Sent, digest: str) -> StoredInstance | Refusal:
    values = (uid, like.sop_class_uid, like.study_uid, like.series_uid)
    for (keyword, tag), value in zip(UIDS.items(), values, strict=True):
        if not value:
            return Refusal(Status.DOES_NOT_MATCH_CLASS, f"{keyword} has no value", (tag,))
        if len(value) > 64 or not UID_FORM.fullmatch(value):
            return Refusal(Status.DOES_NOT_MATCH_CLASS, f"{keyword} is not a UID", (tag,))
    if uid != sent.sop_instance_uid:
        return Refusal(Status.DOES_NOT_MATCH_CLASS, "SOPInstanceUID differs from the request", (0x00080018,))
    if like.sop_class_uid != sent.sop_class_uid:
        return Refusal(Status.DOES_NOT_MATCH_CLASS, "SOPClassUID differs from the request", (0x00080016,))
    return replace(
        like,
        sop_instance_uid=uid,
        instance_number=number,
        path=path_for(like.study_uid, uid, digest),
        size_bytes=sent.data_set.nbytes,
        sha256=digest,
        calling_ae_title=sent.calling_ae_title,
    )


UIDS = {
    "SOPInstanceUID": 0x00080018,
    "SOPClassUID": 0x00080016,
    "StudyInstanceUID": 0x0020000D,
    "SeriesInstanceUID": 0x0020000E,
}


def shown(ds: Dataset, keyword: str) -> str:
    """The value as text. Plain ASCII is taken as it stands; only other text needs the data set's character set."""
    tag = TAGS.get(keyword) or Tag(keyword)
    raw = ds.get_item(tag) if tag in ds else None
    if (
        isinstance(raw, RawDataElement)
        and isinstance(raw.value, bytes)
        and raw.value.isascii()
        and ESCAPE not in raw.value
    ):
        text = raw.value.decode("ascii")
    else:
        value = ds.get(keyword)
        text = "" if value is None else str(value)
    # PostgreSQL's text takes no NUL, and some senders pad with it.
    return text.replace("\0", "").strip()[:TEXT_LIMIT]


def path_for(study_uid: str, sop_instance_uid: str, digest: str) -> str:
    """By study, and by content: the same instance sent with other bytes never overwrites the first."""
    shard = hashlib.sha256(study_uid.encode()).hexdigest()[:2]
    return f"{shard}/{study_uid}/{sop_instance_uid}-{digest[:16]}.dcm"


def meta(sent: Sent) -> bytes:
    """Preamble and file meta information (PS3.10 7.1) for a data set that stays as it was sent."""

    def uid(tag: int, value: str) -> bytes:
        encoded = value.encode() + b"\0" * (len(value) % 2)
        return header(tag, "UI", len(encoded), explicit=True) + encoded

    version = IMPLEMENTATION_VERSION.encode()
    group = (
        header(0x00020001, "OB", 2, explicit=True)
        + b"\0\1"
        + uid(0x00020002, sent.sop_class_uid)
        + uid(0x00020003, sent.sop_instance_uid)
        + uid(0x00020010, sent.transfer_syntax_uid)
        + uid(0x00020012, IMPLEMENTATION_CLASS_UID)
        + header(0x00020013, "SH", len(version), explicit=True)
        + version
    )
    length = header(0x00020000, "UL", 4, explicit=True) + len(group).to_bytes(4, "little")
    return b"\0" * 128 + b"DICM" + length + group


def write_whole(target: Path, head: bytes, body: memoryview, *, sync: bool, sync_folder: bool, fresh: bool) -> None:
    """All or nothing: a temporary file beside the target, renamed, and durable before we return.

    A fresh name is synced after the rename, so that one commit of the file system's journal covers both; until its row
    is written nobody looks there. A name that is in use gets its new bytes only once they are durable.
    """
    parent = os.path.dirname(target)
    temporary = f"{parent}/.{secrets.token_hex(8)}.part"
    try:
        file = created(temporary)
        try:
            write_all(file, head, body)
            if sync and not fresh:
                os.fdatasync(file)
            os.replace(temporary, target)
            if sync and fresh:
                os.fdatasync(file)
        finally:
            os.close(file)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        raise
    if sync_folder:
        folder = os.open(parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def created(path: str) -> int:
    """A new file's descriptor. Its folder is there but for the first image of a study."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
    try:
        return os.open(path, flags, 0o666)
    except FileNotFoundError:
        os.makedirs(os.path.dirname(path), exist_ok=True)
        return os.open(path, flags, 0o666)


def write_all(file: int, head: bytes, body: memoryview) -> None:
    for part in (memoryview(head), body):
        while part.nbytes:
            part = part[os.write(file, part) :]


def unindexed(root: Path, is_indexed: Callable[[str], bool], *, before: float) -> list[Path]:
    """Files written before a moment (epoch seconds) whose row never came; half-written ones among them."""
    found = []
    for path in sorted(root.glob("*/*/*")):
        relative = path.relative_to(root).as_posix()
        if path.stat().st_mtime < before and (path.suffix == ".part" or not is_indexed(relative)):
            found.append(path)
    return found

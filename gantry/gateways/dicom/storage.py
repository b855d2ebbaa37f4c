"""Decides whether an image that was sent is kept: whole, byte for byte, with its index row, or refused with a reason."""

from __future__ import annotations

import hashlib
import logging
import os
import re
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from zoneinfo import ZoneInfo

from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset
from pydicom.filereader import read_dataset
from pydicom.tag import BaseTag, Tag
from pydicom.uid import ExplicitVRBigEndian, ImplicitVRLittleEndian

from gantry.domain.identifiers import valid_nhs_number
from gantry.gateways.dicom import dose, dose_report
from gantry.gateways.dicom.elements import header
from gantry.gateways.dicom.status import Refusal, Status
from gantry.gateways.dicom.wholeness import not_whole

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


WANTED: list[BaseTag | int] = [
    Tag(keyword)
    for keyword in (
        "SpecificCharacterSet", "SOPClassUID", "SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID",
        "StudyDate", "StudyTime", "StudyDescription", "SeriesDescription", "SeriesNumber", "InstanceNumber",
        "AccessionNumber", "Modality", "Manufacturer", "StationName", "PatientName", "PatientID",
        "IssuerOfPatientID", "OtherPatientIDsSequence", "PatientBirthDate", "PatientSex", "RequestAttributesSequence",
        *dose.HEADER,
    )
]  # fmt: skip

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

AFTER_HEADER = 0x00540400
"""Nothing we read lies beyond group 0054, so pixels and overlays are never parsed."""


def store(sent: Sent, into: Store) -> Kept | Refusal:
    """Keeps one instance. Success is only said when file and index row are both there."""
    if sent.data_set.nbytes > into.limit_bytes:
        return Refusal(Status.OUT_OF_RESOURCES, f"More than {into.limit_bytes} bytes")
    cut = not_whole(sent.data_set, sent.transfer_syntax_uid)
    if cut is not None:
        return cut
    digest = hashlib.sha256(sent.data_set).hexdigest()
    read = read_instance(sent, digest, into.zone)
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


def read_instance(sent: Sent, digest: str, zone: ZoneInfo) -> StoredInstance | Refusal:
    try:
        ds = read_header(sent)
        return described(ds, sent, digest, zone)
    # pydicom meets malformed input with whatever its innards raise, and a sender must not bring the door down.
    except Exception as fault:
        log.warning("unreadable data set", extra={"calling_ae": sent.calling_ae_title, "fault": type(fault).__name__})
        return Refusal(Status.CANNOT_UNDERSTAND, f"Cannot read the data set: {type(fault).__name__}")


def read_header(sent: Sent) -> Dataset:
    return read_dataset(
        BytesIO(sent.data_set),
        is_implicit_VR=sent.transfer_syntax_uid == ImplicitVRLittleEndian,
        is_little_endian=sent.transfer_syntax_uid != ExplicitVRBigEndian,
        stop_when=lambda tag, vr, length: tag > AFTER_HEADER,
        specific_tags=WANTED,
    )


def described(ds: Dataset, sent: Sent, digest: str, zone: ZoneInfo) -> StoredInstance | Refusal:
    uids = {keyword: shown(ds, keyword) for keyword in UIDS}
    for keyword, tag in UIDS.items():
        if not uids[keyword]:
            return Refusal(Status.DOES_NOT_MATCH_CLASS, f"{keyword} has no value", (tag,))
        if len(uids[keyword]) > 64 or not UID_FORM.fullmatch(uids[keyword]):
            return Refusal(Status.DOES_NOT_MATCH_CLASS, f"{keyword} is not a UID", (tag,))
    if uids["SOPInstanceUID"] != sent.sop_instance_uid:
        return Refusal(Status.DOES_NOT_MATCH_CLASS, "SOPInstanceUID differs from the request", (0x00080018,))
    if uids["SOPClassUID"] != sent.sop_class_uid:
        return Refusal(Status.DOES_NOT_MATCH_CLASS, "SOPClassUID differs from the request", (0x00080016,))
    request = next(iter(ds.get("RequestAttributesSequence") or [Dataset()]))
    name = ds.get_item(TAGS["PatientName"]) if TAGS["PatientName"] in ds else None
    others = [shown(other, "PatientID") for other in ds.get("OtherPatientIDsSequence") or []]
    identifiers = [each.replace(" ", "") for each in (shown(ds, "PatientID"), *others)]
    return StoredInstance(
        sop_instance_uid=uids["SOPInstanceUID"],
        sop_class_uid=uids["SOPClassUID"],
        study_uid=uids["StudyInstanceUID"],
        series_uid=uids["SeriesInstanceUID"],
        transfer_syntax_uid=sent.transfer_syntax_uid,
        path=path_for(uids["StudyInstanceUID"], uids["SOPInstanceUID"], digest),
        size_bytes=sent.data_set.nbytes,
        sha256=digest,
        calling_ae_title=sent.calling_ae_title,
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
        instance_number=shown(ds, "InstanceNumber"),
        station_name=shown(ds, "StationName"),
        manufacturer=shown(ds, "Manufacturer"),
        injections=dose_report.injections(ds, zone),
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
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = target.parent / f".{secrets.token_hex(8)}.part"
    try:
        with open(temporary, "xb", buffering=0) as file:
            write_all(file.fileno(), head, body)
            if sync and not fresh:
                os.fdatasync(file.fileno())
            temporary.replace(target)
            if sync and fresh:
                os.fdatasync(file.fileno())
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    if sync_folder:
        folder = os.open(target.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


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

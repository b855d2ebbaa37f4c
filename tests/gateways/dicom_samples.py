"""Made-up steps and images for the DICOM door's tests: 999 NHS numbers with true check digits, no real person."""

import contextlib
import socket
import struct
from datetime import date, datetime, timedelta
from io import BytesIO
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import UID, ExplicitVRLittleEndian, generate_uid
from pynetdicom.transport import AssociationSocket

from gantry.gateways.dicom.index import Changes, WorklistSource
from gantry.gateways.dicom.worklist import Code, Name, PatientIdentifier, WorklistItem


def close_whoever_was_first(self: AssociationSocket) -> None:
    """pynetdicom leaves its socket to the garbage collector when the peer hung up first; tests take warnings as errors."""
    if self.socket is not None:
        with contextlib.suppress(OSError):
            self.socket.shutdown(socket.SHUT_RDWR)
        self.socket.close()


AssociationSocket._shutdown_socket = close_whoever_was_first  # type: ignore[method-assign]

LONDON = ZoneInfo("Europe/London")
PET = "1.2.840.10008.5.1.4.1.1.128"
ROOT = "1.2.826.0.1.3680043.8.498.1"


def item(number: int = 1, **changes: Any) -> WorklistItem:
    fields: dict[str, Any] = {
        "step_id": f"SPS{number}",
        "station_ae_titles": ("PETCT1",),
        "start": datetime(2026, 11, 23, 8, tzinfo=LONDON) + timedelta(minutes=30 * number),
        "modality": "PT",
        "study_uid": f"{ROOT}.{number}",
        "accession_number": f"ACC{number:05}",
        "patient_id": "9990000018",
        "patient_id_issuer": "NHS",
        "patient_name": Name("ZZTEST", "Zoë", prefix="Dr"),
        "other_patient_ids": (PatientIdentifier("H123", "RJ1"),),
        "birth_date": date(1961, 2, 3),
        "sex": "F",
        "height_m": 1.7,
        "weight_kg": 81.5,
        "pregnancy_status": "not_pregnant",
        "allergies": ("Iodine",),
        "requested_procedure_id": f"RP{number}",
        "requested_procedure_codes": (Code("443271005", "SCT", "FDG PET-CT"),),
        "protocol_codes": (Code("FDGBODY", "99GANTRY", "FDG half body"),),
        "step_description": "FDG half body",
        "performing_physician": Name("PHYSICIAN", "Pat"),
    }
    return WorklistItem(**{**fields, **changes})


class Board:
    """A worklist whose version moves with each change, as the database's does."""

    def __init__(self, *items: WorklistItem) -> None:
        self.items = {each.step_id: each for each in items}
        self.version = 1
        self.asked = 0

    def put(self, each: WorklistItem) -> None:
        self.items[each.step_id] = each
        self.version += 1

    def remove(self, step_id: str) -> None:
        del self.items[step_id]
        self.version += 1

    def source(self) -> WorklistSource:
        def changes(since: object | None) -> Changes:
            self.asked += 1
            return Changes(self.version, dict(self.items), everything=True)

        return WorklistSource(lambda: self.version, changes)


def pet_image(number: int = 1, *, study: int = 1, rows: int = 16, **changes: Any) -> Dataset:
    ds = Dataset()
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    ds.SpecificCharacterSet = "ISO_IR 192"
    ds.SOPClassUID = ds.file_meta.MediaStorageSOPClassUID = PET
    ds.SOPInstanceUID = ds.file_meta.MediaStorageSOPInstanceUID = f"{ROOT}.{study}.2.{number}"
    ds.StudyInstanceUID, ds.SeriesInstanceUID = f"{ROOT}.{study}", f"{ROOT}.{study}.2"
    ds.StudyDate = ds.SeriesDate = "20261123"
    ds.StudyTime = ds.SeriesTime = "093000"
    ds.Modality, ds.AccessionNumber, ds.StudyID = "PT", f"ACC{study:05}", "1"
    ds.PatientName, ds.PatientID, ds.PatientBirthDate, ds.PatientSex = "ZZTEST^Zoë", "9990000018", "19610203", "F"
    ds.PatientWeight = "81.5"
    ds.SeriesNumber, ds.InstanceNumber = "2", str(number)
    injection = Dataset()
    injection.Radiopharmaceutical = "FDG"
    injection.RadiopharmaceuticalStartDateTime = "20261123083000"
    injection.RadionuclideTotalDose, injection.RadionuclideHalfLife = "350000000", "6586.2"
    ds.RadiopharmaceuticalInformationSequence = [injection]
    ds.SamplesPerPixel, ds.PhotometricInterpretation = 1, "MONOCHROME2"
    ds.Rows = ds.Columns = rows
    ds.BitsAllocated = ds.BitsStored = 16
    ds.HighBit, ds.PixelRepresentation = 15, 0
    ds.PixelData = struct.pack("<H", number) * (rows * rows)
    for keyword, value in changes.items():
        setattr(ds, keyword, value)
    ds.file_meta.MediaStorageSOPInstanceUID = ds.SOPInstanceUID
    return ds


def cut_short(ds: Dataset, syntax: UID, *, keep: int = -62, undefined: bool = False) -> bytes:
    """A data set as it is on the wire, ended too soon; its sequences of stated length, or not."""
    for element in ds:
        if element.VR == "SQ":
            element.is_undefined_length = undefined
            for item in element.value:
                item.is_undefined_length_sequence_item = undefined
    ds.file_meta.TransferSyntaxUID = syntax
    with BytesIO() as buffer:
        ds.save_as(buffer, enforce_file_format=True)
        return without_meta(buffer.getvalue())[:keep]


def without_meta(content: bytes) -> bytes:
    """The bytes after the file meta information, where there is one."""
    if content[128:132] != b"DICM":
        return content
    return content[132 + 12 + int.from_bytes(content[140:144], "little") :]


def save(ds: Dataset, folder: Path, name: str = "") -> Path:
    path = folder / (name or f"{ds.SOPInstanceUID}.dcm")
    ds.save_as(path, enforce_file_format=True)
    return path


def new_uid() -> str:
    return str(generate_uid(prefix=f"{ROOT}."))

"""Makes small PET and CT images of nobody: valid objects with a worklist item's identity, and pixels of a few circles."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime
from uuid import uuid4

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.sequence import Sequence
from pydicom.uid import ExplicitVRLittleEndian

from gantry.domain.identifiers import uid_from_uuid
from gantry.gateways.dicom.storage import IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION

PET = "1.2.840.10008.5.1.4.1.1.128"
CT = "1.2.840.10008.5.1.4.1.1.2"
SLICE_MM = 3.27
FIELD_MM = 700.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """Who and what is pictured, as the worklist said it; times are wall clock at the scanner."""

    patient_name: str
    patient_id: str
    issuer: str
    birth_date: date | None
    sex: str
    weight_kg: float | None
    accession_number: str
    study_uid: str
    requested_procedure_id: str
    scheduled_step_id: str
    description: str
    referring_physician: str
    station: str
    started_at: datetime
    injected_at: datetime
    injected_mbq: float
    half_life_s: float = 6586.2


def new_uid() -> str:
    return uid_from_uuid(uuid4())


def study(subject: Subject, *, slices: int = 4, pixels: int = 64) -> list[Dataset]:
    """A CT series and a PET series of the same few slices."""
    frame = new_uid()
    return [*ct_series(subject, frame, slices, pixels), *pet_series(subject, frame, slices, pixels)]


def pet_series(subject: Subject, frame: str, slices: int, pixels: int) -> Iterator[Dataset]:
    series = new_uid()
    for number in range(1, slices + 1):
        ds = common(subject, PET, "PT", series, frame, series_number=2, number=number, of=slices, pixels=pixels)
        ds.ImageType = ["ORIGINAL", "PRIMARY"]
        ds.SeriesDescription = "PET attenuation corrected"
        ds.Units, ds.CountsSource, ds.SeriesType = "BQML", "EMISSION", ["WHOLE BODY", "IMAGE"]
        ds.NumberOfSlices, ds.CorrectedImage = slices, ["NORM", "DTIM", "ATTN", "SCAT", "DECY", "RAN"]
        ds.DecayCorrection, ds.CollimatorType, ds.RandomsCorrectionMethod = "START", "NONE", "DLYD"
        ds.AttenuationCorrectionMethod, ds.ReconstructionMethod = "CT-derived", "OSEM 3i8s"
        ds.ScatterCorrectionMethod = "Model-based"
        ds.FrameReferenceTime, ds.ActualFrameDuration = "0", "120000"
        ds.ImageIndex, ds.DecayFactor, ds.DoseCalibrationFactor = number, "1", "1"
        ds.RescaleIntercept, ds.RescaleSlope = "0", "2.5"
        ds.RadiopharmaceuticalInformationSequence = Sequence([isotope(subject)])
        ds.PatientOrientationCodeSequence = Sequence([code("102538003", "SCT", "recumbent", modifier=True)])
        ds.PatientGantryRelationshipCodeSequence = Sequence([code("102540008", "SCT", "headfirst")])
        write(ds, body(pixels, number, slices, hot=True))
        yield ds


def ct_series(subject: Subject, frame: str, slices: int, pixels: int) -> Iterator[Dataset]:
    series = new_uid()
    for number in range(1, slices + 1):
        ds = common(subject, CT, "CT", series, frame, series_number=1, number=number, of=slices, pixels=pixels)
        ds.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
        ds.SeriesDescription = "CT for attenuation correction"
        ds.RescaleIntercept, ds.RescaleSlope, ds.RescaleType, ds.KVP = "-1024", "1", "HU", "120"
        ds.AcquisitionNumber, ds.PatientPosition = "1", "HFS"
        write(ds, body(pixels, number, slices, hot=False))
        yield ds


def common(
    subject: Subject, sop_class: str, modality: str, series: str, frame: str, *, series_number: int, number: int,
    of: int, pixels: int,
) -> Dataset:  # fmt: skip
    """The modules that PET and CT share (PS3.3 A.3 and A.21)."""
    ds = Dataset()
    ds.file_meta = FileMetaDataset()
    ds.SpecificCharacterSet = "ISO_IR 192"
    ds.SOPClassUID, ds.SOPInstanceUID = sop_class, new_uid()
    ds.file_meta.MediaStorageSOPClassUID, ds.file_meta.MediaStorageSOPInstanceUID = sop_class, ds.SOPInstanceUID
    ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    ds.file_meta.ImplementationClassUID = IMPLEMENTATION_CLASS_UID
    ds.file_meta.ImplementationVersionName = IMPLEMENTATION_VERSION
    day, clock = f"{subject.started_at:%Y%m%d}", f"{subject.started_at:%H%M%S}"
    ds.StudyDate = ds.SeriesDate = ds.AcquisitionDate = ds.ContentDate = day
    ds.StudyTime = ds.SeriesTime = ds.AcquisitionTime = ds.ContentTime = clock
    ds.Modality, ds.Manufacturer, ds.ManufacturerModelName = modality, "Invented", "Emulated PET-CT"
    ds.DeviceSerialNumber, ds.SoftwareVersions, ds.StationName = "E1", "1", subject.station
    ds.AccessionNumber, ds.StudyID, ds.StudyInstanceUID = subject.accession_number, "1", subject.study_uid
    ds.ReferringPhysicianName, ds.StudyDescription = subject.referring_physician, subject.description
    ds.PatientName, ds.PatientID, ds.IssuerOfPatientID = subject.patient_name, subject.patient_id, subject.issuer
    ds.PatientBirthDate = f"{subject.birth_date:%Y%m%d}" if subject.birth_date else ""
    ds.PatientSex = subject.sex
    if subject.weight_kg is not None:
        ds.PatientWeight = f"{subject.weight_kg:g}"
    ds.SeriesInstanceUID, ds.SeriesNumber, ds.InstanceNumber = series, str(series_number), str(number)
    ds.FrameOfReferenceUID, ds.PositionReferenceIndicator = frame, ""
    ds.BodyPartExamined = "WHOLEBODY"
    ds.RequestAttributesSequence = Sequence([request(subject)])
    spacing, z = FIELD_MM / pixels, (of - number) * SLICE_MM
    ds.PixelSpacing, ds.SliceThickness = [f"{spacing:.6g}", f"{spacing:.6g}"], f"{SLICE_MM}"
    ds.ImageOrientationPatient = ["1", "0", "0", "0", "1", "0"]
    corner = -FIELD_MM / 2 + spacing / 2
    ds.ImagePositionPatient = [f"{corner:.6g}", f"{corner:.6g}", f"{z:.6g}"]
    ds.SliceLocation = f"{z:.6g}"
    ds.SamplesPerPixel, ds.PhotometricInterpretation = 1, "MONOCHROME2"
    ds.Rows = ds.Columns = pixels
    ds.BitsAllocated, ds.BitsStored, ds.HighBit = 16, 16, 15
    return ds


def request(subject: Subject) -> Dataset:
    item = Dataset()
    item.RequestedProcedureID, item.ScheduledProcedureStepID = subject.requested_procedure_id, subject.scheduled_step_id
    item.AccessionNumber = subject.accession_number
    item.ScheduledProcedureStepDescription = subject.description
    return item


def isotope(subject: Subject) -> Dataset:
    """Radiopharmaceutical Information (PS3.3 C.8.9.2): activity in becquerels at the time it was given."""
    item = Dataset()
    item.Radiopharmaceutical = "Fluorodeoxyglucose"
    item.RadiopharmaceuticalStartTime = f"{subject.injected_at:%H%M%S}"
    item.RadiopharmaceuticalStartDateTime = f"{subject.injected_at:%Y%m%d%H%M%S}"
    item.RadionuclideTotalDose = f"{subject.injected_mbq * 1e6:.0f}"
    item.RadionuclideHalfLife = f"{subject.half_life_s:g}"
    item.RadionuclidePositronFraction = "0.967"
    item.RadionuclideCodeSequence = Sequence([code("77004003", "SCT", "^18^Fluorine")])
    item.RadiopharmaceuticalCodeSequence = Sequence([code("35321007", "SCT", "Fluorodeoxyglucose F^18^")])
    return item


def code(value: str, scheme: str, meaning: str, *, modifier: bool = False) -> Dataset:
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = value, scheme, meaning
    if modifier:
        item.PatientOrientationModifierCodeSequence = Sequence([code("40199007", "SCT", "supine")])
    return item


def body(pixels: int, number: int, of: int, *, hot: bool) -> NDArray[np.uint16]:
    """An ellipse for a body, two dark lungs, and on the PET one bright spot in the middle slices."""
    y, x = np.mgrid[-1 : 1 : pixels * 1j, -1 : 1 : pixels * 1j]
    inside = (x / 0.62) ** 2 + (y / 0.42) ** 2 < 1
    lungs = ((np.abs(x) - 0.28) / 0.17) ** 2 + (y / 0.24) ** 2 < 1
    picture = np.where(inside, 900 if hot else 1064, 0) - np.where(inside & lungs, 600 if hot else 800, 0)
    if hot and abs(number - (of + 1) / 2) <= max(of / 4, 0.5):
        picture = np.where((x - 0.3) ** 2 + (y + 0.05) ** 2 < 0.05**2, 9000, picture)
    return picture.astype(np.uint16)


def write(ds: Dataset, picture: NDArray[np.uint16]) -> None:
    ds.PixelRepresentation = 0
    ds.SmallestImagePixelValue, ds.LargestImagePixelValue = int(picture.min()), int(picture.max())
    ds.WindowCenter, ds.WindowWidth = f"{int(picture.max()) / 2:g}", f"{max(int(picture.max()), 1)}"
    ds.PixelData = picture.tobytes()

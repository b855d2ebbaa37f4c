"""Makes the dose report that an emulated scanner sends with its images (PS3.16 TID 10011): a localiser and one body scan."""

from datetime import timedelta

from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.sequence import Sequence
from pydicom.uid import ExplicitVRLittleEndian

from gantry.gateways.dicom import content
from gantry.gateways.dicom.ct_dose import (
    CTDI,
    DLP,
    DOSE,
    EVENT,
    EVENT_UID,
    PROTOCOL,
    ROOT,
    SINCE,
    TOTAL,
    TOTAL_DLP,
    TOTAL_EVENTS,
    UNTIL,
)
from gantry.gateways.dicom.storage import IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION
from gantry.gateways.emulators.pictures import Subject, new_uid

X_RAY_DOSE = "1.2.840.10008.5.1.4.1.1.88.67"
LENGTH_CM = 95.0
USUAL_KG, USUAL_CTDI, BY_SIZE = 75.0, 3.75, 1.5
"""A scanner that sets its current by size gives a large person more than in proportion."""


def ct_dose_report(subject: Subject) -> Dataset:
    """What the CT of this study gave. Wall clocks with the offset of the scanner's site."""
    ctdi = USUAL_CTDI * ((subject.weight_kg or USUAL_KG) / USUAL_KG) ** BY_SIZE
    dlp, ended = ctdi * LENGTH_CM, subject.started_at + timedelta(seconds=40)
    ds = Dataset()
    ds.file_meta = FileMetaDataset()
    ds.SpecificCharacterSet = "ISO_IR 192"
    ds.SOPClassUID, ds.SOPInstanceUID = X_RAY_DOSE, new_uid()
    ds.file_meta.MediaStorageSOPClassUID, ds.file_meta.MediaStorageSOPInstanceUID = X_RAY_DOSE, ds.SOPInstanceUID
    ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    ds.file_meta.ImplementationClassUID = IMPLEMENTATION_CLASS_UID
    ds.file_meta.ImplementationVersionName = IMPLEMENTATION_VERSION
    ds.StudyDate = ds.SeriesDate = ds.ContentDate = f"{subject.started_at:%Y%m%d}"
    ds.StudyTime = ds.SeriesTime = ds.ContentTime = f"{subject.started_at:%H%M%S}"
    ds.TimezoneOffsetFromUTC = f"{subject.started_at:%z}"
    ds.Modality, ds.Manufacturer, ds.ManufacturerModelName = "SR", "Invented", "Emulated PET-CT"
    ds.DeviceSerialNumber, ds.SoftwareVersions, ds.StationName = "E1", "1", subject.station
    ds.AccessionNumber, ds.StudyID, ds.StudyInstanceUID = subject.accession_number, "1", subject.study_uid
    ds.ReferringPhysicianName, ds.StudyDescription = subject.referring_physician, subject.description
    ds.PatientName, ds.PatientID, ds.IssuerOfPatientID = subject.patient_name, subject.patient_id, subject.issuer
    ds.PatientBirthDate = f"{subject.birth_date:%Y%m%d}" if subject.birth_date else ""
    ds.PatientSex = subject.sex
    ds.SeriesInstanceUID, ds.SeriesNumber, ds.InstanceNumber = new_uid(), "997", "1"
    ds.SeriesDescription = "Dose report"
    ds.ReferencedPerformedProcedureStepSequence = Sequence([])
    ds.PerformedProcedureCodeSequence = Sequence([])
    ds.CompletionFlag, ds.VerificationFlag = "COMPLETE", "UNVERIFIED"
    ds.ValueType, ds.ContinuityOfContent = "CONTAINER", "SEPARATE"
    ds.ConceptNameCodeSequence = content.sequence(ROOT.code)
    template = Dataset()
    template.MappingResource, template.TemplateIdentifier = "DCMR", "10011"
    ds.ContentTemplateSequence = Sequence([template])
    total = [content.num(TOTAL_EVENTS, 2, "{events}"), content.num(TOTAL_DLP, round(dlp, 1), "mGy.cm")]
    ds.ContentSequence = Sequence(
        [
            content.moment(SINCE, subject.started_at, relation="HAS OBS CONTEXT"),
            content.moment(UNTIL, ended, relation="HAS OBS CONTEXT"),
            content.new("CONTAINER", TOTAL, *total),
            exposure("Localiser", None, None),
            exposure("Half body, low dose", ctdi, dlp),
        ]
    )
    return ds


def exposure(protocol: str, ctdi: float | None, dlp: float | None) -> Dataset:
    rows = [content.words(PROTOCOL, protocol), content.uid(EVENT_UID, new_uid())]
    if ctdi is not None and dlp is not None:
        given = [content.num(CTDI, round(ctdi, 2), "mGy"), content.num(DLP, round(dlp, 1), "mGy.cm")]
        rows.append(content.new("CONTAINER", DOSE, *given))
    return content.new("CONTAINER", EVENT, *rows)

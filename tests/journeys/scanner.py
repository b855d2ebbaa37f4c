"""What a scanner sends in a journey: performed steps by dcmjs-dimse, PET and CT objects by DCMTK's storescu."""

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.uid import generate_uid

from tests.conftest import REAL_DATA
from tests.gateways.dicom_samples import ROOT, pet_image, save
from tests.gateways.peers import run_storescu, send_mpps, statuses

CT = "1.2.840.10008.5.1.4.1.1.2"
STATION = "PETCT1"
OURS = "GANTRY"
REAL = (
    "openrem-dose-and-pet/NM-PetIm-Siemens.dcm",
    "openrem-dose-and-pet/NM-PetIm-GE.dcm",
    "malformed-pydicom/CT_small.dcm",
)


@dataclass(frozen=True)
class Whose:
    """The identity that a worklist answer gives a scanner."""

    nhs_number: str
    name: str
    born: str
    sex: str
    accession: str
    study_uid: str
    step_id: str
    procedure_id: str

    @classmethod
    def of(cls, item: Dataset) -> "Whose":
        step = item.ScheduledProcedureStepSequence[0]
        return cls(
            str(item.PatientID),
            str(item.PatientName),
            str(item.get("PatientBirthDate", "")),
            str(item.get("PatientSex", "")),
            str(item.AccessionNumber),
            str(item.StudyInstanceUID),
            str(step.ScheduledProcedureStepID),
            str(item.get("RequestedProcedureID", "")),
        )


def files_of_another(folder: Path) -> list[Path]:
    """PET and CT as they are: real ones where that folder exists, else made up; none is of a patient of ours."""
    if REAL_DATA.is_dir():
        return [REAL_DATA / "dicom" / name for name in REAL]
    stranger = {"PatientID": "X1", "PatientName": "Nobody^Known", "AccessionNumber": ""}
    pet = [save(pet_image(number, study=9, **stranger), folder) for number in (1, 2)]
    return [*pet, save(pet_image(3, study=9, SOPClassUID=CT, Modality="CT", **stranger), folder)]


def files_of(whose: Whose, folder: Path) -> list[Path]:
    """The same objects with the patient's identity written in, each under a name of its own."""
    written = []
    for number, path in enumerate(files_of_another(folder), start=1):
        ds = dcmread(path)
        ds.PatientID, ds.PatientName = whose.nhs_number, whose.name
        ds.PatientBirthDate, ds.PatientSex = whose.born, whose.sex
        ds.AccessionNumber, ds.StudyInstanceUID = whose.accession, whose.study_uid
        ds.SeriesInstanceUID = f"{whose.study_uid}.{number}"[:64]
        ds.SOPInstanceUID = ds.file_meta.MediaStorageSOPInstanceUID = generate_uid(prefix=f"{ROOT}.")
        written.append(save(ds, folder))
    return written


def uids(files: list[Path]) -> set[str]:
    return {str(dcmread(path, stop_before_pixels=True).SOPInstanceUID) for path in files}


def store(port: int, files: list[Path]) -> list[int]:
    return statuses(run_storescu(port, *files, called=OURS, calling=STATION, options=["-xe"]))


def perform(port: int, whose: Whose, uid: str, *, began: datetime, ended: datetime | None) -> list[int]:
    """N-CREATE, and N-SET to COMPLETED when it has ended."""
    begun = {
        "SpecificCharacterSet": "ISO_IR 192",
        "ScheduledStepAttributesSequence": [
            {
                "StudyInstanceUID": whose.study_uid,
                "AccessionNumber": whose.accession,
                "RequestedProcedureID": whose.procedure_id,
                "ScheduledProcedureStepID": whose.step_id,
                "ReferencedStudySequence": [],
            }
        ],
        "PatientName": whose.name,
        "PatientID": whose.nhs_number,
        "PatientBirthDate": whose.born,
        "PatientSex": whose.sex,
        "PerformedProcedureStepID": "PPS1",
        "PerformedStationAETitle": STATION,
        "PerformedStationName": "",
        "PerformedLocation": "",
        "PerformedProcedureStepStartDate": f"{began:%Y%m%d}",
        "PerformedProcedureStepStartTime": f"{began:%H%M%S}",
        "PerformedProcedureStepStatus": "IN PROGRESS",
        "PerformedProcedureStepDescription": "FDG half body",
        "PerformedProcedureTypeDescription": "",
        "PerformedProcedureStepEndDate": "",
        "PerformedProcedureStepEndTime": "",
        "Modality": "PT",
        "StudyID": "1",
        "PerformedProtocolCodeSequence": [],
        "PerformedSeriesSequence": [],
    }
    requests: list[dict[str, Any]] = [{"do": "create", "uid": uid, "elements": begun}]
    if ended:
        done = {
            "PerformedProcedureStepStatus": "COMPLETED",
            "PerformedProcedureStepEndDate": f"{ended:%Y%m%d}",
            "PerformedProcedureStepEndTime": f"{ended:%H%M%S}",
            "PerformedSeriesSequence": [
                {
                    "SeriesInstanceUID": f"{whose.study_uid}.1",
                    "ProtocolName": "FDG",
                    "PerformingPhysicianName": "",
                    "OperatorsName": "OPERATOR^Olu",
                    "SeriesDescription": "PET AC",
                    "RetrieveAETitle": "",
                    "ReferencedImageSequence": [],
                    "ReferencedNonImageCompositeSOPInstanceSequence": [],
                }
            ],
        }
        requests.append({"do": "set", "uid": uid, "elements": done})
    return [answer.status for answer in send_mpps(port, requests, called=OURS, calling=STATION)]

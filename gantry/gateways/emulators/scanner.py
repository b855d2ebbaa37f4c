"""Plays a PET-CT scanner: reads its worklist, says what it does, stores PET and CT images, asks whether they are kept."""

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any
from uuid import uuid4
from zoneinfo import ZoneInfo

from pydicom.dataset import Dataset
from pydicom.sequence import Sequence as Items
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian
from pynetdicom import AE, build_context, evt
from pynetdicom.association import Association

from gantry.domain.identifiers import uid_from_uuid
from gantry.gateways.dicom.commitment import (
    REQUEST_COMMITMENT,
    STORAGE_COMMITMENT,
    STORAGE_COMMITMENT_INSTANCE,
    Asked,
    Reported,
    read_report,
    to_request,
)
from gantry.gateways.dicom.server import PERFORMED_STEP, WORKLIST_FIND
from gantry.gateways.dicom.status import Status, success
from gantry.gateways.dicom.worklist import WorklistItem, item_from_dataset
from gantry.gateways.emulators.pictures import CT, PET, Subject, study

LONDON = ZoneInfo("Europe/London")
SYNTAXES = [ExplicitVRLittleEndian, ImplicitVRLittleEndian]
COMMITMENT_S = 20.0


class NotDone(Exception):
    """Gantry did not take it; the message says which step, and what it answered."""


@dataclass(frozen=True, slots=True)
class Gantry:
    """Where the scanner's peer listens."""

    host: str = "127.0.0.1"
    port: int = 11112
    ae_title: str = "GANTRY"


@dataclass(frozen=True, slots=True)
class Scanned:
    """What one scan came to. `committed` are the instances that Gantry has answered for."""

    performed_step_uid: str
    instances: tuple[tuple[str, str], ...]
    committed: frozenset[str]

    @property
    def all_kept(self) -> bool:
        return {uid for _, uid in self.instances} <= self.committed


@dataclass(frozen=True, slots=True)
class Scanner:
    ae_title: str
    gantry: Gantry = field(default_factory=Gantry)
    slices: int = 4
    pixels: int = 64
    zone: ZoneInfo = LONDON

    def worklist(self, on: date) -> list[WorklistItem]:
        """Today's steps of this station, soonest first."""
        query = Dataset()
        step = Dataset()
        step.ScheduledStationAETitle, step.Modality = self.ae_title, ""
        step.ScheduledProcedureStepStartDate = f"{on:%Y%m%d}"
        step.ScheduledProcedureStepStartTime = step.ScheduledProcedureStepDescription = ""
        step.ScheduledProcedureStepID = step.ScheduledStationName = ""
        query.ScheduledProcedureStepSequence = Items([step])
        for name in ("PatientName", "PatientID", "IssuerOfPatientID", "PatientBirthDate", "PatientSex", "PatientWeight",
                     "AccessionNumber", "RequestedProcedureID", "RequestedProcedureDescription", "StudyInstanceUID",
                     "ReferringPhysicianName"):  # fmt: skip
            setattr(query, name, None if name == "PatientWeight" else "")
        found = []
        with self.opened(WORKLIST_FIND) as association:
            for status, answer in association.send_c_find(query, WORKLIST_FIND):
                if "Status" not in status:
                    raise NotDone("worklist: the association ended")
                if status.Status in (Status.PENDING, Status.PENDING_KEYS_UNSUPPORTED) and answer is not None:
                    found.append(item_from_dataset(answer, self.zone))
                elif status.Status != Status.SUCCESS:
                    raise NotDone(f"worklist: answered 0x{status.Status:04X}")
        return sorted(found, key=lambda item: item.start)

    def scan(
        self, item: WorklistItem, *, now: Callable[[], datetime], injected_at: datetime | None = None,
        injected_mbq: float = 250.0, lasts: Callable[[], None] = lambda: None,
    ) -> Scanned:  # fmt: skip
        """One whole scan. `lasts` is called between the start and the images: where the minutes of a scan pass."""
        began = now().astimezone(self.zone)
        uid = self.begin(item, began)
        lasts()
        given = (injected_at or began - timedelta(minutes=60)).astimezone(self.zone)
        pictures = study(
            subject_of(item, self.ae_title, began, given, injected_mbq), slices=self.slices, pixels=self.pixels
        )  # fmt: skip
        self.store(pictures)
        self.complete(uid, now().astimezone(self.zone), pictures)
        pairs = tuple((str(one.SOPClassUID), str(one.SOPInstanceUID)) for one in pictures)
        return Scanned(uid, pairs, self.committed(pairs))

    def begin(self, item: WorklistItem, at: datetime) -> str:
        """N-CREATE of a performed procedure step, in progress (PS3.4 F.7)."""
        ds = Dataset()
        ds.SpecificCharacterSet = "ISO_IR 192"
        reference = Dataset()
        reference.StudyInstanceUID, reference.ReferencedStudySequence = item.study_uid, Items([])
        reference.AccessionNumber, reference.RequestedProcedureID = item.accession_number, item.requested_procedure_id
        reference.RequestedProcedureDescription = item.step_description
        reference.ScheduledProcedureStepID, reference.ScheduledProcedureStepDescription = (
            item.step_id,
            item.step_description,
        )
        reference.ScheduledProtocolCodeSequence = Items([])
        ds.ScheduledStepAttributesSequence = Items([reference])
        ds.PatientName, ds.PatientID, ds.IssuerOfPatientID = (
            item.patient_name.text(),
            item.patient_id,
            item.patient_id_issuer,
        )
        ds.PatientBirthDate = f"{item.birth_date:%Y%m%d}" if item.birth_date else ""
        ds.PatientSex, ds.ReferencedPatientSequence = item.sex, Items([])
        ds.PerformedProcedureStepID, ds.PerformedStationAETitle = f"P{uuid4().hex[:10].upper()}", self.ae_title
        ds.PerformedStationName, ds.PerformedLocation = self.ae_title, ""
        ds.PerformedProcedureStepStartDate = f"{at:%Y%m%d}"
        ds.PerformedProcedureStepStartTime = f"{at:%H%M%S}"
        ds.PerformedProcedureStepStatus = "IN PROGRESS"
        ds.PerformedProcedureStepDescription, ds.PerformedProcedureTypeDescription = item.step_description, ""
        ds.ProcedureCodeSequence = ds.PerformedProtocolCodeSequence = Items([])
        ds.PerformedProcedureStepEndDate = ds.PerformedProcedureStepEndTime = ""
        ds.Modality, ds.StudyID, ds.PerformedSeriesSequence = "PT", "1", Items([])
        uid = uid_from_uuid(uuid4())
        with self.opened(PERFORMED_STEP) as association:
            answered("step begun", association.send_n_create(ds, PERFORMED_STEP, uid)[0])
        return uid

    def store(self, pictures: Sequence[Dataset]) -> None:
        with self.opened(CT, PET) as association:
            for picture in pictures:
                answered("image stored", association.send_c_store(picture))

    def complete(self, uid: str, at: datetime, pictures: Sequence[Dataset]) -> None:
        """N-SET: completed, with the series that were made."""
        ds = Dataset()
        ds.SpecificCharacterSet = "ISO_IR 192"
        ds.PerformedProcedureStepStatus = "COMPLETED"
        ds.PerformedProcedureStepEndDate, ds.PerformedProcedureStepEndTime = f"{at:%Y%m%d}", f"{at:%H%M%S}"
        by_series: dict[str, list[Dataset]] = {}
        for picture in pictures:
            by_series.setdefault(str(picture.SeriesInstanceUID), []).append(picture)
        ds.PerformedSeriesSequence = Items([series_of(uid, made) for uid, made in by_series.items()])
        with self.opened(PERFORMED_STEP) as association:
            answered("step completed", association.send_n_set(ds, PERFORMED_STEP, uid)[0])

    def discontinue(self, uid: str, at: datetime) -> None:
        ds = Dataset()
        ds.PerformedProcedureStepStatus, ds.PerformedSeriesSequence = "DISCONTINUED", Items([])
        ds.PerformedProcedureStepEndDate, ds.PerformedProcedureStepEndTime = f"{at:%Y%m%d}", f"{at:%H%M%S}"
        with self.opened(PERFORMED_STEP) as association:
            answered("step discontinued", association.send_n_set(ds, PERFORMED_STEP, uid)[0])

    def committed(self, pairs: tuple[tuple[str, str], ...]) -> frozenset[str]:
        """Storage commitment (PS3.4 J.3): what Gantry answers for, on the association that asked."""
        transaction, came, reports = uid_from_uuid(uuid4()), threading.Event(), list[Reported]()

        def on_report(event: Any) -> tuple[Dataset, None]:
            report = read_report(event.event_information)
            if report.transaction_uid == transaction:
                reports.append(report)
                came.set()
            return success(), None

        with self.opened(STORAGE_COMMITMENT, handlers=[(evt.EVT_N_EVENT_REPORT, on_report)]) as association:
            request = to_request(Asked(transaction, self.ae_title, pairs))
            answered(
                "commitment asked",
                association.send_n_action(request, REQUEST_COMMITMENT, STORAGE_COMMITMENT, STORAGE_COMMITMENT_INSTANCE)[
                    0
                ],
            )
            came.wait(COMMITMENT_S)
        return frozenset(uid for report in reports for _, uid in report.committed)

    @contextmanager
    def opened(self, *sop_classes: str, handlers: Sequence[Any] = ()) -> Iterator[Association]:
        ae = AE(self.ae_title)
        contexts = [build_context(one, SYNTAXES) for one in sop_classes]
        association = ae.associate(
            self.gantry.host, self.gantry.port, contexts, self.gantry.ae_title, evt_handlers=list(handlers)
        )
        if not association.is_established:
            raise NotDone(f"no association with {self.gantry.ae_title} at {self.gantry.host}:{self.gantry.port}")
        try:
            yield association
        finally:
            if association.is_established:
                association.release()


def answered(what: str, status: Any) -> None:
    code = getattr(status, "Status", None)
    if code != Status.SUCCESS:
        said = f"answered 0x{code:04X} {getattr(status, 'ErrorComment', '')}" if code is not None else "no answer"
        raise NotDone(f"{what}: {said}")


def series_of(uid: str, made: Sequence[Dataset]) -> Dataset:
    item = Dataset()
    item.PerformingPhysicianName = item.OperatorsName = item.RetrieveAETitle = ""
    item.ProtocolName, item.SeriesInstanceUID = "PET-CT", uid
    item.SeriesDescription = str(made[0].SeriesDescription)
    item.ReferencedImageSequence = Items([referenced(one) for one in made])
    item.ReferencedNonImageCompositeSOPInstanceSequence = Items([])
    return item


def referenced(picture: Dataset) -> Dataset:
    item = Dataset()
    item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = picture.SOPClassUID, picture.SOPInstanceUID
    return item


def subject_of(item: WorklistItem, station: str, began: datetime, injected_at: datetime, mbq: float) -> Subject:
    """The worklist's identity, unchanged, onto every image: that is what makes them match."""
    return Subject(
        patient_name=item.patient_name.text(),
        patient_id=item.patient_id,
        issuer=item.patient_id_issuer,
        birth_date=item.birth_date,
        sex=item.sex,
        weight_kg=item.weight_kg,
        accession_number=item.accession_number,
        study_uid=item.study_uid,
        requested_procedure_id=item.requested_procedure_id,
        scheduled_step_id=item.step_id,
        description=item.step_description,
        referring_physician="",
        station=station,
        started_at=began,
        injected_at=injected_at,
        injected_mbq=mbq,
    )

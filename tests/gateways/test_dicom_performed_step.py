"""What a scanner may say of a performed step, and when: PS3.4 F.7, by an independent sender."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import pytest
from pydicom.dataset import Dataset

from gantry.gateways.dicom.performed_step import (
    PerformedSteps,
    StepBegun,
    StepReported,
    StepStatus,
    read_begun,
    read_reported,
)
from gantry.gateways.dicom.server import Doors, Server, serve
from gantry.gateways.dicom.status import Refusal, Status
from tests.gateways.dicom_samples import LONDON, PET, ROOT, new_uid
from tests.gateways.peers import needs, send_mpps

BEGUN: dict[str, Any] = {
    "SpecificCharacterSet": "ISO_IR 192",
    "ScheduledStepAttributesSequence": [
        {
            "StudyInstanceUID": f"{ROOT}.1",
            "AccessionNumber": "ACC00001",
            "RequestedProcedureID": "RP1",
            "ScheduledProcedureStepID": "SPS1",
            "ReferencedStudySequence": [],
        }
    ],
    "PatientName": "ZZTEST^Zoe",
    "PatientID": "9990000018",
    "PatientBirthDate": "19610203",
    "PatientSex": "F",
    "PerformedProcedureStepID": "PPS1",
    "PerformedStationAETitle": "PETCT1",
    "PerformedStationName": "",
    "PerformedLocation": "",
    "PerformedProcedureStepStartDate": "20260701",
    "PerformedProcedureStepStartTime": "093000",
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
ENDED: dict[str, Any] = {
    "PerformedProcedureStepStatus": "COMPLETED",
    "PerformedProcedureStepEndDate": "20260701",
    "PerformedProcedureStepEndTime": "100500.25",
    "PerformedSeriesSequence": [
        {
            "SeriesInstanceUID": f"{ROOT}.1.2",
            "ProtocolName": "FDG",
            "PerformingPhysicianName": "",
            "OperatorsName": "OPERATOR^Olu",
            "SeriesDescription": "PET AC",
            "RetrieveAETitle": "",
            "ReferencedImageSequence": [
                {"ReferencedSOPClassUID": PET, "ReferencedSOPInstanceUID": f"{ROOT}.1.2.1"},
            ],
            "ReferencedNonImageCompositeSOPInstanceSequence": [],
        }
    ],
}


def dataset(elements: dict[str, Any]) -> Dataset:
    ds = Dataset()
    for keyword, value in elements.items():
        is_sequence = keyword.endswith("Sequence")
        setattr(ds, keyword, [dataset(each) for each in value] if is_sequence else value)
    return ds


@dataclass
class House:
    """Steps as a house would keep them, with the duplicate check where the row is."""

    begun: dict[str, StepBegun] = field(default_factory=dict)
    reported: list[StepReported] = field(default_factory=list)
    status: dict[str, StepStatus] = field(default_factory=dict)
    callers: set[str] = field(default_factory=set)

    def begin(self, step: StepBegun, caller: str) -> Refusal | None:
        if step.sop_instance_uid in self.begun:
            return Refusal(Status.DUPLICATE_INSTANCE, "This step exists")
        self.callers.add(caller)
        self.begun[step.sop_instance_uid] = step
        self.status[step.sop_instance_uid] = StepStatus.IN_PROGRESS
        return None

    def report(self, step: StepReported, caller: str) -> Refusal | None:
        self.reported.append(step)
        if step.status:
            self.status[step.sop_instance_uid] = step.status
        return None

    def steps(self) -> PerformedSteps:
        return PerformedSteps(self.begin, self.report, self.status.get)


def test_a_begun_step_is_read_with_its_instant_in_the_sites_zone() -> None:
    step = read_begun("1.2.3", dataset(BEGUN), LONDON)
    assert isinstance(step, StepBegun)
    assert step.started_at == datetime(2026, 7, 1, 8, 30, tzinfo=UTC)
    assert (step.scheduled[0].accession_number, step.scheduled[0].step_id) == ("ACC00001", "SPS1")
    assert (step.patient_name, step.modality) == ("ZZTEST^Zoe", "PT")


def test_the_offset_that_the_scanner_sends_wins() -> None:
    step = read_begun("1.2.3", dataset({**BEGUN, "TimezoneOffsetFromUTC": "-0500"}), LONDON)
    assert isinstance(step, StepBegun)
    assert step.started_at == datetime(2026, 7, 1, 14, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    ("changes", "status", "tag"),
    [
        ({"PerformedProcedureStepID": None}, 0x0120, 0x00400253),
        ({"PerformedProcedureStepID": ""}, 0x0121, 0x00400253),
        ({"ScheduledStepAttributesSequence": []}, 0x0121, 0x00400270),
        ({"ScheduledStepAttributesSequence": None}, 0x0120, 0x00400270),
        ({"ScheduledStepAttributesSequence": [{"AccessionNumber": "A"}]}, 0x0121, 0x0020000D),
        ({"PerformedProcedureStepStatus": "COMPLETED"}, 0x0106, 0x00400252),
        ({"PerformedProcedureStepStartTime": "2530"}, 0x0106, 0x00400245),
        ({"Modality": ""}, 0x0121, 0x00080060),
    ],
)
def test_what_a_creation_must_hold(changes: dict[str, Any], status: int, tag: int) -> None:
    elements = {keyword: value for keyword, value in {**BEGUN, **changes}.items() if value is not None}
    refused = read_begun("1.2.3", dataset(elements), LONDON)
    assert isinstance(refused, Refusal)
    assert (refused.status, refused.tags) == (status, (tag,))


@pytest.mark.parametrize(
    ("current", "changes", "status"),
    [
        (None, {}, 0x0112),
        (StepStatus.COMPLETED, {}, 0x0110),
        (StepStatus.DISCONTINUED, {}, 0x0110),
        (StepStatus.IN_PROGRESS, {"PatientID": "X"}, 0x0105),
        (StepStatus.IN_PROGRESS, {"PerformedProcedureStepStatus": "DONE"}, 0x0106),
        (StepStatus.IN_PROGRESS, {"PerformedProcedureStepEndDate": None}, 0x0120),
        (StepStatus.IN_PROGRESS, {"PerformedSeriesSequence": None}, 0x0120),
        (StepStatus.IN_PROGRESS, {"PerformedSeriesSequence": []}, 0x0121),
        (StepStatus.IN_PROGRESS, {"PerformedSeriesSequence": [{"ProtocolName": "X"}]}, 0x0121),
        (StepStatus.IN_PROGRESS, {"PerformedProcedureStepEndTime": "noon"}, 0x0106),
    ],
)
def test_what_an_end_must_hold(current: StepStatus | None, changes: dict[str, Any], status: int) -> None:
    elements = {keyword: value for keyword, value in {**ENDED, **changes}.items() if value is not None}
    refused = read_reported("1.2.3", dataset(elements), current, LONDON)
    assert isinstance(refused, Refusal)
    assert refused.status == status
    if status == 0x0110:
        assert refused.to_dataset().ErrorID == 0xA506


def test_a_discontinued_step_needs_no_series_and_keeps_its_reason() -> None:
    reason = {
        "CodeValue": "110513",
        "CodingSchemeDesignator": "DCM",
        "CodeMeaning": "Discontinued for unspecified reason",
    }
    elements = {
        **ENDED,
        "PerformedProcedureStepStatus": "DISCONTINUED",
        "PerformedSeriesSequence": [],
        "PerformedProcedureStepDiscontinuationReasonCodeSequence": [reason],
    }
    step = read_reported("1.2.3", dataset(elements), StepStatus.IN_PROGRESS, LONDON)
    assert isinstance(step, StepReported)
    assert step.discontinuation_reasons is not None
    assert step.discontinuation_reasons[0].value == "110513"


@pytest.fixture
def house() -> House:
    return House()


@pytest.fixture
def server(house: House) -> Iterator[Server]:
    running = serve("GANTRY", ("127.0.0.1", 0), Doors(zone=LONDON, performed_steps=house.steps()))
    yield running
    running.stop()


@needs("node")
def test_an_independent_sender_begins_ends_and_may_not_begin_again_or_go_on(server: Server, house: House) -> None:
    uid = new_uid()
    requests = [
        {"do": "set", "uid": uid, "elements": ENDED},
        {"do": "create", "uid": uid, "elements": BEGUN},
        {"do": "create", "uid": uid, "elements": BEGUN},
        {"do": "set", "uid": uid, "elements": {"PerformedProcedureStepDescription": "FDG, arms down"}},
        {"do": "set", "uid": uid, "elements": ENDED},
        {"do": "set", "uid": uid, "elements": ENDED},
    ]
    answers = [send_mpps(server.port, [each], called="GANTRY", calling="PETCT1")[0] for each in requests]
    assert [answer.status for answer in answers] == [0x0112, 0x0000, 0x0111, 0x0000, 0x0000, 0x0110]
    assert "no longer be updated" in answers[-1].comment
    assert house.status[uid] is StepStatus.COMPLETED
    assert house.callers == {"PETCT1"}
    last = house.reported[-1]
    assert last.ended_at == datetime(2026, 7, 1, 9, 5, 0, 250000, tzinfo=UTC)
    assert last.series is not None
    assert last.series[0].images == ((PET, f"{ROOT}.1.2.1"),)
    assert house.reported[0].description == "FDG, arms down"


@needs("node")
def test_a_house_that_fails_is_said_and_the_listener_lives(server: Server, house: House) -> None:
    def fails(step: StepBegun, caller: str) -> Refusal | None:
        raise ConnectionError("no database")

    broken = serve(
        "GANTRY",
        ("127.0.0.1", 0),
        Doors(zone=LONDON, performed_steps=PerformedSteps(fails, house.report, house.status.get)),
    )
    try:
        for _ in range(2):
            (answer,) = send_mpps(
                broken.port, [{"do": "create", "uid": new_uid(), "elements": BEGUN}], called="GANTRY", calling="PETCT1"
            )
            assert answer.status == 0x0110
            assert "database" not in answer.comment
    finally:
        broken.stop()

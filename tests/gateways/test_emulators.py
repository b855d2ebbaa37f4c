"""The emulated peers speak their wires: valid images, a scan from worklist to commitment, a PACS that shows what it holds."""

import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path

import pytest
from pydicom import dcmread

from gantry.domain.ct_dose import of_study
from gantry.domain.network.people import Hospital
from gantry.gateways.dicom import ct_dose
from gantry.gateways.dicom.commitment import Asked, Commitment, Reported
from gantry.gateways.dicom.index import WorklistIndex
from gantry.gateways.dicom.performed_step import PerformedSteps, StepBegun, StepReported, StepStatus
from gantry.gateways.dicom.send import Outgoing, Proof, send_study
from gantry.gateways.dicom.send import Pacs as Destination
from gantry.gateways.dicom.server import Doors, serve
from gantry.gateways.dicom.storage import Kept, Store, StoredInstance
from gantry.gateways.emulators import hospital as emulated
from gantry.gateways.emulators.addresses import HospitalAddress
from gantry.gateways.emulators.doses import ct_dose_report
from gantry.gateways.emulators.pictures import Subject, new_uid, study
from gantry.gateways.emulators.scanner import Gantry, NotDone, Scanner, subject_of
from gantry.gateways.hl7 import mllp
from gantry.gateways.hl7.answers import to_answers
from gantry.gateways.hl7.compose import to_omi
from gantry.gateways.hl7.message import read
from gantry.gateways.hl7.orders import read_orders
from gantry.gateways.hl7.refusals import Refusal
from tests.gateways.dicom_samples import LONDON, Board, item

NOW = datetime(2026, 11, 23, 9, 30, tzinfo=UTC)
TODAY = date(2026, 11, 23)
REFERRER = Hospital("RBV", "Dr Archer", "C7200001")


def subject() -> Subject:
    return replace(
        subject_of(item(), "PETCT1", NOW.astimezone(LONDON), NOW.astimezone(LONDON), 241.5), study_uid=new_uid()
    )


@pytest.mark.parametrize("place", [0, -1], ids=["CT", "PET"])
def test_images_are_valid_objects(tmp_path: Path, place: int) -> None:
    """dciodvfy knows the modules of each object; its judgement is not ours."""
    checker = shutil.which("dciodvfy") or shutil.which("dciodvfy", path=str(Path(sys.executable).parent))
    if checker is None:
        pytest.skip("dciodvfy is not installed")
    picture = study(subject())[place]
    path = tmp_path / "picture.dcm"
    picture.save_as(path, enforce_file_format=True)
    said = subprocess.run([checker, "-new", str(path)], capture_output=True, text=True, check=False)
    assert "Error" not in said.stderr + said.stdout, said.stderr
    assert ("PETImage" if place else "CTImage") in said.stderr + said.stdout


def test_a_scanners_dose_report_is_a_valid_object_that_says_what_its_ct_gave(tmp_path: Path) -> None:
    report = ct_dose_report(replace(subject(), weight_kg=300.0))
    said = of_study([ct_dose.read(report, LONDON)])
    assert (said.dlp_mgy_cm, len(said.events)) == (2850.0, 2)
    assert said.main is not None and said.main.ctdi_vol_mgy == 30.0
    path = tmp_path / "dose.dcm"
    report.save_as(path, enforce_file_format=True)
    for checker in filter(None, (shutil.which("dsrdump", path="/usr/bin"),)):
        told = subprocess.run([checker, str(path)], capture_output=True, text=True, check=False)
        assert told.returncode == 0, told.stderr


def test_an_image_says_what_was_injected_and_to_whom() -> None:
    picture = study(subject())[-1]
    assert str(picture.PatientName) == "ZZTEST^Zoë^^Dr"
    assert (picture.PatientID, picture.AccessionNumber) == ("9990000018", "ACC00001")
    isotope = picture.RadiopharmaceuticalInformationSequence[0]
    assert float(isotope.RadionuclideTotalDose) == pytest.approx(241.5e6)
    assert picture.RequestAttributesSequence[0].ScheduledProcedureStepID == "SPS1"


class House:
    """What Gantry's DICOM door heard."""

    def __init__(self, root: Path) -> None:
        self.board = Board(item(1), item(2), item(3, station_ae_titles=("ELSEWHERE",)))
        self.begun: list[StepBegun] = []
        self.reported: list[StepReported] = []
        self.stored: list[StoredInstance] = []
        self.root = root

    def doors(self) -> Doors:
        return Doors(
            zone=LONDON,
            worklist=WorklistIndex(self.board.source(), LONDON),
            performed_steps=PerformedSteps(self.begin, self.report, lambda uid: StepStatus.IN_PROGRESS),
            storage=Store(self.root, self.keep, LONDON, sync=False),
            commitment=Commitment("GANTRY", self.check),
        )

    def begin(self, step: StepBegun, calling: str) -> None:
        self.begun.append(step)

    def report(self, step: StepReported, calling: str) -> None:
        self.reported.append(step)

    def keep(self, stored: StoredInstance) -> Kept:
        self.stored.append(stored)
        return Kept()

    def check(self, asked: Asked) -> Reported:
        kept = {one.sop_instance_uid for one in self.stored}
        return Reported(asked.transaction_uid, tuple(pair for pair in asked.instances if pair[1] in kept), ())


@pytest.fixture
def house(tmp_path: Path) -> Iterator[tuple[House, Scanner]]:
    heard = House(tmp_path / "images")
    server = serve("GANTRY", ("127.0.0.1", 0), heard.doors())
    try:
        yield heard, Scanner("PETCT1", Gantry(port=server.port), slices=2, pixels=16)
    finally:
        server.stop()


def test_a_scan_from_worklist_to_commitment(house: tuple[House, Scanner]) -> None:
    heard, scanner = house
    listed = scanner.worklist(TODAY)
    assert [one.step_id for one in listed] == ["SPS1", "SPS2"]
    done = scanner.scan(listed[0], now=lambda: NOW)
    assert heard.begun[0].scheduled[0].accession_number == "ACC00001"
    assert heard.begun[0].patient_id == "9990000018"
    assert [one.status for one in heard.reported] == [StepStatus.COMPLETED]
    assert len(heard.reported[0].series or ()) == 2
    assert {(one.nhs_number, one.accession_number) for one in heard.stored} == {("9990000018", "ACC00001")}
    assert {one.modality for one in heard.stored} == {"CT", "PT"}
    assert len(done.instances) == 4
    assert done.all_kept


def test_a_scanner_that_cannot_reach_us_says_so() -> None:
    with pytest.raises(NotDone, match="no association"):
        Scanner("PETCT1", Gantry(port=1)).worklist(TODAY)


@pytest.fixture
def hospital(tmp_path: Path) -> Iterator[emulated.Running]:
    with emulated.open_hospital(tmp_path / "pacs", HospitalAddress("127.0.0.1", 0, 0)) as running:
        yield running


@pytest.mark.parametrize("proof", [Proof.COMMITMENT, Proof.FIND], ids=str)
def test_its_pacs_proves_what_it_holds(hospital: emulated.Running, tmp_path: Path, proof: Proof) -> None:
    files = []
    for number, picture in enumerate(study(subject(), slices=2, pixels=16)):
        path = tmp_path / f"{number}.dcm"
        picture.save_as(path, enforce_file_format=True)
        files.append(Outgoing(str(picture.SOPInstanceUID), path))
    to = Destination(
        host="127.0.0.1",
        port=hospital.dicom_port,
        ae_title="HOSPITALPACS",
        calling_ae_title="GANTRY",
        proofs=(proof,),
    )
    sending = send_study(files, to)
    assert sending.delivered, sending
    assert {one.proved_by for one in sending.outcomes} == {proof}
    again = emulated.Pacs(hospital.pacs.root)
    assert again.held == hospital.pacs.held, "what it held before a restart it holds after it"
    assert dcmread(next(hospital.pacs.root.rglob("*.dcm"))).PatientID == "9990000018"


def test_its_pacs_does_not_answer_for_what_it_never_had(hospital: emulated.Running) -> None:
    report = hospital.pacs.committed(Asked("1.2", "GANTRY", (("1.2.3", "1.2.3.4"),)))
    assert not report.committed
    assert [uid for _, uid, _ in report.failed] == ["1.2.3.4"]


def test_its_order_carries_the_whole_data_set() -> None:
    written = emulated.order(7, REFERRER, at=NOW)
    orders = read_orders(read(to_omi(written)), LONDON)  # type: ignore[arg-type]
    assert isinstance(orders, tuple)
    said = to_answers(orders[0])
    assert said["nhs_number"] == written.answers["nhs_number"]
    assert said["clinical_question"] == written.answers["clinical_question"]
    assert emulated.order(7, REFERRER, at=NOW) == written, "the same number is the same order"


def test_its_engine_accepts_a_result_over_the_wire(hospital: emulated.Running) -> None:
    oru = b"MSH|^~\\&|GANTRY|NZZ|TIE|RBV|20261123093000||ORU^R01^ORU_R01|G123|P|2.5.1\rPID|1||9990000018^^^NHS^NH\r"
    answer = mllp.send("127.0.0.1", hospital.mllp_port, oru, control_id="G123")
    assert answer.code == "AA"
    assert len(hospital.results.messages) == 1


def test_its_engine_rejects_what_it_cannot_read(hospital: emulated.Running) -> None:
    assert b"MSA|AR" in hospital.results.receive(b"not a message")
    assert not hospital.results.messages
    assert isinstance(read(b"not a message"), Refusal)

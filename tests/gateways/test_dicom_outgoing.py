"""Images on their way to a hospital: proved by the far end, or failed at a named phase and owned by a person."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from django.test import Client
from django.urls import reverse
from pydicom import dcmread

from gantry.apps.audit.models import Attempt, Event, OutboxMessage
from gantry.apps.estate.models import Endpoint
from gantry.apps.scanning.models import ImageDispatch, Instance, ReconcileItem, Study, Visit
from gantry.apps.scanning.services import images
from gantry.domain.access import Role
from gantry.domain.delivery import BACK_OFF
from gantry.domain.events import EventKind
from gantry.gateways.dicom.outgoing import identity_of, send
from gantry.gateways.dicom.rewriting import Identity, rewritten
from gantry.gateways.dicom.storage import Kept, Sent, Store, store
from gantry.gateways.dicom.wiring import received
from tests.apps.factories import NOW, actor, make_person
from tests.apps.scan_day import Day, make_booked, make_day
from tests.gateways.dicom_samples import LONDON, pet_image, save
from tests.gateways.peers import Orthanc, free_port, needs, start_orthanc

pytestmark = [pytest.mark.django_db, needs("Orthanc")]


@pytest.fixture(scope="module")
def pacs(tmp_path_factory) -> Iterator[Orthanc]:
    with start_orthanc(tmp_path_factory.mktemp("pacs")) as running:
        yield running


@pytest.fixture
def day(settings, tmp_path) -> Day:
    settings.IMAGES_ROOT = tmp_path / "images"
    return make_day()


@pytest.fixture
def visit(day: Day) -> Visit:
    return make_booked(day)


def address(visit: Visit, port: int, host: str = "127.0.0.1") -> Endpoint:
    return Endpoint.objects.create(
        organisation=visit.appointment.referral.referring_organisation,
        kind="dicom",
        host=host,
        port=port,
        ae_title="HOSPITALPACS",
    )


def keep(visit: Visit, folder: Path, number: int = 1, **changes) -> Study:
    """One image through the door's own storage, without its socket."""
    procedure = visit.appointment.procedure
    said = {
        "StudyInstanceUID": procedure.study_uid,
        "SeriesInstanceUID": f"{procedure.study_uid}.2",
        "SOPInstanceUID": f"{procedure.study_uid}.2.{number}",
        "AccessionNumber": procedure.accession_number,
        "PatientID": procedure.referral.patient.nhs_number,
        "PatientName": "TESTCASE^Somebody",
        "PatientBirthDate": "19580314",
    }
    path = save(pet_image(number, **(said | changes)), folder)
    ds = dcmread(path)
    content = path.read_bytes()
    body = memoryview(content)[132 + 12 + int.from_bytes(content[140:144], "little") :]
    sent = Sent(str(ds.SOPClassUID), str(ds.SOPInstanceUID), str(ds.file_meta.TransferSyntaxUID), body, "PETCT1")
    from django.conf import settings

    into = Store(Path(settings.IMAGES_ROOT), lambda s: Kept(images.keep_instance(received(s), now=NOW).held), LONDON)
    assert isinstance(store(sent, into), Kept)
    return Instance.objects.get(sop_instance_uid=ds.SOPInstanceUID).study


def check(study: Study, day: Day, now: datetime = NOW) -> ImageDispatch:
    images.check_images(study, acceptable=True, note="", by=day.by, now=now)
    return ImageDispatch.objects.get(study=study)


def test_checked_images_are_delivered_when_the_pacs_shows_every_one(pacs, day, visit, tmp_path) -> None:
    address(visit, pacs.dicom_port)
    for number in (1, 2, 3):
        study = keep(visit, tmp_path, number)
    dispatch = check(study, day)
    send(dispatch.message_id, now=NOW)
    dispatch.refresh_from_db()
    assert (dispatch.state, dispatch.proved, dispatch.proof) == ("delivered", 3, "C-FIND")
    assert set(study.instances.values_list("sop_instance_uid", flat=True)) <= pacs.instance_uids()
    send(dispatch.message_id, now=NOW + timedelta(minutes=10))
    assert Event.objects.filter(kind=EventKind.IMAGES_PROVED).count() == 1


def test_images_that_come_after_delivery_are_delivered_too(pacs, day, visit, tmp_path) -> None:
    address(visit, pacs.dicom_port)
    dispatch = check(keep(visit, tmp_path, 1), day)
    send(dispatch.message_id, now=NOW)
    keep(visit, tmp_path, 2)
    later = NOW + timedelta(minutes=3)
    assert images.send_late_instances(now=later) == 1
    send(dispatch.message_id, now=later)
    dispatch.refresh_from_db()
    assert (dispatch.state, dispatch.proved) == ("delivered", 2)
    assert images.send_late_instances(now=later) == 0


def test_a_closed_door_is_named_tried_again_and_in_the_end_owned_by_a_person(day, visit, tmp_path) -> None:
    manager = make_person(Role.MANAGER, day.made.provider)
    address(visit, free_port())
    dispatch, now = check(keep(visit, tmp_path), day), NOW
    for _ in range(len(BACK_OFF) + 1):
        send(dispatch.message_id, now=now)
        now += timedelta(hours=6)
    dispatch.refresh_from_db()
    assert (dispatch.state, dispatch.proved, dispatch.instances) == ("given_up", 0, 1)
    assert dispatch.message.phase == "connect"
    assert dispatch.message.owner == manager.pk
    assert Attempt.objects.filter(message=dispatch.message, ok=False).count() == len(BACK_OFF) + 1
    last = Event.objects.get(kind=EventKind.DISPATCH_GIVEN_UP)
    assert last.data["owner_name"] == manager.name
    client = Client()
    client.force_login(manager, backend="django.contrib.auth.backends.ModelBackend")
    page = client.get(reverse("scanning:study", args=[dispatch.study_id])).content.decode()
    assert "Stopped at connect" in page
    assert "Send again" in page
    client.post(reverse("scanning:images_again", args=[dispatch.pk]))
    dispatch.refresh_from_db()
    assert (dispatch.state, dispatch.message.state, dispatch.message.attempts) == ("queued", "queued", 0)
    assert not images.send_again(dispatch, by=day.by, now=now)


def test_a_host_without_an_address_fails_at_resolve(day, visit, tmp_path) -> None:
    address(visit, 104, host="no-such-host.invalid")
    dispatch = check(keep(visit, tmp_path), day)
    send(dispatch.message_id, now=NOW)
    dispatch.refresh_from_db()
    assert (dispatch.state, dispatch.message.phase) == ("failed", "resolve")


def test_a_missing_file_is_a_failure_of_ours_and_nothing_is_called_delivered(pacs, day, visit, tmp_path) -> None:
    from django.conf import settings

    address(visit, pacs.dicom_port)
    dispatch = check(keep(visit, tmp_path), day)
    (settings.IMAGES_ROOT / Instance.objects.get().path).unlink()
    send(dispatch.message_id, now=NOW)
    dispatch.refresh_from_db()
    assert (dispatch.state, dispatch.message.phase) == ("failed", "store")


def test_a_recipient_without_a_pacs_is_said_once_and_owned(day, visit, tmp_path) -> None:
    manager = make_person(Role.MANAGER, day.made.provider)
    study = keep(visit, tmp_path)
    for _ in range(2):
        images.check_images(study, acceptable=True, note="", by=day.by, now=NOW)
    said = Event.objects.get(kind=EventKind.DISPATCH_GIVEN_UP)
    assert (said.data["owner_name"], said.data["what"]) == (manager.name, "images")
    assert not ImageDispatch.objects.exists()


def test_images_that_a_person_matched_leave_under_the_right_name(pacs, day, visit, tmp_path) -> None:
    address(visit, pacs.dicom_port)
    procedure = visit.appointment.procedure
    study = keep(
        visit,
        tmp_path,
        PatientID="H77",
        PatientName="MÜLLER^Wrong",
        AccessionNumber="TYPO",
        SpecificCharacterSet="ISO_IR 100",
    )
    held = ReconcileItem.objects.get(study=study)
    said = {d.what: d.said for d in images.differences(held, procedure)}
    assert (said["NHS number"], said["Name"], said["Born"], said["Study"]) == ("differs", "differs", "same", "same")
    with pytest.raises(images.NeedsNote):
        images.reconcile(held, procedure=procedure, note="", by=day.by, person=day.person, now=NOW)
    study = images.reconcile(held, procedure=procedure, note="Rang site", by=day.by, person=day.person, now=NOW)
    dispatch = check(study, day)
    send(dispatch.message_id, now=NOW)
    dispatch.refresh_from_db()
    assert dispatch.state == "delivered"
    uid = study.instances.get().sop_instance_uid
    (found,) = pacs.client.post("/tools/lookup", content=uid).json()
    target = tmp_path / "came.dcm"
    target.write_bytes(pacs.client.get(f"{found['Path']}/file").content)
    came = dcmread(target)
    patient = procedure.referral.patient
    assert (came.PatientID, came.AccessionNumber) == (patient.nhs_number, procedure.accession_number)
    assert str(came.PatientName).startswith(f"{patient.family_name}^{patient.given_name}")
    before = came.OriginalAttributesSequence[0].ModifiedAttributesSequence[0]
    assert (before.PatientID, str(before.PatientName), before.AccessionNumber) == ("H77", "MÜLLER^Wrong", "TYPO")
    assert came.PixelData == pet_image().PixelData


def test_a_name_that_the_file_could_not_write_changes_its_character_set(tmp_path) -> None:
    source = save(
        pet_image(SpecificCharacterSet="ISO_IR 100", PatientName="MÜLLER^Zoë", StudyDescription="Ganzkörper"), tmp_path
    )
    identity = Identity(patient_name="ŁUKASZ^Ewa", patient_id="9990000018", patient_id_issuer="NHS")
    after = dcmread(rewritten(source, tmp_path / "copy.dcm", identity, at=NOW, system="GANTRY"))
    assert (str(after.PatientName), after.StudyDescription) == ("ŁUKASZ^Ewa", "Ganzkörper")
    before = after.OriginalAttributesSequence[0].ModifiedAttributesSequence[0]
    assert str(before.PatientName) == "MÜLLER^Zoë"
    assert dcmread(source).PatientName == "MÜLLER^Zoë"


def test_a_whole_study_goes_out_though_nobody_checked_it(day, visit, tmp_path, pacs) -> None:
    """The scanner's own word that it is done is enough; without it, images wait for a check."""
    from gantry.apps.scanning.models import ScheduledStep
    from gantry.apps.scanning.services.performed import Reference, StepFacts, StepNews, performed_created, performed_set
    from gantry.domain.scan import StepState

    address(visit, pacs.dicom_port)
    study, later = keep(visit, tmp_path), NOW + timedelta(minutes=5)
    assert images.send_what_is_ready(now=later) == 0
    step = ScheduledStep.objects.get(appointment=visit.appointment)
    performed_created(
        StepFacts(
            sop_instance_uid="1.2.3.9",
            started_at=NOW,
            patient_id=step.patient_id,
            references=(Reference(scheduled_step_id=step.scheduled_step_id),),
        ),
        now=NOW,
    )
    performed_set(StepNews(sop_instance_uid="1.2.3.9", state=StepState.COMPLETED, ended_at=NOW), now=NOW)
    assert images.send_what_is_ready(now=NOW) == 0
    assert images.send_what_is_ready(now=later) == 1
    assert images.send_what_is_ready(now=later) == 0
    assert ImageDispatch.objects.get().study == study
    assert OutboxMessage.objects.get().due_at == later


def test_the_check_on_the_board_is_a_check_of_the_images(day, visit, tmp_path, pacs) -> None:
    from gantry.apps.scanning.services.visits import record_step

    address(visit, pacs.dicom_port)
    study = keep(visit, tmp_path)
    record_step(visit, "check", happened_at=NOW, now=NOW, by=actor(day.person))
    assert study.checks.get().acceptable
    assert Event.objects.get(kind=EventKind.IMAGES_CHECKED).data["acceptable"] is True
    assert ImageDispatch.objects.get().study == study
    assert identity_of(study).accession_number == study.procedure.accession_number

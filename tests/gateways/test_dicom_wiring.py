"""The DICOM door on the real house: a scanner's day through real peers, with rows and files to show for it."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from django.db import connection
from pydicom import dcmread

from gantry.apps.audit.models import Event
from gantry.apps.booking import services as booking
from gantry.apps.booking.services import Change, Choice
from gantry.apps.scanning.models import DoseRecord, Instance, PerformedStep, ReconcileItem, ScheduledStep, Study, Visit
from gantry.apps.scanning.services import visits, worklist
from gantry.apps.scanning.services.performed import disagreements
from gantry.domain.events import Cause, CauseCode, EventKind, Initiator
from gantry.gateways.database import Desk
from gantry.gateways.dicom.commitment import Asked
from gantry.gateways.dicom.server import Server, serve
from gantry.gateways.dicom.status import Status
from gantry.gateways.dicom.wiring import committed, item_of, make_doors, scheduling_of
from gantry.gateways.dicom.worklist import item_from_dataset, to_dataset
from tests.apps.factories import NOW, make_scanner, make_session
from tests.apps.scan_day import BY, Day, make_booked, make_day
from tests.gateways.dicom_samples import LONDON, item, pet_image, save
from tests.gateways.peers import (
    MppsAnswer,
    dump2dcm,
    needs,
    run_echoscu,
    run_findscu,
    run_storescu,
    send_mpps,
    statuses,
)

pytestmark = [pytest.mark.django_db(transaction=True), needs("storescu", "findscu", "node")]
MPPS = "1.2.826.0.1.3680043.8.498.77.1"


@pytest.fixture
def day() -> Day:
    return make_day()


@pytest.fixture
def visit(day: Day) -> Visit:
    return make_booked(day)


@pytest.fixture
def images_root(tmp_path: Path, settings) -> Path:
    settings.IMAGES_ROOT = tmp_path / "images"
    settings.IMAGES_ROOT.mkdir()
    settings.IMAGES_FSYNC = False
    return settings.IMAGES_ROOT


@pytest.fixture
def server(images_root: Path) -> Iterator[Server]:
    desk = Desk()
    running = serve("GANTRY", ("127.0.0.1", 0), make_doors(desk))
    yield running
    running.stop()
    desk.close()


def begin(step: ScheduledStep, *, uid: str = MPPS, patient_id: str = "", step_id: str = "", at: str = "103000") -> dict:
    return {
        "do": "create",
        "uid": uid,
        "elements": {
            "PerformedProcedureStepID": "PPS1",
            "PerformedStationAETitle": "PETCT1",
            "PerformedProcedureStepStartDate": "20261123",
            "PerformedProcedureStepStartTime": at,
            "PerformedProcedureStepStatus": "IN PROGRESS",
            "Modality": "PT",
            "PatientName": "TESTCASE^NUMBER",
            "PatientID": patient_id or step.patient_id,
            "ScheduledStepAttributesSequence": [
                {
                    "StudyInstanceUID": step.study_uid,
                    "AccessionNumber": step.accession_number,
                    "RequestedProcedureID": step.requested_procedure_id,
                    "ScheduledProcedureStepID": step_id or step.scheduled_step_id,
                }
            ],
        },
    }


def finish(*, uid: str = MPPS, status: str = "COMPLETED", at: str = "105000") -> dict:
    return {
        "do": "set",
        "uid": uid,
        "elements": {
            "PerformedProcedureStepStatus": status,
            "PerformedProcedureStepEndDate": "20261123",
            "PerformedProcedureStepEndTime": at,
            "PerformedSeriesSequence": [
                {"SeriesInstanceUID": "1.2.3.4", "ProtocolName": "FDG", "RetrieveAETitle": "PETCT1"}
            ],
        },
    }


def mpps(server: Server, *requests: dict) -> list[MppsAnswer]:
    return send_mpps(server.port, requests, called="GANTRY", calling="PETCT1")


def of_visit(visit: Visit) -> ScheduledStep:
    return ScheduledStep.objects.get(appointment=visit.appointment_id)


def test_a_booking_is_on_the_worklist_and_a_change_is_seen_by_the_next_query(server, visit) -> None:
    step = of_visit(visit)
    keys = [
        f"(0040,0100)[0].ScheduledStationAETitle={step.station_ae_title}",
        "PatientID",
        "AccessionNumber",
        "PatientWeight",
        "StudyInstanceUID",
    ]
    (found,) = run_findscu(server.port, keys, called="GANTRY")
    assert (found.PatientID, found.AccessionNumber) == (step.patient_id, step.accession_number)
    assert found.StudyInstanceUID == step.study_uid
    ScheduledStep.objects.filter(pk=step.pk).update(weight_kg=64.5)
    assert run_findscu(server.port, keys, called="GANTRY")[0].PatientWeight == 64.5
    ScheduledStep.objects.filter(pk=step.pk).update(state="removed")
    assert run_findscu(server.port, keys, called="GANTRY") == []


def test_whoever_is_sent_to_another_scanner_is_found_by_that_one_and_not_by_the_old(server, day, visit) -> None:
    old, sister = visit.appointment, make_scanner(day.made.site, name="Scanner 2", ae_title="PETCT2")
    make_session(day.made.site, sister, old.scan_at.date())
    visits.arrive(visit, happened_at=old.arrival_at, now=old.arrival_at, by=day.by)
    old.refresh_from_db()

    def asked(station: str) -> list:
        keys = [f"(0040,0100)[0].ScheduledStationAETitle={station}", "PatientID"]
        return [found.PatientID for found in run_findscu(server.port, keys, called="GANTRY")]

    patient = of_visit(visit).patient_id
    assert (asked(day.scanner.ae_title), asked("PETCT2")) == ([patient], [])
    change = Change(old, Choice(old.site_id, sister.pk, old.arrival_at), scan_at=old.scan_at + timedelta(minutes=5))
    cause = Cause(CauseCode.SCANNER_FAILED, Initiator.PROVIDER)
    booking.rearrange([change], cause=cause, now=old.arrival_at, by=day.by)
    assert (asked(day.scanner.ae_title), asked("PETCT2")) == ([], [patient])


def test_what_another_worklist_said_of_a_step_comes_back_whole(day) -> None:
    original = item(7)
    worklist.load(scheduling_of(to_dataset(original, LONDON), LONDON), now=NOW)
    again = item_of(ScheduledStep.objects.get(scheduled_step_id="SPS7"))
    assert to_dataset(again, LONDON) == to_dataset(original, LONDON)


def test_a_step_that_the_scanner_tells_is_on_the_board_though_nobody_tapped(server, visit) -> None:
    step = of_visit(visit)
    assert [a.status for a in mpps(server, begin(step))] == [0]
    step.refresh_from_db()
    assert step.state == "started"
    start = visit.steps.get(key="scan", phase="start")
    assert start.happened_at.isoformat() == "2026-11-23T10:30:00+00:00"
    assert start.by_name == "scanner PETCT1"
    assert [a.status for a in mpps(server, finish())] == [0]
    assert visit.steps.get(key="scan", phase="done").happened_at.isoformat() == "2026-11-23T10:50:00+00:00"
    step.refresh_from_db()
    assert step.state == "done"
    told = Event.objects.filter(kind=EventKind.ACQUISITION_COMPLETED, subjects__contains=[step.procedure_id])
    assert told.count() == 1
    assert [hex(a.status) for a in mpps(server, finish())] == ["0x110"]
    assert [hex(a.status) for a in mpps(server, begin(step))] == ["0x111"]
    assert PerformedStep.objects.get().state == "completed"


def test_a_tap_and_the_scanner_are_both_kept_and_shown_when_they_differ(server, visit) -> None:
    from gantry.apps.scanning.services.visits import record_step

    tapped = NOW + timedelta(minutes=80)
    record_step(visit, "scan", phase="start", happened_at=tapped, now=tapped, by=BY)
    assert [a.status for a in mpps(server, begin(of_visit(visit)))] == [0]
    assert visit.steps.get(key="scan", phase="start").happened_at == tapped
    (one,) = disagreements(visit)
    assert (one.tapped_at, one.scanner_at) == (tapped, tapped + timedelta(minutes=10))
    said = Event.objects.filter(kind=EventKind.ACQUISITION_STARTED, subjects__contains=[visit.pk])
    assert {e.by_name for e in said} == {BY.name, "scanner PETCT1"}


def test_a_step_for_another_person_touches_no_visit(server, visit) -> None:
    assert [a.status for a in mpps(server, begin(of_visit(visit), patient_id="9990000018"))] == [0]
    kept = PerformedStep.objects.get()
    assert (kept.scheduled_step, kept.patient_id) == (None, "9990000018")
    assert not visit.steps.exists()
    assert of_visit(visit).state == "scheduled"


def test_pet_and_ct_as_two_steps_end_one_acquisition_when_both_have(server, visit) -> None:
    step, second = of_visit(visit), MPPS + ".2"
    mpps(server, begin(step), begin(step, uid=second), finish(at="104000"))
    assert not visit.steps.filter(key="scan", phase="done").exists()
    mpps(server, finish(uid=second, status="DISCONTINUED"))
    done = visit.steps.get(key="scan", phase="done")
    assert Event.objects.get(pk=done.event).kind == EventKind.ACQUISITION_DISCONTINUED
    assert of_visit(visit).state == "started"


def ours(visit: Visit, number: int = 1, **changes):
    step = of_visit(visit)
    said = {
        "StudyInstanceUID": step.study_uid,
        "SeriesInstanceUID": f"{step.study_uid}.2",
        "SOPInstanceUID": f"{step.study_uid}.2.{number}",
        "AccessionNumber": step.accession_number,
        "PatientID": step.patient_id,
        "PatientName": f"{step.family_name}^{step.given_name}",
    }
    return pet_image(number, **(said | changes))


def store(server: Server, folder: Path, *images) -> list[int]:
    folder.mkdir(exist_ok=True)
    return statuses(
        run_storescu(
            server.port, *(save(each, folder) for each in images), called="GANTRY", calling="PETCT1", options=["-xe"]
        )
    )


def test_images_are_matched_by_number_and_accession_and_kept_with_their_dose(
    server, visit, images_root, tmp_path
) -> None:
    assert store(server, tmp_path / "out", *(ours(visit, n) for n in (1, 2, 3))) == [0, 0, 0]
    study = Study.objects.get()
    assert (study.state, study.instances_count, study.appointment) == ("matched", 3, visit.appointment)
    assert study.modalities == ["PT"]
    for row in Instance.objects.all():
        assert (images_root / row.path).stat().st_size >= row.size
    dose = DoseRecord.objects.get()
    assert (dose.total_dose_mbq, dose.radiopharmaceutical) == (350.0, "FDG")
    assert not ReconcileItem.objects.exists()
    assert store(server, tmp_path / "out", ours(visit, 1)) == [0]
    study.refresh_from_db()
    assert study.instances_count == 3
    assert store(server, tmp_path / "out", ours(visit, 1, SeriesDescription="Other")) == [Status.CONFLICT]
    assert Instance.objects.count() == 3


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"AccessionNumber": "NOSUCH"}, "No request has the accession number"),
        ({"AccessionNumber": ""}, "No accession number was sent"),
        ({"PatientID": "9990000018"}, "another NHS number"),
        ({"PatientID": "H12345"}, "No valid NHS number"),
    ],
)
def test_images_that_may_be_anybodys_are_kept_and_held_with_both_sides(
    server, visit, tmp_path, changes, reason
) -> None:
    assert store(server, tmp_path / "out", ours(visit, **changes)) == [0]
    held = ReconcileItem.objects.get()
    assert reason in held.reason
    assert (held.study.state, held.study.procedure, held.study.instances_count) == ("held", None, 1)
    assert held.ours == [str(visit.appointment.procedure_id)]
    assert held.provider == visit.site.network.provider
    assert not Event.objects.filter(kind=EventKind.IMAGES_RECEIVED).exists()


def test_a_conflicting_object_leaves_no_study_behind(server, visit, tmp_path) -> None:
    store(server, tmp_path / "out", ours(visit))
    stranger = ours(visit, PatientID="9990000018", PatientName="OTHER^PERSON")
    assert store(server, tmp_path / "out", stranger) == [Status.CONFLICT]
    assert Study.objects.count() == 1
    assert not ReconcileItem.objects.exists()


def test_only_what_has_row_and_file_is_committed(server, visit, images_root, tmp_path) -> None:
    store(server, tmp_path / "out", ours(visit, 1), ours(visit, 2))
    first, second = Instance.objects.order_by("sop_instance_uid")
    (images_root / second.path).unlink()
    pairs = tuple((row.sop_class_uid, row.sop_instance_uid) for row in (first, second))
    answer = committed(Asked("1.2.3", "PETCT1", (*pairs, (first.sop_class_uid, "1.2.9"))), images_root)
    assert answer.committed == (pairs[0],)
    assert {uid for _, uid, _ in answer.failed} == {second.sop_instance_uid, "1.2.9"}


def test_a_broken_connection_is_mended_within_the_call(server, visit, tmp_path) -> None:
    """As after a restart of PostgreSQL: every connection of the listener is gone."""
    assert store(server, tmp_path / "out", ours(visit, 1)) == [0]
    assert run_echoscu(server.port, called="GANTRY").returncode == 0
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity"
            " WHERE datname = current_database() AND usename = current_user AND pid <> pg_backend_pid()"
        )
        assert cursor.fetchone()[0] > 0
    assert store(server, tmp_path / "out", ours(visit, 2)) == [0]
    assert [a.status for a in mpps(server, begin(of_visit(visit)))] == [0]
    assert Instance.objects.count() == 2


def test_while_the_database_is_away_nothing_is_promised(server, visit, tmp_path, monkeypatch) -> None:
    from django.db import OperationalError

    from gantry.gateways.dicom import wiring

    def away(*args: object, **kwargs: object) -> None:
        raise OperationalError("the database is away")

    for module, name in (
        (wiring.images, "keep_instance"),
        (wiring.performed, "performed_created"),
        (wiring.worklist, "version"),
        (wiring, "reaches_the_database"),
    ):
        monkeypatch.setattr(module, name, away)
    assert store(server, tmp_path / "out", ours(visit)) == [Status.UNABLE_TO_PROCESS]
    assert [hex(a.status) for a in mpps(server, begin(of_visit(visit)))] == ["0x110"]
    with pytest.raises(RuntimeError):
        run_findscu(server.port, ["PatientID"], called="GANTRY")
    assert "(Success)" not in run_echoscu(server.port, called="GANTRY").stdout
    monkeypatch.undo()
    assert not Instance.objects.exists()


@pytest.mark.data
@needs("dump2dcm")
def test_dcmtks_own_worklist_through_the_live_service(server, real_data: Path, tmp_path: Path) -> None:
    """D5, and every attribute of every item comes back as it was."""
    folder = real_data / "dicom" / "mwl-dcmtk"
    dumps = sorted((folder / "Database").glob("*.dump"))
    held = [dcmread(dump2dcm(dump, tmp_path / f"{dump.stem}.wl"), force=True) for dump in dumps]
    for ds in held:
        worklist.load(scheduling_of(ds, LONDON), now=NOW)
    counts = []
    for number in (0, 1, 2, 4, 6, 8):
        query = dump2dcm(folder / "Queries" / f"wlistqry{number}.dump", tmp_path / f"q{number}.dcm")
        answers = run_findscu(server.port, called="GANTRY", query=query)
        counts.append(len(answers))
        if number == 0:
            assert sorted(str(a.PatientName) for a in answers) == sorted(str(ds.PatientName) for ds in held)
    assert counts == [10, 10, 0, 0, 0, 0]
    for ds in held:
        original = item_from_dataset(ds, LONDON)
        again = item_of(ScheduledStep.objects.get(scheduled_step_id=original.step_id))
        assert to_dataset(again, LONDON) == to_dataset(original, LONDON)


@pytest.mark.data
def test_real_images_of_nobody_we_know_are_all_kept_and_held(server, day, real_data: Path) -> None:
    files = sorted((real_data / "dicom" / "openrem-dose-and-pet").glob("NM-PetIm-*.dcm"))
    assert files
    said = statuses(run_storescu(server.port, *files, called="GANTRY", calling="PETCT1", options=["-xs"]))
    assert said and set(said) == {0}
    assert Instance.objects.count() == len(files)
    assert {study.state for study in Study.objects.all()} == {"held"}
    assert ReconcileItem.objects.filter(state="open").count() == Study.objects.count()
    assert DoseRecord.objects.exclude(total_dose_mbq=None).exists()

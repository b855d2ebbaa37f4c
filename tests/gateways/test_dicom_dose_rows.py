"""Dose reports by themselves: ours written for each injection and sent with the images, those of scanners read back."""

import hashlib
from datetime import timedelta
from math import isclose
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_dataset

from gantry.apps.audit.models import Event, OutboxMessage
from gantry.apps.patients.models import Patient
from gantry.apps.radiopharmacy import services as radiopharmacy
from gantry.apps.referrals.services import ct_had
from gantry.apps.scanning.models import (
    DoseObject,
    DoseRecord,
    DoseReport,
    DoseReview,
    Injection,
    Instance,
    Study,
    Visit,
)
from gantry.apps.scanning.services import dosing, images, steps
from gantry.domain.access import Role
from gantry.domain.delivery import BACK_OFF
from gantry.domain.events import EventKind
from gantry.gateways.dicom import content, ct_dose, dose_report
from gantry.gateways.dicom.dose_incoming import read_new
from gantry.gateways.dicom.dose_outgoing import join_images, write
from gantry.gateways.dicom.storage import Kept, Sent, Store, store
from gantry.gateways.dicom.wiring import received
from gantry.reference.schemes import CHILD_UNDER
from tests.apps.factories import NOW, make_person
from tests.apps.scan_day import Day, make_booked, make_day, scan
from tests.gateways.dicom_samples import LONDON, pet_image

pytestmark = pytest.mark.django_db
MINUTE = timedelta(minutes=1)
EXPLICIT = "1.2.840.10008.1.2.1"


@pytest.fixture
def day(settings, tmp_path) -> Day:
    settings.IMAGES_ROOT = tmp_path / "images"
    settings.IMAGES_FSYNC = False
    return make_day()


@pytest.fixture
def injection(day: Day) -> Injection:
    return given(day, make_booked(day))


def given(day: Day, visit: Visit, mbq: float = 300.0) -> Injection:
    """Injected whatever the gates say: this is about what is written of it."""
    dose = day.dose(mbq)
    from gantry.apps.scanning.services.injecting import inject

    made = inject(
        visit, "inject", dose, injected_at=NOW + 10 * MINUTE, match=scan(dose), now=NOW + 10 * MINUTE, by=day.by,
        person=day.person, already_happened=True,
    )  # fmt: skip
    assert isinstance(made, Injection)
    return made


def work(now=NOW + 12 * MINUTE) -> None:
    for message in OutboxMessage.objects.filter(door=dosing.DOOR).exclude(state="delivered").order_by("pk"):
        write(message.pk, now=now)


def arrive(ds: Dataset, root: Path):
    """Through the door's own storage, without its socket."""
    held = DicomBytesIO()
    held.is_little_endian, held.is_implicit_VR = True, False
    bare = Dataset({tag: element for tag, element in ds.items() if tag.group != 2})
    write_dataset(held, bare)
    body = memoryview(held.getvalue())
    sent = Sent(str(ds.SOPClassUID), str(ds.SOPInstanceUID), EXPLICIT, body, "PETCT1")
    into = Store(root, lambda s: Kept(images.keep_instance(received(s), now=NOW).held), LONDON, sync=False)
    return store(sent, into)


def images_of(injection: Injection, settings, number: int = 1, **changes) -> Study:
    procedure = injection.visit.appointment.procedure
    said = {
        "StudyInstanceUID": procedure.study_uid,
        "SeriesInstanceUID": f"{procedure.study_uid}.2",
        "SOPInstanceUID": f"{procedure.study_uid}.2.{number}",
        "AccessionNumber": procedure.accession_number,
        "PatientID": procedure.referral.patient.nhs_number,
    }
    assert isinstance(arrive(pet_image(number, **(said | changes)), Path(settings.IMAGES_ROOT)), Kept)
    return Study.objects.get(procedure=procedure)


def on_disk(row: DoseReport, settings) -> dose_report.DoseReport:
    return dose_report.read(dcmread(Path(settings.IMAGES_ROOT) / row.path), LONDON)


def test_an_injection_writes_its_report_by_itself_and_a_residual_replaces_it(injection, day, settings):
    work()
    first = DoseReport.objects.get()
    assert on_disk(first, settings).administration.after_mbq is None
    radiopharmacy.assay_residual(
        injection.dose, activity_mbq=6.0, at=NOW + 20 * MINUTE, instrument="Calibrator 1", now=NOW + 20 * MINUTE, by=day.by
    )  # fmt: skip
    work(NOW + 21 * MINUTE)
    second = DoseReport.objects.get(number=2)
    said = on_disk(second, settings).administration
    assert second.replaces == first and second.report_uid != first.report_uid
    assert said.after_mbq == 6.0 and isclose(said.activity_mbq, injection.dose.net_mbq, abs_tol=0.001)
    assert on_disk(second, settings).predecessors == ()
    # The same again writes nothing, and every message is settled.
    OutboxMessage.objects.filter(door=dosing.DOOR).update(state="queued", due_at=NOW)
    work(NOW + 30 * MINUTE)
    assert DoseReport.objects.count() == 2
    assert not OutboxMessage.objects.filter(door=dosing.DOOR).exclude(state="delivered").exists()
    assert Event.objects.filter(kind=EventKind.DOSE_REPORT_WRITTEN).count() == 2


def test_it_joins_the_images_and_a_corrected_time_sends_another_that_names_it(injection, day, settings):
    work()
    study = images_of(injection, settings)
    assert study.instances.count() == 1
    assert join_images(now=NOW + 90 * MINUTE) == 1
    first = DoseReport.objects.get()
    study.refresh_from_db()
    assert first.instance.study == study and study.instances_count == 2 and "SR" in study.modalities
    assert join_images(now=NOW + 91 * MINUTE) == 0
    steps.correct_step(
        injection.visit.steps.get(key="inject", current=True), happened_at=NOW + 11 * MINUTE, reason="Wrong clock",
        now=NOW + 95 * MINUTE, by=day.by,
    )  # fmt: skip
    work(NOW + 96 * MINUTE)
    second = DoseReport.objects.get(number=2)
    report = on_disk(second, settings)
    assert report.administration.started_at == NOW + 11 * MINUTE
    assert [uid for _, _, uid in report.predecessors] == [first.report_uid]
    assert second.instance.study == study and study.instances.count() == 3
    # What is kept of it is what is kept of any object: the data set's own size and digest.
    file = (Path(settings.IMAGES_ROOT) / second.path).read_bytes()
    assert hashlib.sha256(file[-second.size :]).hexdigest() == second.instance.sha256 == second.sha256
    # Ours are not read back as if somebody else had said it.
    assert read_new(now=NOW + 97 * MINUTE) == 0 and not DoseObject.objects.exists()


def test_a_scanner_with_a_study_uid_of_its_own_gets_the_report_under_that(injection, settings):
    work()
    study = images_of(injection, settings, StudyInstanceUID="1.2.826.0.1.99", SeriesInstanceUID="1.2.826.0.1.99.2")
    join_images(now=NOW + 90 * MINUTE)
    row = DoseReport.objects.get(number=2)
    assert row.study_uid == "1.2.826.0.1.99" and row.instance.study == study
    assert str(dcmread(Path(settings.IMAGES_ROOT) / row.path).StudyInstanceUID) == "1.2.826.0.1.99"


def test_a_report_that_cannot_be_written_is_tried_again(injection, settings, tmp_path):
    (tmp_path / "file").write_text("")
    settings.IMAGES_ROOT = tmp_path / "file"
    work()
    message = OutboxMessage.objects.get(door=dosing.DOOR)
    assert (message.state, message.phase) == ("failed", "write") and not DoseReport.objects.exists()
    settings.IMAGES_ROOT = tmp_path / "images"
    write(message.pk, now=NOW + timedelta(hours=1))
    message.refresh_from_db()
    assert message.state == "delivered" and DoseReport.objects.exists()


def test_a_report_that_can_never_be_written_ends_with_a_person(injection, day, settings, tmp_path):
    manager = make_person(Role.MANAGER, day.made.provider)
    (tmp_path / "file").write_text("")
    settings.IMAGES_ROOT = tmp_path / "file"
    message, now = OutboxMessage.objects.get(door=dosing.DOOR), NOW + timedelta(hours=1)
    for _ in range(len(BACK_OFF) + 1):
        write(message.pk, now=now)
        now += timedelta(hours=6)
    message.refresh_from_db()
    assert (message.state, message.owner) == ("given_up", manager.pk)
    assert Event.objects.get(kind=EventKind.DISPATCH_GIVEN_UP).data["what"] == "dose report"


def test_a_dose_given_without_a_visit_asks_for_no_report(day):
    dose = day.dose()
    radiopharmacy.assign(dose, make_booked(day).appointment, now=NOW, by=day.by)
    radiopharmacy.administer(dose, injected_at=NOW, now=NOW, by=day.by)
    assert not OutboxMessage.objects.filter(door=dosing.DOOR).exists()


def as_sent(ds: Dataset, injection: Injection, uid: str) -> Dataset:
    """An object as the scanner that made the images would send it."""
    procedure = injection.visit.appointment.procedure
    like = pet_image(1)
    for name in ("PatientName", "PatientBirthDate", "IssuerOfPatientID", "PatientSex"):
        if name in like:
            setattr(ds, name, like.get(name))
    ds.StudyInstanceUID, ds.SOPInstanceUID = procedure.study_uid, uid
    ds.SeriesInstanceUID = f"{procedure.study_uid}.9"
    ds.AccessionNumber, ds.PatientID = procedure.accession_number, procedure.referral.patient.nhs_number
    ds.Modality = "SR"
    return ds


def ct_object(injection: Injection, uid: str, *dlps: float, ctdi: float = 4.0, alert: float | None = None) -> Dataset:
    events = []
    for n, dlp in enumerate(dlps):
        rows = [content.num(ct_dose.CTDI, ctdi, "mGy"), content.num(ct_dose.DLP, dlp, "mGy.cm")]
        if alert is not None:
            check = [content.num(ct_dose.DLP_ALERT, alert, "mGy.cm"), content.num(ct_dose.DLP_FORWARD, dlp, "mGy.cm")]
            rows.append(content.new("CONTAINER", ct_dose.ALERT, *check))
        name = content.words(ct_dose.PROTOCOL, "Low dose")
        named = content.uid(ct_dose.EVENT_UID, f"1.2.826.0.1.7.{n}")
        events.append(
            content.new("CONTAINER", ct_dose.EVENT, name, named, content.new("CONTAINER", ct_dose.DOSE, *rows))
        )
    ds = Dataset()
    ds.SOPClassUID = "1.2.840.10008.5.1.4.1.1.88.67"
    ds.ConceptNameCodeSequence = content.sequence(ct_dose.ROOT.code)
    total = content.new("CONTAINER", ct_dose.TOTAL, content.num(ct_dose.TOTAL_DLP, sum(dlps), "mGy.cm"))
    ds.ContentSequence = [total, *events]
    return as_sent(ds, injection, uid)


def test_what_a_ct_gave_is_kept_in_rows_once_and_a_level_that_is_passed_asks_for_a_look(injection, settings):
    images_of(injection, settings)
    root = Path(settings.IMAGES_ROOT)
    arrive(ct_object(injection, "1.2.826.0.1.51", 150.0), root)
    assert read_new(now=NOW) == 1
    assert not DoseReview.objects.filter(what="ct").exists()
    arrive(ct_object(injection, "1.2.826.0.1.52", 150.0, 490.0), root)
    assert read_new(now=NOW) == 1 and read_new(now=NOW) == 0
    study = Study.objects.get()
    said = dosing.ct_of(study)
    assert said is not None and said.dlp_mgy_cm == 640.0 and len(said.events) == 2
    review = DoseReview.objects.get(what="ct")
    assert review.reasons == ["DLP 640 mGy·cm is 60 % above the half body level of 400 mGy·cm"]
    assert Event.objects.filter(kind=EventKind.DOSE_RECORDED, data__said__startswith="CT").count() == 2


def test_the_scanners_own_alert_asks_for_a_look_and_somebody_settles_it_once(injection, day, settings):
    images_of(injection, settings)
    arrive(ct_object(injection, "1.2.826.0.1.53", 250.0, alert=100.0), Path(settings.IMAGES_ROOT))
    read_new(now=NOW)
    review = DoseReview.objects.get(what="ct")
    assert "alert at 100" in review.reasons[0]
    dosing.settle_review(review, finding="Large person; arms down", now=NOW, by=day.by)
    from gantry.apps.audit.services import Stale

    with pytest.raises(Stale):
        dosing.settle_review(review, finding="Again", now=NOW, by=day.by)
    assert Event.objects.get(kind=EventKind.DOSE_REVIEWED).data["finding"].startswith("Large")


def test_fdg_above_the_level_for_each_kilogram_asks_for_a_look(day):
    visit = make_booked(day)
    Visit.objects.filter(pk=visit.pk).update(weight_kg=60.0)
    given(day, Visit.objects.get(pk=visit.pk), 300.0)
    work()
    assert "above the reference level of 210 MBq at 60 kg" in DoseReview.objects.get(what="tracer").reasons[0]


def test_what_the_ct_gave_comes_to_the_sum_before_another_injection_until_the_images_are_taken_back(
    injection, day, settings
):  # fmt: skip
    study = images_of(injection, settings)
    arrive(ct_object(injection, "1.2.826.0.1.3680043.8.498.5.1", 200.0, 156.0), Path(settings.IMAGES_ROOT))
    read_new(now=NOW)
    referral = injection.visit.appointment.referral
    assert [(had.dlp_mgy_cm, round(had.msv, 2)) for had in ct_had(referral)] == [(356.0, 5.34)]
    images.withdraw(
        study, procedure=study.procedure_id, reason="Another person lay there", by=day.by, now=NOW + MINUTE
    )  # fmt: skip
    assert ct_had(referral) == []


def test_a_tree_that_states_nothing_is_kept_and_not_read_again(injection, settings):
    images_of(injection, settings)
    odd = as_sent(Dataset(), injection, "1.2.826.0.1.54")
    odd.SOPClassUID = "1.2.840.10008.5.1.4.1.1.88.67"
    arrive(odd, Path(settings.IMAGES_ROOT))
    assert read_new(now=NOW) == 1 and read_new(now=NOW) == 0
    assert DoseObject.objects.get().kind == "none"


def test_reports_of_a_scanner_are_rows_beside_ours_and_a_later_one_says_what_it_replaces(injection, settings):
    images_of(injection, settings)
    work()
    ours = on_disk(DoseReport.objects.get(), settings)
    root = Path(settings.IMAGES_ROOT)
    from dataclasses import replace

    theirs = replace(ours.administration, activity_mbq=250.0)
    for number, before in ((61, ()), (62, (("1.2", "1.2.3", "1.2.826.0.1.61"),))):
        report = replace(ours, administration=theirs, manufacturer="ACME", predecessors=before)
        arrive(as_sent(dose_report.write(report), injection, f"1.2.826.0.1.{number}"), root)
    assert read_new(now=NOW) == 2
    rows = DoseRecord.objects.filter(source="rrdsr").order_by("report_uid")
    assert [(r.report_uid[-2:], r.total_dose_mbq, [u[-2:] for u in r.replaces]) for r in rows] == [
        ("61", 250.0, []), ("62", 250.0, ["61"]),
    ]  # fmt: skip
    assert Instance.objects.filter(dose_object__kind="tracer").count() == 2


def test_a_sites_middle_is_said_once_ten_adults_were_given_and_is_held_against_the_level(day, monkeypatch):
    visit = make_booked(day)
    Visit.objects.filter(pk=visit.pk).update(weight_kg=60.0)
    given(day, Visit.objects.get(pk=visit.pk), 300.0)
    fdg, ct = dosing.middles([day.made.site], now=NOW + timedelta(days=1))
    assert (fdg.what, fdg.count, fdg.middle, ct.count) == ("FDG", 1, None, 0)
    monkeypatch.setattr(dosing, "MIDDLE_OF", 1)
    fdg, _ = dosing.middles([day.made.site], now=NOW + timedelta(days=1))
    assert fdg.middle is not None and fdg.middle.above and 4.6 < fdg.middle.middle < 4.8
    assert not dosing.middles([day.made.site], now=NOW + timedelta(days=100))[0].count
    on = Injection.objects.get().injected_at.astimezone(ZoneInfo(day.made.site.zone)).date()
    born_on = on.replace(year=on.year - CHILD_UNDER.value)
    for born, counted in ((born_on, 1), (born_on + timedelta(days=1), 0)):
        Patient.objects.update(date_of_birth=born)
        assert dosing.middles([day.made.site], now=NOW + timedelta(days=1))[0].count == counted

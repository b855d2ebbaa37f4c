"""Dose reports written and read back, CT dose counted once, headers judged: with made objects, and with real ones."""

import subprocess
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from io import BytesIO, StringIO
from math import isclose
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from django.core.management import call_command
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.uid import generate_uid

from gantry.apps.audit.ids import new_id
from gantry.apps.radiopharmacy import services as radiopharmacy
from gantry.apps.scanning.models import Injection
from gantry.domain.ct_dose import StudyCt, of_study
from gantry.domain.uptake import PetFacts, Stated, disagreements, uptake, why_no_suv
from gantry.gateways.conformance import dose
from gantry.gateways.dicom import content, ct_dose, dose_report
from gantry.gateways.dicom.worklist import Code
from tests.apps.factories import NOW
from tests.apps.scan_day import make_booked, make_day

LONDON = ZoneInfo("Europe/London")
AT = datetime(2026, 7, 6, 9, 12, 30, tzinfo=LONDON)

GIVEN = dose_report.Administration(
    agent=Code("35321007", "SCT", "Fluorodeoxyglucose F^18^"),
    radionuclide=Code("77004003", "SCT", "^18^Fluorine"),
    half_life_s=6586.2,
    event_uid=generate_uid(),
    started_at=AT,
    activity_mbq=247.25,
    before_mbq=256.0,
    after_mbq=4.2,
    volume_ml=0.9,
    dispense_unit="D234567",
    lot="B1",
    vial="V234567",
    effective_dose_msv=4.7,
    dose_authority="ICRP Publication 128",
    administered_by="Roe^Robin",
)
REPORT = dose_report.DoseReport(
    report_uid=generate_uid(),
    study_uid=generate_uid(),
    accession_number="A1",
    patient_id="9990000018",
    patient_name="Testcase^Zoë",
    written_at=AT + timedelta(minutes=30),
    manufacturer="Gantry",
    administration=GIVEN,
    weight_kg=71.5,
    glucose_mmol_per_l=5.4,
)


def through_a_file(ds: Dataset) -> Dataset:
    held = BytesIO()
    ds.save_as(held, enforce_file_format=True)
    held.seek(0)
    return dcmread(held)


def test_a_report_of_ours_is_read_back_whole_from_its_own_bytes():
    ds = through_a_file(dose_report.write(REPORT))
    again = dose_report.read(ds, ZoneInfo("America/New_York"))
    assert again.administration.started_at == AT and again.administration.nuclide == "F-18"
    assert replace(again.administration, started_at=AT, route=None) == GIVEN
    assert (again.weight_kg, again.glucose_mmol_per_l, again.patient_name) == (71.5, 5.4, "Testcase^Zoë")
    assert again.written_at == REPORT.written_at
    assert ds.SOPClassUID == "1.2.840.10008.5.1.4.1.1.88.68"
    assert ds.ConceptNameCodeSequence[0].CodeValue == "113500"


def test_a_report_written_after_the_clocks_changed_keeps_its_injections_own_clock():
    at = datetime(2026, 10, 24, 16, 30, tzinfo=LONDON)
    for started, written in ((at, at + timedelta(days=2)), (at + timedelta(days=2), at)):
        given = replace(GIVEN, started_at=started, stopped_at=started + timedelta(seconds=20))
        ds = through_a_file(dose_report.write(replace(REPORT, written_at=written, administration=given)))
        again = dose_report.read(ds, ZoneInfo("America/New_York"))
        assert again.administration.started_at == started and again.written_at == written
        assert again.administration.stopped_at == given.stopped_at


def test_a_report_without_a_time_or_an_activity_is_not_written_and_another_object_is_not_read():
    with pytest.raises(ValueError, match="how much and when"):
        dose_report.write(replace(REPORT, administration=replace(GIVEN, started_at=None)))
    with pytest.raises(dose_report.NotADoseReport):
        dose_report.read(Dataset(), LONDON)
    with pytest.raises(ct_dose.NotACtDose):
        ct_dose.read(dose_report.write(REPORT), LONDON)


def ct_report(study: str, *dlps: float, total: float | None = None, alert: float | None = None, first=0) -> Dataset:
    ds = Dataset()
    ds.SOPClassUID, ds.SOPInstanceUID, ds.StudyInstanceUID = (
        next(iter(sorted(ct_dose.SOP_CLASSES))),
        generate_uid(),
        study,
    )
    ds.ConceptNameCodeSequence = content.sequence(ct_dose.ROOT.code)
    events = []
    for n, dlp in enumerate(dlps, first):
        rows = [content.num(ct_dose.DLP, dlp, "mGy.cm")]
        if alert is not None:
            check = [content.num(ct_dose.DLP_ALERT, alert, "mGy.cm"), content.num(ct_dose.DLP_FORWARD, dlp, "mGy.cm")]
            rows.append(content.new("CONTAINER", ct_dose.ALERT, *check))
        uid = content.uid(ct_dose.EVENT_UID, f"{study}.{n}")
        events.append(content.new("CONTAINER", ct_dose.EVENT, uid, content.new("CONTAINER", ct_dose.DOSE, *rows)))
    said = content.num(ct_dose.TOTAL_DLP, sum(dlps) if total is None else total, "mGy.cm")
    ds.ContentSequence = Sequence([content.new("CONTAINER", ct_dose.TOTAL, said), *events])
    return ds


def read_all(*reports: Dataset) -> StudyCt:
    return of_study([ct_dose.read(ds, LONDON) for ds in reports])


def test_cumulative_reports_are_counted_once_in_any_order_and_separate_ones_added():
    first, second = ct_report("1.2.3", 7.46), ct_report("1.2.3", 7.46, 69.81)
    for order in ((first, second), (second, first), (first, second, second)):
        assert isclose(read_all(*order).dlp_mgy_cm, 77.27)
    apart = read_all(ct_report("1.2.3", 100), ct_report("1.2.3", 50, first=5))
    assert apart.dlp_mgy_cm == 150 and len(apart.events) == 2
    with pytest.raises(ValueError, match="one study"):
        read_all(first, ct_report("1.2.4", 1))


def test_an_alert_is_raised_only_when_more_was_foreseen_than_allowed():
    assert [str(a) for a in read_all(ct_report("1.2.3", 251, alert=100)).alerts] == [
        "DLP, mGy·cm: 251 foreseen, alert at 100"
    ]
    assert not read_all(ct_report("1.2.3", 90, alert=100)).alerts


def test_a_total_that_its_irradiations_do_not_come_to_is_doubted():
    assert "come to 100.00" in read_all(ct_report("1.2.3", 100, total=200)).doubt


def pet(**over: object) -> PetFacts:
    at = datetime(2026, 7, 6, 9, 0, tzinfo=UTC)
    facts = {
        "units": "BQML", "corrections": frozenset({"ATTN", "DECY"}), "decay_correction": "START", "weight_kg": 70.0,
        "total_bq": 250e6, "half_life_s": 6586.2, "injected_at": at, "series_at": at + timedelta(seconds=6586.2),
        "first_acquired_at": None,
    }  # fmt: skip
    return PetFacts(**(facts | over))


def test_an_uptake_factor_after_one_half_life_by_hand():
    found = uptake(pet())
    assert found is not None and isclose(found.factor, 70_000 / 125e6)
    early = pet().series_at - timedelta(seconds=1)
    assert uptake(pet(first_acquired_at=early)) == found


@pytest.mark.parametrize(
    "over",
    [
        {"corrections": frozenset({"DECY"})},
        {"units": "PROPCPS"},
        {"weight_kg": None},
        {"decay_correction": "NONE"},
        {"series_at": datetime(2026, 7, 6, 8, 0, tzinfo=UTC)},
    ],
)
def test_an_image_that_cannot_give_an_uptake_value_says_why(over):
    assert uptake(pet(**over)) is None and len(why_no_suv(pet(**over))) == 1


def test_sources_that_disagree_are_all_shown():
    one = Stated("report", AT, 394.0, 6586.2)
    assert not disagreements([one, Stated("image", AT + timedelta(seconds=40), 394.4, 6586.2002)])
    (found,) = disagreements([one, Stated("image", AT + timedelta(seconds=480), 394.0, 6586.2)])
    assert (found.what, found.apart, len(found.said)) == ("injected_at", 480, 2)


@pytest.mark.data
@pytest.mark.parametrize("check", [dose.d1, dose.d2, dose.d3, dose.d4])
def test_real_dose_objects(check, real_data):
    found = check(real_data)
    assert not found.faults and found.said


@pytest.mark.data
def test_a_wrong_value_would_be_seen(real_data, tmp_path):
    """The checks read what the folder says of itself: with another number there, they fail."""
    folder = tmp_path / "dicom" / "one"
    folder.mkdir(parents=True)
    for path in (real_data / "dicom").glob("**/NM-PetIm*.dcm"):
        (folder / path.name).write_bytes(path.read_bytes())
    (folder / "EXPECTED.json").write_text(
        '{"NM-PetIm-GE.dcm": {"derived": {"uptake_s_injection_to_series": 1, "SUVbw_factor_g_per_Bq_if_BQML": 1}}}'
    )
    assert any("not 1" in fault for fault in dose.d2(tmp_path).faults)


@pytest.mark.skipif(not Path("/usr/bin/dsrdump").exists(), reason="DCMTK's dsrdump is not installed")
@pytest.mark.parametrize("month", [7, 12], ids=["summer time", "UTC"])
def test_another_reader_takes_what_we_write(tmp_path, month):
    """DCMTK checks the relationships of the tree against the standard's own table for this class."""
    path = tmp_path / "report.dcm"
    at = AT.replace(month=month)
    report = replace(REPORT, written_at=at, administration=replace(GIVEN, started_at=at))
    dose_report.write(report).save_as(path, enforce_file_format=True)
    told = subprocess.run(["/usr/bin/dsrdump", str(path)], capture_output=True, text=True, check=False)
    assert told.returncode == 0, told.stderr
    assert "Radiopharmaceutical Radiation Dose SR Document" in told.stdout and '"247.25" (MBq' in told.stdout


@pytest.mark.django_db
def test_an_injection_of_ours_is_a_report_with_both_assays(tmp_path):
    day = make_day()
    visit = make_booked(day)
    given = day.dose()
    radiopharmacy.assign(given, visit.appointment, now=NOW, by=day.by)
    radiopharmacy.administer(given, injected_at=NOW, now=NOW, by=day.by)
    injection = Injection.objects.create(
        visit=visit, step_key="inject", dose=given, injected_at=NOW, by_name="Roe", match="scan", event=new_id()
    )
    later = NOW + timedelta(minutes=10)
    radiopharmacy.assay_residual(given, activity_mbq=5, at=later, instrument="Calibrator 1", now=later, by=day.by)
    out = tmp_path / "one.dcm"
    call_command("write_dose_report", str(injection.pk), "--out", str(out), stdout=StringIO())
    report = dose_report.read(dcmread(out), LONDON)
    given.refresh_from_db()
    assert report.administration.started_at == NOW and report.administration.nuclide == "F-18"
    assert isclose(report.administration.activity_mbq, given.net_mbq, abs_tol=1e-3)
    assert report.administration.after_mbq == 5 and report.study_uid == visit.appointment.procedure.study_uid
    assert isclose(report.administration.effective_dose_msv, given.net_mbq * 0.019, abs_tol=1e-2)
    (seen,) = dose_report.injections(dcmread(out), LONDON)
    assert seen.source == "rrdsr" and seen.started_at == NOW

"""Injectors tell over the wire what they gave: beside our record where it surely is the same injection, else held."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from pydicom.dataset import Dataset

from gantry.apps.audit.models import Event
from gantry.apps.estate import services as estate
from gantry.apps.estate.models import Device
from gantry.apps.radiopharmacy import services as radiopharmacy
from gantry.apps.scanning.models import DoseReview, Injection, InjectorReport, Instance, Study
from gantry.apps.scanning.services import injectors
from gantry.apps.scanning.services.dosing import look_at_sources
from gantry.apps.scanning.services.injecting import inject
from gantry.apps.scanning.services.reconciling import NeedsNote
from gantry.domain.events import EventKind
from gantry.domain.instrument import DeviceKind, TestKind
from gantry.gateways.database import Desk
from gantry.gateways.dicom import content, dose_report
from gantry.gateways.dicom.commitment import Asked
from gantry.gateways.dicom.dose_incoming import read_injectors
from gantry.gateways.dicom.dose_wiring import report_of
from gantry.gateways.dicom.server import Server, serve
from gantry.gateways.dicom.wiring import committed, make_doors
from gantry.gateways.emulators.injector import Injector, act
from gantry.gateways.emulators.scanner import Gantry, NotDone
from tests.apps.factories import NOW
from tests.apps.scan_day import Day, make_booked, make_day, scan

pytestmark = pytest.mark.django_db(transaction=True)
LONDON = ZoneInfo("Europe/London")
MINUTE = timedelta(minutes=1)
GIVEN_AT = NOW + 10 * MINUTE


@pytest.fixture
def day(settings, tmp_path) -> Day:
    settings.IMAGES_ROOT = tmp_path / "images"
    settings.IMAGES_ROOT.mkdir()
    settings.IMAGES_FSYNC = False
    return make_day()


@pytest.fixture
def device(day: Day) -> Device:
    made = estate.add_device(day.made.site, kind=DeviceKind.INJECTOR, name="Injector 1", ae_title="INJ1")
    estate.record_instrument_test(made, TestKind.CONSTANCY, off=0.4, at=NOW, now=NOW, by=day.by)
    return made


@pytest.fixture
def server(day: Day) -> Iterator[Server]:
    desk = Desk()
    running = serve("GANTRY", ("127.0.0.1", 0), make_doors(desk))
    yield running
    running.stop()
    desk.close()


@pytest.fixture
def peer(server: Server, device: Device) -> Injector:
    return Injector("INJ1", gantry=Gantry(port=server.port, ae_title="GANTRY"))


@pytest.fixture
def injection(day: Day, device: Device) -> Injection:
    return give(day, device)


def give(day: Day, device: Device | None, mbq: float = 280.0, at: datetime = GIVEN_AT) -> Injection:
    dose = day.dose(mbq)
    visit = make_booked(day, arrival_at=NOW + Injection.objects.count() * 40 * MINUTE)
    made = inject(
        visit, "inject", dose, injected_at=at, match=scan(dose), now=at, by=day.by, person=day.person,
        already_happened=True, injector=device,
    )  # fmt: skip
    assert isinstance(made, Injection)
    return made


def said_of(injection: Injection, peer: Injector, **changes) -> dose_report.DoseReport:
    report = peer.report(report_of(injection, now=GIVEN_AT), LONDON)
    return replace(report, administration=replace(report.administration, **changes))


def tell(peer: Injector, ds: Dataset, *, now: datetime = GIVEN_AT + MINUTE) -> InjectorReport:
    peer.send(ds)
    read_injectors(now=now)
    return InjectorReport.objects.get(sop_instance_uid=str(ds.SOPInstanceUID))


def activity_item(ds: Dataset) -> Dataset:
    given = content.item(ds, dose_report.ADMINISTRATION)
    return content.item(given, dose_report.ACTIVITY).MeasuredValueSequence[0]


def start_item(ds: Dataset) -> Dataset:
    return content.item(content.item(ds, dose_report.ADMINISTRATION), dose_report.START)


def test_what_an_injector_tells_stands_beside_our_record_and_is_no_image(peer, injection, settings):
    ds = peer.data_set(said_of(injection, peer))
    row = tell(peer, ds)
    assert (row.state, row.injection, row.reasons) == ("matched", injection, [])
    assert row.mbq == pytest.approx(injection.dose.net_mbq * 1.008, abs=0.1)
    assert row.injected_at == injection.injected_at + timedelta(seconds=12)
    assert (Path(settings.IMAGES_ROOT) / row.path).stat().st_size >= row.size
    assert not Study.objects.exists() and not Instance.objects.exists() and not DoseReview.objects.exists()
    told = Event.objects.get(kind=EventKind.DOSE_RECORDED, subjects__contains=[row.pk])
    assert told.about["visit"] == str(injection.visit_id) and "Injector 1: " in told.data["said"]
    # It asks whether we answer for it, as for an image.
    pair = (str(ds.SOPClassUID), str(ds.SOPInstanceUID))
    assert committed(Asked("1.2.3", "INJ1", (pair,)), Path(settings.IMAGES_ROOT)).committed == (pair,)


def test_the_same_object_again_is_kept_once_and_another_under_its_name_is_refused(peer, injection):
    report = said_of(injection, peer)
    row = tell(peer, peer.data_set(report))
    assert tell(peer, peer.data_set(report)) == row
    other = replace(report, administration=replace(report.administration, activity_mbq=111.0))
    with pytest.raises(NotDone, match="0xC010"):
        peer.send(peer.data_set(other))
    assert InjectorReport.objects.get().mbq == row.mbq


def test_an_injector_that_reads_otherwise_asks_somebody_to_look_and_nothing_is_averaged(peer, injection, day):
    net = injection.dose.net_mbq
    tell(peer, peer.data_set(said_of(injection, peer, activity_mbq=round(net * 1.12, 1))))
    review = DoseReview.objects.get(what="sources")
    assert review.reasons == [
        f"Injector 1 says {net * 1.12:.1f} MBq, the room {net:.1f} MBq: 12 % apart, 5 % is usual of two instruments"
    ]
    injection.dose.refresh_from_db()
    assert injection.dose.net_mbq == net
    # The residual explains it: what is asked follows what is known, and nobody's answer is taken back.
    radiopharmacy.assay_residual(
        injection.dose, activity_mbq=30.0, at=NOW + 20 * MINUTE, instrument="Calibrator 1", now=NOW + 20 * MINUTE, by=day.by
    )  # fmt: skip
    injection.refresh_from_db()
    look_at_sources(injection, now=NOW + 21 * MINUTE)
    assert "% apart" in DoseReview.objects.get(what="sources").reasons[0]


def test_an_injector_without_todays_test_is_told_of(peer, injection, device):
    device.tests.all()  # append-only: the day is another one instead
    later = GIVEN_AT + timedelta(days=1)
    Injection.objects.filter(pk=injection.pk).update(injected_at=later)
    injection.refresh_from_db()
    row = tell(peer, peer.data_set(said_of(injection, peer)), now=later + MINUTE)
    assert row.state == "matched"
    assert DoseReview.objects.get(what="sources").reasons == ["Injector 1 has no constancy test recorded today"]


def test_one_that_comes_before_the_room_has_recorded_it_waits_and_is_matched_then(peer, day, device):
    first = give(day, device)
    report = said_of(first, peer)
    # As if nobody had tapped yet: the report speaks of another visit's person.
    visit = make_booked(day, arrival_at=NOW + 40 * MINUTE)
    procedure = visit.appointment.procedure
    early = replace(
        report, accession_number=procedure.accession_number, patient_id=procedure.referral.patient.nhs_number
    )
    row = tell(peer, peer.data_set(early))
    assert (row.state, row.injection) == ("waits", None)
    assert row.reasons == ["No injection recorded: the room recorded none of this person within 30 minutes of 09:10"]
    events = Event.objects.filter(subjects__contains=[row.pk]).count()
    read_injectors(now=GIVEN_AT + 2 * MINUTE)
    assert Event.objects.filter(subjects__contains=[row.pk]).count() == events
    dose = day.dose(280.0)
    inject(
        visit, "inject", dose, injected_at=GIVEN_AT, match=scan(dose), now=GIVEN_AT, by=day.by, already_happened=True
    )
    read_injectors(now=GIVEN_AT + 3 * MINUTE)
    row.refresh_from_db()
    assert row.state == "matched" and row.injection.visit == visit


def hours_early(report, by):
    return replace(
        report, administration=replace(report.administration, started_at=report.administration.started_at - by)
    )


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"accession_number": "NOSUCH"}, "Not surely this person's: No request has the accession number NOSUCH"),
        ({"accession_number": ""}, "Not surely this person's: No accession number was sent"),
        (
            {"patient_id": "9990000018"},
            "Not surely this person's: The accession number is of a request for another NHS number",
        ),
        ({"patient_id": "H12345"}, "Not surely this person's: No valid NHS number was sent"),
    ],
)
def test_one_about_another_person_is_held(peer, injection, changes, reason):
    row = tell(peer, peer.data_set(replace(said_of(injection, peer), **changes)))
    assert (row.state, row.injection, row.reasons) == ("held", None, [reason])


def test_kilobecquerels_are_held_whether_the_unit_says_so_or_not(peer, injection):
    ds = peer.data_set(said_of(injection, peer))
    measured = activity_item(ds)
    measured.NumericValue = float(measured.NumericValue) * 1000
    measured.MeasurementUnitsCodeSequence[0].CodeValue = "kBq"
    row = tell(peer, ds)
    assert row.reasons == ["Not in MBq: the activity is stated in kBq; a dose report states MBq (PS3.16 TID 10022)"]
    assert (row.state, row.unit, row.mbq) == ("held", "kBq", None)
    ds = peer.data_set(said_of(injection, peer, activity_mbq=280_000.0))
    row = tell(peer, ds)
    assert row.state == "held" and row.reasons[0].startswith("Not in MBq: it says 280,000 MBq, and the room gave")


def test_a_clock_that_is_an_hour_off_is_held_and_a_bare_one_is_the_sites(peer, injection):
    bare = peer.data_set(said_of(injection, peer))
    del bare.TimezoneOffsetFromUTC
    assert (tell(peer, bare).state, InjectorReport.objects.get().clock_stated) == ("matched", False)
    off = peer.data_set(hours_early(said_of(injection, peer), timedelta(hours=1)))
    row = tell(peer, off)
    assert (row.state, row.reasons) == (
        "held", ["Clock wrong by an hour: it says 08:10, and the room recorded 09:10"]
    )  # fmt: skip
    ahead = peer.data_set(hours_early(said_of(injection, peer), timedelta(hours=-2, minutes=-30)))
    assert tell(peer, ahead).reasons == ["After it was sent: it says 23 Nov 11:40, which had not come yet"]


def test_a_bare_time_in_the_hour_that_comes_twice_is_held(peer, day, device):
    night = datetime(2026, 10, 25, 1, 20, tzinfo=UTC)
    injection = give(day, device)
    ds = peer.data_set(said_of(injection, peer))
    del ds.TimezoneOffsetFromUTC
    start_item(ds).DateTime = "20261025012000"
    row = tell(peer, ds, now=night + MINUTE)
    assert row.reasons == ["A clock without its offset: 01:20 came twice that night, and it does not say which"]


def test_an_unknown_and_a_retired_injector_are_held_with_who_sent(peer, injection, device):
    stranger = replace(peer, ae_title="SOMEBODY")
    row = tell(stranger, stranger.data_set(said_of(injection, stranger)))
    assert row.reasons == ["Unknown injector: no scanner of ours and no injector in use sends as SOMEBODY"]
    assert (row.state, row.site, row.provider) == ("held", None, injection.visit.site.network.provider)
    Device.objects.filter(pk=device.pk).update(retired_at=NOW)
    assert "sends as INJ1" in tell(peer, peer.data_set(said_of(injection, peer))).reasons[0]


def test_a_second_word_on_one_injection_is_held_unless_it_says_what_it_replaces(peer, injection):
    first = said_of(injection, peer)
    tell(peer, peer.data_set(first))
    second = tell(peer, peer.data_set(said_of(injection, peer, activity_mbq=240.0)))
    assert second.reasons == ["Said twice: it spoke of this injection before, and does not say that this replaces it"]
    named = replace(said_of(injection, peer), predecessors=((first.study_uid, first.series_uid, first.report_uid),))
    assert tell(peer, peer.data_set(named)).state == "matched"


def test_another_nuclide_no_activity_and_a_tree_that_says_nothing_are_held(peer, injection):
    gallium = dose_report.Code("35337001", "SCT", "^68^Gallium")
    assert tell(peer, peer.data_set(said_of(injection, peer, radionuclide=gallium))).reasons == [
        "Wrong nuclide: it says Ga-68, and the room gave F-18"
    ]
    empty = peer.data_set(said_of(injection, peer))
    activity_item(empty).NumericValue = 0
    assert tell(peer, empty).reasons == ["No activity: it does not say how much was given"]
    bare = peer.data_set(said_of(injection, peer))
    bare.ContentSequence = []
    assert tell(peer, bare).reasons == ["States no injection: its tree holds no administration that we can read"]


def test_a_person_says_which_injection_a_held_one_speaks_of_and_why(peer, injection, day):
    row = tell(peer, peer.data_set(replace(said_of(injection, peer), accession_number="NOSUCH")))
    assert injectors.near(row, Injection.objects.all()) == [injection]
    with pytest.raises(NeedsNote):
        injectors.decide(row, injection, note=" ", by=day.by, now=NOW)
    made = injectors.decide(row, injection, note="Typed on the injector by hand", by=day.by, now=GIVEN_AT + 5 * MINUTE)
    assert (made.state, made.injection, made.settled_by_name) == ("matched", injection, day.by.name)


def test_the_emulated_injector_tells_each_injection_that_it_gave_once(peer, injection, day):
    by_hand = give(day, None)
    already: set[object] = set()
    assert len(act(GIVEN_AT + MINUTE, peer.gantry, already)) == 1
    read_injectors(now=GIVEN_AT + 2 * MINUTE)
    assert InjectorReport.objects.get().injection == injection != by_hand
    assert act(GIVEN_AT + 2 * MINUTE, peer.gantry, already) == []

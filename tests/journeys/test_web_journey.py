"""One patient from a web form to a report that was acted on, with peers that nobody here wrote at every joint."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from django.utils import timezone
from playwright.sync_api import Browser, expect

from gantry.apps.audit.models import Event
from gantry.apps.booking.models import Appointment
from gantry.apps.estate.services import record_test
from gantry.apps.radiopharmacy.models import Batch, Dose, TracerOrder
from gantry.apps.referrals.models import Referral, RequestedProcedure
from gantry.apps.reporting.models import Report, ReportDispatch
from gantry.apps.scanning.models import ReconcileItem, StepDone, Study, Visit
from tests.apps.factories import actor, make_calibrator
from tests.gateways.peers import Orthanc, needs, start_orthanc
from tests.journeys import scanner as wire
from tests.journeys.cast import (
    MONDAY,
    TUESDAY,
    Cast,
    acknowledged,
    asked_by_the_scanner,
    decided_with_two_keys,
    make_cast,
    proved_at_the_hospital,
    scanned_and_stored,
)
from tests.journeys.clocked import turned_now
from tests.journeys.hospital import Engine, connect, open_engine
from tests.journeys.house import House, open_house, seat
from tests.journeys.test_refer_and_vet import fill

pytestmark = [
    pytest.mark.journey,
    pytest.mark.django_db(transaction=True),
    needs("findscu", "storescu", "node", "Orthanc"),
    # python-hl7 0.4.5 writes the time of its answers with a call that Python 3.12 deprecates.
    pytest.mark.filterwarnings("ignore:datetime.datetime.utcnow:DeprecationWarning"),
]


@pytest.fixture
def house(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[House]:
    monkeypatch.setattr(timezone, "now", turned_now)
    with open_house(tmp_path, "web", "dicom", "worker", at=MONDAY) as running:
        yield running


@pytest.fixture
def pacs(tmp_path: Path) -> Iterator[Orthanc]:
    with start_orthanc(tmp_path) as running:
        yield running


@pytest.fixture
def engine() -> Iterator[Engine]:
    with open_engine() as running:
        yield running


def test_one_patient_from_a_web_form_to_a_report_acted_on(
    house: House, browser: Browser, pacs: Orthanc, engine: Engine
) -> None:
    cast = make_cast()
    connect(cast.made.trust, pacs, engine)

    # given a referrer with a patient: when the form is sent, then one referral waits for a decision
    referral = referred(house, browser, cast)
    # when it is justified and the patient takes the first choice, then the scan day expects them
    procedure = decided_with_two_keys(house, browser, cast, referral)
    appointment = told(house, browser, cast, procedure)
    visit = Visit.objects.get(appointment=appointment)
    # when the tracer is ordered, delivered, released and accepted, then it may be drawn
    batch = accepted(house, browser, cast)
    # when the patient comes, then the net activity is that of the injection's own instant, and nothing is out of turn
    house.turn(appointment.arrival_at)
    prepared(house, browser, cast, visit)
    dose = injected_on_the_page(house, browser, cast, visit, batch)
    assert 235 < dose.net_mbq < 250
    assert not StepDone.objects.exclude(breach=[]).exists()

    # when the scanner asks, then it finds this patient alone
    house.turn(appointment.injection_at + timedelta(minutes=60))
    whose = asked_by_the_scanner(house, procedure)
    # when it sends somebody else's images, then they are held with both sides shown, and merged with nobody's
    held_for_a_person(house, browser, cast)
    # when it scans and sends, then the images are this patient's
    sent = scanned_and_stored(house, procedure, whose)

    # when they are checked, then the hospital's PACS shows every one
    checked(house, browser, cast, procedure)
    proved_at_the_hospital(procedure, pacs, sent)
    # when the report is verified, then the hospital's engine accepts it
    verified(house, browser, cast, procedure)
    report = acknowledged(procedure, engine)
    # when the referrer reads it and acts, then delivered, read and acted on are three facts
    acted_on(house, browser, cast, report)
    dispatch = ReportDispatch.objects.get(version__report=report)
    assert dispatch.delivered_at and dispatch.read_by_name == cast.referrer.name and dispatch.acted_at
    # then each thing happened once, by somebody, in its order
    kinds = [event.kind for event in Event.objects.filter(subjects__contains=[procedure.pk]).order_by("happened_at")]
    for once in ("appointment_booked", "dose_injected", "images_received", "images_proved", "report_delivered"):
        assert kinds.count(once) == 1, (once, kinds)


def referred(house: House, browser: Browser, cast: Cast) -> Referral:
    with seat(house, browser, cast.referrer) as desk:
        page = desk.open("/referrals/new/")
        fill(page)
        page.select_option("#id_diabetes", "none")
        page.click("button[value=send]")
        expect(page.locator("h1")).to_have_text("BROWSER, Bea")
        desk.judge()
        desk.open("/referrals/")
        desk.open("/")
    referral = Referral.objects.get()
    assert referral.state == "to_vet"
    return referral


def told(house: House, browser: Browser, cast: Cast, procedure: RequestedProcedure) -> Appointment:
    with seat(house, browser, cast.coordinator) as desk:
        desk.open("/booking/")
        page = desk.open(f"/booking/scan/{procedure.pk}/")
        page.locator(".choice button").first.click()
        expect(page.get_by_text("Read out", exact=True)).to_be_visible()
        desk.judge()
        desk.press("Book: the patient agrees")
        appointment = Appointment.objects.get()
        desk.open(f"/booking/appointment/{appointment.pk}/")
    assert appointment.state == "told"
    return appointment


def accepted(house: House, browser: Browser, cast: Cast) -> Batch:
    with seat(house, browser, cast.pharmacist) as desk:
        desk.open(f"/tracer/?site={cast.made.site.pk}")
        desk.open(f"/tracer/runs/{cast.run.pk}/order/")
        desk.press("Place the order")
        order = TracerOrder.objects.get()
        page = desk.open(f"/tracer/orders/{order.pk}/")
        page.fill("[name=confirm-supplier_reference]", "S-77")
        desk.press("Confirm", exact=True)
    house.turn(TUESDAY.replace(hour=7))
    with seat(house, browser, cast.pharmacist) as desk:
        page = desk.open(f"/tracer/orders/{order.pk}/receive/")
        page.fill("[name=number]", "B-77")
        page.fill("[name=stated_mbq]", f"{order.activity_mbq:.0f}")
        page.fill("[name=volume_ml]", "10")
        page.fill("[name=measured_mbq]", f"{order.activity_mbq:.0f}")
        page.fill("[name=instrument]", "Calibrator 1")
        page.click("main button[type=submit]")
        desk.judge()
        batch = Batch.objects.get()
        page = desk.open(f"/tracer/batches/{batch.pk}/")
        page.fill("[name=release-released_by]", "Quinn Person")
        desk.press("Record the release")
    with seat(house, browser, cast.physicist) as desk:
        desk.open(f"/tracer/batches/{batch.pk}/")
        desk.press("Accept for use")
    batch.refresh_from_db()
    assert batch.state == "accepted"
    return batch


def prepared(house: House, browser: Browser, cast: Cast, visit: Visit) -> None:
    now = house.now()
    record_test(
        cast.scanner,
        passed=True,
        at=now - timedelta(hours=1),
        now=now,
        by=actor(cast.physicist, now),
        site=cast.made.site,
    )
    make_calibrator(cast.made.site, at=now)
    with seat(house, browser, cast.radiographer) as desk:
        desk.open(f"/board/{cast.made.site.pk}/")
        desk.press("is here")
        desk.press("Identity checked")
        for key, name, value in (("weigh", "weight_kg", "71.5"), ("glucose", "glucose_mmol_per_l", "5.4")):
            page = desk.open(f"/board/visits/{visit.pk}/steps/{key}/")
            page.fill(f"[name={name}]", value)
            desk.press("Record", exact=True)
        desk.open(f"/board/visits/{visit.pk}/")
        desk.open(f"/board/{cast.made.site.pk}/")
        desk.press("Cannula in")


def injected_on_the_page(house: House, browser: Browser, cast: Cast, visit: Visit, batch: Batch) -> Dose:
    house.turn(visit.appointment.injection_at)
    with seat(house, browser, cast.radiographer) as desk:
        page = desk.open(f"/tracer/batches/{batch.pk}/draw/?for={visit.appointment_id}")
        page.fill("[name=activity_mbq]", "250")
        expect(page.get_by_text("Measured: now, Calibrator 1, F-18")).to_be_visible()
        desk.press("Record the dose")
        dose = Dose.objects.get()
        desk.open(f"/tracer/doses/{dose.pk}/label/")
        house.pass_time(minutes=5)
        page = desk.open(f"/board/visits/{visit.pk}/inject/inject/")
        page.fill("[name=barcode]", dose.container.barcode)
        page.fill("[name=injected_at]", "four minutes ago")
        desk.press("Check and record the injection")
        dose.refresh_from_db()
        assert dose.state == "administered"
        page = desk.open(f"/tracer/doses/{dose.pk}/")
        page.fill("[name=left-activity_mbq]", "4.2")
        desk.press("Record the residual")
        house.turn(visit.appointment.injection_at + timedelta(minutes=50))
        desk.open(f"/board/{cast.made.site.pk}/")
        desk.press("Bladder empty")
    dose.refresh_from_db()
    return dose


def held_for_a_person(house: House, browser: Browser, cast: Cast) -> None:
    files = wire.files_of_another(house.folder)
    assert wire.store(house.dicom_port, files) == [0] * len(files)
    items = list(ReconcileItem.objects.all())
    assert items and all(item.state == "open" for item in items)
    assert sum(item.study.instances.count() for item in items) == len(files)
    assert not Study.objects.filter(state="matched").exists()
    with seat(house, browser, cast.radiographer) as desk:
        desk.open("/images/held/")
        page = desk.open(f"/images/held/{items[0].pk}/")
        expect(page.get_by_text("What the images say")).to_be_visible()
        desk.open(f"/images/{items[0].study_id}/")


def checked(house: House, browser: Browser, cast: Cast, procedure: RequestedProcedure) -> None:
    with seat(house, browser, cast.reporter) as desk:
        desk.open("/reports/")
        page = desk.open(f"/reports/write/{procedure.pk}/")
        page.check("[name=acceptable][value=yes]")
        desk.press("Record the check")


def verified(house: House, browser: Browser, cast: Cast, procedure: RequestedProcedure) -> None:
    with seat(house, browser, cast.reporter) as desk:
        page = desk.open(f"/reports/write/{procedure.pk}/")
        page.fill("[name=technique]", "FDG PET-CT, skull base to mid-thigh.")
        page.fill("[name=findings]", "No abnormal uptake.")
        page.fill("[name=conclusion]", "No evidence of large-vessel vasculitis.")
        desk.press("Verify and send")
        assert Report.objects.get(procedure=procedure).state == "final"


def acted_on(house: House, browser: Browser, cast: Cast, report: Report) -> None:
    with seat(house, browser, cast.referrer) as desk:
        desk.open("/reports/issued/")
        page = desk.open(f"/reports/{report.pk}/")
        expect(page.get_by_text("No evidence of large-vessel vasculitis.").first).to_be_visible()
        page.fill("[name=action]", "Steroids not started; clinic in two weeks")
        desk.press("Record what was done")
        desk.open(f"/timeline/referral/{report.procedure.referral_id}/")

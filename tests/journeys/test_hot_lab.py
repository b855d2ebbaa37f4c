"""The bench book in a browser: a doubt is stopped and overridden by name, a difference is asked about, waste leaves once."""

from datetime import date, timedelta

import pytest
from django.urls import reverse
from django.utils import timezone
from playwright.sync_api import Page, expect
from pytest_django.live_server_helper import LiveServer

from gantry.apps.audit.models import Event
from gantry.apps.radiopharmacy import services as radiopharmacy
from gantry.apps.radiopharmacy.models import Batch, Consignment, Disposal, Dose, Generator, Permit
from gantry.apps.scanning.models import DoseReview
from gantry.domain.access import Role
from gantry.domain.events import Cause, CauseCode, Initiator
from gantry.gateways.dicom.dose_incoming import read_new
from gantry.gateways.dicom.dose_outgoing import join_images
from tests.apps.factories import NOW, make_person
from tests.apps.scan_day import make_booked, make_day
from tests.gateways.test_dicom_dose_rows import arrive, ct_object, images_of, work
from tests.gateways.test_dicom_dose_rows import given as given_to
from tests.journeys.axe import assert_accessible, assert_fits
from tests.journeys.test_scan_day import look, sign_in

pytestmark = [pytest.mark.journey, pytest.mark.django_db(transaction=True)]


def clock(monkeypatch, at) -> None:
    monkeypatch.setattr(timezone, "now", lambda: at)


def test_a_doubt_is_stopped_by_name_and_every_becquerel_is_asked_for(
    live_server: LiveServer, page: Page, monkeypatch
) -> None:
    clock(monkeypatch, NOW + timedelta(minutes=20))
    day = make_day()
    visit = make_booked(day)
    batch = Batch.objects.get(pk=day.batch.pk)
    sign_in(page, live_server, make_person(Role.RADIOPHARMACIST, day.made.provider))
    # given a calibrator that the site has registered and nobody has tested today
    page.goto(live_server.url + reverse("tracer:instruments"))
    page.get_by_label("Name on the bench").fill("Calibrator 2")
    page.get_by_role("button", name="Register").click()
    expect(page.get_by_text("Calibrator 2 has no constancy test recorded today")).to_be_visible()
    assert_accessible(page)
    # when a syringe is drawn whose volume cannot hold what was typed, then both are said
    page.goto(live_server.url + reverse("tracer:draw", args=[batch.pk]) + f"?for={visit.appointment_id}")
    expect(page.get_by_text("Effective dose of the tracer")).to_be_visible()
    page.get_by_label("In the syringe").fill("250")
    page.get_by_label("Volume").fill("2.5")
    page.get_by_label("Instrument").fill("Calibrator 2")
    page.get_by_role("button", name="Record the dose").click()
    expect(page.get_by_role("alert").first).to_contain_text("Impossible concentration")
    expect(page.get_by_role("alert").first).to_contain_text("no constancy test")
    assert_accessible(page)
    assert_fits(page)
    assert not Dose.objects.exists()
    # and a reason by name lets it be drawn, as a breach
    page.get_by_label("Draw it all the same, because").fill("Old syringes; second calibrator agrees")
    page.get_by_role("button", name="Record the dose").click()
    dose = Dose.objects.get()
    assert "Old syringes" in Event.objects.get(kind="breach_recorded").data["override"]
    # when the daily test passes, then nothing is asked
    page.goto(live_server.url + reverse("tracer:instruments"))
    page.get_by_label("Device", exact=True).select_option(label="Calibrator 2")
    page.get_by_label("Measured").first.fill("101")
    page.get_by_label("Expected, decayed to now").fill("100")
    page.get_by_role("button", name="Record the test").click()
    expect(page.get_by_text("may be used")).to_have_count(2)
    # when the vial is measured and does not agree, then the entries to look at are marked
    page.goto(live_server.url + reverse("tracer:batch", args=[batch.pk]))
    page.get_by_label("What happened?").select_option("count")
    bench = page.locator("form", has=page.locator("[value=bench]"))
    bench.get_by_label("Measured", exact=True).fill("6000")
    bench.get_by_label("Instrument").fill("Calibrator 1")
    page.get_by_role("button", name="Put it in the ledger").click()
    expect(page.get_by_text("Does not add up:", exact=True)).to_be_visible()
    page.get_by_text("Ledger,").click()
    expect(page.get_by_text("look", exact=True).first).to_be_visible()
    look(page, live_server, "tracer:batch", batch.pk)
    # when the dose is wasted, then it waits in the store and leaves once
    radiopharmacy.waste(
        dose, cause=Cause(CauseCode.DID_NOT_ATTEND, Initiator.PATIENT), at=NOW, now=NOW, by=day.by
    )  # fmt: skip
    Permit.objects.create(
        site=day.made.site, number="EPR-1", nuclide="F-18", holding_mbq=30_000, sewer_mbq_a_month=500,
        valid_from=date(2026, 1, 1), valid_to=date(2027, 1, 1),
    )  # fmt: skip
    look(page, live_server, "tracer:holdings")
    page.get_by_role("checkbox", name="waste").check()
    page.get_by_role("button", name="What is ticked has gone").click()
    expect(page.locator(".nhsuk-error-summary")).to_contain_text("It decays until")
    clock(monkeypatch, NOW + timedelta(hours=19))
    sign_in(page, live_server, make_person(Role.RADIOPHARMACIST, day.made.provider))
    page.goto(live_server.url + reverse("tracer:holdings"))
    page.get_by_role("checkbox", name="waste").check()
    page.get_by_role("button", name="What is ticked has gone").click()
    expect(page.get_by_text("The store is empty")).to_be_visible()
    assert Disposal.objects.get().nuclide == "F-18"
    # when the batch is recalled, then everybody who had it is listed
    radiopharmacy.recall_batch(
        batch, cause=Cause(CauseCode.BATCH_FAILED_QC, Initiator.SUPPLIER), now=NOW, by=day.by
    )  # fmt: skip
    look(page, live_server, "tracer:recall", batch.pk)


def test_generators_and_a_package_that_leaves(live_server: LiveServer, page: Page, monkeypatch) -> None:
    clock(monkeypatch, NOW + timedelta(minutes=20))
    day = make_day()
    sign_in(page, live_server, make_person(Role.RADIOPHARMACIST, day.made.provider))
    # given a new generator, eluted and tested, then today is released
    page.goto(live_server.url + reverse("tracer:generators"))
    page.get_by_label("Serial number").fill("G1")
    page.get_by_label("Parent's activity").fill("1500")
    page.get_by_label("Calibrated").fill("now")
    page.get_by_role("button", name="Install").click()
    page.get_by_label("Eluted, measured").fill("1000")
    page.get_by_label("Volume").fill("5")
    page.get_by_label("Instrument").fill("Calibrator 1")
    page.get_by_role("button", name="Record the elution").click()
    page.get_by_label("Ge-68, below").fill("0.0002")
    page.get_by_role("button", name="Record the tests").click()
    expect(page.get_by_text("The generator is released today.")).to_be_visible()
    look(page, live_server, "tracer:generator", Generator.objects.get().pk)
    # and a kit is labelled with its elution: a batch of its own, in quarantine
    page.get_by_label("Kit", exact=True).fill("Invented kit")
    page.get_by_label("Kit's lot").fill("L-1")
    page.get_by_label("Batch number").fill("K-1")
    page.get_by_label("Measured in the vial").fill("700")
    kit = page.locator("form", has=page.locator("[value=kit]"))
    kit.get_by_label("Volume").fill("8")
    kit.get_by_label("Instrument").fill("Calibrator 1")
    page.get_by_role("button", name="Into quarantine").click()
    expect(page.get_by_text("Batch K-1 is in quarantine")).to_be_visible()
    look(page, live_server, "tracer:generators")
    # when a package is labelled too low, then it may not travel; rightly labelled it has a paper
    look(page, live_server, "tracer:consign", day.batch.pk)
    page.get_by_label("Address").fill("1 Test Street")
    page.get_by_label("Highest on the surface").fill("0.3")
    page.get_by_label("Highest at one metre").fill("0.006")
    page.get_by_label("Label on it").select_option("I-WHITE")
    page.get_by_role("button", name="Make the transport paper").click()
    expect(page.get_by_role("alert").first).to_contain_text("its dose rates ask for II-YELLOW")
    assert_accessible(page)
    page.get_by_label("Label on it").select_option("II-YELLOW")
    page.get_by_role("button", name="Make the transport paper").click()
    expect(page.get_by_text("UN2915")).to_be_visible()
    look(page, live_server, "tracer:paper", Consignment.objects.get().pk)


def test_a_scan_days_doses_are_looked_at_and_what_staff_and_sources_hold_is_kept(
    live_server: LiveServer, page: Page, monkeypatch, settings, tmp_path
) -> None:
    settings.IMAGES_ROOT, settings.IMAGES_FSYNC = tmp_path / "images", False
    clock(monkeypatch, NOW + timedelta(hours=2))
    day = make_day()
    # given somebody injected, whose scanner sends images and what its CT gave
    injection = given_to(day, make_booked(day), 300.0)
    work(NOW + timedelta(minutes=15))
    study = images_of(injection, settings)
    arrive(ct_object(injection, "1.2.826.0.1.61", 90.0, 600.0), tmp_path / "images")
    read_new(now=NOW + timedelta(minutes=90))
    join_images(now=NOW + timedelta(minutes=91))
    physicist = make_person(Role.PHYSICIST, day.made.provider)
    sign_in(page, live_server, physicist)
    # then the physicist is asked to look, sees each irradiation and every source, and says what was found
    look(page, live_server, "scanning:study", study.pk)
    expect(page.get_by_text("Our dose report is written")).to_be_visible()
    look(page, live_server, "scanning:dose_reviews")
    page.get_by_role("link", name="TESTCASE").last.click()
    expect(page.get_by_text("DLP 690 mGy·cm is")).to_be_visible()
    assert_accessible(page)
    page.get_by_label("What you found").fill("Arms down; the protocol of large people was chosen")
    page.get_by_role("button", name="Record what you found").click()
    expect(page.get_by_text("Recorded with your name.")).to_be_visible()
    look(page, live_server, "scanning:dose_review", DoseReview.objects.get(what="ct").pk)
    # when a badge reads too much, then somebody looks at that too
    page.goto(live_server.url + reverse("tracer:staff"))
    page.get_by_label("Person").select_option(label=day.person.name)
    page.get_by_label("Badge").select_option(label="Fingers")
    page.get_by_label("From").fill("1/10/2026")
    page.get_by_label("To, that day included").fill("31/10/2026")
    page.get_by_label("Read", exact=False).last.fill("35")
    page.get_by_role("button", name="Record the reading").click()
    expect(page.get_by_text("Somebody has to look").first).to_be_visible()
    look(page, live_server, "tracer:staff")
    page.get_by_role("link", name="Look at the reading").click()
    assert_accessible(page)
    page.get_by_label("What you found").fill("Changed to the longer tongs")
    page.get_by_role("button", name="Record what you found").click()
    expect(page.get_by_text("Changed to the longer tongs")).to_be_visible()
    # and a sealed source stands among the holdings until it has gone
    page.goto(live_server.url + reverse("tracer:holdings"))
    page.get_by_text("Record a source").click()
    source = page.locator("form", has=page.locator("[value=source]"))
    source.get_by_label("Nuclide").select_option("Cs-137")
    source.get_by_label("Serial number").fill("S-1")
    source.get_by_label("What it is for").fill("Check source")
    source.get_by_label("Activity on the certificate").fill("9.2")
    source.get_by_label("Of the day").fill("1/1/2020")
    source.get_by_role("button", name="Record the source").click()
    expect(page.get_by_role("row", name="Cs-137 S-1")).to_be_visible()
    look(page, live_server, "tracer:holdings")
    look(page, live_server, "tracer:disposals")
    # and what another site sends is received here
    batch = Batch.objects.get(pk=day.batch.pk)
    sent = radiopharmacy.transfer(
        batch, radiopharmacy.Reading(900, NOW, "Calibrator 1"), to=day.made.other_site, now=NOW, by=day.by
    )
    look(page, live_server, "tracer:receive_sent", sent.pk)
    look(page, live_server, "tracer:batch", sent.pk)
    look(page, live_server, "tracer:today")
    expect(page.get_by_text("Nothing of it is committed").first).to_be_visible()

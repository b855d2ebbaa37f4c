"""A reporter writes, a referrer reads and acts, a radiographer says whose images came: in a browser, each page judged."""

from datetime import timedelta

import pytest
from django.urls import reverse
from playwright.sync_api import Browser, BrowserContext, Page, expect
from pytest_django.live_server_helper import LiveServer

from gantry.apps.radiopharmacy import services as radiopharmacy
from gantry.apps.reporting import services as reporting
from gantry.apps.reporting.models import Report
from gantry.apps.scanning.models import ReconcileItem
from gantry.apps.scanning.services import visits
from gantry.domain.access import Role
from tests.apps.factories import NOW, make_person
from tests.apps.reports import READ_AT, TEXT, Reading, listener, make_reading, receive
from tests.apps.scan_day import scan
from tests.gateways.peers import free_port
from tests.journeys.axe import assert_accessible, assert_fits
from tests.journeys.test_refer_and_vet import sign_in

pytestmark = [pytest.mark.journey, pytest.mark.django_db(transaction=True)]


def judged(page: Page) -> None:
    """At a desk and on a phone."""
    assert_accessible(page)
    page.set_viewport_size({"width": 320, "height": 800})
    assert_accessible(page)
    assert_fits(page)
    page.set_viewport_size({"width": 1280, "height": 900})


@pytest.fixture
def reading() -> Reading:
    """A whole day behind it: injected, measured, scanned, checked."""
    reading = make_reading(checked=False)
    day, visit = reading.day, reading.visit
    given_at = NOW + timedelta(minutes=22)
    visits.arrive(visit, happened_at=NOW, now=NOW, by=day.by)
    dose = day.dose(at=NOW + timedelta(minutes=15))
    visits.inject(
        visit, "inject", dose, injected_at=given_at, match=scan(dose), now=given_at, by=day.by, person=day.person,
        already_happened=True,
    )  # fmt: skip
    dose.refresh_from_db()
    after = given_at + timedelta(minutes=2)
    radiopharmacy.assay_residual(dose, activity_mbq=6, at=after, instrument="Calibrator 1", now=after, by=day.by)
    begun = given_at + timedelta(minutes=61)
    for phase, at in (("start", begun), ("done", begun + timedelta(minutes=20))):
        visits.record_step(visit, "scan", phase=phase, happened_at=at, now=at, by=day.by)
    return reading


def test_a_report_is_written_read_and_acted_on(
    live_server: LiveServer, context: BrowserContext, page: Page, browser: Browser, reading: Reading
) -> None:
    listener(reading.trust, free_port())
    sign_in(context, live_server, reading.reporter)
    page.goto(live_server.url + reverse("reporting:list"))
    judged(page)
    page.get_by_role("link", name="TESTCASE").first.click()
    expect(page.get_by_text("Stage before radical treatment")).to_be_visible()
    judged(page)
    page.get_by_label("Yes: report them and send them on").check()
    page.get_by_role("button", name="Record the check").click()
    expect(page.get_by_text("Checked: acceptable")).to_be_visible()
    page.fill("#id_findings", TEXT.findings)
    expect(page.locator("#saved")).to_contain_text("Saved")
    assert Report.objects.get().draft["findings"] == TEXT.findings
    page.get_by_role("button", name="Verify and send").click()
    expect(page.get_by_text("The report has no conclusion")).to_be_visible()
    judged(page)
    expect(page.locator("#id_findings")).to_have_value(TEXT.findings)
    page.fill("#id_conclusion", TEXT.conclusion)
    page.fill("#id_technique", TEXT.technique)
    page.get_by_role("button", name="Verify and send").click()
    expect(page.get_by_text("Version 1 is issued")).to_be_visible()
    judged(page)
    page.get_by_role("link", name="Withdraw").click()
    page.wait_for_url("**/withdraw/")
    judged(page)

    theirs = browser.new_context(locale="en-GB", timezone_id="Europe/London")
    sign_in(theirs, live_server, make_person(Role.REFERRER, reading.trust, name="Dr Kim Referrer"))
    desk = theirs.new_page()
    desk.goto(live_server.url + reverse("reporting:issued"))
    judged(desk)
    desk.get_by_role("link", name="TESTCASE").first.click()
    expect(desk.get_by_text(TEXT.conclusion)).to_be_visible()
    judged(desk)
    desk.get_by_label("What was done because of this report?").fill("Referred to thoracic surgery")
    desk.get_by_role("button", name="Record what was done").click()
    expect(desk.get_by_text("Dr Kim Referrer").first).to_be_visible()
    judged(desk)
    theirs.close()
    dispatch = Report.objects.get().versions.get().dispatches.get()
    assert (dispatch.state, dispatch.read_by_name) == ("acted_on", "Dr Kim Referrer")


def test_an_amended_then_withdrawn_report_says_so_on_every_page(
    live_server: LiveServer, context: BrowserContext, page: Page, reading: Reading
) -> None:
    sign_in(context, live_server, reading.reporter)
    from gantry.apps.scanning.services import images

    images.check_images(reading.study, acceptable=True, note="", by=reading.by, now=READ_AT)
    reading.verified()
    page.goto(live_server.url + reverse("reporting:write", args=[reading.procedure.pk]))
    page.fill("#id_findings", "Left, not right.")
    page.get_by_label("Why the report is amended").fill("Side corrected")
    judged(page)
    page.get_by_role("button", name="Issue the amended report").click()
    expect(page.get_by_text("Version 2 is issued")).to_be_visible()
    judged(page)
    report = Report.objects.get()
    reporting.withdraw(
        report,
        reason="Images of another person",
        wrong_person=True,
        version=report.version,
        by=reading.by,
        person=reading.reporter,
        now=READ_AT,
    )
    page.goto(live_server.url + reverse("reporting:read", args=[report.pk]))
    expect(page.get_by_text("Do not use any version of it")).to_be_visible()
    judged(page)
    page.goto(live_server.url + reverse("reporting:write", args=[reading.procedure.pk]))
    judged(page)


def test_held_images_are_decided_on_one_page(
    live_server: LiveServer, context: BrowserContext, page: Page, reading: Reading
) -> None:
    receive(
        reading.visit,
        number=9,
        sop_instance_uid="1.2.9",
        patient_id="9990000018",
        nhs_number="9990000018",
        patient_name="<b>TESTCASE</b>^Somebody",
    )
    item = ReconcileItem.objects.get()
    sign_in(context, live_server, make_person(Role.RADIOGRAPHER, reading.day.made.provider))
    page.goto(live_server.url + reverse("scanning:reconcile"))
    judged(page)
    page.get_by_role("link", name="TESTCASE").first.click()
    expect(page.get_by_role("button", name="Decide")).to_be_visible()
    judged(page)
    page.get_by_label(reading.procedure.accession_number).check()
    page.get_by_role("button", name="Decide").click()
    expect(page.get_by_text("Say how you know whose they are").first).to_be_visible()
    judged(page)
    page.get_by_label("How do you know?").fill("Rang the site: typed by hand at the scanner")
    page.get_by_role("button", name="Decide").click()
    expect(page.get_by_text("Matched.")).to_be_visible()
    judged(page)
    page.goto(live_server.url + reverse("scanning:study", args=[item.study_id]))
    judged(page)

    page.get_by_role("link", name="These are not theirs").click()
    expect(page.get_by_role("heading", name="Who must be told")).to_be_visible()
    judged(page)
    page.get_by_role("button", name="Take the match back").click()
    expect(page.locator(".nhsuk-error-summary")).to_be_visible()
    judged(page)
    page.get_by_role("textbox").last.fill("The site rang again: it was the next patient")
    page.get_by_role("button", name="Take the match back").click()
    expect(page.get_by_text("The site rang again").first).to_be_visible()
    judged(page)
    assert ReconcileItem.objects.filter(study=item.study_id, state="open").exists()


def test_a_report_is_written_without_script(live_server: LiveServer, browser: Browser, reading: Reading) -> None:
    context = browser.new_context(java_script_enabled=False, locale="en-GB")
    sign_in(context, live_server, reading.reporter)
    page = context.new_page()
    page.goto(live_server.url + reverse("reporting:write", args=[reading.procedure.pk]))
    page.check("input[name=acceptable][value=yes]")
    page.get_by_role("button", name="Record the check").click()
    page.fill("#id_findings", TEXT.findings)
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.locator("#id_findings")).to_have_value(TEXT.findings)
    page.fill("#id_conclusion", TEXT.conclusion)
    page.get_by_role("button", name="Verify and send").click()
    expect(page.get_by_text("Version 1 is issued")).to_be_visible()
    context.close()
    assert Report.objects.get().state == "final"

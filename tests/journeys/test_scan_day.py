"""A radiographer's and a pharmacist's pages in a browser: accessible, on a tablet and a phone, and tapped through."""

from datetime import timedelta

import pytest
from django.conf import settings
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from playwright.sync_api import Page, expect
from pytest_django.live_server_helper import LiveServer

from gantry.apps.radiopharmacy import services as radiopharmacy
from gantry.apps.scanning.models import Injection, StepDone
from gantry.domain.access import Role
from tests.apps.factories import NOW, make_person, make_run
from tests.apps.scan_day import make_booked, make_day
from tests.journeys.axe import assert_accessible, assert_fits

pytestmark = [pytest.mark.journey, pytest.mark.django_db(transaction=True)]


@pytest.fixture(autouse=True)
def morning(monkeypatch):
    monkeypatch.setattr(timezone, "now", lambda: NOW + timedelta(minutes=20))


def sign_in(page: Page, live_server: LiveServer, person) -> None:
    client = Client()
    client.force_login(person, backend="django.contrib.auth.backends.ModelBackend")
    name = settings.SESSION_COOKIE_NAME
    page.context.add_cookies([{"name": name, "value": client.cookies[name].value, "url": live_server.url}])


def look(page: Page, live_server: LiveServer, name: str, *args) -> None:
    for width in (1180, 320):
        page.set_viewport_size({"width": width, "height": 820})
        page.goto(live_server.url + reverse(name, args=args))
        assert_accessible(page)
        assert_fits(page)


def test_a_person_is_moved_by_taps_and_injected_by_a_deliberate_match(live_server: LiveServer, page: Page) -> None:
    day = make_day()
    visit, waiting = make_booked(day), make_booked(day, arrival_at=NOW + timedelta(hours=1), family_name="Pretend")
    dose = day.dose(at=NOW + timedelta(minutes=19))
    sign_in(page, live_server, day.person)
    board = live_server.url + reverse("scanning:board", args=[day.made.site.pk])
    page.goto(board)
    page.get_by_role("button", name="TESTCASE").click()
    for label in ("Identity checked", "Weight", "Glucose", "Cannula in"):
        page.get_by_role("button", name=f"{label}, TESTCASE").click()
        if label in ("Weight", "Glucose"):
            page.get_by_label(label).fill("70" if label == "Weight" else "5.2")
            page.get_by_role("button", name="Record").click()
    assert StepDone.objects.filter(current=True, breach=[]).count() == 4
    assert_accessible(page)
    page.get_by_text("Match and inject").click()
    page.get_by_label("Syringe barcode").fill("D0")
    page.get_by_role("button", name="Check and record").click()
    expect(page.get_by_role("alert").first).to_contain_text("No dose of this site carries this barcode")
    page.get_by_label("Syringe barcode").fill(dose.container.barcode)
    page.get_by_role("button", name="Check and record").click()
    expect(page.locator(".lane", has_text="Uptake").get_by_role("heading", name="TESTCASE")).to_be_visible()
    assert not Injection.objects.get().breach
    done = visit.steps.get(key="inject")
    for name, *args in (
        ("scanning:board", day.made.site.pk),
        ("scanning:visit", visit.pk),
        ("scanning:inject", waiting.pk, "inject"),
        ("scanning:step", waiting.pk, "glucose"),
        ("scanning:correct", done.pk),
        ("scanning:leave", visit.pk),
        ("scanning:scanner", day.made.site.pk, day.scanner.pk),
    ):
        look(page, live_server, name, *args)


def test_the_hot_labs_pages(live_server: LiveServer, page: Page) -> None:
    day = make_day()
    visit = make_booked(day)
    given, kept = day.dose(), day.dose()
    radiopharmacy.assign(given, visit.appointment, now=NOW, by=day.by)
    radiopharmacy.administer(given, injected_at=NOW, now=NOW, by=day.by)
    run = make_run(day.made, due_at=NOW + timedelta(days=1))
    order = radiopharmacy.place_order(run, activity_mbq=900, patients=1, now=NOW, by=day.by)
    sign_in(page, live_server, make_person(Role.RADIOPHARMACIST, day.made.provider))
    for name, *args in (
        ("tracer:today",),
        ("tracer:order", run.pk),
        ("tracer:one_order", order.pk),
        ("tracer:receive", order.pk),
        ("tracer:batch", day.batch.pk),
        ("tracer:draw", day.batch.pk),
        ("tracer:recall", day.batch.pk),
        ("tracer:holdings",),
        ("tracer:instruments",),
        ("tracer:dose", given.pk),
        ("tracer:dose", kept.pk),
    ):
        look(page, live_server, name, *args)
    page.goto(live_server.url + reverse("tracer:label", args=[given.pk]))
    assert_accessible(page)

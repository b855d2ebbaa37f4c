"""A booking by keyboard in a browser, and every booking page judged by axe at two widths."""

import pytest
from django.conf import settings
from django.test import Client
from django.utils import timezone
from playwright.sync_api import Page, expect

from gantry.domain.access import Role
from tests.apps.factories import make_accepted, make_bookable, make_booked_appointment, make_network, make_person
from tests.journeys.axe import assert_accessible, assert_fits

pytestmark = [pytest.mark.journey, pytest.mark.django_db(transaction=True)]


@pytest.fixture
def desk(live_server, page: Page):
    """A coordinator's screen, with one scan to book and one booked and told."""
    now = timezone.now()
    made = make_network()
    make_bookable(made, days=12, now=now)
    procedure = make_accepted(made, now=now, family_name="Waiting").procedures.get()
    appointment = make_booked_appointment(made, now=now, family_name="Promised")
    client = Client()
    client.force_login(
        make_person(Role.BOOKING_COORDINATOR, made.provider), backend="django.contrib.auth.backends.ModelBackend"
    )
    session = client.cookies[settings.SESSION_COOKIE_NAME].value
    page.context.add_cookies([{"name": settings.SESSION_COOKIE_NAME, "value": session, "url": live_server.url}])
    return live_server.url, procedure, appointment


def test_a_booking_without_a_mouse(desk, page: Page):
    url, procedure, _ = desk
    page.goto(f"{url}/booking/")
    page.keyboard.press("j")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text(
        "WAITING, Number" + procedure.referral.patient.given_name[6:]
    )
    page.keyboard.press("2")
    expect(page.get_by_role("heading", name="Held:")).to_be_visible()
    page.keyboard.press("b")
    expect(page.get_by_text("Booked, and the patient knows.")).to_be_visible()


@pytest.mark.parametrize("width", [1280, 320])
def test_every_booking_page_is_accessible(desk, page: Page, width: int):
    url, procedure, appointment = desk
    page.set_viewport_size({"width": width, "height": 900})
    for address in ("/booking/", f"/booking/scan/{procedure.pk}/", f"/booking/appointment/{appointment.pk}/"):
        page.goto(url + address)
        assert_accessible(page)
        assert_fits(page)
    page.evaluate("document.querySelectorAll('details').forEach(each => each.open = true)")
    assert_accessible(page)
    page.goto(f"{url}/booking/scan/{procedure.pk}/")
    page.keyboard.press("1")
    expect(page.get_by_role("heading", name="Held:")).to_be_visible()
    assert_accessible(page)

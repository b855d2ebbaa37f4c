"""Signing in with a password and a second step, in a browser: set up once, asked for each time, and never passed by."""

import time

import pytest
from allauth.mfa.totp.internal.auth import format_hotp_value, hotp_value
from playwright.sync_api import Page, expect
from pytest_django.live_server_helper import LiveServer

from gantry.domain.access import Role
from tests.apps.factories import make_network, make_person
from tests.journeys.axe import assert_accessible, assert_fits

pytestmark = [pytest.mark.journey, pytest.mark.django_db(transaction=True)]

PASSWORD = "a long password of nobody"
PERIOD_S = 30


def code(secret: str, ahead: int = 0) -> str:
    """What the phone's app shows (RFC 6238), or will show so many periods later."""
    return format_hotp_value(hotp_value(secret, int(time.time()) // PERIOD_S + ahead))


def judge(page: Page) -> None:
    for width in (320, 1180):
        page.set_viewport_size({"width": width, "height": 820})
        assert_accessible(page)
        assert_fits(page)


def give_password(page: Page, live_server: LiveServer, email: str, password: str = PASSWORD) -> None:
    page.goto(f"{live_server.url}/accounts/login/")
    page.get_by_label("Email").fill(email)
    page.get_by_label("Password", exact=True).fill(password)
    page.get_by_role("button", name="Sign in").click()


def test_a_password_then_the_phones_code(live_server: LiveServer, page: Page, settings) -> None:
    settings.MFA_TOTP_TOLERANCE = 1
    person = make_person(Role.BOOKING_COORDINATOR, make_network().provider, name="Bo Clerk", password=PASSWORD)
    give_password(page, live_server, person.email, "not the password at all")
    expect(page.locator(".nhsuk-error-summary")).to_be_visible()
    judge(page)
    give_password(page, live_server, person.email)
    expect(page.get_by_role("heading", level=1)).to_have_text("No slot yet")

    page.get_by_role("link", name="Bo Clerk").click()
    judge(page)
    page.get_by_role("link", name="Set it up").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Show that it is you")
    judge(page)
    page.get_by_label("Password", exact=True).fill(PASSWORD)
    page.get_by_role("button", name="Go on").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Set up your second step")
    judge(page)
    secret = page.locator("code").inner_text()
    page.get_by_label("code", exact=False).fill(code(secret))
    page.get_by_role("button", name="Finish").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Recovery codes")
    judge(page)
    spare = page.locator("main code").first.inner_text()

    page.get_by_role("button", name="Sign out").click()
    if page.get_by_role("button", name="Sign out").count():
        page.get_by_role("button", name="Sign out").last.click()
    give_password(page, live_server, person.email)
    expect(page.get_by_role("heading", level=1)).to_have_text("Enter your code")
    judge(page)
    page.goto(f"{live_server.url}/booking/")
    expect(page.get_by_role("heading", level=1)).to_have_text("Enter your code")
    page.get_by_label("code", exact=False).fill("000000" if code(secret) != "000000" else "000001")
    page.get_by_role("button", name="Go on").click()
    expect(page.locator(".nhsuk-error-summary")).to_be_visible()
    page.get_by_label("code", exact=False).fill(code(secret, ahead=1))
    page.get_by_role("button", name="Go on").click()
    expect(page.get_by_role("link", name="Bo Clerk")).to_be_visible()

    page.context.clear_cookies()
    give_password(page, live_server, person.email)
    page.get_by_label("code", exact=False).fill(spare)
    page.get_by_role("button", name="Go on").click()
    expect(page.get_by_role("link", name="Bo Clerk")).to_be_visible()

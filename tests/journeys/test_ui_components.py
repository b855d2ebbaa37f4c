"""Every shared component in a browser: accessible, narrow enough for a phone, honest when a board cannot update."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import ConsoleMessage, Page, expect
from pytest_django.live_server_helper import LiveServer

from gantry.apps.ui.showcase import PARTS
from tests.journeys.axe import assert_accessible, assert_fits

pytestmark = [pytest.mark.journey, pytest.mark.django_db(transaction=True)]

PAGES = ["", "form/?wrong", "patient/?wrong", *(f"{part}/" for part in PARTS)]


@pytest.fixture
def quiet_page(page: Page) -> Iterator[Page]:
    """Whatever the console complains of (a script refused, a file not found) fails the test."""
    said: list[str] = []

    def hear(message: ConsoleMessage) -> None:
        if message.type in {"error", "warning"}:
            said.append(message.text)

    page.on("console", hear)
    page.on("pageerror", lambda error: said.append(str(error)))
    yield page
    assert not said


def test_every_component_is_accessible_wide_and_narrow(live_server: LiveServer, quiet_page: Page) -> None:
    for width in (1360, 320):
        quiet_page.set_viewport_size({"width": width, "height": 800})
        for path in PAGES:
            quiet_page.goto(f"{live_server.url}/ui/components/{path}")
            assert_accessible(quiet_page)
            assert_fits(quiet_page)


def test_keys_answers_and_the_board(live_server: LiveServer, page: Page) -> None:
    address = f"{live_server.url}/ui/components"

    page.goto(f"{address}/list/")
    page.keyboard.press("j")
    page.keyboard.press("j")
    expect(page.locator("tr.here th")).to_have_text("Test PATIENT-CEDAR")
    page.keyboard.press("?")
    expect(page.get_by_role("dialog", name="Keys")).to_be_visible()
    page.keyboard.press("Escape")
    page.keyboard.press("k")
    page.keyboard.press("Enter")
    expect(page).to_have_url(f"{address}/list/?open=9990000042")

    page.goto(f"{address}/form/")
    expect(page.get_by_label("Which insulin, and when?")).to_be_hidden()
    page.get_by_label("Insulin", exact=True).check()
    expect(page.get_by_label("Which insulin, and when?")).to_be_visible()

    page.goto(f"{address}/board/?poll=1")
    first = page.locator("[data-drawn-at]").get_attribute("data-drawn-at")
    expect(page.locator("[data-drawn-at]")).not_to_have_attribute("data-drawn-at", str(first))
    expect(page.locator("[data-not-updating]")).to_be_hidden()
    page.context.set_offline(True)
    expect(page.get_by_role("alert")).to_contain_text("NOT UPDATING")
    page.context.set_offline(False)
    page.get_by_role("button", name="Try now").click()
    expect(page.locator("[data-not-updating]")).to_be_hidden()


def test_a_form_asks_for_more_without_script(live_server: LiveServer, browser: object) -> None:
    context = browser.new_context(java_script_enabled=False)  # type: ignore[attr-defined]
    page = context.new_page()
    page.goto(f"{live_server.url}/ui/components/form/")
    expect(page.get_by_label("Which insulin, and when?")).to_be_hidden()
    page.get_by_label("Insulin", exact=True).check()
    expect(page.get_by_label("Which insulin, and when?")).to_be_visible()
    context.close()

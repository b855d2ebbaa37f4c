"""The day plan and recovery in a browser: accessible at two widths, and used by tapping at ten past seven."""

import pytest
from django.urls import reverse
from django.utils import timezone
from playwright.sync_api import Page, expect
from pytest_django.live_server_helper import LiveServer

from gantry.domain.access import Role
from tests.apps.broken_morning import KNOWN, TUESDAY, make_morning
from tests.apps.factories import make_person
from tests.journeys.axe import assert_accessible, assert_fits
from tests.journeys.test_scan_day import look, sign_in

pytestmark = [pytest.mark.journey, pytest.mark.django_db(transaction=True)]


@pytest.fixture(autouse=True)
def early(monkeypatch):
    monkeypatch.setattr(timezone, "now", lambda: KNOWN)


def test_a_failed_batch_is_recovered_and_undone_on_one_screen(live_server: LiveServer, page: Page) -> None:
    morning = make_morning(8)
    root = morning.fail()
    sign_in(page, live_server, morning.lead)
    look(page, live_server, "scheduling:day", morning.made.site.pk, TUESDAY.isoformat())
    page.set_viewport_size({"width": 1180, "height": 820})
    page.get_by_role("link", name="What can be done").click()
    look(page, live_server, "scheduling:recover", root.pk)
    page.set_viewport_size({"width": 1180, "height": 820})
    ready = page.locator(".recovery__option", has_not=page.locator("input[type=checkbox]"))
    ready.get_by_role("button", name="Accept option").first.click()
    expect(page.get_by_text("Accepted. Nobody has been told yet")).to_be_visible()
    assert_accessible(page)
    page.get_by_role("button", name="Undo all of it").click()
    expect(page.get_by_text("Undone: everybody is back")).to_be_visible()
    assert_accessible(page)


def test_a_change_is_typed_judged_and_published(live_server: LiveServer, page: Page) -> None:
    morning = make_morning(8)
    sign_in(page, live_server, morning.lead)
    page.goto(
        live_server.url + reverse("scheduling:day", args=[morning.made.site.pk, TUESDAY.isoformat()])
    )  # fmt: skip
    for arrival, said in (("10:30", "It breaks"), ("13:00", "Breaks nothing")):
        page.get_by_label("Patient").select_option(str(morning.booked[7].pk))
        page.get_by_label("Arrives").fill(arrival)
        page.get_by_role("button", name="Try it").click()
        expect(page.get_by_text(said)).to_be_visible()
        assert_accessible(page)
    page.get_by_label("Why do they move?").select_option("list_overrun")
    page.get_by_role("button", name="Publish to the worklist").click()
    expect(page.get_by_text("Published: the worklist follows")).to_be_visible()


def test_a_scan_is_dragged_and_the_server_judges_it(live_server: LiveServer, page: Page) -> None:
    morning = make_morning(6)
    sign_in(page, live_server, morning.lead)
    page.set_viewport_size({"width": 1180, "height": 820})
    page.goto(
        live_server.url + reverse("scheduling:day", args=[morning.made.site.pk, TUESDAY.isoformat()])
    )  # fmt: skip
    scan = page.locator(".dayline__visit").last.locator(".dayline__scan").bounding_box()
    assert scan is not None
    page.mouse.move(scan["x"] + 4, scan["y"] + 4)
    page.mouse.down()
    page.mouse.move(scan["x"] + 150, scan["y"] + 6, steps=6)
    page.mouse.up()
    expect(page.get_by_text("Your draft changes 1 person")).to_be_visible()
    assert_accessible(page)


def test_what_went_wrong_is_said_and_recovered_and_the_network_sees_it(live_server: LiveServer, page: Page) -> None:
    morning = make_morning(4, received=False)
    make_morning(2, made=morning.made, site=morning.made.other_site, received=False)
    sign_in(page, live_server, morning.lead)
    look(page, live_server, "scheduling:tell", morning.made.site.pk, TUESDAY.isoformat())
    look(page, live_server, "scheduling:fairness")
    page.set_viewport_size({"width": 1180, "height": 820})
    page.goto(
        live_server.url + reverse("scheduling:tell", args=[morning.made.site.pk, TUESDAY.isoformat()])
    )  # fmt: skip
    page.get_by_label("Which production site?").select_option("Testown")
    page.get_by_role("button", name="Say that it has failed, for every site").click()
    expect(page.get_by_role("heading", name="All sites in one act")).to_be_visible()
    assert_accessible(page)
    page.get_by_role("button", name="Accept for 2 sites").click()
    expect(page.get_by_text("Accepted for 2 sites")).to_be_visible()
    page.set_viewport_size({"width": 320, "height": 820})
    assert_accessible(page)
    assert_fits(page)


def test_a_scan_is_moved_by_keys_and_its_page_says_why(live_server: LiveServer, page: Page) -> None:
    morning = make_morning(6)
    sign_in(page, live_server, morning.lead)
    page.set_viewport_size({"width": 1180, "height": 820})
    address = live_server.url + reverse("scheduling:day", args=[morning.made.site.pk, TUESDAY.isoformat()])
    page.goto(address)
    page.locator(".dayline__visit").last.focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Escape")
    expect(page.locator("[data-moved]")).to_contain_text("Where it was: arrives 10:00")
    page.keyboard.press("Shift+ArrowRight")
    page.keyboard.press("ArrowRight")
    expect(page.locator("[data-moved]")).to_contain_text("Arrives 11:05 on Scanner 1")
    assert_accessible(page)
    page.keyboard.press("Enter")
    expect(page.get_by_text("Your draft changes 1 person")).to_be_visible()
    expect(page.get_by_role("table", name="The draft's costs")).to_contain_text("Difference")
    assert_accessible(page)
    page.locator(".dayline__visit").first.focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Why 08:50?")).to_be_visible()


def test_why_a_time_what_a_day_reckons_with_and_what_it_weighs(live_server: LiveServer, page: Page) -> None:
    morning = make_morning(3)
    lead = make_person(Role.CLINICAL_LEAD, morning.made.provider)
    sign_in(page, live_server, lead)
    look(page, live_server, "scheduling:weights")
    page.get_by_label("I have read these values").check()
    page.get_by_role("button", name="Sign", exact=True).click()
    expect(page.get_by_role("heading", name=f"Signed by {lead.name}")).to_be_visible()
    page.context.clear_cookies()
    sign_in(page, live_server, morning.lead)
    look(page, live_server, "scheduling:visit", morning.booked[2].pk)
    page.get_by_label("Must come by").fill("8:00")
    page.get_by_label("Why").fill("Ambulance leaves the ward at seven")
    page.get_by_role("button", name="Note it").click()
    expect(page.get_by_text("Ambulance leaves the ward at seven").first).to_be_visible()
    look(page, live_server, "scheduling:reckons", morning.made.site.pk, TUESDAY.isoformat())
    page.get_by_label("Overtime from").fill("12:00")
    page.get_by_role("button", name="Note it for the doors").click()
    expect(page.get_by_role("row", name="Overtime from 12:00")).to_be_visible()
    look(page, live_server, "scheduling:day", morning.made.site.pk, TUESDAY.isoformat())
    page.get_by_text("Booked closer than rooms, people or patients’ own hours allow: 1 time").click()
    expect(page.get_by_text("cannot come so late")).to_be_visible()

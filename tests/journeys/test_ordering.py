"""The day before, in a browser: somebody is rung, tomorrow's tracer follows from who is ready, and an order is taken back."""

from datetime import timedelta

import pytest
from django.urls import reverse
from django.utils import timezone
from playwright.sync_api import Page, expect
from pytest_django.live_server_helper import LiveServer

from gantry.apps.accounts.models import RoleGrant
from gantry.apps.radiopharmacy.models import SupplyRun, TracerOrder
from gantry.domain.access import Role
from tests.apps.broken_morning import TUESDAY, at, make_morning
from tests.apps.factories import PAPERS_FROM
from tests.journeys.axe import assert_accessible, assert_fits
from tests.journeys.test_scan_day import look, sign_in

pytestmark = [pytest.mark.journey, pytest.mark.django_db(transaction=True)]
BEFORE = at(14) - timedelta(days=1)


def test_tomorrows_tracer_follows_from_who_is_ready(live_server: LiveServer, page: Page, monkeypatch) -> None:
    monkeypatch.setattr(timezone, "now", lambda: BEFORE)
    morning = make_morning(3, received=False)
    SupplyRun.objects.update(price_pence=20_000, price_pence_per_gbq=30_000)
    site = morning.made.site
    RoleGrant.objects.create(
        person=morning.lead, organisation=morning.made.provider, role=Role.RADIOPHARMACIST, valid_from=PAPERS_FROM
    )
    sign_in(page, live_server, morning.lead)
    # given a day on which nobody has been asked anything, when one is rung, then the list says so
    ready = live_server.url + reverse("booking:ready") + f"?site={site.pk}&on={TUESDAY.isoformat()}"
    page.goto(ready)
    assert_accessible(page)
    page.get_by_role("link", name="Ring").first.click()
    assert_accessible(page)
    page.get_by_label("Answered", exact=True).check()
    page.get_by_label("Understood").check()
    page.get_by_label("Not settled").check()
    page.get_by_label("Note").fill("Asks for a lift home")
    page.get_by_role("button", name="Keep it").click()
    expect(page.get_by_text("Asks for a lift home")).to_be_visible()
    look(page, live_server, "booking:readiness", morning.booked[1].pk)
    # when tomorrow's tracer is looked at, then an order is proposed with its margin, and placed in one act
    page.set_viewport_size({"width": 1180, "height": 820})
    page.goto(ready)
    page.get_by_role("link", name="Tracer to order").click()
    expect(page.get_by_text("without the margin")).to_be_visible()
    assert_accessible(page)
    page.get_by_role("button", name="Order it").click()
    expect(page.get_by_text("Nothing has changed.")).to_be_visible()
    look(page, live_server, "scheduling:orders", site.pk, TUESDAY.isoformat())
    # when it is taken back before the cut-off, then nobody pays
    order = TracerOrder.objects.get()
    look(page, live_server, "tracer:one_order", order.pk)
    page.get_by_label("Why is it cancelled?").fill("The scanner is down all day")
    page.get_by_role("button", name="Cancel the order").click()
    expect(page.get_by_text("Nobody", exact=True)).to_be_visible()
    assert_fits(page)
    # when another run is opened, then it may be ordered from
    look(page, live_server, "tracer:open_run")
    page.get_by_label("Due here").fill("tomorrow 09:30")
    page.get_by_label("Orders until").fill("18:00")
    page.get_by_label("Most that it can bring").fill("5000")
    page.get_by_label("For the run").fill("120")
    page.get_by_role("button", name="Open it for orders").click()
    expect(page.get_by_text("£120.00 for the run")).to_be_visible()
    assert SupplyRun.objects.filter(due_at=at(9, 30)).exists()
    # and its delivery of unit doses has a page
    look(page, live_server, "tracer:receive_doses", order.pk)

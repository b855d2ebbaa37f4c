"""Requests that no page of ours sends get a plain refusal: never an error of ours, and never a record of what is not."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime, timedelta
from threading import Barrier
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from django.db import connection
from django.test import Client

from gantry.apps.accounts.access import acting_for
from gantry.apps.accounts.models import BreakGlass, Person, RoleGrant
from gantry.apps.audit.ids import new_id
from gantry.apps.audit.models import Event
from gantry.apps.audit.services import append
from gantry.apps.quality.services import wait_units, waits
from gantry.apps.referrals.models import Referral
from gantry.apps.referrals.services import drafts
from gantry.apps.ui import typed
from gantry.domain.access import Role, Scope
from gantry.domain.events import EventKind, system
from gantry.reference.measures import measures_on
from tests.apps import factories

NUL, ENDLESS = "%00", "9" * 5000
LISTS = ["/referrals/", "/referrals/vetting/", "/booking/", "/reports/issued/", "/search/"]
ODD_PAGES = ["-1", "0", "²", "٣", "1e9", ENDLESS]


@pytest.fixture
def network(db: None) -> Any:
    return factories.make_network()


def somebody(organisation: Any, *roles: Role) -> Person:
    person = factories.make_person(roles[0], organisation)
    for role in roles[1:]:
        RoleGrant.objects.create(person=person, organisation=organisation, role=role, valid_from=date(2020, 1, 1))
    return person


@pytest.fixture
def signed_in(network: Any) -> Client:
    client = Client()
    client.force_login(somebody(network.provider, *Role), backend="django.contrib.auth.backends.ModelBackend")
    return client


@pytest.mark.parametrize("address", LISTS)
def test_no_list_breaks_at_its_address(signed_in: Client, address: str) -> None:
    assert signed_in.get(f"{address}?q={NUL}").status_code == 400
    for page in ODD_PAGES:
        assert signed_in.get(f"{address}?page={page}").status_code == 200


@pytest.mark.parametrize(
    "asked",
    [
        "from=0001-01-01&to=9999-12-31",
        "to=0001-01-01",
        "to=9999-12-31",
        "from=9999-99-99",
        *(f"page={n}" for n in ODD_PAGES),
    ],
)
def test_a_measure_s_period_is_one_that_can_be_drawn(signed_in: Client, asked: str) -> None:
    assert signed_in.get(f"/measures/?{asked}").status_code == 200
    assert signed_in.get(f"/measures/M1/?{asked}").status_code == 200


def test_a_long_period_is_its_last_three_years(signed_in: Client) -> None:
    page = signed_in.get("/measures/?from=2001-01-01&to=2026-03-01").content.decode()
    assert "February 2023" in page or "March 2023" in page
    assert "2001" not in page


@pytest.mark.django_db
def test_a_wait_that_ends_after_midnight_in_london_counts_on_that_day(network: Any) -> None:
    """00:30 on 2 July in London is still 1 July in UTC."""
    until = datetime(2026, 7, 1, 23, 30, tzinfo=UTC)
    referral = factories.make_referral(network, now=until - timedelta(days=2))
    append(
        EventKind.ACQUISITION_COMPLETED,
        subjects={"referral": referral.pk},
        happened_at=until,
        recorded_at=until,
        by=system("tests"),
    )
    wait, scope = measures_on(until.date())["T1"], Scope(frozenset({network.provider.pk}))
    for day, finished in ((date(2026, 7, 1), 0), (date(2026, 7, 2), 1)):
        assert len(wait_units(wait, scope, start=day, end=day, now=until)) == finished
        found = waits([wait], scope, start=day, end=day)["T1"].result(start=day, end=day, now=until)
        assert (found.finished, found.median) == ((1, timedelta(days=2)) if finished else (0, None))


def test_a_role_begins_at_midnight_in_london(network: Any) -> None:
    person = factories.make_person(Role.REFERRER, network.trust)
    RoleGrant.objects.filter(person=person).update(valid_from=date(2026, 7, 2))
    assert acting_for(person, now=datetime(2026, 7, 1, 23, 30, tzinfo=UTC)).roles == {Role.REFERRER}
    assert not acting_for(person, now=datetime(2026, 7, 1, 22, 30, tzinfo=UTC)).roles


@pytest.mark.parametrize("forged", ["", "x", "\x00", ENDLESS])
def test_forged_ids_find_nobody(signed_in: Client, forged: str) -> None:
    assert signed_in.post("/people/switch/", {"person": forged}).status_code == 404
    assert signed_in.post("/people/opened/", {"opened": forged}).status_code == 404


def test_the_glass_is_broken_for_a_patient_only(network: Any, signed_in: Client) -> None:
    """Anything else would put "opened from outside" on the timeline of whatever has that id."""
    referral = factories.make_referral(network)
    for key in (new_id(), referral.pk):
        assert signed_in.post(f"/people/open/{key}/", {"reason": "Somebody's care needs it"}).status_code == 404
    assert not BreakGlass.objects.exists()
    assert not Event.objects.filter(kind=EventKind.BREAK_GLASS_USED).exists()
    answer = signed_in.post(f"/people/open/{referral.patient_id}/", {"reason": "Somebody's care needs it"})
    assert answer.status_code == 302
    assert BreakGlass.objects.get().patient == referral.patient_id


@pytest.mark.parametrize(
    "text", ["99999999999999 minutes ago", "999999999 hours", "0001-01-01T00:00+05:00", "9999-12-31T23:59-05:00"]
)
def test_a_time_outside_the_calendar_is_not_understood(text: str) -> None:
    with pytest.raises(typed.NotUnderstood):
        typed.read_moment(text, datetime(2026, 3, 2, 9, tzinfo=UTC), ZoneInfo("Europe/London"))


@pytest.mark.parametrize(
    "name", ["prior_imaging_rows", "prior_imaging-x-date", "prior_imaging-", f"prior_imaging-{ENDLESS[:300]}-date"]
)
def test_rows_that_no_page_drew_are_left_out(network: Any, name: str) -> None:
    client = Client()
    person = factories.make_person(Role.REFERRER, network.trust)
    client.force_login(person, backend="django.contrib.auth.backends.ModelBackend")
    assert client.post("/referrals/new/", {"act": "send", name: ENDLESS}).status_code == 422
    assert not Referral.objects.exists()


@pytest.mark.parametrize("text", ["a\x00b", "A" * 10_000, "<script>alert(1)</script>"])
@pytest.mark.parametrize("name", ["pregnancy_status", "weight_kg", "report_to", "allergies"])
@pytest.mark.parametrize("act", ["send", "save"])
def test_an_answer_that_no_page_offers_is_refused_in_words(network: Any, name: str, text: str, act: str) -> None:
    client = Client()
    person = factories.make_person(Role.REFERRER, network.trust)
    client.force_login(person, backend="django.contrib.auth.backends.ModelBackend")
    answer = client.post("/referrals/new/", {"act": act, "draft": str(new_id()), name: text})
    assert answer.status_code == (400 if "\x00" in text else 302 if act == "save" else 422)
    if act == "save" and answer.status_code == 302:
        answer = client.get(answer.url)
        assert answer.status_code == 200
    assert b"<script>alert(1)" not in answer.content


@pytest.mark.django_db(transaction=True)
def test_a_draft_that_is_saved_twice_at_once_is_one_draft() -> None:
    """The page saves by itself while somebody presses save."""
    network, key, now = factories.make_network(), new_id(), datetime(2026, 3, 2, 9, tzinfo=UTC)
    person, together = factories.make_person(Role.REFERRER, network.trust), Barrier(4)

    def save(number: int) -> None:
        try:
            together.wait(20)
            drafts.save_draft(key, person, {"family_name": f"Name {number}"}, now=now)
        finally:
            connection.close()

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(save, range(4)))
    assert len(drafts.drafts_of(person)) == 1

"""“Why 10:25?” has an answer on a page; every cost of a day and of a draft is told; weights are signed by a clinical lead."""

from datetime import time, timedelta

import pytest
from django.urls import reverse
from django.utils import timezone

from gantry.apps.audit.models import Event
from gantry.apps.booking import services as booking
from gantry.apps.booking.models import Appointment
from gantry.apps.radiopharmacy.models import SupplyRun
from gantry.apps.scanning.models import ScheduledStep
from gantry.apps.scheduling.models import WeightsSigned
from gantry.apps.scheduling.services import drafting, noting
from gantry.domain.access import Role
from gantry.domain.events import EventKind
from gantry.domain.scheduling.weights import Weights, digest
from gantry.reference import day_plans
from gantry.reference.dated import LIBRARY_FROM, Fact
from tests.apps.broken_morning import KNOWN, TUESDAY, make_morning
from tests.apps.factories import NOW, actor, make_person
from tests.apps.test_scheduling_pages import address, client_of, tried

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def the_day_before(monkeypatch):
    monkeypatch.setattr(timezone, "now", lambda: NOW)


def of_visit(morning, number: int) -> str:
    return reverse("scheduling:visit", args=[morning.booked[number].pk])


def test_the_page_says_why_this_time_and_what_the_next_best_would_cost():
    morning = make_morning(3)
    client = client_of(morning.lead)
    assert of_visit(morning, 2) in client.get(address(morning)).content.decode()
    page = client.get(of_visit(morning, 2)).content.decode()
    scan = f"{morning.booked[2].scan_at:%H:%M}"
    assert f"Why {scan}?" in page
    assert "It is the time that the patient was told" in page
    assert "The next best time" in page and "If nobody else moves" in page
    assert "MBq" in page and "price not recorded" in page
    assert str(morning.booked[2].pk) not in page.split("<h1")[1].split("What the plan knows")[0].replace(
        f'value="{morning.booked[2].pk}"', ""
    ).replace(f"/booking/appointment/{morning.booked[2].pk}/", ""), "people are named, not numbered"


def test_the_next_best_can_be_tried_from_the_page():
    morning = make_morning(2)
    client = client_of(morning.lead)
    page = client.get(of_visit(morning, 1)).content.decode()
    arrival = page.split('name="change-arrival" value="')[1][:5]
    page = client.post(address(morning), tried(morning, arrival, 1), follow=True).content.decode()
    assert "Your draft changes 1 person" in page and "Breaks nothing" in page
    assert "in your draft" in client.get(of_visit(morning, 1)).content.decode()


def test_who_is_locked_or_here_has_no_next_best():
    morning = make_morning(1)
    drafting.lock(morning.booked[0], reason="Stays", now=NOW, by=actor(morning.lead))
    page = client_of(morning.lead).get(of_visit(morning, 0)).content.decode()
    assert "it stays where it is" in page and "Try" not in page.split("The next best time")[1].split("</section>")[0]


def test_when_they_can_come_is_noted_and_kept():
    morning = make_morning(1)
    client = client_of(morning.lead)
    form = {"what": "times", "times-arrive_by": "8:00", "times-suits_from": "9:00", "times-suits_to": "10:30"}
    assert client.post(of_visit(morning, 0), form).status_code == 422, "why is asked"
    page = client.post(of_visit(morning, 0), form | {"times-why": "Work starts at noon"}, follow=True).content.decode()
    assert "Work starts at noon" in page and "A scan from 09:00 to 10:30 suits them, as they said" in page
    event = Event.objects.get(kind=EventKind.PATIENT_TIMES_STATED)
    assert event.data["arrive_by"] == "08:00:00" and event.by_name == morning.lead.name
    noting.note_times(
        morning.booked[0].referral, noting.Times(time(7)), why="Now early", now=NOW, by=actor(morning.lead)
    )  # fmt: skip
    page = client.get(of_visit(morning, 0)).content.decode()
    assert "Now early" in page and "suits them, as they said" not in page, "what they said last holds"


def test_nobody_of_another_network_asks_why():
    from tests.apps.factories import make_network

    morning = make_morning(1)
    stranger = client_of(make_person(Role.SESSION_LEAD, make_network("RXX", "NYY").provider))
    assert stranger.get(of_visit(morning, 0)).status_code == 404


def test_every_cost_is_told_for_the_day_and_for_a_draft():
    morning = make_morning(3)
    run = SupplyRun.objects.filter(site=morning.made.site).first()
    noting.note_terms(
        morning.made.site, run.supplier, "FDG", least_mbq=0, price_pence=0, price_pence_per_gbq=12_000,
        now=NOW, by=actor(morning.lead),
    )  # fmt: skip
    client = client_of(morning.lead)
    page = client.get(address(morning)).content.decode()
    for words in (
        "What the day costs as it is booked", "Not scanned in time, by weight", "Told and moved", "Activity drawn",
        "Its price", "£", "Overtime", "Waiting beyond", "Staff: activity within reach", "MBq min",
    ):  # fmt: skip
        assert words in page, words
    page = client.post(address(morning), tried(morning, "13:00", 2), follow=True).content.decode()
    assert "With the draft" in page and "Difference" in page
    table = page.split("With the draft")[1].split("</table>")[0]
    assert "+1" in table and ("+£" in table or "−£" in table)
    assert "MBq min" in table


# The weights


def lead_of(morning):
    return make_person(Role.CLINICAL_LEAD, morning.made.provider, name="Dr Cleo Mercer")


def sign(client, **over):
    given = {"digest": digest(day_plans.weights_on(TUESDAY).value), "valid_from": "23/11/2026", "sure": "on"} | over
    return client.post(reverse("scheduling:weights"), given, follow=True).content.decode()


def test_a_clinical_lead_signs_what_plans_weigh_and_plans_say_so():
    morning = make_morning(1)
    plan, lead = client_of(morning.lead), client_of(lead_of(morning))
    assert "weights unsigned" in plan.get(address(morning)).content.decode()
    assert "No clinical lead has signed them" in plan.get(address(morning)).content.decode()
    page = sign(lead)
    assert "Signed: these values count from 23 November 2026" in page
    page = plan.get(address(morning)).content.decode()
    assert "Weights signed by Dr Cleo Mercer on 23 November 2026" in page
    row = WeightsSigned.objects.get()
    event = Event.objects.get(kind=EventKind.WEIGHTS_SIGNED)
    assert (row.event, event.data["digest"], event.organisation) == (event.pk, row.digest, morning.made.provider.pk)
    assert "are signed already" in sign(lead)


def test_a_change_of_one_value_voids_the_signature(monkeypatch):
    morning = make_morning(1)
    sign(client_of(lead_of(morning)))
    other = Fact(Weights(((1, 1), (2, 2), (3, 5)), ((0, 4),)), "weight", "Tests", LIBRARY_FROM)
    monkeypatch.setattr(day_plans, "WEIGHTS", (other,))
    page = client_of(morning.lead).get(address(morning)).content.decode()
    assert "weights unsigned" in page
    assert "The values have changed since Dr Cleo Mercer signed others on 23 November 2026" in page


def test_nobody_signs_what_they_have_not_seen_nor_without_the_role():
    morning = make_morning(1)
    assert "The values have changed since this page was drawn" in sign(client_of(lead_of(morning)), digest="0" * 16)
    sign(client_of(morning.lead))
    assert "There is a problem" in sign(client_of(lead_of(morning)), sure="")
    assert not WeightsSigned.objects.exists()


def test_a_signature_that_starts_later_does_not_count_yet():
    morning = make_morning(1)
    later = (TUESDAY + timedelta(days=3)).strftime("%d/%m/%Y")
    sign(client_of(lead_of(morning)), valid_from=later)
    page = client_of(morning.lead).get(address(morning)).content.decode()
    assert "Signed by Dr Cleo Mercer, but only from 27 November 2026" in page
    assert KNOWN.date() == TUESDAY


# Publishing


def test_two_people_change_places_in_one_publish_and_the_worklist_follows():
    morning = make_morning(3)
    first, second = morning.booked[:2]
    client = client_of(morning.lead)
    client.post(address(morning), tried(morning, f"{second.arrival_at:%H:%M}", 0))
    page = client.post(address(morning), tried(morning, f"{first.arrival_at:%H:%M}", 1), follow=True).content.decode()
    assert "Breaks nothing" in page and "changes 2 people" in page
    page = client.post(
        address(morning), {"what": "publish", "publish-cause": "list_overrun"}, follow=True
    ).content.decode()
    assert "Published" in page
    now = {row.replaces_id: row for row in Appointment.objects.filter(replaces__in=[first, second])}
    assert (now[first.pk].arrival_at, now[second.pk].arrival_at) == (second.arrival_at, first.arrival_at)
    published = Event.objects.get(kind=EventKind.PLAN_PUBLISHED)
    assert (published.data["weights"], len(published.data["digest"])) == ("unsigned", 16)
    listed = ScheduledStep.objects.filter(state="scheduled").values_list("appointment", flat=True)
    assert set(listed) == {now[first.pk].pk, now[second.pk].pk, morning.booked[2].pk}
    assert booking.history_faults() == []


def test_a_lock_holds_against_a_proposal_and_a_draft():
    morning = make_morning(3, told=False)
    by = actor(morning.lead)
    for row in morning.booked:
        drafting.lock(row, reason="Stays", now=NOW, by=by)
    page = client_of(morning.lead).post(address(morning), {"what": "propose"}, follow=True).content.decode()
    assert "Nothing to propose" in page


def test_the_whole_day_is_asked_as_well_and_nothing_is_changed_by_asking():
    morning = make_morning(4, told=False)
    client = client_of(morning.lead)
    assert "If others may move too" in client.get(of_visit(morning, 1)).content.decode()
    page = client.post(of_visit(morning, 1), {"what": "wider"}).content.decode()
    part = page.split("If others may move too")[1].split("</section>")[0]
    assert "Arrive" in part and "The whole day would then cost" in part and "proved" in part
    assert "MBq" in part and "no change" in part
    assert not Event.objects.filter(kind=EventKind.APPOINTMENT_MOVED).exists()

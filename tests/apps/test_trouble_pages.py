"""What went wrong is said in one line on one page; what can be done is the next; a whole network moves in one act."""

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from gantry.apps.audit.models import Event
from gantry.apps.radiopharmacy.models import SupplyRun
from gantry.apps.scheduling.models import RecoveryPlan, Trouble
from gantry.domain.access import Role
from tests.apps.broken_morning import KNOWN, TUESDAY, at, make_morning
from tests.apps.factories import make_network, make_person
from tests.apps.test_scheduling_pages import client_of

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def early(monkeypatch):
    monkeypatch.setattr(timezone, "now", lambda: KNOWN)


def address(morning) -> str:
    return reverse("scheduling:tell", args=[morning.made.site.pk, TUESDAY.isoformat()])


def told(client: Client, morning, kind: str, **given: str) -> str:
    sent = {"what": kind} | {f"{kind}-{name}": value for name, value in given.items()}
    return client.post(address(morning), sent, follow=True).content.decode()


def test_each_thing_that_goes_wrong_is_one_line_and_leads_to_options():
    morning = make_morning(4)
    client = client_of(morning.lead)
    page = client.get(address(morning)).content.decode()
    for words in (
        "The tracer is late",
        "less tracer",
        "does not come",
        "A patient is late",
        "glucose",
        "anaesthetist",
        "Snow",
    ):
        assert words in page
    run = str(SupplyRun.objects.get(due_at=at(7)).pk)
    page = told(client, morning, "batch_late", run=run, until="09:30")
    assert "The run of 07:00 comes at 09:30" in page and "Wait for the late batch" in page
    page = told(client, morning, "hyperglycaemia", patient=str(morning.booked[2].pk), until="")
    assert "glucose is too high" in page and morning.booked[2].referral.patient.name in page
    assert set(Trouble.objects.values_list("kind", flat=True)) == {"batch_late", "hyperglycaemia"}
    day = client.get(reverse("scheduling:day", args=[morning.made.site.pk, TUESDAY.isoformat()])).content.decode()
    assert day.count("What can be done") == 2


def test_what_is_missing_is_said_and_what_was_typed_is_kept():
    morning = make_morning(2)
    client = client_of(morning.lead)
    given = {"what": "batch_late", "batch_late-run": "", "batch_late-until": "half nine"}
    page = client.post(address(morning), given)
    assert page.status_code == 422 and "half nine" in page.content.decode()
    run = str(SupplyRun.objects.get(due_at=at(7)).pk)
    past = told(client, morning, "batch_late", run=run, until="06:30")
    assert "That time has passed" in past
    assert not Trouble.objects.exists()


def test_a_radiographer_may_say_it_and_only_a_lead_accepts():
    morning = make_morning(3)
    radiographer = client_of(make_person(Role.RADIOGRAPHER, morning.made.provider))
    page = told(
        radiographer, morning, "patient_late", patient=str(morning.booked[1].pk), until="10:30", why="transport"
    )
    assert "A patient comes at 10:30" in page and "Accept option" not in page
    root = Event.objects.get(kind="day_disrupted")
    assert (root.cause_code, root.cause_initiator) == ("transport_failed", "provider")
    radiographer.post(reverse("scheduling:recover", args=[root.pk]), {"what": "accept", "option": "0"})
    assert RecoveryPlan.objects.get().state == "open"


def test_a_cyclotron_that_fails_is_accepted_for_every_site_on_one_page():
    morning = make_morning(3, received=False)
    make_morning(2, made=morning.made, site=morning.made.other_site, received=False)
    client = client_of(morning.lead)
    page = told(client, morning, "production_failed", production="Testown", note="Target leak")
    assert "Testown makes no more today: Target leak" in page and "2 sites" in page
    root = Event.objects.get(kind="day_disrupted")
    url = reverse("scheduling:recover", args=[root.pk])
    page = client.post(url, {"what": "accept_all"}, follow=True).content.decode()
    assert "Accepted for 2 sites" in page
    assert set(RecoveryPlan.objects.values_list("state", flat=True)) == {"accepted"}
    one = client.get(reverse("scheduling:recover_site", args=[root.pk, morning.made.other_site.pk])).content.decode()
    assert "Undo all of it" in one


def test_nobody_of_another_network_says_or_sees_it():
    morning = make_morning(2)
    client = client_of(morning.lead)
    told(client, morning, "anaesthetist_absent", until="12:00")
    stranger = client_of(make_person(Role.SESSION_LEAD, make_network("RXX", "NYY").provider))
    assert stranger.get(address(morning)).status_code == 404
    root = Event.objects.get(kind="day_disrupted")
    assert stranger.get(reverse("scheduling:recover", args=[root.pk])).status_code == 404
    assert stranger.post(address(morning), {"what": "snow", "snow-until": "12:00"}).status_code == 404

"""The day plan and the recovery page: readable without script, changes judged before anybody is told, and one person accepts."""

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from gantry.apps.booking.models import Appointment
from gantry.apps.scheduling.models import Lock, PlanVersion, RecoveryPlan
from gantry.domain.access import Role
from tests.apps.broken_morning import KNOWN, TUESDAY, make_morning
from tests.apps.factories import make_person

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def early(monkeypatch):
    monkeypatch.setattr(timezone, "now", lambda: KNOWN)


def client_of(person) -> Client:
    client = Client()
    client.force_login(person, backend="django.contrib.auth.backends.ModelBackend")
    return client


def address(morning) -> str:
    return reverse("scheduling:day", args=[morning.made.site.pk, TUESDAY.isoformat()])


def tried(morning, arrival: str, number: int = 7) -> dict[str, str]:
    return {
        "what": "change",
        "change-appointment": str(morning.booked[number].pk),
        "change-arrival": arrival,
        "change-scanner": str(morning.scanner.pk),
    }


def test_the_day_is_drawn_and_told_as_a_table():
    morning = make_morning(3)
    page = client_of(morning.lead).get(address(morning)).content.decode()
    assert "<svg" in page and "As a table" in page
    assert page.count("dayline__scan ") == 3
    assert 'style="' not in page


def test_a_tried_change_says_what_it_breaks_and_books_nothing():
    morning = make_morning(8)
    client = client_of(morning.lead)
    page = client.post(address(morning), tried(morning, "10:30"), follow=True).content.decode()
    assert "It breaks" in page and "need the scanner of" in page
    assert "Publish to the worklist" not in page
    assert Appointment.objects.get(pk=morning.booked[7].pk).state == "told"


def test_a_change_without_fault_is_published_by_bookings_own_move():
    morning = make_morning(8)
    client = client_of(morning.lead)
    page = client.post(address(morning), tried(morning, "13:00"), follow=True).content.decode()
    assert "Breaks nothing" in page
    page = client.post(
        address(morning), {"what": "publish", "publish-cause": "list_overrun"}, follow=True
    ).content.decode()
    assert "Published" in page
    moved = Appointment.objects.get(replaces=morning.booked[7])
    assert (f"{moved.arrival_at:%H:%M}", moved.state) == ("13:00", "booked")
    assert PlanVersion.objects.get().state == "published"


def test_publishing_asks_why():
    morning = make_morning(8)
    client = client_of(morning.lead)
    client.post(address(morning), tried(morning, "13:00"))
    assert client.post(address(morning), {"what": "publish", "publish-cause": ""}).status_code == 422


def test_a_lock_is_a_constraint_until_it_is_lifted():
    morning = make_morning(8)
    client = client_of(morning.lead)
    client.post(address(morning), {"what": "lock", "appointment": str(morning.booked[7].pk)})
    page = client.post(address(morning), tried(morning, "13:00"), follow=True).content.decode()
    assert "is locked" in page
    client.post(address(morning), {"what": "lift", "lock": str(Lock.objects.get().pk)})
    page = client.post(address(morning), tried(morning, "13:00"), follow=True).content.decode()
    assert "Breaks nothing" in page


def test_a_named_person_accepts_a_recovery_and_undoes_it():
    morning = make_morning(6)
    root = morning.fail()
    client = client_of(morning.lead)
    assert "What can be done" in client.get(address(morning)).content.decode()
    url = reverse("scheduling:recover", args=[root.pk])
    page = client.get(url).content.decode()
    assert "Accept option 1" in page
    assert "The batch failed its quality control" in page
    ready = next(
        n for n in range(3) if f'id="option-{n}"' in page and f'name="option" value="{n}"' in page
    )  # fmt: skip
    page = client.post(url, {"what": "accept", "option": str(ready)}, follow=True).content.decode()
    assert morning.lead.name in page and "Ring: the words" in page and "01632 960 001" in page
    page = client.post(url, {"what": "undo"}, follow=True).content.decode()
    assert "Undone" in page
    assert RecoveryPlan.objects.get().state == "undone"


def test_nobody_of_another_network_sees_the_day_or_its_recovery():
    morning = make_morning(2)
    root = morning.fail()
    from tests.apps.factories import make_network

    stranger = client_of(make_person(Role.SESSION_LEAD, make_network("RXX", "NYY").provider))
    assert stranger.get(address(morning)).status_code == 404
    assert stranger.get(reverse("scheduling:recover", args=[root.pk])).status_code == 404


def test_only_who_owns_failures_may_accept():
    morning = make_morning(2)
    root = morning.fail()
    url = reverse("scheduling:recover", args=[root.pk])
    coordinator = client_of(make_person(Role.BOOKING_COORDINATOR, morning.made.provider))
    assert "Accept option" not in coordinator.get(url).content.decode()
    coordinator.post(url, {"what": "accept", "option": "0"})
    assert RecoveryPlan.objects.get().state == "open"

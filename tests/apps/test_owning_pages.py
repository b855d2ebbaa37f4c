"""Who owns what went wrong finds it: every overdue referral, every incident, and a cause that may be said better."""

from dataclasses import replace
from datetime import timedelta

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from gantry.apps.audit.models import Event
from gantry.apps.audit.services import append
from gantry.apps.booking import services as booking
from gantry.apps.desk import views as desk
from gantry.apps.quality import services
from gantry.apps.quality.models import Incident
from gantry.apps.referrals.models import Referral
from gantry.domain.access import Role
from gantry.domain.events import Cause, CauseCode, EventKind, Initiator
from gantry.reference.measures import measures_on
from tests.apps.factories import (
    NOW,
    acting,
    make_bookable,
    make_booked_appointment,
    make_network,
    make_person,
    make_referral,
)
from tests.apps.scan_day import BY

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(timezone, "now", lambda: NOW)


@pytest.fixture
def made():
    return make_network()


def signed_in(role: Role, organisation) -> Client:
    client = Client()
    client.force_login(make_person(role, organisation), backend="django.contrib.auth.backends.ModelBackend")
    return client


@pytest.fixture
def manager(made) -> Client:
    return signed_in(Role.MANAGER, made.provider)


def text(client: Client, path: str, **given) -> str:
    answer = client.get(path, given)
    assert answer.status_code == 200, answer.status_code
    return answer.content.decode()


def test_the_watch_page_says_how_many_there_are_and_pages_to_the_last(made, manager, monkeypatch) -> None:
    monkeypatch.setattr(desk, "LATE", replace(desk.LATE, page_size=2))
    for days in (3, 2, 1):
        key = make_referral(made, family_name=f"Late{days}").pk
        Referral.objects.filter(pk=key).update(due_at=NOW - timedelta(days=days))
    path = reverse("desk:watch")
    shown = text(manager, path)
    assert "3 referrals past the time" in shown
    assert "1 to 2 of 3" in shown
    assert "LATE1" not in shown.upper()
    assert "LATE1" in text(manager, path, page=2).upper()
    assert "LATE1" not in text(manager, path, owner="referrer").upper()
    assert text(manager, path, format="csv").upper().count("LATE") == 3 + text(manager, path, format="csv").count(
        "late"
    )


@pytest.fixture
def moved(made) -> Event:
    """A told patient's scan, cancelled for want of staff."""
    make_bookable(made)
    appointment = make_booked_appointment(made, now=NOW)
    cause = Cause(CauseCode.STAFF_ABSENT, Initiator.PROVIDER, note="Two are ill")
    booking.cancel(appointment, cause=cause, now=NOW, by=BY)
    return Event.objects.get(kind=EventKind.APPOINTMENT_CANCELLED)


def test_an_incident_opens_to_what_happened_around_it(made, manager, moved) -> None:
    append(
        EventKind.BREACH_RECORDED,
        subjects={"referral": moved.about["referral"], "appointment": moved.about["appointment"]},
        happened_at=NOW,
        recorded_at=NOW,
        by=BY,
        organisation=made.provider.pk,
        site=made.site.pk,
        data={"reasons": ["The scanner had no test today"]},
    )
    opened = reverse("quality:incident", args=[Incident.objects.get().pk])
    assert opened in text(manager, reverse("quality:measures"))
    assert opened in text(manager, reverse("quality:incidents"))
    shown = text(manager, opened)
    assert "The scanner had no test today" in shown
    assert "Staff were not there" in shown, "what happened around it, in words"
    assert reverse("desk:timeline", args=["referral", moved.about["referral"]]) in shown
    stranger = signed_in(Role.MANAGER, make_network("RXX", "NXX").provider)
    assert stranger.get(opened).status_code == 404
    assert opened not in text(stranger, reverse("quality:incidents"))


def measured(made) -> dict[str, int]:
    scope = acting(make_person(Role.MANAGER, made.provider)).scope
    start, end = (NOW - timedelta(days=30)).date(), (NOW + timedelta(days=30)).date()
    return {
        code: sum(unit.met for unit in services.share_units(measure, scope, start=start, end=end))
        for code, measure in measures_on(NOW.date()).items()
        if code in ("M1", "M2")
    }


def test_a_corrected_cause_counts_from_then_on_and_the_first_word_is_kept(made, manager, moved) -> None:
    assert measured(made) == {"M1": 0, "M2": 1}
    path = reverse("quality:cause", args=[moved.pk])
    assert "Staff were not there" in text(manager, path)
    better = {
        "initiator": "provider", "code": "scanner_failed", "note": "", "reason": "The rota was full; the scanner had failed",
        "seen": str(moved.pk),
    }  # fmt: skip
    assert manager.post(path, better).status_code == 302
    assert measured(made) == {"M1": 1, "M2": 1}
    shown = text(manager, path)
    assert "Staff were not there" in shown
    assert "The scanner failed" in shown
    assert "The rota was full" in shown
    again = manager.post(path, better)
    assert again.status_code == 422, "the page was drawn before the first correction"
    assert "corrected this meanwhile" in again.content.decode()
    assert Event.objects.filter(kind=EventKind.CAUSE_CORRECTED).count() == 1


@pytest.mark.parametrize(
    ("change", "says"),
    [({"reason": ""}, "reason"), ({"initiator": "patient", "code": "scanner_failed"}, "not something a patient does")],
)
def test_a_correction_without_a_reason_or_with_misplaced_blame_is_refused(manager, moved, change, says) -> None:
    given = {"initiator": "provider", "code": "scanner_failed", "reason": "Misheard", "seen": str(moved.pk)}
    answer = manager.post(reverse("quality:cause", args=[moved.pk]), given | change)
    assert answer.status_code == 422
    assert says in answer.content.decode()
    assert not Event.objects.filter(kind=EventKind.CAUSE_CORRECTED).exists()


def test_a_cause_is_corrected_by_those_who_own_failures_and_of_their_own_patients_alone(made, moved) -> None:
    path = reverse("quality:cause", args=[moved.pk])
    assert signed_in(Role.RADIOGRAPHER, made.provider).get(path).status_code == 403
    stranger = signed_in(Role.MANAGER, make_network("RXX", "NXX").provider)
    assert stranger.get(path).status_code == 404
    assert stranger.post(path, {"reason": "x"}).status_code == 404

"""Signing in, acting under roles that stand today, and break-glass."""

from datetime import UTC, date, datetime, timedelta

import pytest
from django.contrib.messages import get_messages
from django.test import Client
from django.urls import reverse

from gantry.apps.accounts.access import acting_for
from gantry.apps.accounts.models import BreakGlass, Person, RoleGrant
from gantry.apps.accounts.services import ReasonMissing, break_glass, review_break_glass
from gantry.apps.audit.ids import new_id
from gantry.apps.audit.models import Event
from gantry.apps.estate.models import Organisation
from gantry.domain.access import Role, Verb
from gantry.domain.events import EventKind

NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
PASSWORD = "a long demonstration password"

pytestmark = pytest.mark.django_db


@pytest.fixture
def trust() -> Organisation:
    return Organisation.objects.create(ods_code="RH8", name="A trust", kind="acute_trust")


def somebody(trust: Organisation, role: Role, **more) -> Person:
    person = Person.objects.create_user(f"{role}{new_id().hex}@example.nhs.uk", PASSWORD, name="Ann Other", **more)
    RoleGrant.objects.create(person=person, organisation=trust, role=role, valid_from=date(2026, 1, 1))
    return person


def test_a_grant_that_has_ended_gives_nothing(trust):
    person = somebody(trust, Role.REPORTER)
    RoleGrant.objects.update(valid_to=date(2026, 3, 1))
    acting = acting_for(person, now=NOW)
    assert acting.verbs == frozenset()
    assert acting.scope.organisations == frozenset()


def test_a_person_signs_in_by_password_and_the_sign_in_is_an_event(trust, client: Client):
    person = somebody(trust, Role.REPORTER)
    page = client.get(reverse("account_login"))
    assert page.status_code == 200
    answer = client.post(reverse("account_login"), {"login": person.email, "password": PASSWORD})
    assert answer.status_code == 302
    assert not list(get_messages(answer.wsgi_request)), "the name on top says it"
    event = Event.objects.get(kind=EventKind.PERSON_SIGNED_IN)
    assert event.by == f"person:{person.pk}"


def test_a_wrong_password_says_no_more_than_that(trust, client: Client):
    person = somebody(trust, Role.REPORTER)
    answer = client.post(reverse("account_login"), {"login": person.email, "password": "wrong"})
    assert answer.status_code == 200
    assert not Event.objects.filter(kind=EventKind.PERSON_SIGNED_IN).exists()


def test_only_a_demonstration_person_can_be_become(trust, client: Client):
    real, demo = somebody(trust, Role.REPORTER), somebody(trust, Role.MANAGER, is_demonstration=True)
    assert client.post(reverse("switch_person"), {"person": real.pk}).status_code == 404
    assert client.post(reverse("switch_person"), {"person": demo.pk, "next": "//elsewhere.example/"}).url == "/"
    assert client.session["_auth_user_id"] == str(demo.pk)


def test_nobody_becomes_anybody_outside_the_demonstration(trust, client: Client, settings):
    settings.DEMONSTRATION = False
    demo = somebody(trust, Role.MANAGER, is_demonstration=True)
    assert client.post(reverse("switch_person"), {"person": demo.pk}).status_code == 403


def test_break_glass_opens_one_patient_for_four_hours_and_is_reviewed_by_another(trust):
    person, other = somebody(trust, Role.REPORTER), somebody(trust, Role.MANAGER)
    patient = new_id()
    acting = acting_for(person, now=NOW)
    with pytest.raises(ReasonMissing):
        break_glass(acting, patient, reason="  because ", now=NOW)
    opened = break_glass(acting, patient, reason="Unconscious in resus, no notes", now=NOW)
    assert acting_for(person, now=NOW + timedelta(hours=3)).scope.patients == {patient}
    assert acting_for(person, now=NOW + timedelta(hours=4)).scope.patients == frozenset()
    assert Event.objects.get(kind=EventKind.BREAK_GLASS_USED).about["patient"] == str(patient)
    assert not review_break_glass(opened, by=person, now=NOW)
    assert review_break_glass(opened, by=other, now=NOW)
    assert not review_break_glass(opened, by=other, now=NOW)
    assert Event.objects.get(kind=EventKind.BREAK_GLASS_REVIEWED).by == f"person:{other.pk}"
    assert BreakGlass.objects.get().reviewed_by == other


def test_break_glass_is_a_role_s_right(trust, client: Client):
    person = somebody(trust, Role.RADIOPHARMACIST)
    client.force_login(person, backend="django.contrib.auth.backends.ModelBackend")
    answer = client.get(reverse("break_glass", args=[new_id()]))
    assert answer.status_code == 403
    assert Verb.BREAK_GLASS not in acting_for(person, now=NOW).verbs
    assert b"To break glass you need to be a" in answer.content

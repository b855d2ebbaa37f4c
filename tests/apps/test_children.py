"""No dose of a child is authorised without a practitioner's own authorisation of it; what was given is recorded."""

from datetime import date

import pytest
from django.test import Client
from django.urls import reverse

from gantry.apps.audit.models import Event
from gantry.apps.quality.models import Incident
from gantry.apps.referrals.models import Authorisation
from gantry.apps.scanning.models import Injection, Visit
from gantry.apps.scanning.services.visits import NotAuthorised
from gantry.domain.access import Role
from tests.apps.factories import make_person
from tests.apps.scan_day import Day, make_booked, make_day
from tests.apps.test_visits import inject, prepared

pytestmark = pytest.mark.django_db
NINE = date(2017, 5, 2)


@pytest.fixture
def day() -> Day:
    return make_day()


def a_child(day: Day, *, authorised: float | None, born: date = NINE) -> Visit:
    visit = prepared(day, make_booked(day))
    patient = visit.appointment.referral.patient
    type(patient).objects.filter(pk=patient.pk).update(date_of_birth=born)
    Authorisation.objects.filter(pk=visit.appointment.authorisation_id).update(activity_mbq=authorised)
    return Visit.objects.get(pk=visit.pk)


def test_without_their_own_authorisation_no_override_helps_and_what_happened_is_recorded(day):
    visit, dose = a_child(day, authorised=None), day.dose(280)
    for override in ("", "Consultant agreed on the telephone"):
        refused = inject(day, visit, dose, override_reason=override)
        assert isinstance(refused, NotAuthorised)
        assert refused.never == [
            "This person is 9: a practitioner authorises each child's activity individually, and none has"
        ]
    given = inject(day, visit, dose, already_happened=True)
    assert isinstance(given, Injection) and any("individually" in reason for reason in given.breach)
    assert Event.objects.filter(kind="breach_recorded", subjects__contains=[visit.pk]).exists()
    assert Incident.objects.exists()


def test_the_dose_has_to_be_the_one_that_was_authorised(day):
    visit = a_child(day, authorised=126.0)
    refused = inject(day, visit, day.dose(280), override_reason="Nothing else is left")
    assert isinstance(refused, NotAuthorised) and "was authorised for this child, 126 MBq" in refused.never[0]
    assert isinstance(inject(day, visit, day.dose(132)), Injection)


def test_an_authorisation_that_was_withdrawn_is_none(day):
    visit = a_child(day, authorised=126.0)
    Authorisation.objects.filter(pk=visit.appointment.authorisation_id).update(state="withdrawn")
    refused = inject(day, visit, day.dose(132), override_reason="They said yes yesterday")
    assert isinstance(refused, NotAuthorised) and refused.never


def test_from_sixteen_an_emergency_may_be_overridden_by_name(day):
    visit = a_child(day, authorised=None, born=date(2010, 5, 2))
    dose = day.dose(400)
    refused = inject(day, visit, dose)
    assert isinstance(refused, NotAuthorised) and not refused.never
    assert isinstance(inject(day, visit, dose, override_reason="Last dose of the day"), Injection)


def test_the_page_says_so_in_words_and_offers_no_override(day, monkeypatch):
    from django.utils import timezone

    from tests.apps.test_visits import AT

    monkeypatch.setattr(timezone, "now", lambda: AT)
    visit, dose = a_child(day, authorised=None), day.dose(280)
    client = Client()
    client.force_login(make_person(Role.RADIOGRAPHER, day.made.provider))
    sent = {"barcode": dose.container.barcode, "injected_at": "now", "how": "ask"}
    shown = client.post(reverse("scanning:inject", args=[visit.pk, "inject"]), sent).content.decode()
    assert "individually" in shown and "Override in an emergency" not in shown
    assert "It has already been given: record it" in shown

"""Search and a patient's timeline lead on: to the right person of two with one name, and to each referral."""

import pytest
from django.test import Client
from django.urls import reverse

from gantry.apps.ui.wording import say_nhs_number
from gantry.domain.access import Role
from tests.apps.factories import make_network, make_person, make_referral

pytestmark = pytest.mark.django_db


@pytest.fixture
def made():
    return make_network()


@pytest.fixture
def desk(made) -> Client:
    client = Client()
    referrer = make_person(Role.REFERRER, made.trust, name="Dr Pat Example", gmc="GMC C1234567")
    client.force_login(referrer, backend="django.contrib.auth.backends.ModelBackend")
    return client


def test_search_tells_two_people_of_one_name_apart_by_their_number(made, desk: Client) -> None:
    patient = make_referral(made).patient
    shown = desk.get(reverse("desk:search"), {"q": patient.family_name}).content.decode()
    assert say_nhs_number(patient.nhs_number) in shown


def test_a_patients_timeline_opens_each_referral_and_says_its_next_step(made, desk: Client) -> None:
    referral = make_referral(made)
    shown = desk.get(reverse("desk:timeline", args=["patient", referral.patient_id])).content.decode()
    assert reverse("referrals:detail", args=[referral.pk]) in shown
    assert referral.next_step
    assert referral.next_step in shown

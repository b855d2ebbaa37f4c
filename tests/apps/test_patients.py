"""Who is the same person: by agreed identity, never by likeness; and never twice in one moment."""

from datetime import date
from threading import Barrier, Thread

import pytest
from django.db import connection

from gantry.apps.patients.models import Patient
from gantry.apps.patients.services import GivenIdentifier, conflicts, fill_in, find_or_add
from gantry.domain.events import system
from tests.apps.factories import NOW, make_network, make_patient, patient_facts

BY = system("tests")


def find(facts):
    return find_or_add(facts, organisations=[], now=NOW, by=BY)


@pytest.mark.django_db
def test_a_verified_number_and_the_birth_date_are_one_person():
    made = make_network()
    patient = make_patient(made, number=5001)
    again = find(patient_facts(5001, family_name="Married", identifiers=(GivenIdentifier("Z9", "R0A"),)))
    assert again == patient and set(patient.organisations) == {made.trust.pk, made.provider.pk}
    assert again.identifiers.count() == 2 and again.synthetic


@pytest.mark.django_db
def test_an_untraced_number_needs_the_name_too():
    patient = find(patient_facts(5002))
    assert find(patient_facts(5002, nhs_number_status="02", identifiers=())) == patient
    assert find(patient_facts(5002, nhs_number_status="02", identifiers=(), family_name="Other")) != patient


@pytest.mark.django_db
def test_a_hospital_number_counts_only_with_the_birth_date_and_no_other_number():
    patient = find(patient_facts(5003))
    local = patient_facts(5003, nhs_number="", nhs_number_status="07")
    assert find(local) == patient
    assert find(patient_facts(5003, nhs_number="", nhs_number_status="07", date_of_birth=date(1990, 1, 1))) != patient
    assert find(patient_facts(5004, identifiers=local.identifiers)) != patient
    assert Patient.objects.count() == 3


@pytest.mark.django_db
def test_a_number_held_with_another_birth_date_is_two_rows_and_a_conflict():
    first = find(patient_facts(5005))
    other = patient_facts(5005, date_of_birth=date(2001, 5, 5), identifiers=())
    assert [field for field, _ in conflicts(other)] == ["nhs_number"]
    second = find(other)
    assert second != first and second.nhs_number_status == "05"


@pytest.mark.django_db
def test_what_was_not_known_is_filled_in_and_what_is_known_stays():
    local = GivenIdentifier("H5007", "RBV")
    patient = find(patient_facts(5007, nhs_number="", nhs_number_status="07", identifiers=(local,), email=""))
    again = find(patient_facts(5007, identifiers=(local,), email="new@example.test", phone_primary="01632 960 999"))
    again.refresh_from_db()
    assert again == patient and again.nhs_number_status == "01" and again.email == "new@example.test"
    assert again.phone_primary == "01632 960 001"


@pytest.mark.django_db
def test_a_number_that_somebody_else_holds_is_never_filled_in_as_verified():
    find(patient_facts(5008))
    without = find(patient_facts(5009, nhs_number="", nhs_number_status="07"))
    taken = patient_facts(5008, family_name="Else", date_of_birth=None, identifiers=())
    assert fill_in(without, taken).nhs_number_status == "05"


@pytest.mark.django_db(transaction=True)
def test_two_requests_in_one_moment_make_one_patient():
    gate, found = Barrier(4), []

    def race():
        try:
            gate.wait(timeout=10)
            found.append(find(patient_facts(5006)).pk)
        finally:
            connection.close()

    threads = [Thread(target=race) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=30)
    assert len(found) == 4 and len(set(found)) == 1 and Patient.objects.count() == 1

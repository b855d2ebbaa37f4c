"""Every door's request: kept once, asked back whole, refused with a place to go."""

from dataclasses import replace
from datetime import date, timedelta
from threading import Barrier, Thread

import pytest
from django.db import connection

from gantry.apps.audit.models import Event
from gantry.apps.audit.services import Stale
from gantry.apps.pathways.models import Clock
from gantry.apps.patients.models import Patient
from gantry.apps.referrals import services
from gantry.apps.referrals.models import Finding, Referral, ReferralQuestion
from gantry.domain.events import system
from gantry.domain.lifecycle import IllegalMove
from gantry.domain.referral import Finding as Fault
from tests.apps.factories import (
    NOW,
    actor,
    complete_answers,
    make_network,
    make_organisation,
    make_referral,
    submission,
)
from tests.apps.factories import make_practitioner as practitioner_of

pytestmark = pytest.mark.django_db
BY = system("tests")


def kinds(referral: Referral) -> list[str]:
    return list(Event.objects.filter(subjects__contains=[referral.pk]).order_by("pk").values_list("kind", flat=True))


def test_a_complete_request_waits_for_the_practitioner_with_its_clock():
    made = make_network()
    received = services.receive(submission(made), now=NOW, by=BY)
    referral = received.referral
    assert (referral.state, referral.next_owner) == ("to_vet", "practitioner")
    assert referral.due_at and referral.next_step and referral.completed_at == NOW
    assert referral.breach_on == date(2026, 11, 18) + timedelta(days=28)
    assert Clock.objects.get().days == 28
    assert kinds(referral) == ["referral_received", "clock_started", "referral_completed"]
    assert set(referral.organisations) == {made.trust.pk, made.provider.pk}
    assert not received.repeated


def test_gaps_are_asked_back_at_once_in_the_senders_places():
    made = make_network()
    answers = complete_answers(made, weight_kg=None, diabetes=None)
    received = services.receive(
        submission(made, answers, coordinates={"weight_kg": "OBX", "diabetes": "OBX^2"}), now=NOW, by=BY
    )
    referral = received.referral
    assert (referral.state, referral.next_owner) == ("awaiting_referrer", "referrer")
    rows = {row.field: row.coordinate for row in Finding.objects.filter(severity="query")}
    assert rows == {"weight_kg": "OBX", "diabetes": "OBX^2"}
    assert set(ReferralQuestion.objects.get().fields) == {"weight_kg", "diabetes"}


def test_a_repeat_finds_the_same_referral_by_key_and_by_order_number():
    made = make_network()
    first = services.receive(submission(made, key="hl7:A", placer_order_number="P1"), now=NOW, by=BY).referral
    number = complete_answers(made, number=7001)
    again = services.receive(submission(made, key="hl7:A"), now=NOW, by=BY)
    assert again.repeated and again.referral == first
    one = services.receive(submission(made, number, key="hl7:B", placer_order_number="P2"), now=NOW, by=BY)
    two = services.receive(
        submission(made, number, key="fhir:C", door="fhir", placer_order_number="P2"), now=NOW, by=BY
    )
    assert two.repeated and two.referral == one.referral
    other = services.receive(submission(made, key="fhir:D", placer_order_number="P2"), now=NOW, by=BY)
    assert not other.repeated
    assert Referral.objects.count() == 3


def test_primary_care_is_refused_with_somewhere_to_go_and_nothing_is_kept():
    made = make_network()
    practice = make_organisation("P99999", kind="gp_practice")
    answers = complete_answers(made, referring_org_ods="P99999", patient_status="04")
    refused = services.receive(submission(made, answers, sender_organisation=practice), now=NOW, by=BY)
    assert isinstance(refused, services.Refused)
    assert {"MDS-20", "MDS-21"} <= {one.code for one in refused.findings}
    assert "acute hospital" in refused.where_to
    event = Event.objects.get(pk=refused.event)
    assert event.kind == "referral_refused" and event.data["where_to"] == refused.where_to
    assert "Testcase" not in str(event.data)
    assert not Referral.objects.exists() and not Patient.objects.exists()


def test_outside_the_network_goes_to_a_person_and_is_ours_until_taken():
    made = make_network()
    answers = complete_answers(made, referring_org_ods="RH8", referring_site_ods="RH801", pathway_issuer="RH8")
    received = services.receive(submission(made, answers, sender_organisation=None), now=NOW, by=BY)
    referral = received.referral
    assert (referral.state, referral.next_owner) == ("redirected", "booking_coordinator")
    assert referral.due_at and "Referral desk" in referral.next_step and received.where_to
    assert referral.referring_organisation.ods_code == "RH8"
    assert services.close(referral, reason="Taken by Exeter", now=NOW, by=BY).state == "closed"


def test_nobody_refers_for_another_hospital():
    made = make_network()
    other = make_organisation("R0A")
    made.network.members.add(other)
    refused = services.receive(submission(made, sender_organisation=other), now=NOW, by=BY)
    assert [one.code for one in refused.findings if one.severity == "refuse"] == ["GAN-04"]


@pytest.mark.parametrize(
    "gone", [{"family_name": None}, {"nhs_number": None, "local_patient_id": None}, {"nhs_number": "9990000019"}]
)
def test_who_cannot_be_identified_is_refused(gone):
    made = make_network()
    refused = services.receive(submission(made, complete_answers(made, **gone)), now=NOW, by=BY)
    assert isinstance(refused, services.Refused) and refused.reasons and refused.where_to


def test_a_missing_birth_date_is_asked_for_and_filled_in():
    made = make_network()
    referral = services.receive(submission(made, complete_answers(made, date_of_birth=None)), now=NOW, by=BY).referral
    assert referral.state == "awaiting_referrer" and referral.patient.date_of_birth is None
    answered = services.answer(referral, {"date_of_birth": date(1961, 2, 3)}, version=referral.version, now=NOW, by=BY)
    assert answered.referral.state == "to_vet" and not answered.left
    assert Patient.objects.get().date_of_birth == date(1961, 2, 3)


def test_an_answer_resolves_its_findings_and_leaves_the_rest():
    made = make_network()
    given = submission(made, complete_answers(made, weight_kg=None, diabetes=None))
    referral = services.receive(given, now=NOW, by=BY).referral
    half = services.answer(referral, {"weight_kg": 70.0}, version=referral.version, now=NOW, by=BY)
    assert half.referral.state == "awaiting_referrer" and [one.field for one in half.left] == ["diabetes"]
    with pytest.raises(Stale):
        services.answer(referral, {"diabetes": "none"}, version=1, now=NOW, by=BY)
    whole = services.answer(half.referral, {"diabetes": "none"}, version=half.referral.version, now=NOW, by=BY)
    assert whole.referral.state == "to_vet" and whole.referral.weight_kg == 70.0
    assert not Finding.objects.filter(resolved_at=None, severity="query").exists()
    assert "question_answered" in kinds(referral)


def test_a_hospital_number_held_for_somebody_else_is_asked_about_and_never_merged():
    made = make_network()
    make_referral(made, number=7100, local_patient_id="H1")
    answers = complete_answers(made, number=7101, local_patient_id="H1", date_of_birth=date(1990, 1, 1))
    received = services.receive(submission(made, answers), now=NOW, by=BY)
    assert "GAN-02" in {one.code for one in received.findings}
    assert received.referral.state == "awaiting_referrer" and Patient.objects.count() == 2


def test_the_lifecycle_is_held_and_every_open_state_has_an_owner():
    made = make_network()
    referral = make_referral(made)
    person = practitioner_of(made)
    with pytest.raises(IllegalMove):
        services.resume(referral, now=NOW, by=BY)
    services.ask(referral, "Which lobe?", now=NOW, by=actor(person), person=person)
    referral.refresh_from_db()
    assert (referral.state, referral.next_owner) == ("awaiting_referrer", "referrer")
    answered = services.answer(referral, {}, text="Left upper", version=referral.version, now=NOW, by=BY)
    assert answered.referral.state == "to_vet"
    gone = services.withdraw(answered.referral, reason="Died at home", now=NOW, by=BY)
    assert (gone.state, gone.next_step, gone.due_at) == ("withdrawn", "", None)
    assert services.reopen(gone, reason="Wrong patient", now=NOW, by=BY).state == "to_vet"


def test_urgent_is_due_before_routine_and_never_after_the_breach():
    made = make_network()
    routine = make_referral(made, priority="1")
    urgent = make_referral(made, priority="2")
    assert urgent.due_at < routine.due_at
    late = make_referral(made, fds_clock_start=NOW.date() - timedelta(days=28), target_fds_date=NOW.date(), number=7300)
    assert late.due_at.date() == NOW.date()


def test_two_findings_of_one_fault_are_one():
    made = make_network()
    door = services.receive(
        replace(
            submission(made, complete_answers(made, weight_kg=None)),
            findings=(unreadable("weight_kg"),),
        ),
        now=NOW,
        by=BY,
    )
    assert [one.code for one in door.findings if one.field == "weight_kg"] == ["MDS-02"]


@pytest.mark.django_db(transaction=True)
def test_one_order_by_two_doors_in_one_moment_is_one_referral():
    made = make_network()
    answers = complete_answers(made, number=7400)
    gate, found = Barrier(4), []

    def send(door: str) -> None:
        try:
            gate.wait(timeout=10)
            given = submission(made, answers, door=door, key=f"{door}:race", placer_order_number="RACE")
            found.append(services.receive(given, now=NOW, by=BY))
        finally:
            connection.close()

    threads = [Thread(target=send, args=[door]) for door in ("hl7", "fhir", "csv", "hl7")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=30)
    assert len({one.referral.pk for one in found}) == 1 == Referral.objects.count()
    assert sorted(one.repeated for one in found) == [False, True, True, True]


def unreadable(field: str) -> Fault:
    return Fault("MDS-02", field, "Weight: give a number")

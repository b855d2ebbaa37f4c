"""Referrals and bookings by BaRS messages: once each, refused in the sender's coordinates, half stored never."""

import json
from datetime import UTC, datetime, timedelta

import pytest

from gantry.apps.audit.models import Event, InboxMessage
from gantry.apps.booking.models import Appointment
from gantry.apps.exchange.models import Statement
from gantry.apps.patients.models import Patient
from gantry.apps.referrals.models import Referral
from gantry.domain.identifiers import nth_test_nhs_number
from gantry.gateways.fhir.reading import read_json
from gantry.gateways.fhir.validation import errors, judge
from tests.apps import factories as make
from tests.gateways import fhir_samples as sample
from tests.gateways.fhir_samples import Engine

pytestmark = pytest.mark.django_db


@pytest.fixture
def made():
    return make.make_network()


@pytest.fixture
def at_nine(monkeypatch):
    """The door's clock stands at the tests' own Monday morning."""
    from gantry.apps.accounts import middleware

    monkeypatch.setattr(middleware.timezone, "now", lambda: make.NOW)


@pytest.fixture
def engine(made, at_nine):
    return Engine(made)


def referral_message(made, *, key="", number=0, **over):
    asked = make.complete_answers(made, number=number)
    spoken = sample.patient(nth_test_nhs_number(number))
    spared = {name: value for name, value in asked.items() if name not in ("nhs_number", "nhs_number_status")}
    return sample.message(
        "servicerequest-request",
        sample.request(**over),
        spoken,
        sample.answers_as_questionnaire(spared),
        key=key,
    )


def test_a_service_request_becomes_a_referral_to_vet(engine, made, settings):
    settings.DEMONSTRATION = False  # where everybody is invented, a test number is no doubt
    response = engine.post("$process-message", referral_message(made, key="m-1"))
    assert response.status_code == 200, response.content
    reply = response.json()
    header = reply["entry"][0]["resource"]
    assert (header["response"]["identifier"], header["response"]["code"]) == ("m-1", "ok")
    (note,) = reply["entry"][-1]["resource"]["issue"]
    assert note["severity"] == "warning"
    assert note["expression"] == ["Bundle.entry[2].resource.identifier[0].value"], "a test number is remarked on"
    referral = Referral.objects.get()
    assert (referral.state, referral.door, referral.placer_order_number) == ("to_vet", "fhir", "ORD-1")
    assert referral.patient.nhs_number == nth_test_nhs_number(0)
    assert errors(judge(read_json(response.content).tree)) == []
    assert set(Statement.objects.values_list("type", flat=True)) == {"ServiceRequest", "Patient"}


def test_the_same_message_again_gets_the_same_answer_and_makes_no_second_referral(engine, made):
    sent = referral_message(made, key="m-1")
    first, again = engine.post("$process-message", sent), engine.post("$process-message", sent)
    assert first.content == again.content
    assert Referral.objects.count() == 1
    other = {**sent, "timestamp": "2026-11-23T09:30:00+00:00"}
    refused = engine.post("$process-message", other)
    assert refused.status_code == 409
    assert refused.json()["issue"][0]["code"] == "duplicate"


def test_gaps_are_told_at_their_place_and_asked_back(engine, made):
    sent = sample.message("servicerequest-request", sample.request(), sample.patient(), key="m-2")
    reply = engine.post("$process-message", sent).json()
    said = reply["entry"][0]["resource"]["response"]["details"]["reference"]
    outcome = next(one["resource"] for one in reply["entry"] if one["fullUrl"].endswith(said))
    assert all(issue["severity"] == "warning" for issue in outcome["issue"])
    assert len(outcome["issue"]) > 5
    assert Referral.objects.get().state == "awaiting_referrer"


def test_a_patient_without_identity_is_refused_and_the_refusal_is_kept(engine):
    nobody = {"resourceType": "Patient", "gender": "female"}
    sent = sample.message("servicerequest-request", sample.request(), nobody, key="m-3")
    response = engine.post("$process-message", sent)
    assert response.status_code == 422
    issues = response.json()["issue"]
    assert {issue["details"]["coding"][0]["code"] for issue in issues} == {"REC_UNPROCESSABLE_ENTITY"}
    assert any("name" in str(issue.get("expression")) for issue in issues)
    assert (Referral.objects.count(), Patient.objects.count(), Statement.objects.count()) == (0, 0, 0)
    assert Event.objects.filter(kind="referral_refused").exists()
    assert InboxMessage.objects.get().outcome == "refused"


def test_a_wrong_nhs_number_said_to_be_verified_is_refused_everywhere(engine, made):
    wrong = sample.patient("9990000019")
    for path, body in [
        ("$process-message", sample.message("servicerequest-request", sample.request(), wrong)),
        ("Patient", wrong),
    ]:
        response = engine.post(path, body)
        assert response.status_code in (400, 422), path
        assert "9990000019" not in response.content.decode()
    assert not Patient.objects.filter(nhs_number_status="01").exists()
    assert Statement.objects.count() == 0


def test_a_referral_is_taken_back_by_its_order_number(engine, made):
    engine.post("$process-message", referral_message(made, key="m-1"))
    ending = sample.message(
        "servicerequest-request", sample.request(status="revoked"), sample.patient(), key="m-4", reason="delete"
    )
    assert engine.post("$process-message", ending).status_code == 200
    assert Referral.objects.get().state == "withdrawn"


def test_a_service_request_on_its_own_is_a_referral_too(engine, made):
    inside = {**sample.patient(), "id": "p"}
    asked = sample.request(subject={"reference": "#p"}, contained=[inside])
    response = engine.post("ServiceRequest", asked)
    assert response.status_code == 201, response.content
    assert Referral.objects.get().patient.family_name == "Testcase"
    assert engine.post("ServiceRequest", asked).status_code == 200
    assert Referral.objects.count() == 1
    found = engine.get(response["Location"].partition(sample.BASE)[2])
    assert found.json()["subject"]["reference"].startswith("Patient/")


@pytest.fixture
def accepted(made):
    make.make_bookable(made, days=3)
    return make.make_accepted(made, number=0)


def free_slot(engine, referral):
    found = engine.get(f"Slot?start=ge2026-11-23&start=lt2026-12-01&status=free&based-on=ServiceRequest/{referral.pk}")
    assert found.status_code == 200, found.content
    return read_json(found.content).tree


def test_free_slots_come_with_all_that_they_point_at(engine, accepted):
    found = free_slot(engine, accepted)
    types = [one["resource"]["resourceType"] for one in found["entry"]]
    assert types.count("Slot") == found["total"] >= 3
    assert set(types) == {"Slot", "Schedule", "HealthcareService", "Practitioner", "PractitionerRole", "Location"}
    there = {f"{one['resource']['resourceType']}/{one['resource']['id']}" for one in found["entry"]}
    assert set(references(found)) <= there
    assert errors(judge(found)) == []
    usual = engine.get("Slot?start=ge2026-11-24&start=lt2026-11-25&_count=5").json()
    assert usual["total"] == 5
    assert all(one["resource"]["start"].startswith("2026-11-24") for one in usual["entry"][:5])


def references(value):
    if isinstance(value, dict):
        if isinstance(value.get("reference"), str):
            yield value["reference"]
        for inner in value.values():
            yield from references(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from references(inner)


def booking(slot_id="", *, key="", number=0, start=None, **over):
    who = sample.patient(nth_test_nhs_number(number))
    return sample.message("booking-request", sample.appointment(slot_id, start, **over), who, key=key)


def test_a_booking_takes_the_slot_once(engine, accepted):
    first = free_slot(engine, accepted)["entry"][0]["resource"]
    sent = booking(first["id"], key="b-1")
    response = engine.post("$process-message", sent)
    assert response.status_code == 200, response.content
    reply = response.json()
    assert reply["entry"][0]["resource"]["response"]["identifier"] == "b-1"
    assert errors(judge(read_json(response.content).tree)) == []
    made = Appointment.objects.get(state="booked")
    assert made.arrival_at == datetime.fromisoformat(first["start"])
    assert engine.post("$process-message", sent).json() == reply
    assert engine.post("$process-message", booking(first["id"], key="b-2")).status_code == 409
    assert Appointment.objects.count() == 1
    assert engine.get(f"Slot/{first['id']}").json()["status"] == "busy"


def test_a_slot_of_somebody_elses_making_is_matched_by_its_time(engine, accepted):
    first = free_slot(engine, accepted)["entry"][0]["resource"]
    theirs = {
        "resourceType": "Slot",
        "schedule": {"display": "Diary"},
        "status": "busy",
        "start": first["start"],
        "end": first["end"],
    }
    sent = booking(key="b-3", slot=[{"reference": "urn:uuid:33333333-1111-4111-8111-111111111111"}])
    sent["entry"].append({"fullUrl": "urn:uuid:33333333-1111-4111-8111-111111111111", "resource": theirs})
    assert engine.post("$process-message", sent).status_code == 200
    assert Appointment.objects.get().arrival_at == datetime.fromisoformat(first["start"])


def test_a_booking_without_an_authorised_referral_says_so(engine, made):
    make.make_bookable(made)
    make.make_referral(made, number=0)
    response = engine.post("$process-message", booking(key="b-4"))
    assert response.status_code == 422
    assert "authorised" in response.json()["issue"][0]["diagnostics"]
    assert Appointment.objects.count() == 0


def test_a_time_when_the_scanner_is_shut_is_refused_with_the_reasons(engine, accepted):
    night = datetime(2026, 11, 24, 23, 0, tzinfo=UTC)
    response = engine.post("$process-message", booking(key="b-5", start=night))
    assert response.status_code == 422
    assert response.json()["issue"][0]["diagnostics"]
    assert (Appointment.objects.count(), Statement.objects.count()) == (0, 0)


def test_an_appointment_is_moved_and_cancelled_by_its_own_address(engine, accepted):
    slots = [one["resource"] for one in free_slot(engine, accepted)["entry"] if one["search"]["mode"] == "match"]
    posted = engine.post(
        "Appointment",
        sample.appointment(
            slots[0]["id"],
            basedOn=[{"reference": f"ServiceRequest/{accepted.pk}"}],
            participant=[{"actor": {"reference": f"Patient/{accepted.patient_id}"}, "status": "accepted"}],
        ),
    )
    assert posted.status_code == 201, posted.content
    key = posted.json()["id"]
    target = next(
        one for one in slots if datetime.fromisoformat(one["start"]) - datetime.fromisoformat(slots[0]["start"])
        >= timedelta(hours=1)
    )  # fmt: skip
    body = {**posted.json(), "slot": [{"reference": f"Slot/{target['id']}"}]}
    moved = engine.put(f"Appointment/{key}", body)
    assert moved.status_code == 200, moved.content
    assert moved.json()["start"][:16] == datetime.fromisoformat(target["start"]).isoformat()[:16]
    gone = engine.delete(f"Appointment/{moved.json()['id']}")
    assert (gone.status_code, gone.json()["issue"][0]["details"]["coding"][0]["code"]) == (200, "OK")
    assert sorted(Appointment.objects.values_list("state", flat=True)) == ["cancelled", "replaced"]


def test_a_booking_message_cancels_with_whose_wish_it_was(engine, accepted):
    first = free_slot(engine, accepted)["entry"][0]["resource"]
    made = engine.post("$process-message", booking(first["id"], key="b-1")).json()["entry"][1]["resource"]
    sent = booking(key="b-6", id=made["id"], status="cancelled", cancelationReason={"coding": [{"code": "pat"}]})
    assert engine.post("$process-message", sent).status_code == 200
    assert Appointment.objects.get().state == "cancelled"
    event = Event.objects.get(kind="appointment_cancelled")
    assert (event.cause_code, event.cause_initiator) == ("patient_cancelled", "patient")


def test_another_organisation_can_neither_see_nor_move_it(engine, accepted, made, at_nine):
    first = free_slot(engine, accepted)["entry"][0]["resource"]
    mine = engine.post("$process-message", booking(first["id"], key="b-1")).json()["entry"][1]["resource"]
    elsewhere = make.make_organisation("RXX")
    made.network.members.add(elsewhere)
    stranger = Engine(made, person=make.make_person(make.Role.INTERFACE, elsewhere))
    assert stranger.get(f"Appointment/{mine['id']}").status_code == 404
    assert stranger.delete(f"Appointment/{mine['id']}").status_code == 404
    assert stranger.post("$process-message", booking(key="s-1")).status_code == 422
    assert stranger.get(f"Slot?start=ge2026-11-24&based-on=ServiceRequest/{accepted.pk}").status_code == 404
    assert json.loads(stranger.get("Appointment").content)["total"] == 0

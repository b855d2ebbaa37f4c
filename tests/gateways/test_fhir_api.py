"""Who may read what, how it is found and recorded, and every refusal provoked by a request."""

import base64
import json
from datetime import timedelta
from uuid import uuid4

import pytest
from django.core.management import CommandError, call_command
from django.test import Client
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gantry.apps.accounts.models import BreakGlass, RoleGrant
from gantry.apps.audit.models import Event
from gantry.apps.booking.models import Appointment
from gantry.apps.exchange.models import AccessRecord, Statement
from gantry.apps.referrals.models import Referral
from gantry.domain.access import Role
from gantry.gateways.fhir import api as api_module
from gantry.gateways.fhir import tokens
from gantry.gateways.fhir.elements import RESOURCE_TYPES
from gantry.gateways.fhir.reading import MOST_BYTES, read_json, read_xml
from gantry.gateways.fhir.served import SERVED
from gantry.gateways.fhir.validation import errors, judge
from tests.apps import factories as make
from tests.apps.reports import make_reading
from tests.apps.reports import receive as receive_images
from tests.gateways import fhir_samples as sample
from tests.gateways.fhir_samples import BASE, Engine

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def at_nine(monkeypatch):
    from gantry.apps.accounts import middleware

    monkeypatch.setattr(middleware.timezone, "now", lambda: make.NOW)


@pytest.fixture
def made():
    return make.make_network()


@pytest.fixture
def engine(made):
    return Engine(made)


def said(response):
    issue = response.json()["issue"][0]
    return response.status_code, issue["code"], issue["details"]["coding"][0]["code"]


def test_the_capability_statement_is_valid_and_says_what_is_served():
    response = Client().get(f"{BASE}metadata")
    tree = read_json(response.content).tree
    assert errors(judge(tree)) == []
    assert {one["type"] for one in tree["rest"][0]["resource"]} == set(SERVED)
    assert response["Content-Type"].startswith("application/fhir+json")


@pytest.mark.parametrize("kind", sorted(SERVED))
def test_each_type_of_the_statement_can_be_searched_and_read(engine, made, kind):
    make.make_bookable(made)
    appointment = make.make_booked_appointment(made)
    found = engine.get(f"{kind}?_count=2" + ("&start=ge2026-11-24" if kind == "Slot" else ""))
    assert found.status_code == 200, found.content
    for one in found.json().get("entry", []):
        assert errors(judge(read_json(json.dumps(one["resource"]).encode()).tree)) == []
        again = engine.get(f"{one['resource']['resourceType']}/{one['resource']['id']}")
        assert again.status_code == 200, again.content
    if kind in (
        "Appointment",
        "ServiceRequest",
        "Patient",
        "Location",
        "HealthcareService",
        "Schedule",
        "Organization",
    ):
        assert found.json()["entry"], kind
    assert engine.get(f"{kind}/{uuid4()}").status_code == 404
    assert appointment.pk


def test_every_parameter_of_the_statement_is_taken(engine):
    for kind, resource in SERVED.items():
        for name, parameter in resource.searches.items():
            value = {"date": "ge2026-01-01", "token": "x|y", "reference": f"X/{uuid4()}"}.get(parameter.type, "x")
            assert engine.get(f"{kind}?{name}={value}").status_code == 200, (kind, name)
        if resource.updated:
            for prefix in ("", "ge", "gt", "le", "lt"):
                assert engine.get(f"{kind}?_lastUpdated={prefix}2026-11-01").status_code == 200, kind


def test_a_patient_is_found_by_number_and_told_in_either_form(engine, made):
    patient = make.make_patient(made, number=3)
    found = engine.get(f"Patient?identifier={sample.NHS}|{patient.nhs_number}").json()
    assert [one["resource"]["id"] for one in found["entry"]] == [str(patient.pk)]
    assert engine.get(f"Patient?identifier=https://other.example|{patient.nhs_number}").json()["total"] == 0
    as_json = read_json(engine.get(f"Patient/{patient.pk}").content).tree
    for asked in ({"accept": "application/fhir+xml"}, {"accept": "text/xml;q=0.9, text/plain"}):
        as_xml = engine.get(f"Patient/{patient.pk}", **asked)
        assert read_xml(as_xml.content).tree == as_json
    assert read_xml(engine.get(f"Patient/{patient.pk}?_format=xml").content).tree == as_json
    assert as_json["birthDate"] == "1958-03-14"
    assert as_json["identifier"][0]["value"] == patient.nhs_number


def test_pages_follow_one_another_and_miss_nobody(engine, made):
    everyone = {str(make.make_patient(made, number=n).pk) for n in range(7)}
    url, seen = "Patient?_count=3", []
    while url:
        page = engine.get(url).json()
        seen += [one["resource"]["id"] for one in page["entry"]]
        following = [one["url"] for one in page["link"] if one["relation"] == "next"]
        url = following[0].partition(BASE)[2] if following else ""
    assert len(seen) == len(set(seen)) == 7
    assert set(seen) == everyone


def test_every_read_is_recorded_and_the_record_cannot_be_changed(engine, made):
    patient = make.make_patient(made)
    engine.get(f"Patient/{patient.pk}")
    engine.get(f"Patient?family={patient.family_name[:3]}")
    engine.get(f"Patient/{uuid4()}")
    read, searched, missed = AccessRecord.objects.order_by("id")
    assert (read.interaction, read.subjects, read.patients) == ("read", [patient.pk], [patient.pk])
    assert (searched.interaction, searched.asked, searched.patients) == ("search", "family", [patient.pk])
    assert (missed.subjects, missed.person) == ([], engine.person.pk)
    with pytest.raises(Exception, match="append_only"):
        AccessRecord.objects.update(type="x")


def test_another_organisations_rows_are_not_there(engine, made):
    referral = make.make_referral(made)
    stranger = Engine(made, person=make.make_person(Role.INTERFACE, make.make_organisation("RXX")))
    for path in (f"ServiceRequest/{referral.pk}", f"Patient/{referral.patient_id}"):
        assert engine.get(path).status_code == 200
        assert stranger.get(path).status_code == 404
    assert stranger.get("ServiceRequest").json()["total"] == 0


def test_a_session_may_read_and_never_write(made):
    person = make.make_person(Role.BOOKING_COORDINATOR, made.provider)
    referral = make.make_referral(made)
    browser = Client()
    browser.force_login(person, backend="django.contrib.auth.backends.ModelBackend")
    assert browser.get(f"{BASE}ServiceRequest/{referral.pk}").status_code == 200
    response = browser.post(f"{BASE}Patient", data="{}", content_type=sample.JSON)
    assert said(response) == (401, "unknown", "SEND_UNAUTHORIZED")


def test_a_token_speaks_under_interface_roles_only(made):
    person = make.make_person(Role.INTERFACE, made.trust)
    elsewhere = make.make_organisation("RXX")
    RoleGrant.objects.create(
        person=person, organisation=elsewhere, role=Role.MANAGER.value, valid_from=make.PAPERS_FROM
    )
    other = make.make_patient(make.Made(made.network, elsewhere, elsewhere, made.site, made.other_site), number=40)
    engine = Engine(made, person=person)
    assert engine.get(f"Patient/{other.pk}").status_code == 404
    RoleGrant.objects.filter(person=person, role="interface").update(valid_to=make.NOW.date() - timedelta(days=1))
    assert said(engine.get(f"Patient/{other.pk}")) == (403, "forbidden", "SEND_FORBIDDEN")
    assert said(engine.post("Patient", sample.patient())) == (403, "forbidden", "SEND_FORBIDDEN")
    with pytest.raises(tokens.NotIssued):
        tokens.issue(person, until=make.NOW + timedelta(days=1), now=make.NOW)


def test_a_token_is_issued_by_command_to_interfaces_only(made, capsys):
    person = make.make_person(Role.INTERFACE, made.trust)
    call_command("fhir_token", person.email)
    assert tokens.holder(capsys.readouterr().out.strip(), now=make.NOW) == person.pk
    with pytest.raises(CommandError):
        call_command("fhir_token", make.make_person(Role.MANAGER, made.trust).email)


def test_what_others_state_is_theirs_and_read_by_its_new_id(engine, made):
    stated = {
        "resourceType": "Practitioner",
        "id": "prac-1",
        "name": [{"family": "Example", "given": ["Pat"]}],
        "extension": [{"url": "https://rbv.example/x", "valueDecimal": 1}],
    }
    posted = engine.post(
        "Practitioner", json.dumps(stated).replace('"valueDecimal": 1', '"valueDecimal": 1.50').encode()
    )
    assert posted.status_code == 201
    where = posted["Location"].partition(BASE)[2]
    back = engine.get(where)
    assert b"1.50" in back.content
    tree = back.json()
    assert (tree["name"], tree["id"]) == (stated["name"], where.rpartition("/")[2])
    assert engine.post("Practitioner", stated).json()["meta"]["versionId"] == "2"
    assert engine.get("Practitioner?name=Example").json()["total"] == 0
    assert Statement.objects.count() == 2


# Every refusal, provoked


def test_no_token_a_wrong_one_and_one_that_has_expired(made, engine):
    assert said(Client().get(f"{BASE}Patient")) == (401, "unknown", "SEND_UNAUTHORIZED")
    wrong = Client().get(f"{BASE}Patient", headers={"authorization": "Bearer nonsense"})
    assert said(wrong) == (401, "security", "SEND_UNAUTHORIZED")
    assert wrong["WWW-Authenticate"] == "Bearer"
    old = tokens.issue(engine.person, until=make.NOW - timedelta(1), now=make.NOW - timedelta(9))
    expired = Client().get(f"{BASE}Patient", headers={"authorization": f"Bearer {old}"})
    assert said(expired) == (401, "expired", "SEND_UNAUTHORIZED")


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("Patient/01a20195-0000-7000-8000-000000000000", (404, "not-found", "REC_NOT_FOUND")),
        ("Patient/not-an-id", (404, "not-found", "REC_NOT_FOUND")),
        ("nothing/at/all", (404, "not-found", "REC_NOT_FOUND")),
        ("", (404, "not-found", "REC_NOT_FOUND")),
        ("$process-message", (405, "not-supported", "SEND_METHOD_NOT_ALLOWED")),
        ("Observation/1", (400, "not-supported", "REC_BAD_REQUEST")),
        ("Patient?shoe-size=9", (400, "not-supported", "REC_BAD_REQUEST")),
        ("Patient?_count=many", (400, "value", "SEND_BAD_REQUEST")),
        ("Patient?_page=x", (400, "value", "SEND_BAD_REQUEST")),
        ("Patient?family=", (400, "required", "SEND_BAD_REQUEST")),
        ("Appointment?date=yesterday", (400, "value", "SEND_BAD_REQUEST")),
        ("Slot", (400, "required", "SEND_BAD_REQUEST")),
        ("Slot?start=ge2026-11-24&status=taken", (400, "value", "SEND_BAD_REQUEST")),
        ("Slot?start=ge2026-11-24&start=lt2028-01-01", (422, "too-costly", "REC_UNPROCESSABLE_ENTITY")),
        ("Slot?start=ge2026-11-24&based-on=7", (400, "value", "SEND_BAD_REQUEST")),
        ("Patient?_format=pdf", (406, "processing", "SEND_NOT_ACCEPTABLE")),
    ],
)
def test_a_read_that_cannot_be_answered_says_which_error_it_is(engine, path, expected):
    assert said(engine.get(path)) == expected


def test_forms_that_are_not_spoken_here(engine):
    assert said(engine.get("Patient", accept="text/plain")) == (406, "processing", "SEND_NOT_ACCEPTABLE")
    later = engine.get("Patient", accept="application/fhir+json; fhirVersion=5.0")
    assert said(later) == (406, "processing", "SEND_NOT_ACCEPTABLE")
    assert said(engine.post("Patient", b"a=b", "text/plain")) == (406, "processing", "SEND_NOT_ACCEPTABLE")
    refused = engine.get("Observation/1", accept="application/fhir+xml")
    assert read_xml(refused.content).tree["issue"][0]["code"] == "not-supported"


@pytest.mark.parametrize(
    ("path", "body", "expected"),
    [
        ("Patient", b'{"resourceType": "Patient", }', (400, "invalid", "SEND_BAD_REQUEST")),
        ("Patient", b"\xff\xfe{", (400, "invalid", "SEND_BAD_REQUEST")),
        ("Patient", b"[" * 100_000, (400, "invalid", "SEND_BAD_REQUEST")),
        ("Patient", b'{"resourceType": "Patient", "birthDate": NaN}', (400, "invalid", "SEND_BAD_REQUEST")),
        ("Patient", b'{"a": 1, "a": 2}', (400, "invalid", "SEND_BAD_REQUEST")),
        ("Patient", b"", (400, "invalid", "SEND_BAD_REQUEST")),
        ("Patient", b'{"resourceType": "Patient", "gender": "x"}', (400, "invariant", "REC_BAD_REQUEST")),
        ("Patient", b'{"resourceType": "Slot"}', (400, "invariant", "REC_BAD_REQUEST")),
        ("Device", b'{"resourceType": "Device"}', (400, "not-supported", "REC_BAD_REQUEST")),
        ("$process-message", b'{"resourceType": "Patient"}', (400, "invariant", "REC_BAD_REQUEST")),
        ("Patient", sample.patient("9990000019"), (400, "value", "REC_BAD_REQUEST")),
        ("Appointment", sample.appointment(), (400, "invariant", "REC_BAD_REQUEST")),
        ("Patient/1", b"{}", (405, "not-supported", "SEND_METHOD_NOT_ALLOWED")),
        ("metadata", b"{}", (405, "not-supported", "SEND_METHOD_NOT_ALLOWED")),
    ],
)
def test_a_body_that_cannot_be_taken_says_which_error_it_is_and_nothing_is_kept(engine, path, body, expected):
    if path == "Appointment":
        body["participant"][0]["actor"] = {"display": "Somebody"}
    before = (Statement.objects.count(), Referral.objects.count(), Event.objects.count())
    assert said(engine.post(path, body)) == expected
    assert (Statement.objects.count(), Referral.objects.count(), Event.objects.count()) == before


def test_a_body_over_ten_megabytes_is_refused_as_such(engine):
    response = engine.post("Patient", b" " * (MOST_BYTES + 1))
    assert said(response) == (413, "too-long", "SEND_BAD_REQUEST")


def test_an_error_of_ours_is_an_outcome_without_a_trace(engine, monkeypatch, caplog):
    def fall_over(*args, **kwargs):
        raise ValueError("Jane Testcase 9990000018")

    monkeypatch.setattr(api_module.reads, "search", fall_over)
    response = engine.get("Patient")
    assert said(response) == (500, "transient", "REC_SERVER_ERROR")
    assert "Jane" not in response.content.decode() + caplog.text
    assert "Traceback" not in response.content.decode()


def test_a_database_that_is_away_is_said_to_be(engine, monkeypatch):
    from django.db import OperationalError

    def away(*args, **kwargs):
        raise OperationalError

    monkeypatch.setattr(api_module.reads, "read", away)
    assert said(engine.get(f"Patient/{uuid4()}")) == (503, "transient", "REC_SERVICE_UNAVAILABLE")


def test_entities_and_bombs_in_xml_are_not_opened(engine):
    bomb = b'<!DOCTYPE x [<!ENTITY a "aaaa">]><Patient xmlns="http://hl7.org/fhir"><id value="&a;"/></Patient>'
    assert said(engine.post("Patient", bomb, "application/fhir+xml")) == (400, "invalid", "SEND_BAD_REQUEST")
    assert said(engine.post("$validate", bomb, "application/fhir+xml"))[0] == 400


@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_a_message_spoilt_anywhere_is_refused_and_half_of_it_is_never_kept(engine, data):
    """Bytes cut, doubled, changed or put in: an outcome every time, never a 500, and nothing stored by a refusal."""
    whole = json.dumps(sample.message("servicerequest-request", sample.request(), {"resourceType": "Patient"})).encode()
    at = data.draw(st.integers(0, len(whole) - 1))
    to = data.draw(st.integers(at, min(len(whole), at + 40)))
    spoilt = whole[:at] + data.draw(st.binary(max_size=8)) + whole[to:]
    before = (Statement.objects.count(), Referral.objects.count())
    response = engine.post(data.draw(st.sampled_from(["$process-message", "Patient", "$validate"])), spoilt)
    assert response.status_code < 500
    assert response.json()["resourceType"] in ("OperationOutcome", "Patient")
    if response.status_code >= 400:
        assert (Statement.objects.count(), Referral.objects.count()) == before


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    kind=st.sampled_from([*sorted(SERVED), *sorted(RESOURCE_TYPES)[:5]]),
    query=st.dictionaries(
        st.sampled_from(["_count", "_page", "_id", "identifier", "patient", "start", "date", "_lastUpdated", "name"]),
        st.text(max_size=30),
        max_size=3,
    ),
)
def test_no_query_breaks_a_search(engine, kind, query):
    response = engine.client.get(f"{BASE}{kind}", query, headers=engine.headers())
    assert response.status_code in (200, 400, 422), response.content
    assert not Appointment.objects.exists()


def test_a_reference_is_compared_as_a_key_so_that_its_index_answers(engine, made):
    for kind, resource in SERVED.items():
        for name, parameter in resource.searches.items():
            if parameter.type == "reference":
                assert "::text" not in parameter.sql, f"{kind}?{name}"
    row = make.make_accepted(made)
    for said in (str(row.patient_id), f"Patient/{str(row.patient_id).upper()}"):
        assert len(engine.get(f"ServiceRequest?patient={said}").json()["entry"]) == 1
    for nobody in (uuid4(), "no-key-of-ours", "Patient/1"):
        found = engine.get(f"ServiceRequest?patient={nobody}")
        assert (found.status_code, "entry" in found.json()) == (200, False), found.content
        assert "entry" not in engine.get(f"ServiceRequest?_id={nobody}".replace("Patient/", "")).json()


def test_a_report_and_its_images_are_told_to_those_who_may_read_reports():
    reading = make_reading()
    version = reading.verified()
    engine = Engine(reading.day.made)
    found = engine.get(f"DiagnosticReport?identifier={reading.procedure.accession_number}")
    tree = read_json(found.content).tree
    assert errors(judge(tree)) == []
    (report,) = [one["resource"] for one in tree["entry"]]
    assert (report["id"], report["status"], report["meta"]["versionId"]) == (str(version.report_id), "final", "1")
    assert report["conclusion"] == version.conclusion
    words = base64.b64decode(report["presentedForm"][0]["data"]).decode()
    assert version.findings in words
    study = read_json(engine.get(report["imagingStudy"][0]["reference"]).content).tree
    assert errors(judge(study)) == []
    assert study["identifier"][0]["value"] == f"urn:oid:{reading.procedure.study_uid}"
    assert (study["numberOfSeries"], study["numberOfInstances"]) == (1, 1)
    clerk = make.make_person(Role.BOOKING_COORDINATOR, reading.day.made.provider)
    browser = Client()
    browser.force_login(clerk, backend="django.contrib.auth.backends.ModelBackend")
    assert said(browser.get(f"{BASE}DiagnosticReport/{report['id']}")) == (403, "forbidden", "SEND_FORBIDDEN")
    assert browser.get(f"{BASE}{report['imagingStudy'][0]['reference']}").status_code == 200


def test_images_held_until_somebody_decides_are_told_to_nobody():
    reading = make_reading()
    receive_images(reading.visit, number=7, study_uid="1.2.826.0.1.3680043.8.498.99", nhs_number="9990000026")
    engine = Engine(reading.day.made)
    told = engine.get("ImagingStudy").json()["entry"]
    assert [one["resource"]["identifier"][0]["value"] for one in told] == [f"urn:oid:{reading.procedure.study_uid}"]


def test_an_opened_patient_is_seen_by_the_session_that_opened_them(made):
    """Break-glass reaches the API as it reaches the pages, and a token has none."""
    patient = make.make_patient(made)
    stranger = make.make_person(Role.REFERRER, make.make_organisation("RXX"))
    browser = Client()
    browser.force_login(stranger, backend="django.contrib.auth.backends.ModelBackend")
    assert browser.get(f"{BASE}Patient/{patient.pk}").status_code == 404
    BreakGlass.objects.create(
        person=stranger,
        patient=patient.pk,
        reason="Collapsed in clinic",
        from_at=make.NOW,
        to_at=make.NOW + timedelta(hours=1),
        event=uuid4(),
    )
    assert browser.get(f"{BASE}Patient/{patient.pk}").status_code == 200

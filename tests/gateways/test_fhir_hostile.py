"""Resources that no system means to send: refused as what they are, soon, in few words, and nothing kept."""

import json
import time
from uuid import uuid4

import pytest

from gantry.apps.audit.models import InboxMessage
from gantry.apps.exchange.models import Statement
from gantry.apps.referrals.models import Referral
from gantry.gateways.fhir import reading
from gantry.gateways.fhir.asking import MOST_ENTRIES, MOST_OBJECTS
from gantry.gateways.fhir.outcomes import MOST_TOLD
from tests.apps import factories as make
from tests.gateways import fhir_samples as sample
from tests.gateways.fhir_samples import BASE
from tests.gateways.test_fhir_api import at_nine, engine, made, said

__all__ = ["at_nine", "engine", "made"]
pytestmark = pytest.mark.django_db
ROLE = "urn:uuid:33333333-1111-4111-8111-111111111111"


def kept() -> tuple[int, int]:
    return Referral.objects.count(), Statement.objects.count()


def test_roles_that_refer_to_one_another_in_a_circle_are_nobody(engine):
    """It was an error of ours, said to be passing: the sender would have tried for ever."""
    whole = sample.message("servicerequest-request", sample.request(requester={"reference": ROLE}), sample.patient())
    role = {
        "resourceType": "PractitionerRole",
        "practitioner": {"reference": ROLE},
        "organization": {"reference": ROLE},
    }
    whole["entry"].append({"fullUrl": ROLE, "resource": role})
    assert engine.post("$process-message", whole).status_code == 200
    alone = sample.request(
        subject={"reference": "#p"},
        requester={"reference": "#r"},
        identifier=[{"system": "https://rbv.example/orders", "value": "ORD-2"}],
        contained=[
            {**sample.patient(), "id": "p"},
            {"resourceType": "PractitionerRole", "id": "r", "practitioner": {"reference": "#r"}},
        ],
    )
    assert engine.post("ServiceRequest", alone).status_code == 201
    assert Referral.objects.count() == 2


def test_a_long_text_of_escaped_characters_is_read_in_one_pass():
    began = time.process_time()
    text = "\\ud83d\\ude00" * 400_000
    assert not reading.half_characters(text)
    assert reading.half_characters(text + "\\ud83d") and reading.half_characters("\\ude00" + text)
    assert not reading.half_characters("\\\\ud83d")
    assert time.process_time() - began < 5


@pytest.mark.parametrize("many", [MOST_ENTRIES - 1, 30_000])
def test_a_message_of_more_entries_than_one_transaction_holds_is_refused_whole(engine, many):
    whole = sample.message("servicerequest-request", sample.request(), sample.patient())
    one = {"resourceType": "Location", "name": "x"}
    whole["entry"] += [{"fullUrl": f"urn:uuid:{uuid4()}", "resource": one} for _ in range(many)]
    before = kept()
    began = time.process_time()
    assert said(engine.post("$process-message", whole)) == (413, "too-long", "SEND_BAD_REQUEST")
    assert time.process_time() - began < 4
    assert kept() == before and not InboxMessage.objects.exists()


@pytest.mark.parametrize("form", ["json", "xml"])
def test_a_resource_of_a_hundred_thousand_parts_is_refused(engine, form):
    if form == "json":
        body = json.dumps(sample.patient(identifier=[{"value": str(n)} for n in range(MOST_OBJECTS)])).encode()
    else:
        body = b"<Patient xmlns='http://hl7.org/fhir'>" + b"<name><family value='A'/></name>" * 100_000 + b"</Patient>"
    answer = engine.post("Patient", body, f"application/fhir+{form}")
    assert answer.status_code == 413
    assert kept() == (0, 0)


@pytest.mark.parametrize("path", ["Patient", "$validate"])
def test_a_fault_in_each_of_many_parts_is_told_in_an_answer_that_can_be_read(engine, path):
    """It was forty-six megabytes."""
    body = b"<Patient xmlns='http://hl7.org/fhir' " + b" ".join(b"a%d='1'" % n for n in range(50_000)) + b"/>"
    answer = engine.post(path, body, "application/fhir+xml")
    assert answer.status_code == (200 if path == "$validate" else 400)
    issues = answer.json()["issue"]
    assert len(issues) == MOST_TOLD + 1 and issues[-1]["diagnostics"].endswith(" more like these")


def test_an_order_number_too_long_to_be_kept_whole_is_refused_where_it_stands(engine):
    number = [{"system": "https://rbv.example/orders", "value": "9" * 81}]
    whole = sample.message("servicerequest-request", sample.request(identifier=number), sample.patient())
    answer = engine.post("$process-message", whole)
    assert answer.status_code == 400
    assert answer.json()["issue"][0]["expression"] == ["Bundle.entry[1].resource.identifier"]
    assert kept() == (0, 0)


@pytest.mark.parametrize(
    ("kind", "encoding", "status"),
    [
        ("application/fhir+json; charset=utf-16", "utf-16", 406),
        ("application/fhir+json; charset=iso-8859-1", "latin-1", 406),
        ("application/fhir+json; charset=nonsense", "utf-8", 406),
        ("application/fhir+json", "utf-16", 400),
        ("application/fhir+json", "latin-1", 400),
        ("application/x-www-form-urlencoded", "utf-8", 406),
        ("multipart/form-data; boundary=x", "utf-8", 406),
        ("multipart/form-data", "utf-8", 406),
        ("\x80\xff", "utf-8", 406),
    ],
)
def test_another_encoding_or_type_is_refused_and_never_read_as_if_it_were_ours(engine, kind, encoding, status):
    body = json.dumps(sample.patient(name=[{"family": "Müller"}]), ensure_ascii=False).encode(encoding)
    answer = engine.client.generic("POST", f"{BASE}Patient", body, content_type=kind, headers=engine.headers())
    assert answer.status_code == status and answer.json()["resourceType"] == "OperationOutcome"
    assert kept() == (0, 0)


def test_another_organisation_s_token_withdraws_and_reads_nothing(engine, made):
    engine.post("$process-message", sample.message("servicerequest-request", sample.request(), sample.patient()))
    row = Referral.objects.get()
    other = make.make_organisation("RZZ")
    made.network.members.add(other)
    stranger = sample.Engine(made, person=make.make_person(make.Role.INTERFACE, other))
    ended = sample.request(status="revoked")
    for focus in (ended, {**ended, "id": str(row.pk)}):
        whole = sample.message("servicerequest-request", focus, sample.patient(), reason="delete")
        assert stranger.post("$process-message", whole).status_code == 404
    assert stranger.get(f"ServiceRequest/{row.pk}").status_code == 404
    assert stranger.get(f"Patient/{row.patient_id}").status_code == 404
    row.refresh_from_db()
    assert row.state != "withdrawn"


def test_a_stranger_s_use_of_a_message_id_is_their_own(engine, made):
    """Two senders may choose one id; neither is told the other's answer."""
    whole = sample.message("servicerequest-request", sample.request(), sample.patient())
    first = engine.post("$process-message", whole)
    other = make.make_organisation("RZZ")
    made.network.members.add(other)
    stranger = sample.Engine(made, person=make.make_person(make.Role.INTERFACE, other))
    again = stranger.post("$process-message", whole)
    assert again.content != first.content
    assert {row.door for row in InboxMessage.objects.all()} == {"fhir"} and InboxMessage.objects.count() == 2

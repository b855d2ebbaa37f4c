"""Resources and messages that the FHIR tests send: written here, synthetic, valid unless a test spoils them."""

from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import uuid4

from django.test import Client

from gantry.apps.accounts.models import Person
from gantry.domain.access import Role
from gantry.domain.identifiers import nth_test_nhs_number
from gantry.gateways.fhir import tokens
from gantry.gateways.fhir.writing import as_json
from tests.apps import factories as make

NHS = "https://fhir.nhs.uk/Id/nhs-number"
ODS = "https://fhir.nhs.uk/Id/ods-organization-code"
VERIFICATION = "https://fhir.hl7.org.uk/StructureDefinition/Extension-UKCore-NHSNumberVerificationStatus"
JSON = "application/fhir+json"
BASE = "/fhir/R4/"


def verified(number: str) -> dict[str, Any]:
    coding = {
        "system": "https://fhir.hl7.org.uk/CodeSystem/UKCore-NHSNumberVerificationStatus",
        "code": "number-present-and-verified",
    }
    return {
        "extension": [{"url": VERIFICATION, "valueCodeableConcept": {"coding": [coding]}}],
        "system": NHS,
        "value": number,
    }


def patient(number: str = "", born: str = "1958-03-14", **over: Any) -> dict[str, Any]:
    return {
        "resourceType": "Patient",
        "identifier": [
            verified(number or nth_test_nhs_number(0)),
            {"value": "H000001", "assigner": {"identifier": {"system": ODS, "value": "RBV"}}},
        ],
        "name": [{"use": "official", "family": "Testcase", "given": ["Number1"], "prefix": ["Ms"]}],
        "telecom": [{"system": "phone", "value": "01632 960 001"}],
        "gender": "female",
        "birthDate": born,
        "address": [{"use": "home", "line": ["1 Test Street"], "city": "Testown", "postalCode": "M20 4BX"}],
        **over,
    }


def request(**over: Any) -> dict[str, Any]:
    return {
        "resourceType": "ServiceRequest",
        "identifier": [{"system": "https://rbv.example/orders", "value": "ORD-1"}],
        "status": "active",
        "intent": "order",
        "priority": "urgent",
        "subject": {"reference": "urn:uuid:11111111-1111-4111-8111-111111111111"},
        "authoredOn": "2026-11-20T09:00:00+00:00",
        "occurrencePeriod": {"end": "2026-12-04"},
        "reasonCode": [
            {
                "coding": [{"system": "urn:gantry:code", "code": "ONC-NSC"}],
                "text": "Stage before radical treatment: nodal or distant disease?",
            }
        ],
        **over,
    }


def message(event: str, focus: dict[str, Any], *others: dict[str, Any], key: str = "", reason: str = "new") -> dict:
    """A BaRS message; the patient's fullUrl is all ones, the focus's all twos, the others' follow."""
    key = key or str(uuid4())
    urls = [f"urn:uuid:{n}{n}{n}{n}{n}{n}{n}{n}-1111-4111-8111-111111111111" for n in "3456789"]
    header = {
        "resourceType": "MessageHeader",
        "eventCoding": {"system": "https://fhir.nhs.uk/CodeSystem/message-events-bars", "code": event},
        "source": {"name": "Test engine", "endpoint": "https://rbv.example/fhir"},
        "reason": {"coding": [{"system": "https://fhir.nhs.uk/CodeSystem/message-reason-bars", "code": reason}]},
        "focus": [{"reference": "urn:uuid:22222222-2222-4222-8222-222222222222"}],
    }
    held = [("urn:uuid:00000000-0000-4000-8000-000000000000", header)]
    held.append(("urn:uuid:22222222-2222-4222-8222-222222222222", focus))
    spare = iter(urls)
    for one in others:
        first = one["resourceType"] == "Patient"
        held.append(("urn:uuid:11111111-1111-4111-8111-111111111111" if first else next(spare), one))
    return {
        "resourceType": "Bundle",
        "id": key,
        "type": "message",
        "timestamp": "2026-11-23T09:00:00+00:00",
        "entry": [{"fullUrl": url, "resource": one} for url, one in held],
    }


def appointment(slot_id: str = "", start: datetime | None = None, **over: Any) -> dict[str, Any]:
    at = start or datetime(2026, 11, 24, 9, 0, tzinfo=UTC)
    return {
        "resourceType": "Appointment",
        "status": "booked",
        "start": at.isoformat(),
        "end": (at + timedelta(hours=2)).isoformat(),
        **({"slot": [{"reference": f"Slot/{slot_id}"}]} if slot_id else {}),
        "participant": [
            {"actor": {"reference": "urn:uuid:11111111-1111-4111-8111-111111111111"}, "status": "accepted"}
        ],
        **over,
    }


def answers_as_questionnaire(answers: dict[str, Any]) -> dict[str, Any]:
    """The data set as a QuestionnaireResponse whose linkIds are its names."""

    def item(name: str, value: Any) -> dict[str, Any]:
        if isinstance(value, list | tuple) and value and isinstance(value[0], dict):
            return {"linkId": name, "item": [item(inner, one) for inner, one in value[0].items()]}
        given = value if isinstance(value, list | tuple) else [value]
        given = given or ["none"]
        return {"linkId": name, "answer": [answer(one) for one in given]}

    def answer(value: Any) -> dict[str, Any]:
        if isinstance(value, bool):
            return {"valueBoolean": value}
        if isinstance(value, datetime | date):
            return {"valueString": value.isoformat()}
        return {"valueString": str(value)}

    return {
        "resourceType": "QuestionnaireResponse",
        "status": "completed",
        "item": [item(name, value) for name, value in answers.items()],
    }


class Engine:
    """A hospital's integration engine with a token."""

    def __init__(self, made: make.Made, *, now: datetime = make.NOW, person: Person | None = None) -> None:
        self.person = person or make.make_person(Role.INTERFACE, made.trust)
        self.now = now
        self.token = tokens.issue(self.person, until=now + timedelta(days=30), now=now)
        self.client = Client()

    def headers(self, **over: str) -> dict[str, str]:
        return {"authorization": f"Bearer {self.token}", **over}

    def get(self, path: str, **headers: str) -> Any:
        return self.client.get(BASE + path, headers=self.headers(**headers))

    def post(self, path: str, body: Any, kind: str = JSON, **headers: str) -> Any:
        data = body if isinstance(body, bytes) else as_json(body).encode()
        return self.client.post(BASE + path, data=data, content_type=kind, headers=self.headers(**headers))

    def put(self, path: str, body: Any) -> Any:
        return self.client.put(BASE + path, data=as_json(body).encode(), content_type=JSON, headers=self.headers())

    def delete(self, path: str) -> Any:
        return self.client.delete(BASE + path, headers=self.headers())

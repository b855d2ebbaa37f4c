"""Writes the CapabilityStatement from what is served, so that it cannot say more."""

from datetime import datetime

from gantry.gateways.fhir.reading import Tree
from gantry.gateways.fhir.resource import Resource
from gantry.gateways.fhir.served import SERVED

VERSION = "1"
SLOT_SEARCH = (
    ("start", "date", "From and until, in two: ge and lt (or le); six weeks at most"),
    ("status", "token", "free"),
    ("schedule.actor", "reference", "HealthcareService/<id> of one site"),
    ("based-on", "reference", "ServiceRequest/<id>: times that suit that referral, where it is authorised"),
)
OPERATIONS = (
    ("process-message", "http://hl7.org/fhir/OperationDefinition/MessageHeader-process-message"),
    ("validate", "http://hl7.org/fhir/OperationDefinition/Resource-validate"),
)
DOCUMENTATION = (
    "Reads and searches give this service's own rows. What others state here (create) is kept as theirs, read back by"
    " the id that it was given, and never found by a search of ours."
)


def statement(*, now: datetime, address: str) -> Tree:
    return {
        "resourceType": "CapabilityStatement",
        "url": f"{address}metadata",
        "version": VERSION,
        "name": "GantryFhir",
        "title": "Gantry: PET-CT referrals, appointments, images and reports",
        "status": "active",
        "date": now.date().isoformat(),
        "publisher": "Gantry",
        "description": DOCUMENTATION,
        "kind": "instance",
        "software": {"name": "Gantry"},
        "implementation": {"description": "Gantry", "url": address.rstrip("/")},
        "fhirVersion": "4.0.1",
        "format": ["application/fhir+json", "application/fhir+xml", "json", "xml"],
        "rest": [
            {
                "mode": "server",
                "documentation": DOCUMENTATION,
                "security": {
                    "cors": False,
                    "service": [{"text": "Bearer token of a system; a signed-in session may read"}],
                    "description": "Denied unless a role of the asker allows; every read is recorded",
                },
                "resource": [resource(SERVED[name]) for name in sorted(SERVED)],
                "operation": [{"name": name, "definition": url} for name, url in OPERATIONS],
            }
        ],
    }


def resource(served: Resource) -> Tree:
    codes = ["read", "search-type", "create"]
    if served.type == "Appointment":
        codes += ["update", "delete"]
    if served.type == "Slot":
        parameters = [{"name": name, "type": kind, "documentation": said} for name, kind, said in SLOT_SEARCH]
    else:
        parameters = [{"name": name, "type": one.type} for name, one in {**served.searches}.items()]
        parameters.append({"name": "_id", "type": "token"})
        if served.updated:
            parameters.append({"name": "_lastUpdated", "type": "date"})
    return {
        "type": served.type,
        "interaction": [{"code": code} for code in codes],
        "versioning": "no-version",
        "readHistory": False,
        "updateCreate": False,
        "searchParam": parameters,
        "operation": [{"name": "validate", "definition": OPERATIONS[1][1]}],
    }

"""Tells a referral as a FHIR ServiceRequest, and reads the data set out of one that somebody sent."""

from collections.abc import Iterator
from typing import Any

from gantry.gateways.fhir import resource as sql
from gantry.gateways.fhir.reading import Tree
from gantry.gateways.fhir.resource import (
    BY_ORGANISATION,
    OURS,
    Resource,
    Search,
    arr,
    case,
    changed,
    day,
    instant,
    obj,
    organisation,
    reference,
    said,
    text,
    when,
)

PLACER = "urn:gantry:placer-order-number"
STATUS = {
    "draft": "draft",
    "on_hold": "on-hold",
    "closed": "completed",
    "refused": "revoked",
    "rejected": "revoked",
    "redirected": "revoked",
    "withdrawn": "revoked",
}
PRIORITY = {"1": "routine", "2": "urgent", "3": "urgent"}
OUR_PRIORITY = {"routine": "1", "urgent": "2", "asap": "2", "stat": "2"}
TRACERS = "https://gantry.example/fhir/CodeSystem/tracer"

UPDATED = changed("r.received_at")
JSON = obj(
    resourceType=text("ServiceRequest"),
    id="r.id",
    meta=obj(versionId="r.version::text", lastUpdated=instant(UPDATED)),
    identifier=when("r.placer_order_number <> ''", arr(obj(system=text(PLACER), value="r.placer_order_number"))),
    status=case("r.state", STATUS, "active"),
    intent=text("order"),
    priority=case("r.priority::text", PRIORITY, "routine"),
    code=when("r.procedure_code <> ''", obj(coding=arr(obj(system=text(OURS), code="r.procedure_code")))),
    subject=reference("Patient", "r.patient_id"),
    occurrencePeriod=when(
        "r.not_before IS NOT NULL OR r.needed_by IS NOT NULL",
        obj(start=day("r.not_before"), end=day("r.needed_by")),
    ),
    authoredOn=instant("r.received_at"),
    requester=organisation("ro"),
    performer=arr(organisation("po")),
    reasonCode=when(
        "r.indication_code <> ''",
        arr(
            obj(
                coding=arr(obj(system=text(OURS), code="r.indication_code")),
                text=said("r.answers->>'clinical_question'"),
            )
        ),
    ),
)

RESOURCE = Resource(
    type="ServiceRequest",
    columns={"status": "status", "intent": "intent", "priority": "priority", "authoredOn": "stated_at"},
    rows="referrals_referral r JOIN estate_organisation ro ON ro.id = r.referring_organisation_id"
    " JOIN estate_organisation po ON po.id = r.provider_id",
    json=JSON,
    seen=BY_ORGANISATION.format(patient="r.patient_id"),
    patient="r.patient_id",
    updated=UPDATED,
    searches={
        "identifier": Search("token", sql.token(text(PLACER), "r.placer_order_number")),
        "patient": Search("reference", "r.patient_id = %(value)s"),
        "patient:identifier": Search(
            "token",
            "r.patient_id IN (SELECT p.id FROM patients_patient p WHERE"
            f" {sql.token(text(sql.NHS_NUMBER), 'p.nhs_number')})",
        ),
        "status": Search("token", f"{case('r.state', STATUS, 'active')} = %(value)s"),
    },
    creates=True,
)


def answers(tree: Tree, path: str) -> Iterator[tuple[str, Any, str]]:
    """(data-set item, value, FHIRPath) for everything that the request itself says."""
    period = tree.get("occurrencePeriod") or {}
    yield "request_datetime", tree.get("authoredOn"), f"{path}.authoredOn"
    yield "priority", OUR_PRIORITY.get(str(tree.get("priority")), ""), f"{path}.priority"
    yield "not_before", str(period.get("start") or "")[:10], f"{path}.occurrencePeriod.start"
    by = str(period.get("end") or tree.get("occurrenceDateTime") or "")[:10]
    yield "requested_scan_by", by, f"{path}.occurrencePeriod.end"
    for place, concept in enumerate(tree.get("reasonCode") or ()):
        at = f"{path}.reasonCode[{place}]"
        for number, coding in enumerate(concept.get("coding") or ()):
            if coding.get("system") == OURS:
                yield "indication_code", coding.get("code"), f"{at}.coding[{number}].code"
        if concept.get("text"):
            yield "clinical_question", concept["text"], f"{at}.text"
    for number, coding in enumerate((tree.get("code") or {}).get("coding") or ()):
        if coding.get("system") == TRACERS:
            yield "tracer_requested", coding.get("code"), f"{path}.code.coding[{number}].code"
    notes = [str(note.get("text") or "") for note in tree.get("note") or ()]
    if any(notes) and not any(one.get("text") for one in tree.get("reasonCode") or ()):
        yield "clinical_question", "\n".join(filter(None, notes)), f"{path}.note"

"""Tells the newest issued version of a report as a FHIR DiagnosticReport."""

from gantry.domain.access import Verb
from gantry.gateways.fhir import resource as sql
from gantry.gateways.fhir.resource import (
    OURS,
    Resource,
    Search,
    arr,
    case,
    changed,
    instant,
    obj,
    organisation,
    reference,
    said,
    text,
    when,
)

STATUS = {
    "preliminary": "preliminary",
    "final": "final",
    "amended": "amended",
    "withdrawn": "cancelled",
    "entered_in_error": "entered-in-error",
}
LOINC_IMAGING = "18748-4"
"""LOINC: Diagnostic imaging study."""
TEXT = "concat_ws(E'\\n\\n', nullif(v.technique, ''), nullif(v.findings, ''), nullif(v.conclusion, ''))"

UPDATED = changed("v.issued_at")
JSON = obj(
    resourceType=text("DiagnosticReport"),
    id="r.id",
    meta=obj(versionId="v.number::text", lastUpdated=instant(UPDATED)),
    identifier=arr(
        obj(
            type=obj(coding=arr(obj(system=text(sql.ACCESSION), code=text("ACSN")))),
            value="q.accession_number",
            assigner=organisation("po"),
        )
    ),
    basedOn=arr(reference("ServiceRequest", "f.id")),
    status=case("v.state", STATUS, "unknown"),
    category=arr(obj(coding=arr(obj(system=text("http://terminology.hl7.org/CodeSystem/v2-0074"), code=text("NMS"))))),
    code=obj(
        coding=arr(
            obj(system=text("http://loinc.org"), code=text(LOINC_IMAGING)),
            obj(system=text(OURS), code="q.procedure_code"),
        ),
        text="q.title",
    ),
    subject=reference("Patient", "f.patient_id"),
    issued=instant("v.issued_at"),
    performer=arr(organisation("po")),
    resultsInterpreter=arr(obj(reference="'Practitioner/' || v.author_id", display="a.name")),
    imagingStudy=when("r.study_id IS NOT NULL", arr(reference("ImagingStudy", "r.study_id"))),
    conclusion=said("v.conclusion"),
    presentedForm=when(
        f"{TEXT} <> ''",
        arr(
            obj(
                contentType=text("text/plain; charset=utf-8"),
                data=f"translate(encode(convert_to({TEXT}, 'UTF8'), 'base64'), E'\\n', '')",
            )
        ),
    ),
)

RESOURCE = Resource(
    type="DiagnosticReport",
    columns={"status": "status", "issued": "stated_at", "conclusion": "conclusion"},
    rows="reporting_report r JOIN LATERAL (SELECT * FROM reporting_reportversion x WHERE x.report_id = r.id"
    " ORDER BY x.number DESC LIMIT 1) v ON true JOIN referrals_requestedprocedure q ON q.id = r.procedure_id"
    " JOIN referrals_referral f ON f.id = q.referral_id JOIN estate_organisation po ON po.id = f.provider_id"
    " JOIN accounts_person a ON a.id = v.author_id",
    json=JSON,
    seen="(f.organisations && who.organisations OR f.patient_id = ANY(who.opened))",
    patient="f.patient_id",
    updated=UPDATED,
    searches={
        "patient": Search("reference", "f.patient_id = %(value)s"),
        "identifier": Search("token", "q.accession_number = %(value)s"),
        "based-on": Search("reference", "f.id = %(value)s"),
    },
    verb=Verb.READ_REPORT,
    creates=True,
)

"""Tells images that surely belong to somebody as a FHIR ImagingStudy."""

from gantry.gateways.fhir import resource as sql
from gantry.gateways.fhir.resource import (
    DICOM,
    Resource,
    Search,
    arr,
    instant,
    obj,
    organisation,
    reference,
    said,
    text,
    when,
)

MODALITY = f"json_build_object('system', {text(DICOM)}, 'code', "
SERIES = f"""(SELECT json_agg({
    obj(
        uid="e.series_uid",
        number="e.number",
        modality=obj(system=text(DICOM), code="coalesce(nullif(e.modality, ''), 'OT')"),
        description=said("e.description"),
        numberOfInstances="(SELECT count(*) FROM scanning_instance i WHERE i.series_id = e.id)",
    )
} ORDER BY e.number, e.series_uid) FROM scanning_series e WHERE e.study_id = r.id)"""

UPDATED = "r.last_instance_at"
JSON = obj(
    resourceType=text("ImagingStudy"),
    id="r.id",
    meta=obj(lastUpdated=instant(UPDATED)),
    identifier=arr(
        obj(system=text("urn:dicom:uid"), value="'urn:oid:' || r.study_uid"),
        obj(
            type=obj(coding=arr(obj(system=text(sql.ACCESSION), code=text("ACSN")))),
            value="q.accession_number",
            assigner=organisation("po"),
        ),
    ),
    status=text("available"),
    modality=when(
        "cardinality(r.modalities) > 0",
        f"(SELECT json_agg({MODALITY} m)) FROM unnest(r.modalities) AS m)",
    ),
    subject=reference("Patient", "f.patient_id"),
    started=instant("r.received_at"),
    basedOn=arr(reference("ServiceRequest", "f.id")),
    numberOfSeries="(SELECT count(*) FROM scanning_series e WHERE e.study_id = r.id)",
    numberOfInstances="r.instances_count",
    description=said("r.description"),
    series=SERIES,
)

RESOURCE = Resource(
    type="ImagingStudy",
    columns={"status": "status", "description": "description", "started": "starts"},
    rows="scanning_study r JOIN referrals_requestedprocedure q ON q.id = r.procedure_id"
    " JOIN referrals_referral f ON f.id = q.referral_id JOIN estate_organisation po ON po.id = f.provider_id",
    json=JSON,
    seen="(f.organisations && who.organisations OR f.patient_id = ANY(who.opened))",
    patient="f.patient_id",
    updated=UPDATED,
    searches={
        "patient": Search("reference", "f.patient_id = %(value)s"),
        "identifier": Search(
            "token",
            "(q.accession_number = %(value)s OR 'urn:oid:' || r.study_uid = %(value)s)",
        ),
        "basedon": Search("reference", "f.id = %(value)s"),
    },
    creates=True,
)

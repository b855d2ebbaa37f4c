"""Tells an appointment of ours as a FHIR Appointment."""

from gantry.gateways.fhir import resource as sql
from gantry.gateways.fhir.resource import (
    BORN,
    Resource,
    Search,
    arr,
    case,
    changed,
    instant,
    obj,
    reference,
    text,
)

STATUS = {
    "held": "pending",
    "booked": "booked",
    "told": "booked",
    "arrived": "arrived",
    "fulfilled": "fulfilled",
    "did_not_attend": "noshow",
    "was_not_brought": "noshow",
}
"""Turned away, expired, cancelled and replaced are all cancelled to FHIR; our history says which."""

UPDATED = changed(BORN)
JSON = obj(
    resourceType=text("Appointment"),
    id="r.id",
    meta=obj(lastUpdated=instant(UPDATED)),
    status=case("r.state", STATUS, "cancelled"),
    serviceType=arr(obj(text="q.title")),
    description="q.title",
    start=instant("r.arrival_at"),
    end=instant("r.ends_at"),
    basedOn=arr(reference("ServiceRequest", "r.referral_id")),
    participant=arr(
        obj(actor=reference("Patient", "f.patient_id"), status=text("accepted")),
        obj(actor=reference("Location", "s.id", "s.name"), status=text("accepted")),
    ),
)

RESOURCE = Resource(
    type="Appointment",
    columns={
        "status": "status",
        "description": "description",
        "start": "starts",
        "end": "ends",
        "created": "stated_at",
    },
    rows="booking_appointment r JOIN referrals_referral f ON f.id = r.referral_id"
    " JOIN referrals_requestedprocedure q ON q.id = r.procedure_id JOIN estate_site s ON s.id = r.site_id",
    json=JSON,
    seen="(f.organisations && who.organisations OR f.patient_id = ANY(who.opened))",
    patient="f.patient_id",
    updated=UPDATED,
    searches={
        "patient": Search("reference", "f.patient_id = %(value)s"),
        "patient:identifier": Search(
            "token",
            "f.patient_id IN (SELECT p.id FROM patients_patient p WHERE"
            f" {sql.token(text(sql.NHS_NUMBER), 'p.nhs_number')})",
        ),
        "date": Search("date", "r.arrival_at"),
        "status": Search("token", f"{case('r.state', STATUS, 'cancelled')} = %(value)s"),
        "location": Search("reference", "s.id = %(value)s"),
    },
    creates=True,
)

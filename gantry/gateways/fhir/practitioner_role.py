"""Tells a registered person's role in an organisation as a FHIR PractitionerRole."""

from gantry.gateways.fhir.resource import (
    COLLEAGUE,
    OURS,
    Resource,
    Search,
    arr,
    day,
    obj,
    organisation,
    reference,
    text,
)

RESOURCE = Resource(
    type="PractitionerRole",
    columns={"active": "active"},
    rows="accounts_rolegrant r JOIN accounts_person p ON p.id = r.person_id"
    " JOIN estate_organisation o ON o.id = r.organisation_id",
    json=obj(
        resourceType=text("PractitionerRole"),
        id="r.id",
        active="(r.valid_from <= %(today)s AND (r.valid_to IS NULL OR r.valid_to >= %(today)s) AND p.is_active)",
        period=obj(start=day("r.valid_from"), end=day("r.valid_to")),
        practitioner=reference("Practitioner", "p.id", "p.name"),
        organization=organisation("o"),
        code=arr(obj(coding=arr(obj(system=text(OURS), code="r.role")), text="replace(r.role, '_', ' ')")),
    ),
    seen=f"(p.registration <> '' AND {COLLEAGUE.format(organisation='r.organisation_id')})",
    searches={
        "practitioner": Search("reference", "p.id = %(value)s"),
        "organization": Search("reference", "o.id = %(value)s"),
    },
    creates=True,
)

"""Tells the PET-CT service at a site of ours as a FHIR HealthcareService."""

from gantry.gateways.fhir.resource import ODS_SITE, Resource, Search, arr, obj, organisation, reference, text, token

RESOURCE = Resource(
    type="HealthcareService",
    columns={"active": "active", "name": "name"},
    rows="estate_site r JOIN estate_network n ON n.id = r.network_id JOIN estate_organisation p ON p.id = n.provider_id",
    json=obj(
        resourceType=text("HealthcareService"),
        id="r.id",
        identifier=arr(obj(system=text(ODS_SITE), value="r.ods_code")),
        active="true",
        providedBy=organisation("p"),
        type=arr(obj(text=text("PET-CT"))),
        location=arr(reference("Location", "r.id", "r.name")),
        name="'PET-CT at ' || r.name",
    ),
    searches={
        "identifier": Search("token", token(text(ODS_SITE), "r.ods_code")),
        "organization": Search("reference", "n.provider_id = %(value)s"),
    },
    creates=True,
)

"""Tells an organisation of ours as a FHIR Organization."""

from gantry.gateways.fhir.resource import ODS_ORGANISATION, Resource, Search, arr, obj, said, text, token, when

RESOURCE = Resource(
    type="Organization",
    columns={"active": "active", "name": "name"},
    rows="estate_organisation r",
    json=obj(
        resourceType=text("Organization"),
        id="r.id",
        identifier=arr(obj(system=text(ODS_ORGANISATION), value="r.ods_code")),
        active="true",
        name=said("r.name"),
        telecom=when("r.phone <> ''", arr(obj(system=text("phone"), value="r.phone", use=text("work")))),
        address=when("r.postcode <> ''", arr(obj(use=text("work"), postalCode="r.postcode"))),
    ),
    searches={
        "identifier": Search("token", token(text(ODS_ORGANISATION), "r.ods_code")),
        "name": Search("string", "r.name ILIKE %(starts)s"),
    },
    creates=True,
)

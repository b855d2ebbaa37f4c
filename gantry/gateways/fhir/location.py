"""Tells a site of ours as a FHIR Location."""

from gantry.gateways.fhir.resource import ODS_SITE, Resource, Search, arr, obj, organisation, said, text, token, when

RESOURCE = Resource(
    type="Location",
    columns={"status": "status", "name": "name", "description": "description"},
    rows="estate_site r JOIN estate_organisation o ON o.id = r.organisation_id",
    json=obj(
        resourceType=text("Location"),
        id="r.id",
        identifier=arr(obj(system=text(ODS_SITE), value="r.ods_code")),
        status=text("active"),
        name=said("r.name"),
        description=said("r.getting_there"),
        mode=text("instance"),
        address=when("r.postcode <> ''", obj(use=text("work"), postalCode="r.postcode")),
        position=obj(longitude="r.longitude", latitude="r.latitude"),
        managingOrganization=organisation("o"),
    ),
    searches={
        "identifier": Search("token", token(text(ODS_SITE), "r.ods_code")),
        "name": Search("string", "r.name ILIKE %(starts)s"),
    },
    creates=True,
)

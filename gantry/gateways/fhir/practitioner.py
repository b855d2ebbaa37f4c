"""Tells a person of ours who is registered with a professional body as a FHIR Practitioner."""

from gantry.gateways.fhir.resource import COLLEAGUE, GMC, Resource, Search, arr, obj, text, token, when

NUMBER = "substr(r.registration, 5)"
REGISTERED = "r.registration LIKE 'GMC %%'"

RESOURCE = Resource(
    type="Practitioner",
    columns={"active": "active", "gender": "gender", "birthDate": "birth_date"},
    rows="accounts_person r",
    json=obj(
        resourceType=text("Practitioner"),
        id="r.id",
        identifier=when(REGISTERED, arr(obj(system=text(GMC), value=NUMBER))),
        active="r.is_active",
        name=arr(obj(text="r.name")),
    ),
    seen="(r.registration <> '' AND EXISTS (SELECT 1 FROM accounts_rolegrant g WHERE g.person_id = r.id"
    f" AND {COLLEAGUE.format(organisation='g.organisation_id')}))",
    searches={
        "identifier": Search("token", f"({REGISTERED} AND {token(text(GMC), NUMBER)})"),
        "name": Search("string", "r.name ILIKE %(starts)s"),
    },
    creates=True,
)

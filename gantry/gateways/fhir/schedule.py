"""Tells a scanner's diary at a site of ours as a FHIR Schedule."""

from gantry.gateways.fhir.resource import Resource, Search, arr, instant, obj, reference, text

RESOURCE = Resource(
    type="Schedule",
    columns={"active": "active"},
    rows="estate_deployment r JOIN estate_scanner c ON c.id = r.scanner_id JOIN estate_site s ON s.id = r.site_id",
    json=obj(
        resourceType=text("Schedule"),
        id="r.id",
        identifier=arr(obj(system=text("urn:gantry:ae-title"), value="c.ae_title")),
        active="(r.to_at IS NULL OR r.to_at > %(now)s)",
        serviceType=arr(obj(text=text("PET-CT"))),
        actor=arr(reference("HealthcareService", "s.id"), reference("Location", "s.id", "s.name")),
        planningHorizon=obj(start=instant("r.from_at"), end=instant("r.to_at")),
        comment="c.name",
    ),
    searches={
        "identifier": Search("token", "c.ae_title = %(value)s"),
        "actor": Search("reference", "s.id = %(value)s"),
    },
    creates=True,
)

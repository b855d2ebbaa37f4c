"""The small network that the checks play in: a trust, a provider, a licensed site with a scanner."""

from dataclasses import dataclass
from datetime import date

from gantry.apps.estate.models import EmployerLicence, Network, Organisation, OrganisationKind, Site
from gantry.reference.tracers import TRACERS

PAPERS = date(2015, 1, 1), date(2039, 12, 31)
PROCEDURES = tuple(fact.value.procedure_code for fact in TRACERS.values())


@dataclass(frozen=True, slots=True)
class Setting:
    network: Network
    trust: Organisation
    site: Site


def setting(trust_ods: str) -> Setting:
    """Each check has a trust of its own, so that what one keeps is not an earlier order of another."""
    provider = organisation("CNFP", OrganisationKind.INDEPENDENT_PROVIDER, "Conformance provider")
    trust = organisation(trust_ods, OrganisationKind.ACUTE_TRUST, f"Conformance trust {trust_ods}")
    network, _ = Network.objects.get_or_create(
        name="Conformance network", defaults={"provider": provider, "outside_contact": "Conformance desk"}
    )
    network.members.add(trust, provider)
    site, made = Site.objects.get_or_create(
        ods_code="CNFP01",
        defaults={
            "network": network,
            "organisation": provider,
            "name": "Conformance PET-CT",
            "latitude": 53.43,
            "longitude": -2.23,
        },
    )
    if made:
        EmployerLicence.objects.create(
            site=site, number="E-CNF", procedures=list(PROCEDURES), valid_from=PAPERS[0], valid_to=PAPERS[1]
        )
    return Setting(network, trust, site)


def organisation(ods: str, kind: OrganisationKind, name: str) -> Organisation:
    return Organisation.objects.get_or_create(ods_code=ods, defaults={"name": name, "kind": kind})[0]

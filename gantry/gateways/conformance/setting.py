"""The small network that the checks play in: a trust, a provider, a licensed site with a scanner and its people."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from random import Random

from django.utils import timezone

from gantry.apps.accounts.models import Entitlement, Person, PractitionerLicence, RoleGrant
from gantry.apps.estate.models import (
    ActivityAllotment,
    Deployment,
    EmployerLicence,
    Network,
    Organisation,
    OrganisationKind,
    Room,
    RoomKind,
    Scanner,
    Session,
    Site,
)
from gantry.apps.referrals import services as referrals
from gantry.apps.referrals.models import Referral
from gantry.domain.access import Role
from gantry.domain.events import Actor, system
from gantry.domain.network import people
from gantry.domain.referral import Severity, VetDecision
from gantry.reference.protocols import PROTOCOLS
from gantry.reference.tracers import TRACERS

PAPERS = date(2015, 1, 1), date(2039, 12, 31)
PROCEDURES = tuple(fact.value.procedure_code for fact in TRACERS.values())
PROTOCOL = "fdg_body"


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


def person(role: Role, of: Organisation) -> Person:
    """Who holds a role somewhere; the same one each time."""
    email = f"{role.value}.{of.ods_code.lower()}@example.test"
    found = Person.objects.filter(email=email).first()
    if found is None:
        found = Person.objects.create_user(
            email=email, password=None, name=f"Conformance {role.value.replace('_', ' ')}", registration="GMC C0000001"
        )
        RoleGrant.objects.create(person=found, organisation=of, role=role.value, valid_from=PAPERS[0])
    return found


def practitioner(at: Setting) -> Person:
    found = person(Role.PRACTITIONER, at.network.provider)
    if not PractitionerLicence.objects.filter(person=found).exists():
        PractitionerLicence.objects.create(
            person=found, number="P-CNF", procedures=list(PROCEDURES), valid_from=PAPERS[0], valid_to=PAPERS[1]
        )
        Entitlement.objects.create(
            person=found, employer=at.site.organisation, duty="practitioner", valid_from=PAPERS[0]
        )
    return found


def opened_around(at: Setting, slot: datetime) -> Scanner:
    """A scanner with a room and activity that day, so that the slot is free."""
    scanner, made = Scanner.objects.get_or_create(ae_title="CNFPET", defaults={"name": "Conformance scanner"})
    if made:
        Deployment.objects.create(scanner=scanner, site=at.site, from_at=slot - timedelta(days=60))
        Room.objects.create(site=at.site, kind=RoomKind.UPTAKE, name="Uptake")
    opens, closes = slot - timedelta(hours=2), slot + timedelta(hours=8)
    Session.objects.get_or_create(
        site=at.site, scanner=scanner, on=timezone.localdate(slot), defaults={"starts_at": opens, "ends_at": closes}
    )
    ActivityAllotment.objects.get_or_create(
        site=at.site,
        tracer="FDG",
        reference_at=opens,
        defaults={"usable_from": opens, "usable_to": closes, "total_mbq": 20_000, "free_mbq": 20_000},
    )
    return scanner


def authorised(at: Setting, now: datetime, **identity: object) -> Referral:
    """A complete adult's referral of this trust, vetted and authorised, for the person whom `identity` names."""
    chance = Random(1)
    who = people.person(1, people.Kind.ADULT, now.date(), chance)
    hospital = people.Hospital(at.trust.ods_code, "Dr Pat Example", "C1234567")
    # No timed pathway: the rules of cancer clocks are dated, and the examples are older than the first of them.
    timed = ("pathway_id", "pathway_issuer", "suspected_cancer_type", "fds_clock_start", "target_fds_date")
    plain = {
        "cancer_pathway": "none",
        "tracer_requested": "FDG",
        "indication_code": "ONC-NSC",
        "tumour_site": "C34.1",
        "scan_purpose": "staging",
        "histology": "Adenocarcinoma",
        "stage": "T2 N1",
    }
    answers = people.answers(who, hospital, at=now, within_days=10, chance=chance) | plain | identity
    answers = {name: value for name, value in answers.items() if name not in timed}
    received = referrals.receive(
        referrals.Submission(
            door="web",
            source_key=f"conformance:{at.trust.ods_code}",
            answers=answers,
            network=at.network,
            sender_organisation=at.trust,
        ),
        now=now,
        by=BY,
    )
    if isinstance(received, referrals.Refused):
        raise ValueError(f"the set-up's referral was refused: {[one.message for one in received.findings]}")
    gaps = [one.message for one in received.findings if one.severity is not Severity.WARN]
    if gaps:
        raise ValueError(f"the set-up's referral has gaps: {gaps}")
    referral = received.referral
    doctor = practitioner(at)
    actor = Actor(f"person:{doctor.pk}", doctor.name, at.network.provider_id, doctor.pk)
    fdg = TRACERS["FDG"].value
    wanted = referrals.Wanted(
        fdg.procedure_code, "FDG", "FDG PET-CT", PROTOCOL, PROTOCOLS[PROTOCOL].value.version, 250.0, "conformance"
    )
    vetting = referrals.Vetting(
        VetDecision.ACCEPT, procedures=(wanted,), justified=True, justification="Conformance set-up",
        indication_row="ONC-NSC", indication_edition="RCR 2022, 4th edition",
    )  # fmt: skip
    vetted = referrals.vet(referral, vetting, version=referral.version, now=now, by=actor, person=doctor)
    if isinstance(vetted, referrals.NotVetted):
        raise ValueError(f"the set-up's referral was not authorised: {vetted.reasons}")
    return vetted.referral


BY = system("conformance")


@contextmanager
def clock_at(moment: datetime) -> Iterator[None]:
    """Every door reads this moment for now."""
    honest = timezone.now
    timezone.now = lambda: moment
    try:
        yield
    finally:
        timezone.now = honest

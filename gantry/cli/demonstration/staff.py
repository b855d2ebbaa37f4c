"""Makes the demonstration's people: who signs in, as what, for whom, with which licences and entitlements."""

import os
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.contrib.auth.hashers import make_password
from django.db import transaction

from gantry.apps.accounts.models import Entitlement, Person, PractitionerLicence, RoleGrant
from gantry.apps.estate.models import Organisation, Site
from gantry.apps.radiopharmacy.services.staff import record_staff_dose
from gantry.cli.demonstration.places import PAPERS
from gantry.cli.places import remembered_secret, var
from gantry.domain.access import Role
from gantry.domain.events import system
from gantry.domain.network.people import Hospital
from gantry.domain.staff_dose import Part, Reading
from gantry.reference.network import ORGANISATIONS, PROVIDER, REFERRERS
from gantry.reference.tracers import TRACERS

CHILDRENS = frozenset({"RBS", "RCU"})
SURNAMES = ("Archer", "Barrow", "Chandler", "Draper", "Fletcher", "Glover", "Hooper", "Mercer", "Naylor", "Porter")
"""Trades of old: nobody real is meant."""


@dataclass(frozen=True, slots=True)
class Staff:
    role: Role
    ods: str
    name: str
    registration: str = ""

    @property
    def email(self) -> str:
        first = self.name.split()[-1].lower()
        return f"{first}.{self.role.value.replace('_', '.')}.{self.ods.lower()}@demo.example"


PROVIDERS: tuple[Staff, ...] = (
    Staff(Role.BOOKING_COORDINATOR, PROVIDER, "Bo Clerk"),
    Staff(Role.PRACTITIONER, PROVIDER, "Dr Ines Weaver", "GMC C7100001"),
    Staff(Role.RADIOGRAPHER, PROVIDER, "Ray Tanner", "HCPC RA71002"),
    Staff(Role.RADIOGRAPHER, PROVIDER, "Una Thatcher", "HCPC RA71003"),
    Staff(Role.RADIOPHARMACIST, PROVIDER, "Rhys Cooper", "GPhC 7100004"),
    Staff(Role.PHYSICIST, PROVIDER, "Dr Phil Turner", "HCPC CS71005"),
    Staff(Role.SESSION_LEAD, PROVIDER, "Lee Carter"),
    Staff(Role.REPORTER, PROVIDER, "Dr Rita Sawyer", "GMC C7100006"),
    Staff(Role.REPORTER, PROVIDER, "Dr Sam Potter", "GMC C7100007"),
    Staff(Role.MANAGER, PROVIDER, "Max Warden"),
    Staff(Role.RADIOGRAPHER, "RBV", "Kit Skinner", "HCPC RA71008"),
    Staff(Role.RADIOGRAPHER, "R0A", "Jo Brewer", "HCPC RA71009"),
    Staff(Role.PRACTITIONER, "RBV", "Dr Vera Mason", "GMC C7100010"),
    Staff(Role.CLINICAL_LEAD, PROVIDER, "Dr Cleo Mercer", "GMC C7100011"),
)


def referrers() -> tuple[Staff, ...]:
    return tuple(
        Staff(Role.REFERRER, ods, f"Dr {name}", f"GMC C72{number:05d}")
        for number, (ods, name) in enumerate(zip(sorted(REFERRERS), SURNAMES, strict=False), start=1)
    )


def interfaces() -> tuple[Staff, ...]:
    return tuple(Staff(Role.INTERFACE, ods, f"{ods} engine") for ods in sorted(REFERRERS))


def hospitals() -> tuple[Hospital, ...]:
    return tuple(
        Hospital(one.ods, one.name, one.registration.removeprefix("GMC "), one.ods in CHILDRENS) for one in referrers()
    )


def password() -> str:
    """One for every demonstration person: made for this installation and kept beside it, or as told."""
    return os.environ.get("GANTRY_DEMO_PASSWORD") or remembered_secret(var() / "demonstration_password")[:16]


def everyone() -> tuple[Staff, ...]:
    return (*PROVIDERS, *referrers(), *interfaces())


@transaction.atomic
def make_people(now: datetime) -> None:
    """Everybody who may sign in. They are committed before the weeks are lived, so that signing in works meanwhile."""
    since, until = (now - PAPERS).date(), (now + PAPERS).date()
    organisations = {one.ods_code: one for one in Organisation.objects.all()}
    hashed = make_password(password())
    employers = list(dict.fromkeys(Site.objects.select_related("organisation").values_list("organisation", flat=True)))
    for one in everyone():
        person, made = Person.objects.get_or_create(
            email=one.email,
            defaults={
                "name": one.name,
                "registration": one.registration,
                "password": hashed,
                "is_demonstration": one.role is not Role.INTERFACE,
            },
        )
        if not made:
            continue
        RoleGrant.objects.create(
            person=person, organisation=organisations[one.ods], role=one.role.value, valid_from=since
        )
        if one.role is Role.PRACTITIONER:
            PractitionerLicence.objects.create(
                person=person,
                number=f"DEMO-P-{one.registration[-4:]}",
                procedures=[fact.value.procedure_code for fact in TRACERS.values()],
                valid_from=since,
                valid_to=until,
            )
        if one.role in (Role.RADIOGRAPHER, Role.RADIOPHARMACIST):
            wear_badges(person, now)
        for duty, at in duties(one, employers, organisations):
            Entitlement.objects.create(
                person=person, employer_id=at, duty=duty, evidence="Demonstration", valid_from=since
            )


def wear_badges(person: Person, now: datetime) -> None:
    """Two months of fingers and whole body, invented from the name; one of them asks for a look."""
    site = Site.objects.filter(network__isnull=False).order_by("ods_code").first()
    if site is None:
        return
    last = now.date().replace(day=1) - timedelta(days=1)
    for _ in range(2):
        first, weight = last.replace(day=1), sum(map(ord, person.name)) + last.month
        for part, least, spread in ((Part.FINGER, 2.0, 90), (Part.BODY, 0.05, 20)):
            msv = round(least + weight % spread / (10 if part is Part.FINGER else 100), 2)
            record_staff_dose(site, person, Reading(part, first, last, msv), now=now, by=system("dosimetry service"))
        last = first - timedelta(days=1)


def duties(one: Staff, employers: Iterable[object], organisations: dict[str, Organisation]) -> list[tuple[str, object]]:
    match one.role:
        case Role.REFERRER:
            return [("referrer", organisations[one.ods].pk)]
        case Role.PRACTITIONER:
            return [(duty, employer) for employer in employers for duty in ("practitioner", "reporter")]
        case Role.REPORTER:
            return [("reporter", employer) for employer in employers]
        case Role.RADIOGRAPHER | Role.RADIOPHARMACIST | Role.PHYSICIST:
            return [("operator", employer) for employer in employers]
        case _:
            return []


@dataclass(frozen=True, slots=True)
class SignIn:
    email: str
    name: str
    role: str
    organisation: str


def show_signins() -> list[SignIn]:
    """Everybody of the demonstration who is a person."""
    return [
        SignIn(one.email, one.name, one.role.value.replace("_", " "), ORGANISATIONS[one.ods].value.name)
        for one in everyone()
        if one.role is not Role.INTERFACE
    ]

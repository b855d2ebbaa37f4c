"""Keeps what a referrer has typed and not yet sent, and finds what need not be typed again."""

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from uuid import UUID

from django.db import transaction

from gantry.apps.accounts.models import Person
from gantry.apps.estate.models import Network, Organisation
from gantry.apps.patients.models import Patient
from gantry.apps.patients.services import HOSPITAL_NUMBER
from gantry.apps.referrals.models import Referral, ReferralDraft
from gantry.domain.access import Scope
from gantry.domain.identifiers import clean_nhs_number, valid_nhs_number

STICKY = (
    "referrer_role",
    "responsible_consultant",
    "responsible_consultant_gmc",
    "referring_site_ods",
    "report_to",
    "mdt_name",
)
"""What a referrer gave last time and mostly gives again."""

USUAL = {
    "preferred_contact": "phone",
    "patient_status": "03",
    "overseas_private_status": "nhs",
    "funding_route": "nhse_standard",
    "planned_scan": "no",
    "tracer_requested": "FDG",
    "body_region": "skull_base_to_mid_thigh",
}
"""The usual answers about the request itself. Nothing about safety is ever filled in."""

OF_PATIENT = (
    "family_name",
    "given_name",
    "title",
    "stated_gender",
    "sex_assigned_at_birth",
    "nhs_number",
    "nhs_number_status",
    "address",
    "postcode",
    "phone_primary",
    "phone_alt",
    "email",
    "gp_practice_ods",
)
KEPT_FOR = timedelta(days=30)


def prefilled(person: Person, organisation: Organisation | None) -> dict[str, object]:
    """What is known of the referrer, from who they are and from their last referral."""
    known: dict[str, object] = {**USUAL, "referrer_name": person.name}
    known["gmc_or_hcpc"] = person.registration.split()[-1] if person.registration else ""
    if organisation:
        known |= {
            "referring_org_ods": organisation.ods_code,
            "local_patient_id_assigner": organisation.ods_code,
            "report_to": organisation.ods_code,
            "pathway_issuer": organisation.ods_code,
        }
    last = Referral.objects.filter(referrer=person).order_by("-received_at").values_list("answers", flat=True).first()
    for name in STICKY if last else ():
        value = last.get(name)
        if value:
            known[name] = ", ".join(value) if isinstance(value, list) else value
    return known


def of_patient(patient: Patient, organisation: Organisation | None) -> dict[str, object]:
    """What we hold of a patient, so that nobody types it twice."""
    known: dict[str, object] = {name: getattr(patient, name) for name in OF_PATIENT if getattr(patient, name)}
    if patient.date_of_birth:
        known["date_of_birth"] = patient.date_of_birth
    own = patient.identifiers.filter(system=HOSPITAL_NUMBER)
    if organisation:
        own = own.filter(assigner=organisation.ods_code)
    identifier = own.first()
    if identifier:
        known |= {"local_patient_id": identifier.value, "local_patient_id_assigner": identifier.assigner}
    return known


def known_by_number(text: str, scope: Scope) -> Patient | None:
    """A patient the person may already see, by NHS number."""
    number = clean_nhs_number(text)
    if not valid_nhs_number(number):
        return None
    return Patient.objects.for_user(scope).filter(nhs_number=number).order_by("nhs_number_status", "pk").first()


@transaction.atomic
def save_draft(key: UUID, person: Person, answers: Mapping[str, object], *, now: datetime) -> ReferralDraft:
    """Another person's draft is never written over: the key is then of no use to this one."""
    draft, made = ReferralDraft.objects.select_for_update().get_or_create(
        pk=key, defaults={"person": person, "answers": dict(answers), "updated_at": now}
    )
    if made:
        return draft
    if draft.person_id != person.pk:
        raise PermissionError(key)
    draft.answers, draft.updated_at = dict(answers), now
    draft.save(update_fields=["answers", "updated_at"])
    return draft


def drafts_of(person: Person) -> list[ReferralDraft]:
    return list(ReferralDraft.objects.filter(person=person).order_by("-updated_at"))


def draft_of(key: UUID, person: Person) -> ReferralDraft | None:
    return ReferralDraft.objects.filter(pk=key, person=person).first()


def is_of_another(key: UUID, person: Person) -> bool:
    return ReferralDraft.objects.filter(pk=key).exclude(person=person).exists()


def drop_draft(key: UUID, person: Person) -> None:
    ReferralDraft.objects.filter(pk=key, person=person).delete()


def drop_old_drafts(now: datetime) -> int:
    """A draft holds a patient's details: it is not kept for ever."""
    return ReferralDraft.objects.filter(updated_at__lt=now - KEPT_FOR).delete()[0]


def network_of(organisation: Organisation | None) -> Network | None:
    """The network that an organisation refers into, or runs; else the one that will redirect it."""
    if organisation:
        inside = Network.objects.filter(members=organisation).order_by("name").first()
        inside = inside or Network.objects.filter(provider=organisation).order_by("name").first()
        if inside:
            return inside
    return Network.objects.order_by("name").first()


def organisations_of_person(organisations: Iterable[UUID]) -> list[Organisation]:
    return list(Organisation.objects.filter(pk__in=list(organisations)).order_by("name"))

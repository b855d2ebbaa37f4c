"""Gathers what the rules need to know about a network on a day, and finds organisations by their codes."""

from collections.abc import Iterable
from datetime import date

from django.conf import settings

from gantry.apps.accounts.models import Entitlement
from gantry.apps.estate.models import Network, Organisation
from gantry.apps.referrals.models import Referral
from gantry.domain.identifiers import (
    OdsKind,
    clean_ods,
    clean_registration,
    looks_like_gp_practice,
    ods_kind,
    valid_ods,
)
from gantry.domain.licence import Duty
from gantry.domain.referral import Case, Context, OrganisationKind, typed
from gantry.reference.context import DEMONSTRATION_SIGNPOSTS, referral_context, signposts

TRUST_CODE = 3
SHAPES = {
    OdsKind.TRUST: OrganisationKind.ACUTE_TRUST,
    OdsKind.INDEPENDENT_PROVIDER: OrganisationKind.INDEPENDENT_PROVIDER,
    OdsKind.ICB: OrganisationKind.ICB,
}


def context_for(network: Network, on: date, *, referring: Organisation | None = None) -> Context:
    """The rules' context for referrals to this network on this day, from this organisation."""
    kinds = {code: OrganisationKind(kind) for code, kind in Organisation.objects.values_list("ods_code", "kind")}
    members = frozenset(network.members.values_list("ods_code", flat=True))
    provider = network.provider
    where = signposts(network.name, provider.phone) if provider.phone else DEMONSTRATION_SIGNPOSTS
    return referral_context(
        on,
        organisations=kinds,
        network=members,
        entitled_referrers=entitled(referring, on) if referring else None,
        where=where,
        invented_people=settings.DEMONSTRATION,
    )


def entitled(employer: Organisation, on: date) -> frozenset[str] | None:
    """The registration numbers on an employer's list of referrers; None where it has given us no list."""
    rows = Entitlement.objects.filter(employer=employer, duty=Duty.REFERRER.value).select_related("person")
    if not rows.exists():
        return None
    standing = [row for row in rows if row.valid_from <= on and (row.valid_to is None or on <= row.valid_to)]
    return frozenset(registered(row.person.registration) for row in standing)


def registered(text: str) -> str:
    """ "GMC C1234567" as the number alone, as the rules compare it."""
    return clean_registration(text.split()[-1] if text.strip() else "").removeprefix("C")


def organisation_of(code: object) -> Organisation | None:
    """By its own code, or by its trust's when the code is of a site that we do not list."""
    text = clean_ods(code) if isinstance(code, str) else ""
    if not text:
        return None
    found = {row.ods_code: row for row in Organisation.objects.filter(ods_code__in=[text, text[:TRUST_CODE]])}
    return found.get(text) or found.get(text[:TRUST_CODE])


def organisation_for_the_record(code: str) -> Organisation | None:
    """An organisation outside the directory, entered by its code so that somebody can be told; None if it is no code."""
    text = clean_ods(code)
    if not valid_ods(text) or looks_like_gp_practice(text) or ods_kind(text) not in SHAPES:
        return None
    row, _ = Organisation.objects.get_or_create(
        ods_code=text, defaults={"name": f"Organisation {text}", "kind": SHAPES[ods_kind(text)].value}
    )
    return row


def organisations_of(codes: Iterable[str]) -> list[Organisation]:
    found = (organisation_of(code) for code in codes)
    return list(dict.fromkeys(one for one in found if one))


def case_of(referral: Referral, on: date, context: Context | None = None) -> Case:
    """A kept referral as the rules see it."""
    context = context or context_for(referral.network, on, referring=referral.referring_organisation)
    answers, _ = typed(referral.answers, context)
    return Case(answers, on, context)

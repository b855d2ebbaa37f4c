"""Gathers what the referral's rules need to know on a day: limits, indications, tracers, lists, signposts."""

from collections.abc import Mapping
from datetime import date

from gantry.domain.referral import Choice, Context, OrganisationKind, Signposts
from gantry.reference.indications import INDICATIONS
from gantry.reference.limits import limits
from gantry.reference.lists import CANCER_TYPES, ETHNIC_CATEGORIES
from gantry.reference.tracers import TRACERS

LISTS: Mapping[str, tuple[Choice, ...]] = {
    "indications": tuple(Choice(code, fact.value.title) for code, fact in INDICATIONS.items()),
    "tracers": tuple(Choice(code, fact.value.name) for code, fact in TRACERS.items()),
    "cancer_types": CANCER_TYPES.value,
    "ethnic_categories": ETHNIC_CATEGORIES.value,
}


def signposts(service: str, telephone: str) -> Signposts:
    """Where to send what this service cannot take. Everyone is given a place and a person to ring."""
    ring = f"ring the {service} referral desk on {telephone}"
    return Signposts(
        primary_care=(
            "Refer the patient to an acute hospital or specialist centre, whose team can ask for PET-CT; "
            f"for suspected cancer use the urgent suspected cancer route. If it cannot wait, {ring}"
        ),
        outside_network=(
            f"The {service} referral desk sends it to the provider for that hospital and tells you who has it; "
            f"to ask, {ring}"
        ),
        mend=f"Correct it and send it again; for help, {ring}",
    )


DEMONSTRATION_SIGNPOSTS = signposts("Northern PET-CT", "01632 960 100")
"""A number kept for drama: it rings nowhere."""


def referral_context(
    on: date,
    *,
    organisations: Mapping[str, OrganisationKind] | None = None,
    network: frozenset[str] | None = None,
    entitled_referrers: frozenset[str] | None = None,
    where: Signposts = DEMONSTRATION_SIGNPOSTS,
    invented_people: bool = False,
) -> Context:
    return Context(
        limits=limits(on),
        signposts=where,
        indications={code: fact.value for code, fact in INDICATIONS.items()},
        lists=LISTS,
        organisations=organisations or {},
        network=network,
        entitled_referrers=entitled_referrers,
        invented_people=invented_people,
    )

"""What to administer to somebody: the prescription, the scheme or card behind it, the review level and the dose."""

from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

from gantry.apps.booking.models import Appointment
from gantry.apps.booking.services.need import prescribed_for
from gantry.apps.referrals.models import Authorisation
from gantry.domain.activity import (
    Card,
    NotOnCard,
    Prescription,
    Scheme,
    effective_dose_msv,
    from_card,
    prescribe,
    why_review,
)
from gantry.domain.scan import age_in_years
from gantry.reference.dated import Fact
from gantry.reference.effective_dose import coefficient, why_none
from gantry.reference.levels import tracer_level
from gantry.reference.schemes import (
    CARDS,
    CHILD_UNDER,
    SCHEMES,
    TOLERANCE_PERCENT,
    card,
    scheme,
)
from gantry.reference.tracers import Tracer, tracer


@dataclass(frozen=True, slots=True)
class Advice:
    """Everything that a person who draws has to know of one prescription. The level is for review, never a dose."""

    prescribed_mbq: float
    by: str
    """Who authorised it."""
    source: str
    """The scheme or card, and what it gives for this weight."""
    computed_mbq: float | None
    weight_kg: float | None
    age: int | None
    child: bool
    review: str | None
    msv: float | None
    no_msv: str
    """Why the effective dose is not computed; empty where it is."""
    tolerance_percent: float
    marks: tuple[str, ...]
    asks: tuple[str, ...]
    """What a practitioner has to say before this is drawn."""


def advice_for(appointment: Appointment, *, now: datetime) -> Advice:
    authorisation, referral = appointment.authorisation, appointment.referral
    product, patient = tracer(authorisation.tracer), referral.patient
    on = now.astimezone(ZoneInfo(appointment.site.zone)).date()
    age = age_in_years(patient.date_of_birth, on) if patient.date_of_birth else None
    child = age is not None and age < CHILD_UNDER.value
    amount, weight = prescribed_for(appointment), referral.weight_kg
    fact, computed = proposal(authorisation, product, weight, child=child)
    asks = []
    if child and not authorisation.activity_mbq:
        asks.append("A child's activity is prescribed individually: the practitioner has to give it")
    if weight is None:
        asks.append("Nobody has said what this person weighs")
    if isinstance(computed, NotOnCard):
        asks.append(computed.reason)
    level = tracer_level(product.code, on, age=age, weight_kg=weight)
    dose = coefficient(product.code, age, on)
    return Advice(
        prescribed_mbq=amount,
        by=authorisation.practitioner.name,
        source=fact.value.title
        + (f", {authorisation.minutes_per_bed:g} min/bed" if authorisation.minutes_per_bed else "")
        + (f": {computed.note}" if isinstance(computed, Prescription) and computed.note else "")
        + (f"; {appointment.fraction * 100:.0f} % of it under an approved rule" if appointment.fraction < 1.0 else ""),
        computed_mbq=computed.prescribed_mbq if isinstance(computed, Prescription) else None,
        weight_kg=weight,
        age=age,
        child=child,
        review=why_review(amount, level.value, weight) if level else None,
        msv=effective_dose_msv(amount, dose.value) if dose else None,
        no_msv="" if dose else why_none(product.name, age),
        tolerance_percent=TOLERANCE_PERCENT.value,
        marks=tuple(sorted({one.mark for one in (fact, dose, TOLERANCE_PERCENT) if one and one.mark})),
        asks=tuple(asks),
    )


def proposal(
    authorisation: Authorisation, product: Tracer, weight_kg: float | None, *, child: bool
) -> tuple[Fact[Card] | Fact[Scheme], Prescription | NotOnCard | None]:  # fmt: skip
    """What the decision named, as it stood on the day of the decision; else the card for a child, else the tracer's own."""
    on, weight = authorisation.at.date(), authorisation.weight_kg or weight_kg
    named = authorisation.scheme
    if child and product.paediatric_card and named not in SCHEMES:
        read = card(named if named in CARDS else product.paediatric_card, on)
        return read, from_card(read.value, weight) if weight else None
    rule = scheme(named if named in SCHEMES else product.scheme, on)
    minutes = authorisation.minutes_per_bed
    if not weight or (rule.value.needs_minutes and not minutes):
        return rule, None
    return rule, prescribe(rule.value, weight, minutes_per_bed=minutes)

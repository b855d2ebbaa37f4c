"""Reads what one requested procedure asks of the network: tracer, activity, visit, limits, and where it is authorised."""

from dataclasses import replace
from datetime import datetime

from gantry.apps.booking.models import Appointment
from gantry.apps.referrals.models import Authorisation, RequestedProcedure
from gantry.domain.activity import prescribe
from gantry.domain.appointment import Requirement, VisitShape
from gantry.domain.decay import Nuclide
from gantry.domain.scan import shape
from gantry.reference.protocols import product_of, protocol, timed, usual_for
from gantry.reference.schemes import BEDS, SCHEMES, scheme
from gantry.reference.tracers import tracer
from gantry.solvers.offers import GRID_MIN, Need

USUAL_WEIGHT_KG = 75.0
"""For planning only, where nobody has said what the patient weighs."""
USUAL_MIN_PER_BED = BEDS["fdg_body"].value.minutes_per_bed


def shape_for(procedure: RequestedProcedure) -> VisitShape:
    """Its protocol's visit, with preparation rounded up so that injections fall on times that people can say."""
    graph = protocol(procedure.protocol or usual_for(procedure.tracer))
    made = shape(timed(graph, procedure.minutes_per_bed))
    return replace(made, preparation_min=-(-made.preparation_min // GRID_MIN) * GRID_MIN)


def nuclide_for(procedure: RequestedProcedure) -> Nuclide:
    return tracer(procedure.tracer).nuclide


def prescribed_mbq(authorisation: Authorisation) -> float:
    """What was prescribed; where the practitioner left it to the scheme, what its edition of that day gives this weight."""
    if authorisation.activity_mbq:
        return authorisation.activity_mbq
    product, on = tracer(authorisation.tracer), authorisation.at.date()
    code = authorisation.scheme if authorisation.scheme in SCHEMES else product.scheme
    found = scheme(code, on).value
    weight = authorisation.weight_kg or authorisation.procedure.referral.weight_kg or USUAL_WEIGHT_KG
    minutes = authorisation.minutes_per_bed or USUAL_MIN_PER_BED
    return float(prescribe(found, weight, minutes_per_bed=minutes).prescribed_mbq)


def prescribed_for(appointment: Appointment) -> float:
    """What this visit gives: less than was prescribed only under a practitioner's approved rule, which it names."""
    return prescribed_mbq(appointment.authorisation) * appointment.fraction


def requirement_of(procedure: RequestedProcedure) -> Requirement:
    referral = procedure.referral
    return Requirement(
        capabilities=frozenset(referral.capabilities),
        weight_kg=referral.weight_kg,
        not_before=referral.not_before,
        needed_by=referral.needed_by,
    )


def need_of(procedure: RequestedProcedure, authorisation: Authorisation, *, now: datetime) -> Need:
    referral = procedure.referral
    patient = referral.patient
    return Need(
        tracer=product_of(procedure.tracer),
        procedure_code=procedure.procedure_code,
        activity_mbq=prescribed_mbq(authorisation),
        half_life=nuclide_for(procedure).half_life,
        shape=shape_for(procedure),
        earliest=now,
        authorised_from=authorisation.valid_from,
        authorised_to=authorisation.valid_to,
        sites=frozenset(authorisation.sites),
        not_before=referral.not_before,
        needed_by=referral.needed_by,
        capabilities=frozenset(referral.capabilities),
        weight_kg=referral.weight_kg or 0.0,
        latitude=patient.latitude,
        longitude=patient.longitude,
    )

"""Proposes the plain case to the practitioner: tracer, protocol, activity and the matching indication rows."""

from dataclasses import dataclass

from gantry.apps.referrals.services.vetting import Wanted
from gantry.domain.activity import NotOnCard, Prescription, from_card, prescribe
from gantry.domain.referral import Case, Indication
from gantry.reference import protocols
from gantry.reference.indications import INDICATIONS
from gantry.reference.schemes import CARDS, SCHEMES
from gantry.reference.tracers import FDG, TRACERS, Tracer


@dataclass(frozen=True, slots=True)
class Proposal:
    wanted: Wanted
    prescription: Prescription | None
    note: str
    """What a practitioner should know about how the activity was found."""


@dataclass(frozen=True, slots=True)
class MatchingRow:
    indication: Indication
    named: bool
    """The row that the referrer named, or another of the same tracer and chapter."""
    source: str


def tracer_of(case: Case) -> Tracer:
    fact = TRACERS.get(case.text("tracer_requested"))
    return fact.value if fact else FDG


def propose(case: Case, tracer_code: str = "", protocol: str = "") -> Proposal:
    """The plain case for these answers, or for another tracer of the practitioner's choice."""
    tracer = TRACERS[tracer_code].value if tracer_code in TRACERS else tracer_of(case)
    code = protocol if protocol in protocols.PROTOCOLS else protocols.usual_for(tracer.code)
    found, note = prescription(case, tracer)
    wanted = Wanted(
        procedure_code=tracer.procedure_code,
        tracer=tracer.code,
        title=f"{tracer.name} PET-CT",
        protocol=code,
        protocol_version=protocols.protocol(code).version,
        activity_mbq=float(found.prescribed_mbq) if found else None,
        scheme=found.scheme if found else "",
        includes=("pet", "ct", "contrast") if case.get("iv_contrast_requested") is True else ("pet", "ct"),
    )
    return Proposal(wanted, found, note)


def prescription(case: Case, tracer: Tracer) -> tuple[Prescription | None, str]:
    """By the paediatric card for a child where the tracer has one, else by the tracer's own scheme."""
    weight = case.number("weight_kg")
    if weight is None or weight <= 0:
        return None, "No weight is known: prescribe the activity yourself"
    if case.is_child and tracer.paediatric_card:
        found = from_card(CARDS[tracer.paediatric_card].value, weight)
        if not isinstance(found, NotOnCard):
            return found, f"{CARDS[tracer.paediatric_card].value.title}: {found.note}"
        return None, found.reason
    fact = SCHEMES[tracer.scheme]
    if fact.value.needs_minutes:
        return None, f"{fact.value.title} needs the minutes per bed: prescribe the activity yourself"
    made = prescribe(fact.value, weight)
    return made, "; ".join(part for part in (fact.value.title, made.note, fact.mark) if part)


def matching_rows(case: Case) -> list[MatchingRow]:
    """The row named, then the rows of the same chapter that list the tracer, with their edition."""
    named = case.text("indication_code")
    tracer = tracer_of(case).code
    chapter = named.partition("-")[0]
    rows = [
        MatchingRow(fact.value, code == named, fact.source)
        for code, fact in INDICATIONS.items()
        if code == named or (code.partition("-")[0] == chapter and tracer in fact.value.tracers)
    ]
    return sorted(rows, key=lambda row: not row.named)

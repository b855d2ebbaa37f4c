"""Proposes the plain case to the practitioner: tracer, protocol, activity and the matching indication rows."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from gantry.apps.referrals.services.vetting import Wanted
from gantry.domain.activity import Card, NotOnCard, Prescription, Scheme, from_card, prescribe
from gantry.domain.referral import Case, Indication
from gantry.reference import protocols
from gantry.reference.dated import Fact
from gantry.reference.indications import INDICATIONS
from gantry.reference.schemes import BEDS, LEAST_MIN_PER_BED, MOST_MIN_PER_BED, cards_for, schemes_for
from gantry.reference.tracers import FDG, TRACERS, Tracer

MINUTES = (2.0, 3.0, 4.0)
"""Minutes per bed that the page shows side by side; any other may be typed."""


@dataclass(frozen=True, slots=True)
class Way:
    """One scheme or card in force, and what it gives this weight: for each number of minutes per bed, where they count."""

    code: str
    title: str
    source: str
    since: date
    mark: str
    needs_minutes: bool
    gives: tuple[tuple[float | None, Prescription | None], ...]
    reason: str = ""
    """Why it gives nothing here."""


@dataclass(frozen=True, slots=True)
class Proposal:
    wanted: Wanted
    prescription: Prescription | None
    note: str
    """What a practitioner should know about how the activity was found."""
    ways: tuple[Way, ...] = ()
    scan_min: tuple[tuple[float, int], ...] = ()
    """How long the scan is planned for each number of minutes per bed; empty where the length does not follow them."""


@dataclass(frozen=True, slots=True)
class MatchingRow:
    indication: Indication
    named: bool
    """The row that the referrer named, or another of the same tracer and chapter."""
    source: str


def tracer_of(case: Case) -> Tracer:
    fact = TRACERS.get(case.text("tracer_requested"))
    return fact.value if fact else FDG


def propose(
    case: Case, tracer_code: str = "", protocol: str = "", *, scheme: str = "", minutes_per_bed: float | None = None
) -> Proposal:
    """The plain case for these answers, or for another tracer, scheme or minutes per bed of the practitioner's choice.

    Schemes and cards are read as they stand on the day of the decision.
    """
    tracer = TRACERS[tracer_code].value if tracer_code in TRACERS else tracer_of(case)
    code = protocol if protocol in protocols.PROTOCOLS else protocols.usual_for(tracer.code)
    beds = BEDS.get(code)
    minutes = usable(minutes_per_bed) or (beds.value.minutes_per_bed if beds else None)
    ways = ways_of(case, tracer, minutes)
    found, note, chosen = prescription(case, tracer, ways, scheme, minutes)
    weight = case.number("weight_kg")
    wanted = Wanted(
        procedure_code=tracer.procedure_code,
        tracer=tracer.code,
        title=f"{tracer.name} PET-CT",
        protocol=code,
        protocol_version=protocols.protocol(code).version,
        activity_mbq=float(found.prescribed_mbq) if found else None,
        scheme=found.scheme if found else chosen,
        minutes_per_bed=minutes if beds else None,
        weight_kg=weight,
        computed_mbq=found.computed_mbq if found else None,
        includes=("pet", "ct", "contrast") if case.get("iv_contrast_requested") is True else ("pet", "ct"),
    )
    shown = sorted({*MINUTES, minutes}) if beds and minutes else []
    return Proposal(wanted, found, note, ways, tuple((each, beds.value.scan_min(each)) for each in shown if beds))


def usable(minutes_per_bed: float | None) -> float | None:
    if minutes_per_bed is None or not LEAST_MIN_PER_BED <= minutes_per_bed <= MOST_MIN_PER_BED:
        return None
    return minutes_per_bed


def ways_of(case: Case, tracer: Tracer, minutes: float | None) -> tuple[Way, ...]:
    """Everything in force for this tracer and person: a child's cards, and beyond them or for an adult the schemes."""
    weight = case.number("weight_kg")
    weight = weight if weight is not None and weight > 0 else None
    found = [of_card(fact, weight) for fact in cards_for(tracer.paediatric_card, case.on)] if case.is_child else []
    if not found or any(way.reason for way in found):
        columns = sorted({*MINUTES, minutes}) if minutes else list(MINUTES)
        found += [of_scheme(fact, weight, columns) for fact in schemes_for(tracer.code, tracer.scheme, case.on)]
    return tuple(found)


def of_card(fact: Fact[Card], weight: float | None) -> Way:
    made = from_card(fact.value, weight) if weight else None
    title = f"EANM card: {fact.value.title}, not below {fact.value.minimum_mbq:g} MBq"
    reason = made.reason if isinstance(made, NotOnCard) else ""
    gives = ((None, made if isinstance(made, Prescription) else None),)
    return Way(fact.value.code, title, fact.source, fact.valid_from, fact.mark, False, gives, reason)


def of_scheme(fact: Fact[Scheme], weight: float | None, columns: Sequence[float]) -> Way:
    rule = fact.value
    times: Sequence[float | None] = columns if rule.needs_minutes else [None]
    gives = tuple((each, prescribe(rule, weight, minutes_per_bed=each) if weight else None) for each in times)
    return Way(rule.code, rule.title, fact.source, fact.valid_from, fact.mark, rule.needs_minutes, gives)


def prescription(
    case: Case, tracer: Tracer, ways: Sequence[Way], scheme: str, minutes: float | None
) -> tuple[Prescription | None, str, str]:
    """What the chosen way gives, else the first of them: the card for a child where there is one, else the tracer's own."""
    way = next((each for each in ways if each.code == scheme), None) or next(iter(ways), None)
    if case.number("weight_kg") is None or (case.number("weight_kg") or 0) <= 0:
        return None, "No weight is known: prescribe the activity yourself", way.code if way else ""
    if way is None:
        return None, "No scheme is in force for this tracer: prescribe the activity yourself", ""
    if way.reason:
        return None, way.reason, way.code
    if way.needs_minutes and not minutes:
        return None, f"{way.title} needs the minutes per bed: prescribe the activity yourself", way.code
    made = next((found for each, found in way.gives if each == (minutes if way.needs_minutes else None)), None)
    note = "; ".join(part for part in (way.title, made.note if made else "", way.mark) if part)
    return made, note, way.code


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

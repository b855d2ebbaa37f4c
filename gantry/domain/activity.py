"""Decides what to administer: the prescription in MBq from a scheme or the paediatric card, tolerance, and dose.

A diagnostic reference level is a trigger for review, never a prescription. Numbers come from reference data.

The formulas, and where each is from (m is the weight in kg, t the minutes for each bed position):

    A = f · m                                     MBq/kg schemes, each with its own source
    A = f · m / t                                 EANM procedure guideline for FDG 2.0 (2015), linear; f in MBq·min/bed/kg
    A = f · (m/75)² / t                           the same, quadratic; f in MBq·min/bed; equal to the linear at 75 kg
    A = max(baseline · multiple(m), minimum)      EANM paediatric dosage card 5.7 (2016)
    E = A · e(age)                                effective dose in mSv; e in mSv/MBq by ICRP Publication 128, of its five ages

A is in MBq at the injection. Each f, baseline, multiple and e is dated in `gantry.reference`, with the mark of those that
nobody has confirmed. Values are compared unrounded and rounded once, at the end.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from math import ceil, floor


class Rule(StrEnum):
    PER_KG = "MBq for each kg"
    LINEAR = "MBq·min/bed/kg × weight ÷ minutes per bed"
    QUADRATIC = "MBq·min/bed × (weight ÷ 75)² ÷ minutes per bed"
    FIXED = "the same for everyone"


QUADRATIC_AT_KG = 75.0


@dataclass(frozen=True, slots=True)
class Scheme:
    code: str
    title: str
    rule: Rule
    factor: float
    least_mbq: float = 0.0
    most_mbq: float | None = None

    @property
    def needs_minutes(self) -> bool:
        return self.rule in (Rule.LINEAR, Rule.QUADRATIC)


@dataclass(frozen=True, slots=True)
class Prescription:
    """Kept whole with the decision, so that it can be judged again by the numbers of its day."""

    scheme: str
    weight_kg: float
    minutes_per_bed: float | None
    computed_mbq: float
    """By the formula alone."""
    limited_mbq: float
    """After the least and the most."""
    note: str = ""

    @property
    def prescribed_mbq(self) -> int:
        return to_whole_mbq(self.limited_mbq)


def to_whole_mbq(activity_mbq: float) -> int:
    """Rounded once, at the end; halves up."""
    return floor(activity_mbq + 0.5)


def prescribe(scheme: Scheme, weight_kg: float, *, minutes_per_bed: float | None = None) -> Prescription:
    """A of one scheme in MBq, by the formulas above, held between its least and its most. Raises ValueError."""
    if weight_kg <= 0:
        raise ValueError("a weight is more than nothing")
    if scheme.needs_minutes and (minutes_per_bed is None or minutes_per_bed <= 0):
        raise ValueError(f"{scheme.title} needs the minutes per bed")
    minutes = minutes_per_bed or 1.0
    match scheme.rule:
        case Rule.PER_KG:
            computed = scheme.factor * weight_kg
        case Rule.LINEAR:
            computed = scheme.factor * weight_kg / minutes
        case Rule.QUADRATIC:
            computed = scheme.factor * (weight_kg / QUADRATIC_AT_KG) ** 2 / minutes
        case _:
            computed = scheme.factor
    used = minutes_per_bed if scheme.needs_minutes else None
    if scheme.most_mbq is not None and computed > scheme.most_mbq:
        note = f"Held at the most, {scheme.most_mbq:g} MBq: lengthen the acquisition instead"
        if scheme.needs_minutes:
            note += f", to {ceil(computed * minutes / scheme.most_mbq * 10 - 1e-9) / 10:g} minutes per bed"
        return Prescription(scheme.code, weight_kg, used, computed, scheme.most_mbq, note)
    if computed < scheme.least_mbq:
        note = f"Raised to the least, {scheme.least_mbq:g} MBq"
        return Prescription(scheme.code, weight_kg, used, computed, scheme.least_mbq, note)
    return Prescription(scheme.code, weight_kg, used, computed, computed)


@dataclass(frozen=True, slots=True)
class Beds:
    """How a whole-body scan spends its minutes: so many bed positions, and the CT and getting on and off beside them."""

    count: int
    other_min: float
    minutes_per_bed: float
    """What is usual, where nobody prescribes another."""

    def scan_min(self, minutes_per_bed: float) -> int:
        """Whole minutes, rounded up: a list has no room for what was rounded away."""
        return ceil(self.other_min + self.count * minutes_per_bed - 1e-9)


@dataclass(frozen=True, slots=True)
class Card:
    """One column of the paediatric card: baseline × the multiple for the weight, not below the minimum."""

    code: str
    title: str
    baseline_mbq: float
    minimum_mbq: float
    multiples: tuple[tuple[float, float], ...]
    """Listed weight in kg and its multiple, rising."""

    @property
    def heaviest_kg(self) -> float:
        return self.multiples[-1][0]


@dataclass(frozen=True, slots=True)
class NotOnCard:
    reason: str


def from_card(card: Card, weight_kg: float) -> Prescription | NotOnCard:
    """A = max(baseline × multiple, minimum), EANM dosage card 5.7: a step table, the nearest listed weight, ties to the heavier.

    The card does not say what to do between its weights; the tie is ours. Raises ValueError for what is no weight.
    """
    if weight_kg <= 0:
        raise ValueError("a weight is more than nothing")
    if weight_kg > card.heaviest_kg:
        return NotOnCard(
            f"The card ends at {card.heaviest_kg:g} kg: use an adult scheme, not above the child's ceiling"
        )
    listed, multiple = min(card.multiples, key=lambda row: (abs(row[0] - weight_kg), -row[0]))
    computed = card.baseline_mbq * multiple
    note = f"Card row {listed:g} kg, × {multiple:g}"
    if computed < card.minimum_mbq:
        note += f"; raised to the minimum, {card.minimum_mbq:g} MBq"
    return Prescription(card.code, weight_kg, None, computed, max(computed, card.minimum_mbq), note)


def why_out_of_tolerance(
    drawn_mbq: float, prescribed_mbq: float, tolerance_percent: float, *, of: str = "the prescribed"
) -> str | None:
    """Why a drawn dose may not be given as this prescription; None when it may. Both are at one moment."""
    if prescribed_mbq <= 0:
        return "There is no prescription to compare with"
    off = (drawn_mbq - prescribed_mbq) / prescribed_mbq * 100
    # A tenth of a part in a million forgives binary fractions, not activity.
    if abs(off) <= tolerance_percent + 1e-7:
        return None
    side = "over" if off > 0 else "under"
    return (
        f"{drawn_mbq:.0f} MBq is {abs(off):.0f} % {side} {of} {prescribed_mbq:.0f} MBq; "
        f"±{tolerance_percent:g} % is allowed"
    )


def why_not_individually(
    age: int | None,
    *,
    child_under: int,
    authorised_mbq: float | None,
    drawn_mbq: float | None,
    tolerance_percent: float,
) -> Iterator[str]:
    """Why a child may not be given this dose: a practitioner authorises each child's activity, and nobody else's counts.

    A scheme, a card or a colleague's habit proposes; it never authorises. Activities are at the injection.
    """
    if age is None or age >= child_under:
        return
    if not authorised_mbq:
        yield f"This person is {age}: a practitioner authorises each child's activity individually, and none has"
    elif drawn_mbq is not None and why_out_of_tolerance(drawn_mbq, authorised_mbq, tolerance_percent):
        yield (
            f"This person is {age}: {drawn_mbq:.0f} MBq is not the dose that was authorised for this child, "
            f"{authorised_mbq:.0f} MBq"
        )


class Basis(StrEnum):
    """What a level rests on: no two of them say the same."""

    NATIONAL = "the reference level"
    OLDER = "the older reference level"
    USUAL_MOST = "the usual most of this tracer"
    CARD = "the dosage card"


@dataclass(frozen=True, slots=True)
class ReviewLevel:
    """Above it somebody looks at an administration. It is never a prescription, and forbids nothing."""

    basis: Basis
    mbq: float | None = None
    mbq_per_kg: float | None = None

    def at(self, weight_kg: float | None) -> float | None:
        """In MBq for this weight; None where it needs a weight that nobody has said."""
        if self.mbq_per_kg is not None:
            return self.mbq_per_kg * weight_kg if weight_kg else None
        return self.mbq


def why_review(
    administered_mbq: float, level: ReviewLevel, weight_kg: float | None, *, far_percent: float = 0.0
) -> str | None:
    """Whether an administration is above its level: to be looked at, not forbidden."""
    at = level.at(weight_kg)
    if at is None or administered_mbq <= at * (1 + far_percent / 100):
        return None
    kg = f" at {weight_kg:g} kg" if weight_kg and level.basis in (Basis.NATIONAL, Basis.CARD) else ""
    return f"{administered_mbq:.0f} MBq is above {level.basis} of {at:.0f} MBq{kg}: review"


def effective_dose_msv(administered_mbq: float, msv_per_mbq: float) -> float:
    """E = A · e, in mSv: from the tracer alone; the CT's part is added beside it, never into it."""
    return administered_mbq * msv_per_mbq


ICRP_AGES = (1, 5, 10, 15, 18)
"""The last stands for adults."""


def coefficient_at_age(rows: Sequence[tuple[int, float]], age: int) -> float | None:
    """mSv/MBq of the nearest of ICRP's five ages, ties to the younger, whose coefficient is the greater.

    None where the table has no row for it: an adult's coefficient says nothing of a child.
    """
    nearest = min(ICRP_AGES, key=lambda listed: (abs(listed - age), listed)) if age < ICRP_AGES[-1] else ICRP_AGES[-1]
    return dict(rows).get(nearest)

"""How much to give: prescription schemes, the paediatric card, reference levels, tolerance."""

from datetime import date

from gantry.domain.activity import Beds, Card, Rule, Scheme
from gantry.reference.dated import LIBRARY_FROM, Fact, in_force

EANM = "EANM procedure guideline for FDG, version 2.0 (2015)"
EANM_FROM = date(2015, 1, 1)
EANM_MOST_MBQ = 530.0


def _scheme(
    code: str,
    title: str,
    rule: Rule,
    factor: float,
    source: str,
    *,
    least: float = 0.0,
    most: float | None = None,
    since: date = LIBRARY_FROM,
    recalled: bool = False,
) -> Fact[Scheme]:
    return Fact(Scheme(code, title, rule, factor, least, most), "MBq", source, since, recalled)


def _editions[T: Scheme | Card](*facts: Fact[T]) -> dict[str, tuple[Fact[T], ...]]:
    """By code, every edition from its own day."""
    return {fact.value.code: tuple(f for f in facts if f.value.code == fact.value.code) for fact in facts}


SCHEMES: dict[str, tuple[Fact[Scheme], ...]] = _editions(
    *(
        _scheme(
            "fdg-3.5",
            "FDG 3.5 MBq/kg",
            Rule.PER_KG,
            3.5,
            "Local prescription equal to the proposed UK level, Nucl Med Commun 46:379 (2025); the most is recalled",
            most=EANM_MOST_MBQ,
            since=date(2025, 1, 1),
            recalled=True,
        ),
        _scheme(
            "fdg-linear-14",
            "FDG linear, bed overlap to 30 %",
            Rule.LINEAR,
            14,
            EANM,
            most=EANM_MOST_MBQ,
            since=EANM_FROM,
            recalled=True,
        ),
        _scheme(
            "fdg-linear-7",
            "FDG linear, bed overlap over 30 %",
            Rule.LINEAR,
            7,
            EANM,
            most=EANM_MOST_MBQ,
            since=EANM_FROM,
            recalled=True,
        ),
        _scheme(
            "fdg-quadratic-1050",
            "FDG quadratic, bed overlap to 30 %",
            Rule.QUADRATIC,
            1050,
            EANM,
            most=EANM_MOST_MBQ,
            since=EANM_FROM,
            recalled=True,
        ),
        _scheme(
            "fdg-quadratic-525",
            "FDG quadratic, bed overlap over 30 %",
            Rule.QUADRATIC,
            525,
            EANM,
            most=EANM_MOST_MBQ,
            since=EANM_FROM,
            recalled=True,
        ),
        _scheme("fdg-400", "FDG 400 MBq, older", Rule.FIXED, 400, "Older UK reference level", recalled=True),
        _scheme("fdg-brain-fixed", "FDG brain", Rule.FIXED, 185, "Within 125 to 250 MBq", recalled=True),
        _scheme("naf-fixed", "Sodium fluoride", Rule.FIXED, 250, "Within 185 to 370 MBq"),
        _scheme(
            "choline-per-kg", "Choline 3.5 MBq/kg", Rule.PER_KG, 3.5, "About 3 to 4 MBq/kg", most=370, recalled=True
        ),
        _scheme("fluciclovine-fixed", "Fluciclovine", Rule.FIXED, 370, "SNMMI technologist papers"),
        _scheme("psma1007-per-kg", "PSMA-1007 3.5 MBq/kg", Rule.PER_KG, 3.5, "3 to 4 MBq/kg", most=300, recalled=True),
        _scheme(
            "piflufolastat-per-kg",
            "Piflufolastat 4 MBq/kg",
            Rule.PER_KG,
            4,
            "Product characteristics",
            least=190,
            most=360,
        ),
        _scheme(
            "psma11-per-kg",
            "PSMA-11 2 MBq/kg",
            Rule.PER_KG,
            2,
            "Product characteristics, 1.8 to 2.2",
            least=111,
            most=259,
        ),
        _scheme("dotatate-fixed", "DOTATATE", Rule.FIXED, 150, "Product characteristics, 100 to 200 MBq at 70 kg"),
        _scheme("florbetapir-fixed", "Florbetapir", Rule.FIXED, 370, "Insights into Imaging s13244-022-01358-6"),
        _scheme("florbetaben-fixed", "Florbetaben", Rule.FIXED, 300, "Insights into Imaging s13244-022-01358-6"),
        _scheme("flutemetamol-fixed", "Flutemetamol", Rule.FIXED, 185, "Insights into Imaging s13244-022-01358-6"),
        _scheme("fet-fixed", "FET", Rule.FIXED, 200, "Recalled", recalled=True),
        _scheme("fdopa-fixed", "F-DOPA", Rule.FIXED, 200, "Within 150 to 250 MBq", recalled=True),
        _scheme("fes-fixed", "Fluoroestradiol", Rule.FIXED, 222, "Recalled", recalled=True),
        _scheme("rb82-fixed", "Rubidium", Rule.FIXED, 1480, "Within 1,110 to 2,220 MBq each; verify", recalled=True),
        _scheme("nh3-fixed", "Ammonia", Rule.FIXED, 550, "Within 370 to 740 MBq", recalled=True),
    )
)
"""A decision reads the edition of its own day, and is judged by it ever after: `scheme`."""

FDG_BODY_SCHEMES = (
    "fdg-3.5", "fdg-linear-14", "fdg-linear-7", "fdg-quadratic-1050", "fdg-quadratic-525", "fdg-400",
)  # fmt: skip
SCHEMES_FOR: dict[str, tuple[str, ...]] = {"FDG": FDG_BODY_SCHEMES, "FDG-CARDIAC": FDG_BODY_SCHEMES}
"""What a practitioner may choose from; a tracer that is not named has its own scheme alone."""

BEDS: dict[str, Fact[Beds]] = {
    "fdg_body": Fact(
        Beds(7, 6.0, 2.0),
        "beds, minutes",
        "Seven beds and the CT come to the usual 20 minutes; each scanner's own count replaces it",
        LIBRARY_FROM,
        notice="Assumed",
    ),
}
"""By protocol: the scans whose length follows the minutes per bed."""
LEAST_MIN_PER_BED, MOST_MIN_PER_BED = 0.5, 10.0


def scheme(code: str, on: date) -> Fact[Scheme]:
    """The edition in force on the day of a decision. Raises KeyError and NothingInForce."""
    return in_force(SCHEMES[code], on)


def schemes_for(tracer_code: str, own: str, on: date) -> list[Fact[Scheme]]:
    """Every scheme of a tracer that is in force, its own first."""
    codes = [own, *(code for code in SCHEMES_FOR.get(tracer_code, ()) if code != own)]
    return [scheme(code, on) for code in codes if any(fact.valid_from <= on for fact in SCHEMES[code])]


CARD_SOURCE = "EANM dosage card, version 5.7 (2016)"
CARD_FROM = date(2016, 1, 1)

CARD_ROWS = (
    # kg, class A, class B, class C
    (3, 1.00, 1.00, 1.00),
    (4, 1.12, 1.14, 1.33),
    (6, 1.47, 1.71, 2.00),
    (8, 1.71, 2.14, 3.00),
    (10, 1.94, 2.71, 3.67),
    (12, 2.18, 3.14, 4.67),
    (14, 2.35, 3.57, 5.67),
    (16, 2.53, 4.00, 6.33),
    (18, 2.71, 4.43, 7.33),
    (20, 2.88, 4.86, 8.33),
    (22, 3.06, 5.29, 9.33),
    (24, 3.18, 5.71, 10.00),
    (26, 3.35, 6.14, 11.00),
    (28, 3.47, 6.43, 12.00),
    (30, 3.65, 6.86, 13.00),
    (32, 3.77, 7.29, 14.00),
    (34, 3.88, 7.72, 15.00),
    (36, 4.00, 8.00, 16.00),
    (38, 4.18, 8.43, 17.00),
    (40, 4.29, 8.86, 18.00),
    (42, 4.41, 9.14, 19.00),
    (44, 4.53, 9.57, 20.00),
    (46, 4.65, 10.00, 21.00),
    (48, 4.77, 10.29, 22.00),
    (50, 4.88, 10.71, 23.00),
    (54, 5.00, 11.29, 24.67),
    (58, 5.24, 12.00, 26.67),
    (62, 5.47, 12.71, 28.67),
    (66, 5.65, 13.43, 31.00),
    (68, 5.77, 14.00, 32.33),
)
CLASS_B = tuple((float(kg), b) for kg, _, b, _ in CARD_ROWS)


def _card(code: str, title: str, baseline: float, minimum: float, *, recalled: bool = False) -> Fact[Card]:
    return Fact(Card(code, title, baseline, minimum, CLASS_B), "MBq", CARD_SOURCE, CARD_FROM, recalled)


CARDS: dict[str, tuple[Fact[Card], ...]] = _editions(
    _card("fdg-torso", "FDG, torso", 25.9, 26),
    _card("fdg-brain", "FDG, brain", 14.0, 14),
    _card("ga-peptide", "Gallium-68 peptides", 12.8, 14),
    _card("fdg-low", "FDG, PET/MR or long axial field of view", 10.7, 10),
    _card("naf", "Sodium fluoride", 10.5, 14, recalled=True),
)
CARDS_FOR = {"fdg-torso": ("fdg-torso", "fdg-low")}
"""What a practitioner may choose from beside a tracer's own card."""


def card(code: str, on: date) -> Fact[Card]:
    """The edition in force on the day of a decision. Raises KeyError and NothingInForce."""
    return in_force(CARDS[code], on)


def cards_for(own: str, on: date) -> list[Fact[Card]]:
    return [card(code, on) for code in CARDS_FOR.get(own, (own,) if own else ()) if CARDS[code][0].valid_from <= on]


TOLERANCE_PERCENT = Fact(
    10.0, "% of prescribed", "Common local practice; configure by site", LIBRARY_FROM, recalled=True
)

CHILD_UNDER = Fact(16, "years", "A practitioner authorises each child individually", LIBRARY_FROM, recalled=True)

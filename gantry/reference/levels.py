"""What asks somebody to look at a dose: of the tracer by product and weight, of the CT by region; dated.

A level is for the middle of many adults of usual size: an examination above it asks for a look, and is neither wrong
nor forbidden. A site's own levels replace these.
"""

from datetime import date

from gantry.domain.activity import Basis, NotOnCard, ReviewLevel, from_card
from gantry.domain.ct_dose import Level
from gantry.reference.dated import LIBRARY_FROM, Fact, in_force
from gantry.reference.schemes import CARDS, CHILD_UNDER, card
from gantry.reference.tracers import TRACERS

HALF_BODY, HEAD, HEART = "half body", "head", "heart"

CT_LEVELS: dict[str, tuple[Fact[Level], ...]] = {
    HALF_BODY: (
        Fact(
            Level(HALF_BODY, 4.3, 400.0),
            "CTDIvol mGy, DLP mGy·cm",
            "UK survey of CT in PET-CT, attenuation correction and localisation, Nucl Med Commun 38:459 (2017)",
            date(2017, 6, 1),
            recalled=True,
        ),
    ),
}
"""Of the other regions no level is known to us: the medical physics expert sets one."""

MSV_PER_MGY_CM: dict[str, Fact[float]] = {
    HALF_BODY: Fact(0.015, "mSv per mGy·cm", "Usual factor of an adult's trunk", LIBRARY_FROM, recalled=True),
}

FAR_PERCENT: dict[str, Fact[float]] = {
    "ct": Fact(50.0, "% above the level", "Local: a large person's CT gives more", LIBRARY_FROM, notice="Assumed"),
    "tracer": Fact(10.0, "% above the level", "The tolerance of a drawn dose", LIBRARY_FROM, notice="Assumed"),
}
"""How far above a level one person's dose is before somebody is asked to look."""
MIDDLE_OVER_DAYS, MIDDLE_OF = 90, 10
"""A site's middle is that of its last three months, of ten people or more."""

REGION = {
    "FDG-BRAIN": HEAD,
    "FDG-CARDIAC": HEART,
    "FLORBETAPIR": HEAD,
    "FLORBETABEN": HEAD,
    "FLUTEMETAMOL": HEAD,
    "FET": HEAD,
    "FDOPA": HEAD,
    "RB-82": HEART,
    "N13-NH3": HEART,
}


REVIEW = "Nucl Med Commun 46:379 (2025), proposed UK national level for whole-body oncology and infection"
FDG_LEVELS = (
    Fact(ReviewLevel(Basis.OLDER, mbq=400.0), "MBq", "Older UK level", LIBRARY_FROM, recalled=True),
    Fact(ReviewLevel(Basis.NATIONAL, mbq_per_kg=3.5), "MBq/kg", REVIEW, date(2025, 1, 1)),
)


def _most(mbq: float, source: str, *, recalled: bool = False) -> tuple[Fact[ReviewLevel], ...]:
    return (Fact(ReviewLevel(Basis.USUAL_MOST, mbq=mbq), "MBq", source, LIBRARY_FROM, recalled),)


INSIGHTS = "Insights into Imaging s13244-022-01358-6"
TRACER_LEVELS: dict[str, tuple[Fact[ReviewLevel], ...]] = {
    "FDG": FDG_LEVELS,
    "FDG-CARDIAC": FDG_LEVELS,
    "FDG-BRAIN": _most(250, "125 to 250 MBq", recalled=True),
    "NAF": _most(370, "185 to 370 MBq, as published"),
    "CHOLINE": _most(370, "About 3 to 4 MBq/kg, 370 MBq", recalled=True),
    "FLUCICLOVINE": _most(370, "SNMMI technologist papers"),
    "PSMA-1007": _most(300, "250 to 300 MBq", recalled=True),
    "PIFLUFOLASTAT": _most(360, "Product characteristics"),
    "GA-PSMA-11": _most(259, "Product characteristics"),
    "GA-DOTATATE": _most(200, "Product characteristics, 100 to 200 MBq"),
    "FLORBETAPIR": _most(370, INSIGHTS),
    "FLORBETABEN": _most(300, INSIGHTS),
    "FLUTEMETAMOL": _most(185, INSIGHTS),
    "FET": _most(200, "200 MBq", recalled=True),
    "FDOPA": _most(250, "150 to 250 MBq", recalled=True),
    "FES": _most(222, "222 MBq", recalled=True),
    "RB-82": _most(2220, "1,110 to 2,220 MBq each time, as published; verify", recalled=True),
    "N13-NH3": _most(740, "370 to 740 MBq", recalled=True),
}
"""Of FDG a national level is proposed; of the others none is known to us, and the usual most asks instead of one."""


def tracer_level(code: str, on: date, *, age: int | None, weight_kg: float | None) -> Fact[ReviewLevel] | None:
    """In force on a day, for this person: a child's is the card's for the weight. None where none is known."""
    if age is None:
        return None
    if age >= CHILD_UNDER.value:
        known = [fact for fact in TRACER_LEVELS.get(code, ()) if fact.valid_from <= on]
        return in_force(known, on) if known else None
    own = TRACERS[code].value.paediatric_card if code in TRACERS else ""
    if not own or not weight_kg or CARDS[own][0].valid_from > on:
        return None
    fact = card(own, on)
    read = from_card(fact.value, weight_kg)
    if isinstance(read, NotOnCard):
        return None
    return Fact(
        ReviewLevel(Basis.CARD, mbq=float(read.prescribed_mbq)), "MBq", fact.source, fact.valid_from, fact.recalled
    )


def region_of(tracer: str) -> str:
    """What the CT of a tracer's usual scan covers."""
    return REGION.get(tracer, HALF_BODY)


def ct_level(region: str, on: date, *, age: int | None) -> Fact[Level] | None:
    """The level in force; None for a child, whose levels go by weight, and for a region without one."""
    known = [fact for fact in CT_LEVELS.get(region, ()) if fact.valid_from <= on]
    if not known or age is None or age < CHILD_UNDER.value:
        return None
    return in_force(known, on)

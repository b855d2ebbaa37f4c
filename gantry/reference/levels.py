"""Diagnostic reference levels of the CT part, and the estimate of its effective dose; by region, dated.

A level is for the middle of many adults of usual size: an examination above it asks for a look, and is neither wrong
nor forbidden. A site's own levels replace these.
"""

from datetime import date

from gantry.domain.ct_dose import Level
from gantry.reference.dated import LIBRARY_FROM, Fact, in_force
from gantry.reference.schemes import CHILD_UNDER

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


def region_of(tracer: str) -> str:
    """What the CT of a tracer's usual scan covers."""
    return REGION.get(tracer, HALF_BODY)


def ct_level(region: str, on: date, *, age: int | None) -> Fact[Level] | None:
    """The level in force; None for a child, whose levels go by weight, and for a region without one."""
    known = [fact for fact in CT_LEVELS.get(region, ()) if fact.valid_from <= on]
    if not known or age is None or age < CHILD_UNDER.value:
        return None
    return in_force(known, on)

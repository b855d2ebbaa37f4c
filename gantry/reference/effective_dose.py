"""Effective dose of each tracer by age. A child is never given an adult's coefficient: where none is known, none is used."""

from datetime import date

from gantry.domain.activity import coefficient_at_age
from gantry.reference.dated import LIBRARY_FROM, Fact, in_force
from gantry.reference.tracers import TRACERS

ADULT = 18
type Rows = tuple[tuple[int, float], ...]

FDG_ROWS: Fact[Rows] = Fact(
    ((1, 0.095), (5, 0.056), (10, 0.037), (15, 0.024), (ADULT, 0.019)),
    "mSv/MBq by age",
    "ICRP 128; the adult's value is confirmed by a scanner's dose report, the children's are recalled",
    LIBRARY_FROM,
    recalled=True,
)
FIVE = "Five PET tracers compared, discovery.researcher.life"
ADULTS: dict[str, tuple[str, bool]] = {
    "NAF": ("IDAC-Dose 2; older tables give 0.024", False),
    "CHOLINE": (FIVE, False),
    "FLUCICLOVINE": ("Recalled", True),
    "PSMA-1007": ("Recalled", True),
    "PIFLUFOLASTAT": ("Product characteristics: 370 MBq give 4.3 mSv", False),
    "GA-PSMA-11": ("Product characteristics, about", False),
    "GA-DOTATATE": ("Product characteristics of edotreotide: 200 MBq give 4.2 mSv", False),
    "FLORBETAPIR": ("Recalled", True),
    "FLORBETABEN": ("Recalled", True),
    "FLUTEMETAMOL": ("Recalled", True),
    "FET": (FIVE, False),
    "FDOPA": (FIVE, False),
    "FES": ("Recalled", True),
    "RB-82": ("Published with a garbled table: verify", True),
    "N13-NH3": ("Recalled", True),
}
"""Of these only an adult's coefficient is published where we could read it."""

COEFFICIENTS: dict[str, tuple[Fact[Rows], ...]] = {
    **{code: (FDG_ROWS,) for code, fact in TRACERS.items() if fact.value.is_fdg},
    **{
        code: (Fact(((ADULT, TRACERS[code].value.msv_per_mbq),), "mSv/MBq", source, LIBRARY_FROM, recalled),)
        for code, (source, recalled) in ADULTS.items()
    },
}


def coefficient(tracer_code: str, age: int | None, on: date) -> Fact[float] | None:
    """As it stood on a day. None where none is known for this tracer at this age; an unknown age counts as an adult's."""
    known = [fact for fact in COEFFICIENTS.get(tracer_code, ()) if fact.valid_from <= on]
    if not known:
        return None
    table = in_force(known, on)
    value = coefficient_at_age(table.value, ADULT if age is None else age)
    if value is None:
        return None
    # Of FDG the adult's value is confirmed; the table's mark is that of its other rows.
    recalled = table.recalled and not (table is FDG_ROWS and value == FDG_ROWS.value[-1][1])
    return Fact(value, "mSv/MBq", table.source, table.valid_from, recalled, table.notice)


def why_none(tracer_name: str, age: int | None) -> str:
    """What a page says in place of a dose."""
    who = f"at {age} years" if age is not None else "at this age"
    return f"Not computed: no coefficient of {tracer_name} {who} is held"

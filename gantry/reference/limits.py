"""The numbers that the minimum data set's rules compare with, gathered for a day."""

from datetime import date

from gantry.domain.referral import Limits
from gantry.reference.dated import LIBRARY_FROM, Fact, in_force

SPEC = "Specification 2266, annex 1"
CORE = "Data set, national core"

LIMITS: dict[str, tuple[Fact[float], ...]] = {
    "child_before_age": (Fact(16, "years", SPEC, LIBRARY_FROM),),
    "greatest_age": (Fact(130, "years", CORE, LIBRARY_FROM),),
    "pregnancy_from_age": (Fact(12, "years", "IR(ME)R practice", LIBRARY_FROM, recalled=True),),
    "pregnancy_to_age": (Fact(55, "years", "IR(ME)R practice", LIBRARY_FROM, recalled=True),),
    "weight_from_kg": (Fact(2, "kg", CORE, LIBRARY_FROM),),
    "weight_to_kg": (Fact(350, "kg", CORE, LIBRARY_FROM),),
    "usual_table_limit_kg": (Fact(200, "kg", "Typical scanners, 200 to 250 kg", LIBRARY_FROM, recalled=True),),
    "question_min_characters": (Fact(10, "characters", "Ours", LIBRARY_FROM),),
    "days_after_chemotherapy": (Fact(10, "days", "Practice", LIBRARY_FROM, recalled=True),),
    "days_after_radiotherapy": (Fact(56, "days", "Practice, 8 to 12 weeks", LIBRARY_FROM, recalled=True),),
    "days_after_surgery": (Fact(42, "days", "Practice", LIBRARY_FROM, recalled=True),),
    "egfr_valid_days": (Fact(90, "days", "Practice", LIBRARY_FROM, recalled=True),),
    "fds_days": (Fact(28, "days", "Cancer waiting times", LIBRARY_FROM),),
}

KILOGRAMS = frozenset({"weight_from_kg", "weight_to_kg", "usual_table_limit_kg"})


def limits(on: date) -> Limits:
    """Those in force on a day; `recalled` names the ones that no professional has confirmed."""
    held = {name: in_force(rows, max(on, LIBRARY_FROM)) for name, rows in LIMITS.items()}
    values = {name: fact.value if name in KILOGRAMS else int(fact.value) for name, fact in held.items()}
    return Limits(**values, recalled=frozenset(name for name, fact in held.items() if fact.recalled))  # type: ignore[arg-type]

"""What an FDG patient must do and stop before the injection: rules a page can check and read out."""

from gantry.reference.dated import LIBRARY_FROM, Fact

LEAFLETS = "Leaflets of three PET-CT services"
TABLE_7 = "Critical Care 03557-x, table 7"

FDG_RULES: dict[str, Fact[float]] = {
    "fast": Fact(6, "hours", LEAFLETS, LIBRARY_FROM),
    "feeds_stopped": Fact(6, "hours", TABLE_7, LIBRARY_FROM),
    "water": Fact(1, "litre over the 2 hours before", TABLE_7, LIBRARY_FROM),
    "rapid_insulin": Fact(4, "hours since", TABLE_7, LIBRARY_FROM),
    "short_insulin": Fact(6, "hours since", TABLE_7, LIBRARY_FROM),
    "no_exercise": Fact(24, "hours", LEAFLETS, LIBRARY_FROM),
    "keep_warm": Fact(1, "hour", LEAFLETS, LIBRARY_FROM),
    "glucose_action": Fact(11.0, "mmol/L", "EANM 2015", LIBRARY_FROM, recalled=True),
    "glucose_research": Fact(8.3, "mmol/L", "EANM 2015", LIBRARY_FROM, recalled=True),
}

FDG_ADVICE: tuple[Fact[str], ...] = (
    Fact(
        "Have nothing to eat for 6 hours; drink plain water only, about a litre in the last 2 hours",
        "",
        LEAFLETS,
        LIBRARY_FROM,
    ),
    Fact("Do no strenuous exercise for 24 hours", "", LEAFLETS, LIBRARY_FROM),
    Fact("Keep warm on the way, and for an hour before", "", LEAFLETS, LIBRARY_FROM),
    Fact("Carry on with metformin unless you are told to stop", "", TABLE_7, LIBRARY_FROM),
    Fact("If you take insulin, we ring you before the day to agree a time", "", TABLE_7, LIBRARY_FROM),
    Fact("Whoever comes with you must not be pregnant or a child", "", LEAFLETS, LIBRARY_FROM),
)

BREASTFEEDING_INTERRUPTION = Fact(12.0, "hours after FDG", "Product label; other bodies say 4 or 0", LIBRARY_FROM)

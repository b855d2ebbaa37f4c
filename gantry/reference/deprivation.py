"""How deprived the areas of the demonstration's postcodes are said to be. A service loads its own file instead."""

from gantry.reference.dated import ASSUMED_NOTICE, LIBRARY_FROM, Fact

INVENTED = "Invented for the demonstration: no statement about these places is meant"
INDEX = "Assumed for the demonstration"
_DECILES = {"M20 4BX": 7, "L7 8XP": 1, "BD9 6RJ": 2, "S10 2JF": 9, "CH63 4JY": 6, "M13 9WL": 3}
DECILES: dict[str, Fact[int]] = {
    postcode: Fact(decile, "tenth, 1 the most deprived", INVENTED, LIBRARY_FROM, notice=ASSUMED_NOTICE)
    for postcode, decile in _DECILES.items()
}

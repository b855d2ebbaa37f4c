"""Generators by make: limits of breakthrough, age and use, and the yield that is usual."""

from datetime import timedelta

from gantry.domain.generator import Kind, Limit
from gantry.reference.dated import LIBRARY_FROM, Fact
from gantry.reference.nuclides import NUCLIDES

GA68, RB82, GE68, SR82 = (NUCLIDES[symbol].value for symbol in ("Ga-68", "Rb-82", "Ge-68", "Sr-82"))

RB82_WAIT = Fact(timedelta(minutes=10), "", "Between two elutions: product characteristics", LIBRARY_FROM)
RB82_MOST_ML = Fact(100.0, "mL", "In one elution: product characteristics", LIBRARY_FROM)

GENERATORS: dict[str, Fact[Kind]] = {
    "ge-ga": Fact(
        Kind("ge-ga", GE68, GA68, 250, timedelta(days=365), None, (Limit("Ge-68", None, 0.001, "%"),)),
        "",
        "Replaced at 250 elutions or 12 months: product characteristics; the breakthrough limit is recalled",
        LIBRARY_FROM,
        recalled=True,
    ),
    "sr-rb": Fact(
        Kind(
            "sr-rb",
            SR82,
            RB82,
            None,
            timedelta(days=42),
            17.0,
            (
                Limit("Sr-82", 0.002, 0.01, "µCi/mCi"),
                Limit("Sr-85", 0.02, 0.1, "µCi/mCi"),
            ),
            wait=RB82_WAIT.value,
            most_ml=RB82_MOST_ML.value,
        ),
        "",
        "Product characteristics of rubidium-82 generators: alert and expiry limits, 42 days, 17 L",
        LIBRARY_FROM,
    ),
}

ELUTION_YIELD = Fact(0.7, "share of what has regrown", "60 to 80 % is usual", LIBRARY_FROM, recalled=True)

"""Class 7 transport: label categories, A2 values and the words of the paper."""

from gantry.domain.transport import Category, Label
from gantry.reference.dated import LIBRARY_FROM, Fact

CATEGORIES = Fact(
    (
        Category(Label.WHITE, 0.005, 0.0),
        Category(Label.YELLOW_2, 0.5, 1.0),
        Category(Label.YELLOW_3, 2.0, 10.0),
        Category(Label.EXCLUSIVE, 10.0, None),
    ),
    "mSv/h on the surface; transport index",
    "ADR class 7, categories of packages; also 49 CFR 172.403",
    LIBRARY_FROM,
)

A2_MBQ: dict[str, Fact[float]] = {
    symbol: Fact(tbq * 1e6, "MBq", "ADR 2.2.7.2.2.1", LIBRARY_FROM, recalled=True)
    for symbol, tbq in {"F-18": 0.6, "Ga-68": 0.5, "Ge-68": 0.5, "Sr-82": 0.2}.items()
}

TYPE_A = Fact(
    "UN2915 RADIOACTIVE MATERIAL, TYPE A PACKAGE, 7", "", "ADR 3.2, non-special form, not fissile", LIBRARY_FROM
)
TUNNEL = Fact("(E)", "tunnel restriction code", "ADR 8.6", LIBRARY_FROM, recalled=True)
EXCEPTED = Fact(
    "UN2908 RADIOACTIVE MATERIAL, EXCEPTED PACKAGE - EMPTY PACKAGING, 7", "", "ADR 3.2", LIBRARY_FROM, recalled=True
)
EMPTY_SURFACE_MSV_PER_H = Fact(
    0.005, "mSv/h", "Limit on the surface of an excepted package", LIBRARY_FROM, recalled=True
)
METER_PERCENT = Fact(
    20.0, "% of the reading", "Usual of a survey meter between its yearly tests", LIBRARY_FROM, recalled=True
)

"""Half-lives of the nuclides in use, each with where it was read; what nobody has confirmed is marked on pages and rules."""

from datetime import date, timedelta

from gantry.domain.decay import Nuclide
from gantry.reference.dated import LIBRARY_FROM, Fact


def _nuclide(symbol: str, half_life: timedelta, source: str, *, recalled: bool = False) -> Fact[Nuclide]:
    return Fact(Nuclide(symbol, half_life), "half-life", source, LIBRARY_FROM, recalled)


NUCLIDES: dict[str, Fact[Nuclide]] = {
    fact.value.symbol: fact
    for fact in (
        _nuclide(
            "F-18",
            timedelta(seconds=6586.2),
            "HPRA product characteristics of FDG, 109.77 min; DICOM PET samples, 6586.2 s",
        ),
        _nuclide("Ga-68", timedelta(minutes=67.7), "Product characteristics of gallium-68 peptides, 67.7 to 68 min"),
        _nuclide("Rb-82", timedelta(seconds=75), "Product characteristics of rubidium-82 generators, 75 s"),
        _nuclide("C-11", timedelta(minutes=20.4), "Published tables, 20 min; the decimal is recalled", recalled=True),
        _nuclide("N-13", timedelta(minutes=9.97), "Published tables, 10 min; the decimals are recalled", recalled=True),
        _nuclide("O-15", timedelta(minutes=2.04), "Published tables, 2 min; the decimals are recalled", recalled=True),
        _nuclide("Cu-64", timedelta(hours=12.7), "Published tables", recalled=True),
        _nuclide("Zr-89", timedelta(hours=78.4), "Published tables", recalled=True),
        _nuclide("Ge-68", timedelta(days=270.95), "Product characteristics of germanium-68 generators"),
        _nuclide("Sr-82", timedelta(days=25.5), "Product characteristics of rubidium-82 generators"),
        _nuclide("Cs-137", timedelta(days=30.08 * 365.25), "Published tables; check sources", recalled=True),
        _nuclide("Co-57", timedelta(days=271.74), "Published tables; check sources", recalled=True),
        _nuclide("Na-22", timedelta(days=2.602 * 365.25), "Published tables; check sources", recalled=True),
        _nuclide("Ba-133", timedelta(days=10.55 * 365.25), "Published tables; check sources", recalled=True),
    )
}

F18 = NUCLIDES["F-18"].value
GA68 = NUCLIDES["Ga-68"].value

RADIONUCLIDE_SCT: dict[str, Fact[str]] = {
    symbol: Fact(code, "SNOMED CT", "DICOM CID 4020", date(2024, 9, 1))
    for symbol, code in {
        "F-18": "77004003",
        "Ga-68": "35337001",
        "Rb-82": "79197006",
        "Cu-64": "3932008",
        "Zr-89": "63360001",
        "C-11": "40565003",
        "N-13": "21576001",
        "O-15": "129504001",
    }.items()
}

RADIONUCLIDE_OLD_SRT = {"C-111A1": "F-18", "C-131A3": "Ga-68", "C-159A2": "Rb-82"}
"""Older scanners still send these; read both ways."""

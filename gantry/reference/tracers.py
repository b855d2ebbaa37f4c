"""The tracers: procedure code, usual activity, uptake window, scan time, preparation and dose coefficient.

Procedure codes are opaque: ours until a licence's own codes are loaded for a site (ARSAC codes are to be verified).
"""

from dataclasses import dataclass, replace

from gantry.domain.decay import Nuclide
from gantry.reference.dated import LIBRARY_FROM, Fact
from gantry.reference.nuclides import NUCLIDES


@dataclass(frozen=True, slots=True)
class Tracer:
    code: str
    name: str
    nuclide: Nuclide
    procedure_code: str
    scheme: str
    """Prescription scheme used unless a protocol names another (`gantry.reference.schemes`)."""
    uptake_min: int
    uptake_from_min: int
    uptake_to_min: int
    scan_min: int
    preparation: str
    msv_per_mbq: float
    agent_code: str = ""
    agent_scheme: str = "SCT"
    paediatric_card: str = ""
    fasting: bool = False

    @property
    def is_fdg(self) -> bool:
        return self.code.startswith("FDG")


PROCEDURE_NOTICE = "Procedure code is ours; load the codes of the site's licence before live use"
F18, GA68, RB82, N13 = (NUCLIDES[symbol].value for symbol in ("F-18", "Ga-68", "Rb-82", "N-13"))
FDG_PREPARATION = "Fast 6 hours, plain water only; glucose checked; no strenuous exercise for 24 hours; keep warm"

FDG = Tracer(
    "FDG",
    "F-18 FDG, body",
    F18,
    "PET-FDG-ONC",
    "fdg-3.5",
    60,
    55,
    75,
    20,
    FDG_PREPARATION,
    0.019,
    "35321007",
    paediatric_card="fdg-torso",
    fasting=True,
)


def _fact(tracer: Tracer, source: str, *, recalled: bool = False) -> Fact[Tracer]:
    return Fact(tracer, "", source, LIBRARY_FROM, recalled, "" if recalled else PROCEDURE_NOTICE)


TRACERS: dict[str, Fact[Tracer]] = {
    fact.value.code: fact
    for fact in (
        _fact(FDG, "Nucl Med Commun 46:379 (2025); ICRP 128; product leaflets"),
        _fact(
            replace(
                FDG,
                code="FDG-BRAIN",
                name="F-18 FDG, brain",
                procedure_code="PET-FDG-BRAIN",
                scheme="fdg-brain-fixed",
                uptake_min=45,
                uptake_from_min=30,
                uptake_to_min=60,
                scan_min=15,
                preparation=f"{FDG_PREPARATION}; a quiet dim room, eyes open; no caffeine or nicotine",
                paediatric_card="fdg-brain",
            ),
            "Uptake as published; activity recalled",
            recalled=True,
        ),
        _fact(
            replace(
                FDG,
                code="FDG-CARDIAC",
                name="F-18 FDG, heart or infection",
                procedure_code="PET-FDG-INF",
                uptake_min=75,
                uptake_from_min=60,
                uptake_to_min=90,
                scan_min=25,
                preparation="Low carbohydrate, high fat for 24 hours, then fast; plain water only; glucose checked",
            ),
            "Critical Care 03557-x table 7; scan time recalled",
            recalled=True,
        ),
        _fact(
            Tracer(
                "NAF",
                "F-18 sodium fluoride",
                F18,
                "PET-NAF",
                "naf-fixed",
                50,
                45,
                60,
                25,
                "Drink plenty",
                0.009,
                "129501009",
                paediatric_card="naf",
            ),
            "IDAC-Dose 2 coefficients; published activities",
        ),
        _fact(
            Tracer(
                "CHOLINE",
                "F-18 choline",
                F18,
                "PET-FCH",
                "choline-per-kg",
                60,
                50,
                70,
                20,
                "Fast 4 to 6 hours",
                0.020,
                "456992002",
            ),
            "Dose as published; the rest recalled",
            recalled=True,
        ),
        _fact(
            Tracer(
                "FLUCICLOVINE",
                "F-18 fluciclovine",
                F18,
                "PET-FACBC",
                "fluciclovine-fixed",
                4,
                3,
                10,
                25,
                "Fast 4 hours; do not pass urine in the hour before",
                0.022,
                "457000009",
            ),
            "SNMMI technologist papers; dose recalled",
            recalled=True,
        ),
        _fact(
            Tracer(
                "PSMA-1007",
                "F-18 PSMA-1007",
                F18,
                "PET-PSMA1007",
                "psma1007-per-kg",
                100,
                90,
                120,
                20,
                "Drink plenty",
                0.022,
                "126758",
                "DCM",
            ),
            "Recalled",
            recalled=True,
        ),
        _fact(
            Tracer(
                "PIFLUFOLASTAT",
                "F-18 piflufolastat",
                F18,
                "PET-DCFPYL",
                "piflufolastat-per-kg",
                60,
                55,
                90,
                20,
                "Empty the bladder; keep from infants and pregnant women for 12 hours",
                0.0116,
                "C116352",
                "NCIt",
            ),
            "Product characteristics",
        ),
        _fact(
            Tracer(
                "GA-PSMA-11",
                "Ga-68 PSMA-11",
                GA68,
                "PET-GAPSMA",
                "psma11-per-kg",
                60,
                50,
                100,
                25,
                "Drink plenty; empty the bladder",
                0.022,
                "C118961",
                "NCIt",
            ),
            "Product characteristics; uptake recalled",
            recalled=True,
        ),
        _fact(
            Tracer(
                "GA-DOTATATE",
                "Ga-68 DOTATATE",
                GA68,
                "PET-DOTA",
                "dotatate-fixed",
                60,
                45,
                90,
                25,
                "Ask about somatostatin analogues at vetting",
                0.021,
                "724025002",
                paediatric_card="ga-peptide",
            ),
            "Product characteristics of edotreotide; uptake recalled",
            recalled=True,
        ),
        _fact(
            Tracer(
                "FLORBETAPIR",
                "F-18 florbetapir",
                F18,
                "PET-AMYLOID",
                "florbetapir-fixed",
                40,
                30,
                50,
                10,
                "None",
                0.019,
                "456995000",
            ),
            "Insights into Imaging s13244-022-01358-6",
        ),
        _fact(
            Tracer(
                "FLORBETABEN",
                "F-18 florbetaben",
                F18,
                "PET-AMYLOID",
                "florbetaben-fixed",
                90,
                45,
                130,
                20,
                "None",
                0.019,
                "712736002",
            ),
            "Insights into Imaging s13244-022-01358-6",
        ),
        _fact(
            Tracer(
                "FLUTEMETAMOL",
                "F-18 flutemetamol",
                F18,
                "PET-AMYLOID",
                "flutemetamol-fixed",
                90,
                85,
                95,
                20,
                "None",
                0.032,
                "456997008",
            ),
            "Insights into Imaging s13244-022-01358-6; window recalled",
            recalled=True,
        ),
        _fact(
            Tracer("FET", "F-18 FET", F18, "PET-FET", "fet-fixed", 20, 20, 40, 30, "Fast 4 hours", 0.015, "424708001"),
            "Dose as published; the rest recalled",
            recalled=True,
        ),
        _fact(
            Tracer(
                "FDOPA",
                "F-18 F-DOPA",
                F18,
                "PET-FDOPA",
                "fdopa-fixed",
                75,
                60,
                90,
                20,
                "Carbidopa if the site uses it",
                0.025,
                "5811000122108",
            ),
            "Dose as published; the rest recalled",
            recalled=True,
        ),
        _fact(
            Tracer(
                "FES",
                "F-18 fluoroestradiol",
                F18,
                "PET-FES",
                "fes-fixed",
                80,
                20,
                80,
                25,
                "Anti-oestrogens stopped",
                0.022,
                "926372005",
            ),
            "Recalled",
            recalled=True,
        ),
        _fact(
            Tracer(
                "RB-82",
                "Rb-82 chloride",
                RB82,
                "PET-RB82",
                "rb82-fixed",
                1,
                1,
                2,
                7,
                "No caffeine for 24 hours",
                0.0012,
                "129503007",
            ),
            "Published activity and dose; verify",
            recalled=True,
        ),
        _fact(
            Tracer(
                "N13-NH3",
                "N-13 ammonia",
                N13,
                "PET-NH3",
                "nh3-fixed",
                3,
                2,
                5,
                15,
                "No caffeine for 24 hours",
                0.002,
                "129508003",
            ),
            "Recalled",
            recalled=True,
        ),
    )
}

PET_CT_SCT = Fact("450436003", "SNOMED CT", "Positron emission tomography with computed tomography", LIBRARY_FROM)


def tracer(code: str) -> Tracer:
    return TRACERS[code].value

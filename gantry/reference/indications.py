"""The commissioned indications: our codes and wording, arranged as in the RCR's list, each row marked as recalled.

The list that is funded in England is RCR and RCP, Evidence-based indications for the use of PET-CT in the UK,
4th edition, 2022 (NHS England policy statement, PET-CT guidelines, all ages). A vetting decision keeps the row's
code and edition, so that it can be judged after the list has changed.
"""

from datetime import date

from gantry.domain.referral import FundingRule, Indication, Population
from gantry.reference.dated import Fact

EDITION = "RCR 2022, 4th edition"
EDITION_FROM = date(2022, 1, 1)
FDG = frozenset({"FDG"})
BRAIN = frozenset({"FDG-BRAIN"})
AMYLOID = frozenset({"FLORBETAPIR", "FLORBETABEN", "FLUTEMETAMOL"})
PSMA = frozenset({"PSMA-1007", "PIFLUFOLASTAT", "GA-PSMA-11"})


def _row(
    code: str,
    title: str,
    tracers: frozenset[str] = FDG,
    *,
    population: Population = Population.ALL,
    funding: FundingRule = FundingRule.ROUTINE,
) -> Fact[Indication]:
    row = Indication(code, title, tracers, EDITION, population, funding, recalled=True)
    return Fact(row, "", EDITION, EDITION_FROM, recalled=True)


INDICATIONS: dict[str, Fact[Indication]] = {
    fact.value.code: fact
    for fact in (
        _row("ONC-BRN", "Brain tumour: recurrence or necrosis, change of grade", FDG | BRAIN | {"FET", "CHOLINE"}),
        _row("ONC-HN", "Head and neck squamous cancer: staging, unknown primary, response, recurrence"),
        _row("ONC-THY", "Thyroid cancer: raised marker with negative imaging"),
        _row("ONC-LUN", "Lung nodule, 8 mm or more, indeterminate"),
        _row("ONC-NSC", "Non-small-cell lung cancer: staging before radical treatment, planning, recurrence"),
        _row("ONC-SCL", "Small-cell lung cancer: limited stage on CT, before radical treatment"),
        _row("ONC-MES", "Mesothelioma: where to biopsy, staging before operation"),
        _row("ONC-THM", "Thymic tumour: staging, selected"),
        _row("ONC-OES", "Oesophageal cancer: staging, after neoadjuvant treatment, radiotherapy planning"),
        _row("ONC-GST", "GIST: baseline and early response"),
        _row("ONC-PAN", "Pancreatic or biliary cancer: before radical surgery, equivocal, recurrence"),
        _row("ONC-HCC", "Liver cancer, selected, or liver metastases before resection"),
        _row("ONC-COL", "Colorectal cancer: before metastasectomy, raised marker, presacral mass"),
        _row("ONC-ANU", "Anal cancer: staging, response, recurrence"),
        _row("ONC-BRE", "Breast cancer: inflammatory or locally advanced, equivocal spread", FDG | {"FES"}),
        _row("ONC-GYN", "Gynaecological cancer: before chemoradiation, response, recurrence, before exenteration"),
        _row("ONC-URO", "Bladder, penile, testicular or renal cancer, selected"),
        _row("ONC-PRO", "Prostate cancer: high-risk primary staging, recurrence", PSMA | {"CHOLINE", "FLUCICLOVINE"}),
        _row("ONC-LYM", "Lymphoma: staging, interim, end of treatment, relapse, transformation, planning"),
        _row("ONC-MYE", "Myeloma or plasmacytoma: solitary, non-secretory, outside the marrow, response"),
        _row("ONC-SKN", "Melanoma stage III or IV, or Merkel cell cancer"),
        _row("ONC-SAR", "Sarcoma: staging high grade, before amputation, where to biopsy"),
        _row("ONC-CUP", "Cancer of unknown primary, when the result alters treatment"),
        _row("ONC-PNS", "Paraneoplastic syndrome with negative CT"),
        _row("ONC-NET", "Neuroendocrine tumour", FDG | {"GA-DOTATATE"}),
        _row("ONC-PED", "Cancer of children, teenagers and young adults", population=Population.CHILD),
        _row("INF-PUO", "Fever or inflammation of unknown origin", FDG | {"FDG-CARDIAC"}),
        _row("INF-VAS", "Large-vessel vasculitis or polymyalgia"),
        _row("INF-END", "Infected prosthetic valve, device or graft", FDG | {"FDG-CARDIAC"}),
        _row("INF-BON", "Osteomyelitis or infected spine"),
        _row("INF-SAR", "Sarcoidosis", FDG | {"FDG-CARDIAC"}),
        _row("CAR-SAR", "Cardiac sarcoidosis", frozenset({"FDG-CARDIAC", "RB-82", "N13-NH3"})),
        _row("CAR-VIA", "Viability of the heart muscle", frozenset({"FDG-CARDIAC"})),
        _row("CAR-MPI", "Perfusion of the heart muscle", frozenset({"RB-82", "N13-NH3"})),
        _row("NEU-DEM", "Dementia: which kind", BRAIN | AMYLOID, population=Population.ADULT),
        _row("NEU-EPI", "Epilepsy, before surgery", BRAIN),
        _row("NEU-MOV", "Parkinsonism", BRAIN | {"FDOPA"}, funding=FundingRule.POLICY_LIMITED),
        _row("PRO-REC", "Prostate cancer: recurrence", PSMA | {"CHOLINE", "FLUCICLOVINE"}, population=Population.ADULT),
        _row("NET-SST", "Neuroendocrine tumour: staging, choice of PRRT", frozenset({"GA-DOTATATE"})),
        _row("BON-NAF", "Bone, with fluoride", frozenset({"NAF"}), funding=FundingRule.POLICY_LIMITED),
        _row("GLI-FET", "Glioma, with an amino acid", frozenset({"FET"}), funding=FundingRule.POLICY_LIMITED),
        _row("PTH-CHO", "Parathyroid, before surgery", frozenset({"CHOLINE"}), funding=FundingRule.POLICY_LIMITED),
        _row("BRE-FES", "Breast cancer: oestrogen receptor", frozenset({"FES"}), funding=FundingRule.POLICY_LIMITED),
    )
}

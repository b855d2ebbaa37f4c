"""Choice lists and codes that other bodies own: cancer types, ethnic categories, default codes, priorities."""

from datetime import date

from gantry.domain.referral import Choice
from gantry.reference.dated import LIBRARY_FROM, Fact

DICTIONARY = "NHS data dictionary, May 2026"
DICTIONARY_FROM = date(2023, 10, 1)

CANCER_TYPES: Fact[tuple[Choice, ...]] = Fact(
    (
        Choice("01", "Breast"),
        Choice("02", "Children's (under 16)"),
        Choice("03", "Lung"),
        Choice("04", "Haematological, except acute leukaemia"),
        Choice("05", "Acute leukaemia"),
        Choice("06", "Upper gastrointestinal"),
        Choice("07", "Lower gastrointestinal"),
        Choice("08", "Skin"),
        Choice("09", "Gynaecological"),
        Choice("10", "Brain or central nervous system"),
        Choice("11", "Urological, except testicular"),
        Choice("12", "Testicular"),
        Choice("13", "Head and neck"),
        Choice("14", "Sarcoma"),
        Choice("16", "Exhibited breast symptoms"),
        Choice("17", "Non-specific symptoms"),
        Choice("18", "Other"),
    ),
    "",
    DICTIONARY,
    DICTIONARY_FROM,
)

ETHNIC_CATEGORIES: Fact[tuple[Choice, ...]] = Fact(
    (
        Choice("A", "White: British"),
        Choice("B", "White: Irish"),
        Choice("C", "White: any other"),
        Choice("D", "Mixed: White and Black Caribbean"),
        Choice("E", "Mixed: White and Black African"),
        Choice("F", "Mixed: White and Asian"),
        Choice("G", "Mixed: any other"),
        Choice("H", "Asian or Asian British: Indian"),
        Choice("J", "Asian or Asian British: Pakistani"),
        Choice("K", "Asian or Asian British: Bangladeshi"),
        Choice("L", "Asian or Asian British: any other"),
        Choice("M", "Black or Black British: Caribbean"),
        Choice("N", "Black or Black British: African"),
        Choice("P", "Black or Black British: any other"),
        Choice("R", "Chinese"),
        Choice("S", "Any other"),
        Choice("Z", "Not stated"),
        Choice("99", "Not known"),
    ),
    "",
    "NHS data dictionary (16+1 categories of the 2001 census)",
    LIBRARY_FROM,
    recalled=True,
)

DEFAULT_CODES: dict[str, Fact[str]] = {
    "consultant_unknown": Fact("C9999998", "", DICTIONARY, LIBRARY_FROM),
    "gp_unknown": Fact("G9999998", "", DICTIONARY, LIBRARY_FROM),
    "gp_not_applicable": Fact("G9999981", "", DICTIONARY, LIBRARY_FROM),
    "referrer_other": Fact("R9999981", "", DICTIONARY, LIBRARY_FROM),
    "referrer_unknown": Fact("X9999998", "", DICTIONARY, LIBRARY_FROM),
    "practice_none": Fact("V81997", "", DICTIONARY, LIBRARY_FROM),
    "practice_not_applicable": Fact("V81998", "", DICTIONARY, LIBRARY_FROM),
    "practice_unknown": Fact("V81999", "", DICTIONARY, LIBRARY_FROM),
    "organisation_not_applicable": Fact("X99998", "", DICTIONARY, LIBRARY_FROM),
    "organisation_unknown": Fact("X99999", "", DICTIONARY, LIBRARY_FROM),
    "provider_outside_uk": Fact("89997", "", DICTIONARY, LIBRARY_FROM),
    "provider_in_uk": Fact("89999", "", DICTIONARY, LIBRARY_FROM),
    "defence": Fact("XMD00", "", DICTIONARY, LIBRARY_FROM),
}

PRIORITY_RANKS: Fact[dict[str, int]] = Fact(
    {"T": 0, "2": 1, "3": 2, "1": 3},
    "rank, lowest first",
    "Ours: treatment start, urgent, two-week-wait type, routine; agreed with the networks",
    LIBRARY_FROM,
)

IDENTIFIER_SYSTEMS: dict[str, Fact[str]] = {
    name: Fact(system, "FHIR system", "National Imaging Registry specification", LIBRARY_FROM)
    for name, system in {
        "nhs_number": "https://fhir.nhs.uk/Id/nhs-number",
        "gmc": "https://fhir.hl7.org.uk/Id/gmc-number",
        "ods_organisation": "https://fhir.nhs.uk/Id/ods-organization-code",
        "ods_site": "https://fhir.nhs.uk/Id/ods-site-code",
        "nicip": "https://nicip.nhs.uk",
    }.items()
}

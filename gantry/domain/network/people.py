"""Decides who is referred and what their referral says: unmistakably made-up people with the whole data set answered."""

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from enum import StrEnum
from random import Random

from gantry.domain.identifiers import nth_test_nhs_number

FAMILY_NAMES = (
    "Alder", "Ashdown", "Birch", "Bramble", "Cedarwood", "Clover", "Fennel", "Fernley", "Gorse", "Hawthorn",
    "Hazelgrove", "Hornbeam", "Ivybridge", "Juniper", "Larch", "Linden", "Maplethorpe", "Meadows", "Nettleton", "Oakham",
    "Pinewood", "Poplar", "Quince", "Rowan", "Rushton", "Sedge", "Sorrel", "Sycamore", "Tansy", "Thistle", "Thornby",
    "Willow", "Yarrow", "Yewdale",
)  # fmt: skip
FEMALE = ("Ada", "Bea", "Cora", "Dina", "Elsie", "Farah", "Greta", "Hana", "Ines", "Jaya", "Kezia", "Lena", "Maud", "Nia",
          "Olive", "Priya", "Rosa", "Sunita", "Tess", "Zofia")  # fmt: skip
MALE = ("Abel", "Boris", "Colin", "Dev", "Edwin", "Farid", "Gus", "Hugh", "Imran", "Jonah", "Kofi", "Leo", "Milo", "Ned",
        "Omar", "Piotr", "Ravi", "Stan", "Tariq", "Wilf")  # fmt: skip
MARK = "TEST-"
"""Before every family name: nobody can take these people for real ones on any screen, label or wire."""


class Kind(StrEnum):
    """What makes a person's preparation or place different."""

    ADULT = "adult"
    CHILD = "child"
    """With a general anaesthetic."""
    INSULIN = "insulin"
    INPATIENT = "inpatient"


@dataclass(frozen=True, slots=True)
class Hospital:
    """Who refers, and in whose name."""

    ods: str
    referrer: str
    registration: str
    children_only: bool = False


@dataclass(frozen=True, slots=True)
class Illness:
    indication: str
    cancer_type: str
    tumour_site: str
    histology: str
    purpose: str
    question: str
    mdt: str
    tracer: str = "FDG"
    male_only: bool = False
    female_only: bool = False


ILLNESSES = (
    Illness("ONC-NSC", "03", "C34.1", "Adenocarcinoma", "staging",
            "Staging before radical treatment: any nodal or distant disease?", "Lung MDT"),
    Illness("ONC-LUN", "03", "C34.9", "", "diagnosis", "Indeterminate nodule of 11 mm: is it likely to be malignant?",
            "Lung MDT"),
    Illness("ONC-LYM", "04", "C83.3", "Diffuse large B-cell lymphoma", "interim_response",
            "Interim response after two cycles: Deauville score please", "Lymphoma MDT"),
    Illness("ONC-LYM", "04", "C81.1", "Hodgkin lymphoma", "end_of_treatment", "End of treatment: complete response?",
            "Lymphoma MDT"),
    Illness("ONC-HN", "13", "C10.9", "Squamous cell carcinoma", "staging",
            "Neck node with unknown primary: where is it?", "Head and neck MDT"),
    Illness("ONC-OES", "06", "C15.5", "Adenocarcinoma", "staging", "Before surgery: distant disease?", "Upper GI MDT"),
    Illness("ONC-COL", "07", "C18.7", "Adenocarcinoma", "restaging",
            "Rising CEA with normal CT: site of recurrence?", "Colorectal MDT"),
    Illness("ONC-GYN", "09", "C53.9", "Squamous cell carcinoma", "staging",
            "Before chemoradiation: para-aortic nodes?", "Gynaecology MDT", female_only=True),
    Illness("ONC-SKN", "08", "C43.5", "Melanoma", "staging", "Stage III melanoma: distant disease?", "Skin MDT"),
    Illness("ONC-PRO", "11", "C61", "Adenocarcinoma, Gleason 4+4", "staging",
            "High-risk prostate cancer before radical treatment: nodes or bone?", "Urology MDT", "PSMA-1007", True),
)  # fmt: skip
CHILDS_ILLNESS = Illness(
    "ONC-PED",
    "02",
    "C81.9",
    "Hodgkin lymphoma",
    "staging",
    "Staging before treatment: which regions?",
    "Children's MDT",
)


@dataclass(frozen=True, slots=True)
class Person:
    """A made-up person and their illness, complete enough that a referral asks nothing back."""

    number: int
    kind: Kind
    family_name: str
    given_name: str
    female: bool
    born_on: date
    weight_kg: float
    illness: Illness

    @property
    def nhs_number(self) -> str:
        return nth_test_nhs_number(self.number)


def person(number: int, kind: Kind, on: date, chance: Random) -> Person:
    female = chance.random() < 0.48
    if kind is Kind.CHILD:
        illness, years = CHILDS_ILLNESS, chance.randint(3, 9)
        weight = round(8.0 + 2.6 * years + chance.uniform(-2, 3), 1)
    else:
        able = [one for one in ILLNESSES if not (one.male_only and female)]
        illness = chance.choice(able)
        if illness.female_only and not female:
            # The next of the list, not another draw: nobody else's story changes.
            illness = able[able.index(illness) + 1]
        years = chance.randint(34, 86)
        weight = round(min(max(chance.gauss(72 if female else 83, 13), 44), 138), 1)
    born = date(on.year - years, chance.randint(1, 12), chance.randint(1, 28))
    family = MARK + chance.choice(FAMILY_NAMES)
    given = chance.choice(FEMALE if female else MALE)
    return Person(number, kind, family, given, female, born, weight, illness)


def answers(who: Person, hospital: Hospital, *, at: datetime, within_days: int, chance: Random) -> dict[str, object]:
    """Every question of the data set that applies to this person, by the data set's names."""
    today = at.date()
    cancer = who.illness.purpose in ("staging", "diagnosis")
    given: dict[str, object] = {
        "nhs_number": who.nhs_number,
        "nhs_number_status": "01",
        "local_patient_id": f"{hospital.ods}{who.number:06d}",
        "local_patient_id_assigner": hospital.ods,
        "family_name": who.family_name,
        "given_name": who.given_name,
        "date_of_birth": who.born_on,
        "stated_gender": "2" if who.female else "1",
        "sex_assigned_at_birth": "female" if who.female else "male",
        "address": f"{chance.randint(1, 140)} Example Road, Testown",
        "postcode": chance.choice(("M20 4BX", "L7 8XP", "BD9 6RJ", "S10 2JF", "CH63 4JY", "M13 9WL")),
        **reached(who, chance.randint(100, 999), chance.choice(("phone", "text", "email", "letter"))),
        "reasonable_adjustments": ("longer_visit",) if chance.random() < 0.08 else ("none",),
        "gp_practice_ods": "V81999",
        **spoken(who),
        "transport": "own",
        "arrival_mobility": chance.choice(("walking", "walking", "walking", "walking_aid", "wheelchair")),
        "patient_status": "03",
        "overseas_private_status": "nhs",
        "referrer_name": hospital.referrer,
        "referrer_role": "consultant",
        "gmc_or_hcpc": hospital.registration,
        "responsible_consultant": hospital.referrer,
        "responsible_consultant_gmc": hospital.registration,
        "referring_org_ods": hospital.ods,
        "referring_site_ods": f"{hospital.ods}01",
        "report_to": (hospital.ods,),
        "mdt_name": who.illness.mdt,
        "mdt_date": today + timedelta(days=within_days + 2),
        "request_datetime": at,
        "priority": "2" if cancer else "1",
        "cancer_pathway": "urgent_suspected" if cancer else "surveillance",
        "requested_scan_by": today + timedelta(days=within_days),
        "planned_scan": False,
        "funding_route": "nhse_standard",
        "indication_code": who.illness.indication,
        "tumour_site": who.illness.tumour_site,
        "scan_purpose": who.illness.purpose,
        "tracer_requested": who.illness.tracer,
        "body_region": "skull_base_to_mid_thigh",
        "clinical_question": who.illness.question,
        "treatment_history": (),
        "surgery_or_biopsy_last_6w": False,
        "prior_imaging": (
            {"modality": "CT", "region": "Chest, abdomen and pelvis", "date": today - timedelta(days=9),
             "site_ods": hospital.ods},
        ),
        "recent_reports_attached": True,
        "iv_contrast_requested": False,
        "weight_kg": who.weight_kg,
        "weight_date": today - timedelta(days=chance.randint(1, 9)),
        "weight_basis": "measured",
        "diabetes": "none",
        "infection_risk": ("none",),
        "allergies": ("none",),
        "claustrophobia": "mild" if chance.random() < 0.06 else "none",
        "lie_flat_30min": True,
        "continence": "continent",
        "support_need": ("none",),
        "escort": "not_needed",
        "anaesthetic_required": "none",
        "declaration": True,
        "declared_by": hospital.referrer,
        "declared_at": at,
    }  # fmt: skip
    if who.illness.purpose != "diagnosis":
        given |= {"histology": who.illness.histology, "stage": chance.choice(("T2 N1", "T3 N0", "II", "IIIA"))}
    if cancer:
        started = today - timedelta(days=chance.randint(2, 12))
        given |= {
            "pathway_id": f"TEST{hospital.ods}{who.number:06d}",
            "pathway_issuer": hospital.ods,
            "suspected_cancer_type": who.illness.cancer_type,
            "fds_clock_start": started,
            "target_fds_date": started + timedelta(days=28),
        }
    return given | special(who, today)


def reached(who: Person, number: int, prefers: str) -> dict[str, object]:
    """Numbers and addresses that Ofcom and RFC 2606 keep free of anybody."""
    phone = f"07700 900{number}" if prefers == "text" else f"01632 960 {number}"
    mail = {"email": f"{who.given_name.lower()}{who.number:03d}@example.test"} if prefers == "email" else {}
    return {"phone_primary": phone, "preferred_contact": prefers, **mail}


def spoken(who: Person) -> dict[str, object]:
    """One in twenty needs an interpreter."""
    if who.number % 20 != 7:
        return {"interpreter_required": False}
    return {"interpreter_required": True, "interpreter_language": LANGUAGES[who.number // 20 % len(LANGUAGES)]}


LANGUAGES = ("Polish", "Urdu", "BSL", "Romanian")


def special(who: Person, today: date) -> dict[str, object]:
    """What else is asked of a child, somebody on insulin, an inpatient, or somebody who could be pregnant."""
    more: dict[str, object] = {}
    if who.female and today.year - who.born_on.year <= 56:
        more |= {"organs_for_pregnancy": "yes", "pregnancy_status": "N", "breastfeeding": False}
    if who.kind is Kind.CHILD:
        more |= {
            "next_of_kin": f"Parent of {who.given_name}",
            "next_of_kin_phone": "01632 960 099",
            "anaesthetic_required": "general_anaesthetic",
            "asa_grade": "2",
            "play_specialist_assessment": "general_anaesthetic",
            "consent_holder": "Parent",
            "safeguarding_concern": False,
            "escort": "comes",
        }
    if who.kind is Kind.INSULIN:
        more |= {
            "diabetes": "insulin",
            "diabetes_detail": "Insulin",
            "insulin_regimen": "basal_bolus",
            "metformin": False,
        }
    if who.kind is Kind.INPATIENT:
        more |= {
            "patient_status": "01",
            "ward": "Ward T1",
            "ward_phone": "01632 960 050",
            "transport": "site_transfer",
            "arrival_mobility": "wheelchair",
        }
    return more

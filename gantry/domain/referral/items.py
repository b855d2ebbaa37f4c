"""Decides what a referral must hold: the minimum data set, its questions in the order a clinician gives them.

Specification 2266 section 7.1 asks for a data set agreed with the networks; this is the national core.
Names are kept for ever: a new question or choice is a new version, never a new meaning for an old name.
"""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from gantry.domain.referral.facts import Case, Choice

DATA_SET_VERSION = "2026.1"


class Group(StrEnum):
    PATIENT = "Patient"
    REFERRER = "Referrer and pathway"
    CLINICAL = "Clinical"
    SAFETY = "Safety"
    DECLARATION = "Declaration"


class Kind(StrEnum):
    TEXT = "text"
    LONG_TEXT = "long text"
    INTEGER = "integer"
    NUMBER = "number"
    DATE = "date"
    MOMENT = "moment"
    YES_NO = "yes or no"
    CHOICE = "one choice"
    CHOICES = "several choices"
    CODES = "list of codes"
    ROWS = "rows"
    DERIVED = "derived"


class Need(StrEnum):
    MANDATORY = "M"
    CONDITIONAL = "C"
    OPTIONAL = "O"


@dataclass(frozen=True, slots=True)
class Condition:
    """When a question is asked, in words and as a test."""

    text: str
    holds: Callable[[Case], bool]


@dataclass(frozen=True, slots=True)
class Item:
    name: str
    group: Group
    label: str
    kind: Kind
    mandatory: Need
    condition: Condition | None = None
    choices: tuple[Choice, ...] = ()
    choices_from: str = ""
    """Name of a list that reference data owns, in `Context.lists`."""
    hint: str = ""
    source: str = "Data set, national core"
    columns: tuple["Item", ...] = ()
    rule_decides: bool = False
    """Whether it had to be answered is for a rule, not for its condition alone."""
    filled_here: bool = False
    """Filled by this service, never asked of the referrer."""


def one_of(name: str, *values: str) -> Callable[[Case], bool]:
    return lambda case: case.get(name) in values


def yes(name: str) -> Callable[[Case], bool]:
    return lambda case: case.get(name) is True


def any_of(name: str, *values: str) -> Callable[[Case], bool]:
    return lambda case: not set(values).isdisjoint(case.several(name))


WAITING_TIMES = ("urgent_suspected", "31_day", "62_day", "consultant_upgrade")
ON_CANCER_PATHWAY = (*WAITING_TIMES, "surveillance")


def is_cancer(case: Case) -> bool:
    indication = case.indication
    return case.get("cancer_pathway") in ON_CANCER_PATHWAY or (indication is not None and indication.is_cancer)


def could_be_pregnant(case: Case) -> bool:
    """Asked by organs and age. Stated gender is never looked at; not known is asked."""
    return (
        case.of_childbearing_age
        and case.get("sex_assigned_at_birth") != "male"
        and case.get("organs_for_pregnancy") != "no"
    )


NO_NHS_NUMBER = Condition("there is no NHS number", lambda case: not case.text("nhs_number"))
INTERPRETER = Condition("an interpreter is needed", yes("interpreter_required"))
INPATIENT = Condition("the patient is an inpatient", one_of("patient_status", "01"))
UNDER_16 = Condition("the patient is under 16 on the first day the scan could be", lambda case: case.is_child)
CANCER = Condition("it is for cancer", is_cancer)
PATHWAY = Condition("the patient is on a cancer pathway", one_of("cancer_pathway", *ON_CANCER_PATHWAY))
TIMED_PATHWAY = Condition("the pathway has a cancer waiting time", one_of("cancer_pathway", *WAITING_TIMES))
URGENT_SUSPECTED = Condition("the pathway is urgent suspected cancer", one_of("cancer_pathway", "urgent_suspected"))
DAY_31 = Condition("the pathway is 31-day", one_of("cancer_pathway", "31_day"))
DAY_62 = Condition("the pathway is 62-day or an upgrade", one_of("cancer_pathway", "62_day", "consultant_upgrade"))
PLANNED = Condition("the scan is planned", yes("planned_scan"))
EXCEPTIONAL = Condition("funding is exceptional", one_of("funding_route", "exceptional"))
TRIAL = Condition("funding is a trial", one_of("funding_route", "trial"))
KNOWN_TUMOUR = Condition(
    "it is for cancer and not a first diagnosis",
    lambda case: is_cancer(case) and case.get("scan_purpose") != "diagnosis",
)
RECENT_SURGERY = Condition("there was surgery or a biopsy in six weeks", yes("surgery_or_biopsy_last_6w"))
PRIOR_CT_OR_MR = Condition(
    "there is an earlier CT or MRI",
    lambda case: any(row.get("modality") in ("CT", "MR", "PT") for row in case.rows("prior_imaging")),
)
CONTRAST = Condition("contrast is wanted", yes("iv_contrast_requested"))
RT_PLANNING = Condition("it is for radiotherapy planning", one_of("scan_purpose", "rt_planning"))
TREATED_DIABETES = Condition("diabetes is treated", one_of("diabetes", "oral", "glp1_sglt2", "insulin"))
INSULIN = Condition("the patient takes insulin", one_of("diabetes", "insulin"))
PREGNANCY = Condition("the patient could be pregnant, by organs and age", could_be_pregnant)
ASK_ORGANS = Condition(
    "the patient is of the age asked about pregnancy and was not male at birth",
    lambda case: case.of_childbearing_age and case.get("sex_assigned_at_birth") != "male",
)
NAMED_ALLERGY = Condition("an allergy is named", any_of("allergies", "contrast", "plaster", "drugs", "latex", "other"))
SEDATION = Condition("claustrophobia needs sedation", one_of("claustrophobia", "sedation"))
ANAESTHETIC = Condition(
    "sedation or an anaesthetic is needed", one_of("anaesthetic_required", "iv_sedation", "general_anaesthetic")
)


def choices(**labels: str) -> tuple[Choice, ...]:
    """Choices by value and label; a leading underscore lets a value begin with a digit."""
    return tuple(Choice(value.removeprefix("_"), label) for value, label in labels.items())


NHS_STATUS = choices(
    _01="Present and verified",
    _02="Present, not traced",
    _03="Trace required",
    _04="Traced: none or several matches",
    _05="Needs resolution",
    _06="Trace in progress",
    _07="Not present, trace not required",
    _08="Trace postponed, baby under six weeks",
)
NO_NUMBER_REASONS = (
    Choice("nhs-number-not-known", "Not known"),
    Choice("overseas-patient", "Overseas patient"),
    Choice("devolved-nation", "Registered in Scotland or Northern Ireland"),
)
GENDER = choices(_1="Male", _2="Female", _9="Indeterminate", X="Not known")
SEX_AT_BIRTH = choices(female="Female", male="Male", intersex="Intersex", not_known="Not known or not said")
YES_NO_UNKNOWN = choices(yes="Yes", no="No", not_known="Not known")
CONTACT_BY = choices(phone="Phone", text="Text message", email="Email", letter="Letter", carer="Through a carer")
ADJUSTMENTS = choices(
    none="None needed",
    large_print="Large print",
    easy_read="Easy read",
    bsl="British Sign Language",
    hearing_loop="Hearing loop",
    longer_visit="More time",
    quiet_room="A quiet place",
    carer_stays="Carer stays throughout",
    other="Other: say in the question to the reporter",
)
TRANSPORT = choices(
    own="Own",
    hospital_car="Hospital car",
    ambulance_walker="Ambulance, walks",
    ambulance_chair="Ambulance, chair",
    ambulance_stretcher="Ambulance, stretcher",
    site_transfer="Transfer between sites (inpatient)",
)
MOBILITY = choices(
    walking="Walking",
    walking_aid="Walking with an aid",
    wheelchair="Wheelchair",
    hoist="Hoist",
    trolley="Trolley or bed",
)
PATIENT_STATUS = choices(
    _01="Inpatient",
    _02="Day case",
    _03="Outpatient",
    _04="GP direct access",
    _05="Emergency department",
    _06="Other provider",
    _07="Other",
)
PAYER = choices(nhs="NHS", private="Private, self-paying", insured="Private, insured", overseas="Overseas visitor")
ROLES = choices(
    consultant="Consultant",
    specialty_doctor="Specialty doctor",
    resident_doctor="Resident doctor",
    clinical_nurse_specialist="Clinical nurse specialist",
    advanced_practitioner="Advanced clinical practitioner",
    mdt_coordinator="MDT coordinator, for a consultant",
    gp="General practitioner",
    other="Other",
)
PRIORITY = choices(_1="Routine", _2="Urgent", _3="Two-week-wait type", T="Treatment start depends on it")
CANCER_PATHWAY = choices(
    none="None",
    urgent_suspected="Urgent suspected cancer (28-day)",
    _31_day="31-day",
    _62_day="62-day",
    consultant_upgrade="Consultant upgrade",
    surveillance="Surveillance",
)
FUNDING = choices(
    nhse_standard="NHS England standard indication",
    exceptional="Exceptional (individual funding request)",
    trial="Trial",
    private="Private",
)
PURPOSE = choices(
    diagnosis="Diagnosis",
    staging="Staging",
    interim_response="Interim response",
    end_of_treatment="End of treatment",
    restaging="Restaging or recurrence",
    rt_planning="Radiotherapy planning",
    surveillance="Surveillance",
    transformation="Transformation or biopsy target",
    infection="Infection or inflammation",
    neuro="Neurology",
    cardiac="Cardiac",
)
REGION = choices(
    brain="Brain",
    skull_base_to_mid_thigh="Skull base to mid-thigh",
    vertex_to_toes="Vertex to toes",
    cardiac="Heart",
    limb="Limb",
    other="Other",
)
TREATMENT = choices(
    chemo="Chemotherapy",
    rt="Radiotherapy",
    surgery="Surgery",
    immunotherapy="Immunotherapy",
    hormone="Hormone treatment",
    gcsf="G-CSF",
    prrt="PRRT",
)
MODALITY = choices(CT="CT", MR="MRI", PT="PET-CT", US="Ultrasound", NM="Nuclear medicine", XR="X-ray", OTHER="Other")
RT_POSITION = choices(
    flat_couch="Flat couch", mask="Mask", immobilisation="Other immobilisation", gating="Gating", arms_up="Arms up"
)
MEASURED = choices(measured="Measured", stated="Stated by the patient")
DIABETES = choices(none="None", diet="Diet", oral="Tablets", glp1_sglt2="GLP-1 or SGLT2", insulin="Insulin")
INSULIN_REGIMEN = choices(
    basal_bolus="Long-acting with rapid-acting", mixed="Mixed, twice daily", long_acting="Long-acting only", pump="Pump"
)
PREGNANT = choices(Y="Yes", N="No", Z="Not known")
INFECTION = choices(
    none="None known",
    mrsa="MRSA",
    cpe="CPE",
    cdiff="C. difficile",
    tb="Tuberculosis",
    respiratory="Respiratory virus",
    bbv="Blood-borne virus",
    other="Other",
)
ALLERGIES = choices(
    none="None known", contrast="Contrast", plaster="Plaster", drugs="Medicines", latex="Latex", other="Other"
)
CLAUSTROPHOBIA = choices(
    none="None", mild="Mild", sedation="Needs sedation", general_anaesthetic="Needs an anaesthetic"
)
CONTINENCE = choices(
    continent="Continent", pads="Incontinent, pads", catheter="Catheter", stoma="Stoma", nephrostomy="Nephrostomy"
)
VENOUS = choices(easy="No difficulty", difficult="Difficult veins", picc="PICC", port="Port", hickman="Tunnelled line")
IMPLANTS = choices(
    pacemaker="Pacemaker or defibrillator", metal="Metalwork", cgm="Glucose sensor", port="Port", pump="Drug pump"
)
SUPPORT = choices(
    none="None",
    memory="Memory loss or dementia",
    learning_disability="Learning disability",
    autism="Autism",
    mental_health="Mental illness",
    other="Other",
)
ESCORT = choices(not_needed="Not needed", comes="Comes with an escort", needed="Needs one: to arrange")
ANAESTHETIC_CHOICES = choices(
    none="None",
    oral_sedation="Oral sedation",
    iv_sedation="Intravenous sedation",
    general_anaesthetic="General anaesthetic",
)
ASA = choices(_1="ASA 1", _2="ASA 2", _3="ASA 3", _4="ASA 4")
PLAY_SPECIALIST = choices(
    to_arrange="To arrange",
    awake="Assessed: awake",
    sedation="Assessed: sedation",
    general_anaesthetic="Assessed: anaesthetic",
)

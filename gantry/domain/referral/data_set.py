"""Lists every item of the minimum data set, by group; `items.py` says what an item is and when it is asked."""

from gantry.domain.referral import items as when
from gantry.domain.referral.items import Group, Item, Kind, Need

A, B, C, D, E = Group.PATIENT, Group.REFERRER, Group.CLINICAL, Group.SAFETY, Group.DECLARATION
MUST, IF, MAY = Need.MANDATORY, Need.CONDITIONAL, Need.OPTIONAL
TEXT, LONG, INT, NUM, DAY, MOMENT = Kind.TEXT, Kind.LONG_TEXT, Kind.INTEGER, Kind.NUMBER, Kind.DATE, Kind.MOMENT
YES, ONE, MANY, CODES, ROWS, DERIVED = Kind.YES_NO, Kind.CHOICE, Kind.CHOICES, Kind.CODES, Kind.ROWS, Kind.DERIVED

DICTIONARY = "NHS data dictionary"
DID = "Diagnostic Imaging Dataset"
IRMER = "IR(ME)R 2017"
SPEC = "Specification 2266"
OURS = "Ours"

TREATMENT_COLUMNS = (
    Item("treatment_type", C, "Treatment", ONE, MUST, choices=when.TREATMENT),
    Item("agent", C, "Drug, field or operation", TEXT, MAY),
    Item("last_date", C, "Last", DAY, MAY),
    Item("next_date", C, "Next", DAY, MAY),
    Item("cycle_length_days", C, "Cycle, days", INT, MAY),
    Item("cycle_number", C, "Cycles had", INT, MAY),
)
PRIOR_COLUMNS = (
    Item("modality", C, "Modality", ONE, MUST, choices=when.MODALITY),
    Item("region", C, "Part of the body", TEXT, MUST),
    Item("date", C, "Date", DAY, MUST),
    Item("site_ods", C, "Where (ODS code)", TEXT, MAY),
    Item("images_received", C, "Images received", YES, MAY),
)

PATIENT = (
    Item("nhs_number", A, "NHS number", TEXT, IF, hint="10 digits", source=DICTIONARY, rule_decides=True),
    Item("nhs_number_status", A, "NHS number status", ONE, MUST, choices=when.NHS_STATUS, source=DICTIONARY),
    Item(
        "nhs_number_unavailable_reason",
        A,
        "Why there is no NHS number",
        ONE,
        IF,
        when.NO_NHS_NUMBER,
        choices=when.NO_NUMBER_REASONS,
        source="UK Core",
        rule_decides=True,
    ),
    Item("local_patient_id", A, "Hospital number", TEXT, MUST),
    Item("local_patient_id_assigner", A, "Hospital number given by (ODS code)", TEXT, MUST),
    Item("family_name", A, "Family name", TEXT, MUST),
    Item("given_name", A, "Given name", TEXT, MUST),
    Item("title", A, "Title", TEXT, MAY),
    Item("date_of_birth", A, "Date of birth", DAY, MUST, source=DID),
    Item("stated_gender", A, "Gender, as the person states it", ONE, MUST, choices=when.GENDER, source=DICTIONARY),
    Item(
        "sex_assigned_at_birth",
        A,
        "Sex assigned at birth",
        ONE,
        MUST,
        choices=when.SEX_AT_BIRTH,
        hint="Asked only so that the pregnancy enquiry includes everyone it should",
        source=IRMER,
    ),
    Item(
        "organs_for_pregnancy",
        A,
        "Could become pregnant (has a womb)",
        ONE,
        IF,
        when.ASK_ORGANS,
        choices=when.YES_NO_UNKNOWN,
        source=IRMER,
    ),
    Item("ethnic_category", A, "Ethnic category", ONE, MAY, choices_from="ethnic_categories", source=DID),
    Item("address", A, "Address", LONG, MUST),
    Item("postcode", A, "Postcode", TEXT, MUST, source=DID),
    Item("phone_primary", A, "Phone", TEXT, MUST, hint="We ring to offer a choice of times"),
    Item("phone_alt", A, "Other phone", TEXT, MAY),
    Item("email", A, "Email", TEXT, MAY),
    Item("preferred_contact", A, "Prefers contact by", ONE, MUST, choices=when.CONTACT_BY),
    Item("reasonable_adjustments", A, "Reasonable adjustments", MANY, MUST, choices=when.ADJUSTMENTS),
    Item("gp_practice_ods", A, "GP practice (ODS code)", TEXT, MUST, hint="V81999 if not known", source=DID),
    Item("next_of_kin", A, "Parent, carer or next of kin", TEXT, IF, when.UNDER_16),
    Item("next_of_kin_phone", A, "Their phone", TEXT, IF, when.UNDER_16),
    Item("interpreter_required", A, "Interpreter needed", YES, MUST),
    Item("interpreter_language", A, "Language, or BSL", TEXT, IF, when.INTERPRETER),
    Item("transport", A, "Transport", ONE, MUST, choices=when.TRANSPORT),
    Item("arrival_mobility", A, "Arrives", ONE, MUST, choices=when.MOBILITY),
    Item("patient_status", A, "Patient status", ONE, MUST, choices=when.PATIENT_STATUS, source=DID),
    Item("ward", A, "Ward", TEXT, IF, when.INPATIENT),
    Item("ward_phone", A, "Ward phone", TEXT, IF, when.INPATIENT),
    Item("overseas_private_status", A, "Patient is", ONE, MUST, choices=when.PAYER),
)

REFERRER = (
    Item("referrer_name", B, "Referrer", TEXT, MUST, source=IRMER),
    Item("referrer_role", B, "Role", ONE, MUST, choices=when.ROLES, source=IRMER),
    Item("gmc_or_hcpc", B, "GMC, HCPC or NMC number", TEXT, MUST, source=IRMER),
    Item("responsible_consultant", B, "Responsible consultant", TEXT, MUST),
    Item("responsible_consultant_gmc", B, "Consultant's GMC number", TEXT, MUST, hint="C9999998 if not known"),
    Item("referring_org_ods", B, "Referring organisation (ODS code)", TEXT, MUST, source=f"{SPEC}, 7.2"),
    Item("referring_site_ods", B, "Referring site (ODS code)", TEXT, MUST, source=DID),
    Item("report_to", B, "Report to (ODS codes)", CODES, MUST, hint="Include the local MDT's hospital", source=SPEC),
    Item("mdt_name", B, "MDT", TEXT, IF, when.PATHWAY),
    Item("mdt_date", B, "MDT date", DAY, IF, when.PATHWAY),
    Item("request_datetime", B, "Requested at", MOMENT, MUST, source=DID),
    Item("received_datetime", B, "Received at", MOMENT, MUST, source=DID, filled_here=True),
    Item("priority", B, "Priority", ONE, MUST, choices=when.PRIORITY, source=DICTIONARY),
    Item("cancer_pathway", B, "Cancer pathway", ONE, MUST, choices=when.CANCER_PATHWAY),
    Item("pathway_id", B, "Pathway identifier", TEXT, IF, when.TIMED_PATHWAY, source="Cancer waiting times"),
    Item("pathway_issuer", B, "Pathway issued by (ODS code)", TEXT, IF, when.TIMED_PATHWAY),
    Item(
        "suspected_cancer_type",
        B,
        "Suspected cancer",
        ONE,
        IF,
        when.URGENT_SUSPECTED,
        choices_from="cancer_types",
        source=DICTIONARY,
    ),
    Item("fds_clock_start", B, "28-day clock started", DAY, IF, when.URGENT_SUSPECTED, source="Cancer waiting times"),
    Item("target_fds_date", B, "28-day target", DAY, MAY, when.URGENT_SUSPECTED, source="Cancer waiting times"),
    Item("decision_to_treat_date", B, "Decision to treat", DAY, IF, when.DAY_31, source="Cancer waiting times"),
    Item("breach_62_date", B, "62-day breach date", DAY, IF, when.DAY_62, source="Cancer waiting times"),
    Item("requested_scan_by", B, "Scan wanted by", DAY, MUST, source=f"{SPEC}, 7.1"),
    Item("not_before", B, "Not before", DAY, MAY),
    Item("planned_scan", B, "Planned (surveillance or response)", YES, MUST),
    Item("planned_scan_due", B, "Due", DAY, IF, when.PLANNED),
    Item("funding_route", B, "Funding", ONE, MUST, choices=when.FUNDING),
    Item("ifr_reference", B, "Individual funding request", TEXT, IF, when.EXCEPTIONAL),
    Item("trial_rec_number", B, "Ethics committee number", TEXT, IF, when.TRIAL),
    Item("trial_name", B, "Trial", TEXT, IF, when.TRIAL),
    Item("trial_commercial", B, "Commercial trial", YES, IF, when.TRIAL),
    Item("trial_arsac_approval", B, "ARSAC research approval", TEXT, IF, when.TRIAL, source=IRMER),
    Item("trial_visit_label", B, "Trial visit", TEXT, IF, when.TRIAL),
)

CLINICAL = (
    Item("indication_code", C, "Indication", ONE, MUST, choices_from="indications", source="RCR 2022, 4th edition"),
    Item("tumour_site", C, "Tumour site (ICD-10 or SNOMED CT)", TEXT, IF, when.CANCER),
    Item("histology", C, "Histology", TEXT, IF, when.KNOWN_TUMOUR),
    Item("stage", C, "Stage", TEXT, IF, when.KNOWN_TUMOUR),
    Item("scan_purpose", C, "Purpose", ONE, MUST, choices=when.PURPOSE),
    Item("tracer_requested", C, "Tracer", ONE, MUST, choices_from="tracers", source=IRMER),
    Item("body_region", C, "Region", ONE, MUST, choices=when.REGION),
    Item("clinical_question", C, "Question to answer", LONG, MUST, source=IRMER),
    Item(
        "treatment_history",
        C,
        "Treatment so far",
        ROWS,
        IF,
        when.CANCER,
        hint="Say none if there was none",
        columns=TREATMENT_COLUMNS,
    ),
    Item("surgery_or_biopsy_last_6w", C, "Surgery or biopsy in the last six weeks", YES, MUST),
    Item("surgery_or_biopsy_site", C, "Where on the body", TEXT, IF, when.RECENT_SURGERY),
    Item("surgery_or_biopsy_date", C, "When", DAY, IF, when.RECENT_SURGERY),
    Item("timing_check", C, "Time since treatment", DERIVED, MAY, source="Recalled: to be confirmed"),
    Item("prior_imaging", C, "Earlier imaging", ROWS, MUST, hint="Say none if there is none", columns=PRIOR_COLUMNS),
    Item("recent_reports_attached", C, "CT or MRI reports attached", YES, IF, when.PRIOR_CT_OR_MR),
    Item("iv_contrast_requested", C, "Intravenous contrast wanted", YES, MUST, source=f"{SPEC}, 7.1"),
    Item("rt_planning_position", C, "Position for planning", MANY, IF, when.RT_PLANNING, choices=when.RT_POSITION),
)

SAFETY = (
    Item("weight_kg", D, "Weight, kg", NUM, MUST, source=IRMER),
    Item("height_cm", D, "Height, cm", NUM, MAY),
    Item("weight_date", D, "Weighed on", DAY, MUST),
    Item("weight_basis", D, "Weight is", ONE, MUST, choices=when.MEASURED),
    Item("exceeds_table_limit", D, "Over the usual table limit", DERIVED, MAY),
    Item("diabetes", D, "Diabetes", ONE, MUST, choices=when.DIABETES),
    Item("diabetes_detail", D, "Which medicines", TEXT, IF, when.TREATED_DIABETES),
    Item("insulin_regimen", D, "Insulin", ONE, IF, when.INSULIN, choices=when.INSULIN_REGIMEN),
    Item("glucose_sensor", D, "Wears a glucose sensor", YES, MAY, when.TREATED_DIABETES),
    Item("metformin", D, "Takes metformin", YES, IF, when.TREATED_DIABETES),
    Item("fasting_glucose_recent", D, "Recent fasting glucose, mmol/L", NUM, MAY),
    Item("hba1c", D, "HbA1c, mmol/mol", NUM, MAY),
    Item("pregnancy_status", D, "Pregnant", ONE, IF, when.PREGNANCY, choices=when.PREGNANT, source=IRMER),
    Item("pregnancy_lmp", D, "Last period began", DAY, MAY, when.PREGNANCY, source=IRMER),
    Item("breastfeeding", D, "Breastfeeding", YES, IF, when.ASK_ORGANS, source=IRMER),
    Item("infection_risk", D, "Infection", MANY, MUST, choices=when.INFECTION),
    Item("infection_precautions", D, "Precautions", TEXT, MAY),
    Item("allergies", D, "Allergies", MANY, MUST, choices=when.ALLERGIES),
    Item("allergy_detail", D, "To what, and what happens", TEXT, IF, when.NAMED_ALLERGY),
    Item("egfr", D, "eGFR, mL/min/1.73 m²", NUM, IF, when.CONTRAST),
    Item("egfr_date", D, "eGFR taken on", DAY, IF, when.CONTRAST),
    Item("claustrophobia", D, "Claustrophobia or anxiety", ONE, MUST, choices=when.CLAUSTROPHOBIA),
    Item("sedation_prescriber", D, "Who prescribes the sedation", TEXT, IF, when.SEDATION),
    Item("lie_flat_30min", D, "Can lie flat for 30 minutes", YES, MUST),
    Item("pain_control_needed", D, "Needs pain relief to lie still", YES, MAY),
    Item("continence", D, "Continence", ONE, MUST, choices=when.CONTINENCE),
    Item("venous_access", D, "Veins", ONE, MAY, choices=when.VENOUS),
    Item("implants", D, "Implants", MANY, MAY, choices=when.IMPLANTS),
    Item("support_need", D, "Support with understanding or behaviour", MANY, MUST, choices=when.SUPPORT),
    Item("escort", D, "Escort", ONE, MUST, choices=when.ESCORT, hint="Not a child, nor anyone pregnant"),
    Item(
        "anaesthetic_required", D, "Sedation or anaesthetic", ONE, MUST, choices=when.ANAESTHETIC_CHOICES, source=SPEC
    ),
    Item("asa_grade", D, "ASA grade", ONE, IF, when.ANAESTHETIC, choices=when.ASA),
    Item("airway_concerns", D, "Airway", TEXT, MAY, when.ANAESTHETIC),
    Item("last_anaesthetic", D, "Last anaesthetic", TEXT, MAY, when.ANAESTHETIC),
    Item(
        "play_specialist_assessment",
        D,
        "Play specialist",
        ONE,
        IF,
        when.UNDER_16,
        choices=when.PLAY_SPECIALIST,
        source=f"{SPEC}, annex 1",
    ),
    Item("consent_holder", D, "Who may consent", TEXT, IF, when.UNDER_16, source=f"{SPEC}, annex 1"),
    Item("safeguarding_concern", D, "Safeguarding concern", YES, IF, when.UNDER_16),
    Item("radioactive_exposure_recent", D, "Recent radioactive treatment or scan", TEXT, MAY),
    Item("consent_research_use", D, "Agrees to use in research", YES, MAY),
    Item("national_data_opt_out", D, "National data opt-out", YES, MAY),
)

DECLARATION = (
    Item(
        "declaration",
        E,
        "I am entitled to refer, and what I have given is enough to justify the exposure",
        YES,
        MUST,
        source=IRMER,
    ),
    Item("declared_by", E, "Declared by", TEXT, MUST, source=IRMER),
    Item("declared_at", E, "Declared at", MOMENT, MUST, source=IRMER),
)

ITEMS: tuple[Item, ...] = PATIENT + REFERRER + CLINICAL + SAFETY + DECLARATION
ITEM = {item.name: item for item in ITEMS}

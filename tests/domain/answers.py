"""A referral that is complete, and small changes to it: valid by default, the day given."""

from datetime import UTC, date, datetime, timedelta

from gantry.domain.referral import Context, Finding, findings
from gantry.reference.context import referral_context
from gantry.reference.network import KINDS, REFERRERS

ON = date(2026, 11, 20)
CONTEXT = referral_context(ON, organisations=KINDS, network=REFERRERS)


def complete(**changes: object) -> dict[str, object]:
    """Typed answers of an adult with lymphoma, on a 62-day pathway. None takes an answer out."""
    answers: dict[str, object] = {
        "nhs_number": "9990000018",
        "nhs_number_status": "01",
        "local_patient_id": "H123456",
        "local_patient_id_assigner": "RBV",
        "family_name": "TESTPATIENT",
        "given_name": "Amina",
        "date_of_birth": date(1960, 5, 4),
        "stated_gender": "2",
        "sex_assigned_at_birth": "female",
        "address": "1 Example Street, Manchester",
        "postcode": "M20 4BX",
        "phone_primary": "01632 960 001",
        "preferred_contact": "phone",
        "reasonable_adjustments": ("none",),
        "gp_practice_ods": "V81999",
        "interpreter_required": False,
        "transport": "own",
        "arrival_mobility": "walking",
        "patient_status": "03",
        "overseas_private_status": "nhs",
        "referrer_name": "Dr B Example",
        "referrer_role": "consultant",
        "gmc_or_hcpc": "C1234567",
        "responsible_consultant": "Dr B Example",
        "responsible_consultant_gmc": "C1234567",
        "referring_org_ods": "RBV",
        "referring_site_ods": "RBV01",
        "report_to": ("RBV",),
        "mdt_name": "Lymphoma",
        "mdt_date": ON + timedelta(days=10),
        "request_datetime": datetime(2026, 11, 20, 9, tzinfo=UTC),
        "priority": "2",
        "cancer_pathway": "62_day",
        "pathway_id": "RBV000123",
        "pathway_issuer": "RBV",
        "breach_62_date": ON + timedelta(days=30),
        "requested_scan_by": ON + timedelta(days=7),
        "planned_scan": False,
        "funding_route": "nhse_standard",
        "indication_code": "ONC-LYM",
        "tumour_site": "C81.9",
        "histology": "Hodgkin lymphoma",
        "stage": "II",
        "scan_purpose": "staging",
        "tracer_requested": "FDG",
        "body_region": "skull_base_to_mid_thigh",
        "clinical_question": "Stage before treatment: any disease below the diaphragm?",
        "treatment_history": (),
        "surgery_or_biopsy_last_6w": False,
        "prior_imaging": (),
        "iv_contrast_requested": False,
        "weight_kg": 70.0,
        "weight_date": ON - timedelta(days=3),
        "weight_basis": "measured",
        "diabetes": "none",
        "infection_risk": ("none",),
        "allergies": ("none",),
        "claustrophobia": "none",
        "lie_flat_30min": True,
        "continence": "continent",
        "support_need": ("none",),
        "escort": "not_needed",
        "anaesthetic_required": "none",
        "declaration": True,
        "declared_by": "Dr B Example",
        "declared_at": datetime(2026, 11, 20, 9, tzinfo=UTC),
    } | changes
    return {name: value for name, value in answers.items() if value is not None}


def found(context: Context = CONTEXT, **changes: object) -> list[Finding]:
    """What the rules say of the complete referral with these changes."""
    return findings(complete(**changes), on=ON, context=context)


def codes(context: Context = CONTEXT, **changes: object) -> set[tuple[str, str]]:
    return {(finding.code, finding.field) for finding in found(context, **changes) if finding.code != "MDS-11"}

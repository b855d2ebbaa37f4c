"""Decides which answers of the data set an order gives, and where in the order each answer belongs.

The same item names as the web form's, so one set of rules checks every door.
"""

from collections.abc import Iterable, Mapping

from gantry.domain.referral.data_set import ITEM
from gantry.domain.referral.facts import Finding
from gantry.domain.referral.facts import Severity as Gravity

from .observations import ITEM_SYSTEM
from .orders import Order
from .refusals import Fault, Refusal, Severity
from .values import ods_or_empty

COORDINATES: Mapping[str, str] = {
    "nhs_number": "PID^1^3^1^1",
    "nhs_number_status": "PID^1^32^1",
    "local_patient_id": "PID^1^3^1^1",
    "local_patient_id_assigner": "PID^1^3^1^4",
    "family_name": "PID^1^5^1^1",
    "given_name": "PID^1^5^1^2",
    "title": "PID^1^5^1^5",
    "date_of_birth": "PID^1^7^1",
    "stated_gender": "PID^1^8^1",
    "ethnic_category": "PID^1^22^1",
    "address": "PID^1^11^1^1",
    "postcode": "PID^1^11^1^5",
    "phone_primary": "PID^1^13^1",
    "phone_alt": "PID^1^13^2",
    "email": "PID^1^13^1^4",
    "gp_practice_ods": "PD1^1^3^1^3",
    "next_of_kin": "NK1^1^2^1",
    "next_of_kin_phone": "NK1^1^5^1",
    "arrival_mobility": "OBR^{n}^30^1",
    "patient_status": "PV1^1^2^1",
    "ward": "PV1^1^3^1^1",
    "referrer_name": "ORC^{n}^12^1^2",
    "gmc_or_hcpc": "ORC^{n}^12^1^1",
    "responsible_consultant": "PV1^1^7^1^2",
    "responsible_consultant_gmc": "PV1^1^7^1^1",
    "referring_org_ods": "ORC^{n}^21^1^3",
    "referring_site_ods": "PV1^1^3^1^4",
    "report_to": "ORC^{n}^21^1^3",
    "request_datetime": "ORC^{n}^9^1",
    "priority": "TQ1^{n}^9^1",
    "requested_scan_by": "TQ1^{n}^8^1",
    "not_before": "TQ1^{n}^7^1",
    "tumour_site": "DG1^1^3^1",
    "clinical_question": "OBR^{n}^31^1",
    "infection_precautions": "OBR^{n}^12^1",
    "allergies": "AL1^1^3^1",
    "allergy_detail": "AL1^1^3^1",
    "weight_kg": "OBX",
    "weight_date": "OBX",
    "height_cm": "OBX",
    "egfr": "OBX",
    "egfr_date": "OBX",
    "pregnancy_status": "PV1^1^15^1",
}
"""Where each item stands in an order; an item not named here is sent as an OBX under our coding system."""


def to_answers(order: Order) -> dict[str, object]:
    """What the order answers, by item name. An item named in an OBX of ours wins over the older fields."""
    patient, seen = order.patient, order.observed
    own_number = bool(patient.local_id)
    given: dict[str, object] = {
        "nhs_number": patient.nhs_number,
        "nhs_number_status": patient.nhs_number_status,
        "local_patient_id": patient.local_id,
        "local_patient_id_assigner": own_number
        and (ods_or_empty(patient.local_id_assigner) or order.referring_org_ods),
        "family_name": patient.family_name,
        "given_name": patient.given_name,
        "title": patient.title,
        "date_of_birth": patient.date_of_birth,
        "stated_gender": patient.stated_gender,
        "ethnic_category": patient.ethnic_category,
        "address": patient.address,
        "postcode": patient.postcode,
        "phone_primary": patient.phones[0] if patient.phones else "",
        "phone_alt": patient.phones[1] if len(patient.phones) > 1 else "",
        "email": patient.email,
        "gp_practice_ods": patient.gp_practice_ods,
        "next_of_kin": patient.next_of_kin,
        "next_of_kin_phone": patient.next_of_kin_phone,
        "arrival_mobility": order.mobility,
        "patient_status": order.patient_status,
        "ward": order.ward,
        "referrer_name": order.requester.name,
        "gmc_or_hcpc": order.requester.registration,
        "responsible_consultant": order.consultant.name,
        "responsible_consultant_gmc": order.consultant.registration,
        "referring_org_ods": order.referring_org_ods,
        "referring_site_ods": order.referring_site_ods,
        "report_to": order.referring_org_ods and (order.referring_org_ods,),
        "request_datetime": order.requested_at or order.sent_at,
        "priority": order.priority,
        "requested_scan_by": order.wanted_by and order.wanted_by.date(),
        "not_before": order.not_before and order.not_before.date(),
        "tumour_site": tumour_site(order),
        "clinical_question": order.clinical_question,
        "infection_precautions": order.hazards,
        "allergies": allergy_kinds(order),
        "allergy_detail": "; ".join(allergy.what for allergy in patient.allergies if allergy.what),
        "weight_kg": seen.weight_kg,
        "weight_date": seen.weight_date,
        "weight_basis": {True: "measured", False: "stated", None: ""}[seen.weight_measured],
        "height_cm": seen.height_cm,
        "egfr": seen.egfr,
        "egfr_date": seen.egfr_date,
        "pregnancy_status": seen.pregnancy_status,
    }
    answers = {name: value for name, value in given.items() if value not in ("", None, False, ())}
    return answers | {name: value for name, value, _ in seen.items}


def tumour_site(order: Order) -> str:
    """The first diagnosis that ICD-10 calls a neoplasm (C00-D48); another diagnosis stays in the question."""
    for diagnosis in order.diagnoses:
        code = diagnosis.coded.code.upper()
        if diagnosis.coded.system.upper().startswith(("I10", "ICD10", "ICD-10")) and "C00" <= code[:3] <= "D48":
            return code
    return ""


def allergy_kinds(order: Order) -> tuple[str, ...]:
    """The kinds named. "None known" beside a named allergy is a contradiction, which the named one wins."""
    kinds = tuple(dict.fromkeys(allergy.kind for allergy in order.patient.allergies))
    return tuple(kind for kind in kinds if kind != "none") or kinds


def location_of(order: Order, name: str) -> str:
    """Where the sender finds or would put this item, in this order."""
    root = name.partition("-")[0]
    told = next((place for item, _, place in order.observed.items if item == root), "")
    return told or COORDINATES.get(root, "OBX").replace("{n}", str(order.number))


def to_refusal(finding: Finding, order: Order) -> Refusal:
    """A finding of the data set's rules, in the order's coordinates: asked back is W, refused is E."""
    root = finding.field.partition("-")[0]
    location = location_of(order, finding.field)
    answered = root in to_answers(order)
    text = " ".join(part for part in (finding.message, finding.where_to) if part)
    if location == "OBX" and root in ITEM:
        text = f"{text} (OBX-3: {root}, {ITEM_SYSTEM})"
    severity = {Gravity.REFUSE: Severity.ERROR, Gravity.WARN: Severity.INFORMATION}.get(
        finding.severity, Severity.WARNING
    )
    return Refusal(location, Fault.DATA_TYPE if answered else Fault.REQUIRED_FIELD_MISSING, text, severity)


def to_refusals(findings: Iterable[Finding], order: Order) -> tuple[Refusal, ...]:
    return tuple(to_refusal(finding, order) for finding in findings)

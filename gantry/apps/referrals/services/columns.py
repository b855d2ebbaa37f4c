"""Decides what of a referral's answers becomes columns, a patient and a pathway."""

from collections.abc import Mapping
from typing import Any

from gantry.apps.pathways.services import PathwayFacts
from gantry.apps.patients.services import GivenIdentifier, PatientFacts
from gantry.domain.referral import Case
from gantry.reference.postcodes import locate
from gantry.reference.tracers import TRACERS

PRIORITY = {"1": 1, "2": 2, "3": 3, "T": 2}
"""The referral's rank. "Treatment start depends on it" is worked as urgent."""

ANAESTHETIC = frozenset({"iv_sedation", "general_anaesthetic"})
INFECTIOUS = frozenset({"cpe", "cdiff", "tb", "respiratory"})
PLAIN = (
    "family_name",
    "given_name",
    "title",
    "stated_gender",
    "sex_assigned_at_birth",
    "nhs_number",
    "nhs_number_status",
    "nhs_number_unavailable_reason",
    "address",
    "postcode",
    "phone_primary",
    "phone_alt",
    "email",
    "gp_practice_ods",
)


def patient_facts(case: Case, *, assigner: str) -> PatientFacts:
    """The person. A hospital number without an assigner was given by whoever sent it."""
    number = case.text("local_patient_id")
    identifiers = (GivenIdentifier(number, case.text("local_patient_id_assigner") or assigner),) if number else ()
    adjustments = [one for one in case.several("reasonable_adjustments") if one != "none"]
    interpreter = case.get("interpreter_required")
    latitude, longitude = locate(case.text("postcode")) or (None, None)
    return PatientFacts(
        **{name: fitted(name, case.text(name)) for name in PLAIN},
        date_of_birth=case.day("date_of_birth"),
        language=case.text("interpreter_language")[:40],
        interpreter_required=interpreter if isinstance(interpreter, bool) else None,
        adjustments=", ".join(adjustments),
        identifiers=identifiers,
        latitude=latitude,
        longitude=longitude,
    )


LENGTHS = {"family_name": 120, "given_name": 120, "title": 30, "postcode": 8, "phone_primary": 40, "phone_alt": 40}
LENGTHS |= {"email": 200, "gp_practice_ods": 12, "nhs_number": 10, "nhs_number_unavailable_reason": 30}


def fitted(name: str, text: str) -> str:
    """What the column holds; the whole text stays in the answers."""
    return text[: LENGTHS.get(name, len(text))]


def pathway_facts(case: Case) -> PathwayFacts | None:
    """None where no cancer pathway is named."""
    kind = case.text("cancer_pathway")
    if kind in ("", "none"):
        return None
    return PathwayFacts(
        kind=kind,
        identifier=case.text("pathway_id")[:40],
        cancer_type=case.text("suspected_cancer_type")[:4],
        fds_clock_start=case.day("fds_clock_start"),
        decision_to_treat=case.day("decision_to_treat_date"),
        breach_62=case.day("breach_62_date"),
    )


def capabilities(case: Case) -> list[str]:
    """What the site must be able to do, beyond a scanner."""
    needed = {
        "paediatric": case.is_child,
        "anaesthesia": case.text("anaesthetic_required") in ANAESTHETIC,
        "radiotherapy_planning": case.text("scan_purpose") == "rt_planning",
        "isolation": not INFECTIOUS.isdisjoint(case.several("infection_risk")),
        "hoist": case.text("arrival_mobility") == "hoist",
    }
    return [name for name, wanted in needed.items() if wanted]


def columns(case: Case) -> dict[str, Any]:
    tracer = case.text("tracer_requested")
    known = TRACERS.get(tracer)
    return {
        "priority": PRIORITY.get(case.text("priority"), 1),
        "not_before": case.day("not_before"),
        "needed_by": case.day("requested_scan_by") or case.day("planned_scan_due"),
        "indication_code": case.text("indication_code")[:20],
        "tracer": tracer[:40],
        "procedure_code": known.value.procedure_code if known else "",
        "capabilities": capabilities(case),
        "weight_kg": case.number("weight_kg"),
        "referrer_name": case.text("referrer_name")[:120],
    }


def joined(answers: Mapping[str, object], more: Mapping[str, object]) -> dict[str, object]:
    """Earlier answers with later ones over them."""
    return {**answers, **{name: value for name, value in more.items() if value is not None}}

"""Says what each cause means: its class, the NHS reason, who must prevent it, and the measure it counts in.

Dated, because a mapping that changes must not change what was returned under the old one. The owners and the measure
are ours; the two NHS reasons are the data dictionary's care contact cancellation reasons.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from enum import StrEnum

from gantry.domain.events import CauseClass, CauseCode
from gantry.reference.dated import LIBRARY_FROM, Fact, in_force

DICTIONARY = "NHS data dictionary, care contact cancellation reason; the mapping of our causes to it is ours"
CLINICAL = "01"
NON_CLINICAL = "02"


class CauseOwner(StrEnum):
    """The role that answers for a cause: one owner each."""

    SUPPLIER = "supplier"
    RADIOPHARMACY = "radiopharmacy"
    EQUIPMENT = "equipment"
    ROTA = "rota"
    BOOKING = "booking"
    GOVERNANCE = "governance"
    TRANSPORT = "transport"
    REFERRER = "referrer"
    CLINICAL_TEAM = "clinical team"
    PATIENT = "patient"


@dataclass(frozen=True, slots=True)
class CauseFacts:
    cause_class: CauseClass
    nhs_reason: str
    """01 clinical, 02 non-clinical; empty where the dictionary's reasons do not apply (the patient's own decision)."""
    owner: CauseOwner
    measure: str
    """M1, M2, or empty: what it can count in, if the other conditions of that measure hold."""
    words: str


_C, _O = CauseClass, CauseOwner


def _facts(
    cause_class: CauseClass, reason: str, measure: str, **words: tuple[CauseOwner, str]
) -> dict[CauseCode, CauseFacts]:
    return {
        CauseCode(code): CauseFacts(cause_class, reason, owner, measure, said) for code, (owner, said) in words.items()
    }


_FIRST: dict[CauseCode, CauseFacts] = {
    **_facts(
        _C.ISOTOPE,
        NON_CLINICAL,
        "M1",
        batch_failed=(_O.SUPPLIER, "The batch failed"),
        batch_late=(_O.SUPPLIER, "The batch came late"),
        batch_short=(_O.SUPPLIER, "The batch held too little"),
        batch_failed_qc=(_O.SUPPLIER, "The batch failed its quality control"),
        not_released=(_O.SUPPLIER, "The batch was not released in time"),
        courier_failed=(_O.SUPPLIER, "The courier failed"),
        dose_out_of_tolerance=(_O.RADIOPHARMACY, "The dose was out of tolerance"),
        generator_failed=(_O.RADIOPHARMACY, "The generator failed"),
    ),
    **_facts(
        _C.EQUIPMENT,
        NON_CLINICAL,
        "M1",
        scanner_failed=(_O.EQUIPMENT, "The scanner failed"),
        ct_failed=(_O.EQUIPMENT, "The CT failed"),
        injector_failed=(_O.EQUIPMENT, "The injector failed"),
        calibrator_failed=(_O.EQUIPMENT, "The calibrator failed"),
        hot_lab_failed=(_O.EQUIPMENT, "The hot lab could not be used"),
        device_qa_failed=(_O.EQUIPMENT, "A device failed its quality control"),
        mobile_unit_not_arrived=(_O.EQUIPMENT, "The mobile unit did not come"),
        it_failed=(_O.EQUIPMENT, "Computers failed"),
        power_failed=(_O.EQUIPMENT, "Power failed"),
    ),
    **_facts(
        _C.PROVIDER,
        NON_CLINICAL,
        "M2",
        staff_absent=(_O.ROTA, "Staff were not there"),
        no_ils_holder=(_O.ROTA, "Nobody trained in immediate life support was there"),
        anaesthetist_absent=(_O.ROTA, "There was no anaesthetist"),
        play_specialist_absent=(_O.ROTA, "There was no play specialist"),
        licence_lapsed=(_O.GOVERNANCE, "A licence or an authorisation had lapsed"),
        tracer_not_ordered=(_O.RADIOPHARMACY, "The tracer was not ordered"),
        list_overrun=(_O.BOOKING, "The list overran"),
        overbooked=(_O.BOOKING, "Too many were booked"),
        booked_in_error=(_O.BOOKING, "It was booked by mistake"),
        industrial_action=(_O.ROTA, "Industrial action"),
    ),
    **_facts(
        _C.PREPARATION,
        NON_CLINICAL,
        "M2",
        not_fasted=(_O.BOOKING, "The patient had eaten"),
        claustrophobia=(_O.BOOKING, "The patient could not bear the scanner"),
        weight_over_limit=(_O.BOOKING, "The patient was over the scanner's limit"),
        instructions_not_sent=(_O.BOOKING, "Instructions were not sent"),
        interpreter_absent=(_O.BOOKING, "There was no interpreter"),
        escort_absent=(_O.BOOKING, "There was no escort"),
    ),
    **_facts(
        _C.PREPARATION,
        CLINICAL,
        "",
        hyperglycaemia=(_O.CLINICAL_TEAM, "The glucose was too high"),
    ),
    **_facts(
        _C.LOGISTICS,
        NON_CLINICAL,
        "M2",
        weather=(_O.TRANSPORT, "Weather"),
        transport_failed=(_O.TRANSPORT, "Transport failed"),
        inpatient_not_sent=(_O.REFERRER, "The ward did not send the patient"),
    ),
    **_facts(
        _C.REFERRER,
        NON_CLINICAL,
        "M2",
        form_incomplete=(_O.REFERRER, "The referral was incomplete"),
        duplicate=(_O.REFERRER, "It was asked for twice"),
        priors_missing=(_O.REFERRER, "Earlier images were missing"),
    ),
    **_facts(
        _C.REFERRER,
        CLINICAL,
        "",
        changed_plan=(_O.REFERRER, "The clinical plan changed"),
    ),
    **_facts(
        _C.CLINICAL,
        CLINICAL,
        "",
        unwell=(_O.CLINICAL_TEAM, "The patient was unwell"),
        pregnant=(_O.CLINICAL_TEAM, "The patient is or may be pregnant"),
        no_access=(_O.CLINICAL_TEAM, "No vein could be found"),
        extravasation=(_O.CLINICAL_TEAM, "The injection went outside the vein"),
        reaction=(_O.CLINICAL_TEAM, "The patient had a reaction"),
        movement=(_O.CLINICAL_TEAM, "The patient moved"),
        non_diagnostic=(_O.CLINICAL_TEAM, "The images were not diagnostic"),
        died=(_O.CLINICAL_TEAM, "The patient has died"),
    ),
    **_facts(
        _C.PATIENT,
        "",
        "",
        patient_late=(_O.PATIENT, "The patient came late"),
        patient_cancelled=(_O.PATIENT, "The patient asked for another time"),
        declined=(_O.PATIENT, "The patient does not want the scan"),
        did_not_attend=(_O.PATIENT, "The patient did not come"),
        not_brought=(_O.CLINICAL_TEAM, "The child or adult at risk was not brought"),
    ),
}

MAPPINGS: tuple[Fact[Mapping[CauseCode, CauseFacts]], ...] = (
    Fact(_FIRST, "", DICTIONARY, LIBRARY_FROM, recalled=True),
)


def causes_on(on: date) -> Mapping[CauseCode, CauseFacts]:
    """What each cause means on a day. A day before the first mapping is judged by the first."""
    first = min(mapping.valid_from for mapping in MAPPINGS)
    return in_force(MAPPINGS, max(on, first)).value


def said(code: CauseCode, on: date) -> str:
    return causes_on(on)[code].words

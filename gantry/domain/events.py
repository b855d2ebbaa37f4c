"""Every kind of event, and every cause: the one vocabulary that the service appends and the measures read."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from uuid import UUID


class EventKind(StrEnum):
    """Past tense, one writer each. `audit.Event` stores them; they are never edited."""

    # Referral
    REFERRAL_RECEIVED = "referral_received"
    REFERRAL_COMPLETED = "referral_completed"
    REFERRAL_REFUSED = "referral_refused"
    REFERRAL_REDIRECTED = "referral_redirected"
    REFERRAL_REJECTED = "referral_rejected"
    REFERRAL_WITHDRAWN = "referral_withdrawn"
    REFERRAL_PUT_ON_HOLD = "referral_put_on_hold"
    REFERRAL_RESUMED = "referral_resumed"
    REFERRAL_REOPENED = "referral_reopened"
    REFERRAL_RETURNED_TO_VETTING = "referral_returned_to_vetting"
    REFERRAL_CLOSED = "referral_closed"
    QUESTION_ASKED = "question_asked"
    QUESTION_ANSWERED = "question_answered"
    REFERRAL_VETTED = "referral_vetted"
    EXPOSURE_JUSTIFIED = "exposure_justified"
    EXPOSURE_AUTHORISED = "exposure_authorised"
    AUTHORISATION_LAPSED = "authorisation_lapsed"
    AUTHORISATION_WITHDRAWN = "authorisation_withdrawn"
    PRIOR_REQUESTED = "prior_requested"
    PRIOR_RECEIVED = "prior_received"
    # Booking
    OFFER_MADE = "offer_made"
    OFFER_DECLINED = "offer_declined"
    SLOT_HELD = "slot_held"
    HOLD_EXPIRED = "hold_expired"
    CONTACT_ATTEMPTED = "contact_attempted"
    APPOINTMENT_BOOKED = "appointment_booked"
    PATIENT_TOLD = "patient_told"
    APPOINTMENT_MOVED = "appointment_moved"
    APPOINTMENT_CANCELLED = "appointment_cancelled"
    SITE_CHANGED = "site_changed"
    APPOINTMENT_FULFILLED = "appointment_fulfilled"
    PATIENT_DID_NOT_ATTEND = "patient_did_not_attend"
    PATIENT_NOT_BROUGHT = "patient_not_brought"
    PATIENT_NOT_SEEN = "patient_not_seen"
    INSTRUCTIONS_SENT = "instructions_sent"
    MESSAGE_WRITTEN = "message_written"
    """Word to a patient waits to leave, or waits for somebody to ring."""
    MESSAGE_SENT = "message_sent"
    MESSAGE_DELIVERED = "message_delivered"
    MESSAGE_FAILED = "message_failed"
    MESSAGE_TAKEN_BACK = "message_taken_back"
    READINESS_CONFIRMED = "readiness_confirmed"
    # Tracer
    SUPPLY_RUN_OPENED = "supply_run_opened"
    ORDER_PLACED = "order_placed"
    ORDER_CONFIRMED = "order_confirmed"
    ORDER_CANCELLED = "order_cancelled"
    ORDER_FULFILLED = "order_fulfilled"
    ORDER_FAILED = "order_failed"
    ORDER_CUT_OFF = "order_cut_off"
    BATCH_DISPATCHED = "batch_dispatched"
    DELIVERY_RECEIVED = "delivery_received"
    BATCH_RELEASED = "batch_released"
    BATCH_ACCEPTED = "batch_accepted"
    BATCH_REJECTED = "batch_rejected"
    BATCH_FAILED = "batch_failed"
    BATCH_SPENT = "batch_spent"
    BATCH_EXPIRED = "batch_expired"
    BATCH_RECALLED = "batch_recalled"
    DOSE_RECEIVED = "dose_received"
    DOSE_DRAWN = "dose_drawn"
    DOSE_ASSIGNED = "dose_assigned"
    DOSE_REASSIGNED = "dose_reassigned"
    DOSE_WASTED = "dose_wasted"
    DOSE_RETURNED = "dose_returned"
    SPILL_RECORDED = "spill_recorded"
    ACTIVITY_SAMPLED = "activity_sampled"
    ACTIVITY_COUNTED = "activity_counted"
    ACTIVITY_TRANSFERRED = "activity_transferred"
    ACTIVITY_RETURNED = "activity_returned"
    ACTIVITY_DISPOSED = "activity_disposed"
    BALANCE_QUERIED = "balance_queried"
    """An assay does not agree with the ledger beyond the uncertainty: the entries to look at are named."""
    INVESTIGATION_TAKEN = "investigation_taken"
    INVESTIGATION_CONCLUDED = "investigation_concluded"
    INVESTIGATION_CLOSED = "investigation_closed"
    ENTRY_CORRECTED = "entry_corrected"
    """Another entry of the ledger stands in the place of one that was wrong, and names it."""
    GENERATOR_ELUTED = "generator_eluted"
    GENERATOR_RELEASED = "generator_released"
    GENERATOR_BLOCKED = "generator_blocked"
    GENERATOR_CLOSED = "generator_closed"
    SOURCE_RECEIVED = "source_received"
    SOURCE_TESTED = "source_tested"
    SOURCE_GONE = "source_gone"
    STAFF_DOSE_RECORDED = "staff_dose_recorded"
    STAFF_DOSE_REVIEWED = "staff_dose_reviewed"
    # Scan day
    PATIENT_ARRIVED = "patient_arrived"
    IDENTITY_CHECKED = "identity_checked"
    PREGNANCY_ENQUIRY_MADE = "pregnancy_enquiry_made"
    BREASTFEEDING_ADVICE_GIVEN = "breastfeeding_advice_given"
    CONSENT_RECORDED = "consent_recorded"
    WEIGHT_MEASURED = "weight_measured"
    GLUCOSE_MEASURED = "glucose_measured"
    PATIENT_CANNULATED = "patient_cannulated"
    DOSE_INJECTED = "dose_injected"
    RESIDUAL_ASSAYED = "residual_assayed"
    EXTRAVASATION_NOTED = "extravasation_noted"
    REACTION_NOTED = "reaction_noted"
    MEDICINE_GIVEN = "medicine_given"
    PATIENT_VOIDED = "patient_voided"
    ACQUISITION_STARTED = "acquisition_started"
    ACQUISITION_COMPLETED = "acquisition_completed"
    ACQUISITION_DISCONTINUED = "acquisition_discontinued"
    IMAGES_CHECKED = "images_checked"
    SCAN_REPEATED = "scan_repeated"
    VISIT_ABANDONED = "visit_abandoned"
    PATIENT_TURNED_AWAY = "patient_turned_away"
    PATIENT_LEFT = "patient_left"
    STEP_CORRECTED = "step_corrected"
    # Images
    IMAGES_RECEIVED = "images_received"
    IMAGES_HELD = "images_held"
    IMAGES_RECONCILED = "images_reconciled"
    IMAGES_SENT = "images_sent"
    IMAGES_PROVED = "images_proved"
    IMAGES_WITHDRAWN = "images_withdrawn"
    DOSE_RECORDED = "dose_recorded"
    """A dose report of others has been read: what its CT gave, or what it says of the tracer."""
    DOSE_REPORT_WRITTEN = "dose_report_written"
    DOSE_REVIEW_ASKED = "dose_review_asked"
    DOSE_REVIEWED = "dose_reviewed"
    # Report
    REPORT_DRAFTED = "report_drafted"
    REPORT_ISSUED_PRELIMINARY = "report_issued_preliminary"
    REPORT_VERIFIED = "report_verified"
    REPORT_AMENDED = "report_amended"
    REPORT_WITHDRAWN = "report_withdrawn"
    REPORT_ENTERED_IN_ERROR = "report_entered_in_error"
    REPORT_SENT = "report_sent"
    REPORT_DELIVERED = "report_delivered"
    REPORT_READ = "report_read"
    REPORT_ACTED_ON = "report_acted_on"
    DISPATCH_FAILED = "dispatch_failed"
    DISPATCH_GIVEN_UP = "dispatch_given_up"
    ALERT_RAISED = "alert_raised"
    ALERT_ACKNOWLEDGED = "alert_acknowledged"
    # The day, the estate
    SESSION_OPENED = "session_opened"
    SESSION_CLOSED = "session_closed"
    SCANNER_FAILED = "scanner_failed"
    SCANNER_RESTORED = "scanner_restored"
    EQUIPMENT_TEST_PASSED = "equipment_test_passed"
    EQUIPMENT_TEST_FAILED = "equipment_test_failed"
    PLAN_PUBLISHED = "plan_published"
    APPOINTMENT_LOCKED = "appointment_locked"
    """A person's word that it stays where it is: a constraint to every plan until it is lifted."""
    APPOINTMENT_UNLOCKED = "appointment_unlocked"
    PATIENT_TIMES_STATED = "patient_times_stated"
    DAY_FACTS_RECORDED = "day_facts_recorded"
    """What a site's day has: doors, people's sessions, a scanner's fittings, a supplier's terms."""
    WEIGHTS_SIGNED = "weights_signed"
    """A clinical lead stands for the values that day plans weigh by, from a date on."""
    DAY_DISRUPTED = "day_disrupted"
    """A day cannot go as planned; the cause says why. The root event of everybody whom it moves, at every site."""
    RECOVERY_CHOSEN = "recovery_chosen"
    RECOVERY_RULE_APPROVED = "recovery_rule_approved"
    """A practitioner's for less activity, or the radiation protection adviser's for a transfer; the data say which."""
    RECOVERY_RULE_WITHDRAWN = "recovery_rule_withdrawn"
    SITE_REOPENED = "site_reopened"
    BREACH_RECORDED = "breach_recorded"
    INCIDENT_OPENED = "incident_opened"
    # The pathway
    CLOCK_STARTED = "clock_started"
    CLOCK_ADJUSTED = "clock_adjusted"
    CLOCK_STOPPED = "clock_stopped"
    PATIENT_DIED = "patient_died"
    CONTACT_PROTECTED = "contact_protected"
    BREAK_GLASS_USED = "break_glass_used"
    BREAK_GLASS_REVIEWED = "break_glass_reviewed"
    PERSON_SIGNED_IN = "person_signed_in"
    MESSAGE_RECEIVED = "message_received"
    MESSAGE_REFUSED = "message_refused"
    RECORD_READ = "record_read"
    CAUSE_CORRECTED = "cause_corrected"


class CauseClass(StrEnum):
    ISOTOPE = "isotope"
    EQUIPMENT = "equipment"
    PROVIDER = "provider"
    PREPARATION = "preparation"
    LOGISTICS = "logistics"
    REFERRER = "referrer"
    CLINICAL = "clinical"
    PATIENT = "patient"


class Initiator(StrEnum):
    """Who ended or moved it: taken once, at the moment."""

    PROVIDER = "provider"
    REFERRER = "referrer"
    PATIENT = "patient"
    SUPPLIER = "supplier"


class CauseCode(StrEnum):
    """Why an appointment ended or moved; one owner each (`gantry.reference.causes` maps them, dated)."""

    BATCH_FAILED = "batch_failed"
    BATCH_LATE = "batch_late"
    BATCH_SHORT = "batch_short"
    BATCH_FAILED_QC = "batch_failed_qc"
    NOT_RELEASED = "not_released"
    COURIER_FAILED = "courier_failed"
    DOSE_OUT_OF_TOLERANCE = "dose_out_of_tolerance"
    GENERATOR_FAILED = "generator_failed"
    SCANNER_FAILED = "scanner_failed"
    CT_FAILED = "ct_failed"
    INJECTOR_FAILED = "injector_failed"
    CALIBRATOR_FAILED = "calibrator_failed"
    HOT_LAB_FAILED = "hot_lab_failed"
    DEVICE_QA_FAILED = "device_qa_failed"
    MOBILE_UNIT_NOT_ARRIVED = "mobile_unit_not_arrived"
    IT_FAILED = "it_failed"
    POWER_FAILED = "power_failed"
    STAFF_ABSENT = "staff_absent"
    NO_ILS_HOLDER = "no_ils_holder"
    ANAESTHETIST_ABSENT = "anaesthetist_absent"
    PLAY_SPECIALIST_ABSENT = "play_specialist_absent"
    LICENCE_LAPSED = "licence_lapsed"
    TRACER_NOT_ORDERED = "tracer_not_ordered"
    LIST_OVERRUN = "list_overrun"
    OVERBOOKED = "overbooked"
    BOOKED_IN_ERROR = "booked_in_error"
    INDUSTRIAL_ACTION = "industrial_action"
    NOT_FASTED = "not_fasted"
    HYPERGLYCAEMIA = "hyperglycaemia"
    WEIGHT_OVER_LIMIT = "weight_over_limit"
    CLAUSTROPHOBIA = "claustrophobia"
    INSTRUCTIONS_NOT_SENT = "instructions_not_sent"
    INTERPRETER_ABSENT = "interpreter_absent"
    ESCORT_ABSENT = "escort_absent"
    WEATHER = "weather"
    TRANSPORT_FAILED = "transport_failed"
    INPATIENT_NOT_SENT = "inpatient_not_sent"
    FORM_INCOMPLETE = "form_incomplete"
    DUPLICATE = "duplicate"
    PRIORS_MISSING = "priors_missing"
    CHANGED_PLAN = "changed_plan"
    UNWELL = "unwell"
    PREGNANT = "pregnant"
    NO_ACCESS = "no_access"
    EXTRAVASATION = "extravasation"
    REACTION = "reaction"
    MOVEMENT = "movement"
    NON_DIAGNOSTIC = "non_diagnostic"
    DIED = "died"
    PATIENT_LATE = "patient_late"
    PATIENT_CANCELLED = "patient_cancelled"
    DECLINED = "declined"
    DID_NOT_ATTEND = "did_not_attend"
    NOT_BROUGHT = "not_brought"


@dataclass(frozen=True, slots=True)
class Cause:
    """Why something ended, moved or failed. One root event may displace many people: each names it."""

    code: CauseCode
    initiator: Initiator
    root_event: UUID | None = None
    note: str = ""


@dataclass(frozen=True, slots=True)
class Actor:
    """Who did it: a person under a role of an organisation, or a named system. Never anonymous.

    `id` is "person:<uuid>" or "system:<name>"; `name` is what a timeline shows.
    """

    id: str
    name: str
    organisation: UUID | None = None
    person: UUID | None = None

    def __post_init__(self) -> None:
        if not self.id or not self.name:
            raise ValueError("an actor needs an id and a name")


def system(name: str, organisation: UUID | None = None) -> Actor:
    """The actor for what a machine did on its own: `system("mllp listener")`."""
    return Actor(f"system:{name}", name, organisation)


@dataclass(frozen=True, slots=True)
class Happening:
    """An event as the measures see it: nothing of the framework, nothing of the patient."""

    id: UUID
    kind: EventKind
    happened_at: datetime
    recorded_at: datetime
    by: str
    subjects: frozenset[UUID]
    site: UUID | None = None
    cause: Cause | None = None

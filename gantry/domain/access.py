"""Who may do what: roles, verbs, and the scope that every query starts from. Denied unless listed."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date
from enum import StrEnum
from uuid import UUID


class Role(StrEnum):
    REFERRER = "referrer"
    BOOKING_COORDINATOR = "booking_coordinator"
    PRACTITIONER = "practitioner"
    RADIOGRAPHER = "radiographer"
    RADIOPHARMACIST = "radiopharmacist"
    PHYSICIST = "physicist"
    SESSION_LEAD = "session_lead"
    REPORTER = "reporter"
    MANAGER = "manager"
    CLINICAL_LEAD = "clinical_lead"
    INTERFACE = "interface"
    """A system that speaks for an organisation (an integration engine)."""


class Verb(StrEnum):
    REFER = "refer"
    SEE_REFERRALS = "see_referrals"
    ANSWER = "answer"
    VET = "vet"
    BOOK = "book"
    ORDER_TRACER = "order_tracer"
    RECEIVE_TRACER = "receive_tracer"
    ACCEPT_BATCH = "accept_batch"
    DRAW = "draw"
    SEE_BOARD = "see_board"
    RECORD_ACT = "record_act"
    INJECT = "inject"
    RECONCILE = "reconcile"
    CHECK_IMAGES = "check_images"
    REPORT = "report"
    VERIFY_REPORT = "verify_report"
    READ_REPORT = "read_report"
    SEE_MEASURES = "see_measures"
    REVIEW_DOSE = "review_dose"
    OWN_FAILURES = "own_failures"
    CORRECT_CAUSE = "correct_cause"
    SIGN_WEIGHTS = "sign_weights"
    BREAK_GLASS = "break_glass"


R, V = Role, Verb
_SEE = frozenset({V.SEE_REFERRALS})
VERBS: Mapping[Role, frozenset[Verb]] = {
    R.REFERRER: _SEE | {V.REFER, V.ANSWER, V.READ_REPORT, V.BREAK_GLASS},
    R.INTERFACE: _SEE | {V.REFER, V.ANSWER, V.READ_REPORT, V.BOOK},
    R.BOOKING_COORDINATOR: _SEE | {V.REFER, V.BOOK, V.ANSWER, V.SEE_BOARD},
    R.PRACTITIONER: _SEE
    | {V.VET, V.REPORT, V.VERIFY_REPORT, V.CHECK_IMAGES, V.READ_REPORT, V.SEE_BOARD, V.BREAK_GLASS, V.REVIEW_DOSE},
    R.RADIOGRAPHER: _SEE | {V.SEE_BOARD, V.RECORD_ACT, V.INJECT, V.DRAW, V.RECEIVE_TRACER, V.CHECK_IMAGES, V.RECONCILE},
    R.RADIOPHARMACIST: _SEE | {V.ORDER_TRACER, V.RECEIVE_TRACER, V.ACCEPT_BATCH, V.DRAW, V.SEE_BOARD},
    R.PHYSICIST: _SEE
    | {V.ORDER_TRACER, V.RECEIVE_TRACER, V.ACCEPT_BATCH, V.DRAW, V.SEE_BOARD, V.SEE_MEASURES, V.REVIEW_DOSE},
    R.SESSION_LEAD: _SEE
    | {
        V.SEE_BOARD,
        V.RECORD_ACT,
        V.INJECT,
        V.BOOK,
        V.ORDER_TRACER,
        V.RECONCILE,
        V.OWN_FAILURES,
        V.SEE_MEASURES,
        V.CORRECT_CAUSE,
    },
    R.REPORTER: _SEE | {V.REPORT, V.VERIFY_REPORT, V.CHECK_IMAGES, V.READ_REPORT, V.RECONCILE, V.BREAK_GLASS},
    R.CLINICAL_LEAD: _SEE | {V.SIGN_WEIGHTS, V.SEE_BOARD, V.SEE_MEASURES, V.READ_REPORT},
    R.MANAGER: _SEE | {V.SEE_MEASURES, V.OWN_FAILURES, V.CORRECT_CAUSE, V.SEE_BOARD, V.RECONCILE, V.READ_REPORT},
}


@dataclass(frozen=True, slots=True)
class Grant:
    """A role in an organisation between two dates, the last one included."""

    organisation: UUID
    role: Role
    valid_from: date
    valid_to: date | None = None

    def stands(self, on: date) -> bool:
        return self.valid_from <= on and (self.valid_to is None or on <= self.valid_to)


@dataclass(frozen=True, slots=True)
class Scope:
    """What a query may see: rows of these organisations, and of patients opened by break-glass."""

    organisations: frozenset[UUID]
    patients: frozenset[UUID] = field(default_factory=frozenset)


def verbs(grants: Iterable[Grant], on: date) -> frozenset[Verb]:
    return frozenset(verb for grant in grants if grant.stands(on) for verb in VERBS[grant.role])


def why_not_allowed(grants: Iterable[Grant], verb: Verb, on: date) -> str | None:
    """The reason this person may not do this today, or None."""
    if verb in verbs(grants, on):
        return None
    roles = sorted({role.replace("_", " ") for role, may in VERBS.items() if verb in may})
    return (
        f"To {verb.replace('_', ' ')} you need to be a {', '.join(roles[:-1])}{' or ' if roles[1:] else ''}{roles[-1]}"
    )

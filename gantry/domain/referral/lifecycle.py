"""Decides what may happen to a referral, and what a vetting decision must say."""

from collections.abc import Iterable, Mapping
from enum import StrEnum

from gantry.domain.events import EventKind
from gantry.domain.lifecycle import Table
from gantry.domain.referral.facts import Finding, Severity


class ReferralState(StrEnum):
    DRAFT = "draft"
    RECEIVED = "received"
    AWAITING_REFERRER = "awaiting_referrer"
    TO_VET = "to_vet"
    ACCEPTED = "accepted"
    ON_HOLD = "on_hold"
    CLOSED = "closed"
    REFUSED = "refused"
    REJECTED = "rejected"
    REDIRECTED = "redirected"
    WITHDRAWN = "withdrawn"


class ReferralEvent(StrEnum):
    SUBMIT = "submit"
    REFUSE = "refuse"
    REDIRECT = "redirect"
    ASK = "ask"
    COMPLETE = "complete"
    ACCEPT = "accept"
    REJECT = "reject"
    RETURN_TO_VETTING = "return to vetting"
    HOLD = "hold"
    RESUME = "resume"
    WITHDRAW = "withdraw"
    CLOSE = "close"
    REOPEN = "reopen"


S, E = ReferralState, ReferralEvent

REFERRAL: Table[ReferralState, ReferralEvent] = {
    (S.DRAFT, E.SUBMIT): S.RECEIVED,
    (S.DRAFT, E.WITHDRAW): S.WITHDRAWN,
    (S.RECEIVED, E.REFUSE): S.REFUSED,
    (S.RECEIVED, E.REDIRECT): S.REDIRECTED,
    (S.RECEIVED, E.ASK): S.AWAITING_REFERRER,
    (S.RECEIVED, E.COMPLETE): S.TO_VET,
    (S.RECEIVED, E.WITHDRAW): S.WITHDRAWN,
    (S.AWAITING_REFERRER, E.COMPLETE): S.TO_VET,
    (S.AWAITING_REFERRER, E.REDIRECT): S.REDIRECTED,
    (S.AWAITING_REFERRER, E.REJECT): S.REJECTED,
    (S.AWAITING_REFERRER, E.WITHDRAW): S.WITHDRAWN,
    (S.TO_VET, E.ASK): S.AWAITING_REFERRER,
    (S.TO_VET, E.ACCEPT): S.ACCEPTED,
    (S.TO_VET, E.REJECT): S.REJECTED,
    (S.TO_VET, E.REDIRECT): S.REDIRECTED,
    (S.TO_VET, E.WITHDRAW): S.WITHDRAWN,
    (S.ACCEPTED, E.RETURN_TO_VETTING): S.TO_VET,
    (S.ACCEPTED, E.HOLD): S.ON_HOLD,
    (S.ACCEPTED, E.WITHDRAW): S.WITHDRAWN,
    (S.ACCEPTED, E.CLOSE): S.CLOSED,
    (S.ON_HOLD, E.RESUME): S.ACCEPTED,
    (S.ON_HOLD, E.RETURN_TO_VETTING): S.TO_VET,
    (S.ON_HOLD, E.WITHDRAW): S.WITHDRAWN,
    # Redirected is ours until someone else accepts it; only then is it closed.
    (S.REDIRECTED, E.CLOSE): S.CLOSED,
    (S.REDIRECTED, E.WITHDRAW): S.WITHDRAWN,
    (S.REDIRECTED, E.REOPEN): S.TO_VET,
    (S.CLOSED, E.REOPEN): S.TO_VET,
    (S.REFUSED, E.REOPEN): S.RECEIVED,
    (S.REJECTED, E.REOPEN): S.TO_VET,
    (S.WITHDRAWN, E.REOPEN): S.TO_VET,
}
"""Booked, scanned and reported are not states: they are derived from acts."""

KIND: Mapping[ReferralEvent, EventKind] = {
    E.SUBMIT: EventKind.REFERRAL_RECEIVED,
    E.REFUSE: EventKind.REFERRAL_REFUSED,
    E.REDIRECT: EventKind.REFERRAL_REDIRECTED,
    E.ASK: EventKind.QUESTION_ASKED,
    E.COMPLETE: EventKind.REFERRAL_COMPLETED,
    E.ACCEPT: EventKind.REFERRAL_VETTED,
    E.REJECT: EventKind.REFERRAL_REJECTED,
    E.RETURN_TO_VETTING: EventKind.REFERRAL_RETURNED_TO_VETTING,
    E.HOLD: EventKind.REFERRAL_PUT_ON_HOLD,
    E.RESUME: EventKind.REFERRAL_RESUMED,
    E.WITHDRAW: EventKind.REFERRAL_WITHDRAWN,
    E.CLOSE: EventKind.REFERRAL_CLOSED,
    E.REOPEN: EventKind.REFERRAL_REOPENED,
}

OPEN_STATES = frozenset({S.RECEIVED, S.AWAITING_REFERRER, S.TO_VET, S.ACCEPTED, S.ON_HOLD, S.REDIRECTED})
"""Somebody here still owes the patient a next step."""


def event_after_checking(findings: Iterable[Finding]) -> ReferralEvent:
    """What happens to a referral that has just been received: the gravest finding decides."""
    found = {finding.severity for finding in findings}
    if Severity.REFUSE in found:
        return ReferralEvent.REFUSE
    if Severity.REDIRECT in found:
        return ReferralEvent.REDIRECT
    return ReferralEvent.ASK if Severity.QUERY in found else ReferralEvent.COMPLETE


class VetDecision(StrEnum):
    ACCEPT = "accept"
    ACCEPT_WITH_CHANGE = "accept_with_change"
    QUERY = "query"
    REJECT = "reject"
    REDIRECT = "redirect"


VETTED: Mapping[VetDecision, ReferralEvent] = {
    VetDecision.ACCEPT: E.ACCEPT,
    VetDecision.ACCEPT_WITH_CHANGE: E.ACCEPT,
    VetDecision.QUERY: E.ASK,
    VetDecision.REJECT: E.REJECT,
    VetDecision.REDIRECT: E.REDIRECT,
}


class RejectionReason(StrEnum):
    NOT_COMMISSIONED = "not_commissioned"
    INSUFFICIENT_INFORMATION = "insufficient_information"
    DUPLICATE = "duplicate"
    NOT_INDICATED = "not_indicated"
    UNSUITABLE_TIMING = "unsuitable_timing"
    PATIENT_UNFIT = "patient_unfit"


def why_not_decided(
    decision: VetDecision,
    *,
    justified: bool = False,
    protocol: str = "",
    change: str = "",
    questions: Iterable[str] = (),
    reason: RejectionReason | None = None,
    where_to: str = "",
    open_queries: int = 0,
) -> list[str]:
    """What is missing from a vetting decision. Empty means it can be recorded."""
    reasons = []
    if decision in (VetDecision.ACCEPT, VetDecision.ACCEPT_WITH_CHANGE):
        if not justified:
            reasons.append("Justify the exposure before you accept (IR(ME)R regulation 11)")
        if not protocol:
            reasons.append("Choose the protocol")
        if open_queries:
            reasons.append(f"{open_queries} question{'s' if open_queries > 1 else ''} to the referrer still open")
    if decision is VetDecision.ACCEPT_WITH_CHANGE and not change.strip():
        reasons.append("Say what you changed, for the referrer")
    if decision is VetDecision.QUERY and not [one for one in questions if one.strip()]:
        reasons.append("Write the question")
    if decision is VetDecision.REJECT:
        if reason is None:
            reasons.append("Choose the reason")
        if not where_to.strip():
            reasons.append("Say what the referrer should do instead")
    if decision is VetDecision.REDIRECT and not where_to.strip():
        reasons.append("Say where it goes")
    return reasons

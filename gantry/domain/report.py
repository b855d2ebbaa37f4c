"""Reports: preliminary, final, amended; versions never edited; delivered, read and acted on are three facts."""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from gantry.domain.lifecycle import Table


class ReportState(StrEnum):
    DRAFT = "draft"
    PRELIMINARY = "preliminary"
    FINAL = "final"
    AMENDED = "amended"
    WITHDRAWN = "withdrawn"
    ENTERED_IN_ERROR = "entered_in_error"


class ReportEvent(StrEnum):
    ISSUE_PRELIMINARY = "issue_preliminary"
    VERIFY = "verify"
    AMEND = "amend"
    WITHDRAW = "withdraw"
    MARK_ERROR = "mark_error"
    REOPEN = "reopen"


REPORT: Table[ReportState, ReportEvent] = {
    (ReportState.DRAFT, ReportEvent.ISSUE_PRELIMINARY): ReportState.PRELIMINARY,
    (ReportState.DRAFT, ReportEvent.VERIFY): ReportState.FINAL,
    (ReportState.DRAFT, ReportEvent.MARK_ERROR): ReportState.ENTERED_IN_ERROR,
    (ReportState.PRELIMINARY, ReportEvent.VERIFY): ReportState.FINAL,
    (ReportState.PRELIMINARY, ReportEvent.WITHDRAW): ReportState.WITHDRAWN,
    (ReportState.FINAL, ReportEvent.AMEND): ReportState.AMENDED,
    (ReportState.FINAL, ReportEvent.WITHDRAW): ReportState.WITHDRAWN,
    (ReportState.AMENDED, ReportEvent.AMEND): ReportState.AMENDED,
    (ReportState.AMENDED, ReportEvent.WITHDRAW): ReportState.WITHDRAWN,
    # The person whose report was withdrawn, because it was another's, still needs their own.
    (ReportState.WITHDRAWN, ReportEvent.REOPEN): ReportState.DRAFT,
}

HL7_STATUS = {
    ReportState.PRELIMINARY: "P",
    ReportState.FINAL: "F",
    ReportState.AMENDED: "C",
    ReportState.WITHDRAWN: "X",
    ReportState.ENTERED_IN_ERROR: "W",
}
"""OBR-25 and OBX-11 (HL7 tables 0123 and 0085)."""

FHIR_STATUS = {
    ReportState.DRAFT: "registered",
    ReportState.PRELIMINARY: "preliminary",
    ReportState.FINAL: "final",
    ReportState.AMENDED: "amended",
    ReportState.WITHDRAWN: "cancelled",
    ReportState.ENTERED_IN_ERROR: "entered-in-error",
}


class DispatchState(StrEnum):
    """An application accept means that an engine took it, not that anyone knows."""

    QUEUED = "queued"
    SENT = "sent"
    DELIVERED = "delivered"
    READ = "read"
    ACTED_ON = "acted_on"
    FAILED = "failed"
    GIVEN_UP = "given_up"
    SUPERSEDED = "superseded"
    """A later version goes instead: sent now, the older one would replace it."""


class DispatchEvent(StrEnum):
    SEND = "send"
    DELIVER = "deliver"
    READ = "read"
    ACT = "act"
    FAIL = "fail"
    RETRY = "retry"
    GIVE_UP = "give_up"
    SUPERSEDE = "supersede"


D, V = DispatchState, DispatchEvent
DISPATCH: Table[DispatchState, DispatchEvent] = {
    (D.QUEUED, V.SEND): D.SENT,
    (D.QUEUED, V.DELIVER): D.DELIVERED,
    (D.QUEUED, V.FAIL): D.FAILED,
    (D.SENT, V.DELIVER): D.DELIVERED,
    (D.SENT, V.FAIL): D.FAILED,
    (D.FAILED, V.RETRY): D.QUEUED,
    (D.FAILED, V.DELIVER): D.DELIVERED,
    (D.FAILED, V.GIVE_UP): D.GIVEN_UP,
    (D.GIVEN_UP, V.RETRY): D.QUEUED,
    # Another worker's try may be accepted just after the last one of this had failed.
    (D.GIVEN_UP, V.DELIVER): D.DELIVERED,
    (D.DELIVERED, V.READ): D.READ,
    # A clinician may read the report on our own page before the wire has proved anything.
    (D.QUEUED, V.READ): D.READ,
    (D.SENT, V.READ): D.READ,
    (D.FAILED, V.READ): D.READ,
    (D.GIVEN_UP, V.READ): D.READ,
    (D.SUPERSEDED, V.READ): D.READ,
    (D.READ, V.ACT): D.ACTED_ON,
    (D.QUEUED, V.SUPERSEDE): D.SUPERSEDED,
    (D.SENT, V.SUPERSEDE): D.SUPERSEDED,
    (D.FAILED, V.SUPERSEDE): D.SUPERSEDED,
    (D.GIVEN_UP, V.SUPERSEDE): D.SUPERSEDED,
}


@dataclass(frozen=True, slots=True)
class VerifyingFacts:
    images_checked: bool
    has_findings: bool
    has_conclusion: bool
    reporter_entitled: bool
    nhs_number: bool
    exception_reason: str = ""


def why_not_verified(facts: VerifyingFacts) -> Iterator[str]:
    """Why this report may not be verified yet; empty means it may (specification 2266: NHS number on all reports)."""
    if not facts.images_checked:
        yield "The images have not been checked"
    if not facts.has_findings:
        yield "The report has no findings"
    if not facts.has_conclusion:
        yield "The report has no conclusion"
    if not facts.reporter_entitled:
        yield "This person is not entitled to verify reports for this employer"
    if not facts.nhs_number and not facts.exception_reason:
        yield "The patient has no verified NHS number: give the reason for releasing without it"

"""Lists every refusal that this API makes, as the Booking and Referral Standard words them, and writes its outcome.

BaRS 1.4.0: the HTTP status, the issue's type and the code of its details go together; each row below is one of its own.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import Enum

from gantry.gateways.fhir.issues import Issue, IssueType, Severity
from gantry.gateways.fhir.reading import Tree

MOST_TOLD = 200
"""Issues in one answer: a fault repeated in each of a million elements is understood sooner."""
SYSTEM = "https://fhir.nhs.uk/Codesystem/http-error-codes"


@dataclass(frozen=True, slots=True)
class Error:
    status: int
    type: IssueType
    code: str


class Errors(Enum):
    MALFORMED = Error(400, IssueType.INVALID, "SEND_BAD_REQUEST")
    PARAMETER_VALUE = Error(400, IssueType.VALUE, "SEND_BAD_REQUEST")
    PARAMETER_MISSING = Error(400, IssueType.REQUIRED, "SEND_BAD_REQUEST")
    NOT_VALID = Error(400, IssueType.INVARIANT, "REC_BAD_REQUEST")
    NOT_SUPPORTED = Error(400, IssueType.NOT_SUPPORTED, "REC_BAD_REQUEST")
    IDENTIFIER = Error(400, IssueType.VALUE, "REC_BAD_REQUEST")
    NO_TOKEN = Error(401, IssueType.UNKNOWN, "SEND_UNAUTHORIZED")
    TOKEN_EXPIRED = Error(401, IssueType.EXPIRED, "SEND_UNAUTHORIZED")
    TOKEN_INVALID = Error(401, IssueType.SECURITY, "SEND_UNAUTHORIZED")
    FORBIDDEN = Error(403, IssueType.FORBIDDEN, "SEND_FORBIDDEN")
    NOT_FOUND = Error(404, IssueType.NOT_FOUND, "REC_NOT_FOUND")
    METHOD = Error(405, IssueType.NOT_SUPPORTED, "SEND_METHOD_NOT_ALLOWED")
    NOT_ACCEPTABLE = Error(406, IssueType.PROCESSING, "SEND_NOT_ACCEPTABLE")
    CONFLICT = Error(409, IssueType.DUPLICATE, "REC_CONFLICT")
    TOO_WIDE = Error(422, IssueType.TOO_COSTLY, "REC_UNPROCESSABLE_ENTITY")
    UNPROCESSABLE = Error(422, IssueType.PROCESSING, "REC_UNPROCESSABLE_ENTITY")
    BROKEN = Error(500, IssueType.TRANSIENT, "REC_SERVER_ERROR")
    UNAVAILABLE = Error(503, IssueType.TRANSIENT, "REC_SERVICE_UNAVAILABLE")
    TOO_LARGE = Error(413, IssueType.TOO_LONG, "SEND_BAD_REQUEST")
    """The one that BaRS has no example of: HTTP's own status says what it is."""


class Refusal(Exception):
    """Carries what to tell the sender; nothing was changed."""

    def __init__(self, error: Errors, *issues: Issue, text: str = "", where: str = "") -> None:
        self.error = error
        self.issues = issues or (Issue(error.value.type, where, text),)
        super().__init__(f"{error.name}: {len(self.issues)} issues")


def outcome(refusal: Refusal) -> Tree:
    """Every issue under the refusal's one type and code, so that a sender may look at any of them."""
    error = refusal.error.value
    details = {"coding": [{"system": SYSTEM, "code": error.code}]}
    return {
        "resourceType": "OperationOutcome",
        "issue": [{**one, "code": error.type.value, "details": details} for one in all_told(refusal.issues)],
    }


def judged(issues: Iterable[Issue]) -> Tree:
    """What `$validate` found, each issue under its own type."""
    return {"resourceType": "OperationOutcome", "issue": all_told(tuple(issues)) or [ALL_WELL]}


def all_told(issues: Sequence[Issue]) -> list[Tree]:
    """As many as anybody reads, and how many more there are."""
    more = len(issues) - MOST_TOLD
    rest = [Issue(IssueType.TOO_LONG, "", f"{more} more like these")] if more > 0 else []
    return [told(issue) for issue in (*issues[:MOST_TOLD], *rest)]


ALL_WELL = {
    "severity": Severity.INFORMATION.value,
    "code": IssueType.INFORMATIONAL.value,
    "diagnostics": "No fault found in structure, codes, references and invariants",
}


def success(code: str, text: str) -> Tree:
    details = {"coding": [{"system": SYSTEM, "code": code}]}
    issue = {"severity": "information", "code": "informational", "details": details, "diagnostics": text}
    return {"resourceType": "OperationOutcome", "issue": [issue]}


def told(issue: Issue) -> Tree:
    """An issue in FHIR's words; a place that is no FHIRPath goes into the text."""
    path = issue.where[:1].isupper()
    said = issue.text if path or not issue.where else f"{issue.where}: {issue.text}"
    return {
        "severity": issue.severity.value,
        "code": issue.code.value,
        **({"diagnostics": said} if said else {}),
        **({"expression": [issue.where]} if path else {}),
    }

"""Says what is wrong and where, in FHIRPath: what every reader and judge of a resource returns."""

from dataclasses import dataclass
from enum import StrEnum


class IssueType(StrEnum):
    """Of the standard's issue-type codes, those that are used here."""

    INVALID = "invalid"
    STRUCTURE = "structure"
    REQUIRED = "required"
    VALUE = "value"
    INVARIANT = "invariant"
    SECURITY = "security"
    LOGIN = "login"
    UNKNOWN = "unknown"
    EXPIRED = "expired"
    FORBIDDEN = "forbidden"
    PROCESSING = "processing"
    NOT_SUPPORTED = "not-supported"
    DUPLICATE = "duplicate"
    NOT_FOUND = "not-found"
    TOO_LONG = "too-long"
    TOO_COSTLY = "too-costly"
    CODE_INVALID = "code-invalid"
    CONFLICT = "conflict"
    EXCEPTION = "exception"
    BUSINESS_RULE = "business-rule"
    INFORMATIONAL = "informational"
    TRANSIENT = "transient"


class Severity(StrEnum):
    ERROR = "error"
    WARNING = "warning"
    INFORMATION = "information"


@dataclass(frozen=True, slots=True)
class Issue:
    """One thing, at one place (FHIRPath, or line and column where nothing could be read)."""

    code: IssueType
    where: str
    text: str
    severity: Severity = Severity.ERROR

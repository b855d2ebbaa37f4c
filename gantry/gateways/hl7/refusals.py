"""Decides how a refusal is said: HL7 table 0357 codes, a place in the sender's own message, a severity."""

from dataclasses import dataclass
from enum import StrEnum


class Severity(StrEnum):
    """ERR-4, HL7 table 0516. E refuses; W is a gap that can be asked back under an AA."""

    ERROR = "E"
    WARNING = "W"
    INFORMATION = "I"


class Fault(StrEnum):
    """ERR-3, HL7 table 0357."""

    SEGMENT_SEQUENCE = "100"
    REQUIRED_FIELD_MISSING = "101"
    DATA_TYPE = "102"
    TABLE_VALUE_NOT_FOUND = "103"
    VALUE_TOO_LONG = "104"
    UNSUPPORTED_MESSAGE_TYPE = "200"
    UNSUPPORTED_EVENT = "201"
    UNSUPPORTED_PROCESSING_ID = "202"
    UNSUPPORTED_VERSION = "203"
    UNKNOWN_KEY = "204"
    DUPLICATE_KEY = "205"
    RECORD_LOCKED = "206"
    INTERNAL = "207"


FAULT_TEXT: dict[str, str] = {
    Fault.SEGMENT_SEQUENCE: "Segment sequence error",
    Fault.REQUIRED_FIELD_MISSING: "Required field missing",
    Fault.DATA_TYPE: "Data type error",
    Fault.TABLE_VALUE_NOT_FOUND: "Table value not found",
    Fault.VALUE_TOO_LONG: "Value too long",
    Fault.UNSUPPORTED_MESSAGE_TYPE: "Unsupported message type",
    Fault.UNSUPPORTED_EVENT: "Unsupported event code",
    Fault.UNSUPPORTED_PROCESSING_ID: "Unsupported processing id",
    Fault.UNSUPPORTED_VERSION: "Unsupported version id",
    Fault.UNKNOWN_KEY: "Unknown key identifier",
    Fault.DUPLICATE_KEY: "Duplicate key identifier",
    Fault.RECORD_LOCKED: "Application record locked",
    Fault.INTERNAL: "Application internal error",
}


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why something was refused or must be asked back.

    `location` is an ERL: segment, which one of that name, field, repetition, component ("PID^1^3^2^1").
    """

    location: str
    code: str
    text: str
    severity: Severity = Severity.ERROR


@dataclass(frozen=True, slots=True)
class Refused:
    """A message that was not taken, with every reason at once."""

    refusals: tuple[Refusal, ...]


def gap(location: str, text: str, code: str = Fault.REQUIRED_FIELD_MISSING) -> Refusal:
    """Something missing or unreadable that the referrer can be asked for."""
    return Refusal(location, code, text, Severity.WARNING)

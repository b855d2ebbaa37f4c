"""Decides what we answer: AA, AE or AR with one ERR for each finding, in the sender's own separators and characters.

A plain ACK in original mode answers every message, orders too: it says all that ORR, ORG and ORI would, and every
engine reads it (HL7 v2.5.1 chapter 2.9.2).
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from .charsets import codec_for
from .message import Message, Separators, escape, nth, read
from .refusals import FAULT_TEXT, Fault, Refusal, Severity

VERSION = "2.5.1"
MOST_ERRORS = 100
HEADER_MAX = 4096


class AckCode(StrEnum):
    """MSA-1, table 0008."""

    ACCEPT = "AA"
    ERROR = "AE"
    """The content is refused: mend it before sending again."""
    REJECT = "AR"
    """Not a message for us, or we could not keep it: what is in it was not judged."""


REJECTED = frozenset(
    {
        Fault.UNSUPPORTED_MESSAGE_TYPE,
        Fault.UNSUPPORTED_EVENT,
        Fault.UNSUPPORTED_PROCESSING_ID,
        Fault.UNSUPPORTED_VERSION,
        Fault.RECORD_LOCKED,
        Fault.INTERNAL,
    }
)


@dataclass(frozen=True, slots=True)
class Sender:
    """What of a message's header the answer repeats, still encoded."""

    separators: Separators = Separators()  # noqa: RUF009 frozen
    application: str = ""
    facility: str = ""
    our_application: str = ""
    our_facility: str = ""
    trigger: str = ""
    control_id: str = ""
    processing_id: str = "P"
    version: str = VERSION
    charset: str = ""


def sender_of(message: Message) -> Sender:
    header, marks = message.header, message.separators
    return Sender(
        separators=marks,
        application=one_line(header.raw(3)),
        facility=one_line(header.raw(4)),
        our_application=one_line(header.raw(5)),
        our_facility=one_line(header.raw(6)),
        trigger=one_line(nth(header.raw(9), marks.component, 2)),
        control_id=one_line(header.raw(10)),
        processing_id=one_line(header.raw(11)) or "P",
        version=one_line(header.raw(12)) or VERSION,
        charset=message.charset,
    )


def one_line(encoded: str) -> str:
    """A header broken across lines is read as one; its answer may not break a segment of ours in two."""
    return "".join(" " if letter < " " else letter for letter in encoded)


def sender_of_unread(data: bytes) -> Sender:
    """What can be saved of a header that could not be read: the control id above all, so that the sender knows which."""
    start = data.find(b"MSH")
    header = re.split(rb"[\r\n]", data[max(start, 0) : max(start, 0) + HEADER_MAX])[0].decode("iso8859-1")
    if start < 0 or len(header) < 4 or header[3].isalnum() or not header[3].isascii() or header[3] in "\\^~& \t\x1c":
        return Sender()
    fields = header.split(header[3])
    control_id = fields[9] if len(fields) > 9 else ""
    safe = control_id.isascii() and control_id.isprintable() and "|" not in control_id
    return Sender(control_id=control_id[:199] if safe else "")


def code_for(refusals: Iterable[Refusal]) -> AckCode:
    """AR when it was not judged, AE when it was and failed, AA when there are only gaps."""
    wrong = [refusal for refusal in refusals if refusal.severity is Severity.ERROR]
    if not wrong:
        return AckCode.ACCEPT
    return AckCode.REJECT if any(refusal.code in REJECTED for refusal in wrong) else AckCode.ERROR


def acknowledge(
    sender: Sender,
    findings: Sequence[Refusal],
    *,
    now: datetime,
    control_id: str,
    code: AckCode | None = None,
) -> bytes:
    """The answer. Say AA only after what was sent has been kept."""
    code = code or code_for(findings)
    marks = sender.separators
    trigger = marks.component.join(part for part in ("ACK", sender.trigger, "ACK" if sender.trigger else "") if part)
    header = [
        "MSH",
        marks.encoding,
        sender.our_application,
        sender.our_facility,
        sender.application,
        sender.facility,
        stamp(now),
        "",
        trigger,
        escape(control_id, marks),
        sender.processing_id,
        sender.version,
        *[""] * 5,
        escape(sender.charset, marks),
    ]
    summary = next((finding.text for finding in findings if finding.severity is Severity.ERROR), "")
    lines = [
        marks.field.join(header).rstrip(marks.field),
        marks.field.join(["MSA", code, sender.control_id, escape(summary, marks)]).rstrip(marks.field),
    ]
    lines += [error_segment(finding, sender) for finding in findings[:MOST_ERRORS]]
    if len(findings) > MOST_ERRORS:
        more = Refusal("", Fault.INTERNAL, f"{len(findings) - MOST_ERRORS} more findings", Severity.INFORMATION)
        lines.append(error_segment(more, sender))
    text = "\r".join(lines) + "\r"
    return text.encode(codec_for(sender.charset) or "utf-8", errors="replace")


def error_segment(finding: Refusal, sender: Sender) -> str:
    """ERR-2 to ERR-8; ERR-1 as well for versions before 2.5, which know nothing else."""
    marks = sender.separators
    place = finding.location.split("^")
    older = ""
    if re.match(r"2\.[1-4]", sender.version):
        said = (marks.subcomponent or " ").join([finding.code, FAULT_TEXT.get(finding.code, "")])
        older = marks.component.join([*[*place, "", ""][:3], said])
    coded = marks.component.join([finding.code, FAULT_TEXT.get(finding.code, ""), "HL70357"])
    fields = ["ERR", older, marks.component.join(place), coded, finding.severity]
    return marks.field.join([*fields, "", "", "", escape(finding.text, marks)])


def stamp(moment: datetime) -> str:
    """TS with its offset: a wall clock alone is an hour wrong half the year."""
    return f"{moment:%Y%m%d%H%M%S%z}"


@dataclass(frozen=True, slots=True)
class Acknowledgement:
    """What the far end said."""

    code: str
    control_id: str
    text: str
    refusals: tuple[Refusal, ...]

    @property
    def accepted(self) -> bool:
        return self.code in ("AA", "CA")


def read_acknowledgement(data: bytes) -> Acknowledgement | Refusal:
    message = read(data)
    if isinstance(message, Refusal):
        return message
    msa = message.first("MSA")
    if msa is None:
        return Refusal("MSA^1", Fault.SEGMENT_SEQUENCE, "The answer has no MSA segment")
    refusals = tuple(
        Refusal(
            "^".join(err.component(2, part) for part in range(1, 6)).rstrip("^"),
            err.component(3) or err.component(1, 4),
            err.component(8) or err.component(7) or err.component(3, 2),
            Severity.WARNING if err.component(4) in ("W", "I") else Severity.ERROR,
        )
        for err in message.all("ERR")
    )
    return Acknowledgement(msa.component(1).upper(), msa.component(2), msa.component(3), refusals)

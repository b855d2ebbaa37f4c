"""Decides how a report leaves as ORU^R01: text a line an OBX, the PDF beside it, the NHS number on every one."""

from base64 import b64encode
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import date, datetime
from enum import StrEnum

from .ack import VERSION, stamp
from .message import Separators, escape
from .observations import ITEM_SYSTEM
from .values import NO_CODE, NOBODY, Clinician, Coded

MARKS = Separators()
CHARSET = "UNICODE UTF-8"
IMAGING_STUDY = Coded("18748-4", "Diagnostic imaging study", "LN")
DICOM_STUDY = Coded("113014", "DICOM Study", "DCM")
NUCLEAR_MEDICINE = "NMS"
"""OBR-24, table 0074: nuclear medicine scan."""


class ResultStatus(StrEnum):
    PRELIMINARY = "preliminary"
    FINAL = "final"
    CORRECTED = "corrected"
    WITHDRAWN = "withdrawn"
    """Sent for the wrong person, or entered in error: the receiver must take it down."""


STATUS_CODES = {
    ResultStatus.PRELIMINARY: ("P", "P"),
    ResultStatus.FINAL: ("F", "F"),
    ResultStatus.CORRECTED: ("C", "C"),
    ResultStatus.WITHDRAWN: ("X", "W"),
}
"""OBR-25 (table 0123) and OBX-11 (table 0085): W is "post original as wrong"."""


@dataclass(frozen=True, slots=True)
class Party:
    """An application at a facility: MSH-3 and 4, MSH-5 and 6."""

    application: str
    facility: str


@dataclass(frozen=True, slots=True)
class Subject:
    """Whose report it is."""

    family_name: str
    given_name: str
    nhs_number: str = ""
    local_ids: tuple[tuple[str, str], ...] = ()
    """Hospital number and the ODS code of its assigner."""
    title: str = ""
    date_of_birth: date | None = None
    stated_gender: str = ""
    address: str = ""
    postcode: str = ""


@dataclass(frozen=True, slots=True)
class Section:
    heading: str
    text: str
    code: Coded = NO_CODE


@dataclass(frozen=True, slots=True)
class ReportMessage:
    """One version of a report to one receiver. `control_id` is the outbox id: sent twice, it is the same message."""

    control_id: str
    sent_at: datetime
    sender: Party
    receiver: Party
    subject: Subject
    status: ResultStatus
    report_version: int
    placer_order_number: str
    filler_order_number: str
    accession_number: str
    procedure: Coded
    placer_assigner: str = ""
    filler_assigner: str = ""
    performed_at: datetime | None = None
    reported_at: datetime | None = None
    requester: Clinician = NOBODY
    reporter: Clinician = NOBODY
    sections: tuple[Section, ...] = ()
    pdf: bytes | None = None
    study_uid: str = ""
    reason: str = ""
    """Why it is corrected or withdrawn."""
    processing_id: str = "P"


GENDER_CODES = {"1": "M", "2": "F", "9": "A", "X": "U"}
"""The NHS code to table 0001."""


def to_oru(report: ReportMessage) -> bytes:
    """The message. The same report gives the same bytes."""
    order, result = STATUS_CODES[report.status]
    lines = [
        header(report),
        patient(report.subject),
        segment(
            "ORC",
            "RE",
            placer(report),
            filler(report),
            "",
            "CM" if order in ("F", "C") else "",
            **{"12": xcn(report.requester)},
        ),
        order_segment(report, order),
    ]
    if report.reason:
        lines.append(segment("NTE", "1", "L", text(report.reason)))
    lines += [
        segment("OBX", str(number), *fields, **observed(report, result))
        for number, fields in enumerate(observations(report), start=1)
    ]
    return ("\r".join(lines) + "\r").encode("utf-8")


def segment(name: str, *fields: str, **numbered: str) -> str:
    """Fields from 1, and further ones by number; empty ones at the end are left off."""
    placed = dict(enumerate(fields, start=1)) | {int(number): value for number, value in numbered.items()}
    width = max((number for number, value in placed.items() if value), default=0)
    return MARKS.field.join([name, *(placed.get(number, "") for number in range(1, width + 1))])


def text(value: str) -> str:
    return escape(value, MARKS)


def parts(*values: str) -> str:
    """Components, each made safe; empty ones at the end are left off."""
    return MARKS.component.join(text(value) for value in values).rstrip(MARKS.component)


def header(report: ReportMessage) -> str:
    fields = [
        "MSH",
        MARKS.encoding,
        text(report.sender.application),
        text(report.sender.facility),
        text(report.receiver.application),
        text(report.receiver.facility),
        stamp(report.sent_at),
        "",
        parts("ORU", "R01", "ORU_R01"),
        text(report.control_id),
        report.processing_id,
        VERSION,
        "",
        "",
        "AL",
        "NE",
        "GBR",
        CHARSET,
    ]
    return MARKS.field.join(fields)


def patient(subject: Subject) -> str:
    identifiers = [parts(subject.nhs_number, "", "", "NHS", "NH")] if subject.nhs_number else []
    identifiers += [parts(value, "", "", assigner, "MR") for value, assigner in subject.local_ids]
    return segment(
        "PID",
        "1",
        "",
        MARKS.repetition.join(identifiers),
        "",
        parts(subject.family_name, subject.given_name, "", "", subject.title, "", "L"),
        "",
        f"{subject.date_of_birth:%Y%m%d}" if subject.date_of_birth else "",
        GENDER_CODES.get(subject.stated_gender, "U"),
        **{"11": parts(subject.address, "", "", "", subject.postcode)},
    )


def placer(report: ReportMessage) -> str:
    return parts(report.placer_order_number, report.placer_assigner)


def filler(report: ReportMessage) -> str:
    return parts(report.filler_order_number, report.filler_assigner)


def xcn(clinician: Clinician) -> str:
    """With the register named where the number is a registration."""
    if not clinician:
        return ""
    number = clinician.registration or clinician.number
    authority = "GMC" if clinician.registration.isdigit() and len(clinician.registration) == 7 else ""
    return parts(number, clinician.family_name, clinician.given_name, "", "", clinician.title, "", "", authority)


def order_segment(report: ReportMessage, status: str) -> str:
    reporter = report.reporter
    named = MARKS.subcomponent.join(
        text(value) for value in (reporter.registration or reporter.number, reporter.family_name, reporter.given_name)
    )
    return segment(
        "OBR",
        "1",
        placer(report),
        filler(report),
        parts(report.procedure.code, report.procedure.text, report.procedure.system),
        **{
            "7": stamp(report.performed_at) if report.performed_at else "",
            "16": xcn(report.requester),
            "18": text(report.accession_number),
            "20": text(f"v{report.report_version}"),
            "22": stamp(report.reported_at) if report.reported_at else "",
            "24": NUCLEAR_MEDICINE,
            "25": status,
            "32": named if reporter else "",
        },
    )


def observed(report: ReportMessage, status: str) -> dict[str, str]:
    """What every OBX says alike: its status, when, and who answers for it."""
    return {
        "11": status,
        "14": stamp(report.performed_at) if report.performed_at else "",
        "16": xcn(report.reporter),
    }


def observations(report: ReportMessage) -> Iterable[tuple[str, ...]]:
    """OBX-2 to OBX-5. A withdrawn report carries why and nothing of what it said."""
    study = parts(IMAGING_STUDY.code, IMAGING_STUDY.text, IMAGING_STUDY.system)
    if report.status is ResultStatus.WITHDRAWN:
        yield "TX", study, "1", text(f"This report is withdrawn. {report.reason}".strip())
        return
    if report.study_uid:
        yield "HD", parts(DICOM_STUDY.code, DICOM_STUDY.text, DICOM_STUDY.system), "", text(report.study_uid)
    for number, section in enumerate(report.sections, start=1):
        code = section.code or Coded(section.heading.lower().replace(" ", "_"), section.heading, ITEM_SYSTEM)
        named = parts(code.code, section.heading, code.system)
        for line in section.text.replace("\r\n", "\n").split("\n"):
            yield "TX", named, str(number), text(line)
    if report.pdf is not None:
        yield "ED", study, "", f"^AP^PDF^Base64^{b64encode(report.pdf).decode('ascii')}"


def withdrawn(report: ReportMessage, *, control_id: str, sent_at: datetime, reason: str) -> ReportMessage:
    """The message that takes this one down, to the same receiver."""
    return replace(
        report,
        control_id=control_id,
        sent_at=sent_at,
        status=ResultStatus.WITHDRAWN,
        reason=reason,
        pdf=None,
        sections=(),
    )

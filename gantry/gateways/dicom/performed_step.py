"""Decides what a scanner told us of a performed procedure step, and whether it may say so (PS3.4 annex F.7)."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from enum import StrEnum
from typing import Any
from zoneinfo import ZoneInfo

from pydicom.dataset import Dataset

from gantry.gateways.dicom.matching import Unmatchable, date_text, time_text
from gantry.gateways.dicom.status import NO_LONGER_UPDATABLE, Refusal, Status
from gantry.gateways.dicom.worklist import Code, codes_from


class StepStatus(StrEnum):
    IN_PROGRESS = "IN PROGRESS"
    COMPLETED = "COMPLETED"
    DISCONTINUED = "DISCONTINUED"


@dataclass(frozen=True, slots=True)
class ScheduledReference:
    """Which scheduled step the performed one answers; all empty when it was not scheduled."""

    study_uid: str
    accession_number: str = ""
    requested_procedure_id: str = ""
    step_id: str = ""


@dataclass(frozen=True, slots=True)
class PerformedSeries:
    series_uid: str
    protocol_name: str = ""
    description: str = ""
    operators: tuple[str, ...] = ()
    performing_physicians: tuple[str, ...] = ()
    retrieve_ae_titles: tuple[str, ...] = ()
    images: tuple[tuple[str, str], ...] = ()
    """SOP class and SOP instance UIDs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StepBegun:
    """An N-CREATE: a step in progress."""

    sop_instance_uid: str
    step_id: str
    station_ae_title: str
    modality: str
    started_at: datetime
    scheduled: tuple[ScheduledReference, ...]
    patient_name: str = ""
    patient_id: str = ""
    patient_id_issuer: str = ""
    patient_birth_date: str = ""
    patient_sex: str = ""
    station_name: str = ""
    location: str = ""
    description: str = ""
    study_id: str = ""
    protocol_codes: tuple[Code, ...] = ()
    series: tuple[PerformedSeries, ...] = ()
    attributes: dict[str, Any] = field(default_factory=dict)
    """The whole attribute list as sent, in the DICOM JSON model."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StepReported:
    """An N-SET: more of the step, or its end. Fields not sent are None."""

    sop_instance_uid: str
    status: StepStatus | None = None
    ended_at: datetime | None = None
    discontinuation_reasons: tuple[Code, ...] | None = None
    series: tuple[PerformedSeries, ...] | None = None
    description: str | None = None
    attributes: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class PerformedSteps:
    """What the door asks of the house. `status_of` answers None where the step is unknown."""

    begin: Callable[[StepBegun, str], Refusal | None]
    report: Callable[[StepReported, str], Refusal | None]
    status_of: Callable[[str], StepStatus | None]


STATUS, START_DATE, START_TIME = 0x00400252, 0x00400244, 0x00400245
END_DATE, END_TIME, SERIES, SERIES_UID = 0x00400250, 0x00400251, 0x00400340, 0x0020000E

CREATE_WITH_VALUE = (0x00400253, 0x00400241, START_DATE, START_TIME, STATUS, 0x00080060)
"""Type 1 on creation (PS3.4 table F.7.2-1)."""

FIXED_BY_CREATE = (
    0x00400270, 0x00100010, 0x00100020, 0x00100030, 0x00100040, 0x00400253, 0x00400241, 0x00400242, 0x00400243,
    START_DATE, START_TIME, 0x00080060, 0x00200010,
)  # fmt: skip
"""Not allowed in an N-SET (the same table)."""


def read_begun(sop_instance_uid: str, ds: Dataset, zone: ZoneInfo) -> StepBegun | Refusal:
    missing = [tag for tag in (*CREATE_WITH_VALUE, 0x00400270) if tag not in ds]
    if missing:
        return lacking(Status.MISSING_ATTRIBUTE, "Missing", missing)
    empty = [tag for tag in (*CREATE_WITH_VALUE, 0x00400270) if not ds[tag].value]
    if empty:
        return lacking(Status.MISSING_ATTRIBUTE_VALUE, "No value in", empty)
    if text(ds, STATUS) != StepStatus.IN_PROGRESS:
        return Refusal(Status.INVALID_ATTRIBUTE_VALUE, "A step is created IN PROGRESS", (STATUS,))
    try:
        started_at = moment(ds, START_DATE, START_TIME, zone)
    except Unmatchable as fault:
        return Refusal(Status.INVALID_ATTRIBUTE_VALUE, str(fault), (fault.tag,))
    references = ds[0x00400270].value
    if any(not ref.get("StudyInstanceUID") for ref in references):
        return Refusal(Status.MISSING_ATTRIBUTE_VALUE, "(0040,0270) needs a Study Instance UID", (0x0020000D,))
    return StepBegun(
        sop_instance_uid=sop_instance_uid,
        step_id=text(ds, 0x00400253),
        station_ae_title=text(ds, 0x00400241),
        modality=text(ds, 0x00080060),
        started_at=started_at,
        scheduled=tuple(
            ScheduledReference(
                text(ref, 0x0020000D), text(ref, 0x00080050), text(ref, 0x00401001), text(ref, 0x00400009)
            )
            for ref in references
        ),
        patient_name=text(ds, 0x00100010),
        patient_id=text(ds, 0x00100020),
        patient_id_issuer=text(ds, 0x00100021),
        patient_birth_date=text(ds, 0x00100030),
        patient_sex=text(ds, 0x00100040),
        station_name=text(ds, 0x00400242),
        location=text(ds, 0x00400243),
        description=text(ds, 0x00400254),
        study_id=text(ds, 0x00200010),
        protocol_codes=codes_from(ds.get("PerformedProtocolCodeSequence")),
        series=tuple(series_in(ds)),
        attributes=as_json(ds),
    )


def read_reported(
    sop_instance_uid: str, ds: Dataset, current: StepStatus | None, zone: ZoneInfo
) -> StepReported | Refusal:
    if current is None:
        return Refusal(Status.NO_SUCH_INSTANCE, "No such performed procedure step")
    if current is not StepStatus.IN_PROGRESS:
        return Refusal(
            Status.PROCESSING_FAILURE,
            "Performed Procedure Step Object may no longer be updated",
            error_id=NO_LONGER_UPDATABLE,
        )
    fixed = [tag for tag in FIXED_BY_CREATE if tag in ds]
    if fixed:
        return Refusal(Status.NO_SUCH_ATTRIBUTE, f"May not be set: {listed(fixed)}", tuple(fixed))
    try:
        status = StepStatus(text(ds, STATUS)) if STATUS in ds else None
    except ValueError:
        return Refusal(Status.INVALID_ATTRIBUTE_VALUE, f"{text(ds, STATUS)!r} is not a status", (STATUS,))
    if status in {StepStatus.COMPLETED, StepStatus.DISCONTINUED}:
        refusal = why_not_end(ds, status)
        if refusal:
            return refusal
    try:
        ended_at = moment(ds, END_DATE, END_TIME, zone) if ds.get(END_DATE) and text(ds, END_DATE) else None
    except Unmatchable as fault:
        return Refusal(Status.INVALID_ATTRIBUTE_VALUE, str(fault), (fault.tag,))
    reasons = "PerformedProcedureStepDiscontinuationReasonCodeSequence"
    return StepReported(
        sop_instance_uid=sop_instance_uid,
        status=status,
        ended_at=ended_at,
        discontinuation_reasons=codes_from(ds.get(reasons)) if reasons in ds else None,
        series=tuple(series_in(ds)) if SERIES in ds else None,
        description=text(ds, 0x00400254) if 0x00400254 in ds else None,
        attributes=as_json(ds),
    )


def why_not_end(ds: Dataset, status: StepStatus) -> Refusal | None:
    """What the final state needs in the N-SET that ends the step (PS3.4 table F.7.2-1, final state)."""
    missing = [tag for tag in (END_DATE, END_TIME) if tag not in ds]
    if status is StepStatus.COMPLETED and SERIES not in ds:
        missing.append(SERIES)
    if missing:
        return lacking(Status.MISSING_ATTRIBUTE, "Missing", missing)
    empty = [tag for tag in (END_DATE, END_TIME) if not text(ds, tag)]
    if status is StepStatus.COMPLETED and not ds[SERIES].value:
        empty.append(SERIES)
    if any(not series.series_uid for series in series_in(ds)):
        empty.append(SERIES_UID)
    return lacking(Status.MISSING_ATTRIBUTE_VALUE, "No value in", empty) if empty else None


def lacking(status: Status, what: str, tags: list[int]) -> Refusal:
    return Refusal(status, f"{what} {listed(tags)}", tuple(tags))


def listed(tags: list[int]) -> str:
    return " ".join(f"({tag >> 16:04X},{tag & 0xFFFF:04X})" for tag in tags)


def text(ds: Dataset, tag: int) -> str:
    value = ds[tag].value if tag in ds else None
    return "" if value is None else str(value).strip()


def names(ds: Dataset, keyword: str) -> tuple[str, ...]:
    value = ds.get(keyword)
    if not value:
        return ()
    return (str(value),) if not isinstance(value, list | tuple) and ds[keyword].VM == 1 else tuple(map(str, value))


YEARS = range(1900, 2200)
"""Outside these a clock has not been set, and sums with its time leave the calendar."""


def moment(ds: Dataset, date_tag: int, time_tag: int, zone: ZoneInfo) -> datetime:
    """The scanner's wall clock as an instant: by the offset it sends, else by its site's zone."""
    day = date_text(date_tag, text(ds, date_tag))
    clock = time_text(time_tag, text(ds, time_tag), "0")
    # A leap second exists in TM and not in Python.
    clock = clock[:4] + "59" + clock[6:] if clock[4:6] == "60" else clock
    naive = datetime.strptime(day + clock, "%Y%m%d%H%M%S%f")  # noqa: DTZ007 - the zone is put on below
    if naive.year not in YEARS:
        raise Unmatchable(date_tag, "is not a date")
    return naive.replace(tzinfo=offset(text(ds, 0x00080201)) or zone)


def offset(written: str) -> timezone | None:
    if len(written) != 5 or written[0] not in "+-" or not written[1:].isdigit():
        return None
    length = timedelta(hours=int(written[1:3]), minutes=int(written[3:]))
    return timezone(length if written[0] == "+" else -length) if length < timedelta(hours=24) else None


def series_in(ds: Dataset) -> Iterator[PerformedSeries]:
    for one in ds.get("PerformedSeriesSequence") or []:
        referenced = [
            *(one.get("ReferencedImageSequence") or []),
            *(one.get("ReferencedNonImageCompositeSOPInstanceSequence") or []),
        ]
        yield PerformedSeries(
            series_uid=text(one, SERIES_UID),
            protocol_name=text(one, 0x00181030),
            description=text(one, 0x0008103E),
            operators=names(one, "OperatorsName"),
            performing_physicians=names(one, "PerformingPhysicianName"),
            retrieve_ae_titles=names(one, "RetrieveAETitle"),
            images=tuple((text(image, 0x00081150), text(image, 0x00081155)) for image in referenced),
        )


def as_json(ds: Dataset) -> dict[str, Any]:
    answer: dict[str, Any] = json.loads(ds.to_json(suppress_invalid_tags=True))
    return answer

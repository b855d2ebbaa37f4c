"""Decides what a scanner is told of a scheduled procedure step, and what it asked for (PS3.4 annex K)."""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any
from zoneinfo import ZoneInfo

from pydicom.dataset import Dataset

from gantry.gateways.dicom.elements import (
    SPECIFIC_CHARACTER_SET,
    TIMEZONE_OFFSET,
    Element,
    Elements,
    from_data_element,
    from_pydicom,
    to_pydicom,
)
from gantry.gateways.dicom.matching import Unmatchable, date_text, time_text

STEP_SEQUENCE = 0x00400100
STATION_AE_TITLE, START_DATE, START_TIME = 0x00400001, 0x00400002, 0x00400003
ACCESSION_NUMBER, PATIENT_ID, STUDY_UID, STEP_ID = 0x00080050, 0x00100020, 0x0020000D, 0x00400009

PREGNANCY = {"not_pregnant": 1, "possibly": 2, "definitely": 3, "unknown": 4}
"""(0010,21C0) Pregnancy Status, PS3.3 C.2.2.2."""


@dataclass(frozen=True, slots=True)
class Code:
    value: str
    scheme: str
    meaning: str


@dataclass(frozen=True, slots=True)
class Name:
    family: str = ""
    given: str = ""
    middle: str = ""
    prefix: str = ""
    suffix: str = ""
    other_groups: str = ""
    """Ideographic and phonetic forms as the wire has them, after the first `=`."""

    def text(self) -> str:
        parts = [self.family, self.given, self.middle, self.prefix, self.suffix]
        first = "^".join(part.translate(NAME_DELIMITERS) for part in parts).rstrip("^")
        return f"{first}={self.other_groups}" if self.other_groups else first


NAME_DELIMITERS = str.maketrans({"^": " ", "=": " ", "\\": " "})


@dataclass(frozen=True, slots=True)
class PatientIdentifier:
    value: str
    issuer: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class WorklistItem:
    """One scheduled procedure step with the patient and the request it belongs to."""

    step_id: str
    station_ae_titles: tuple[str, ...]
    start: datetime
    modality: str
    study_uid: str
    accession_number: str
    patient_id: str
    patient_name: Name
    patient_id_issuer: str = ""
    other_patient_ids: tuple[PatientIdentifier, ...] = ()
    birth_date: date | None = None
    sex: str = ""
    height_m: float | None = None
    weight_kg: float | None = None
    pregnancy_status: str = ""
    medical_alerts: tuple[str, ...] = ()
    allergies: tuple[str, ...] = ()
    additional_history: str = ""
    patient_comments: str = ""
    special_needs: str = ""
    patient_state: str = ""
    confidentiality: str = ""
    admission_id: str = ""
    current_location: str = ""
    referring_physician: Name = field(default_factory=Name)
    requesting_physician: Name = field(default_factory=Name)
    requesting_service: str = ""
    requested_procedure_id: str = ""
    requested_procedure_description: str = ""
    requested_procedure_codes: tuple[Code, ...] = ()
    requested_procedure_reason: str = ""
    requested_procedure_priority: str = ""
    requested_procedure_comments: str = ""
    transport: str = ""
    placer_order_number: str = ""
    filler_order_number: str = ""
    performing_physician: Name = field(default_factory=Name)
    step_description: str = ""
    protocol_codes: tuple[Code, ...] = ()
    station_name: str = ""
    zone_name: str = ""
    """The scanner's own zone, where it is not the listener's."""
    location: str = ""
    premedication: str = ""
    contrast_agent: str = ""
    step_status: str = ""
    step_comments: str = ""
    extra: Mapping[str, Any] = field(default_factory=dict)
    """Attributes we hold for others and do not use, in the DICOM JSON model; a typed field wins."""

    def __post_init__(self) -> None:
        if self.start.tzinfo is None:
            raise ValueError("a scheduled step needs a timezone-aware start")

    def local_start(self, zone: ZoneInfo) -> datetime:
        return self.start.astimezone(ZoneInfo(self.zone_name) if self.zone_name else zone)


NAMED = {
    0x00080050: ("SH", "accession_number"), 0x00080090: ("PN", "referring_physician"),
    0x00100010: ("PN", "patient_name"), 0x00100020: ("LO", "patient_id"), 0x00100021: ("LO", "patient_id_issuer"),
    0x00100040: ("CS", "sex"), 0x00102000: ("LO", "medical_alerts"), 0x00102110: ("LO", "allergies"),
    0x001021B0: ("LT", "additional_history"), 0x00104000: ("LT", "patient_comments"),
    0x0020000D: ("UI", "study_uid"), 0x00321032: ("PN", "requesting_physician"),
    0x00321033: ("LO", "requesting_service"), 0x00321060: ("LO", "requested_procedure_description"),
    0x00380010: ("LO", "admission_id"), 0x00380050: ("LO", "special_needs"),
    0x00380300: ("LO", "current_location"), 0x00380500: ("LO", "patient_state"),
    0x00401001: ("SH", "requested_procedure_id"), 0x00401002: ("LO", "requested_procedure_reason"),
    0x00401003: ("SH", "requested_procedure_priority"), 0x00401004: ("LO", "transport"),
    0x00401400: ("LT", "requested_procedure_comments"), 0x00402016: ("LO", "placer_order_number"),
    0x00402017: ("LO", "filler_order_number"), 0x00403001: ("LO", "confidentiality"),
}  # fmt: skip
"""Text attributes of patient, visit and request: tag, VR and field."""

STEP_NAMED = {
    0x00080060: ("CS", "modality"), 0x00321070: ("LO", "contrast_agent"), 0x00400001: ("AE", "station_ae_titles"),
    0x00400006: ("PN", "performing_physician"), 0x00400007: ("LO", "step_description"),
    0x00400009: ("SH", "step_id"), 0x00400010: ("SH", "station_name"), 0x00400011: ("SH", "location"),
    0x00400012: ("LO", "premedication"), 0x00400020: ("CS", "step_status"), 0x00400400: ("LT", "step_comments"),
}  # fmt: skip
"""The same for the one item of the Scheduled Procedure Step Sequence."""


def shown(value: object) -> tuple[str, ...]:
    if isinstance(value, Name):
        text = value.text()
        return (text,) if text else ()
    if isinstance(value, tuple):
        return tuple(plain(str(each)) for each in value)
    return (str(value),) if value else ()


def plain(text: str) -> str:
    """A backslash divides values, so one typed by a person may not (PS3.5 6.2)."""
    return text.replace("\\", "/")


def coded(codes: tuple[Code, ...]) -> Element:
    return Element(
        "SQ",
        items=tuple(
            {
                0x00080100: Element("SH", (code.value,)),
                0x00080102: Element("SH", (code.scheme,)),
                0x00080104: Element("LO", (code.meaning,)),
            }
            for code in codes
        ),
    )


def named(item: WorklistItem, table: Mapping[int, tuple[str, str]]) -> dict[int, Element]:
    elements = {}
    for tag, (vr, name) in table.items():
        value = getattr(item, name)
        single = isinstance(value, str) and vr not in {"LT", "UI"}
        elements[tag] = Element(vr, shown(plain(value) if single else value))
    return elements


def elements_of(item: WorklistItem, zone: ZoneInfo) -> dict[int, Element]:
    """Everything held of the step, as its scanner's wall clock and the wire's attributes have it."""
    start = item.local_start(zone)
    fraction = f".{start.microsecond:06d}" if start.microsecond else ""
    step = named(item, STEP_NAMED)
    step[START_DATE] = Element("DA", (f"{start:%Y%m%d}",))
    step[START_TIME] = Element("TM", (f"{start:%H%M%S}{fraction}",))
    step[0x00400008] = coded(item.protocol_codes)

    elements = named(item, NAMED)
    elements[SPECIFIC_CHARACTER_SET] = Element("CS", ("ISO_IR 192",))
    elements[TIMEZONE_OFFSET] = Element("SH", (f"{start:%z}",))
    elements[0x00081110] = Element("SQ")
    elements[0x00081120] = Element("SQ")
    elements[0x00100030] = Element("DA", (f"{item.birth_date:%Y%m%d}",) if item.birth_date else ())
    elements[0x00101002] = Element(
        "SQ",
        items=tuple(
            {0x00100020: Element("LO", (other.value,)), 0x00100021: Element("LO", (other.issuer,))}
            for other in item.other_patient_ids
        ),
    )
    elements[0x00101020] = Element("DS", (f"{item.height_m:g}",) if item.height_m is not None else ())
    elements[0x00101030] = Element("DS", (f"{item.weight_kg:g}",) if item.weight_kg is not None else ())
    pregnancy = PREGNANCY.get(item.pregnancy_status)
    elements[0x001021C0] = Element("US", raw=struct.pack("<H", pregnancy) if pregnancy else b"")
    elements[0x00321064] = coded(item.requested_procedure_codes)
    elements[STEP_SEQUENCE] = Element("SQ", items=(step,))
    return with_extra(elements, item.extra) if item.extra else elements


def with_extra(elements: dict[int, Element], extra: Mapping[str, Any]) -> dict[int, Element]:
    others = from_pydicom(Dataset.from_json(json.dumps(extra)))
    merged = dict(elements)
    for tag, other in others.items():
        mine = merged.get(tag)
        if tag == STEP_SEQUENCE and mine is not None and other.items:
            merged[tag] = Element("SQ", items=(filled(mine.items[0], other.items[0]),))
        elif mine is None or empty(mine):
            merged[tag] = other
    return merged


def filled(mine: Elements, others: Elements) -> Elements:
    return {**others, **{tag: e for tag, e in mine.items() if not empty(e) or tag not in others}}


def empty(element: Element) -> bool:
    return not (any(element.text) or element.items or element.raw)


def to_dataset(item: WorklistItem, zone: ZoneInfo) -> Dataset:
    return to_pydicom(elements_of(item, zone))


def item_from_dataset(ds: Dataset, zone: ZoneInfo) -> WorklistItem:
    """A scheduled step as another worklist holds it; what has no field of ours is kept in `extra`."""
    steps = ds.get("ScheduledProcedureStepSequence") or []
    if len(steps) != 1:
        raise ValueError(f"(0040,0100) holds {len(steps)} steps; one item is one step")
    step = steps[0]
    fields: dict[str, Any] = {}
    for table, source in ((NAMED, ds), (STEP_NAMED, step)):
        for tag, (vr, name) in table.items():
            found = from_data_element(source[tag]).text if tag in source else ()
            fields[name] = read_field(vr, name, found)
    day = date_text(START_DATE, str(step.get("ScheduledProcedureStepStartDate") or ""))
    clock = time_text(START_TIME, str(step.get("ScheduledProcedureStepStartTime") or "0000"), "0")
    start = datetime.strptime(day + clock, "%Y%m%d%H%M%S%f").replace(tzinfo=zone)
    birth = born(ds)
    status = {number: name for name, number in PREGNANCY.items()}.get(ds.get("PregnancyStatus"), "")
    return WorklistItem(
        **fields,
        start=start,
        birth_date=birth,
        height_m=measure(ds.get("PatientSize")),
        weight_kg=measure(ds.get("PatientWeight")),
        pregnancy_status=status,
        other_patient_ids=tuple(
            PatientIdentifier(str(other.get("PatientID") or ""), str(other.get("IssuerOfPatientID") or ""))
            for other in ds.get("OtherPatientIDsSequence") or []
        ),
        requested_procedure_codes=codes_from(ds.get("RequestedProcedureCodeSequence")),
        protocol_codes=codes_from(step.get("ScheduledProtocolCodeSequence")),
        extra=unnamed(ds, step, but={0x00100030} if birth is None else set()),
    )


def born(ds: Dataset) -> date | None:
    """The birth date; 31 April and its like are no date, and stay among the extra attributes as they were written."""
    written = str(ds.get("PatientBirthDate") or "")
    try:
        return date.fromisoformat(date_text(0x00100030, written)) if written else None
    except Unmatchable:
        return None


def read_field(vr: str, name: str, found: tuple[str, ...]) -> Any:
    if vr == "PN":
        return name_from(found[0] if found else "")
    if name in {"station_ae_titles", "medical_alerts", "allergies"}:
        return tuple(text for text in found if text)
    return "\\".join(found) if vr in {"LT"} else "/".join(found)


def name_from(text: str) -> Name:
    first, _, others = text.partition("=")
    family, given, middle, prefix, suffix = (first.split("^") + [""] * 5)[:5]
    return Name(family, given, middle, prefix, suffix, others)


def codes_from(sequence: Any) -> tuple[Code, ...]:
    return tuple(
        Code(str(c.get("CodeValue") or ""), str(c.get("CodingSchemeDesignator") or ""), str(c.get("CodeMeaning") or ""))
        for c in sequence or []
    )


def measure(value: Any) -> float | None:
    return float(value) if value not in (None, "") else None


TYPED = frozenset(NAMED) | {
    SPECIFIC_CHARACTER_SET, TIMEZONE_OFFSET, 0x00100030, 0x00101002, 0x00101020, 0x00101030, 0x001021C0, 0x00321064,
    STEP_SEQUENCE,
}  # fmt: skip
STEP_TYPED = frozenset(STEP_NAMED) | {START_DATE, START_TIME, 0x00400008}


def unnamed(ds: Dataset, step: Dataset, *, but: set[int]) -> dict[str, Any]:
    rest, inner = Dataset(), Dataset()
    for source, target, known in ((ds, rest, TYPED), (step, inner, STEP_TYPED)):
        for data in source:
            tag = int(data.tag)
            said = bool(len(data.value)) if data.VR == "SQ" else not data.is_empty
            if said and (tag not in known or tag in but) and data.tag.element != 0:
                target.add(data)
    if len(inner):
        rest.ScheduledProcedureStepSequence = [inner]
    answer: dict[str, Any] = rest.to_json_dict()
    return answer

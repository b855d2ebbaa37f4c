"""Decides what a worklist query asks for: keys to match, attributes to return, values an index can use (PS3.4 K.6.1)."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from pydicom.dataset import Dataset

from gantry.gateways.dicom.elements import (
    SPECIFIC_CHARACTER_SET,
    TIMEZONE_OFFSET,
    Element,
    Elements,
    Shape,
    from_data_element,
)
from gantry.gateways.dicom.matching import DATE_AND_TIME, Key, MomentKey, Unmatchable, span, test_for
from gantry.gateways.dicom.worklist import (
    ACCESSION_NUMBER,
    PATIENT_ID,
    START_DATE,
    STATION_AE_TITLE,
    STEP_ID,
    STEP_SEQUENCE,
    STUDY_UID,
)


@dataclass(frozen=True, slots=True)
class WorklistQuery:
    """What was asked: keys to match, attributes to return, and the exact values an index can use."""

    keys: tuple[Key | MomentKey, ...] = ()
    returns: Shape = ()
    station_ae_titles: tuple[str, ...] = ()
    first_day: str = ""
    last_day: str = ""
    patient_ids: tuple[str, ...] = ()
    accession_numbers: tuple[str, ...] = ()
    study_uids: tuple[str, ...] = ()
    step_ids: tuple[str, ...] = ()


def to_query(identifier: Dataset) -> WorklistQuery:
    """Reads a C-FIND identifier; raises `Unmatchable` for a key whose value is not of its VR."""
    elements = {tag: from_asked(data) for tag, data in asked(identifier)}
    step = next(iter(elements.get(STEP_SEQUENCE, Element("SQ")).items), {})
    days = [span(START_DATE, "DA", text) for text in step.get(START_DATE, Element("DA")).text if text]
    return WorklistQuery(
        keys=keys_of(elements),
        returns=shape_of(elements),
        station_ae_titles=exact(step, STATION_AE_TITLE),
        first_day=min((first for first, _ in days), default=""),
        last_day=max((last for _, last in days), default="~"),
        patient_ids=exact(elements, PATIENT_ID),
        accession_numbers=exact(elements, ACCESSION_NUMBER),
        study_uids=exact(elements, STUDY_UID),
        step_ids=exact(step, STEP_ID),
    )


def asked(identifier: Dataset) -> Iterator[tuple[int, Any]]:
    for data in identifier:
        tag = int(data.tag)
        if data.tag.element != 0 and tag not in {SPECIFIC_CHARACTER_SET, TIMEZONE_OFFSET}:
            yield tag, data


def from_asked(data: Any) -> Element:
    if data.VR == "SQ":
        return Element("SQ", items=tuple({t: from_asked(d) for t, d in asked(item)} for item in data.value or ()))
    try:
        return from_data_element(data)
    except (ValueError, TypeError, AttributeError, struct.error):
        raise Unmatchable(int(data.tag), f"is not a value of {data.VR}") from None


def exact(elements: Elements, tag: int) -> tuple[str, ...]:
    values = elements[tag].text if tag in elements else ()
    return () if not values or any(not v or set(v) & {"*", "?"} for v in values) else values


def keys_of(elements: Elements) -> tuple[Key | MomentKey, ...]:
    keys: list[Key | MomentKey] = []
    paired: set[int] = set()
    for date_tag, time_tag in DATE_AND_TIME:
        day = elements.get(date_tag, Element("DA")).text
        clock = elements.get(time_tag, Element("TM")).text
        if len(day) == len(clock) == 1 and day[0] and clock[0] and "-" in day[0]:
            first_day, last_day = span(date_tag, "DA", day[0])
            first_time, last_time = span(time_tag, "TM", clock[0])
            last = last_day + (last_time if last_time != "~" else "9" * 12)
            keys.append(MomentKey(date_tag, time_tag, first_day + (first_time if first_day else ""), last))
            paired |= {date_tag, time_tag}
    for tag, element in elements.items():
        if tag in paired:
            continue
        if element.vr == "SQ":
            inner = keys_of(element.items[0]) if element.items else ()
            if inner:
                keys.append(Key(tag, inner=inner))
            continue
        test = test_for(tag, element.vr, element.text, element.raw)
        if test is not None:
            keys.append(Key(tag, test))
    return tuple(keys)


def shape_of(elements: Elements) -> Shape:
    shape: list[tuple[int, str, Shape | None]] = []
    for tag in sorted(elements):
        element = elements[tag]
        inner = shape_of(element.items[0]) if element.vr == "SQ" and element.items else None
        shape.append((tag, element.vr, inner or None))
    return tuple(shape)

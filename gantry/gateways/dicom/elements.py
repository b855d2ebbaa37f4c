"""Decides how one data set is held between the wire and us: plain text by tag, ready to match, to filter and to encode."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from io import BytesIO

from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.filebase import DicomBytesIO
from pydicom.filereader import read_dataset
from pydicom.filewriter import write_data_element

TEXT = frozenset(["AE", "AS", "CS", "DA", "DS", "DT", "IS", "LO", "LT", "PN", "SH", "ST", "TM", "UC", "UI", "UR", "UT"])
LONG = frozenset(["OB", "OD", "OF", "OL", "OV", "OW", "SQ", "SV", "UC", "UN", "UR", "UT", "UV"])
"""VRs whose explicit form carries a four-byte length (PS3.5 7.1.2)."""

SPECIFIC_CHARACTER_SET = 0x00080005
TIMEZONE_OFFSET = 0x00080201


@dataclass(frozen=True, slots=True)
class Element:
    """One attribute: its values as text, or its items, or its bytes as they are."""

    vr: str
    text: tuple[str, ...] = ()
    items: tuple[Elements, ...] = ()
    raw: bytes = b""

    def value(self) -> bytes:
        if self.vr not in TEXT:
            return self.raw
        encoded = "\\".join(self.text).encode()
        if len(encoded) % 2:
            encoded += b"\0" if self.vr == "UI" else b" "
        return encoded


type Elements = Mapping[int, Element]

type Shape = tuple[tuple[int, str, Shape | None], ...]
"""Which attributes are asked for: tag, VR and, for a sequence, what is asked of its items (None: everything)."""


def header(tag: int, vr: str, length: int, *, explicit: bool) -> bytes:
    if not explicit:
        return struct.pack("<HHL", tag >> 16, tag & 0xFFFF, length)
    if vr in LONG:
        return struct.pack("<HH2sHL", tag >> 16, tag & 0xFFFF, vr.encode(), 0, length)
    if length > 0xFFFF:
        raise ValueError(f"{tag:08X}: {length} bytes are more than {vr} can carry")
    return struct.pack("<HH2sH", tag >> 16, tag & 0xFFFF, vr.encode(), length)


def encode_element(tag: int, element: Element, *, explicit: bool, shape: Shape | None = None) -> bytes:
    if element.vr != "SQ":
        value = element.value()
        return header(tag, element.vr, len(value), explicit=explicit) + value
    body = bytearray()
    for item in element.items:
        encoded = encode(item, explicit=explicit, shape=shape)
        body += struct.pack("<HHL", 0xFFFE, 0xE000, len(encoded)) + encoded
    return header(tag, "SQ", len(body), explicit=explicit) + bytes(body)


def encode(elements: Elements, *, explicit: bool, shape: Shape | None = None) -> bytes:
    """Little endian bytes of the attributes asked for, in order of tag; what is not held is left out."""
    if shape is None:
        return b"".join(encode_element(tag, elements[tag], explicit=explicit) for tag in sorted(elements))
    parts = []
    for tag, _, inner in shape:
        element = elements.get(tag)
        if element is not None:
            parts.append(encode_element(tag, element, explicit=explicit, shape=inner))
    return b"".join(parts)


def to_pydicom(elements: Elements) -> Dataset:
    return read_dataset(BytesIO(encode(elements, explicit=True)), is_implicit_VR=False, is_little_endian=True)


def from_pydicom(dataset: Iterable[DataElement]) -> dict[int, Element]:
    return {int(data.tag): from_data_element(data) for data in dataset if data.tag.element != 0}


def from_data_element(data: DataElement) -> Element:
    vr = str(data.VR)
    if vr == "SQ":
        return Element("SQ", items=tuple(from_pydicom(item) for item in data.value or ()))
    if vr in TEXT:
        return Element(vr, text=texts(data))
    buffer = DicomBytesIO()
    buffer.is_little_endian, buffer.is_implicit_VR = True, True
    write_data_element(buffer, data)
    return Element(vr, raw=buffer.getvalue()[8:])


def texts(data: DataElement) -> tuple[str, ...]:
    """The values as text, without the padding that carries no meaning (PS3.5 6.2)."""
    value = data.value
    if value is None or value == "":
        return ()
    values = value if data.VM > 1 else [value]
    # A leading space means something in ST, LT and UT only.
    if data.VR in {"LT", "ST", "UT"}:
        return tuple(str(each).rstrip() for each in values)
    return tuple(str(each).strip(" \0") for each in values)

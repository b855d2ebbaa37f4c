"""Decides whether a data set that came has an end: every element's length fits, every open sequence is closed.

Only headers are looked at, and nothing is copied: a value or an item of stated length is stepped over (PS3.5 7.1, 7.5).
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

from pydicom.uid import ExplicitVRBigEndian, ImplicitVRLittleEndian

from gantry.gateways.dicom.elements import LONG
from gantry.gateways.dicom.status import Refusal, Status

UNDEFINED = 0xFFFFFFFF
ITEM, ITEM_ENDS, SEQUENCE_ENDS = 0xFFFEE000, 0xFFFEE00D, 0xFFFEE0DD
LONG_VRS = frozenset(vr.encode() for vr in LONG)
LETTERS = range(ord("A"), ord("Z") + 1)


@dataclass(frozen=True, slots=True)
class Open:
    """A sequence or an item of undefined length whose delimiter has not come yet."""

    tag: int
    holds_items: bool
    implicit: bool


type Places = dict[int, tuple[int, int, int]]
"""Where each element of a data set begins, where its value begins and where it ends, by tag in the order sent."""


def not_whole(data: memoryview, syntax: str, places: Places | None = None) -> Refusal | None:
    """Why the data set cannot be all that was sent; None where each element is there. Fills `places` on its way."""
    order = ">" if syntax == ExplicitVRBigEndian else "<"
    tag_at = struct.Struct(f"{order}HH").unpack_from
    short_at, long_at = struct.Struct(f"{order}H").unpack_from, struct.Struct(f"{order}I").unpack_from
    implicit = begins_implicit(data, 0, syntax == ImplicitVRLittleEndian)
    inside: list[Open] = []
    holds_items = False
    at, end, tag = 0, data.nbytes, 0
    began = first_value = top = 0
    while at < end:
        if end - at < 8:
            # Nothing but padding is no element that was cut.
            return cut(tag, "ends within a header") if inside or any(data[at:]) else None
        group, element = tag_at(data, at)
        here = group << 16 | element
        if holds_items:
            length, value = long_at(data, at + 4)[0], at + 8
            if here == SEQUENCE_ENDS:
                inside.pop()
            elif here != ITEM:
                return cut(inside[-1].tag, "holds what is no item")
            elif length == UNDEFINED:
                inside.append(Open(inside[-1].tag, False, begins_implicit(data, value, inside[-1].implicit)))
            else:
                at = value + length
                if at > end:
                    return cut(inside[-1].tag, f"says {length} bytes, {end - value} came")
                continue
        elif here == ITEM_ENDS and inside:
            inside.pop()
            value = at + 8
        else:
            if group == 0 and not inside and not any(data[at:]):
                return None
            tag, nested = here, implicit
            if implicit:
                length, value = long_at(data, at + 4)[0], at + 8
            elif (vr := bytes(data[at + 4 : at + 6])) in LONG_VRS:
                if end - at < 12:
                    return cut(tag, "ends within its header")
                length, value = long_at(data, at + 8)[0], at + 12
                # PS3.5 6.2.2: what is of unknown VR and of undefined length is written as implicit VR.
                nested = vr == b"UN"
            else:
                length, value = short_at(data, at + 6)[0], at + 8
            if not inside:
                began, first_value, top = at, value, tag
            if length != UNDEFINED:
                at = value + length
                if at > end:
                    return cut(tag, f"says {length} bytes, {end - value} came")
                if places is not None and not inside:
                    places[tag] = (began, value, at)
                continue
            inside.append(Open(tag, True, nested))
        at = value
        holds_items, implicit = (inside[-1].holds_items, inside[-1].implicit) if inside else (False, implicit)
        if not inside:
            if places is not None:
                places[top] = (began, first_value, at)
            implicit = begins_implicit(data, 0, syntax == ImplicitVRLittleEndian)
    return cut(inside[0].tag, "is not ended") if inside else None


def begins_implicit(data: memoryview, at: int, assumed: bool) -> bool:
    """Whether elements lack a VR. Some senders write the other form than they agreed to, or than what is around."""
    if data.nbytes < at + 8:
        return assumed
    return data[at + 4] not in LETTERS or data[at + 5] not in LETTERS


def cut(tag: int, how: str) -> Refusal:
    return Refusal(Status.CANNOT_UNDERSTAND, f"Cut short: ({tag >> 16:04X},{tag & 0xFFFF:04X}) {how}", (tag,))

"""Decides how a refusal is said on the wire: a status with the tag and the reason, in the sender's coordinates (PS3.7 annex C)."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

from pydicom.dataset import Dataset


class Status(IntEnum):
    SUCCESS = 0x0000
    NO_SUCH_ATTRIBUTE = 0x0105
    INVALID_ATTRIBUTE_VALUE = 0x0106
    ATTRIBUTE_LIST_ERROR = 0x0107
    PROCESSING_FAILURE = 0x0110
    DUPLICATE_INSTANCE = 0x0111
    NO_SUCH_INSTANCE = 0x0112
    NO_SUCH_EVENT_TYPE = 0x0113
    NO_SUCH_ARGUMENT = 0x0114
    INVALID_ARGUMENT_VALUE = 0x0115
    INVALID_INSTANCE = 0x0117
    MISSING_ATTRIBUTE = 0x0120
    MISSING_ATTRIBUTE_VALUE = 0x0121
    NO_SUCH_ACTION = 0x0123
    NOT_AUTHORISED = 0x0124
    RESOURCE_LIMITATION = 0x0213
    OUT_OF_RESOURCES = 0xA700
    DOES_NOT_MATCH_CLASS = 0xA900
    CANNOT_UNDERSTAND = 0xC000
    UNABLE_TO_PROCESS = 0xC001
    CONFLICT = 0xC010
    CANCEL = 0xFE00
    PENDING = 0xFF00
    PENDING_KEYS_UNSUPPORTED = 0xFF01


NO_LONGER_UPDATABLE = 0xA506
"""Error ID of an N-SET on a step that has ended (PS3.4 F.7.2.2.3)."""

COMMENT_LIMIT = 64
"""(0000,0902) Error Comment is an LO."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a request was not carried out."""

    status: int
    reason: str
    tags: tuple[int, ...] = ()
    error_id: int | None = None

    def to_dataset(self) -> Dataset:
        ds = Dataset()
        ds.Status = int(self.status)
        # The command set is ASCII; a reason may quote what the sender wrote.
        comment = self.reason.encode("ascii", "replace").decode().replace("\\", "/")
        ds.ErrorComment = comment[:COMMENT_LIMIT].rstrip()
        if self.tags and self.status >= 0xA000:
            ds.OffendingElement = list(self.tags)
        elif self.tags:
            ds.AttributeIdentifierList = list(self.tags)
        if self.error_id is not None:
            ds.ErrorID = self.error_id
        return ds


def success() -> Dataset:
    ds = Dataset()
    ds.Status = int(Status.SUCCESS)
    return ds

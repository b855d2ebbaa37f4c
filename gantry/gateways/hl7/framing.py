"""Decides where a message begins and ends on the wire: MLLP blocks, VT … FS CR (HL7 MLLP release 1).

Our own, beside the python-hl7 library's: there, a block over the limit empties the buffer in the middle of the block,
a block without VT raises, and both lose step with the sender. Here noise is counted and skipped, an oversize block is
read to its end and refused, and a block that begins anew in the middle of another wins.
"""

import re
from dataclasses import dataclass
from enum import Enum, auto

START = 0x0B
CR, LF = 0x0D, 0x0A
END = b"\x1c\r"
MARK = re.compile(rb"[\x0b\x1c]")
HEAD_KEPT = 4096
DEFAULT_LIMIT = 10 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Block:
    """One whole block. `oversize`: only its head was kept, enough to say which message it was."""

    data: bytes
    oversize: bool = False


def frame(message: bytes) -> bytes:
    return b"\x0b" + message + END


class State(Enum):
    OUTSIDE = auto()
    INSIDE = auto()
    AFTER_FS = auto()
    """Inside, and the last byte may have been the first half of the end."""


class Deframer:
    """Bytes in as they arrive, whole blocks out; memory is bounded by the limit."""

    def __init__(self, limit: int = DEFAULT_LIMIT) -> None:
        self.limit = limit
        self.skipped = 0
        """Bytes between blocks that were noise; the CR and LF that some senders add are not."""
        self.abandoned = 0
        """Blocks begun and never ended."""
        self._state = State.OUTSIDE
        self._buffer = bytearray()
        self._oversize = False

    @property
    def waiting(self) -> bool:
        """A block has begun and not ended."""
        return self._state is not State.OUTSIDE

    def feed(self, data: bytes) -> list[Block]:
        blocks: list[Block] = []
        place = 0
        while place < len(data):
            match self._state:
                case State.OUTSIDE:
                    place = self._skip_noise(data, place)
                case State.INSIDE:
                    place = self._take_text(data, place)
                case State.AFTER_FS if data[place] in (START, CR, LF):
                    blocks.append(Block(bytes(self._buffer), self._oversize))
                    self._begin(State.INSIDE if data[place] == START else State.OUTSIDE)
                    place += 1
                case State.AFTER_FS:
                    self._keep(END[:1])
                    self._state = State.INSIDE
        return blocks

    def _skip_noise(self, data: bytes, place: int) -> int:
        start = data.find(START, place)
        stop = len(data) if start < 0 else start
        self.skipped += len(data[place:stop].translate(None, b"\r\n"))
        if start < 0:
            return stop
        self._begin(State.INSIDE)
        return stop + 1

    def _take_text(self, data: bytes, place: int) -> int:
        mark = MARK.search(data, place)
        stop = mark.start() if mark else len(data)
        self._keep(data[place:stop])
        if mark is None:
            return stop
        if data[stop] == START:
            self.abandoned += 1
            self._begin(State.INSIDE)
        else:
            self._state = State.AFTER_FS
        return stop + 1

    def _keep(self, text: bytes) -> None:
        if self._oversize:
            return
        self._oversize = len(self._buffer) + len(text) > self.limit
        self._buffer += text[:HEAD_KEPT] if self._oversize else text
        if self._oversize:
            del self._buffer[HEAD_KEPT:]

    def _begin(self, state: State) -> None:
        self._state = state
        self._buffer = bytearray()
        self._oversize = False

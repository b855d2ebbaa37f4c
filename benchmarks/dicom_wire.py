"""A worklist client of plain sockets, so that what is timed is the server: one warm association, TCP_NODELAY."""

import socket
import struct
from io import BytesIO

from pydicom.dataset import Dataset
from pydicom.filereader import read_dataset

WORKLIST = b"1.2.840.10008.5.1.4.31"
IMPLICIT = b"1.2.840.10008.1.2"
LARGEST_PDU = 131072


def item(kind: int, value: bytes) -> bytes:
    return struct.pack(">BxH", kind, len(value)) + value


def association_request(called: str, calling: str) -> bytes:
    context = struct.pack(">BxBx", 1, 0) + item(0x30, WORKLIST) + item(0x40, IMPLICIT)
    user = item(0x51, struct.pack(">L", LARGEST_PDU)) + item(0x52, b"2.25.119145838843700223468538885038488495508")
    body = struct.pack(">Hxx16s16s32x", 1, called.ljust(16).encode(), calling.ljust(16).encode())
    body += item(0x10, b"1.2.840.10008.3.1.1.1") + item(0x20, context) + item(0x50, user)
    return struct.pack(">BxL", 1, len(body)) + body


def data_pdu(control: int, data: bytes) -> bytes:
    return struct.pack(">BxLLBB", 4, len(data) + 6, len(data) + 2, 1, control) + data


def find_request(identifier: bytes, message_id: int) -> bytes:
    def us(element: int, value: int) -> bytes:
        return struct.pack("<HHLH", 0, element, 2, value)

    uid = struct.pack("<HHL", 0, 2, len(WORKLIST)) + WORKLIST
    group = uid + us(0x0100, 0x0020) + us(0x0110, message_id) + us(0x0700, 2) + us(0x0800, 1)
    command = struct.pack("<HHLL", 0, 0, 4, len(group)) + group
    return data_pdu(3, command) + data_pdu(2, identifier)


class Client:
    def __init__(self, port: int, called: str, calling: str = "BENCH") -> None:
        self.connection = socket.create_connection(("127.0.0.1", port), timeout=60)
        self.connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.connection.sendall(association_request(called, calling))
        kind, body = self.pdu()
        if kind != 2 or body[body.index(b"\x21\x00") + 6] != 0:
            raise ConnectionError(f"the association was not accepted: {kind}")
        self.number = 0

    def pdu(self) -> tuple[int, bytes]:
        kind, length = struct.unpack(">BxL", self.exactly(6))
        return kind, self.exactly(length)

    def exactly(self, count: int) -> bytes:
        parts = bytearray()
        while len(parts) < count:
            got = self.connection.recv(count - len(parts))
            if not got:
                raise ConnectionError("the server hung up")
            parts += got
        return bytes(parts)

    def find(self, identifier: bytes) -> list[bytes]:
        """The answers' data sets; a failure status raises."""
        self.number = self.number % 65535 + 1
        self.connection.sendall(find_request(identifier, self.number))
        answers: list[bytes] = []
        command, data = bytearray(), bytearray()
        while True:
            kind, body = self.pdu()
            if kind != 4:
                raise ConnectionError(f"PDU type {kind} in the middle of an answer")
            at = 0
            while at < len(body):
                (length,) = struct.unpack_from(">L", body, at)
                control, value = body[at + 5], body[at + 6 : at + 4 + length]
                at += 4 + length
                if control & 1:
                    command += value
                    if control & 2:
                        status = status_of(command)
                        command = bytearray()
                        if status not in {0xFF00, 0xFF01}:
                            if status:
                                raise ConnectionError(f"status 0x{status:04X}")
                            return answers
                else:
                    data += value
                    if control & 2:
                        answers.append(bytes(data))
                        data = bytearray()

    def close(self) -> None:
        self.connection.sendall(struct.pack(">BxL4x", 5, 4))
        self.pdu()
        self.connection.close()


def status_of(command: bytes) -> int:
    at = 0
    while at < len(command):
        group, element, length = struct.unpack_from("<HHL", command, at)
        if (group, element) == (0, 0x0900):
            return int(struct.unpack_from("<H", command, at + 8)[0])
        at += 8 + length
    raise ConnectionError("an answer without a status")


def read(data_set: bytes) -> Dataset:
    return read_dataset(BytesIO(data_set), is_implicit_VR=True, is_little_endian=True)

"""Decides how quickly an association answers: pynetdicom's state machine, woken by the socket instead of by polling.

pynetdicom 3 sleeps a millisecond between looks at its socket and its queues and never sets TCP_NODELAY, so that each
exchange costs several milliseconds (up to 95 where Nagle meets delayed acknowledgement). Negotiation, release and
abort stay as they are; only waiting, and the reading and writing of P-DATA, are done here.
"""

from __future__ import annotations

import contextlib
import queue
import select
import socket
import struct
import threading
import time
from collections.abc import Callable
from io import BytesIO
from typing import Any

from pydicom.uid import UID
from pynetdicom import _config, evt
from pynetdicom.association import Association
from pynetdicom.dimse import DIMSEServiceProvider
from pynetdicom.dimse_primitives import C_ECHO, C_FIND, C_STORE, N_EVENT_REPORT
from pynetdicom.dul import DULServiceProvider
from pynetdicom.pdu_primitives import P_DATA
from pynetdicom.transport import AddressInformation, AssociationServer, AssociationSocket, RequestHandler

# pynetdicom's own log lines would print data sets at debug level, and they cost time on every message.
_config.LOG_HANDLER_LEVEL = "none"

LOOK_ROUND_S = 0.05
"""How long anything waits before it looks whether it is being stopped."""

STALLED_S = 20.0
"""A unit that has begun and then stops arriving, or is not taken, for so long ends the association: half a request
may not hold a place."""

HANDED_BYTES = 128
"""The peer's address goes with a handed-over connection in a message of this length."""

P_DATA_TF = 0x04
ASSOCIATE_LIMIT_BYTES = 1 << 20
COMMAND_LIMIT_BYTES = 1 << 16
SENDING = "Sta6"
"""The state of PS3.8 table 9-10 in which data may pass."""


class WakingQueue(queue.Queue[Any]):
    """A queue that tells whoever sleeps on `woken` that something came."""

    def __init__(self, woken: threading.Event) -> None:
        super().__init__()
        self._woken = woken

    def put(self, item: Any, block: bool = True, timeout: float | None = None) -> None:
        super().put(item, block, timeout)
        self._woken.set()


class PromptSocket(AssociationSocket):
    """The association's socket: whole buffers in, one writer at a time out."""

    def __init__(self, assoc: Association, client_socket: socket.socket) -> None:
        super().__init__(assoc, client_socket=client_socket)
        self._writing = threading.Lock()
        self._room = bytearray()

    def recv(self, nr_bytes: int) -> bytearray:
        buffer = bytearray(nr_bytes)
        with memoryview(buffer) as view:
            got = self._fill(view)
        del buffer[got:]
        return buffer

    def borrow(self, nr_bytes: int) -> memoryview:
        """As many bytes as came of those asked for, in the one buffer that the next call overwrites."""
        if len(self._room) < nr_bytes:
            self._room = bytearray(nr_bytes)
        view = memoryview(self._room)[:nr_bytes]
        return view[: self._fill(view)]

    def _fill(self, view: memoryview) -> int:
        got, connection = 0, self.socket
        while connection is not None and got < len(view):
            count = connection.recv_into(view[got:])
            if not count:
                break
            got += count
        return got

    def send(self, bytestream: bytes) -> None:
        connection = self.socket
        if connection is None:
            return
        try:
            with self._writing:
                connection.sendall(bytestream)
        except OSError:
            self.event_queue.put("Evt17")

    def _shutdown_socket(self) -> None:
        """Closes also when the peer was first: the base class then leaves the descriptor to the garbage collector."""
        connection = self.socket
        if connection is not None:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
            connection.close()


class PromptReactor(DULServiceProvider):
    """The upper layer, asleep on its socket until there is something to read or to send."""

    def __init__(self, assoc: Association) -> None:
        super().__init__(assoc)
        self.daemon = True
        self._run_loop_delay = 0
        self._ear, self._mouth = socket.socketpair()
        self._ear.setblocking(False)
        self._mouth.setblocking(False)

    def run_reactor(self) -> None:
        try:
            super().run_reactor()
        finally:
            self._ear.close()
            self._mouth.close()

    def kill_dul(self) -> None:
        super().kill_dul()
        self._wake()

    def send_pdu(self, primitive: Any) -> None:
        if isinstance(primitive, P_DATA):
            # Anything later than this state has no one to hear it.
            if self.state_machine.current_state == SENDING and self.socket is not None:
                self.socket.send(encode_p_data(primitive))
            return
        super().send_pdu(primitive)
        self._wake()

    def _wake(self) -> None:
        try:
            self._mouth.send(b"\0")
        except OSError:
            pass  # full: it is awake already; closed: it has ended

    def _is_transport_event(self) -> bool:
        if not self.event_queue.empty():
            return False
        connection = self.socket.socket if self.socket is not None else None
        if connection is None:
            time.sleep(0.001)
        elif self.socket is not None and not self.socket.ready:
            self._sleep(connection)
        return super()._is_transport_event()

    def _sleep(self, connection: socket.socket) -> None:
        try:
            ready, _, _ = select.select([connection, self._ear], [], [], LOOK_ROUND_S)
            if self._ear in ready:
                self._ear.recv(4096)
        except (OSError, ValueError):
            time.sleep(0.001)

    def _read_pdu_data(self) -> None:
        """Reads a unit and, within an image, each that lies there already: a turn of the whole loop costs more."""
        self._read_unit()
        dimse: Any = self.assoc.dimse
        while (
            dimse.storing is not None
            and not self._kill_thread
            and self.event_queue.empty()
            and self.socket is not None
            and self.socket.ready
        ):
            self._read_unit()

    def _read_unit(self) -> None:
        connection: Any = self.socket
        if connection is None:
            return
        try:
            kind, length = struct.unpack(">BxL", connection.recv(6))
        except (OSError, struct.error):
            self.event_queue.put("Evt17")
            return
        if not self._plausible(kind, length):
            self.event_queue.put("Evt19")
            return
        data = kind == P_DATA_TF and self.state_machine.current_state == SENDING
        try:
            body = connection.borrow(length) if data else connection.recv(length)
        except OSError:
            body = b""
        if len(body) != length:
            self.event_queue.put("Evt17")
            return
        if data:
            self._take_data(body)
            return
        try:
            pdu, event = self._decode_pdu(bytearray(struct.pack(">BxL", kind, length)) + body)
        except Exception:
            self.event_queue.put("Evt19")
            return
        self._recv_pdu.put(pdu)
        self.event_queue.put(event)

    def _plausible(self, kind: int, length: int) -> bool:
        """A PDU we know, no longer than we said we would take: nothing is allocated on a stranger's word."""
        if kind not in range(1, 8):
            return False
        announced = self.assoc.acceptor.maximum_length or ASSOCIATE_LIMIT_BYTES
        return length <= max(announced + 6 if kind == P_DATA_TF else 0, ASSOCIATE_LIMIT_BYTES)

    def _take_data(self, body: memoryview) -> None:
        values = split_values(body)
        if values is None:
            self.event_queue.put("Evt19")
            return
        dimse: Any = self.assoc.dimse
        try:
            for context_id, value in values:
                dimse.take(context_id, value)
        except Exception:
            # A command set that cannot be read, or a context that was never agreed.
            self.event_queue.put("Evt19")
            return
        limit: int = getattr(self.assoc, "limit_bytes", 0)
        if dimse.too_much(limit):
            self.event_queue.put("Evt19")


def split_values(body: memoryview) -> list[tuple[int, Any]] | None:
    """The presentation data values of a P-DATA-TF (PS3.8 9.3.5), or None where their lengths do not add up."""
    values: list[tuple[int, Any]] = []
    at = 0
    while at < len(body):
        if len(body) - at < 6:
            return None
        length = int.from_bytes(body[at : at + 4], "big")
        if length < 2 or at + 4 + length > len(body):
            return None
        values.append((body[at + 4], body[at + 5 : at + 4 + length]))
        at += 4 + length
    return values


def encode_p_data(primitive: P_DATA) -> bytes:
    parts = []
    for context_id, value in primitive.presentation_data_value_list:
        parts.append(struct.pack(">LB", len(value) + 1, context_id) + value)
    body = b"".join(parts)
    return struct.pack(">BxL", P_DATA_TF, len(body)) + body


RESPONSES: dict[type[Any], int] = {C_STORE: 0x8001, C_FIND: 0x8020, C_ECHO: 0x8030}
"""Command Field of the answers that are written out here (PS3.7 annex E)."""


class PromptMessages(DIMSEServiceProvider):
    """The message service, with the commonest request, a store, and the commonest answer read and written without pydicom."""

    storing: C_STORE | None = None
    """The request whose data set is arriving."""

    def take(self, context_id: int, value: memoryview) -> None:
        """One presentation data value (PS3.8 annex E); it is copied, for its buffer is used again."""
        last, command = value[0] & 2, value[0] & 1
        if self.storing is None:
            if last and command and self.message is None:
                self.storing = store_request(context_id, value[1:])
            if self.storing is None:
                primitive: Any = P_DATA()
                primitive.presentation_data_value_list.append((context_id, value))
                self.receive_primitive(primitive)
            return
        if command or context_id != self.storing._context_id:
            raise ValueError("a data set was broken off by something else")
        data_set: Any = self.storing.DataSet
        data_set.write(value[1:])
        if last:
            whole, self.storing = self.storing, None
            self.msg_queue.put((context_id, whole))

    def too_much(self, limit_bytes: int) -> bool:
        """Whether more has come than one message may hold; what came is then let go."""
        if self.storing is not None:
            data_set: Any = self.storing.DataSet
            command_bytes, data_bytes = 0, data_set.tell()
        elif self.message is not None:
            message: Any = self.message
            command_bytes, data_bytes = message.encoded_command_set.tell(), message.data_set.tell()
        else:
            return False
        if command_bytes <= COMMAND_LIMIT_BYTES and (not limit_bytes or data_bytes <= limit_bytes):
            return False
        self.storing = self.message = None
        return True

    def send_msg(self, primitive: Any, context_id: int) -> None:
        field = RESPONSES.get(type(primitive))
        answer = primitive.MessageIDBeingRespondedTo
        if field is None or answer is None or primitive.Status != 0 or getattr(primitive, "Identifier", None):
            super().send_msg(primitive, context_id)
            return
        value = P_DATA()
        command = command_set(
            str(primitive.AffectedSOPClassUID or ""),
            field,
            answer,
            has_data_set=False,
            status=0,
            instance_uid=str(getattr(primitive, "AffectedSOPInstanceUID", None) or ""),
        )
        value.presentation_data_value_list.append((context_id, b"\x03" + command))
        self.dul.send_pdu(value)


STORE_ELEMENTS = frozenset([0x0000, 0x0002, 0x0100, 0x0110, 0x0700, 0x0800, 0x1000])
"""Of a C-STORE request (PS3.7 9.3.1.1); one that names the mover it comes from is left to pynetdicom."""


def store_request(context_id: int, command: memoryview) -> C_STORE | None:
    """A C-STORE request that has a data set, or None where this is another command or not as every sender writes it."""
    values, at = {}, 0
    while len(command) - at >= 8:
        group, element, length = struct.unpack_from("<HHL", command, at)
        values[group << 16 | element] = bytes(command[at + 8 : at + 8 + length])
        at += 8 + length
    if at != len(command) or values.keys() != STORE_ELEMENTS or values[0x0100] != b"\x01\x00":
        return None
    if values[0x0800] == b"\x01\x01" or any(len(values[element]) != 2 for element in (0x0110, 0x0700, 0x0800)):
        return None
    request = C_STORE()
    request.MessageID = int.from_bytes(values[0x0110], "little")
    request.Priority = int.from_bytes(values[0x0700], "little")
    request.AffectedSOPClassUID = uid_of(values[0x0002])
    request.AffectedSOPInstanceUID = uid_of(values[0x1000])
    request.DataSet = BytesIO()
    request._context_id = context_id
    return request


def uid_of(value: bytes) -> UID:
    return UID(value.decode("ascii").rstrip("\0 "))


def command_set(
    class_uid: str, field: int, answer: int, *, has_data_set: bool, status: int, instance_uid: str = ""
) -> bytes:
    """A response's command set, implicit little endian in order of element (PS3.7 6.3.1 and annex E)."""

    def us(element: int, value: int) -> bytes:
        return struct.pack("<HHLH", 0, element, 2, value)

    def ui(element: int, value: str) -> bytes:
        encoded = value.encode() + b"\0" * (len(value) % 2)
        return struct.pack("<HHL", 0, element, len(encoded)) + encoded

    group = (
        (ui(0x0002, class_uid) if class_uid else b"")
        + us(0x0100, field)
        + us(0x0120, answer)
        + us(0x0800, 0x0001 if has_data_set else 0x0101)
        + us(0x0900, status)
        + (ui(0x1000, instance_uid) if instance_uid else b"")
    )
    return struct.pack("<HHLL", 0, 0, 4, len(group)) + group


class PromptAssociation(Association):
    """An accepted association whose service thread sleeps until a message, a release or an abort comes."""

    def __init__(self, ae: Any, limit_bytes: int) -> None:
        super().__init__(ae, "acceptor")
        self.limit_bytes = limit_bytes
        self.afterwards: list[Callable[[], None]] = []
        """Begun in a thread of its own once the answer to the request in hand has been sent."""
        self._woken = threading.Event()
        self._report_answered = threading.Event()
        self._report_status: int | None = None
        self.dul = PromptReactor(self)
        self.dul.to_user_queue = WakingQueue(self._woken)
        self.dimse = PromptMessages(self)
        self.dimse.msg_queue = WakingQueue(self._woken)
        self.acse_timeout, self.network_timeout = ae.acse_timeout, ae.network_timeout

    def run_reactor(self) -> None:
        try:
            super().run_reactor()
        finally:
            if isinstance(self._server, PromptServer):
                self._server.association_ended()

    def _run_reactor(self) -> None:
        self._is_paused = False
        while not self._kill:
            self._is_paused = True
            self._woken.wait(LOOK_ROUND_S)
            self._woken.clear()
            self._reactor_checkpoint.wait()
            self._is_paused = False
            context_id, message = self.dimse.get_msg(block=False)
            if isinstance(message, N_EVENT_REPORT) and message.MessageIDBeingRespondedTo is not None:
                self._report_status = message.Status
                self._report_answered.set()
                self._woken.set()
            elif message is not None and context_id is not None:
                self._serve_request(message, context_id)
                while self.afterwards:
                    threading.Thread(target=self.afterwards.pop(0), daemon=True).start()
                self._woken.set()
            elif self._ended():
                self.kill()

    def report(self, report: N_EVENT_REPORT, context_id: int, wait_s: float) -> int | None:
        """Sends a report to who is on this association and gives the status answered; None if they have gone.

        Unlike `send_n_event_report` it leaves the service thread free, so that a peer who prefers to hang up can.
        """
        self._report_answered.clear()
        self.dimse.send_msg(report, context_id)
        until = time.monotonic() + wait_s
        while self.is_established and time.monotonic() < until:
            if self._report_answered.wait(LOOK_ROUND_S):
                return self._report_status
        return None

    def _ended(self) -> bool:
        if self.is_established and self.acse.is_release_requested():
            self.acse.send_release(is_response=True)
            self.is_released, self.is_established = True, False
            evt.trigger(self, evt.EVT_RELEASED, {})
            return True
        if self.acse.is_aborted():
            self.dul.receive_pdu(wait=False)
            self.is_aborted, self.is_established = True, False
            evt.trigger(self, evt.EVT_ABORTED, {})
            return True
        if self.dul.idle_timer_expired():
            self.abort()
            return True
        return not self.dul.is_alive()


class PromptRequest(RequestHandler):
    """Makes the association of a connection that has come in."""

    server: PromptServer

    def _create_association(self) -> Association:
        server = self.server
        self.request.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        # A peer that stops in the middle of a PDU, or stops reading, holds its threads no longer than this.
        self.request.settimeout(min(server.ae.network_timeout or STALLED_S, STALLED_S))
        assoc = PromptAssociation(server.ae, server.limit_bytes)
        assoc._server = server
        assoc.name = f"AcceptorThread@{self.client_address[0]}:{self.client_address[1]}"
        assoc.set_socket(PromptSocket(assoc, self.request))
        assoc.acceptor.maximum_length = server.ae.maximum_pdu_size
        assoc.acceptor.ae_title = server.ae_title
        assoc.acceptor.address_info = self.local
        assoc.acceptor.implementation_class_uid = server.ae.implementation_class_uid
        assoc.acceptor.implementation_version_name = server.ae.implementation_version_name
        assoc.acceptor.supported_contexts = server.fresh_contexts()
        assoc.requestor.address_info = AddressInformation.from_tuple(self.client_address)
        handlers: dict[Any, Any] = server._handlers
        for event, bound in handlers.items():
            if isinstance(event, evt.InterventionEvent):
                assoc.bind(event, *bound)
            else:
                for handler, arguments in bound:
                    assoc.bind(event, handler, arguments)
        return assoc


class PromptServer(AssociationServer):
    """Accepts connections, or takes them from a `channel` over which another process hands them in."""

    request_queue_size = 128

    def __init__(
        self,
        ae: Any,
        address: tuple[str, int],
        handlers: list[Any],
        *,
        limit_bytes: int,
        channel: socket.socket | None = None,
    ) -> None:
        self.limit_bytes = limit_bytes
        self._channel = channel
        self.orphaned = False
        """The process that hands connections over is gone."""
        super().__init__(
            ae, address, ae.ae_title, ae.supported_contexts, evt_handlers=handlers, request_handler=PromptRequest
        )
        ae._servers.append(self)

    def fresh_contexts(self) -> list[Any]:
        """Contexts an association may mark as its own; cheaper than a deep copy of two hundred."""
        copies = []
        for context in self.contexts:
            copy = context.__class__.__new__(context.__class__)
            copy.__dict__.update(context.__dict__)
            copies.append(copy)
        return copies

    def server_bind(self) -> None:
        if self._channel is None:
            super().server_bind()
        else:
            if self.socket is not None:
                self.socket.close()
            self.socket = self._channel

    def server_activate(self) -> None:
        if self._channel is None:
            super().server_activate()

    def get_request(self) -> tuple[socket.socket, Any]:
        if self._channel is None:
            return super().get_request()
        message, handed, _, _ = socket.recv_fds(self._channel, HANDED_BYTES, 1)
        if not message:
            self.orphaned = True
            time.sleep(LOOK_ROUND_S)
        if not handed:
            raise OSError("nothing was handed over")
        connection = socket.socket(fileno=handed[0])
        host, _, port = message.decode().strip().rpartition(" ")
        return connection, (host, int(port))

    def association_ended(self) -> None:
        if self._channel is not None:
            with contextlib.suppress(OSError):
                self._channel.send(b"-")

    def service_actions(self) -> None:
        """Nothing: the base class forces a garbage collection here."""

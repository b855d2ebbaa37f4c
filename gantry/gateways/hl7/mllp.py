"""Decides how messages travel: an MLLP listener that outlives every bad message, and a sender that names what failed."""

import asyncio
import logging
import socket
import ssl
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from .ack import Acknowledgement, read_acknowledgement
from .door import trace
from .framing import DEFAULT_LIMIT, Block, Deframer, frame
from .message import split
from .refusals import Refusal

log = logging.getLogger(__name__)

CHUNK = 65536

type Receive = Callable[[bytes, str], bytes]
"""One message and its peer ("host:port") in, one acknowledgement out. Called on a thread; keeps its own connections."""
type Refuse = Callable[[bytes, str, str], bytes]
"""Answers what `receive` could not: the head of the message, its peer, why ("oversize", "many", "failed")."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What a listener puts up with. No idle limit after a message: interface engines hold such a connection for days."""

    block_bytes: int = DEFAULT_LIMIT
    idle_s: float | None = None
    first_s: float | None = 60.0
    """The first block must begin by then: a connection that says nothing may not hold a place for ever."""
    block_s: float = 300.0
    """A block that has begun must end by then, and an answer be taken: neither may hold a place for ever."""
    messages: int = 100
    """In one block; each is kept, judged and answered by itself."""
    connections: int = 200
    threads: int = 4
    grace_s: float = 10.0


@dataclass(slots=True)
class Counts:
    """For the health page: what came, never what was in it."""

    connections: int = 0
    messages: int = 0
    oversize: int = 0
    failed: int = 0
    noise_bytes: int = 0
    abandoned: int = 0


class Listener:
    """An MLLP server on its own thread. Several messages a block, one acknowledgement each, in order."""

    def __init__(
        self,
        address: tuple[str, int],
        receive: Receive,
        refuse: Refuse,
        *,
        limits: Limits | None = None,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self.limits = limits or Limits()
        self.counts = Counts()
        self._address = address
        self._receive, self._refuse = receive, refuse
        self._tls = tls
        self._pool = ThreadPoolExecutor(self.limits.threads, thread_name_prefix="mllp-receive")
        self._bound: Future[tuple[str, int]] = Future()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stopping: asyncio.Event | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._busy: set[asyncio.Task[None]] = set()
        self._thread = threading.Thread(target=self._run, name="mllp", daemon=True)

    def start(self) -> "Listener":
        """Returns when the port is bound; raises what binding raised."""
        self._thread.start()
        self._bound.result()
        return self

    @property
    def port(self) -> int:
        return self._bound.result()[1]

    def stop(self) -> None:
        """No new connection or block; what was being kept is finished and answered first."""
        if self._loop is not None and self._stopping is not None:
            with suppress(RuntimeError):  # the loop may have ended by itself
                self._loop.call_soon_threadsafe(self._stopping.set)
        self._thread.join(self.limits.grace_s + 5)
        self._pool.shutdown(wait=True, cancel_futures=True)

    def join(self, timeout_s: float | None = None) -> bool:
        """Waits; True when the listener has ended."""
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def _run(self) -> None:
        try:
            asyncio.run(self._serve())
        except Exception as error:
            if not self._bound.done():
                self._bound.set_exception(error)
            else:
                log.exception("listener ended")

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._stopping = asyncio.Event()
        host, port = self._address
        server = await asyncio.start_server(self._connected, host, port, limit=CHUNK, ssl=self._tls)
        self._bound.set_result(server.sockets[0].getsockname()[:2])
        try:
            await self._stopping.wait()
        finally:
            server.close()
            await self._drain()

    async def _drain(self) -> None:
        for task in self._tasks - self._busy:
            task.cancel()
        if self._tasks:
            _, late = await asyncio.wait(self._tasks, timeout=self.limits.grace_s)
            for task in late:
                task.cancel()
            if late:
                await asyncio.wait(late, timeout=1)

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        host, port = (writer.get_extra_info("peername") or ("unknown", 0))[:2]
        peer = f"{host}:{port}"
        if len(self._tasks) >= self.limits.connections:
            log.warning("too many connections", extra={"peer": peer})
            writer.close()
            return
        self._tasks.add(task)
        self.counts.connections += 1
        deframer = Deframer(self.limits.block_bytes)
        try:
            await self._converse(reader, writer, deframer, peer, task)
        except (ConnectionError, TimeoutError, ssl.SSLError):
            log.info("connection ended", extra={"peer": peer})
            writer.transport.abort()  # closed politely, it would wait for a peer that takes nothing
        except asyncio.CancelledError:
            pass  # only `_drain` cancels; the task ends here
        finally:
            self._tasks.discard(task)
            self._busy.discard(task)
            self.counts.noise_bytes += deframer.skipped
            self.counts.abandoned += deframer.abandoned + deframer.waiting
            writer.close()
            with suppress(ConnectionError, ssl.SSLError, asyncio.CancelledError):
                await writer.wait_closed()

    async def _converse(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        deframer: Deframer,
        peer: str,
        task: asyncio.Task[None],
    ) -> None:
        assert self._stopping is not None and self._loop is not None
        # When the first block must have begun, then when the block that has begun must have ended.
        ends_by = None if self.limits.first_s is None else self._loop.time() + self.limits.first_s
        begun = False
        while not self._stopping.is_set():
            left = [self.limits.idle_s] if self.limits.idle_s is not None else []
            if ends_by is not None:
                left.append(max(0.0, ends_by - self._loop.time()))
            data = await asyncio.wait_for(reader.read(CHUNK), min(left, default=None))
            if not data:
                return
            self._busy.add(task)
            blocks = deframer.feed(data)
            for block in blocks:
                await self._answer(block, writer, peer)
            self._busy.discard(task)
            if deframer.waiting and (blocks or not begun or ends_by is None):
                ends_by = self._loop.time() + self.limits.block_s
            elif not deframer.waiting and (blocks or begun):
                ends_by = None
            begun = begun or deframer.waiting or bool(blocks)

    async def _answer(self, block: Block, writer: asyncio.StreamWriter, peer: str) -> None:
        assert self._loop is not None
        if block.oversize:
            self.counts.oversize += 1
            await self._say(self._refuse(block.data, peer, "oversize"), writer)
            return
        messages = split(block.data)
        if len(messages) > self.limits.messages:
            self.counts.oversize += 1
            await self._say(self._refuse(messages[0], peer, "many"), writer)
            return
        for message in messages:
            self.counts.messages += 1
            try:
                reply = await self._loop.run_in_executor(self._pool, self._receive, message, peer)
            except Exception as error:
                self.counts.failed += 1
                log.error("message not answered", extra={"peer": peer, **trace(error)})
                reply = self._refuse(message, peer, "failed")
            await self._say(reply, writer)

    async def _say(self, reply: bytes, writer: asyncio.StreamWriter) -> None:
        """Raises TimeoutError where the peer does not take what we say."""
        writer.write(frame(reply))
        await asyncio.wait_for(writer.drain(), self.limits.block_s)


def serve(
    address: tuple[str, int],
    receive: Receive,
    refuse: Refuse,
    *,
    limits: Limits | None = None,
    tls: ssl.SSLContext | None = None,
) -> Listener:
    """A started listener; port 0 binds a free one (`.port`)."""
    return Listener(address, receive, refuse, limits=limits, tls=tls).start()


class Phase(StrEnum):
    """How far a message got."""

    RESOLVE = "resolve"
    CONNECT = "connect"
    SEND = "send"
    WAIT = "wait"
    ANSWER = "answer"
    """An answer came and is not an acceptance of this message."""


class SendFailed(Exception):
    """A message was not accepted. `permanent`: the far end judged it and will say the same again."""

    def __init__(self, phase: Phase, reason: str, *, answer: Acknowledgement | None = None) -> None:
        self.phase, self.reason, self.answer = phase, reason, answer
        super().__init__(f"{phase}: {reason}")

    @property
    def code(self) -> str:
        return self.answer.code if self.answer else ""

    @property
    def permanent(self) -> bool:
        return self.code in ("AE", "CE")


def send(
    host: str,
    port: int,
    message: bytes,
    *,
    control_id: str,
    timeout_s: float = 30.0,
    tls: ssl.SSLContext | None = None,
) -> Acknowledgement:
    """Sends one message and waits for its acknowledgement; raises SendFailed, which names the phase."""
    deadline = time.monotonic() + timeout_s
    try:
        places = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except OSError as error:
        raise SendFailed(Phase.RESOLVE, f"{host} has no address ({error.strerror or type(error).__name__})") from error
    with connect(places, deadline, tls, host) as connection:
        try:
            connection.settimeout(left(deadline))
            connection.sendall(frame(message))
        except OSError as error:
            raise SendFailed(Phase.SEND, why(error)) from error
        return wait_for_answer(connection, control_id, deadline)


type Places = Sequence[tuple[socket.AddressFamily, socket.SocketKind, int, str, Any]]


def connect(places: Places, deadline: float, tls: ssl.SSLContext | None, host: str) -> socket.socket:
    """The first of the host's addresses that answers."""
    failure: OSError = TimeoutError("no address answered")
    for family, kind, protocol, _, address in places:
        connection = socket.socket(family, kind, protocol)
        try:
            connection.settimeout(left(deadline))
            connection.connect(address)
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            return tls.wrap_socket(connection, server_hostname=host) if tls else connection
        except OSError as error:
            connection.close()
            failure = error
    raise SendFailed(Phase.CONNECT, why(failure)) from failure


def wait_for_answer(connection: socket.socket, control_id: str, deadline: float) -> Acknowledgement:
    """The answer to this message. One that names another message is no proof of this one."""
    deframer = Deframer()
    while True:
        try:
            connection.settimeout(left(deadline))
            data = connection.recv(CHUNK)
        except OSError as error:
            raise SendFailed(Phase.WAIT, why(error)) from error
        if not data:
            raise SendFailed(Phase.WAIT, "the far end closed the connection without an answer")
        for block in deframer.feed(data):
            return judged(block, control_id)


def judged(block: Block, control_id: str) -> Acknowledgement:
    answer = read_acknowledgement(block.data)
    if isinstance(answer, Refusal) or block.oversize:
        raise SendFailed(Phase.ANSWER, "the answer is not an HL7 acknowledgement")
    if answer.control_id != control_id:
        raise SendFailed(Phase.ANSWER, "the answer names another message")
    if not answer.accepted:
        said = f"{answer.code or 'no code'} {answer.text}".strip()
        raise SendFailed(Phase.ANSWER, said, answer=answer)
    return answer


def left(deadline: float) -> float:
    """Seconds until the deadline; a passed one still gives the call a moment to fail by itself."""
    return max(deadline - time.monotonic(), 0.001)


def why(error: OSError) -> str:
    if isinstance(error, TimeoutError):
        return "no answer in time"
    return error.strerror or type(error).__name__

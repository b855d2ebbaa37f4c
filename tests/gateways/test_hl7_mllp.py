"""The wire: blocks cut anywhere, several messages a block, noise, floods, silence, and a peer that others wrote."""

import asyncio
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import hl7
import pytest
from hl7.mllp import open_hl7_connection
from hypothesis import given
from hypothesis import strategies as st

from gantry.gateways.hl7.ack import read_acknowledgement
from gantry.gateways.hl7.door import answer, refuse_unreceived
from gantry.gateways.hl7.framing import HEAD_KEPT, Deframer, frame
from gantry.gateways.hl7.mllp import Limits, Listener, Phase, SendFailed, send, serve
from tests.gateways.hl7_samples import HEADER, LONDON, NOW, order
from tests.gateways.test_hl7_ack import Store

LOOPBACK = ("127.0.0.1", 0)


def refuse(data: bytes, peer: str, why: str) -> bytes:
    return refuse_unreceived(data, peer, why, now=NOW, control_id="A")


@contextmanager
def listening(store: Store, limits: Limits | None = None, receive: Callable | None = None) -> Iterator[Listener]:
    def through_the_door(data: bytes, peer: str) -> bytes:
        return answer(data, peer, keep=store.keep, now=NOW, control_id="A", zone=LONDON, refused=store.note)

    listener = serve(LOOPBACK, receive or through_the_door, refuse, limits=limits)
    try:
        yield listener
    finally:
        listener.stop()


class Peer:
    """A plain socket that speaks MLLP by hand."""

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=10)
        self.deframer = Deframer()
        self.waiting: list[bytes] = []

    def __enter__(self) -> "Peer":
        return self

    def __exit__(self, *error: object) -> None:
        self.socket.close()

    def say(self, data: bytes) -> None:
        self.socket.sendall(data)

    def hear(self):
        while not self.waiting:
            data = self.socket.recv(65536)
            assert data, "the listener closed the connection"
            self.waiting += [block.data for block in self.deframer.feed(data)]
        return read_acknowledgement(self.waiting.pop(0))

    def silence(self, seconds: float = 0.1) -> bool:
        self.socket.settimeout(seconds)
        try:
            return self.socket.recv(1) == b""
        except TimeoutError:
            return True
        finally:
            self.socket.settimeout(10)


@pytest.fixture
def store() -> Store:
    return Store()


def numbered(number: int) -> bytes:
    return order(MSH=HEADER.replace("C-1001", f"C-{number}"))


@given(st.lists(st.binary(max_size=30).map(lambda b: b.translate(None, b"\x0b\x1c")), max_size=6), st.data())
def test_blocks_come_out_whole_however_the_wire_cuts_them(messages, data):
    wire = b"".join(frame(message) for message in messages)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(wire)), max_size=8)))
    deframer = Deframer()
    found = []
    for start, end in zip([0, *cuts], [*cuts, len(wire)], strict=True):
        found += deframer.feed(wire[start:end])
    assert [block.data for block in found] == messages
    assert (deframer.skipped, deframer.abandoned, deframer.waiting) == (0, 0, False)


@given(st.binary(max_size=200), st.data())
def test_any_bytes_cut_anywhere_are_framed_alike(wire, data):
    whole, cut = Deframer(50), Deframer(50)
    place = data.draw(st.integers(0, len(wire)))
    assert whole.feed(wire) == cut.feed(wire[:place]) + cut.feed(wire[place:])
    assert (whole.skipped, whole.abandoned, whole.waiting) == (cut.skipped, cut.abandoned, cut.waiting)


def test_framing_rules():
    deframer = Deframer()
    wire = b"noise\r\n" + frame(b"one") + b"\r\n" + b"\x0bhalf" + frame(b"two") + b"\x0ba\x1cb\x1c\x0bthree\x1c\n"
    assert [block.data for block in deframer.feed(wire)] == [b"one", b"two", b"a\x1cb", b"three"]
    assert (deframer.skipped, deframer.abandoned) == (5, 1)


def test_an_oversize_block_keeps_its_head_only():
    deframer = Deframer(limit=10_000)
    big = HEADER.encode() + b"x" * 50_000
    found = [block for part in (big[:30_000], big[30_000:]) for block in deframer.feed(b"\x0b" * (part is big) + part)]
    assert found == []
    deframer = Deframer(limit=10_000)
    (block, after) = deframer.feed(frame(big) + frame(b"after"))
    assert (block.oversize, len(block.data)) == (True, HEAD_KEPT)
    assert (after.oversize, after.data) == (False, b"after")


def test_one_acknowledgement_a_message_in_order(store):
    with listening(store) as listener, Peer(listener.port) as peer:
        peer.say(frame(numbered(1) + numbered(2)) + frame(numbered(3)))
        assert [peer.hear().control_id for _ in range(3)] == ["C-1", "C-2", "C-3"]
        assert len(store.orders) == 3
        assert listener.counts.messages == 3


def test_a_half_block_waits_and_nothing_is_kept(store):
    wire = frame(order())
    with listening(store) as listener:
        with Peer(listener.port) as peer:
            for cut in (1, 10, len(wire) // 2, len(wire) - 1):
                peer.say(wire[:cut])
                assert peer.silence(0.05)
                assert store.orders == []
                peer.say(wire[cut:])
                assert peer.hear().accepted
                store.orders.clear()
            peer.say(wire[:-1])
        with Peer(listener.port) as peer:
            peer.say(wire)
            assert peer.hear().accepted
        assert len(store.orders) == 1


def test_a_bad_message_does_not_end_the_connection(store):
    bad = [b"", b"hello", b"MSH", b"MSH|^~\\&|", b"\xff" * 100, b"MSH|^~\\&|A|B|C|D|||ADT^A01|5|P|2.5", b"\x00" * 1000]
    with listening(store) as listener, Peer(listener.port) as peer:
        for data in bad:
            peer.say(frame(data))
            assert peer.hear().code in ("AE", "AR")
        peer.say(frame(order()))
        assert peer.hear().accepted
    assert len(store.orders) == 1
    assert len(store.refused) == len(bad)


def test_noise_between_blocks_is_counted_and_skipped(store):
    with listening(store) as listener:
        with Peer(listener.port) as peer:
            peer.say(b"GET / HTTP/1.1\r\n\r\n" + frame(order()) + b"???")
            assert peer.hear().accepted
        wait_until(lambda: listener.counts.noise_bytes == 17)


def test_an_oversize_message_is_rejected_and_the_next_is_taken(store):
    with listening(store, Limits(block_bytes=20_000)) as listener, Peer(listener.port) as peer:
        peer.say(frame(order() + b"OBX|1|TX|||" + b"x" * 100_000))
        reply = peer.hear()
        assert (reply.code, reply.control_id) == ("AR", "C-1001")
        assert "larger" in reply.text
        peer.say(frame(order()))
        assert peer.hear().accepted
        assert listener.counts.oversize == 1
    assert len(store.orders) == 1


def test_a_receiver_that_raises_is_answered(store):
    def broken(data: bytes, peer: str) -> bytes:
        raise RuntimeError("no database")

    with listening(store, receive=broken) as listener, Peer(listener.port) as peer:
        for _ in range(2):
            peer.say(frame(order()))
            reply = peer.hear()
            assert (reply.code, reply.control_id) == ("AR", "C-1001")
        assert listener.counts.failed == 2


def test_two_peers_are_served_at_once(store):
    together = threading.Barrier(2, timeout=10)

    def meet(data: bytes, peer: str) -> bytes:
        together.wait()
        return refuse(data, peer, "failed")

    with listening(store, receive=meet) as listener, Peer(listener.port) as one, Peer(listener.port) as two:
        one.say(frame(order()))
        two.say(frame(order()))
        assert one.hear().code == two.hear().code == "AR"


def test_an_idle_connection_is_closed_when_asked(store):
    with listening(store, Limits(idle_s=0.1)) as listener, Peer(listener.port) as peer:
        assert peer.socket.recv(1) == b""


def test_too_many_connections_are_turned_away(store):
    with listening(store, Limits(connections=1)) as listener, Peer(listener.port) as first:
        first.say(frame(order()))
        assert first.hear().accepted
        with Peer(listener.port) as second:
            assert second.socket.recv(1) == b""
        first.say(frame(order()))
        assert first.hear().accepted


def test_stopping_finishes_what_was_begun(store):
    begun, go_on = threading.Event(), threading.Event()

    def slow(data: bytes, peer: str) -> bytes:
        begun.set()
        go_on.wait(10)
        return answer(data, peer, keep=store.keep, now=NOW, control_id="A", zone=LONDON)

    with listening(store, receive=slow) as listener, Peer(listener.port) as busy, Peer(listener.port) as idle:
        busy.say(frame(order()))
        assert begun.wait(10)
        stopper = threading.Thread(target=listener.stop)
        stopper.start()
        assert idle.socket.recv(1) == b""
        go_on.set()
        assert busy.hear().accepted
        stopper.join(10)
        assert listener.join(1)
        with pytest.raises(OSError):
            Peer(listener.port)
    assert len(store.orders) == 1


def test_a_port_in_use_is_said(store):
    with listening(store) as listener, pytest.raises(OSError):
        serve(("127.0.0.1", listener.port), lambda data, peer: data, refuse)


def test_a_client_that_others_wrote(store):
    async def converse(port: int) -> list[str]:
        reader, writer = await open_hl7_connection("127.0.0.1", port, encoding="utf-8")
        codes = []
        for _ in range(3):
            writer.writemessage(hl7.parse(order().decode()))
            await writer.drain()
            codes.append(str((await reader.readmessage()).segment("MSA")[1]))
        writer.close()
        await writer.wait_closed()
        return codes

    with listening(store) as listener:
        assert asyncio.run(converse(listener.port)) == ["AA"] * 3
    assert len(store.orders) == 3


def test_sending_is_done_when_this_message_is_accepted(store):
    with listening(store) as listener:
        reply = send("127.0.0.1", listener.port, order(), control_id="C-1001", timeout_s=10)
    assert reply.accepted
    assert len(store.orders) == 1


@contextmanager
def far_end(behave: Callable[[socket.socket], None]) -> Iterator[int]:
    with socket.create_server(LOOPBACK) as server:

        def serve_one() -> None:
            connection, _ = server.accept()
            with connection:
                behave(connection)

        thread = threading.Thread(target=serve_one)
        thread.start()
        yield server.getsockname()[1]
        thread.join(10)


def answering(*lines: str) -> Callable[[socket.socket], None]:
    def behave(connection: socket.socket) -> None:
        connection.recv(65536)
        connection.sendall(frame("\r".join(lines).encode()))

    return behave


ANSWER = r"MSH|^~\&|X|Y|GANTRY|NT9|20260101||ACK|1|P|2.5.1"


@pytest.mark.parametrize(
    ("behave", "phase", "code", "permanent"),
    [
        (lambda connection: connection.recv(10), Phase.WAIT, "", False),
        (lambda connection: (connection.recv(65536), time.sleep(0.4)), Phase.WAIT, "", False),
        (answering("OK"), Phase.ANSWER, "", False),
        (answering(ANSWER, "MSA|AA|OTHER"), Phase.ANSWER, "", False),
        (answering(ANSWER, "MSA|AE|C-1001|Who is this"), Phase.ANSWER, "AE", True),
        (answering(ANSWER, "MSA|AR|C-1001|Later"), Phase.ANSWER, "AR", False),
    ],
)
def test_a_failed_sending_names_its_phase(behave, phase, code, permanent):
    with far_end(behave) as port, pytest.raises(SendFailed) as failed:
        send("127.0.0.1", port, order(), control_id="C-1001", timeout_s=0.3)
    assert (failed.value.phase, failed.value.code, failed.value.permanent) == (phase, code, permanent)
    assert "ZZTEST" not in str(failed.value)


def test_no_such_host_and_nobody_there(monkeypatch):
    def unknown(*place: object, **hints: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    with monkeypatch.context() as nowhere, pytest.raises(SendFailed) as failed:
        nowhere.setattr(socket, "getaddrinfo", unknown)
        send("pacs.example", 1, b"x", control_id="1", timeout_s=2)
    assert failed.value.phase is Phase.RESOLVE
    with socket.create_server(LOOPBACK) as server:
        port = server.getsockname()[1]
    with pytest.raises(SendFailed) as failed:
        send("127.0.0.1", port, b"x", control_id="1", timeout_s=2)
    assert failed.value.phase is Phase.CONNECT


def wait_until(holds: Callable[[], bool], seconds: float = 5) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_half_a_block_may_not_hold_a_place_for_ever(store):
    """Byte after byte does not put the end off; silence between blocks is no offence."""
    with listening(store, Limits(block_s=0.3)) as listener, Peer(listener.port) as slow, Peer(listener.port) as silent:
        slow.say(b"\x0b")
        began = time.monotonic()
        with pytest.raises((ConnectionError, AssertionError)):
            while time.monotonic() - began < 10:
                slow.say(b"M")
                if not slow.silence(0.05):
                    break
                slow.socket.settimeout(0.01)
                try:
                    assert slow.socket.recv(1), "the listener closed the connection"
                except TimeoutError:
                    continue
        assert 0.3 <= time.monotonic() - began < 5
        silent.say(frame(order()))
        assert silent.hear().code in ("AA", "AE")


def test_a_connection_that_says_nothing_is_closed_and_one_that_has_spoken_is_not(store):
    """Noise is nothing said; and a place that is freed is given to the next."""
    with listening(store, Limits(first_s=0.4, connections=2)) as listener, Peer(listener.port) as known:
        known.say(frame(order()))
        assert known.hear().code == "AA"
        with Peer(listener.port) as mute:
            began = time.monotonic()
            mute.say(b"\r\n")
            assert mute.socket.recv(1) == b""
            assert 0.3 <= time.monotonic() - began < 5
        wait_until(lambda: len(listener._tasks) == 1)
        with Peer(listener.port) as next_one:
            next_one.say(frame(numbered(2)))
            assert next_one.hear().code == "AA"
        known.say(frame(numbered(3)))
        assert known.hear().code == "AA"


def test_a_first_block_that_has_begun_has_a_block_s_time(store):
    with listening(store, Limits(first_s=0.2)) as listener, Peer(listener.port) as slow:
        whole = frame(order())
        slow.say(whole[:20])
        time.sleep(0.4)
        slow.say(whole[20:])
        assert slow.hear().code == "AA"


def test_a_silent_connection_is_given_a_minute():
    assert Limits().first_s == 60

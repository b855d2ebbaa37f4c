"""Whatever becomes of the worker, and whatever the far end says: nothing lost, nothing recorded twice, a person in the end."""

import socket
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import timedelta
from threading import Barrier, Thread

import pytest
from django.db import connection

from gantry.apps.audit import outbox
from gantry.apps.audit.models import Event, OutboxMessage, OutboxState
from gantry.apps.reporting import services as reporting
from gantry.domain.access import Role
from gantry.domain.delivery import BACK_OFF, CLAIM
from gantry.domain.events import EventKind
from gantry.gateways.dicom import outgoing as dicom_outgoing
from gantry.gateways.fhir import outgoing as fhir_outgoing
from gantry.gateways.hl7 import outgoing as hl7_outgoing
from gantry.gateways.hl7.framing import frame
from gantry.gateways.hl7.outgoing import control_id_of, send
from tests.apps.factories import make_person
from tests.apps.reports import READ_AT, listener, make_reading
from tests.gateways.test_dicom_outgoing import address, check, day, keep, visit
from tests.gateways.test_fhir_outgoing import issued as issued_by_fhir
from tests.gateways.test_hl7_outgoing import after, engine, issued, reading, running

__all__ = ["day", "engine", "reading", "running", "visit"]
pytestmark = pytest.mark.django_db


class Killed(BaseException):
    """The process is gone: nothing after this line runs."""


def kinds() -> list[str]:
    wanted = [EventKind.REPORT_DELIVERED, EventKind.DISPATCH_FAILED, EventKind.DISPATCH_GIVEN_UP]
    events = Event.objects.filter(kind__in=wanted)
    return sorted(event.kind for event in events if event.data.get("what") != "images")


def test_a_worker_killed_between_the_far_end_s_word_and_ours_says_the_same_again(
    engine, running, reading, monkeypatch
) -> None:
    """The receiver has it; we do not know. The same bytes with the same identity go again, and one delivery is written."""
    dispatch = issued(reading, running.port)

    def killed(*args: object, **kwargs: object) -> None:
        raise Killed

    monkeypatch.setattr(reporting, "report_delivered", killed)
    with pytest.raises(Killed):
        send(dispatch.message_id, now=READ_AT)
    monkeypatch.undo()
    assert after(dispatch).state == "queued" and kinds() == []
    send(dispatch.message_id, now=READ_AT + timedelta(seconds=1))
    assert len(engine.came) == 1, "it is claimed until the claim ends"
    send(dispatch.message_id, now=READ_AT + CLAIM + timedelta(seconds=1))
    first, second = engine.came
    assert str(first) == str(second) and str(first.segment("MSH")[10]) == control_id_of(after(dispatch).message)
    assert after(dispatch).state == "delivered" and kinds() == [EventKind.REPORT_DELIVERED]


@contextmanager
def far_end(behave: Callable[[socket.socket], None]) -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.1)
        ended = []

        def serve() -> None:
            while not ended:
                try:
                    peer, _ = server.accept()
                except TimeoutError:
                    continue
                with peer:
                    try:
                        behave(peer)
                    except OSError:
                        continue

        thread = Thread(target=serve)
        thread.start()
        try:
            yield server.getsockname()[1]
        finally:
            ended.append(True)
            thread.join(10)


def heard(peer: socket.socket) -> bytes:
    data = b""
    while not data.endswith(b"\x1c\r"):
        data += peer.recv(65536)
    return data


def answer(*lines: bytes) -> Callable[[socket.socket], None]:
    def behave(peer: socket.socket) -> None:
        heard(peer)
        peer.sendall(frame(b"\r".join(lines)))

    return behave


def drip(peer: socket.socket) -> None:
    heard(peer)
    for _ in range(100):
        peer.sendall(b"\x0bM")
        time.sleep(0.02)


def flood(peer: socket.socket) -> None:
    heard(peer)
    while True:
        peer.sendall(b"noise" * 10_000)


MSH = rb"MSH|^~\&|TIE|RBV|GANTRY|NZZ|20261123||ACK^R01|1|P|2.5.1"


@pytest.mark.parametrize(
    "behave",
    [
        lambda peer: None,
        lambda peer: peer.recv(100),
        lambda peer: (heard(peer), peer.sendall(b"\x0b" + MSH[:20])),
        lambda peer: (heard(peer), peer.sendall(b"\xff" * 5_000 + b"\x1c\r")),
        lambda peer: (heard(peer), peer.sendall(b"HTTP/1.1 200 OK\r\n\r\n")),
        lambda peer: (heard(peer), time.sleep(0.5)),
        answer(MSH, b"MSA|AR|?|Busy"),
        answer(MSH),
        answer(MSH, b"MSA"),
        answer(b"MSA|AA"),
        answer(MSH, b"MSA|" + b"A" * 100_000),
        drip,
        flood,
    ],
)
def test_whatever_the_far_end_says_that_is_no_acceptance_is_tried_again_and_ends_with_a_person(
    reading, settings, behave
) -> None:
    settings.MLLP_ANSWER_S = 0.3
    manager = make_person(Role.MANAGER, reading.day.made.provider)
    with far_end(behave) as port:
        dispatch = issued(reading, port)
        send(dispatch.message_id, now=READ_AT)
        failed = after(dispatch)
        assert (failed.state, failed.message.attempts) == ("failed", 1)
        OutboxMessage.objects.filter(pk=dispatch.message_id).update(attempts=len(BACK_OFF))
        send(dispatch.message_id, now=READ_AT + timedelta(days=1))
    given_up = after(dispatch)
    assert (given_up.state, given_up.owner, given_up.message.owner) == ("given_up", manager, manager.pk)
    assert kinds() == [EventKind.DISPATCH_FAILED, EventKind.DISPATCH_GIVEN_UP]
    assert len(given_up.message.reason) < 200


def test_two_workers_whose_last_try_fails_write_one_giving_up(reading) -> None:
    """Each had the message in its hands: a claim had run out."""
    listener(reading.trust, 1)
    dispatch = reading.verified().dispatches.get()
    OutboxMessage.objects.filter(pk=dispatch.message_id).update(attempts=len(BACK_OFF))
    first = outbox.take(dispatch.message_id, now=READ_AT)
    second = outbox.take(dispatch.message_id, now=READ_AT + CLAIM + timedelta(seconds=1))
    assert first and second
    assert reporting.report_failed(first, phase="connect", reason="refused", now=READ_AT) == OutboxState.GIVEN_UP
    assert reporting.report_failed(second, phase="connect", reason="refused", now=READ_AT) is None
    assert kinds() == [EventKind.DISPATCH_GIVEN_UP]
    reporting.report_delivered(second, proof="AA", now=READ_AT)
    reporting.report_delivered(first, proof="AA", now=READ_AT)
    there = after(dispatch)
    assert (there.message.state, there.state, there.owner) == (OutboxState.DELIVERED, "delivered", None)
    assert kinds() == [EventKind.DISPATCH_GIVEN_UP, EventKind.REPORT_DELIVERED]


@pytest.mark.django_db(transaction=True)
def test_of_eight_workers_one_takes_a_message() -> None:
    reading = make_reading()
    listener(reading.trust, 1)
    key = reading.verified().dispatches.get().message_id
    together = Barrier(8)

    def take(_: int) -> bool:
        try:
            together.wait(20)
            return outbox.take(key, now=READ_AT) is not None
        finally:
            connection.close()

    with ThreadPoolExecutor(8) as pool:
        assert sorted(pool.map(take, range(8))) == [False] * 7 + [True]


def test_a_report_that_cannot_be_written_is_not_tried_for_ever(reading, monkeypatch) -> None:
    """It raised each time, was claimed again each five minutes, and nobody owned it."""

    def broken(*args: object) -> bytes:
        raise ValueError("Quillfeather, Ada")

    make_person(Role.MANAGER, reading.day.made.provider)
    dispatch = issued(reading, 1)
    monkeypatch.setattr(hl7_outgoing, "to_oru", broken)
    send(dispatch.message_id, now=READ_AT)
    failed = after(dispatch)
    assert (failed.state, failed.message.attempts, failed.message.reason) == ("failed", 1, "Not written: ValueError")


def test_a_fhir_report_that_cannot_be_written_is_not_tried_for_ever(reading, monkeypatch) -> None:
    def broken(*args: object) -> None:
        raise KeyError("Quillfeather, Ada")

    dispatch = issued_by_fhir(reading, 1)
    monkeypatch.setattr(fhir_outgoing, "whole_in_itself", broken)
    fhir_outgoing.send(dispatch.message_id, now=READ_AT)
    assert after(dispatch).message.reason == "Not written: KeyError"


def test_images_whose_sending_falls_over_are_not_tried_for_ever(day, visit, tmp_path, monkeypatch) -> None:
    def broken(*args: object, **kwargs: object) -> None:
        raise IndexError("Quillfeather, Ada")

    address(visit, 1)
    dispatch = check(keep(visit, tmp_path), day)
    monkeypatch.setattr(dicom_outgoing, "send_study", broken)
    dicom_outgoing.send(dispatch.message_id, now=READ_AT)
    dispatch.refresh_from_db()
    assert (dispatch.state, dispatch.message.reason) == ("failed", "Not sent: IndexError")


def http(*pieces: bytes, pause_s: float = 0.0) -> Callable[[socket.socket], None]:
    def behave(peer: socket.socket) -> None:
        data = b""
        while b"\r\n\r\n" not in data:
            data += peer.recv(65536)
        head, _, body = data.partition(b"\r\n\r\n")
        length = next(int(line.split(b":")[1]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-l"))
        while len(body) < length:
            body += peer.recv(65536)
        for piece in pieces:
            peer.sendall(piece)
            time.sleep(pause_s)

    return behave


HEAD = b"HTTP/1.1 201 Created\r\nContent-Type: application/fhir+json\r\n"


@pytest.mark.parametrize(
    ("behave", "state"),
    [
        (http(HEAD + b"\r\n", *[b"x" * 65536] * 200), "delivered"),
        (http(HEAD + b"\r\n", *[b"x"] * 60, pause_s=0.05), "delivered"),
        (http(HEAD + b"Content-Encoding: gzip\r\nContent-Length: 3\r\n\r\n", b"abc"), "delivered"),
        (http(b"HTTP/1.1 500 Oh\r\nContent-Length: 5\r\n\r\n", b'["x"]'), "failed"),
        (http(b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n"), "failed"),
        (http(HEAD + b"Content-Length: 500\r\n\r\nshort"), "failed"),
        (http(b"\x15\x03\x01\x00\x02\x02\x28"), "failed"),
        (http(), "failed"),
    ],
)
def test_a_server_that_answers_without_end_drips_or_breaks_off_holds_no_worker(
    reading, monkeypatch, behave, state
) -> None:
    """Each piece put the end off: one drop in half a minute would have held a worker for ever."""
    monkeypatch.setattr(fhir_outgoing, "ANSWER_WITHIN", timedelta(seconds=1))
    with far_end(behave) as port:
        dispatch = issued_by_fhir(reading, port)
        began = time.monotonic()
        fhir_outgoing.send(dispatch.message_id, now=READ_AT)
        assert time.monotonic() - began < 5
    assert after(dispatch).state == state

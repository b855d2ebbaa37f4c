"""Messages that no hospital means to send: each has one answer, soon, and spoils nothing for the others."""

import socket
import time

import pytest

from gantry.apps.audit.models import InboxMessage
from gantry.apps.referrals.models import Referral
from gantry.gateways.hl7 import wiring
from gantry.gateways.hl7.ack import acknowledge, read_acknowledgement, sender_of
from gantry.gateways.hl7.compose import OutgoingOrder, to_omi
from gantry.gateways.hl7.framing import frame
from gantry.gateways.hl7.message import MOST_LINES, read
from gantry.gateways.hl7.mllp import Limits
from gantry.gateways.hl7.orders import MOST_ORDERS, read_orders
from gantry.gateways.hl7.patients import read_patient
from gantry.gateways.hl7.refusals import Refusal, Refused
from gantry.gateways.hl7.results import Party
from tests.apps.factories import complete_answers
from tests.gateways.hl7_samples import HEADER, LONDON, NOW, PID, order
from tests.gateways.test_hl7_mllp import Peer, listening, numbered, store
from tests.gateways.test_hl7_wiring import an_order, made, one_connection, say

__all__ = ["made", "one_connection", "store"]


def with_field(number: int, value: str) -> bytes:
    fields = PID.split("|")
    fields += [""] * (number + 1 - len(fields))
    fields[number] = value
    return order(PID="|".join(fields))


@pytest.mark.parametrize(
    ("number", "value"),
    [
        (3, "~".join(f"H{n}^^^RH8^MR" for n in range(100_000))),
        (3, "~".join(["9990000018^^^NHS^NH"] * 100_000)),
        (5, "~" * 500_000),
        (11, "^" * 1_000_000),
        (13, "~".join(f"0{n}" for n in range(100_000))),
    ],
)
def test_a_field_repeated_without_end_is_read_in_one_pass(number, value):
    """A hundred thousand telephone numbers took a thread for most of a minute."""
    began = time.process_time()
    read_patient(read(with_field(number, value)))
    assert time.process_time() - began < 3


def test_a_message_of_a_million_segments_is_refused_before_it_is_taken_apart():
    began = time.process_time()
    found = read(order() + b"ZZZ\r" * 1_000_000)
    assert time.process_time() - began < 2
    assert isinstance(found, Refusal) and found.code == "104"
    assert not isinstance(read(order() + b"ZZZ\r" * (MOST_LINES - 100)), Refusal)


def test_more_orders_than_one_transaction_should_hold_are_refused_where_they_begin():
    found = read_orders(read(order() + b"".join(b"ORC|NW|P%d\rOBR|1\r" % n for n in range(10_000))), LONDON)
    assert isinstance(found, Refused) and len(found.refusals) == 1
    assert (found.refusals[0].location, found.refusals[0].code) == (f"ORC^{MOST_ORDERS + 1}", "104")


def test_an_answer_is_not_broken_in_two_by_what_it_repeats():
    message = read(order(MSH=HEADER.replace("C-1001", "C-1\x0b001")).replace(b"CRIS", b"CR\nIS"))
    lines = acknowledge(sender_of(message), [], now=NOW, control_id="A").decode().split("\r")
    assert [line[:3] for line in lines] == ["MSH", "MSA", ""]
    assert "\n" not in "".join(lines) and "\x0b" not in "".join(lines)


@pytest.mark.django_db
def test_a_placer_number_too_long_to_be_kept_whole_is_refused_where_it_stands(made):
    """Cut to length it would be another order's."""
    found = say(an_order(made, placer="P" * 81))
    assert found.code == "AE"
    assert [(one.location, one.code) for one in found.refusals] == [("ORC^1^2^1", "104")]
    assert not Referral.objects.exists()


@pytest.mark.django_db
def test_a_long_assigner_does_not_take_the_patient_out_of_an_order_s_identity(made):
    def sent(number: int) -> str:
        answers = complete_answers(made, number=number)
        whole = OutgoingOrder(f"C{number}", "P-9", Party("EPR", "RBV"), Party("GANTRY", "NZZ"), NOW, answers)
        return say(to_omi(whole).replace(b"P-9^RBV", b"P-9^" + b"A" * 190)).code

    assert [sent(78), sent(79)] == ["AA", "AA"]
    assert len({one.patient for one in Referral.objects.all()}) == 2


@pytest.mark.django_db
@pytest.mark.parametrize("bad", [b"", b"MSH|^~\\&|" * 3, HEADER.encode()[:30], "MSH|^~\\&|A".encode("utf-16")])
def test_what_is_no_message_is_kept_answered_and_makes_nothing(made, bad):
    answer = read_acknowledgement(wiring.receive(bad, "127.0.0.1:5", now=NOW, default_sender="RBV"))
    assert answer.code in ("AE", "AR")
    assert InboxMessage.objects.count() == 1 and not Referral.objects.exists()


def test_a_block_of_a_hundred_thousand_headers_has_one_answer(store):
    with listening(store) as listener, Peer(listener.port) as peer:
        peer.say(frame(numbered(1) + b"MSH|^~\\&|\r" * 100_000))
        answer = peer.hear()
        assert (answer.code, answer.control_id) == ("AR", "C-1")
        assert "too many" in answer.text
        peer.say(frame(numbered(2)))
        assert peer.hear().accepted
    assert len(store.orders) == 1


def test_a_peer_that_takes_no_answers_may_not_hold_a_place_for_ever(store):
    """Its place was lost until the listener was started again."""
    with listening(store, Limits(block_s=0.5, connections=1)) as listener:
        with socket.socket() as deaf:
            deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1024)  # before it connects, or it is too late
            deaf.settimeout(60)
            deaf.connect(("127.0.0.1", listener.port))
            message = frame(b"MSH|^~\\&|A|B|C|D|||ADT^A01|" + b"9" * 190 + b"|P|2.5\r")
            began = time.monotonic()
            with pytest.raises(ConnectionError):
                while time.monotonic() - began < 60:
                    deaf.sendall(message * 200)
        deadline = time.monotonic() + 30
        while listener._tasks and time.monotonic() < deadline:
            time.sleep(0.02)
        with Peer(listener.port) as peer:
            peer.say(frame(order()))
            assert peer.hear().accepted


def test_fifty_peers_that_stop_in_the_middle_do_not_keep_one_that_speaks_waiting(store):
    wire = frame(order())
    with listening(store, Limits(connections=60)) as listener:
        idle = [socket.create_connection(("127.0.0.1", listener.port), timeout=10) for _ in range(50)]
        try:
            for number, each in enumerate(idle):
                each.sendall(wire[: number * 7 + 1])
            with Peer(listener.port) as peer:
                began = time.monotonic()
                peer.say(wire)
                assert peer.hear().accepted
                assert time.monotonic() - began < 5
        finally:
            for each in idle:
                each.close()
    assert len(store.orders) == 1

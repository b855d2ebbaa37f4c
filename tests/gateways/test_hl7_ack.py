"""What we answer, and what we make of other people's answers."""

import logging

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gantry.gateways.hl7.ack import (
    AckCode,
    acknowledge,
    read_acknowledgement,
    sender_of,
    sender_of_unread,
)
from gantry.gateways.hl7.door import Kept, answer, refuse_unreceived
from gantry.gateways.hl7.message import Message, read
from gantry.gateways.hl7.orders import Order
from gantry.gateways.hl7.refusals import Fault, Refusal, Refused, Severity, gap
from tests.gateways.hl7_samples import HEADER, LONDON, NOW, PID, order


class Store:
    """What a database would be told: whole messages or nothing."""

    def __init__(self, outcome: Kept | Refused | Exception = Kept()) -> None:
        self.outcome = outcome
        self.orders: list[tuple[Order, ...]] = []
        self.refused: list[tuple[Refusal, ...]] = []

    def keep(self, orders: tuple[Order, ...], raw: bytes, peer: str) -> Kept | Refused:
        if isinstance(self.outcome, Exception):
            raise self.outcome
        if isinstance(self.outcome, Kept):
            self.orders.append(orders)
        return self.outcome

    def note(self, raw: bytes, peer: str, refusals) -> None:
        self.refused.append(tuple(refusals))


def replied(data: bytes, store: Store | None = None) -> Message:
    store = store or Store()
    reply = answer(data, "peer:1", keep=store.keep, now=NOW, control_id="A-1", zone=LONDON, refused=store.note)
    found = read(reply)
    assert isinstance(found, Message)
    return found


def test_an_order_that_is_kept_is_accepted():
    store = Store()
    reply = replied(order(), store)
    assert len(store.orders) == 1
    assert reply.component("MSA", 1) == "AA"
    assert reply.component("MSA", 2) == "C-1001"
    assert [reply.component("MSH", number) for number in (3, 4, 5, 6)] == ["GANTRY", "NT9", "CRIS", "RH8"]
    assert reply.component("MSH", 7) == "20260330090000+0000"
    assert [reply.component("MSH", 9, part) for part in (1, 2, 3)] == ["ACK", "O23", "ACK"]
    assert reply.component("MSH", 10) == "A-1"
    assert reply.component("MSH", 18) == "UNICODE UTF-8"
    assert reply.all("ERR") == ()


def test_gaps_are_accepted_and_named():
    found = gap("OBR^1^31^1", "Say what the question is")
    reply = replied(order(), Store(Kept((found, found))))
    assert reply.component("MSA", 1) == "AA"
    (err,) = reply.all("ERR")
    assert [err.component(2, part) for part in range(1, 5)] == ["OBR", "1", "31", "1"]
    assert (err.component(3), err.component(3, 3), err.component(4)) == ("101", "HL70357", "W")
    assert err.component(8) == "Say what the question is"
    assert reply.component("MSA", 3) == ""


def test_every_refusal_has_its_own_err():
    store = Store()
    reply = replied(order(PID="PID|1||9990000019^^^NHS^NH", ORC="ORC"), store)
    assert reply.component("MSA", 1) == "AE"
    assert store.orders == []
    assert len(store.refused) == 1
    assert [err.component(2) + err.component(2, 3) for err in reply.all("ERR")] == ["PID3", "PID5", "ORC1"]
    assert {err.component(4) for err in reply.all("ERR")} == {"E"}
    assert reply.component("MSA", 3).startswith("The NHS number's check digit is wrong")


@pytest.mark.parametrize("kind", ["ADT^A40^ADT_A39", "SIU^S12^SIU_S12", "ORU^R01", "ACK", "ORM^O02", "ZZZ^Z01"])
def test_other_types_are_rejected_with_a_reason(kind):
    reply = replied(order(MSH=HEADER.replace("OMI^O23^OMI_O23", kind)))
    assert reply.component("MSA", 1) == "AR"
    assert reply.component("MSA", 2) == "C-1001"
    assert reply.component("ERR", 3) in (Fault.UNSUPPORTED_MESSAGE_TYPE, Fault.UNSUPPORTED_EVENT)


def test_what_the_store_refuses_is_said():
    reply = replied(order(), Store(Refused((Refusal("MSH^1^4^1", Fault.UNKNOWN_KEY, "RH8 may not refer here"),))))
    assert reply.component("MSA", 1) == "AE"
    assert reply.component("ERR", 8) == "RH8 may not refer here"


def test_a_store_that_breaks_is_an_ar_and_a_log_without_the_patient(caplog):
    with caplog.at_level(logging.ERROR):
        reply = replied(order(), Store(RuntimeError("Key (nhs_number, family_name)=(9990000018, ZZTEST) exists")))
    assert reply.component("MSA", 1) == "AR"
    assert reply.component("ERR", 3) == Fault.INTERNAL
    (record,) = caplog.records
    assert (record.control_id, record.error) == ("C-1001", "RuntimeError")
    assert record.where.startswith("door.py:")
    assert not [value for value in vars(record).values() if "ZZTEST" in str(value) or "9990000018" in str(value)]


def test_bytes_that_are_no_message_are_answered():
    reply = replied(b"hello")
    assert (reply.component("MSA", 1), reply.component("MSA", 2)) == ("AE", "")
    assert reply.component("ERR", 8)


def test_the_control_id_is_saved_from_a_header_that_cannot_be_read():
    assert replied(b"MSH|abcd|A|B|C|D|20260101||ORM^O01|77|P|2.5").component("MSA", 2) == "77"
    assert (
        replied(HEADER.encode().replace(b"UNICODE UTF-8", b"KLINGON") + b"\rPID|\xff").component("MSA", 2) == "C-1001"
    )
    assert sender_of_unread(b"MSH|abcd|A|B|C|D|20260101||ORM^O01|7\x007|P").control_id == ""
    assert sender_of_unread(b"MSH").control_id == ""


def test_separators_and_characters_of_the_sender_are_kept():
    data = b"MSH$%*!?$Caf\xe9$B$C$D$20260101$$ORM%O01$4!F!2$P$2.5$$$$$$8859/1\rPID$1"
    reply = acknowledge(sender_of(read(data)), (Refusal("PID^1^3^1", "101", "Cost: 5$ % 1"),), now=NOW, control_id="A1")
    assert reply.startswith(b"MSH$%*!?$C$D$Caf\xe9$B$")
    found = read(reply)
    assert found.component("MSA", 2) == "4$2"
    assert found.component("ERR", 2, 3) == "3"
    assert found.component("ERR", 8) == "Cost: 5$ % 1"


def test_older_versions_get_err_1_too():
    data = order(MSH=HEADER.replace("2.5.1", "2.3"))
    err = replied(data.replace(PID.encode(), b"PID|1")).first("ERR")
    assert [err.component(1, part) for part in (1, 2, 3)] == ["PID", "1", "3"]
    assert err.component(1, 4) == "101"
    assert err.component(2) == "PID"


def test_a_flood_of_findings_is_cut():
    findings = [Refusal("PID^1^3^1", "102", str(number)) for number in range(500)]
    found = read(acknowledge(sender_of(read(order())), findings, now=NOW, control_id="A1"))
    assert len(found.all("ERR")) == 101
    assert found.all("ERR")[-1].component(8) == "400 more findings"


@pytest.mark.parametrize(("why", "text"), [("oversize", "larger"), ("failed", "again later")])
def test_what_never_reached_the_door_is_rejected(why, text):
    found = read(refuse_unreceived(order()[:120], "peer:1", why, now=NOW, control_id="A1"))
    assert (found.component("MSA", 1), found.component("MSA", 2)) == ("AR", "C-1001")
    assert text in found.component("ERR", 8)


@given(st.binary(max_size=300))
def test_every_piece_of_bytes_gets_one_answer(data):
    assert read_acknowledgement(answer(data, "p", keep=Store().keep, now=NOW, control_id="A", zone=LONDON)).code in (
        "AE",
        "AR",
    )


@given(st.binary(max_size=40), st.integers(0, 1200), st.integers(0, 60))
def test_every_damaged_order_gets_one_answer(noise, place, cut):
    data = order()
    damaged = data[:place] + noise + data[place + cut :]
    store = Store()
    found = read_acknowledgement(
        answer(damaged, "p", keep=store.keep, now=NOW, control_id="A", zone=LONDON, refused=store.note)
    )
    assert found.code in tuple(AckCode)
    assert (found.code == "AA") == (len(store.orders) == 1)
    assert len(store.orders) + len(store.refused) == 1


def test_other_people_s_answers():
    found = read_acknowledgement(
        b"MSH|^~\\&|A|B|C|D|20260101||ACK|9|P|2.5.1\rMSA|AE|C-1|No\rERR||PID^1^3^1|102^x|E||||Bad number\rERR||OBX|101|W"
    )
    assert (found.code, found.control_id, found.text, found.accepted) == ("AE", "C-1", "No", False)
    assert found.refusals == (
        Refusal("PID^1^3^1", "102", "Bad number", Severity.ERROR),
        Refusal("OBX", "101", "", Severity.WARNING),
    )
    assert isinstance(read_acknowledgement(b"OK"), Refusal)
    assert isinstance(read_acknowledgement(order()), Refusal)

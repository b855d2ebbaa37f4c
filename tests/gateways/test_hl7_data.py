"""Real messages that nobody here wrote: checks H1, H2 (its order) and H4 of the data's README."""

import random
from datetime import date
from pathlib import Path

import pytest

from gantry.domain.referral import ReferralEvent, event_after_checking, findings, typed
from gantry.gateways.hl7.answers import to_answers, to_refusals
from gantry.gateways.hl7.framing import frame
from gantry.gateways.hl7.message import LINE_BREAK, Message, read, split
from gantry.gateways.hl7.orders import ORDER_TYPES, OrderAct, read_orders
from gantry.gateways.hl7.refusals import Refused, Severity
from tests.conftest import REAL_DATA
from tests.domain.answers import CONTEXT, ON
from tests.gateways.hl7_samples import LONDON
from tests.gateways.test_hl7_ack import Store, replied
from tests.gateways.test_hl7_mllp import Peer, listening, wait_until

pytestmark = pytest.mark.data

FOLDER = REAL_DATA / "hl7v2"
FILES = sorted(path for path in FOLDER.rglob("*") if path.is_file()) if FOLDER.is_dir() else []
GENERAL_ORDER = FOLDER / "dcm4che-ihe-radiology" / "ORM_O01-GeneralOrder.hl7"
SEED, CUTS = 20260330, 500

if not FILES:
    FILES = [FOLDER / "absent"]  # one visible skip, by the marker


def named(path: Path) -> str:
    return path.name


def messages() -> list[bytes]:
    return [message for path in FILES for message in split(path.read_bytes())]


def test_every_file_gets_one_acknowledgement_a_message():
    """H1."""
    store = Store()
    with listening(store) as listener, Peer(listener.port) as peer:
        for path in FILES:
            data = path.read_bytes()
            peer.say(frame(data))
            for sent in split(data):
                message, reply = read(sent), peer.hear()
                assert isinstance(message, Message), path.name
                assert reply.control_id == message.control_id, path.name
                if message.type in ORDER_TYPES:
                    assert reply.code == "AA", (path.name, reply)
                    assert all(found.severity is not Severity.ERROR for found in reply.refusals)
                else:
                    assert reply.code in ("AR", "AE"), (path.name, reply)
                    assert reply.refusals, path.name
        assert listener.counts.failed == 0
        assert listener.counts.connections == 1
    kept = sum(read(sent).type in ORDER_TYPES for sent in messages())
    assert len(store.orders) == kept
    assert len(store.refused) == len(messages()) - kept


def test_the_general_order_is_routed_by_what_it_says_and_has_its_gaps():
    """H2's order: MSH-9 says OMI^O23 whatever the file is called; a local identifier only."""
    data = GENERAL_ORDER.read_bytes()
    (order,) = read_orders(read(data), LONDON)
    assert (order.message_type, order.act) == ("OMI^O23", OrderAct.NEW)
    answers = to_answers(order)
    assert "nhs_number" not in answers
    assert "referring_org_ods" not in answers
    assert answers["local_patient_id"] == "PID_1"
    assert (answers["family_name"], answers["given_name"]) == ("Smith", "Lucy")
    assert answers["date_of_birth"] == date(2014, 10, 14)
    assert (answers["weight_kg"], answers["height_cm"]) == (65.0, 165.0)
    assert answers["clinical_question"].startswith("Rheumatoid, other arthritis with motor score from 12 –35.")
    assert [found.location for found in order.findings] == ["OBR^1", "ORC^1^7^1^6"]
    reply = replied(data)
    assert reply.component("MSA", 1) == "AA"
    assert {err.component(4) for err in reply.all("ERR")} == {"W"}


def test_hex_escapes_in_real_text():
    found = read((FOLDER / "dcm4che-ihe-radiology" / "SIU_S12-NewAppointmentBooking.hl7").read_bytes())
    assert found.component("AIS", 3, 2) == "SEPTOPLASTIA (OPERAÇÃO ISOLADA)"
    assert found.component("AIS", 4) == "20201023083000"
    assert found.component("AIS", 7) == "3600.000"


@pytest.mark.parametrize("path", FILES, ids=named)
def test_every_byte_cut_of_every_message_is_read_or_refused(path):
    """H4, the pure reader: whole orders or reasons, never an exception."""
    for message in split(path.read_bytes()):
        for length in range(len(message)):
            found = read(message[:length])
            if not isinstance(found, Message) or found.type not in ORDER_TYPES:
                continue
            orders = read_orders(found, LONDON)
            if isinstance(orders, Refused):
                assert all(refusal.location and refusal.text for refusal in orders.refusals)
                continue
            for order in orders:
                assert order.message_control_id
                assert order.patient.identifiers
                assert order.placer_order_number or order.act is OrderAct.NOTE
                to_answers(order)


def boundaries(message: bytes) -> list[int]:
    return [found.start() for found in LINE_BREAK.finditer(message)]


def seeded_cuts() -> list[bytes]:
    """Beginnings of messages: 500 by a seed, spread over all of them by length."""
    dice, sent = random.Random(SEED), messages()
    chosen = dice.choices(sent, weights=[len(message) for message in sent], k=CUTS)
    return [message[: dice.randrange(len(message))] for message in chosen]


def boundary_cuts() -> list[bytes]:
    return [message[:place] for message in messages() for place in boundaries(message)]


@pytest.mark.parametrize("cuts", [seeded_cuts, boundary_cuts], ids=["seeded", "boundaries"])
def test_a_connection_lost_in_the_middle_keeps_nothing(cuts):
    """H4, the wire: the block has begun and not ended; its connection is lost."""
    store, beginnings = Store(), cuts()
    with listening(store) as listener:
        for beginning in beginnings:
            with Peer(listener.port) as peer:
                peer.say(b"\x0b" + beginning)
        wait_until(lambda: listener.counts.abandoned == len(beginnings))
        assert (listener.counts.messages, store.orders, store.refused) == (0, [], [])
        with Peer(listener.port) as peer:
            peer.say(frame(GENERAL_ORDER.read_bytes()))
            assert peer.hear().accepted
    assert len(store.orders) == 1


@pytest.mark.parametrize("cuts", [seeded_cuts, boundary_cuts], ids=["seeded", "boundaries"])
def test_a_cut_message_in_a_whole_block_is_kept_whole_or_not_at_all(cuts):
    """H4, the wire: an engine that cut the message itself. AA only where all that makes an order had arrived."""
    store = Store()
    with listening(store) as listener, Peer(listener.port) as peer:
        for number, beginning in enumerate(cuts(), start=1):
            before = len(store.orders)
            peer.say(frame(beginning))
            reply = peer.hear()
            kept = len(store.orders) - before
            assert (reply.code, kept) in (("AA", 1), ("AE", 0), ("AR", 0)), beginning[:80]
            assert len(store.orders) + len(store.refused) == number
        assert listener.counts.failed == 0
    for orders in store.orders:
        for order in orders:
            assert order.patient.identifiers
            assert order.patient.family_name
            assert order.detail or order.act is OrderAct.NOTE


def test_no_real_order_is_refused_by_the_data_set_and_the_general_order_waits_for_its_referrer():
    """H1 and H2 as the rules see them: gaps are asked back, none turns an order away."""
    for sent in messages():
        message = read(sent)
        if message.type not in ORDER_TYPES:
            continue
        for order in read_orders(message, LONDON):
            if order.act is OrderAct.NOTE:
                continue
            answers, unread = typed(to_answers(order), CONTEXT)
            found = [*unread, *findings(answers, on=ON, context=CONTEXT)]
            assert event_after_checking(found) is ReferralEvent.ASK, order.placer_order_number
            refusals = to_refusals(found, order)
            assert len(refusals) == len(found)
            assert all(refusal.severity is not Severity.ERROR and refusal.location for refusal in refusals)

"""Orders by MLLP reach the referrals room: kept before they are acknowledged, once each, or not at all."""

from datetime import timedelta

import pytest

from gantry.apps.audit.models import Event, InboxMessage
from gantry.apps.patients.models import Patient
from gantry.apps.referrals.models import Finding, Referral
from gantry.domain.events import EventKind
from gantry.domain.referral import ReferralState
from gantry.gateways.hl7 import wiring
from gantry.gateways.hl7.ack import read_acknowledgement
from gantry.gateways.hl7.compose import OutgoingOrder, to_omi
from gantry.gateways.hl7.message import LINE_BREAK, read, split
from gantry.gateways.hl7.orders import ORDER_TYPES
from gantry.gateways.hl7.results import Party
from tests.apps.factories import NOW, complete_answers, make_network
from tests.gateways.hl7_samples import order as sample_order

pytestmark = pytest.mark.django_db


@pytest.fixture
def made():
    return make_network()


@pytest.fixture(autouse=True)
def one_connection(monkeypatch):
    """A test's transaction lives on its connection: the door may not close it here."""
    monkeypatch.setattr(wiring, "close_old_connections", lambda: None)


def an_order(made, *, control_id="C1", placer="P-1", control="NW", sender=None, **answers) -> bytes:
    party = Party("EPR", sender or made.trust.ods_code)
    return to_omi(
        OutgoingOrder(
            control_id,
            placer,
            party,
            Party("GANTRY", made.provider.ods_code),
            NOW,
            complete_answers(made, number=77, **answers),
            control=control,
        )
    )


def say(data: bytes, default_sender: str = ""):
    reply = wiring.receive(data, "127.0.0.1:5", now=NOW, default_sender=default_sender)
    found = read_acknowledgement(reply)
    assert found.control_id == read(data).control_id
    return found


def test_a_whole_order_waits_to_be_vetted(made):
    found = say(an_order(made))
    assert found.code == "AA", found
    referral = Referral.objects.get()
    assert (referral.state, referral.door) == (ReferralState.TO_VET, "hl7")
    assert referral.referring_organisation == made.trust
    assert InboxMessage.objects.get().subject == referral.pk
    assert Event.objects.filter(kind=EventKind.REFERRAL_RECEIVED).count() == 1


def test_the_same_bytes_again_get_the_same_answer_and_make_nothing(made):
    data = an_order(made)
    assert wiring.receive(data, "peer", now=NOW) == wiring.receive(data, "peer", now=NOW + timedelta(hours=1))
    assert Referral.objects.count() == InboxMessage.objects.count() == 1


def test_the_same_order_in_another_message_makes_one_referral(made):
    say(an_order(made))
    assert say(an_order(made, control_id="C2")).code == "AA"
    assert Referral.objects.count() == 1


def test_a_placer_number_used_again_for_another_patient_is_another_order(made):
    say(an_order(made))
    other = to_omi(
        OutgoingOrder(
            "C9", "P-1", Party("EPR", made.trust.ods_code), Party("G", "NZZ"), NOW, complete_answers(made, number=78)
        )
    )
    assert say(other).code == "AA"
    assert Referral.objects.count() == Patient.objects.count() == 2


def test_gaps_are_acknowledged_and_asked_back_in_the_sender_s_coordinates(made):
    found = say(an_order(made, weight_kg=None))
    assert found.code == "AA"
    assert any("eight" in refusal.text for refusal in found.refusals), found.refusals
    referral = Referral.objects.get()
    assert referral.state == ReferralState.AWAITING_REFERRER
    assert Finding.objects.filter(referral=referral, field="weight_kg").exists()


def test_what_was_missing_may_be_sent_by_a_change_of_the_order(made):
    say(an_order(made, weight_kg=None))
    assert say(an_order(made, control_id="C2", control="XO")).code == "AA"
    referral = Referral.objects.get()
    assert (referral.state, referral.weight_kg) == (ReferralState.TO_VET, 71.5)


def test_an_order_taken_back_is_withdrawn(made):
    say(an_order(made))
    assert say(an_order(made, control_id="C2", control="CA")).code == "AA"
    assert Referral.objects.get().state == ReferralState.WITHDRAWN
    again = say(an_order(made, control_id="C3", control="CA"))
    assert again.code == "AE"
    assert "ring the service" in again.refusals[0].text


def test_an_order_that_is_not_here_cannot_be_taken_back(made):
    found = say(an_order(made, control="CA"))
    assert (found.code, found.refusals[0].location) == ("AE", "ORC^1^2")


def test_primary_care_is_refused_with_a_place_to_send_it(made):
    found = say(an_order(made, patient_status="04"))
    assert found.code == "AE"
    assert not Referral.objects.exists()
    refusal = Event.objects.get(kind=EventKind.REFERRAL_REFUSED)
    assert any(refusal.data["where_to"] in one.text for one in found.refusals)


def test_a_wrong_check_digit_is_refused_and_nothing_is_stored(made):
    found = say(an_order(made, nhs_number="9990000019"))
    assert found.code == "AE"
    assert not Patient.objects.exists() and not Referral.objects.exists()
    assert Event.objects.filter(kind=EventKind.MESSAGE_REFUSED).count() == 1


def test_an_unknown_sender_is_refused_unless_the_line_is_somebody_s(made):
    data = an_order(made, sender="NOBODY", referring_org_ods=None, report_to=None)
    assert say(data).code == "AE"
    other = an_order(made, sender="NOBODY", control_id="C2", referring_org_ods=None, report_to=None)
    assert say(other, default_sender=made.trust.ods_code).code == "AA"
    assert Referral.objects.get().referring_organisation == made.trust


def test_when_the_database_fails_nothing_is_said_to_be_kept_and_the_same_bytes_are_tried_again(made, monkeypatch):
    data = an_order(made)

    def broken(*_, **__):
        raise ConnectionError

    with monkeypatch.context() as patch:
        patch.setattr(wiring.referrals, "receive", broken)
        found = say(data)
        assert found.code == "AR"
    assert not Referral.objects.exists()
    assert say(data).code == "AA"
    assert Referral.objects.count() == 1


def test_a_message_of_another_kind_is_kept_and_refused(made):
    data = (
        sample_order().replace(b"OMI^O23", b"ADT^A01").replace(b"ORM^O01", b"ADT^A01").replace(b"OMG^O19", b"ADT^A01")
    )
    found = say(data)
    assert found.code == "AR"
    assert InboxMessage.objects.get().outcome == "answered"


@pytest.mark.data
def test_every_real_message_is_answered_and_every_order_kept(made, real_data):
    """H1 on rows: AA for orders, AR or AE with ERR for the rest, nothing half kept."""
    for path in sorted(p for p in (real_data / "hl7v2").rglob("*") if p.is_file()):
        for data in split(path.read_bytes()):
            found = say(data, default_sender=made.trust.ods_code)
            if read(data).type in ORDER_TYPES:
                assert found.code == "AA", (path.name, found)
            else:
                assert found.code in ("AR", "AE") and found.refusals, (path.name, found)


@pytest.mark.data
def test_the_general_order_makes_one_referral_that_awaits_its_referrer(made, real_data):
    """H2's order."""
    data = (real_data / "hl7v2" / "dcm4che-ihe-radiology" / "ORM_O01-GeneralOrder.hl7").read_bytes()
    assert say(data, default_sender=made.trust.ods_code).code == "AA"
    referral = Referral.objects.get()
    assert referral.state == ReferralState.AWAITING_REFERRER
    gaps = set(Finding.objects.filter(referral=referral, severity="query").values_list("field", flat=True))
    assert {"clinical_question", "weight_kg"}.isdisjoint(gaps)
    assert {"nhs_number", "tracer_requested", "indication_code", "diabetes"} <= gaps


def test_cut_at_every_segment_no_row_is_left_by_half(made):
    whole = an_order(made)
    marks = [match.end() for match in LINE_BREAK.finditer(whole)]
    for place in marks:
        say(whole[:place]) if read(whole[:place]).control_id else None
    for referral in Referral.objects.all():
        assert referral.state in (ReferralState.AWAITING_REFERRER, ReferralState.TO_VET)
        assert referral.findings.exists() or referral.state == ReferralState.TO_VET
        assert Event.objects.filter(subjects__contains=[referral.pk], kind=EventKind.REFERRAL_RECEIVED).count() == 1


@pytest.mark.parametrize(("segment", "field"), [("MSH", 2), ("MSH", 3), ("ORC", 2)])
def test_what_the_database_cannot_hold_is_the_sender_s_to_mend(made, segment, field):
    """ "Send it again later" would have them send it for ever."""
    lines = an_order(made).decode().split("\r")
    at = next(n for n, line in enumerate(lines) if line.startswith(segment))
    cells = lines[at].split("|")
    cells[field - (segment == "MSH")] += "\x00"
    lines[at] = "|".join(cells)
    reply = read_acknowledgement(wiring.receive("\r".join(lines).encode(), "peer", now=NOW))
    assert (reply.code, reply.refusals[0].location) == ("AE", f"{segment}^1^{field}")
    assert InboxMessage.objects.get().outcome == "answered"
    assert not Referral.objects.exists()


def test_a_nul_is_found_where_it_is(made):
    assert wiring.nul_in(b"MSH|^~\\&|A\0|B\rPID|1") == "MSH^1^3"
    assert wiring.nul_in(b"MSH|^~\\&|A\rOBX|1\rOBX|2|N\0") == "OBX^2^2"
    assert wiring.nul_in(b"MSH|^~\\&|A") == ""

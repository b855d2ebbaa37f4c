"""A report on the wire: accepted by name, refused, unheard, overtaken; the receiver reads it with a library of others."""

import base64
from collections.abc import Iterator
from datetime import timedelta

import hl7
import pytest
from django.db import connection

from gantry.apps.audit.models import Event
from gantry.apps.reporting import services as reporting
from gantry.apps.reporting.models import ReportDispatch, ReportVersion
from gantry.domain.access import Role
from gantry.domain.events import EventKind
from gantry.gateways.hl7.mllp import Listener, serve
from gantry.gateways.hl7.outgoing import clinician, control_id_of, send
from tests.apps.factories import make_person
from tests.apps.reports import READ_AT, TEXT, Reading, listener, make_reading
from tests.gateways.peers import free_port

pytestmark = pytest.mark.django_db


class Engine:
    """A hospital's integration engine: takes what comes, and answers what it is told to."""

    def __init__(self) -> None:
        self.code, self.names_another = "AA", False
        self.came: list[hl7.Message] = []

    def receive(self, data: bytes, peer: str) -> bytes:
        message = hl7.parse(data.decode("utf-8"))
        self.came.append(message)
        control_id = "ANOTHER" if self.names_another else str(message.segment("MSH")[10])
        answer = f"MSH|^~\\&|TIE|RBV|GANTRY|NZZ|20261123||ACK^R01|1|P|2.5.1\rMSA|{self.code}|{control_id}|Said no\r"
        return answer.encode()


@pytest.fixture
def engine() -> Engine:
    return Engine()


@pytest.fixture
def running(engine: Engine) -> Iterator[Listener]:
    found = serve(("127.0.0.1", 0), engine.receive, lambda data, peer, why: b"")
    yield found
    found.stop()


@pytest.fixture
def reading() -> Reading:
    return make_reading()


def issued(reading: Reading, port: int) -> ReportDispatch:
    listener(reading.trust, port)
    return reading.verified().dispatches.get()


def after(dispatch: ReportDispatch) -> ReportDispatch:
    return ReportDispatch.objects.select_related("message", "owner").get(pk=dispatch.pk)


def test_a_report_is_delivered_when_the_receiver_accepts_this_very_message(engine, running, reading) -> None:
    dispatch = issued(reading, running.port)
    send(dispatch.message_id, now=READ_AT)
    (came,) = engine.came
    patient = reading.procedure.referral.patient
    assert str(came.segment("MSH")[9]) == "ORU^R01^ORU_R01"
    assert str(came.segment("PID")[3]).startswith(f"{patient.nhs_number}^^^NHS^NH")
    obr = came.segment("OBR")
    assert (str(obr[18]), str(obr[20]), str(obr[25])) == (reading.procedure.accession_number, "v1", "F")
    lines = [str(obx[5]) for obx in came.segments("OBX") if str(obx[2]) == "TX"]
    assert "Avid right hilar node." in lines and "No distant disease." in lines
    (pdf,) = [str(obx[5]) for obx in came.segments("OBX") if str(obx[2]) == "ED"]
    assert base64.b64decode(pdf.split("^")[-1]) == reporting.pdf_of(ReportVersion.objects.get())
    done = after(dispatch)
    assert (done.state, done.delivered_at) == ("delivered", READ_AT)
    assert done.proof == f"AA to {control_id_of(done.message)}"
    assert len(control_id_of(done.message)) <= 20
    send(dispatch.message_id, now=READ_AT + timedelta(hours=1))
    assert len(engine.came) == 1
    assert Event.objects.filter(kind=EventKind.REPORT_DELIVERED).count() == 1


def test_an_answer_to_another_message_proves_nothing(engine, running, reading) -> None:
    engine.names_another = True
    dispatch = issued(reading, running.port)
    send(dispatch.message_id, now=READ_AT)
    failed = after(dispatch)
    assert (failed.state, failed.message.phase, failed.delivered_at) == ("failed", "answer", None)
    engine.names_another = False
    send(dispatch.message_id, now=READ_AT + timedelta(minutes=1))
    assert after(dispatch).state == "delivered"
    first, second = engine.came
    assert str(first) == str(second), "sent again, it is the same message"


def test_a_refusal_is_not_repeated_and_has_a_person(engine, running, reading) -> None:
    manager = make_person(Role.MANAGER, reading.day.made.provider)
    engine.code = "AE"
    dispatch = issued(reading, running.port)
    send(dispatch.message_id, now=READ_AT)
    failed = after(dispatch)
    assert (failed.state, failed.owner, failed.message.owner) == ("given_up", manager, manager.pk)
    assert "Said no" in failed.message.reason
    send(dispatch.message_id, now=READ_AT + timedelta(days=1))
    assert len(engine.came) == 1
    engine.code = "AA"
    reporting.send_again(failed, by=reading.by, now=READ_AT + timedelta(days=1))
    send(dispatch.message_id, now=READ_AT + timedelta(days=1))
    assert (after(dispatch).state, after(dispatch).owner) == ("delivered", None)


def test_a_receiver_that_cannot_judge_now_is_asked_again(engine, running, reading) -> None:
    engine.code = "AR"
    dispatch = issued(reading, running.port)
    send(dispatch.message_id, now=READ_AT)
    assert after(dispatch).state == "failed"


@pytest.mark.parametrize(("host", "phase"), [("127.0.0.1", "connect"), ("no-such-host.invalid", "resolve")])
def test_a_failure_names_how_far_it_got(reading, host, phase) -> None:
    dispatch = issued(reading, free_port())
    dispatch.endpoint.host = host
    dispatch.endpoint.save()
    send(dispatch.message_id, now=READ_AT)
    failed = after(dispatch)
    assert (failed.state, failed.message.phase) == ("failed", phase)
    assert Event.objects.get(kind=EventKind.DISPATCH_FAILED).data["phase"] == phase


def amended(reading: Reading) -> ReportDispatch:
    report = reading.report()
    version = reporting.amend(
        report,
        reporting.Sections(TEXT.technique, "Left, not right.", TEXT.conclusion),
        reason="Side corrected",
        version=report.version,
        by=reading.by,
        person=reading.reporter,
        now=READ_AT,
    )
    return version.dispatches.get()


def test_an_older_version_never_arrives_after_a_newer_one(engine, running, reading) -> None:
    first = issued(reading, running.port)
    second = amended(reading)
    send(second.message_id, now=READ_AT)
    send(first.message_id, now=READ_AT)
    assert [str(came.segment("OBR")[20]) for came in engine.came] == ["v2"]
    assert (after(first).state, after(first).proof) == ("superseded", "version 2 goes instead")
    assert str(engine.came[0].segment("OBR")[25]) == "C"
    assert str(engine.came[0].segment("NTE")[3]) == "Side corrected"


@pytest.mark.django_db(transaction=True)
def test_two_workers_never_send_versions_of_one_report_to_one_address_at_once(engine, running, reading) -> None:
    from threading import Thread

    dispatch = issued(reading, running.port)
    key = f"{dispatch.version.report_id}:{dispatch.endpoint_id}"
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_lock(71030002, hashtext(%s))", [key])

    def work() -> None:
        send(dispatch.message_id, now=READ_AT)
        connection.close()

    worker = Thread(target=work)
    worker.start()
    worker.join(30)
    assert not engine.came
    assert after(dispatch).message.due_at == READ_AT + timedelta(seconds=5)
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_unlock(71030002, hashtext(%s))", [key])
    send(dispatch.message_id, now=READ_AT + timedelta(seconds=6))
    assert len(engine.came) == 1


def test_a_withdrawal_reaches_whoever_had_it_and_says_nothing_of_the_other_person(engine, running, reading) -> None:
    first = issued(reading, running.port)
    send(first.message_id, now=READ_AT)
    report = reading.report()
    gone = reporting.withdraw(
        report,
        reason="Images were of another",
        wrong_person=True,
        version=report.version,
        by=reading.by,
        person=reading.reporter,
        now=READ_AT,
    )
    send(gone.dispatches.get().message_id, now=READ_AT)
    last = engine.came[-1]
    assert str(last.segment("OBR")[25]) == "X"
    (only,) = last.segments("OBX")
    assert str(only[11]) == "W"
    assert TEXT.findings.splitlines()[0] not in str(last)
    assert after(gone.dispatches.get()).state == "delivered"


def test_names_are_taken_apart_for_the_wire() -> None:
    found = clinician("Dr Pat van der Example", "GMC C1234567")
    assert (found.title, found.given_name, found.family_name, found.number) == (
        "Dr",
        "Pat van der",
        "Example",
        "1234567",
    )
    assert not clinician("", "")

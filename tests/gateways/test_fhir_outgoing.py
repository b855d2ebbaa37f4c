"""A report to a FHIR server: whole in itself, delivered on its success, refused for good, tried again, overtaken."""

import base64
import json
from collections.abc import Iterator
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import pytest

from gantry.apps.estate.models import Endpoint
from gantry.apps.reporting import services as reporting
from gantry.apps.reporting.models import ReportDispatch, ReportVersion
from gantry.domain.access import Role
from gantry.gateways.fhir.outgoing import send
from gantry.gateways.fhir.reading import read_json
from gantry.gateways.fhir.validation import errors, judge
from tests.apps.factories import make_person
from tests.apps.reports import READ_AT, Reading, make_reading
from tests.gateways.peers import free_port

pytestmark = pytest.mark.django_db


class Hospital:
    """A hospital's FHIR server: keeps what is put, and answers as it is told to."""

    def __init__(self) -> None:
        self.status, self.came = 201, []


@pytest.fixture
def hospital() -> Iterator[Hospital]:
    found = Hospital()

    class Door(BaseHTTPRequestHandler):
        def do_PUT(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            found.came.append((self.path, body))
            self.send_response(found.status)
            said = json.dumps(
                {"resourceType": "OperationOutcome", "issue": [{"code": "invalid", "diagnostics": "Said no"}]}
            )
            self.send_header("Content-Length", str(len(said)))
            self.send_header("ETag", 'W/"7"')
            self.end_headers()
            self.wfile.write(said.encode())

        def log_message(self, *args: Any) -> None:
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Door)
    found.port = server.server_port
    Thread(target=server.serve_forever, daemon=True).start()
    yield found
    server.shutdown()
    server.server_close()


@pytest.fixture
def reading() -> Reading:
    return make_reading()


def issued(reading: Reading, port: int) -> ReportDispatch:
    address = f"http://127.0.0.1:{port}/fhir/"
    Endpoint.objects.create(organisation=reading.trust, kind="fhir", host="127.0.0.1", port=port, address=address)
    return reading.verified().dispatches.get()


def after(dispatch: ReportDispatch) -> ReportDispatch:
    return ReportDispatch.objects.select_related("message", "owner").get(pk=dispatch.pk)


def test_a_report_is_delivered_whole_when_the_server_takes_it(hospital, reading) -> None:
    dispatch = issued(reading, hospital.port)
    send(dispatch.message_id, now=READ_AT)
    ((path, body),) = hospital.came
    tree = read_json(body).tree
    assert path == f"/fhir/DiagnosticReport/{tree['id']}"
    assert errors(judge(tree)) == []
    patient = reading.procedure.referral.patient
    assert tree["contained"][0]["identifier"][0]["value"] == patient.nhs_number
    assert (tree["status"], tree["identifier"][0]["value"]) == ("final", reading.procedure.accession_number)
    pdf = tree["presentedForm"][0]
    assert base64.b64decode(pdf["data"]) == reporting.pdf_of(ReportVersion.objects.get())
    assert not [said for said in references(tree) if not said.startswith("#")], "nothing to fetch from us"
    done = after(dispatch)
    assert (done.state, done.delivered_at) == ("delivered", READ_AT)
    assert done.proof.startswith("201 to PUT DiagnosticReport/")
    send(dispatch.message_id, now=READ_AT + timedelta(hours=1))
    assert len(hospital.came) == 1


def references(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        if isinstance(value.get("reference"), str):
            yield value["reference"]
        for inner in value.values():
            yield from references(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from references(inner)


def test_a_refusal_has_a_person_and_a_server_in_trouble_is_asked_again(hospital, reading) -> None:
    manager = make_person(Role.MANAGER, reading.day.made.provider)
    hospital.status = 503
    dispatch = issued(reading, hospital.port)
    send(dispatch.message_id, now=READ_AT)
    assert after(dispatch).state == "failed"
    hospital.status = 422
    send(dispatch.message_id, now=READ_AT + timedelta(hours=1))
    failed = after(dispatch)
    assert (failed.state, failed.owner) == ("given_up", manager)
    assert "Said no" in failed.message.reason


def test_a_server_that_is_not_there_is_not_connected_to(reading) -> None:
    dispatch = issued(reading, free_port())
    send(dispatch.message_id, now=READ_AT)
    failed = after(dispatch)
    assert (failed.state, failed.message.phase) == ("failed", "connect")

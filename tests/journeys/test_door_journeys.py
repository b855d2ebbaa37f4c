"""The same patient by an order over MLLP and by a BaRS message: the door and every proof outside are real."""

import json
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import httpx
import pytest
from django.utils import timezone
from hl7.client import MLLPClient
from playwright.sync_api import Browser

from gantry.apps.audit.models import Event
from gantry.apps.booking.models import Appointment
from gantry.apps.referrals.models import Referral, RequestedProcedure
from gantry.apps.reporting import services as reporting
from gantry.apps.reporting.models import Report, ReportDispatch
from gantry.apps.scanning.models import Study
from gantry.apps.scanning.services import images
from gantry.domain.access import Role
from gantry.domain.identifiers import nth_test_nhs_number
from gantry.gateways.fhir import tokens
from gantry.gateways.hl7.compose import OutgoingOrder, to_omi
from gantry.gateways.hl7.results import Party
from tests.apps.factories import actor, complete_answers, make_person
from tests.gateways import fhir_samples
from tests.gateways.peers import Orthanc, needs, start_orthanc
from tests.journeys.cast import (
    MONDAY,
    TUESDAY,
    Cast,
    acknowledged,
    asked_by_the_scanner,
    booked_and_told,
    decided_with_two_keys,
    injected,
    make_cast,
    proved_at_the_hospital,
    scanned_and_stored,
)
from tests.journeys.clocked import turned_now
from tests.journeys.hospital import Engine, connect, open_engine
from tests.journeys.house import House, open_house, seat

pytestmark = [
    pytest.mark.journey,
    pytest.mark.django_db(transaction=True),
    needs("findscu", "storescu", "node", "Orthanc"),
    # python-hl7 0.4.5 writes the time of its answers with a call that Python 3.12 deprecates.
    pytest.mark.filterwarnings("ignore:datetime.datetime.utcnow:DeprecationWarning"),
]
NUMBER = 42


@pytest.fixture
def house(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[House]:
    monkeypatch.setattr(timezone, "now", turned_now)
    with open_house(tmp_path, "web", "dicom", "mllp", "worker", at=MONDAY) as running:
        yield running


@pytest.fixture
def pacs(tmp_path: Path) -> Iterator[Orthanc]:
    with start_orthanc(tmp_path) as running:
        yield running


@pytest.fixture
def engine() -> Iterator[Engine]:
    with open_engine() as running:
        yield running


def test_an_order_over_mllp_comes_back_as_an_acknowledged_report(
    house: House, browser: Browser, pacs: Orthanc, engine: Engine
) -> None:
    cast = make_cast()
    connect(cast.made.trust, pacs, engine)
    # given a hospital's engine with an order, when it sends it twice, then each is accepted and one referral waits
    order = to_omi(
        OutgoingOrder(
            "C-1",
            "P-77",
            Party("EPR", cast.made.trust.ods_code),
            Party("GANTRY", cast.made.provider.ods_code),
            house.now(),
            complete_answers(cast.made, number=NUMBER, now=house.now()),
        )
    )
    with MLLPClient("127.0.0.1", house.mllp_port, encoding="utf-8") as sender:
        answers = [sender.send_message(order.decode()).decode() for _ in range(2)]
    assert all("MSA|AA|C-1" in answer for answer in answers), answers
    referral = Referral.objects.get()
    assert (referral.door, referral.placer_order_number) == ("hl7", "P-77")
    # when it is decided on the page and the rest follows, then the PACS shows every image
    procedure = decided_with_two_keys(house, browser, cast, referral)
    scanned_and_proved(house, cast, procedure, booked_and_told(house, cast, procedure), pacs)
    # then the report goes back under the number that the order had
    report = reported_and_acknowledged(house, cast, procedure, engine)
    assert "P-77" in str(engine.received[0].segment("OBR")[2])
    read_by_the_referrer(house, browser, cast, report)


def test_a_bars_message_books_itself_and_comes_back_as_an_acknowledged_report(
    house: House, browser: Browser, pacs: Orthanc, engine: Engine
) -> None:
    cast = make_cast()
    connect(cast.made.trust, pacs, engine)
    caller = make_person(Role.INTERFACE, cast.made.trust)
    token = tokens.issue(caller, until=house.now() + timedelta(days=5), now=house.now())
    with httpx.Client(base_url=f"{house.url}/fhir/R4/", headers={"Authorization": f"Bearer {token}"}) as door:
        # given a request for a scan, when it is posted twice, then one referral waits and both answers are the same
        referral = referred_by_message(door, cast)
        # when it is justified, then free slots are told
        procedure = decided_with_two_keys(house, browser, cast, referral)
        # when one is booked by message, twice, then it is booked once
        appointment = booked_by_message(door, referral)
    # when the rest follows, then images and report are proved outside
    scanned_and_proved(house, cast, procedure, appointment, pacs)
    report = reported_and_acknowledged(house, cast, procedure, engine)
    read_by_the_referrer(house, browser, cast, report)


def referred_by_message(door: httpx.Client, cast: Cast) -> Referral:
    asked = complete_answers(cast.made, number=NUMBER, now=MONDAY)
    spared = {name: value for name, value in asked.items() if name not in ("nhs_number", "nhs_number_status")}
    sent = fhir_samples.message(
        "servicerequest-request",
        fhir_samples.request(),
        fhir_samples.patient(nth_test_nhs_number(NUMBER)),
        fhir_samples.answers_as_questionnaire(spared),
        key="m-1",
    )
    first, again = (post(door, sent) for _ in range(2))
    assert first == again
    referral = Referral.objects.get()
    assert (referral.door, referral.state) == ("fhir", "to_vet")
    return referral


def booked_by_message(door: httpx.Client, referral: Referral) -> Appointment:
    day, next_day = TUESDAY.date(), TUESDAY.date() + timedelta(days=1)
    query = {"start": [f"ge{day}", f"lt{next_day}"], "status": "free", "based-on": f"ServiceRequest/{referral.pk}"}
    found = door.get("Slot", params=query)
    assert found.status_code == 200, found.text
    slot = found.json()["entry"][0]["resource"]
    sent = fhir_samples.message(
        "booking-request",
        fhir_samples.appointment(slot["id"]),
        fhir_samples.patient(nth_test_nhs_number(NUMBER)),
        key="b-1",
    )
    assert post(door, sent) == post(door, sent)
    appointment = Appointment.objects.get()
    assert appointment.state == "booked"
    return appointment


def post(door: httpx.Client, message: dict[str, object]) -> bytes:
    answer = door.post(
        "$process-message", content=json.dumps(message), headers={"Content-Type": "application/fhir+json"}
    )  # fmt: skip
    assert answer.status_code == 200, answer.text
    return answer.content


def scanned_and_proved(
    house: House, cast: Cast, procedure: RequestedProcedure, appointment: Appointment, pacs: Orthanc
) -> None:
    injected(house, cast, appointment)
    house.turn(appointment.injection_at + timedelta(minutes=60))
    sent = scanned_and_stored(house, procedure, asked_by_the_scanner(house, procedure))
    now = house.now()
    study = Study.objects.get(procedure=procedure)
    images.check_images(study, acceptable=True, note="", by=actor(cast.reporter, now), now=now)
    proved_at_the_hospital(procedure, pacs, sent)


def reported_and_acknowledged(house: House, cast: Cast, procedure: RequestedProcedure, engine: Engine) -> Report:
    now, by = house.now(), actor(cast.reporter, house.now())
    report = reporting.open_report(procedure, by=by, person=cast.reporter, now=now).report
    text = reporting.Sections("FDG PET-CT.", "No abnormal uptake.", "No distant disease.")
    reporting.verify(report, text, version=report.version, by=by, person=cast.reporter, now=now)
    acknowledged(procedure, engine)
    kinds = [event.kind for event in Event.objects.filter(subjects__contains=[procedure.pk])]
    for once in ("appointment_booked", "dose_injected", "images_received", "images_proved", "report_delivered"):
        assert kinds.count(once) == 1, (once, kinds)
    return report


def read_by_the_referrer(house: House, browser: Browser, cast: Cast, report: Report) -> None:
    with seat(house, browser, cast.referrer) as desk:
        page = desk.open(f"/reports/{report.pk}/")
        page.fill("[name=action]", "Discussed at the MDT")
        desk.press("Record what was done")
    dispatch = ReportDispatch.objects.get(version__report=report)
    assert dispatch.delivered_at and dispatch.read_at and dispatch.acted_at

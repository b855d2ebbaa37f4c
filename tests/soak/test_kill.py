"""Each process killed once in the middle of its work, by a seed: nothing is lost, nothing happens twice.

A sender that got no answer sends again, as scanners and integration engines do; time that the outbox would wait is
passed by moving its messages forward. Size and seed: GANTRY_SOAK_SIZE, GANTRY_SOAK_SEED.
"""

import os
import random
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
from django.db import connections
from django.utils import timezone
from pytest_django import DjangoDbBlocker

from gantry.apps.audit.models import Event, InboxMessage, OutboxMessage
from gantry.apps.audit.services import start
from gantry.apps.referrals.models import Referral, RequestedProcedure
from gantry.apps.reporting.models import ReportDispatch
from gantry.apps.scanning.models import ImageDispatch, Instance, Study
from gantry.apps.scanning.services import images
from gantry.gateways.hl7.compose import OutgoingOrder, to_omi
from gantry.gateways.hl7.mllp import SendFailed
from gantry.gateways.hl7.mllp import send as send_by_mllp
from gantry.gateways.hl7.results import Party
from tests.apps.factories import NOW, complete_answers
from tests.apps.reports import TEXT, Reading, make_reporter, reporting
from tests.apps.scan_day import make_booked, make_day
from tests.cli.conftest import place
from tests.cli.test_up import Installation, children, installation
from tests.gateways.dicom_samples import pet_image, save
from tests.gateways.peers import Orthanc, needs, run_storescu, start_orthanc, statuses
from tests.journeys.hospital import Engine, connect, open_engine

__all__ = ["installation", "place"]
pytestmark = [
    pytest.mark.journey,
    pytest.mark.soak,
    needs("storescu", "Orthanc"),
    pytest.mark.filterwarnings("ignore:datetime.datetime.utcnow:DeprecationWarning"),
]
SIZE = int(os.environ.get("GANTRY_SOAK_SIZE") or 1)
SEED = int(os.environ.get("GANTRY_SOAK_SEED") or 1)
PICTURES, ORDERS = 24, 12
PATIENCE_S = 90.0


@contextmanager
def living_in(address: str, blocker: DjangoDbBlocker) -> Iterator[None]:
    """This process works on the installation's own database for a while."""
    url = urlsplit(address)
    settings = connections["default"].settings_dict
    before = dict(settings)
    connections.close_all()
    settings |= {
        "NAME": unquote(url.path.lstrip("/")),
        "USER": unquote(url.username or ""),
        "PASSWORD": unquote(url.password or ""),
        "HOST": url.hostname or "",
        "PORT": str(url.port or ""),
        "CONN_MAX_AGE": 0,
    }
    if "host=" in url.query:
        settings["HOST"] = unquote(url.query.partition("host=")[2].partition("&")[0])
    try:
        with blocker.unblock():
            yield
    finally:
        connections.close_all()
        settings.clear()
        settings |= before


@dataclass
class Fault:
    """Kills something once, after a while that the seed chooses."""

    kill: Callable[[], None]
    after_s: float

    def __enter__(self) -> "Fault":
        self.thread = threading.Timer(self.after_s, self.kill)
        self.thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.thread.join()


def eventually(done: Callable[[], bool], what: str) -> None:
    """Also while the database is away."""
    deadline = time.monotonic() + PATIENCE_S
    while True:
        try:
            if done():
                return
        except Exception:
            connections.close_all()
        assert time.monotonic() < deadline, f"{what}: not within {PATIENCE_S:.0f} s"
        time.sleep(0.1)


def up(of: Installation) -> None:
    """On a machine that is busy with other tests a start may take longer than an operator would wait."""
    try:
        of.up()
    except AssertionError:
        eventually(lambda: "Gantry answers" in of.said(), "the start")


def kill_child(of: Installation, name: str) -> None:
    os.kill(children(of.running[-1].pid)[name], signal.SIGKILL)


def kill_database(of: Installation) -> None:
    postmaster = next(of.place.glob("pg/*/postmaster.pid"))
    os.kill(int(postmaster.read_text().split()[0]), signal.SIGKILL)


def pass_time() -> bool:
    """What waits for another try is tried now."""
    open_ones = OutboxMessage.objects.exclude(state__in=["delivered", "given_up"])
    for message in open_ones:
        OutboxMessage.objects.filter(pk=message.pk).update(due_at=timezone.now())
        start(message.pk)
    return True


def test_nothing_is_lost_and_nothing_happens_twice(
    installation: Installation, django_db_blocker: DjangoDbBlocker, tmp_path: Path
) -> None:
    installation.environment["GANTRY_DEMONSTRATION"] = "0"
    up(installation)
    dice = random.Random(SEED)
    with living_in(installation.url(), django_db_blocker), open_engine() as engine:
        day = make_day()
        with start_orthanc(tmp_path) as pacs:
            connect(day.made.trust, pacs, engine)
            ports = {"dicom_port": pacs.dicom_port, "http_port": pacs.http_port}
        for number in range(SIZE):
            visit = make_booked(day)
            procedure = visit.appointment.procedure
            sent = store_through_a_kill(installation, procedure, tmp_path, dice, number)
            study = Study.objects.get(procedure=procedure)
            reading = Reading(day, visit, study, make_reporter(day))
            deliver_through_kills(installation, reading, tmp_path, ports, sent, dice)
            report_through_a_kill(installation, reading, engine, dice)
            order_through_a_kill(installation, day.made, dice, number)


def store_through_a_kill(
    of: Installation, procedure: RequestedProcedure, folder: Path, dice: random.Random, number: int
) -> set[str]:
    """The listener dies while a scanner sends; the scanner sends again what was not answered."""
    patient = procedure.referral.patient
    whose = {
        "PatientID": patient.nhs_number,
        "PatientName": f"{patient.family_name}^{patient.given_name}",
        "AccessionNumber": procedure.accession_number,
        "StudyInstanceUID": procedure.study_uid,
        "SeriesInstanceUID": f"{procedure.study_uid}.2",
    }
    files = [
        save(pet_image(n, study=100 + number, **whose, SOPInstanceUID=f"{procedure.study_uid}.2.{n}"), folder)
        for n in range(1, PICTURES + 1)
    ]
    port, waiting = int(of.environment["GANTRY_DICOM_PORT"]), list(files)

    def all_answered() -> bool:
        for path in list(waiting):
            if statuses(run_storescu(port, path, called="GANTRY", calling="PETCT1", options=["-xe"])) == [0]:
                waiting.remove(path)
        return not waiting

    with Fault(lambda: kill_child(of, "dicom"), dice.uniform(0.1, 0.8)):
        eventually(all_answered, "every image answered")
    uids = {path.name.removesuffix(".dcm") for path in files}
    kept = Instance.objects.filter(study__procedure=procedure)
    assert {one.sop_instance_uid for one in kept} == uids
    assert kept.count() == PICTURES
    for one in kept:
        assert (of.place / "images" / one.path).stat().st_size >= one.size
    assert Event.objects.filter(kind="images_received", subjects__contains=[procedure.pk]).count() == 1
    return uids


def deliver_through_kills(
    of: Installation, reading: Reading, folder: Path, ports: dict[str, int], sent: set[str], dice: random.Random
) -> None:
    """The hospital's PACS dies, and the worker that sends to it."""
    down: list[Orthanc] = []
    with start_orthanc(folder, **ports) as pacs:
        with Fault(pacs.process.kill, dice.uniform(0.0, 0.6)), Fault(
            lambda: kill_child(of, "worker"), dice.uniform(0.0, 1.0)
        ):  # fmt: skip
            images.check_images(reading.study, acceptable=True, note="", by=reading.by, now=timezone.now())
            down.append(pacs)
        eventually(lambda: pacs.process.poll() is not None, "the PACS is down")
    dispatch = ImageDispatch.objects.get(study=reading.study)
    with start_orthanc(folder, **ports) as pacs:
        eventually(
            lambda: pass_time() and ImageDispatch.objects.get(pk=dispatch.pk).state == "delivered",
            "delivery to the PACS that came back",
        )
        assert sent <= pacs.instance_uids()
    dispatch.refresh_from_db()
    assert dispatch.proved == len(sent)
    assert Event.objects.filter(kind="images_proved", subjects__contains=[reading.study.pk]).count() == 1


def report_through_a_kill(of: Installation, reading: Reading, engine: Engine, dice: random.Random) -> None:
    """The worker dies with a report in its hands: sent once more at most, and it is the same message."""
    before = len(engine.received)
    report = reading.report(timezone.now())
    with Fault(lambda: kill_child(of, "worker"), dice.uniform(0.0, 0.5)):
        version = reporting.verify(
            report, TEXT, version=report.version, by=reading.by, person=reading.reporter, now=timezone.now()
        )
    eventually(
        lambda: (
            pass_time() and ReportDispatch.objects.get(version=version, endpoint__isnull=False).delivered_at is not None
        ),
        "the report's acknowledgement",
    )
    control_ids = {str(message.segment("MSH")[10]) for message in engine.received[before:]}
    assert len(control_ids) == 1
    assert Event.objects.filter(kind="report_delivered", subjects__contains=[version.pk]).count() == 1


def order_through_a_kill(of: Installation, made, dice: random.Random, number: int) -> None:
    """PostgreSQL dies while orders come in; the engine sends again what was not accepted."""
    port = int(of.environment["GANTRY_MLLP_PORT"])
    first = 5000 + 100 * number
    orders = {
        f"K{first + n}": to_omi(
            OutgoingOrder(
                f"K{first + n}",
                f"P-{first + n}",
                Party("EPR", made.trust.ods_code),
                Party("GANTRY", made.provider.ods_code),
                NOW,
                complete_answers(made, number=first + n),
            )
        )
        for n in range(ORDERS)
    }
    waiting = dict(orders)

    def all_accepted() -> bool:
        for control_id, order in list(waiting.items()):
            try:
                send_by_mllp("127.0.0.1", port, order, control_id=control_id, timeout_s=15)
            except SendFailed as failure:
                assert not failure.permanent, failure
                continue
            del waiting[control_id]
        return not waiting

    with Fault(lambda: kill_database(of), dice.uniform(0.05, 0.5)):
        eventually(all_accepted, "every order accepted")
    eventually(of.answers, "the database answers")
    placed = [f"P-{first + n}" for n in range(ORDERS)]

    def once_each() -> bool:
        return sorted(Referral.objects.filter(placer_order_number__in=placed).values_list("placer_order_number")) == [
            (one,) for one in sorted(placed)
        ]

    eventually(once_each, "one referral an order")
    for referral in Referral.objects.filter(placer_order_number__in=placed):
        assert referral.state == "to_vet"
        assert Event.objects.filter(kind="referral_received", subjects__contains=[referral.pk]).count() == 1
    assert not InboxMessage.objects.filter(key__in=orders).exclude(outcome="answered").exists()

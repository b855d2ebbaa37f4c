"""`gantry emulate` beside live listeners: each peer moves a patient, and none is played where people are real."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from django.utils import timezone

from gantry.apps.audit.models import InboxMessage
from gantry.apps.radiopharmacy import services as radiopharmacy
from gantry.apps.radiopharmacy.models import Batch, TracerOrder
from gantry.apps.referrals.models import Referral
from gantry.apps.scanning.models import PerformedStep, Study, Visit
from gantry.cli import demo, emulate
from gantry.domain.referral import ReferralState
from gantry.domain.supply import BatchState, OrderState
from gantry.gateways.database import Desk
from gantry.gateways.dicom.server import Server, serve
from gantry.gateways.dicom.wiring import make_doors
from gantry.gateways.emulators.addresses import HospitalAddress
from gantry.gateways.hl7 import mllp, wiring
from tests.apps.factories import NOW, Made, make_network, make_organisation, make_run
from tests.apps.scan_day import BY, make_booked, make_day

pytestmark = pytest.mark.django_db
WIRED = pytest.mark.django_db(transaction=True)
"""A listener's threads have connections of their own."""


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[datetime]:
    """What every process of this test takes for now."""
    at = [NOW]
    monkeypatch.setattr(timezone, "now", lambda: at[0])
    return at


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, settings, monkeypatch: pytest.MonkeyPatch) -> None:
    settings.IMAGES_ROOT = tmp_path / "images"
    settings.IMAGES_ROOT.mkdir()
    settings.IMAGES_FSYNC = False
    settings.DEMONSTRATION = True
    monkeypatch.setattr(demo, "VAR", tmp_path)
    monkeypatch.setattr(emulate, "HOSPITAL", HospitalAddress("127.0.0.1", 0, 0))


def called_a_demonstration() -> None:
    """As a load leaves it."""
    demo.marked(NOW, demo.SEED, demo.PATIENTS)


@pytest.fixture
def dicom(settings) -> Iterator[Server]:
    desk = Desk()
    running = serve("GANTRY", ("127.0.0.1", 0), make_doors(desk))
    settings.DICOM_PORT = running.port
    yield running
    running.stop()
    desk.close()


@pytest.fixture
def orders(settings) -> Iterator[mllp.Listener]:
    listener = wiring.serve(("127.0.0.1", 0))
    settings.MLLP_PORT = listener.port
    yield listener
    listener.stop()
    listener.join(10)


@WIRED
def test_the_hospital_sends_an_order_and_a_referral_appears(clock, orders, capsys) -> None:
    made = make_network()
    made.network.members.add(*(make_organisation(one.ods) for one in emulate.hospitals()))
    called_a_demonstration()
    assert emulate.run("hospital", ["--orders", "2", "--every", "0", "--once"]) == 0
    said = capsys.readouterr().out
    assert said.count("answered AA") == 2, said
    found = Referral.objects.filter(door="hl7")
    assert {one.state for one in found} == {ReferralState.TO_VET}
    assert len({one.patient.nhs_number for one in found}) == 2
    assert all(one.patient.family_name.startswith("TEST-") for one in found)


def test_the_radiopharmacy_confirms_brings_and_releases(clock, capsys) -> None:
    run = make_run(made := make_network())
    called_a_demonstration()
    before = run.cut_off_at - timedelta(hours=1)
    radiopharmacy.place_order(run, activity_mbq=9000, patients=8, now=before, by=BY)
    clock[0] = before + timedelta(minutes=1)
    assert emulate.run("radiopharmacy", ["--once"]) == 0
    assert TracerOrder.objects.get().state == OrderState.CONFIRMED
    assert not Batch.objects.exists(), "nothing comes before its hour"
    clock[0] = run.due_at + timedelta(minutes=1)
    emulate.run("radiopharmacy", ["--once"])
    batch = Batch.objects.get()
    assert (batch.state, batch.site) == (BatchState.RECEIVED, made.site)
    clock[0] += timedelta(minutes=4)
    emulate.run("radiopharmacy", ["--once"])
    batch.refresh_from_db()
    assert batch.state == BatchState.SUPPLIER_RELEASED, "acceptance is the site's own act"
    assert [line.split()[-1] for line in capsys.readouterr().out.splitlines()] == ["confirmed", "delivered", "released"]


@WIRED
def test_the_scanner_moves_a_patient_from_its_worklist_to_stored_images(clock, dicom, capsys) -> None:
    day = make_day()
    visit = make_booked(day)
    called_a_demonstration()
    clock[0] = NOW + timedelta(minutes=80)
    station = day.scanner.ae_title
    assert emulate.run("scanner", ["--station", station]) == 0
    assert visit.appointment.procedure.accession_number in capsys.readouterr().out
    assert not PerformedStep.objects.exists(), "reading the list scans nobody"
    assert emulate.run("scanner", ["--station", station, "--due"]) == 0
    assert "8 images, all committed" in capsys.readouterr().out
    assert PerformedStep.objects.get().state == "completed"
    assert {one.phase for one in visit.steps.filter(key="scan", current=True)} == {"start", "done"}
    study = Study.objects.get(procedure=visit.appointment.procedure)
    assert (study.state, study.instances.count()) == ("matched", 8)
    assert emulate.run("scanner", ["--station", station, "--due"]) == 0
    assert PerformedStep.objects.count() == 1, "who was scanned is not scanned again"


def no_demonstration(made: Made) -> None:
    """A network with no script behind it."""


def somebody_elses(made: Made) -> None:
    called_a_demonstration()
    make_network("RXX", "NXX")


@pytest.mark.parametrize("arranged", [no_demonstration, somebody_elses])
def test_no_peer_is_played_on_a_network_that_is_not_its_own(clock, arranged, capsys) -> None:
    run = make_run(made := make_network())
    arranged(made)
    radiopharmacy.place_order(run, activity_mbq=9000, patients=8, now=run.cut_off_at - timedelta(hours=1), by=BY)
    for peer in emulate.PEERS:
        assert emulate.run(peer, []) == 1, peer
        assert "not the demonstration's" in capsys.readouterr().err, peer
    assert TracerOrder.objects.get().state == OrderState.PLACED


def test_where_people_are_real_no_peer_is_played_and_nobody_is_invented(clock, settings, capsys) -> None:
    called_a_demonstration()
    settings.DEMONSTRATION = False
    assert emulate.run("hospital", ["--orders", "1", "--once"]) == 1
    assert "not a demonstration" in capsys.readouterr().err
    said: list[str] = []
    assert demo.load(NOW, progress=said.append).acts == 0
    assert "not a demonstration" in said[0]
    assert not Visit.objects.exists()


def test_a_database_with_a_network_of_its_own_gets_no_demonstration(clock) -> None:
    make_network()
    said: list[str] = []
    assert demo.load(NOW, progress=said.append).acts == 0
    assert "not the demonstration's" in said[0]
    assert not InboxMessage.objects.exists()

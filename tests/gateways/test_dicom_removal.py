"""Images under the wrong name are gone when a real PACS shows none of them, and not before."""

from collections.abc import Iterator
from datetime import timedelta

import httpx
import pytest

from gantry.apps.scanning.models import ImageDispatch, ImageRemoval
from gantry.apps.scanning.services import images
from gantry.gateways.dicom.outgoing import send
from gantry.gateways.dicom.removal import look
from tests.apps.factories import NOW
from tests.gateways.peers import Orthanc, free_port, needs, start_orthanc
from tests.gateways.test_dicom_outgoing import address, check, day, keep, visit

__all__ = ["day", "visit"]
pytestmark = [pytest.mark.django_db, needs("Orthanc")]


@pytest.fixture(scope="module")
def pacs(tmp_path_factory) -> Iterator[Orthanc]:
    with start_orthanc(tmp_path_factory.mktemp("pacs")) as running:
        yield running


def withdrawn(visit, day, study) -> ImageRemoval:
    images.withdraw(study, procedure=visit.appointment.procedure_id, reason="Not theirs", by=day.by, now=NOW)
    return ImageRemoval.objects.get()


def test_a_pacs_is_asked_until_it_shows_none(pacs, day, visit, tmp_path) -> None:
    address(visit, pacs.dicom_port)
    for number in (1, 2):
        study = keep(visit, tmp_path, number)
    dispatch = check(study, day)
    send(dispatch.message_id, now=NOW)
    removal = withdrawn(visit, day, study)
    look(removal.message_id, now=NOW)
    removal.refresh_from_db()
    assert removal.removed_at is None
    assert removal.message.reason == "2 of 2 images are still shown there"
    base = f"http://127.0.0.1:{pacs.http_port}"
    for uid in httpx.get(f"{base}/instances").json():
        httpx.delete(f"{base}/instances/{uid}")
    later = removal.message.due_at + timedelta(seconds=1)
    look(removal.message_id, now=later)
    removal.refresh_from_db()
    assert (removal.removed_at, removal.proof) == (later, "C-FIND: none shown")
    look(removal.message_id, now=later + timedelta(hours=1))
    assert removal.message.tries.filter(ok=True).count() == 1
    assert ImageDispatch.objects.get().state == "withdrawn"


def test_a_pacs_that_cannot_be_asked_proves_nothing(day, visit, tmp_path) -> None:
    address(visit, free_port())
    study = keep(visit, tmp_path)
    dispatch = check(study, day)
    send(dispatch.message_id, now=NOW)
    removal = withdrawn(visit, day, study)
    due = removal.message.due_at + timedelta(seconds=1)
    look(removal.message_id, now=due)
    removal.refresh_from_db()
    assert removal.removed_at is None and removal.message.phase == "connect"

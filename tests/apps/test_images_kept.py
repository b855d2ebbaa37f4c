"""An image's row: with its study and series at first, in one statement from then on, and the same answer either way."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from gantry.apps.audit.models import Event
from gantry.apps.scanning.models import Instance, ReconcileItem, Study, Visit
from gantry.apps.scanning.services import images
from gantry.domain.events import EventKind
from tests.apps.factories import NOW
from tests.apps.scan_day import Day, make_booked, make_day


@pytest.fixture
def day() -> Day:
    return make_day()


@pytest.fixture
def visit(day: Day) -> Visit:
    return make_booked(day)


def received(visit: Visit, number: int, **changes: object) -> images.ReceivedInstance:
    procedure = visit.appointment.procedure
    series = f"{procedure.study_uid}.2"
    said: dict[str, object] = {
        "sop_instance_uid": f"{series}.{number}",
        "sop_class_uid": "1.2.840.10008.5.1.4.1.1.128",
        "transfer_syntax_uid": "1.2.840.10008.1.2.1",
        "study_uid": procedure.study_uid,
        "series_uid": series,
        "size_bytes": 512,
        "sha256": f"{number:064}",
        "path": f"00/{series}.{number}.dcm",
        "patient_id": procedure.referral.patient.nhs_number,
        "nhs_number": procedure.referral.patient.nhs_number,
        "patient_name": "TESTCASE^SOMEBODY",
        "accession_number": procedure.accession_number,
        "modality": "PT",
    }
    return images.ReceivedInstance(**(said | changes))  # type: ignore[arg-type]


def keep(visit: Visit, number: int, **changes: object) -> images.KeptInstance | images.Conflict:
    return images.keep_instance(received(visit, number, **changes), now=NOW)


@pytest.mark.django_db
def test_what_the_first_image_of_a_series_has_settled_is_not_asked_again(visit: Visit) -> None:
    first = keep(visit, 1)
    with CaptureQueriesContext(
        connection,
    ) as asked:
        second = keep(visit, 2)
    assert (second, len(asked)) == (first, 0)
    keep(visit, 3, modality="CT")
    keep(visit, 4, series_uid="1.2.3")
    study = Study.objects.get()
    assert (study.state, study.instances_count, study.modalities) == ("matched", 4, ["PT", "CT"])
    assert study.series.count() == 2
    assert Event.objects.filter(kind=EventKind.IMAGES_RECEIVED).count() == 1


@pytest.mark.django_db
def test_the_same_again_is_counted_once_and_another_under_its_name_is_refused(visit: Visit) -> None:
    keep(visit, 1)
    again = keep(visit, 1)
    assert isinstance(again, images.KeptInstance) and again.repeated
    for changes in ({"sha256": "f" * 64}, {"patient_id": "H1"}, {"series_uid": "1.2.3", "sha256": "f" * 64}):
        assert isinstance(keep(visit, 1, **changes), images.Conflict)
    study = Study.objects.get()
    assert (study.instances_count, study.series.count(), Instance.objects.count()) == (1, 1, 1)


@pytest.mark.django_db
def test_every_image_of_a_held_study_is_said_to_be_held_until_a_person_has_decided(day: Day, visit: Visit) -> None:
    said = [keep(visit, number, accession_number="NOSUCH") for number in (1, 2)]
    item = ReconcileItem.objects.get()
    assert [getattr(each, "held", "") for each in said] == [item.reason] * 2
    images.reconcile(
        item, procedure=visit.appointment.procedure, note="Typed wrong", by=day.by, person=day.person, now=NOW
    )
    assert keep(visit, 3, accession_number="NOSUCH") == images.KeptInstance(item.study_id)
    assert Study.objects.get().instances_count == 3


@pytest.mark.django_db(transaction=True)
def test_four_at_once_make_one_study_that_is_told_once_and_counts_every_image(visit: Visit) -> None:
    def mine(first: int) -> list[object]:
        try:
            return [keep(visit, number, modality="CT") for number in range(first, 80, 4)]
        finally:
            connection.close()

    with ThreadPoolExecutor(4) as senders:
        said = [each for answers in senders.map(mine, range(4)) for each in answers]
    study = Study.objects.get()
    assert said == [images.KeptInstance(study.pk)] * 80
    assert (study.instances_count, study.instances.count(), study.modalities) == (80, 80, ["CT"])
    assert study.series.count() == 1
    assert Event.objects.filter(kind=EventKind.IMAGES_RECEIVED).count() == 1

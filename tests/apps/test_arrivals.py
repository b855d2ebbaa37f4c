"""What comes is received whatever it is, judged by label, meter and calibrator, and shown as what it is."""

from datetime import timedelta

import pytest
from django.urls import reverse
from django.utils import timezone

from gantry.apps.audit.models import Event
from gantry.apps.radiopharmacy import services
from gantry.apps.radiopharmacy.models import Batch
from gantry.domain.access import Role
from gantry.domain.events import system
from tests.apps.factories import NOW, make_network, make_person, make_run

pytestmark = pytest.mark.django_db
BY = system("tests")


@pytest.fixture(autouse=True)
def at_nine(monkeypatch):
    monkeypatch.setattr(timezone, "now", lambda: NOW)


@pytest.fixture
def order():
    run = make_run(make_network())
    return services.place_order(run, activity_mbq=10_000, patients=9, now=run.cut_off_at, by=BY)


def typed(**over) -> dict[str, str]:
    return {
        "number": "B-1",
        "stated_mbq": "10000",
        "reference_at": "09:00",
        "expires_at": "19:00",
        "volume_ml": "10",
        "packages": "2",
        "transport_index": "0.6",
        "label": "II-YELLOW",
        "surface": "0.2",
        "one_metre": "0.005",
        "received_at": "now",
        "measured_mbq": "9900",
        "measured_at": "now",
        "instrument": "Calibrator 1",
        "barcode": "",
        **over,
    }


def received(client, order, **over) -> tuple[Batch, str]:
    person = make_person(Role.RADIOPHARMACIST, order.site.organisation)
    client.force_login(person, backend="django.contrib.auth.backends.ModelBackend")
    page = client.post(reverse("tracer:receive", args=[order.pk]), typed(**over), follow=True)
    return Batch.objects.get(number="B-1"), page.content.decode()


def test_a_package_as_labelled_is_shown_so(client, order):
    batch, page = received(client, order)
    delivery = batch.deliveries.get()
    assert (delivery.surface_msv_per_h, delivery.at_one_metre_msv_per_h, delivery.breach) == (0.2, 0.005, [])
    assert "as labelled" in page and "0.2 mSv/h" in page and "II-YELLOW" in page
    assert not Event.objects.filter(kind="breach_recorded").exists()


def test_what_was_not_read_is_said_and_is_no_breach(client, order):
    batch, page = received(client, order, transport_index="", label="", surface="", one_metre="")
    assert "label not read" in page and "not measured" in page and batch.deliveries.get().breach == []


def test_a_package_that_is_not_as_labelled_is_received_and_is_a_breach(client, order):
    batch, page = received(client, order, surface="1.4", one_metre="0.03", measured_mbq="8000")
    breach = batch.deliveries.get().breach
    assert len(breach) == 3 and "asks for III-YELLOW" in breach[1] and "20.0 % less" in breach[2]
    assert "not as labelled or stated" in page and "Recorded as a breach" in page
    said = Event.objects.get(kind="breach_recorded", subjects__contains=[batch.pk])
    assert said.data == {"tracer": "FDG", "act": "receive", "reasons": breach}
    assert batch.state == "received" and Event.objects.filter(kind="incident_opened").exists()


def test_part_of_a_batch_from_another_site_is_judged_alike(order):
    facts = services.DeliveryFacts(
        number="B-1", stated_mbq=10_000, reference_at=NOW, expires_at=NOW + timedelta(hours=10), measured_mbq=10_000,
        measured_at=NOW, instrument="Calibrator 1", received_at=NOW, volume_ml=10.0,
    )  # fmt: skip
    batch = services.receive_delivery(order, facts, now=NOW, by=BY)
    services.release_batch(batch, released_by="Quinn", released_at=NOW, now=NOW, by=BY)
    services.accept_batch(batch, now=NOW, by=BY)
    other = batch.site.network.sites.exclude(pk=batch.site_id).get()
    sent = services.transfer(batch, services.Reading(2_000, NOW, "Calibrator 1", 2.0), to=other, now=NOW, by=BY)
    came = services.DeliveryFacts(
        number="B-1", stated_mbq=2_000, reference_at=NOW, expires_at=NOW + timedelta(hours=10), measured_mbq=1_000,
        measured_at=NOW, instrument="Calibrator 1", received_at=NOW, volume_ml=2.0, label="I-WHITE",
        transport_index=0.4,
    )  # fmt: skip
    services.receive_transfer(sent, came, now=NOW, by=BY)
    assert len(sent.deliveries.get().breach) == 2
    assert Event.objects.filter(kind="breach_recorded", subjects__contains=[sent.pk]).count() == 1

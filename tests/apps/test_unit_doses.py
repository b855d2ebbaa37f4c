"""A supplier's syringes: each with its own account from the door to the vein, for somebody or for nobody yet."""

from datetime import timedelta
from math import isclose

import pytest
from django.urls import reverse
from django.utils import timezone

from gantry.apps.audit.models import Event
from gantry.apps.radiopharmacy import services
from gantry.apps.radiopharmacy.models import Batch, Dose, LedgerEntry, TracerOrder
from gantry.apps.radiopharmacy.services.stock import by_hour
from gantry.domain.access import Role
from gantry.domain.decay import Assay
from gantry.domain.events import Cause, CauseCode, Initiator, system
from gantry.domain.supply import Match, why_not_named
from gantry.reference.nuclides import F18
from tests.apps.factories import NOW, make_person, make_run
from tests.apps.scan_day import make_booked, make_day

pytestmark = pytest.mark.django_db
BY = system("tests")
LATER = NOW + timedelta(minutes=30)


@pytest.fixture(autouse=True)
def at_nine(monkeypatch):
    monkeypatch.setattr(timezone, "now", lambda: NOW)


@pytest.fixture
def day():
    return make_day()


@pytest.fixture
def order(day) -> TracerOrder:
    run = make_run(day.made, due_at=NOW - timedelta(minutes=10))
    return services.place_order(run, activity_mbq=1_200, patients=3, now=run.cut_off_at, by=BY)


def papers(**over) -> services.DeliveryFacts:
    return services.DeliveryFacts(**{
        "number": "U-1", "stated_mbq": 0, "reference_at": NOW, "expires_at": NOW + timedelta(hours=6),
        "measured_mbq": 0, "measured_at": NOW, "instrument": "Calibrator 1", "received_at": NOW, **over,
    })  # fmt: skip


def syringe(mbq: float = 400.0, *, stated: float = 400.0, at=NOW, **more) -> services.Syringe:
    return services.Syringe(stated, mbq, at, **more)


def receive(order, *syringes) -> Batch:
    return services.receive_unit_doses(order, papers(), syringes, now=NOW, by=BY)


def accepted(batch: Batch) -> Batch:
    services.release_batch(batch, released_by="Quinn Person", released_at=NOW, now=NOW, by=BY)
    return services.accept_batch(batch, now=NOW, by=BY)


def test_each_syringe_has_its_own_account_and_the_delivery_is_their_sum(day, order):
    visit = make_booked(day, arrival_at=NOW)
    name = visit.appointment.referral.patient.family_name
    five = NOW + timedelta(minutes=5)
    batch = receive(
        order,
        syringe(barcode="SUP-1", labelled_for=f"{name}, A", appointment=visit.appointment, volume_ml=1.5),
        syringe(Assay(F18, 400, NOW).activity_at(five), at=five),
        syringe(395.0),
    )
    doses = list(batch.doses.order_by("pk"))
    assert [dose.state for dose in doses] == ["assigned", "received", "received"]
    assert doses[0].container.barcode == "SUP-1" and doses[0].appointment == visit.appointment
    assert all(dose.stated_mbq == 400 for dose in doses)
    assert set(LedgerEntry.objects.filter(batch=batch).values_list("way", flat=True)) == {"received"}
    assert isclose(batch.deliveries.get().measured_mbq, 1_195) and batch.activity_mbq == 1_200
    assert services.left_in(batch, LATER) < 1e-6 and services.statement(batch, at=LATER).within
    assert Event.objects.filter(kind="dose_received").count() == 3
    order.refresh_from_db()
    assert order.state == "fulfilled" and not Event.objects.filter(kind="breach_recorded").exists()


def test_from_the_door_to_the_vein_wasted_and_returned_every_account_closes(day, order):
    visit = make_booked(day, arrival_at=NOW)
    batch = accepted(receive(order, syringe(), syringe(), syringe()))
    given, wasted, back = batch.doses.order_by("pk")
    hour = by_hour(batch.site, "FDG", hours=[NOW, LATER])[0]
    assert hour.left_mbq > 1_200
    services.assign(given, visit.appointment, now=NOW, by=BY)
    assert services.check_dose(given, activity_mbq=400, at=NOW, instrument="Calibrator 1", now=NOW, by=BY) == []
    services.administer(given, injected_at=LATER, now=LATER, by=BY)
    services.assay_residual(given, activity_mbq=10, at=LATER, instrument="Calibrator 1", now=LATER, by=BY)
    services.waste(wasted, cause=Cause(CauseCode.DID_NOT_ATTEND, Initiator.PATIENT), at=LATER, now=LATER, by=BY)
    services.return_dose(back, reason="Patient unwell", at=LATER, now=LATER, by=BY)
    whole = services.statement(Batch.objects.get(pk=batch.pk), at=LATER)
    assert whole.within and abs(whole.difference_mbq) < 0.5 and whole.left_mbq < 0.5
    assert {line.way.value for line in whole.out} == {"administered", "residual", "wasted", "returned"}
    assert isclose(services.balance(Batch.objects.get(pk=batch.pk), at=LATER).unexplained_mbq, 0, abs_tol=0.5)
    instrument = LedgerEntry.objects.filter(batch=batch, way="administered").latest("pk").instrument
    assert instrument == "Calibrator 1"


def test_what_is_not_as_stated_is_received_and_is_a_breach_and_stops_where_it_stops(day, order):
    batch = receive(order, syringe(200.0), syringe(), syringe())
    odd = batch.doses.order_by("pk")[0]
    breach = Event.objects.get(kind="breach_recorded", subjects__contains=[odd.pk])
    assert "50.0 % less" in breach.data["reasons"][0]
    assert batch.deliveries.get().breach


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"labelled_for": "SOMEBODY ELSE"}, "the label says SOMEBODY ELSE"),
        ({"barcode": "TAKEN"}, "has the barcode TAKEN"),
        ({"mbq": 0.0}, "more than 0 MBq"),
    ],
)
def test_what_cannot_be_is_refused_whole(day, order, more, words):
    day.batch.containers.update(barcode="TAKEN")
    visit = make_booked(day, arrival_at=NOW)
    with pytest.raises(services.NotDone) as refused:
        receive(order, syringe(), syringe(**{"appointment": visit.appointment, **more}))
    assert words in refused.value.reasons[0] and refused.value.reasons[0].startswith("Syringe 2")
    assert not Dose.objects.exists() and TracerOrder.objects.get(pk=order.pk).state == "placed"
    with pytest.raises(services.NotDone, match="at least one"):
        receive(order)
    with pytest.raises(services.NotDone, match="one barcode"):
        receive(order, syringe(barcode="A"), syringe(barcode="A"))


def test_a_named_dose_may_go_back_and_one_drawn_here_may_not(day, order):
    one, two = make_booked(day, arrival_at=NOW), make_booked(day, arrival_at=NOW + timedelta(hours=2))
    batch = receive(order, syringe(appointment=one.appointment))
    dose = services.return_dose(batch.doses.get(), reason="Cancelled", at=LATER, now=LATER, by=BY)
    assert dose.state == "returned_to_supplier"
    drawn = services.assign(day.dose(), two.appointment, now=NOW, by=BY)
    with pytest.raises(services.NotDone, match="drawn here"):
        services.return_dose(drawn, reason="Cancelled", at=LATER, now=LATER, by=BY)


def test_at_the_vein_a_dose_for_nobody_yet_becomes_theirs_by_its_barcode(day, order):
    visit = make_booked(day, arrival_at=NOW)
    batch = accepted(receive(order, syringe()))
    dose = batch.doses.get()
    services.assign(dose, visit.appointment, match=Match(barcode=dose.container.barcode), now=NOW, by=BY)
    assert dose.state == "assigned" and dose.appointment == visit.appointment


def test_a_labels_name_is_the_persons_or_says_so():
    assert why_not_named("", "Testcase") == why_not_named("TESTCASE, Ann", "Testcase") == []
    assert why_not_named("Ann van den Berg", "Van den Berg") == []
    assert why_not_named("Bergman", "Berg") != []


def test_a_delivery_is_received_and_a_dose_assigned_on_pages(client, day, order):
    person = make_person(Role.RADIOPHARMACIST, day.made.provider)
    client.force_login(person, backend="django.contrib.auth.backends.ModelBackend")
    visit = make_booked(day, arrival_at=NOW)
    url = reverse("tracer:receive_doses", args=[order.pk])
    page = client.get(url).content.decode()
    assert page.count('name="s') and "Syringe 3" in page and "Syringe 4" not in page
    sent = {
        "rows": "3", "number": "U-7", "reference_at": "09:00", "expires_at": "15:00", "packages": "1",
        "transport_index": "0.2", "label": "II-YELLOW", "surface": "", "one_metre": "", "received_at": "now",
        "measured_at": "now", "instrument": "Calibrator 1",
        "s1-stated_mbq": "400", "s1-measured_mbq": "398", "s1-barcode": "U7-1", "s1-appointment": "",
        "s2-stated_mbq": "400", "s2-measured_mbq": "", "s2-labelled_for": "Nobody we know",
    }  # fmt: skip
    half = client.post(url, sent)
    assert half.status_code == 422 and not Dose.objects.exists()
    done = client.post(url, {**sent, "s2-measured_mbq": "402"}, follow=True).content.decode()
    assert "in quarantine" in done and "U7-1" in done and "Left in the vial" not in done
    first, second = Batch.objects.get(number="U-7").doses.order_by("pk")
    dose = reverse("tracer:dose", args=[first.pk])
    shown = client.get(dose).content.decode()
    assert "Stated by the supplier" in shown and "Whose is it?" in shown and "within ±" in shown
    client.post(dose, {"what": "assign", "assign-appointment": str(visit.appointment_id)})
    first.refresh_from_db()
    assert (first.state, first.appointment_id) == ("assigned", visit.appointment_id)
    assert "Nobody we know" in client.get(reverse("tracer:dose", args=[second.pk])).content.decode()
    again = client.post(url, {**sent, "number": "U-8", "s2-measured_mbq": "402", "s1-barcode": ""})
    assert again.status_code == 422 and b"fulfilled already" in again.content
    client.force_login(make_person(Role.REFERRER, day.made.trust), backend="django.contrib.auth.backends.ModelBackend")
    assert client.get(url).status_code == 403

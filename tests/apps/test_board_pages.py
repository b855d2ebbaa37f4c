"""The board and the hot lab through their pages: one tap, a deliberate match, and reasons in words."""

from datetime import timedelta

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from gantry.apps.audit.models import Event
from gantry.apps.radiopharmacy import services as radiopharmacy
from gantry.apps.radiopharmacy.models import Batch, Dose, SupplyRun, TracerOrder
from gantry.apps.scanning.models import Injection, StepDone, Visit
from gantry.domain.access import Role
from tests.apps.factories import NOW, make_network, make_person, make_run
from tests.apps.scan_day import Day, make_booked, make_day

pytestmark = pytest.mark.django_db


@pytest.fixture
def day(monkeypatch) -> Day:
    monkeypatch.setattr(timezone, "now", lambda: NOW + timedelta(minutes=20))
    return make_day()


def signed_in(person) -> Client:
    client = Client()
    client.force_login(person, backend="django.contrib.auth.backends.ModelBackend")
    return client


def at(name: str, *args) -> str:
    return reverse(name, args=args)


def tap(client: Client, visit: Visit, key: str, **more):
    return client.post(at("scanning:step", visit.pk, key), {"tap": "1", **more})


def test_the_board_shows_each_person_where_they_are_and_taps_move_them(day):
    visit, client = make_booked(day), signed_in(day.person)
    board = at("scanning:board", day.made.site.pk)
    page = client.get(board).content.decode()
    assert "TESTCASE" in page and "is here" in page and "fit today" in page and "needs" in page
    assert client.post(at("scanning:arrive", visit.pk)).url == board
    assert tap(client, visit, "identify").url == board
    assert StepDone.objects.get().key == "identify"
    assert "Glucose" in client.get(board).content.decode()
    live = client.get(board, headers={"HX-Request": "true", "HX-Target": "board-live"}).content.decode()
    assert "<html" not in live and "Last updated" in live
    again = client.post(at("scanning:step", visit.pk, "identify"), {"tap": "1"}, follow=True).content.decode()
    assert "was recorded by" in again and StepDone.objects.count() == 1


def test_a_measurement_is_typed_with_its_time_and_a_bad_one_keeps_what_was_typed(day):
    visit, client = make_booked(day), signed_in(day.person)
    client.post(at("scanning:arrive", visit.pk))
    page = at("scanning:step", visit.pk, "weigh")
    refused = client.post(page, {"weight_kg": "7o", "happened_at": "four minutes ago"})
    assert refused.status_code == 422 and b"7o" in refused.content and b"four minutes ago" in refused.content
    client.post(page, {"weight_kg": "70.5", "happened_at": "four minutes ago"})
    visit.refresh_from_db()
    assert visit.weight_kg == 70.5 and StepDone.objects.get().happened_at == NOW + timedelta(minutes=16)


def test_the_match_page_says_why_not_and_then_records_four_minutes_ago(day):
    visit, client = make_booked(day), signed_in(day.person)
    dose = day.dose()
    page = at("scanning:inject", visit.pk, "inject")
    sent = {"barcode": dose.container.barcode.lower(), "injected_at": "four minutes ago", "how": "ask"}
    refused = client.post(page, sent)
    said = refused.content.decode()
    assert refused.status_code == 422 and "Identity has not been checked" in said and "Override" in said
    assert not Injection.objects.exists()
    silent = client.post(page, {**sent, "refused": "1", "how": "override"})
    assert silent.status_code == 422 and "your name stands beside it" in silent.content.decode()
    client.post(at("scanning:arrive", visit.pk))
    for key in ("identify", "cannula"):
        tap(client, visit, key)
    client.post(at("scanning:step", visit.pk, "weigh"), {"weight_kg": "70", "happened_at": "now"})
    client.post(at("scanning:step", visit.pk, "glucose"), {"glucose_mmol_per_l": "5.4", "happened_at": "now"})
    Visit.objects.update(arrived_at=NOW)
    sent["injected_at"] = "now"
    dose = day.dose(at=NOW + timedelta(minutes=19))
    done = client.post(page, {**sent, "barcode": dose.container.barcode}, follow=True).content.decode()
    assert "Measure the residual" in done, done
    given = Injection.objects.get()
    assert given.match == "scan" and given.by == day.person and given.injected_at == NOW + timedelta(minutes=20)


def test_what_has_already_happened_is_recorded_from_the_same_page(day):
    visit, client = make_booked(day), signed_in(day.person)
    dose = day.dose()
    sent = {"barcode": dose.container.barcode, "injected_at": "now", "how": "happened", "refused": "1"}
    client.post(at("scanning:inject", visit.pk, "inject"), {**sent, "override_reason": ""})
    assert Injection.objects.get().breach and Event.objects.filter(kind="incident_opened").exists()


def test_a_persons_day_corrections_and_the_way_home(day):
    visit, client = make_booked(day), signed_in(day.person)
    client.post(at("scanning:arrive", visit.pk))
    tap(client, visit, "identify")
    done = StepDone.objects.get()
    page = at("scanning:correct", done.pk)
    assert client.post(page, {"happened_at": "09:05", "reason": ""}).status_code == 422
    client.post(page, {"happened_at": "09:05", "reason": "Tapped late"})
    assert StepDone.objects.get(current=True).happened_at == NOW + timedelta(minutes=5)
    shown = client.get(at("scanning:visit", visit.pk)).content.decode()
    assert "Identity check" in shown and "09:05" in shown
    away = at("scanning:leave", visit.pk)
    assert "Turned away" in client.get(away).content.decode()
    assert client.post(away, {"happened_at": "now", "cause": ""}).status_code == 422
    client.post(away, {"happened_at": "now", "cause": "hyperglycaemia", "note": "14.2"})
    visit.refresh_from_db()
    assert visit.state == "left" and Event.objects.get(kind="patient_turned_away").cause_code == "hyperglycaemia"


def test_a_scanner_is_tested_taken_out_and_restored(day):
    client = signed_in(day.person)
    page = at("scanning:scanner", day.made.site.pk, day.scanner.pk)
    assert b"Fit today" in client.get(page).content
    client.post(page, {"what": "fault", "state-cause": "scanner_failed", "state-at": "now", "state-note": "Motor"})
    assert b"Out of use since" in client.get(page).content
    client.post(page, {"what": "restore", "state-at": "now"})
    client.post(page, {"what": "test", "test-passed": "no", "test-at": "now"})
    assert b"Not fit" in client.get(page).content


def test_another_organisations_room_and_people_are_not_there(day):
    visit = make_booked(day)
    stranger = signed_in(make_person(Role.RADIOGRAPHER, make_network("RXX", "NXX").provider))
    for name, key in (("scanning:board", day.made.site.pk), ("scanning:visit", visit.pk)):
        assert stranger.get(at(name, key)).status_code == 404
    assert stranger.post(at("scanning:arrive", visit.pk)).status_code == 404
    assert stranger.get(at("tracer:batch", day.batch.pk)).status_code == 404
    assert stranger.get(at("tracer:today") + f"?site={day.made.site.pk}").status_code == 404
    referrer = signed_in(make_person(Role.REFERRER, day.made.trust))
    assert referrer.get(at("scanning:board", day.made.site.pk)).status_code == 403


def test_the_site_chosen_last_is_where_the_board_and_the_hot_lab_open(day):
    """A provider's radiographer works at several sites; whoever works at one is asked nothing."""
    make_booked(day)
    client, first, other = signed_in(day.person), day.made.site, day.made.other_site
    assert client.get("/").url == at("scanning:board", first.pk), "their employer's, while nothing was chosen"
    page = client.get(at("scanning:board", first.pk)).content.decode()
    assert other.name in page and 'action="/board/"' in page, "the switch stands on the board"
    moved = client.get(at("scanning:choose"), {"site": str(other.pk)})
    assert moved.url == at("scanning:board", other.pk)
    assert client.get(moved.url).status_code == 200
    assert client.get("/").url == client.get(at("scanning:choose")).url == at("scanning:board", other.pk)
    assert other.name in client.get(at("tracer:today")).content.decode().split("<main")[1].split("</h1>")[0]
    assert first.name in client.get(at("scanning:choose"), {"all": "1"}).content.decode()
    for nobody_s in (make_network("RXX", "NXX").site.pk, "x"):
        assert client.get(at("scanning:choose"), {"site": str(nobody_s)}).status_code == 404


def test_nobody_is_sent_to_a_hot_lab_that_they_may_not_open(day):
    board, lab = at("scanning:board", day.made.site.pk), at("tracer:today")
    assert lab in signed_in(day.person).get(board).content.decode()
    manager = signed_in(make_person(Role.MANAGER, day.made.provider))
    assert lab not in manager.get(board).content.decode()
    assert manager.get(lab).status_code == 403


def test_a_hot_lab_with_nothing_in_it_draws_no_empty_chart(day):
    make_booked(day)
    lab = at("tracer:today") + f"?site={day.made.site.pk}"
    client = signed_in(day.person)
    assert "<svg" in client.get(lab).content.decode()
    radiopharmacy.spend_batch(day.batch, at=NOW + timedelta(minutes=20), now=NOW + timedelta(minutes=20), by=day.by)
    assert "<svg" not in client.get(lab).content.decode()


def test_a_batch_goes_from_order_to_dose_through_the_pages(day):
    pharmacist = make_person(Role.RADIOPHARMACIST, day.made.provider)
    client = signed_in(pharmacist)
    run = make_run(day.made, due_at=NOW + timedelta(days=1))
    shown = client.get(at("tracer:order", run.pk)).content.decode()
    assert "What is asked of this run" in shown
    client.post(at("tracer:order", run.pk), {"activity_mbq": "6000", "patients": "6"})
    order = TracerOrder.objects.get(run=run)
    client.post(at("tracer:one_order", order.pk), {"what": "confirm", "confirm-supplier_reference": "S-77"})
    received = {
        "number": "B-77",
        "stated_mbq": "6000",
        "reference_at": "09:00",
        "expires_at": "19:00",
        "volume_ml": "10",
        "packages": "1",
        "transport_index": "0.4",
        "label": "II-YELLOW",
        "received_at": "now",
        "measured_mbq": "5200",
        "measured_at": "now",
        "instrument": "Calibrator 1",
        "barcode": "",
    }
    refused = client.post(at("tracer:receive", order.pk), {**received, "number": day.batch.number})
    assert refused.status_code == 422 and b"has been received already" in refused.content
    client.post(at("tracer:receive", order.pk), received)
    batch = Batch.objects.get(number="B-77")
    page = at("tracer:batch", batch.pk)
    early = client.post(page, {"what": "accept"})
    assert early.status_code == 422 and b"release has to be recorded first" in early.content
    release = {"what": "release", "release-released_by": pharmacist.name, "release-released_at": "now"}
    client.post(page, release)
    same = client.post(page, {"what": "accept"})
    assert same.status_code == 422 and b"cannot also accept" in same.content
    signed_in(make_person(Role.PHYSICIST, day.made.provider)).post(page, {"what": "accept"})
    batch.refresh_from_db()
    assert batch.state == "accepted"
    visit = make_booked(day, arrival_at=NOW + timedelta(minutes=30))
    draw = at("tracer:draw", batch.pk)
    assert "TESTCASE" in client.get(draw).content.decode()
    drawn = {"activity_mbq": "290", "at": "now", "volume_ml": "0.5", "instrument": "Calibrator 1", "barcode": ""}
    too_much = client.post(draw, {**drawn, "activity_mbq": "9000"})
    assert too_much.status_code == 422 and b"Impossible concentration" in too_much.content
    client.post(draw, {**drawn, "appointment": str(visit.appointment_id)})
    dose = Dose.objects.get(batch=batch)
    assert dose.appointment_id == visit.appointment_id
    label = client.get(at("tracer:label", dose.pk)).content.decode()
    assert "<rect" in label and dose.container.barcode in label and "RADIOACTIVE" in label
    one = at("tracer:dose", dose.pk)
    assert client.post(one, {"what": "waste", "waste-cause": "", "waste-at": "now"}).status_code == 422
    client.post(one, {"what": "waste", "waste-cause": "unwell", "waste-at": "now", "waste-note": ""})
    assert Dose.objects.get(batch=batch).state == "wasted"
    today = client.get(at("tracer:today")).content.decode()
    assert "B-77" in today and "by the hour" in today and "<svg" in today
    lost = {"what": "lose", "lose-cause": "batch_failed", "lose-note": "Sterility"}
    client.post(page, lost)
    shown = client.get(page).content.decode()
    assert "Not to be used" in shown and "Where it went" in shown


def test_a_residual_is_measured_on_the_doses_page(day):
    client = signed_in(day.person)
    visit = make_booked(day)
    dose = day.dose()
    radiopharmacy.assign(dose, visit.appointment, now=NOW, by=day.by)
    radiopharmacy.administer(dose, injected_at=NOW + timedelta(minutes=5), now=NOW, by=day.by)
    page = at("tracer:dose", dose.pk)
    sent = {"what": "residual", "left-activity_mbq": "4.2", "left-at": "now", "left-instrument": "Calibrator 1"}
    done = client.post(page, sent, follow=True).content.decode()
    dose.refresh_from_db()
    assert dose.residual_mbq == 4.2 and f"{dose.net_mbq:.1f} MBq" in done and "Net given" in done


def test_an_order_that_fails_lists_whom_it_leaves_without(day):
    client = signed_in(make_person(Role.RADIOPHARMACIST, day.made.provider))
    run = SupplyRun.objects.get()
    order = radiopharmacy.place_order(run, activity_mbq=500, patients=1, now=run.cut_off_at, by=day.by)
    sent = {"what": "fail", "loss-cause": "batch_failed", "loss-note": ""}
    assert "Appointments without activity: 0" in client.post(
        at("tracer:one_order", order.pk), sent, follow=True
    ).content.decode()  # fmt: skip
    order.refresh_from_db()
    assert order.state == "failed"

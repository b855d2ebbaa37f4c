"""Orders, deliveries and doses: what may be done, what is always recorded, and that every MBq is accounted for."""

from datetime import timedelta
from math import isclose

import pytest
from django.utils import timezone

from gantry.apps.audit.models import Event
from gantry.apps.audit.services import Stale
from gantry.apps.estate.models import ActivityAllotment
from gantry.apps.radiopharmacy import services
from gantry.apps.radiopharmacy.barcodes import code_128
from gantry.apps.radiopharmacy.jobs import close_runs
from gantry.apps.radiopharmacy.models import Batch, Dose, TracerOrder, WasteItem
from gantry.apps.radiopharmacy.services.allotments import allot
from gantry.domain.events import Cause, CauseCode, Initiator, system
from gantry.domain.lifecycle import IllegalMove
from gantry.reference.nuclides import F18
from tests.apps.factories import NOW, make_batch, make_network, make_run

pytestmark = pytest.mark.django_db
BY = system("tests")
LOST = Cause(CauseCode.BATCH_FAILED, Initiator.SUPPLIER, note="Filter integrity")


def kinds(row) -> list[str]:
    return list(Event.objects.filter(subjects__contains=[row.pk]).order_by("pk").values_list("kind", flat=True))


def draw(batch, mbq=300.0, *, at=NOW, **more) -> Dose:
    return services.draw(batch, activity_mbq=mbq, at=at, instrument="Calibrator 1", now=at, by=BY, **more)


def test_a_run_may_be_promised_to_its_capacity_and_after_the_cut_off_only_to_what_was_ordered():
    run = make_run(make_network(), capacity_mbq=20_000)
    allotment = ActivityAllotment.objects.get(supply_run=run.pk)
    assert (allotment.total_mbq, allotment.free_mbq) == (20_000, 20_000)
    assert allotment.usable_from > run.due_at
    services.place_order(run, activity_mbq=8_000, patients=8, now=run.cut_off_at, by=BY)
    ActivityAllotment.objects.filter(pk=allotment.pk).update(free_mbq=14_000)
    assert services.close_run(run, now=run.cut_off_at, by=BY).data["ordered_mbq"] == 8_000
    allotment.refresh_from_db()
    assert (allotment.total_mbq, allotment.free_mbq) == (8_000, 2_000)
    assert services.close_run(run, now=run.cut_off_at, by=BY) is None


def test_what_is_promised_stays_promised_when_less_is_ordered():
    run = make_run(make_network())
    ActivityAllotment.objects.update(free_mbq=5_000)
    services.place_order(run, activity_mbq=9_000, patients=8, now=run.cut_off_at, by=BY)
    said = services.close_run(run, now=run.cut_off_at, by=BY).data
    assert said["promised_mbq"] == 15_000 and ActivityAllotment.objects.get().free_mbq == 0


def test_an_order_after_the_cut_off_or_beyond_the_run_says_why_not():
    run = make_run(make_network(), capacity_mbq=1_000)
    with pytest.raises(services.NotDone) as refused:
        services.place_order(run, activity_mbq=2_000, patients=1, now=NOW, by=BY)
    assert len(refused.value.reasons) == 2 and "cut-off" in refused.value.reasons[0]
    assert not TracerOrder.objects.exists() and not Event.objects.filter(kind="order_placed").exists()


def test_a_delivery_is_compared_with_what_was_expected_at_the_measuring_instant():
    run = make_run(make_network())
    batch = make_batch(run, accepted=False, measured_mbq=9_500)
    delivery = batch.deliveries.get()
    assert delivery.expected_mbq == 10_000
    assert batch.state == "received" and batch.order.state == "fulfilled"
    assert batch.containers.get().assays.get().purpose == "receipt"
    assert isclose(ActivityAllotment.objects.get().total_mbq, 9_500)
    assert kinds(batch) == ["delivery_received"]


def test_two_releases_by_two_people():
    batch = make_batch(make_run(make_network()), accepted=False)
    with pytest.raises(services.NotDone):
        services.accept_batch(batch, now=NOW, by=BY)
    services.release_batch(batch, released_by="TESTS", released_at=NOW, now=NOW, by=BY)
    with pytest.raises(services.NotDone) as refused:
        services.accept_batch(batch, now=NOW, by=BY)
    assert refused.value.reasons == ["The person who released the batch cannot also accept it"]
    services.accept_batch(batch, now=NOW, by=system("somebody else"))
    assert Batch.objects.get().accepted_by == "somebody else"
    assert kinds(batch) == ["delivery_received", "batch_released", "batch_accepted"]


def test_an_activity_out_of_tolerance_is_accepted_only_with_a_reason():
    batch = make_batch(make_run(make_network()), accepted=False, measured_mbq=8_000)
    services.release_batch(batch, released_by="Quinn Person", released_at=NOW, now=NOW, by=BY)
    with pytest.raises(services.NotDone) as refused:
        services.accept_batch(batch, now=NOW, by=BY)
    assert "20.0 % less than expected" in refused.value.reasons[0]
    services.accept_batch(batch, now=NOW, by=BY, despite="Enough for the morning; supplier told")
    assert Event.objects.get(kind="batch_accepted").data["despite"].startswith("Enough")


def test_nothing_is_drawn_from_a_batch_in_quarantine_but_what_was_drawn_is_recorded_as_a_breach():
    batch = make_batch(make_run(make_network()), accepted=False)
    with pytest.raises(services.NotDone) as refused:
        draw(batch)
    assert "not accepted for use" in refused.value.reasons[0] and not Dose.objects.exists()
    dose = draw(batch, already_happened=True)
    assert kinds(dose)[:2] == ["dose_drawn", "breach_recorded"]


def test_no_more_is_drawn_than_can_be_left():
    batch = make_batch(make_run(make_network()))
    draw(batch, 9_000)
    with pytest.raises(services.NotDone) as refused:
        draw(batch, 2_000)
    assert "1,000 MBq left" in refused.value.reasons[0]


def test_what_is_left_decays_and_every_draw_is_taken_at_its_own_instant():
    made = make_network()
    batch = make_batch(make_run(made))
    later = NOW + F18.half_life
    draw(batch, 4_000)
    draw(batch, 1_000, at=later)
    assert isclose(services.left_in(Batch.objects.get(), later), 2_000)
    assert isclose(services.activity_left(made.site, "FDG", at=later), 2_000)
    assert isclose(services.activity_left(made.site, "FDG-BRAIN", at=later), 2_000)
    assert services.activity_left(made.site, "NAF", at=later) == 0
    assert services.activity_left(made.site, "FDG", at=batch.expires_at) == 0


def test_a_wasted_dose_keeps_its_cause_and_does_not_go_back():
    batch = make_batch(make_run(make_network()))
    dose = draw(batch)
    services.waste(
        dose, cause=Cause(CauseCode.DID_NOT_ATTEND, Initiator.PATIENT), at=NOW + F18.half_life, now=NOW, by=BY
    )
    assert isclose(WasteItem.objects.get().activity_mbq, 150)
    assert isclose(services.left_in(Batch.objects.get(), NOW), 9_700)
    with pytest.raises(IllegalMove):
        services.waste(dose, cause=LOST, at=NOW, now=NOW, by=BY)


def test_a_stale_row_says_who_moved_it():
    batch = make_batch(make_run(make_network()), accepted=False)
    stale = Batch.objects.get()
    services.release_batch(batch, released_by="Quinn Person", released_at=NOW, now=NOW, by=BY)
    with pytest.raises(Stale) as raised:
        services.fail_batch(stale, cause=LOST, now=NOW, by=BY)
    assert raised.value.last.kind == "batch_released"


def test_a_failed_batch_is_a_root_event_and_nothing_of_the_run_is_promised_again():
    run = make_run(make_network())
    batch = make_batch(run, accepted=False)
    event = services.fail_batch(batch, cause=LOST, now=NOW, by=BY)
    assert (event.kind, event.cause_code, event.cause_initiator) == ("batch_failed", "batch_failed", "supplier")
    allotment = ActivityAllotment.objects.get()
    assert allotment.free_mbq == 0 and allotment.usable_to < allotment.usable_from
    assert services.activity_left(run.site, "FDG", at=NOW) == 0
    again = allot(run, 4_000)
    assert again.free_mbq == 4_000 and again.usable_to > again.usable_from, "a run that is ordered again opens again"


def test_a_batch_in_use_that_fails_is_recalled():
    batch = make_batch(make_run(make_network()))
    assert services.fail_batch(batch, cause=LOST, now=NOW, by=BY).kind == "batch_recalled"
    assert Batch.objects.get().state == "recalled"


def test_an_order_that_fails_before_it_is_made_leaves_the_other_order():
    run = make_run(make_network())
    at = run.cut_off_at
    first = services.place_order(run, activity_mbq=5_000, patients=5, now=at, by=BY)
    services.place_order(run, activity_mbq=4_000, patients=4, now=at, by=BY)
    event = services.fail_order(first, cause=LOST, now=NOW, by=BY)
    assert event.kind == "order_failed" and event.data["remaining_mbq"] == 4_000
    assert ActivityAllotment.objects.get().total_mbq == 4_000


def test_a_batch_balances_to_the_last_becquerel():
    """Invariant 4, at one instant, for doses given, wasted, waiting and a remainder poured away."""
    batch = make_batch(make_run(make_network()))
    draw(batch, 400)
    services.waste(draw(batch, 300), cause=LOST, at=NOW, now=NOW, by=BY)
    later = NOW + timedelta(hours=3)
    balance = services.balance(Batch.objects.get(), at=later)
    assert isclose(balance.unexplained_mbq, 0, abs_tol=1e-6) and balance.left_mbq > 0
    services.spend_batch(batch, at=later, now=later, by=BY)
    closed = services.balance(Batch.objects.get(), at=later)
    assert isclose(closed.unexplained_mbq, 0, abs_tol=1e-6) and closed.left_mbq == 0
    assert isclose(closed.wasted_mbq, balance.wasted_mbq + balance.left_mbq)


def test_the_job_closes_each_run_that_passed_its_cut_off_once(monkeypatch):
    monkeypatch.setattr(timezone, "now", lambda: NOW)
    made = make_network()
    closed, open_run = make_run(made), make_run(made, due_at=NOW + timedelta(days=2))
    unwanted = make_run(made, due_at=NOW + timedelta(hours=1))
    services.place_order(closed, activity_mbq=8_000, patients=8, now=closed.cut_off_at, by=BY)
    for _ in range(2):
        close_runs(timestamp=0)
    assert kinds(closed) == ["order_placed", "order_cut_off"] and kinds(open_run) == []
    assert kinds(unwanted) == [], "nobody ordered and nobody was promised: nothing happened"
    allotment = ActivityAllotment.objects.get(supply_run=unwanted.pk)
    assert (allotment.total_mbq, allotment.free_mbq) == (0, 0)


def test_a_cut_off_with_a_promise_and_no_order_is_told():
    run = make_run(make_network())
    ActivityAllotment.objects.update(free_mbq=5_000)
    said = services.close_run(run, now=run.cut_off_at, by=BY).data
    assert (said["ordered_mbq"], said["promised_mbq"]) == (0, 15_000)


def test_a_barcode_is_drawn_with_its_quiet_zones():
    """Start, two letters and check of 11 modules each, the stop of 13, and 10 of white on each side."""
    assert f'viewBox="0 0 {10 + 11 * (1 + 2 + 1) + 13 + 10} 40"' in code_128("AB")
    with pytest.raises(ValueError):
        code_128("é")

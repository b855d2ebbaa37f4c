"""However a vial ends, what was left in it is in the book: expired on the minute, failed, rejected, recalled, and told late."""

from datetime import timedelta
from math import isclose

import pytest
from django.utils import timezone

from gantry.apps.audit.models import Event
from gantry.apps.radiopharmacy import jobs, services
from gantry.apps.radiopharmacy.models import Batch, Dose, Investigation, WasteItem
from gantry.apps.radiopharmacy.services import expire_due
from gantry.apps.radiopharmacy.services.stock import left_in
from gantry.domain.events import Cause, CauseCode, Initiator, system
from gantry.domain.ledger import Way
from gantry.reference.nuclides import F18
from tests.apps.factories import NOW, make_batch, make_network, make_run

pytestmark = pytest.mark.django_db
BY = system("tests")
MINUTE = timedelta(minutes=1)
FAILED = Cause(CauseCode.BATCH_FAILED_QC, Initiator.SUPPLIER, note="Filter integrity")
OURS = Cause(CauseCode.HOT_LAB_FAILED, Initiator.PROVIDER)


def a_batch(**more) -> Batch:
    return make_batch(make_run(make_network()), **more)


def fresh(batch) -> Batch:
    return Batch.objects.get(pk=batch.pk)


def draw(batch, mbq=300.0, *, at=NOW, **more) -> Dose:
    return services.draw(
        fresh(batch), activity_mbq=mbq, at=at, instrument="Calibrator 1", now=more.pop("now", at), by=BY, **more
    )  # fmt: skip


def adds_up(batch, at) -> bool:
    whole = services.statement(fresh(batch), at=at)
    return isclose(whole.in_mbq, whole.out_mbq + whole.left_mbq, rel_tol=1e-7, abs_tol=1e-7) and whole.within


def empty(batch, at) -> bool:
    vial = services.vial_statement(fresh(batch), at=at)
    return isclose(vial.left_mbq, 0, abs_tol=1e-6) and isclose(left_in(fresh(batch), at), 0, abs_tol=1e-6)


# Expiry


@pytest.mark.parametrize("accepted", [True, False])
def test_a_batch_past_its_expiry_is_expired_without_anybody_opening_a_page(accepted, monkeypatch):
    """One that waited in quarantine runs out as well."""
    batch = a_batch(accepted=accepted)
    if accepted:
        draw(batch)
    monkeypatch.setattr(timezone, "now", lambda: batch.expires_at - MINUTE)
    jobs.expire_batches(0)
    assert fresh(batch).state == batch.state
    after = batch.expires_at + MINUTE
    monkeypatch.setattr(timezone, "now", lambda: after)
    jobs.expire_batches(0)
    jobs.expire_batches(0)
    assert fresh(batch).state == "expired"
    (item,) = WasteItem.objects.all()
    left = 10_000 - (300 / 0.5 ** ((batch.deliveries.get().measured_at - NOW) / F18.half_life) if accepted else 0)
    wanted = 0.5 ** ((after - batch.deliveries.get().measured_at) / F18.half_life) * left
    assert item.cause_code == "expired" and (isclose(item.activity_mbq, wanted, rel_tol=1e-6))
    assert empty(batch, after) and adds_up(batch, after)
    event = Event.objects.get(kind="batch_expired")
    assert event.by == "system:tracer clock" and event.happened_at == batch.expires_at


def test_a_vial_that_never_came_does_not_expire():
    made = make_network()
    sent = services.transfer(
        make_batch(make_run(made)), services.Reading(500, NOW, "Calibrator 1"), to=made.other_site, now=NOW, by=BY
    )
    assert expire_due(now=sent.expires_at + MINUTE, by=BY) == 1
    assert fresh(sent).state == "expected"


def test_one_that_somebody_was_quicker_with_does_not_stop_the_others():
    one, other = a_batch(), make_batch(make_run(make_network("RXX", "NXX")))
    services.spend_batch(one, at=NOW, now=NOW, by=BY)
    assert expire_due(now=other.expires_at + MINUTE, by=BY) == 1
    assert (fresh(one).state, fresh(other).state) == ("spent", "expired")


def test_a_dose_drawn_before_the_expiry_and_written_down_after_it_was_good_and_the_waste_is_put_right():
    batch = a_batch()
    before, after = batch.expires_at - 5 * MINUTE, batch.expires_at + 5 * MINUTE
    expire_due(now=after, by=BY)
    first = WasteItem.objects.get().activity_mbq
    dose = draw(batch, 30, at=before, now=after)
    assert dose.drawn_mbq == 30 and not Event.objects.filter(kind="breach_recorded").exists()
    taken = 30 * 0.5 ** ((after - before) / F18.half_life)
    assert isclose(WasteItem.objects.get().activity_mbq, first - taken, rel_tol=1e-6)
    assert adds_up(batch, after) and empty(batch, after) and not Investigation.objects.exists()
    assert (
        len(next(line for line in services.statement(fresh(batch), at=after).out if line.way is Way.WASTED).entries)
        == 1
    )


def test_a_spill_remembered_after_the_vial_was_closed_leaves_less_to_have_been_wasted():
    batch = a_batch()
    services.spend_batch(batch, at=NOW + 60 * MINUTE, now=NOW + 60 * MINUTE, by=BY)
    services.spill(
        fresh(batch), services.Reading(50, NOW, "Calibrator 1"), where="Bench", now=NOW + 90 * MINUTE, by=BY
    )  # fmt: skip
    assert adds_up(batch, NOW + 90 * MINUTE) and empty(batch, NOW + 90 * MINUTE)
    assert not Investigation.objects.exists()


def test_what_is_told_late_twice_is_put_right_twice():
    batch = a_batch()
    expire_due(now=batch.expires_at, by=BY)
    for minutes in (30, 20):
        at = batch.expires_at - minutes * MINUTE
        services.spill(
            fresh(batch), services.Reading(5, at, "Calibrator 1"), where="Bench", now=batch.expires_at, by=BY
        )
        assert adds_up(batch, batch.expires_at) and empty(batch, batch.expires_at)


def test_an_empty_vial_that_is_counted_does_not_take_back_what_was_thrown_away():
    batch = a_batch()
    expire_due(now=batch.expires_at, by=BY)
    before = WasteItem.objects.get().activity_mbq
    at = batch.expires_at + MINUTE
    assert services.count_vial(fresh(batch), services.Reading(0, at, "Calibrator 1"), now=at, by=BY) is None
    assert WasteItem.objects.get().activity_mbq == before and adds_up(batch, at)


def test_what_was_measured_when_the_vial_was_closed_is_not_changed_by_what_is_told_later():
    batch = a_batch()
    services.spend_batch(batch, activity_mbq=9_000, at=NOW, instrument="Calibrator 1", now=NOW, by=BY)
    before = WasteItem.objects.get().activity_mbq
    services.spill(fresh(batch), services.Reading(20, NOW - MINUTE, "Calibrator 1"), where="Bench", now=NOW, by=BY)
    assert WasteItem.objects.get().activity_mbq == before


# Lost


def rejected(batch):
    return services.reject_batch(batch, cause=FAILED, now=NOW, by=BY)


def failed(batch):
    return services.fail_batch(batch, cause=FAILED, now=NOW, by=BY)


def recalled(batch):
    return services.recall_batch(batch, cause=FAILED, now=NOW, by=BY)


@pytest.mark.parametrize(("accepted", "lose"), [(False, rejected), (False, failed), (True, failed), (True, recalled)])
def test_what_was_in_a_lost_vial_is_wasted_by_its_cause_at_the_suppliers_cost(accepted, lose):
    batch = a_batch(accepted=accepted)
    if accepted:
        draw(batch)
    before = left_in(fresh(batch), NOW)
    event = lose(batch)
    assert isclose(event.data["wasted_mbq"], before)
    assert empty(batch, NOW) and adds_up(batch, NOW + 60 * MINUTE)
    (line,) = services.waste_by_cause(batch.site, first=NOW - MINUTE, end=NOW + MINUTE)
    assert (line.cause, line.pays, line.items) == ("batch_failed_qc", "supplier", 1)
    assert isclose(line.activity_mbq, before)
    (stored,) = services.decay_store(batch.site, at=NOW)
    assert stored.entry.way == "wasted"


def test_what_we_broke_ourselves_we_pay_for():
    services.fail_batch(batch := a_batch(), cause=OURS, now=NOW, by=BY)
    assert [line.pays for line in services.waste_by_cause(batch.site, first=NOW - MINUTE, end=NOW + MINUTE)] == [
        "provider"
    ]


def test_a_vial_that_was_lost_on_its_way_posts_nothing():
    made = make_network()
    sent = services.transfer(
        make_batch(make_run(made)), services.Reading(500, NOW, "Calibrator 1"), to=made.other_site, now=NOW, by=BY
    )
    services.fail_batch(sent, cause=FAILED, now=NOW, by=BY)
    assert not WasteItem.objects.exists() and not sent.entries.exists()


def test_a_recall_after_the_vial_was_closed_wastes_nothing_twice():
    batch = a_batch()
    services.spend_batch(batch, activity_mbq=9_000, at=NOW, instrument="Calibrator 1", now=NOW, by=BY)
    recalled(fresh(batch))
    assert WasteItem.objects.count() == 1


def test_a_rejected_vial_that_goes_back_is_not_in_the_decay_store():
    batch = a_batch(accepted=False)
    rejected(batch)
    at = NOW + 30 * MINUTE
    whole = services.statement(fresh(batch), at=at).of(Way.WASTED)
    services.send_back(fresh(batch), services.Reading(whole, at, "Calibrator 1"), reason="Rejected", now=at, by=BY)
    assert adds_up(batch, at) and isclose(services.held_mbq(batch.site, F18, at=at), 0, abs_tol=1e-6)
    assert not Investigation.objects.exists()

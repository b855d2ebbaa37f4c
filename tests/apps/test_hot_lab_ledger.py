"""Every act of the hot lab is in the ledger; tests, permits and doubts stop authorising and never recording."""

from datetime import date, timedelta
from math import isclose

import pytest
from django.db import DatabaseError, transaction

from gantry.apps.audit.models import Event
from gantry.apps.estate.models import ActivityAllotment, Device
from gantry.apps.estate.services import add_device, record_instrument_test, why_not_measured_with
from gantry.apps.radiopharmacy import services
from gantry.apps.radiopharmacy.models import Batch, Dose, Investigation, LedgerEntry, Permit, SupplyRun, WasteItem
from gantry.apps.radiopharmacy.services.doses import volume_left
from gantry.apps.radiopharmacy.services.permits import sewer_with
from gantry.apps.radiopharmacy.services.stock import left_in
from gantry.domain.events import Cause, CauseCode, Initiator, system
from gantry.domain.instrument import DeviceKind, TestKind
from gantry.domain.ledger import Way, balance, investigation
from gantry.domain.supply import DoseState
from gantry.reference.nuclides import F18, GA68
from tests.apps.factories import NOW, make_batch, make_bookable, make_booked_appointment, make_network, make_run

pytestmark = pytest.mark.django_db
BY = system("tests")
LOST = Cause(CauseCode.BATCH_FAILED, Initiator.SUPPLIER, note="Filter integrity")
MINUTE = timedelta(minutes=1)


def a_batch(**more) -> Batch:
    return make_batch(make_run(make_network()), **more)


def draw(batch, mbq=300.0, *, at=NOW, **more) -> Dose:
    return services.draw(batch, activity_mbq=mbq, at=at, instrument="Calibrator 1", now=at, by=BY, **more)


def fresh(batch) -> Batch:
    return Batch.objects.get(pk=batch.pk)


def ways(batch) -> list[str]:
    return list(LedgerEntry.objects.filter(batch=batch).order_by("pk").values_list("way", flat=True))


def reading(mbq, *, at=NOW, ml=None) -> services.Reading:
    return services.Reading(mbq, at, "Calibrator 1", ml)


def given(dose, at=NOW + 10 * MINUTE) -> Dose:
    """Given without a visit: what the ledger sees of an injection."""
    Dose.objects.filter(pk=dose.pk).update(state=DoseState.ASSIGNED)
    dose.refresh_from_db()
    services.administer(dose, injected_at=at, now=at, by=BY)
    return dose


def test_every_act_is_in_the_ledger_and_the_batch_adds_up_to_the_last_becquerel():
    batch = a_batch()
    dose = given(draw(batch))
    services.assay_residual(
        dose, activity_mbq=6, at=NOW + 25 * MINUTE, instrument="Calibrator 1", now=NOW + 25 * MINUTE, by=BY
    )
    services.waste(draw(batch, 400), cause=LOST, at=NOW + 30 * MINUTE, now=NOW + 30 * MINUTE, by=BY)
    services.return_dose(draw(batch, 100), reason="Not needed", at=NOW, now=NOW, by=BY)
    services.spill(batch, reading(20), where="Bench", now=NOW, by=BY)
    services.sample(batch, reading(5), now=NOW, by=BY)
    services.send_back(batch, reading(50), reason="Short day", now=NOW, by=BY)
    later = NOW + timedelta(hours=3)
    before = services.statement(fresh(batch), at=later)
    assert isclose(before.in_mbq, before.out_mbq + before.left_mbq, rel_tol=1e-9)
    assert isclose(before.of(Way.ADMINISTERED), 0.5 ** ((later - dose.injected_at) / F18.half_life) * dose.net_mbq)
    assert isclose(left_in(fresh(batch), later), services.vial_statement(fresh(batch), at=later).left_mbq)
    services.spend_batch(batch, at=later, now=later, by=BY)
    closed = services.statement(fresh(batch), at=later)
    assert isclose(closed.left_mbq, 0, abs_tol=1e-6) and closed.within
    assert isclose(services.balance(fresh(batch), at=later).unexplained_mbq, 0, abs_tol=1e-6)
    assert ways(batch) == [
        "received", "drawn", "administered", "administered", "residual", "drawn", "wasted", "drawn", "returned", "spilt",
        "sampled", "returned", "wasted",
    ]  # fmt: skip


def test_the_ledger_is_never_edited():
    entry = a_batch().entries.get()
    for change in (lambda: LedgerEntry.objects.update(activity_mbq=1), entry.delete):
        with pytest.raises(DatabaseError), transaction.atomic():
            change()


def test_a_residual_measured_again_and_a_corrected_time_replace_what_was_written():
    batch = a_batch()
    dose = given(draw(batch))
    for mbq in (6, 8):
        services.assay_residual(
            dose, activity_mbq=mbq, at=NOW + 25 * MINUTE, instrument="Calibrator 1", now=NOW + 25 * MINUTE, by=BY
        )
    services.retime(dose, injected_at=NOW + 12 * MINUTE)
    said = services.statement(fresh(batch), at=NOW + 60 * MINUTE)
    assert len(next(line for line in said.out if line.way is Way.ADMINISTERED).entries) == 1
    assert isclose(said.in_mbq, said.out_mbq + said.left_mbq, rel_tol=1e-9)


def test_a_count_that_the_instruments_cannot_explain_is_asked_about_by_name():
    batch = a_batch()
    draw(batch)
    assert services.count_vial(batch, reading(9_650), now=NOW, by=BY) is None
    asked = services.count_vial(batch, reading(9_000, at=NOW + MINUTE), now=NOW + MINUTE, by=BY)
    assert asked is not None and asked.kind == "balance_queried" and len(asked.data["entries"]) == 3
    assert investigation(services.vial_statement(fresh(batch), at=NOW + MINUTE)) is not None


def test_closing_a_vial_by_a_measurement_closes_its_book():
    batch = a_batch()
    services.spend_batch(batch, activity_mbq=9_900, at=NOW, instrument="Calibrator 1", now=NOW, by=BY)
    said = services.statement(fresh(batch), at=NOW + 60 * MINUTE)
    assert isclose(said.left_mbq, 0, abs_tol=1e-6) and said.within and said.difference_mbq > 0


def test_more_spilt_than_the_vial_held_is_recorded_and_is_a_breach():
    batch = a_batch()
    services.spill(batch, reading(20_000), where="Floor", now=NOW, by=BY)
    assert Event.objects.filter(kind="breach_recorded", subjects__contains=[batch.pk]).exists()
    assert investigation(balance(services.entries_of(fresh(batch)), NOW)) is not None


def test_part_of_a_batch_sent_to_another_site_is_out_here_and_in_there():
    made = make_network()
    batch = make_batch(make_run(made))
    sent = services.transfer(batch, reading(2_000, ml=2.0), to=made.other_site, now=NOW, by=BY)
    assert sent.state == "expected" and isclose(left_in(fresh(batch), NOW), 8_000)
    at = NOW + 40 * MINUTE
    facts = services.DeliveryFacts(
        batch.number, 2_000, NOW, batch.expires_at, 1_550, at, "Calibrator 1", at, volume_ml=2.0
    )  # fmt: skip
    services.receive_transfer(sent, facts, now=at, by=BY)
    assert ways(sent) == ["transferred_in"] and isclose(left_in(fresh(sent), at), 1_550)
    with pytest.raises(services.NotDone):
        services.transfer(batch, reading(100), to=made.other_site, now=NOW, by=BY)


def test_a_recall_after_use_names_every_patient_at_every_site():
    made = make_network()
    make_bookable(made)
    appointment = make_booked_appointment(made)
    batch = make_batch(make_run(made))
    dose = draw(batch)
    Dose.objects.filter(pk=dose.pk).update(appointment=appointment)
    given(dose)
    services.spend_batch(batch, at=NOW, now=NOW, by=BY)
    services.recall_batch(batch, cause=LOST, now=NOW, by=BY)
    (who,) = services.recipients(batch)
    assert who.patient == appointment.referral.patient_id and who.net_mbq > 200


# What stops authorising


def test_an_implausible_syringe_is_stopped_by_name_overridden_by_name_and_recorded_as_it_was():
    batch = a_batch()
    for mbq, ml, named in ((300_000.0, 0.3, "kBq typed"), (205.4, 0.3, "clock wrong"), (300.0, 2.0, "concentration")):
        with pytest.raises(services.NotDone) as refused:
            draw(batch, mbq, volume_ml=ml)
        assert any(named.casefold() in reason.casefold() for reason in refused.value.reasons)
    assert refused.value.may_override and not Dose.objects.exists()
    dose = draw(batch, 300, volume_ml=2.0, override_reason="New syringes, printed scale is wrong")
    breach = Event.objects.get(kind="breach_recorded", subjects__contains=[dose.pk])
    assert breach.data["override"].startswith("New syringes") and "concentration" in breach.data["reasons"][0]
    draw(batch, 300, volume_ml=2.0, already_happened=True)


def test_a_calibrator_set_to_another_nuclide_is_stopped_by_name_at_the_draw_and_named_at_the_residual():
    batch = a_batch()
    with pytest.raises(services.NotDone) as refused:
        draw(batch, nuclide=GA68)
    assert refused.value.reasons == ["Wrong nuclide: the calibrator was set to Ga-68, the vial holds F-18"]
    assert refused.value.may_override and not Dose.objects.exists()
    dose = draw(batch, nuclide=GA68, override_reason="Chart of the two settings used, second reading agrees")
    breach = Event.objects.get(kind="breach_recorded", subjects__contains=[dose.pk])
    assert breach.data["override"].startswith("Chart") and "Wrong nuclide" in breach.data["reasons"][0]
    at = NOW + 20 * MINUTE
    services.assay_residual(
        given(draw(batch)), activity_mbq=6, at=at, instrument="Calibrator 1", now=at, by=BY, nuclide=GA68
    )
    last = Event.objects.filter(kind="breach_recorded").latest("pk").data
    assert last["act"] == "residual" and last["reasons"][0].startswith("Wrong nuclide: ")


def test_more_than_the_vial_can_hold_is_stopped_overridden_by_name_and_asked_about():
    """A vial whose book is wrong does not keep an urgent dose from somebody: the book is asked about instead."""
    batch = a_batch()
    with pytest.raises(services.NotDone) as refused:
        draw(batch, 12_000)
    assert refused.value.may_override and refused.value.reasons[0].startswith("More than the vial holds: ")
    draw(batch, 12_000, override_reason="Delivered twice what was typed; physicist told")
    assert Investigation.objects.filter(batch=batch, closed_at=None).exists()


def test_what_could_not_balance_at_the_draw_is_stopped_again_before_injection_until_it_is_measured_or_overridden():
    """Recorded because it had happened: that authorises nothing."""
    batch = a_batch()
    happened = draw(batch, 300, volume_ml=2.0, already_happened=True)
    assert "Impossible concentration" in services.why_not_itself(happened)[0]
    services.check_dose(happened, activity_mbq=300, at=NOW, instrument="Calibrator 1", now=NOW, by=BY)
    assert services.why_not_itself(happened) == []
    assert services.why_not_itself(draw(batch, 300, volume_ml=2.0, override_reason="Printed scale is wrong")) == []
    assert services.why_not_itself(draw(batch, 300)) == []


def test_a_swapped_syringe_is_named_and_stops_authorising_until_it_is_measured_right():
    batch = a_batch()
    one, other = draw(batch, 200), draw(batch, 300)
    at = NOW + 10 * MINUTE
    later = 0.5 ** ((at - NOW) / F18.half_life)

    def checked(mbq, when):
        return services.check_dose(one, activity_mbq=mbq, at=when, instrument="Calibrator 1", now=when, by=BY)

    (said,) = checked(300 * later, at)
    assert said.startswith("Swapped syringe") and other.container.barcode in said
    assert services.why_not_itself(one) == [said]
    assert Event.objects.get(kind="breach_recorded").data["act"] == "check"
    assert checked(200 * later, at + MINUTE) == [] and services.why_not_itself(one) == []


def test_a_residual_that_cannot_be_is_recorded_and_shown_as_a_breach():
    dose = given(draw(a_batch()))
    at = NOW + 20 * MINUTE
    services.assay_residual(dose, activity_mbq=6_000, at=at, instrument="Calibrator 1", now=at, by=BY)
    assert "kBq typed for MBq" in Event.objects.get(kind="breach_recorded").data["reasons"][0]
    assert investigation(services.statement(fresh(dose.batch), at=at)) is not None


def a_calibrator(site) -> Device:
    return add_device(site, kind=DeviceKind.CALIBRATOR, name="Calibrator 1", scale_percent=1.5, reading_percent=0.5)


def a_trial(device, off=1.0, *, at=NOW - timedelta(hours=2), kind=TestKind.CONSTANCY):
    return record_instrument_test(device, kind, off=off, at=at, now=at, by=BY)


def test_a_site_without_a_calibrator_is_refused_a_draw_overridden_by_name_and_never_stopped_from_recording():
    batch = a_batch(calibrator=False)
    with pytest.raises(services.NotDone) as refused:
        draw(batch)
    assert "has registered no calibrator" in refused.value.reasons[0] and refused.value.may_override
    dose = draw(batch, override_reason="New site; physicist has the paper record")
    assert Event.objects.get(kind="breach_recorded", subjects__contains=[dose.pk]).data["override"].startswith("New")
    assert draw(batch, already_happened=True)
    assert Event.objects.filter(kind="breach_recorded").count() == 2


def test_a_calibrator_that_was_not_tested_today_or_failed_stops_authorising_never_recording():
    batch = a_batch(calibrator=False)
    device = a_calibrator(batch.site)
    a_trial(device, at=NOW - timedelta(days=1))
    with pytest.raises(services.NotDone) as refused:
        draw(batch)
    assert refused.value.reasons == ["Calibrator 1 has no constancy test recorded today"] and refused.value.may_override
    a_trial(device)
    assert draw(batch).drawn_mbq == 300
    assert not a_trial(device, 7.5, at=NOW - timedelta(hours=1)).passed
    with pytest.raises(services.NotDone) as refused:
        draw(batch)
    assert "failed its last constancy test" in refused.value.reasons[0]
    assert draw(batch, override_reason="Second source agrees; physicist told")
    assert draw(batch, already_happened=True)
    assert Event.objects.filter(kind="breach_recorded").count() == 2
    assert Event.objects.filter(kind="equipment_test_failed").count() == 1


def test_a_device_that_the_site_does_not_have_is_not_trusted_and_its_own_certificate_counts():
    batch = a_batch(calibrator=False)
    a_trial(a_calibrator(batch.site))
    assert (
        "there is Calibrator 1" in why_not_measured_with(batch.site, "Old one", kind=DeviceKind.CALIBRATOR, at=NOW)[0]
    )
    assert draw(batch) and LedgerEntry.objects.get(way="drawn").scale_percent == 1.5


# Permits, the decay store, who pays


def permit(site, **more) -> Permit:
    facts = {"holding_mbq": 15_000, "valid_from": date(2026, 1, 1), "valid_to": date(2027, 1, 1)} | more
    return Permit.objects.create(site=site, number="EPR-1", nuclide="F-18", **facts)


def test_an_order_that_would_break_the_permit_is_refused_with_what_is_held_and_coming():
    made = make_network()
    run = make_run(made, capacity_mbq=100_000)
    permit(made.site)
    services.place_order(run, activity_mbq=9_000, patients=9, now=run.cut_off_at, by=BY)
    with pytest.raises(services.NotDone) as refused:
        services.place_order(run, activity_mbq=6_001, patients=6, now=run.cut_off_at, by=BY)
    assert "with this order there would be 15,001 MBq" in refused.value.reasons[0]
    services.place_order(run, activity_mbq=6_000, patients=6, now=run.cut_off_at, by=BY)


def test_a_permit_that_is_not_in_force_allows_nothing_more():
    made = make_network()
    run = make_run(made)
    permit(made.site, valid_to=date(2026, 2, 1))
    with pytest.raises(services.NotDone, match="not in force"):
        services.place_order(run, activity_mbq=100, patients=1, now=run.cut_off_at, by=BY)


def test_an_order_that_would_break_the_months_sewer_limit_is_refused_with_what_is_still_to_be_given():
    """A run that nobody is booked on counts whole: 15 % of 9,000 MBq is 1,350 MBq."""
    made = make_network()
    run = make_run(made, capacity_mbq=100_000)
    permit(made.site, holding_mbq=60_000, sewer_mbq_a_month=1_350)
    with pytest.raises(services.NotDone) as refused:
        services.place_order(run, activity_mbq=9_010, patients=9, now=run.cut_off_at, by=BY)
    assert refused.value.reasons == [
        "Permit EPR-1 allows 1,350 MBq of F-18 to the sewer a month; with this order it would be 1,352 MBq in November"
    ]
    services.place_order(run, activity_mbq=9_000, patients=9, now=run.cut_off_at, by=BY)


def test_those_who_are_booked_count_at_their_injections_and_those_who_were_given_as_they_were():
    made = make_network()
    make_bookable(made, mbq=50_000)
    appointment = make_booked_appointment(made)
    run = SupplyRun.objects.get(pk=appointment.allotment.supply_run) if appointment.allotment.supply_run else None
    run = run or make_run(made, capacity_mbq=100_000)
    ActivityAllotment.objects.filter(pk=appointment.allotment_id).update(supply_run=run.pk)
    assert 0 < sewer_with(run, 9_000, F18) < 0.15 * 9_000 / 2


def test_a_site_whose_permits_name_other_nuclides_may_not_order_this_one():
    made = make_network()
    run = make_run(made)
    permit(made.site)
    Permit.objects.update(nuclide="Ga-68")
    with pytest.raises(services.NotDone, match="No permit of this site names F-18"):
        services.place_order(run, activity_mbq=100, patients=1, now=run.cut_off_at, by=BY)


def test_waste_waits_ten_half_lives_in_the_store_and_leaves_once():
    batch = a_batch()
    services.waste(draw(batch), cause=LOST, at=NOW, now=NOW, by=BY)
    (item,) = services.decay_store(batch.site, at=NOW)
    assert item.release_at == NOW + 10 * F18.half_life
    with pytest.raises(services.NotDone):
        services.dispose(batch.site, route="solid", items=[item.entry], at=NOW, now=NOW, by=BY)
    later = item.release_at
    row = services.dispose(batch.site, route="solid", items=[item.entry], at=later, now=later, by=BY)
    assert isclose(row.activity_mbq, 300 / 1024, rel_tol=1e-6) and not services.decay_store(batch.site, at=later)
    with pytest.raises(services.NotDone, match="already"):
        services.dispose(batch.site, route="solid", items=[item.entry], at=later, now=later, by=BY)


def test_the_months_sewer_limit_counts_what_people_passed_and_an_override_is_recorded():
    batch = a_batch()
    permit(batch.site, sewer_mbq_a_month=50)
    given(draw(batch), at=NOW)
    assert isclose(services.sewer_this_month(batch.site, "F-18", at=NOW), 45)
    pour = {"route": "sewer", "nuclide": "F-18", "activity_mbq": 10.0, "at": NOW, "now": NOW, "by": BY}
    with pytest.raises(services.NotDone, match="above the 50 MBq"):
        services.dispose(batch.site, **pour)
    services.dispose(batch.site, **pour, override_reason="Burst pipe")
    assert Event.objects.get(kind="activity_disposed").data["breach"]


def test_what_is_held_is_what_came_less_what_left_with_people():
    batch = a_batch()
    given(draw(batch), at=NOW)
    assert isclose(services.held_mbq(batch.site, F18, at=NOW), 9_700)


def test_waste_is_summed_by_cause_with_who_pays():
    batch = a_batch()
    services.waste(draw(batch), cause=LOST, at=NOW, now=NOW, by=BY)
    services.waste(
        draw(batch, 200), cause=Cause(CauseCode.DID_NOT_ATTEND, Initiator.PATIENT), at=NOW, now=NOW, by=BY
    )  # fmt: skip
    lines = services.waste_by_cause(batch.site, first=NOW - MINUTE, end=NOW + MINUTE)
    assert [(w.cause, w.pays) for w in lines] == [("batch_failed", "supplier"), ("did_not_attend", "provider")]
    assert WasteItem.objects.count() == 2


@pytest.mark.parametrize(("ml", "left"), [(2.5, 7.5), (None, None)])
def test_what_is_sent_on_takes_its_volume_with_it(ml, left):
    """Else every later syringe looked too strong, and asked for an override that it did not need."""
    batch = a_batch()
    Batch.objects.filter(pk=batch.pk).update(volume_ml=10)
    services.spill(batch, reading(20, ml=ml), where="Bench", now=NOW, by=BY)
    assert volume_left(fresh(batch)) == left

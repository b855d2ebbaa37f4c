"""Where every megabecquerel of a site went: on any day, at one instant, by container, by cause."""

from datetime import timedelta
from math import isclose

import pytest

from gantry.apps.radiopharmacy import services
from gantry.apps.radiopharmacy.models import Batch, Container, Dose, SupplyRun
from gantry.apps.radiopharmacy.services.statements import by_payer, journey, site_statement, waste_over
from gantry.domain.events import Cause, CauseCode, Initiator, system
from gantry.domain.ledger import Verdict, Way
from gantry.domain.supply import DoseState
from gantry.reference.nuclides import F18
from tests.apps.factories import NOW, make_batch, make_network, make_run

pytestmark = pytest.mark.django_db
BY = system("tests")
MINUTE = timedelta(minutes=1)
ON = NOW.date()
ABSENT = Cause(CauseCode.DID_NOT_ATTEND, Initiator.PATIENT)
FAILED = Cause(CauseCode.BATCH_FAILED_QC, Initiator.SUPPLIER)


def fresh(batch) -> Batch:
    return Batch.objects.get(pk=batch.pk)


def draw(batch, mbq=300.0, *, at=NOW) -> Dose:
    return services.draw(fresh(batch), activity_mbq=mbq, at=at, instrument="Calibrator 1", now=at, by=BY)


@pytest.fixture
def lab():
    """A day's work of one batch: one dose given, one wasted, something of everything else."""
    batch = make_batch(make_run(make_network()))
    dose = draw(batch)
    Dose.objects.filter(pk=dose.pk).update(state=DoseState.ASSIGNED)
    dose.refresh_from_db()
    services.administer(dose, injected_at=NOW + 5 * MINUTE, now=NOW + 5 * MINUTE, by=BY)
    services.assay_residual(
        dose, activity_mbq=4, at=NOW + 20 * MINUTE, instrument="Calibrator 1", now=NOW + 20 * MINUTE, by=BY
    )
    services.waste(draw(batch, 250), cause=ABSENT, at=NOW + 30 * MINUTE, now=NOW + 30 * MINUTE, by=BY)
    for verb, mbq, more in (
        (services.spill, 20, {"where": "Bench"}),
        (services.sample, 5, {}),
        (services.send_back, 500, {"reason": "Short day"}),
    ):
        verb(
            fresh(batch), services.Reading(mbq, NOW + 40 * MINUTE, "Calibrator 1"), now=NOW + 40 * MINUTE, by=BY, **more
        )
    return batch


@pytest.mark.parametrize("hours", [-3, 0, 5])
def test_every_container_adds_up_and_so_does_the_site_at_whatever_instant_is_chosen(lab, hours):
    said = site_statement(lab.site, ON, at=NOW + timedelta(hours=hours), now=NOW + timedelta(hours=4))
    (one,) = said.nuclides
    assert one.nuclide == F18 and [row.kind for row in one.rows] == ["vial", "syringe", "syringe"] and not said.to_ask
    for row in (*one.rows, one.whole):
        came, *went = row.cells
        assert isclose(came + row.drawn_mbq, sum(went) + row.said.left_mbq + row.said.difference_mbq, abs_tol=1e-6)
    assert isclose(one.whole.drawn_mbq, 0, abs_tol=1e-6)
    for number, total in enumerate(one.whole.cells):
        assert isclose(total, sum(row.cells[number] for row in one.rows), abs_tol=1e-6)
    assert all(cell > 0 for cell in one.whole.cells)


def test_what_is_not_within_uncertainty_is_counted_and_what_was_measured_says_so(lab):
    services.count_vial(fresh(lab), services.Reading(3_000, NOW + 60 * MINUTE, "Calibrator 1"), now=NOW, by=BY)
    said = site_statement(lab.site, ON, at=NOW, now=NOW + 60 * MINUTE)
    assert said.to_ask == 1 and said.nuclides[0].rows[0].said.verdict is Verdict.ASK
    assert said.nuclides[0].whole.said.verdict is Verdict.ASK


def test_a_day_is_its_own_and_what_is_left_from_the_day_before_is_said(lab):
    """F-18 of nine in the morning is gone the next night; in the first hours of the next day it is not."""
    tomorrow, later = ON + timedelta(days=1), ON + timedelta(days=3)
    early = NOW.replace(hour=0, minute=30) + timedelta(days=1)
    (one,) = site_statement(lab.site, tomorrow, at=early, now=early).nuclides
    assert one.whole.said.left_mbq > 1
    assert not site_statement(lab.site, later, at=NOW, now=NOW + timedelta(days=3)).nuclides
    assert not site_statement(lab.site, ON - timedelta(days=1), at=NOW, now=NOW).nuclides


def test_another_site_has_its_own_book(lab):
    other = lab.site.network.sites.exclude(pk=lab.site.pk).get()
    assert not site_statement(other, ON, at=NOW, now=NOW + timedelta(hours=4)).nuclides


def test_each_line_of_a_container_says_what_it_leaves(lab):
    vial = journey(Container.objects.get(batch=lab, kind="vial"), now=NOW + 60 * MINUTE)
    assert [line.entry.way for line in vial.lines] == [
        Way.RECEIVED, Way.DRAWN, Way.DRAWN, Way.SPILT, Way.SAMPLED, Way.RETURNED,
    ]  # fmt: skip
    last = vial.lines[-1]
    assert isclose(last.left_mbq, services.vial_statement(fresh(lab), at=last.entry.assay.at).left_mbq)
    given = Dose.objects.get(state=DoseState.ADMINISTERED)
    syringe = journey(given.container, now=NOW + 60 * MINUTE)
    assert [line.entry.way for line in syringe.lines] == [Way.DRAWN, Way.ADMINISTERED, Way.RESIDUAL]
    assert isclose(syringe.lines[-1].left_mbq, 0, abs_tol=1e-9)
    assert syringe.said.at == NOW and isclose(syringe.said.in_mbq, 300)
    shares = [syringe.share_percent(syringe.said.of(way)) for way in (Way.ADMINISTERED, Way.RESIDUAL)]
    assert isclose(sum(shares), 100) and 98 < shares[0] < 99


def test_waste_over_a_period_is_by_cause_payer_and_price(lab):
    SupplyRun.objects.update(price_pence_per_gbq=10_000)
    services.fail_batch(fresh(lab), cause=FAILED, now=NOW + 60 * MINUTE, by=BY)
    lines = waste_over(lab.site, first=ON, last=ON)
    assert {(line.cause, line.pays) for line in lines} == {
        ("batch_failed_qc", "supplier"),
        ("did_not_attend", "provider"),
    }
    failed = lines[0]
    assert failed.cause == "batch_failed_qc" and failed.items == 1 and failed.bought_mbq > failed.activity_mbq > 0
    assert failed.pence is not None and isclose(failed.pence, failed.bought_mbq / 1000 * 10_000)
    assert by_payer(lines).keys() == {"supplier", "provider"}
    assert not waste_over(lab.site, first=ON - timedelta(days=9), last=ON - timedelta(days=1))
    SupplyRun.objects.update(price_pence_per_gbq=0)
    assert waste_over(lab.site, first=ON, last=ON)[0].pence is None

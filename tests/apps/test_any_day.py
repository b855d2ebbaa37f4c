"""Any day of a hot lab, through its services: no becquerel is made or lost, and a planted error is caught by its name."""

from datetime import datetime, timedelta
from math import isclose

import pytest
from django.db import transaction
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from gantry.apps.estate.models import Site
from gantry.apps.radiopharmacy import services
from gantry.apps.radiopharmacy.models import Batch, Dose, Investigation
from gantry.apps.radiopharmacy.services.doses import volume_left
from gantry.apps.radiopharmacy.services.stock import drawn_for, left_in
from gantry.domain.decay import fraction_left
from gantry.domain.events import Cause, CauseCode, Initiator, system
from gantry.domain.implausible import Rule, forgotten_residuals
from gantry.domain.ledger import STILL_HERE, Way, balance, investigation
from gantry.domain.lifecycle import IllegalMove
from gantry.domain.supply import ENDED, DoseState
from gantry.reference.nuclides import F18
from tests.apps.factories import NOW, make_batch, make_network, make_run

pytestmark = pytest.mark.django_db
BY = system("tests")
MINUTE = timedelta(minutes=1)
LOST = Cause(CauseCode.BATCH_FAILED_QC, Initiator.SUPPLIER)
WASTED = Cause(CauseCode.DID_NOT_ATTEND, Initiator.PATIENT)
CALIBRATOR = "Calibrator 1"

ACTS = st.lists(
    st.tuples(
        st.sampled_from(
            [
                "draw",
                "draw",
                "give",
                "residual",
                "retime",
                "waste",
                "back",
                "spill",
                "sample",
                "count",
                "send",
                "arrive",
                "return",
                "late",
                "late draw",
                "expire",
                "spend",
                "recall",
            ]
        ),
        st.floats(0.01, 0.2),
        st.integers(1, 25),
    ),
    min_size=1,
    max_size=14,
)


class Lab:
    """One batch of one day; what is refused is refused, and changes nothing."""

    def __init__(self, batch: Batch, other: Site) -> None:
        self.batch, self.other, self.now = batch, other, NOW

    def fresh(self) -> Batch:
        return Batch.objects.get(pk=self.batch.pk)

    def one(self, *states: DoseState) -> Dose | None:
        return Dose.objects.filter(batch=self.batch, state__in=states).order_by("pk").first()

    def reading(self, share: float) -> services.Reading:
        return services.Reading(left_in(self.fresh(), self.now) * share, self.now, CALIBRATOR)

    def draw(self, share: float, *, factor: float = 1.0) -> Dose:
        """`factor` is what a slip makes of the reading; the volume is what was really drawn."""
        batch = self.fresh()
        mbq, volume = left_in(batch, self.now) * share, volume_left(batch)
        return services.draw(
            batch, activity_mbq=mbq * factor, at=self.now, instrument=CALIBRATOR,
            volume_ml=volume * share if volume else None, now=self.now, by=BY,
        )  # fmt: skip

    def give(self, dose: Dose) -> None:
        Dose.objects.filter(pk=dose.pk).update(state=DoseState.ASSIGNED)
        dose.refresh_from_db()
        services.administer(dose, injected_at=self.now, now=self.now, by=BY)

    def act(self, what: str, share: float) -> None:
        waiting, given_ = self.one(DoseState.PREPARED), self.one(DoseState.ADMINISTERED)
        told = {"now": self.now, "by": BY}
        match what:
            case "draw":
                self.draw(share)
            case "give" if waiting:
                self.give(waiting)
            case "residual" if given_:
                rest = drawn_for(given_).activity_at(self.now) * share
                services.assay_residual(given_, activity_mbq=rest, at=self.now, instrument=CALIBRATOR, **told)
            case "retime" if given_:
                services.retime(given_, injected_at=given_.injected_at + MINUTE)
            case "waste" if waiting:
                services.waste(waiting, cause=WASTED, at=self.now, **told)
            case "back" if waiting:
                services.return_dose(waiting, reason="Not needed", at=self.now, **told)
            case "spill":
                services.spill(self.fresh(), self.reading(share), where="Bench", **told)
            case "sample":
                services.sample(self.fresh(), self.reading(share), **told)
            case "return":
                services.send_back(self.fresh(), self.reading(share), reason="Short day", **told)
            case "send":
                services.transfer(self.fresh(), self.reading(share), to=self.other, **told)
            case "count":
                services.count_vial(self.fresh(), self.reading(1.0), **told)
            case "arrive":
                self.arrive()
            # A count knew of whatever had happened by then: what it left out cannot be remembered here afterwards.
            case "late" if not self.counted():
                reading = services.Reading(left_in(self.fresh(), NOW) * share / 20, NOW, CALIBRATOR)
                services.spill(self.fresh(), reading, where="Remembered", **told)
            case "late draw" if not self.counted():
                services.draw(
                    self.fresh(), activity_mbq=left_in(self.fresh(), NOW) * share / 20, at=NOW, instrument=CALIBRATOR,
                    already_happened=True, **told,
                )  # fmt: skip
            case "expire":
                self.now = max(self.now, self.batch.expires_at)
                services.expire_due(now=self.now, by=BY)
            case "spend":
                services.spend_batch(self.fresh(), at=self.now, **told)
            case "recall":
                services.recall_batch(self.fresh(), cause=LOST, **told)

    def counted(self) -> bool:
        return self.fresh().entries.filter(way=Way.COUNTED).exists()

    def sent(self) -> Batch | None:
        return Batch.objects.filter(number=self.batch.number, site=self.other).first()

    def arrive(self) -> None:
        """At the other site, measured as it is."""
        part = self.sent()
        if part is None or part.state != "expected":
            return
        mbq = part.activity_mbq * fraction_left(F18, self.now - part.reference_at)
        facts = services.DeliveryFacts(
            part.number, part.activity_mbq, part.reference_at, part.expires_at, mbq, self.now, CALIBRATOR, self.now
        )
        services.receive_transfer(part, facts, now=self.now, by=BY)

    def judged(self, at: datetime) -> None:
        self.one_batch(self.fresh(), at)
        if (part := self.sent()) is not None and part.entries.exists():
            self.one_batch(part, at)
            out = services.statement(self.fresh(), at=at).of(Way.TRANSFERRED_OUT)
            came = services.statement(part, at=at).of(Way.TRANSFERRED_IN)
            assert isclose(out, came, rel_tol=1e-7)

    def one_batch(self, batch: Batch, at: datetime) -> None:
        whole, vial = services.statement(batch, at=at), services.vial_statement(batch, at=at)
        assert isclose(whole.in_mbq, whole.out_mbq + whole.left_mbq, rel_tol=1e-7, abs_tol=1e-7)
        assert investigation(whole) is None
        assert isclose(left_in(batch, at), vial.left_mbq, rel_tol=1e-7, abs_tol=1e-6)
        for dose in batch.doses.select_related("container"):
            # What is in a syringe that is done with, by its own page of the book: nothing.
            if dose.state in (DoseState.WASTED, DoseState.RETURNED_TO_SUPPLIER) or dose.residual_mbq is not None:
                alone = balance(services.entries_of(batch), at, {dose.container.barcode})
                assert isclose(alone.left_mbq, 0, abs_tol=1e-6) and isclose(alone.in_mbq, alone.out_mbq, rel_tol=1e-7)
        if batch.state in ENDED:
            assert isclose(vial.left_mbq, 0, abs_tol=1e-6)
        nuclide = services.nuclide_of(batch.tracer)
        here = sum(whole.of(way) for way in STILL_HERE) + whole.left_mbq
        assert isclose(services.held_mbq(batch.site, nuclide, at=at), here, rel_tol=1e-6, abs_tol=1e-4)


@pytest.fixture
def opened() -> tuple[Batch, Site]:
    """Made once: each day that is drawn is lived from here, and undone."""
    made = make_network()
    return make_batch(make_run(made)), made.other_site


def lived(opened: tuple[Batch, Site], acts) -> Lab:
    lab = Lab(*opened)
    for what, share, minutes in acts:
        lab.now += minutes * MINUTE
        try:
            with transaction.atomic():
                lab.act(what, share)
        except (services.NotDone, IllegalMove):
            continue
    return lab


def rolled_back(test):
    """Each example is a day of its own."""

    def wrapped(*args, **kwargs):
        with transaction.atomic():
            test(*args, **kwargs)
            transaction.set_rollback(True)

    wrapped.__name__ = test.__name__
    return wrapped


ANY = settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


FULL_DAY = [
    (what, 0.1, 3)
    for what in (
        *("draw", "give", "residual", "draw", "waste", "draw", "back", "late", "late draw", "spill", "sample", "send"),
        *("arrive", "return", "draw", "retime", "count", "expire", "late draw", "recall"),
    )
]
"""Something of everything, so that no run goes without."""


@ANY
@given(acts=ACTS)
@example(acts=FULL_DAY)
@example(acts=[("draw", 0.1, 3), ("send", 0.2, 3), ("arrive", 0.1, 9), ("recall", 0.1, 3), ("late", 0.1, 3)])
def test_no_becquerel_is_made_or_lost_by_any_sequence_of_acts(opened, acts):
    @rolled_back
    def day():
        lab = lived(opened, acts)
        for later in (timedelta(0), timedelta(hours=3)):
            lab.judged(lab.now + later)
        assert not Investigation.objects.exists(), "what was written down as it happened is nobody's question"

    day()


SLIPS = {
    Rule.KBQ_FOR_MBQ: 1000.0,
    Rule.WRONG_CLOCK: fraction_left(F18, timedelta(hours=1)),
}


@settings(ANY, max_examples=20)
@given(
    acts=ACTS,
    planted=st.sampled_from([Rule.KBQ_FOR_MBQ, Rule.WRONG_CLOCK, Rule.SWAPPED_SYRINGE, Rule.FORGOTTEN_RESIDUAL]),
)
def test_an_error_that_is_planted_in_any_day_is_caught_by_its_name(opened, acts, planted):
    @rolled_back
    def day():
        lab = lived(opened, acts)
        if lab.fresh().state != "accepted" or left_in(lab.fresh(), lab.now) < 500 or not volume_left(lab.fresh()):
            return
        if planted in SLIPS:
            with pytest.raises(services.NotDone) as refused:
                lab.draw(0.1, factor=SLIPS[planted])
            assert any(planted.casefold() in reason.casefold() for reason in refused.value.reasons)
            return
        one, other = lab.draw(0.05), lab.draw(0.1)
        lab.now += 7 * MINUTE
        if planted is Rule.SWAPPED_SYRINGE:
            said = services.check_dose(
                one, activity_mbq=drawn_for(other).activity_at(lab.now), at=lab.now, instrument=CALIBRATOR, now=lab.now,
                by=BY,
            )  # fmt: skip
            assert said and said[0].startswith("Swapped syringe")
            return
        lab.give(one)
        entries = services.entries_of(lab.fresh())
        named = forgotten_residuals(entries, lab.now + 31 * MINUTE, after=timedelta(minutes=30))
        assert any(one.container.barcode in str(each) for each in named)

    day()

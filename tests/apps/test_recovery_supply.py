"""What else could be had after a loss: a run that can still be ordered from, and a tracer that the indication allows."""

from datetime import timedelta

import pytest

from gantry.apps.booking.models import Appointment
from gantry.apps.booking.services import history_faults
from gantry.apps.estate.models import ActivityAllotment, OrganisationKind
from gantry.apps.radiopharmacy import services as radiopharmacy
from gantry.apps.radiopharmacy.models import SupplyRun, TracerOrder
from gantry.apps.referrals.models import Referral
from gantry.apps.scheduling.services import recovering
from gantry.apps.scheduling.services.refusals import NotPossible
from gantry.domain.scheduling.recovery import NeedKind, Way
from tests.apps.broken_morning import KNOWN, at, make_morning
from tests.apps.factories import actor, make_organisation

pytestmark = pytest.mark.django_db


def make_rescue(morning, *, tracer: str = "FDG", due=at(9), cut_off=KNOWN + timedelta(minutes=40)) -> SupplyRun:
    """Another supplier's run of this morning, which nobody has ordered from."""
    run = radiopharmacy.open_run(
        supplier=make_organisation("SUP02", OrganisationKind.SUPPLIER, "Second isotopes"),
        site=morning.made.site,
        tracer=tracer,
        production_site="Othertown",
        due_at=due,
        reference_at=due,
        cut_off_at=cut_off,
        capacity_mbq=8_000,
    )
    SupplyRun.objects.filter(pk=run.pk).update(price_pence=40_000, price_pence_per_gbq=2_000)
    return run


def of_way(event, way: Way):
    row, looked, options = recovering.open_recovery(event, now=KNOWN, again=True)
    return row, looked, next(((i, o) for i, o in enumerate(options) if o.way is way), None)


def test_another_suppliers_run_is_counted_on_only_once_they_confirm_it():
    morning = make_morning(8)
    run = make_rescue(morning)
    row, looked, found = of_way(morning.fail(), Way.OTHER_RUN)
    assert found is not None
    number, made = found
    (need,) = [n for n in made.needs if n.kind is NeedKind.SUPPLIER]
    words = recovering.need_words(looked, need, "")
    assert "Second isotopes must confirm" in words and "order before 07:50" in words
    assert not made.ready and made.extra_pence >= 40_000, "the run has its price"
    assert made.decide_by_min <= looked.built.day.minute(run.cut_off_at)
    for option in recovering.options_for(looked):
        if option.way is not Way.OTHER_RUN:
            used = {visit.delivery for visit in option.plan.visits}
            assert need.ref not in used, "nobody is promised what nobody has ordered"
    with pytest.raises(NotPossible, match="must confirm"):
        recovering.accept(row, number, now=KNOWN, by=actor(morning.lead))
    assert not TracerOrder.objects.filter(run=run).exists()
    met = frozenset(n.key for n in made.needs if n.can_be_met)
    recovering.accept(row, number, met=met, now=KNOWN, by=actor(morning.lead))
    order = TracerOrder.objects.get(run=run)
    assert (order.state, order.activity_mbq) == ("confirmed", pytest.approx(made.plan.orders[need.ref]))
    drawn = Appointment.objects.filter(allotment__supply_run=run.pk, state__in=["booked", "told"])
    assert drawn.exists() and sum(a.activity_mbq for a in drawn) <= order.activity_mbq + 1e-6
    assert history_faults() == []


def test_a_run_whose_cut_off_has_passed_offers_nothing_new():
    morning = make_morning(8)
    make_rescue(morning, cut_off=KNOWN - timedelta(minutes=1))
    _, _, found = of_way(morning.fail(), Way.OTHER_RUN)
    assert found is None


def test_another_tracer_needs_its_own_authorisation_and_is_never_ready():
    morning = make_morning(3)
    Referral.objects.update(indication_code="ONC-NET")
    event = morning.fail()
    ActivityAllotment.objects.filter(reference_at=at(11)).delete()
    radiopharmacy.open_run(
        supplier=make_organisation("SUP02", OrganisationKind.SUPPLIER, "Second isotopes"),
        site=morning.made.site,
        tracer="GA-DOTATATE",
        production_site="Othertown",
        due_at=at(8),
        reference_at=at(8),
        cut_off_at=KNOWN - timedelta(hours=10),
        capacity_mbq=2_000,
    )
    row, _, found = of_way(event, Way.OTHER_TRACER)
    assert found is not None
    number, made = found
    changed = [p.ref for p in made.day.patients if p.tracer == "GA-DOTATATE"]
    asked = {n.patient for n in made.needs if n.kind is NeedKind.PRACTITIONER}
    assert changed and set(changed) & {v.patient for v in made.plan.visits} <= asked
    assert not made.ready and not any(n.can_be_met for n in made.needs if n.kind is NeedKind.PRACTITIONER)
    with pytest.raises(NotPossible, match="must be authorised for GA-DOTATATE"):
        recovering.accept(
            row, number, met=frozenset(n.key for n in made.needs), now=KNOWN, by=actor(morning.lead)
        )  # fmt: skip


def test_an_indication_that_names_no_other_tracer_offers_none():
    morning = make_morning(3)
    Referral.objects.update(indication_code="ONC-LUN")
    make_rescue(morning, tracer="GA-DOTATATE", due=at(8))
    _, _, found = of_way(morning.fail(), Way.OTHER_TRACER)
    assert found is None

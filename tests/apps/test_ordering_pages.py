"""From tomorrow's plan to an order in one act: need, margin, whom to ring, and what has changed since."""

from datetime import timedelta

import pytest
from django.urls import reverse
from django.utils import timezone

from gantry.apps.audit.models import Event
from gantry.apps.booking import services as booking
from gantry.apps.booking.services.readying import confirm_readiness
from gantry.apps.radiopharmacy.models import SupplyRun, TracerOrder
from gantry.apps.radiopharmacy.services import NotDone, cancel_order
from gantry.apps.scheduling.models import OrderBasis
from gantry.apps.scheduling.services.ordering import order_for, propose_orders
from gantry.apps.scheduling.services.refusals import NotPossible
from gantry.domain.access import Role
from gantry.domain.events import Cause, CauseCode, Initiator, system
from gantry.domain.ordering import Payer
from gantry.domain.readiness import Item
from tests.apps.broken_morning import TUESDAY, at, make_morning
from tests.apps.factories import NOW, make_network, make_person

pytestmark = pytest.mark.django_db
BY = system("tests")
BEFORE = at(14) - timedelta(days=1)
"""An hour before the cut-off of the first run."""
ALL_SETTLED = dict.fromkeys(list(Item)[:3], True)


@pytest.fixture(autouse=True)
def before_the_cut_off(monkeypatch):
    monkeypatch.setattr(timezone, "now", lambda: BEFORE)


@pytest.fixture
def morning():
    made = make_morning(6, received=False)
    SupplyRun.objects.filter(due_at=at(11)).update(due_at=at(7) + timedelta(days=2))
    SupplyRun.objects.update(price_pence=20_000, price_pence_per_gbq=30_000)
    TracerOrder.objects.all().delete()
    return made


def first(morning):
    return propose_orders(morning.made.site, TUESDAY, now=BEFORE).proposals[0]


def order(morning, mbq, **more):
    run = SupplyRun.objects.get(due_at=at(7))
    return order_for(morning.made.site, TUESDAY, run, activity_mbq=mbq, now=BEFORE, by=BY, **more)


def test_the_order_follows_from_the_plan_and_from_who_is_ready(morning):
    unasked = first(morning)
    assert len(unasked.order.draws) == 6 and unasked.order.best.mbq > unasked.order.mean_mbq > 0
    assert unasked.without_margin.short > unasked.order.best.short
    assert unasked.order.questions and not unasked.live and unasked.waits
    for row in morning.booked:
        confirm_readiness(row, ALL_SETTLED, now=BEFORE, by=BY)
    asked = first(morning)
    assert asked.order.mean_mbq > unasked.order.mean_mbq
    assert asked.order.best.pence < unasked.order.best.pence or asked.order.best.mbq >= unasked.order.best.mbq
    assert abs(asked.order.everybody.mbq - sum(d.mbq for d in asked.order.draws)) <= 60


def test_what_was_ordered_for_is_kept_and_what_changed_is_said(morning):
    placed = order(morning, 6_000)
    assert (placed.patients, placed.state) == (6, "placed")
    basis = OrderBasis.objects.get(order=placed)
    assert len(basis.draws) == 6 and first(morning).changed == ()
    unwell = Cause(CauseCode.UNWELL, Initiator.PATIENT)
    booking.cancel(morning.booked[0], cause=unwell, now=BEFORE, by=BY)
    confirm_readiness(morning.booked[1], ALL_SETTLED, now=BEFORE, by=BY)
    confirm_readiness(morning.booked[2], {Item.ANSWERED: False}, now=BEFORE, by=BY)
    changed = {one.patient: one for one in first(morning).changed}
    gone = changed[str(morning.booked[0].procedure_id)]
    assert gone.now is None and gone.before.mbq > 0
    assert changed[str(morning.booked[1].procedure_id)].now.chance > 0.9
    assert len(changed) == 3
    anew = order(morning, 5_000, reason="One is unwell")
    placed.refresh_from_db()
    assert (placed.state, placed.ended_reason, placed.paid_by) == ("cancelled", "One is unwell", "nobody")
    assert anew.patients == 5 and first(morning).changed == () and first(morning).ordered_mbq == 5_000
    with pytest.raises(NotPossible, match="ordered already"):
        order(morning, 5_000)


def test_after_the_cut_off_nothing_is_ordered_and_the_page_says_what_stands(morning, client, monkeypatch):
    order(morning, 6_000)
    late = at(16) - timedelta(days=1)
    monkeypatch.setattr(timezone, "now", lambda: late)
    run = SupplyRun.objects.get(due_at=at(7))
    with pytest.raises(NotDone, match="cut-off"):
        order_for(morning.made.site, TUESDAY, run, activity_mbq=7_000, now=late, by=BY)
    assert TracerOrder.objects.get().state == "placed"
    client.force_login(morning.lead, backend="django.contrib.auth.backends.ModelBackend")
    page = client.get(reverse("scheduling:orders", args=[morning.made.site.pk, TUESDAY.isoformat()])).content.decode()
    assert "cut off" in page and "Order this instead" not in page and "6,000" in page
    assert f'value="{run.pk}"' not in page


def test_an_order_that_people_have_activity_of_is_not_cancelled_after_the_cut_off(morning):
    placed = order(morning, 6_000)
    late = at(16) - timedelta(days=1)
    with pytest.raises(NotDone, match="6 people have activity of this run"):
        cancel_order(placed, reason="Cheaper elsewhere", payer=Payer.PROVIDER, now=late, by=BY)
    placed.refresh_from_db()
    assert placed.state == "placed"


def test_the_page_proposes_orders_and_says_whom_to_ring(morning, client):
    url = reverse("scheduling:orders", args=[morning.made.site.pk, TUESDAY.isoformat()])
    client.force_login(morning.lead, backend="django.contrib.auth.backends.ModelBackend")
    page = client.get(url).content.decode()
    assert "Margin" in page and "which costs £" in page and "Knowing is worth" in page
    assert "the whole" in page and "Average" in page and "transport" in page
    one = first(morning)
    name = f"{str(one.run.pk)[-6:]}-activity_mbq"
    assert f'value="{one.order.best.mbq:.0f}"' in page
    beyond = client.post(url, {"run": str(one.run.pk), name: "90000"})
    assert beyond.status_code == 422 and b"The run can bring" in beyond.content
    done = client.post(url, {"run": str(one.run.pk), name: f"{one.order.best.mbq:.0f}"}, follow=True).content.decode()
    assert "Confirm it when the supplier answers" in done and "Nothing has changed." in done
    assert Event.objects.filter(kind="order_placed").count() == 1


def test_who_orders_nothing_sees_and_places_nothing(morning, client):
    url = reverse("scheduling:orders", args=[morning.made.site.pk, TUESDAY.isoformat()])
    for role, answer in ((Role.RADIOGRAPHER, 200), (Role.REFERRER, 403)):
        person = make_person(role, morning.made.provider)
        client.force_login(person, backend="django.contrib.auth.backends.ModelBackend")
        assert client.get(url).status_code == answer
        run = SupplyRun.objects.get(due_at=at(7))
        client.post(url, {"run": str(run.pk), f"{str(run.pk)[-6:]}-activity_mbq": "6000"})
    assert not TracerOrder.objects.exists()
    stranger = make_person(Role.RADIOPHARMACIST, make_network("RXX", "NYY").provider)
    client.force_login(stranger, backend="django.contrib.auth.backends.ModelBackend")
    assert client.get(url).status_code == 404
    assert client.get(url.replace(TUESDAY.isoformat(), "someday")).status_code == 404


def test_a_day_is_proposed_in_few_questions_of_the_database(morning, django_assert_max_num_queries):
    with django_assert_max_num_queries(45):
        propose_orders(morning.made.site, TUESDAY, now=BEFORE)
    assert NOW < BEFORE

"""Order pages without script: a run opened, ordered for, cancelled before and after the cut-off, and by whom."""

from datetime import timedelta

import pytest
from django.urls import reverse
from django.utils import timezone

from gantry.apps.audit.models import Event
from gantry.apps.estate.models import ActivityAllotment, OrganisationKind
from gantry.apps.radiopharmacy import services
from gantry.apps.radiopharmacy.models import SupplyRun, TracerOrder
from gantry.domain.access import Role
from gantry.domain.events import system
from gantry.domain.ordering import Payer, Tariff
from tests.apps.factories import NOW, make_network, make_organisation, make_person, make_run

pytestmark = pytest.mark.django_db
BY = system("tests")


@pytest.fixture(autouse=True)
def at_noon(monkeypatch):
    monkeypatch.setattr(timezone, "now", lambda: NOW)


@pytest.fixture
def network():
    return make_network()


def sign_in(client, network, role: Role):
    client.force_login(make_person(role, network.provider), backend="django.contrib.auth.backends.ModelBackend")


def typed(supplier, **over) -> dict[str, str]:
    return {
        "tracer": "FDG",
        "supplier": str(supplier.pk),
        "production_site": "Northern cyclotron",
        "due_at": "tomorrow 07:00",
        "reference_at": "",
        "cut_off_at": "16:00",
        "capacity_mbq": "20,000",
        "run_pounds": "250",
        "pounds_per_gbq": "40.50",
        **over,
    }


def test_a_run_is_opened_with_its_price_and_ordered_from(client, network):
    sign_in(client, network, Role.RADIOPHARMACIST)
    supplier = make_organisation("SUP01", OrganisationKind.SUPPLIER, "Test isotopes")
    url = reverse("tracer:open_run") + f"?site={network.site.pk}"
    assert b"Open a run" in client.get(reverse("tracer:today") + f"?site={network.site.pk}").content
    late = client.post(url, typed(supplier, cut_off_at="08:00"))
    assert late.status_code == 422 and b"The cut-off has passed" in late.content and not SupplyRun.objects.exists()
    page = client.post(url, typed(supplier), follow=True)
    run = SupplyRun.objects.get()
    assert run.due_at == run.reference_at == NOW.replace(hour=7) + timedelta(days=1)
    assert (run.price_pence, run.price_pence_per_gbq) == (25_000, 4_050)
    assert ActivityAllotment.objects.get(supply_run=run.pk).free_mbq == 20_000
    assert "£250.00 for the run, £40.50 a GBq" in page.content.decode() and b"Northern cyclotron" in page.content
    assert Event.objects.get(kind="supply_run_opened").subjects == [run.pk]
    again = client.post(url, typed(supplier))
    assert again.status_code == 422 and b"at that time already" in again.content
    page = client.post(reverse("tracer:order", args=[run.pk]), {"activity_mbq": "8000", "patients": "9"}, follow=True)
    assert "£574.00" in page.content.decode() and b"Northern cyclotron" in page.content
    assert TracerOrder.objects.get().price_pence == 25_000 + 32_400


def test_who_orders_nothing_opens_nothing(client, network):
    for role in (Role.RADIOGRAPHER, Role.BOOKING_COORDINATOR, Role.REFERRER):
        sign_in(client, network, role)
        assert client.get(reverse("tracer:open_run")).status_code == 403
    sign_in(client, network, Role.RADIOPHARMACIST)
    assert client.get(reverse("tracer:open_run") + "?site=01900000-0000-7000-8000-000000000000").status_code == 404


def placed(network, *, due_at, mbq: float = 8_000) -> TracerOrder:
    run = make_run(network, due_at=due_at)
    SupplyRun.objects.update(price_pence_per_gbq=4_000)
    run.refresh_from_db()
    return services.place_order(run, activity_mbq=mbq, patients=8, now=run.cut_off_at - timedelta(hours=1), by=BY)


def test_until_the_cut_off_a_reason_is_enough(client, network):
    sign_in(client, network, Role.RADIOPHARMACIST)
    order = placed(network, due_at=NOW + timedelta(days=1))
    url = reverse("tracer:one_order", args=[order.pk])
    assert b"nobody pays for it" in client.get(url).content
    silent = client.post(url, {"what": "cancel", "cancel-reason": ""})
    assert silent.status_code == 422 and TracerOrder.objects.get().state == "placed"
    page = client.post(url, {"what": "cancel", "cancel-reason": "Scanner down all day"}, follow=True)
    order.refresh_from_db()
    assert (order.state, order.paid_by) == ("cancelled", "nobody") and b"Scanner down all day" in page.content
    assert ActivityAllotment.objects.get().free_mbq == 20_000


def test_after_the_cut_off_somebody_pays_and_nobody_is_left_without(client, network):
    sign_in(client, network, Role.RADIOPHARMACIST)
    order = placed(network, due_at=NOW + timedelta(hours=2))
    services.close_run(order.run, now=NOW, by=BY)
    url = reverse("tracer:one_order", args=[order.pk])
    asked = client.post(url, {"what": "cancel", "cancel-reason": "Down", "cancel-payer": ""})
    assert asked.status_code == 422
    vague = client.post(url, {"what": "cancel", "cancel-reason": "Down", "cancel-payer": "supplier"})
    assert vague.status_code == 422 and b"Say who at the supplier agreed" in vague.content
    client.post(url, {"what": "cancel", "cancel-reason": "Down", "cancel-payer": "provider"})
    order.refresh_from_db()
    said = Event.objects.get(kind="order_cancelled").data
    assert (order.state, order.paid_by, said["pence"], said["pays"]) == ("cancelled", "provider", 32_000, "provider")
    assert ActivityAllotment.objects.get().total_mbq == 0


def test_an_order_is_changed_by_placing_it_anew_before_the_cut_off(network):
    order = placed(network, due_at=NOW + timedelta(days=1))
    run = order.run
    anew = services.replace_orders(run, activity_mbq=6_000, patients=6, reason="Two moved", now=run.cut_off_at, by=BY)
    order.refresh_from_db()
    assert (order.state, anew.state, anew.activity_mbq) == ("cancelled", "placed", 6_000)
    late = run.cut_off_at + timedelta(minutes=1)
    with pytest.raises(services.NotDone):
        services.replace_orders(run, activity_mbq=7_000, patients=6, reason="One more", now=late, by=BY)
    assert TracerOrder.objects.get(state="placed") == anew


def test_the_runs_coming_is_paid_once(network):
    run = make_run(network, due_at=NOW + timedelta(days=1))
    SupplyRun.objects.update(price_pence=10_000, price_pence_per_gbq=1_000)
    first, second = (services.place_order(run, activity_mbq=2_000, patients=2, now=NOW, by=BY) for _ in range(2))
    assert (first.price_pence, second.price_pence) == (12_000, 2_000)
    assert Tariff(10_000, 1_000).of(2_000) == first.price_pence
    assert services.cancel_order(second, reason="Too much", now=NOW, by=BY).paid_by == Payer.NOBODY


def test_an_order_of_a_run_without_a_price_does_not_say_that_it_costs_nothing(client, network):
    run = make_run(network, due_at=NOW + timedelta(days=1))
    order = services.place_order(run, activity_mbq=6_000, patients=6, now=run.cut_off_at - timedelta(hours=1), by=BY)
    assert "pence" not in Event.objects.get(kind="order_placed").data
    sign_in(client, network, Role.RADIOPHARMACIST)
    page = client.get(reverse("tracer:one_order", args=[order.pk])).content.decode()
    assert "£0.00" not in page and "not recorded" in page

"""The day built from rows carries each pathway's clock that ends on it, and what each run costs."""

from datetime import timedelta

import pytest

from gantry.apps.radiopharmacy.models import SupplyRun
from gantry.apps.referrals.models import Referral
from gantry.apps.scheduling.services import recovering
from gantry.apps.scheduling.services.building import build
from tests.apps.broken_morning import KNOWN, TUESDAY, make_morning

pytestmark = pytest.mark.django_db


def test_a_clock_that_ends_on_the_day_is_the_limit_and_the_run_has_its_price():
    morning = make_morning(3)
    breaches = {0: TUESDAY, 1: TUESDAY + timedelta(days=1), 2: TUESDAY - timedelta(days=1)}
    for number, on in breaches.items():
        Referral.objects.filter(pk=morning.booked[number].referral_id).update(breach_on=on)
    SupplyRun.objects.update(price_pence_per_gbq=1_500)
    built = build(morning.made.site, TUESDAY, now=KNOWN)
    limits = [built.day.patient(str(row.pk)).limit_min for row in morning.booked]
    assert limits == [24 * 60 - 1, None, None], "whose limit has passed has none left to keep"
    assert {d.price_pence_per_gbq for d in built.day.deliveries} == {1_500}


def test_what_a_way_costs_more_or_less_is_said_in_pounds():
    morning = make_morning()
    SupplyRun.objects.update(price_pence_per_gbq=1_500)
    looked = recovering.look(morning.fail(), now=KNOWN)
    options = recovering.options_for(looked)
    assert options
    for made in options:
        assert made.extra_pence == pytest.approx(1.5 * made.extra_mbq, abs=1.0)
    assert any(made.extra_pence for made in options)

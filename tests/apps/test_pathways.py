"""Clocks belong to the trust of the pathway; the breach date that referrals sort by follows them."""

from datetime import date, timedelta

import pytest

from gantry.apps.audit.models import Event
from gantry.apps.pathways import services as pathways
from gantry.apps.pathways.models import Clock, Pathway
from gantry.domain.events import system
from tests.apps.factories import NOW, make_network, make_referral

pytestmark = pytest.mark.django_db
BY = system("tests")


def test_the_first_breach_of_all_clocks_is_the_one_to_sort_by():
    made = make_network()
    breach = NOW.date() + timedelta(days=9)
    referral = make_referral(made, cancer_pathway="62_day", breach_62_date=breach, fds_clock_start=None)
    assert referral.breach_on == breach
    assert {clock.days for clock in Clock.objects.all()} == {62}


def test_two_referrals_of_one_pathway_share_its_clock():
    made = make_network()
    make_referral(made, number=9001, pathway_id="SAME")
    make_referral(made, number=9001, pathway_id="SAME")
    assert Pathway.objects.count() == Clock.objects.count() == 1
    other = make_referral(made, number=9002, pathway_id="SAME")
    assert other.pathway.identifier == "" and Pathway.objects.count() == 2


def test_only_the_owner_adjusts_or_stops_and_the_list_follows():
    made = make_network()
    referral = make_referral(made)
    clock = Clock.objects.get()
    later = clock.breach_on + timedelta(days=10)
    with pytest.raises(pathways.NotTheOwner):
        pathways.adjust(clock, breach_on=later, code="8", owned_by=[made.provider.pk], subjects={}, now=NOW, by=BY)
    pathways.adjust(clock, breach_on=later, code="8", owned_by=[made.trust.pk], subjects={}, now=NOW, by=BY)
    referral.refresh_from_db()
    assert referral.breach_on == later
    assert Event.objects.get(kind="clock_adjusted").data["code"] == "8"
    pathways.stop(clock, stopped_on=date(2026, 11, 23), owned_by=[made.trust.pk], subjects={}, now=NOW, by=BY)
    referral.refresh_from_db()
    assert referral.breach_on is None

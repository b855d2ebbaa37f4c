"""What a recovery's page answers: a refusal keeps its ticks and says what is in the way, what is settled asks for nothing more."""

from datetime import timedelta

import pytest
from django.urls import reverse
from django.utils import timezone

from gantry.apps.audit.models import Event
from gantry.apps.booking.models import Appointment
from gantry.apps.booking.services import Choice, Refused
from gantry.apps.booking.services.rearranging import Change, rearrange
from gantry.apps.estate.models import ActivityAllotment
from gantry.apps.scheduling.services import recovering
from gantry.domain.events import Cause, CauseCode, Initiator
from gantry.domain.scheduling.recovery import Way
from tests.apps.broken_morning import BY, KNOWN, TUESDAY, at, make_morning
from tests.apps.factories import make_batch, make_run, make_scanner, make_session
from tests.apps.test_scheduling_pages import client_of
from tests.apps.test_trouble_pages import told

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def early(monkeypatch):
    monkeypatch.setattr(timezone, "now", lambda: KNOWN)


def test_a_refused_form_keeps_its_ticks():
    morning = make_morning(4)
    other = morning.made.other_site
    make_session(other, make_scanner(other, name="Scanner 9", rooms=4), TUESDAY)
    make_batch(make_run(morning.made, due_at=at(7), capacity_mbq=10_000, site=other), number="ELSEWHERE")
    ActivityAllotment.objects.filter(site=morning.made.site, reference_at=at(11)).delete()
    event = morning.fail()
    _, _, options = recovering.open_recovery(event, now=KNOWN)
    number, made = next((i, o) for i, o in enumerate(options) if o.way is Way.OTHER_SITE)
    keys = [need.key for need in made.needs if need.can_be_met]
    assert len(keys) > 1
    url = reverse("scheduling:recover_site", args=[event.pk, morning.made.site.pk])
    client = client_of(morning.lead)
    sent = client.post(url, {"what": "accept", "option": str(number), "agreed": keys[:1]})
    page = sent.content.decode()
    assert sent.status_code == 422
    assert page.count(" checked") == 1 and f'value="{keys[0]}" checked' in page
    page = client.post(url, {"what": "accept", "option": str(number), "agreed": keys}, follow=True).content.decode()
    assert f"{len(keys)} people said yes to it" in page and "Nobody has been told yet" not in page


def test_an_accepted_trouble_leaves_no_banner():
    morning = make_morning(3)
    event = morning.fail()
    client = client_of(morning.lead)
    day = reverse("scheduling:day", args=[morning.made.site.pk, TUESDAY.isoformat()])
    assert "What can be done" in client.get(day).content.decode()
    _, _, options = recovering.open_recovery(event, now=KNOWN)
    ready = next(number for number, option in enumerate(options) if option.ready)
    url = reverse("scheduling:recover_site", args=[event.pk, morning.made.site.pk])
    client.post(url, {"what": "accept", "option": str(ready)})
    page = client.get(day).content.decode()
    assert "What can be done" not in page and "Settled:" in page
    assert reverse("scheduling:recover", args=[event.pk]) in page, "whoever rings people finds the list again"


def test_a_reopened_site_says_so():
    morning = make_morning(2)
    client = client_of(morning.lead)
    told(client, morning, "snow", until="12:00")
    event = Event.objects.get(kind="day_disrupted")
    url = reverse("scheduling:recover_site", args=[event.pk, morning.made.site.pk])
    page = client.post(url, {"what": "reopen"}, follow=True).content.decode()
    assert "It is over" in page and "Over: " in page and "people can come again" in page


def test_the_time_in_the_way_is_named_and_nobody_of_another_site():
    morning = make_morning(2)
    first, second = morning.booked
    cause = Cause(CauseCode.SCANNER_FAILED, Initiator.PROVIDER)
    wanted = Change(first, Choice(first.site_id, first.scanner_id, second.arrival_at))
    with pytest.raises(Refused) as refused:
        rearrange([wanted], cause=cause, now=KNOWN, by=BY)
    assert f"{second.scanner.name} at {second.site.name} is booked at" in str(refused.value)
    assert second.referral.patient.name not in str(refused.value)
    assert Appointment.objects.filter(state="told").count() == 2


def test_cleaning_before_another_sites_booking_is_left_free():
    morning = make_morning(2)
    other = make_morning(1, made=morning.made, site=morning.made.other_site)
    booked = other.booked[0]
    looked = recovering.look(morning.fail(), now=KNOWN)
    scanner = looked.situation.day.scanner(str(booked.scanner_id))
    scan = looked.built.day.minute(booked.scan_at)
    assert not any(window.holds(scan - 5, scan) for window in scanner.open)
    assert booked.scan_at - timedelta(minutes=5) > KNOWN

"""A proposed plan is the solver's: told times stay, locks and tried changes stay, and nothing is booked before it is published."""

import pytest
from django.utils import timezone

from gantry.apps.booking.models import Appointment
from gantry.apps.scheduling.models import Lock, PlanVersion
from gantry.apps.scheduling.services import drafting, proposing
from gantry.apps.scheduling.services.building import build
from gantry.apps.scheduling.services.refusals import NotPossible
from gantry.domain.scheduling import check
from tests.apps.broken_morning import BY, TUESDAY, make_morning
from tests.apps.factories import NOW, actor
from tests.apps.test_scheduling_pages import address, client_of, tried

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def the_day_before(monkeypatch):
    monkeypatch.setattr(timezone, "now", lambda: NOW)


def proposed(morning):
    return proposing.propose(morning.made.site, TUESDAY, now=NOW, by_name=morning.lead.name, seconds=2.0)


def judged(morning):
    built = build(morning.made.site, TUESDAY, now=NOW)
    return drafting.judge(built, PlanVersion.objects.get(state="draft").changes)


def test_people_who_know_no_time_yet_are_drawn_together_and_activity_is_saved():
    morning = make_morning(6, told=False)
    made = proposed(morning)
    after = judged(morning)
    assert after.faults == () and made.changed == len(after.changed) > 0
    assert made.saved_mbq > 0 and made.proved
    assert check.faults(after.built.day, after.plan) == []
    assert set(Appointment.objects.values_list("state", flat=True)) == {"booked"}, "nothing is booked or moved"


def test_what_people_were_told_is_kept():
    morning = make_morning(5)
    with pytest.raises(NotPossible, match="Nothing to propose"):
        proposed(morning)
    assert not PlanVersion.objects.exists()


def test_a_lock_and_a_tried_change_are_constraints():
    morning = make_morning(6, told=False)
    locked, moved = morning.booked[5], morning.booked[4]
    drafting.lock(locked, reason="Stays", now=NOW, by=BY)
    arrival = morning.booked[4].arrival_at.replace(hour=12, minute=30)
    drafting.change(
        morning.made.site, TUESDAY, moved, scanner=morning.scanner.pk, arrival_at=arrival, now=NOW, by=BY
    )  # fmt: skip
    proposed(morning)
    draft = PlanVersion.objects.get()
    assert str(locked.pk) not in draft.changes
    assert draft.changes[str(moved.pk)]["arrival_at"] == arrival.isoformat()
    assert len(draft.changes) > 1


def test_a_proposal_is_published_like_any_draft():
    morning = make_morning(6, told=False)
    client = client_of(morning.lead)
    page = client.post(address(morning), {"what": "propose"}, follow=True).content.decode()
    assert "Proposed in the draft" in page and "No plan does better: proved" in page and "Breaks nothing" in page
    page = client.post(
        address(morning), {"what": "publish", "publish-cause": "overbooked"}, follow=True
    ).content.decode()
    assert "Published" in page
    built = build(morning.made.site, TUESDAY, now=NOW)
    assert check.faults(built.day, built.plan) == []


def test_a_visit_can_be_dragged_only_by_whoever_may_plan_and_not_when_it_is_locked():
    morning = make_morning(3)
    drafting.lock(morning.booked[0], reason="Stays", now=NOW, by=actor(morning.lead))
    page = client_of(morning.lead).get(address(morning)).content.decode()
    assert page.count('class="dayline__visit"') == 2 and 'data-arrival="480"' in page
    assert "data-try" in page and "dayline.js" in page
    assert Lock.objects.count() == 1
    assert tried(morning, "13:00", 0)["change-appointment"] not in [
        part.split('"')[0] for part in page.split('data-appointment="')[1:]
    ]

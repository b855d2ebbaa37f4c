"""Whom we move: counted from the rows that are held, once for each person, and not what was undone."""

from datetime import timedelta

import pytest
from django.urls import reverse
from django.utils import timezone

from gantry.apps.booking import services as booking
from gantry.apps.booking.services import Choice
from gantry.apps.patients.services import load_deprivation
from gantry.apps.scheduling.services import recovering, undoing
from gantry.apps.scheduling.services.fairness import promised
from gantry.domain.access import Role
from gantry.domain.events import Cause, CauseCode, Initiator
from tests.apps.broken_morning import BY, KNOWN, TUESDAY, at, make_morning
from tests.apps.factories import acting, actor, make_network, make_person
from tests.apps.test_scheduling_pages import client_of

pytestmark = pytest.mark.django_db
WEEK = {"start": TUESDAY, "end": TUESDAY + timedelta(days=6)}


@pytest.fixture(autouse=True)
def early(monkeypatch):
    monkeypatch.setattr(timezone, "now", lambda: KNOWN)


def scope(morning):
    return acting(morning.lead, KNOWN).scope


def test_a_recovery_counts_for_each_whom_it_moved_and_not_when_it_was_undone():
    morning = make_morning(6)
    row, _, options = recovering.open_recovery(morning.fail(), now=KNOWN)
    ready = next(i for i, o in enumerate(options) if o.ready)
    row = recovering.accept(row, ready, now=KNOWN, by=actor(morning.lead))
    moved = row.moves.exclude(outcome="by_hand").count()
    found = promised(scope(morning), **WEEK)
    assert moved and sum(p.moves for p in found) == moved
    undoing.undo(row, now=KNOWN + timedelta(minutes=1), by=actor(morning.lead))
    assert sum(p.moves for p in promised(scope(morning), **WEEK)) == 0


def test_a_move_that_the_patient_asked_for_is_not_ours_and_groups_say_what_is_held():
    morning = make_morning(3)
    theirs = Cause(CauseCode.PATIENT_CANCELLED, Initiator.PATIENT)
    ours = Cause(CauseCode.LIST_OVERRUN, Initiator.PROVIDER)
    for number, cause in ((0, theirs), (1, ours)):
        to = Choice(morning.made.site.pk, morning.scanner.pk, at(12 + number, 30))
        moved = booking.move(morning.booked[number], to, cause=cause, now=KNOWN, by=BY)
        booking.tell(moved, channel="phone", now=KNOWN, by=BY)
    found = promised(scope(morning), **WEEK)
    assert sorted(p.moves for p in found) == [0, 0, 1]
    assert {p.groups["deprivation"] for p in found} == {"not held"}
    assert {p.groups["age"] for p in found} == {"65 to 79"}
    assert {p.groups["language"] for p in found} == {"needs no interpreter"}


def test_deprivation_is_of_the_area_of_the_postcode_and_costs_no_more_questions_for_more_people(
    django_assert_max_num_queries,
):
    morning = make_morning(6)
    load_deprivation([("M204BX", "E01005243", 3), ("M204BX", "", 3)], index="An index of 2019", now=KNOWN)
    seen = scope(morning)
    with django_assert_max_num_queries(3):
        found = promised(seen, **WEEK)
    assert {p.groups["deprivation"] for p in found} == {"second most deprived fifth"}
    load_deprivation([("M204BX", "", 10)], index="An index of 2025", now=KNOWN)
    assert {p.groups["deprivation"] for p in promised(scope(morning), **WEEK)} == {"least deprived fifth"}
    url = reverse("scheduling:fairness") + f"?from={TUESDAY.isoformat()}&to={WEEK['end'].isoformat()}"
    page = client_of(make_person(Role.MANAGER, morning.made.provider)).get(url).content.decode()
    assert "An index of 2025" in page and "Least deprived fifth".lower() in page.lower()


def test_the_manager_reads_a_sentence_and_a_table_and_a_stranger_nothing():
    morning = make_morning(6)
    row, _, options = recovering.open_recovery(morning.fail(), now=KNOWN)
    recovering.accept(row, next(i for i, o in enumerate(options) if o.ready), now=KNOWN, by=actor(morning.lead))
    url = reverse("scheduling:fairness") + f"?from={TUESDAY.isoformat()}&to={WEEK['end'].isoformat()}"
    page = client_of(make_person(Role.MANAGER, morning.made.provider)).get(url).content.decode()
    assert "Of 6 people who were told a time" in page and "not held" in page and "65 to 79" in page
    stranger = client_of(make_person(Role.MANAGER, make_network("RXX", "NYY").provider))
    assert "Nobody was told a time" in stranger.get(url).content.decode()
    assert client_of(make_person(Role.REFERRER, morning.made.trust)).get(url).status_code == 403
    assert client_of(make_person(Role.MANAGER, morning.made.provider)).get(url + "&from=soon").status_code == 200

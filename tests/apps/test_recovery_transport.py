"""Whoever goes to another site because of us has a journey that somebody books: said in the option, kept on the row."""

import pytest
from django.urls import reverse
from django.utils import timezone

from gantry.apps.booking.models import Appointment, ReadinessNote
from gantry.apps.booking.services.readying import readiness_of
from gantry.apps.estate.models import ActivityAllotment
from gantry.apps.scheduling.services import recovering
from gantry.domain.readiness import Item
from gantry.domain.scheduling.recovery import Way
from tests.apps.broken_morning import KNOWN, TUESDAY, at, make_morning
from tests.apps.factories import actor, make_batch, make_run, make_scanner, make_session
from tests.apps.test_scheduling_pages import client_of

pytestmark = pytest.mark.django_db


def test_a_move_to_another_site_names_its_transport_and_readiness_waits_for_it(monkeypatch):
    monkeypatch.setattr(timezone, "now", lambda: KNOWN)
    morning = make_morning(4)
    other = morning.made.other_site
    scanner = make_scanner(other, name="Scanner 9", rooms=4)
    make_session(other, scanner, TUESDAY)
    make_batch(make_run(morning.made, due_at=at(7), capacity_mbq=10_000, site=other), number="ELSEWHERE")
    ActivityAllotment.objects.filter(site=morning.made.site, reference_at=at(11)).delete()
    event = morning.fail()
    row, _, options = recovering.open_recovery(event, now=KNOWN)
    number, made = next((i, o) for i, o in enumerate(options) if o.way is Way.OTHER_SITE)
    away = [move.patient for move in made.moves if move.other_place]
    page = client_of(morning.lead).get(reverse("scheduling:recover", args=[event.pk])).content.decode()
    assert f"{len(away)} journey" in page and f"to book: from home to {other.name.lower()}" in page
    met = frozenset(need.key for need in made.needs if need.can_be_met)
    recovering.accept(row, number, met=met, now=KNOWN, by=actor(morning.lead))
    moved = Appointment.objects.filter(site=other, state="booked")
    assert moved.count() == len(away) > 0
    for each in moved:
        assert each.transport.startswith(f"From home to {other.name}")
        assert Item.TRANSPORT in readiness_of([each])[each.pk].standing.missing
        note = ReadinessNote.objects.get(appointment=each)
        assert (note.item, note.settled, each.transport in note.note) == ("transport", False, True)
    day = client_of(morning.lead).get(reverse("booking:ready"), {"site": other.pk, "on": TUESDAY.isoformat()})
    assert "Transport, because we moved them" in day.content.decode()
    shown = client_of(morning.lead).get(reverse("booking:appointment", args=[moved[0].pk])).content.decode()
    assert "Transport to book, because we moved them" in shown

"""The day before: what was settled with whom is kept as it was said, and the list says whom to ring first."""

from datetime import timedelta

import pytest
from django.db import DatabaseError, transaction
from django.urls import reverse
from django.utils import timezone

from gantry.apps.audit.models import Event
from gantry.apps.booking import services as booking
from gantry.apps.booking.models import ReadinessNote
from gantry.apps.booking.services import Refused
from gantry.apps.booking.services.readying import confirm_readiness, readiness_of
from gantry.domain.access import Role
from gantry.domain.events import Cause, CauseCode, Initiator, system
from gantry.domain.readiness import Item
from tests.apps.factories import NOW, make_bookable, make_booked_appointment, make_network, make_person

pytestmark = pytest.mark.django_db
BY = system("tests")


@pytest.fixture(autouse=True)
def at_nine(monkeypatch):
    monkeypatch.setattr(timezone, "now", lambda: NOW)


@pytest.fixture
def network():
    made = make_network()
    make_bookable(made)
    return made


def treated(appointment, how: str):
    appointment.referral.answers["diabetes"] = how
    appointment.referral.save(update_fields=["answers"])
    return appointment


def test_the_last_word_on_each_item_stands_and_every_word_is_kept(network):
    appointment = treated(make_booked_appointment(network), "oral")
    before = readiness_of([appointment])[appointment.pk]
    assert before.standing.asked == tuple(Item) and before.last is None
    confirm_readiness(appointment, {Item.ANSWERED: False}, now=NOW, by=BY)
    missed = readiness_of([appointment])[appointment.pk]
    assert missed.chance < before.chance
    later = NOW + timedelta(hours=1)
    said = {Item.ANSWERED: True, Item.INSTRUCTIONS: True, Item.TRANSPORT: True, Item.GLUCOSE_PLAN: False}
    event = confirm_readiness(appointment, said, note="Rings the ward", now=later, by=BY)
    after = readiness_of([appointment])[appointment.pk]
    assert after.standing.missing == (Item.GLUCOSE_PLAN,) and after.last.note == "Rings the ward"
    confirm_readiness(appointment, {Item.GLUCOSE_PLAN: True}, now=later, by=BY)
    ready = readiness_of([appointment])[appointment.pk]
    assert ready.standing.ready and ready.chance > max(after.chance, missed.chance)
    assert event.data == {
        "settled": ["answered", "instructions", "transport"],
        "open": ["glucose_plan"],
        "note": "Rings the ward",
    }
    assert event.kind == "readiness_confirmed" and appointment.referral.patient_id in event.subjects
    assert ReadinessNote.objects.count() == 6
    with pytest.raises(DatabaseError), transaction.atomic():
        ReadinessNote.objects.update(settled=True)


def test_what_cannot_be_kept_is_refused_and_nothing_is(network):
    appointment = make_booked_appointment(network)
    for said in ({}, {Item.GLUCOSE_PLAN: True}, {Item.ANSWERED: False, Item.TRANSPORT: True}):
        with pytest.raises(Refused):
            confirm_readiness(appointment, said, now=NOW, by=BY)
    booking.cancel(appointment, cause=Cause(CauseCode.UNWELL, Initiator.PATIENT), now=NOW, by=BY)
    with pytest.raises(Refused):
        confirm_readiness(appointment, {Item.ANSWERED: True}, now=NOW, by=BY)
    assert not ReadinessNote.objects.exists()


def test_a_move_asks_anew(network):
    appointment = make_booked_appointment(network)
    confirm_readiness(appointment, dict.fromkeys(list(Item)[:3], True), now=NOW, by=BY)
    choice = booking.offers_for(appointment.procedure, now=NOW)[3].choice
    moved = booking.move(appointment, choice, cause=Cause(CauseCode.SCANNER_FAILED, Initiator.PROVIDER), now=NOW, by=BY)
    assert readiness_of([moved])[moved.pk].standing.missing == tuple(Item)[:3]


def sign_in(client, network, role):
    client.force_login(make_person(role, network.provider), backend="django.contrib.auth.backends.ModelBackend")


def test_the_list_puts_first_whom_to_ring_and_a_call_is_one_form(client, network):
    sign_in(client, network, Role.BOOKING_COORDINATOR)
    settled = make_booked_appointment(network, family_name="Readyman")
    waiting = treated(make_booked_appointment(network, family_name="Waitling"), "insulin")
    confirm_readiness(settled, dict.fromkeys(list(Item)[:3], True), now=NOW, by=BY)
    on = settled.arrival_at.date().isoformat()
    url = reverse("booking:ready") + f"?site={settled.site_id}&on={on}"
    page = client.get(url).content.decode()
    first, second = (page.index(row.referral.patient.name) for row in (waiting, settled))
    assert first < second and "not needed" in page
    form = reverse("booking:readiness", args=[waiting.pk])
    shown = client.get(form).content.decode()
    assert "A plan for meals, tablets and insulin?" in shown and "nothing to eat for 6 hours" in shown
    silent = client.post(form, {"at": "now"})
    assert silent.status_code == 422 and b"Say what was settled" in silent.content
    done = client.post(
        form, {"answered": "yes", "transport": "no", "at": "now", "note": "Car park money"}, follow=True
    ).content.decode()
    assert "Not settled" in done and "Car park money" in done
    assert Event.objects.filter(kind="readiness_confirmed", subjects__contains=[waiting.pk]).count() == 1
    assert "2 of 4 settled" not in done


def test_who_may_ask_and_who_may_see(client, network):
    appointment = make_booked_appointment(network)
    form = reverse("booking:readiness", args=[appointment.pk])
    sign_in(client, network, Role.RADIOPHARMACIST)
    assert client.get(reverse("booking:ready")).status_code == 200
    assert client.get(form).status_code == 403
    sign_in(client, network, Role.REFERRER)
    assert client.get(reverse("booking:ready")).status_code == 403
    other = make_network("RXX", "NYY")
    sign_in(client, other, Role.BOOKING_COORDINATOR)
    assert client.get(form).status_code == 404
    assert client.get(reverse("booking:ready") + f"?site={appointment.site_id}").status_code == 404
    assert client.get(reverse("booking:ready") + "?site=x").status_code == 404

"""The booking pages without script: the call from choice to told, what others took, and what a stale page is told."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from threading import Barrier

import pytest
from django.db import connection
from django.urls import reverse
from django.utils import timezone

from gantry.apps.booking import services as booking
from gantry.apps.booking.models import Appointment, SlotOffer
from gantry.domain.access import Role
from gantry.domain.events import Cause, CauseCode, Initiator, system
from tests.apps.factories import (
    make_accepted,
    make_bookable,
    make_booked_appointment,
    make_network,
    make_organisation,
    make_person,
)

pytestmark = pytest.mark.django_db
BY = system("tests")


@pytest.fixture
def now():
    return timezone.now()


@pytest.fixture
def network(now):
    made = make_network()
    make_bookable(made, days=12, now=now)
    return made


@pytest.fixture
def coordinator(client, network):
    person = make_person(Role.BOOKING_COORDINATOR, network.provider)
    client.force_login(person, backend="django.contrib.auth.backends.ModelBackend")
    return person


def posted(choice: booking.Choice) -> dict[str, str]:
    return {"site": choice.site, "scanner": choice.scanner, "arrival_at": choice.arrival_at.isoformat()}


def test_a_booking_in_three_presses(client, network, coordinator, now):
    procedure = make_accepted(network, now=now).procedures.get()
    page = client.get(reverse("booking:book", args=[procedure.pk]))
    assert page.status_code == 200 and b"the soonest anywhere" in page.content
    choice = booking.offers_for(procedure, now=now)[0].choice
    held = client.post(reverse("booking:hold", args=[procedure.pk]), posted(choice), follow=True)
    assert b"Read out" in held.content and b"nothing to eat for 6 hours" in held.content
    row = Appointment.objects.get(procedure=procedure)
    told = client.post(reverse("booking:confirm", args=[row.pk]), {"state": "held", "told": "1"}, follow=True)
    assert b"Booked, and the patient knows" in told.content
    row.refresh_from_db()
    assert row.state == "told" and SlotOffer.objects.filter(state="taken").count() == 1


def test_the_second_to_ask_sees_other_choices(client, network, coordinator, now):
    one, two = (make_accepted(network, now=now).procedures.get() for _ in range(2))
    choice = booking.offers_for(one, now=now)[0].choice
    booking.hold(one, choice, now=now, by=BY)
    page = client.post(reverse("booking:hold", args=[two.pk]), posted(choice))
    assert page.status_code == 409
    assert b"Somebody else took the scanner at that time" in page.content
    assert b"other choices as they are now" in page.content and b'choices">Other choices' in page.content


def test_a_choice_that_cannot_be_read_is_refused(client, network, coordinator, now):
    procedure = make_accepted(network, now=now).procedures.get()
    for bad in ({}, {"site": "x", "scanner": "y", "arrival_at": "z"}, {"arrival_at": "2026-01-01T00:00"}):
        page = client.post(reverse("booking:hold", args=[procedure.pk]), bad)
        assert page.status_code == 422 and not Appointment.objects.exists()


def test_why_it_was_refused_is_said(client, network, coordinator, now):
    procedure = make_accepted(network, now=now).procedures.get()
    choice = booking.offers_for(procedure, now=now)[0].choice
    network.site.sessions.all().delete()
    page = client.post(reverse("booking:hold", args=[procedure.pk]), posted(choice))
    assert page.status_code == 409 and b"no session that holds the whole scan" in page.content


def test_move_and_cancel_ask_who_and_why(client, network, coordinator, now):
    appointment = make_booked_appointment(network, now=now)
    choice = booking.offers_for(appointment.procedure, now=now)[3].choice
    url = reverse("booking:move", args=[appointment.pk])
    asked = {"state": "told", "choice": f"{choice.site} {choice.scanner} {choice.arrival_at.isoformat()}"}
    unsaid = client.post(url, asked)
    assert unsaid.status_code == 422 and b"There is a problem" in unsaid.content
    moved = client.post(url, {**asked, "move-initiator": "provider", "move-code": "scanner_failed"}, follow=True)
    assert b"Moved. The old slot is free" in moved.content
    new = Appointment.objects.get(replaces=appointment)
    wrong = {"state": "booked", "cancel-initiator": "provider", "cancel-code": "patient_cancelled"}
    refused = client.post(reverse("booking:cancel", args=[new.pk]), wrong)
    assert refused.status_code == 409 and "patient's own choice" in refused.content.decode().replace("&#39;", "'")
    right = {"state": "booked", "cancel-initiator": "patient", "cancel-code": "patient_cancelled"}
    ended = client.post(reverse("booking:cancel", args=[new.pk]), right, follow=True)
    assert b"Cancelled. The slot and its tracer are free" in ended.content


def test_a_stale_page_is_told_who_did_what(client, network, coordinator, now):
    appointment = make_booked_appointment(network, now=now)
    by = system("the night desk")
    booking.cancel(appointment, cause=Cause(CauseCode.UNWELL, Initiator.PATIENT), now=now, by=by)
    page = client.post(reverse("booking:tell", args=[appointment.pk]), {"state": "booked", "tell-channel": "phone"})
    assert page.status_code == 409
    assert b"Appointment cancelled, by the night desk" in page.content


def test_the_lists_hold_everybody_who_needs_a_call(client, network, coordinator, now):
    waiting = make_accepted(network, now=now, family_name="Waiting")
    promised = make_booked_appointment(network, now=now, told=False, family_name="Promised")
    told = make_booked_appointment(network, now=now, family_name="Told")
    lists = {name: client.get(f"/booking/?list={name}").content.decode() for name in (
        "no_slot", "at_risk", "must_move", "no_answer", "to_tell", "held", "coming")}  # fmt: skip
    assert "WAITING" in lists["no_slot"] and "PROMISED" not in lists["no_slot"]
    assert "PROMISED" in lists["to_tell"] and "TOLD," in lists["coming"]
    told.scanner.faults.create(cause_code="scanner_failed", from_at=now, to_at=now + timedelta(days=30), event=told.pk)
    assert "TOLD," in client.get("/booking/?list=must_move").content.decode()
    procedure = waiting.procedures.get()
    client.post(
        reverse("booking:attempt", args=[procedure.pk]),
        {"attempt-channel": "phone", "attempt-outcome": "no_answer", "attempt-at": "now"},
    )
    assert "WAITING" in client.get("/booking/?list=no_answer").content.decode()
    csv = client.get("/booking/?list=to_tell&format=csv")
    assert "PROMISED" in csv.content.decode() and csv["Content-Type"].startswith("text/csv")
    assert promised.state == "booked"


def test_the_wish_is_kept_in_the_address_and_nonsense_asks_for_nothing(client, network, coordinator, now):
    procedure = make_accepted(network, now=now).procedures.get()
    address = reverse("booking:book", args=[procedure.pk])
    afternoon = client.get(address + "?half=afternoon").content.decode()
    assert afternoon.count("12:00<") and "arrive 07:" not in afternoon
    assert client.get(address + "?half=night&from_day=never&site=nowhere").status_code == 200


def test_other_organisations_find_nothing(client, network, now):
    appointment = make_booked_appointment(network, now=now)
    stranger = make_person(Role.BOOKING_COORDINATOR, make_organisation("RXX"))
    client.force_login(stranger, backend="django.contrib.auth.backends.ModelBackend")
    assert client.get(reverse("booking:appointment", args=[appointment.pk])).status_code == 404
    assert client.post(reverse("booking:cancel", args=[appointment.pk])).status_code == 404
    assert client.get(reverse("booking:book", args=[appointment.procedure_id])).status_code == 404
    assert b"TESTCASE" not in client.get("/booking/?list=coming").content


def test_a_radiographer_may_look_and_not_book(client, network, now):
    appointment = make_booked_appointment(network, now=now)
    person = make_person(Role.RADIOGRAPHER, network.provider)
    client.force_login(person, backend="django.contrib.auth.backends.ModelBackend")
    page = client.get(reverse("booking:appointment", args=[appointment.pk]))
    assert page.status_code == 200 and b"Cancel the appointment" not in page.content
    assert client.post(reverse("booking:cancel", args=[appointment.pk])).status_code == 403


@pytest.mark.parametrize(
    "forged",
    [
        {"site": "00000000-0000-0000-0000-000000000000"},
        {"scanner": "00000000-0000-0000-0000-000000000000"},
        {"arrival_at": "0001-01-01T00:00+05:00"},
        {"arrival_at": "9999-12-31T23:59-05:00"},
        {"arrival_at": "\x00"},
    ],
)
def test_a_forged_choice_is_refused_in_words(client, network, coordinator, now, forged):
    procedure = make_accepted(network, now=now).procedures.get()
    choice = posted(booking.offers_for(procedure, now=now)[0].choice) | forged
    answer = client.post(reverse("booking:hold", args=[procedure.pk]), choice)
    assert answer.status_code in (409, 422) and not Appointment.objects.exists()
    assert "choose again" in answer.content.decode()


@pytest.mark.django_db(transaction=True)
def test_two_who_ring_about_one_scan_hold_it_once(now):
    """Whoever comes later takes the first one's hold away; never two holds, never an error of ours."""
    network = make_network()
    make_bookable(network, days=12, now=now)
    procedure = make_accepted(network, now=now).procedures.get()
    choices = [offer.choice for offer in booking.offers_for(procedure, now=now)][:4]
    together = Barrier(len(choices))

    def press(choice: booking.Choice) -> object:
        try:
            together.wait(20)
            return booking.hold(procedure, choice, now=now, by=BY)
        finally:
            connection.close()

    with ThreadPoolExecutor(len(choices)) as pool:
        got = list(pool.map(press, choices))
    assert len(choices) == len(got) > 1
    assert Appointment.objects.filter(procedure=procedure, state="held").count() == 1

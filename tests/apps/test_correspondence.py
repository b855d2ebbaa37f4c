"""Word to patients: by their own way, with its receipt, taken back before it leaves, or on a person's list; never to the dead."""

from datetime import datetime, timedelta

import pytest
from django.db import ProgrammingError, transaction
from django.urls import reverse
from django.utils import timezone

from gantry.apps.audit.ids import new_id
from gantry.apps.audit.models import Event, OutboxMessage
from gantry.apps.booking import services as booking
from gantry.apps.booking.models import Appointment
from gantry.apps.booking.services import Choice
from gantry.apps.booking.services.waiting import narrowed, open_procedures
from gantry.apps.correspondence import services as correspondence
from gantry.apps.correspondence.models import PatientMessage
from gantry.apps.patients.services import protect_contact, record_death
from gantry.apps.referrals.models import Referral
from gantry.apps.scheduling.models import RecoveryPlan
from gantry.apps.scheduling.services import recovering, undoing
from gantry.apps.scheduling.services.refusals import NotPossible
from gantry.domain.access import Role
from gantry.domain.events import Cause, CauseCode, EventKind, Initiator
from gantry.domain.message import MessageState, Occasion
from gantry.reference.messages import HOLD_BACK
from tests.apps.broken_morning import BY, KNOWN, Morning, at, make_morning
from tests.apps.factories import NOW, acting, actor, make_network, make_person
from tests.apps.test_scheduling_pages import client_of

pytestmark = pytest.mark.django_db
MOBILE = "07700 900123"
OURS = Cause(CauseCode.LIST_OVERRUN, Initiator.PROVIDER)
THEIRS = Cause(CauseCode.PATIENT_CANCELLED, Initiator.PATIENT)


@pytest.fixture(autouse=True)
def early(monkeypatch):
    monkeypatch.setattr(timezone, "now", lambda: KNOWN)


def prefer(row: Appointment, channel: str, **patient: object) -> Appointment:
    referral = Referral.objects.get(pk=row.referral_id)
    referral.answers["preferred_contact"] = channel
    referral.save(update_fields=["answers"])
    for name, value in ({"phone_primary": MOBILE, "address": "1 Example Road"} | patient).items():
        setattr(referral.patient, name, value)
    referral.patient.save()
    return Appointment.objects.get(pk=row.pk)


def morning_of(channel: str = "text", people: int = 6, **patient: object) -> Morning:
    """Everybody was told by telephone, before they said how they like to be told."""
    morning = make_morning(people)
    make_person(Role.BOOKING_COORDINATOR, morning.made.provider, name="Cora Booking")
    morning.booked = [prefer(row, channel, **patient) for row in morning.booked]
    return morning


def accepted(morning: Morning) -> RecoveryPlan:
    row, _, options = recovering.open_recovery(morning.fail(), now=KNOWN)
    ready = next(i for i, o in enumerate(options) if o.ready)
    return recovering.accept(row, ready, now=KNOWN, by=actor(morning.lead))


def of(row: RecoveryPlan) -> list[PatientMessage]:
    return list(PatientMessage.objects.filter(under=row.pk).order_by("pk"))


def one(channel: str = "text", now: datetime = KNOWN, **patient: object) -> tuple[Morning, PatientMessage]:
    """Somebody told half past nine is to come at half past twelve instead."""
    morning = make_morning(5)
    make_person(Role.BOOKING_COORDINATOR, morning.made.provider, name="Cora Booking")
    row = prefer(morning.booked[4], channel, **patient)
    return morning, written(to(morning, row, 12, 30), now)


def to(morning: Morning, row: Appointment, hour: int, minute: int) -> Appointment:
    choice = Choice(morning.made.site.pk, morning.scanner.pk, at(hour, minute))
    moved = booking.move(row, choice, cause=OURS, now=KNOWN, by=BY)
    assert isinstance(moved, Appointment)
    return moved


def written(row: Appointment, now: datetime = KNOWN) -> PatientMessage:
    was = row.replaces
    message = correspondence.write(row, Occasion.MOVED, was=was, under=new_id(), cause=OURS, now=now, by=BY)
    assert message is not None
    return message


def leave(message: PatientMessage, now=KNOWN) -> PatientMessage:
    """In the far end's hands, without a receipt."""
    began = correspondence.begin(message.message, now=now)
    assert began is not None
    correspondence.handed_over(began[0], address=MOBILE, their_id="their-1", proof="201", now=now)
    return began[0]


def state(message: PatientMessage) -> str:
    return PatientMessage.objects.get(pk=message.pk).state


def test_everybody_whom_a_recovery_moves_is_written_to_in_its_transaction_and_it_waits_a_little():
    morning = morning_of()
    row = accepted(morning)
    moved = [m.now for m in row.moves.all() if m.now and m.now.told_at is None]
    found = of(row)
    assert found and {m.appointment_id for m in found} == {a.pk for a in moved}
    soon = [m for m in found if m.concerns_at - KNOWN < timedelta(hours=2)]
    assert {m.channel for m in soon} <= {"call"} and all(m.owner.name == "Cora Booking" for m in soon)
    texts = [m for m in found if m.channel == "text"]
    assert texts, "those who do not set out yet are written to"
    for message in texts:
        assert message.state == "queued" and message.message.due_at == KNOWN + HOLD_BACK.value
        assert message.message.body == {"message": str(message.pk)}, "ids alone"
        event = Event.objects.get(pk=message.message.event_id)
        assert event.root_event == row.root_event and event.kind == EventKind.MESSAGE_WRITTEN
        assert message.referral.patient.nhs_number not in message.body
        assert message.referral.patient.family_name not in message.body


def test_a_recovery_that_fails_writes_to_nobody(monkeypatch):
    morning = morning_of()
    row, _, options = recovering.open_recovery(morning.fail(), now=KNOWN)
    ready = next(i for i, o in enumerate(options) if o.ready)

    def broken(*args, **kwargs):
        raise RuntimeError

    monkeypatch.setattr("gantry.apps.scheduling.services.word.announce", broken)
    with pytest.raises(RuntimeError):
        recovering.accept(row, ready, now=KNOWN, by=actor(morning.lead))
    assert not PatientMessage.objects.filter(under=row.pk).exists()
    assert RecoveryPlan.objects.get(pk=row.pk).state == "open"


def test_what_was_undone_before_it_left_is_never_sent():
    morning = morning_of()
    row = accepted(morning)
    undoing.undo(row, now=KNOWN + timedelta(minutes=1), by=actor(morning.lead))
    for message in of(row):
        assert message.state == "taken_back"
        if message.message:
            assert message.message.state == "given_up"
            assert correspondence.begin(message.message, now=KNOWN + timedelta(minutes=3)) is None
    assert not OutboxMessage.objects.filter(door="messages", state__in=["queued", "sent", "delivered"]).exists()


def test_a_receipt_tells_the_appointment_and_ends_the_undo():
    morning = morning_of()
    row = accepted(morning)
    message = next(m for m in of(row) if m.channel == "text")
    later = KNOWN + timedelta(minutes=3)
    leave(message, later)
    assert state(message) == "sent"
    assert correspondence.delivered(message, at=later, proof="delivered", now=later)
    appointment = Appointment.objects.get(pk=message.appointment_id)
    assert (appointment.state, appointment.told_at) == ("told", later)
    assert message.referral.contacts.get(outcome="delivered").channel == "sms"
    assert not correspondence.delivered(message, at=later, proof="delivered", now=later), "heard twice, said once"
    assert Event.objects.filter(kind=EventKind.MESSAGE_DELIVERED).count() == 1
    assert message.referral.patient.name in " ".join(undoing.why_not_undone(row))
    with pytest.raises(NotPossible):
        undoing.undo(row, now=later, by=actor(morning.lead))


def test_one_that_has_left_without_a_receipt_is_undone_with_a_word_after_it():
    morning = morning_of()
    row = accepted(morning)
    message = next(m for m in of(row) if m.channel == "text")
    later = KNOWN + timedelta(minutes=3)
    leave(message, later)
    undoing.undo(RecoveryPlan.objects.get(pk=row.pk), now=later, by=actor(morning.lead))
    assert state(message) == "sent", "it cannot be called back"
    after = PatientMessage.objects.get(occasion="restored")
    assert after.referral_id == message.referral_id
    assert after.body.startswith("Please ignore our last message")
    # And its receipt, late: the old time stands, nobody is told another.
    assert correspondence.delivered(message, at=later, proof="delivered", now=later + timedelta(minutes=1))
    assert Appointment.objects.get(pk=message.appointment_id).state == "replaced"
    assert "has changed since" in Referral.objects.get(pk=message.referral_id).next_step


def test_a_spoken_call_settles_the_message_and_ends_the_undo():
    morning = morning_of("phone")
    row = accepted(morning)
    message = of(row)[0]
    assert (message.channel, message.state, message.message) == ("call", "to_ring", None)
    correspondence.spoken(message, outcome="no_answer", now=KNOWN, by=BY)
    assert state(message) == "to_ring"
    assert not undoing.why_not_undone(row)
    correspondence.spoken(message, outcome="spoke", now=KNOWN, by=BY)
    assert state(message) == "spoken"
    assert Appointment.objects.get(pk=message.appointment_id).state == "told"
    assert undoing.why_not_undone(RecoveryPlan.objects.get(pk=row.pk))


def test_what_does_not_arrive_is_back_on_the_list_with_its_reason_and_a_name():
    _, message = one()
    later = KNOWN + timedelta(minutes=3)
    leave(message, later)
    assert correspondence.not_delivered(message, reason="The number does not exist", now=later)
    kept = PatientMessage.objects.get(pk=message.pk)
    assert (kept.state, kept.reason, kept.owner.name) == ("failed", "The number does not exist", "Cora Booking")
    assert kept.message.owner == kept.owner_id and kept.message.state == "given_up"
    assert Referral.objects.get(pk=kept.referral_id).next_step == "Ring: word did not reach them"
    assert not correspondence.not_delivered(message, reason="again", now=later)
    # A later word that it did arrive holds; the order in which they come does not matter.
    assert correspondence.delivered(kept, at=later, proof="delivered", now=later)
    assert state(message) == "delivered"
    assert not correspondence.not_delivered(kept, reason="out of order", now=later)
    assert state(message) == "delivered"


@pytest.mark.parametrize("ends", ["delivered", "spoken", "taken_back"])
def test_the_database_itself_lets_nothing_out_of_an_end(ends):
    _, message = one()
    steps = {"delivered": ["sending", "sent", "delivered"], "spoken": ["spoken"], "taken_back": ["taken_back"]}
    for step in steps[ends]:
        PatientMessage.objects.filter(pk=message.pk).update(state=step)
    for other in {s.value for s in MessageState} - {ends}:
        with pytest.raises(ProgrammingError), transaction.atomic():
            PatientMessage.objects.filter(pk=message.pk).update(state=other)


def test_the_dead_receive_nothing_and_what_waits_for_them_is_taken_back():
    _, message = one()
    patient = message.referral.patient
    assert record_death(patient, on=KNOWN.date(), source="Daughter rang", now=KNOWN, by=BY)
    assert not record_death(patient, on=KNOWN.date(), source="again", now=KNOWN, by=BY)
    assert state(message) == "taken_back"
    before = PatientMessage.objects.count()
    booking.cancel(Appointment.objects.get(pk=message.appointment_id), cause=OURS, now=KNOWN, by=BY)
    assert PatientMessage.objects.count() == before


def test_cancelled_because_they_died_is_a_death_and_no_message():
    morning = morning_of()
    row = morning.booked[3]
    booking.cancel(row, cause=Cause(CauseCode.DIED, Initiator.REFERRER), now=KNOWN, by=BY)
    patient = type(row.referral.patient).objects.get(pk=row.referral.patient_id)
    assert patient.died_on == KNOWN.date() and patient.death_source
    assert not PatientMessage.objects.filter(referral=row.referral_id, state__in=["queued", "to_ring"]).exists()


def test_details_that_became_protected_meanwhile_are_not_written_to_and_somebody_rings():
    _, message = one()
    protect_contact(message.referral.patient, protected=True, reason="Police asked", now=KNOWN, by=BY)
    assert correspondence.begin(message.message, now=KNOWN + timedelta(minutes=3)) is None
    kept = PatientMessage.objects.get(pk=message.pk)
    assert (kept.state, kept.owner.name) == ("failed", "Cora Booking") and "protected" in kept.reason


def test_told_by_voice_they_get_it_in_writing_and_nobody_is_rung_for_it():
    morning = make_morning(2, told=False)
    make_person(Role.BOOKING_COORDINATOR, morning.made.provider)
    row = morning.booked[0]
    prefer(row, "letter")
    assert not PatientMessage.objects.exists()
    Appointment.objects.filter(pk=row.pk).update(arrival_at=KNOWN + timedelta(days=9))
    booking.tell(Appointment.objects.get(pk=row.pk), channel="phone", now=NOW, by=BY)
    message = PatientMessage.objects.get()
    assert (message.occasion, message.channel, message.known) == ("booked", "letter", True)
    assert Event.objects.filter(kind=EventKind.PATIENT_TOLD).count() == 1
    leave(message, NOW)
    correspondence.not_delivered(message, reason="Came back", now=KNOWN)
    assert Referral.objects.get(pk=row.referral_id).next_step != "Ring: word did not reach them"


def test_a_cancellation_is_said_by_their_way_and_one_of_their_own_only_in_writing():
    morning = morning_of()
    ours, theirs = morning.booked[4], morning.booked[5]
    booking.cancel(ours, cause=OURS, now=NOW, by=BY)
    booking.cancel(theirs, cause=THEIRS, now=NOW, by=BY)
    said = {m.appointment_id: m for m in PatientMessage.objects.filter(occasion="cancelled")}
    assert "We will contact you" in said[ours.pk].body and not said[ours.pk].known
    assert "We will contact you" not in said[theirs.pk].body and said[theirs.pk].known


def test_moved_again_before_it_left_only_the_last_time_is_said():
    morning, message = one()
    last = written(to(morning, Appointment.objects.get(pk=message.appointment_id), 13, 30))
    assert state(message) == "taken_back"
    assert correspondence.begin(message.message, now=KNOWN + timedelta(minutes=3)) is None
    assert "13:30" in last.body


def test_a_message_that_is_sent_again_says_what_still_holds():
    _, message = one()
    leave(message)
    correspondence.not_delivered(message, reason="Off", now=KNOWN)
    kept = PatientMessage.objects.get(pk=message.pk)
    assert correspondence.try_again(kept, now=KNOWN, by=BY)
    assert state(message) == "queued" and kept.message.state != "queued"
    assert OutboxMessage.objects.get(pk=kept.message_id).state == "queued"


def test_whom_word_reached_is_not_on_the_list_of_those_who_did_not_answer():
    morning, message = one()
    seen = acting(morning.lead, KNOWN).scope
    booking.log_attempt(message.referral, channel="phone", outcome="no_answer", now=KNOWN, by=BY)
    assert narrowed(open_procedures(seen), "no_answer", KNOWN).filter(referral=message.referral_id).exists()
    later = KNOWN + timedelta(minutes=3)
    leave(message, later)
    correspondence.delivered(message, at=later, proof="delivered", now=later)
    assert not narrowed(open_procedures(seen), "no_answer", later).filter(referral=message.referral_id).exists()


# Pages


def test_the_list_says_to_whom_what_how_far_and_who_rings_and_shows_nobody_else_s():
    morning = morning_of()
    row = accepted(morning)
    coordinator = make_person(Role.BOOKING_COORDINATOR, morning.made.provider)
    page = client_of(coordinator).get(reverse("correspondence:list") + f"?list=all&under={row.pk}").content.decode()
    assert "Waits to leave" in page and "Cora Booking" in page
    assert all(m.referral.patient.name in page for m in of(row))
    stranger = client_of(make_person(Role.BOOKING_COORDINATOR, make_network("RXX", "NYY").provider))
    assert "TESTCASE" not in stranger.get(reverse("correspondence:list") + "?list=all").content.decode()
    assert stranger.get(reverse("correspondence:message", args=[of(row)[0].pk])).status_code == 404
    assert (
        client_of(make_person(Role.REFERRER, morning.made.trust)).get(reverse("correspondence:list")).status_code == 403
    )


def test_a_call_is_put_on_record_from_the_message_s_own_page():
    morning, message = one("phone")
    client = client_of(make_person(Role.BOOKING_COORDINATOR, morning.made.provider))
    page = client.get(reverse("correspondence:message", args=[message.pk]))
    assert "Nothing is sent: these are the words to say" in page.content.decode()
    answer = client.post(
        reverse("correspondence:rang", args=[message.pk]),
        {"rang-outcome": "spoke", "rang-at": "now", "rang-note": ""},
    )  # fmt: skip
    assert answer.status_code == 302
    assert state(message) == "spoken"


def test_a_death_is_recorded_with_who_said_it():
    morning, message = one("phone")
    client = client_of(make_person(Role.BOOKING_COORDINATOR, morning.made.provider))
    url = reverse("correspondence:record", args=[message.pk])
    died = {"record-died_on": f"{KNOWN:%d/%m/%Y}", "record-source": ""}
    assert client.post(url, died).status_code == 422
    assert client.post(url, died | {"record-source": "The ward"}).status_code == 302
    assert state(message) == "taken_back"
    assert "The patient has died" in client.get(reverse("correspondence:message", args=[message.pk])).content.decode()


def test_the_recovery_s_own_page_says_how_far_word_has_come():
    morning = morning_of()
    row = accepted(morning)
    page = client_of(morning.lead).get(reverse("scheduling:recover", args=[row.root_event])).content.decode()
    assert "Waits to leave" in page and "The text" in page
    assert all(reverse("correspondence:message", args=[m.pk]) in page for m in of(row))

"""The one history is appended whole or not at all, and nothing edits it."""

from datetime import UTC, datetime, timedelta

import pytest
from django.db import DatabaseError, transaction

from gantry.apps.audit import outbox
from gantry.apps.audit.ids import new_id
from gantry.apps.audit.models import Attempt, Event, OutboxMessage, OutboxState
from gantry.apps.audit.services import Outgoing, OutsideTransaction, append, enqueue, history
from gantry.domain.delivery import BACK_OFF, CLAIM
from gantry.domain.events import Cause, CauseCode, EventKind, Initiator, system

NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
BY = system("test")


def an_event(**more) -> Event:
    subject = more.pop("subject", new_id())
    return append(
        EventKind.MESSAGE_RECEIVED, subjects={"message": subject}, happened_at=NOW, recorded_at=NOW, by=BY, **more
    )


def a_message() -> OutboxMessage:
    return enqueue(an_event(), [Outgoing("test", str(new_id()), {"report": new_id()})], now=NOW)[0]


def test_identifiers_are_version_7_and_sort_by_time():
    made = [new_id() for _ in range(1000)]
    assert {i.version for i in made} == {7}
    assert {i.variant for i in made} == {"specified in RFC 4122"}
    stamps = [i.int >> 80 for i in made]
    assert stamps == sorted(stamps)


@pytest.mark.django_db(transaction=True)
def test_an_event_outside_a_transaction_is_refused():
    with pytest.raises(OutsideTransaction):
        an_event()


@pytest.mark.django_db
def test_an_event_keeps_its_cause_and_its_subjects():
    root = new_id()
    subject = new_id()
    event = an_event(subject=subject, cause=Cause(CauseCode.BATCH_FAILED, Initiator.SUPPLIER, root, "line broke"))
    assert history(subject) == [event]
    event.refresh_from_db()
    assert (event.cause_code, event.cause_initiator, event.root_event) == ("batch_failed", "supplier", root)
    assert event.about == {"message": str(subject)}


@pytest.mark.django_db
def test_an_event_needs_a_zone():
    with pytest.raises(ValueError, match="timezone-aware"):
        append(EventKind.MESSAGE_RECEIVED, subjects={}, happened_at=NOW.replace(tzinfo=None), recorded_at=NOW, by=BY)


@pytest.mark.django_db
@pytest.mark.parametrize("change", [lambda e: e.update(kind="x"), lambda e: e.delete()], ids=["update", "delete"])
def test_no_bulk_change_reaches_the_history(change):
    event = an_event()
    with pytest.raises(DatabaseError), transaction.atomic():
        change(Event.objects.filter(pk=event.pk))


@pytest.mark.django_db
def test_the_same_key_is_queued_once():
    event = an_event()
    message = Outgoing("test", "report:1:RA9", {})
    assert len(enqueue(event, [message], now=NOW)) == 1
    assert enqueue(event, [message], now=NOW) == []


@pytest.mark.django_db
def test_one_worker_takes_a_message_and_a_dead_one_is_followed():
    message = a_message()
    assert outbox.take(message.pk, now=NOW) == message
    assert outbox.take(message.pk, now=NOW) is None
    assert outbox.take(message.pk, now=NOW + CLAIM) == message


@pytest.mark.django_db
def test_failures_back_off_and_the_last_one_belongs_to_a_person():
    message = a_message()
    now = NOW
    states = []
    for _ in range(len(BACK_OFF) + 1):
        message.refresh_from_db()
        states.append(outbox.failed(message, now=now, phase="connect", reason="refused"))
        message.refresh_from_db()
        assert message.due_at >= now
        now = message.due_at + timedelta(seconds=1)
    assert states == [OutboxState.FAILED] * len(BACK_OFF) + [OutboxState.GIVEN_UP]
    assert Attempt.objects.filter(message=message, ok=False, phase="connect").count() == len(BACK_OFF) + 1


@pytest.mark.django_db
def test_delivered_is_said_once():
    message = a_message()
    assert outbox.delivered(message, now=NOW, proof="AA")
    assert not outbox.delivered(message, now=NOW, proof="AA")
    assert outbox.take(message.pk, now=NOW + CLAIM) is None

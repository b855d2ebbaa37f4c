"""Undo against a receipt, a call and the worker, at the same moment in several connections: never undone and known."""

import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from datetime import timedelta
from threading import Barrier, Event

import pytest
from django.db import connection, connections, transaction
from django.utils import timezone

from gantry.apps.audit.services import Stale
from gantry.apps.booking import services as booking
from gantry.apps.correspondence import services as correspondence
from gantry.apps.correspondence.models import PatientMessage
from gantry.apps.scheduling.models import RecoveryPlan
from gantry.apps.scheduling.services import undoing
from gantry.apps.scheduling.services.refusals import NotPossible
from tests.apps.broken_morning import BY, KNOWN
from tests.apps.factories import actor
from tests.apps.test_correspondence import accepted, leave, morning_of, of

pytestmark = pytest.mark.django_db(transaction=True)
LATER = KNOWN + timedelta(minutes=3)
WAITING = """
    SELECT count(*) FROM pg_stat_activity
    WHERE datname = current_database() AND wait_event_type = 'Lock' AND pid <> pg_backend_pid()
"""


@pytest.fixture(autouse=True)
def early(monkeypatch):
    monkeypatch.setattr(timezone, "now", lambda: KNOWN)


@pytest.fixture
def threads() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(2) as pool:
        yield pool


def alone[R](act: Callable[[], R]) -> R | Exception:
    """In a connection of its own, which is closed after it."""
    try:
        return act()
    except (NotPossible, Stale) as refused:
        return refused
    finally:
        connections.close_all()


@contextmanager
def in_hand(threads: ThreadPoolExecutor, act: Callable[[], object]) -> Iterator[Future]:
    """The act is done and not committed until the block ends."""
    done, go = Event(), Event()

    def held() -> object:
        with transaction.atomic():
            answer = act()
            done.set()
            assert go.wait(30)
        return answer

    future = threads.submit(alone, held)
    while not done.wait(0.01):
        if future.done():
            future.result()
            break
    try:
        yield future
    finally:
        go.set()


def waits_for_a_lock() -> bool:
    until = time.monotonic() + 20
    while time.monotonic() < until:
        with connection.cursor() as cursor:
            cursor.execute(WAITING)
            if cursor.fetchone()[0]:
                return True
        time.sleep(0.01)
    return False


def setting():
    morning = morning_of()
    row = accepted(morning)
    message = next(m for m in of(row) if m.channel == "text")
    return row, message, actor(morning.lead)


def undo(row: RecoveryPlan, by) -> RecoveryPlan:
    return undoing.undo(RecoveryPlan.objects.get(pk=row.pk), now=LATER, by=by)


def deliver(message: PatientMessage) -> bool:
    return correspondence.delivered(message, at=LATER, proof="delivered", now=LATER)


def test_an_undo_that_meets_a_receipt_waits_for_it_and_is_refused(threads):
    row, message, by = setting()
    leave(message, LATER)
    with in_hand(threads, lambda: deliver(message)):
        undoing_now = threads.submit(alone, lambda: undo(row, by))
        assert waits_for_a_lock()
        assert not undoing_now.done()
    assert isinstance(undoing_now.result(30), Exception)
    assert RecoveryPlan.objects.get(pk=row.pk).state == "accepted"
    assert PatientMessage.objects.get(pk=message.pk).state == "delivered"
    assert PatientMessage.objects.get(pk=message.pk).appointment.state == "told"


def test_a_receipt_that_meets_an_undo_waits_for_it_and_tells_nobody_s_appointment(threads):
    row, message, by = setting()
    leave(message, LATER)
    with in_hand(threads, lambda: undo(row, by)):
        receipt = threads.submit(alone, lambda: deliver(message))
        assert waits_for_a_lock()
    assert receipt.result(30) is True
    assert RecoveryPlan.objects.get(pk=row.pk).state == "undone"
    kept = PatientMessage.objects.get(pk=message.pk)
    assert (kept.state, kept.appointment.state) == ("delivered", "replaced")
    assert PatientMessage.objects.filter(referral=kept.referral_id, occasion="restored").count() == 1
    assert "has changed since" in kept.referral.next_step


def test_a_worker_that_meets_an_undo_sends_nothing(threads):
    row, message, by = setting()
    with in_hand(threads, lambda: undo(row, by)):
        worker = threads.submit(alone, lambda: correspondence.begin(message.message, now=LATER))
        assert waits_for_a_lock()
    assert worker.result(30) is None
    assert PatientMessage.objects.get(pk=message.pk).state == "taken_back"


def test_a_call_that_meets_an_undo_is_on_record_and_the_undo_stands(threads):
    row, message, by = setting()
    with in_hand(threads, lambda: undo(row, by)):
        call = threads.submit(
            alone, lambda: booking.log_attempt(message.referral, channel="phone", outcome="spoke", now=LATER, by=BY)
        )
        assert waits_for_a_lock()
    call.result(30)
    assert RecoveryPlan.objects.get(pk=row.pk).state == "undone"
    assert PatientMessage.objects.get(pk=message.pk).state == "taken_back"
    assert message.referral.contacts.filter(outcome="spoke", at=LATER).exists()


@pytest.mark.parametrize("outcome", ["spoke", "message_left"])
def test_an_undo_that_meets_a_call_is_refused(threads, outcome):
    row, message, by = setting()

    def call() -> object:
        return booking.log_attempt(message.referral, channel="phone", outcome=outcome, now=LATER, by=BY)

    with in_hand(threads, call):
        undoing_now = threads.submit(alone, lambda: undo(row, by))
        assert waits_for_a_lock()
    assert isinstance(undoing_now.result(30), NotPossible)
    assert RecoveryPlan.objects.get(pk=row.pk).state == "accepted"


def test_at_one_moment_it_is_undone_or_known_and_never_both(threads):
    """Whichever comes first; neither ends in a deadlock."""
    row, message, by = setting()
    both = Barrier(2)

    def at_once(act: Callable[[], object]) -> object:
        both.wait(30)
        return act()

    speaking = threads.submit(
        alone, lambda: at_once(lambda: correspondence.spoken(message, outcome="spoke", now=LATER, by=BY))
    )
    undoing_now = threads.submit(alone, lambda: at_once(lambda: undo(row, by)))
    speaking.result(60)
    undone = not isinstance(undoing_now.result(60), Exception)
    assert undone is (RecoveryPlan.objects.get(pk=row.pk).state == "undone")
    assert PatientMessage.objects.get(pk=message.pk).state == ("taken_back" if undone else "spoken")

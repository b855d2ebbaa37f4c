"""Several people at once: they change places in one transaction, and the constraint still decides who has what."""

import threading
from datetime import timedelta

import pytest
from django.db import connection

from gantry.apps.audit.models import Event
from gantry.apps.booking import services as booking
from gantry.apps.booking.models import Appointment, Reservation
from gantry.apps.booking.services import Change, Choice, Refused, history_faults
from gantry.apps.estate.models import ActivityAllotment
from gantry.domain.events import Cause, CauseCode, Initiator
from tests.apps.broken_morning import BY, at, make_morning
from tests.apps.factories import NOW, make_accepted, make_practitioner

CAUSE = Cause(CauseCode.LIST_OVERRUN, Initiator.PROVIDER)


def to(row: Appointment, arrival_at, scanner=None) -> Change:
    return Change(row, Choice(row.site_id, scanner or row.scanner_id, arrival_at))


@pytest.mark.django_db
def test_two_people_take_each_others_time_in_one_act():
    first, second = make_morning(2).booked
    free = list(ActivityAllotment.objects.order_by("pk").values_list("free_mbq", flat=True))
    new = booking.rearrange([to(first, second.arrival_at), to(second, first.arrival_at)], cause=CAUSE, now=NOW, by=BY)
    assert [(row.arrival_at, row.procedure_id) for row in new] == [
        (second.arrival_at, first.procedure_id),
        (first.arrival_at, second.procedure_id),
    ]
    assert list(ActivityAllotment.objects.order_by("pk").values_list("free_mbq", flat=True)) == pytest.approx(free)
    assert Reservation.objects.filter(active=True).count() == 4
    assert history_faults() == []


@pytest.mark.django_db
def test_three_go_round_and_a_shift_of_ten_minutes_meets_nobodys_own_old_time():
    rows = make_morning(3).booked
    times = [rows[1].arrival_at, rows[2].arrival_at, rows[0].arrival_at]
    new = booking.rearrange([to(r, t) for r, t in zip(rows, times, strict=True)], cause=CAUSE, now=NOW, by=BY)
    assert [row.arrival_at for row in new] == times
    shifted = booking.rearrange(
        [to(row, row.arrival_at + timedelta(minutes=10)) for row in new], cause=CAUSE, now=NOW, by=BY
    )
    assert [row.arrival_at for row in shifted] == [t + timedelta(minutes=10) for t in times]
    assert history_faults() == []


@pytest.mark.django_db
def test_a_place_of_somebody_who_stays_is_theirs_and_nobody_is_moved():
    first, second, third = make_morning(3).booked
    events = Event.objects.count()
    with pytest.raises(Refused, match="omebody else"):
        booking.rearrange([to(second, first.arrival_at), to(third, second.arrival_at)], cause=CAUSE, now=NOW, by=BY)
    for row in (first, second, third):
        row.refresh_from_db()
        assert (row.state, row.reservations.filter(active=True).count()) == ("told", 2)
    assert Event.objects.count() == events
    assert history_faults() == []


@pytest.mark.django_db
def test_everybody_in_the_way_is_named_at_once_by_what_stands_against_them():
    first, second = make_morning(2).booked
    wrong = first.arrival_at + timedelta(hours=14)
    with pytest.raises(Refused) as refused:
        booking.rearrange([to(first, wrong), to(second, first.arrival_at)], cause=CAUSE, now=NOW, by=BY)
    assert all(reason.startswith(first.referral.patient.name) for reason in refused.value.reasons)


@pytest.mark.django_db(transaction=True)
def test_a_stranger_who_books_in_between_waits_and_the_constraint_decides():
    """The lists that are let go of are nobody's to take before all of them are claimed again."""
    morning = make_morning(2)
    first, second = morning.booked
    other = make_accepted(morning.made, practitioner=make_practitioner(morning.made)).procedures.get()
    started, found = threading.Event(), []

    def stranger() -> None:
        started.wait()
        try:
            found.append(
                booking.hold(other, Choice(first.site_id, first.scanner_id, first.arrival_at), now=NOW, by=BY)
            )  # fmt: skip
        finally:
            connection.close()

    thread = threading.Thread(target=stranger)
    thread.start()
    started.set()
    booking.rearrange([to(first, second.arrival_at), to(second, first.arrival_at)], cause=CAUSE, now=NOW, by=BY)
    thread.join()
    assert not isinstance(found[0], Appointment), "their place was let go of and claimed in one transaction"
    held = Reservation.objects.filter(active=True, resource_kind="scanner", resource=first.scanner_id)
    assert held.count() == 2
    assert history_faults() == []


@pytest.mark.django_db
def test_activity_is_taken_from_the_run_of_the_plan():
    morning = make_morning(1)
    late = ActivityAllotment.objects.get(reference_at=at(11))
    (row,) = booking.rearrange(
        [Change(morning.booked[0], Choice(morning.made.site.pk, morning.scanner.pk, at(11)), allotment=late.pk)],
        cause=CAUSE, now=NOW, by=BY,
    )  # fmt: skip
    assert row.allotment == late

"""Whoever is here when their scanner fails goes to another: the booking, the visit, the board and the worklist say so at once."""

from datetime import datetime, timedelta

import pytest
from django.urls import reverse
from django.utils import timezone

from gantry.apps.audit.models import Event
from gantry.apps.booking.models import Appointment, Reservation
from gantry.apps.booking.services import history_faults
from gantry.apps.estate.models import Scanner
from gantry.apps.estate.services import record_fault, record_test
from gantry.apps.radiopharmacy import services as radiopharmacy
from gantry.apps.radiopharmacy.models import Dose, SupplyRun
from gantry.apps.scanning.models import ScheduledStep, Visit
from gantry.apps.scanning.services import board, visits
from gantry.apps.scheduling.models import RecoveryMove
from gantry.apps.scheduling.services import recovering, undoing
from gantry.apps.scheduling.services.refusals import NotPossible
from gantry.domain.events import Cause, CauseCode, Initiator
from gantry.domain.scan import Phase
from gantry.domain.supply import Match
from tests.apps.broken_morning import BY, TUESDAY, Morning, at, make_morning
from tests.apps.factories import actor, make_batch, make_scanner, make_session
from tests.apps.test_scheduling_pages import client_of

pytestmark = pytest.mark.django_db
LATE_MIN = 3
"""Nobody is injected on the minute of a five-minute grid."""


def arrive(row: Appointment) -> Visit:
    visit = Visit.objects.get(appointment=row)
    return visits.arrive(visit, happened_at=row.arrival_at, now=row.arrival_at, by=BY)


def inject(row: Appointment) -> datetime:
    """Here, and given three minutes after the plan."""
    visit, moment = arrive(row), row.injection_at + timedelta(minutes=LATE_MIN)
    run = SupplyRun.objects.get(site=row.site, due_at=at(7))
    batch = run.orders.first().batches.get() if run.orders.exists() else make_batch(run)
    dose = radiopharmacy.draw(
        batch, activity_mbq=300.0, at=moment, instrument="Calibrator 1", volume_ml=0.4, now=moment, by=BY,
        already_happened=True,
    )  # fmt: skip
    given = visits.inject(
        visit, "inject", dose, injected_at=moment, match=Match(barcode=dose.container.barcode), now=moment, by=BY,
        already_happened=True,
    )  # fmt: skip
    assert given.injected_at == moment
    return moment


def fail(morning: Morning, failed: datetime) -> Event:
    cause = Cause(CauseCode.SCANNER_FAILED, Initiator.PROVIDER)
    fault = record_fault(morning.scanner, cause=cause, at=failed, now=failed, by=BY, site=morning.made.site)
    return Event.objects.get(pk=fault.event)


def make_sister(morning: Morning) -> Scanner:
    sister = make_scanner(morning.made.site, name="Scanner 2")
    make_session(morning.made.site, sister, TUESDAY)
    record_test(sister, passed=True, at=at(7), now=at(7), by=BY, site=morning.made.site)
    return sister


def accepted(event: Event, morning: Morning, *, now: datetime, met: frozenset[str] = frozenset()):
    plan, looked, options = recovering.open_recovery(event, now=now)
    row = recovering.accept(plan, 0, met=met, now=now, by=actor(morning.lead))
    return row, looked, options[0]


def test_somebody_injected_goes_to_the_sister_scanner_and_everything_shows_it(monkeypatch):
    morning = make_morning(1, received=False)
    sister, row = make_sister(morning), morning.booked[0]
    given = inject(row)
    failed = row.scan_at - timedelta(minutes=10)
    event = fail(morning, failed)
    monkeypatch.setattr(timezone, "now", lambda: failed)
    page = client_of(morning.lead).get(reverse("scheduling:recover", args=[event.pk])).content.decode()
    assert "to Scanner 2 at" in page
    plan, _, made = accepted(event, morning, now=failed)
    move = made.moves[0]
    assert (move.standing, move.now_scanner, move.abandoned) == ("injected", str(sister.pk), False)
    row.refresh_from_db()
    new = row.replaced_by
    assert (row.state, new.state, new.scanner, new.site) == ("replaced", "arrived", sister, row.site)
    assert timedelta(minutes=55) <= new.scan_at - given <= timedelta(minutes=75), "inside the protocol's window"
    assert (new.allotment_id, new.activity_mbq) == (row.allotment_id, row.activity_mbq), "what is in them was drawn"
    held = Reservation.objects.filter(active=True, resource_kind="scanner")
    assert [each.resource for each in held] == [sister.pk]
    # The visit goes on as it was: what was done is not done again.
    visit = Visit.objects.get()
    assert (visit.appointment, visit.state, visit.injections.count()) == (new, "present", 1)
    assert Dose.objects.get().appointment == new
    shown = board.board(board.of_day(Visit.objects.all(), row.site, TUESDAY), row.site, now=failed)
    cards = [card for lane in shown.lanes for card in lane.cards]
    assert [(card.scanner, card.stage) for card in cards] == [("Scanner 2", "uptake")]
    listed = ScheduledStep.objects.filter(state="scheduled")
    assert [(s.station_ae_title, s.starts_at) for s in listed] == [(sister.ae_title, new.scan_at)]
    assert ScheduledStep.objects.get(appointment=row).state == "removed"
    moved = Event.objects.get(kind="appointment_moved")
    assert (moved.root_event, moved.cause_code) == (event.pk, "scanner_failed")
    assert (moved.data["injected"], moved.data["to_scanner"]) == (True, str(sister.pk))
    said = RecoveryMove.objects.get(recovery=plan)
    assert said.outcome == "redirected" and "scan on Scanner 2" in said.said
    assert history_faults() == []


def test_a_scan_that_the_fault_broke_off_may_begin_again_on_the_sister_scanner():
    morning = make_morning(1, received=False)
    sister, row = make_sister(morning), morning.booked[0]
    inject(row)
    visit = Visit.objects.get()
    begun = row.scan_at + timedelta(minutes=2)
    visits.record_step(visit, "scan", phase=Phase.START, happened_at=begun, now=begun, by=BY)
    failed = begun + timedelta(minutes=2)
    accepted(fail(morning, failed), morning, now=failed)
    visit.refresh_from_db()
    assert visit.appointment.scanner == sister
    assert Event.objects.filter(kind="acquisition_discontinued", about__visit=str(visit.pk)).count() == 1
    again = visit.appointment.scan_at
    assert visits.record_step(visit, "scan", phase=Phase.START, happened_at=again, now=again, by=BY).current


def test_undo_sends_them_back_while_nothing_has_been_done_there():
    morning = make_morning(1, received=False)
    make_sister(morning)
    row = morning.booked[0]
    inject(row)
    failed = row.scan_at - timedelta(minutes=10)
    plan, _, _ = accepted(fail(morning, failed), morning, now=failed)
    undoing.undo(plan, now=failed + timedelta(minutes=1), by=actor(morning.lead))
    visit = Visit.objects.get()
    assert (visit.appointment.scanner, visit.appointment.state) == (row.scanner, "arrived")
    assert visit.appointment.scan_at == row.scan_at
    assert ScheduledStep.objects.get(state="scheduled").station_ae_title == row.scanner.ae_title
    assert history_faults() == []


def test_a_scan_begun_there_cannot_be_undone():
    morning = make_morning(1, received=False)
    make_sister(morning)
    row = morning.booked[0]
    inject(row)
    failed = row.scan_at - timedelta(minutes=10)
    plan, _, _ = accepted(fail(morning, failed), morning, now=failed)
    visit = Visit.objects.get()
    begun = visit.appointment.scan_at
    visits.record_step(visit, "scan", phase=Phase.START, happened_at=begun, now=begun, by=BY)
    with pytest.raises(NotPossible, match="injected or scanned since"):
        undoing.undo(plan, now=begun + timedelta(minutes=1), by=actor(morning.lead))


def test_whoever_has_come_and_is_not_injected_is_moved_in_the_rows_too():
    """Their old time used to stay on the calendar and stood in the way of everybody else."""
    morning = make_morning(3)
    first = morning.booked[0]
    now = first.arrival_at + timedelta(minutes=5)
    arrive(first)
    cause = Cause(CauseCode.BATCH_FAILED_QC, Initiator.SUPPLIER)
    event = radiopharmacy.fail_batch(morning.batch, cause=cause, now=now, by=BY)
    accepted(event, morning, now=now)
    first.refresh_from_db()
    new = first.replaced_by
    assert (first.state, new.state, new.arrival_at) == ("replaced", "arrived", first.arrival_at)
    assert new.injection_at >= at(11), "the next run"
    assert new.allotment_id != first.allotment_id
    assert Visit.objects.get(appointment=new).state == "present"
    assert history_faults() == []

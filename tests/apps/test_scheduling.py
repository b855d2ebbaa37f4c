"""A day built from rows is what is booked; a failed batch is recovered by booking's own verbs, and undone while nobody knows."""

from datetime import timedelta

import pytest

from gantry.apps.audit.models import Event
from gantry.apps.audit.services import Stale
from gantry.apps.booking import services as booking
from gantry.apps.booking.models import Appointment, Reservation
from gantry.apps.estate.services import record_fault
from gantry.apps.scanning.models import ScheduledStep
from gantry.apps.scheduling.services import recovering, undoing
from gantry.apps.scheduling.services.building import build
from gantry.apps.scheduling.services.refusals import NotPossible
from gantry.domain.events import Cause, CauseCode, EventKind, Initiator
from gantry.domain.scheduling import check
from gantry.domain.scheduling.failures import protected
from gantry.domain.scheduling.failures import standing as where
from gantry.domain.scheduling.recovery import faults_of
from tests.apps.broken_morning import BY, KNOWN, TUESDAY, at, make_morning
from tests.apps.factories import actor

pytestmark = pytest.mark.django_db


def standing():
    return Appointment.objects.filter(state__in=["booked", "told", "arrived"])


def first_ready(options):
    return next(i for i, o in enumerate(options) if not any(n.holds_up and n.kind != "patient" for n in o.needs))


def test_the_day_as_booked_has_no_fault_and_counts_every_megabecquerel():
    morning = make_morning()
    built = build(morning.made.site, TUESDAY, now=KNOWN)
    assert check.faults(built.day, built.plan) == []
    for delivery in built.day.deliveries:
        promised = sum(a.activity_mbq for a in morning.booked if str(a.allotment_id) == delivery.ref)
        assert check.drawn(built.day, built.plan, delivery) == pytest.approx(promised, rel=1e-6)


def test_a_failed_batch_has_options_that_can_be_carried_out_and_name_one_root_event():
    morning = make_morning()
    root = morning.fail()
    row, looked, options = recovering.open_recovery(root, now=KNOWN)
    assert options
    assert all(faults_of(looked.situation, o) == [] for o in options)
    recovering.accept(row, first_ready(options), now=KNOWN, by=actor(morning.lead))
    moved = Event.objects.filter(kind=EventKind.APPOINTMENT_MOVED)
    assert moved.count() >= 1
    assert {event.root_event for event in moved} == {root.pk}
    assert standing().count() == len(morning.booked), "nobody loses a promise"
    chosen = Event.objects.get(kind=EventKind.RECOVERY_CHOSEN)
    assert (chosen.by_name, chosen.root_event) == (morning.lead.name, root.pk)
    assert booking.history_faults() == []
    built = build(morning.made.site, TUESDAY, now=KNOWN)
    assert check.faults(built.day, built.plan) == []
    on_the_worklist = ScheduledStep.objects.filter(state="scheduled").values_list("appointment", flat=True)
    assert set(on_the_worklist) == set(standing().values_list("pk", flat=True))


def test_nobody_keeps_a_promise_of_the_batch_that_is_lost():
    morning = make_morning()
    root = morning.fail()
    row, _, options = recovering.open_recovery(root, now=KNOWN)
    recovering.accept(row, first_ready(options), now=KNOWN, by=actor(morning.lead))
    lost = recovering.lost_allotment(root)
    assert not standing().filter(allotment=lost).exists()


def test_a_move_that_was_undone_is_not_remembered_against_anybody():
    morning = make_morning()
    row, _, options = recovering.open_recovery(morning.fail(), now=KNOWN)
    row = recovering.accept(row, first_ready(options), now=KNOWN, by=actor(morning.lead))
    assert row.moves.filter(now__isnull=False).exists()
    undoing.undo(row, now=KNOWN + timedelta(minutes=2), by=actor(morning.lead))
    told = [p.told for p in build(morning.made.site, TUESDAY, now=KNOWN).day.patients if p.told]
    assert [each.moves_before for each in told] == [0] * len(morning.booked)


def test_undo_puts_everybody_back_and_nobody_is_rung():
    morning = make_morning()
    before = {(a.procedure_id, a.arrival_at, a.scanner_id, a.allotment_id) for a in morning.booked}
    row, _, options = recovering.open_recovery(morning.fail(), now=KNOWN)
    row = recovering.accept(row, first_ready(options), now=KNOWN, by=actor(morning.lead))
    assert undoing.why_not_undone(row) == []
    undoing.undo(row, now=KNOWN + timedelta(minutes=2), by=actor(morning.lead))
    now = {(a.procedure_id, a.arrival_at, a.scanner_id, a.allotment_id) for a in standing()}
    assert now == before
    assert set(standing().values_list("state", flat=True)) == {"told"}
    assert Reservation.objects.filter(active=True).count() == 2 * len(before)
    assert booking.history_faults() == []


def test_what_was_undone_once_can_be_accepted_and_undone_again():
    morning = make_morning()
    event = morning.fail()
    by = actor(morning.lead)
    for _ in range(2):
        row, _, options = recovering.open_recovery(event, now=KNOWN)
        accepted = recovering.accept(row, first_ready(options), now=KNOWN, by=by)
        assert undoing.undo(accepted, now=KNOWN, by=by).state == "undone"
    assert {row.scan_at for row in standing()} == {row.scan_at for row in morning.booked}


def test_whoever_takes_insulin_and_fasts_at_home_is_protected():
    morning = make_morning(6)
    for row in morning.booked[4:]:
        row.referral.answers["diabetes"] = "insulin"
        row.referral.save(update_fields=["answers"])
    root = morning.fail()
    found = {}
    for known in (KNOWN - timedelta(hours=4), KNOWN):
        s = recovering.look(root, now=known).situation
        patient = s.day.patient(str(morning.booked[5].pk))
        found[known] = (where(s, patient).value, protected(s, patient))
    assert list(found.values()) == [("at_home", ""), ("at_home", "takes insulin and is fasting already")]


def test_undo_ends_when_one_patient_has_been_told():
    morning = make_morning()
    row, _, options = recovering.open_recovery(morning.fail(), now=KNOWN)
    row = recovering.accept(row, first_ready(options), now=KNOWN, by=actor(morning.lead))
    moved = row.moves.filter(now__state="booked").first().now
    booking.tell(moved, channel="phone", now=KNOWN + timedelta(minutes=1), by=BY)
    assert any("has been told" in reason for reason in undoing.why_not_undone(row))
    with pytest.raises(NotPossible):
        undoing.undo(row, now=KNOWN + timedelta(minutes=2), by=actor(morning.lead))


def test_a_second_acceptance_finds_the_first():
    morning = make_morning(4)
    row, _, options = recovering.open_recovery(morning.fail(), now=KNOWN)
    recovering.accept(row, first_ready(options), now=KNOWN, by=actor(morning.lead))
    with pytest.raises(Stale):
        recovering.accept(row, 0, now=KNOWN, by=actor(morning.lead))


def test_options_that_the_day_has_overtaken_are_not_carried_out():
    morning = make_morning(5)
    row, _, options = recovering.open_recovery(morning.fail(), now=KNOWN)
    cause = Cause(CauseCode.PATIENT_CANCELLED, Initiator.PATIENT)
    booking.cancel(morning.booked[0], cause=cause, now=KNOWN, by=BY)
    with pytest.raises(NotPossible, match="look again"):
        recovering.accept(row, first_ready(options), now=KNOWN, by=actor(morning.lead))
    again, _, fresh = recovering.open_recovery(Event.objects.get(pk=row.root_event), now=KNOWN)
    assert str(morning.booked[0].pk) not in str(again.options)
    assert fresh


def test_a_scanner_that_fails_is_a_root_event_too():
    morning = make_morning(4)
    cause = Cause(CauseCode.SCANNER_FAILED, Initiator.PROVIDER)
    fault = record_fault(morning.scanner, cause=cause, at=at(8), now=at(8), by=BY, site=morning.made.site)
    event = Event.objects.get(pk=fault.event)
    row, looked, options = recovering.open_recovery(event, now=at(8))
    assert looked.situation.failure.subject == str(morning.scanner.pk)
    assert options and all(o.called_off for o in options), "there is one scanner"
    # Those who are on the way are told by a person at the desk; the others have another day kept for them.
    recovering.accept(row, first_ready(options), now=at(8), by=actor(morning.lead))
    assert row.moves.filter(outcome="another_day").exists()


def test_another_day_is_another_time_for_each():
    morning = make_morning(5)
    looked = recovering.look(morning.fail(), now=KNOWN)
    times = [(o.choice.scanner, o.arrival_at) for o in looked.offers.values()]
    assert len(times) == len(morning.booked)
    assert len(set(times)) == len(times)


def test_days_with_a_failure_are_found_by_the_page():
    morning = make_morning(2)
    root = morning.fail()
    assert recovering.root_events(morning.made.site, TUESDAY) == [root]
    assert recovering.root_events(morning.made.site, TUESDAY + timedelta(days=1)) == []

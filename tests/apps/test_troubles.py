"""What goes wrong on a day, told as rows: each gives whole options, names one root event, and an accepted one is carried out."""

from datetime import timedelta

import pytest

from gantry.apps.audit.models import Event
from gantry.apps.booking import services as booking
from gantry.apps.booking.models import Appointment
from gantry.apps.booking.services import history_faults
from gantry.apps.estate.models import ActivityAllotment, Closure
from gantry.apps.radiopharmacy.models import SupplyRun
from gantry.apps.scheduling.models import RecoveryPlan, Trouble
from gantry.apps.scheduling.services import network, recovering, reopening
from gantry.apps.scheduling.services.refusals import NotPossible
from gantry.apps.scheduling.services.telling import Said, runs_of, tell, tell_production_failed
from gantry.domain.events import EventKind
from gantry.domain.scheduling.failures import FailureKind
from gantry.domain.scheduling.recovery import faults_of
from tests.apps.broken_morning import BY, KNOWN, TUESDAY, at, make_morning
from tests.apps.factories import actor

pytestmark = pytest.mark.django_db


def standing():
    return Appointment.objects.filter(state__in=["booked", "told", "arrived"])


def first_run() -> SupplyRun:
    return SupplyRun.objects.get(due_at=at(7))


def recovered(morning, said: Said):
    """Told, looked at and the first ready option accepted; every option has been judged."""
    root = tell(morning.made.site, TUESDAY, said, now=KNOWN, by=BY)
    row, looked, options = recovering.open_recovery(root, now=KNOWN)
    assert options and all(faults_of(looked.situation, o) == [] for o in options)
    ready = next(i for i, o in enumerate(options) if o.ready)
    recovering.accept(row, ready, now=KNOWN, by=actor(morning.lead))
    moved = Event.objects.filter(kind=EventKind.APPOINTMENT_MOVED)
    assert {event.root_event for event in moved} <= {root.pk}
    assert standing().count() == len(morning.booked), "nobody loses a promise"
    return root, options[ready]


def test_a_late_batch_moves_those_who_would_be_injected_before_it_comes():
    morning = make_morning()
    root, made = recovered(morning, Said(FailureKind.BATCH_LATE, run=first_run(), until=at(9, 30)))
    usable = ActivityAllotment.objects.get(supply_run=first_run().pk).usable_from
    assert usable > at(9, 30)
    assert not standing().filter(allotment__supply_run=first_run().pk, injection_at__lt=usable).exists()
    assert made.moves
    assert recovering.root_events(morning.made.site, TUESDAY) == [root]


def test_a_short_batch_is_promised_to_nobody_beyond_what_it_holds():
    morning = make_morning()
    recovered(morning, Said(FailureKind.BATCH_SHORT, run=first_run(), mbq=900))
    row = ActivityAllotment.objects.get(supply_run=first_run().pk)
    promised = sum(a.activity_mbq for a in standing().filter(allotment=row))
    assert promised <= 900
    assert row.free_mbq <= 900 - promised + 1e-6


def test_an_ill_anaesthetist_touches_only_those_under_anaesthetic():
    morning = make_morning(6, asleep=(2,))
    _, made = recovered(morning, Said(FailureKind.ANAESTHETIST_ABSENT, until=at(13)))
    assert {move.patient for move in made.moves} == {str(morning.booked[2].pk)}


def test_a_late_patient_is_scanned_later_and_others_keep_their_time_where_they_can():
    morning = make_morning(6)
    late = morning.booked[4]
    root, made = recovered(
        morning, Said(FailureKind.PATIENT_LATE, patient=late, until=late.arrival_at + timedelta(hours=1))
    )
    assert (root.cause_code, root.cause_initiator) == ("patient_late", "patient")
    assert str(late.pk) in {move.patient for move in made.moves}
    for event in Event.objects.filter(kind=EventKind.APPOINTMENT_MOVED):
        assert event.cause_initiator == "provider", "whoever makes room did not ask to"


def test_a_high_glucose_waits_until_it_may_be_tested_again():
    morning = make_morning(5)
    high = morning.booked[3]
    _, made = recovered(morning, Said(FailureKind.HYPERGLYCAEMIA, patient=high, until=at(11)))
    assert [move.patient for move in made.moves if move.patient == str(high.pk)]


def test_snow_moves_those_who_cannot_come_and_a_closed_site_offers_nothing():
    morning = make_morning(6)
    until = at(10)
    recovered(morning, Said(FailureKind.SNOW, since=KNOWN, until=until, shut=True))
    assert Closure.objects.get(site=morning.made.site).to_at == until
    assert not standing().filter(scan_at__gte=KNOWN, scan_at__lt=until).exists()
    same_day = standing().filter(arrival_at__gte=KNOWN, arrival_at__lt=until)
    assert not same_day.exists()


def test_what_cannot_be_is_refused_with_every_reason_and_nothing_is_written():
    morning = make_morning(2)
    with pytest.raises(NotPossible) as refused:
        tell(morning.made.site, TUESDAY, Said(FailureKind.BATCH_LATE), now=KNOWN, by=BY)
    assert refused.value.reasons == ["Say which delivery", "Say when it comes"]
    with pytest.raises(NotPossible, match="That time has passed"):
        tell(morning.made.site, TUESDAY, Said(FailureKind.SNOW, until=at(6)), now=KNOWN, by=BY)
    assert not Trouble.objects.exists()
    assert not Event.objects.filter(kind=EventKind.DAY_DISRUPTED).exists()


def test_a_failed_cyclotron_replans_every_site_it_feeds_in_one_act():
    morning = make_morning(4, received=False)
    other = make_morning(3, made=morning.made, site=morning.made.other_site, received=False)
    sites = [morning.made.site.pk, morning.made.other_site.pk]
    runs = [run for run in runs_of("Testown", morning.made.site, TUESDAY) if run.due_at < at(9)]
    assert {run.site_id for run in runs} == set(sites)
    root = tell_production_failed(runs, note="Target leak", now=KNOWN, by=BY)
    assert Event.objects.filter(kind=EventKind.DAY_DISRUPTED).count() == 1
    assert {site.pk for site, _ in recovering.sites_hit(root)} == set(sites)
    each = network.of_event(root, sites, now=KNOWN)
    assert {one.site.pk for one in each} == set(sites)
    done = network.accept_all(root, sites, now=KNOWN, by=actor(morning.lead))
    assert {row.state for row in done} == {"accepted"} and len(done) == 2
    moved = Event.objects.filter(kind=EventKind.APPOINTMENT_MOVED)
    assert {event.root_event for event in moved} == {root.pk}
    assert {event.site for event in moved} == set(sites)
    lost = [run.pk for run in runs]
    assert not standing().filter(allotment__supply_run__in=lost, arrival_at__date=TUESDAY).exists()
    assert standing().count() == len(morning.booked) + len(other.booked)
    with pytest.raises(NotPossible, match="Every site has accepted already"):
        network.accept_all(root, sites, now=KNOWN, by=actor(morning.lead))


def test_one_site_that_cannot_be_moved_moves_nobody_anywhere(monkeypatch):
    morning = make_morning(3, received=False)
    make_morning(2, made=morning.made, site=morning.made.other_site, received=False)
    sites = [morning.made.site.pk, morning.made.other_site.pk]
    runs = [run for run in runs_of("Testown", morning.made.site, TUESDAY) if run.due_at < at(9)]
    root = tell_production_failed(runs, now=KNOWN, by=BY)
    network.of_event(root, sites, now=KNOWN)
    RecoveryPlan.objects.filter(site=morning.made.other_site).update(options=[])
    monkeypatch.setattr(recovering, "options_for", lambda looked: [])
    with pytest.raises(NotPossible, match="no option is ready"):
        network.accept_all(root, sites, now=KNOWN, by=actor(morning.lead))
    assert not Event.objects.filter(kind=EventKind.APPOINTMENT_MOVED).exists()


def test_every_site_goes_back_in_one_act_or_none_does():
    morning = make_morning(3, received=False)
    other = make_morning(2, made=morning.made, site=morning.made.other_site, received=False)
    sites = [morning.made.site.pk, morning.made.other_site.pk]
    runs = [run for run in runs_of("Testown", morning.made.site, TUESDAY) if run.due_at < at(9)]
    root = tell_production_failed(runs, now=KNOWN, by=BY)
    by = actor(morning.lead)
    was = {row.procedure_id: (row.scan_at, row.scanner_id) for row in (*morning.booked, *other.booked)}
    network.accept_all(root, sites, now=KNOWN, by=by)
    back = network.undo_all(root, sites, now=KNOWN, by=by)
    assert {row.state for row in back} == {"undone"} and len(back) == 2
    assert {row.procedure_id: (row.scan_at, row.scanner_id) for row in standing()} == was
    assert history_faults() == []
    network.of_event(root, sites, now=KNOWN, again=True)
    network.accept_all(root, sites, now=KNOWN, by=by)
    knows = standing().filter(site=morning.made.other_site, state="booked").first()
    booking.tell(knows, channel="phone", now=KNOWN, by=by)
    with pytest.raises(NotPossible, match="has been told"):
        network.undo_all(root, sites, now=KNOWN, by=by)
    assert RecoveryPlan.objects.filter(state="accepted").count() == 2, "nobody went back anywhere"
    assert network.why_not_undone(root, sites)[0].startswith(morning.made.other_site.name)


def test_a_site_that_opens_early_is_counted_on_again():
    morning = make_morning()
    said = Said(FailureKind.SNOW, until=at(13), shut=True)
    root = tell(morning.made.site, TUESDAY, said, now=KNOWN, by=BY)
    _, _, options = recovering.open_recovery(root, now=KNOWN)
    assert options and all(option.moves for option in options)
    later = KNOWN + timedelta(minutes=5)
    event = reopening.reopen(root, morning.made.site, now=later, by=actor(morning.lead))
    assert (event.kind, event.root_event) == ("site_reopened", root.pk)
    assert Closure.objects.get().to_at == later
    _, _, options = recovering.open_recovery(root, now=later)
    assert not options[0].moves, "nobody has to move any more"
    with pytest.raises(NotPossible, match="over already"):
        reopening.reopen(root, morning.made.site, now=later, by=actor(morning.lead))

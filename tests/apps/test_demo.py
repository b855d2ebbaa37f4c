"""The demonstration is lived through the services: once, in order, and on from where it was interrupted."""

from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from django.core.cache import cache
from procrastinate.contrib.django.models import ProcrastinateJob
from procrastinate.exceptions import AlreadyEnqueued
from typer.testing import CliRunner

from gantry.apps.accounts.access import acting_for
from gantry.apps.accounts.models import Person
from gantry.apps.audit.models import Event, InboxMessage, OutboxMessage
from gantry.apps.booking.models import Appointment
from gantry.apps.booking.services import Refused
from gantry.apps.correspondence.models import PatientMessage
from gantry.apps.estate.models import Organisation, Site
from gantry.apps.radiopharmacy import jobs
from gantry.apps.radiopharmacy.models import Batch
from gantry.apps.referrals.models import Referral
from gantry.apps.reporting.models import ReportDispatch
from gantry.apps.scanning.models import InjectorReport, Study, Visit
from gantry.cli import app, demo
from gantry.cli.demonstration.clock import Clock
from gantry.cli.demonstration.staff import everyone
from gantry.cli.demonstration.standing_in import CLOCKS, clocks_waiting
from gantry.domain.access import Role
from gantry.domain.events import EventKind

NOW = datetime(2026, 11, 25, 10, 40, tzinfo=UTC)
"""A Wednesday, late in the morning."""

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, settings, monkeypatch: pytest.MonkeyPatch) -> None:
    settings.IMAGES_ROOT = tmp_path / "images"
    monkeypatch.setattr(demo, "VAR", tmp_path)
    monkeypatch.setenv("GANTRY_DEMO_PASSWORD", "a long demonstration password")


def lived(patients: int = 24, now: datetime = NOW) -> demo.Loaded:
    return demo.load(now, patients=patients, weeks=timedelta(days=8), progress=lambda line: None)


def test_the_weeks_are_lived_and_everybody_may_sign_in() -> None:
    loaded = lived()
    assert loaded.acts > 300
    assert InboxMessage.objects.get(door=demo.DOOR).outcome == demo.LIVED
    kinds = Counter(Event.objects.values_list("kind", flat=True))
    assert kinds[EventKind.REFERRAL_REFUSED] >= 1
    assert kinds[EventKind.REFERRAL_REDIRECTED] >= 1
    assert kinds[EventKind.DOSE_INJECTED] >= 4
    assert kinds[EventKind.IMAGES_PROVED] >= 3
    assert kinds[EventKind.REPORT_VERIFIED] >= 1
    assert not Event.objects.filter(happened_at__gt=NOW + timedelta(hours=1)).exists()
    assert not Event.objects.filter(recorded_at__gt=NOW + timedelta(hours=1)).exists()
    states = Counter(Referral.objects.values_list("state", flat=True))
    assert {"accepted", "awaiting_referrer", "on_hold", "closed"} <= set(states)
    assert Batch.objects.exclude(state="failed").exists()
    assert Study.objects.exists()
    assert not Study.objects.filter(state="held").exists()
    drawn = Event.objects.filter(kind=EventKind.DOSE_DRAWN).values_list("data__doubts", flat=True)
    assert drawn
    assert not any(drawn), "a syringe's volume goes with its vial"
    # Nothing of the past is left for a worker to send at another hour, and each delivery has the emulated engine's word.
    past = OutboxMessage.objects.exclude(state="delivered").filter(created_at__lt=NOW - timedelta(hours=1))
    assert not past.exclude(door="messages").exists()
    # Word to patients has had its answer too, or they know by voice: of a letter nobody ever says that it has come.
    assert not past.filter(state__in=["queued", "failed"]).exists()
    assert not PatientMessage.objects.filter(state="sent", known=False).exists()
    assert PatientMessage.objects.filter(state="delivered").exists()
    assert all(one.proof.startswith("AA to ") for one in ReportDispatch.objects.filter(delivered_at__isnull=False))
    # Injectors have told what they gave: beside our record, but for one that nobody has registered.
    told = Counter(InjectorReport.objects.values_list("state", flat=True))
    assert told["matched"] and not told["came"] and not told["waits"]
    assert not Visit.objects.exclude(glucose_doubt="").exists()
    failed = Batch.objects.get(state="failed")
    root = Event.objects.get(kind=EventKind.BATCH_FAILED, subjects__contains=[failed.pk])
    because = Counter(Event.objects.filter(root_event=root.pk).values_list("kind", flat=True))
    assert because[EventKind.APPOINTMENT_MOVED] + because[EventKind.APPOINTMENT_CANCELLED] >= 1
    # A service closes what it can: of what is over, little waits past its time.
    late = Referral.objects.filter(due_at__lt=NOW, closed_at=None).exclude(next_step="")
    assert late.count() <= Referral.objects.count() / 4, [(one.next_step, one.due_at) for one in late]
    # Every screen says what is invented, and every person is one of the demonstration's.
    assert not Site.objects.filter(assumed=False).exists()
    assert Organisation.objects.get(ods_code="RBV").assumed is False
    assert not Referral.objects.exclude(patient__family_name__startswith="TEST-").exists()
    for one in demo.show_signins():
        person = Person.objects.get(email=one.email)
        assert acting_for(person, now=NOW).verbs, one
        assert person.is_demonstration
    manager = next(one for one in everyone() if one.role is Role.MANAGER)
    assert Person.objects.get(email=manager.email).check_password(demo.password())

    before = Event.objects.count()
    assert lived().acts == 0
    assert Event.objects.count() == before, "a second call does nothing"


def test_an_interrupted_load_goes_on_where_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    class Pulled(Exception):
        pass

    run = Clock.run
    ticks = 0

    def pulled(self: Clock, tick, wait=lambda moment: False) -> None:
        def until(moment: datetime) -> None:
            nonlocal ticks
            ticks += 1
            tick(moment)
            if ticks >= 150 and Event.objects.filter(kind=EventKind.REFERRAL_REFUSED).exists():
                raise Pulled

        run(self, until, wait)

    monkeypatch.setattr(Clock, "run", pulled)
    with pytest.raises(Pulled):
        lived(12)
    half = Event.objects.count()
    assert Event.objects.filter(kind=EventKind.REFERRAL_REFUSED).exists(), "the cut comes after the refusal"
    seen = set(Referral.objects.values_list("pk", flat=True))
    monkeypatch.setattr(Clock, "run", run)
    again = lived(12, now=NOW + timedelta(minutes=30))
    assert again.acts > 0
    assert Event.objects.count() > half
    assert seen <= set(Referral.objects.values_list("pk", flat=True))
    assert InboxMessage.objects.get(door=demo.DOOR).received_at == NOW, "the moment of the first try is kept"
    keys = Counter(Referral.objects.values_list("source_key", flat=True))
    assert max(keys.values()) == 1
    refused = Event.objects.filter(kind=EventKind.REFERRAL_REFUSED).values_list("data__source_key", flat=True)
    assert refused
    assert len(set(refused)) == len(refused), "a refusal is said once, though it leaves no referral to find"
    once = Event.objects.filter(kind=EventKind.DOSE_INJECTED).values_list("about__appointment", flat=True)
    assert len(set(once)) == len(once)
    booked = Appointment.objects.filter(state__in=["booked", "told", "arrived", "fulfilled"]).values_list("procedure")
    assert len(set(booked)) == len(booked)
    assert Visit.objects.exists()


def test_the_workers_clock_waits_while_past_weeks_are_lived() -> None:
    """By today's clock every cut-off of theirs is over: a worker that closed their runs would leave nobody a dose."""

    def start() -> int:
        return jobs.close_runs.defer(timestamp=0)

    start()
    with clocks_waiting():
        with pytest.raises(AlreadyEnqueued):
            start()
        due = ProcrastinateJob.objects.filter(queueing_lock__in=CLOCKS).values_list("queueing_lock", "scheduled_at")
        assert {name for name, at in due if at is not None} == set(CLOCKS)
        assert {"close_runs", "expire_batches", "expire_holds"} <= set(CLOCKS)
    assert not ProcrastinateJob.objects.filter(queueing_lock__in=CLOCKS).exists()
    start()


def test_what_somebody_did_by_hand_stands() -> None:
    """An act that the services refuse is left, and the clock goes on: nobody argues with a person who signed in."""
    clock, done = Clock(lambda: NOW), []

    def overtaken(at: datetime) -> None:
        raise Refused(["It is already booked"])

    clock.at(NOW, done.append)
    clock.at(NOW - timedelta(minutes=1), overtaken)
    clock.at(NOW + timedelta(minutes=1), done.append)
    clock.run(lambda moment: None)
    assert clock.overtaken == 1
    assert done == [NOW], "what has not come is left"


def test_sign_ins_are_printed_with_one_password() -> None:
    said = CliRunner().invoke(app, ["signins"])
    assert said.exit_code == 0, said.output
    assert "a long demonstration password" in said.output
    assert {one.role for one in demo.show_signins()} == {role.value.replace("_", " ") for role in Role} - {"interface"}


def test_every_page_says_that_the_past_weeks_are_still_being_filled_in(settings, client) -> None:
    settings.DEMONSTRATION = True
    said = b"still being filled in"
    cache.clear()
    assert said not in client.get("/accounts/login/").content
    marker = demo.marked(NOW, 1, 8)
    cache.clear()
    assert said in client.get("/accounts/login/").content
    InboxMessage.objects.filter(pk=marker.pk).update(outcome=demo.LIVED)
    cache.clear()
    assert said not in client.get("/accounts/login/").content

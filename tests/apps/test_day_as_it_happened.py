"""The day that a plan and a recovery are built from knows what has happened; rows that cannot be are said, never an error."""

from datetime import datetime, timedelta

import pytest
from django.urls import reverse
from django.utils import timezone

from gantry.apps.audit.models import Event
from gantry.apps.booking.models import Appointment
from gantry.apps.booking.services import history_faults
from gantry.apps.estate.services import record_fault
from gantry.apps.radiopharmacy import services as radiopharmacy
from gantry.apps.radiopharmacy.models import SupplyRun
from gantry.apps.scanning.models import Visit
from gantry.apps.scanning.services import visits
from gantry.apps.scheduling.services import network, recovering, undoing
from gantry.apps.scheduling.services.building import build
from gantry.apps.scheduling.services.explaining import explain
from gantry.apps.scheduling.services.telling import tell_production_failed
from gantry.domain.events import Cause, CauseCode, Initiator
from gantry.domain.scan import Phase
from gantry.domain.scheduling.failures import Standing, standing
from gantry.domain.supply import Match
from tests.apps.broken_morning import BY, TUESDAY, Morning, at, make_morning
from tests.apps.factories import actor, make_batch
from tests.apps.test_recovery_sister import accepted, fail, make_sister
from tests.apps.test_scheduling_pages import client_of

pytestmark = pytest.mark.django_db


def inject(row: Appointment, moment: datetime) -> Visit:
    """Here, and injected at that minute, whatever was planned."""
    came = moment - timedelta(minutes=20)
    visit = visits.arrive(Visit.objects.get(appointment=row), happened_at=came, now=came, by=BY)
    run = SupplyRun.objects.get(site=row.site, due_at=at(7))
    batch = run.orders.first().batches.get() if run.orders.exists() else make_batch(run)
    dose = radiopharmacy.draw(
        batch, activity_mbq=300.0, at=moment, instrument="Calibrator 1", volume_ml=0.4, now=moment, by=BY,
        already_happened=True,
    )  # fmt: skip
    visits.inject(
        visit, "inject", dose, injected_at=moment, match=Match(barcode=dose.container.barcode), now=moment, by=BY,
        already_happened=True,
    )  # fmt: skip
    visit.refresh_from_db()
    return visit


def pages_of(morning: Morning, event: Event | None = None) -> list[str]:
    site, on = morning.made.site.pk, TUESDAY.isoformat()
    found = [reverse("scheduling:day", args=[site, on]), reverse("scheduling:orders", args=[site, on])]
    return [*found, *([reverse("scheduling:recover", args=[event.pk])] if event else [])]


def early_one() -> tuple[Morning, Appointment, datetime]:
    morning = make_morning(4, received=False)
    row = morning.booked[3]
    return morning, row, row.injection_at - timedelta(minutes=70)


def test_an_early_injection_is_in_the_plan_and_the_scan_that_is_too_late_is_said(monkeypatch):
    morning, row, given = early_one()
    inject(row, given)
    now = given + timedelta(minutes=5)
    built = build(row.site, TUESDAY, now=now)
    visit = built.plan.visit(str(row.pk))
    assert abs((built.at(visit.injection_min) - given).total_seconds()) < 300
    assert any("minutes is outside the protocol" in fault for fault in built.strained)
    monkeypatch.setattr(timezone, "now", lambda: now)
    page = client_of(morning.lead).get(pages_of(morning)[0])
    assert page.status_code == 200 and f"{given:%H:%M}" in page.content.decode()


def test_accepting_an_option_for_whoever_was_injected_early_writes_when_that_was(monkeypatch):
    morning, row, given = early_one()
    sister = make_sister(morning)
    inject(row, given)
    failed = given + timedelta(minutes=8)
    event = fail(morning, failed)
    plan, _, _ = accepted(event, morning, now=failed)
    row.refresh_from_db()
    new = row.replaced_by
    assert (new.scanner, new.injection_at) == (sister, given)
    assert new.arrival_at <= new.injection_at < new.scan_at
    assert new.scan_at - given <= timedelta(minutes=75)
    monkeypatch.setattr(timezone, "now", lambda: failed)
    for page in pages_of(morning, event):
        assert client_of(morning.lead).get(page).status_code == 200, page
    undoing.undo(plan, now=failed + timedelta(minutes=1), by=actor(morning.lead))
    assert history_faults() == []


def test_somebody_scanned_is_not_called_injected_and_not_scanned():
    morning, row, given = early_one()
    visit = inject(row, given)
    begun = given + timedelta(minutes=57)
    visits.record_step(visit, "scan", phase=Phase.START, happened_at=begun, now=begun, by=BY)
    visits.record_step(
        visit,
        "scan",
        phase=Phase.DONE,
        happened_at=begun + timedelta(minutes=18),
        now=begun + timedelta(minutes=18),
        by=BY,
    )
    row.refresh_from_db()
    failed = begun + timedelta(minutes=25)
    cause = Cause(CauseCode.SCANNER_FAILED, Initiator.PROVIDER)
    fault = record_fault(morning.scanner, cause=cause, at=failed, now=failed, by=BY, site=morning.made.site)
    looked = recovering.look(Event.objects.get(pk=fault.event), now=failed)
    patient = looked.situation.day.patient(str(row.pk))
    assert standing(looked.situation, patient) is Standing.SCANNED
    assert looked.built.at(looked.built.plan.visit(patient.ref).scan_min) <= failed, "not when it was planned"
    for option in recovering.options_for(looked):
        assert patient.ref not in {move.patient for move in option.moves}
        assert option.abandoned == ()


def recall(morning: Morning, now: datetime) -> Event:
    cause = Cause(CauseCode.BATCH_FAILED_QC, Initiator.SUPPLIER)
    return radiopharmacy.recall_batch(morning.batch, cause=cause, now=now, by=BY)


def test_a_recalled_batch_is_no_tracer_and_the_next_event_knows_it(monkeypatch):
    morning = make_morning(3)
    site, now = morning.made.site, at(7, 10)
    assert build(site, TUESDAY, now=now).without_tracer == []
    radiopharmacy.release_batch(morning.batch, released_by="Quinn Person", released_at=now, now=now, by=BY)
    radiopharmacy.accept_batch(morning.batch, now=now, by=BY)
    recall(morning, now)
    short = build(site, TUESDAY, now=now)
    assert any("holds 0 MBq" in words and "3 people" in words for words in short.without_tracer)
    monkeypatch.setattr(timezone, "now", lambda: now)
    page = client_of(morning.lead).get(pages_of(morning)[0]).content.decode()
    assert "The plan draws on tracer that is not there" in page and "holds 0 MBq" in page
    later = SupplyRun.objects.get(site=site, due_at=at(11))
    event = tell_production_failed([later], now=now, by=actor(morning.lead))
    (one,) = network.of_event(event, [site.pk], now=now)
    for option in one.options:
        assert len(option.moves) == 3, "nobody stays on a batch that is recalled, whichever event is looked at"


def test_a_row_that_cannot_be_is_said_and_undo_stays_in_reach(monkeypatch):
    morning = make_morning(3)
    sister, row = make_sister(morning), morning.booked[0]
    now = at(7, 5)
    event = fail(morning, now)
    accepted(event, morning, now=now)
    row.refresh_from_db()
    new = row.replaced_by or row
    Appointment.objects.filter(pk=new.pk).update(scan_at=new.injection_at - timedelta(minutes=40))
    monkeypatch.setattr(timezone, "now", lambda: now)
    for page in pages_of(morning, event):
        found = client_of(morning.lead).get(page)
        assert found.status_code == 200, page
        if "orders" not in page:
            assert "is before the injection" in found.content.decode(), page
    assert "Undo all of it" in client_of(morning.lead).get(pages_of(morning, event)[-1]).content.decode()
    assert build(morning.made.site, TUESDAY, now=now).plan.visit(str(new.pk)) is None
    assert sister.pk == new.scanner_id


def test_a_day_that_cannot_be_built_at_all_says_so_and_offers_undo(monkeypatch):
    morning = make_morning(2)
    make_sister(morning)
    now = at(7, 5)
    event = fail(morning, now)
    plan, _, _ = accepted(event, morning, now=now)

    def contradicts(*_: object) -> None:
        raise ValueError("an uptake needs least ≤ target ≤ most")

    monkeypatch.setattr("gantry.apps.scheduling.services.building.as_booked", contradicts)
    monkeypatch.setattr(timezone, "now", lambda: now)
    for page in pages_of(morning, event):
        found = client_of(morning.lead).get(page)
        assert found.status_code == 200, page
        said = found.content.decode()
        assert "What is recorded contradicts itself" in said and "Undo all of it" in said
    back = reverse("scheduling:recover_site", args=[event.pk, morning.made.site.pk])
    assert client_of(morning.lead).post(back, {"what": "undo"}).status_code == 302
    plan.refresh_from_db()
    assert plan.state == "undone"


def test_no_time_that_has_passed_is_offered_as_the_dearer_or_cheaper_one():
    morning = make_morning(4)
    last, now = morning.booked[3], at(8, 40)
    found = explain(last, now=now)
    draws_less = [words for words in found.reasons if "would draw" in words]
    for words in draws_less:
        hour, minute = words.split("Alone, ")[1][:5].split(":")
        assert at(int(hour), int(minute)) > now
    assert found.other is None or found.judged.built.at(found.other.visit.injection_min) > now

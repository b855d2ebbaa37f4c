"""Whoever is injected when their scanner fails lies on another: every place that says so names it, and who must act."""

from datetime import timedelta

import pytest
from django.urls import reverse
from django.utils import timezone

from gantry.apps.audit.models import Event
from gantry.apps.booking.models import Appointment
from gantry.apps.estate.services import record_fault
from gantry.apps.radiopharmacy import services as radiopharmacy
from gantry.apps.radiopharmacy.models import Dose, SupplyRun
from gantry.apps.scheduling.models import RecoveryMove
from gantry.apps.scheduling.services import recovering
from gantry.domain.events import Cause, CauseCode, Initiator
from gantry.domain.supply import DoseState
from tests.apps.broken_morning import BY, TUESDAY, Morning, at, make_morning
from tests.apps.factories import actor, make_batch, make_scanner, make_session
from tests.apps.test_scheduling_pages import client_of

pytestmark = pytest.mark.django_db


def inject(morning: Morning, row: Appointment) -> None:
    """Given without a visit: what recovery sees of an injection."""
    batch = make_batch(SupplyRun.objects.get(site=row.site, due_at=at(7)))
    dose = radiopharmacy.draw(
        batch, activity_mbq=300.0, at=row.injection_at, instrument="Calibrator 1", volume_ml=0.4,
        now=row.injection_at, by=BY, already_happened=True,
    )  # fmt: skip
    Dose.objects.filter(pk=dose.pk).update(state=DoseState.ASSIGNED, appointment=row)
    dose.refresh_from_db()
    radiopharmacy.administer(dose, injected_at=row.injection_at, now=row.injection_at, by=BY)


def test_somebody_injected_goes_to_the_sister_scanner_by_its_name(monkeypatch):
    morning = make_morning(1, received=False)
    sister = make_scanner(morning.made.site, name="Scanner 2")
    make_session(morning.made.site, sister, TUESDAY)
    row = morning.booked[0]
    inject(morning, row)
    failed = row.scan_at - timedelta(minutes=10)
    cause = Cause(CauseCode.SCANNER_FAILED, Initiator.PROVIDER)
    fault = record_fault(morning.scanner, cause=cause, at=failed, now=failed, by=BY, site=morning.made.site)
    plan, looked, options = recovering.open_recovery(Event.objects.get(pk=fault.event), now=failed)
    move = options[0].moves[0]
    assert (move.standing, move.now_scanner) == ("injected", str(sister.pk))
    when = f"{looked.built.at(move.now_min).astimezone(looked.built.day.origin.tzinfo):%H:%M}"
    monkeypatch.setattr(timezone, "now", lambda: failed)
    client = client_of(morning.lead)
    page = client.get(reverse("scheduling:recover", args=[fault.event])).content.decode()
    assert f"to Scanner 2 at {when}" in page
    assert "still show Scanner 1: the session lead tells both scanners" in page
    recovering.accept(plan, 0, now=failed, by=actor(morning.lead))
    said = RecoveryMove.objects.get(recovery=plan).said
    assert f"scan on Scanner 2 at {when}" in said
    assert "still show Scanner 1: the session lead tells both scanners" in said

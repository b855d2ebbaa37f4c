"""What a scanned patient waits for next always has an owner: the reporter, the referrer, then nobody."""

from datetime import timedelta

import pytest

from gantry.apps.referrals.models import Referral
from gantry.apps.reporting import services as reporting
from gantry.apps.scanning.services import visits
from gantry.domain.access import Role
from gantry.domain.referral import ReferralState
from tests.apps.factories import actor, make_person
from tests.apps.reports import READ_AT, make_reading

pytestmark = pytest.mark.django_db


def test_scanned_reported_acted_on_and_done():
    reading = make_reading()
    referral = Referral.objects.get(pk=reading.procedure.referral_id)
    visits.record_step(reading.visit, "scan", phase="done", happened_at=READ_AT, now=READ_AT, by=reading.by)
    referral.refresh_from_db()
    assert (referral.next_owner, referral.due_at) == (Role.REPORTER, READ_AT + timedelta(days=2))
    version = reading.verified(now=READ_AT + timedelta(hours=1))
    referral.refresh_from_db()
    assert (referral.next_owner, referral.next_step) == (Role.REFERRER, "Read the report and say what was done")
    referrer = make_person(Role.REFERRER, reading.trust)
    reporting.record_action(
        version,
        action="Referred to thoracic surgery",
        organisations=frozenset({reading.trust.pk}),
        by=actor(referrer),
        person=referrer,
        now=READ_AT + timedelta(days=1),
    )
    referral.refresh_from_db()
    assert (referral.state, referral.next_step, referral.due_at) == (ReferralState.CLOSED, "", None)

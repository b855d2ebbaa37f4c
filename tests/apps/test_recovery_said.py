"""What a recovery says of people is what the rows say: doses that were recorded, limits that fail, moves that were noticed."""

from datetime import timedelta

import pytest

from gantry.apps.referrals.models import Referral
from gantry.apps.referrals.services.given import given_to
from gantry.apps.scheduling.services import recovering
from gantry.apps.scheduling.services.building import build
from gantry.domain.scheduling.problem import Plan
from gantry.domain.scheduling.recovery import NeedKind, Way, option, reinjection_words
from tests.apps.broken_morning import KNOWN, TUESDAY, make_morning
from tests.apps.test_recovery_sister import accepted, fail, inject, make_sister

pytestmark = pytest.mark.django_db


def test_the_dose_that_another_injection_adds_to_is_the_recorded_one():
    morning = make_morning(1, received=False)
    row = morning.booked[0]
    inject(row)
    looked = recovering.look(fail(morning, row.scan_at - timedelta(minutes=10)), now=row.scan_at)
    given = sum(each.mbq for each in given_to(row.referral))
    facts = looked.situation.about(str(row.pk))
    assert facts.given_mbq == given > 0
    words = reinjection_words(looked.situation, str(row.pk))
    assert f"{given:,.0f} MBq was given, {given + facts.prescribed_mbq:,.0f} MBq in all" in words
    made = option(looked.situation, Way.WAIT, Plan((), left_out={str(row.pk): "nothing is free"}))
    assert words in [need.words for need in made.needs if need.kind is NeedKind.INCIDENT]


def test_the_limit_that_fails_is_named_and_no_other():
    morning = make_morning(3)
    dates = ((TUESDAY + timedelta(days=14), TUESDAY), (TUESDAY, None), (None, TUESDAY - timedelta(days=1)))
    for row, (breach, needed) in zip(morning.booked, dates, strict=True):
        Referral.objects.filter(pk=row.referral_id).update(breach_on=breach, needed_by=needed)
    looked = recovering.look(morning.fail(), now=KNOWN)
    others = [looked.situation.about(str(row.pk)).other_day for row in morning.booked]
    day = f"{TUESDAY:%-d %B}"
    assert [each.limit for each in others] == [
        f"the date asked for, {day},", f"the pathway's breach on {day}", "",
    ]  # fmt: skip
    assert [each.within_limit for each in others] == [False, False, True]


def test_another_scanner_at_the_same_time_is_no_move():
    morning = make_morning(2, received=False)
    make_sister(morning)
    event = fail(morning, KNOWN - timedelta(minutes=30))
    accepted(event, morning, now=KNOWN - timedelta(minutes=30))
    built = build(morning.made.site, TUESDAY, now=KNOWN, wide=True)
    assert {row.scanner.name for row in built.appointments.values()} == {"Scanner 2"}
    assert [patient.told.moves_before for patient in built.day.patients if patient.told] == [0, 0]

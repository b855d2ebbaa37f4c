"""A day out of the rows is read back as the same problem, without a name or an id, and can be recovered."""

import json
import re
from datetime import timedelta

import pytest

from gantry.apps.scheduling.services import approving
from gantry.apps.scheduling.services.lifting import lift
from gantry.domain.scheduling import check
from gantry.domain.scheduling.failure_files import read_event
from gantry.domain.scheduling.failures import Situation
from gantry.domain.scheduling.files import read_day, read_plan
from gantry.domain.scheduling.problem import Day, Plan
from gantry.solvers.recovery import options_after
from tests.apps.broken_morning import KNOWN, TUESDAY, make_morning
from tests.apps.factories import NOW, actor, make_practitioner
from tests.apps.test_recovery_rules import rule
from tests.apps.test_recovery_supply import make_rescue

pytestmark = pytest.mark.django_db


def test_what_is_lifted_is_a_day_that_can_be_recovered_and_names_nobody():
    morning = make_morning(5)
    made = lift(morning.made.site, TUESDAY, now=KNOWN.replace(hour=5))
    text = json.dumps([made.day, made.plan, made.event])
    assert not re.search(r"[0-9a-f]{8}-[0-9a-f]{4}-", text) and "TESTCASE" not in text.upper()
    day = read_day(made.day)
    assert isinstance(day, Day) and [p.ref for p in day.patients] == [f"P{n:02}" for n in range(1, 6)]
    plan = read_plan(day, made.plan)
    assert isinstance(plan, Plan) and check.faults(day, plan) == []
    situation = read_event(day, plan, made.event)
    assert isinstance(situation, Situation)
    assert all(facts.other_day is not None for facts in situation.circumstances.values())
    assert day.clock(situation.known_min) == "07:10"
    assert options_after(situation, seconds=0.1)


def test_rules_and_open_runs_are_lifted_without_who_approved_them():
    morning = make_morning(3)
    doctor = make_practitioner(morning.made)
    approving.approve(rule([morning.made.site]), doctor, now=NOW, by=actor(doctor))
    early = KNOWN.replace(hour=5)
    make_rescue(morning, cut_off=early + timedelta(hours=2))
    made = lift(morning.made.site, TUESDAY, now=early)
    text = json.dumps(made.event)
    assert doctor.name not in text and not re.search(r"[0-9a-f]{8}-[0-9a-f]{4}-", text)
    day = read_day(made.day)
    assert isinstance(day, Day)
    plan = read_plan(day, made.plan)
    assert isinstance(plan, Plan)
    situation = read_event(day, plan, made.event)
    assert isinstance(situation, Situation)
    (less,) = situation.rules.lengthen
    assert (less.least_fraction, less.patients) == (0.7, {"P01", "P02", "P03"})
    assert list(situation.cut_offs.values()) == [7 * 60 + 10]
    assert [d.most_mbq for d in day.deliveries if d.ordered_mbq is None] == [8_000]

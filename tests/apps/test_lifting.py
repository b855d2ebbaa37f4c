"""A day out of the rows is read back as the same problem, without a name or an id, and can be recovered."""

import json
import re

import pytest

from gantry.apps.scheduling.services.lifting import lift
from gantry.domain.scheduling import check
from gantry.domain.scheduling.failure_files import read_event
from gantry.domain.scheduling.failures import Situation
from gantry.domain.scheduling.files import read_day, read_plan
from gantry.domain.scheduling.problem import Day, Plan
from gantry.solvers.recovery import options_after
from tests.apps.broken_morning import KNOWN, TUESDAY, make_morning

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

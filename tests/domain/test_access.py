"""Denied unless listed: roles, verbs and the dates that a grant stands."""

from datetime import date, timedelta
from uuid import UUID

import pytest

from gantry.domain.access import VERBS, Grant, Role, Verb, verbs, why_not_allowed

TRUST = UUID(int=1)
DAY = date(2026, 3, 2)


def test_every_role_has_verbs_and_every_verb_has_a_role():
    assert set(VERBS) == set(Role)
    assert frozenset().union(*VERBS.values()) == set(Verb)


def test_nobody_may_do_anything_without_a_grant():
    assert verbs([], DAY) == frozenset()


@pytest.mark.parametrize(("days", "stands"), [(-1, False), (0, True), (10, True), (11, False)])
def test_a_grant_stands_from_its_first_day_to_its_last(days, stands):
    grant = Grant(TRUST, Role.REFERRER, DAY, DAY + timedelta(days=10))
    assert grant.stands(DAY + timedelta(days=days)) is stands


def test_a_refusal_names_who_may():
    grant = Grant(TRUST, Role.REFERRER, DAY)
    assert why_not_allowed([grant], Verb.REFER, DAY) is None
    assert why_not_allowed([grant], Verb.VET, DAY) == "To vet you need to be a practitioner"
    assert why_not_allowed([grant], Verb.DRAW, DAY) == (
        "To draw you need to be a physicist, radiographer or radiopharmacist"
    )


def test_injecting_is_for_those_who_stand_at_the_vein():
    assert {role for role, may in VERBS.items() if Verb.INJECT in may} == {Role.RADIOGRAPHER, Role.SESSION_LEAD}

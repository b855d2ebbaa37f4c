"""Appointments: every state and event, the plan of a visit, why not here, and causes that cannot be."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gantry.domain.appointment import (
    ACTIVE,
    APPOINTMENT,
    FHIR_STATUS,
    AppointmentEvent,
    AppointmentState,
    Place,
    Requirement,
    Span,
    VisitShape,
    activity_needed,
    first_free,
    fit_in_words,
    not_seen_event,
    planned,
    why_not_caused,
    why_not_here,
)
from gantry.domain.decay import Nuclide
from gantry.domain.events import CauseCode, Initiator
from gantry.domain.lifecycle import IllegalMove, advance
from gantry.reference.causes import causes_on

DAY = date(2026, 11, 24)
NOW = datetime(2026, 11, 23, 9, tzinfo=UTC)
EIGHT = datetime(2026, 11, 24, 8, tzinfo=UTC)
F18 = Nuclide("F-18", timedelta(seconds=6586.2))
PLAN = planned(VisitShape(30, 60, 20), EIGHT)
PLACE = Place("Northgate", "PET 1", frozenset({"hoist"}), 200, (Span(EIGHT, EIGHT + timedelta(hours=10)),))


@pytest.mark.parametrize("event", AppointmentEvent)
@pytest.mark.parametrize("state", AppointmentState)
def test_every_state_and_event(state, event):
    if (state, event) in APPOINTMENT:
        assert advance(APPOINTMENT, state, event) is APPOINTMENT[state, event]
    else:
        with pytest.raises(IllegalMove):
            advance(APPOINTMENT, state, event)


def test_an_ended_appointment_stays_ended_and_every_state_has_a_word_in_fhir():
    left = {state for state, _ in APPOINTMENT}
    assert left == ACTIVE
    assert set(FHIR_STATUS) == set(AppointmentState)


def test_a_visit_goes_room_scanner_cleaning():
    assert (PLAN.injection_at, PLAN.scan_at) == (EIGHT + timedelta(minutes=30), EIGHT + timedelta(minutes=90))
    assert PLAN.room == Span(EIGHT, PLAN.scan_at)
    assert PLAN.scanner == Span(PLAN.scan_at, EIGHT + timedelta(minutes=115))


@given(st.floats(1, 600), st.integers(-600, 600), st.integers(-600, 600))
def test_what_a_run_must_give_up_does_not_depend_on_the_moment_it_is_counted_at(mbq, first, second):
    def at(minutes: int) -> datetime:
        return EIGHT + timedelta(minutes=minutes)

    one = activity_needed(mbq, F18, injection_at=EIGHT, reference_at=at(first))
    other = activity_needed(mbq, F18, injection_at=EIGHT, reference_at=at(second))
    assert other == pytest.approx(activity_needed(one, F18, injection_at=at(first), reference_at=at(second)))


@pytest.mark.parametrize(
    ("place", "requirement", "said"),
    [
        (PLACE, Requirement(), None),
        (PLACE, Requirement(frozenset({"hoist"}), 200, DAY, DAY), None),
        (PLACE, Requirement(needed_by=date(2026, 11, 20)), None),
        (PLACE, Requirement(frozenset({"anaesthesia"})), "does not have: anaesthesia"),
        (PLACE, Requirement(weight_kg=200.5), "takes up to 200 kg and the patient weighs 200.5 kg"),
        (PLACE, Requirement(not_before=date(2026, 11, 25)), "no scan before 25 November 2026"),
        (replace(PLACE, open=()), Requirement(), "no session that holds the whole scan"),
        (replace(PLACE, open=(Span(EIGHT, PLAN.ends_at),)), Requirement(), "no session"),
        (replace(PLACE, deployed=False), Requirement(), "PET 1 is not at Northgate then"),
        (replace(PLACE, closed=((Span(EIGHT, PLAN.scan_at), "flood"),)), Requirement(), "not open then: flood"),
    ],
)
def test_why_not_here(place, requirement, said):
    reasons = why_not_here(place, requirement, PLAN, on=DAY, now=NOW)
    assert (reasons == []) if said is None else (len(reasons) == 1 and said in reasons[0])


def test_nobody_is_booked_into_the_past():
    assert why_not_here(PLACE, Requirement(), PLAN, on=DAY, now=EIGHT) == ["That time has passed"]


def test_rooms_that_look_free_are_tried_first_and_the_rest_all_the_same():
    assert first_free(["1", "2", "3"], {"1"}) == ["2", "3", "1"]


def test_a_birthday_decides_who_was_not_brought():
    born = date(2010, 11, 24)
    assert not_seen_event(born_on=born, on=DAY, at_risk=False) is AppointmentEvent.NOT_ATTEND
    assert not_seen_event(born_on=born, on=DAY - timedelta(days=1), at_risk=False) is AppointmentEvent.NOT_BRING
    assert not_seen_event(born_on=date(1950, 1, 1), on=DAY, at_risk=True) is AppointmentEvent.NOT_BRING


def test_the_wrong_side_cannot_be_blamed():
    assert why_not_caused(CauseCode.BATCH_FAILED, Initiator.PATIENT)
    assert why_not_caused(CauseCode.DECLINED, Initiator.PROVIDER)
    assert not why_not_caused(CauseCode.UNWELL, Initiator.PATIENT)
    assert not why_not_caused(CauseCode.UNWELL, Initiator.PROVIDER)


def test_every_cause_has_one_class_one_owner_and_words():
    mapped = causes_on(DAY)
    assert set(mapped) == set(CauseCode)
    assert len({facts.words for facts in mapped.values()}) == len(mapped)
    assert {facts.nhs_reason for facts in mapped.values()} == {"01", "02", ""}
    assert causes_on(date(2001, 1, 1)) == mapped


@pytest.mark.parametrize(
    ("on", "needed_by", "km", "said"),
    [
        (DAY, None, None, ("the soonest anywhere",)),
        (DAY, DAY, 0.4, ("In time, on the last day", "the soonest anywhere", "on the doorstep")),
        (DAY + timedelta(days=1), DAY + timedelta(days=2), 12.3,
         ("In time, 1 day to spare", "1 day after the soonest", "the nearest site, 12 km away")),
        (DAY + timedelta(days=2), DAY, 12.3,
         ("Late: 2 days after it is needed", "2 days after the soonest", "the nearest site, 12 km away")),
    ],
)  # fmt: skip
def test_a_choice_says_limit_then_delay_then_distance(on, needed_by, km, said):
    assert fit_in_words(on=on, needed_by=needed_by, soonest=DAY, nearest=True, km=km) == said

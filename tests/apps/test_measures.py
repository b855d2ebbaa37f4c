"""The SQL reading of each measure is judged by the plain one, on histories that Hypothesis invents."""

from datetime import UTC, date, datetime, timedelta

import pytest
from django.db import transaction
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gantry.apps.audit.ids import new_id
from gantry.apps.audit.models import Event
from gantry.apps.audit.services import append
from gantry.apps.quality import services
from gantry.apps.quality.models import Incident
from gantry.apps.quality.sql import compile_share, compile_wait
from gantry.domain.events import Cause, CauseCode, EventKind, Initiator, system
from gantry.domain.measures import Share, unit_share, unit_wait
from gantry.reference.measures import measures_on

NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
MEASURES = measures_on(NOW.date())
BY = system("test")
KINDS = [*sorted({kind for m in MEASURES.values() for kind in services.kinds_of(m)}), EventKind.SLOT_HELD]
CODES = [
    CauseCode.BATCH_FAILED,
    CauseCode.SCANNER_FAILED,
    CauseCode.STAFF_ABSENT,
    CauseCode.UNWELL,
    CauseCode.PATIENT_CANCELLED,
]

happenings = st.lists(
    st.tuples(
        st.sampled_from(KINDS),
        st.integers(0, 2),  # which unit
        st.integers(-60, 60),  # hours from NOW: across the clock change of no zone, and over midnights
        st.sampled_from([None, *CODES]),
        st.sampled_from(list(Initiator)),
        st.booleans(),
        st.integers(-2, 2),  # the day told
        st.sampled_from([None, *CODES]),  # a later correction
    ),
    max_size=14,
)


@pytest.mark.django_db
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(happenings)
def test_the_sql_says_what_the_plain_reading_says(drawn):
    with transaction.atomic():
        units = [(new_id(), new_id()) for _ in range(3)]
        for kind, which, hours, code, initiator, flag, day, correction in drawn:
            procedure, referral = units[which]
            at = NOW + timedelta(hours=hours)
            event = append(
                kind,
                subjects={"procedure": procedure, "referral": referral},
                happened_at=at,
                recorded_at=at,
                by=BY,
                cause=Cause(code, initiator) if code else None,
                data={
                    "for": (NOW + timedelta(days=day)).date().isoformat(),
                    "nhs": flag,
                    "acceptable": flag,
                },
            )
            if code and correction:
                services.correct_cause(
                    event, Cause(correction, initiator), reason="looked again", now=NOW + timedelta(days=9), by=BY
                )
        for measure in MEASURES.values():
            found = read_by_sql(measure)
            for procedure, referral in units:
                unit = procedure if measure.unit == "procedure" else referral
                acts = services.acts_of(unit)
                assert found.get(unit) == (
                    unit_share(measure, acts) if isinstance(measure, Share) else unit_wait(measure, acts)
                ), measure.code
        transaction.set_rollback(True)


def read_by_sql(measure):
    if isinstance(measure, Share):
        sql, parameters = compile_share(measure)
        return {unit: (day, met) for unit, day, counts, met in services._rows(sql, parameters) if counts}
    sql, parameters = compile_wait(measure)
    return {
        unit: (since, until)
        for unit, since, until, early in services._rows(sql, parameters)
        if since is not None and (until is not None or not early)
    }


@pytest.mark.django_db
def test_a_breach_opens_one_incident():
    event = append(
        EventKind.BREACH_RECORDED,
        subjects={"visit": new_id()},
        happened_at=NOW,
        recorded_at=NOW,
        by=BY,
        data={"reasons": ["Identity has not been checked at this visit"]},
    )
    services.open_incident(event)
    incident = Incident.objects.get()
    assert incident.summary == "Identity has not been checked at this visit"
    assert Event.objects.filter(kind=EventKind.INCIDENT_OPENED).count() == 1


def test_weeks_begin_on_monday():
    read = [services.UnitRead(new_id(), date(2026, 3, day), met) for day, met in [(2, True), (8, False), (9, True)]]
    assert {monday.isoformat(): r.met for monday, r in services.by_week(read).items()} == {
        "2026-03-02": 1,
        "2026-03-09": 1,
    }

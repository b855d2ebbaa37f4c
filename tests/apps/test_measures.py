"""The SQL reading of each measure is judged by the plain one, on histories that Hypothesis invents."""

from datetime import UTC, date, datetime, timedelta

import pytest
from django.conf import settings as django_settings
from django.db import connection, transaction
from django.test import Client
from django.test.utils import CaptureQueriesContext, override_settings
from django.utils import timezone
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gantry.apps.audit.ids import new_id
from gantry.apps.audit.models import Event
from gantry.apps.audit.services import append
from gantry.apps.estate.models import Site
from gantry.apps.quality import kept, services
from gantry.apps.quality.models import Incident, MarkedUnit, MeasureKept
from gantry.domain.access import Role, Scope
from gantry.domain.events import Cause, CauseCode, EventKind, Initiator, system
from gantry.domain.measures import Share, unit_share, unit_wait
from gantry.reference.measures import measures_on
from tests.apps.factories import make_network, make_person, make_referral

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


@pytest.fixture(scope="module", autouse=True)
def measures_alone():
    """Invented histories name no appointments: of all that follows an event, only the measures' own marks are judged."""
    whole = django_settings.GANTRY_SUBSCRIBERS
    ours = {kind: tuple(p for p in paths if p.startswith("gantry.apps.quality.")) for kind, paths in whole.items()}
    with override_settings(GANTRY_SUBSCRIBERS=ours):
        yield


def happen(drawn, units):
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


def as_by_sql(source):
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT unit, day, met, since, until FROM ({source.sql}) s", source.parameters)
        return {row[0]: row[1:] for row in cursor.fetchall()}


def as_by_plain_reading(measure, units):
    found = {}
    for procedure, referral in units:
        unit = procedure if measure.unit == "procedure" else referral
        acts = services.acts_of(unit)
        if isinstance(measure, Share) and (said := unit_share(measure, acts)):
            found[unit] = (*said, None, None)
        elif not isinstance(measure, Share) and (said := unit_wait(measure, acts)):
            found[unit] = (None, None, *said)
    return found


@pytest.mark.django_db
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(happenings)
def test_the_sql_says_what_the_plain_reading_says(drawn):
    with transaction.atomic():
        units = [(new_id(), new_id()) for _ in range(3)]
        happen(drawn, units)
        for measure in MEASURES.values():
            assert as_by_sql(kept.read_from_events(measure)) == as_by_plain_reading(measure, units), measure.code
        transaction.set_rollback(True)


@pytest.mark.django_db
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(happenings, happenings, st.booleans())
def test_what_is_kept_is_what_the_events_say_now(before, after, settled):
    """Kept, then overtaken by events that nobody has settled, or that the worker has."""
    with transaction.atomic():
        units = [(new_id(), new_id()) for _ in range(3)]
        happen(before, units)
        kept.keep(NOW.date())
        happen(after, units)
        if settled:
            kept.keep(NOW.date())
            assert not MarkedUnit.objects.exists()
        for measure in MEASURES.values():
            assert "quality_measureresult" in kept.results([measure]).sql
            assert as_by_sql(kept.results([measure])) == as_by_plain_reading(measure, units), measure.code
        transaction.set_rollback(True)


def test_every_kind_that_a_measure_reads_marks_its_units():
    wanted = {kind.value for measure in MEASURES.values() for kind in services.kinds_of(measure)} | {"cause_corrected"}
    marked = {
        kind for kind, paths in django_settings.GANTRY_SUBSCRIBERS.items() if "gantry.apps.quality.kept.mark" in paths
    }
    assert marked == wanted


@pytest.mark.django_db
def test_nothing_is_read_from_results_of_another_definition_or_zone():
    kept.keep(NOW.date())
    measure = MEASURES["M1"]
    MeasureKept.objects.filter(code="M1").update(definition="of yesterday")
    assert "quality_measureresult" not in kept.results([measure]).sql
    kept.keep(NOW.date())
    assert "quality_measureresult" in kept.results([measure]).sql
    made = make_network()
    Site.objects.filter(pk=made.site.pk).update(zone="Europe/Dublin")
    before = MeasureKept.objects.get(code="M1").pk
    kept.keep(NOW.date())
    assert MeasureKept.objects.get(code="M1").pk != before


@pytest.mark.django_db
def test_the_weeks_of_a_share_begin_on_monday_and_are_seen_by_its_provider_alone():
    made = make_network()
    days = ["2026-03-02", "2026-03-08", "2026-03-09"]
    for day in days:
        referral = make_referral(made)
        subjects = {"procedure": new_id(), "referral": referral.pk}
        told = {"for": day, "nhs": True}
        with transaction.atomic():
            append(EventKind.PATIENT_TOLD, subjects=subjects, happened_at=NOW, recorded_at=NOW, by=BY, data=told)
    within = {"start": date(2026, 3, 2), "end": date(2026, 3, 9)}
    for _ in range(2):
        weeks = services.share_weeks([MEASURES["M1"]], Scope(frozenset({made.provider.pk})), **within)["M1"]
        assert {monday.isoformat(): one.counted for monday, one in weeks.items()} == {"2026-03-02": 2, "2026-03-09": 1}
        assert services.share_weeks([MEASURES["M1"]], Scope(frozenset({new_id()})), **within) == {"M1": {}}
        kept.keep(NOW.date())


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


@pytest.mark.django_db
def test_the_page_asks_the_same_however_many_are_behind_its_numbers(monkeypatch):
    """Kept and settled, or marked since: two statements for all the measures, and none for each unit."""
    monkeypatch.setattr(timezone, "now", lambda: NOW)
    made = make_network()
    client = Client()
    manager = make_person(Role.MANAGER, made.provider)
    client.force_login(manager, backend="django.contrib.auth.backends.ModelBackend")
    asked = []
    for _ in range(3):
        for _ in range(4):
            subjects = {"procedure": new_id(), "referral": make_referral(made).pk}
            with transaction.atomic():
                append(
                    EventKind.PATIENT_TOLD,
                    subjects=subjects,
                    happened_at=NOW,
                    recorded_at=NOW,
                    by=BY,
                    data={"for": (NOW - timedelta(days=3)).date().isoformat(), "nhs": True},
                )
        client.get("/measures/")
        with CaptureQueriesContext(connection) as queries:
            page = client.get("/measures/").content.decode()
        asked.append((len(queries), page))
        kept.keep(NOW.date())
    assert len({count for count, _ in asked}) == 1
    assert ["of 4 scans" in asked[0][1], "of 8 scans" in asked[1][1], "of 12 scans" in asked[2][1]] == [True] * 3

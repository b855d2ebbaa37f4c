"""Measures over the appended events, scoped to who asks; and incidents, opened by breaches."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from django.db import connection
from django.db.models import CharField, OuterRef, QuerySet, Subquery, UUIDField, Value
from django.db.models.fields.json import KeyTextTransform
from django.db.models.functions import Cast, Coalesce, Concat, Upper

from gantry.apps.audit.models import Event
from gantry.apps.audit.services import append
from gantry.apps.estate.models import Site
from gantry.apps.quality.kept import Source, results
from gantry.apps.quality.models import Incident
from gantry.apps.quality.sql import kinds_of
from gantry.apps.radiopharmacy.models import Batch
from gantry.apps.referrals.models import Referral
from gantry.domain.access import Scope
from gantry.domain.events import Actor, Cause, CauseCode, EventKind, Initiator, system
from gantry.domain.measures import (
    Act,
    Correction,
    Measure,
    Share,
    ShareResult,
    Wait,
    WaitResult,
    corrected,
    quantile,
    unit_share,
)
from gantry.reference.measures import measures_on

LONDON = ZoneInfo("Europe/London")


@dataclass(frozen=True, slots=True)
class UnitRead:
    """One unit of a share measure: the day it counts on, and whether it meets the measure."""

    unit: UUID
    day: date
    met: bool


@dataclass(frozen=True, slots=True)
class WaitRead:
    unit: UUID
    since: datetime
    until: datetime | None


SEEN = "referral IN (SELECT id FROM referrals_referral WHERE organisations && %(orgs)s::uuid[])"
"""A unit is in scope when its referral is; its events are not split between those who may and may not see them."""


def _read(columns: str, rest: str, source: Source, scope: Scope, **given: object) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT {columns} FROM ({source.sql}) r WHERE {SEEN} {rest}",
            source.parameters | given | {"orgs": list(scope.organisations)},
        )
        return cursor.fetchall()


DATED = "day BETWEEN %(from)s AND %(to)s"
FINISHED = (
    "until >= %(from)s::timestamp AT TIME ZONE 'Europe/London'"
    " AND until < (%(to)s::date + 1)::timestamp AT TIME ZONE 'Europe/London'"
)


def share_units(
    measure: Share, scope: Scope, *, start: date, end: date, first: int = 0, count: int | None = None
) -> list[UnitRead]:
    """Units that count from `start` to `end`, both included: those that meet it first, in the order of their days."""
    rows = _read(
        "unit, day, met",
        "ORDER BY met DESC, day, unit LIMIT %(count)s OFFSET %(first)s",
        results([measure], DATED),
        scope,
        **{"from": start, "to": end, "first": first, "count": count},
    )
    return [UnitRead(*row) for row in rows]


def share_weeks(
    measures: Sequence[Share], scope: Scope, *, start: date, end: date
) -> dict[str, dict[date, ShareResult]]:
    """By the code of each measure: results by the Monday of the week in which each unit counts."""
    found: dict[str, dict[date, ShareResult]] = {measure.code: {} for measure in measures}
    for code, monday, met, counted in _read(
        "code, date_trunc('week', day)::date AS monday, count(*) FILTER (WHERE met), count(*)",
        "GROUP BY code, monday ORDER BY monday",
        results(measures, DATED),
        scope,
        **{"from": start, "to": end},
    ):
        found[code][monday] = ShareResult(met, counted)
    return found


def wait_units(
    measure: Wait, scope: Scope, *, start: date, end: date, now: datetime, first: int = 0, count: int | None = None
) -> list[WaitRead]:
    """Those that still wait, then those that ended from `start` to `end`, both included; the longest first."""
    rows = _read(
        "unit, since, until",
        "ORDER BY until IS NOT NULL, coalesce(until, %(now)s) - since DESC, unit LIMIT %(count)s OFFSET %(first)s",
        results([measure], f"until IS NULL OR {FINISHED}"),
        scope,
        **{"from": start, "to": end, "now": now, "first": first, "count": count},
    )
    return [WaitRead(*row) for row in rows]


@dataclass(slots=True)
class Waits:
    """How long those took that ended, by the local day on which they did; and since when the others wait."""

    took: dict[date, list[timedelta]] = field(default_factory=dict)
    waiting: int = 0
    oldest: datetime | None = None

    def result(self, *, start: date, end: date, now: datetime) -> WaitResult:
        done = sorted(took for day, found in self.took.items() if start <= day <= end for took in found)
        longest = now - self.oldest if self.oldest else None
        return WaitResult(len(done), self.waiting, quantile(done, 0.5), quantile(done, 0.9), longest)


def waits(measures: Sequence[Wait], scope: Scope, *, start: date, end: date) -> dict[str, Waits]:
    """By the code of each measure: what ended from `start` to `end`, both included, and what has not ended."""
    found = {measure.code: Waits() for measure in measures}
    for code, day, spans, number, oldest in _read(
        "code, (until AT TIME ZONE 'Europe/London')::date AS ended_on,"
        " array_agg((extract(epoch FROM until - since) * 1000000)::bigint), count(*), min(since)",
        "GROUP BY code, ended_on",
        results(measures, f"until IS NULL OR {FINISHED}"),
        scope,
        **{"from": start, "to": end},
    ):
        if day is None:
            found[code].waiting, found[code].oldest = number, oldest
        else:
            found[code].took[day] = [timedelta(microseconds=span) for span in spans]
    return found


def together(results: Iterable[ShareResult]) -> ShareResult:
    found = list(results)
    return ShareResult(sum(one.met for one in found), sum(one.counted for one in found))


def corrections_behind(measures: Sequence[Share], scope: Scope, *, start: date, end: date) -> Counter[str]:
    """By the code of each measure: how many causes among the events of its units were corrected later."""
    corrected_units = Event.objects.filter(kind=EventKind.CAUSE_CORRECTED).values_list("about__procedure", flat=True)
    about = Counter(UUID(key) for key in corrected_units if key)
    if not about:
        return Counter()
    source = results(measures, f"{DATED} AND unit = ANY(%(about)s::uuid[])")
    found: Counter[str] = Counter()
    for code, unit in _read("code, unit", "", source, scope, about=list(about), **{"from": start, "to": end}):
        found[code] += about[unit]
    return found


def events_behind(measure: Measure, units: Sequence[UUID]) -> list[Event]:
    """The events that a number was computed from, for the page that a number opens to."""
    kinds = [kind.value for kind in kinds_of(measure)] + [EventKind.CAUSE_CORRECTED.value]
    return list(
        Event.objects.filter(kind__in=kinds, subjects__overlap=list(units)).order_by("happened_at", "recorded_at", "pk")
    )


def acts_of(unit: UUID) -> list[Act]:
    """One unit's events as the plain reading takes them: the judge of the SQL, and the answer to "why this one?"."""
    zones = {key: ZoneInfo(zone) for key, zone in Site.objects.values_list("pk", "zone")}
    events = list(Event.objects.filter(subjects__contains=[unit]).order_by("happened_at", "pk"))
    corrections = [
        Correction(e.corrects, _cause(e), e.recorded_at)
        for e in Event.objects.filter(kind=EventKind.CAUSE_CORRECTED, corrects__in=[e.pk for e in events])
        if (e.corrects and e.cause_code)
    ]
    acts = [
        Act(
            id=e.pk,
            kind=EventKind(e.kind),
            happened_at=e.happened_at,
            recorded_at=e.recorded_at,
            on=e.happened_at.astimezone(zones.get(e.site, LONDON)).date(),
            cause=_cause(e) if e.cause_code else None,
            data=e.data,
        )
        for e in events
    ]
    return corrected(acts, corrections)


def why_counted(measure: Share, unit: UUID) -> tuple[date, bool] | None:
    return unit_share(measure, acts_of(unit))


def _cause(event: Event) -> Cause:
    return Cause(CauseCode(event.cause_code), Initiator(event.cause_initiator), event.root_event, event.cause_note)


def measure(code: str, on: date) -> Measure | None:
    return measures_on(on).get(code)


def correct_cause(event: Event, cause: Cause, *, reason: str, now: datetime, by: Actor) -> Event:
    """A later word on why something ended, with its reason. The first word stays where it was."""
    return append(
        EventKind.CAUSE_CORRECTED,
        subjects={role: UUID(key) for role, key in event.about.items()},
        happened_at=now,
        recorded_at=now,
        by=by,
        organisation=event.organisation,
        site=event.site,
        cause=cause,
        data={"reason": reason, "was": event.cause_code.replace("_", " ")},
        corrects=event.pk,
    )


def behind(incident: Incident) -> Event:
    """The event that opened it."""
    return Event.objects.get(pk=incident.event)


def with_names(rows: QuerySet[Incident], scope: Scope) -> QuerySet[Incident]:
    """Each with `about`: the person, where this scope may see them, or else the batch. One query for a page of them."""
    told = Event.objects.filter(pk=OuterRef("event"))

    def subject(role: str) -> Cast:
        key = told.annotate(key=KeyTextTransform(role, "about")).values("key")[:1]
        return Cast(Subquery(key), UUIDField())

    name = Concat(Upper("patient__family_name"), Value(", "), "patient__given_name")
    person = Referral.objects.for_user(scope).filter(pk=OuterRef("referral_key")).annotate(name=name).values("name")[:1]
    batch = Batch.objects.for_user(scope).filter(pk=OuterRef("batch_key"))
    number = batch.annotate(name=Concat(Value("Batch "), "number")).values("name")[:1]
    keyed = rows.annotate(referral_key=subject("referral"), batch_key=subject("batch"))
    return keyed.annotate(
        about=Coalesce(Subquery(person), Subquery(number), Value(""), output_field=CharField()),
        happened_at=Subquery(told.values("happened_at")[:1]),
    )


def caused(key: UUID, scope: Scope) -> Event | None:
    """An event with a cause, of a referral that may be seen in this scope, or of what its organisation runs."""
    event = Event.objects.filter(pk=key).exclude(cause_code="").exclude(kind=EventKind.CAUSE_CORRECTED).first()
    if event is None:
        return None
    if referral := event.about.get("referral"):
        return event if Referral.objects.for_user(scope).filter(pk=referral).exists() else None
    runs = Site.objects.filter(pk=event.site, network__provider__in=scope.organisations)
    return event if event.organisation in scope.organisations or runs.exists() else None


def causes_said(event: Event) -> list[Event]:
    """Every word on why it happened, oldest first: its own, then each correction. The last one counts."""
    later = Event.objects.filter(kind=EventKind.CAUSE_CORRECTED, corrects=event.pk)
    return [event, *later.order_by("recorded_at", "pk")]


def open_incident(event: Event) -> None:
    """Subscriber, in the same transaction, to breaches and to visits that ended after an injection and without a scan."""
    if event.kind == EventKind.VISIT_ABANDONED and known_already(event):
        return
    reasons = event.data.get("reasons") or event.data.get("breach") or []
    incident, made = Incident.objects.get_or_create(
        event=event.pk,
        defaults={
            "organisation": event.organisation,
            "site": event.site,
            "opened_at": event.recorded_at,
            "summary": "; ".join(map(str, reasons)) or "A gate said no and the act was recorded",
        },
    )
    if made:
        append(
            EventKind.INCIDENT_OPENED,
            subjects={role: UUID(key) for role, key in event.about.items()} | {"incident": incident.pk},
            happened_at=event.recorded_at,
            recorded_at=event.recorded_at,
            by=system("breach watch", event.organisation),
            site=event.site,
            data={"summary": incident.summary},
        )


def known_already(event: Event) -> bool:
    """Whether an incident says already that this person was injected and not scanned."""
    about = event.about.get("appointment")
    earlier = Event.objects.filter(kind=EventKind.BREACH_RECORDED, data__act="not_scanned")
    return bool(about) and earlier.filter(subjects__contains=[UUID(about)]).exists()

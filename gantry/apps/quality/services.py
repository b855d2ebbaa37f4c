"""Measures over the appended events, scoped to who asks; and incidents, opened by breaches."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from django.db import connection

from gantry.apps.audit.models import Event
from gantry.apps.audit.services import append
from gantry.apps.estate.models import Site
from gantry.apps.quality.models import Incident
from gantry.apps.quality.sql import compile_share, compile_wait, kinds_of
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


def _scoped(scope: Scope) -> tuple[str, dict[str, Any]]:
    """SQL over the event `e`: the provider's own patients, by the organisation or the site of each event's referral.

    A unit is in scope when its referral is; events are not split between those who may and may not see it.
    """
    return (
        "(e.about->>'referral')::uuid IN (SELECT id FROM referrals_referral WHERE organisations && %(orgs)s::uuid[])",
        {"orgs": list(scope.organisations)},
    )


def _rows(sql: str, parameters: dict[str, Any]) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(sql, parameters)
        return cursor.fetchall()


def share_units(measure: Share, scope: Scope, *, start: date, end: date) -> list[UnitRead]:
    """Units that count from `start` to `end`, both included, in the order of their days."""
    where, given = _scoped(scope)
    sql, parameters = compile_share(measure, where)
    rows = _rows(
        f"SELECT unit, day, meets FROM ({sql}) r WHERE counts AND day BETWEEN %(from)s AND %(to)s ORDER BY day, unit",
        parameters | given | {"from": start, "to": end},
    )
    return [UnitRead(*row) for row in rows]


def wait_units(measure: Wait, scope: Scope) -> list[WaitRead]:
    where, given = _scoped(scope)
    sql, parameters = compile_wait(measure, where)
    rows = _rows(
        f"SELECT unit, since, until FROM ({sql}) r"
        " WHERE since IS NOT NULL AND (until IS NOT NULL OR NOT ended_early) ORDER BY since, unit",
        parameters | given,
    )
    return [WaitRead(*row) for row in rows]


def share_result(units: Iterable[UnitRead]) -> ShareResult:
    units = list(units)
    return ShareResult(sum(unit.met for unit in units), len(units))


def wait_result(units: Sequence[WaitRead], *, start: date, end: date, now: datetime) -> WaitResult:
    done = sorted(u.until - u.since for u in units if u.until and start <= u.until.astimezone(LONDON).date() <= end)
    waiting = [now - u.since for u in units if u.until is None]
    return WaitResult(len(done), len(waiting), quantile(done, 0.5), quantile(done, 0.9), max(waiting, default=None))


def by_week(units: Iterable[UnitRead]) -> dict[date, ShareResult]:
    """Results by the Monday of the week in which each unit counts."""
    weeks: dict[date, list[UnitRead]] = {}
    for unit in units:
        weeks.setdefault(unit.day - timedelta(days=unit.day.weekday()), []).append(unit)
    return {monday: share_result(found) for monday, found in sorted(weeks.items())}


def corrections_behind(units: Iterable[UnitRead]) -> int:
    """How many causes among these units' events were corrected later."""
    keys = [str(unit.unit) for unit in units]
    return Event.objects.filter(kind=EventKind.CAUSE_CORRECTED, about__procedure__in=keys).count()


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

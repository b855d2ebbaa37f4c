"""Builds the network's calendar from the rows and knows when it is out of date: one small query says whether it is."""

from datetime import datetime, timedelta
from threading import Lock
from typing import Any

from django.db import connection
from django.db.models import Max
from django.utils import timezone

from gantry.apps.booking.models import CalendarChange, Reservation
from gantry.apps.estate.models import (
    ActivityAllotment,
    Closure,
    Deployment,
    EmployerLicence,
    Fault,
    Room,
    RoomKind,
    Session,
    Site,
)
from gantry.solvers.network_calendar import (
    Busy,
    Licence,
    NetworkFacts,
    Opening,
    Run,
    SiteFacts,
    Stand,
    build,
)
from gantry.solvers.offers import NetworkCalendar, warm

DAYS = 42
FAULT_SHUTS_FOR = timedelta(days=2)
"""A fault that nobody has ended yet: nothing is promised on that scanner for today and tomorrow."""

CHANGES_KEPT = 1000

_kept: list[NetworkCalendar] = []
_building = Lock()


def network_calendar(now: datetime) -> NetworkCalendar:
    """What is free from today for six weeks, no older than the last commit that this connection can see."""
    warm()
    version = _version(now)
    kept = _kept[0] if _kept else None
    if kept is not None and kept.version == version:
        return kept
    with _building:
        # Asked again inside the lock: another thread may have built it, and rows read below are newer than this.
        version = _version(now)
        if not _kept or _kept[0].version != version:
            _kept[:] = [_built(now, version)]
        return _kept[0]


def _version(now: datetime) -> tuple[Any, ...]:
    """Whose database, what state of it, which first day, and which faults still count."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT (SELECT oid FROM pg_database WHERE datname = current_database()), count(*), max(id), sum(id)"
            " FROM booking_calendar_change"
        )
        return (*cursor.fetchone(), timezone.localdate(now))


def _built(now: datetime, version: tuple[Any, ...]) -> NetworkCalendar:
    first_day = timezone.localdate(now)
    zone = timezone.get_current_timezone()
    start = datetime.combine(first_day, datetime.min.time(), tzinfo=zone) - timedelta(hours=14)
    end = start + timedelta(days=DAYS + 2)
    rooms: dict[Any, list[Any]] = {}
    for room, site in Room.objects.filter(kind=RoomKind.UPTAKE).order_by("name", "pk").values_list("pk", "site"):
        rooms.setdefault(site, []).append(room)
    sites = [
        SiteFacts(
            site.pk,
            site.name,
            site.zone,
            site.latitude,
            site.longitude,
            frozenset(site.capabilities),
            tuple(rooms.get(site.pk, ())),
        )
        for site in Site.objects.order_by("name", "pk")
    ]
    stands = {
        (scanner, site): Stand(scanner, site, float(limit))
        for scanner, site, limit in Deployment.objects.values_list("scanner", "site", "scanner__max_weight_kg")
    }
    facts = NetworkFacts(
        sites=sites,
        stands=list(stands.values()),
        openings=_openings(start, end),
        busy=_busy(now, start, end),
        runs=[
            Run(*row)
            for row in ActivityAllotment.objects.filter(usable_to__gte=start, usable_from__lt=end)
            .order_by("usable_from", "pk")
            .values_list("site", "tracer", "reference_at", "usable_from", "usable_to", "free_mbq")
        ],
        licences=[
            Licence(site, procedure, valid_from, valid_to)
            for site, procedures, valid_from, valid_to in EmployerLicence.objects.filter(
                valid_to__gte=first_day
            ).values_list("site", "procedures", "valid_from", "valid_to")
            for procedure in procedures
        ],
    )
    return build(facts, first_day=first_day, days=DAYS, version=version)


def _openings(start: datetime, end: datetime) -> list[Opening]:
    """Sessions, cut to the time that the scanner really stands at that site."""
    stood: dict[Any, list[tuple[datetime, datetime]]] = {}
    for scanner, site, since, until in Deployment.objects.values_list("scanner", "site", "from_at", "to_at"):
        stood.setdefault((scanner, site), []).append((since, until or end))
    found = []
    for scanner, site, opens, closes in Session.objects.filter(ends_at__gt=start, starts_at__lt=end).values_list(
        "scanner", "site", "starts_at", "ends_at"
    ):
        for since, until in stood.get((scanner, site), ()):
            if max(opens, since) < min(closes, until):
                found.append(Opening(scanner, site, max(opens, since), min(closes, until)))
    return found


def _busy(now: datetime, start: datetime, end: datetime) -> list[Busy]:
    found = [
        Busy(resource, during.lower, during.upper)
        for resource, during in Reservation.objects.filter(active=True, during__overlap=(start, end)).values_list(
            "resource", "during"
        )
    ]
    scanners: dict[Any, set[Any]] = {}
    for scanner, site in Deployment.objects.values_list("scanner", "site"):
        scanners.setdefault(site, set()).add(scanner)
    shut_rooms: dict[Any, list[Any]] = {}
    for room, site in Room.objects.filter(kind=RoomKind.UPTAKE).values_list("pk", "site"):
        shut_rooms.setdefault(site, []).append(room)
    for site, scanner, since, until in Closure.objects.filter(to_at__gt=start, from_at__lt=end).values_list(
        "site", "scanner", "from_at", "to_at"
    ):
        resources = [scanner] if scanner else [*scanners.get(site, ()), *shut_rooms.get(site, ())]
        found += [Busy(resource, since, until) for resource in resources]
    for scanner, since, until in Fault.objects.values_list("scanner", "from_at", "to_at"):
        until = until or max(since, now) + FAULT_SHUTS_FOR
        if until > start:
            found.append(Busy(scanner, since, until))
    return found


def trim_changes() -> None:
    """The list of changes need only be long enough that two commits cannot be taken for none."""
    last = CalendarChange.objects.aggregate(last=Max("pk"))["last"] or 0
    CalendarChange.objects.filter(pk__lt=last - CHANGES_KEPT).delete()

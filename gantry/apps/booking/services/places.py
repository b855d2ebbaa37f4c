"""Says why a person cannot be scanned at a place and time: the facts of the place, then the authorisation."""

from datetime import datetime
from zoneinfo import ZoneInfo

from django.db.models import Q

from gantry.apps.booking.calendar import FAULT_SHUTS_FOR
from gantry.apps.booking.services.need import requirement_of
from gantry.apps.estate.models import Closure, Deployment, Fault, Scanner, Session, Site
from gantry.apps.referrals.models import Authorisation, RequestedProcedure
from gantry.apps.referrals.services import why_not_covered_now
from gantry.domain.appointment import Place, Planned, Span, why_not_here


def why_not(
    procedure: RequestedProcedure,
    authorisation: Authorisation | None,
    *,
    site: Site,
    scanner: Scanner,
    plan: Planned,
    now: datetime,
) -> list[str]:
    """Everything but what others may have taken; empty means it may be tried."""
    on = plan.arrival_at.astimezone(ZoneInfo(site.zone)).date()
    return [
        *why_not_here(place(site, scanner, plan, now=now), requirement_of(procedure), plan, on=on, now=now),
        *why_not_covered_now(authorisation, site=site, on=on),
    ]


def place(site: Site, scanner: Scanner, plan: Planned, *, now: datetime) -> Place:
    start, end = plan.arrival_at, plan.scanner.end
    closed = [
        (Span(since, until), why)
        for since, until, why in Closure.objects.filter(
            Q(scanner=None) | Q(scanner=scanner), site=site, from_at__lt=end, to_at__gt=start
        ).values_list("from_at", "to_at", "reason")
    ]
    for fault in Fault.objects.filter(Q(to_at=None) | Q(to_at__gt=start), scanner=scanner, from_at__lt=end):
        until = fault.to_at or max(fault.from_at, now) + FAULT_SHUTS_FOR
        if until > start:
            closed.append((Span(fault.from_at, until), f"{scanner.name} is out of order"))
    return Place(
        site=site.name,
        scanner=scanner.name,
        capabilities=frozenset(site.capabilities),
        max_weight_kg=scanner.max_weight_kg,
        open=tuple(
            Span(opens, closes)
            for opens, closes in Session.objects.filter(
                site=site, scanner=scanner, starts_at__lt=end, ends_at__gt=start
            ).values_list("starts_at", "ends_at")
        ),
        closed=tuple(closed),
        deployed=Deployment.objects.filter(
            Q(to_at=None) | Q(to_at__gte=end), scanner=scanner, site=site, from_at__lte=start
        ).exists(),
    )

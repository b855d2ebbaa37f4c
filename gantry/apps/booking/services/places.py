"""Says why a person cannot be scanned at a place and time: the facts of the place, then the authorisation."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from django.db.models import Q

from gantry.apps.booking.calendar import FAULT_SHUTS_FOR
from gantry.apps.booking.models import Appointment
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


def why_not_for_one_here(
    appointment: Appointment, *, site: Site, scanner: Scanner, plan: Planned, injected: bool, now: datetime
) -> list[str]:
    """As `why_not`, for somebody who has arrived: their arrival has passed and what the referrer wished of dates is met.

    Whoever is injected is scanned also where the doors are shut to others; another employer's site asks for its cover.
    """
    there = place(site, scanner, plan, now=now)
    closed = out_of_order(scanner, plan, now=now) if injected else there.closed
    # What was shut while they were being prepared keeps nobody from a scanner that is open for the scan.
    there = replace(there, closed=tuple((span, why) for span, why in closed if span.overlaps(plan.scanner)))
    required = replace(requirement_of(appointment.procedure), not_before=None, needed_by=None)
    on = plan.arrival_at.astimezone(ZoneInfo(site.zone)).date()
    reasons = why_not_here(there, required, plan, on=on, now=plan.arrival_at - timedelta(minutes=1))
    if injected and site.pk == appointment.site_id:
        return reasons
    return [*reasons, *why_not_covered_now(appointment.authorisation, site=site, on=on)]


def out_of_order(scanner: Scanner, plan: Planned, *, now: datetime) -> Iterator[tuple[Span, str]]:
    """When this scanner is broken, by faults that are open or were."""
    start, end = plan.arrival_at, plan.scanner.end
    for fault in Fault.objects.filter(Q(to_at=None) | Q(to_at__gt=start), scanner=scanner, from_at__lt=end):
        until = fault.to_at or max(fault.from_at, now) + FAULT_SHUTS_FOR
        if until > start:
            yield Span(fault.from_at, until), f"{scanner.name} is out of order"


def place(site: Site, scanner: Scanner, plan: Planned, *, now: datetime) -> Place:
    start, end = plan.arrival_at, plan.scanner.end
    closed = [
        (Span(since, until), why)
        for since, until, why in Closure.objects.filter(
            Q(scanner=None) | Q(scanner=scanner), site=site, from_at__lt=end, to_at__gt=start
        ).values_list("from_at", "to_at", "reason")
    ]
    closed += out_of_order(scanner, plan, now=now)
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

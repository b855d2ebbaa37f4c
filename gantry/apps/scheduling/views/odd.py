"""What a page says when a day's rows contradict one another: what is odd, whose it is, and what can still be undone."""

import logging
from collections.abc import Callable
from datetime import date, datetime, time, timedelta
from functools import wraps
from typing import Concatenate
from uuid import UUID
from zoneinfo import ZoneInfo

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone

from gantry.apps.booking.models import Appointment
from gantry.apps.estate.models import Site
from gantry.apps.radiopharmacy.views.sites import sites_for
from gantry.apps.scheduling.models import RecoveryPlan
from gantry.apps.scheduling.services.building import SHOWN, odd_in
from gantry.apps.scheduling.services.happened import injections
from gantry.apps.scheduling.services.recovering import root_event, sites_hit
from gantry.apps.scheduling.services.refusals import CONTRADICTIONS, CannotBuild
from gantry.apps.scheduling.services.undoing import why_not_undone
from gantry.domain.access import Verb

log = logging.getLogger(__name__)

type View[**P] = Callable[Concatenate[HttpRequest, P], HttpResponse]


def in_words[**P](view: View[P]) -> View[P]:
    """A day that cannot be worked out is said in words; no reader is shown an error for what a row says."""

    @wraps(view)
    def asked(request: HttpRequest, *args: P.args, **kwargs: P.kwargs) -> HttpResponse:
        try:
            return view(request, *args, **kwargs)
        except (CannotBuild, *CONTRADICTIONS) as broken:
            found = day_asked(request, dict(kwargs), broken)
            if found is None:
                raise
            site, on = found
            log.error("day of %s at site %s cannot be worked out: %s", on, site.pk, type(broken).__name__)
            return odd_page(request, site, on, broken)

    return asked


def day_asked(request: HttpRequest, asked: dict[str, object], broken: BaseException) -> tuple[Site, date] | None:
    """Which site's day it was about, if the reader may see that site."""
    mine = {site.pk: site for site in sites_for(request)}
    if isinstance(broken, CannotBuild):
        return (broken.site, broken.on) if broken.site.pk in mine else None
    if isinstance(asked.get("event"), UUID):
        root = root_event(asked["event"])
        hit = sites_hit(root) if root is not None else []
        return next(((s, on) for s, on in hit if s.pk in mine and asked.get("site") in (None, s.pk)), None)
    if isinstance(asked.get("appointment"), UUID):
        rows = Appointment.objects.for_user(request.acting.scope).select_related("site")
        row = rows.filter(pk=asked["appointment"], site__in=mine).first()
        return (row.site, row.arrival_at.astimezone(ZoneInfo(row.site.zone)).date()) if row else None
    site = mine.get(asked["site"]) if isinstance(asked.get("site"), UUID) else None
    try:
        return (site, date.fromisoformat(str(asked.get("on")))) if site else None
    except ValueError:
        return None


def odd_page(request: HttpRequest, site: Site, on: date, broken: BaseException) -> HttpResponse:
    said = broken.reasons if isinstance(broken, CannotBuild) else [str(broken) or type(broken).__name__]
    with timezone.override(ZoneInfo(site.zone)):
        accepted = RecoveryPlan.objects.for_user(request.acting.scope).filter(site=site, on=on, state="accepted")
        return render(
            request,
            "scheduling/odd.html",
            {
                "site": site,
                "on": on,
                "said": said,
                "rows": odd_rows(request, site, on),
                "accepted": [(row, why_not_undone(row)) for row in accepted.order_by("accepted_at")],
                "may_accept": request.acting.may(Verb.OWN_FAILURES),
            },
        )


def odd_rows(request: HttpRequest, site: Site, on: date) -> list[tuple[Appointment, str]]:
    """Appointments whose own times contradict one another, of those whom the reader may see."""
    zone = ZoneInfo(site.zone)
    start = datetime.combine(on, time(), zone)
    rows = list(
        Appointment.objects.for_user(request.acting.scope)
        .filter(
            site=site, scan_at__gte=start, scan_at__lt=start + timedelta(days=1), state__in=[s.value for s in SHOWN]
        )
        .select_related("referral__patient")
        .order_by("scan_at", "pk")
    )
    given = injections(rows)
    return [(row, words) for row in rows if (words := odd_in(row, zone, hot=row.pk in given))]

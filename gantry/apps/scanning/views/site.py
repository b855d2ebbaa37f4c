"""Finds the site, visit or scanner behind an address for the person who asks; anything else is not there."""

from datetime import datetime
from uuid import UUID
from zoneinfo import ZoneInfo

from django.db.models import Q
from django.http import Http404, HttpRequest
from django.shortcuts import get_object_or_404

from gantry.apps.estate.models import Site
from gantry.apps.scanning.models import Visit


def sites_for(request: HttpRequest):
    """The sites of the person's employer, and of the network that the employer runs."""
    mine = request.acting.scope.organisations
    return Site.objects.filter(Q(organisation__in=mine) | Q(network__provider__in=mine)).order_by("name")


def site_for(request: HttpRequest, key: UUID) -> Site:
    return get_object_or_404(sites_for(request), pk=key)


def visit_for(request: HttpRequest, key: UUID) -> Visit:
    rows = Visit.objects.for_user(request.acting.scope).select_related(
        "site__organisation", "appointment__referral__patient", "appointment__procedure", "appointment__scanner", "room"
    )
    visit = rows.filter(pk=key).first()
    if visit is None:
        raise Http404("visit")
    return visit


def zone_of(site: Site) -> ZoneInfo:
    return ZoneInfo(site.zone)


def local_day(site: Site, now: datetime):
    return now.astimezone(zone_of(site)).date()

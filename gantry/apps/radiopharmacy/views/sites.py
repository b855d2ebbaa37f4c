"""Finds the hot lab that a person works in."""

from datetime import date
from uuid import UUID
from zoneinfo import ZoneInfo

from django.db.models import Q, QuerySet
from django.http import Http404, HttpRequest

from gantry.apps.estate.chosen import chosen, remember
from gantry.apps.estate.models import Device, Site
from gantry.domain.instrument import DeviceKind


def sites_for(request: HttpRequest) -> QuerySet[Site]:
    mine = request.acting.scope.organisations
    return Site.objects.filter(Q(organisation__in=mine) | Q(network__provider__in=mine)).order_by("name")


def site_for(request: HttpRequest) -> Site:
    """The site asked for, else the one chosen last, the employer's own, the first of the network. 404 for anybody else's."""
    asked, mine = request.GET.get("site", ""), sites_for(request)
    try:
        found = mine.filter(pk=UUID(asked)).first() if asked else None
    except ValueError:
        raise Http404("site") from None
    if asked and found is None:
        raise Http404("site")
    own = mine.filter(organisation__in=request.acting.scope.organisations).first()
    site = found or chosen(request, mine) or own or mine.first()
    if site is None:
        raise Http404("site")
    if found:
        remember(request, found)
    return site


def zone_of(site: Site) -> ZoneInfo:
    return ZoneInfo(site.zone)


def asked_day(request: HttpRequest, site: Site) -> date:
    try:
        return date.fromisoformat(request.GET.get("on", ""))
    except ValueError:
        return request.now.astimezone(zone_of(site)).date()


def usual_instrument(request: HttpRequest, site: Site) -> str:
    """What this person used last, else the site's only calibrator: nobody types its name all day."""
    here = Device.objects.for_user(request.acting.scope).filter(site=site, kind=DeviceKind.CALIBRATOR, retired_at=None)
    known = list(here.values_list("name", flat=True)[:2])
    last = request.session.get("instrument", "")
    return last or (known[0] if len(known) == 1 else "")

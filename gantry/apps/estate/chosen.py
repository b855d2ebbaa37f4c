"""Remembers at which site a person works, from the last one that they chose until they sign out."""

from django.db.models import QuerySet
from django.http import HttpRequest

from gantry.apps.estate.models import Site

KEY = "site"


def remember(request: HttpRequest, site: Site) -> None:
    if request.session.get(KEY) != str(site.pk):
        request.session[KEY] = str(site.pk)


def chosen(request: HttpRequest, among: QuerySet[Site]) -> Site | None:
    """The site chosen last, where it is still one of those that they may see."""
    key = request.session.get(KEY)
    return among.filter(pk=key).first() if key else None

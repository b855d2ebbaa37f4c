"""What each person finds in the header: rooms register their pages, accounts says which roles somebody has."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from django.http import HttpRequest
from django.urls import NoReverseMatch, reverse


@dataclass(frozen=True, slots=True)
class Item:
    label: str
    url_name: str
    roles: frozenset[str]
    order: int


@dataclass(frozen=True, slots=True)
class Link:
    label: str
    href: str
    current: bool


RolesOf = Callable[[HttpRequest], Iterable[str]]

_items: dict[str, Item] = {}
_roles_of: list[RolesOf] = []


def register(label: str, url_name: str, *, roles: Iterable[str] = (), order: int = 50) -> None:
    """Offer a page to these roles; no roles means everybody who is signed in. Called from AppConfig.ready."""
    _items[url_name] = Item(label, url_name, frozenset(roles), order)


def roles_from(function: RolesOf) -> RolesOf:
    """The one function that says which roles the person behind a request has."""
    _roles_of[:] = [function]
    return function


def roles(request: HttpRequest) -> frozenset[str]:
    return frozenset(str(role) for role in _roles_of[0](request)) if _roles_of else frozenset()


def links(request: HttpRequest) -> list[Link]:
    user = getattr(request, "user", None)
    if user is None or not user.is_authenticated:
        return []
    held = roles(request)
    found = []
    for item in sorted(_items.values(), key=lambda i: (i.order, i.label)):
        if item.roles and not item.roles & held:
            continue
        try:
            found.append((item.label, reverse(item.url_name)))
        except NoReverseMatch:
            continue
    here = _deepest(request.path, [href for _, href in found])
    return [Link(label, href, href == here) for label, href in found]


def _deepest(path: str, hrefs: list[str]) -> str | None:
    """Only the longest address that the page lies under is marked as current."""
    return max((h for h in hrefs if path == h or (h != "/" and path.startswith(h))), key=len, default=None)

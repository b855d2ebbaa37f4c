"""Who a visitor of the demonstration may become: accounts supplies the people, each page shows the bar."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from django.conf import settings
from django.http import HttpRequest


@dataclass(frozen=True, slots=True)
class DemoPerson:
    id: str
    name: str
    role: str
    organisation: str
    current: bool = False


PeopleFor = Callable[[HttpRequest], Iterable[DemoPerson]]

DOOR, LIVING, LIVED = "demonstration", "living", "lived"
"""How the script stands among the messages that came in, and what has become of it."""

_people_for: list[PeopleFor] = []
_filling: list[Callable[[], bool]] = []


def people_from(function: PeopleFor) -> PeopleFor:
    """The one function that lists the people of the bar; the bar posts `person` to url name `switch_person`."""
    _people_for[:] = [function]
    return function


def people(request: HttpRequest) -> list[DemoPerson]:
    """Nobody where the request was refused before anyone was known."""
    known = is_on() and _people_for and hasattr(request, "user")
    return list(_people_for[0](request)) if known else []


def filling_from(function: Callable[[], bool]) -> Callable[[], bool]:
    """The one function that says whether the past weeks are still being lived."""
    _filling[:] = [function]
    return function


def filling() -> bool:
    return bool(is_on() and _filling and _filling[0]())


def is_on() -> bool:
    return bool(getattr(settings, "DEMONSTRATION", False))

"""Reads who was told a time and whose time was not kept by our doing, from the rows that are held and no others."""

from collections import Counter
from collections.abc import Iterable
from datetime import date, datetime, time, timedelta
from math import asin, cos, radians, sin, sqrt
from uuid import UUID
from zoneinfo import ZoneInfo

from gantry.apps.audit.models import Event
from gantry.apps.booking.models import Appointment
from gantry.apps.patients.models import AreaDeprivation
from gantry.apps.scheduling.services.building import UNDONE
from gantry.domain.access import Scope
from gantry.domain.deprivation import normal
from gantry.domain.events import EventKind, Initiator
from gantry.domain.fairness import Promised, age_band, deprivation_band, distance_band

OURS = (Initiator.PROVIDER, Initiator.SUPPLIER, Initiator.REFERRER)
LONDON = ZoneInfo("Europe/London")
READ = (
    *("procedure_id", "arrival_at", "site__latitude", "site__longitude"),
    *(f"referral__patient__{name}" for name in ("date_of_birth", "latitude", "longitude")),
    *(f"referral__patient__{name}" for name in ("interpreter_required", "postcode")),
)
"""Of each person only what puts them into a group: no name, no answers."""


def promised(scope: Scope, *, start: date, end: date) -> list[Promised]:
    """Everybody who was told a time on these days, once for each procedure, with the moves that they did not ask for."""
    first = datetime.combine(start, time(), LONDON)
    past = datetime.combine(end + timedelta(days=1), time(), LONDON)
    told = (
        Appointment.objects.for_user(scope)
        .filter(told_at__isnull=False, arrival_at__gte=first, arrival_at__lt=past)
        .order_by("procedure", "arrival_at")
        .values_list(*READ)
    )
    rows = {row[0]: row for row in told}
    moves, deciles = moves_of(list(rows)), deciles_of(row[-1] for row in rows.values())
    return [Promised(moves[str(key)], groups_of(row, deciles)) for key, row in rows.items()]


def moves_of(procedures: list[UUID]) -> Counter[str]:
    """Times that were told and then changed or taken away, not by the patient. A move that was undone untold is none."""
    kinds = [EventKind.APPOINTMENT_MOVED.value, EventKind.APPOINTMENT_CANCELLED.value]
    events = Event.objects.filter(
        kind__in=kinds, subjects__overlap=procedures, cause_initiator__in=[each.value for each in OURS]
    )
    found: Counter[str] = Counter()
    for about, note, data in events.values_list("about", "cause_note", "data"):
        key = about.get("procedure", "")
        if note == UNDONE:
            found[key] -= 1
        elif data.get("was_told") and (data.get("to") is None or data.get("from") != data.get("to")):
            found[key] += 1
    return Counter({key: count for key, count in found.items() if count > 0})


def deciles_of(postcodes: Iterable[str]) -> dict[str, int]:
    """By postcode as a key; of what no loaded file has, nothing."""
    keys = {normal(postcode) for postcode in postcodes} - {""}
    return dict(AreaDeprivation.objects.filter(postcode__in=keys).values_list("postcode", "decile"))


def index_loaded() -> str:
    """Which index the loaded deciles are of; empty where no file has been loaded."""
    one = AreaDeprivation.objects.order_by("postcode").first()
    return one.index if one else ""


def groups_of(row: tuple, deciles: dict[str, int]) -> dict[str, str]:
    _, arrival_at, north, east, born, latitude, longitude, interpreter, postcode = row
    known = latitude is not None and longitude is not None
    return {
        "deprivation": deprivation_band(deciles.get(normal(postcode))),
        "age": age_band(born, arrival_at.date()),
        "distance from the site": distance_band(km(north, east, latitude, longitude) if known else None),
        "language": "needs an interpreter" if interpreter else "needs no interpreter",
    }


def km(north: float, east: float, latitude: float, longitude: float) -> float:
    """As the crow flies, over a sphere."""
    a, b = radians(north), radians(latitude)
    half = sin((b - a) / 2) ** 2 + cos(a) * cos(b) * sin(radians(longitude - east) / 2) ** 2
    return 2 * 6371.0 * asin(sqrt(half))

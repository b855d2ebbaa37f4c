"""Reads who was told a time and whose time was not kept by our doing, from the rows that are held and no others."""

from collections import Counter
from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from gantry.apps.audit.models import Event
from gantry.apps.booking.models import Appointment
from gantry.apps.scheduling.services.building import UNDONE, km_between
from gantry.domain.access import Scope
from gantry.domain.events import EventKind, Initiator
from gantry.domain.fairness import NOT_HELD, Promised, age_band, distance_band

OURS = (Initiator.PROVIDER, Initiator.SUPPLIER, Initiator.REFERRER)
LONDON = ZoneInfo("Europe/London")


def promised(scope: Scope, *, start: date, end: date) -> list[Promised]:
    """Everybody who was told a time on these days, once for each procedure, with the moves that they did not ask for."""
    first = datetime.combine(start, time(), LONDON)
    past = datetime.combine(end + timedelta(days=1), time(), LONDON)
    told = (
        Appointment.objects.for_user(scope)
        .filter(told_at__isnull=False, arrival_at__gte=first, arrival_at__lt=past)
        .select_related("referral__patient", "site")
        .order_by("procedure", "arrival_at")
    )
    rows = {row.procedure_id: row for row in told}
    moves = moves_of(list(rows))
    return [Promised(moves[str(key)], groups_of(row)) for key, row in rows.items()]


def moves_of(procedures: list) -> Counter[str]:
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


def groups_of(row: Appointment) -> dict[str, str]:
    patient, site = row.referral.patient, row.site
    known = patient.latitude is not None and patient.longitude is not None
    km = km_between(site, patient.latitude, patient.longitude) if known else None
    return {
        "deprivation": NOT_HELD,
        "age": age_band(patient.date_of_birth, row.arrival_at.date()),
        "distance from the site": distance_band(km),
        "language": "needs an interpreter" if patient.interpreter_required else "needs no interpreter",
    }

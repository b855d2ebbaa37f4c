"""The booking history as it was recorded, for the checker: from events alone, and what the runs say is left."""

from datetime import datetime
from typing import Any

from django.db.models import QuerySet

from gantry.apps.audit.models import Event
from gantry.apps.estate.models import ActivityAllotment
from gantry.domain.appointment import Span
from gantry.domain.events import EventKind
from gantry.domain.network.history import EFFECT, Act, Allotted, Claimed, faults

COUNTED = ("claim", "returned", "released", "confirmed")


def history(events: QuerySet[Event] | None = None) -> list[Act]:
    rows = Event.objects.all() if events is None else events
    rows = rows.filter(kind__in=[kind.value for kind in EFFECT]).order_by("recorded_at", "pk")
    return [act for event in rows.iterator() if (act := as_act(event))]


def as_act(event: Event) -> Act | None:
    """None for an event that is about no appointment (a visit turned away that never had one)."""
    appointment = event.about.get("appointment")
    if not appointment:
        return None
    data: dict[str, Any] = event.data
    counted = next((data[key] for key in COUNTED if data.get(key)), {})
    return Act(
        effect=EFFECT[EventKind(event.kind)],
        appointment=appointment,
        procedure=event.about.get("procedure", ""),
        recorded_at=event.recorded_at,
        order=counted.get("claim_order"),
        claimed=as_claimed(data["claim"]) if data.get("claim") else None,
        returned_mbq=data.get("returned", {}).get("activity_mbq"),
    )


def as_claimed(claim: dict[str, Any]) -> Claimed:
    def at(key: str) -> datetime:
        return datetime.fromisoformat(claim[key])

    return Claimed(
        scanner=claim["scanner"],
        on_scanner=Span(at("scanner_from"), at("scanner_to")),
        room=claim["room"],
        in_room=Span(at("room_from"), at("room_to")),
        allotment=claim["allotment"],
        activity_mbq=claim["activity_mbq"],
    )


def allotted() -> dict[str, Allotted]:
    return {
        str(key): Allotted(total, free)
        for key, total, free in ActivityAllotment.objects.values_list("pk", "total_mbq", "free_mbq")
    }


def history_faults() -> list[str]:
    """What the checker finds wrong with everything booked so far."""
    return faults(history(), allotted())

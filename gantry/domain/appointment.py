"""Appointments: the lifecycle, how long a hold lasts, and what a move or an end must say."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from gantry.domain.lifecycle import Table


class AppointmentState(StrEnum):
    HELD = "held"
    BOOKED = "booked"
    TOLD = "told"
    ARRIVED = "arrived"
    FULFILLED = "fulfilled"
    TURNED_AWAY = "turned_away"
    EXPIRED = "expired"
    CANCELLED = "cancelled"
    DID_NOT_ATTEND = "did_not_attend"
    WAS_NOT_BROUGHT = "was_not_brought"
    REPLACED = "replaced"


class AppointmentEvent(StrEnum):
    BOOK = "book"
    TELL = "tell"
    ARRIVE = "arrive"
    FULFIL = "fulfil"
    TURN_AWAY = "turn_away"
    EXPIRE = "expire"
    CANCEL = "cancel"
    NOT_ATTEND = "not_attend"
    NOT_BRING = "not_bring"
    REPLACE = "replace"


S, E = AppointmentState, AppointmentEvent

APPOINTMENT: Table[AppointmentState, AppointmentEvent] = {
    (S.HELD, E.BOOK): S.BOOKED,
    (S.HELD, E.EXPIRE): S.EXPIRED,
    (S.HELD, E.CANCEL): S.CANCELLED,
    (S.BOOKED, E.TELL): S.TOLD,
    (S.BOOKED, E.CANCEL): S.CANCELLED,
    (S.BOOKED, E.REPLACE): S.REPLACED,
    (S.BOOKED, E.ARRIVE): S.ARRIVED,
    (S.BOOKED, E.NOT_ATTEND): S.DID_NOT_ATTEND,
    (S.BOOKED, E.NOT_BRING): S.WAS_NOT_BROUGHT,
    (S.TOLD, E.CANCEL): S.CANCELLED,
    (S.TOLD, E.REPLACE): S.REPLACED,
    (S.TOLD, E.ARRIVE): S.ARRIVED,
    (S.TOLD, E.NOT_ATTEND): S.DID_NOT_ATTEND,
    (S.TOLD, E.NOT_BRING): S.WAS_NOT_BROUGHT,
    (S.ARRIVED, E.FULFIL): S.FULFILLED,
    (S.ARRIVED, E.TURN_AWAY): S.TURNED_AWAY,
}

ACTIVE = frozenset({S.HELD, S.BOOKED, S.TOLD, S.ARRIVED})
"""States whose planned reservations hold their resources."""

FHIR_STATUS = {
    S.HELD: "pending",
    S.BOOKED: "booked",
    S.TOLD: "booked",
    S.ARRIVED: "arrived",
    S.FULFILLED: "fulfilled",
    S.TURNED_AWAY: "cancelled",
    S.EXPIRED: "cancelled",
    S.CANCELLED: "cancelled",
    S.REPLACED: "cancelled",
    S.DID_NOT_ATTEND: "noshow",
    S.WAS_NOT_BROUGHT: "noshow",
}
"""FHIR R4 Appointment.status for each state (model.md: an expired hold and a move read as cancelled)."""


@dataclass(frozen=True, slots=True)
class VisitShape:
    """How a protocol fills its appointment, in minutes: arrival, preparation, uptake, scan, leaving."""

    preparation_min: int
    uptake_min: int
    scan_min: int
    recovery_min: int = 10

    def injection_at(self, arrival: datetime) -> datetime:
        return arrival + timedelta(minutes=self.preparation_min)

    def scan_at(self, arrival: datetime) -> datetime:
        return self.injection_at(arrival) + timedelta(minutes=self.uptake_min)

    def ends_at(self, arrival: datetime) -> datetime:
        return self.scan_at(arrival) + timedelta(minutes=self.scan_min)

    def arrival_for_scan(self, scan_at: datetime) -> datetime:
        return scan_at - timedelta(minutes=self.preparation_min + self.uptake_min)


def hold_expires_at(held_at: datetime, hold: timedelta) -> datetime:
    return held_at + hold


def why_not_held_for(
    arrival: datetime, *, now: datetime, not_before: datetime | None, needed_by: datetime | None
) -> Iterator[str]:
    """Why this time does not suit the referral; empty means it does."""
    if arrival <= now:
        yield f"{arrival:%H:%M on %-d %B %Y} has passed"
    if not_before and arrival < not_before:
        yield f"The referrer asked for no scan before {not_before:%-d %B %Y}"
    if needed_by and arrival > needed_by:
        yield f"The referrer needs the scan by {needed_by:%-d %B %Y}"

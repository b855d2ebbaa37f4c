"""Keeps what was settled with each person before their day, and says from it how likely they are to come."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from django.db import transaction

from gantry.apps.audit.ids import new_id
from gantry.apps.audit.models import Event
from gantry.apps.audit.services import append
from gantry.apps.booking.models import Appointment, ReadinessNote
from gantry.apps.booking.services.holding import Refused
from gantry.domain.appointment import AppointmentState
from gantry.domain.events import Actor, EventKind
from gantry.domain.readiness import Item, Standing, asked_of, chance_of_coming, why_not_said
from gantry.reference.attendance import risks_of
from gantry.reference.protocols import product_of

UPCOMING = (AppointmentState.BOOKED, AppointmentState.TOLD)
HERE = (AppointmentState.ARRIVED, AppointmentState.FULFILLED)


@dataclass(frozen=True, slots=True)
class Ready:
    """Where one person stands: what is settled, how likely they are to come, and the last word on each item."""

    standing: Standing
    chance: float
    notes: Mapping[Item, ReadinessNote] = field(default_factory=dict)

    @property
    def last(self) -> ReadinessNote | None:
        return max(self.notes.values(), key=lambda note: (note.at, note.pk), default=None)


def glucose_matters(appointment: Appointment) -> bool:
    return product_of(appointment.procedure.tracer) == "FDG"


def asked(appointment: Appointment) -> tuple[Item, ...]:
    diabetes = str(appointment.referral.answers.get("diabetes") or "")
    return asked_of(diabetes=diabetes, glucose_matters=glucose_matters(appointment))


def readiness_of(appointments: Iterable[Appointment]) -> dict[UUID, Ready]:
    """Of each, in two readings. Whoever is here has come."""
    rows = list(appointments)
    notes: dict[UUID, dict[Item, ReadinessNote]] = {row.pk: {} for row in rows}
    for note in ReadinessNote.objects.filter(appointment__in=list(notes)).order_by("at", "pk"):
        notes[note.appointment_id][Item(note.item)] = note
    found = {}
    for row in rows:
        items, mine = asked(row), notes[row.pk]
        standing = Standing(items, {item: note.settled for item, note in mine.items()})
        chance = chance_of_coming(risks_of(items, glucose_matters=glucose_matters(row)), standing.said)
        found[row.pk] = Ready(standing, 1.0 if row.state in HERE else chance, mine)
    return found


@transaction.atomic
def confirm_readiness(
    appointment: Appointment,
    said: Mapping[Item, bool],
    *,
    note: str = "",
    now: datetime,
    by: Actor,
    happened_at: datetime | None = None,
) -> Event:
    """What was heard in one call. Raises Refused when these answers cannot be kept."""
    row = (
        Appointment.objects.select_for_update(of=("self",))
        .select_related("referral", "procedure")
        .get(pk=appointment.pk)
    )
    reasons = why_not_said(Standing(asked(row), {}), said, upcoming=row.state in UPCOMING)
    if reasons:
        raise Refused(reasons)
    at = happened_at or now
    event = append(
        EventKind.READINESS_CONFIRMED,
        subjects={
            "appointment": row.pk,
            "procedure": row.procedure_id,
            "referral": row.referral_id,
            "patient": row.referral.patient_id,
        },
        happened_at=at,
        recorded_at=now,
        by=by,
        site=row.site_id,
        data={
            "settled": [item for item in Item if said.get(item)],
            "open": [item for item in Item if said.get(item) is False],
            "note": note.strip(),
        },
    )
    ReadinessNote.objects.bulk_create(
        ReadinessNote(
            pk=new_id(),
            appointment=row,
            item=item,
            settled=settled,
            at=at,
            by_name=by.name,
            note=note.strip(),
            event=event.pk,
        )
        for item, settled in said.items()
    )
    return event

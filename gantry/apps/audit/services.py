"""Appending to the one history, and the outbox that follows from it."""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, is_dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db import connection, transaction
from django.utils.module_loading import import_string
from procrastinate.contrib.django import app

from gantry.apps.audit.models import Event, OutboxMessage
from gantry.domain.events import Actor, Cause, EventKind


class OutsideTransaction(Exception):
    """An event must be appended in the transaction of the act that it records."""


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A message that this event causes. `key` is unique for ever: the same act never queues it twice."""

    door: str
    key: str
    body: Mapping[str, Any]
    endpoint: UUID | None = None
    organisation: UUID | None = None
    not_before: datetime | None = None
    """It waits so long, and may be taken back meanwhile."""


def append(
    kind: EventKind,
    *,
    subjects: Mapping[str, UUID],
    happened_at: datetime,
    recorded_at: datetime,
    by: Actor,
    organisation: UUID | None = None,
    site: UUID | None = None,
    cause: Cause | None = None,
    data: Any = None,
    corrects: UUID | None = None,
    outbox: Iterable[Outgoing] = (),
) -> Event:
    """Write the event, its outbox rows, and tell the rooms above, all in the caller's transaction.

    `subjects` maps a role to an id ({"referral": …, "patient": …}); `data` is a dataclass or a mapping of plain values.
    Raises OutsideTransaction.
    """
    if not connection.in_atomic_block:
        raise OutsideTransaction(kind)
    if happened_at.tzinfo is None or recorded_at.tzinfo is None:
        raise ValueError("an event needs timezone-aware times")
    event = Event.objects.create(
        kind=kind.value,
        happened_at=happened_at,
        recorded_at=recorded_at,
        by=by.id,
        by_name=by.name,
        organisation=organisation or by.organisation,
        site=site,
        subjects=list(dict.fromkeys(subjects.values())),
        about={role: str(key) for role, key in subjects.items()},
        cause_code=cause.code.value if cause else "",
        cause_initiator=cause.initiator.value if cause else "",
        root_event=cause.root_event if cause else None,
        cause_note=cause.note if cause else "",
        data=plain(data),
        corrects=corrects,
    )
    enqueue(event, outbox, now=recorded_at)
    for path in settings.GANTRY_SUBSCRIBERS.get(kind.value, ()):
        import_string(path)(event)
    return event


def enqueue(event: Event, outgoing: Iterable[Outgoing], *, now: datetime) -> list[OutboxMessage]:
    """Queue messages under an event; a key that is there already is left alone. The job starts after the commit."""
    queued = []
    for message in outgoing:
        row, made = OutboxMessage.objects.get_or_create(
            key=message.key,
            defaults={
                "event": event,
                "door": message.door,
                "endpoint": message.endpoint,
                "organisation": message.organisation,
                "body": plain(message.body),
                "due_at": message.not_before or now,
                "created_at": now,
            },
        )
        if made:
            queued.append(row)
            transaction.on_commit(lambda key=row.pk, at=message.not_before: start(key, at=at))
    return queued


def start(message: UUID, *, at: datetime | None = None) -> None:
    """Ask a worker to send one message, now or then; the sweeper finds it if this is lost. Jobs are named: they lie above."""
    app.configure_task("send_message", queue="outbox", schedule_at=at).defer(message=str(message))


def plain(value: Any) -> Any:
    """Dataclasses, enums, times and ids as JSON can hold them."""
    if value is None:
        return {}
    if is_dataclass(value) and not isinstance(value, type):
        return plain(asdict(value))
    if isinstance(value, Mapping):
        return {str(k): plain(v) if v is not None else None for k, v in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(v) for v in value]
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, str | int | float | bool):
        return value
    return str(value)


FOLLOWS = tuple(kind.value for kind in EventKind if kind.name.startswith("MESSAGE_"))
"""Word of a change is not the change."""


class Stale(Exception):
    """Somebody else changed the row first; `last` is the newest event about it, so a page can say who and what."""

    def __init__(self, subject: UUID) -> None:
        self.subject = subject
        about = Event.objects.filter(subjects__contains=[subject]).exclude(kind__in=FOLLOWS)
        self.last = about.order_by("-recorded_at", "-pk").first()
        super().__init__(f"{subject} has changed")


def history(subject: UUID) -> list[Event]:
    """Everything that happened to one subject, in the order it happened."""
    return list(Event.objects.filter(subjects__contains=[subject]).order_by("happened_at", "recorded_at", "pk"))

"""Keeps what another system stated, once, as rows; and reads a statement back from those rows alone."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import connection, transaction

from gantry.apps.accounts.models import Person
from gantry.apps.audit.ids import new_id
from gantry.apps.audit.services import append
from gantry.apps.estate.models import Organisation
from gantry.apps.exchange.models import PARTS, AccessRecord, Part, Statement
from gantry.domain.events import Actor, EventKind

PART = {model.__name__: model for model in PARTS}


@dataclass(frozen=True, slots=True)
class Placed:
    """One composite value: which kind of row holds it, where it stands, and its columns."""

    kind: str
    path: str
    columns: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Stated:
    """A resource taken apart."""

    type: str
    digest: str
    columns: Mapping[str, Any] = field(default_factory=dict)
    parts: tuple[Placed, ...] = ()
    rest: Mapping[str, Any] = field(default_factory=dict)

    @property
    def their_id(self) -> str:
        return str(self.columns.get("their_id", ""))


@transaction.atomic
def keep(
    stated: Iterable[Stated],
    *,
    sender: Organisation | None,
    organisations: Iterable[UUID],
    now: datetime,
    by: Actor,
    message: UUID | None = None,
    subject: UUID | None = None,
) -> list[Statement]:
    """All of a message's statements, with one event, or none. What was stated before in the same words is left alone."""
    everyone = list(dict.fromkeys([*([sender.pk] if sender else []), *organisations]))
    rows: list[Statement] = []
    fresh: list[UUID] = []
    for one in stated:
        lock(sender, one)
        earlier = newest(sender, one)
        if earlier is not None and earlier.digest == one.digest:
            rows.append(earlier)
            continue
        row = Statement.objects.create(
            pk=new_id(),
            type=one.type,
            version=earlier.version + 1 if earlier else 1,
            sender=sender,
            organisations=everyone,
            digest=one.digest,
            received_at=now,
            subject=subject,
            rest=one.rest,
            **one.columns,
        )
        for model in PARTS:
            model._default_manager.bulk_create(
                model(pk=new_id(), statement=row, path=part.path, **part.columns)
                for part in one.parts
                if part.kind == model.__name__
            )
        rows.append(row)
        fresh.append(row.pk)
    if fresh:
        append(
            EventKind.MESSAGE_RECEIVED,
            subjects={"message": message or fresh[0], **({"about": subject} if subject else {})},
            happened_at=now,
            recorded_at=now,
            by=by,
            organisation=everyone[0] if everyone else None,
            data={"statements": fresh, "types": sorted({row.type for row in rows})},
        )
    return rows


def lock(sender: Organisation | None, stated: Stated) -> None:
    """Two copies of one statement at one moment make one row."""
    key = f"statement|{sender.pk if sender else ''}|{stated.type}|{stated.their_id or stated.digest}"
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", [key])


def newest(sender: Organisation | None, stated: Stated) -> Statement | None:
    same = Statement.objects.filter(sender=sender, type=stated.type)
    if not stated.their_id:
        return same.filter(their_id="", digest=stated.digest).first()
    return same.filter(their_id=stated.their_id).order_by("-version").first()


@transaction.atomic
def about(statements: Iterable[Statement], subject: UUID) -> None:
    """What the statements led to."""
    Statement.objects.filter(pk__in=[row.pk for row in statements]).update(subject=subject)


def stated_in(row: Statement, columns: Iterable[str]) -> Stated:
    """The statement as its rows hold it now."""
    parts = []
    for model in PARTS:
        names = [one.name for one in model._meta.concrete_fields if one.name not in ("id", "statement", "path")]
        parts += [
            Placed(model.__name__, part.path, {name: getattr(part, name) for name in names})
            for part in rows_of(model, row)
        ]
    return Stated(row.type, row.digest, {name: getattr(row, name) for name in columns}, tuple(parts), row.rest)


def rows_of(model: type[Part], row: Statement) -> Iterable[Part]:
    return model._default_manager.filter(statement=row).order_by("path")


@transaction.atomic
def record_read(row: Statement, person: UUID, *, now: datetime) -> AccessRecord:
    """Who looked at a statement: the same record as a read of our own rows leaves."""
    name = Person.objects.values_list("name", flat=True).get(pk=person)
    return AccessRecord.objects.create(
        at=now, person=person, by_name=name, interaction="read", type=row.type, asked=str(row.pk), subjects=[row.pk]
    )

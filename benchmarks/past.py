"""Loads years of lived referrals quickly: one is lived through the services, then its rows are copied in SQL.

Each copy gets keys of its own (md5 of the old key and its number), a patient of its own with a valid test number, its
own accession number and UIDs, and times moved so that no two share a scanner or a room. The events are copied with it,
claims moved likewise, and what the copies took is added to what each run had: the history checker must accept it all.
"""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

from django.apps import apps
from django.contrib.postgres.fields import ArrayField, DateTimeRangeField
from django.db import connection, models

from gantry.apps.audit.models import Attempt, Event, InboxMessage, OutboxMessage, Row
from gantry.apps.booking.services.recorded import COUNTED
from gantry.apps.radiopharmacy.models import Dose
from gantry.apps.referrals.models import Referral
from gantry.domain.identifiers import nth_test_nhs_number

LEFT_OUT = (OutboxMessage, Attempt, InboxMessage, Event)
NUMBERED = {
    "accession_number": "'Z' || lpad(n::text, 9, '0')",
    "requested_procedure_id": "'Z' || lpad(n::text, 9, '0')",
    "scheduled_step_id": "'Z' || lpad(n::text, 9, '0')",
    "barcode": "'Z' || lpad(n::text, 9, '0') || right({0}, 4)",
    "source_key": "{0} || ':' || n",
    "study_uid": "'2.25.9' || n",
    "series_uid": "'2.25.8' || n || '.' || right({0}, 1)",
    "sop_instance_uid": "'2.25.7' || n || '.' || right({0}, 2)",
    "nhs_number": "CASE WHEN {0} = '' THEN '' ELSE nhs END",
    "patient_id": "CASE WHEN {0} = '' THEN '' ELSE nhs END",
}
TIMES = ("scanner_from", "scanner_to", "room_from", "room_to")
HEAD = "CREATE TEMP TABLE copies (n int PRIMARY KEY, shift interval, moved_days int, nhs text) ON COMMIT PRESERVE ROWS"


@dataclass(frozen=True, slots=True)
class Copies:
    """How often, from which number on, and how far apart. A negative step goes into the past."""

    count: int
    first: int
    step: timedelta


def copy(referral: Referral, copies: Copies) -> None:
    rows = rows_of(referral)
    keys = {key for found in rows.values() for key in found}
    events = events_of(keys)
    with connection.cursor() as cursor:
        cursor.execute("DROP TABLE IF EXISTS copies")
        cursor.execute(HEAD)
        with cursor.copy("COPY copies FROM STDIN") as sink:
            for n in range(copies.count):
                shift = (n + 1) * copies.step
                number = copies.first + n
                sink.write_row((number, shift, round(shift / timedelta(days=1)), nth_test_nhs_number(number)))
        for model, found in rows.items():
            insert(cursor, model, found, keys)
        insert(cursor, Event, events, keys | set(events))
        promise(cursor, rows, copies.count)


def rows_of(referral: Referral) -> dict[type[models.Model], list[UUID]]:
    """Every row that hangs on the referral or its patient, parents before children."""
    found: dict[type[models.Model], set[Any]] = {}
    waiting: list[models.Model] = [referral.patient, referral]
    while waiting:
        row = waiting.pop()
        model = type(row)
        if row.pk in found.setdefault(model, set()):
            continue
        found[model].add(row.pk)
        if isinstance(row, Dose):
            waiting.append(row.container)
        for relation in model._meta.related_objects:
            child = relation.related_model
            if (
                issubclass(child, Row)
                and child not in LEFT_OUT
                and relation.field.concrete
                and not relation.many_to_many
            ):
                waiting += list(child.objects.filter(**{relation.field.name: row}))
    order = [model for model in apps.get_models() if model in found]
    return {model: list(found[model]) for model in sorted(order, key=lambda model: depth(model, set(found)))}


def depth(model: type[models.Model], among: set[type[models.Model]], seen: tuple[type[models.Model], ...] = ()) -> int:
    parents = {
        field.related_model
        for field in model._meta.concrete_fields
        if field.is_relation and field.related_model in among and field.related_model not in (*seen, model)
    }
    return 1 + max((depth(parent, among, (*seen, model)) for parent in parents), default=0)


def events_of(keys: Iterable[UUID]) -> list[UUID]:
    return list(Event.objects.filter(subjects__overlap=list(keys)).values_list("pk", flat=True))


def insert(cursor: Any, model: type[models.Model], found: list[UUID], keys: set[UUID]) -> None:
    """One statement for each row lived, so that what differs between copies is worked out once and not for each."""
    table = model._meta.db_table
    fields = [field for field in model._meta.concrete_fields if field.column != "change"]
    columns = ", ".join(f'"{field.column}"' for field in fields)
    for row in model.objects.filter(pk__in=found):  # type: ignore[attr-defined]
        values = ", ".join(expression(field, model, getattr(row, field.attname), keys) for field in fields)
        cursor.execute(
            f'INSERT INTO "{table}" ({columns}) SELECT {values} FROM "{table}" t, copies WHERE t.id = \'{row.pk}\''
        )


def own(key: object) -> str:
    return f"md5('{key}' || n)::uuid"


def expression(field: Any, model: type[models.Model], value: Any, keys: set[UUID]) -> str:
    """What a copy holds in this column."""
    column = f't."{field.column}"'
    target = field.target_field if field.is_relation else field
    if isinstance(target, models.UUIDField):
        return own(value) if value in keys else column
    if isinstance(field, ArrayField) and isinstance(field.base_field, models.UUIDField):
        if not keys.intersection(value or ()):
            return column
        return f"ARRAY[{', '.join(own(key) if key in keys else f"'{key}'" for key in value)}]::uuid[]"
    if isinstance(field, DateTimeRangeField):
        return f"tstzrange(lower({column}) + shift, upper({column}) + shift)"
    if isinstance(field, models.DateTimeField):
        return f"{column} + shift"
    if isinstance(field, models.DateField) and field.name != "date_of_birth":
        return f"{column} + moved_days"
    if model is Event and field.name == "about":
        pairs = (f"'{role}', {own(key) if UUID(key) in keys else f"'{key}'"}" for role, key in value.items())
        return f"jsonb_build_object({', '.join(pairs)})"
    if model is Event and field.name == "data":
        return moved_claim(column) if {"claim", *COUNTED} & set(value) else column
    if field.name in NUMBERED:
        return NUMBERED[field.name].format(column)
    if isinstance(field, models.CharField) and field.name in told_apart_by(model):
        return f"{column} || '-' || n"
    return column


@contextmanager
def without_indexes(model: type[models.Model]) -> Iterator[None]:
    with connection.schema_editor() as editor:
        for index in model._meta.indexes:
            editor.remove_index(model, index)
    yield
    with connection.schema_editor() as editor:
        for index in model._meta.indexes:
            editor.add_index(model, index)


def told_apart_by(model: type[models.Model]) -> set[str]:
    """Free text that a constraint lets stand once: a hospital number, a key."""
    constraints = [one for one in model._meta.constraints if isinstance(one, models.UniqueConstraint)]
    said = {name for one in constraints for name in one.fields}
    return (said & {"value", "key", "number", "identifier"}) | {
        field.name for field in model._meta.concrete_fields if field.unique
    }


def moved_claim(column: str) -> str:
    """The claim's times moved, and its place in the order after everything that was lived."""
    moved = column
    for name in TIMES:
        at = f"to_jsonb(to_char(({column}->'claim'->>'{name}')::timestamptz + shift, 'YYYY-MM-DD\"T\"HH24:MI:SSOF:00'))"
        moved = (
            f"CASE WHEN {column}->'claim' ? '{name}' THEN jsonb_set({moved}, '{{claim,{name}}}', {at}) ELSE {moved} END"
        )
    for name in COUNTED:
        order = f"to_jsonb(1000000 + n::bigint * 1000 + ({column}->'{name}'->>'claim_order')::bigint)"
        held = f"jsonb_typeof({column}->'{name}') = 'object' AND {column}->'{name}' ? 'claim_order'"
        moved = f"CASE WHEN {held} THEN jsonb_set({moved}, '{{{name},claim_order}}', {order}) ELSE {moved} END"
    return moved


def promise(cursor: Any, rows: dict[type[models.Model], list[UUID]], count: int) -> None:
    """What the copies took was in the runs too."""
    taken = rows.get(apps.get_model("booking.appointment"), [])
    cursor.execute(
        "UPDATE estate_activityallotment a SET total_mbq = total_mbq + %s * p.activity_mbq"
        " FROM booking_appointment p WHERE p.allotment_id = a.id AND p.id = ANY(%s)",
        [count, taken],
    )

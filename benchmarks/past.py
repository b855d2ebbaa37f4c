"""Loads years of lived referrals quickly: one is lived through the services, then its rows are copied in SQL.

Each copy gets keys of its own (md5 of the old key and its number), a patient of its own with a valid test number, its
own accession number and UIDs, and times moved so that no two share a scanner or a room. A day's supply (run, allotment,
order, batch, vial and their ledger) is copied once for each day, and a copied referral hangs on the supply of its own
day. The events are copied with them, claims moved likewise, and what the copies took is added to what each run had: the
history checker must accept it all.
"""

import json
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any
from uuid import UUID

from django.apps import apps
from django.contrib.postgres.fields import ArrayField, DateTimeRangeField
from django.db import connection, models

from gantry.apps.audit.models import Attempt, Event, InboxMessage, OutboxMessage, Row
from gantry.apps.booking.models import Appointment, Reservation
from gantry.apps.booking.services.recorded import COUNTED
from gantry.apps.estate.models import ActivityAllotment
from gantry.apps.radiopharmacy.models import Assay, Container, Dose, LedgerEntry, SupplyRun
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
STANDING = ("accounts", "estate")
"""Rooms whose rows are there once, for every copy."""
TIMES = ("scanner_from", "scanner_to", "room_from", "room_to")
HEAD = (
    "CREATE TEMP TABLE copies (n int PRIMARY KEY, shift interval, moved_days int, nhs text, day int, room uuid)"
    " ON COMMIT PRESERVE ROWS"
)
type Rows = dict[type[models.Model], list[UUID]]


@dataclass(frozen=True, slots=True)
class Copy:
    """Its number, how far its times are moved, the number of the supply that it hangs on, and its uptake room."""

    n: int
    shift: timedelta
    day: int | None = None
    room: UUID | None = None


@dataclass(frozen=True, slots=True)
class Known:
    """What a copy says where a lived row names something: for each key, and each barcode, its expression in SQL."""

    keys: dict[UUID, str] = field(default_factory=dict)
    barcodes: dict[str, str] = field(default_factory=dict)

    def __or__(self, other: "Known") -> "Known":
        return Known(self.keys | other.keys, self.barcodes | other.barcodes)


def known(rows: Rows, events: Iterable[UUID], number: str) -> Known:
    """By the copy's own number, or by its day's; a copy without a day keeps what was lived."""
    keys = [key for found in rows.values() for key in found]
    barcodes = Container.objects.filter(pk__in=rows.get(Container, [])).values_list("barcode", flat=True)
    coded = NUMBERED["barcode"].replace("n::text", f"{number}::text")
    return Known(
        {key: f"coalesce(md5('{key}' || {number})::uuid, '{key}')" for key in (*keys, *events)},
        {code: f"coalesce({coded.format(f"'{code}'")}, '{code}')" for code in barcodes},
    )


def copy_supply(run: SupplyRun, copies: Sequence[Copy]) -> Known:
    """A run and all that came of it, on other days. Says how a referral's copies name the supply of their day."""
    rows = rows_of(SupplyRun.objects.get(pk=run.pk), but=(Dose,))
    rows[ActivityAllotment] = list(ActivityAllotment.objects.filter(supply_run=run.pk).values_list("pk", flat=True))
    syringes = set(Dose.objects.filter(container__in=rows.get(Container, [])).values_list("container", flat=True))
    drawn = set(Container.objects.filter(pk__in=syringes).values_list("barcode", flat=True))
    rows[Container] = [key for key in rows.get(Container, []) if key not in syringes]
    rows[Assay] = list(Assay.objects.filter(container__in=rows[Container]).values_list("pk", flat=True))
    rows[LedgerEntry] = [
        entry.pk
        for entry in LedgerEntry.objects.filter(pk__in=rows.get(LedgerEntry, []))
        if not drawn.intersection((entry.source, entry.target))
    ]
    keys = {key for found in rows.values() for key in found}
    events = [
        key
        for key, about in Event.objects.filter(subjects__overlap=list(keys)).values_list("pk", "about")
        if not about.keys() & {"dose", "appointment"}
    ]
    write(rows, events, copies, known(rows, events, "n"))
    return known(rows, events, "day")


def copy(referral: Referral, copies: Sequence[Copy], supply: Known | None = None) -> None:
    rows = rows_of(referral.patient, referral)
    rows[LedgerEntry] = ledger_of(rows.get(Container, []))
    keys = {key for found in rows.values() for key in found}
    events = events_of(keys)
    rooms = Reservation.objects.filter(appointment__referral=referral, resource_kind="room")
    rooms = set(rooms.values_list("resource", flat=True))
    of_day = supply or Known()
    write(rows, events, copies, of_day | known(rows, events, "n") | Known(dict.fromkeys(rooms, "copies.room")))
    promise(rows, of_day)


def write(rows: Rows, events: list[UUID], copies: Sequence[Copy], names: Known) -> None:
    with connection.cursor() as cursor:
        cursor.execute("DROP TABLE IF EXISTS copies")
        cursor.execute(HEAD)
        with cursor.copy("COPY copies FROM STDIN") as sink:
            for one in copies:
                days = round(one.shift / timedelta(days=1))
                sink.write_row((one.n, one.shift, days, nth_test_nhs_number(one.n), one.day, one.room))
        for model, found in rows.items():
            insert(cursor, model, found, names)
        insert(cursor, Event, events, names)


def ledger_of(containers: Iterable[UUID]) -> list[UUID]:
    barcodes = list(Container.objects.filter(pk__in=list(containers)).values_list("barcode", flat=True))
    mine = models.Q(source__in=barcodes) | models.Q(target__in=barcodes)
    return list(LedgerEntry.objects.filter(mine).values_list("pk", flat=True))


def rows_of(*roots: models.Model, but: tuple[type[models.Model], ...] = ()) -> Rows:
    """Every row that hangs on these, parents before children."""
    found: dict[type[models.Model], set[Any]] = {}
    waiting = list(roots)
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
                and child not in (*LEFT_OUT, *but)
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


def insert(cursor: Any, model: type[models.Model], found: list[UUID], names: Known) -> None:
    """One statement for each row lived, so that what differs between copies is worked out once and not for each."""
    table = model._meta.db_table
    fields = [field for field in model._meta.concrete_fields if field.column != "change"]
    columns = ", ".join(f'"{field.column}"' for field in fields)
    for row in model.objects.filter(pk__in=found):  # type: ignore[attr-defined]
        values = ", ".join(expression(field, model, getattr(row, field.attname), names) for field in fields)
        cursor.execute(
            f'INSERT INTO "{table}" ({columns}) SELECT {values} FROM "{table}" t, copies WHERE t.id = \'{row.pk}\''
        )


def expression(field: Any, model: type[models.Model], value: Any, names: Known) -> str:
    """What a copy holds in this column."""
    column, keys = f't."{field.column}"', names.keys
    target = field.target_field if field.is_relation else field
    if isinstance(target, models.UUIDField):
        return keys.get(value, column)
    if isinstance(field, ArrayField) and isinstance(field.base_field, models.UUIDField):
        if not keys.keys() & set(value or ()):
            return column
        return f"ARRAY[{', '.join(keys.get(key, f"'{key}'") for key in value)}]::uuid[]"
    if isinstance(field, DateTimeRangeField):
        return f"tstzrange(lower({column}) + shift, upper({column}) + shift)"
    if isinstance(field, models.DateTimeField):
        return f"{column} + shift"
    if isinstance(field, models.DateField) and field.name != "date_of_birth":
        return f"{column} + moved_days"
    if model is Event and field.name == "about":
        pairs = (f"'{role}', {keys.get(UUID(key), f"'{key}'")}" for role, key in value.items())
        return f"jsonb_build_object({', '.join(pairs)})"
    if model is Event and field.name == "data":
        moved = moved_claim(column) if {"claim", *COUNTED} & set(value) else column
        if "for" in value:  # the day that somebody was told
            told = f"to_jsonb(to_char(({column}->>'for')::date + moved_days, 'YYYY-MM-DD'))"
            moved = f"jsonb_set({moved}, '{{for}}', {told})"
        return named(moved, value, names)
    if model is LedgerEntry and field.name in ("source", "target"):
        return names.barcodes.get(value, column)
    if field.name in NUMBERED:
        return NUMBERED[field.name].format(column)
    if isinstance(field, models.CharField) and field.name in told_apart_by(model):
        return f"{column} || '-' || n"
    return column


def named(column: str, value: Any, names: Known) -> str:
    """The data of an event, with the copy's own keys and barcodes in the places of those that were lived."""
    said = json.dumps(value, default=str)
    found = {str(key): f"({own})::text" for key, own in names.keys.items()} | names.barcodes
    text = f"({column})::text"
    for key, own in found.items():
        if key in said:
            text = f"replace({text}, '{key}', {own})"
    return f"({text})::jsonb" if text != f"({column})::text" else column


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
    """Free text that a constraint lets stand once: a hospital number, a key. Beside a row that is copied too it may stand."""
    said: set[str] = set()
    for one in model._meta.constraints:
        names = one.fields if isinstance(one, models.UniqueConstraint) else ()
        owners = [model._meta.get_field(name).related_model for name in names]
        if not any(owner and owner._meta.app_label not in STANDING for owner in owners):
            said |= set(names)
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


def promise(rows: Rows, supply: Known) -> None:
    """What the copies took was in the runs too: on another day all of them, but one that the run had given already."""
    taken = (
        Appointment.objects.filter(pk__in=rows.get(Appointment, [])).values_list("allotment", "activity_mbq").first()
    )
    if taken is None:
        return
    allotment, activity = taken
    day = supply.keys.get(allotment, f"'{allotment}'::uuid")
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE estate_activityallotment a SET total_mbq = total_mbq + %s * c.more"
            f" FROM (SELECT {day} AS id, count(*) - CASE WHEN day IS NULL THEN 0 ELSE 1 END AS more"
            " FROM copies GROUP BY day) c WHERE a.id = c.id",
            [activity],
        )

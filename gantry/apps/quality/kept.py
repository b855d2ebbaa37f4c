"""Keeps what each measure says of each unit, so that a page need not read the whole history again.

A kept result is never older than the last event: every event that a measure may read marks its units in the event's own
transaction, a marked unit is read afresh from its events, and the worker settles the marks. Where nothing is kept yet
under a measure's present definition, all is read from the events.
"""

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from functools import cache
from hashlib import sha256
from typing import Any
from uuid import UUID

from django.db import connection, transaction

from gantry.apps.audit.models import Event
from gantry.apps.quality.models import MarkedUnit, MeasureKept, MeasureResult
from gantry.apps.quality.sql import compile_share, compile_wait
from gantry.domain.measures import Measure, Share, Unit
from gantry.reference.measures import measures_on

LOCK = "quality.kept"
ROW = {Unit.PROCEDURE: "procedure", Unit.REFERRAL: "referral"}
COLUMNS = "unit, referral, day, met, since, until"


@dataclass(frozen=True, slots=True)
class Source:
    """A subquery with a row for each unit that counts, and its parameters."""

    sql: str
    parameters: dict[str, Any]


def mark(event: Event) -> None:
    """Subscriber: whatever is kept of this event's units is no longer believed."""
    units = {role: UUID(event.about[role]) for role in ROW.values() if event.about.get(role)}
    if units:
        MarkedUnit.objects.create(event=event.pk, **units)


@cache
def definition(measure: Measure) -> str:
    """The same for the same statement and the same codes, in every process."""
    source = read_from_events(measure)
    return sha256((source.sql + json.dumps(source.parameters, sort_keys=True, default=str)).encode()).hexdigest()[:16]


def read_from_events(measure: Measure, units: Iterable[UUID] | None = None) -> Source:
    """The compiled measure over all units, or over these alone."""
    where, given = "true", {}
    if units is not None:
        where = "e.subjects && %(marked)s::uuid[] AND (e.about->>%(unit)s)::uuid = ANY(%(marked)s::uuid[])"
        given = {"marked": list(units)}
    if isinstance(measure, Share):
        sql, parameters = compile_share(measure, where)
        counted = (
            "SELECT unit, referral, day, meets AS met, NULL::timestamptz AS since, NULL::timestamptz AS until"
            f" FROM ({sql}) c WHERE counts"
        )
    else:
        sql, parameters = compile_wait(measure, where)
        counted = (
            f"SELECT unit, referral, NULL::date AS day, NULL::boolean AS met, since, until FROM ({sql}) c"
            " WHERE since IS NOT NULL AND (until IS NOT NULL OR NOT ended_early)"
        )
    return Source(counted, parameters | given)


@dataclass(frozen=True, slots=True)
class Standing:
    """Which definitions are kept, and the units whose kept results events have overtaken."""

    kept: frozenset[tuple[str, str]]
    marked: dict[Unit, list[UUID]]


def standing() -> Standing:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT ARRAY(SELECT code || ':' || definition FROM quality_measurekept),"
            " ARRAY(SELECT DISTINCT procedure FROM quality_markedunit WHERE procedure IS NOT NULL),"
            " ARRAY(SELECT DISTINCT referral FROM quality_markedunit WHERE referral IS NOT NULL)"
        )
        kept, procedures, referrals = cursor.fetchone()
    pairs = frozenset(tuple(one.split(":", 1)) for one in kept)
    return Standing(pairs, {Unit.PROCEDURE: procedures, Unit.REFERRAL: referrals})


def results(measures: Iterable[Measure], bound: str = "true") -> Source:
    """Every unit that counts, by the code of its measure; `bound` is SQL over a row's own columns.

    What is marked is looked for before what is kept is read: a unit that the worker settles in between is read from its
    events, never by its old result.
    """
    now = standing()
    parts, parameters = [], {}
    for measure in measures:
        one = results_of(measure, bound, now)
        # Each statement names its parameters alike; together they need names of their own.
        names = {name: f"{measure.code}_{name}" for name in one.parameters}
        parts.append(f"SELECT '{measure.code}' AS code, o.* FROM ({named(one.sql, names)}) o")
        parameters |= {names[name]: value for name, value in one.parameters.items()}
    return Source(" UNION ALL ".join(parts), parameters)


def named(sql: str, names: dict[str, str]) -> str:
    return re.sub(r"%\((\w+)\)s", lambda found: f"%({names.get(found[1], found[1])})s", sql)


def results_of(measure: Measure, bound: str, now: Standing) -> Source:
    said = {"code": measure.code, "definition": definition(measure)}
    if (measure.code, said["definition"]) not in now.kept:
        fresh = read_from_events(measure)
        return Source(f"SELECT {COLUMNS} FROM ({fresh.sql}) f WHERE {bound}", fresh.parameters)
    sql = (
        f"SELECT {COLUMNS} FROM quality_measureresult k"
        f" WHERE code = %(code)s AND definition = %(definition)s AND ({bound})"
    )
    marked = now.marked[measure.unit]
    if not marked:
        return Source(sql, said)
    fresh = read_from_events(measure, marked)
    return Source(
        f"{sql} AND unit <> ALL(%(marked)s::uuid[]) UNION ALL SELECT {COLUMNS} FROM ({fresh.sql}) f WHERE {bound}",
        said | fresh.parameters,
    )


@transaction.atomic
def keep(on: date) -> None:
    """Settles every mark there is, and keeps all results of a measure whose definition is new."""
    with connection.cursor() as cursor:
        # One at a time: a mark settled while another run still builds would be lost to it.
        cursor.execute("SELECT pg_advisory_xact_lock(hashtext(%s)), zones FROM (" + ZONES + ") z", [LOCK])
        zones = cursor.fetchone()[1]
    marks = list(MarkedUnit.objects.values_list("pk", "procedure", "referral"))
    standing = set(MeasureKept.objects.values_list("code", "definition", "zones"))
    wanted = {
        measure: {"code": measure.code, "definition": definition(measure)} for measure in measures_on(on).values()
    }
    new = {measure for measure, said in wanted.items() if (*said.values(), zones) not in standing}
    if not marks and not new:
        return
    if new:
        # Of definitions that lost their standing in an earlier run: nobody still reads them.
        MeasureResult.objects.exclude(definition__in=[found for _, found, _ in standing]).delete()
    for measure, said in wanted.items():
        if measure in new:
            MeasureKept.objects.filter(code=measure.code).delete()
            MeasureResult.objects.filter(**said).delete()
            write(said, read_from_events(measure))
            MeasureKept.objects.create(**said, zones=zones)
        elif units := {unit for _, *both in marks if (unit := both[measure.unit is Unit.REFERRAL])}:
            MeasureResult.objects.filter(**said, unit__in=units).delete()
            write(said, read_from_events(measure, units))
    MarkedUnit.objects.filter(pk__in=[pk for pk, _, _ in marks]).delete()


ZONES = (
    "SELECT coalesce(md5(string_agg(id || zone, ',' ORDER BY id)), '') AS zones"
    " FROM estate_site WHERE zone <> 'Europe/London'"
)
"""A local day is a day of the site's zone: another zone is another result."""


def write(said: dict[str, str], source: Source) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            f"INSERT INTO quality_measureresult (code, definition, {COLUMNS})"
            f" SELECT %(code)s, %(definition)s, {COLUMNS} FROM ({source.sql}) f",
            said | source.parameters,
        )

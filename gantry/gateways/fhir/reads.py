"""Reads rows of ours as FHIR: one statement asks who may, builds the JSON, and writes who looked."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from functools import cache
from typing import Any
from uuid import UUID

import psycopg
from django.db import connection
from django.utils import timezone

from gantry.apps.audit.ids import new_id
from gantry.domain.access import VERBS
from gantry.gateways.fhir.outcomes import Errors, Refusal
from gantry.gateways.fhir.reading import Tree
from gantry.gateways.fhir.resource import Resource

WHO = """
    SELECT p.id, p.name,
        array_agg(DISTINCT g.organisation_id) AS organisations,
        bool_or(g.role = ANY(%(roles)s)) AS may,
        CASE WHEN %(bearer)s THEN ARRAY[]::uuid[] ELSE ARRAY(
            SELECT b.patient FROM accounts_breakglass b
            WHERE b.person_id = p.id AND b.from_at <= %(now)s AND b.to_at > %(now)s
        ) END AS opened
    FROM accounts_person p JOIN accounts_rolegrant g ON g.person_id = p.id
    WHERE p.id = %(person)s AND p.is_active AND g.valid_from <= %(today)s
        AND (g.valid_to IS NULL OR g.valid_to >= %(today)s) AND (NOT %(bearer)s OR g.role = 'interface')
    GROUP BY p.id, p.name
"""
"""`acting_for` in SQL: standing grants, their organisations, open break-glass. A token has its interface roles only."""

LOGGED = """
    INSERT INTO exchange_accessrecord (id, at, person, by_name, interaction, type, asked, subjects, patients)
    SELECT %(log)s, %(now)s, who.id, who.name, %(interaction)s, %(type)s, %(asked)s,
        ARRAY(SELECT key FROM found), ARRAY(SELECT DISTINCT patient FROM found WHERE patient IS NOT NULL)
    FROM who
"""


@dataclass(frozen=True, slots=True)
class Reader:
    """Who asks, and how they showed it."""

    person: UUID
    bearer: bool
    now: datetime


@dataclass(frozen=True, slots=True)
class Row:
    id: str
    json: str


def read(resource: Resource, key: UUID, reader: Reader) -> str | None:
    """One row as JSON, or None where there is none that the reader may see. Raises Refusal."""
    rows = run(read_sql(resource), resource, reader, "read", str(key), {"id": key})
    return rows[0].json if rows else None


def search(
    resource: Resource, conditions: Sequence[tuple[str, Mapping[str, Any]]], reader: Reader, *, after: UUID, limit: int
) -> list[Row]:
    """Rows in the order of their ids, from after one of them. A condition is a search parameter's name and its values.

    Raises Refusal.
    """
    values: dict[str, Any] = {"after": after, "limit": limit}
    for place, (_, given) in enumerate(conditions):
        values |= {f"{name}{place}": value for name, value in given.items()}
    names = tuple(name for name, _ in conditions)
    return run(search_sql(resource, names), resource, reader, "search", ",".join(names)[:200], values)


def run(
    sql: str, resource: Resource, reader: Reader, interaction: str, asked: str, values: Mapping[str, Any]
) -> list[Row]:
    rows = execute(
        sql,
        {
            **values,
            "person": reader.person,
            "bearer": reader.bearer,
            "roles": allowed(resource),
            "now": reader.now,
            "today": timezone.localdate(reader.now),
            "log": new_id(),
            "interaction": interaction,
            "type": resource.type,
            "asked": asked,
        },
    )
    if not rows or not rows[0][0]:
        raise Refusal(Errors.FORBIDDEN, text=f"Nobody here has given you the right to read {resource.type}")
    return [Row(key, body) for _, key, body in rows if key is not None]


def tell(resource: Resource, key: UUID) -> Tree:
    """A row as a tree for the answer to the act that made or moved it: the asker's right was settled by the act."""
    sql = f"SELECT json_strip_nulls({resource.json})::text FROM {resource.rows} WHERE {resource.key} = %(id)s"
    now = timezone.now()
    return as_tree(fetch(sql, {"id": key, "now": now, "today": timezone.localdate(now)})[0][0])


def as_tree(body: str) -> Tree:
    """What the database wrote, numbers as it wrote them."""
    return dict(json.loads(body, parse_float=Decimal))


@cache
def allowed(resource: Resource) -> list[str]:
    return [role.value for role, may in VERBS.items() if resource.verb in may]


def execute(sql: str, values: Mapping[str, Any]) -> list[tuple[Any, ...]]:
    """Prepared on the server. A connection that has died is opened once more: reading twice harms nobody."""
    connection.ensure_connection()
    try:
        return fetch(sql, values)
    except psycopg.OperationalError:
        if connection.in_atomic_block:
            raise
        connection.close()
        connection.ensure_connection()
        return fetch(sql, values)


def fetch(sql: str, values: Mapping[str, Any]) -> list[tuple[Any, ...]]:
    with psycopg.Cursor(connection.connection) as cursor:
        cursor.execute(sql.encode(), values, prepare=True)
        return cursor.fetchall()


@cache
def read_sql(resource: Resource) -> str:
    return statement(resource, f"{resource.key} = %(id)s", "")


@cache
def search_sql(resource: Resource, names: tuple[str, ...]) -> str:
    conditions = [f"{resource.key} > %(after)s"]
    for place, name in enumerate(names):
        condition = condition_of(resource, name)
        for parameter in ("value", "system", "starts", "from", "until"):
            condition = condition.replace(f"%({parameter})s", f"%({parameter}{place})s")
        conditions.append(condition)
    return statement(resource, " AND ".join(conditions), f"ORDER BY {resource.key} LIMIT %(limit)s")


SPANS = {
    "eq": "({when} >= %(from)s AND {when} < %(until)s)",
    "ge": "{when} >= %(from)s",
    "gt": "{when} >= %(until)s",
    "lt": "{when} < %(from)s",
    "le": "{when} < %(until)s",
}


def condition_of(resource: Resource, name: str) -> str:
    """A parameter's condition; of a date, also by its prefix."""
    if name == "_id":
        return f"{resource.key} = %(value)s"
    parameter, _, prefix = name.rpartition(":")
    if parameter == "_lastUpdated":
        return SPANS[prefix].format(when=resource.updated)
    if prefix in SPANS and parameter in resource.searches:
        return SPANS[prefix].format(when=resource.searches[parameter].sql)
    return resource.searches[name].sql


def statement(resource: Resource, condition: str, tail: str) -> str:
    return f"""
WITH who AS MATERIALIZED ({WHO}),
found AS MATERIALIZED (
    SELECT {resource.key} AS key, {resource.patient} AS patient, json_strip_nulls({resource.json})::text AS body
    FROM {resource.rows} CROSS JOIN who
    WHERE who.may AND {resource.seen} AND {condition} {tail}
),
logged AS ({LOGGED})
SELECT who.may, found.key::text, found.body FROM who LEFT JOIN found ON true ORDER BY found.key
"""


def bundle(rows: Sequence[Row], *, kind: str, base: str, self_url: str, next_url: str, total: int | None) -> str:
    """A searchset, joined from what the database wrote."""
    links = [{"relation": "self", "url": self_url}, *([{"relation": "next", "url": next_url}] if next_url else [])]
    entries = ",".join(
        f'{{"fullUrl":{json.dumps(f"{base}{kind}/{row.id}")},"resource":{row.json},"search":{{"mode":"match"}}}}'
        for row in rows
    )
    head = {"resourceType": "Bundle", "type": "searchset", **({"total": total} if total is not None else {})}
    whole = json.dumps({**head, "link": links}, ensure_ascii=False)
    return f'{whole[:-1]}, "entry":[{entries}]}}' if rows else whole

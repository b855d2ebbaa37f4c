"""Takes resources of other systems in, as statements of theirs, and gives them back from the rows alone (F3)."""

from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Any
from uuid import UUID

from gantry.apps.estate.models import Organisation
from gantry.apps.exchange import services as exchange
from gantry.apps.exchange.models import Statement
from gantry.domain.events import Actor
from gantry.domain.identifiers import valid_nhs_number
from gantry.gateways.fhir.issues import Issue, IssueType
from gantry.gateways.fhir.reading import Tree
from gantry.gateways.fhir.resource import NHS_NUMBER
from gantry.gateways.fhir.rows import put_together, taken_apart
from gantry.gateways.fhir.served import SERVED

VERIFIED = frozenset({"01", "number-present-and-verified"})


class NotKept(Exception):
    """Nothing was stored; `issues` says why."""

    def __init__(self, *issues: Issue) -> None:
        self.issues = issues
        super().__init__("; ".join(issue.text for issue in issues))


def import_resource(
    tree: Tree,
    *,
    sender: Organisation | None,
    now: datetime,
    by: Actor,
    organisations: Iterable[UUID] = (),
    subject: UUID | None = None,
) -> Statement:
    """Keep one resource. Raises NotKept, with nothing stored, for a type that is not served."""
    return import_resources([tree], sender=sender, now=now, by=by, organisations=organisations, subject=subject)[0]


def import_resources(
    trees: Iterable[Tree],
    *,
    sender: Organisation | None,
    now: datetime,
    by: Actor,
    organisations: Iterable[UUID] = (),
    message: UUID | None = None,
    subject: UUID | None = None,
) -> list[Statement]:
    """Keep all of them or none. Raises NotKept."""
    stated = []
    for tree in trees:
        kind = str(tree.get("resourceType"))
        if kind not in SERVED:
            raise NotKept(Issue(IssueType.NOT_SUPPORTED, kind, f"{kind[:60]} is not kept here"))
        if unstorable(tree):
            raise NotKept(Issue(IssueType.VALUE, kind, "Text holds a character that FHIR does not allow"))
        if wrong := verified_wrongly(tree, kind):
            raise NotKept(*wrong)
        stated.append(taken_apart(tree, SERVED[kind].columns))
    return exchange.keep(
        stated, sender=sender, organisations=organisations, now=now, by=by, message=message, subject=subject
    )


def export_resource(row: Statement) -> Tree:
    """The resource as the sender stated it, rebuilt from our rows."""
    columns = SERVED[row.type].columns
    return put_together(exchange.stated_in(row, ["their_id", *columns.values()]), columns)


def record_read(row: Statement, person: UUID, *, now: datetime) -> None:
    """Who looked at a statement."""
    exchange.record_read(row, person, now=now)


def verified_wrongly(value: Any, where: str) -> list[Issue]:
    """Every NHS number that is said to be verified and cannot be one: it is refused, never kept as if it were."""
    found: list[Issue] = []
    if isinstance(value, dict):
        if str(value.get("system", "")).lower() == NHS_NUMBER.lower():
            number = str(value.get("value") or "")
            if VERIFIED & set(codes_in(value.get("extension"))) and not valid_nhs_number(number):
                text = "An NHS number whose check digit is wrong is not a verified one"
                found.append(Issue(IssueType.VALUE, f"{where}.value", text))
        for name, inner in value.items():
            found += verified_wrongly(inner, f"{where}.{name}")
    elif isinstance(value, list):
        for place, inner in enumerate(value):
            found += verified_wrongly(inner, f"{where}[{place}]")
    return found


def codes_in(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        if isinstance(value.get("code"), str):
            yield value["code"]
        for inner in value.values():
            yield from codes_in(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from codes_in(inner)


def unstorable(value: Any) -> bool:
    """Text that no database column can hold."""
    if isinstance(value, dict):
        return any(unstorable(name) or unstorable(inner) for name, inner in value.items())
    if isinstance(value, list):
        return any(map(unstorable, value))
    return isinstance(value, str) and "\x00" in value

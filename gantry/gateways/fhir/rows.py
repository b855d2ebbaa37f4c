"""Takes a resource apart into typed rows and puts it together again from them: what a column can hold leaves the rest.

A value goes to a column only where the column gives it back exactly; all else stays in `rest`, in its place. Nothing is
held twice, so a resource rebuilt is the rows' word, not a copy's.
"""

import hashlib
from collections.abc import Mapping
from copy import deepcopy
from datetime import date
from typing import Any
from xml.etree.ElementTree import ParseError

from defusedxml import DefusedXmlException
from defusedxml import ElementTree as SafeTree

from gantry.apps.exchange.services import Placed, Stated
from gantry.gateways.fhir.elements import ANY_RESOURCE, UnknownType, elements_of, is_resource_type
from gantry.gateways.fhir.narrative import written
from gantry.gateways.fhir.reading import Tree
from gantry.gateways.fhir.values import whole_day
from gantry.gateways.fhir.writing import as_json

TEXT, TEXTS, NUMBER = "text", "texts", "number"
HELD: Mapping[str, tuple[str, Mapping[str, tuple[str, str]]]] = {
    "Identifier": ("StatedIdentifier", {"use": ("use", TEXT), "system": ("system", TEXT), "value": ("value", TEXT)}),
    "HumanName": (
        "StatedName",
        {
            "use": ("use", TEXT),
            "text": ("text", TEXT),
            "family": ("family", TEXT),
            "given": ("given", TEXTS),
            "prefix": ("prefix", TEXTS),
            "suffix": ("suffix", TEXTS),
        },
    ),
    "ContactPoint": (
        "StatedContact",
        {"system": ("system", TEXT), "value": ("value", TEXT), "use": ("use", TEXT), "rank": ("rank", NUMBER)},
    ),
    "Address": (
        "StatedAddress",
        {
            "use": ("use", TEXT),
            "type": ("type", TEXT),
            "text": ("text", TEXT),
            "line": ("line", TEXTS),
            "city": ("city", TEXT),
            "district": ("district", TEXT),
            "state": ("state", TEXT),
            "postalCode": ("postal_code", TEXT),
            "country": ("country", TEXT),
        },
    ),
    "Coding": (
        "StatedCoding",
        {
            "system": ("system", TEXT),
            "version": ("version", TEXT),
            "code": ("code", TEXT),
            "display": ("display", TEXT),
        },
    ),
    "Reference": (
        "StatedReference",
        {"reference": ("reference", TEXT), "type": ("type", TEXT), "display": ("display", TEXT)},
    ),
    "Period": ("StatedPeriod", {"start": ("start", TEXT), "end": ("end", TEXT)}),
}
"""Which elements of which data type have a column, and of what shape."""

ID_LENGTH = 64
SHORT = {"status", "intent", "priority", "gender", "starts", "ends", "stated_at"}
SHORT_LENGTH = 40


def taken_apart(tree: Tree, columns: Mapping[str, str]) -> Stated:
    """`columns` says which of this type's own elements have a column of the statement, by element name."""
    left = deepcopy(tree)
    kind = left.pop("resourceType")
    held: dict[str, Any] = {}
    said = left.get("id")
    if isinstance(said, str) and 0 < len(said) <= ID_LENGTH:
        held["their_id"] = left.pop("id")
    for name, column in columns.items():
        value, fits = as_column(column, left.get(name))
        if fits:
            held[column] = value
            del left[name]
    parts: list[Placed] = []
    walk(left, kind, (), parts)
    return Stated(kind, digest(tree), held, tuple(parts), left)


def as_column(column: str, value: Any) -> tuple[Any, bool]:
    if column == "birth_date":
        day = whole_day(value)
        return day, day is not None
    if column == "active":
        return value, isinstance(value, bool)
    fits = isinstance(value, str) and value != "" and (column not in SHORT or len(value) <= SHORT_LENGTH)
    return value, fits


def walk(value: Tree, kind: str, path: tuple[str, ...], parts: list[Placed]) -> None:
    try:
        known = elements_of(kind)
    except UnknownType:
        return
    for name in list(value):
        element = known.get(name)
        if element is None or element.primitive:
            continue
        inner = value[name]
        for place, one in (
            [(str(n), each) for n, each in enumerate(inner)] if isinstance(inner, list) else [("", inner)]
        ):
            if not isinstance(one, dict):
                continue
            at = (*path, name, place) if place else (*path, name)
            if element.type == ANY_RESOURCE:
                if is_resource_type(one.get("resourceType")):
                    walk(one, one["resourceType"], at, parts)
                continue
            if element.type in HELD:
                part = held_by(element.type, one, ".".join(at))
                if part is not None:
                    parts.append(part)
            walk(one, element.type, at, parts)


def held_by(kind: str, value: Tree, path: str) -> Placed | None:
    """The row that takes what it can of one value; the value keeps the rest."""
    row, fields = HELD[kind]
    columns: dict[str, Any] = {}
    for name, (column, shape) in fields.items():
        if name in value and FITS[shape](value[name]):
            columns[column] = value.pop(name)
    return Placed(row, path, columns) if columns else None


def is_text(value: Any) -> bool:
    return isinstance(value, str) and value != ""


FITS = {
    TEXT: is_text,
    TEXTS: lambda value: isinstance(value, list) and bool(value) and all(map(is_text, value)),
    NUMBER: lambda value: isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**31,
}


def put_together(stated: Stated, columns: Mapping[str, str]) -> Tree:
    """The resource as its rows say, elements in the standard's order."""
    tree: Tree = {"resourceType": stated.type, **deepcopy(dict(stated.rest))}
    if stated.columns.get("their_id"):
        tree["id"] = stated.columns["their_id"]
    for name, column in columns.items():
        value = stated.columns.get(column)
        if value not in (None, ""):
            tree[name] = value.isoformat() if isinstance(value, date) else value
    names = {row: {column: name for name, (column, _) in fields.items()} for row, fields in HELD.values()}
    for part in stated.parts:
        place = at(tree, part.path)
        for column, value in part.columns.items():
            if value not in (None, "", []):
                place[names[part.kind][column]] = value
    return ordered(tree)


def at(tree: Any, path: str) -> Tree:
    for step in path.split("."):
        tree = tree[int(step)] if isinstance(tree, list) else tree[step]
    return dict_of(tree)


def dict_of(value: Any) -> Tree:
    if not isinstance(value, dict):
        raise TypeError("a part stands in an object")
    return value


def ordered(tree: Tree) -> Tree:
    known = {name: place for place, name in enumerate(elements_of(tree["resourceType"]))}
    rank = {"resourceType": -1}
    return dict(sorted(tree.items(), key=lambda item: rank.get(item[0], known.get(item[0].removeprefix("_"), 999))))


def digest(tree: Tree) -> str:
    """The same for two trees that say the same, whatever their form was."""
    return hashlib.sha256(as_json(canonical(tree)).encode()).hexdigest()


def canonical(value: Any, name: str = "") -> Any:
    if isinstance(value, dict):
        return {key: canonical(value[key], key) for key in sorted(value)}
    if isinstance(value, list):
        return [canonical(one, name) for one in value]
    if name == "div" and isinstance(value, str):
        try:
            return " ".join(written(SafeTree.fromstring(value, forbid_dtd=True)).split())
        except (ParseError, ValueError, DefusedXmlException):
            return value
    return value

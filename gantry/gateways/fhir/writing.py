"""Writes a tree as JSON or XML, numbers as exactly as they came."""

import json
from collections.abc import Iterator
from decimal import Decimal
from typing import Any
from xml.sax.saxutils import quoteattr

from gantry.gateways.fhir.elements import ANY_RESOURCE, Element, UnknownType, elements_of
from gantry.gateways.fhir.reading import Tree

_text = json.JSONEncoder(ensure_ascii=False, allow_nan=False).encode


def as_json(value: Any) -> str:
    """Compact JSON; a decimal keeps its zeros (1.50 is not 1.5 in FHIR)."""
    if isinstance(value, dict):
        return "{" + ",".join(f"{_text(name)}:{as_json(inner)}" for name, inner in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ",".join(as_json(inner) for inner in value) + "]"
    if isinstance(value, Decimal):
        return str(value)
    return _text(value)


class NotWritten(Exception):
    """A tree that has no XML form."""


def as_xml(tree: Tree) -> str:
    """Raises NotWritten."""
    return "<?xml version='1.0' encoding='UTF-8'?>" + "".join(resource(tree, namespace=True))


def resource(tree: Tree, *, namespace: bool = False) -> Iterator[str]:
    name = str(tree["resourceType"])
    yield f'<{name} xmlns="http://hl7.org/fhir">' if namespace else f"<{name}>"
    yield from parts(tree, name, skip=("resourceType",))
    yield f"</{name}>"


def parts(tree: Tree, kind: str, *, skip: tuple[str, ...] = ()) -> Iterator[str]:
    try:
        known = elements_of(kind)
    except UnknownType:
        raise NotWritten(kind) from None
    strange = [name for name in tree if name.removeprefix("_") not in known and name not in skip]
    if strange:
        raise NotWritten(f"{kind}.{strange[0]}")
    for name, element in known.items():
        if name in skip:
            continue
        values, beside = as_list(tree.get(name)), as_list(tree.get(f"_{name}"))
        for place in range(max(len(values), len(beside))):
            value = values[place] if place < len(values) else None
            extra = beside[place] if place < len(beside) else None
            yield from one(element, value, extra)


def one(element: Element, value: Any, extra: Tree | None) -> Iterator[str]:
    name = element.name
    if element.type == "xhtml":
        yield str(value)
    elif element.primitive:
        said = (
            ""
            if value is None
            else f" value={quoteattr(plain(value), {chr(10): '&#10;', chr(13): '&#13;', chr(9): '&#9;'})}"
        )
        inside = extra or {}
        mark = f" id={quoteattr(str(inside['id']))}" if "id" in inside else ""
        extensions = "".join(
            part
            for extension in inside.get("extension", ())
            for part in complex_part("extension", "Extension", extension)
        )
        yield f"<{name}{mark}{said}>{extensions}</{name}>" if extensions else f"<{name}{mark}{said}/>"
    elif element.type == ANY_RESOURCE:
        yield f"<{name}>"
        yield from resource(value)
        yield f"</{name}>"
    else:
        yield from complex_part(name, element.type, value)


def complex_part(name: str, kind: str, value: Any) -> Iterator[str]:
    if not isinstance(value, dict):
        raise NotWritten(name)
    attributes = ("id", "url") if kind == "Extension" else ("id",)
    marks = "".join(f" {key}={quoteattr(str(value[key]))}" for key in attributes if key in value)
    yield f"<{name}{marks}>"
    yield from parts(value, kind, skip=attributes)
    yield f"</{name}>"


def plain(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


def as_list(value: Any) -> list[Any]:
    if value is None:
        return []
    return value if isinstance(value, list) else [value]

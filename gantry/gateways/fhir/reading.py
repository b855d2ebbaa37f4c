"""Reads a resource from JSON or XML into one tree (the JSON form), or says what stops it; nothing is guessed."""

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any
from xml.etree.ElementTree import Element as Node
from xml.etree.ElementTree import ParseError

from defusedxml import DefusedXmlException
from defusedxml import ElementTree as SafeTree

from gantry.gateways.fhir.elements import ANY_RESOURCE, Element, UnknownType, elements_of, is_resource_type
from gantry.gateways.fhir.issues import Issue, IssueType
from gantry.gateways.fhir.narrative import written

MOST_BYTES = 10 * 1024 * 1024
DEEPEST = 60
FHIR = "{http://hl7.org/fhir}"
XHTML = "{http://www.w3.org/1999/xhtml}"
type Tree = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Read:
    """What was read; `issues` are faults of form that did not stop the reading."""

    tree: Tree
    issues: tuple[Issue, ...] = ()


class Unreadable(Exception):
    """No tree can be made of it; `issues` says why and where."""

    def __init__(self, *issues: Issue) -> None:
        self.issues = issues
        super().__init__("; ".join(issue.text for issue in issues))


def read(data: bytes, *, xml: bool) -> Read:
    """Raises Unreadable."""
    if len(data) > MOST_BYTES:
        raise Unreadable(Issue(IssueType.TOO_LONG, "", f"Larger than {MOST_BYTES // 1024 // 1024} MB"))
    return read_xml(data) if xml else read_json(data)


def looks_like_xml(data: bytes) -> bool:
    return data.removeprefix(b"\xef\xbb\xbf").lstrip()[:1] == b"<"


def read_json(data: bytes) -> Read:
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise Unreadable(Issue(IssueType.INVALID, f"byte {error.start}", "FHIR is UTF-8; this is not")) from None
    if too_deep(text):
        raise Unreadable(Issue(IssueType.STRUCTURE, "", f"Nested deeper than {DEEPEST}"))
    twice: list[str] = []

    def once(pairs: list[tuple[str, Any]]) -> Tree:
        tree: Tree = {}
        for name, value in pairs:
            if name in tree:
                twice.append(name)
            tree[name] = value
        return tree

    try:
        tree = json.loads(text, object_pairs_hook=once, parse_float=decimal, parse_constant=no_number)
    except json.JSONDecodeError as error:
        where = f"line {error.lineno}, column {error.colno}"
        raise Unreadable(Issue(IssueType.INVALID, where, f"Not JSON: {error.msg}")) from None
    except (ValueError, ArithmeticError, RecursionError):
        raise Unreadable(Issue(IssueType.INVALID, "", "Not JSON: a number that JSON does not have")) from None
    if twice:
        names = ", ".join(dict.fromkeys(name[:60] for name in twice))
        raise Unreadable(Issue(IssueType.INVALID, "", f"A name stands twice in one object: {names}"))
    if half_characters(text):
        raise Unreadable(Issue(IssueType.INVALID, "", "Half a character: a surrogate without its pair"))
    return Read(resource(tree))


def half_characters(text: str) -> bool:
    """An escape that stands for half of a character: no encoding can carry it."""
    if "\\u" not in text:
        return False
    halves = re.findall(r"\\\\|\\u([dD][89a-fA-F][0-9a-fA-F]{2})", text)
    found = iter([half.lower() for half in halves if half])
    return any(first >= "dc00" or next(found, "") < "dc00" for first in found)


def too_deep(text: str) -> bool:
    """Counted outside strings, before any parser recurses."""
    depth = deepest = 0
    for mark in re.findall(r'"(?:[^"\\]|\\.)*"|[\[\]{}]', text):
        if mark in "[{":
            depth += 1
            deepest = max(deepest, depth)
        elif mark in "]}":
            depth -= 1
    return deepest > DEEPEST


def decimal(text: str) -> Decimal:
    number = Decimal(text)
    if len(text) > 64 or (number and abs(number.adjusted()) > 100):
        raise ValueError(text)
    return number


def no_number(text: str) -> Any:
    raise ValueError(text)


def resource(tree: Any) -> Tree:
    if not isinstance(tree, dict):
        raise Unreadable(Issue(IssueType.STRUCTURE, "", "A resource is a JSON object"))
    kind = tree.get("resourceType")
    if not is_resource_type(kind):
        said = f"{str(kind)[:60]!r} is no resource type of R4" if kind else "There is no resourceType"
        raise Unreadable(Issue(IssueType.INVALID, "resourceType", said))
    return tree


def read_xml(data: bytes) -> Read:
    try:
        root = SafeTree.fromstring(data, forbid_dtd=True)
    except (ParseError, ValueError, LookupError, DefusedXmlException) as error:
        line, column = getattr(error, "position", (0, 0))
        where = f"line {line}, column {column}" if line else ""
        said = "Not XML" if line else "XML with a document type, an entity or an unknown encoding is not read"
        raise Unreadable(Issue(IssueType.INVALID, where, said)) from None
    if depth_of(root) > DEEPEST:
        raise Unreadable(Issue(IssueType.STRUCTURE, "", f"Nested deeper than {DEEPEST}"))
    name = root.tag.removeprefix(FHIR)
    if not root.tag.startswith(FHIR) or not is_resource_type(name):
        raise Unreadable(Issue(IssueType.INVALID, "", "The root is no resource of R4 in the FHIR namespace"))
    found: list[Issue] = []
    return Read(resource_of(root, name, found), tuple(found))


def depth_of(root: Node) -> int:
    deepest, queue = 1, [(root, 1)]
    while queue:
        node, depth = queue.pop()
        deepest = max(deepest, depth)
        queue += [(child, depth + 1) for child in node]
    return deepest


def resource_of(node: Node, where: str, found: list[Issue]) -> Tree:
    name = node.tag.removeprefix(FHIR)
    if not is_resource_type(name):
        found.append(Issue(IssueType.STRUCTURE, where, f"<{name[:60]}> is no resource type of R4"))
        return {"resourceType": name}
    return {"resourceType": name, **parts_of(node, name, where, found, attributes=())}


def parts_of(node: Node, kind: str, where: str, found: list[Issue], *, attributes: Iterable[str]) -> Tree:
    """The children of a node by the type's own elements, in the JSON form."""
    try:
        known = elements_of(kind)
    except UnknownType:
        found.append(Issue(IssueType.NOT_SUPPORTED, where, f"{kind} of R4 cannot be read here"))
        return {}
    tree: Tree = {name: node.attrib[name] for name in attributes if name in node.attrib}
    stray = [name for name in node.attrib if name not in tree and not name.startswith("{")]
    found += [Issue(IssueType.STRUCTURE, where, f"An attribute {name[:60]!r} does not belong here") for name in stray]
    if (node.text or "").strip() or any((child.tail or "").strip() for child in node):
        found.append(Issue(IssueType.STRUCTURE, where, "Text stands between elements"))
    order = {name: place for place, name in enumerate(known)}
    last = -1
    for child in node:
        name = child.tag.removeprefix(FHIR).removeprefix(XHTML)
        element = known.get(name)
        if element is None or not (child.tag.startswith(FHIR) or element.type == "xhtml"):
            found.append(Issue(IssueType.STRUCTURE, f"{where}.{name[:60]}", "There is no such element"))
            continue
        if order[name] < last:
            found.append(Issue(IssueType.STRUCTURE, f"{where}.{name}", "It stands out of order"))
        last = max(last, order[name])
        add(tree, element, child, f"{where}.{name}", found)
    return tree


def add(tree: Tree, element: Element, node: Node, where: str, found: list[Issue]) -> None:
    if element.primitive:
        value, beside = primitive(node, element, where, found)
        put(tree, element, element.name, value)
        if beside is not None or f"_{element.name}" in tree:
            put_beside(tree, element, beside)
        return
    if element.type == ANY_RESOURCE:
        inner = [resource_of(child, f"{where}.{child.tag.removeprefix(FHIR)}", found) for child in node]
        if len(inner) != 1:
            found.append(Issue(IssueType.STRUCTURE, where, "One resource is expected inside"))
        for one in inner:
            put(tree, element, element.name, one)
        return
    attributes = ("id", "url") if element.type == "Extension" else ("id",)
    put(tree, element, element.name, parts_of(node, element.type, where, found, attributes=attributes))


def put(tree: Tree, element: Element, name: str, value: Any) -> None:
    """A second value of what may stand once is kept as a list: the judge sees it there."""
    if element.many:
        tree.setdefault(name, []).append(value)
    elif name in tree:
        before = tree[name]
        tree[name] = [*before, value] if isinstance(before, list) else [before, value]
    else:
        tree[name] = value
    if value is None and not element.many:
        tree.pop(name)


def put_beside(tree: Tree, element: Element, beside: Tree | None) -> None:
    """The extensions of a primitive, in the list beside its values."""
    name = f"_{element.name}"
    if not element.many:
        if beside is not None:
            tree[name] = beside
        return
    row = tree.setdefault(name, [])
    row += [None] * (len(tree[element.name]) - 1 - len(row))
    row.append(beside)


def primitive(node: Node, element: Element, where: str, found: list[Issue]) -> tuple[Any, Tree | None]:
    if element.type == "xhtml":
        return written(node), None
    beside: Tree = {}
    if "id" in node.attrib:
        beside["id"] = node.attrib["id"]
    extensions = []
    for child in node:
        if child.tag != f"{FHIR}extension":
            found.append(Issue(IssueType.STRUCTURE, where, "Only extensions stand inside a primitive"))
            continue
        extensions.append(parts_of(child, "Extension", f"{where}.extension", found, attributes=("id", "url")))
    if extensions:
        beside["extension"] = extensions
    if (
        any(name not in {"id", "value"} and not name.startswith("{") for name in node.attrib)
        or (node.text or "").strip()
    ):
        found.append(Issue(IssueType.STRUCTURE, where, "A primitive has a value, an id and extensions, nothing else"))
    return number_or_text(node.attrib.get("value"), element.type), beside or None


def number_or_text(text: str | None, kind: str) -> Any:
    """The JSON form of an XML value; what cannot be one stays text, for the judge to see."""
    if text is None:
        return None
    if kind == "boolean" and text in {"true", "false"}:
        return text == "true"
    if kind in {"integer", "positiveInt", "unsignedInt"} and re.fullmatch(r"-?(0|[1-9]\d{0,18})", text):
        return int(text)
    if kind == "decimal" and re.fullmatch(r"-?(0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)?", text):
        try:
            return int(text) if re.fullmatch(r"-?\d+", text) else decimal(text)
        except ValueError:
            return text
    return text

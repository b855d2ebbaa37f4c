"""Judges a resource by R4's own structure: elements, cardinality, datatypes, codes, references, extensions, invariants.

Nothing is stored, nothing is looked up elsewhere. What needs a terminology server, a profile or a signature's key is
not judged, and no issue is raised for it.
"""

from dataclasses import dataclass, field
from typing import Any

from gantry.gateways.fhir import bundles, datatypes, invariants, narrative
from gantry.gateways.fhir.elements import (
    ANY_RESOURCE,
    CHANGED_IN_R4B,
    RESOURCE_TYPES,
    Element,
    UnknownType,
    elements_of,
    is_resource_type,
)
from gantry.gateways.fhir.issues import Issue, IssueType, Severity
from gantry.gateways.fhir.reading import Tree, Unreadable, read
from gantry.gateways.fhir.values import why_not

MOST_ISSUES = 200
NOT_JUDGED = "Not judged: terminology beyond R4's own required codes, profiles, and signatures"


def validate(data: bytes, *, xml: bool) -> list[Issue]:
    """Everything wrong with these bytes as one R4 resource. Empty when nothing is."""
    try:
        found = read(data, xml=xml)
    except Unreadable as error:
        return list(error.issues)
    return [*found.issues, *judge(found.tree)]


def judge(tree: Tree) -> list[Issue]:
    """Everything wrong with a resource that could be read."""
    kind = str(tree["resourceType"])
    if kind in CHANGED_IN_R4B or kind not in RESOURCE_TYPES:
        return [Issue(IssueType.NOT_SUPPORTED, kind, f"{kind} of R4 cannot be judged here")]
    walk = Walk()
    try:
        walk.resource(tree, kind)
    except UnknownType as error:
        walk.note(IssueType.NOT_SUPPORTED, kind, f"{error} of R4 cannot be judged here")
    return walk.found


def errors(issues: list[Issue]) -> list[Issue]:
    return [issue for issue in issues if issue.severity is Severity.ERROR]


@dataclass(slots=True)
class Walk:
    """One pass over a tree, from the outside in."""

    found: list[Issue] = field(default_factory=list)

    def note(self, code: IssueType, where: str, text: str) -> None:
        if len(self.found) < MOST_ISSUES:
            self.found.append(Issue(code, where, text))

    def resource(self, tree: Tree, where: str, *, inside: bool = False) -> None:
        """A resource and what belongs to it as a whole; `inside`: it is contained in another."""
        kind = str(tree["resourceType"])
        if kind in CHANGED_IN_R4B:
            self.note(IssueType.NOT_SUPPORTED, where, f"{kind} of R4 cannot be judged here")
            return
        before = len(self.found)
        self.parts(tree, kind, where, skip=("resourceType",))
        self.found += datatypes.extensions_of(tree, where)
        if not inside:
            self.found += invariants.containment(tree, where)
        if len(self.found) == before:
            # A rule over the whole reads well-formed parts only.
            self.found += invariants.of_resource(tree, kind, where)
        if kind == "Bundle":
            self.found += bundles.why_not(tree, where)
        if kind == "Parameters":
            self.found += bundles.parameters(tree, where)

    def parts(self, tree: Tree, kind: str, where: str, *, skip: tuple[str, ...] = ()) -> None:
        known = elements_of(kind)
        if not any(name not in skip for name in tree):
            self.note(IssueType.STRUCTURE, where, "An object must have something in it")
        for name, value in tree.items():
            if name in skip:
                continue
            element = known.get(name.removeprefix("_"))
            if element is None or (name.startswith("_") and not element.primitive):
                self.note(IssueType.STRUCTURE, f"{where}.{name[:80]}", f"{kind} has no such element in R4")
            elif name.startswith("_"):
                self.beside(element, tree, value, f"{where}.{element.name}")
            else:
                self.element(element, value, f"{where}.{name}", absent=tree.get(f"_{name}"))
        self.counted(tree, kind, where, known)

    def counted(self, tree: Tree, kind: str, where: str, known: Any) -> None:
        """What must be there, and of what there may be one."""
        groups: dict[str, list[str]] = {}
        for element in known.values():
            given = element.name in tree or f"_{element.name}" in tree
            if element.required and not given:
                self.note(IssueType.REQUIRED, f"{where}.{element.name}", f"{kind} must have {element.name}")
            if element.choice:
                groups.setdefault(element.choice, [])
                if given:
                    groups[element.choice].append(element.name)
        needed = {element.choice for element in known.values() if element.choice_required}
        for group, names in groups.items():
            if len(names) > 1:
                self.note(IssueType.STRUCTURE, where, f"{group}[x] may be given once: {', '.join(names)}")
            elif not names and group in needed:
                self.note(IssueType.REQUIRED, f"{where}.{group}[x]", f"{kind} must have {group}[x]")

    def element(self, element: Element, value: Any, where: str, *, absent: Any) -> None:
        if value is None:
            self.note(IssueType.STRUCTURE, where, "null stands for nothing in FHIR JSON: leave the name out")
            return
        if element.many:
            if not isinstance(value, list):
                self.note(IssueType.STRUCTURE, where, "It repeats: a list is expected")
                return
            if not value:
                self.note(IssueType.STRUCTURE, where, "A list must have something in it")
            beside = absent if isinstance(absent, list) else []
            for place, one in enumerate(value):
                if one is None and element.primitive and place < len(beside) and beside[place]:
                    continue
                self.one(element, one, f"{where}[{place}]")
            return
        if isinstance(value, list):
            self.note(IssueType.STRUCTURE, where, "It is given once: a list is not expected")
            return
        self.one(element, value, where)

    def one(self, element: Element, value: Any, where: str) -> None:
        if element.primitive:
            self.primitive(element, value, where)
        elif not isinstance(value, dict):
            self.note(IssueType.STRUCTURE, where, f"A {element.type} is expected")
        elif element.type == ANY_RESOURCE:
            if not is_resource_type(value.get("resourceType")):
                self.note(IssueType.INVALID, where, "There is no resourceType that R4 has")
            else:
                self.resource(value, where, inside=element.name == "contained")
        else:
            self.parts(value, element.type, where)
            for issue in datatypes.why_not(element, value, where):
                self.note(issue.code, issue.where, issue.text)

    def primitive(self, element: Element, value: Any, where: str) -> None:
        said = why_not(element.type, value)
        if said:
            self.note(IssueType.VALUE, where, said[0].upper() + said[1:])
        elif element.codes and value not in element.codes:
            self.note(
                IssueType.CODE_INVALID,
                where,
                f"{str(value)[:60]!r} is none of {', '.join(sorted(element.codes))[:300]}",
            )
        elif element.type == "xhtml":
            for reason in narrative.why_not(value):
                self.note(IssueType.STRUCTURE, where, f"The narrative {reason}")

    def beside(self, element: Element, tree: Tree, value: Any, where: str) -> None:
        """Extensions of a primitive: beside each value, or in its place."""
        rows = value if element.many and isinstance(value, list) else [value]
        if element.many is not isinstance(value, list):
            self.note(IssueType.STRUCTURE, where, "Its extensions do not have the shape of its values")
            return
        values = tree.get(element.name)
        if element.many and isinstance(values, list) and len(rows) > len(values):
            self.note(IssueType.STRUCTURE, where, "There are more extensions than values")
        for place, row in enumerate(rows):
            if row is None and element.many:
                continue
            at = f"{where}[{place}]" if element.many else where
            if not isinstance(row, dict):
                self.note(IssueType.STRUCTURE, at, "Extensions of a primitive are an object")
                continue
            self.parts(row, "Element", at)
            for issue in datatypes.extensions_of(row, at):
                self.note(issue.code, issue.where, issue.text)

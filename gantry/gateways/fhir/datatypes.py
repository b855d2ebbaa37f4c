"""Decides what holds inside one data type: extensions, references, codings, quantities, periods, links (R4 §2.24)."""

import re
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from gantry.gateways.fhir.elements import RESOURCE_TYPES, Element, is_resource_type
from gantry.gateways.fhir.expressions import why_not_fhirpath, why_not_snomed_constraint
from gantry.gateways.fhir.issues import Issue, IssueType
from gantry.gateways.fhir.reading import Tree

ABSOLUTE = re.compile(r"[A-Za-z][A-Za-z0-9+.\-]*:\S+")
RELATIVE = re.compile(r"(?P<type>[A-Z][A-Za-z]+)/(?P<id>[A-Za-z0-9\-.]{1,64})(/_history/[A-Za-z0-9\-.]{1,64})?(#\S*)?")
ENDS_IN_RESOURCE = re.compile(
    rf"https?://\S+/(?P<type>{'|'.join(sorted(RESOURCE_TYPES))})/(?P<id>[A-Za-z0-9\-.]{{1,64}})(/_history/[A-Za-z0-9\-.]+)?"
)

GENDERS = frozenset({"male", "female", "other", "unknown"})
LEGAL_STATES = frozenset(
    [
        "amended",
        "appended",
        "cancelled",
        "disputed",
        "entered-in-error",
        "executable",
        "executed",
        "negotiable",
        "offered",
        "policy",
        "rejected",
        "renewed",
        "revoked",
        "resolved",
        "terminated",
    ]
)
CORE_CODES: Mapping[str, frozenset[str]] = {
    "http://hl7.org/fhir/resource-types": RESOURCE_TYPES | {"Resource", "DomainResource"},
    "http://hl7.org/fhir/administrative-gender": GENDERS,
    "http://hl7.org/fhir/contract-legalstate": LEGAL_STATES,
    "http://terminology.hl7.org/CodeSystem/allergyintolerance-clinical": frozenset({"active", "inactive", "resolved"}),
    "http://terminology.hl7.org/CodeSystem/allergyintolerance-verification": frozenset(
        {"unconfirmed", "confirmed", "refuted", "entered-in-error"}
    ),
    "http://terminology.hl7.org/CodeSystem/condition-clinical": frozenset(
        {"active", "recurrence", "relapse", "inactive", "remission", "resolved"}
    ),
    "http://terminology.hl7.org/CodeSystem/condition-ver-status": frozenset(
        {"unconfirmed", "provisional", "differential", "confirmed", "refuted", "entered-in-error"}
    ),
}
"""Whole code systems that R4 itself defines and closes; a code that is not in one is wrong everywhere."""


def why_not(element: Element, value: Tree, where: str) -> Iterator[Issue]:
    check = CHECKS.get(element.type)
    if check:
        yield from check(element, value, where)
    yield from extensions_of(value, where)


def extensions_of(value: Tree, where: str) -> Iterator[Issue]:
    """Extensions stand in an object of any type, so the rules on urls are asked from outside."""
    for name in ("extension", "modifierExtension"):
        held = value.get(name)
        for place, one in enumerate(held if isinstance(held, list) else ()):
            if isinstance(one, dict):
                yield from extension(one, f"{where}.{name}[{place}]", inside=nested(where))


def nested(where: str) -> bool:
    return bool(re.search(r"\.(modifierE|e)xtension\[\d+\]$", where))


def extension(value: Tree, where: str, *, inside: bool) -> Iterator[Issue]:
    url = value.get("url")
    if isinstance(url, str):
        if "|" in url:
            yield Issue(IssueType.VALUE, f"{where}.url", "An extension's url has no version")
        elif not inside and not ABSOLUTE.fullmatch(url):
            yield Issue(IssueType.VALUE, f"{where}.url", "An extension's url is absolute")
    given = any(name.removeprefix("_").startswith("value") for name in value)
    if given and "extension" in value:
        yield Issue(IssueType.INVARIANT, where, "ext-1: an extension has a value or extensions, not both")
    if not given and "extension" not in value:
        yield Issue(IssueType.INVARIANT, where, "ext-1: an extension has a value or extensions")


def reference(element: Element, value: Tree, where: str) -> Iterator[Issue]:
    said = value.get("reference")
    kind = value.get("type")
    if not any(name in value for name in ("reference", "_reference", "identifier", "display", "extension")):
        yield Issue(IssueType.INVARIANT, where, "A reference has a reference, an identifier or a display")
    if isinstance(kind, str) and not is_resource_type(kind) and not ABSOLUTE.fullmatch(kind):
        yield Issue(IssueType.CODE_INVALID, f"{where}.type", f"{kind[:60]!r} is no resource type of R4")
    if not isinstance(said, str) or said.startswith("#"):
        return
    found = RELATIVE.fullmatch(said) or ENDS_IN_RESOURCE.fullmatch(said)
    if found is None:
        if not ABSOLUTE.fullmatch(said) and "?" not in said:
            yield Issue(IssueType.VALUE, f"{where}.reference", "A reference is Type/id, an absolute URL or a fragment")
        return
    target = found["type"]
    if not is_resource_type(target):
        yield Issue(IssueType.VALUE, f"{where}.reference", f"{target[:60]!r} is no resource type of R4")
    elif element.targets and target not in element.targets and "Resource" not in element.targets:
        yield Issue(IssueType.VALUE, f"{where}.reference", f"A {target} does not belong here: {shown(element)}")
    if isinstance(kind, str) and is_resource_type(kind) and kind != target and is_resource_type(target):
        yield Issue(IssueType.VALUE, f"{where}.type", f"The reference is to a {target}, its type says {kind}")


def shown(element: Element) -> str:
    return ", ".join(sorted(element.targets))[:200]


def coding(element: Element, value: Tree, where: str) -> Iterator[Issue]:
    system, code = value.get("system"), value.get("code")
    if isinstance(system, str) and not ABSOLUTE.fullmatch(system):
        yield Issue(IssueType.VALUE, f"{where}.system", "The system of a code is an absolute URI")
    known = CORE_CODES.get(system) if isinstance(system, str) else None
    if known and isinstance(code, str) and code not in known:
        yield Issue(IssueType.CODE_INVALID, f"{where}.code", f"{code[:60]!r} is not in {system}")


def quantity(element: Element, value: Tree, where: str) -> Iterator[Issue]:
    if "code" in value and "system" not in value:
        yield Issue(IssueType.INVARIANT, where, "qty-3: a coded unit names its system")


def period(element: Element, value: Tree, where: str) -> Iterator[Issue]:
    start, end = value.get("start"), value.get("end")
    if isinstance(start, str) and isinstance(end, str) and ordered(start, end) is not True:
        yield Issue(IssueType.INVARIANT, where, "per-1: the start is not surely before the end")


def ordered(start: str, end: str) -> bool | None:
    """FHIRPath's `start <= end`: None where two precisions leave it open, which an invariant takes for no."""
    if "T" in start and "T" in end:
        try:
            return datetime.fromisoformat(start) <= datetime.fromisoformat(end)
        except (ValueError, TypeError):
            return start <= end
    first, last = parts_of(start), parts_of(end)
    for one, other in zip(first, last, strict=False):
        if one != other:
            return one < other
    return True if len(first) == len(last) else None


def parts_of(said: str) -> list[str]:
    day, _, clock = said.partition("T")
    if not clock:
        return day.split("-")
    try:
        at = datetime.fromisoformat(said).astimezone(UTC)
    except (ValueError, OverflowError):
        return [*day.split("-"), clock]
    return [*at.date().isoformat().split("-"), clock]


def contact_point(element: Element, value: Tree, where: str) -> Iterator[Issue]:
    if "value" in value and "system" not in value and "_system" not in value:
        yield Issue(IssueType.INVARIANT, where, "cpt-2: a contact with a value names its system")


def attachment(element: Element, value: Tree, where: str) -> Iterator[Issue]:
    if "data" in value and "contentType" not in value:
        yield Issue(IssueType.INVARIANT, where, "att-1: data names its content type")


def identifier(element: Element, value: Tree, where: str) -> Iterator[Issue]:
    system = value.get("system")
    if isinstance(system, str) and not ABSOLUTE.fullmatch(system):
        yield Issue(IssueType.VALUE, f"{where}.system", "The system of an identifier is an absolute URI")


def expression(element: Element, value: Tree, where: str) -> Iterator[Issue]:
    if value.get("language") == "text/fhirpath" and isinstance(value.get("expression"), str):
        for reason in why_not_fhirpath(value["expression"]):
            yield Issue(IssueType.INVALID, f"{where}.expression", reason)
    if "expression" not in value and "reference" not in value:
        yield Issue(IssueType.INVARIANT, where, "exp-1: an expression or a reference to one is given")


def value_set_include(element: Element, value: Tree, where: str) -> Iterator[Issue]:
    system = value.get("system")
    if isinstance(system, str) and not ABSOLUTE.fullmatch(system):
        yield Issue(IssueType.VALUE, f"{where}.system", "The system of a value set is an absolute URI, not a fragment")
    for place, one in enumerate(value["filter"] if isinstance(value.get("filter"), list) else ()):
        if system == "http://snomed.info/sct" and isinstance(one, dict) and one.get("property") == "constraint":
            for reason in why_not_snomed_constraint(str(one.get("value", ""))):
                yield Issue(IssueType.INVALID, f"{where}.filter[{place}].value", reason)


def repeat(element: Element, value: Tree, where: str) -> Iterator[Issue]:
    for name in ("duration", "period"):
        if name in value and f"{name}Unit" not in value:
            yield Issue(IssueType.INVARIANT, where, f"tim: a {name} has its unit")
        number: Any = value.get(name)
        if isinstance(number, int) and number < 0:
            yield Issue(IssueType.INVARIANT, where, f"tim: a {name} is not negative")


CHECKS: Mapping[str, Callable[[Element, Tree, str], Iterator[Issue]]] = {
    "Reference": reference,
    "Coding": coding,
    "Quantity": quantity,
    "Age": quantity,
    "Duration": quantity,
    "Distance": quantity,
    "Count": quantity,
    "Period": period,
    "ContactPoint": contact_point,
    "Attachment": attachment,
    "Identifier": identifier,
    "Expression": expression,
    "ValueSetComposeInclude": value_set_include,
    "TimingRepeat": repeat,
}

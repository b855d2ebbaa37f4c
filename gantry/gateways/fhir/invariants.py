"""Holds the rules over a whole resource: what is contained, and the invariants of the types that this gateway meets."""

from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

from gantry.gateways.fhir.elements import listed
from gantry.gateways.fhir.issues import Issue, IssueType
from gantry.gateways.fhir.reading import Tree

RULES: Mapping[str, tuple[tuple[str, str, str], ...]] = {
    "Patient": (("pat-1", "contact.all(name.exists() or telecom.exists() or address.exists() or organization.exists())",
                 "A contact has a name, a telecom, an address or an organisation"),),
    "Appointment": (
        ("app-2", "start.exists() = end.exists()", "Both start and end are given, or neither"),
        ("app-3", "(start.exists() and end.exists()) or (status in ('proposed' | 'cancelled' | 'waitlist'))",
         "Only proposed, waiting or cancelled appointments have no start and end"),
        ("app-4", "cancelationReason.exists() implies (status='noshow' or status='cancelled')",
         "A reason to cancel belongs to a cancelled appointment or a no-show"),
        ("app-1", "participant.all(type.exists() or actor.exists())", "A participant has a type or an actor"),
    ),
    "Observation": (
        ("obs-6", "dataAbsentReason.empty() or value.empty()", "A reason for no value stands only where there is none"),
    ),
    "AllergyIntolerance": (
        ("ait-2", "verificationStatus.coding.where(code = 'entered-in-error').empty() or clinicalStatus.empty()",
         "What was entered in error has no clinical status"),
    ),
    "ServiceRequest": (("prr-1", "orderDetail.empty() or code.exists()", "Detail of an order needs its code"),),
    "Organization": (
        ("org-1", "(identifier.count() + name.count()) > 0", "An organisation has an identifier or a name"),
        ("org-2", "address.where(use = 'home').empty()", "An organisation has no home address"),
        ("org-3", "telecom.where(use = 'home').empty()", "An organisation has no home telephone"),
    ),
    "SearchParameter": (
        ("spd-1", "xpath.empty() or expression.exists()", "An XPath stands beside an expression"),
        ("spd-2", "chain.empty() or type = 'reference'", "Only a search by reference can be chained"),
        ("composite", "type != 'composite' or component.exists()", "A composite search names its components"),
    ),
    "ValueSet": (
        ("vsd-1", "compose.include.all(valueSet.exists() or system.exists())", "An include names a value set or a system"),
        ("vsd-2", "compose.include.all((concept.exists() or filter.exists()) implies system.exists())",
         "Concepts and filters need their system"),
        ("vsd-3", "compose.include.all(concept.empty() or filter.empty())", "Concepts or filters, not both"),
    ),
    "Questionnaire": (
        ("que-2", "descendants().linkId.isDistinct()", "Each linkId stands once"),
    ),
    "OperationOutcome": (("ofo-1", "issue.exists()", "An outcome has an issue"),),
    "Composition": (("cmp-1", "section.all(text.exists() or entry.exists() or section.exists())",
                     "A section holds a text, entries or sections"),),
}  # fmt: skip
"""Keys are the standard's; `composite` says what component's definition implies."""

CANONICAL = frozenset(
    [
        "ActivityDefinition",
        "CapabilityStatement",
        "ChargeItemDefinition",
        "CodeSystem",
        "CompartmentDefinition",
        "ConceptMap",
        "EventDefinition",
        "ExampleScenario",
        "GraphDefinition",
        "ImplementationGuide",
        "Library",
        "Measure",
        "MessageDefinition",
        "OperationDefinition",
        "PlanDefinition",
        "Questionnaire",
        "ResearchDefinition",
        "SearchParameter",
        "StructureDefinition",
        "StructureMap",
        "TerminologyCapabilities",
        "TestScript",
        "ValueSet",
    ]
)


@cache
def compiled(expression: str) -> Any:
    from fhirpathpy import compile as fhirpath

    return fhirpath(expression)


def of_resource(tree: Tree, kind: str, where: str) -> Iterator[Issue]:
    for key, expression, words in RULES.get(kind, ()):
        if compiled(expression)(tree) == [False]:
            yield Issue(IssueType.INVARIANT, where, f"{key}: {words}")
    url = tree.get("url")
    if kind in CANONICAL and isinstance(url, str) and ":" not in url.split("/")[0]:
        yield Issue(IssueType.VALUE, f"{where}.url", "A canonical url is absolute")


def containment(tree: Tree, where: str) -> Iterator[Issue]:
    """dom-2 to dom-5: what is contained holds nothing itself, is pointed at, and has no life of its own."""
    held = [one for one in listed(tree.get("contained")) if isinstance(one, dict)]
    ids = {str(one.get("id")) for one in held if "id" in one}
    said = set(fragments(tree))
    pointed = set(fragments(tree, anywhere=True))
    for place, one in enumerate(held):
        at = f"{where}.contained[{place}]"
        meta = one.get("meta")
        if "contained" in one:
            yield Issue(IssueType.INVARIANT, at, "dom-2: a contained resource contains none")
        if isinstance(meta, dict) and ("versionId" in meta or "lastUpdated" in meta):
            yield Issue(IssueType.INVARIANT, at, "dom-4: a contained resource has no version")
        if isinstance(meta, dict) and "security" in meta:
            yield Issue(IssueType.INVARIANT, at, "dom-5: a contained resource has no security labels")
        if "id" not in one:
            yield Issue(IssueType.REQUIRED, f"{at}.id", "A contained resource has an id to be pointed at")
        elif str(one["id"]) not in pointed and "" not in set(fragments(one)):
            yield Issue(IssueType.INVARIANT, at, "dom-3: nothing points at this contained resource")
    for fragment in sorted(said - ids - {""}):
        if tree.get("resourceType") not in {"Bundle", "Parameters"}:
            yield Issue(IssueType.VALUE, where, f"#{fragment[:60]} points at nothing that is contained here")


def fragments(value: Any, name: str = "", *, anywhere: bool = False) -> Iterator[str]:
    """The ids that references and canonicals within one resource point at; a resource inside is its own world."""
    if isinstance(value, dict):
        for key, inner in value.items():
            if key in {"resource", "outcome", "text"} and name != "contained":
                continue
            yield from fragments(inner, key, anywhere=anywhere)
    elif isinstance(value, list):
        for inner in value:
            yield from fragments(inner, name, anywhere=anywhere)
    elif isinstance(value, str) and value.startswith("#") and (anywhere or name in POINTERS):
        yield value[1:]


POINTERS = frozenset(
    {"reference", "valueCanonical", "valueUri", "answerValueSet", "valueSet", "instantiatesCanonical", "valueReference"}
)

"""Reads the data set of a referral out of a ServiceRequest and the resources that came with it."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from gantry.domain.referral import ITEM
from gantry.gateways.fhir import patient, service_request
from gantry.gateways.fhir.message import Placed
from gantry.gateways.fhir.reading import Tree
from gantry.gateways.fhir.resource import GMC, ODS_ORGANISATION

WEIGHT, HEIGHT = "29463-7", "8302-2"
"""LOINC: body weight, body height."""
KILOGRAMS = frozenset({"kg"})


@dataclass(frozen=True, slots=True)
class Asked:
    """Answers by the data set's names, as text or plain values, and where the sender said each."""

    answers: Mapping[str, Any]
    coordinates: Mapping[str, str]
    placer_order_number: str


def read_request(request: Placed, others: list[Placed], resolve: Any) -> Asked:
    """`resolve` gives the resource that a reference means, or None."""
    answers: dict[str, Any] = {}
    coordinates: dict[str, str] = {}
    subject = resolve(request.tree.get("subject"))
    coordinates |= dict.fromkeys(ITEM, request.path)
    found: list[tuple[str, Any, str]] = [*service_request.answers(request.tree, request.path)]
    if subject is not None and subject.type == "Patient":
        found += patient.answers(subject.tree, subject.path)
    found += requester(resolve(request.tree.get("requester")), resolve)
    for placed in others:
        if placed.type == "Observation":
            found += observation(placed)
        elif placed.type == "QuestionnaireResponse":
            found += questionnaire(placed.tree.get("item") or (), f"{placed.path}.item")
    for name, value, where in found:
        if name not in ITEM:
            continue
        coordinates[name] = where
        if value not in (None, "", [], ()):
            answers.setdefault(name, value)
    if not answers.get("clinical_question"):
        coordinates["clinical_question"] = f"{request.path}.reasonCode"
    return Asked(answers, coordinates, placer(request.tree))


def placer(tree: Tree) -> str:
    return next((str(one["value"]) for one in tree.get("identifier") or () if one.get("value")), "")


def requester(placed: Placed | None, resolve: Any, *, of_role: bool = False) -> Iterator[tuple[str, Any, str]]:
    """Who asks: a practitioner, their role, or only their organisation. A role of a role is nobody's, and may go round."""
    if placed is None:
        return
    if placed.type == "PractitionerRole" and not of_role:
        yield from requester(resolve(placed.tree.get("practitioner")), resolve, of_role=True)
        yield from requester(resolve(placed.tree.get("organization")), resolve, of_role=True)
    elif placed.type == "Organization":
        for place, one in enumerate(placed.tree.get("identifier") or ()):
            if str(one.get("system", "")).lower() == ODS_ORGANISATION.lower():
                yield "referring_org_ods", one.get("value"), f"{placed.path}.identifier[{place}].value"
    elif placed.type == "Practitioner":
        name, at = patient.first_of(placed.tree.get("name"), f"{placed.path}.name", prefer="official")
        parts = [*name.get("prefix", ()), *name.get("given", ()), name.get("family", "")]
        yield "referrer_name", name.get("text") or " ".join(str(part) for part in parts if part), at
        for place, one in enumerate(placed.tree.get("identifier") or ()):
            if one.get("system") == GMC:
                yield "gmc_or_hcpc", one.get("value"), f"{placed.path}.identifier[{place}].value"


def observation(placed: Placed) -> Iterator[tuple[str, Any, str]]:
    codes = {one.get("code") for one in (placed.tree.get("code") or {}).get("coding") or ()}
    quantity = placed.tree.get("valueQuantity") or {}
    value, unit = quantity.get("value"), str(quantity.get("code") or quantity.get("unit") or "")
    if value is None:
        return
    at = f"{placed.path}.valueQuantity"
    if WEIGHT in codes:
        yield "weight_kg", float(value) if unit in KILOGRAMS else f"{value} {unit}", at
        yield "weight_basis", "measured", placed.path
        yield "weight_date", str(placed.tree.get("effectiveDateTime") or "")[:10], f"{placed.path}.effectiveDateTime"
    elif HEIGHT in codes and unit == "cm":
        yield "height_cm", float(value), at


def questionnaire(items: Any, path: str) -> Iterator[tuple[str, Any, str]]:
    """A QuestionnaireResponse whose linkIds are the data set's own names; `rows` repeat as items within an item."""
    for place, item in enumerate(items):
        name, at = str(item.get("linkId") or ""), f"{path}[{place}]"
        inner = item.get("item") or ()
        if inner and name in ITEM:
            row = {str(one.get("linkId")): answer for one in inner for answer in values(one)[:1]}
            yield name, [row], at
            continue
        given = values(item)
        if given:
            yield name, given if len(given) > 1 else given[0], f"{at}.answer[0]"
        yield from questionnaire(inner, f"{at}.item")


def values(item: Tree) -> list[Any]:
    """Each answer as the data set reads it: a code for a coding, true or false for a boolean."""
    found = []
    for answer in item.get("answer") or ():
        for name, value in answer.items():
            if name == "valueCoding" and isinstance(value, dict):
                found.append(value.get("code") or value.get("display") or "")
            elif name == "valueQuantity" and isinstance(value, dict):
                found.append(value.get("value"))
            elif name.startswith("value") and not isinstance(value, dict):
                found.append(value if isinstance(value, bool | str) else str(value))
    return found

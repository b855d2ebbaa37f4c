"""Decides what holds between the entries of a Bundle: identities, references, and the form of each kind (bdl-1 to 12)."""

import re
from collections.abc import Iterator
from typing import Any

from gantry.gateways.fhir.datatypes import ABSOLUTE, ENDS_IN_RESOURCE, RELATIVE
from gantry.gateways.fhir.elements import listed
from gantry.gateways.fhir.issues import Issue, IssueType
from gantry.gateways.fhir.narrative import ids
from gantry.gateways.fhir.reading import Tree

URN = re.compile(r"urn:(uuid|oid):(?P<id>\S+)")
FIRST = {"document": "Composition", "message": "MessageHeader"}
NARRATIVE_LINK = "http://hl7.org/fhir/StructureDefinition/narrativeLink"


def why_not(tree: Tree, where: str) -> Iterator[Issue]:
    held = [one for one in listed(tree.get("entry")) if isinstance(one, dict)]
    kind = tree.get("type")
    yield from form(tree, held, str(kind), where)
    seen: dict[tuple[str, str], int] = {}
    for place, entry in enumerate(held):
        at = f"{where}.entry[{place}]"
        url, resource = entry.get("fullUrl"), entry.get("resource")
        resource = resource if isinstance(resource, dict) else None
        yield from identity(url, resource, str(kind), at)
        if isinstance(url, str) and resource is not None:
            version = (
                str((resource.get("meta") or {}).get("versionId", "")) if isinstance(resource.get("meta"), dict) else ""
            )
            if (url, version) in seen and kind not in {"history", "batch", "transaction"}:
                yield Issue(IssueType.INVARIANT, f"{at}.fullUrl", "bdl-7: the same resource stands twice")
            seen[url, version] = place
    yield from references(held, str(kind), where)
    yield from narrative_links(held, where)


def form(tree: Tree, held: list[Tree], kind: str, where: str) -> Iterator[Issue]:
    if "total" in tree and kind not in {"searchset", "history"}:
        yield Issue(IssueType.INVARIANT, f"{where}.total", "bdl-1: only search results and histories have a total")
    if kind == "document":
        identifier = tree.get("identifier")
        if not (isinstance(identifier, dict) and "system" in identifier and "value" in identifier):
            yield Issue(IssueType.INVARIANT, where, "bdl-9: a document has an identifier with system and value")
        if "timestamp" not in tree:
            yield Issue(IssueType.INVARIANT, where, "bdl-10: a document has a date")
    if kind in FIRST:
        first = held[0].get("resource") if held else None
        if not isinstance(first, dict) or first.get("resourceType") != FIRST[kind]:
            yield Issue(IssueType.INVARIANT, where, f"bdl-11/12: a {kind} begins with a {FIRST[kind]}")
    for place, entry in enumerate(held):
        at = f"{where}.entry[{place}]"
        if not any(name in entry for name in ("resource", "request", "response")):
            yield Issue(IssueType.INVARIANT, at, "bdl-5: an entry holds a resource, a request or a response")
        if "search" in entry and kind != "searchset":
            yield Issue(IssueType.INVARIANT, at, "bdl-2: only search results say how they matched")
        if kind in {"batch", "transaction", "history"} and "request" not in entry:
            yield Issue(IssueType.INVARIANT, at, f"bdl-3: an entry of a {kind} has its request")
        if "request" in entry and kind not in {"batch", "transaction", "history"}:
            yield Issue(IssueType.INVARIANT, at, "bdl-3: only batches, transactions and histories hold requests")
        if "response" in entry and kind not in {"batch-response", "transaction-response", "history"}:
            yield Issue(IssueType.INVARIANT, at, "bdl-4: only responses and histories hold responses")


def identity(url: Any, resource: Tree | None, kind: str, at: str) -> Iterator[Issue]:
    """The fullUrl of an entry is the identity of its resource."""
    if resource is None:
        return
    name, said = resource.get("resourceType"), resource.get("id")
    if url is None:
        if kind in {"document", "message", "collection", "searchset"} and name != "OperationOutcome":
            yield Issue(IssueType.REQUIRED, f"{at}.fullUrl", "An entry has a fullUrl: it is what others refer to")
    elif isinstance(url, str):
        if not ABSOLUTE.fullmatch(url):
            yield Issue(IssueType.VALUE, f"{at}.fullUrl", "A fullUrl is absolute")
        elif re.match("https?:", url) and kind not in {"transaction", "batch"}:
            if said is None or (base_of(url) is not None and not url.endswith(f"/{name}/{said}")):
                yield Issue(
                    IssueType.VALUE, f"{at}.fullUrl", f"It is not the address of {name}/{str(said or '?')[:64]}"
                )
        elif "/_history/" in url:
            yield Issue(IssueType.INVARIANT, f"{at}.fullUrl", "bdl-8: a fullUrl names no version")
        elif url.startswith("urn:uuid:") and not re.fullmatch(
            "urn:uuid:[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}", url
        ):
            yield Issue(IssueType.VALUE, f"{at}.fullUrl", "It is no UUID")
    if kind == "searchset" and said is None and name != "OperationOutcome":
        yield Issue(IssueType.REQUIRED, f"{at}.resource.id", "What a search finds has an id")


def references(held: list[Tree], kind: str, where: str) -> Iterator[Issue]:
    """A reference that can only mean one entry means one of the right type; a document's own are all inside."""
    by_url = {str(one.get("fullUrl")): one for one in held if "fullUrl" in one}
    by_urn = {found["id"]: url for url in by_url if (found := URN.fullmatch(url))}
    for place, entry in enumerate(held):
        resource = entry.get("resource")
        if not isinstance(resource, dict):
            continue
        base = base_of(str(entry.get("fullUrl", "")))
        for path, said in said_in(resource, f"{where}.entry[{place}].resource"):
            found = RELATIVE.fullmatch(said)
            if said.startswith("urn:"):
                if said not in by_url and kind in {"document", "message"}:
                    yield Issue(IssueType.VALUE, path, f"{said[:80]} is not in this Bundle")
            elif found is not None and base is None and found["id"] in by_urn:
                target = by_url[by_urn[found["id"]]].get("resource") or {}
                if isinstance(target, dict) and target.get("resourceType") != found["type"]:
                    kind_there = target.get("resourceType")
                    yield Issue(
                        IssueType.VALUE, path, f"The entry of that identity is a {kind_there}, not a {found['type']}"
                    )


def base_of(url: str) -> str | None:
    found = ENDS_IN_RESOURCE.fullmatch(url)
    return url[: found.start("type")] if found else None


def said_in(value: Any, where: str) -> Iterator[tuple[str, str]]:
    """Every literal reference and its place."""
    if isinstance(value, dict):
        for name, inner in value.items():
            if name == "reference" and isinstance(inner, str):
                yield f"{where}.reference", inner
            else:
                yield from said_in(inner, f"{where}.{name}")
    elif isinstance(value, list):
        for place, inner in enumerate(value):
            yield from said_in(inner, f"{where}[{place}]")


def narrative_links(held: list[Tree], where: str) -> Iterator[Issue]:
    """The extension that ties data to its words points at words that are there."""
    texts = {}
    for entry in held:
        resource = entry.get("resource")
        text = resource.get("text") if isinstance(resource, dict) else None
        texts[str(entry.get("fullUrl"))] = str(text.get("div", "")) if isinstance(text, dict) else ""
    for place, entry in enumerate(held):
        resource = entry.get("resource")
        extensions = resource.get("extension") if isinstance(resource, dict) else None
        for one in extensions if isinstance(extensions, list) else ():
            if isinstance(one, dict) and one.get("url") == NARRATIVE_LINK:
                url, _, fragment = str(one.get("valueUri") or one.get("valueUrl") or "").partition("#")
                if url in texts and fragment and fragment not in ids(texts[url]):
                    at = f"{where}.entry[{place}].resource.extension"
                    yield Issue(IssueType.VALUE, at, "A narrative link points at words that are not there")


def parameters(tree: Tree, where: str) -> Iterator[Issue]:
    for place, one in enumerate(listed(tree.get("parameter"))):
        if isinstance(one, dict):
            given = [name for name in one if name.startswith("value") or name in {"resource", "part"}]
            if len(given) > 1:
                yield Issue(IssueType.INVARIANT, f"{where}.parameter[{place}]", "inv-1: a value, a resource or parts")

"""Reads an HTTP request to the API: who asks, in what form, with which parameters. Refuses what it cannot read."""

from dataclasses import dataclass
from datetime import datetime, time, timedelta
from typing import Any
from uuid import UUID

from django.core.exceptions import RequestDataTooBig
from django.http import HttpRequest
from django.utils import timezone

from gantry.gateways.fhir import tokens
from gantry.gateways.fhir.outcomes import Errors, Refusal
from gantry.gateways.fhir.reading import MOST_BYTES, Tree, Unreadable, read
from gantry.gateways.fhir.reads import Reader
from gantry.gateways.fhir.resource import Resource
from gantry.gateways.fhir.values import TEXT

JSON, XML = "application/fhir+json", "application/fhir+xml"
FORMS = {
    "json": JSON,
    "application/json": JSON,
    "text/json": JSON,
    JSON: JSON,
    "xml": XML,
    "application/xml": XML,
    "text/xml": XML,
    XML: XML,
}
ANYTHING = {"*/*", "application/*"}
RELEASES = {"4.0", "4.0.1"}
MOST_ENTRIES, MOST_OBJECTS = 1_000, 20_000
"""Of what is to be kept: each entry takes its locks and each object its row, all in one transaction."""
MOST_ROWS, USUAL_ROWS = 100, 20
COMMON = frozenset({"_format", "_count", "_page", "_pretty"})


def form_of(request: HttpRequest) -> str:
    """The form of the answer, by _format or Accept. Raises Refusal."""
    said = request.GET.get("_format")
    if said is not None:
        # A plus in a query string is a space to the decoder.
        form = FORMS.get(said.replace(" ", "+").partition(";")[0].strip().lower())
        if form is None:
            raise Refusal(Errors.NOT_ACCEPTABLE, text="_format is json or xml")
        return form
    accept = request.headers.get("Accept", "")
    if not accept.strip():
        return JSON
    for one in sorted(accept.split(","), key=quality, reverse=True):
        kind, parameters = parted(one)
        if quality(one) > 0 and parameters.get("fhirversion", "4.0") in RELEASES:
            if kind in FORMS:
                return FORMS[kind]
            if kind in ANYTHING or (kind == "text/html" and "Authorization" not in request.headers):
                return JSON
    raise Refusal(Errors.NOT_ACCEPTABLE, text=f"Answers are {JSON} or {XML}, FHIR 4.0")


def quality(one: str) -> float:
    try:
        return float(parted(one)[1].get("q", "1"))
    except ValueError:
        return 0.0


def parted(one: str) -> tuple[str, dict[str, str]]:
    kind, *rest = one.split(";")
    pairs = (part.partition("=") for part in rest)
    return kind.strip().lower(), {name.strip().lower(): value.strip() for name, _, value in pairs}


def body(request: HttpRequest) -> tuple[bytes, bool]:
    """The bytes, and whether they are XML. Raises Refusal."""
    try:
        length = int(request.headers.get("Content-Length") or 0)
    except ValueError:
        length = 0
    if length > MOST_BYTES:
        raise Refusal(Errors.TOO_LARGE, text=f"At most {MOST_BYTES // 1024 // 1024} MB")
    kind, parameters = parted(request.headers.get("Content-Type") or JSON)
    if kind not in FORMS or parameters.get("charset", "utf-8").strip('"').lower() not in {"utf-8", "utf8"}:
        raise Refusal(Errors.NOT_ACCEPTABLE, text=f"Requests are {JSON} or {XML}, in UTF-8")
    try:
        data = request.body
    except RequestDataTooBig:
        raise Refusal(Errors.TOO_LARGE, text=f"At most {MOST_BYTES // 1024 // 1024} MB") from None
    except OSError:
        raise Refusal(Errors.MALFORMED, text="The request broke off") from None
    return data, FORMS[kind] == XML


def resource_in(request: HttpRequest) -> tuple[Tree, bytes]:
    """What was sent, as a tree. Raises Refusal."""
    data, xml = body(request)
    try:
        found = read(data, xml=xml)
    except Unreadable as error:
        raise Refusal(Errors.MALFORMED, *error.issues) from error
    if found.issues:
        raise Refusal(Errors.NOT_VALID, *found.issues)
    entries = found.tree.get("entry")
    if isinstance(entries, list) and len(entries) > MOST_ENTRIES:
        raise Refusal(Errors.TOO_LARGE, text=f"At most {MOST_ENTRIES} entries at a time", where="Bundle.entry")
    if objects_in(found.tree) > MOST_OBJECTS:
        raise Refusal(Errors.TOO_LARGE, text=f"At most {MOST_OBJECTS} objects in one resource or message")
    return found.tree, data


def objects_in(tree: Tree) -> int:
    count, queue = 0, [tree]
    while queue:
        one: Any = queue.pop()
        count += isinstance(one, dict)
        queue += [inner for inner in (one.values() if isinstance(one, dict) else one) if isinstance(inner, dict | list)]
    return count


def resource_or_refusal(data: bytes, *, xml: bool) -> Tree:
    """What cannot be read at all is refused, not judged. Raises Refusal."""
    try:
        return read(data, xml=xml).tree
    except Unreadable as error:
        raise Refusal(Errors.MALFORMED, *error.issues) from error


def bearer(request: HttpRequest, now: datetime) -> UUID | None:
    """The holder of the token that was shown, or None where none was. Raises Refusal."""
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    if not scheme:
        return None
    if scheme.lower() != "bearer" or not token.strip():
        raise Refusal(Errors.TOKEN_INVALID, text="A bearer token is expected")
    try:
        return tokens.holder(token.strip(), now=now)
    except tokens.Expired:
        raise Refusal(Errors.TOKEN_EXPIRED, text="The token has expired") from None
    except tokens.Invalid:
        raise Refusal(Errors.TOKEN_INVALID, text="The token is none of ours") from None


def reader(request: HttpRequest, now: datetime) -> Reader:
    """Who reads: a system by its token, or a person by their session. Raises Refusal."""
    system = bearer(request, now)
    if system is not None:
        return Reader(system, True, now)
    if request.user.is_authenticated:
        return Reader(request.user.pk, False, now)
    raise Refusal(Errors.NO_TOKEN, text="No access token was given")


@dataclass(frozen=True, slots=True)
class Search:
    conditions: tuple[tuple[str, dict[str, Any]], ...]
    after: UUID
    count: int


def search_of(request: HttpRequest, resource: Resource) -> Search:
    """The parameters of a search, all known and all well-formed: one that is passed over would find too much.

    Raises Refusal.
    """
    conditions: list[tuple[str, dict[str, Any]]] = []
    for name, values in request.GET.lists():
        if name in COMMON:
            continue
        for value in values:
            if not value:
                raise Refusal(Errors.PARAMETER_MISSING, text=f"{name[:60]} has no value")
            if "\x00" in value:
                raise Refusal(Errors.PARAMETER_VALUE, text=f"{name[:60]} has a control character")
            conditions.append(condition(resource, name, value))
    return Search(tuple(conditions), page_of(request), count_of(request))


def count_of(request: HttpRequest) -> int:
    said = request.GET.get("_count", str(USUAL_ROWS))
    if not said.isascii() or not said.isdigit() or int(said[:9]) < 1:
        raise Refusal(Errors.PARAMETER_VALUE, text="_count is a whole number from 1")
    return min(int(said[:9]), MOST_ROWS)


def page_of(request: HttpRequest) -> UUID:
    try:
        return UUID(request.GET.get("_page") or "0" * 32)
    except ValueError:
        raise Refusal(Errors.PARAMETER_VALUE, text="_page is taken from a next link") from None


def condition(resource: Resource, name: str, value: str) -> tuple[str, dict[str, Any]]:
    if name == "_id":
        return "_id", {"value": key_in(value)}
    if name == "_lastUpdated" and resource.updated:
        prefix, since, until = span(name, value)
        return f"_lastUpdated:{prefix}", {"from": since, "until": until}
    known = resource.searches.get(name)
    if known is None:
        raise Refusal(Errors.NOT_SUPPORTED, text=f"{resource.type} cannot be searched by {name[:60]}")
    if known.type == "token":
        system, bar, code = value.rpartition("|")
        if not code:
            raise Refusal(Errors.PARAMETER_VALUE, text=f"{name} needs a value after the bar")
        return name, {"value": code, "system": system if bar and system else None}
    if known.type == "reference":
        return name, {"value": key_in(value.rpartition("/")[2])}
    if known.type == "string":
        starts = value.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
        return name, {"value": value, "starts": f"{starts}%"}
    prefix, since, until = span(name, value)
    return f"{name}:{prefix}", {"from": since, "until": until, "value": value}


def key_in(value: str) -> UUID | None:
    """An id as our keys are, so that their index answers; None, which equals nothing, where it cannot be one of ours."""
    try:
        return UUID(value) if TEXT["id"].fullmatch(value) else None
    except ValueError:
        return None


def span(name: str, value: str) -> tuple[str, datetime, datetime]:
    """A date parameter: its prefix, and the first moment of what is said and the first after it."""
    prefix, said = (value[:2], value[2:]) if value[:2].isalpha() else ("eq", value)
    said = said.replace(" ", "+")
    if prefix not in {"eq", "ge", "gt", "le", "lt"} or not TEXT["dateTime"].fullmatch(said):
        raise Refusal(Errors.PARAMETER_VALUE, text=f"{name[:60]} is a date, with eq, ge, gt, le or lt before it")
    try:
        if "T" in said:
            at = datetime.fromisoformat(said)
            return prefix, at, at + timedelta(milliseconds=1)
        whole = said + "-01" * (2 - said.count("-"))
        first = datetime.combine(datetime.fromisoformat(whole).date(), time(), tzinfo=timezone.get_current_timezone())
        later = {0: 366, 1: 31, 2: 1}[said.count("-")]
        after = first + timedelta(days=later)
        return prefix, first, after if said.count("-") == 2 else after.replace(day=1)
    except (ValueError, OverflowError):
        raise Refusal(Errors.PARAMETER_VALUE, text=f"{name[:60]} is a day that no calendar has") from None

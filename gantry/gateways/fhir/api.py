"""Serves FHIR R4: each request is read, allowed, carried out by a room's own verb, and answered in the form asked for."""

import logging
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.db import OperationalError
from django.http import HttpRequest, HttpResponse, QueryDict
from django.views.decorators.csrf import csrf_exempt

from gantry.apps.accounts.access import Acting, public
from gantry.apps.booking.models import Appointment
from gantry.apps.exchange.models import Statement
from gantry.domain.access import Scope, Verb
from gantry.gateways.fhir import (
    asking,
    booking_requests,
    capability,
    keeping,
    reads,
    replies,
    slot,
    slots,
    tokens,
    wiring,
)
from gantry.gateways.fhir.asking import JSON, XML
from gantry.gateways.fhir.elements import is_resource_type
from gantry.gateways.fhir.message import read_message
from gantry.gateways.fhir.outcomes import Errors, Refusal, judged, outcome, success
from gantry.gateways.fhir.reading import Tree, read_json
from gantry.gateways.fhir.reads import Reader
from gantry.gateways.fhir.resource import Resource
from gantry.gateways.fhir.sender import Sender
from gantry.gateways.fhir.served import SERVED
from gantry.gateways.fhir.validation import errors, judge, validate
from gantry.gateways.fhir.writing import as_json, as_xml

log = logging.getLogger(__name__)


@csrf_exempt
@public
def api(request: HttpRequest, rest: str = "") -> HttpResponse:
    """The one door. Open to anybody as a door: what lies behind it asks for a token or a session itself."""
    form = JSON
    try:
        form = asking.form_of(request)
        return route(request, [step for step in rest.split("/") if step], form)
    except Refusal as refusal:
        return refused(refusal, form)
    except OperationalError as error:
        log.error("database not reached", extra=trace(error))
        return refused(Refusal(Errors.UNAVAILABLE, text="Try again shortly"), form)
    except Exception as error:
        # The words of an error are left out: a database puts the patient's row in them.
        log.error("request failed", extra=trace(error))
        return refused(Refusal(Errors.BROKEN, text="Nothing was changed: tell the service"), form)


def route(request: HttpRequest, steps: list[str], form: str) -> HttpResponse:
    """Raises Refusal."""
    now, method = request.now, request.method or "GET"
    match steps:
        case ["metadata"]:
            only(method, "GET")
            return told(capability.statement(now=now, address=address(request)), form)
        case ["$process-message"]:
            only(method, "POST")
            return process_message(request, form)
        case ["$validate"] | [_, "$validate"]:
            only(method, "POST")
            return validated(request, steps[0] if len(steps) == 2 else "", form)
        case [kind] | [kind, _] if not kind.startswith("$"):
            resource = served(kind)
            return VERBS.get((method, len(steps)), not_allowed)(request, resource, steps[-1], form)
    raise Refusal(Errors.NOT_FOUND, text="There is nothing at this address")


def only(method: str, allowed: str) -> None:
    if method not in {allowed, "HEAD" if allowed == "GET" else allowed}:
        raise Refusal(Errors.METHOD, text=f"{allowed} is expected here")


def served(kind: str) -> Resource:
    if kind in SERVED:
        return SERVED[kind]
    if is_resource_type(kind):
        raise Refusal(Errors.NOT_SUPPORTED, text=f"{kind} is not served here")
    raise Refusal(Errors.NOT_FOUND, text="There is nothing at this address")


def address(request: HttpRequest) -> str:
    return request.build_absolute_uri("/fhir/R4/")


# Reading


def read_one(request: HttpRequest, resource: Resource, said: str, form: str) -> HttpResponse:
    reader = asking.reader(request, request.now)
    free = slot.read_id(said) if resource.type == "Slot" else None
    key = uuid_of(said)
    body = None
    if key is not None and resource.rows:
        body = reads.read(resource, key, reader)
    if body is not None:
        return told_json(body, form)
    acting = acting_of(reader, Verb.SEE_REFERRALS)
    if free is not None:
        return told(slots.at(free, now=request.now), form)
    return told(statement_of(resource, key, acting.scope, reader), form)


def statement_of(resource: Resource, key: UUID | None, scope: Scope, reader: Reader) -> Tree:
    """What somebody stated under this id, told under the id that we gave it. Raises Refusal."""
    row = Statement.objects.for_user(scope).filter(pk=key, type=resource.type).first() if key else None
    if row is None:
        raise Refusal(Errors.NOT_FOUND, text=f"No {resource.type} with this id is here for you")
    keeping.record_read(row, reader.person, now=reader.now)
    return ours(row)


def ours(row: Statement) -> Tree:
    tree = keeping.export_resource(row)
    said = tree.get("meta")
    meta = said if isinstance(said, dict) else {}
    at = row.received_at.isoformat(timespec="milliseconds")
    return {**tree, "id": str(row.pk), "meta": {**meta, "versionId": str(row.version), "lastUpdated": at}}


def search_type(request: HttpRequest, resource: Resource, _: str, form: str) -> HttpResponse:
    reader = asking.reader(request, request.now)
    if resource.type == "Slot":
        return search_slots(request, reader, form)
    asked = asking.search_of(request, resource)
    rows = reads.search(resource, asked.conditions, reader, after=asked.after, limit=asked.count + 1)
    more, shown = len(rows) > asked.count, rows[: asked.count]
    following = page(request, shown[-1].id) if more else ""
    whole = not more and asked.after.int == 0
    body = reads.bundle(
        shown,
        kind=resource.type,
        base=address(request),
        self_url=request.build_absolute_uri(),
        next_url=following,
        total=len(shown) if whole else None,
    )
    return told_json(body, form)


def page(request: HttpRequest, after: str) -> str:
    query: QueryDict = request.GET.copy()
    query["_page"] = after
    return request.build_absolute_uri(f"{request.path}?{query.urlencode()}")


def search_slots(request: HttpRequest, reader: Reader, form: str) -> HttpResponse:
    acting = acting_of(reader, Verb.SEE_REFERRALS)
    query = asking_slots(request)
    found = slots.searchset(
        query, acting.scope, now=request.now, address=address(request), self_url=request.build_absolute_uri()
    )
    return told(found, form)


SLOT_PARAMETERS = (
    frozenset(
        {"start", "status", "schedule.actor", "Schedule.actor", "Schedule.actor:HealthcareService", "based-on"}
        | {"schedule.actor:HealthcareService", "_include", "_include:iterate", "_include:recurse"}
    )
    | asking.COMMON
)


def asking_slots(request: HttpRequest) -> slots.SlotQuery:
    """Raises Refusal."""
    strange = [name for name in request.GET if name not in SLOT_PARAMETERS]
    if strange:
        raise Refusal(Errors.NOT_SUPPORTED, text=f"Slot cannot be searched by {strange[0][:60]}")
    if request.GET.get("status", "free") != "free":
        raise Refusal(Errors.PARAMETER_VALUE, text="Only free slots are told: status is free")
    starts = request.GET.getlist("start")
    if not starts:
        raise Refusal(Errors.PARAMETER_MISSING, text="Say from when and until when: start=ge…&start=lt…")
    since: datetime = request.now
    until: datetime | None = None
    for said in starts:
        prefix, first, after = asking.span("start", said)
        if prefix in {"ge", "gt", "eq"}:
            since = first if prefix != "gt" else after
        if prefix in {"le", "lt", "eq"}:
            until = after if prefix != "lt" else first
    actor = next((request.GET[name] for name in sorted(request.GET) if "actor" in name), "")
    return slots.SlotQuery(
        since=since,
        until=until or since + timedelta(days=14),
        site=known_id("schedule.actor", actor) if actor else None,
        referral=known_id("based-on", request.GET["based-on"]) if "based-on" in request.GET else None,
        limit=asking.count_of(request),
    )


def known_id(name: str, said: str) -> UUID:
    key = uuid_of(said.rpartition("/")[2])
    if key is None:
        raise Refusal(Errors.PARAMETER_VALUE, text=f"{name} is an id of ours")
    return key


# Writing


def process_message(request: HttpRequest, form: str) -> HttpResponse:
    sender = sender_of(request)
    tree, data = asking.resource_in(request)
    well_formed(tree)
    reply = wiring.process(read_message(tree), data, sender, now=request.now, address=address(request))
    return told_json(reply, form)


def well_formed(tree: Tree) -> None:
    """Raises Refusal with everything that is wrong."""
    found = errors(judge(tree))
    if found:
        raise Refusal(Errors.NOT_VALID, *found[:50])


def create(request: HttpRequest, resource: Resource, _: str, form: str) -> HttpResponse:
    sender = sender_of(request)
    tree, _data = asking.resource_in(request)
    if tree["resourceType"] != resource.type:
        raise Refusal(
            Errors.NOT_VALID, text=f"A {resource.type} is expected at this address", where=tree["resourceType"]
        )
    well_formed(tree)
    if resource.type == "ServiceRequest":
        return create_request(request, tree, sender, form)
    if resource.type == "Appointment":
        return create_appointment(request, tree, sender, form)
    wiring.must(sender.acting, Verb.REFER, request.now)
    try:
        row = keeping.import_resource(
            tree,
            sender=sender.organisation,
            organisations=[sender.network.provider_id],
            now=request.now,
            by=sender.acting.actor,
        )
    except keeping.NotKept as error:
        raise Refusal(Errors.IDENTIFIER, *error.issues) from error
    return created(request, ours(row), form)


def create_request(request: HttpRequest, tree: Tree, sender: Sender, form: str) -> HttpResponse:
    """A referral from a ServiceRequest that carries its patient, contained or by our own id."""
    wiring.must(sender.acting, Verb.REFER, request.now)
    taken = wiring.take_request(tree, sender, now=request.now)
    return created(request, replies.row("ServiceRequest", taken.referral.pk), form, again=taken.repeated)


def create_appointment(request: HttpRequest, tree: Tree, sender: Sender, form: str) -> HttpResponse:
    """A slot of ours for a referral of ours."""
    wiring.must(sender.acting, Verb.BOOK, request.now)
    made = wiring.book(tree, sender, now=request.now)
    return created(request, replies.row("Appointment", made.pk), form)


def update(request: HttpRequest, resource: Resource, said: str, form: str) -> HttpResponse:
    """An appointment moved to another slot, or cancelled. Nothing else is changed by wire."""
    if resource.type != "Appointment":
        return not_allowed(request, resource, said, form)
    sender = sender_of(request)
    wiring.must(sender.acting, Verb.BOOK, request.now)
    tree, _data = asking.resource_in(request)
    well_formed(tree)
    if tree["resourceType"] != "Appointment" or tree.get("id") != said:
        raise Refusal(Errors.NOT_VALID, text="The id in the body is the id in the address", where="Appointment.id")
    standing = appointment_of(said, sender)
    moved = wiring.change(standing, tree, sender, now=request.now)
    return told(replies.row("Appointment", moved.pk), form)


def delete(request: HttpRequest, resource: Resource, said: str, form: str) -> HttpResponse:
    if resource.type != "Appointment":
        return not_allowed(request, resource, said, form)
    sender = sender_of(request)
    wiring.must(sender.acting, Verb.BOOK, request.now)
    wiring.cancel(appointment_of(said, sender), {}, sender, now=request.now)
    return told(success("OK", "Appointment cancelled"), form)


def appointment_of(said: str, sender: Sender) -> Appointment:
    found = booking_requests.appointment_of({"id": said}, sender.acting.scope)
    if found is None:
        raise Refusal(Errors.NOT_FOUND, text="No Appointment with this id is here for you")
    return found


def not_allowed(request: HttpRequest, resource: Resource, _: str, form: str) -> HttpResponse:
    raise Refusal(Errors.METHOD, text=f"{request.method} is not taken here")


VERBS: dict[tuple[str, int], Callable[[HttpRequest, Resource, str, str], HttpResponse]] = {
    ("GET", 1): search_type,
    ("HEAD", 1): search_type,
    ("GET", 2): read_one,
    ("HEAD", 2): read_one,
    ("POST", 1): create,
    ("PUT", 2): update,
    ("DELETE", 2): delete,
}


def validated(request: HttpRequest, kind: str, form: str) -> HttpResponse:
    """Nothing is stored. What can be read is judged, with status 200 as the standard asks; what cannot is refused."""
    acting_of(asking.reader(request, request.now), Verb.SEE_REFERRALS)
    data, xml = asking.body(request)
    asking.resource_or_refusal(data, xml=xml)
    found = validate(data, xml=xml)
    return told(judged(found), form)


# Who, and how it is said


def sender_of(request: HttpRequest) -> Sender:
    """A system with a token: a session cannot write here, for a browser would send it unasked. Raises Refusal."""
    person = asking.bearer(request, request.now)
    if person is None:
        raise Refusal(Errors.NO_TOKEN, text="No access token was given")
    acting = tokens.acting_as(person, now=request.now)
    if acting is None:
        raise Refusal(Errors.FORBIDDEN, text="The interface role has ended")
    return wiring.sender_for(acting)


def acting_of(reader: Reader, verb: Verb) -> Acting:
    """Raises Refusal."""
    acting = (
        tokens.acting_as(reader.person, now=reader.now) if reader.bearer else tokens.person(reader.person, reader.now)
    )
    if acting is None or not acting.may(verb):
        raise Refusal(Errors.FORBIDDEN, text="No role of yours allows this today")
    return acting


def uuid_of(said: str) -> UUID | None:
    return booking_requests.uuid_of(said) if len(said) == 36 else None


def refused(refusal: Refusal, form: str) -> HttpResponse:
    response = told(outcome(refusal), form, status=refusal.error.value.status)
    if response.status_code == 401:
        response["WWW-Authenticate"] = "Bearer"
    return response


def created(request: HttpRequest, tree: Tree, form: str, *, again: bool = False) -> HttpResponse:
    response = told(tree, form, status=200 if again else 201)
    response["Location"] = f"{address(request)}{tree['resourceType']}/{tree['id']}"
    return response


def told(tree: Tree, form: str, *, status: int = 200) -> HttpResponse:
    said = as_xml(tree) if form == XML else as_json(tree)
    return HttpResponse(said, status=status, content_type=f"{form}; charset=utf-8; fhirVersion=4.0")


def told_json(body: str, form: str) -> HttpResponse:
    """What is JSON already goes out as it is."""
    if form == XML:
        return told(read_json(body.encode()).tree, form)
    return HttpResponse(body, content_type=f"{JSON}; charset=utf-8; fhirVersion=4.0")


def trace(error: Exception) -> dict[str, Any]:
    """Which error, and where."""
    frames, found = error.__traceback__, []
    while frames is not None:
        found.append(f"{frames.tb_frame.f_code.co_filename.rpartition('/')[2]}:{frames.tb_lineno}")
        frames = frames.tb_next
    return {"error": type(error).__name__, "at": " > ".join(found[-6:])}

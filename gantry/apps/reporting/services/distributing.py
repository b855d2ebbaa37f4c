"""Who is to have a version, what the wire proved, who read it and what they did: three facts, kept apart."""

from datetime import datetime
from uuid import UUID

from django.db import transaction

from gantry.apps.accounts.models import Person
from gantry.apps.audit import outbox
from gantry.apps.audit.models import Event, OutboxMessage, OutboxState
from gantry.apps.audit.services import Outgoing, enqueue
from gantry.apps.estate.models import Endpoint, EndpointKind, Organisation
from gantry.apps.reporting.models import Report, ReportDispatch, ReportVersion
from gantry.apps.reporting.services.writing import record
from gantry.apps.scanning.services.owners import owner_of_failures
from gantry.domain.events import Actor, EventKind, system
from gantry.domain.lifecycle import advance, allowed
from gantry.domain.report import DISPATCH, DispatchEvent, DispatchState, ReportState

DOORS = {EndpointKind.HL7: "hl7.report", EndpointKind.FHIR: "fhir.report"}
SENDER = system("report sender")
NOT_SENT_YET = (DispatchState.QUEUED, DispatchState.SENT, DispatchState.FAILED, DispatchState.GIVEN_UP)


def recipients_of(version: ReportVersion) -> list[Organisation]:
    """Everyone who had an earlier version, and, unless it is being taken down, everyone who is to have it now."""
    report = version.report
    had = set(ReportDispatch.objects.filter(version__report=report).values_list("organisation", flat=True))
    if version.state != ReportState.WITHDRAWN:
        referral = report.procedure.referral
        now_to_have = set(referral.recipients.values_list("organisation", flat=True))
        had |= now_to_have or {referral.referring_organisation_id}
    return list(Organisation.objects.filter(pk__in=had).order_by("name", "pk"))


@transaction.atomic
def distribute(version: ReportVersion, *, by: Actor, now: datetime) -> list[ReportDispatch]:
    """One dispatch for each recipient and address. A recipient without an address reads it here, and a person knows."""
    event = Event.objects.get(pk=version.event)
    made = []
    for organisation in recipients_of(version):
        endpoints = list(
            Endpoint.objects.filter(organisation=organisation, kind__in=list(DOORS), active=True).order_by("kind", "pk")
        )
        made += [_queue(version, organisation, endpoint, event, now) for endpoint in endpoints]
        if not endpoints:
            made.append(_no_address(version, organisation, by, now))
    return made


def _queue(
    version: ReportVersion, organisation: Organisation, endpoint: Endpoint, event: Event, now: datetime
) -> ReportDispatch:
    provider = version.report.procedure.referral.provider_id
    key = f"report:{version.pk}:{endpoint.pk}"
    message = Outgoing(
        DOORS[EndpointKind(endpoint.kind)], key, {"version": version.pk}, endpoint=endpoint.pk, organisation=provider
    )
    enqueue(event, [message], now=now)
    return ReportDispatch.objects.create(
        version=version,
        organisation=organisation,
        endpoint=endpoint,
        message=OutboxMessage.objects.get(key=key),
        state=DispatchState.QUEUED,
    )


def _no_address(version: ReportVersion, organisation: Organisation, by: Actor, now: datetime) -> ReportDispatch:
    owner = owner_of_failures(version.report.procedure.referral.provider_id, now.date())
    dispatch = ReportDispatch.objects.create(
        version=version, organisation=organisation, state=DispatchState.GIVEN_UP, owner=owner
    )
    tell(
        dispatch,
        EventKind.DISPATCH_GIVEN_UP,
        by=by,
        now=now,
        data={
            "what": "report",
            "to": organisation.name,
            "reason": "No address for reports is known: it can be read here",
            "owner_name": owner.name if owner else "",
        },
    )
    return dispatch


def tell(dispatch: ReportDispatch, kind: EventKind, *, by: Actor, now: datetime, data: object) -> Event:
    return record(
        dispatch.version.report,
        kind,
        by=by,
        now=now,
        data=data,
        version=dispatch.version_id,
        recipient=dispatch.organisation_id,
    )


def move(dispatch: ReportDispatch, event: DispatchEvent, **values: object) -> bool:
    """Advance the row if its lifecycle allows it from where it is; other facts are kept in any case."""
    state = DispatchState(ReportDispatch.objects.select_for_update().get(pk=dispatch.pk).state)
    moves = event in allowed(DISPATCH, state)
    after = advance(DISPATCH, state, event) if moves else state
    ReportDispatch.objects.filter(pk=dispatch.pk).update(state=after, **values)
    return moves


def dispatch_of(message: OutboxMessage) -> ReportDispatch:
    return ReportDispatch.objects.select_related(
        "endpoint",
        "organisation",
        "version__author",
        "version__report__study__appointment",
        "version__report__procedure__referral__patient",
    ).get(message=message)


def later_version_for(dispatch: ReportDispatch) -> ReportVersion | None:
    """The newest version that goes to the same address, where this is not it."""
    later = ReportDispatch.objects.filter(
        version__report=dispatch.version.report_id,
        endpoint=dispatch.endpoint_id,
        version__number__gt=dispatch.version.number,
    ).order_by("-version__number")
    found = later.select_related("version").first()
    return found.version if found else None


@transaction.atomic
def report_superseded(message: OutboxMessage, *, by_version: int, now: datetime) -> None:
    """Not sent, because a later version goes to the same address: sent after it, this one would replace it."""
    dispatch = dispatch_of(message)
    settled = OutboxMessage.objects.filter(pk=message.pk, state__in=outbox.OPEN).update(
        state=OutboxState.GIVEN_UP, settled_at=now, phase="superseded", reason=f"Version {by_version} goes instead"
    )
    if settled:
        move(dispatch, DispatchEvent.SUPERSEDE, proof=f"version {by_version} goes instead")


@transaction.atomic
def report_delivered(message: OutboxMessage, *, proof: str, now: datetime) -> None:
    """The far end has accepted this very message. Said once, however many workers hear it."""
    dispatch = dispatch_of(message)
    if not outbox.delivered(message, now=now, proof=proof):
        return
    # Read before the wire had proved anything: the reading stands, and the proof is kept beside it.
    move(dispatch, DispatchEvent.DELIVER, proof=proof[:120], delivered_at=now, owner=None)
    tell(
        dispatch,
        EventKind.REPORT_DELIVERED,
        by=SENDER,
        now=now,
        data={"to": dispatch.organisation.name, "number": dispatch.version.number, "proof": proof},
    )


@transaction.atomic
def report_failed(
    message: OutboxMessage, *, phase: str, reason: str, now: datetime, for_good: bool = False
) -> OutboxState | None:
    """One try has failed at `phase`; after the last, a person owns it. None when somebody had settled it already."""
    dispatch = dispatch_of(message)
    state = outbox.failed(message, now=now, phase=phase, reason=reason, for_good=for_good)
    if state is None:
        return None
    move(dispatch, DispatchEvent.FAIL)
    data = {"what": "report", "to": dispatch.organisation.name, "phase": phase, "reason": reason}
    kind = EventKind.DISPATCH_FAILED
    if state == OutboxState.GIVEN_UP:
        kind = EventKind.DISPATCH_GIVEN_UP
        owner = owner_of_failures(dispatch.version.report.procedure.referral.provider_id, now.date())
        move(dispatch, DispatchEvent.GIVE_UP, owner=owner)
        OutboxMessage.objects.filter(pk=message.pk).update(owner=owner.pk if owner else None)
        data["owner_name"] = owner.name if owner else ""
    tell(dispatch, kind, by=SENDER, now=now, data=data)
    return state


@transaction.atomic
def send_again(dispatch: ReportDispatch, *, by: Actor, now: datetime) -> None:
    """A person has mended the cause and asks for another try."""
    if dispatch.message is None or not move(dispatch, DispatchEvent.RETRY, owner=None):
        return
    outbox.try_again(dispatch.message, now=now)
    tell(dispatch, EventKind.REPORT_SENT, by=by, now=now, data={"to": dispatch.organisation.name, "again": True})


def dispatches_to(version: ReportVersion, organisations: frozenset[UUID]) -> list[ReportDispatch]:
    found = version.dispatches.filter(organisation__in=organisations)
    return list(found.select_related("organisation", "version__report__procedure__referral").order_by("pk"))


@transaction.atomic
def record_reading(
    version: ReportVersion, *, organisations: frozenset[UUID], by: Actor, person: Person, now: datetime
) -> bool:
    """A named clinician of a recipient has it on the screen. Once for each person; the first one counts as read."""
    there = dispatches_to(version, organisations)
    if not there or _has(version, EventKind.REPORT_READ, by):
        return False
    for dispatch in there:
        if dispatch.read_at is None:
            move(dispatch, DispatchEvent.READ, read_at=now, read_by_name=person.name)
    tell(there[0], EventKind.REPORT_READ, by=by, now=now, data={"number": version.number})
    return True


@transaction.atomic
def record_action(
    version: ReportVersion,
    *,
    action: str,
    organisations: frozenset[UUID],
    by: Actor,
    person: Person,
    now: datetime,
) -> bool:
    """What was done because of it, in words. The first act is shown; later ones are in the history."""
    there = dispatches_to(version, organisations)
    if not there or not action.strip():
        return False
    record_reading(version, organisations=organisations, by=by, person=person, now=now)
    for dispatch in there:
        if dispatch.acted_at is None:
            move(dispatch, DispatchEvent.ACT, acted_at=now, acted_by_name=person.name, action=action.strip())
    tell(there[0], EventKind.REPORT_ACTED_ON, by=by, now=now, data={"number": version.number, "action": action.strip()})
    return True


def _has(version: ReportVersion, kind: EventKind, by: Actor) -> bool:
    return Event.objects.filter(kind=kind, subjects__contains=[version.pk], by=by.id).exists()


def had_version(report: Report, organisations: frozenset[UUID]) -> bool:
    return ReportDispatch.objects.filter(version__report=report, organisation__in=organisations).exists()

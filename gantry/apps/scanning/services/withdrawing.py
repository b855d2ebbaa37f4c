"""A match taken back: the images are held again, nobody keeps them under the wrong name unproved, and who saw them is named."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.db import transaction
from django.db.models import F

from gantry.apps.audit import outbox
from gantry.apps.audit.models import Event, OutboxMessage, OutboxState
from gantry.apps.audit.services import Outgoing, Stale, append, enqueue
from gantry.apps.scanning.models import (
    DoseReport,
    ImageCheck,
    ImageDispatch,
    ImageRemoval,
    Instance,
    ReconcileItem,
    Study,
    StudyState,
)
from gantry.apps.scanning.services.dispatching import dispatch_images
from gantry.apps.scanning.services.keeping import about, sharing, site_of, theirs_of
from gantry.apps.scanning.services.owners import owner_of_failures
from gantry.apps.scanning.services.reconciling import NeedsNote
from gantry.domain.delivery import CLAIM
from gantry.domain.events import Actor, EventKind, system
from gantry.domain.identifiers import valid_nhs_number

DOOR = "dicom.removal"
LOOKER = system("image sender")
SEEN = (
    EventKind.IMAGES_PROVED,
    EventKind.REPORT_ISSUED_PRELIMINARY,
    EventKind.REPORT_VERIFIED,
    EventKind.REPORT_AMENDED,
    EventKind.REPORT_DELIVERED,
    EventKind.REPORT_READ,
    EventKind.REPORT_ACTED_ON,
)
"""What makes somebody one who must be told."""


@dataclass(frozen=True, slots=True)
class MustBeTold:
    """Somebody who had the images, or words written from them, under the wrong name."""

    who: str
    what: str
    at: datetime


def must_be_told(study: Study) -> list[MustBeTold]:
    """Everyone whom the history names since the images were matched: each once for each thing."""
    events = Event.objects.filter(subjects__contains=[study.pk], kind__in=[kind.value for kind in SEEN])
    if before := last_taken_back(study):
        events = events.filter(recorded_at__gt=before.recorded_at)
    found: dict[tuple[str, str], MustBeTold] = {}
    for event in events.order_by("happened_at", "pk"):
        kind = EventKind(event.kind)
        sent = kind in (EventKind.IMAGES_PROVED, EventKind.REPORT_DELIVERED)
        who = str(event.data.get("to") or "") if sent else event.by_name
        found.setdefault((who, event.kind), MustBeTold(who, WHAT[kind], event.happened_at))
    return list(found.values())


def last_taken_back(study: Study) -> Event | None:
    here = Event.objects.filter(kind=EventKind.IMAGES_WITHDRAWN.value, subjects__contains=[study.pk])
    return here.filter(about__has_key="reconcile_item").order_by("-recorded_at", "-pk").first()


def to_be_told(study: Study) -> list[str]:
    """Of the last match that was taken back: who had to be told, as it was known then."""
    before = last_taken_back(study)
    return list(before.data.get("to_be_told", [])) if before else []


WHAT = {
    EventKind.IMAGES_PROVED: "holds the images",
    EventKind.REPORT_ISSUED_PRELIMINARY: "wrote the preliminary report",
    EventKind.REPORT_VERIFIED: "verified the report",
    EventKind.REPORT_AMENDED: "amended the report",
    EventKind.REPORT_DELIVERED: "holds the report",
    EventKind.REPORT_READ: "read the report",
    EventKind.REPORT_ACTED_ON: "acted on the report",
}


@transaction.atomic
def withdraw(study: Study, *, procedure: UUID, reason: str, by: Actor, now: datetime) -> ReconcileItem:
    """The images are not of `procedure`'s person, whoever matched them. They go back to the queue with the reason.

    What has not left stays; what may have left is followed until its PACS shows none of it. Raises NeedsNote, and
    Stale when the study belongs to something else by now.
    """
    if not reason.strip():
        raise NeedsNote
    row = Study.objects.select_for_update(of=("self",)).select_related("procedure__referral", "appointment__site").get(
        pk=study.pk
    )  # fmt: skip
    if row.state != StudyState.MATCHED or row.procedure is None or row.procedure_id != procedure:
        raise Stale(row.pk)
    was, accession, provider = about(row), row.procedure.accession_number, row.procedure.referral.provider_id
    site = row.appointment.site if row.appointment else site_of(row.calling_ae_title, now)
    told = must_be_told(row)
    nhs_number = row.patient_id.replace(" ", "")
    near = sharing(
        row.study_uid, row.accession_number, nhs_number if valid_nhs_number(nhs_number) else "", row.patient_id
    )
    item = ReconcileItem.objects.create(
        study=row,
        site=site,
        provider_id=provider,
        reason=f"Taken back from {accession}: {reason.strip()}",
        theirs=theirs_of(row),
        ours=[str(one.pk) for one in near],
        opened_at=now,
    )
    also = detach_reports(row)
    Study.objects.filter(pk=row.pk).update(state=StudyState.HELD, procedure=None, appointment=None)
    ImageCheck.objects.filter(study=row, withdrawn_at=None).update(withdrawn_at=now)
    event = append(
        EventKind.IMAGES_WITHDRAWN,
        subjects=was | {"reconcile_item": item.pk},
        happened_at=now,
        recorded_at=now,
        by=by,
        organisation=provider,
        site=site.pk if site else None,
        data={"reason": reason.strip(), "to_be_told": [f"{one.who}, who {one.what}" for one in told]},
    )
    for dispatch in row.dispatches.filter(withdrawn_at=None).select_related("message"):
        call_back(dispatch, event, provider, also, now=now)
    return item


def detach_reports(study: Study) -> list[str]:
    """Our own dose reports among the images are of the other person's injection: they wait for that person's images."""
    rows = list(DoseReport.objects.filter(instance__study=study).select_related("instance"))
    gone = [row.instance_id for row in rows]
    DoseReport.objects.filter(pk__in=[row.pk for row in rows]).update(instance=None)
    Instance.objects.filter(pk__in=gone).delete()
    Study.objects.filter(pk=study.pk).update(instances_count=F("instances_count") - len(gone))
    return [row.report_uid for row in rows]


def call_back(dispatch: ImageDispatch, event: Event, provider: UUID, also: list[str], *, now: datetime) -> None:
    """Stop what has not left, and follow what may have: a try that is under way is one that may."""
    message = dispatch.message
    stopped = OutboxMessage.objects.filter(pk=message.pk, state__in=outbox.OPEN)
    stopped.update(state=OutboxState.GIVEN_UP, settled_at=now, phase="withdrawn", reason="The match was taken back")
    ImageDispatch.objects.filter(pk=dispatch.pk).update(state="withdrawn", withdrawn_at=now)
    untouched = message.state == OutboxState.QUEUED and not message.attempts and message.due_at <= now
    if untouched and not dispatch.proved:
        return
    key = f"removal:{dispatch.pk}"
    body = {"study": dispatch.study_id, "dispatch": dispatch.pk}
    (made,) = enqueue(event, [Outgoing(DOOR, key, body, endpoint=dispatch.endpoint_id, organisation=provider)], now=now)
    if message.state != OutboxState.DELIVERED:
        OutboxMessage.objects.filter(pk=made.pk).update(due_at=now + CLAIM)
    ImageRemoval.objects.create(dispatch=dispatch, provider_id=provider, message=made, also=also, asked_at=now)


def removal_of(message: OutboxMessage) -> ImageRemoval:
    return ImageRemoval.objects.select_related(
        "dispatch__endpoint", "dispatch__organisation", "dispatch__study__procedure__referral"
    ).get(message=message)


@transaction.atomic
def removal_proved(message: OutboxMessage, *, proof: str, now: datetime) -> None:
    """The far end shows none of them any more. If their owner is known by now, they leave again under the right name."""
    removal = removal_of(message)
    if not outbox.delivered(message, now=now, proof=proof):
        return
    ImageRemoval.objects.filter(pk=removal.pk).update(removed_at=now, proof=proof[:30])
    record(removal, EventKind.IMAGES_WITHDRAWN, {"removed_by": proof}, by=LOOKER, now=now)
    study = removal.dispatch.study
    check = study.checks.filter(withdrawn_at=None).order_by("-at").first()
    if study.state == StudyState.MATCHED and check is not None and check.acceptable:
        dispatch_images(study, by=LOOKER, now=now)


@transaction.atomic
def removal_failed(message: OutboxMessage, *, phase: str, reason: str, now: datetime) -> None:
    """They are still shown, or nobody could look. Looked for again; after the last time a person owns it."""
    removal = removal_of(message)
    state = outbox.failed(message, now=now, phase=phase, reason=reason)
    if state is None:
        return
    given_up = state == OutboxState.GIVEN_UP
    owner = owner_of_failures(removal.provider_id, now.date()) if given_up else None
    if owner:
        OutboxMessage.objects.filter(pk=message.pk).update(owner=owner.pk)
    data = {"what": "removal of images", "phase": phase, "reason": reason, "owner_name": owner.name if owner else ""}
    kind = EventKind.DISPATCH_GIVEN_UP if given_up else EventKind.DISPATCH_FAILED
    record(removal, kind, data, by=LOOKER, now=now)


@transaction.atomic
def told(removal: ImageRemoval, *, whom: str, by: Actor, now: datetime) -> bool:
    """Somebody at the other end was asked, by name, to take them down: looked for again at once. Said once."""
    if not whom.strip():
        raise NeedsNote
    changed = ImageRemoval.objects.filter(pk=removal.pk, told_at=None).update(
        told_at=now, told_whom=whom.strip()[:120], told_by_name=by.name
    )
    if changed:
        record(removal, EventKind.IMAGES_WITHDRAWN, {"told": whom.strip()}, by=by, now=now)
    outbox.try_again(removal.message, now=now)
    return bool(changed)


def record(removal: ImageRemoval, kind: EventKind, data: dict[str, str], *, by: Actor, now: datetime) -> Event:
    dispatch = removal.dispatch
    return append(
        kind,
        subjects={"study": dispatch.study_id, "recipient": dispatch.organisation_id},
        happened_at=now,
        recorded_at=now,
        by=by,
        organisation=removal.provider_id,
        data={"to": dispatch.organisation.name, **data},
    )

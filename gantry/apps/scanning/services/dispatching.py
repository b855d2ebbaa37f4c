"""Images going out: checked first, then sent until the far end has shown every one, or until a person owns the failure."""

from datetime import datetime, timedelta
from uuid import UUID

from django.db import transaction
from django.db.models import Count, Exists, F, OuterRef, QuerySet

from gantry.apps.audit import outbox
from gantry.apps.audit.models import Event, OutboxMessage, OutboxState
from gantry.apps.audit.services import Outgoing, append, enqueue
from gantry.apps.estate.models import Endpoint, EndpointKind, Organisation
from gantry.apps.scanning.models import ImageCheck, ImageDispatch, ImageRemoval, PerformedStep, Study, StudyState
from gantry.apps.scanning.services.keeping import about
from gantry.apps.scanning.services.owners import owner_of_failures
from gantry.apps.scanning.services.reconciling import NotThePerson
from gantry.domain.events import Actor, EventKind, system
from gantry.domain.scan import StepState

DOOR = "dicom.images"
QUIET = timedelta(minutes=2)
"""A scanner that has sent nothing for this long has sent what it had."""


@transaction.atomic
def check_images(study: Study, *, acceptable: bool, note: str, by: Actor, now: datetime) -> ImageCheck:
    """Somebody looked at the images. Acceptable ones go to everyone who is to have them."""
    event = append(
        EventKind.IMAGES_CHECKED,
        subjects=about(study),
        happened_at=now,
        recorded_at=now,
        by=by,
        organisation=study.procedure.referral.provider_id if study.procedure else None,
        site=study.appointment.site_id if study.appointment else None,
        data={"acceptable": acceptable, "note": note},
    )
    check = ImageCheck.objects.create(
        study=study, by_name=by.name, at=now, acceptable=acceptable, note=note, event=event.pk
    )
    if acceptable:
        dispatch_images(study, by=by, now=now)
    return check


@transaction.atomic
def dispatch_images(study: Study, *, by: Actor, now: datetime) -> list[ImageDispatch]:
    """Queue the study for the PACS of every organisation that is to have it. Asking twice queues once."""
    if study.procedure is None:
        raise NotThePerson(study.pk)
    referral = study.procedure.referral
    recipients = set(referral.recipients.values_list("organisation", flat=True)) or {referral.referring_organisation_id}
    first: dict[UUID, Endpoint] = {}
    known = Endpoint.objects.filter(organisation__in=recipients, kind=EndpointKind.DICOM, active=True)
    for endpoint in known.select_related("organisation").order_by("organisation", "pk"):
        first.setdefault(endpoint.organisation_id, endpoint)
    standing = study.dispatches.filter(withdrawn_at=None).select_related("organisation")
    there = {d.organisation_id: d for d in standing}
    # A PACS that still shows them under the other name would prove them at once: they wait until it does not.
    waits = set(still_there(study).values_list("dispatch__organisation", flat=True))
    fresh = [endpoint for organisation, endpoint in first.items() if organisation not in there.keys() | waits]
    if fresh:
        event = append(
            EventKind.IMAGES_SENT,
            subjects=about(study),
            happened_at=now,
            recorded_at=now,
            by=by,
            organisation=referral.provider_id,
            data={"to": sorted(e.organisation.name for e in fresh), "instances": study.instances.count()},
        )
        for endpoint in fresh:
            there[endpoint.organisation_id] = _queue(study, endpoint, event, referral.provider_id, now)
    for missing in sorted(recipients - first.keys() - there.keys(), key=str):
        _no_address(study, missing, by, now)
    return list(there.values())


def _queue(study: Study, endpoint: Endpoint, event: Event, provider: UUID, now: datetime) -> ImageDispatch:
    earlier = study.dispatches.filter(endpoint=endpoint).exclude(withdrawn_at=None).count()
    key = f"images:{study.pk}:{endpoint.pk}" + (f":{earlier + 1}" if earlier else "")
    message = Outgoing(DOOR, key, {"study": study.pk}, endpoint=endpoint.pk, organisation=provider)
    enqueue(event, [message], now=now)
    dispatch, _ = ImageDispatch.objects.get_or_create(
        study=study,
        endpoint=endpoint,
        withdrawn_at=None,
        defaults={"organisation": endpoint.organisation, "message": OutboxMessage.objects.get(key=key)},
    )
    return dispatch


def still_there(study: Study) -> QuerySet[ImageRemoval]:
    """Where the study went under the wrong name and is not yet known to be gone."""
    return ImageRemoval.objects.filter(dispatch__study=study, removed_at=None)


def arrived_late(dispatch: ImageDispatch, *, now: datetime) -> bool:
    """A try that was under way when the match was taken back has ended: whatever it brought there is looked for again."""
    if dispatch.withdrawn_at is None:
        return False
    removal = ImageRemoval.objects.filter(dispatch=dispatch)
    removal.update(removed_at=None, proof="")
    OutboxMessage.objects.filter(image_removal__dispatch=dispatch).update(
        state=OutboxState.QUEUED, attempts=0, due_at=now, settled_at=None
    )
    return True


def _no_address(study: Study, organisation: UUID, by: Actor, now: datetime) -> None:
    """Said once for each recipient without a PACS: a person has to find a way."""
    subjects = about(study) | {"recipient": organisation}
    said = Event.objects.filter(kind=EventKind.DISPATCH_GIVEN_UP, subjects__contains=[study.pk, organisation])
    if said.exists():
        return
    provider = study.procedure.referral.provider_id
    owner = owner_of_failures(provider, now.date())
    append(
        EventKind.DISPATCH_GIVEN_UP,
        subjects=subjects,
        happened_at=now,
        recorded_at=now,
        by=by,
        organisation=provider,
        data={
            "what": "images",
            "to": Organisation.objects.get(pk=organisation).name,
            "reason": "No PACS address is known for this organisation",
            "owner_name": owner.name if owner else "",
        },
    )


@transaction.atomic
def images_proved(message: OutboxMessage, *, proved: int, proof: str, now: datetime) -> None:
    """The far end has shown every instance. Said once, however many workers hear it."""
    dispatch = ImageDispatch.objects.select_related("study__procedure__referral").get(message=message)
    if arrived_late(dispatch, now=now) or not outbox.delivered(message, now=now, proof=proof):
        return
    ImageDispatch.objects.filter(pk=dispatch.pk).update(
        state="delivered", proved=proved, instances=proved, proof=proof[:30], delivered_at=now
    )
    append(
        EventKind.IMAGES_PROVED,
        subjects=about(dispatch.study) | {"recipient": dispatch.organisation_id},
        happened_at=now,
        recorded_at=now,
        by=system("image sender"),
        organisation=dispatch.study.procedure.referral.provider_id,
        data={"to": dispatch.organisation.name, "instances": proved, "by": proof},
    )


@transaction.atomic
def images_failed(
    message: OutboxMessage, *, phase: str, reason: str, proved: int, instances: int, now: datetime
) -> None:
    dispatch = ImageDispatch.objects.select_related("study__procedure__referral", "organisation").get(message=message)
    if arrived_late(dispatch, now=now):
        return
    state = outbox.failed(message, now=now, phase=phase, reason=reason)
    if state is None:
        return
    provider = dispatch.study.procedure.referral.provider_id
    given_up = state == OutboxState.GIVEN_UP
    owner = owner_of_failures(provider, now.date()) if given_up else None
    if owner:
        OutboxMessage.objects.filter(pk=message.pk).update(owner=owner.pk)
    ImageDispatch.objects.filter(pk=dispatch.pk).update(state=state.value, proved=proved, instances=instances)
    append(
        EventKind.DISPATCH_GIVEN_UP if given_up else EventKind.DISPATCH_FAILED,
        subjects=about(dispatch.study) | {"recipient": dispatch.organisation_id},
        happened_at=now,
        recorded_at=now,
        by=system("image sender"),
        organisation=provider,
        data={
            "what": "images",
            "to": dispatch.organisation.name,
            "phase": phase,
            "reason": reason,
            "owner_name": owner.name if owner else "",
        },
    )


@transaction.atomic
def send_again(dispatch: ImageDispatch, *, by: Actor, now: datetime) -> bool:
    """A person has mended the cause and asks for another try; False when it is on its way or there already."""
    moved = ImageDispatch.objects.filter(pk=dispatch.pk, state__in=["given_up", "failed"]).update(state="queued")
    if not moved:
        return False
    outbox.try_again(dispatch.message, now=now)
    append(
        EventKind.IMAGES_SENT,
        subjects=about(dispatch.study) | {"recipient": dispatch.organisation_id},
        happened_at=now,
        recorded_at=now,
        by=by,
        organisation=dispatch.study.procedure.referral.provider_id,
        data={"to": dispatch.organisation.name, "again": True},
    )
    return True


@transaction.atomic
def send_late_instances(*, now: datetime) -> int:
    """Images that came after their study was delivered are sent too: delivered means every instance."""
    behind = (
        ImageDispatch.objects.filter(state="delivered", study__state=StudyState.MATCHED)
        .annotate(held=Count("study__instances"))
        .filter(held__gt=F("instances"))
    )
    count = 0
    for dispatch in behind.select_related("message"):
        moved = ImageDispatch.objects.filter(pk=dispatch.pk, state="delivered").update(state="queued")
        if moved:
            OutboxMessage.objects.filter(pk=dispatch.message_id).update(
                state=OutboxState.QUEUED, attempts=0, due_at=now, settled_at=None
            )
            count += 1
    return count


@transaction.atomic
def send_what_is_ready(*, now: datetime) -> int:
    """Studies that are whole and that nobody has sent: an acceptable check, or the scanner's own word that it is done."""
    done = PerformedStep.objects.filter(state=StepState.COMPLETED, scheduled_step__procedure__isnull=False)
    gone_out = ImageDispatch.objects.filter(study=OuterRef("pk"), withdrawn_at=None)
    waiting = Study.objects.filter(
        ~Exists(gone_out), state=StudyState.MATCHED, last_instance_at__lt=now - QUIET, instances_count__gt=0
    ).select_related("procedure__referral")
    count = 0
    for study in waiting.order_by("received_at")[:200]:
        checks = ImageCheck.objects.filter(study__procedure=study.procedure_id, withdrawn_at=None)
        check = checks.order_by("-at").first()
        # What was taken back once is looked at by a person before it leaves under another name.
        taken_back = study.checks.exclude(withdrawn_at=None).exists() or study.dispatches.exists()
        said_done = not taken_back and done.filter(scheduled_step__procedure=study.procedure_id).exists()
        if check.acceptable if check else said_done:
            count += bool(dispatch_images(study, by=system("image sender"), now=now))
    return count


def follow_check(event: Event) -> None:
    """Subscriber: the check on the board is a check of the images of that visit's procedure."""
    procedure = event.about.get("procedure")
    if procedure is None or "study" in event.about:
        return
    acceptable = bool(event.data.get("acceptable", True))
    by = Actor(event.by, event.by_name, event.organisation)
    for study in Study.objects.filter(procedure=UUID(procedure), state=StudyState.MATCHED).order_by("received_at"):
        ImageCheck.objects.create(
            study=study, by_name=event.by_name, at=event.happened_at, acceptable=acceptable, event=event.pk
        )
        if acceptable:
            dispatch_images(study, by=by, now=event.recorded_at)

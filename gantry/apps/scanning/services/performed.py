"""What a scanner says it did: kept as it said it, and recorded on the board where nobody had tapped it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import transaction

from gantry.apps.audit.services import append
from gantry.apps.patients.models import Patient
from gantry.apps.scanning.models import PerformedStep, ScheduledStep, Visit
from gantry.apps.scanning.services.keeping import site_of
from gantry.apps.scanning.services.steps import AlreadyRecorded, progress_of, protocol_of, record_step
from gantry.domain.events import EventKind, system
from gantry.domain.lifecycle import advance, allowed
from gantry.domain.scan import NOTHING, PERFORMED_STEP, Act, Phase, StepEvent, StepState


@dataclass(frozen=True, slots=True)
class Reference:
    """The scheduled step that a performed one answers, by whatever of its four identifiers were sent."""

    study_uid: str = ""
    accession_number: str = ""
    requested_procedure_id: str = ""
    scheduled_step_id: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class StepFacts:
    """A step begun, as the scanner told it (N-CREATE)."""

    sop_instance_uid: str
    started_at: datetime
    performed_step_id: str = ""
    station_ae_title: str = ""
    patient_id: str = ""
    references: Sequence[Reference] = ()
    series: Sequence[Mapping[str, Any]] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class StepNews:
    """More of a step, or its end (N-SET). What was not sent is None."""

    sop_instance_uid: str
    state: StepState | None = None
    ended_at: datetime | None = None
    discontinuation_reason: str = ""
    series: Sequence[Mapping[str, Any]] | None = None


@dataclass(frozen=True, slots=True)
class AlreadyThere:
    """A step has this identifier. `same` when it says the same: the sender did not hear our answer."""

    step: PerformedStep
    same: bool


@dataclass(frozen=True, slots=True)
class Ended:
    """The step has ended, or none has this identifier: nothing more is taken."""

    reason: str
    known: bool = True


def state_of(sop_instance_uid: str) -> StepState | None:
    found = PerformedStep.objects.filter(sop_instance_uid=sop_instance_uid).values_list("state", flat=True).first()
    return StepState(found) if found else None


@transaction.atomic
def performed_created(facts: StepFacts, *, now: datetime) -> PerformedStep | AlreadyThere:
    """Keep a step begun. One that answers no step of ours, or names another person, is kept apart from any visit."""
    scheduled = scheduled_for(facts)
    site = site_of(facts.station_ae_title, now)
    first = facts.references[0] if facts.references else Reference()
    step, made = PerformedStep.objects.get_or_create(
        sop_instance_uid=facts.sop_instance_uid[:64],
        defaults={
            "performed_step_id": facts.performed_step_id[:16],
            "scheduled_step": scheduled,
            "site_id": scheduled.site_id if scheduled else (site.pk if site else None),
            "station_ae_title": facts.station_ae_title[:16],
            "study_uid": first.study_uid[:64],
            "accession_number": first.accession_number[:16],
            "patient_id": facts.patient_id[:64],
            "state": StepState.IN_PROGRESS,
            "started_at": facts.started_at,
            "series": [dict(each) for each in facts.series],
        },
    )
    if not made:
        same = (step.started_at, step.station_ae_title, step.patient_id) == (
            facts.started_at,
            facts.station_ae_title[:16],
            facts.patient_id[:64],
        )
        return AlreadyThere(step, same)
    if scheduled is not None:
        ScheduledStep.objects.filter(pk=scheduled.pk, state="scheduled").update(state="started", changed_at=now)
    tell(step, Phase.START, EventKind.ACQUISITION_STARTED, at=facts.started_at, now=now)
    return step


@transaction.atomic
def performed_set(news: StepNews, *, now: datetime) -> PerformedStep | Ended:
    """More of a step, or its end. A step that has ended takes nothing more (PS3.4 F.7.2.2.2)."""
    step = PerformedStep.objects.select_for_update().filter(sop_instance_uid=news.sop_instance_uid).first()
    if step is None:
        return Ended("No such performed procedure step", known=False)
    before = StepState(step.state)
    if not allowed(PERFORMED_STEP, before):
        return Ended(f"The step is {before.value.replace('_', ' ')}")
    if news.series is not None:
        step.series = [dict(each) for each in news.series]
    if news.state is None or news.state is StepState.IN_PROGRESS:
        step.save(update_fields=["series"])
        return step
    event = StepEvent.COMPLETE if news.state is StepState.COMPLETED else StepEvent.DISCONTINUE
    step.state = advance(PERFORMED_STEP, before, event)
    step.ended_at = news.ended_at or now
    step.discontinuation_reason = news.discontinuation_reason[:120]
    step.save(update_fields=["series", "state", "ended_at", "discontinuation_reason"])
    end(step, now=now)
    return step


def end(step: PerformedStep, *, now: datetime) -> None:
    """PET and CT may be two performed steps of one acquisition: it has ended when the last of them has."""
    siblings = PerformedStep.objects.filter(scheduled_step=step.scheduled_step) if step.scheduled_step else None
    if siblings is not None and siblings.filter(state=StepState.IN_PROGRESS).exists():
        return
    whole = step.state == StepState.COMPLETED
    visit = visit_of(step)
    if siblings is not None:
        key = underway(visit) if visit else None
        began = progress_of(visit).get(key, NOTHING).began_at if visit and key else None
        since = siblings.filter(started_at__gte=began) if began else siblings.filter(pk=step.pk)
        whole = whole and not since.filter(state=StepState.DISCONTINUED).exists()
    kind = EventKind.ACQUISITION_COMPLETED if whole else EventKind.ACQUISITION_DISCONTINUED
    tell(step, Phase.DONE, kind, at=step.ended_at, now=now, whole=whole)
    if whole and step.scheduled_step and (visit is None or not waiting(visit)):
        ScheduledStep.objects.filter(pk=step.scheduled_step_id).exclude(state="removed").update(
            state="done", changed_at=now
        )


def scheduled_for(facts: StepFacts) -> ScheduledStep | None:
    """The step of ours that this answers: by its own identifier, else by accession number and study together.

    A scanner that names another person answers none of ours, whatever numbers it gives.
    """
    for reference in facts.references:
        found = None
        if reference.scheduled_step_id:
            found = ScheduledStep.objects.filter(scheduled_step_id=reference.scheduled_step_id)
        elif reference.accession_number and reference.study_uid:
            found = ScheduledStep.objects.filter(
                accession_number=reference.accession_number, study_uid=reference.study_uid
            ).exclude(state="removed")
        step = found.order_by("-starts_at").first() if found is not None else None
        if step is not None and same_person(step, facts.patient_id):
            return step
    return None


def same_person(step: ScheduledStep, patient_id: str) -> bool:
    said = patient_id.replace(" ", "")
    if said and said == step.patient_id.replace(" ", ""):
        return True
    if not said or step.procedure is None:
        return False
    return Patient.objects.filter(pk=step.procedure.referral.patient_id, identifiers__value=said).exists()


def visit_of(step: PerformedStep) -> Visit | None:
    if step.scheduled_step is None or step.scheduled_step.appointment_id is None:
        return None
    return Visit.objects.filter(appointment=step.scheduled_step.appointment_id).first()


def underway(visit: Visit) -> str | None:
    """The acquisition that has begun and is not done."""
    progress = progress_of(visit)
    scans = [(step.key, progress.get(step.key, NOTHING)) for step in protocol_of(visit).of(Act.ACQUIRE)]
    return next((key for key, done in scans if done.began_at and not done.done_at), None)


def waiting(visit: Visit) -> str | None:
    """The first acquisition that is neither done nor under way."""
    progress = progress_of(visit)
    return next(
        (s.key for s in protocol_of(visit).of(Act.ACQUIRE) if not progress.get(s.key, NOTHING).reached_at), None
    )


def tell(
    step: PerformedStep, phase: Phase, kind: EventKind, *, at: datetime, now: datetime, whole: bool = True
) -> None:
    """On the board where nobody tapped it; else beside the tap, as the scanner's own word. Neither replaces the other."""
    by = system(f"scanner {step.station_ae_title or 'unnamed'}")
    visit = visit_of(step)
    key = None
    if visit is not None:
        key = underway(visit) if phase is Phase.DONE else (None if underway(visit) else waiting(visit))
    extra = {"said_by": "the scanner", "performed_step": str(step.pk)}
    if step.discontinuation_reason:
        extra["discontinued"] = step.discontinuation_reason
    if visit is not None and key is not None:
        try:
            record_step(
                visit, key, phase=phase, happened_at=at, now=now, by=by, extra=extra | {"complete": whole}
            )  # fmt: skip
            return
        except AlreadyRecorded:
            # Somebody tapped in the same moment: their row stands, and the scanner's word goes beside it.
            pass
    append(
        kind,
        subjects=about(step, visit),
        happened_at=at,
        recorded_at=now,
        by=by,
        organisation=step.site.network.provider_id if step.site else None,
        site=step.site_id,
        data=extra,
    )


def about(step: PerformedStep, visit: Visit | None) -> dict[str, UUID]:
    subjects = {"performed_step": step.pk}
    if visit is not None:
        subjects |= {"visit": visit.pk, "appointment": visit.appointment_id}
    procedure = step.scheduled_step.procedure if step.scheduled_step else None
    if procedure is not None:
        subjects |= {
            "procedure": procedure.pk,
            "referral": procedure.referral_id,
            "patient": procedure.referral.patient_id,
        }
    return subjects


@dataclass(frozen=True, slots=True)
class Disagreement:
    """A tap and the scanner's own clock, side by side."""

    what: str
    tapped_at: datetime
    tapped_by: str
    scanner_at: datetime
    station: str


def disagreements(visit: Visit, *, minutes: int = 2) -> list[Disagreement]:
    """Where a tap and the scanner are further apart than a clock's error. Both are kept; neither is averaged."""
    steps = list(PerformedStep.objects.filter(scheduled_step__appointment=visit.appointment_id).order_by("started_at"))
    found = []
    for tap in visit.steps.filter(current=True, act=Act.ACQUIRE).order_by("happened_at"):
        ends = tap.phase == Phase.DONE
        said = [(s.ended_at if ends else s.started_at, s.station_ae_title) for s in steps]
        said = [(at, station) for at, station in said if at is not None]
        if not said:
            continue
        at, station = min(said, key=lambda pair: abs((pair[0] - tap.happened_at).total_seconds()))
        if abs((at - tap.happened_at).total_seconds()) > minutes * 60:
            what = "Scan ended" if ends else "Scan began"
            found.append(Disagreement(what, tap.happened_at, tap.by_name, at, station))
    return found

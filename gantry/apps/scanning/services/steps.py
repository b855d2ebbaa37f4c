"""Steps of a protocol as they happened: always recorded, a breach named as one, a correction with its reason."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.db import transaction

from gantry.apps.audit.models import Event
from gantry.apps.audit.services import Stale, append
from gantry.apps.estate.models import Device, Site
from gantry.apps.estate.services import why_not_measured_with
from gantry.apps.radiopharmacy.services import retime
from gantry.apps.scanning.models import Injection, ScheduledStep, StepDone, Visit
from gantry.domain.events import Actor, Cause, EventKind
from gantry.domain.instrument import DeviceKind
from gantry.domain.scan import (
    NOTHING,
    Act,
    Done,
    Phase,
    Progress,
    Protocol,
    VisitState,
    age_in_years,
    breaches,
    pregnancy_enquiry_applies,
)
from gantry.reference import protocols
from gantry.reference.limits import limits

KIND = {
    Act.IDENTIFY: EventKind.IDENTITY_CHECKED,
    Act.ENQUIRE: EventKind.PREGNANCY_ENQUIRY_MADE,
    Act.WEIGH: EventKind.WEIGHT_MEASURED,
    Act.GLUCOSE: EventKind.GLUCOSE_MEASURED,
    Act.PREPARE: EventKind.PATIENT_CANNULATED,
    Act.VOID: EventKind.PATIENT_VOIDED,
    Act.ACQUIRE: EventKind.ACQUISITION_COMPLETED,
    Act.CHECK_IMAGES: EventKind.IMAGES_CHECKED,
}
MALE = frozenset({"male", "m", "1"})


class AlreadyRecorded(Stale):
    """Somebody has recorded this step; `step` is theirs. A wrong time is corrected, not recorded again."""

    def __init__(self, step: StepDone) -> None:
        self.step = step
        super().__init__(step.visit_id)


class NotAStep(Exception):
    """This protocol has no such step, or this verb does not record it."""


class NeedsReason(Exception):
    """A correction without a reason is not kept."""


def enquiry_applies(visit: Visit) -> bool:
    referral = visit.appointment.referral
    born = referral.patient.date_of_birth
    if born is None:
        return True
    held, answers = limits(visit.on), referral.answers
    sex = str(answers.get("sex_assigned_at_birth") or referral.patient.sex_assigned_at_birth or "").casefold()
    return pregnancy_enquiry_applies(
        "male" if sex in MALE else sex,
        str(answers.get("organs_for_pregnancy") or ""),
        age_in_years(born, visit.on),
        from_age=held.pregnancy_from_age,
        to_age=held.pregnancy_to_age,
    )


def protocol_of(visit: Visit) -> Protocol:
    """The graph for this person: without the pregnancy enquiry where it does not apply."""
    graph = protocols.timed(protocols.protocol(visit.protocol), visit.appointment.procedure.minutes_per_bed)
    if visit.appointment.fraction < 1.0:
        graph = as_long_as(graph, visit.appointment.ends_at - visit.appointment.scan_at)
    return graph if enquiry_applies(visit) else graph.without(Act.ENQUIRE)


def as_long_as(graph: Protocol, lasts: timedelta) -> Protocol:
    """Given less under a practitioner's rule, somebody is scanned for longer: the board and the scanner reckon with it."""
    minutes = round(lasts.total_seconds() / 60)
    return replace(
        graph, steps=tuple(replace(s, minutes=minutes) if s.act is Act.ACQUIRE else s for s in graph.steps)
    )  # fmt: skip


def progress_of(visit: Visit) -> Progress:
    found: dict[str, Done] = {}
    for step in visit.steps.all():
        if not step.current:
            continue
        had = found.get(step.key, NOTHING)
        if step.phase == Phase.START:
            found[step.key] = Done(step.happened_at, had.done_at)
        else:
            found[step.key] = Done(had.began_at, step.happened_at)
    return found


def locked(visit: Visit) -> Visit:
    return Visit.objects.select_for_update().get(pk=visit.pk)


@transaction.atomic
def record_step(
    visit: Visit,
    key: str,
    *,
    phase: str = Phase.DONE,
    happened_at: datetime,
    now: datetime,
    by: Actor,
    extra: Mapping[str, Any] | None = None,
    cause: Cause | None = None,
) -> StepDone:
    """What happened is always recorded; what came too early or out of order is recorded as a breach as well.

    `extra` may hold weight_kg, glucose_mmol_per_l with its meter, answer ("no", "possible", "yes") or complete (False: discontinued).
    Raises AlreadyRecorded for a second tap, NotAStep for an injection.
    """
    visit, phase, extra = locked(visit), Phase(phase), dict(extra or {})
    protocol = protocol_of(visit)
    step = step_of(protocol, key)
    if step.act is Act.INJECT:
        raise NotAStep("An injection is recorded with its dose")
    if phase is Phase.START and not step.has_start:
        raise NotAStep(f"{step.label} has no start")
    if earlier := visit.steps.filter(key=key, phase=phase, current=True).first():
        raise AlreadyRecorded(earlier)
    found = presence_breaches(visit, happened_at) + breaches(protocol, key, phase, progress_of(visit), happened_at)
    kind = KIND[step.act]
    if step.act is Act.CHECK_IMAGES:
        # One tap says that they are good; who finds that they are not says so where the images are.
        extra.setdefault("acceptable", True)
    if step.act is Act.ACQUIRE:
        whole = EventKind.ACQUISITION_COMPLETED if extra.get("complete", True) else EventKind.ACQUISITION_DISCONTINUED
        kind = EventKind.ACQUISITION_STARTED if phase is Phase.START else whole
    if "glucose_mmol_per_l" in extra:
        extra["doubt"] = "; ".join(why_not_this_meter(visit, str(extra.get("meter") or ""), at=happened_at))
    event = record(
        visit,
        kind,
        at=happened_at,
        now=now,
        by=by,
        cause=cause,
        data={"step": key, "label": step.label, "breach": found, **extra},
    )
    if found:
        breach(visit, event, key, found, at=happened_at, now=now, by=by)
    keep_measures(visit, extra, now=now)
    touch(visit)
    return keep(visit, key, step.act, phase, happened_at, by.name, event.pk, found)


def step_of(protocol: Protocol, key: str):
    try:
        return protocol.step(key)
    except KeyError:
        raise NotAStep(f"{protocol.title} has no step called {key}") from None


def presence_breaches(visit: Visit, at: datetime) -> list[str]:
    if visit.state == VisitState.EXPECTED:
        return ["Arrival was not recorded first"]
    if visit.left_at is not None and at > visit.left_at:
        return ["This is after the person left"]
    return []


def keep(
    visit: Visit, key: str, act: Act, phase: Phase, at: datetime, by_name: str, event: UUID, found: list[str]
) -> StepDone:
    return StepDone.objects.create(
        visit=visit, key=key, act=act, phase=phase, happened_at=at, by_name=by_name, event=event, breach=found
    )


def keep_measures(visit: Visit, extra: Mapping[str, Any], *, now: datetime) -> None:
    """The day's weight goes to the scanner too: uptake values are computed from it."""
    measured = {name: extra[name] for name in ("weight_kg", "glucose_mmol_per_l") if extra.get(name) is not None}
    if "glucose_mmol_per_l" in measured:
        measured |= {"glucose_meter": str(extra.get("meter") or "")[:60], "glucose_doubt": extra.get("doubt") or ""}
    if measured:
        Visit.objects.filter(pk=visit.pk).update(**measured)
    if "weight_kg" in measured:
        ScheduledStep.objects.filter(appointment=visit.appointment_id).update(
            weight_kg=measured["weight_kg"], changed_at=now
        )


def meters_at(site: Site) -> list[str]:
    here = Device.objects.filter(site=site, kind=DeviceKind.GLUCOMETER, retired_at=None)
    return list(here.order_by("name").values_list("name", flat=True))


def why_not_this_meter(visit: Visit, meter: str, *, at: datetime) -> list[str]:
    """Why a reading is marked; it is recorded all the same. A site that has registered no meter is held against none."""
    if not meters_at(visit.site):
        return []
    if not meter.strip():
        return ["Nobody said which meter it was"]
    return why_not_measured_with(visit.site, meter, kind=DeviceKind.GLUCOMETER, at=at)


def touch(visit: Visit) -> None:
    visit.version += 1
    Visit.objects.filter(pk=visit.pk).update(version=visit.version)


@transaction.atomic
def correct_step(
    step: StepDone, *, happened_at: datetime | None, reason: str, now: datetime, by: Actor
) -> StepDone | None:
    """Another time, or (with None) not done at all: the old row stays, no longer current. Raises NeedsReason, Stale."""
    if not reason.strip():
        raise NeedsReason("Say why this is corrected")
    visit = locked(step.visit)
    if step.act == Act.INJECT and happened_at is None:
        raise NotAStep("An injection that was recorded by mistake is an incident: correct its time or report it")
    if not StepDone.objects.filter(pk=step.pk, current=True).update(current=False):
        raise Stale(visit.pk)
    event = append(
        EventKind.STEP_CORRECTED,
        subjects=subjects(visit),
        happened_at=happened_at or step.happened_at,
        recorded_at=now,
        by=by,
        site=visit.site_id,
        corrects=step.event,
        data={
            "step": step.key,
            "phase": step.phase,
            "was": step.happened_at,
            "is": happened_at,
            "withdrawn": happened_at is None,
            "reason": reason.strip(),
        },
    )
    touch(visit)
    if happened_at is None:
        return None
    protocol, phase = protocol_of(visit), Phase(step.phase)
    found = breaches(protocol, step.key, phase, progress_of(visit), happened_at)
    if found:
        breach(visit, event, step.key, found, at=happened_at, now=now, by=by)
    if step.act == Act.INJECT:
        for injection in Injection.objects.filter(visit=visit, step_key=step.key).select_related("dose"):
            Injection.objects.filter(pk=injection.pk).update(injected_at=happened_at)
            retime(injection.dose, injected_at=happened_at)
    return keep(visit, step.key, Act(step.act), phase, happened_at, step.by_name, event.pk, found)


def breach(
    visit: Visit,
    of: Event,
    key: str,
    reasons: list[str],
    *,
    at: datetime,
    now: datetime,
    by: Actor,
    data: Mapping[str, Any] | None = None,
) -> Event:
    """Recorded as what it is; quality opens an incident from it."""
    return record(
        visit,
        EventKind.BREACH_RECORDED,
        at=at,
        now=now,
        by=by,
        data={"step": key, "act": of.kind, "of_event": of.pk, "reasons": reasons, **(data or {})},
    )


def subjects(visit: Visit) -> dict[str, UUID]:
    appointment = visit.appointment
    return {
        "visit": visit.pk,
        "appointment": appointment.pk,
        "procedure": appointment.procedure_id,
        "referral": appointment.referral_id,
        "patient": appointment.referral.patient_id,
    }


def record(
    visit: Visit,
    kind: EventKind,
    *,
    at: datetime,
    now: datetime,
    by: Actor,
    data: Mapping[str, Any],
    cause: Cause | None = None,
) -> Event:
    return append(
        kind,
        subjects=subjects(visit),
        happened_at=at,
        recorded_at=now,
        by=by,
        site=visit.site_id,
        cause=cause,
        data=data,
    )


def completed(visit: Visit) -> bool:
    """Whether every acquisition of the protocol ran to its end."""
    scans = {step.key for step in protocol_of(visit).of(Act.ACQUIRE)}
    done = visit.steps.filter(act=Act.ACQUIRE, phase=Phase.DONE, current=True)
    ended = {step.key: origin(step.event) for step in done}
    return scans <= {key for key, event in ended.items() if event.kind == EventKind.ACQUISITION_COMPLETED}


def origin(event: UUID) -> Event:
    """The event that first told of a step, behind any corrections."""
    found = Event.objects.get(pk=event)
    return origin(found.corrects) if found.corrects else found

"""Whether a dose may be given to this person now (invariant 3), and the record of it when it was."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from django.db import transaction

from gantry.apps.accounts.models import Person
from gantry.apps.booking.models import Appointment
from gantry.apps.booking.services.need import prescribed_mbq
from gantry.apps.estate.models import Scanner
from gantry.apps.estate.services import why_not_fit
from gantry.apps.radiopharmacy.models import Dose
from gantry.apps.radiopharmacy.services import Impossible, administer, assign, why_not_itself, why_not_this_dose
from gantry.apps.radiopharmacy.services.doses import batch_facts
from gantry.apps.radiopharmacy.services.stock import drawn_for
from gantry.apps.referrals.models import Authorisation
from gantry.apps.referrals.services import why_not_covered_now
from gantry.apps.scanning.models import Injection, StepDone, Visit
from gantry.apps.scanning.services.steps import (
    AlreadyRecorded,
    NotAStep,
    breach,
    enquiry_applies,
    keep,
    locked,
    origin,
    presence_breaches,
    progress_of,
    protocol_of,
    record,
    step_of,
    subjects,
    touch,
)
from gantry.domain.activity import why_out_of_tolerance
from gantry.domain.events import Actor, EventKind
from gantry.domain.scan import (
    NOTHING,
    Act,
    Done,
    InjectionFacts,
    Phase,
    Progress,
    ProtocolStep,
    VisitState,
    Waiting,
    can_all_be_scanned,
    out_of_order,
    why_not_injected,
    window,
)
from gantry.domain.supply import DoseState, Match, why_not_usable
from gantry.reference.protocols import product_of
from gantry.reference.schemes import TOLERANCE_PERCENT


@dataclass(frozen=True, slots=True)
class NotAuthorised:
    """Why the injection may not be authorised. Nothing was recorded; an override or what happened still can be."""

    reasons: list[str]
    never: list[str]
    """Those of the reasons that no override lifts: the dose is not surely this person's."""


def authorisation_of(appointment: Appointment, tracer: str) -> Authorisation | None:
    """Each injection has its own authorisation (invariant 15): the one for this tracer."""
    held = [appointment.authorisation, *appointment.procedure.authorisations.filter(state="valid").order_by("at")]
    return next((a for a in held if product_of(a.tracer) == product_of(tracer)), None)


def injection_facts(
    visit: Visit,
    step: ProtocolStep,
    dose: Dose | None,
    *,
    at: datetime,
    match: Match | None,
    fallback: Scanner | None = None,
) -> InjectionFacts:
    """Everything that invariant 3 asks, as it is now. Without a dose only what concerns the person and the room."""
    protocol, progress, appointment = protocol_of(visit), progress_of(visit), visit.appointment
    tracer = step.tracer or appointment.procedure.tracer
    done = {s.act: s for s in visit.steps.all() if s.current}
    authorisation = authorisation_of(appointment, tracer)
    on = at.astimezone(ZoneInfo(visit.site.zone)).date()
    not_authorised = why_not_covered_now(authorisation, site=visit.site, on=on)
    enquiry = done.get(Act.ENQUIRE)
    named = {Act.IDENTIFY, Act.ENQUIRE}
    covered = {protocol.step(s.key).label for s in protocol.steps if s.act in named}
    prescribed = prescribed_mbq(authorisation) if authorisation else 0.0
    return InjectionFacts(
        identity_checked=Act.IDENTIFY in done,
        pregnancy_enquiry_needed=enquiry_applies(visit),
        pregnancy_enquiry_made=enquiry is not None,
        may_be_pregnant=enquiry is not None and answered(enquiry) not in ("", "no"),
        not_authorised=not_authorised,
        not_usable=[*why_not_usable(batch_facts(dose.batch), product=product_of(tracer), at=at), *why_not_itself(dose)]
        if dose
        else [],
        not_matched=why_not_this_dose(dose, appointment, match=match or Match(), tracer=tracer) if dose else [],
        out_of_tolerance=why_out_of_tolerance(drawn_for(dose).activity_at(at), prescribed, TOLERANCE_PERCENT.value)
        if dose
        else None,
        scanner_unfit=why_no_scanner(visit, step, at=at, scanner=fallback or appointment.scanner),
        not_yet=[label for label in out_of_order(protocol, step.key, progress) if label not in covered],
    )


def answered(enquiry: StepDone) -> str:
    """What the person said when asked: the enquiry's own event, behind any corrections of its time."""
    return str(origin(enquiry.event).data.get("answer", ""))


def why_no_scanner(visit: Visit, step: ProtocolStep, *, at: datetime, scanner: Scanner) -> str | None:
    """The scanner must be fit today, and free inside the window that this injection opens."""
    if unfit := why_not_fit(scanner, zone=visit.site.zone, at=at):
        return unfit
    owed, free_from = scans_owed(visit, scanner, at)
    mine = waiting_for(visit, {**progress_of(visit), step.key: Done(None, at)})
    if can_all_be_scanned([*owed, *mine], free_from=free_from):
        return None
    others = f"{len(owed)} {'other' if len(owed) == 1 else 'others'} already injected"
    return f"{scanner} cannot scan this person inside the window beside {others}"


def scans_owed(visit: Visit, scanner: Scanner, at: datetime) -> tuple[list[Waiting], datetime]:
    """What a scanner owes to others who are here and injected, and when the scan that is running ends."""
    here = Visit.objects.filter(appointment__scanner=scanner, on=visit.on, state=VisitState.PRESENT).exclude(
        pk=visit.pk
    )
    owed, free_from = [], at
    for other in here.select_related("appointment__referral__patient").prefetch_related("steps"):
        progress = progress_of(other)
        for scan in protocol_of(other).of(Act.ACQUIRE):
            done = progress.get(scan.key, NOTHING)
            if done.began_at and not done.done_at:
                free_from = max(free_from, done.began_at + timedelta(minutes=scan.minutes))
        owed += waiting_for(other, progress)
    return owed, free_from


def waiting_for(visit: Visit, progress: Progress) -> list[Waiting]:
    protocol, found = protocol_of(visit), []
    for scan in protocol.of(Act.ACQUIRE):
        moments = window(protocol, scan.key, progress)
        if moments and progress.get(scan.key, NOTHING).reached_at is None:
            found.append(Waiting(moments.least, moments.most, timedelta(minutes=scan.minutes)))
    return found


def why_not(
    visit: Visit,
    step_key: str,
    dose: Dose | None,
    *,
    at: datetime,
    match: Match | None = None,
    fallback: Scanner | None = None,
) -> NotAuthorised:
    """Every reason at once, for the page and for the verb. Empty reasons: it may be given."""
    step = step_of(protocol_of(visit), step_key)
    facts = injection_facts(visit, step, dose, at=at, match=match, fallback=fallback)
    return NotAuthorised(presence_breaches(visit, at) + list(why_not_injected(facts)), list(facts.not_matched))


@transaction.atomic
def inject(
    visit: Visit,
    step_key: str,
    dose: Dose,
    *,
    injected_at: datetime,
    match: Match,
    override_reason: str = "",
    now: datetime,
    by: Actor,
    person: Person | None = None,
    already_happened: bool = False,
    body_site: str = "",
    fallback: Scanner | None = None,
) -> Injection | NotAuthorised:
    """Authorise and record, or say why not. `already_happened` records regardless; what was wrong is a breach.

    Raises AlreadyRecorded, NotAStep, and Impossible for a dose that was given to somebody else or thrown away.
    """
    visit = locked(visit)
    dose = Dose.objects.select_related("batch", "container", "appointment__referral").get(pk=dose.pk)
    step = step_of(protocol_of(visit), step_key)
    if step.act is not Act.INJECT:
        raise NotAStep(f"{step.label} is not an injection")
    if earlier := visit.steps.filter(key=step_key, phase=Phase.DONE, current=True).first():
        raise AlreadyRecorded(earlier)
    if dose.state not in (DoseState.PREPARED, DoseState.ASSIGNED):
        raise Impossible(f"This dose is already {DoseState(dose.state).replace('_', ' ')}")
    judged = why_not(visit, step_key, dose, at=injected_at, match=match, fallback=fallback)
    lifted = bool(override_reason.strip()) and not judged.never
    if judged.reasons and not already_happened and not lifted:
        return judged
    if dose.appointment_id != visit.appointment_id:
        dose = assign(dose, visit.appointment, match=match, now=now, by=by, already_happened=already_happened or lifted)
    event = administer(
        dose,
        injected_at=injected_at,
        now=now,
        by=by,
        subjects=subjects(visit),
        data={
            "step": step_key,
            "match": match.kind,
            "breach": judged.reasons,
            "override": override_reason.strip(),
            "fallback": fallback.pk if fallback else None,
            "body_site": body_site.strip(),
        },
    )
    if judged.reasons:
        breach(
            visit,
            event,
            step_key,
            judged.reasons,
            at=injected_at,
            now=now,
            by=by,
            data={"override": override_reason.strip(), "authorised": lifted and not already_happened},
        )
    keep(visit, step_key, Act.INJECT, Phase.DONE, injected_at, by.name, event.pk, judged.reasons)
    touch(visit)
    return Injection.objects.create(
        visit=visit,
        step_key=step_key,
        dose=dose,
        injected_at=injected_at,
        by=person,
        by_name=by.name,
        match=match.kind,
        body_site=body_site.strip(),
        breach=judged.reasons,
        override_reason=override_reason.strip(),
        event=event.pk,
    )


NOTES = {
    "extravasation": EventKind.EXTRAVASATION_NOTED,
    "reaction": EventKind.REACTION_NOTED,
    "medicine": EventKind.MEDICINE_GIVEN,
    "breastfeeding_advice": EventKind.BREASTFEEDING_ADVICE_GIVEN,
    "consent": EventKind.CONSENT_RECORDED,
}


@transaction.atomic
def note(visit: Visit, what: str, *, text: str, happened_at: datetime, now: datetime, by: Actor) -> None:
    """What is not a step of the protocol and has to be known all the same. Raises KeyError."""
    record(visit, NOTES[what], at=happened_at, now=now, by=by, data={"text": text.strip()})

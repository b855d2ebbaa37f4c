"""Whether a dose may be given to this person now (invariant 3), and the record of it when it was."""

from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

from django.db import transaction

from gantry.apps.accounts.models import Person
from gantry.apps.booking.models import Appointment
from gantry.apps.booking.services.need import prescribed_mbq
from gantry.apps.estate.models import Device, Scanner, Site
from gantry.apps.estate.services import why_not_measured_with
from gantry.apps.radiopharmacy.models import Dose
from gantry.apps.radiopharmacy.services import Impossible, administer, assign, why_not_itself, why_not_this_dose
from gantry.apps.radiopharmacy.services.doses import batch_facts
from gantry.apps.radiopharmacy.services.stock import drawn_for
from gantry.apps.referrals.models import Authorisation
from gantry.apps.referrals.services import given_to, why_not_covered_now
from gantry.apps.scanning.models import Injection, StepDone, Visit
from gantry.apps.scanning.services.scanners import Running, here_on, running, waiting_for
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
from gantry.domain.activity import why_not_individually, why_out_of_tolerance
from gantry.domain.events import Actor, EventKind
from gantry.domain.injecting import why_glucose, why_no_scan, why_not_again, why_not_inject
from gantry.domain.instrument import DeviceKind
from gantry.domain.scan import (
    Act,
    Done,
    InjectionFacts,
    Phase,
    ProtocolStep,
    age_in_years,
    out_of_order,
    why_not_injected,
)
from gantry.domain.supply import IN_HAND, DoseState, Match, why_not_usable
from gantry.reference.hot_lab import GLUCOSE_ACTION_MMOL_PER_L
from gantry.reference.protocols import product_of
from gantry.reference.schemes import CHILD_UNDER, TOLERANCE_PERCENT

GLUCOSE_COMPETES_WITH = "FDG"


@dataclass(frozen=True, slots=True)
class NotAuthorised:
    """Why the injection may not be authorised. Nothing was recorded; an override or what happened still can be."""

    reasons: list[str]
    never: list[str]
    """Those of the reasons that no override lifts: it is not surely this person's dose, or not authorised for a child."""


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
    prescribed = prescribed_mbq(authorisation) * appointment.fraction if authorisation else 0.0
    return InjectionFacts(
        identity_checked=Act.IDENTIFY in done,
        pregnancy_enquiry_needed=enquiry_applies(visit),
        pregnancy_enquiry_made=enquiry is not None,
        may_be_pregnant=enquiry is not None and answered(enquiry) not in ("", "no"),
        not_authorised=[*not_authorised, *why_used(visit, step, authorisation)],
        not_usable=[*why_not_usable(batch_facts(dose.batch), product=product_of(tracer), at=at), *why_not_itself(dose)]
        if dose
        else [],
        not_matched=why_not_this_dose(dose, appointment, match=match or Match(), tracer=tracer) if dose else [],
        out_of_tolerance=why_out_of_tolerance(drawn_for(dose).activity_at(at), prescribed, TOLERANCE_PERCENT.value)
        if dose
        else None,
        no_scanner=why_no_scanner(visit, step, at=at, named=fallback),
        not_yet=[label for label in out_of_order(protocol, step.key, progress) if label not in covered],
        not_for_a_child=list(
            why_not_individually(
                age_at(visit, at),
                child_under=CHILD_UNDER.value,
                authorised_mbq=authorisation.activity_mbq * appointment.fraction
                if authorisation and authorisation.activity_mbq
                else None,
                drawn_mbq=drawn_for(dose).activity_at(at) if dose else None,
                tolerance_percent=TOLERANCE_PERCENT.value,
            )
        ),
        glucose=why_glucose_of(visit, tracer),
    )


def why_glucose_of(visit: Visit, tracer: str) -> str | None:
    """As the board warns. Only of the tracer that glucose competes with."""
    if product_of(tracer) != GLUCOSE_COMPETES_WITH:
        return None
    return why_glucose(visit.glucose_mmol_per_l, GLUCOSE_ACTION_MMOL_PER_L.value)


def age_at(visit: Visit, at: datetime) -> int | None:
    born = visit.appointment.referral.patient.date_of_birth
    return age_in_years(born, at.astimezone(ZoneInfo(visit.site.zone)).date()) if born else None


def answered(enquiry: StepDone) -> str:
    """What the person said when asked: the enquiry's own event, behind any corrections of its time."""
    return str(origin(enquiry.event).data.get("answer", ""))


def why_no_scanner(
    visit: Visit, step: ProtocolStep, *, at: datetime, named: Scanner | None, known: list[Running] | None = None
) -> list[str]:
    """Their scanner must be fit, running and free inside the window that this injection opens, or the named fallback."""
    intended = visit.appointment.scanner
    room = known if known is not None else room_now(visit, at, named)
    mine = waiting_for(visit, {**progress_of(visit), step.key: Done(None, at)})
    by_key = {each.scanner.pk: each.for_visit(visit) for each in room}
    sisters = [now for key, now in by_key.items() if key != intended.pk]
    return why_not_inject(by_key[intended.pk], mine, named=by_key[named.pk] if named else None, sisters=sisters)


def room_now(visit: Visit, at: datetime, named: Scanner | None = None) -> list[Running]:
    also = [visit.appointment.scanner, *([named] if named else [])]
    return running(visit.site, visit.on, at=at, here=here_on(visit.site, visit.on), also=also)


def fallbacks_for(visit: Visit, step: ProtocolStep, *, at: datetime) -> list[Scanner]:
    """Scanners that could take this person if their own cannot. Empty when it can."""
    room = room_now(visit, at)
    if not why_no_scanner(visit, step, at=at, named=None, known=room):
        return []
    mine = waiting_for(visit, {**progress_of(visit), step.key: Done(None, at)})
    others = [each for each in room if each.scanner.pk != visit.appointment.scanner_id]
    return [each.scanner for each in others if why_no_scan(each.for_visit(visit), mine) is None]


def why_used(visit: Visit, step: ProtocolStep, authorisation: Authorisation | None) -> list[str]:
    """A second injection of the same step on another day is another exposure: it has an authorisation of its own."""
    if authorisation is None:
        return []
    earlier = given_to(visit.appointment.referral)
    said = why_not_again(earlier, step=step.key, visit=str(visit.pk), authorised_at=authorisation.at)
    return [said] if said else []


def why_not(
    visit: Visit,
    step_key: str,
    dose: Dose | None,
    *,
    at: datetime,
    match: Match | None = None,
    fallback: Scanner | None = None,
    injector: Device | None = None,
) -> NotAuthorised:
    """Every reason at once, for the page and for the verb. Empty reasons: it may be given."""
    step = step_of(protocol_of(visit), step_key)
    facts = injection_facts(visit, step, dose, at=at, match=match, fallback=fallback)
    never = [*facts.not_matched, *facts.not_for_a_child]
    # Without an authorisation that stands, a child has none of their own.
    if is_child(visit, at):
        never += facts.not_authorised
    reasons = presence_breaches(visit, at) + list(why_not_injected(facts))
    return NotAuthorised([*reasons, *why_not_by_device(visit, injector, at=at)], never)


def why_not_by_device(visit: Visit, injector: Device | None, *, at: datetime) -> list[str]:
    """An automatic injector measures what it gives: without today's test nothing is authorised through it."""
    if injector is None:
        return []
    return why_not_measured_with(visit.site, injector.name, kind=DeviceKind.INJECTOR, at=at)


def injectors_at(site: Site) -> list[Device]:
    return list(Device.objects.filter(site=site, kind=DeviceKind.INJECTOR, retired_at=None).order_by("name"))


def is_child(visit: Visit, at: datetime) -> bool:
    age = age_at(visit, at)
    return age is not None and age < CHILD_UNDER.value


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
    injector: Device | None = None,
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
    if dose.state not in IN_HAND:
        raise Impossible(f"This dose is already {DoseState(dose.state).replace('_', ' ')}")
    judged = why_not(visit, step_key, dose, at=injected_at, match=match, fallback=fallback, injector=injector)
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
            "injector": injector.name if injector else "",
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
        fallback=fallback,
        injector=injector,
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

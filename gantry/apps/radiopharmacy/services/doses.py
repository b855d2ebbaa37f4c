"""A dose from the vial to the vein: drawn, matched, administered, its residual measured, or wasted with a cause."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import transaction

from gantry.apps.audit.models import Event
from gantry.apps.audit.services import Stale, append
from gantry.apps.booking.models import Appointment
from gantry.apps.estate.services import why_not_measured_with
from gantry.apps.radiopharmacy.models import Assay, Batch, Container, Dose, LedgerEntry, WasteItem
from gantry.apps.radiopharmacy.services import ledger
from gantry.apps.radiopharmacy.services.batches import new_barcode
from gantry.apps.radiopharmacy.services.refusals import NotDone
from gantry.apps.radiopharmacy.services.stock import drawn_for, left_in, nuclide_of
from gantry.domain import decay
from gantry.domain.activity import why_out_of_tolerance
from gantry.domain.appointment import ACTIVE, AppointmentState
from gantry.domain.decay import net_administered_mbq, why_not_plausible
from gantry.domain.events import Actor, Cause, EventKind
from gantry.domain.implausible import Drawing, Finding, Rule, VialNow, findings, recheck, residual_findings
from gantry.domain.instrument import DeviceKind
from gantry.domain.ledger import Way
from gantry.domain.lifecycle import advance
from gantry.domain.supply import (
    DOSE,
    IN_HAND,
    BatchFacts,
    BatchState,
    DoseEvent,
    DoseState,
    Match,
    Person,
    why_not_matched,
    why_not_usable,
)
from gantry.reference.hot_lab import CHECK_PERCENT, MAX_VOLUME_ML, VOLUME_TOLERANCE_PERCENT
from gantry.reference.nuclides import NUCLIDES
from gantry.reference.protocols import product_of
from gantry.reference.schemes import TOLERANCE_PERCENT


class Impossible(Exception):
    """What is told cannot have happened with this dose: it was already given to somebody, or thrown away."""

    def __init__(self, reason: str) -> None:
        self.reasons = [reason]
        super().__init__(reason)


def batch_facts(batch: Batch) -> BatchFacts:
    return BatchFacts(
        batch.number, product_of(batch.tracer), BatchState(batch.state), batch.expires_at, batch.accepted_at is not None
    )


def why_not_drawn(batch: Batch, *, at: datetime) -> list[str]:
    """What no override lifts: the state of the batch. Whether the activity can be there is a doubt of its own."""
    reasons = list(why_not_usable(batch_facts(batch), product=product_of(batch.tracer), at=at))
    if batch.state == BatchState.SPENT:
        reasons.append(f"Batch {batch.number} is spent")
    return reasons


def volume_left(batch: Batch) -> float | None:
    """What the vial held less what was drawn, spilt, sampled or sent on. None as soon as one volume was not written down."""
    left_it = (Way.SPILT, Way.SAMPLED, Way.TRANSFERRED_OUT, Way.RETURNED)
    beside = LedgerEntry.objects.filter(batch=batch, source=ledger.vial_of(batch), way__in=left_it)
    taken = [*(dose.volume_ml for dose in batch.doses.all()), *beside.values_list("volume_ml", flat=True)]
    if batch.volume_ml is None or None in taken:
        return None
    return float(max(0.0, batch.volume_ml - sum(taken)))


def doubts_about(
    batch: Batch,
    *,
    activity_mbq: float,
    at: datetime,
    volume_ml: float | None,
    wanted_mbq: float | None,
    read_as: decay.Nuclide | None = None,
) -> list[Finding]:
    """What looks wrong about a syringe: its nuclide, its concentration and volume, and what was to be drawn."""
    nuclide, left_ml = nuclide_of(batch.tracer), volume_left(batch)
    return findings(
        Drawing(
            decay.Assay(read_as or nuclide, activity_mbq, at),
            VialNow(nuclide, left_in(batch, at), left_ml),
            volume_ml,
            wanted_mbq,
            most_ml=MAX_VOLUME_ML.value,
            tolerance_percent=VOLUME_TOLERANCE_PERCENT.value,
        )
    )


@transaction.atomic
def draw(
    batch: Batch,
    *,
    activity_mbq: float,
    at: datetime,
    instrument: str,
    volume_ml: float | None = None,
    barcode: str | None = None,
    now: datetime,
    by: Actor,
    wanted_mbq: float | None = None,
    nuclide: decay.Nuclide | None = None,
    override_reason: str = "",
    already_happened: bool = False,
) -> Dose:
    """A syringe, assayed. Raises NotDone; what has happened already is recorded all the same, as a breach.

    Nuclide (what the calibrator was set to; the vial's where it was not read), volume, concentration, what was wanted
    and what can be left have to agree. A named override lifts that, and a calibrator that is unknown or untested; never
    the state of the batch.
    """
    batch = Batch.objects.select_for_update().get(pk=batch.pk)
    code = (barcode or "").strip() or new_barcode("D")
    if activity_mbq <= 0:
        raise NotDone(["A dose is more than 0 MBq"])
    if Container.objects.filter(barcode=code).exists():
        raise NotDone([f"Another vial or syringe has the barcode {code}"])
    firm = why_not_drawn(batch, at=at)
    soft = why_not_measured_with(batch.site, instrument, kind=DeviceKind.CALIBRATOR, at=at)
    doubts = doubts_about(
        batch, activity_mbq=activity_mbq, at=at, volume_ml=volume_ml, wanted_mbq=wanted_mbq, read_as=nuclide
    )
    soft += [str(each) for each in doubts]
    if wanted_mbq and not any(each.rule is Rule.KBQ_FOR_MBQ for each in doubts):
        now_wanted = "what the prescription comes to now,"
        off = why_out_of_tolerance(activity_mbq, wanted_mbq, TOLERANCE_PERCENT.value, of=now_wanted)
        soft += [off] if off else []
    reasons = firm + soft
    if (firm or (soft and not override_reason.strip())) and not already_happened:
        raise NotDone(reasons, may_override=not firm)
    syringe = Container.objects.create(batch=batch, kind="syringe", barcode=code, volume_ml=volume_ml)
    dose = Dose.objects.create(
        batch=batch,
        container=syringe,
        site_id=batch.site_id,
        tracer=batch.tracer,
        drawn_mbq=activity_mbq,
        drawn_at=at,
        volume_ml=volume_ml,
        state=DoseState.PREPARED,
    )
    event = record(
        dose,
        EventKind.DOSE_DRAWN,
        at=at,
        now=now,
        by=by,
        data={
            "mbq": activity_mbq,
            "volume_ml": volume_ml,
            "instrument": instrument,
            "override": override_reason.strip(),
            "doubts": [str(each) for each in doubts],
        },
    )
    measure(dose, "draw", activity_mbq, at, instrument, by, event)
    ledger.post(
        batch, Way.DRAWN, ledger.vial_of(batch), activity_mbq, to=code, at=at, instrument=instrument, volume_ml=volume_ml,
        by=by, event=event,
    )  # fmt: skip
    if reasons:
        record(dose, EventKind.BREACH_RECORDED, at=at, now=now, by=by,
            data={"act": "draw", "reasons": reasons, "override": override_reason.strip()})  # fmt: skip
    ledger.judge(batch, ledger.vial_of(batch), at=at, now=now, by=by)
    return dose


def why_not_this_dose(
    dose: Dose, appointment: Appointment, *, match: Match | None, tracer: str | None = None, relabel: bool = False
) -> list[str]:
    """Why this dose is not for this person: another site, another product, another's label, checks that disagree."""
    wanted = product_of(tracer or appointment.procedure.tracer)
    reasons = []
    if dose.site_id != appointment.site_id:
        reasons.append("This dose was drawn at another site")
    if product_of(dose.tracer) != wanted:
        reasons.append(f"This dose is {product_of(dose.tracer)}; this person is to have {wanted}")
    theirs = relabel or dose.appointment_id is None or dose.appointment_id == appointment.pk
    if match is None:
        return reasons if theirs else [*reasons, "This dose is for another person"]
    patient = appointment.referral.patient
    person = Person(patient.nhs_number, patient.date_of_birth, patient.family_name)
    return reasons + list(
        why_not_matched(match, barcode=dose.container.barcode, person=person, for_this_person=theirs)
    )  # fmt: skip


@transaction.atomic
def assign(
    dose: Dose,
    appointment: Appointment,
    *,
    match: Match | None = None,
    now: datetime,
    by: Actor,
    already_happened: bool = False,
) -> Dose:
    """Label a dose for a person: in the hot lab without a match, at the vein with one.

    A dose that is another's goes to somebody else only unopened and checked again, or because it already has.
    """
    if appointment.state not in {state.value for state in ACTIVE} and not already_happened:
        raise NotDone([f"That appointment is {AppointmentState(appointment.state).replace('_', ' ')}"])
    reasons = why_not_this_dose(dose, appointment, match=match, relabel=match is not None)
    if reasons and not already_happened:
        raise NotDone(reasons)
    again = dose.state == DoseState.ASSIGNED
    if again and dose.appointment_id == appointment.pk:
        return dose
    before = dose.appointment_id
    move(dose, DoseEvent.REASSIGN if again else DoseEvent.ASSIGN, appointment=appointment)
    record(
        dose,
        EventKind.DOSE_REASSIGNED if again else EventKind.DOSE_ASSIGNED,
        at=now,
        now=now,
        by=by,
        data={"match": match.kind if match else "", "before": before, "reasons": reasons},
    )
    return dose


def go_with(old: Appointment, new: Appointment) -> int:
    """Whoever is here has another appointment: what is drawn for them, or in them, is counted under it."""
    return Dose.objects.filter(appointment=old).update(appointment=new)


@transaction.atomic
def administer(
    dose: Dose,
    *,
    injected_at: datetime,
    now: datetime,
    by: Actor,
    subjects: Mapping[str, UUID] | None = None,
    data: Mapping[str, Any] | None = None,
) -> Event:
    """Given, at that moment. Until a residual is measured the net activity is all that was in the syringe."""
    if dose.state != DoseState.ASSIGNED:
        raise Impossible(f"This dose is already {DoseState(dose.state).replace('_', ' ')}")
    before = drawn_for(dose)
    net = net_administered_mbq(before, None, injected_at)
    move(dose, DoseEvent.ADMINISTER, injected_at=injected_at, net_mbq=net)
    doubts = why_not_plausible(before, None, injected_at)
    event = record(
        dose,
        EventKind.DOSE_INJECTED,
        at=injected_at,
        now=now,
        by=by,
        subjects=subjects,
        data={"net_mbq": net, "doubts": doubts, **(data or {})},
    )
    ledger.given(dose, by_name=by.name, event=event.pk)
    return event


def retime(dose: Dose, *, injected_at: datetime) -> Dose:
    """A corrected injection time changes the net activity. Called in the transaction of the correcting event."""
    net = net_administered_mbq(drawn_for(dose), residual_of(dose), injected_at)
    Dose.objects.filter(pk=dose.pk).update(injected_at=injected_at, net_mbq=net)
    dose.injected_at, dose.net_mbq = injected_at, net
    ledger.given(dose)
    return dose


@transaction.atomic
def assay_residual(
    dose: Dose,
    *,
    activity_mbq: float,
    at: datetime,
    instrument: str,
    now: datetime,
    by: Actor,
    nuclide: decay.Nuclide | None = None,
) -> Dose:
    """What stayed in the syringe. The net activity is at the injection's own instant, from both assays.

    `nuclide` is what the calibrator was set to; the syringe's own where it was not read.
    """
    if dose.state != DoseState.ADMINISTERED or dose.injected_at is None:
        raise NotDone(["Record the injection before the residual"])
    if activity_mbq < 0:
        raise NotDone(["A residual is not below 0 MBq"])
    residual = decay.Assay(nuclide_of(dose.tracer), activity_mbq, at)
    net = net_administered_mbq(drawn_for(dose), residual, dose.injected_at)
    read = decay.Assay(nuclide or residual.nuclide, activity_mbq, at)
    named = residual_findings(drawn_for(dose), read, dose.injected_at, now=now)
    doubts = [str(each) for each in named] + why_not_plausible(drawn_for(dose), residual, dose.injected_at)
    Dose.objects.filter(pk=dose.pk).update(residual_mbq=activity_mbq, residual_at=at, net_mbq=net)
    dose.residual_mbq, dose.residual_at, dose.net_mbq = activity_mbq, at, net
    event = record(
        dose,
        EventKind.RESIDUAL_ASSAYED,
        at=at,
        now=now,
        by=by,
        data={
            "mbq": activity_mbq,
            "net_mbq": net,
            "instrument": instrument,
            "doubts": doubts,
        },
    )
    measure(dose, "residual", activity_mbq, at, instrument, by, event)
    if named:
        record(dose, EventKind.BREACH_RECORDED, at=at, now=now, by=by, data={"act": "residual", "reasons": doubts})
    ledger.given(dose, by_name=by.name, event=event.pk)
    ledger.post(
        dose.batch, Way.RESIDUAL, dose.container.barcode, activity_mbq, at=at, instrument=instrument, by=by, event=event,
        corrects=ledger.standing_entry(dose, Way.RESIDUAL),
    )  # fmt: skip
    ledger.judge(dose.batch, dose.container.barcode, at=at, now=now, by=by)
    return dose


@transaction.atomic
def waste(
    dose: Dose, *, cause: Cause, at: datetime, now: datetime, by: Actor, activity_mbq: float | None = None
) -> Dose:  # fmt: skip
    """Drawn and not given. It never goes back into the vial."""
    left = drawn_for(dose).activity_at(at) if activity_mbq is None else activity_mbq
    move(dose, DoseEvent.WASTE, ended_reason=cause.note)
    event = record(dose, EventKind.DOSE_WASTED, at=at, now=now, by=by, cause=cause, data={"mbq": left})
    WasteItem.objects.create(
        batch_id=dose.batch_id, dose=dose, activity_mbq=left, at=at, cause_code=cause.code.value, event=event.pk
    )
    ledger.post(
        dose.batch, Way.WASTED, dose.container.barcode, left, at=at, instrument="", computed=activity_mbq is None, by=by,
        event=event,
    )  # fmt: skip
    return dose


@transaction.atomic
def return_dose(dose: Dose, *, reason: str, at: datetime, now: datetime, by: Actor) -> Dose:
    """A unit dose that nobody has opened goes back to its supplier; one that was drawn here and is somebody's does not."""
    if dose.state == DoseState.ASSIGNED and dose.stated_mbq is None:
        raise NotDone(["This dose was drawn here: what is left of it is wasted, with its cause"])
    move(dose, DoseEvent.RETURN, ended_reason=reason.strip())
    left = drawn_for(dose).activity_at(at)
    event = record(dose, EventKind.DOSE_RETURNED, at=at, now=now, by=by, data={"mbq": left, "reason": reason.strip()})
    ledger.post(
        dose.batch, Way.RETURNED, dose.container.barcode, left, at=at, instrument="", computed=True, by=by, event=event
    )
    return dose


@transaction.atomic
def check_dose(
    dose: Dose, *, activity_mbq: float, at: datetime, instrument: str, now: datetime, by: Actor
) -> list[str]:
    """A syringe measured again before it is given. What looks wrong is said, and stops authorising its injection."""
    if dose.state not in IN_HAND:
        raise NotDone([f"This dose is already {DoseState(dose.state).replace('_', ' ')}"])
    data = {"mbq": activity_mbq, "expected_mbq": drawn_for(dose).activity_at(at), "instrument": instrument}
    event = record(dose, EventKind.ACTIVITY_COUNTED, at=at, now=now, by=by, data=data)
    measure(dose, "check", activity_mbq, at, instrument, by, event)
    ledger.post(
        dose.batch, Way.COUNTED, dose.container.barcode, activity_mbq, at=at, instrument=instrument, by=by, event=event
    )
    ledger.judge(dose.batch, dose.container.barcode, at=at, now=now, by=by)
    reasons = why_not_itself(dose)
    if reasons:
        record(dose, EventKind.BREACH_RECORDED, at=at, now=now, by=by, data={"act": "check", "reasons": reasons})
    return reasons


def why_not_itself(dose: Dose) -> list[str]:
    """Why a syringe may not be what its label says: its last check, or, unchecked, what could not balance at its draw.

    A draw that was recorded because it had happened authorises nothing; one that was overridden by name was looked at.
    """
    last = dose.container.assays.filter(purpose="check").order_by("-at", "-pk").first()
    if last is None:
        drawn = Event.objects.filter(kind=EventKind.DOSE_DRAWN, subjects__contains=[dose.pk]).order_by("pk").first()
        return [] if drawn is None or drawn.data.get("override") else list(drawn.data.get("doubts", []))
    others = Dose.objects.filter(site_id=dose.site_id, state__in=IN_HAND)
    bench = {one.container.barcode: drawn_for(one) for one in others.select_related("container")}
    book = bench | {dose.container.barcode: drawn_for(dose)}
    reading = decay.Assay(nuclide_of(dose.tracer), last.activity_mbq, last.at)
    known = [fact.value for fact in NUCLIDES.values()]
    found = recheck(reading, dose.container.barcode, book, percent=CHECK_PERCENT.value, known=known)
    return [str(found)] if found else []


def residual_of(dose: Dose) -> decay.Assay | None:
    if dose.residual_mbq is None or dose.residual_at is None:
        return None
    return decay.Assay(nuclide_of(dose.tracer), dose.residual_mbq, dose.residual_at)


def measure(
    dose: Dose, purpose: str, activity_mbq: float, at: datetime, instrument: str, by: Actor, event: Event
) -> None:  # fmt: skip
    Assay.objects.create(
        container_id=dose.container_id,
        purpose=purpose,
        activity_mbq=activity_mbq,
        at=at,
        instrument=instrument,
        by_name=by.name,
        event=event.pk,
    )


def move(dose: Dose, event: DoseEvent, **columns: object) -> None:
    """Compare and set. Raises IllegalMove, or Stale when somebody moved the dose first."""
    before = DoseState(dose.state)
    after = advance(DOSE, before, event)
    if not Dose.objects.filter(pk=dose.pk, state=before).update(state=after, **columns):
        raise Stale(dose.pk)
    dose.state = after
    for name, value in columns.items():
        setattr(dose, name, value)


def record(
    dose: Dose,
    kind: EventKind,
    *,
    at: datetime,
    now: datetime,
    by: Actor,
    data: Mapping[str, Any],
    cause: Cause | None = None,
    subjects: Mapping[str, UUID] | None = None,
) -> Event:
    about: dict[str, UUID] = {"dose": dose.pk, "batch": dose.batch_id}
    if dose.appointment is not None:
        referral = dose.appointment.referral
        about |= {"appointment": dose.appointment_id, "referral": referral.pk, "patient": referral.patient_id}
    return append(
        kind,
        subjects={**about, **(subjects or {})},
        happened_at=at,
        recorded_at=now,
        by=by,
        site=dose.site_id,
        cause=cause,
        data={"tracer": dose.tracer, **data},
    )

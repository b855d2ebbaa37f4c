"""Decides which cancer clocks run for a referral, and when the first of them breaches.

A clock belongs to the trust of the pathway. A provider starts the copy that it sorts by and never pauses or stops it.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime
from uuid import UUID

from django.db import transaction

from gantry.apps.audit.services import append
from gantry.apps.estate.models import Organisation
from gantry.apps.pathways.models import Clock, Pathway
from gantry.apps.patients.models import Patient
from gantry.domain import waiting
from gantry.domain.events import Actor, EventKind
from gantry.domain.waiting import Standard, started_from_breach
from gantry.reference import clocks
from gantry.reference.dated import in_force


class NotTheOwner(Exception):
    """Only the trust of the pathway adjusts or stops its clock."""


@dataclass(frozen=True, slots=True)
class PathwayFacts:
    """What a referral says of its pathway. `kind` is the data set's word for it."""

    kind: str
    identifier: str = ""
    cancer_type: str = ""
    fds_clock_start: date | None = None
    decision_to_treat: date | None = None
    breach_62: date | None = None


def clocks_of(facts: PathwayFacts, owner: str) -> list[waiting.Clock]:
    """The standards' clocks that these dates start, with the days in force on each one's first day."""
    running = []
    if facts.fds_clock_start:
        running.append(clocks.clock(Standard.FDS_28, facts.fds_clock_start, owner))
    if facts.decision_to_treat:
        running.append(clocks.clock(Standard.DAY_31, facts.decision_to_treat, owner))
    if facts.breach_62:
        days = in_force(clocks.DAYS[Standard.DAY_62], facts.breach_62).value
        running.append(clocks.clock(Standard.DAY_62, started_from_breach(facts.breach_62, days), owner))
    return running


@transaction.atomic
def start(
    patient: Patient, facts: PathwayFacts, *, trust: Organisation, subjects: dict[str, UUID], now: datetime, by: Actor
) -> Pathway:
    """The patient's pathway at this trust with its clocks running; one that is known already is joined, not doubled."""
    pathway = known(patient, facts, trust)
    if pathway is None:
        # Someone else's identifier proves nothing about this patient: the pathway is kept without it.
        taken = Pathway.objects.filter(trust=trust, identifier=facts.identifier).exclude(identifier="").exists()
        pathway = Pathway.objects.create(
            patient=patient,
            trust=trust,
            identifier="" if taken else facts.identifier,
            kind=facts.kind,
            cancer_type=facts.cancer_type,
        )
    for one in clocks_of(facts, trust.ods_code):
        _, made = Clock.objects.get_or_create(
            pathway=pathway, days=one.days, defaults={"started_on": one.started_on, "breach_on": one.breach_on}
        )
        if made:
            append(
                EventKind.CLOCK_STARTED,
                subjects={"pathway": pathway.pk, "patient": patient.pk, **subjects},
                happened_at=now,
                recorded_at=now,
                by=by,
                organisation=trust.pk,
                data={"days": one.days, "started_on": one.started_on, "breach_on": one.breach_on},
            )
    return pathway


def known(patient: Patient, facts: PathwayFacts, trust: Organisation) -> Pathway | None:
    own = Pathway.objects.filter(patient=patient, trust=trust)
    if facts.identifier:
        return own.filter(identifier=facts.identifier).first()
    return own.filter(identifier="", kind=facts.kind, clocks__stopped_on=None).first()


def earliest_breach(pathway: Pathway | None) -> date | None:
    """The breach date to sort by: the first of the clocks that run."""
    if pathway is None:
        return None
    return pathway.clocks.filter(stopped_on=None).order_by("breach_on").values_list("breach_on", flat=True).first()


@transaction.atomic
def adjust(
    clock: Clock,
    *,
    breach_on: date,
    code: str,
    owned_by: Iterable[UUID],
    subjects: dict[str, UUID],
    now: datetime,
    by: Actor,
) -> Clock:
    """Move the breach date, by the owning trust with its adjustment code. `owned_by` are the actor's organisations."""
    pathway = only_by_the_owner(clock, owned_by)
    before = clock.breach_on
    clock.breach_on = breach_on
    clock.save(update_fields=["breach_on"])
    append(
        EventKind.CLOCK_ADJUSTED,
        subjects={"pathway": pathway.pk, "patient": pathway.patient_id, **subjects},
        happened_at=now,
        recorded_at=now,
        by=by,
        organisation=pathway.trust_id,
        data={"days": clock.days, "from": before, "breach_on": breach_on, "code": code},
    )
    return clock


@transaction.atomic
def stop(
    clock: Clock, *, stopped_on: date, owned_by: Iterable[UUID], subjects: dict[str, UUID], now: datetime, by: Actor
) -> Clock:
    pathway = only_by_the_owner(clock, owned_by)
    clock.stopped_on = stopped_on
    clock.save(update_fields=["stopped_on"])
    append(
        EventKind.CLOCK_STOPPED,
        subjects={"pathway": pathway.pk, "patient": pathway.patient_id, **subjects},
        happened_at=now,
        recorded_at=now,
        by=by,
        organisation=pathway.trust_id,
        data={"days": clock.days, "stopped_on": stopped_on},
    )
    return clock


def only_by_the_owner(clock: Clock, owned_by: Iterable[UUID]) -> Pathway:
    pathway = Pathway.objects.select_for_update().get(pk=clock.pathway_id)
    if pathway.trust_id not in set(owned_by):
        raise NotTheOwner(pathway.pk)
    return pathway

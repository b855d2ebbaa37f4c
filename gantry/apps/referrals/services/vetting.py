"""Records the practitioner's decision: accept with an authorisation, ask back, redirect or reject."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from uuid import UUID

from django.db import connection, transaction
from django.utils import timezone

from gantry.apps.accounts.models import Person, PractitionerLicence
from gantry.apps.audit.ids import new_id
from gantry.apps.audit.services import append
from gantry.apps.estate.models import Site
from gantry.apps.referrals.models import (
    Authorisation,
    Finding,
    Referral,
    ReferralQuestion,
    RequestedProcedure,
    VettingDecision,
)
from gantry.apps.referrals.services.covering import (
    STANDS_AFTER_WINDOW_DAYS,
    sites_of,
    why_not_by_site,
    window_of,
)
from gantry.apps.referrals.services.moving import (
    drop_questions,
    end_authorisations,
    locked,
    move,
    return_to_vetting,
    subjects_of,
    waits_again,
)
from gantry.domain.events import Actor, EventKind
from gantry.domain.identifiers import make_accession, uid_from_uuid
from gantry.domain.lifecycle import advance
from gantry.domain.referral import (
    REFERRAL,
    VETTED,
    ReferralState,
    RejectionReason,
    Severity,
    VetDecision,
    why_not_decided,
)

ACCESSION_NUMBERS = 32**4


@dataclass(frozen=True, slots=True)
class Wanted:
    """One procedure to be done: what, with which tracer, by which protocol, how much."""

    procedure_code: str
    tracer: str
    title: str
    protocol: str
    protocol_version: str = ""
    activity_mbq: float | None = None
    scheme: str = ""
    minutes_per_bed: float | None = None
    weight_kg: float | None = None
    computed_mbq: float | None = None
    includes: tuple[str, ...] = ("pet", "ct")


@dataclass(frozen=True, slots=True)
class Vetting:
    """A decision as the page sends it. Which parts count depends on `decision`."""

    decision: VetDecision
    procedures: tuple[Wanted, ...] = ()
    sites: tuple[UUID, ...] = ()
    """Sites in play; none means every site of the network that can do it."""
    justified: bool = False
    justification: str = ""
    change: str = ""
    question: str = ""
    fields: tuple[str, ...] = ()
    reason: RejectionReason | None = None
    explanation: str = ""
    where_to: str = ""
    indication_row: str = ""
    indication_edition: str = ""


@dataclass(frozen=True, slots=True)
class Vetted:
    """Recorded. `left_out` are sites that the authorisation does not reach, each with its reasons."""

    referral: Referral
    decision: VettingDecision
    authorisations: tuple[Authorisation, ...] = ()
    left_out: dict[UUID, list[str]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class NotVetted:
    """Nothing was recorded, for these reasons."""

    reasons: list[str]
    by_site: dict[UUID, list[str]] = field(default_factory=dict)


@transaction.atomic
def vet(
    referral: Referral, decision: Vetting, *, version: int | None = None, now: datetime, by: Actor, person: Person
) -> Vetted | NotVetted:
    """Record one decision. Raises Stale and IllegalMove.

    What follows an unfinished scan is decided like a new request: it comes back and is decided in one act, or not at all.
    """
    row = locked(referral, version)
    if not waits_again(row):
        return decide(row, decision, now=now, by=by, person=person)
    before = transaction.savepoint()
    row = return_to_vetting(row, row.next_step, now=now, by=by)
    got = decide(row, decision, now=now, by=by, person=person)
    if isinstance(got, NotVetted):
        transaction.savepoint_rollback(before)
    else:
        transaction.savepoint_commit(before)
    return got


def decide(row: Referral, decision: Vetting, *, now: datetime, by: Actor, person: Person) -> Vetted | NotVetted:
    """One decision on a locked row that waits for it."""
    event = VETTED[decision.decision]
    advance(REFERRAL, ReferralState(row.state), event)
    reasons = why_not(row, decision)
    if reasons:
        return NotVetted(reasons)
    if decision.decision in (VetDecision.ACCEPT, VetDecision.ACCEPT_WITH_CHANGE):
        return accept(row, decision, now=now, by=by, person=person)
    kept = record(row, decision, now=now, person=person)
    said, data = "", {"decision": decision.decision.value, "vetting": kept.pk}
    if decision.decision is VetDecision.QUERY:
        key = new_id()
        row = move(
            row,
            event,
            now=now,
            by=by,
            data={**data, "fields": list(decision.fields)},
            subjects={"question": key},
        )
        ReferralQuestion.objects.create(
            pk=key,
            referral=row,
            asked_at=now,
            asked_by=person,
            text=decision.question.strip(),
            fields=list(decision.fields),
            due_at=row.due_at,
        )
        return Vetted(row, kept)
    data["where_to"] = decision.where_to
    if decision.decision is VetDecision.REJECT:
        data["reason"] = decision.reason.value if decision.reason else ""
        drop_questions(row, now=now)
    else:
        said = f"Pass on to {decision.where_to}, until somebody accepts it"
    return Vetted(move(row, event, now=now, by=by, said=said, data=data), kept)


def why_not(row: Referral, decision: Vetting) -> list[str]:
    """What the decision itself lacks, before anybody's licence is looked at."""
    accepting = decision.decision in (VetDecision.ACCEPT, VetDecision.ACCEPT_WITH_CHANGE)
    open_queries = 0
    if accepting:
        open_queries = ReferralQuestion.objects.filter(referral=row, answered_at=None).count()
    reasons = why_not_decided(
        decision.decision,
        justified=decision.justified,
        protocol=decision.procedures[0].protocol if decision.procedures else "",
        change=decision.change,
        questions=[decision.question],
        reason=decision.reason,
        where_to=decision.where_to,
        open_queries=open_queries,
    )
    if accepting and decision.procedures:
        for wanted in decision.procedures:
            if not (wanted.procedure_code and wanted.tracer and wanted.protocol):
                reasons.append("Choose the tracer and the protocol")
            if wanted.activity_mbq is None or wanted.activity_mbq <= 0:
                reasons.append(f"Prescribe the activity of {wanted.tracer or 'the tracer'}")
        gaps = Finding.objects.filter(referral=row, resolved_at=None, severity=Severity.QUERY.value).count()
        if gaps:
            reasons.append(f"{gaps} gap{'s' if gaps > 1 else ''} in the data set still open: ask the referrer")
    return list(dict.fromkeys(reasons))


def accept(row: Referral, decision: Vetting, *, now: datetime, by: Actor, person: Person) -> Vetted | NotVetted:
    """Authorise each procedure at every site where nothing is missing; at none, nothing is recorded."""
    today = timezone.localdate(now)
    window = window_of(row, today)
    sites = in_play_sites(row, decision.sites)
    if not sites:
        needs = ", ".join(row.capabilities) or "this scan"
        return NotVetted([f"No site of the network can do it: it needs {needs}"])
    reasons_by_site: dict[UUID, list[str]] = {site.pk: [] for site in sites}
    for wanted in decision.procedures:
        found = why_not_by_site(wanted.procedure_code, sites=sites, window=window, person=person)
        for key, reasons in found.items():
            reasons_by_site[key] += [reason for reason in reasons if reason not in reasons_by_site[key]]
    covered = [site for site in sites if not reasons_by_site[site.pk]]
    if not covered:
        every = list(dict.fromkeys(reason for reasons in reasons_by_site.values() for reason in reasons))
        return NotVetted(every, reasons_by_site)
    kept = record(row, decision, now=now, person=person)
    end_authorisations(row, reason="Decided again", now=now, by=by)
    first = decision.procedures[0]
    move(
        row,
        VETTED[decision.decision],
        now=now,
        by=by,
        data={
            "decision": decision.decision.value,
            "vetting": kept.pk,
            "indication": decision.indication_row,
            "edition": decision.indication_edition,
            "change": decision.change,
        },
        tracer=first.tracer,
        procedure_code=first.procedure_code,
    )
    authorisations = tuple(
        authorise(row, wanted, decision, covered, window, now=now, by=by, person=person)
        for wanted in decision.procedures
    )
    left_out = {key: reasons for key, reasons in reasons_by_site.items() if reasons}
    return Vetted(row, kept, authorisations, left_out)


def in_play_sites(row: Referral, chosen: Iterable[UUID]) -> list[Site]:
    able = sites_of(row)
    wanted = set(chosen)
    return [site for site in able if site.pk in wanted] if wanted else able


def authorise(
    row: Referral,
    wanted: Wanted,
    decision: Vetting,
    sites: list[Site],
    window: tuple[date, date],
    *,
    now: datetime,
    by: Actor,
    person: Person,
) -> Authorisation:
    """The procedure with its numbers, and its justification and authorisation as two events (IR(ME)R reg 11)."""
    procedure = procedure_for(row, wanted, now=now)
    licence = covering_licence(person, wanted.procedure_code, window[0])
    authorisation = Authorisation.objects.create(
        procedure=procedure,
        practitioner=person,
        licence_number=licence.number if licence else "",
        procedure_code=wanted.procedure_code,
        tracer=wanted.tracer,
        sites=[site.pk for site in sites],
        employers=list(dict.fromkeys(site.organisation_id for site in sites)),
        includes=list(wanted.includes),
        activity_mbq=wanted.activity_mbq,
        scheme=wanted.scheme,
        minutes_per_bed=wanted.minutes_per_bed,
        weight_kg=wanted.weight_kg,
        computed_mbq=wanted.computed_mbq,
        justification=decision.justification,
        valid_from=min(window[0], timezone.localdate(now)),
        valid_to=window[1] + timedelta(days=STANDS_AFTER_WINDOW_DAYS),
        at=now,
    )
    subjects = subjects_of(row, procedure=procedure.pk, authorisation=authorisation.pk)
    for kind in (EventKind.EXPOSURE_JUSTIFIED, EventKind.EXPOSURE_AUTHORISED):
        append(
            kind,
            subjects=subjects,
            happened_at=now,
            recorded_at=now,
            by=by,
            organisation=row.provider_id,
            data={
                "licence": authorisation.licence_number,
                "procedure_code": wanted.procedure_code,
                "tracer": wanted.tracer,
                "sites": [site.ods_code for site in sites],
                "activity_mbq": wanted.activity_mbq,
                "scheme": wanted.scheme,
                "minutes_per_bed": wanted.minutes_per_bed,
                "valid_to": authorisation.valid_to,
            },
        )
    return authorisation


def procedure_for(row: Referral, wanted: Wanted, *, now: datetime) -> RequestedProcedure:
    """The same procedure decided again keeps its numbers; another gets its own."""
    known = RequestedProcedure.objects.filter(
        referral=row, procedure_code=wanted.procedure_code, tracer=wanted.tracer
    ).first()
    if known:
        known.protocol, known.protocol_version, known.title = wanted.protocol, wanted.protocol_version, wanted.title
        known.minutes_per_bed = wanted.minutes_per_bed
        known.save(update_fields=["protocol", "protocol_version", "title", "minutes_per_bed"])
        return known
    number = next_number()
    return RequestedProcedure.objects.create(
        referral=row,
        accession_number=make_accession(row.provider.ods_code, timezone.localdate(now), number % ACCESSION_NUMBERS),
        study_uid=uid_from_uuid(new_id()),
        requested_procedure_id=f"RP{number:010d}",
        procedure_code=wanted.procedure_code,
        title=wanted.title,
        tracer=wanted.tracer,
        protocol=wanted.protocol,
        protocol_version=wanted.protocol_version,
        minutes_per_bed=wanted.minutes_per_bed,
        created_at=now,
    )


def next_number() -> int:
    """From one sequence of the database: two processes never draw the same."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT nextval('referrals_procedure_number')")
        return int(cursor.fetchone()[0])


def covering_licence(person: Person, procedure_code: str, on: date) -> PractitionerLicence | None:
    return (
        PractitionerLicence.objects.filter(
            person=person, procedures__contains=[procedure_code], valid_from__lte=on, valid_to__gte=on
        )
        .order_by("-valid_to")
        .first()
    )


def record(row: Referral, decision: Vetting, *, now: datetime, person: Person) -> VettingDecision:
    """The decision as it was made, with the indication row and its edition of that day."""
    return VettingDecision.objects.create(
        referral=row,
        decision=decision.decision.value,
        by=person,
        at=now,
        reason_code=decision.reason.value if decision.reason else "",
        reason=decision.explanation or decision.change or decision.question or decision.justification,
        where_to=decision.where_to,
        indication_row=decision.indication_row,
        indication_edition=decision.indication_edition,
    )


def reject(
    referral: Referral,
    *,
    reason: RejectionReason,
    explanation: str,
    where_to: str,
    version: int | None = None,
    now: datetime,
    by: Actor,
    person: Person,
) -> Vetted | NotVetted:
    decision = Vetting(VetDecision.REJECT, reason=reason, explanation=explanation, where_to=where_to)
    return vet(referral, decision, version=version, now=now, by=by, person=person)


def redirect(
    referral: Referral,
    *,
    where_to: str,
    explanation: str = "",
    version: int | None = None,
    now: datetime,
    by: Actor,
    person: Person,
) -> Vetted | NotVetted:
    """Ours until somebody else accepts it: then `close`."""
    decision = Vetting(VetDecision.REDIRECT, explanation=explanation, where_to=where_to)
    return vet(referral, decision, version=version, now=now, by=by, person=person)

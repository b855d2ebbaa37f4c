"""Takes a request in: the one way through which all four doors make a referral."""

from collections.abc import Iterable
from datetime import datetime
from uuid import UUID

from django.db import connection, transaction
from django.utils import timezone

from gantry.apps.audit.ids import new_id
from gantry.apps.audit.services import append
from gantry.apps.estate.models import Organisation, OrganisationKind
from gantry.apps.pathways import services as pathways
from gantry.apps.patients import services as patients
from gantry.apps.patients.models import Patient
from gantry.apps.referrals.models import Finding as FindingRow
from gantry.apps.referrals.models import Prior, Referral, ReferralQuestion, ReportRecipient
from gantry.apps.referrals.services.asking import (
    context_for,
    organisation_for_the_record,
    organisation_of,
    organisations_of,
)
from gantry.apps.referrals.services.columns import columns, pathway_facts, patient_facts
from gantry.apps.referrals.services.moving import move, subjects_of
from gantry.apps.referrals.services.next_steps import next_step
from gantry.apps.referrals.services.submission import Found, Received, Refused, Submission
from gantry.domain.events import Actor, EventKind
from gantry.domain.referral import (
    DATA_SET_VERSION,
    OPEN_STATES,
    Case,
    Context,
    Finding,
    ReferralEvent,
    ReferralState,
    Severity,
    event_after_checking,
    findings,
    plain,
)

UNREADABLE, MISSING = "MDS-02", "MDS-01"
SPEAKS_FOR_OTHERS = frozenset({OrganisationKind.IMAGING_NETWORK, OrganisationKind.ALLIANCE})
"""A shared engine may send for the hospitals behind it."""


@transaction.atomic
def receive(submission: Submission, *, now: datetime, by: Actor) -> Received | Refused:
    """Keep a request, or refuse it with every reason and a place to send it. Repeats return what was kept."""
    lock(submission.source_key)
    earlier = Referral.objects.filter(source_key=submission.source_key).first()
    if earlier:
        return repeat_of(earlier)
    on = timezone.localdate(now)
    answers = {**submission.answers, "received_datetime": now}
    referring = organisation_of(answers.get("referring_org_ods")) or submission.sender_organisation
    context = context_for(submission.network, on, referring=referring)
    case = Case(answers, on, context)
    found = [*submission.findings, *findings(answers, on=on, context=context), *whose(submission, case, referring)]
    found = once(found)
    if event_after_checking(found) is ReferralEvent.REFUSE:
        return refuse(submission, found, context, now=now, by=by)
    referring = referring or organisation_for_the_record(case.text("referring_org_ods"))
    if referring is None:
        nobody = Finding(
            "GAN-03",
            "referring_org_ods",
            "Say which hospital refers: there is nobody to ask",
            Severity.REFUSE,
            context.signposts.mend,
        )
        return refuse(submission, [*found, nobody], context, now=now, by=by)
    facts = patient_facts(case, assigner=referring.ods_code)
    patients.lock_identity(facts)
    found = once([*found, *(Finding("GAN-02", field, said) for field, said in patients.conflicts(facts))])
    everyone = organisations_with_a_reason(submission, case, referring)
    patient = patients.find_or_add(facts, organisations=[one.pk for one in everyone], now=now, by=by)
    again = same_order(submission, patient, referring)
    if again:
        return repeat_of(again)
    referral = keep(submission, case, patient, referring, everyone, now=now, by=by)
    placed = [Found(one, submission.where(one.field)) for one in found]
    settle(referral, placed, now=now, by=by)
    return Received(referral, tuple(placed), where_to=where_to(found))


def lock(source_key: str) -> None:
    """A repeat that arrives in the same moment waits for the first, then finds it."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", [f"referral|{source_key}"])


def whose(submission: Submission, case: Case, referring: Organisation | None) -> Iterable[Finding]:
    """Who the patient is, and whether the sender may speak for the hospital named."""
    mend = case.context.signposts.mend
    facts = patient_facts(case, assigner=referring.ods_code if referring else "")
    for field, reason in patients.why_not_identified(facts):
        yield Finding("GAN-01", field, reason, Severity.REFUSE, mend)
    sender = submission.sender_organisation
    if sender is None or referring is None or sender == referring:
        return
    if sender != submission.network.provider and sender.kind not in SPEAKS_FOR_OTHERS:
        message = f"{sender.ods_code} is not registered to refer for {referring.ods_code}"
        yield Finding("GAN-04", "referring_org_ods", message, Severity.REFUSE, mend)


def once(found: Iterable[Finding]) -> list[Finding]:
    """One finding for one fault: a value that cannot be read is not also missing."""
    kept = list(dict.fromkeys(found))
    unreadable = {one.field for one in kept if one.code == UNREADABLE}
    refused = {one.field for one in kept if one.severity is Severity.REFUSE}
    return [
        one
        for one in kept
        if not (one.code == MISSING and one.field in unreadable | refused)
        and not (one.code == "MDS-13" and one.field in refused)
    ]


def where_to(found: Iterable[Finding]) -> str:
    """The place of the gravest finding."""
    by_gravity = sorted(
        (one for one in found if one.where_to), key=lambda one: [Severity.REFUSE, Severity.REDIRECT].index(one.severity)
    )
    # Primary care and the network say where to go; "mend it" is said only where nothing else is.
    elsewhere = [one.where_to for one in by_gravity if one.code in ("MDS-20", "MDS-21", "MDS-23")]
    return next(iter([*elsewhere, *(one.where_to for one in by_gravity)]), "")


def refuse(submission: Submission, found: list[Finding], context: Context, *, now: datetime, by: Actor) -> Refused:
    """Recorded and acknowledged, never just bounced. The event says which items, not what was in them."""
    going = where_to(found) or context.signposts.mend
    event = append(
        EventKind.REFERRAL_REFUSED,
        subjects={"submission": submission.raw_inbox_id or new_id()},
        happened_at=now,
        recorded_at=now,
        by=by,
        organisation=submission.network.provider_id,
        data={
            "door": submission.door,
            "source_key": submission.source_key,
            "sender": submission.sender_organisation.ods_code if submission.sender_organisation else "",
            "findings": [{"code": one.code, "field": one.field, "severity": one.severity.value} for one in found],
            "where_to": going,
        },
    )
    return Refused(tuple(Found(one, submission.where(one.field)) for one in found), going, event.pk)


def repeat_of(referral: Referral) -> Received:
    rows = FindingRow.objects.filter(referral=referral).order_by("pk")
    kept = tuple(
        Found(Finding(row.code, row.field, row.message, Severity(row.severity)), row.coordinate) for row in rows
    )
    redirected = referral.state == ReferralState.REDIRECTED
    return Received(referral, kept, repeated=True, where_to=referral.next_step if redirected else "")


def same_order(submission: Submission, patient: Patient, referring: Organisation) -> Referral | None:
    """The same order by another door, or with another message identity, while the first is still open."""
    if not submission.placer_order_number:
        return None
    lock(f"order|{referring.pk}|{submission.placer_order_number}")
    return Referral.objects.filter(
        placer_order_number=submission.placer_order_number,
        referring_organisation=referring,
        patient=patient,
        state__in=[state.value for state in OPEN_STATES],
    ).first()


def organisations_with_a_reason(submission: Submission, case: Case, referring: Organisation) -> list[Organisation]:
    """Who refers, who provides, and everyone who is to have the report."""
    recipients = organisations_of(case.several("report_to"))
    sender = [submission.sender_organisation] if submission.sender_organisation else []
    return list(dict.fromkeys([referring, submission.network.provider, *recipients, *sender]))


def keep(
    submission: Submission,
    case: Case,
    patient: Patient,
    referring: Organisation,
    everyone: list[Organisation],
    *,
    now: datetime,
    by: Actor,
) -> Referral:
    """The row, its recipients, its pathway and its priors, as received."""
    named = columns(case)
    step = next_step(ReferralState.RECEIVED, priority=named["priority"], breach_on=None, now=now)
    referral = Referral.objects.create(
        patient=patient,
        network=submission.network,
        provider=submission.network.provider,
        referring_organisation=referring,
        referrer=submission.referrer,
        organisations=[one.pk for one in everyone],
        door=submission.door,
        source_key=submission.source_key,
        placer_order_number=submission.placer_order_number[:80],
        data_set_version=submission.network.data_set_version or DATA_SET_VERSION,
        answers=plain(case.answers),
        state=ReferralState.RECEIVED.value,
        received_at=now,
        **step.columns(),
        **named,
    )
    append(
        EventKind.REFERRAL_RECEIVED,
        subjects=subjects_of(referral),
        happened_at=now,
        recorded_at=now,
        by=by,
        organisation=referral.provider_id,
        data={"door": submission.door, "referring": referring.ods_code, "inbox": submission.raw_inbox_id},
    )
    for one in dict.fromkeys([referring, *organisations_of(case.several("report_to"))]):
        ReportRecipient.objects.create(referral=referral, organisation=one)
    keep_pathway(referral, case, now=now, by=by)
    keep_priors(referral, case)
    return referral


def keep_pathway(referral: Referral, case: Case, *, now: datetime, by: Actor) -> None:
    """The clocks that the referral sorts by."""
    facts = pathway_facts(case)
    if facts is None:
        return
    trust = organisation_of(case.text("pathway_issuer")) or referral.referring_organisation
    pathway = pathways.start(referral.patient, facts, trust=trust, subjects={"referral": referral.pk}, now=now, by=by)
    referral.pathway, referral.breach_on = pathway, pathways.earliest_breach(pathway)
    referral.save(update_fields=["pathway", "breach_on"])


def keep_priors(referral: Referral, case: Case) -> None:
    """Each earlier study that the reporter will want beside this one."""
    for row in case.rows("prior_imaging"):
        Prior.objects.get_or_create(
            referral=referral,
            modality=str(row.get("modality") or "")[:10],
            region=str(row.get("region") or "")[:60],
            on=row.get("date"),
            held_by=str(row.get("site_ods") or "")[:12],
        )


def keep_findings(referral: Referral, found: Iterable[Found]) -> None:
    FindingRow.objects.bulk_create(
        FindingRow(
            referral=referral,
            code=one.finding.code,
            field=one.finding.field[:60],
            coordinate=one.coordinate[:120],
            message=one.finding.message,
            severity=one.finding.severity.value,
        )
        for one in found
    )


def settle(referral: Referral, found: list[Found], *, now: datetime, by: Actor) -> None:
    """What follows from the findings: complete, asked back, or handed to a person who sends it on."""
    keep_findings(referral, found)
    event = event_after_checking(one.finding for one in found)
    match event:
        case ReferralEvent.COMPLETE:
            move(referral, event, now=now, by=by, completed_at=now)
        case ReferralEvent.REDIRECT:
            going = where_to(one.finding for one in found)
            said = f"Pass on: {referral.network.outside_contact}"
            move(referral, event, now=now, by=by, said=said, data={"where_to": going})
        case ReferralEvent.ASK:
            ask_for_gaps(referral, [one.finding for one in found], now=now, by=by)


def ask_for_gaps(referral: Referral, found: list[Finding], *, now: datetime, by: Actor) -> ReferralQuestion:
    """One question that names every gap at once."""
    gaps = [one for one in found if one.severity is Severity.QUERY]
    fields = list(dict.fromkeys(one.field[:60] for one in gaps))
    said = f"Answer {len(gaps)} question{'s' if len(gaps) > 1 else ''} about what was sent"
    key: UUID = new_id()
    move(
        referral,
        ReferralEvent.ASK,
        now=now,
        by=by,
        said=said,
        data={"fields": fields},
        subjects={"question": key},
    )
    return ReferralQuestion.objects.create(
        pk=key,
        referral=referral,
        asked_at=now,
        text="\n".join(dict.fromkeys(one.message for one in gaps)),
        fields=fields,
        due_at=referral.due_at,
    )

"""Asks the referrer, takes the answers, and sends a referral on to vetting once nothing is open."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.db import transaction
from django.utils import timezone

from gantry.apps.accounts.models import Person
from gantry.apps.audit.ids import new_id
from gantry.apps.audit.services import append
from gantry.apps.patients import services as patients
from gantry.apps.referrals.models import Finding as FindingRow
from gantry.apps.referrals.models import Referral, ReferralQuestion, ReportRecipient
from gantry.apps.referrals.services.asking import case_of, context_for, organisations_of
from gantry.apps.referrals.services.columns import columns, joined, patient_facts
from gantry.apps.referrals.services.intake import keep_findings, keep_pathway, keep_priors, once
from gantry.apps.referrals.services.moving import locked, move, set_columns, subjects_of
from gantry.apps.referrals.services.submission import Found
from gantry.domain.events import Actor, EventKind
from gantry.domain.referral import Case, Finding, ReferralEvent, ReferralState, Severity, findings, plain


@dataclass(frozen=True, slots=True)
class Answered:
    """What is left to ask after the answers were kept; nothing left means that it went on to vetting."""

    referral: Referral
    left: tuple[Finding, ...]


@transaction.atomic
def ask(
    referral: Referral,
    text: str,
    fields: Iterable[str] = (),
    *,
    version: int | None = None,
    now: datetime,
    by: Actor,
    person: Person | None = None,
) -> ReferralQuestion:
    """Put a question to the referrer; the referral waits for them."""
    row = locked(referral, version)
    key: UUID = new_id()
    about = list(dict.fromkeys(fields))
    waiting = row.state == ReferralState.AWAITING_REFERRER
    if waiting:
        set_columns(row, next_step="Answer the questions")
        append(
            EventKind.QUESTION_ASKED,
            subjects=subjects_of(row, question=key),
            happened_at=now,
            recorded_at=now,
            by=by,
            organisation=row.provider_id,
            data={"fields": about},
        )
    else:
        move(row, ReferralEvent.ASK, now=now, by=by, data={"fields": about}, subjects={"question": key})
    return ReferralQuestion.objects.create(
        pk=key, referral=row, asked_at=now, asked_by=person, text=text, fields=about, due_at=row.due_at
    )


@transaction.atomic
def answer(
    referral: Referral,
    answers: Mapping[str, object],
    *,
    text: str = "",
    version: int | None = None,
    now: datetime,
    by: Actor,
    person: Person | None = None,
    unreadable: Iterable[Finding] = (),
    coordinates: Mapping[str, str] | None = None,
) -> Answered:
    """Keep the answers over the earlier ones, check the whole again, and go on to vetting when nothing is open."""
    row = locked(referral, version)
    on = timezone.localdate(now)
    context = context_for(row.network, on, referring=row.referring_organisation)
    before = case_of(row, on, context)
    case = Case(joined(before.answers, answers), on, context)
    left = once([*unreadable, *findings(case.answers, on=on, context=context)])
    # A correction that would have been refused at the door is asked back: the referral is ours now.
    left = [one for one in left if one.severity is not Severity.REDIRECT]
    rewrite(row, case, left, coordinates or {}, now=now, by=by)
    open_gaps = [one for one in left if one.severity in (Severity.QUERY, Severity.REFUSE)]
    close_questions(row, answers, text, open_gaps, now=now, by=by, person=person)
    if row.state == ReferralState.AWAITING_REFERRER and not open_gaps and not open_questions(row):
        move(row, ReferralEvent.COMPLETE, now=now, by=by, completed_at=row.completed_at or now)
    return Answered(row, tuple(open_gaps))


def open_questions(row: Referral) -> list[ReferralQuestion]:
    open_ones = ReferralQuestion.objects.filter(referral=row, answered_at=None)
    return list(open_ones.select_related("asked_by").order_by("asked_at", "pk"))


def open_items(row: Referral) -> list[str]:
    """The items of the data set that open questions and findings are about."""
    names = [name for question in open_questions(row) for name in question.fields]
    gaps = FindingRow.objects.filter(referral=row, resolved_at=None).exclude(severity=Severity.WARN.value)
    names += list(gaps.order_by("pk").values_list("field", flat=True))
    return list(dict.fromkeys(name.partition("-")[0] for name in names))


def rewrite(
    row: Referral, case: Case, left: list[Finding], coordinates: Mapping[str, str], *, now: datetime, by: Actor
) -> None:
    """The answers, what follows from them, and the findings that stand now."""
    patients.fill_in(row.patient, patient_facts(case, assigner=row.referring_organisation.ods_code))
    recipients = organisations_of(case.several("report_to"))
    for one in recipients:
        ReportRecipient.objects.get_or_create(referral=row, organisation=one)
    seen_by = list(dict.fromkeys([*row.organisations, *(one.pk for one in recipients)]))
    patients.let_see(row.patient, seen_by)
    set_columns(row, answers=plain(case.answers), organisations=seen_by, **columns(case))
    keep_pathway(row, case, now=now, by=by)
    keep_priors(row, case)
    standing = {(one.code, one.field[:60], one.message) for one in left}
    known = set()
    for finding in FindingRow.objects.filter(referral=row, resolved_at=None):
        key = (finding.code, finding.field, finding.message)
        known.add(key)
        if key not in standing:
            finding.resolved_at = now
            finding.save(update_fields=["resolved_at"])
    keep_findings(
        row,
        [
            Found(one, coordinates.get(one.field, ""))
            for one in left
            if (one.code, one.field[:60], one.message) not in known
        ],
    )


def close_questions(
    row: Referral,
    answers: Mapping[str, object],
    text: str,
    open_gaps: list[Finding],
    *,
    now: datetime,
    by: Actor,
    person: Person | None,
) -> None:
    """A question about fields is answered when none of them is open; one in words, by words or by its fields."""
    still = {one.field.partition("-")[0] for one in open_gaps}
    for question in ReferralQuestion.objects.select_for_update().filter(referral=row, answered_at=None):
        about = {field.partition("-")[0] for field in question.fields}
        given = not about.isdisjoint(answers)
        if about & still or not (text.strip() or given or question.asked_by_id is None):
            continue
        question.answered_at, question.answered_by, question.answer = now, person, text.strip()
        question.save(update_fields=["answered_at", "answered_by", "answer"])
        append(
            EventKind.QUESTION_ANSWERED,
            subjects=subjects_of(row, question=question.pk),
            happened_at=now,
            recorded_at=now,
            by=by,
            organisation=row.provider_id,
            data={"fields": sorted(about)},
        )

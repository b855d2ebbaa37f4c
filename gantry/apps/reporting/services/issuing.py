"""Issuing a report: preliminary, verified, amended, withdrawn. A version is written once and never again."""

from datetime import datetime

from django.db import transaction

from gantry.apps.accounts.models import Person
from gantry.apps.audit.ids import new_id
from gantry.apps.audit.services import Stale
from gantry.apps.reporting.models import Report, ReportVersion
from gantry.apps.reporting.services.distributing import distribute
from gantry.apps.reporting.services.writing import (
    OpenElsewhere,
    Refused,
    Sections,
    elsewhere,
    record,
    study_of,
    why_not_issued,
)
from gantry.domain.events import Actor, EventKind
from gantry.domain.lifecycle import advance
from gantry.domain.report import REPORT, ReportEvent, ReportState

KIND = {
    ReportEvent.ISSUE_PRELIMINARY: EventKind.REPORT_ISSUED_PRELIMINARY,
    ReportEvent.VERIFY: EventKind.REPORT_VERIFIED,
    ReportEvent.AMEND: EventKind.REPORT_AMENDED,
    ReportEvent.WITHDRAW: EventKind.REPORT_WITHDRAWN,
}


@transaction.atomic
def issue_preliminary(
    report: Report,
    sections: Sections,
    *,
    version: int,
    by: Actor,
    person: Person,
    now: datetime,
    exception_reason: str = "",
) -> ReportVersion:
    """An early word, marked as one. Raises Refused, OpenElsewhere, Stale."""
    return _issue(
        report, ReportEvent.ISSUE_PRELIMINARY, sections, version, by, person, now, exception_reason=exception_reason
    )


@transaction.atomic
def verify(
    report: Report,
    sections: Sections,
    *,
    version: int,
    by: Actor,
    person: Person,
    now: datetime,
    exception_reason: str = "",
) -> ReportVersion:
    """The final word, in this person's name. Raises Refused, OpenElsewhere, Stale."""
    return _issue(report, ReportEvent.VERIFY, sections, version, by, person, now, exception_reason=exception_reason)


@transaction.atomic
def amend(
    report: Report,
    sections: Sections,
    *,
    reason: str,
    version: int,
    by: Actor,
    person: Person,
    now: datetime,
    exception_reason: str = "",
) -> ReportVersion:
    """Another version, with its reason, to everyone who had an earlier one. Raises Refused, OpenElsewhere, Stale."""
    if not reason.strip():
        raise Refused(["Say why the report is amended"])
    return _issue(
        report,
        ReportEvent.AMEND,
        sections,
        version,
        by,
        person,
        now,
        reason=reason.strip(),
        exception_reason=exception_reason,
    )


def _issue(
    report: Report,
    event: ReportEvent,
    sections: Sections,
    version: int,
    by: Actor,
    person: Person,
    now: datetime,
    *,
    reason: str = "",
    exception_reason: str = "",
) -> ReportVersion:
    report = _locked(report)
    state = advance(REPORT, ReportState(report.state), event)
    if held := elsewhere(report, person, now):
        raise OpenElsewhere(held)
    if reasons := why_not_issued(report, sections, person=person, now=now, exception_reason=exception_reason):
        raise Refused(reasons)
    without = f"Released without an NHS number: {exception_reason.strip()}" if exception_reason.strip() else ""
    said = ". ".join(part for part in (reason, without) if part)
    issued = _write(report, event, state, sections, version, by, person, now, reason=said)
    distribute(issued, by=by, now=now)
    return issued


@transaction.atomic
def withdraw(
    report: Report, *, reason: str, wrong_person: bool, version: int, by: Actor, person: Person, now: datetime
) -> ReportVersion:
    """Take it down everywhere it went, and keep the proof that it was. Raises Refused, Stale."""
    if not reason.strip():
        raise Refused(["Say why the report is withdrawn"])
    report = _locked(report)
    state = advance(REPORT, ReportState(report.state), ReportEvent.WITHDRAW)
    said = f"It was about another person. {reason.strip()}" if wrong_person else reason.strip()
    issued = _write(report, ReportEvent.WITHDRAW, state, Sections(), version, by, person, now, reason=said)
    distribute(issued, by=by, now=now)
    return issued


@transaction.atomic
def reopen(report: Report, *, version: int, by: Actor, person: Person, now: datetime) -> Report:
    """After a withdrawal the procedure still needs its own report: written afresh, on the images it has now."""
    report = _locked(report)
    state = advance(REPORT, ReportState(report.state), ReportEvent.REOPEN)
    _save(report, version, state=state, study=study_of(report.procedure), draft={}, opened_by=person, opened_at=now)
    record(report, EventKind.REPORT_DRAFTED, by=by, now=now, data={"after": "withdrawal"})
    return _locked(report)


def _locked(report: Report) -> Report:
    return (
        Report.objects.select_for_update(of=("self",))
        .select_related("opened_by", "study__appointment", "procedure__referral__patient")
        .get(pk=report.pk)
    )


def _save(report: Report, version: int, **values: object) -> None:
    if not Report.objects.filter(pk=report.pk, version=version).update(version=version + 1, **values):
        raise Stale(report.pk)


def _write(
    report: Report,
    event: ReportEvent,
    state: ReportState,
    sections: Sections,
    version: int,
    by: Actor,
    person: Person,
    now: datetime,
    *,
    reason: str,
) -> ReportVersion:
    draft = {} if state is ReportState.WITHDRAWN else {
        "technique": sections.technique, "findings": sections.findings, "conclusion": sections.conclusion
    }  # fmt: skip
    _save(report, version, state=state, draft=draft, opened_by=None, opened_at=None)
    number = (report.versions.order_by("-number").values_list("number", flat=True).first() or 0) + 1
    key = new_id()
    happened = record(
        report,
        KIND[event],
        by=by,
        now=now,
        data={"number": number, "state": state.value, "reason": reason},
        version=key,
    )
    return ReportVersion.objects.create(
        pk=key,
        report=report,
        number=number,
        state=state,
        question=str(report.procedure.referral.answers.get("clinical_question") or ""),
        technique=sections.technique.strip(),
        findings=sections.findings.strip(),
        conclusion=sections.conclusion.strip(),
        author=person,
        registration=person.registration,
        issued_at=now,
        reason=reason,
        event=happened.pk,
    )

"""Writing a report: opened by one person at a time, saved without losing a word, and the reasons it may not be issued."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import date, datetime, timedelta
from uuid import UUID

from django.db import transaction
from django.db.models import Q

from gantry.apps.accounts.models import Entitlement, Person, PractitionerLicence
from gantry.apps.audit.services import Stale, append
from gantry.apps.referrals.models import RequestedProcedure
from gantry.apps.reporting.models import Report
from gantry.apps.scanning.models import ImageCheck, Study, StudyState
from gantry.domain.events import Actor, EventKind
from gantry.domain.report import ReportState, VerifyingFacts, why_not_verified

LOCK = timedelta(minutes=30)
"""A report that nobody has touched for this long is no longer open elsewhere."""

VERIFIED = "01"
"""NHS number status of the data dictionary: present and verified."""


@dataclass(frozen=True, slots=True)
class Sections:
    technique: str = ""
    findings: str = ""
    conclusion: str = ""

    @classmethod
    def of(cls, draft: Mapping[str, str]) -> "Sections":
        return cls(*(str(draft.get(name) or "") for name in ("technique", "findings", "conclusion")))


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """Somebody else has this report open."""

    name: str
    since: datetime


@dataclass(frozen=True, slots=True)
class Opened:
    report: Report
    elsewhere: Elsewhere | None = None
    """Set when it may be read and not written: take it over, or come back."""


class OpenElsewhere(Exception):
    """Another person holds the pen."""

    def __init__(self, elsewhere: Elsewhere) -> None:
        self.elsewhere = elsewhere
        super().__init__(elsewhere.name)


class Refused(Exception):
    """The report may not be issued; `reasons` say why."""

    def __init__(self, reasons: list[str]) -> None:
        self.reasons = reasons
        super().__init__("; ".join(reasons))


def about(report: Report) -> dict[str, UUID]:
    referral = report.procedure.referral
    subjects = {
        "report": report.pk,
        "procedure": report.procedure_id,
        "referral": referral.pk,
        "patient": referral.patient_id,
    }
    study = report.study
    if study is not None:
        subjects["study"] = study.pk
        if study.appointment_id:
            subjects["appointment"] = study.appointment_id
    return subjects


def site_id(report: Report) -> UUID | None:
    appointment = report.study.appointment if report.study else None
    return appointment.site_id if appointment else None


def study_of(procedure: RequestedProcedure) -> Study | None:
    return procedure.studies.filter(state=StudyState.MATCHED).order_by("-received_at").first()


@transaction.atomic
def open_report(
    procedure: RequestedProcedure, *, by: Actor, person: Person, now: datetime, take_over: bool = False
) -> Opened:
    """The procedure's one report, with the pen in this person's hand unless somebody else is writing."""
    report, made = Report.objects.get_or_create(
        procedure=procedure,
        defaults={
            "study": study_of(procedure),
            "state": ReportState.DRAFT,
            "opened_by": person,
            "opened_at": now,
        },
    )
    if made:
        record(report, EventKind.REPORT_DRAFTED, by=by, now=now, data={})
        return Opened(report)
    report = Report.objects.select_for_update(of=("self",)).select_related("opened_by").get(pk=report.pk)
    held = elsewhere(report, person, now)
    if held and not take_over:
        return Opened(report, held)
    values: dict[str, object] = {"opened_by": person, "opened_at": now}
    # A report that was issued keeps the study it was written from, also when that was another person's.
    stray = report.state == ReportState.DRAFT and report.study is not None and report.study.state == StudyState.HELD
    if (report.study_id is None or stray) and (study := study_of(procedure)):
        values["study"] = study
    if held:
        # The other person's next save finds another version, and is told by whom.
        values["version"] = report.version + 1
        record(report, EventKind.REPORT_DRAFTED, by=by, now=now, data={"taken_over_from": held.name})
    Report.objects.filter(pk=report.pk).update(**values)
    return Opened(Report.objects.select_related("opened_by", "study", "procedure__referral__patient").get(pk=report.pk))


def elsewhere(report: Report, person: Person, now: datetime) -> Elsewhere | None:
    if report.opened_by is None or report.opened_by_id == person.pk or report.opened_at is None:
        return None
    return Elsewhere(report.opened_by.name, report.opened_at) if report.opened_at > now - LOCK else None


@transaction.atomic
def put_down(report: Report, *, person: Person) -> None:
    Report.objects.filter(pk=report.pk, opened_by=person).update(opened_by=None, opened_at=None)


@transaction.atomic
def save_draft(report: Report, sections: Sections, *, version: int, person: Person, now: datetime) -> Report:
    """Keep what was typed. Raises OpenElsewhere, and Stale when somebody changed it since `version`."""
    current = Report.objects.select_related("opened_by").get(pk=report.pk)
    if held := elsewhere(current, person, now):
        raise OpenElsewhere(held)
    saved = Report.objects.filter(pk=report.pk, version=version).update(
        draft=asdict(sections), version=version + 1, opened_by=person, opened_at=now
    )
    if not saved:
        raise Stale(report.pk)
    return Report.objects.get(pk=report.pk)


def record(report: Report, kind: EventKind, *, by: Actor, now: datetime, data: object, **over: UUID):
    return append(
        kind,
        subjects=about(report) | over,
        happened_at=now,
        recorded_at=now,
        by=by,
        organisation=report.procedure.referral.provider_id,
        site=site_id(report),
        data=data,
    )


def latest_check(procedure: RequestedProcedure) -> ImageCheck | None:
    return ImageCheck.objects.filter(study__procedure=procedure, withdrawn_at=None).order_by("-at", "-pk").first()


def why_not_entitled(person: Person, procedure: RequestedProcedure, on: date) -> list[str]:
    """A clinical evaluation is a duty under IR(ME)R: a registration or licence, and an employer's word for it."""
    licensed = PractitionerLicence.objects.filter(
        person=person, procedures__contains=[procedure.procedure_code], valid_from__lte=on, valid_to__gte=on
    ).exists()
    if not person.registration and not licensed:
        return [f"{person.name} has neither a registration nor a licence on file"]
    referral = procedure.referral
    employers = {referral.provider_id, *procedure.appointments.values_list("site__organisation", flat=True)}
    entitled = (
        Entitlement.objects.filter(
            person=person, employer__in=employers, duty__in=["reporter", "practitioner"], valid_from__lte=on
        )
        .filter(Q(valid_to=None) | Q(valid_to__gte=on))
        .filter(Q(procedures=[]) | Q(procedures__contains=[procedure.procedure_code]))
    )
    if entitled.exists():
        return []
    return [f"No employer has entitled {person.name} to report {procedure.title} on {on:%-d %B %Y}"]


def why_not_issued(
    report: Report, sections: Sections, *, person: Person, now: datetime, exception_reason: str = ""
) -> list[str]:
    """Every reason that stands in the way of verifying this text, at once; empty means it may be."""
    procedure = report.procedure
    patient = procedure.referral.patient
    check = latest_check(procedure)
    facts = VerifyingFacts(
        images_checked=bool(check and check.acceptable),
        has_findings=bool(sections.findings.strip()),
        has_conclusion=bool(sections.conclusion.strip()),
        reporter_entitled=True,
        nhs_number=bool(patient.nhs_number) and patient.nhs_number_status == VERIFIED,
        exception_reason=exception_reason.strip(),
    )
    return [*why_not_verified(facts), *why_not_entitled(person, procedure, now.date())]

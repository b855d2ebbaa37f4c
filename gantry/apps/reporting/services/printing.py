"""A version's facts gathered for paper and for the wire, as they were when it was issued."""

from datetime import datetime

from gantry.apps.reporting.models import Report, ReportVersion
from gantry.apps.reporting.pdf import Paper, to_pdf
from gantry.apps.scanning.models import PerformedStep, StepDone


def paper_of(version: ReportVersion) -> Paper:
    report = version.report
    procedure, study = report.procedure, report.study
    referral = procedure.referral
    patient = referral.patient
    appointment = study.appointment if study else None
    later = report.versions.filter(number__gt=version.number).order_by("-number").values_list("number", flat=True)
    return Paper(
        state=version.state,
        number=version.number,
        superseded_by=later.first(),
        name=patient.name,
        nhs_number=patient.nhs_number,
        date_of_birth=patient.date_of_birth,
        hospital_numbers=tuple(
            f"{value} ({assigner})" if assigner else value
            for value, assigner in patient.identifiers.order_by("pk").values_list("value", "assigner")
        ),
        accession_number=procedure.accession_number,
        study_uid=study.study_uid if study else procedure.study_uid,
        examination=procedure.title,
        scanned_at=scanned_at(report),
        site=appointment.site.name if appointment else "",
        referrer=referral.referrer_name,
        referring_organisation=referral.referring_organisation.name,
        recipients=tuple(
            version.dispatches.order_by("organisation__name").values_list("organisation__name", flat=True).distinct()
        ),
        question=version.question,
        technique=version.technique,
        findings=version.findings,
        conclusion=version.conclusion,
        reason=version.reason,
        author=version.author.name,
        registration=version.registration,
        issued_at=version.issued_at,
        provider=referral.provider.name,
        synthetic=patient.synthetic,
    )


def scanned_at(report: Report) -> datetime | None:
    """When the first acquisition began: as the room recorded it, else as the scanner said, else as it was planned."""
    tapped = (
        StepDone.objects.filter(visit__appointment__procedure=report.procedure_id, act="acquire", current=True)
        .order_by("happened_at")
        .values_list("happened_at", flat=True)
        .first()
    )
    told = (
        PerformedStep.objects.filter(scheduled_step__procedure=report.procedure_id)
        .order_by("started_at")
        .values_list("started_at", flat=True)
        .first()
    )
    appointment = report.study.appointment if report.study else None
    return tapped or told or (appointment.scan_at if appointment else None)


def pdf_of(version: ReportVersion) -> bytes:
    return to_pdf(paper_of(version))

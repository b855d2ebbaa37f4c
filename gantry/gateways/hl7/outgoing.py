"""Decides how a version of a report leaves as ORU^R01, and what the answer means."""

import base64
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from uuid import UUID

from django.conf import settings
from django.db import DatabaseError, connection

from gantry.apps.audit import outbox
from gantry.apps.audit.models import OutboxMessage
from gantry.apps.reporting import services as reporting
from gantry.apps.reporting.models import ReportDispatch
from gantry.domain.report import ReportState

from .mllp import SendFailed
from .mllp import send as send_by_mllp
from .results import Party, ReportMessage, ResultStatus, Section, Subject, to_oru
from .values import Clinician, Coded

log = logging.getLogger(__name__)

STATUS = {
    ReportState.PRELIMINARY: ResultStatus.PRELIMINARY,
    ReportState.FINAL: ResultStatus.FINAL,
    ReportState.AMENDED: ResultStatus.CORRECTED,
    ReportState.WITHDRAWN: ResultStatus.WITHDRAWN,
}
APPLICATION = "GANTRY"
OUR_CODES = "99GANTRY"
WAIT_FOR_THE_OTHER = timedelta(seconds=5)


def send(message_id: UUID, *, now: datetime) -> None:
    """Send one version to one receiver. Delivered means: it accepted this very message."""
    message = outbox.take(message_id, now=now)
    if message is None:
        return
    dispatch = reporting.dispatch_of(message)
    with one_at_a_time(f"{dispatch.version.report_id}:{dispatch.endpoint_id}") as alone:
        if not alone:
            outbox.put_off(message, until=now + WAIT_FOR_THE_OTHER)
            return
        if later := reporting.later_version_for(dispatch):
            reporting.report_superseded(message, by_version=later.number, now=now)
            return
        deliver(message, dispatch, now=now)


def deliver(message: OutboxMessage, dispatch: ReportDispatch, *, now: datetime) -> None:
    control_id = control_id_of(message)
    try:
        whole = to_oru(report_message(message, dispatch))
    except DatabaseError:
        raise
    except Exception as fault:
        # Raised on, it would be tried for ever, and nobody would own it.
        log.exception("report not written", extra={"outbox": str(message.pk)})
        reporting.report_failed(message, phase="write", reason=f"Not written: {type(fault).__name__}", now=now)
        return
    try:
        answer = send_by_mllp(
            dispatch.endpoint.host,
            dispatch.endpoint.port,
            whole,
            control_id=control_id,
            timeout_s=float(getattr(settings, "MLLP_ANSWER_S", 30.0)),
        )
    except SendFailed as failure:
        reporting.report_failed(
            message, phase=failure.phase, reason=failure.reason, for_good=failure.permanent, now=now
        )
        return
    reporting.report_delivered(message, proof=f"{answer.code} to {answer.control_id}", now=now)


@contextmanager
def one_at_a_time(key: str) -> Iterator[bool]:
    """Whether no other worker sends a version of this report to this address now: versions must not overtake."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_lock(71030002, hashtext(%s))", [key])
        alone = bool(cursor.fetchone()[0])
    try:
        yield alone
    finally:
        if alone:
            with connection.cursor() as cursor:
                cursor.execute("SELECT pg_advisory_unlock(71030002, hashtext(%s))", [key])


def control_id_of(message: OutboxMessage) -> str:
    """MSH-10 holds 20 characters; the random part of the message's own id, so every try is the same message."""
    return "G" + base64.b32encode(message.pk.bytes[-10:]).decode()


def report_message(message: OutboxMessage, dispatch: ReportDispatch) -> ReportMessage:
    version, endpoint = dispatch.version, dispatch.endpoint
    report = version.report
    procedure, referral = report.procedure, report.procedure.referral
    paper = reporting.paper_of(version)
    patient = referral.patient
    withdrawn = version.state == ReportState.WITHDRAWN
    return ReportMessage(
        control_id=control_id_of(message),
        # The instant of the version, not of the try: sent again, it is the same message.
        sent_at=version.issued_at,
        sender=Party(APPLICATION, referral.provider.ods_code),
        receiver=Party(endpoint.application, endpoint.facility or dispatch.organisation.ods_code),
        subject=Subject(
            family_name=patient.family_name,
            given_name=patient.given_name,
            nhs_number=patient.nhs_number,
            local_ids=tuple(patient.identifiers.order_by("pk").values_list("value", "assigner")),
            title=patient.title,
            date_of_birth=patient.date_of_birth,
            stated_gender=patient.stated_gender,
            address=patient.address,
            postcode=patient.postcode,
        ),
        status=STATUS[ReportState(version.state)],
        report_version=version.number,
        placer_order_number=referral.placer_order_number,
        placer_assigner=referral.referring_organisation.ods_code if referral.placer_order_number else "",
        filler_order_number=procedure.accession_number,
        filler_assigner=referral.provider.ods_code,
        accession_number=procedure.accession_number,
        procedure=Coded(procedure.procedure_code, procedure.title, OUR_CODES),
        performed_at=paper.scanned_at,
        reported_at=version.issued_at,
        requester=clinician(referral.referrer_name, str(referral.answers.get("gmc_or_hcpc") or "")),
        reporter=clinician(version.author.name, version.registration),
        sections=sections(paper.question, paper.technique, paper.findings, paper.conclusion),
        pdf=None if withdrawn else reporting.pdf_of(version),
        study_uid=paper.study_uid,
        reason=version.reason,
    )


def sections(question: str, technique: str, findings: str, conclusion: str) -> tuple[Section, ...]:
    written = (
        ("Clinical question", question),
        ("Technique", technique),
        ("Findings", findings),
        ("Conclusion", conclusion),
    )
    return tuple(Section(heading, text) for heading, text in written if text.strip())


def clinician(name: str, registration: str) -> Clinician:
    """A name as one person types it, in XCN's parts; "GMC C1234567" without the name of the register."""
    words = name.split()
    title = words.pop(0) if words and words[0].rstrip(".").casefold() in TITLES else ""
    number = registration.split()[-1].removeprefix("C") if registration else ""
    family = words.pop() if words else ""
    return Clinician(number=number, family_name=family, given_name=" ".join(words), title=title, registration=number)


TITLES = frozenset({"dr", "mr", "mrs", "miss", "ms", "mx", "prof", "professor", "sir", "dame"})

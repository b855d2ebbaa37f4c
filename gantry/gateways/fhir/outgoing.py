"""Sends a version of a report to an organisation's FHIR endpoint, whole in itself, and says what the answer proves.

The report keeps one address at the receiver (PUT by our id), so a later version takes the place of an earlier one and
a try that is made twice changes nothing.
"""

import base64
import logging
import time
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import httpx
from django.db import DatabaseError

from gantry.apps.audit import outbox
from gantry.apps.audit.models import OutboxMessage
from gantry.apps.reporting import services as reporting
from gantry.apps.reporting.models import ReportDispatch
from gantry.domain.report import ReportState
from gantry.gateways.fhir import reads
from gantry.gateways.fhir.asking import JSON
from gantry.gateways.fhir.reading import Tree
from gantry.gateways.fhir.resource import GMC, ODS_ORGANISATION
from gantry.gateways.fhir.served import SERVED
from gantry.gateways.fhir.service_request import PLACER
from gantry.gateways.fhir.writing import as_json
from gantry.gateways.hl7.outgoing import WAIT_FOR_THE_OTHER, one_at_a_time

ANSWER_WITHIN = timedelta(seconds=30)
ASK_AGAIN = frozenset({408, 425, 429})
"""Refusals that mean: not now."""
NO_MORE_THAN = 4_000
MOST_OF_AN_ANSWER = 1 << 20
ENCODINGS = frozenset({"content-encoding", "transfer-encoding", "content-length"})

log = logging.getLogger(__name__)


def send(message_id: UUID, *, now: datetime) -> None:
    """Send one version to one receiver. Delivered means: its server answered this very request with success."""
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
    try:
        tree = whole_in_itself(dispatch)
        content = as_json(tree).encode()
    except DatabaseError:
        raise
    except Exception as fault:
        # Raised on, it would be tried for ever, and nobody would own it.
        log.exception("report not written", extra={"outbox": str(message.pk)})
        reporting.report_failed(message, phase="write", reason=f"Not written: {type(fault).__name__}", now=now)
        return
    url = f"{base_of(dispatch.endpoint)}/DiagnosticReport/{tree['id']}"
    try:
        answer = put(url, content, request_id=str(message.pk))
    except httpx.ConnectError as error:
        reporting.report_failed(message, phase="connect", reason=type(error).__name__, now=now)
        return
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        reporting.report_failed(message, phase="answer", reason=type(error).__name__, now=now)
        return
    if answer.status_code in (200, 201):
        version = answer.headers.get("ETag", "")[:40]
        proof = f"{answer.status_code} to PUT DiagnosticReport/{tree['id']} {version}".strip()
        reporting.report_delivered(message, proof=proof, now=now)
        return
    for_good = 400 <= answer.status_code < 500 and answer.status_code not in ASK_AGAIN
    reason = f"{answer.status_code}: {words_of(answer)}"
    reporting.report_failed(message, phase="answer", reason=reason, for_good=for_good, now=now)


def put(url: str, content: bytes, *, request_id: str) -> httpx.Response:
    """The answer with the beginning of its body: one that never ends, or drips, may not hold a worker."""
    headers = {"Content-Type": JSON, "Accept": JSON, "X-Request-ID": request_id}
    ends = time.monotonic() + ANSWER_WITHIN.total_seconds()
    with httpx.stream("PUT", url, content=content, headers=headers, timeout=ANSWER_WITHIN.total_seconds()) as answer:
        body = b""
        for piece in answer.iter_raw():
            body += piece
            if len(body) > MOST_OF_AN_ANSWER or time.monotonic() > ends:
                break
    kept = [(name, value) for name, value in answer.headers.items() if name.lower() not in ENCODINGS]
    return httpx.Response(answer.status_code, headers=kept, content=body[:MOST_OF_AN_ANSWER])


def base_of(endpoint: Any) -> str:
    """Where the receiver's API begins: its address as registered, else its host and port."""
    return str(endpoint.address or f"http://{endpoint.host}:{endpoint.port}").rstrip("/")


def words_of(answer: httpx.Response) -> str:
    """What a receiver's OperationOutcome says, where there is one."""
    try:
        issues = answer.json()["issue"]
        return "; ".join(str(one.get("diagnostics") or one.get("code")) for one in issues)[:NO_MORE_THAN]
    except (ValueError, KeyError, TypeError, AttributeError):
        return answer.reason_phrase


def whole_in_itself(dispatch: ReportDispatch) -> Tree:
    """The report with nothing to fetch: the patient inside it, everything else named by what anybody can resolve."""
    version = dispatch.version
    report = version.report
    procedure = report.procedure
    referral = procedure.referral
    tree = reads.tell(SERVED["DiagnosticReport"], report.pk)
    patient = reads.tell(SERVED["Patient"], referral.patient_id)
    patient.pop("meta", None)
    patient["id"] = "patient"
    tree["contained"] = [patient]
    tree["subject"] = {"reference": "#patient"}
    tree["basedOn"] = [named("ServiceRequest", PLACER, referral.placer_order_number or procedure.accession_number)]
    tree["resultsInterpreter"] = [
        {**named("Practitioner", GMC, version.registration.removeprefix("GMC ")), "display": version.author.name}
        if version.registration.startswith("GMC ")
        else {"display": version.author.name}
    ]
    if "imagingStudy" in tree:
        tree["imagingStudy"] = [named("ImagingStudy", "urn:dicom:uid", f"urn:oid:{procedure.study_uid}")]
    if version.state != ReportState.WITHDRAWN:
        pdf = {
            "contentType": "application/pdf",
            "data": base64.b64encode(reporting.pdf_of(version)).decode(),
            "title": f"{procedure.title}, version {version.number}",
        }
        tree["presentedForm"] = [pdf, *tree.get("presentedForm", [])]
    tree["meta"]["source"] = f"urn:gantry:{ODS_ORGANISATION.rpartition('/')[2]}:{referral.provider.ods_code}"
    return tree


def named(kind: str, system: str, value: str) -> Tree:
    return {"type": kind, "identifier": {"system": system, "value": value}}

"""Writes our dose report of an injection to a file and its row; a corrected injection's new report names the one before."""

import hashlib
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from uuid import UUID

from django.conf import settings
from django.db import transaction
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_dataset
from pydicom.uid import ExplicitVRLittleEndian

from gantry.apps.audit import outbox
from gantry.apps.scanning.models import DoseReport, Injection
from gantry.apps.scanning.services import dosing
from gantry.gateways.dicom import dose_report
from gantry.gateways.dicom.dose_report import DoseReport as Report
from gantry.gateways.dicom.dose_wiring import report_of
from gantry.gateways.dicom.storage import Sent, meta, path_for, write_whole


def write(message_id: UUID, *, now: datetime, sync: bool | None = None) -> None:
    """The door of these messages. A second run finds the report that says the same and writes no other."""
    message = outbox.take(message_id, now=now)
    if message is None:
        return
    try:
        with transaction.atomic():
            injection = dosing.injection_of(message.body["dose"])
            row = written(injection, now=now, sync=sync) if injection else None
    except (OSError, ValueError) as fault:
        dosing.report_failed(message, reason=f"The report was not written: {type(fault).__name__}", now=now)
        return
    outbox.delivered(message, now=now, proof=row.report_uid if row else "nothing was given")


def written(injection: Injection, *, now: datetime, sync: bool | None = None) -> DoseReport:
    """The report that stands for an injection: written now, or the one that says the same already."""
    before, study = dosing.standing(injection), dosing.study_for(injection)
    number = before.number + 1 if before else 1
    report = report_of(injection, now=now, number=number)
    report = replace(report, study_uid=study.study_uid if study else report.study_uid)
    says = digest_of(report)
    if before is not None and before.says == says:
        dosing.attach(before, report.series_uid, now=now)
        return before
    # Only a report that is among the images has left, or may have.
    if last := dosing.last_among_images(injection):
        report = replace(report, predecessors=((last.study_uid, report.series_uid, last.report_uid),))
    body = data_set_of(report)
    sha256 = hashlib.sha256(body).hexdigest()
    path = path_for(report.study_uid, report.report_uid, sha256)
    target = Path(settings.IMAGES_ROOT) / path
    sync = settings.IMAGES_FSYNC if sync is None else sync
    sent = Sent(
        dose_report.SOP_CLASS, report.report_uid, ExplicitVRLittleEndian, memoryview(body), settings.DICOM_AE_TITLE
    )
    write_whole(target, meta(sent), sent.data_set, sync=sync, sync_folder=sync, fresh=not target.exists())
    return dosing.keep_report(
        injection,
        dosing.Written(
            report_uid=report.report_uid,
            series_uid=report.series_uid,
            study_uid=report.study_uid,
            says=says,
            path=path,
            size=len(body),
            sha256=sha256,
        ),
        now=now,
    )


def digest_of(report: Report) -> str:
    """Of all that it says, without its own name, its number and the moment of writing."""
    bare = replace(report, report_uid="", number=0, written_at=None, predecessors=())
    return hashlib.sha256(repr(bare).encode()).hexdigest()


def data_set_of(report: Report) -> bytes:
    """As it would have come over the wire: kept like any other object, and its digest is of the same bytes."""
    held = DicomBytesIO()
    held.is_little_endian, held.is_implicit_VR = True, False
    write_dataset(held, dose_report.write(report))
    return held.getvalue()


def join_images(*, now: datetime, sync: bool | None = None) -> int:
    """Reports whose images have come since: put among them, or written anew under the scanner's own study UID."""
    joined = 0
    for waiting in dosing.waiting_for_images(now=now):
        with transaction.atomic():
            injection = dosing.injection_of(str(waiting.injection.dose_id))
            if injection is not None:
                written(injection, now=now, sync=sync)
                joined += 1
    return joined

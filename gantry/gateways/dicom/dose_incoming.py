"""Reads dose reports that were stored: after they are kept, from their file, so that the door waits for nobody."""

import logging
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

from django.conf import settings
from pydicom import dcmread
from pydicom.dataset import Dataset

from gantry.apps.scanning.models import DoseObject, InjectorReport, Instance
from gantry.apps.scanning.services import dosing, images, injectors
from gantry.domain.injector import Told
from gantry.gateways.dicom import ct_dose, dose_report

log = logging.getLogger(__name__)


def read_new(*, now: datetime) -> int:
    """Each once. A file that cannot be read states no dose; one that is not there yet is looked for again."""
    rows = dosing.unread(now=now)
    for row in rows:
        try:
            read_one(row, now=now)
        except OSError as fault:
            log.warning("dose report not there", extra={"instance": str(row.pk), "fault": type(fault).__name__})
    return len(rows)


def read_injectors(*, now: datetime) -> int:
    """Those of injectors: each read once; those that came before the room recorded the injection are judged again."""
    rows = injectors.unread()
    for row in rows:
        try:
            injectors.read(row, said_by(row), now=now)
        except OSError as fault:
            log.warning("injector report not there", extra={"report": str(row.pk), "fault": type(fault).__name__})
    for row in injectors.waiting(now=now):
        injectors.judge_again(row, now=now)
    return len(rows)


def said_by(row: InjectorReport) -> injectors.Said | None:
    """Bare wall clocks are those of the injector's site. None where the tree states no administration."""
    zone = ZoneInfo(row.site.zone if row.site else settings.TIME_ZONE)
    with open(Path(settings.IMAGES_ROOT) / row.path, "rb") as file:
        try:
            report = dose_report.read(dcmread(file), zone)
        # A tree of any shape may come; it is kept as a file all the same.
        except (ValueError, TypeError, AttributeError, KeyError, IndexError, EOFError) as fault:
            log.info("states no injection", extra={"report": str(row.pk), "fault": type(fault).__name__})
            return None
    given = report.administration
    return injectors.Said(
        Told(
            given.started_at,
            given.clock_stated,
            given.activity_said,
            plain(given.activity_unit),
            given.nuclide,
            frozenset(uid for _, _, uid in report.predecessors),
        ),
        radiopharmaceutical=plain(given.agent.meaning) if given.agent else "",
        manufacturer=plain(report.manufacturer),
    )


def plain(text: str) -> str:
    """PostgreSQL's text takes no NUL, and some senders pad with it."""
    return text.replace("\0", "").strip()


def read_one(row: Instance, *, now: datetime) -> DoseObject:
    zone = ZoneInfo(settings.TIME_ZONE)
    with open(Path(settings.IMAGES_ROOT) / row.path, "rb") as file:
        try:
            ds = dcmread(file)
            if row.sop_class_uid == dose_report.SOP_CLASS:
                return keep_tracer(row, ds, zone, now=now)
            return dosing.keep_ct(row, ct_dose.read(ds, zone), now=now)
        # A tree of any shape may come; it is kept as a file all the same.
        except (ValueError, TypeError, AttributeError, KeyError, IndexError, EOFError) as fault:
            log.info("states no dose", extra={"instance": str(row.pk), "fault": type(fault).__name__})
    return dosing.keep_silent(row, now=now)


def keep_tracer(row: Instance, ds: Dataset, zone: ZoneInfo, *, now: datetime) -> DoseObject:
    report = dose_report.read(ds, zone)
    given = report.administration
    seen = images.TracerSeen(
        radiopharmaceutical=given.agent.meaning if given.agent else "",
        injected_at=given.started_at,
        total_dose_mbq=given.activity_mbq,
        half_life_s=given.half_life_s,
        weight_kg=report.weight_kg,
        source="rrdsr",
    )
    replaced = [uid for _, _, uid in report.predecessors]
    return dosing.keep_tracer(row, seen, manufacturer=report.manufacturer, replaces=replaced, now=now)

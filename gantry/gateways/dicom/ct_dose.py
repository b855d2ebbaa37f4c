"""Reads CT dose reports (PS3.16 TID 10011): what each irradiation gave, a study's total counted once, and alerts."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

from pydicom.dataset import Dataset

from gantry.gateways.dicom import content
from gantry.gateways.dicom.content import dcm, item, number, text
from gantry.gateways.dicom.dose import date_time, word

SOP_CLASSES = frozenset({"1.2.840.10008.5.1.4.1.1.88.67", "1.2.840.10008.5.1.4.1.1.88.22"})
"""The dose SR, and the enhanced SR in which an older scanner sends the same tree."""

ROOT = dcm("113701", "X-Ray Radiation Dose Report")
TOTAL, TOTAL_DLP = dcm("113811", "CT Accumulated Dose Data"), dcm("113813", "CT Dose Length Product Total")
TOTAL_EVENTS = dcm("113812", "Total Number of Irradiation Events")
SINCE, UNTIL = dcm("113809", "Start of X-Ray Irradiation"), dcm("113810", "End of X-Ray Irradiation")
EVENT, EVENT_UID = dcm("113819", "CT Acquisition"), dcm("113769", "Irradiation Event UID")
PROTOCOL = dcm("125203", "Acquisition Protocol")
DOSE = dcm("113829", "CT Dose")
CTDI, DLP = dcm("113830", "Mean CTDIvol"), dcm("113838", "DLP")
ALERT = dcm("113900", "Dose Check Alert Details")
DLP_ALERT, DLP_FORWARD = dcm("113903", "DLP Alert Value"), dcm("113905", "Accumulated DLP Forward Estimate")
CTDI_ALERT, CTDI_FORWARD = dcm("113904", "CTDIvol Alert Value"), dcm("113906", "Accumulated CTDIvol Forward Estimate")


@dataclass(frozen=True, slots=True)
class Alert:
    """The scanner's own dose check: what it was set to, and what was foreseen."""

    event_uid: str
    what: str
    limit: float
    foreseen: float

    def __str__(self) -> str:
        return f"{self.what}: {self.foreseen:g} foreseen, alert at {self.limit:g}"


@dataclass(frozen=True, slots=True)
class CtEvent:
    uid: str
    protocol: str
    ctdi_vol_mgy: float | None
    dlp_mgy_cm: float | None
    """None for a localiser that states no dose."""
    alerts: tuple[Alert, ...]


@dataclass(frozen=True, slots=True)
class CtDose:
    """One report. `total_dlp_mgy_cm` is as the scanner stated it."""

    report_uid: str
    study_uid: str
    manufacturer: str
    started_at: datetime | None
    ended_at: datetime | None
    total_dlp_mgy_cm: float | None
    total_events: int | None
    events: tuple[CtEvent, ...]

    @property
    def alerts(self) -> tuple[Alert, ...]:
        return tuple(alert for event in self.events for alert in event.alerts)


class NotACtDose(ValueError):
    """The object is of another kind, or states no CT dose."""


def read(ds: Dataset, zone: ZoneInfo) -> CtDose:
    total = item(ds, TOTAL)
    if str(ds.get("SOPClassUID", "")) not in SOP_CLASSES or not ROOT.names(ds) or total is None:
        raise NotACtDose("this is no CT dose report")
    events = number(total, TOTAL_EVENTS)
    return CtDose(
        report_uid=word(ds, "SOPInstanceUID"),
        study_uid=word(ds, "StudyInstanceUID"),
        manufacturer=word(ds, "Manufacturer"),
        started_at=date_time(text(ds, SINCE), ds, zone),
        ended_at=date_time(text(ds, UNTIL), ds, zone),
        total_dlp_mgy_cm=number(total, TOTAL_DLP),
        total_events=None if events is None else round(events),
        events=tuple(event(each) for each in content.items(ds, EVENT)),
    )


def event(ds: Dataset) -> CtEvent:
    dose, uid = item(ds, DOSE), text(ds, EVENT_UID)
    check = item(dose, ALERT)
    alerts = []
    for what, limit, foreseen in (("DLP, mGy·cm", DLP_ALERT, DLP_FORWARD), ("CTDIvol, mGy", CTDI_ALERT, CTDI_FORWARD)):
        at, then = number(check, limit), number(check, foreseen)
        # Without an estimate the alert was only set, not raised.
        if at is not None and then is not None and then > at:
            alerts.append(Alert(uid, what, at, then))
    return CtEvent(uid, text(ds, PROTOCOL), number(dose, CTDI), number(dose, DLP), tuple(alerts))


@dataclass(frozen=True, slots=True)
class StudyCt:
    """What one study's CT gave: each irradiation once, however many reports repeat it."""

    study_uid: str
    dlp_mgy_cm: float
    events: tuple[CtEvent, ...]
    alerts: tuple[Alert, ...]
    reports: tuple[str, ...]
    doubt: str = ""
    """Where the stated total and the sum of its irradiations do not agree."""


def of_study(reports: Iterable[CtDose]) -> StudyCt:
    """Reports of one study are cumulative: a later one repeats the earlier, so nothing is counted twice.

    Raises ValueError for reports of several studies, or none.
    """
    listed = sorted(reports, key=lambda r: (len(r.events), r.total_dlp_mgy_cm or 0.0))
    studies = {report.study_uid for report in listed}
    if len(studies) != 1:
        raise ValueError("CT dose is counted for one study at a time")
    distinct = {one.uid: one for report in listed for one in report.events}
    summed = sum(one.dlp_mgy_cm or 0.0 for one in distinct.values())
    whole = listed[-1]
    complete = len(whole.events) == len(distinct) and whole.total_dlp_mgy_cm is not None
    dlp = whole.total_dlp_mgy_cm if complete and whole.total_dlp_mgy_cm is not None else summed
    doubt = ""
    if abs(dlp - summed) > 0.01 * max(dlp, 1.0):
        doubt = f"The scanner states {dlp:.2f} mGy·cm; its irradiations come to {summed:.2f} mGy·cm"
    events = tuple(distinct.values())
    alerts = tuple(alert for one in events for alert in one.alerts)
    return StudyCt(studies.pop(), dlp, events, alerts, tuple(r.report_uid for r in listed), doubt)

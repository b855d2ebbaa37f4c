"""Reads CT dose reports (PS3.16 TID 10011) into what `gantry.domain.ct_dose` counts."""

from __future__ import annotations

from zoneinfo import ZoneInfo

from pydicom.dataset import Dataset

from gantry.domain.ct_dose import Alert, CtDose, CtEvent
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

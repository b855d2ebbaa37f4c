"""Translates the Radiopharmaceutical Radiation Dose SR both ways (PS3.16 TID 10021 and below; root concept 113500)."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta, timezone
from zoneinfo import ZoneInfo

from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.sequence import Sequence
from pydicom.uid import UID, ExplicitVRLittleEndian, generate_uid

from gantry.domain.uptake import Stated
from gantry.gateways.dicom import content
from gantry.gateways.dicom.content import dcm, item, ln, number, sct, text
from gantry.gateways.dicom.dose import PetInjection, date_time, read_injections, word
from gantry.gateways.dicom.worklist import Code
from gantry.reference.nuclides import RADIONUCLIDE_OLD_SRT, RADIONUCLIDE_SCT

SOP_CLASS = "1.2.840.10008.5.1.4.1.1.88.68"

ROOT = dcm("113500", "Radiopharmaceutical Radiation Dose Report")
PROCEDURE = sct("363589002", "Associated Procedure", "G-C2D0")
INTENT = sct("363703001", "Has Intent", "G-C0E8")
ADMINISTRATION = dcm("113502", "Radiopharmaceutical Administration")
AGENT = sct("349358000", "Radiopharmaceutical agent", "F-61FDB")
NUCLIDE = sct("89457008", "Radionuclide", "C-10072")
HALF_LIFE = sct("304283002", "Radionuclide Half Life", "R-42806")
EVENT_UID = dcm("113503", "Radiopharmaceutical Administration Event UID")
START, STOP = dcm("123003", "Radiopharmaceutical Start DateTime"), dcm("123004", "Radiopharmaceutical Stop DateTime")
ACTIVITY = dcm("113507", "Administered activity")
BEFORE = dcm("113508", "Pre-Administration Measured Activity")
AFTER = dcm("113509", "Post-Administration Measured Activity")
DEVICE = dcm("113540", "Activity Measurement Device")
CALIBRATOR = Code("113541", "DCM", "Dose Calibrator")
VOLUME = dcm("123005", "Radiopharmaceutical Volume")
ROUTE = sct("410675002", "Route of administration", "G-C340")
VEIN = Code("47625008", "SCT", "Intravenous route")
DISPENSE_UNIT = dcm("113511", "Radiopharmaceutical Dispense Unit Identifier")
LOT = dcm("113512", "Radiopharmaceutical Lot Identifier")
VIAL = dcm("113513", "Reagent Vial Identifier")
PRESCRIPTION = dcm("113516", "Prescription Identifier")
EFFECTIVE_DOSE = dcm("113839", "Effective Dose")
AUTHORITY = dcm("121406", "Reference Authority")
ORGAN_DOSES, ORGAN_DOSE = dcm("113517", "Organ Dose Information"), dcm("113518", "Organ Dose")
SITE = sct("363698007", "Finding Site", "G-C0E3")
PERSON, ROLE = dcm("113870", "Person Name"), dcm("113875", "Person Role in Procedure")
ADMINISTERING = Code("113851", "DCM", "Irradiation Administering")
CHARACTERISTICS = dcm("121118", "Patient Characteristics")
WEIGHT, HEIGHT = ln("29463-7", "Patient Weight"), ln("8302-2", "Patient Height")
GLUCOSE = ln("14749-6", "Glucose")
PET = Code("82918005", "SCT", "Positron emission tomography")
DIAGNOSTIC = Code("261004008", "SCT", "Diagnostic Intent")

SERIES_NUMBER = 900
"""Beyond any that a scanner gives."""

OFFSET = re.compile(r"[+-][0-9]{4}$")
SCT_NUCLIDES = {fact.value: symbol for symbol, fact in RADIONUCLIDE_SCT.items()}


@dataclass(frozen=True, slots=True, kw_only=True)
class Administration:
    """One injection as a dose report states it."""

    agent: Code | None = None
    radionuclide: Code | None = None
    half_life_s: float | None = None
    event_uid: str = ""
    started_at: datetime | None = None
    stopped_at: datetime | None = None
    activity_mbq: float | None = None
    """None where another unit than MBq was stated: no unit is guessed or converted."""
    activity_said: float | None = field(default=None, compare=False, repr=False)
    activity_unit: str = field(default="", compare=False, repr=False)
    clock_stated: bool = field(default=True, compare=False, repr=False)
    """Whether its times say their offset; else they are wall clocks of the site."""
    before_mbq: float | None = None
    after_mbq: float | None = None
    volume_ml: float | None = None
    route: Code | None = None
    dispense_unit: str = ""
    lot: str = ""
    vial: str = ""
    prescription: str = ""
    effective_dose_msv: float | None = None
    dose_authority: str = ""
    organ_doses_mgy: tuple[tuple[str, float], ...] = ()
    administered_by: str = ""

    @property
    def nuclide(self) -> str:
        """Its symbol, from the current code or the one that older scanners send; empty when neither is known."""
        if self.radionuclide is None:
            return ""
        value = self.radionuclide.value
        return SCT_NUCLIDES.get(value) or RADIONUCLIDE_OLD_SRT.get(value, "")

    def stated(self, source: str, weight_kg: float | None = None) -> Stated:
        return Stated(source, self.started_at, self.activity_mbq, self.half_life_s, weight_kg)


@dataclass(frozen=True, slots=True, kw_only=True)
class DoseReport:
    report_uid: str
    study_uid: str
    series_uid: str = ""
    number: int = 1
    """Its place among the reports of one injection."""
    accession_number: str = ""
    patient_id: str = ""
    patient_name: str = ""
    birth_date: str = ""
    sex: str = ""
    written_at: datetime | None = None
    manufacturer: str = ""
    predecessors: tuple[tuple[str, str, str], ...] = ()
    """Study, series and instance of each report that this one stands in the place of."""
    administration: Administration
    weight_kg: float | None = None
    height_m: float | None = None
    glucose_mmol_per_l: float | None = None


class NotADoseReport(ValueError):
    """The object is of another kind, or states no administration."""


def read(ds: Dataset, zone: ZoneInfo) -> DoseReport:
    """Wall clocks are read in the report's own offset, else in the site's zone. Raises NotADoseReport."""
    given = item(ds, ADMINISTRATION)
    if str(ds.get("SOPClassUID", "")) != SOP_CLASS or given is None:
        raise NotADoseReport("this is no radiopharmaceutical dose report")
    agent = item(given, AGENT)
    dose = next(content.below(given, EFFECTIVE_DOSE), None)
    holder = Dataset()
    if dose is not None:
        holder.ContentSequence = Sequence([dose])
    about = item(ds, CHARACTERISTICS)
    return DoseReport(
        report_uid=word(ds, "SOPInstanceUID"),
        study_uid=word(ds, "StudyInstanceUID"),
        series_uid=word(ds, "SeriesInstanceUID"),
        accession_number=word(ds, "AccessionNumber"),
        patient_id=word(ds, "PatientID"),
        patient_name=word(ds, "PatientName"),
        birth_date=word(ds, "PatientBirthDate"),
        sex=word(ds, "PatientSex"),
        written_at=date_time(word(ds, "ContentDate") + word(ds, "ContentTime"), ds, zone),
        manufacturer=word(ds, "Manufacturer"),
        predecessors=tuple(predecessors(ds)),
        administration=Administration(
            agent=content.coded(given, AGENT),
            radionuclide=content.coded(agent, NUCLIDE),
            half_life_s=number(agent, HALF_LIFE),
            event_uid=text(given, EVENT_UID),
            started_at=date_time(text(given, START), ds, zone),
            stopped_at=date_time(text(given, STOP), ds, zone),
            activity_mbq=in_mbq(given, ACTIVITY),
            activity_said=number(given, ACTIVITY),
            activity_unit=content.unit(given, ACTIVITY),
            clock_stated=bool(OFFSET.search(text(given, START)) or word(ds, "TimezoneOffsetFromUTC")),
            before_mbq=in_mbq(given, BEFORE),
            after_mbq=in_mbq(given, AFTER),
            volume_ml=number(given, VOLUME),
            route=content.coded(given, ROUTE),
            dispense_unit=text(given, DISPENSE_UNIT),
            lot=text(given, LOT),
            vial=text(given, VIAL),
            prescription=text(given, PRESCRIPTION),
            effective_dose_msv=number(holder, EFFECTIVE_DOSE),
            dose_authority=text(dose, AUTHORITY),
            organ_doses_mgy=tuple(organ_doses(given)),
            administered_by=text(given, PERSON),
        ),
        weight_kg=number(about, WEIGHT),
        height_m=number(about, HEIGHT),
        glucose_mmol_per_l=number(about, GLUCOSE),
    )


def in_mbq(given: Dataset, name: content.Concept) -> float | None:
    """TID 10022 states activities in MBq: a number in any other unit is not taken for one."""
    return number(given, name) if content.unit(given, name) in ("MBq", "") else None


def injections(ds: Dataset, zone: ZoneInfo) -> tuple[PetInjection, ...]:
    """What any object states of an administration: a dose report by its tree, an image by its header.

    A tree that cannot be read is no reason to refuse the object: it is kept, and states nothing.
    """
    try:
        report = read(ds, zone)
    except (ValueError, TypeError, AttributeError):
        return read_injections(ds, zone)
    given = report.administration
    return (
        PetInjection(
            radiopharmaceutical=given.agent.meaning if given.agent else "",
            radionuclide=given.radionuclide,
            radiopharmaceutical_code=given.agent,
            started_at=given.started_at,
            stopped_at=given.stopped_at,
            total_dose_bq=given.activity_mbq * 1e6 if given.activity_mbq else None,
            half_life_s=given.half_life_s,
            volume_ml=given.volume_ml,
            route=given.route.meaning if given.route else "",
            administration_event_uid=given.event_uid,
            weight_kg=report.weight_kg,
            height_m=report.height_m,
            source="rrdsr",
        ),
    )


def predecessors(ds: Dataset) -> list[tuple[str, str, str]]:
    """Predecessor Documents (PS3.3 C.17.2.1): which reports this one replaces."""
    return [
        (word(study, "StudyInstanceUID"), word(series, "SeriesInstanceUID"), word(sop, "ReferencedSOPInstanceUID"))
        for study in ds.get("PredecessorDocumentsSequence") or []
        for series in study.get("ReferencedSeriesSequence") or []
        for sop in series.get("ReferencedSOPSequence") or []
    ]


def predecessor(study_uid: str, series_uid: str, report_uid: str) -> Dataset:
    sop, series, study = Dataset(), Dataset(), Dataset()
    sop.ReferencedSOPClassUID, sop.ReferencedSOPInstanceUID = SOP_CLASS, report_uid
    series.SeriesInstanceUID, series.ReferencedSOPSequence = series_uid, Sequence([sop])
    study.StudyInstanceUID, study.ReferencedSeriesSequence = study_uid, Sequence([series])
    return study


def organ_doses(given: Dataset) -> list[tuple[str, float]]:
    found = []
    for each in content.items(given, ORGAN_DOSES):
        organ, mgy = content.coded(each, SITE), number(each, ORGAN_DOSE)
        if organ is not None and mgy is not None:
            found.append((organ.meaning, mgy))
    return found


def write(report: DoseReport) -> Dataset:
    """A complete, verifiable object of our own. Raises ValueError for an administration without a time or an activity."""
    given = report.administration
    if given.started_at is None or given.activity_mbq is None or given.agent is None or given.radionuclide is None:
        raise ValueError("a dose report states what was given, how much and when")
    # One offset throughout: a report that is written after the clocks changed still means its own injection's clock.
    offset = timezone(given.started_at.utcoffset() or timedelta(0))
    when = (report.written_at or given.started_at).astimezone(offset)
    ds = Dataset()
    ds.SpecificCharacterSet = "ISO_IR 192"
    ds.SOPClassUID, ds.SOPInstanceUID = SOP_CLASS, report.report_uid
    ds.StudyInstanceUID, ds.SeriesInstanceUID = (
        report.study_uid,
        report.series_uid or generate_uid(entropy_srcs=[report.report_uid]),
    )
    ds.Modality, ds.Manufacturer = "SR", report.manufacturer or "Gantry"
    # Type 1 in the enhanced equipment module: who wrote it is a system, not a scanner.
    ds.ManufacturerModelName, ds.DeviceSerialNumber, ds.SoftwareVersions = "Gantry", "1", "1"
    ds.AccessionNumber = report.accession_number
    ds.PatientID, ds.PatientName = report.patient_id, report.patient_name
    ds.PatientBirthDate, ds.PatientSex = report.birth_date, report.sex
    ds.ReferringPhysicianName = ds.StudyID = ""
    ds.StudyDate, ds.StudyTime = given.started_at.strftime("%Y%m%d"), given.started_at.strftime("%H%M%S")
    ds.ContentDate, ds.ContentTime = when.strftime("%Y%m%d"), when.strftime("%H%M%S")
    ds.TimezoneOffsetFromUTC = when.strftime("%z")
    ds.SeriesNumber, ds.InstanceNumber = SERIES_NUMBER, report.number
    ds.CompletionFlag, ds.VerificationFlag = "COMPLETE", "UNVERIFIED"
    if report.predecessors:
        ds.PredecessorDocumentsSequence = Sequence([predecessor(*each) for each in report.predecessors])
    ds.ReferencedPerformedProcedureStepSequence = Sequence([])
    ds.PerformedProcedureCodeSequence = Sequence([])
    ds.ValueType, ds.ContinuityOfContent = "CONTAINER", "SEPARATE"
    ds.ConceptNameCodeSequence = content.sequence(ROOT.code)
    template = Dataset()
    template.MappingResource, template.TemplateIdentifier = "DCMR", "10021"
    ds.ContentTemplateSequence = Sequence([template])
    intent = content.code(INTENT, DIAGNOSTIC, relation="HAS CONCEPT MOD")
    ds.ContentSequence = Sequence(
        [
            content.code(PROCEDURE, PET, intent, relation="HAS CONCEPT MOD"),
            content.new("CONTAINER", ADMINISTRATION, *administered(given)),
            content.new("CONTAINER", CHARACTERISTICS, *characteristics(report)),
        ]
    )
    ds.file_meta = FileMetaDataset()
    ds.file_meta.MediaStorageSOPClassUID, ds.file_meta.MediaStorageSOPInstanceUID = (
        UID(SOP_CLASS),
        UID(report.report_uid),
    )
    ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    return ds


def administered(given: Administration) -> list[Dataset]:
    agent = [content.code(NUCLIDE, given.radionuclide, relation="HAS PROPERTIES")] if given.radionuclide else []
    if given.half_life_s is not None:
        agent.append(content.num(HALF_LIFE, given.half_life_s, "s", relation="HAS PROPERTIES"))
    rows = [content.code(AGENT, given.agent, *agent)] if given.agent else []
    if given.event_uid:
        rows.append(content.uid(EVENT_UID, given.event_uid))
    offset = timezone(given.started_at.utcoffset() or timedelta(0)) if given.started_at else UTC
    times = ((START, given.started_at), (STOP, given.stopped_at))
    rows += [content.moment(name, at.astimezone(offset)) for name, at in times if at]
    calibrator = content.code(DEVICE, CALIBRATOR, relation="HAS PROPERTIES")
    for name, mbq in ((ACTIVITY, given.activity_mbq), (BEFORE, given.before_mbq), (AFTER, given.after_mbq)):
        if mbq is not None:
            rows.append(content.num(name, mbq, "MBq", *([] if name is ACTIVITY else [calibrator])))
    if given.volume_ml is not None:
        rows.append(content.num(VOLUME, given.volume_ml, "cm3"))
    rows.append(content.code(ROUTE, given.route or VEIN))
    for name, said in (
        (DISPENSE_UNIT, given.dispense_unit),
        (LOT, given.lot),
        (VIAL, given.vial),
        (PRESCRIPTION, given.prescription),
    ):
        if said:
            rows.append(content.words(name, said))
    if given.effective_dose_msv is not None:
        source = (
            [content.words(AUTHORITY, given.dose_authority, relation="HAS PROPERTIES")] if given.dose_authority else []
        )
        rows.append(content.num(EFFECTIVE_DOSE, given.effective_dose_msv, "mSv", *source))
    if given.administered_by:
        role = content.code(ROLE, ADMINISTERING, relation="HAS PROPERTIES")
        rows.append(content.person(PERSON, given.administered_by, role))
    return rows


def characteristics(report: DoseReport) -> list[Dataset]:
    facts = (
        (WEIGHT, report.weight_kg, "kg"),
        (HEIGHT, report.height_m, "m"),
        (GLUCOSE, report.glucose_mmol_per_l, "mmol/L"),
    )
    return [content.num(name, value, unit) for name, value, unit in facts if value is not None]

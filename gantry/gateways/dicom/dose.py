"""Decides what a PET header says was injected: the Radiopharmaceutical Information of PS3.3 C.8.9.2."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from pydicom.dataset import Dataset

from gantry.gateways.dicom.matching import Unmatchable, date_text, time_text
from gantry.gateways.dicom.performed_step import YEARS, offset
from gantry.gateways.dicom.worklist import Code, codes_from

HEADER = (
    "RadiopharmaceuticalInformationSequence", "SeriesDate", "SeriesTime", "TimezoneOffsetFromUTC", "PatientWeight",
    "PatientSize", "DecayCorrection", "CorrectedImage", "Units", "ContentSequence", "ConceptNameCodeSequence",
    "ContentDate", "ContentTime",
)  # fmt: skip
"""Attributes `read_injection` looks at, and those of a dose report, which has no image."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PetInjection:
    """One administration as the image header states it. Nothing is averaged with another source."""

    radiopharmaceutical: str = ""
    radionuclide: Code | None = None
    radiopharmaceutical_code: Code | None = None
    started_at: datetime | None = None
    start_day_assumed: bool = False
    """The header gave a time of day only; the day was taken from the series."""
    stopped_at: datetime | None = None
    total_dose_bq: float | None = None
    half_life_s: float | None = None
    positron_fraction: float | None = None
    volume_ml: float | None = None
    route: str = ""
    administration_event_uid: str = ""
    weight_kg: float | None = None
    height_m: float | None = None
    source: str = "pet_header"
    """Or rrdsr: a dose report says it."""


def read_injections(ds: Dataset, zone: ZoneInfo) -> tuple[PetInjection, ...]:
    """Every injection a PET header states, wall clocks read in the header's offset or else the site's zone."""
    return tuple(read_injection(item, ds, zone) for item in ds.get("RadiopharmaceuticalInformationSequence") or [])


def read_injection(item: Dataset, ds: Dataset, zone: ZoneInfo) -> PetInjection:
    stated = date_time(word(item, "RadiopharmaceuticalStartDateTime"), ds, zone)
    assumed = None if stated else on_series_day(word(item, "RadiopharmaceuticalStartTime"), ds, zone)
    nuclides = codes_from(item.get("RadionuclideCodeSequence"))
    agents = codes_from(item.get("RadiopharmaceuticalCodeSequence"))
    return PetInjection(
        radiopharmaceutical=word(item, "Radiopharmaceutical"),
        radionuclide=nuclides[0] if nuclides else None,
        radiopharmaceutical_code=agents[0] if agents else None,
        started_at=stated or assumed,
        start_day_assumed=stated is None and assumed is not None,
        stopped_at=date_time(word(item, "RadiopharmaceuticalStopDateTime"), ds, zone),
        total_dose_bq=positive(item, "RadionuclideTotalDose"),
        half_life_s=positive(item, "RadionuclideHalfLife"),
        positron_fraction=positive(item, "RadionuclidePositronFraction"),
        volume_ml=positive(item, "RadiopharmaceuticalVolume"),
        route=word(item, "RadiopharmaceuticalRoute"),
        administration_event_uid=word(item, "RadiopharmaceuticalAdministrationEventUID"),
        weight_kg=positive(ds, "PatientWeight"),
        height_m=positive(ds, "PatientSize"),
    )


def word(ds: Dataset, keyword: str) -> str:
    value = ds.get(keyword)
    return "" if value is None else str(value).strip()


def positive(ds: Dataset, keyword: str) -> float | None:
    """A measured quantity; zero and nonsense mean it was not recorded."""
    try:
        value = float(ds.get(keyword) or 0)
    except (TypeError, ValueError):
        return None
    return value if 0 < value < float("inf") else None


DATE_TIME = re.compile(r"(?P<clock>[0-9]{8,14}(\.[0-9]{1,6})?)(?P<offset>[+-][0-9]{4})?")


def date_time(written: str, ds: Dataset, zone: ZoneInfo) -> datetime | None:
    found = DATE_TIME.fullmatch(written)
    if not found or len(found["clock"].partition(".")[0]) % 2:
        return None
    day, clock = found["clock"][:8], found["clock"][8:]
    if not clock:
        return None
    return at(day, clock, found["offset"] or word(ds, "TimezoneOffsetFromUTC"), zone)


def on_series_day(clock: str, ds: Dataset, zone: ZoneInfo) -> datetime | None:
    """A bare time of day: that of the series, or the evening before when it would lie after the series began."""
    day, series_clock = word(ds, "SeriesDate"), word(ds, "SeriesTime")
    written = word(ds, "TimezoneOffsetFromUTC")
    started = at(day, clock, written, zone) if clock and day else None
    series = at(day, series_clock, written, zone) if series_clock and day else None
    if started and series and started > series:
        return started - timedelta(days=1)
    return started


def at(day: str, clock: str, written_offset: str, zone: ZoneInfo) -> datetime | None:
    try:
        digits = date_text(0x00080021, day) + time_text(0x00080031, clock, "0")
        naive = datetime.strptime(digits, "%Y%m%d%H%M%S%f")  # noqa: DTZ007 - the zone is put on below
    except (Unmatchable, ValueError):
        return None
    if naive.year not in YEARS:
        return None
    return naive.replace(tzinfo=offset(written_offset) or zone)

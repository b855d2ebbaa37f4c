"""Reads from a PET image's header what an uptake value is computed from, and what it says was injected."""

from __future__ import annotations

from zoneinfo import ZoneInfo

from pydicom.dataset import Dataset

from gantry.domain.uptake import PetFacts, Stated
from gantry.gateways.dicom.dose import at, positive, read_injections, word


def read_facts(ds: Dataset, zone: ZoneInfo) -> PetFacts:
    """Of the first administration that the header states; wall clocks in its own offset, else the site's zone."""
    injections = read_injections(ds, zone)
    first = injections[0] if injections else None
    corrected = ds.get("CorrectedImage") or []
    offset = word(ds, "TimezoneOffsetFromUTC")
    series = word(ds, "SeriesDate"), word(ds, "SeriesTime")
    acquired = word(ds, "AcquisitionDate") or series[0], word(ds, "AcquisitionTime")
    return PetFacts(
        units=word(ds, "Units"),
        corrections=frozenset([corrected] if isinstance(corrected, str) else map(str, corrected)),
        decay_correction=word(ds, "DecayCorrection"),
        weight_kg=positive(ds, "PatientWeight"),
        total_bq=first.total_dose_bq if first else None,
        half_life_s=first.half_life_s if first else None,
        injected_at=first.started_at if first else None,
        series_at=at(*series, offset, zone) if all(series) else None,
        first_acquired_at=at(*acquired, offset, zone) if all(acquired) else None,
    )


def stated(facts: PetFacts, source: str = "image header") -> Stated:
    mbq = facts.total_bq / 1e6 if facts.total_bq else None
    return Stated(source, facts.injected_at, mbq, facts.half_life_s, facts.weight_kg)

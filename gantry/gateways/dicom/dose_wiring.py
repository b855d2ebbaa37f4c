"""Writes one injection of ours as a dose report: rows to the translation's own dataclasses, and nothing decided here."""

from __future__ import annotations

import hashlib
from datetime import datetime
from uuid import UUID
from zoneinfo import ZoneInfo

from gantry.apps.scanning.models import Injection
from gantry.domain.activity import effective_dose_msv
from gantry.domain.scan import age_in_years
from gantry.gateways.dicom.dose_report import Administration, DoseReport
from gantry.gateways.dicom.worklist import Code
from gantry.reference.effective_dose import coefficient
from gantry.reference.nuclides import RADIONUCLIDE_SCT
from gantry.reference.tracers import tracer

DICOM_SEX = {"1": "M", "2": "F", "9": "O"}


def uid_of(key: UUID, role: str) -> str:
    """A UID of ours that comes out the same each time (PS3.5 B.2: 2.25 and a UUID as one number)."""
    digest = hashlib.sha256(f"{role}:{key}".encode()).digest()[:16]
    return f"2.25.{UUID(bytes=digest, version=5).int}"


def report_of(injection: Injection, *, now: datetime, number: int = 1) -> DoseReport:
    """Net activity at the injection, both assays, the container, the vial's batch and the dose by age.

    Each of an injection's reports has a name of its own, that comes out the same if it is written twice.
    """
    visit, dose = injection.visit, injection.dose
    appointment = visit.appointment
    procedure, patient = appointment.procedure, appointment.referral.patient
    product, zone = tracer(procedure.tracer), ZoneInfo(visit.site.zone)
    at = injection.injected_at.astimezone(zone)
    age = age_in_years(patient.date_of_birth, at.date()) if patient.date_of_birth else None
    known = coefficient(product.code, age, at.date())
    symbol, net = product.nuclide.symbol, dose.net_mbq or 0.0
    return DoseReport(
        report_uid=uid_of(injection.pk, f"dose report {number}"),
        series_uid=uid_of(injection.pk, "dose report series"),
        number=number,
        study_uid=procedure.study_uid,
        accession_number=procedure.accession_number,
        patient_id=patient.nhs_number or "",
        patient_name=f"{patient.family_name}^{patient.given_name}",
        birth_date=patient.date_of_birth.strftime("%Y%m%d") if patient.date_of_birth else "",
        sex=DICOM_SEX.get(patient.stated_gender, ""),
        written_at=now.astimezone(zone),
        manufacturer="Gantry",
        administration=Administration(
            agent=Code(product.agent_code, product.agent_scheme, product.name),
            radionuclide=Code(RADIONUCLIDE_SCT[symbol].value, "SCT", symbol),
            half_life_s=product.nuclide.half_life.total_seconds(),
            event_uid=uid_of(injection.event, "administration"),
            started_at=at,
            activity_mbq=round(net, 3),
            before_mbq=dose.drawn_mbq,
            after_mbq=dose.residual_mbq,
            volume_ml=dose.volume_ml,
            dispense_unit=dose.container.barcode,
            lot=dose.batch.number,
            prescription=procedure.requested_procedure_id,
            effective_dose_msv=round(effective_dose_msv(net, known.value), 3) if known else None,
            dose_authority=known.source if known else "",
            administered_by=injection.by_name,
        ),
        weight_kg=visit.weight_kg,
        glucose_mmol_per_l=visit.glucose_mmol_per_l,
    )

"""Who is expected on which day: a visit and a worklist step follow each booking, and go when it goes."""

import base64
from datetime import datetime
from uuid import UUID
from zoneinfo import ZoneInfo

from django.db import transaction

from gantry.apps.audit.ids import new_id
from gantry.apps.audit.models import Event
from gantry.apps.booking.models import Appointment
from gantry.apps.patients.models import Patient
from gantry.apps.scanning.models import ScheduledStep, Visit
from gantry.apps.scanning.services.carrying import carry, weigh
from gantry.domain.appointment import AppointmentState
from gantry.domain.lifecycle import advance
from gantry.domain.scan import VISIT, VisitEvent, VisitState
from gantry.reference.protocols import PROTOCOLS, usual_for

COMING = (AppointmentState.BOOKED, AppointmentState.TOLD, AppointmentState.ARRIVED)
NOT_SEEN = (AppointmentState.DID_NOT_ATTEND, AppointmentState.WAS_NOT_BROUGHT)
DICOM_SEX = {"1": "M", "2": "F", "9": "O"}
"""Stated gender of the data dictionary as DICOM's patient's sex (C.7.1.1)."""


def follow(event: Event) -> None:
    """Subscriber to every event that books, moves or ends an appointment. Running twice changes nothing."""
    named = event.about.get("appointment")
    if named is None:
        return
    found = Appointment.objects.filter(pk=UUID(named)) | Appointment.objects.filter(replaces=UUID(named))
    found |= Appointment.objects.filter(replaced_by=UUID(named))
    rows = list(found.select_related("site", "scanner", "procedure", "referral__patient").order_by("pk"))
    carried = [visit for row in rows if (visit := carry(row, of=event)) is not None]
    for appointment in rows:
        settle(appointment, now=event.recorded_at)
    for visit in carried:
        weigh(visit)


def settle(appointment: Appointment, *, now: datetime) -> None:
    """Make the visit and the worklist say what the appointment says."""
    if appointment.state in COMING:
        expect(appointment, now=now)
    elif appointment.state != AppointmentState.HELD:
        remove(appointment, now=now)


@transaction.atomic
def expect(appointment: Appointment, *, now: datetime) -> Visit:
    """A visit on the local day of the site, and the scanner's worklist item. A second call finds the first one's."""
    procedure, site = appointment.procedure, appointment.site
    code = procedure.protocol if procedure.protocol in PROTOCOLS else usual_for(procedure.tracer)
    visit, _ = Visit.objects.get_or_create(
        appointment=appointment,
        defaults={
            "site": site,
            "on": appointment.arrival_at.astimezone(ZoneInfo(site.zone)).date(),
            "protocol": code,
            "protocol_version": PROTOCOLS[code].value.version,
            "state": VisitState.EXPECTED,
        },
    )
    if not ScheduledStep.objects.filter(appointment=appointment).exists():
        ScheduledStep.objects.create(**scheduled(appointment), changed_at=now)
    return visit


def scheduled(appointment: Appointment) -> dict[str, object]:
    """What a scanner is told. The step's own identifier is made here; the other three come from the procedure."""
    procedure, referral, site = appointment.procedure, appointment.referral, appointment.site
    patient = referral.patient
    number, issuer = identity_of(patient)
    return {
        "scheduled_step_id": "S" + base64.b32encode(new_id().bytes[-7:]).decode()[:11],
        "appointment": appointment,
        "procedure": procedure,
        "site": site,
        "station_ae_title": appointment.scanner.ae_title,
        "station_name": appointment.scanner.name[:16],
        "starts_at": appointment.scan_at,
        "zone": site.zone,
        "accession_number": procedure.accession_number,
        "requested_procedure_id": procedure.requested_procedure_id,
        "study_uid": procedure.study_uid,
        "patient_id": number,
        "patient_id_issuer": issuer,
        "family_name": patient.family_name,
        "given_name": patient.given_name,
        "birth_date": patient.date_of_birth,
        "sex": DICOM_SEX.get(patient.stated_gender, ""),
        "weight_kg": referral.weight_kg,
        "referring_physician": referral.referrer_name,
        "description": procedure.title[:64],
        "procedure_code": procedure.procedure_code,
    }


def identity_of(patient: Patient) -> tuple[str, str]:
    """The NHS number, else the identifier that the referrer gave, with who issued it."""
    if patient.nhs_number:
        return patient.nhs_number, "NHS"
    given = patient.identifiers.order_by("pk").first()
    return (given.value, given.assigner) if given else (str(patient.pk), "GANTRY")


def remove(appointment: Appointment, *, now: datetime) -> None:
    """Off the worklist. A visit to which nobody came stays as not seen; one that moved away was never a visit."""
    if appointment.state not in (AppointmentState.FULFILLED,):
        ScheduledStep.objects.filter(appointment=appointment, state="scheduled").update(state="removed", changed_at=now)
    waiting = Visit.objects.filter(appointment=appointment, state=VisitState.EXPECTED)
    if appointment.state in NOT_SEEN:
        waiting.update(state=advance(VISIT, VisitState.EXPECTED, VisitEvent.NOT_SEE))
    else:
        waiting.filter(steps__isnull=True, injections__isnull=True).delete()

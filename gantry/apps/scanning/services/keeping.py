"""Images coming in: kept with their row before anybody is told so, and matched only when it is sure whose they are."""

import hashlib
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.db import connection, transaction
from psycopg import Cursor

from gantry.apps.audit.ids import new_id
from gantry.apps.audit.services import append
from gantry.apps.booking.models import Appointment
from gantry.apps.estate.models import Network, Site
from gantry.apps.referrals.models import RequestedProcedure
from gantry.apps.scanning.models import DoseRecord, Instance, ReconcileItem, Series, Study, StudyState
from gantry.domain.events import EventKind, system
from gantry.domain.identifiers import valid_nhs_number


@dataclass(frozen=True, slots=True)
class TracerSeen:
    """What one series' header, or a scanner's dose report, says of the tracer."""

    radiopharmaceutical: str
    injected_at: datetime | None
    total_dose_mbq: float | None
    half_life_s: float | None
    weight_kg: float | None
    source: str = "pet_header"


@dataclass(frozen=True, slots=True, kw_only=True)
class ReceivedInstance:
    """A stored object as its header states it; the file is already on disk at `path`, below the images root."""

    sop_instance_uid: str
    sop_class_uid: str
    transfer_syntax_uid: str
    study_uid: str
    series_uid: str
    size_bytes: int
    sha256: str
    path: str
    patient_id: str
    nhs_number: str
    patient_name: str
    patient_id_issuer: str = ""
    birth_date: str = ""
    sex: str = ""
    accession_number: str = ""
    modality: str = ""
    study_date: str = ""
    study_description: str = ""
    series_description: str = ""
    series_number: int | None = None
    calling_ae_title: str = ""
    tracers: tuple[TracerSeen, ...] = ()


@dataclass(frozen=True, slots=True)
class KeptInstance:
    """The row is committed. `held` is the reason why a person must say whose it is; empty when that is sure."""

    study: UUID
    held: str = ""
    repeated: bool = False


@dataclass(frozen=True, slots=True)
class Conflict:
    """Another object was stored under this SOP Instance UID; neither is overwritten."""

    reason: str


class AnotherThere(Exception):
    """Rolls back what a conflicting object began: no study and no question is left of it."""


def identity_of(received: ReceivedInstance) -> str:
    """Who the sender says it is: a study UID shared by two people must become two studies."""
    said = (received.patient_id, received.patient_id_issuer, received.patient_name, received.birth_date)
    return hashlib.sha256("\x1f".join((*said, received.accession_number)).encode()).hexdigest()


def keep_instance(received: ReceivedInstance, *, now: datetime) -> KeptInstance | Conflict:
    """Write the index row of a stored file. The same object again is kept once; another under its name is refused."""
    # All but the first image of a series find their study there: that is one statement, and one commit.
    if kept := _counted(received, now):
        return kept
    try:
        return _keep(received, now)
    except AnotherThere:
        return Conflict("Another object is stored under this SOP Instance UID; it was not replaced")


@transaction.atomic
def _keep(received: ReceivedInstance, now: datetime) -> KeptInstance:
    study, held = _study(received, now)
    _series(study, received)
    if _counted(received, now):
        return KeptInstance(study, held)
    there = Instance.objects.only("sha256", "study_id").get(sop_instance_uid=received.sop_instance_uid)
    if there.sha256 != received.sha256 or there.study_id != study:
        raise AnotherThere
    return KeptInstance(study, held, repeated=True)


COUNTED = """
WITH known AS (
  SELECT study.id AS study, series.id AS series, study.state
  FROM scanning_study study JOIN scanning_series series ON series.study_id = study.id
  WHERE study.study_uid = %(study_uid)s AND study.identity = %(identity)s AND series.series_uid = %(series_uid)s
), new AS (
  INSERT INTO scanning_instance (id, study_id, series_id, sop_instance_uid, sop_class_uid, transfer_syntax_uid, size,
                                 sha256, path, received_at)
  SELECT %(id)s, study, series, %(sop_instance_uid)s, %(sop_class_uid)s, %(transfer_syntax_uid)s, %(size)s,
         %(sha256)s, %(path)s, %(now)s
  FROM known ON CONFLICT (sop_instance_uid) DO NOTHING RETURNING study_id
), counted AS (
  UPDATE scanning_study SET instances_count = instances_count + 1, last_instance_at = %(now)s,
    modalities = CASE WHEN %(modality)s = ANY(modalities) OR %(modality)s = '' THEN modalities
                      ELSE array_append(modalities, %(modality)s) END
  FROM new WHERE scanning_study.id = new.study_id
)
SELECT known.study, CASE WHEN known.state = 'held' THEN (
  SELECT reason FROM scanning_reconcileitem WHERE study_id = known.study ORDER BY opened_at LIMIT 1) ELSE '' END
FROM known JOIN new ON new.study_id = known.study
"""


def _counted(received: ReceivedInstance, now: datetime) -> KeptInstance | None:
    """One statement: the row and its study's count. None where the study, its series or the name's freedom lacks."""
    values = {
        "id": new_id(),
        "study_uid": received.study_uid,
        "identity": identity_of(received),
        "series_uid": received.series_uid,
        "sop_instance_uid": received.sop_instance_uid,
        "sop_class_uid": received.sop_class_uid,
        "transfer_syntax_uid": received.transfer_syntax_uid,
        "size": received.size_bytes,
        "sha256": received.sha256,
        "path": received.path,
        "now": now,
        "modality": received.modality[:16],
    }
    connection.ensure_connection()
    # Past Django's cursor, which writes the values into the text: this one is planned once for each connection.
    with connection.wrap_database_errors, Cursor(connection.connection) as cursor:
        found = cursor.execute(COUNTED, values, prepare=True).fetchone()
    return KeptInstance(found[0], found[1] or "") if found else None


def _study(received: ReceivedInstance, now: datetime) -> tuple[UUID, str]:
    identity = identity_of(received)
    found = (
        Study.objects.filter(study_uid=received.study_uid, identity=identity)
        .values_list("pk", "state", "reconcile_items__reason", "reconcile_items__state")
        .order_by("reconcile_items__opened_at")
        .first()
    )
    if found:
        return found[0], found[2] if found[1] == StudyState.HELD else ""
    procedure, reason = match(received)
    study, made = Study.objects.get_or_create(
        study_uid=received.study_uid,
        identity=identity,
        defaults={
            "state": StudyState.MATCHED if procedure else StudyState.HELD,
            "procedure": procedure,
            "appointment": appointment_of(procedure) if procedure else None,
            "accession_number": received.accession_number[:64],
            "patient_id": received.patient_id[:64],
            "patient_id_issuer": received.patient_id_issuer[:64],
            "patient_name": received.patient_name[:324],
            "birth_date": received.birth_date[:16],
            "sex": received.sex[:16],
            "description": received.study_description[:64],
            "study_date": received.study_date[:16],
            "received_at": now,
            "last_instance_at": now,
            "calling_ae_title": received.calling_ae_title[:16],
        },
    )
    if made:
        _announce(study, reason, received, now)
    return study.pk, reason if study.state == StudyState.HELD else ""


def match(received: ReceivedInstance) -> tuple[RequestedProcedure | None, str]:
    """The one procedure whose NHS number and accession number are both those sent; else the reason there is none."""
    return whose(received.accession_number, received.nhs_number)


def whose(accession_number: str, nhs_number: str) -> tuple[RequestedProcedure | None, str]:
    if not accession_number:
        return None, "No accession number was sent"
    if not nhs_number or not valid_nhs_number(nhs_number):
        return None, "No valid NHS number was sent"
    procedure = (
        RequestedProcedure.objects.select_related("referral__patient").filter(accession_number=accession_number).first()
    )
    if procedure is None:
        return None, f"No request has the accession number {accession_number}"
    if procedure.referral.patient.nhs_number != nhs_number:
        return None, "The accession number is of a request for another NHS number"
    return procedure, ""


def appointment_of(procedure: RequestedProcedure) -> Appointment | None:
    """The appointment that these images come from: the latest that was kept or is being kept."""
    return (
        procedure.appointments.filter(state__in=["arrived", "fulfilled", "told", "booked"]).order_by("-scan_at").first()
    )


def about(study: Study) -> dict[str, UUID]:
    subjects = {"study": study.pk}
    if study.procedure is not None:
        referral = study.procedure.referral
        subjects |= {"procedure": study.procedure.pk, "referral": referral.pk, "patient": referral.patient_id}
    if study.appointment_id:
        subjects["appointment"] = study.appointment_id
    return subjects


def _announce(study: Study, reason: str, received: ReceivedInstance, now: datetime) -> None:
    scanner = system(f"scanner {received.calling_ae_title or 'unnamed'}")
    if study.procedure is not None:
        append(
            EventKind.IMAGES_RECEIVED,
            subjects=about(study),
            happened_at=now,
            recorded_at=now,
            by=scanner,
            organisation=study.procedure.referral.provider_id,
            site=study.appointment.site_id if study.appointment else None,
            data={"study_uid": study.study_uid},
        )
        return
    site = site_of(received.calling_ae_title, now)
    provider = site.network.provider_id if site else only_provider()
    ReconcileItem.objects.create(
        study=study,
        site=site,
        provider_id=provider,
        reason=reason,
        theirs=theirs_of(study),
        ours=[str(p.pk) for p in nearest(received)],
        opened_at=now,
    )
    append(
        EventKind.IMAGES_HELD,
        subjects=about(study),
        happened_at=now,
        recorded_at=now,
        by=scanner,
        organisation=provider,
        site=site.pk if site else None,
        data={"reason": reason},
    )


def theirs_of(study: Study) -> dict[str, str]:
    """What the images say of themselves, as it was when they came."""
    return {
        "patient_id": study.patient_id,
        "patient_id_issuer": study.patient_id_issuer,
        "patient_name": study.patient_name,
        "birth_date": study.birth_date,
        "sex": study.sex,
        "accession_number": study.accession_number,
        "study_date": study.study_date,
        "description": study.description,
    }


def nearest(received: ReceivedInstance, limit: int = 5) -> list[RequestedProcedure]:
    """What we hold that shares a number with what came: shown beside it, never chosen for anybody."""
    return sharing(received.study_uid, received.accession_number, received.nhs_number, received.patient_id, limit=limit)


def sharing(
    study_uid: str, accession_number: str, nhs_number: str, patient_id: str, *, limit: int = 5
) -> list[RequestedProcedure]:
    found: dict[UUID, RequestedProcedure] = {}
    asked = [{"study_uid": study_uid}]
    if accession_number:
        asked.append({"accession_number": accession_number[:16]})
    if nhs_number:
        asked.append({"referral__patient__nhs_number": nhs_number})
    if patient_id:
        asked.append({"referral__patient__identifiers__value": patient_id})
    for by in asked:
        for procedure in RequestedProcedure.objects.filter(**by).distinct().order_by("-created_at")[:limit]:
            found.setdefault(procedure.pk, procedure)
    return list(found.values())[:limit]


def site_of(ae_title: str, now: datetime) -> Site | None:
    return (
        Site.objects.select_related("network")
        .filter(deployments__scanner__ae_title=ae_title, deployments__from_at__lte=now)
        .exclude(deployments__to_at__lt=now)
        .first()
    )


def only_provider() -> UUID | None:
    """Images from an unknown scanner still need somebody: the provider, where the installation has one."""
    providers = list(Network.objects.values_list("provider", flat=True).distinct().order_by("provider")[:1])
    return providers[0] if providers else None


def _series(study: UUID, received: ReceivedInstance) -> None:
    _, made = Series.objects.get_or_create(
        study_id=study,
        series_uid=received.series_uid,
        defaults={
            "modality": received.modality[:16],
            "description": received.series_description[:64],
            "number": received.series_number,
        },
    )
    if made:
        for seen in received.tracers[:1]:
            DoseRecord.objects.get_or_create(
                study_id=study,
                source=seen.source,
                series_uid=received.series_uid,
                defaults={
                    "radiopharmaceutical": seen.radiopharmaceutical[:64],
                    "injected_at": seen.injected_at,
                    "total_dose_mbq": seen.total_dose_mbq,
                    "half_life_s": seen.half_life_s,
                    "weight_kg": seen.weight_kg,
                },
            )

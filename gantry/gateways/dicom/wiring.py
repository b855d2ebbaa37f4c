"""Decides which service of the house answers each DICOM request, and how its rows look on the wire."""

import logging
import re
from collections.abc import Iterable
from itertools import count
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from django.conf import settings
from django.utils import timezone
from pydicom.dataset import Dataset

from gantry.apps.estate.models import Endpoint, EndpointKind
from gantry.apps.scanning.models import InjectorReport, Instance, ScheduledStep
from gantry.apps.scanning.services import images, injectors, performed, worklist
from gantry.domain.scan import StepState
from gantry.gateways.database import Desk, reaches_the_database
from gantry.gateways.dicom.commitment import CLASS_CONFLICT, NO_SUCH_OBJECT, Address, Asked, Commitment, Reported
from gantry.gateways.dicom.index import Changes, WorklistIndex, WorklistSource
from gantry.gateways.dicom.performed_step import PerformedSeries, PerformedSteps, StepBegun, StepReported, StepStatus
from gantry.gateways.dicom.server import Doors
from gantry.gateways.dicom.status import NO_LONGER_UPDATABLE, Refusal, Status
from gantry.gateways.dicom.storage import Kept, Store, StoredInstance
from gantry.gateways.dicom.worklist import Code, Name, WorklistItem, item_from_dataset, name_from

log = logging.getLogger(__name__)

OUR_CODES = "99GANTRY"


def make_doors(desk: Desk | None = None) -> Doors:
    """Everything this node serves, on connections of the process that calls it."""
    zone, desk = ZoneInfo(settings.TIME_ZONE), desk or Desk()
    root = Path(settings.IMAGES_ROOT)
    return Doors(
        zone=zone,
        worklist=WorklistIndex(worklist_source(desk), zone),
        performed_steps=performed_steps(desk),
        storage=Store(root, lambda stored: keep(desk, stored), zone, sync=settings.IMAGES_FSYNC),
        commitment=Commitment(
            settings.DICOM_AE_TITLE,
            lambda asked: desk.ask(committed, asked, root),
            lambda title: desk.ask(address_of, title),
        ),
        verified=lambda title: verified(desk, title),
    )


def verified(desk: Desk, calling_ae_title: str) -> None:
    """An echo is answered with success only while what comes in could be kept."""
    desk.ask(reaches_the_database)
    log.info("verified", extra={"calling_ae": calling_ae_title})


# Storage


def keep(desk: Desk, stored: StoredInstance) -> Kept | Refusal:
    answer = desk.ask(keep_one, stored)
    if isinstance(answer, images.Conflict):
        return Refusal(Status.CONFLICT, answer.reason)
    return Kept(answer)


def keep_one(stored: StoredInstance) -> str | images.Conflict:
    """Images and what scanners report of them go to their study; an injector's report stands by itself."""
    # Only a report costs the question who sent it.
    if stored.sop_class_uid == injectors.DOSE_REPORT and injectors.is_ours_to_keep(
        stored.sop_class_uid, stored.calling_ae_title
    ):
        row = injectors.keep(received(stored), now=timezone.now())
        return row if isinstance(row, images.Conflict) else ""
    answer = images.keep_instance(received(stored), now=timezone.now())
    return answer if isinstance(answer, images.Conflict) else answer.held


def received(stored: StoredInstance) -> images.ReceivedInstance:
    return images.ReceivedInstance(
        sop_instance_uid=stored.sop_instance_uid,
        sop_class_uid=stored.sop_class_uid,
        transfer_syntax_uid=stored.transfer_syntax_uid,
        study_uid=stored.study_uid,
        series_uid=stored.series_uid,
        size_bytes=stored.size_bytes,
        sha256=stored.sha256,
        path=stored.path,
        patient_id=stored.patient_id,
        nhs_number=stored.nhs_number,
        patient_name=stored.patient_name,
        patient_id_issuer=stored.patient_id_issuer,
        birth_date=stored.patient_birth_date,
        sex=stored.patient_sex,
        accession_number=stored.accession_number,
        modality=stored.modality,
        study_date=stored.study_date,
        study_description=stored.study_description,
        series_description=stored.series_description,
        series_number=whole_number(stored.series_number),
        calling_ae_title=stored.calling_ae_title,
        tracers=tuple(
            images.TracerSeen(
                radiopharmaceutical=each.radiopharmaceutical
                or (each.radiopharmaceutical_code.meaning if each.radiopharmaceutical_code else ""),
                injected_at=each.started_at,
                total_dose_mbq=each.total_dose_bq / 1e6 if each.total_dose_bq else None,
                half_life_s=each.half_life_s,
                weight_kg=each.weight_kg,
                source=each.source,
            )
            for each in stored.injections
        ),
    )


def whole_number(text: str) -> int | None:
    """IS holds no more than 32 bits (PS3.5 table 6.2-1). A number that is none keeps no image out."""
    number = int(text) if re.fullmatch("[+-]?[0-9]{1,11}", text) else None
    return number if number is not None and abs(number) < 1 << 31 else None


def committed(asked: Asked, root: Path) -> Reported:
    """An instance is safe when its row is committed and its file is there, whole."""
    uids = [uid for _, uid in asked.instances]
    rows: dict[str, Instance | InjectorReport] = {
        row.sop_instance_uid: row for row in InjectorReport.objects.filter(sop_instance_uid__in=uids)
    }
    rows |= {row.sop_instance_uid: row for row in Instance.objects.filter(sop_instance_uid__in=uids)}
    kept, failed = [], []
    for sop_class, uid in asked.instances:
        row = rows.get(uid)
        if row is None or not whole(root / row.path, row.size):
            failed.append((sop_class, uid, NO_SUCH_OBJECT))
        elif row.sop_class_uid != sop_class:
            failed.append((sop_class, uid, CLASS_CONFLICT))
        else:
            kept.append((sop_class, uid))
    return Reported(asked.transaction_uid, tuple(kept), tuple(failed))


def whole(path: Path, size_bytes: int) -> bool:
    try:
        return path.stat().st_size >= size_bytes
    except OSError:
        return False


def address_of(ae_title: str) -> Address | None:
    found = Endpoint.objects.filter(kind=EndpointKind.DICOM, ae_title=ae_title, active=True).order_by("pk").first()
    return Address(found.host, found.port, found.ae_title) if found else None


# Performed steps


def performed_steps(desk: Desk) -> PerformedSteps:
    """A call made again because its connection broke finds what the first one kept, and that is no error."""

    def begin(begun: StepBegun, calling_ae_title: str) -> Refusal | None:
        facts, tries = step_facts(begun), count()

        def create() -> Refusal | None:
            again = next(tries) > 0
            made = performed.performed_created(facts, now=timezone.now())
            if isinstance(made, performed.AlreadyThere) and not (again and made.same):
                return Refusal(Status.DUPLICATE_INSTANCE, "A step with this SOP Instance UID was created before")
            return None

        return desk.ask(create)

    def report(reported: StepReported, calling_ae_title: str) -> Refusal | None:
        news, tries = step_news(reported), count()

        def update() -> Refusal | None:
            again = next(tries) > 0
            answer = performed.performed_set(news, now=timezone.now())
            if not isinstance(answer, performed.Ended):
                return None
            if not answer.known:
                return Refusal(Status.NO_SUCH_INSTANCE, answer.reason)
            if again and performed.state_of(news.sop_instance_uid) is news.state:
                return None
            return Refusal(Status.PROCESSING_FAILURE, answer.reason, error_id=NO_LONGER_UPDATABLE)

        return desk.ask(update)

    def status_of(uid: str) -> StepStatus | None:
        state = desk.ask(performed.state_of, uid)
        return STATUS_OF[state] if state else None

    return PerformedSteps(begin, report, status_of)


STATUS_OF = {
    StepState.IN_PROGRESS: StepStatus.IN_PROGRESS,
    StepState.COMPLETED: StepStatus.COMPLETED,
    StepState.DISCONTINUED: StepStatus.DISCONTINUED,
}
STATE_OF = {status: state for state, status in STATUS_OF.items()}


def step_facts(begun: StepBegun) -> performed.StepFacts:
    return performed.StepFacts(
        sop_instance_uid=begun.sop_instance_uid,
        started_at=begun.started_at,
        performed_step_id=begun.step_id,
        station_ae_title=begun.station_ae_title,
        patient_id=begun.patient_id,
        references=tuple(
            performed.Reference(each.study_uid, each.accession_number, each.requested_procedure_id, each.step_id)
            for each in begun.scheduled
        ),
        series=series_of(begun.series),
    )


def step_news(reported: StepReported) -> performed.StepNews:
    reasons = reported.discontinuation_reasons or ()
    return performed.StepNews(
        sop_instance_uid=reported.sop_instance_uid,
        state=STATE_OF[reported.status] if reported.status else None,
        ended_at=reported.ended_at,
        discontinuation_reason="; ".join(code.meaning or code.value for code in reasons),
        series=series_of(reported.series) if reported.series is not None else None,
    )


def series_of(series: Iterable[PerformedSeries]) -> tuple[dict[str, Any], ...]:
    return tuple(
        {
            "series_uid": each.series_uid,
            "protocol_name": each.protocol_name,
            "description": each.description,
            "operators": list(each.operators),
            "images": len(each.images),
        }
        for each in series
    )


# The worklist


def worklist_source(desk: Desk) -> WorklistSource:
    def changes(since: object | None) -> Changes:
        found = desk.ask(worklist.changed, since if isinstance(since, int) else None)
        put = {row.scheduled_step_id: item_of(row) for row in found.listed}
        return Changes(found.version, put, found.removed, everything=since is None)

    return WorklistSource(lambda: desk.ask(worklist.version), changes)


STEPS, NAME = "00400100", "00100010"


def item_of(row: ScheduledStep) -> WorklistItem:
    """A row as a scanner reads it. What came from another worklist says the rest in its own attributes."""
    extra = row.extra or {}
    ours = not extra
    return WorklistItem(
        step_id=row.scheduled_step_id,
        station_ae_titles=stations(row),
        station_name=row.station_name,
        start=row.starts_at,
        modality=row.modality,
        study_uid=row.study_uid,
        accession_number=row.accession_number,
        requested_procedure_id=row.requested_procedure_id,
        patient_id=row.patient_id,
        patient_id_issuer=row.patient_id_issuer,
        patient_name=patient_name(row),
        birth_date=row.birth_date,
        sex=row.sex,
        weight_kg=row.weight_kg,
        referring_physician=name_from(row.referring_physician),
        requested_procedure_description=row.description,
        step_description=row.description if ours else "",
        requested_procedure_codes=(Code(row.procedure_code, OUR_CODES, row.description),)
        if ours and row.procedure_code
        else (),
        extra=extra,
    )


def stations(row: ScheduledStep) -> tuple[str, ...]:
    if row.station_ae_title:
        return (row.station_ae_title,)
    steps = (row.extra or {}).get(STEPS, {}).get("Value") or [{}]
    return tuple(steps[0].get("00400001", {}).get("Value") or ())


def patient_name(row: ScheduledStep) -> Name:
    """With middle name, title and other alphabets, where the worklist that it came from gave them."""
    plain = Name(row.family_name, row.given_name)
    values = (row.extra or {}).get(NAME, {}).get("Value") or [{}]
    groups = [values[0].get(group, "") for group in ("Alphabetic", "Ideographic", "Phonetic")]
    whole_name = name_from("=".join(groups).rstrip("="))
    return whole_name if (whole_name.family, whole_name.given) == (plain.family, plain.given) else plain


def scheduling_of(ds: Dataset, zone: ZoneInfo) -> worklist.Scheduling:
    """A scheduled step as another worklist holds it, ready for `worklist.load`. Nothing that it said is lost."""
    item = item_from_dataset(ds, zone)
    one = item.station_ae_titles[0] if len(item.station_ae_titles) == 1 else ""
    return worklist.Scheduling(
        scheduled_step_id=item.step_id,
        starts_at=item.start,
        zone=zone.key,
        study_uid=item.study_uid,
        patient_id=item.patient_id,
        patient_id_issuer=item.patient_id_issuer,
        family_name=item.patient_name.family,
        given_name=item.patient_name.given,
        station_ae_title=one,
        station_name=item.station_name,
        modality=item.modality,
        accession_number=item.accession_number,
        requested_procedure_id=item.requested_procedure_id,
        birth_date=item.birth_date,
        sex=item.sex,
        weight_kg=item.weight_kg,
        referring_physician=item.referring_physician.text(),
        description=item.requested_procedure_description,
        extra=unnamed_here(ds),
    )


def unnamed_here(ds: Dataset) -> dict[str, Any]:
    """All of it but the character set and the clock's offset, which are ours to say."""
    rest = Dataset()
    for element in ds:
        if int(element.tag) not in {0x00080005, 0x00080201}:
            rest.add(element)
    answer: dict[str, Any] = rest.to_json_dict()
    return answer

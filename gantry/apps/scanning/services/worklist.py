"""The live worklist's service: what is scheduled, and what changed since a reader last looked."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import date, datetime
from typing import Any

from django.db import connection, transaction

from gantry.apps.scanning.models import ScheduledStep

ON_THE_LIST = ("scheduled", "started")


@dataclass(frozen=True, slots=True, kw_only=True)
class Scheduling:
    """A scheduled step as its source gives it; `extra` holds what we do not use, as DICOM JSON."""

    scheduled_step_id: str
    starts_at: datetime
    study_uid: str
    patient_id: str
    family_name: str
    given_name: str = ""
    zone: str = "Europe/London"
    station_ae_title: str = ""
    station_name: str = ""
    modality: str = "PT"
    accession_number: str = ""
    requested_procedure_id: str = ""
    patient_id_issuer: str = ""
    birth_date: date | None = None
    sex: str = ""
    weight_kg: float | None = None
    referring_physician: str = ""
    description: str = ""
    procedure_code: str = ""
    extra: Mapping[str, Any] = field(default_factory=dict)


@transaction.atomic
def load(scheduling: Scheduling, *, now: datetime) -> ScheduledStep:
    """Put a step on the worklist, or bring the one with its identifier up to date."""
    values = asdict(scheduling)
    key = values.pop("scheduled_step_id")
    step, _ = ScheduledStep.objects.update_or_create(
        scheduled_step_id=key, defaults=values | {"state": "scheduled", "changed_at": now}
    )
    return step


def version() -> int:
    """The number of the last committed change: one read of the end of an index."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT coalesce(max(change), 0) FROM scanning_scheduledstep")
        return int(cursor.fetchone()[0])


@dataclass(frozen=True, slots=True)
class Changed:
    version: int
    listed: tuple[ScheduledStep, ...]
    removed: tuple[str, ...]
    """Identifiers of steps that have left the worklist."""


def changed(since: int | None) -> Changed:
    """What became of the worklist after change number `since`; the whole of it for None."""
    if since is None:
        # The number is read first: a change that comes between the two reads is only read again.
        known = version()
        return Changed(known, tuple(ScheduledStep.objects.filter(state__in=ON_THE_LIST)), ())
    rows = list(ScheduledStep.objects.filter(change__gt=since).order_by("change"))
    return Changed(
        max((row.change for row in rows), default=since),
        tuple(row for row in rows if row.state in ON_THE_LIST),
        tuple(row.scheduled_step_id for row in rows if row.state not in ON_THE_LIST),
    )

"""Scanner tests and faults: what makes a scanner fit to be used today, each recorded with its event."""

from datetime import datetime
from zoneinfo import ZoneInfo

from django.db import transaction

from gantry.apps.audit.ids import new_id
from gantry.apps.audit.models import Event
from gantry.apps.audit.services import Stale, append
from gantry.apps.estate.models import Deployment, EquipmentTest, Fault, Scanner, Site
from gantry.domain.events import Actor, Cause, CauseCode, EventKind

DAILY = "daily quality control"


@transaction.atomic
def record_test(
    scanner: Scanner,
    *,
    passed: bool,
    at: datetime,
    now: datetime,
    by: Actor,
    site: Site | None = None,
    kind: str = DAILY,
    note: str = "",
) -> EquipmentTest:
    test = EquipmentTest.objects.create(
        scanner=scanner, kind=kind, at=at, passed=passed, by_name=by.name, note=note.strip()
    )
    append(
        EventKind.EQUIPMENT_TEST_PASSED if passed else EventKind.EQUIPMENT_TEST_FAILED,
        subjects={"scanner": scanner.pk, "test": test.pk},
        happened_at=at,
        recorded_at=now,
        by=by,
        site=where(scanner, at, site),
        data={"kind": kind, "note": note.strip()},
    )
    return test


@transaction.atomic
def record_fault(
    scanner: Scanner, *, cause: Cause, at: datetime, now: datetime, by: Actor, site: Site | None = None, note: str = ""
) -> Fault:
    """The event of a fault is the root event of everything that it displaces."""
    fault = Fault(
        pk=new_id(), scanner=scanner, cause_code=cause.code.value, from_at=at, note=note.strip() or cause.note
    )
    event = append(
        EventKind.SCANNER_FAILED,
        subjects={"scanner": scanner.pk, "fault": fault.pk},
        happened_at=at,
        recorded_at=now,
        by=by,
        site=where(scanner, at, site),
        cause=cause,
        data={"note": note.strip()},
    )
    fault.event = event.pk
    fault.save(force_insert=True)
    return fault


@transaction.atomic
def restore(fault: Fault, *, at: datetime, now: datetime, by: Actor, site: Site | None = None) -> Event:
    """Raises Stale when somebody has ended the fault already."""
    if not Fault.objects.filter(pk=fault.pk, to_at=None).update(to_at=at):
        raise Stale(fault.scanner_id)
    fault.to_at = at
    return append(
        EventKind.SCANNER_RESTORED,
        subjects={"scanner": fault.scanner_id, "fault": fault.pk},
        happened_at=at,
        recorded_at=now,
        by=by,
        site=where(fault.scanner, at, site),
        data={"cause": fault.cause_code},
    )


def why_not_fit(scanner: Scanner, *, zone: str, at: datetime) -> str | None:
    """Why a scanner may not be used at a moment; None when its daily test passed that day and no fault is open."""
    open_faults = Fault.objects.filter(scanner=scanner, from_at__lte=at).exclude(to_at__lte=at)
    if fault := open_faults.order_by("-from_at").first():
        return f"{scanner} has been out of use since {fault.from_at.astimezone(ZoneInfo(zone)):%H:%M}: " + (
            fault.note or said(fault.cause_code)
        )
    test = EquipmentTest.objects.filter(scanner=scanner, kind=DAILY, at__lte=at).order_by("-at", "-pk").first()
    today = at.astimezone(ZoneInfo(zone)).date()
    if test is None or test.at.astimezone(ZoneInfo(zone)).date() != today:
        return f"{scanner} has no {DAILY} recorded today"
    return None if test.passed else f"{scanner} failed its {DAILY} at {test.at.astimezone(ZoneInfo(zone)):%H:%M}"


def where(scanner: Scanner, at: datetime, site: Site | None) -> object:
    """The site that the event belongs to: as told, else where the scanner stands at that moment."""
    if site is not None:
        return site.pk
    standing = Deployment.objects.filter(scanner=scanner, from_at__lte=at).exclude(to_at__lte=at)
    return standing.values_list("site", flat=True).order_by("-from_at").first()


def said(code: str) -> str:
    return CauseCode(code).value.replace("_", " ")

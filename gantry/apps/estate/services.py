"""Tests and faults: what makes a scanner or a measuring device fit to be used today, each recorded with its event."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from zoneinfo import ZoneInfo

from django.db import transaction

from gantry.apps.audit.ids import new_id
from gantry.apps.audit.models import Event
from gantry.apps.audit.services import Stale, append
from gantry.apps.estate.models import Closure, Deployment, Device, EquipmentTest, Fault, InstrumentTest, Scanner, Site
from gantry.domain.events import Actor, Cause, CauseCode, EventKind
from gantry.domain.instrument import Allowed, DeviceKind, LastTest, TestKind, passes, why_not_trusted
from gantry.domain.ledger import Instrument
from gantry.reference.hot_lab import CALIBRATOR, DEVICE_TESTS

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


def shut(site: Site, *, since: datetime, until: datetime, reason: str) -> Closure:
    """A site is closed between two moments: nothing is offered there, and nobody is injected for a scan then."""
    return Closure.objects.create(site=site, from_at=since, to_at=until, reason=reason)


def open_early(site: Site, *, closed_from: datetime, closed_until: datetime, at: datetime) -> int:
    """The same closing, ended now: everything may be offered there again. How many closings that were."""
    mine = Closure.objects.filter(site=site, scanner=None, from_at=closed_from, to_at=closed_until)
    return mine.update(to_at=max(at, closed_from))


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


# Measuring devices


def add_device(site: Site, *, kind: DeviceKind, name: str, **facts: object) -> Device:
    """A repeat finds the same device."""
    return Device.objects.get_or_create(site=site, name=name.strip(), defaults={"kind": kind, **facts})[0]


def title_in_use(ae_title: str) -> bool:
    """Whoever sends is known by the title alone: two never share one."""
    devices = Device.objects.filter(ae_title=ae_title, retired_at=None)
    return devices.exists() or Scanner.objects.filter(ae_title=ae_title).exists()


@transaction.atomic
def record_instrument_test(
    device: Device,
    kind: TestKind,
    *,
    off: float,
    at: datetime,
    now: datetime,
    by: Actor,
    readings: Sequence[Mapping[str, object]] = (),
    note: str = "",
) -> InstrumentTest:
    """Passed or failed by the tolerance of the day, which is kept with it. `off` is in per cent of the expected value.

    Raises KeyError for a test that this kind of device does not have.
    """
    allowed = dict(rules_of(device))[kind]
    test = InstrumentTest(
        pk=new_id(), device=device, kind=kind, at=at, off_percent=off, allowed_percent=allowed.percent,
        passed=passes(off, allowed), readings=list(readings), by_name=by.name, note=note.strip(),
    )  # fmt: skip
    event = append(
        EventKind.EQUIPMENT_TEST_PASSED if test.passed else EventKind.EQUIPMENT_TEST_FAILED,
        subjects={"device": device.pk, "test": test.pk},
        happened_at=at,
        recorded_at=now,
        by=by,
        site=device.site_id,
        data={"kind": f"{device.name}: {kind}", "off_percent": round(off, 2), "allowed_percent": allowed.percent},
    )
    test.event = event.pk
    test.save(force_insert=True)
    return test


def rules_of(device: Device) -> list[tuple[TestKind, Allowed]]:
    return [(kind, fact.value) for kind, fact in DEVICE_TESTS[DeviceKind(device.kind)]]


def latest_tests(device: Device, *, at: datetime) -> list[LastTest]:
    """The latest of each kind before a moment; "today" is the site's own day."""
    zone, found = ZoneInfo(device.site.zone), []
    for kind, _ in rules_of(device):
        test = device.tests.filter(kind=kind, at__lte=at).order_by("-at", "-pk").first()
        if test is not None:
            today = test.at.astimezone(zone).date() == at.astimezone(zone).date()
            found.append(LastTest(TestKind(test.kind), test.at, test.passed, today))
    return found


def why_not_measured_with(site: Site, name: str, *, kind: DeviceKind, at: datetime) -> list[str]:
    """Why nothing may be authorised on a reading of this device: unknown here, untested today, failed."""
    mine = Device.objects.filter(site=site, kind=kind, retired_at=None).select_related("site")
    device = next((each for each in mine if each.name.casefold() == name.strip().casefold()), None)
    if device is None:
        known = ", ".join(sorted(each.name for each in mine))
        if not known:
            return [f"{site.name} has registered no {kind}: nothing measured here can be judged"]
        return [f"{name.strip() or 'The instrument'} is no {kind} of this site; there is {known}"]
    return why_not_trusted(device.name, latest_tests(device, at=at), rules_of(device))


def uncertainty_of(site: Site, name: str) -> Instrument:
    """By the device's own certificate, else the usual of its kind."""
    usual = CALIBRATOR.value
    device = Device.objects.filter(site=site, name__iexact=name.strip()).first()
    scale = device.scale_percent if device else None
    reading = device.reading_percent if device else None
    return Instrument(
        name.strip(),
        usual.scale_percent if scale is None else scale,
        usual.reading_percent if reading is None else reading,
    )

"""Performs a site's supply: ordered before the cut-off, delivered, released, accepted, used up; and the one that fails."""

from collections.abc import Callable, Iterable
from datetime import date, datetime, timedelta
from uuid import UUID

from gantry.apps.audit.models import Event
from gantry.apps.booking.models import Appointment
from gantry.apps.estate.models import ActivityAllotment, Device, Fault, Scanner, Site
from gantry.apps.estate.services import (
    DAILY,
    latest_tests,
    record_fault,
    record_instrument_test,
    record_test,
    restore,
    rules_of,
)
from gantry.apps.radiopharmacy import services as radiopharmacy
from gantry.apps.radiopharmacy.models import Batch, SupplyRun
from gantry.cli.demonstration.places import CALIBRATOR, LONDON, hours_on
from gantry.cli.demonstration.stage import Stage
from gantry.domain.access import Role
from gantry.domain.appointment import AppointmentState
from gantry.domain.events import Cause, CauseCode, EventKind, Initiator, system
from gantry.domain.instrument import TestKind, overdue
from gantry.domain.network.script import Breakdown, Delivery
from gantry.domain.supply import BatchState, OrderState
from gantry.reference.network import SITES

MINUTE = timedelta(minutes=1)
ORDER_BEFORE_CUT_OFF = timedelta(minutes=50)
SPARE = 1.12
SPARE_MBQ = 900.0
"""For those who are booked after the cut-off."""
VIAL_HOURS = timedelta(hours=9)
CALIBRATED_BEFORE = timedelta(minutes=55)
COMING = (AppointmentState.BOOKED.value, AppointmentState.TOLD.value)

type Displace = Callable[[Appointment, Cause, datetime], None]


class HotLab:
    """One run of one site's day."""

    def __init__(self, stage: Stage, run: SupplyRun, delivery: Delivery, number: int, displace: Displace) -> None:
        self.stage, self.run, self.delivery, self.number, self.displace = stage, run, delivery, number, displace

    @property
    def on(self) -> date:
        """The day that it is for: an early run may come before midnight."""
        return self.run.cut_off_at.astimezone(LONDON).date() + timedelta(days=1)

    def begin(self) -> None:
        self.stage.clock.at(self.run.cut_off_at - ORDER_BEFORE_CUT_OFF, self.order)
        self.stage.clock.at(self.run.cut_off_at + MINUTE, self.close)

    def order(self, now: datetime) -> None:
        """What is promised by then, and something for those who come after."""
        order = self.run.orders.first()
        if order is None:
            promised = ActivityAllotment.objects.get(supply_run=self.run.pk)
            wanted = promised.total_mbq - promised.free_mbq
            if wanted <= 0:
                return
            count = Appointment.objects.filter(allotment=promised, state__in=COMING).count()
            mbq = min(round(wanted * SPARE + SPARE_MBQ, -2), self.run.capacity_mbq)
            order = radiopharmacy.place_order(
                self.run, activity_mbq=mbq, patients=count, now=now, by=self.stage.who(Role.RADIOPHARMACIST).actor
            )
            self.stage.clock.done()
        if order.state == OrderState.PLACED:
            radiopharmacy.confirm_order(
                order, supplier_reference=f"DEMO-{order.pk.hex[-8:].upper()}", now=now + 20 * MINUTE,
                by=system("emulated radiopharmacy", self.run.supplier_id),
            )  # fmt: skip
            self.stage.clock.done()
        self.stage.clock.at(self.run.due_at + self.delivery.late_min * MINUTE, self.receive)

    def close(self, now: datetime) -> None:
        if radiopharmacy.close_run(self.run, now=now, by=system("cut-off", self.run.supplier_id)):
            self.stage.clock.done()

    def receive(self, now: datetime) -> None:
        order = self.run.orders.order_by("pk").first()
        if order is not None and order.state == OrderState.CONFIRMED:
            stated = order.activity_mbq
            then = radiopharmacy.nuclide_of(order.tracer)
            elapsed = now - self.run.reference_at
            measured = stated * self.delivery.measured_ratio * 0.5 ** (elapsed / then.half_life)
            radiopharmacy.receive_delivery(
                order,
                radiopharmacy.DeliveryFacts(
                    number=f"D{self.on:%y%m%d}{self.number + 1}-{self.run.site.ods_code}",
                    stated_mbq=stated,
                    reference_at=self.run.reference_at,
                    expires_at=self.run.reference_at + VIAL_HOURS,
                    measured_mbq=round(measured, 1),
                    measured_at=now,
                    instrument=CALIBRATOR,
                    received_at=now,
                    volume_ml=12.0,
                    transport_index=0.6,
                    label="II-YELLOW",
                ),
                now=now,
                by=self.stage.who(Role.RADIOGRAPHER, turn=self.number).actor,
            )
            self.stage.clock.done()
        self.stage.clock.at(now + 5 * MINUTE, self.fail if self.delivery.fails else self.release)

    @property
    def batch(self) -> Batch:
        return Batch.objects.select_related("order__run").filter(order__run=self.run).earliest("pk")

    def release(self, now: datetime) -> None:
        batch = self.batch
        if batch.state == BatchState.RECEIVED:
            radiopharmacy.release_batch(
                batch, released_by="Q. Pargeter (emulated)", released_at=now, now=now,
                by=system("emulated radiopharmacy", self.run.supplier_id), certificate=f"C-{batch.number}",
            )  # fmt: skip
            self.stage.clock.done()
        self.stage.clock.at(now + 4 * MINUTE, self.accept)

    def accept(self, now: datetime) -> None:
        batch = self.batch
        if batch.state == BatchState.SUPPLIER_RELEASED:
            radiopharmacy.accept_batch(batch, now=now, by=self.stage.who(Role.RADIOPHARMACIST).actor)
            self.stage.clock.done()
        self.stage.clock.at(batch.expires_at - MINUTE, self.spend)

    def spend(self, now: datetime) -> None:
        batch = self.batch
        if batch.state == BatchState.ACCEPTED:
            radiopharmacy.spend_batch(batch, at=now, now=now, by=self.stage.who(Role.RADIOPHARMACIST).actor)
            self.stage.clock.done()

    def fail(self, now: datetime) -> None:
        """It failed the supplier's quality control: one root event, and everybody it displaces is moved because of it."""
        batch = self.batch
        if batch.state in (BatchState.RECEIVED, BatchState.SUPPLIER_RELEASED):
            cause = Cause(CauseCode.BATCH_FAILED_QC, Initiator.SUPPLIER, note="Radiochemical purity below 95 %")
            root = radiopharmacy.fail_batch(batch, cause=cause, now=now, by=self.stage.who(Role.RADIOPHARMACIST).actor)
            self.stage.clock.done()
        else:
            root = Event.objects.get(kind=EventKind.BATCH_FAILED.value, subjects__contains=[batch.pk])
        because = Cause(CauseCode.BATCH_FAILED_QC, Initiator.SUPPLIER, root_event=root.pk)
        self.spare(root.data["displaced"], because, now)

    def spare(self, displaced: Iterable[str], because: Cause, now: datetime) -> None:
        for place, key in enumerate(displaced, start=1):
            appointment = Appointment.objects.get(pk=UUID(key))
            self.stage.clock.at(
                now + 6 * place * MINUTE, lambda at, one=appointment: self.displace(one, because, at)
            )  # fmt: skip


class Scanners:
    """A site's scanners and its calibrator: tested each morning; a scanner is once out of use."""

    def __init__(self, stage: Stage, site: Site, rank: int, displace: Displace) -> None:
        self.stage, self.site, self.rank, self.displace = stage, site, rank, displace

    def begin(self, day: int) -> None:
        on = (self.stage.script.starts_at + timedelta(days=day)).date()
        hours = hours_on(SITES[self.site.ods_code].value, on, self.stage.loaded_at)
        if hours is None:
            return
        for place, scanner in enumerate(self.stage.scanners[self.site.pk]):
            # Never on the evening before: a test counts for the local day on which it was made.
            midnight = hours.opens.replace(hour=0, minute=0)
            at = max(hours.opens - timedelta(minutes=50), midnight) + timedelta(minutes=1 + place)
            self.stage.clock.at(at, lambda now, one=scanner: self.test(one, now))
        # Before the first run is measured.
        early = max(hours.opens - CALIBRATED_BEFORE, hours.opens.replace(hour=0, minute=0))
        self.stage.clock.at(early, self.test_devices)
        for breakdown in self.stage.script.breakdowns:
            if (breakdown.site_rank, breakdown.day) == (self.rank, day):
                at = self.stage.script.starts_at + timedelta(days=day, minutes=breakdown.from_min)
                self.stage.clock.at(at, lambda now, one=breakdown: self.break_down(one, now))

    def test(self, scanner: Scanner, now: datetime) -> None:
        if scanner.tests.filter(kind=DAILY, at=now).exists():
            return
        record_test(
            scanner, passed=True, at=now, now=now, by=self.stage.who(Role.RADIOGRAPHER).actor, site=self.site
        )  # fmt: skip
        self.stage.clock.done()

    def test_devices(self, now: datetime) -> None:
        """Calibrator, injector and meter against a check source each morning; by another when that is due."""
        by = self.stage.who(Role.RADIOGRAPHER).actor
        for place, device in enumerate(Device.objects.filter(site=self.site).order_by("pk")):
            if device.tests.filter(at=now).exists():
                continue
            due = overdue(latest_tests(device, at=now), rules_of(device), at=now)
            for kind in (TestKind.CONSTANCY, *due):
                off = ((now.toordinal() * 7 + self.rank * 3 + place * 5) % 17 - 8) / 10
                record_instrument_test(device, kind, off=off, at=now, now=now, by=by)
                self.stage.clock.done()

    def break_down(self, breakdown: Breakdown, now: datetime) -> None:
        scanner = self.stage.scanners[self.site.pk][0]
        by = self.stage.who(Role.SESSION_LEAD).actor
        fault = Fault.objects.filter(scanner=scanner, from_at=now).first()
        if fault is None:
            cause = Cause(CauseCode.SCANNER_FAILED, Initiator.PROVIDER, note="Detector ring lost its cooling")
            fault = record_fault(scanner, cause=cause, at=now, now=now, by=by, site=self.site)
            self.stage.clock.done()
        ends = now + breakdown.for_min * MINUTE
        because = Cause(CauseCode.SCANNER_FAILED, Initiator.PROVIDER, root_event=fault.event)
        waiting = Appointment.objects.filter(scanner=scanner, scan_at__gt=now, scan_at__lt=ends, state__in=COMING)
        for place, appointment in enumerate(waiting.order_by("scan_at"), start=1):
            self.stage.clock.at(
                now + 7 * place * MINUTE, lambda at, one=appointment: self.displace(one, because, at)
            )  # fmt: skip
        self.stage.clock.at(ends, lambda at: self.mend(fault, at))

    def mend(self, fault: Fault, now: datetime) -> None:
        if Fault.objects.filter(pk=fault.pk, to_at=None).exists():
            restore(fault, at=now, now=now, by=self.stage.who(Role.PHYSICIST).actor, site=self.site)
            self.stage.clock.done()

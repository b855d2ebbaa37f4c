"""Plays an automatic injector: what its own detector measured of each injection, sent as a dose report on the wire.

Its reading, its clock and its identity are its own: it agrees with the room as one instrument agrees with another. Who is
lying there it knows from the room's worklist, so it repeats the identity unchanged.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from pydicom.dataset import Dataset
from pynetdicom import AE, build_context

from gantry.apps.estate.models import Device
from gantry.apps.scanning.models import Injection
from gantry.domain.instrument import DeviceKind
from gantry.gateways.dicom import dose_report
from gantry.gateways.dicom.dose_report import DoseReport
from gantry.gateways.dicom.dose_wiring import report_of
from gantry.gateways.emulators.pictures import new_uid
from gantry.gateways.emulators.scanner import SYNTAXES, Gantry, NotDone, answered

LOOK_BACK = timedelta(hours=12)
READS_HIGH_PERCENT = 0.8
CLOCK_FAST = timedelta(seconds=12)


@dataclass(frozen=True, slots=True)
class Injector:
    """One device. `reads_percent` is how far its detector reads from the calibrator's, `fast` how far its clock runs on."""

    ae_title: str
    name: str = "Injector"
    gantry: Gantry = field(default_factory=Gantry)
    reads_percent: float = READS_HIGH_PERCENT
    fast: timedelta = CLOCK_FAST

    def report(self, room: DoseReport, zone: ZoneInfo) -> DoseReport:
        """Its own word on an injection: its activity and its clock, without what only the hot lab knows."""
        given = room.administration
        if given.started_at is None or given.activity_mbq is None:
            raise ValueError("there is no injection to speak of")
        at = (given.started_at + self.fast).astimezone(zone)
        uid = new_uid()
        return replace(
            room,
            report_uid=uid,
            series_uid=new_uid(),
            number=1,
            written_at=at + timedelta(seconds=30),
            manufacturer="Invented",
            predecessors=(),
            administration=replace(
                given,
                event_uid=new_uid(),
                started_at=at,
                stopped_at=at + timedelta(seconds=40),
                activity_mbq=round(given.activity_mbq * (1 + self.reads_percent / 100), 1),
                before_mbq=None,
                after_mbq=None,
                effective_dose_msv=None,
                dose_authority="",
                lot="",
                prescription="",
            ),
            glucose_mmol_per_l=None,
        )

    def data_set(self, report: DoseReport) -> Dataset:
        ds = dose_report.write(report)
        ds.ManufacturerModelName, ds.DeviceSerialNumber, ds.StationName = "Emulated injector", "I1", self.ae_title[:16]
        return ds

    def send(self, ds: Dataset) -> None:
        """C-STORE under its own title. Raises NotDone with what was answered."""
        ae = AE(self.ae_title)
        contexts = [build_context(str(ds.SOPClassUID), SYNTAXES)]
        association = ae.associate(self.gantry.host, self.gantry.port, contexts, self.gantry.ae_title)
        if not association.is_established:
            raise NotDone(f"no association with {self.gantry.ae_title} at {self.gantry.host}:{self.gantry.port}")
        try:
            answered("dose report stored", association.send_c_store(ds))
        finally:
            association.release()


def unsaid(now: datetime) -> Iterable[tuple[Device, Injection]]:
    """Injections of these hours that a device with a title gave, and of which it has sent nothing yet."""
    rows = Injection.objects.filter(
        injected_at__gte=now - LOOK_BACK, injector__kind=DeviceKind.INJECTOR, injector__retired_at=None,
        injector_reports=None,
    ).exclude(injector__ae_title="").select_related(
        "injector", "dose__container", "dose__batch", "visit__site", "visit__appointment__procedure",
        "visit__appointment__referral__patient",
    )  # fmt: skip
    return [(row.injector, row) for row in rows.order_by("injected_at")]


def act(now: datetime, gantry: Gantry, already: set[object]) -> list[str]:
    """One look at the room: each injection that a device gave is told once. Says what was sent."""
    said = []
    for device, injection in unsaid(now):
        if injection.pk in already:
            continue
        zone = ZoneInfo(injection.visit.site.zone)
        mine = Injector(device.ae_title, device.name, gantry)
        mine.send(mine.data_set(mine.report(report_of(injection, now=now), zone)))
        already.add(injection.pk)
        said.append(f"injector: {device.ae_title} told of {injection.injected_at.astimezone(zone):%H:%M}")
    return said

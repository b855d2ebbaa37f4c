"""A room ready to scan: an accepted patient, a fit scanner, an accepted batch, and an appointment for 11:00."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import transaction
from django.db.backends.postgresql.psycopg_any import DateTimeTZRange

from gantry.apps.accounts.models import Person
from gantry.apps.audit.services import append
from gantry.apps.booking.models import Appointment, Reservation
from gantry.apps.estate.models import ActivityAllotment, Scanner
from gantry.apps.estate.services import record_test
from gantry.apps.radiopharmacy import services as radiopharmacy
from gantry.apps.radiopharmacy.models import Batch, Dose
from gantry.apps.radiopharmacy.services.doses import volume_left
from gantry.apps.radiopharmacy.services.stock import left_in
from gantry.apps.scanning.models import Visit
from gantry.domain.access import Role
from gantry.domain.events import Actor, EventKind, system
from gantry.domain.supply import Match
from tests.apps.factories import (
    NOW,
    Made,
    actor,
    make_accepted,
    make_batch,
    make_network,
    make_person,
    make_practitioner,
    make_run,
    make_scanner,
)

BY = system("tests")


@dataclass
class Day:
    made: Made
    scanner: Scanner
    batch: Batch
    person: Person
    practitioner: Person

    @property
    def by(self) -> Actor:
        return actor(self.person)

    @property
    def allotment(self) -> ActivityAllotment:
        return ActivityAllotment.objects.get(supply_run=self.batch.order.run_id)

    def dose(self, mbq: float = 250.0, *, at: datetime = NOW) -> Dose:
        """With the volume that goes with it: 10 mL held 10 GBq when the batch was measured, an hour before."""
        batch = Batch.objects.get(pk=self.batch.pk)
        volume = mbq / left_in(batch, at) * (volume_left(batch) or 0.0)
        return radiopharmacy.draw(
            batch, activity_mbq=mbq, at=at, instrument="Calibrator 1", volume_ml=round(volume, 3), now=at, by=self.by
        )


def make_day(*, tested: bool = True) -> Day:
    made = make_network()
    scanner = make_scanner(made.site)
    batch = make_batch(make_run(made, due_at=NOW - timedelta(hours=1)))
    if tested:
        record_test(scanner, passed=True, at=NOW - timedelta(hours=2), now=NOW, by=BY, site=made.site)
    return Day(made, scanner, batch, make_person(Role.RADIOGRAPHER, made.provider), make_practitioner(made))


@transaction.atomic
def make_booked(day: Day, *, arrival_at: datetime = NOW, now: datetime = NOW, protocol: str = "", **answers) -> Visit:
    """Booked through to the visit that the subscriber makes."""
    referral = make_accepted(day.made, practitioner=day.practitioner, now=now, **answers)
    procedure = referral.procedures.get()
    if protocol:
        procedure.protocol = protocol
        procedure.save()
    scan_at = arrival_at + timedelta(minutes=80)
    appointment = Appointment.objects.create(
        referral=referral,
        procedure=procedure,
        authorisation=procedure.authorisations.get(),
        site=day.made.site,
        scanner=day.scanner,
        allotment=day.allotment,
        activity_mbq=300.0,
        arrival_at=arrival_at,
        injection_at=arrival_at + timedelta(minutes=20),
        scan_at=scan_at,
        ends_at=scan_at + timedelta(minutes=20),
        state="booked",
    )
    Reservation.objects.create(
        appointment=appointment,
        resource_kind="scanner",
        resource=day.scanner.pk,
        during=DateTimeTZRange(scan_at, scan_at + timedelta(minutes=25)),
    )
    ActivityAllotment.objects.filter(pk=day.allotment.pk).update(free_mbq=day.allotment.free_mbq - 300)
    append(
        EventKind.APPOINTMENT_BOOKED,
        subjects={"appointment": appointment.pk, "referral": referral.pk, "patient": referral.patient_id},
        happened_at=now,
        recorded_at=now,
        by=BY,
    )
    return Visit.objects.get(appointment=appointment)


def scan(dose: Dose) -> Match:
    return Match(barcode=dose.container.barcode)

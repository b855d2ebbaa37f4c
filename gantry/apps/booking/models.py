"""Offers, appointments, and the reservations that the database will not let overlap."""

import pghistory
import pgtrigger
from django.contrib.postgres.constraints import ExclusionConstraint
from django.contrib.postgres.fields import DateTimeRangeField, RangeOperators
from django.db import models

from gantry.apps.audit.lifecycles import only_legal_moves
from gantry.apps.audit.models import Row
from gantry.apps.referrals.models import Authorisation, Referral, RequestedProcedure, of_referrals
from gantry.domain.access import Scope
from gantry.domain.appointment import APPOINTMENT, AppointmentState
from gantry.domain.readiness import Item


class SlotOffer(Row):
    """A choice that was put to somebody, with its reason; what became of it is kept."""

    procedure = models.ForeignKey(RequestedProcedure, on_delete=models.PROTECT, related_name="offers")
    site = models.ForeignKey("estate.Site", on_delete=models.PROTECT, related_name="+")
    scanner = models.ForeignKey("estate.Scanner", on_delete=models.PROTECT, related_name="+")
    arrival_at = models.DateTimeField()
    scan_at = models.DateTimeField()
    rank = models.PositiveSmallIntegerField()
    distance_km = models.FloatField(null=True)
    reason = models.TextField()
    made_at = models.DateTimeField()
    state = models.CharField(max_length=10, default="made")
    """made, taken, declined, gone."""
    declined_reason = models.TextField(blank=True)

    def __str__(self) -> str:
        return f"{self.site} {self.arrival_at:%Y-%m-%d %H:%M}"

    @classmethod
    def scope(cls, scope: Scope) -> models.Q:
        return of_referrals(scope, "procedure__referral")


@pghistory.track()
class Appointment(Row):
    """A promise of scanner, room and activity to one requested procedure. A move is a new row that replaces this one."""

    referral = models.ForeignKey(Referral, on_delete=models.PROTECT, related_name="appointments")
    procedure = models.ForeignKey(RequestedProcedure, on_delete=models.PROTECT, related_name="appointments")
    authorisation = models.ForeignKey(Authorisation, on_delete=models.PROTECT, related_name="appointments")
    site = models.ForeignKey("estate.Site", on_delete=models.PROTECT, related_name="appointments")
    scanner = models.ForeignKey("estate.Scanner", on_delete=models.PROTECT, related_name="appointments")
    allotment = models.ForeignKey("estate.ActivityAllotment", on_delete=models.PROTECT, related_name="+")
    activity_mbq = models.FloatField()
    """Taken from the allotment, in MBq at its reference time: what comes back if this ends."""
    fraction = models.FloatField(default=1.0)
    """Of the activity that was authorised: below 1 only under `given_under`, and the scan is as much longer."""
    given_under = models.UUIDField(null=True)
    """The practitioner's approved rule for it."""
    arrival_at = models.DateTimeField()
    injection_at = models.DateTimeField()
    scan_at = models.DateTimeField()
    ends_at = models.DateTimeField()
    state = models.CharField(max_length=20, choices=[(s.value, s.value) for s in AppointmentState])
    hold_expires_at = models.DateTimeField(null=True)
    held_by = models.CharField(max_length=80, blank=True)
    replaces = models.OneToOneField("self", on_delete=models.PROTECT, null=True, related_name="replaced_by")
    first_told_for = models.DateField(null=True)
    """The local date that the patient was first told: what M1 and M2 count by."""
    told_at = models.DateTimeField(null=True)
    redirected_at = models.DateTimeField(null=True)
    """When somebody who was here already was sent to this scanner: it owes them the scan from then on."""
    transport = models.CharField(max_length=200, blank=True)
    """The journey that has to be booked for them, because the move to this site was ours. Readiness says when it is."""
    ended_at = models.DateTimeField(null=True)
    notes = models.TextField(blank=True)
    source_key = models.CharField(max_length=200, null=True, unique=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["procedure"],
                condition=models.Q(state__in=["booked", "told", "arrived"]),
                name="procedure_booked_once",
            ),
        ]
        indexes = [
            models.Index(fields=["site", "scan_at"], name="appointment_day"),
            models.Index(fields=["hold_expires_at"], name="appointment_hold", condition=models.Q(state="held")),
        ]
        triggers = [only_legal_moves("appointment_lifecycle", "state", APPOINTMENT)]

    def __str__(self) -> str:
        return f"{self.site} {self.scan_at:%Y-%m-%d %H:%M} {self.state}"

    @classmethod
    def scope(cls, scope: Scope) -> models.Q:
        return of_referrals(scope)


class Reservation(Row):
    """One resource for one planned interval. Invariant 1 lives in this constraint, not in any code that asks first."""

    appointment = models.ForeignKey(Appointment, on_delete=models.PROTECT, related_name="reservations")
    resource_kind = models.CharField(max_length=12)
    """scanner, room."""
    resource = models.UUIDField()
    during = DateTimeRangeField()
    active = models.BooleanField(default=True)

    class Meta:
        constraints = [
            ExclusionConstraint(
                name="reservation_no_overlap",
                expressions=[("resource", RangeOperators.EQUAL), ("during", RangeOperators.OVERLAPS)],
                condition=models.Q(active=True),
            ),
        ]
        indexes = [models.Index(fields=["appointment"], name="reservation_of")]

    def __str__(self) -> str:
        return f"{self.resource_kind} {self.during}"

    @classmethod
    def scope(cls, scope: Scope) -> models.Q:
        return of_referrals(scope, "appointment__referral")


class ContactAttempt(Row):
    referral = models.ForeignKey(Referral, on_delete=models.PROTECT, related_name="contacts")
    appointment = models.ForeignKey(Appointment, on_delete=models.PROTECT, null=True, related_name="contacts")
    at = models.DateTimeField()
    by_name = models.CharField(max_length=120)
    channel = models.CharField(max_length=20)
    outcome = models.CharField(max_length=30)
    note = models.TextField(blank=True)

    def __str__(self) -> str:
        return f"{self.channel} {self.outcome}"

    @classmethod
    def scope(cls, scope: Scope) -> models.Q:
        return of_referrals(scope)


class ReadinessNote(Row):
    """What somebody heard about one item the day before: settled, or still open. The last of an item stands."""

    appointment = models.ForeignKey(Appointment, on_delete=models.PROTECT, related_name="readiness")
    item = models.CharField(max_length=20, choices=[(i.value, i.value) for i in Item])
    settled = models.BooleanField()
    at = models.DateTimeField()
    by_name = models.CharField(max_length=120)
    note = models.CharField(max_length=400, blank=True)
    event = models.UUIDField()

    class Meta:
        triggers = [pgtrigger.Protect(name="append_only", operation=pgtrigger.Update | pgtrigger.Delete)]

    def __str__(self) -> str:
        return f"{self.item} {'settled' if self.settled else 'open'}"

    @classmethod
    def scope(cls, scope: Scope) -> models.Q:
        return of_referrals(scope, "appointment__referral")


class CalendarChange(models.Model):
    """One row for each statement that changed what is free, written by the database itself.

    Rows become visible when their transaction commits, so the count, sum and highest id of what is left name a state of
    the calendar: cheap to ask, and never ahead of what can be read.
    """

    class Meta:
        db_table = "booking_calendar_change"

    def __str__(self) -> str:
        return str(self.pk)

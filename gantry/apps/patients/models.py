"""Patients and every identifier anyone has given them."""

import pghistory
from django.contrib.postgres.fields import ArrayField
from django.db import models

from gantry.apps.audit.models import Row
from gantry.domain.access import Scope


@pghistory.track()
class Patient(Row):
    """A person who may be scanned. `organisations` are those with a reason to see them: it grows by referral."""

    family_name = models.CharField(max_length=120)
    given_name = models.CharField(max_length=120)
    title = models.CharField(max_length=30, blank=True)
    date_of_birth = models.DateField(null=True)
    """Null only while the referrer is being asked for it: nobody is vetted or booked without one."""
    stated_gender = models.CharField(max_length=2, blank=True)
    sex_assigned_at_birth = models.CharField(max_length=12, blank=True)
    nhs_number = models.CharField(max_length=10, blank=True)
    nhs_number_status = models.CharField(max_length=2, blank=True)
    """Data dictionary NHS NUMBER STATUS INDICATOR CODE: 01 present and verified … 08."""
    nhs_number_unavailable_reason = models.CharField(max_length=30, blank=True)
    address = models.TextField(blank=True)
    postcode = models.CharField(max_length=8, blank=True)
    latitude = models.FloatField(null=True)
    longitude = models.FloatField(null=True)
    phone_primary = models.CharField(max_length=40, blank=True)
    phone_alt = models.CharField(max_length=40, blank=True)
    email = models.CharField(max_length=200, blank=True)
    gp_practice_ods = models.CharField(max_length=12, blank=True)
    language = models.CharField(max_length=40, blank=True)
    interpreter_required = models.BooleanField(default=False)
    adjustments = models.TextField(blank=True)
    died_on = models.DateField(null=True)
    """Nothing is sent to a dead person; their clinicians lose nothing."""
    death_source = models.CharField(max_length=120, blank=True)
    contact_protected = models.BooleanField(default=False)
    """A sensitive address, coercion, safeguarding: nothing is written, and only the person is spoken to."""
    organisations = ArrayField(models.UUIDField(), default=list)
    synthetic = models.BooleanField(default=False)

    class Meta:
        constraints = [
            # Verified means one person: two rows with the same verified number are a merge waiting to happen.
            models.UniqueConstraint(
                fields=["nhs_number"],
                condition=models.Q(nhs_number_status="01") & ~models.Q(nhs_number=""),
                name="patient_verified_number_once",
            ),
        ]
        indexes = [
            models.Index(fields=["nhs_number"], name="patient_nhs_number"),
            models.Index(fields=["family_name", "given_name"], name="patient_name"),
        ]

    def __str__(self) -> str:
        return str(self.pk)

    @property
    def name(self) -> str:
        return f"{self.family_name.upper()}, {self.given_name}"

    @classmethod
    def scope(cls, scope: Scope) -> models.Q:
        return models.Q(organisations__overlap=list(scope.organisations)) | models.Q(pk__in=scope.patients)


class Identifier(Row):
    """An identifier as its assigner gave it; every alias is kept."""

    patient = models.ForeignKey(Patient, on_delete=models.PROTECT, related_name="identifiers")
    system = models.CharField(max_length=200)
    value = models.CharField(max_length=64)
    assigner = models.CharField(max_length=64, blank=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["system", "value", "assigner"], name="identifier_once")]

    def __str__(self) -> str:
        return self.system

    @classmethod
    def scope(cls, scope: Scope) -> models.Q:
        return models.Q(patient__in=Patient.objects.filter(Patient.scope(scope)))


class AreaDeprivation(models.Model):
    """How deprived the area of a postcode is, from a file that the deployer provides: of an area, of nobody."""

    postcode = models.CharField(max_length=7, primary_key=True)
    """Without its space."""
    area = models.CharField(max_length=9, blank=True)
    """The lower-layer super output area, where the file names it."""
    decile = models.PositiveSmallIntegerField()
    """1 is the most deprived tenth."""
    index = models.CharField(max_length=60)
    """Which index, of which year: as the file's provider calls it."""
    loaded_at = models.DateTimeField()

    class Meta:
        constraints = [
            models.CheckConstraint(condition=models.Q(decile__gte=1, decile__lte=10), name="decile_is_a_tenth"),
        ]

    def __str__(self) -> str:
        return self.postcode

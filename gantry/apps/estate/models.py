"""Organisations, networks, sites, scanners and rooms; licences, sessions, faults, and the activity free on each run."""

import pgtrigger
from django.contrib.postgres.fields import ArrayField
from django.db import models

from gantry.apps.audit.models import Row
from gantry.domain.access import Scope
from gantry.domain.instrument import DeviceKind, TestKind


class OrganisationKind(models.TextChoices):
    ACUTE_TRUST = "acute_trust"
    SPECIALIST_CENTRE = "specialist_centre"
    INDEPENDENT_PROVIDER = "independent_provider"
    GP_PRACTICE = "gp_practice"
    ICB = "icb"
    ALLIANCE = "alliance"
    IMAGING_NETWORK = "imaging_network"
    SUPPLIER = "supplier"


class Organisation(Row):
    ods_code = models.CharField(max_length=12, unique=True)
    name = models.CharField(max_length=160)
    kind = models.CharField(max_length=24, choices=OrganisationKind)
    postcode = models.CharField(max_length=8, blank=True)
    latitude = models.FloatField(null=True)
    longitude = models.FloatField(null=True)
    phone = models.CharField(max_length=40, blank=True)
    assumed = models.BooleanField(default=False)
    """Invented for the demonstration, and shown as such."""

    def __str__(self) -> str:
        return self.name

    @classmethod
    def scope(cls, scope: Scope) -> models.Q:
        # Names and addresses of organisations are public (ODS); who they treat is not.
        return models.Q()


class Network(Row):
    """Who may refer to whom: the provider, its members, and a person for referrals from outside."""

    name = models.CharField(max_length=160)
    provider = models.ForeignKey(Organisation, on_delete=models.PROTECT, related_name="networks_run")
    members = models.ManyToManyField(Organisation, related_name="networks")
    outside_contact = models.CharField(max_length=200)
    data_set_version = models.CharField(max_length=20, blank=True)

    def __str__(self) -> str:
        return self.name

    @classmethod
    def scope(cls, scope: Scope) -> models.Q:
        return models.Q()


class Site(Row):
    """A place with a scanner. `organisation` is the employer under IR(ME)R there."""

    organisation = models.ForeignKey(Organisation, on_delete=models.PROTECT, related_name="sites")
    network = models.ForeignKey(Network, on_delete=models.PROTECT, related_name="sites")
    ods_code = models.CharField(max_length=12, unique=True)
    name = models.CharField(max_length=160)
    postcode = models.CharField(max_length=8, blank=True)
    latitude = models.FloatField()
    longitude = models.FloatField()
    zone = models.CharField(max_length=40, default="Europe/London")
    capabilities = ArrayField(models.CharField(max_length=30), default=list)
    """From: paediatric, anaesthesia, radiotherapy_planning, isolation, hoist."""
    getting_there = models.TextField(blank=True)
    assumed = models.BooleanField(default=False)

    def __str__(self) -> str:
        return self.name

    @classmethod
    def scope(cls, scope: Scope) -> models.Q:
        return models.Q()


class Scanner(Row):
    name = models.CharField(max_length=80)
    ae_title = models.CharField(max_length=16, unique=True)
    manufacturer = models.CharField(max_length=80, blank=True)
    model = models.CharField(max_length=80, blank=True)
    max_weight_kg = models.PositiveIntegerField(default=200)
    assumed = models.BooleanField(default=False)

    def __str__(self) -> str:
        return self.name

    @classmethod
    def scope(cls, scope: Scope) -> models.Q:
        return models.Q()


class Deployment(Row):
    """Where a scanner stands, from–to: mobile units move."""

    scanner = models.ForeignKey(Scanner, on_delete=models.PROTECT, related_name="deployments")
    site = models.ForeignKey(Site, on_delete=models.PROTECT, related_name="deployments")
    from_at = models.DateTimeField()
    to_at = models.DateTimeField(null=True)

    def __str__(self) -> str:
        return f"{self.scanner} at {self.site}"

    @classmethod
    def scope(cls, scope: Scope) -> models.Q:
        return models.Q()


class RoomKind(models.TextChoices):
    UPTAKE = "uptake"
    HOT_TOILET = "hot_toilet"
    WAITING = "waiting"
    WAITING_CHILD = "waiting_child"
    HOT_LAB = "hot_lab"
    RECOVERY = "recovery"


class Room(Row):
    site = models.ForeignKey(Site, on_delete=models.PROTECT, related_name="rooms")
    kind = models.CharField(max_length=16, choices=RoomKind)
    name = models.CharField(max_length=60)

    def __str__(self) -> str:
        return self.name

    @classmethod
    def scope(cls, scope: Scope) -> models.Q:
        return models.Q()


class Session(Row):
    """A scanner's opening hours on one local day, with the roles that it needs."""

    site = models.ForeignKey(Site, on_delete=models.PROTECT, related_name="sessions")
    scanner = models.ForeignKey(Scanner, on_delete=models.PROTECT, related_name="sessions")
    on = models.DateField()
    """The local day at the site."""
    starts_at = models.DateTimeField()
    ends_at = models.DateTimeField()
    roles_required = ArrayField(models.CharField(max_length=30), default=list)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["scanner", "starts_at"], name="session_once"),
            models.CheckConstraint(condition=models.Q(ends_at__gt=models.F("starts_at")), name="session_has_length"),
        ]
        indexes = [models.Index(fields=["site", "on"], name="session_day")]

    def __str__(self) -> str:
        return f"{self.scanner} {self.on}"

    @classmethod
    def scope(cls, scope: Scope) -> models.Q:
        return models.Q(site__network__provider__in=scope.organisations) | models.Q(
            site__organisation__in=scope.organisations
        )


class Closure(Row):
    site = models.ForeignKey(Site, on_delete=models.PROTECT, related_name="closures")
    scanner = models.ForeignKey(Scanner, on_delete=models.PROTECT, null=True, related_name="closures")
    from_at = models.DateTimeField()
    to_at = models.DateTimeField()
    reason = models.CharField(max_length=200)

    def __str__(self) -> str:
        return self.reason

    @classmethod
    def scope(cls, scope: Scope) -> models.Q:
        return models.Q(site__network__provider__in=scope.organisations)


class EquipmentTest(Row):
    """One test of a scanner (later: of a calibrator, an injector), passed or failed. Open to the whole network."""

    scanner = models.ForeignKey(Scanner, on_delete=models.PROTECT, related_name="tests")
    kind = models.CharField(max_length=40)
    at = models.DateTimeField()
    passed = models.BooleanField()
    by_name = models.CharField(max_length=120)
    note = models.TextField(blank=True)

    def __str__(self) -> str:
        return f"{self.kind} {'passed' if self.passed else 'failed'}"

    @classmethod
    def scope(cls, scope: Scope) -> models.Q:
        return models.Q()


class Device(Row):
    """A measuring device of a site: a calibrator, an injector, a glucose meter."""

    site = models.ForeignKey(Site, on_delete=models.PROTECT, related_name="devices")
    kind = models.CharField(max_length=20, choices=[(k.value, k.value) for k in DeviceKind])
    name = models.CharField(max_length=60)
    manufacturer = models.CharField(max_length=80, blank=True)
    serial = models.CharField(max_length=60, blank=True)
    scale_percent = models.FloatField(null=True)
    """Standard uncertainty of its calibration, from its certificate."""
    reading_percent = models.FloatField(null=True)
    ae_title = models.CharField(max_length=16, blank=True)
    """What an injector calls itself when it sends its dose reports; empty where it sends none."""
    retired_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["site", "name"], name="device_once"),
            models.UniqueConstraint(
                fields=["ae_title"],
                condition=models.Q(retired_at=None) & ~models.Q(ae_title=""),
                name="device_ae_title_once",
            ),
        ]

    def __str__(self) -> str:
        return self.name

    @classmethod
    def scope(cls, scope: Scope) -> models.Q:
        return models.Q(site__organisation__in=scope.organisations) | models.Q(
            site__network__provider__in=scope.organisations
        )


class InstrumentTest(Row):
    """One test of a device against what it should read; never edited."""

    device = models.ForeignKey(Device, on_delete=models.PROTECT, related_name="tests")
    kind = models.CharField(max_length=20, choices=[(k.value, k.value) for k in TestKind])
    at = models.DateTimeField()
    off_percent = models.FloatField()
    allowed_percent = models.FloatField()
    passed = models.BooleanField()
    readings = models.JSONField(default=list)
    by_name = models.CharField(max_length=120)
    note = models.TextField(blank=True)
    event = models.UUIDField()

    class Meta:
        indexes = [models.Index(fields=["device", "kind", "at"], name="instrument_test_latest")]
        triggers = [pgtrigger.Protect(name="append_only", operation=pgtrigger.Update | pgtrigger.Delete)]

    def __str__(self) -> str:
        return f"{self.kind} {'passed' if self.passed else 'failed'}"

    @classmethod
    def scope(cls, scope: Scope) -> models.Q:
        return models.Q(device__site__organisation__in=scope.organisations) | models.Q(
            device__site__network__provider__in=scope.organisations
        )


class Fault(Row):
    scanner = models.ForeignKey(Scanner, on_delete=models.PROTECT, related_name="faults")
    cause_code = models.CharField(max_length=40)
    from_at = models.DateTimeField()
    to_at = models.DateTimeField(null=True)
    event = models.UUIDField()
    note = models.TextField(blank=True)

    def __str__(self) -> str:
        return self.cause_code

    @classmethod
    def scope(cls, scope: Scope) -> models.Q:
        return models.Q()


class EmployerLicence(Row):
    """IR(ME)R 2017 reg 5: an employer's licence for one radiological installation, by procedure."""

    site = models.ForeignKey(Site, on_delete=models.PROTECT, related_name="licences")
    number = models.CharField(max_length=40)
    procedures = ArrayField(models.CharField(max_length=40))
    valid_from = models.DateField()
    valid_to = models.DateField()

    def __str__(self) -> str:
        return self.number

    @classmethod
    def scope(cls, scope: Scope) -> models.Q:
        return models.Q()


class ActivityAllotment(Row):
    """Activity of one supply run that may still be promised, in MBq at `reference_at`. Never below nothing.

    Weeks ahead, run capacity is reserved; batches do not exist yet. Radiopharmacy sets it from its runs and orders.
    """

    site = models.ForeignKey(Site, on_delete=models.PROTECT, related_name="allotments")
    tracer = models.CharField(max_length=40)
    supply_run = models.UUIDField(null=True)
    reference_at = models.DateTimeField()
    usable_from = models.DateTimeField()
    usable_to = models.DateTimeField()
    total_mbq = models.FloatField()
    free_mbq = models.FloatField()

    class Meta:
        constraints = [
            models.CheckConstraint(condition=models.Q(free_mbq__gte=0), name="allotment_not_overdrawn"),
        ]
        indexes = [models.Index(fields=["site", "tracer", "usable_from"], name="allotment_when")]

    def __str__(self) -> str:
        return f"{self.tracer} {self.reference_at:%Y-%m-%d %H:%M}"

    @classmethod
    def scope(cls, scope: Scope) -> models.Q:
        return models.Q(site__network__provider__in=scope.organisations)


class EndpointKind(models.TextChoices):
    HL7 = "hl7"
    DICOM = "dicom"
    DICOMWEB = "dicomweb"
    FHIR = "fhir"


class Endpoint(Row):
    """Where an organisation takes messages or images."""

    organisation = models.ForeignKey(Organisation, on_delete=models.PROTECT, related_name="endpoints")
    kind = models.CharField(max_length=10, choices=EndpointKind)
    host = models.CharField(max_length=200)
    port = models.PositiveIntegerField()
    ae_title = models.CharField(max_length=16, blank=True)
    application = models.CharField(max_length=60, blank=True)
    facility = models.CharField(max_length=60, blank=True)
    address = models.CharField(max_length=300, blank=True)
    active = models.BooleanField(default=True)

    def __str__(self) -> str:
        return f"{self.kind} {self.organisation.ods_code}"

    @classmethod
    def scope(cls, scope: Scope) -> models.Q:
        return models.Q(organisation__in=scope.organisations)

"""Supply runs, orders, batches, deliveries, each dose from the vial to the vein, and the ledger of every becquerel."""

import pghistory
import pgtrigger
from django.contrib.postgres.fields import ArrayField
from django.db import models

from gantry.apps.audit.lifecycles import only_legal_moves
from gantry.apps.audit.models import Row
from gantry.apps.booking.models import Appointment
from gantry.domain.access import Scope
from gantry.domain.generator import DAY, DayState
from gantry.domain.investigation import INVESTIGATION, Found
from gantry.domain.investigation import State as InvestigationState
from gantry.domain.ledger import Way
from gantry.domain.ordering import Payer
from gantry.domain.staff_dose import Part
from gantry.domain.supply import BATCH, DOSE, ORDER, BatchState, DoseState, OrderState


def of_site(scope: Scope, field: str = "site") -> models.Q:
    """Hot-lab rows are seen by the site's employer and by the provider that runs its network."""
    return models.Q(**{f"{field}__organisation__in": scope.organisations}) | models.Q(
        **{f"{field}__network__provider__in": scope.organisations}
    )


class SupplyRun(Row):
    """A supplier's timed delivery to a site: what may be ordered, by when, for how much."""

    supplier = models.ForeignKey("estate.Organisation", on_delete=models.PROTECT, related_name="+")
    site = models.ForeignKey("estate.Site", on_delete=models.PROTECT, related_name="runs")
    production_site = models.CharField(max_length=80)
    tracer = models.CharField(max_length=40)
    due_at = models.DateTimeField()
    reference_at = models.DateTimeField()
    cut_off_at = models.DateTimeField()
    capacity_mbq = models.FloatField()
    price_pence = models.PositiveIntegerField(default=0)
    price_pence_per_gbq = models.PositiveIntegerField(default=0)
    assumed = models.BooleanField(default=False)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["supplier", "site", "tracer", "due_at"], name="run_once")]
        indexes = [models.Index(fields=["site", "due_at"], name="run_day")]

    def __str__(self) -> str:
        return f"{self.tracer} {self.due_at:%Y-%m-%d %H:%M}"

    @classmethod
    def scope(cls, scope: Scope) -> models.Q:
        return of_site(scope)


@pghistory.track()
class TracerOrder(Row):
    run = models.ForeignKey(SupplyRun, on_delete=models.PROTECT, related_name="orders")
    site = models.ForeignKey("estate.Site", on_delete=models.PROTECT, related_name="+")
    tracer = models.CharField(max_length=40)
    activity_mbq = models.FloatField()
    """At the run's reference time."""
    patients = models.PositiveSmallIntegerField(default=0)
    state = models.CharField(max_length=12, choices=[(s.value, s.value) for s in OrderState])
    placed_at = models.DateTimeField(null=True)
    supplier_reference = models.CharField(max_length=60, blank=True)
    price_pence = models.PositiveIntegerField(default=0)
    """By the run's prices as they were when it was placed."""
    ended_reason = models.TextField(blank=True)
    paid_by = models.CharField(max_length=10, blank=True, choices=[(p.value, p.value) for p in Payer])
    """Who bears the price of an order that was cancelled."""

    class Meta:
        triggers = [only_legal_moves("order_lifecycle", "state", ORDER)]

    def __str__(self) -> str:
        return f"{self.tracer} {self.activity_mbq:.0f} MBq {self.state}"

    @classmethod
    def scope(cls, scope: Scope) -> models.Q:
        return of_site(scope)


@pghistory.track()
class Batch(Row):
    order = models.ForeignKey(TracerOrder, on_delete=models.PROTECT, null=True, related_name="batches")
    site = models.ForeignKey("estate.Site", on_delete=models.PROTECT, related_name="batches")
    supplier = models.ForeignKey("estate.Organisation", on_delete=models.PROTECT, related_name="+")
    number = models.CharField(max_length=60)
    tracer = models.CharField(max_length=40)
    reference_at = models.DateTimeField()
    activity_mbq = models.FloatField()
    """As the supplier states it, at the reference time."""
    volume_ml = models.FloatField(null=True)
    expires_at = models.DateTimeField()
    state = models.CharField(max_length=20, choices=[(s.value, s.value) for s in BatchState])
    released_by = models.CharField(max_length=120, blank=True)
    """The supplier's qualified person."""
    released_at = models.DateTimeField(null=True)
    accepted_by = models.CharField(max_length=120, blank=True)
    accepted_at = models.DateTimeField(null=True)
    ended_reason = models.TextField(blank=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["supplier", "number", "site"], name="batch_once")]
        triggers = [only_legal_moves("batch_lifecycle", "state", BATCH)]
        indexes = [models.Index(fields=["site", "reference_at"], name="batch_day")]

    def __str__(self) -> str:
        return self.number

    @classmethod
    def scope(cls, scope: Scope) -> models.Q:
        return of_site(scope)


class TracerDelivery(Row):
    batch = models.ForeignKey(Batch, on_delete=models.PROTECT, related_name="deliveries")
    received_at = models.DateTimeField()
    received_by = models.CharField(max_length=120)
    packages = models.PositiveSmallIntegerField(default=1)
    transport_index = models.FloatField(null=True)
    label = models.CharField(max_length=40, blank=True)
    surface_msv_per_h = models.FloatField(null=True)
    """As it was measured on arrival, the greatest of its packages; so is the next."""
    at_one_metre_msv_per_h = models.FloatField(null=True)
    measured_mbq = models.FloatField()
    measured_at = models.DateTimeField()
    instrument = models.CharField(max_length=60)
    expected_mbq = models.FloatField()
    """The stated activity, decayed to the measuring instant."""
    breach = models.JSONField(default=list)
    """Where its papers, its label and what was measured here disagree."""

    def __str__(self) -> str:
        return f"{self.measured_mbq:.0f} MBq"

    @classmethod
    def scope(cls, scope: Scope) -> models.Q:
        return of_site(scope, "batch__site")


class Container(Row):
    """A vial or a syringe that holds activity and carries a barcode."""

    batch = models.ForeignKey(Batch, on_delete=models.PROTECT, related_name="containers")
    kind = models.CharField(max_length=10)
    barcode = models.CharField(max_length=40, unique=True)
    volume_ml = models.FloatField(null=True)

    def __str__(self) -> str:
        return self.barcode

    @classmethod
    def scope(cls, scope: Scope) -> models.Q:
        return of_site(scope, "batch__site")


class Assay(Row):
    """A measurement of a container: MBq, at an instant, by an instrument, by somebody."""

    container = models.ForeignKey(Container, on_delete=models.PROTECT, related_name="assays")
    purpose = models.CharField(max_length=12)
    """receipt, draw, residual, check."""
    activity_mbq = models.FloatField()
    at = models.DateTimeField()
    instrument = models.CharField(max_length=60)
    by_name = models.CharField(max_length=120)
    event = models.UUIDField()

    class Meta:
        indexes = [models.Index(fields=["container", "at"], name="assay_when")]

    def __str__(self) -> str:
        return f"{self.activity_mbq:.1f} MBq"

    @classmethod
    def scope(cls, scope: Scope) -> models.Q:
        return of_site(scope, "container__batch__site")


@pghistory.track()
class Dose(Row):
    """A syringe for a person, drawn here or received as a unit dose. What is in it never goes into a vial."""

    batch = models.ForeignKey(Batch, on_delete=models.PROTECT, related_name="doses")
    container = models.OneToOneField(Container, on_delete=models.PROTECT, related_name="dose")
    appointment = models.ForeignKey(Appointment, on_delete=models.PROTECT, null=True, related_name="doses")
    site = models.ForeignKey("estate.Site", on_delete=models.PROTECT, related_name="+")
    tracer = models.CharField(max_length=40)
    drawn_mbq = models.FloatField()
    drawn_at = models.DateTimeField()
    volume_ml = models.FloatField(null=True)
    stated_mbq = models.FloatField(null=True)
    """A unit dose: as its supplier states it, at the batch's reference time. Then `drawn` is what was measured here."""
    labelled_for = models.CharField(max_length=160, blank=True)
    """The person on the supplier's label, as it reads."""
    state = models.CharField(max_length=24, choices=[(s.value, s.value) for s in DoseState])
    injected_at = models.DateTimeField(null=True)
    residual_mbq = models.FloatField(null=True)
    residual_at = models.DateTimeField(null=True)
    net_mbq = models.FloatField(null=True)
    """Net administered activity at the injection time."""
    ended_reason = models.TextField(blank=True)

    class Meta:
        triggers = [only_legal_moves("dose_lifecycle", "state", DOSE)]

    def __str__(self) -> str:
        return f"{self.tracer} {self.drawn_mbq:.0f} MBq {self.state}"

    @classmethod
    def scope(cls, scope: Scope) -> models.Q:
        return of_site(scope)


class WasteItem(Row):
    batch = models.ForeignKey(Batch, on_delete=models.PROTECT, related_name="waste")
    dose = models.ForeignKey(Dose, on_delete=models.PROTECT, null=True, related_name="waste")
    activity_mbq = models.FloatField()
    at = models.DateTimeField()
    cause_code = models.CharField(max_length=40)
    event = models.UUIDField()

    def __str__(self) -> str:
        return f"{self.activity_mbq:.0f} MBq {self.cause_code}"

    @classmethod
    def scope(cls, scope: Scope) -> models.Q:
        return of_site(scope, "batch__site")


APPEND_ONLY = pgtrigger.Protect(name="append_only", operation=pgtrigger.Update | pgtrigger.Delete)


class LedgerEntry(Row):
    """Activity that moved from one account to another, or was counted in one. Never edited: another corrects it.

    Accounts are the barcodes of containers and the far ends that `gantry.domain.ledger` names.
    """

    site = models.ForeignKey("estate.Site", on_delete=models.PROTECT, related_name="+")
    batch = models.ForeignKey(Batch, on_delete=models.PROTECT, related_name="entries")
    nuclide = models.CharField(max_length=8)
    way = models.CharField(max_length=16, choices=[(w.value, w.value) for w in Way])
    source = models.CharField(max_length=40)
    target = models.CharField(max_length=40)
    activity_mbq = models.FloatField()
    at = models.DateTimeField()
    instrument = models.CharField(max_length=60)
    scale_percent = models.FloatField()
    reading_percent = models.FloatField()
    volume_ml = models.FloatField(null=True)
    computed = models.BooleanField(default=False)
    """Worked out from other entries: nobody measured it."""
    by_name = models.CharField(max_length=120)
    event = models.UUIDField()
    corrects = models.UUIDField(null=True)

    class Meta:
        constraints = [
            models.CheckConstraint(condition=models.Q(activity_mbq__gte=0), name="ledger_not_below_nothing"),
            models.UniqueConstraint(
                fields=["corrects"], condition=models.Q(corrects__isnull=False), name="ledger_corrected_once"
            ),
        ]
        indexes = [
            models.Index(fields=["site", "nuclide", "at"], name="ledger_holdings"),
            models.Index(fields=["batch", "at"], name="ledger_batch"),
        ]
        triggers = [APPEND_ONLY]

    def __str__(self) -> str:
        return f"{self.way} {self.activity_mbq:.1f} MBq"

    @classmethod
    def scope(cls, scope: Scope) -> models.Q:
        return of_site(scope)


@pghistory.track()
class Investigation(Row):
    """A difference in the book of one container that the instruments cannot explain: owned, found out, closed by name."""

    site = models.ForeignKey("estate.Site", on_delete=models.PROTECT, related_name="+")
    batch = models.ForeignKey(Batch, on_delete=models.PROTECT, related_name="investigations")
    container = models.CharField(max_length=40)
    """Its account in the ledger: a barcode."""
    nuclide = models.CharField(max_length=8)
    state = models.CharField(max_length=10, choices=[(s.value, s.value) for s in InvestigationState])
    opened_at = models.DateTimeField()
    due_at = models.DateTimeField()
    at = models.DateTimeField()
    """The instant of the difference and of its uncertainty."""
    difference_mbq = models.FloatField()
    uncertainty_mbq = models.FloatField()
    entries = ArrayField(models.UUIDField(), default=list)
    """Those that the difference was made from, the largest first."""
    owner_role = models.CharField(max_length=20)
    owner = models.ForeignKey("accounts.Person", on_delete=models.PROTECT, null=True, related_name="+")
    owner_name = models.CharField(max_length=120, blank=True)
    found = models.CharField(max_length=16, blank=True, choices=[(f.value, f.value) for f in Found])
    finding = models.TextField(blank=True)
    entry = models.UUIDField(null=True)
    """The one that was wrong."""
    concluded_by = models.CharField(max_length=120, blank=True)
    concluded_at = models.DateTimeField(null=True)
    closed_by = models.CharField(max_length=120, blank=True)
    closed_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["batch", "container"],
                condition=models.Q(closed_at__isnull=True),
                name="investigation_one_open",
            ),
            models.CheckConstraint(
                condition=models.Q(closed_at__isnull=True) | (~models.Q(found="") & ~models.Q(closed_by="")),
                name="investigation_closed_with_a_finding",
            ),
        ]
        indexes = [models.Index(fields=["site", "due_at"], name="investigation_due")]
        triggers = [only_legal_moves("investigation_lifecycle", "state", INVESTIGATION)]

    def __str__(self) -> str:
        return f"{self.container}: {self.difference_mbq:+.1f} MBq"

    @classmethod
    def scope(cls, scope: Scope) -> models.Q:
        return of_site(scope)


class Permit(Row):
    """Environmental permit: one row for each nuclide that it names, open or sealed."""

    site = models.ForeignKey("estate.Site", on_delete=models.PROTECT, related_name="permits")
    number = models.CharField(max_length=40)
    nuclide = models.CharField(max_length=8)
    holding_mbq = models.FloatField()
    sewer_mbq_a_month = models.FloatField(null=True)
    solid_mbq_a_month = models.FloatField(null=True)
    contractor_mbq_a_month = models.FloatField(null=True)
    accumulation_days = models.PositiveSmallIntegerField(null=True)
    valid_from = models.DateField()
    valid_to = models.DateField()
    sealed = models.BooleanField(default=False)
    assumed = models.BooleanField(default=False)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["site", "nuclide", "sealed", "valid_from"], name="permit_once")]

    def __str__(self) -> str:
        return f"{self.number} {self.nuclide}"

    @classmethod
    def scope(cls, scope: Scope) -> models.Q:
        return of_site(scope)


class Disposal(Row):
    """What left the premises as waste: from the decay store, or to the sewer."""

    site = models.ForeignKey("estate.Site", on_delete=models.PROTECT, related_name="+")
    nuclide = models.CharField(max_length=8)
    route = models.CharField(
        max_length=12, choices=[("sewer", "sewer"), ("solid", "solid"), ("contractor", "contractor")]
    )
    activity_mbq = models.FloatField()
    at = models.DateTimeField()
    entries = ArrayField(models.UUIDField(), default=list)
    """The ledger entries whose remains these are."""
    by_name = models.CharField(max_length=120)
    event = models.UUIDField()

    class Meta:
        indexes = [models.Index(fields=["site", "nuclide", "at"], name="disposal_month")]
        triggers = [APPEND_ONLY]

    def __str__(self) -> str:
        return f"{self.activity_mbq:.1f} MBq {self.route}"

    @classmethod
    def scope(cls, scope: Scope) -> models.Q:
        return of_site(scope)


class Generator(Row):
    """A column of a parent nuclide that gives its daughter again and again."""

    site = models.ForeignKey("estate.Site", on_delete=models.PROTECT, related_name="generators")
    kind = models.CharField(max_length=10)
    number = models.CharField(max_length=40)
    made_at = models.DateTimeField()
    calibrated_mbq = models.FloatField()
    """Of the parent, at `calibrated_at`."""
    calibrated_at = models.DateTimeField()
    retired_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["site", "number"], name="generator_once")]

    def __str__(self) -> str:
        return self.number

    @classmethod
    def scope(cls, scope: Scope) -> models.Q:
        return of_site(scope)


@pghistory.track()
class GeneratorDay(Row):
    """One local day of a generator: untested until its breakthrough is within limits and somebody releases it."""

    generator = models.ForeignKey(Generator, on_delete=models.PROTECT, related_name="days")
    on = models.DateField()
    state = models.CharField(max_length=10, choices=[(s.value, s.value) for s in DayState])
    tests = models.JSONField(default=list)
    decided_by = models.CharField(max_length=120, blank=True)
    decided_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["generator", "on"], name="generator_day_once")]
        triggers = [only_legal_moves("generator_day_lifecycle", "state", DAY)]

    def __str__(self) -> str:
        return f"{self.on} {self.state}"

    @classmethod
    def scope(cls, scope: Scope) -> models.Q:
        return of_site(scope, "generator__site")


class Elution(Row):
    """What came out, measured, against what should have grown back."""

    day = models.ForeignKey(GeneratorDay, on_delete=models.PROTECT, related_name="elutions")
    at = models.DateTimeField()
    activity_mbq = models.FloatField()
    expected_mbq = models.FloatField()
    volume_ml = models.FloatField()
    instrument = models.CharField(max_length=60)
    by_name = models.CharField(max_length=120)
    event = models.UUIDField()

    class Meta:
        triggers = [APPEND_ONLY]

    def __str__(self) -> str:
        return f"{self.activity_mbq:.0f} MBq"

    @classmethod
    def scope(cls, scope: Scope) -> models.Q:
        return of_site(scope, "day__generator__site")


class Preparation(Row):
    """A kit labelled with an elution: the batch of its own that it became, released and accepted like any other."""

    elution = models.ForeignKey(Elution, on_delete=models.PROTECT, related_name="preparations")
    batch = models.OneToOneField(Batch, on_delete=models.PROTECT, related_name="preparation")
    kit = models.CharField(max_length=80)
    kit_lot = models.CharField(max_length=40)
    by_name = models.CharField(max_length=120)
    at = models.DateTimeField()

    class Meta:
        triggers = [APPEND_ONLY]

    def __str__(self) -> str:
        return f"{self.kit} {self.kit_lot}"

    @classmethod
    def scope(cls, scope: Scope) -> models.Q:
        return of_site(scope, "batch__site")


class Consignment(Row):
    """A package that left the site by road, with what its paper says (ADR 5.4.1)."""

    batch = models.ForeignKey(Batch, on_delete=models.PROTECT, related_name="consignments")
    consignee = models.CharField(max_length=160)
    address = models.TextField()
    activity_mbq = models.FloatField()
    at = models.DateTimeField()
    surface_msv_per_h = models.FloatField()
    at_one_metre_msv_per_h = models.FloatField()
    transport_index = models.FloatField()
    label = models.CharField(max_length=40)
    carrier = models.CharField(max_length=120, blank=True)
    entry = models.ForeignKey(LedgerEntry, on_delete=models.PROTECT, null=True, related_name="consignments")
    """What left by the ledger in this package: a transfer, or what goes back to the supplier. None: nothing of a vial."""
    by_name = models.CharField(max_length=120)
    breach = models.JSONField(default=list)
    event = models.UUIDField()

    class Meta:
        triggers = [APPEND_ONLY]

    def __str__(self) -> str:
        return f"{self.label} to {self.consignee}"

    @classmethod
    def scope(cls, scope: Scope) -> models.Q:
        return of_site(scope, "batch__site")


class SealedSource(Row):
    """A source that is never opened: a check source, a transmission rod. Held against the permit until it has gone."""

    site = models.ForeignKey("estate.Site", on_delete=models.PROTECT, related_name="sources")
    nuclide = models.CharField(max_length=8)
    serial = models.CharField(max_length=60)
    what = models.CharField(max_length=80)
    activity_mbq = models.FloatField()
    """At `reference_at`."""
    reference_at = models.DateTimeField()
    kept_in = models.CharField(max_length=80, blank=True)
    received_at = models.DateTimeField()
    leak_tested_at = models.DateTimeField(null=True)
    leak_passed = models.BooleanField(default=True)
    gone_at = models.DateTimeField(null=True)
    gone_to = models.CharField(max_length=160, blank=True)
    breach = models.JSONField(default=list)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["site", "serial"], name="source_once")]

    def __str__(self) -> str:
        return f"{self.nuclide} {self.serial}"

    @classmethod
    def scope(cls, scope: Scope) -> models.Q:
        return of_site(scope)


class StaffDose(Row):
    """What one badge of one person read over one period. Never edited: another corrects it."""

    site = models.ForeignKey("estate.Site", on_delete=models.PROTECT, related_name="+")
    person = models.ForeignKey("accounts.Person", on_delete=models.PROTECT, related_name="+")
    part = models.CharField(max_length=20, choices=[(p.value, p.value) for p in Part])
    first = models.DateField()
    last = models.DateField()
    msv = models.FloatField()
    asks = models.JSONField(default=list)
    """Why somebody is asked to look, by the limits of its day."""
    by_name = models.CharField(max_length=120)
    recorded_at = models.DateTimeField()
    event = models.UUIDField()
    corrects = models.OneToOneField("self", on_delete=models.PROTECT, null=True, related_name="corrected_by")

    class Meta:
        constraints = [models.CheckConstraint(condition=models.Q(msv__gte=0), name="staff_dose_not_below_nothing")]
        indexes = [models.Index(fields=["site", "last"], name="staff_dose_period")]
        triggers = [APPEND_ONLY]

    def __str__(self) -> str:
        return f"{self.part} {self.msv:g} mSv"

    @classmethod
    def scope(cls, scope: Scope) -> models.Q:
        return of_site(scope)


class StaffDoseReview(Row):
    """Somebody looked at a reading that asked for it, and what they found."""

    reading = models.OneToOneField(StaffDose, on_delete=models.PROTECT, related_name="review")
    finding = models.TextField()
    by_name = models.CharField(max_length=120)
    at = models.DateTimeField()
    event = models.UUIDField()

    class Meta:
        triggers = [APPEND_ONLY]

    def __str__(self) -> str:
        return self.finding

    @classmethod
    def scope(cls, scope: Scope) -> models.Q:
        return of_site(scope, "reading__site")

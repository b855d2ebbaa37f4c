"""Day plans by version, people's locks, what was chosen after a failure, and what a site's day is reckoned with."""

import pgtrigger
from django.contrib.postgres.fields import ArrayField
from django.db import models

from gantry.apps.audit.models import Row
from gantry.apps.booking.models import Appointment
from gantry.apps.radiopharmacy.models import TracerOrder, of_site
from gantry.apps.referrals.models import of_referrals
from gantry.domain.access import Scope
from gantry.domain.scheduling.failures import FailureKind


class PlanVersion(Row):
    """A day's changes that somebody tries, then publishes. A published version is never changed."""

    site = models.ForeignKey("estate.Site", on_delete=models.PROTECT, related_name="plans")
    on = models.DateField()
    """The local day at the site."""
    number = models.PositiveSmallIntegerField()
    state = models.CharField(max_length=10, default="draft")
    """draft, published, dropped."""
    changes = models.JSONField(default=dict)
    """Appointment → {"scanner": id, "arrival_at": instant}: only what differs from what is booked."""
    score = models.JSONField(default=dict)
    """As it was published: the costs, the gravest first."""
    made_by = models.CharField(max_length=120)
    made_at = models.DateTimeField()
    published_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["site", "on", "number"], name="plan_version_once"),
            models.UniqueConstraint(
                fields=["site", "on"], condition=models.Q(state="draft"), name="one_draft_of_a_day"
            ),
        ]  # fmt: skip

    def __str__(self) -> str:
        return f"{self.site} {self.on} version {self.number}"

    @classmethod
    def scope(cls, scope: Scope) -> models.Q:
        return of_site(scope)


class Lock(Row):
    """A person's decision that this appointment stays where it is: a constraint to every plan."""

    appointment = models.ForeignKey(Appointment, on_delete=models.PROTECT, related_name="locks")
    reason = models.CharField(max_length=200)
    by_name = models.CharField(max_length=120)
    placed_at = models.DateTimeField()
    lifted_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["appointment"], condition=models.Q(lifted_at=None), name="locked_once"
            ),
        ]  # fmt: skip

    def __str__(self) -> str:
        return self.reason

    @classmethod
    def scope(cls, scope: Scope) -> models.Q:
        return of_referrals(scope, "appointment__referral")


class Trouble(Row):
    """What went wrong on a day, as a person said it: from it a recovery starts. One event may hit several sites."""

    site = models.ForeignKey("estate.Site", on_delete=models.PROTECT, related_name="troubles")
    on = models.DateField()
    kind = models.CharField(max_length=20, choices=[(kind.value, kind.value) for kind in FailureKind])
    subjects = ArrayField(models.CharField(max_length=40))
    """Allotments, the site or an appointment: the ids by which the day knows what is hit."""
    from_at = models.DateTimeField()
    to_at = models.DateTimeField(null=True)
    """When it comes, or is over; without it, not today."""
    mbq = models.FloatField(null=True)
    """A short batch: what there is, at the run's reference time."""
    shut = models.BooleanField(default=False)
    """Snow: the site closes too."""
    words = models.CharField(max_length=300)
    event = models.UUIDField()
    """The root event: recorded once, and named by everybody whom it moves."""
    said_by = models.CharField(max_length=120)
    said_at = models.DateTimeField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["event", "site", "on"], name="trouble_once")]
        indexes = [models.Index(fields=["site", "on"], name="trouble_day")]

    def __str__(self) -> str:
        return self.words

    @classmethod
    def scope(cls, scope: Scope) -> models.Q:
        return of_site(scope)


class RecoveryPlan(Row):
    """What can be done after one root event at one site, what was chosen, and by whom."""

    site = models.ForeignKey("estate.Site", on_delete=models.PROTECT, related_name="recoveries")
    on = models.DateField()
    root_event = models.UUIDField()
    known_at = models.DateTimeField()
    """The options are worked out for this moment."""
    options = models.JSONField(default=list)
    state = models.CharField(max_length=10, default="open")
    """open, accepted, undone."""
    chosen = models.PositiveSmallIntegerField(null=True)
    accepted_by = models.CharField(max_length=120, blank=True)
    accepted_at = models.DateTimeField(null=True)
    undone_by = models.CharField(max_length=120, blank=True)
    undone_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["root_event", "site", "on"], name="recovery_once")]

    def __str__(self) -> str:
        return f"{self.site} {self.on} {self.state}"

    @classmethod
    def scope(cls, scope: Scope) -> models.Q:
        return of_site(scope)


class RecoveryMove(Row):
    """What an accepted recovery did to one appointment: undo starts from these."""

    recovery = models.ForeignKey(RecoveryPlan, on_delete=models.PROTECT, related_name="moves")
    was = models.ForeignKey(Appointment, on_delete=models.PROTECT, related_name="+")
    now = models.ForeignKey(Appointment, on_delete=models.PROTECT, null=True, related_name="+")
    outcome = models.CharField(max_length=12)
    """moved, another_day, by_hand: by hand is somebody who is here already."""
    said = models.CharField(max_length=300, blank=True)
    undone = models.BooleanField(default=False)

    def __str__(self) -> str:
        return self.outcome

    @classmethod
    def scope(cls, scope: Scope) -> models.Q:
        return of_referrals(scope, "was__referral")


class DayFacts(Row):
    """What a site's day has beyond its sessions and rooms. Empty is not said: the plan then reckons as booking does."""

    site = models.OneToOneField("estate.Site", on_delete=models.PROTECT, related_name="day_facts")
    doors_open = models.TimeField(null=True)
    """Local time: nobody arrives before."""
    doors_close = models.TimeField(null=True)
    """Local time: everybody has left."""
    paid_until = models.TimeField(null=True)
    """Local time: work on a scanner after it is overtime."""
    injectors = models.PositiveSmallIntegerField(null=True)
    """Injections that can be given at once, by people or by machines."""
    by_name = models.CharField(max_length=120)
    at = models.DateTimeField()

    def __str__(self) -> str:
        return str(self.site)

    @classmethod
    def scope(cls, scope: Scope) -> models.Q:
        return of_site(scope)


class Attendance(models.TextChoices):
    ANAESTHETIST = "anaesthetist", "Anaesthetist"
    PLAY_SPECIALIST = "play_specialist", "Play specialist"


class PeopleSession(Row):
    """When an anaesthetist or a play specialist is at a site, and how many of them."""

    site = models.ForeignKey("estate.Site", on_delete=models.PROTECT, related_name="people_sessions")
    kind = models.CharField(max_length=16, choices=Attendance)
    starts_at = models.DateTimeField()
    ends_at = models.DateTimeField()
    people = models.PositiveSmallIntegerField(default=1)
    by_name = models.CharField(max_length=120)
    at = models.DateTimeField()
    called_off_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            models.CheckConstraint(condition=models.Q(ends_at__gt=models.F("starts_at")), name="people_session_length"),
        ]
        indexes = [models.Index(fields=["site", "starts_at"], name="people_session_day")]

    def __str__(self) -> str:
        return f"{self.kind} {self.starts_at:%Y-%m-%d %H:%M}"

    @classmethod
    def scope(cls, scope: Scope) -> models.Q:
        return of_site(scope)


class Fitting(models.TextChoices):
    FLAT_COUCH = "flat_couch", "Flat couch for radiotherapy planning"
    CONTRAST_INJECTOR = "contrast_injector", "Contrast injector"


class ScannerFittings(Row):
    """What one scanner has that its neighbour may not. Without a row it has what its site says it has."""

    scanner = models.OneToOneField("estate.Scanner", on_delete=models.PROTECT, related_name="fittings")
    has = ArrayField(models.CharField(max_length=20, choices=Fitting), default=list)
    by_name = models.CharField(max_length=120)
    at = models.DateTimeField()

    def __str__(self) -> str:
        return ", ".join(self.has)

    @classmethod
    def scope(cls, scope: Scope) -> models.Q:
        return models.Q()


class SupplierTerms(Row):
    """What a supplier's contract says of one tracer at one site; a price on the run itself comes first."""

    site = models.ForeignKey("estate.Site", on_delete=models.PROTECT, related_name="supplier_terms")
    supplier = models.ForeignKey("estate.Organisation", on_delete=models.PROTECT, related_name="+")
    tracer = models.CharField(max_length=40)
    least_mbq = models.FloatField(default=0)
    """The smallest order that they take."""
    price_pence = models.PositiveIntegerField(default=0)
    """For a run, whatever its size."""
    price_pence_per_gbq = models.PositiveIntegerField(default=0)
    by_name = models.CharField(max_length=120)
    at = models.DateTimeField()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["site", "supplier", "tracer"], name="supplier_terms_once"),
            models.CheckConstraint(condition=models.Q(least_mbq__gte=0), name="supplier_terms_least"),
        ]

    def __str__(self) -> str:
        return f"{self.tracer} from {self.supplier}"

    @classmethod
    def scope(cls, scope: Scope) -> models.Q:
        return of_site(scope)


class StatedTimes(Row):
    """When a patient can come and when it suits them, as they or their transport said it. Local times of day."""

    referral = models.OneToOneField("referrals.Referral", on_delete=models.PROTECT, related_name="stated_times")
    arrive_from = models.TimeField(null=True)
    arrive_by = models.TimeField(null=True)
    suits_from = models.TimeField(null=True)
    """Of the scan."""
    suits_to = models.TimeField(null=True)
    why = models.CharField(max_length=200)
    by_name = models.CharField(max_length=120)
    at = models.DateTimeField()

    def __str__(self) -> str:
        return self.why

    @classmethod
    def scope(cls, scope: Scope) -> models.Q:
        return of_referrals(scope)


class WeightsSigned(Row):
    """A clinical lead's signature under one set of values. Never edited: other values need another signature."""

    organisation = models.ForeignKey("estate.Organisation", on_delete=models.PROTECT, related_name="+")
    """The provider whose days are weighed."""
    digest = models.CharField(max_length=16)
    values = models.JSONField()
    """As they were shown to whoever signed."""
    valid_from = models.DateField()
    person = models.ForeignKey("accounts.Person", on_delete=models.PROTECT, related_name="+")
    by_name = models.CharField(max_length=120)
    registration = models.CharField(max_length=40, blank=True)
    at = models.DateTimeField()
    event = models.UUIDField()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["organisation", "digest", "valid_from"], name="weights_signed_once"),
        ]
        triggers = [pgtrigger.Protect(name="append_only", operation=pgtrigger.Update | pgtrigger.Delete)]

    def __str__(self) -> str:
        return f"{self.digest} by {self.by_name}"

    @classmethod
    def scope(cls, scope: Scope) -> models.Q:
        return models.Q(organisation__in=scope.organisations)


class OrderBasis(Row):
    """What an order for tracer was placed for: who was to draw on it, how much, and how likely they were to come."""

    order = models.OneToOneField(TracerOrder, on_delete=models.PROTECT, related_name="basis")
    on = models.DateField()
    draws = models.JSONField(default=list)
    """Procedure, MBq at the run's reference time, chance."""
    best_mbq = models.FloatField()
    """As it was proposed."""
    mean_mbq = models.FloatField()
    """What those who come draw on average."""
    made_at = models.DateTimeField()
    by_name = models.CharField(max_length=120)

    class Meta:
        triggers = [pgtrigger.Protect(name="append_only", operation=pgtrigger.Update | pgtrigger.Delete)]

    def __str__(self) -> str:
        return f"{self.best_mbq:.0f} MBq proposed"

    @classmethod
    def scope(cls, scope: Scope) -> models.Q:
        return of_site(scope, "order__site")


class Rule(Row):
    """An approval that stands between two days at one site, until it is withdrawn."""

    site = models.ForeignKey("estate.Site", on_delete=models.PROTECT, related_name="+")
    valid_from = models.DateField()
    valid_to = models.DateField()
    at = models.DateTimeField()
    by_name = models.CharField(max_length=120)
    event = models.UUIDField()
    withdrawn_at = models.DateTimeField(null=True)
    withdrawn_by = models.CharField(max_length=120, blank=True)
    withdrawn_reason = models.CharField(max_length=200, blank=True)

    class Meta:
        abstract = True

    @classmethod
    def scope(cls, scope: Scope) -> models.Q:
        return of_site(scope)


class LessActivityRule(Rule):
    """A practitioner's approval: on a short day this protocol may be given less here and scanned for longer."""

    protocol = models.CharField(max_length=40)
    least_fraction = models.FloatField()
    """Of the activity that was authorised; the scan is as much longer, so that their product stays."""
    children = models.BooleanField(default=False)
    practitioner = models.ForeignKey("accounts.Person", on_delete=models.PROTECT, related_name="+")
    licence_number = models.CharField(max_length=40)
    reason = models.CharField(max_length=400)

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=models.Q(least_fraction__gte=0.5, least_fraction__lt=1), name="less_activity_between"
            ),
            models.UniqueConstraint(
                fields=["site", "protocol", "practitioner"],
                condition=models.Q(withdrawn_at=None),
                name="less_activity_once",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.protocol}, {self.least_fraction * 100:.0f} %"


class TransferRule(Rule):
    """The radiation protection adviser's: somebody injected here may be taken there, on these conditions."""

    to_site = models.ForeignKey("estate.Site", on_delete=models.PROTECT, related_name="+")
    minutes = models.PositiveSmallIntegerField()
    """Door to couch."""
    adviser = models.ForeignKey("accounts.Appointee", on_delete=models.PROTECT, related_name="+")
    letter = models.CharField(max_length=120)
    """By which the adviser's written rule is found."""
    conditions = models.CharField(max_length=400)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["site", "to_site"], condition=models.Q(withdrawn_at=None), name="transfer_rule_once"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.site} to {self.to_site}"

"""Day plans by version, people's locks, and what was chosen after a failure."""

from django.contrib.postgres.fields import ArrayField
from django.db import models

from gantry.apps.audit.models import Row
from gantry.apps.booking.models import Appointment
from gantry.apps.radiopharmacy.models import of_site
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

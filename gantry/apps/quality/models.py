"""Incidents opened by breaches; and what measures said of each unit, kept until another event is about it."""

from django.db import models
from django.db.models import Q

from gantry.apps.audit.models import Row
from gantry.apps.estate.models import Site
from gantry.domain.access import Scope


class Incident(Row):
    """Opened by a recorded breach. Assessing, notifying and closing come with a later issue's need."""

    event = models.UUIDField(unique=True)
    organisation = models.UUIDField(null=True)
    site = models.UUIDField(null=True)
    opened_at = models.DateTimeField()
    summary = models.TextField()

    def __str__(self) -> str:
        return f"incident {self.pk}"

    @classmethod
    def scope(cls, scope: Scope) -> models.Q:
        # Whoever runs the site or employs its people sees what happened there, whoever recorded it.
        runs = Q(organisation__in=scope.organisations) | Q(network__provider__in=scope.organisations)
        return Q(organisation__in=scope.organisations) | Q(site__in=Site.objects.filter(runs).values("pk"))


class MeasureResult(models.Model):
    """What a measure says of one unit that counts. Worked out from events, and thrown away for nothing."""

    code = models.CharField(max_length=20)
    definition = models.CharField(max_length=16)
    unit = models.UUIDField()
    referral = models.UUIDField(null=True)
    """Who may see the referral may see this."""
    day = models.DateField(null=True)
    met = models.BooleanField(null=True)
    since = models.DateTimeField(null=True)
    until = models.DateTimeField(null=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["code", "definition", "unit"], name="measure_result_once")]
        indexes = [
            models.Index(fields=["code", "day"], name="measure_result_day", condition=models.Q(day__isnull=False)),
            models.Index(fields=["code", "until"], name="measure_result_end", condition=models.Q(since__isnull=False)),
        ]

    def __str__(self) -> str:
        return f"{self.code} {self.unit}"


class MeasureKept(models.Model):
    """Every result of this definition is kept, but those of marked units."""

    code = models.CharField(max_length=20, unique=True)
    definition = models.CharField(max_length=16)
    zones = models.CharField(max_length=32, blank=True)

    def __str__(self) -> str:
        return f"{self.code} {self.definition}"


class MarkedUnit(models.Model):
    """An event that the kept results do not know yet, by the units that it is about."""

    event = models.UUIDField()
    procedure = models.UUIDField(null=True)
    referral = models.UUIDField(null=True)

    def __str__(self) -> str:
        return f"marked by {self.event}"

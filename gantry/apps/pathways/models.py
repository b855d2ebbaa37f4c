"""Cancer pathways and their clocks, owned by the trust of the pathway."""

import pghistory
from django.db import models

from gantry.apps.audit.models import Row
from gantry.apps.patients.models import Patient
from gantry.domain.access import Scope


class Pathway(Row):
    patient = models.ForeignKey(Patient, on_delete=models.PROTECT, related_name="pathways")
    trust = models.ForeignKey("estate.Organisation", on_delete=models.PROTECT, related_name="+")
    identifier = models.CharField(max_length=40, blank=True)
    kind = models.CharField(max_length=40)
    cancer_type = models.CharField(max_length=4, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["trust", "identifier"], condition=~models.Q(identifier=""), name="pathway_identifier_once"
            ),
        ]

    def __str__(self) -> str:
        return self.kind

    @classmethod
    def scope(cls, scope: Scope) -> models.Q:
        return models.Q(patient__in=Patient.objects.filter(Patient.scope(scope)))


@pghistory.track()
class Clock(Row):
    """A 28-, 31- or 62-day clock. A provider never pauses or stops one: the owning trust does, by its events."""

    pathway = models.ForeignKey(Pathway, on_delete=models.PROTECT, related_name="clocks")
    days = models.PositiveSmallIntegerField()
    started_on = models.DateField()
    breach_on = models.DateField()
    stopped_on = models.DateField(null=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["pathway", "days"], name="clock_once")]

    def __str__(self) -> str:
        return f"{self.days} days"

    @classmethod
    def scope(cls, scope: Scope) -> models.Q:
        return models.Q(pathway__in=Pathway.objects.filter(Pathway.scope(scope)))

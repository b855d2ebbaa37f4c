"""Incidents opened by breaches; measures have no tables, for they are computed from events."""

from django.db import models

from gantry.apps.audit.models import Row
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
        return models.Q(organisation__in=scope.organisations)

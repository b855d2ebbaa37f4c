"""What other systems stated: each statement as typed rows by the data types of its standard, and what is left over.

Never an organisation, a patient or a slot of ours: those change only by their own rooms' verbs.
"""

import json
from decimal import Decimal
from typing import Any

import pgtrigger
from django.contrib.postgres.fields import ArrayField
from django.contrib.postgres.indexes import GinIndex
from django.db import models

from gantry.apps.accounts.models import RoleGrant
from gantry.apps.audit.models import Row
from gantry.domain.access import Scope


class ExactEncoder(json.JSONEncoder):
    """Decimals with the zeros that were written: 1.50 is not 1.5 to a laboratory."""

    def encode(self, o: Any) -> str:
        if isinstance(o, dict):
            return "{" + ",".join(f"{json.dumps(str(name))}:{self.encode(value)}" for name, value in o.items()) + "}"
        if isinstance(o, list | tuple):
            return "[" + ",".join(self.encode(value) for value in o) + "]"
        return str(o) if isinstance(o, Decimal) else super().encode(o)


class ExactDecoder(json.JSONDecoder):
    def __init__(self, **options: Any) -> None:
        super().__init__(**{**options, "parse_float": Decimal})


class Statement(Row):
    """One resource as a sender stated it. A later one about the same thing is a later version; none is edited."""

    type = models.CharField(max_length=40)
    their_id = models.CharField(max_length=64, blank=True)
    version = models.PositiveIntegerField(default=1)
    sender = models.ForeignKey("estate.Organisation", on_delete=models.PROTECT, null=True, related_name="+")
    organisations = ArrayField(models.UUIDField(), default=list)
    """Who may see it: who stated it, and those it was stated to."""
    digest = models.CharField(max_length=64)
    received_at = models.DateTimeField()
    subject = models.UUIDField(null=True)
    """The row of ours that it led to: a referral, an appointment."""
    status = models.CharField(max_length=40, blank=True)
    intent = models.CharField(max_length=40, blank=True)
    priority = models.CharField(max_length=40, blank=True)
    gender = models.CharField(max_length=40, blank=True)
    name = models.TextField(blank=True)
    description = models.TextField(blank=True)
    birth_date = models.DateField(null=True)
    active = models.BooleanField(null=True)
    starts = models.CharField(max_length=40, blank=True)
    """As written: its precision and zone are part of what was said."""
    ends = models.CharField(max_length=40, blank=True)
    stated_at = models.CharField(max_length=40, blank=True)
    """When the sender says that it was authored, created or issued; as written."""
    conclusion = models.TextField(blank=True)
    rest = models.JSONField(default=dict, encoder=ExactEncoder, decoder=ExactDecoder)
    """What no column and no row below holds, with gaps where they belong."""

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["sender", "type", "their_id", "version"],
                condition=~models.Q(their_id=""),
                name="statement_version_once",
            ),
        ]
        indexes = [
            GinIndex(fields=["organisations"], name="statement_organisations"),
            models.Index(fields=["type", "received_at"], name="statement_type"),
            models.Index(fields=["subject"], name="statement_subject", condition=models.Q(subject__isnull=False)),
        ]
        triggers = [pgtrigger.Protect(name="never_removed", operation=pgtrigger.Delete)]

    def __str__(self) -> str:
        return f"{self.type} {self.pk}"

    @classmethod
    def scope(cls, scope: Scope) -> models.Q:
        return models.Q(organisations__overlap=list(scope.organisations))


class Part(Row):
    """One value of a composite data type, and its place in the statement."""

    statement = models.ForeignKey(Statement, on_delete=models.PROTECT, related_name="%(class)ss")
    path = models.CharField(max_length=400)
    """Names and numbers joined by dots: name.0, contact.1.address."""

    class Meta:
        abstract = True
        triggers = [pgtrigger.Protect(name="never_edited", operation=pgtrigger.Update | pgtrigger.Delete)]

    def __str__(self) -> str:
        return self.path

    @classmethod
    def scope(cls, scope: Scope) -> models.Q:
        return models.Q(statement__organisations__overlap=list(scope.organisations))


class StatedIdentifier(Part):
    use = models.TextField(blank=True)
    system = models.TextField(blank=True)
    value = models.TextField(blank=True)

    class Meta(Part.Meta):
        indexes = [models.Index(fields=["value", "system"], name="stated_identifier")]


class StatedName(Part):
    use = models.TextField(blank=True)
    text = models.TextField(blank=True)
    family = models.TextField(blank=True)
    given = ArrayField(models.TextField(), default=list)
    prefix = ArrayField(models.TextField(), default=list)
    suffix = ArrayField(models.TextField(), default=list)


class StatedContact(Part):
    """A telephone, an address for messages."""

    system = models.TextField(blank=True)
    value = models.TextField(blank=True)
    use = models.TextField(blank=True)
    rank = models.PositiveIntegerField(null=True)


class StatedAddress(Part):
    use = models.TextField(blank=True)
    type = models.TextField(blank=True)
    text = models.TextField(blank=True)
    line = ArrayField(models.TextField(), default=list)
    city = models.TextField(blank=True)
    district = models.TextField(blank=True)
    state = models.TextField(blank=True)
    postal_code = models.TextField(blank=True)
    country = models.TextField(blank=True)


class StatedCoding(Part):
    system = models.TextField(blank=True)
    version = models.TextField(blank=True)
    code = models.TextField(blank=True)
    display = models.TextField(blank=True)


class StatedReference(Part):
    reference = models.TextField(blank=True)
    type = models.TextField(blank=True)
    display = models.TextField(blank=True)

    class Meta(Part.Meta):
        indexes = [models.Index(fields=["reference"], name="stated_reference")]


class StatedPeriod(Part):
    start = models.TextField(blank=True)
    end = models.TextField(blank=True)


PARTS: tuple[type[Part], ...] = (
    StatedIdentifier,
    StatedName,
    StatedContact,
    StatedAddress,
    StatedCoding,
    StatedReference,
    StatedPeriod,
)


class AccessRecord(Row):
    """Who read what by wire, found or not, written in the statement that read it. Never edited, never removed."""

    at = models.DateTimeField()
    person = models.UUIDField()
    by_name = models.CharField(max_length=120)
    interaction = models.CharField(max_length=20)
    type = models.CharField(max_length=40)
    asked = models.CharField(max_length=200, blank=True)
    """The id that was asked for, or the names of the search parameters: never their values."""
    subjects = ArrayField(models.UUIDField(), default=list)
    patients = ArrayField(models.UUIDField(), default=list)

    class Meta:
        indexes = [
            GinIndex(fields=["patients"], name="access_patients"),
            models.Index(fields=["person", "at"], name="access_person"),
        ]
        triggers = [pgtrigger.Protect(name="append_only", operation=pgtrigger.Update | pgtrigger.Delete)]

    def __str__(self) -> str:
        return f"{self.interaction} {self.type}"

    @classmethod
    def scope(cls, scope: Scope) -> models.Q:
        return models.Q(person__in=RoleGrant.objects.filter(RoleGrant.scope(scope)).values("person"))

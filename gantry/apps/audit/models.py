"""The one history: events, messages in and out, and each attempt to deliver one."""

import pgtrigger
from django.contrib.postgres.fields import ArrayField
from django.contrib.postgres.indexes import GinIndex
from django.db import models

from gantry.apps.audit.ids import new_id
from gantry.domain.access import Scope


class ScopedQuerySet[M: models.Model](models.QuerySet[M]):
    """Every query by a person starts here. A model says by `scope(scope)` which of its rows a scope may see."""

    def for_user(self, scope: Scope) -> "ScopedQuerySet[M]":
        return self.filter(self.model.scope(scope))


class Row(models.Model):
    """A table with an opaque, time-sortable key and scoped queries."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)

    objects = ScopedQuerySet.as_manager()

    class Meta:
        abstract = True

    @classmethod
    def scope(cls, scope: Scope) -> models.Q:
        """Deny by default: a model that says nothing shows nothing."""
        return models.Q(pk__isnull=True)


class Event(Row):
    """What happened, by whom, when it happened and when it was written down. Never edited."""

    kind = models.CharField(max_length=40)
    happened_at = models.DateTimeField()
    recorded_at = models.DateTimeField()
    by = models.CharField(max_length=80)
    by_name = models.CharField(max_length=120)
    organisation = models.UUIDField(null=True)
    site = models.UUIDField(null=True)
    subjects = ArrayField(models.UUIDField(), default=list)
    about = models.JSONField(default=dict)
    """The subjects by their role: {"referral": id, "patient": id}."""
    cause_code = models.CharField(max_length=40, blank=True)
    cause_initiator = models.CharField(max_length=20, blank=True)
    root_event = models.UUIDField(null=True)
    cause_note = models.TextField(blank=True)
    data = models.JSONField(default=dict)
    corrects = models.UUIDField(null=True)

    class Meta:
        indexes = [
            GinIndex(fields=["subjects"], name="event_subjects"),
            models.Index(fields=["kind", "happened_at"], name="event_kind"),
            models.Index(fields=["site", "happened_at"], name="event_site"),
            models.Index(fields=["root_event"], name="event_root", condition=models.Q(root_event__isnull=False)),
        ]
        triggers = [
            pgtrigger.Protect(name="append_only", operation=pgtrigger.Update | pgtrigger.Delete),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.happened_at:%Y-%m-%d %H:%M}"

    @classmethod
    def scope(cls, scope: Scope) -> models.Q:
        return models.Q(organisation__in=scope.organisations)


class OutboxState(models.TextChoices):
    QUEUED = "queued"
    SENT = "sent"
    DELIVERED = "delivered"
    FAILED = "failed"
    GIVEN_UP = "given_up"


class OutboxMessage(Row):
    """A message that an act caused, written in the act's own transaction; its id is the idempotency key."""

    event = models.ForeignKey(Event, on_delete=models.PROTECT, related_name="messages")
    door = models.CharField(max_length=40)
    key = models.CharField(max_length=200, unique=True)
    endpoint = models.UUIDField(null=True)
    organisation = models.UUIDField(null=True)
    body = models.JSONField(default=dict)
    """Ids only: the door reads the rows when it sends."""
    state = models.CharField(max_length=12, choices=OutboxState, default=OutboxState.QUEUED)
    attempts = models.PositiveIntegerField(default=0)
    due_at = models.DateTimeField()
    created_at = models.DateTimeField()
    settled_at = models.DateTimeField(null=True)
    phase = models.CharField(max_length=20, blank=True)
    reason = models.TextField(blank=True)
    owner = models.UUIDField(null=True)
    """The person who owns a message that was given up."""

    class Meta:
        indexes = [
            models.Index(
                fields=["due_at"], name="outbox_due", condition=models.Q(state__in=["queued", "failed", "sent"])
            ),
        ]

    def __str__(self) -> str:
        return f"{self.door} {self.state}"

    @classmethod
    def scope(cls, scope: Scope) -> models.Q:
        return models.Q(organisation__in=scope.organisations)


class Attempt(Row):
    """One try at a message: how far it got, and why it stopped there."""

    message = models.ForeignKey(OutboxMessage, on_delete=models.PROTECT, related_name="tries")
    at = models.DateTimeField()
    phase = models.CharField(max_length=20)
    ok = models.BooleanField()
    detail = models.TextField(blank=True)

    class Meta:
        triggers = [pgtrigger.Protect(name="append_only", operation=pgtrigger.Update | pgtrigger.Delete)]

    def __str__(self) -> str:
        return f"{self.phase} {'ok' if self.ok else 'failed'}"


class InboxMessage(Row):
    """A message as it came in, kept whole, with the answer we gave: a repeat gets the same answer again."""

    door = models.CharField(max_length=20)
    sender = models.CharField(max_length=200)
    key = models.CharField(max_length=200)
    digest = models.CharField(max_length=64)
    received_at = models.DateTimeField()
    body = models.BinaryField()
    outcome = models.CharField(max_length=20)
    reply = models.BinaryField(default=bytes)
    subject = models.UUIDField(null=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["door", "sender", "key", "digest"], name="inbox_once"),
        ]

    def __str__(self) -> str:
        return f"{self.door} {self.outcome}"

"""Word to patients: what is said, by which way, how far it came, and who owns what did not arrive."""

from django.db import models

from gantry.apps.accounts.models import Person
from gantry.apps.audit.lifecycles import only_legal_moves
from gantry.apps.audit.models import OutboxMessage, Row
from gantry.apps.booking.models import Appointment
from gantry.apps.referrals.models import Referral, of_referrals
from gantry.domain.access import Scope
from gantry.domain.message import MESSAGE, OPEN, Channel, MessageState, Occasion


class PatientMessage(Row):
    """One piece of news for one person. Its words are kept as they are sent; its id is the far end's reference."""

    referral = models.ForeignKey(Referral, on_delete=models.PROTECT, related_name="messages")
    appointment = models.ForeignKey(Appointment, on_delete=models.PROTECT, related_name="messages")
    occasion = models.CharField(max_length=10, choices=[(o.value, o.value) for o in Occasion])
    channel = models.CharField(max_length=8, choices=[(c.value, c.value) for c in Channel])
    why = models.CharField(max_length=200)
    """Why by this way."""
    state = models.CharField(max_length=10, choices=[(s.value, s.value) for s in MessageState])
    subject = models.CharField(max_length=120, blank=True)
    body = models.TextField(blank=True)
    large_print = models.BooleanField(default=False)
    known = models.BooleanField(default=False)
    """They were told by voice: this is for them to keep, and nobody rings for want of a receipt."""
    under = models.UUIDField(null=True)
    """The recovery or the published plan that it belongs to: undone together, while nobody knows."""
    root_event = models.UUIDField(null=True)
    concerns_at = models.DateTimeField()
    """The first moment that the news concerns; after it there is nothing to send."""
    message = models.OneToOneField(OutboxMessage, on_delete=models.PROTECT, null=True, related_name="+")
    address = models.CharField(max_length=300, blank=True)
    """Where it went."""
    their_id = models.CharField(max_length=80, blank=True)
    """The far end's own number for it."""
    created_at = models.DateTimeField()
    sent_at = models.DateTimeField(null=True)
    settled_at = models.DateTimeField(null=True)
    settled_by = models.CharField(max_length=120, blank=True)
    reason = models.CharField(max_length=300, blank=True)
    """Why it did not arrive."""
    owner = models.ForeignKey(Person, on_delete=models.PROTECT, null=True, related_name="+")
    """Who rings."""

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["appointment", "occasion"],
                condition=models.Q(state__in=sorted(state.value for state in OPEN)),
                name="told_once_at_a_time",
            ),
        ]
        indexes = [
            models.Index(fields=["state", "created_at"], name="message_state"),
            models.Index(fields=["under"], name="message_under", condition=models.Q(under__isnull=False)),
            models.Index(fields=["their_id"], name="message_their_id", condition=~models.Q(their_id="")),
        ]
        triggers = [only_legal_moves("message_lifecycle", "state", MESSAGE)]

    def __str__(self) -> str:
        return f"{self.occasion} by {self.channel}, {self.state}"

    @classmethod
    def scope(cls, scope: Scope) -> models.Q:
        return of_referrals(scope)

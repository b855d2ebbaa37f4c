"""Plays the notification service for the past weeks: what was written then is answered then, in the same transaction."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from uuid import UUID

from django.db import transaction

from gantry.apps.audit.models import OutboxMessage
from gantry.apps.correspondence import services as correspondence
from gantry.apps.correspondence.models import PatientMessage
from gantry.apps.correspondence.services.writing import reach_of
from gantry.cli.demonstration.stage import Stage
from gantry.domain.message import Channel, MessageState, address_for
from gantry.gateways.emulators.messenger import fate_of
from gantry.gateways.messages.notify import WORDS

LEAVES_AFTER, ARRIVES_AFTER = timedelta(minutes=1), timedelta(minutes=2)


@contextmanager
def answered(stage: Stage, referral: UUID, now: datetime) -> Iterator[None]:
    """What the act inside writes to this person. What is of the last minutes is left to the worker and the live peer."""
    with transaction.atomic():
        yield
        if not stage.has_come(now + ARRIVES_AFTER):
            return
        waiting = PatientMessage.objects.filter(referral=referral, state=MessageState.QUEUED.value)
        for row in waiting.select_related("message").order_by("pk"):
            answer(stage, row.message, now)


def answer(stage: Stage, message: OutboxMessage, now: datetime) -> None:
    began = correspondence.begin(message, now=now + LEAVES_AFTER)
    if began is None:
        return
    row, _ = began
    channel = Channel(row.channel)
    to = address_for(reach_of(row.referral, now), channel)
    correspondence.handed_over(
        row, address=to, their_id=f"past-{row.pk.hex[-12:]}", proof="201", now=now + LEAVES_AFTER
    )  # fmt: skip
    at = now + ARRIVES_AFTER
    fate = "" if channel is Channel.LETTER else fate_of(to)
    if fate == "delivered":
        correspondence.delivered(row, at=at, proof=fate, now=at)
    elif fate:
        correspondence.not_delivered(row, reason=WORDS[fate], now=at)
    elif stage.has_come(due := OutboxMessage.objects.get(pk=message.pk).due_at):
        if row.known:
            correspondence.leave_it_at_that(row, now=due)
        else:
            correspondence.not_delivered(row, reason="No receipt came in time", now=due)

"""The outbox's verbs: take a message, say it was delivered, or say how far it got and try again later."""

import random
from datetime import datetime
from uuid import UUID

from django.db import transaction

from gantry.apps.audit.models import Attempt, OutboxMessage, OutboxState
from gantry.apps.audit.services import start
from gantry.domain.delivery import CLAIM, next_try_at

OPEN = (OutboxState.QUEUED, OutboxState.FAILED, OutboxState.SENT)


@transaction.atomic
def take(message: UUID, *, now: datetime) -> OutboxMessage | None:
    """Claim a due message for one worker, or None when it is settled, not due, or claimed already.

    The claim is a later due time, so a worker that dies in the middle is followed by another: at least once.
    """
    claimed = OutboxMessage.objects.filter(pk=message, state__in=OPEN, due_at__lte=now).update(due_at=now + CLAIM)
    return OutboxMessage.objects.select_related("event").get(pk=message) if claimed else None


@transaction.atomic
def sent(message: OutboxMessage, *, now: datetime, phase: str, detail: str = "") -> None:
    """The far end has it but has proved nothing yet."""
    OutboxMessage.objects.filter(pk=message.pk, state__in=OPEN).update(state=OutboxState.SENT, phase=phase)
    Attempt.objects.create(message=message, at=now, phase=phase, ok=True, detail=detail)


@transaction.atomic
def delivered(message: OutboxMessage, *, now: datetime, proof: str) -> bool:
    """The wire's own proof has come. False when somebody had settled it already: nothing is said twice."""
    moved = OutboxMessage.objects.filter(pk=message.pk).exclude(state=OutboxState.DELIVERED)
    if not moved.update(state=OutboxState.DELIVERED, settled_at=now, phase="delivered", reason=""):
        return False
    Attempt.objects.create(message=message, at=now, phase="delivered", ok=True, detail=proof)
    return True


@transaction.atomic
def failed(
    message: OutboxMessage, *, now: datetime, phase: str, reason: str, for_good: bool = False
) -> OutboxState | None:
    """One try has failed at `phase`. Tried again later with back-off; after the last, a person owns it.

    `for_good`: the far end has judged the message and will say the same again. None when somebody had settled it
    already: nothing is said twice.
    """
    attempts = message.attempts + 1
    again = None if for_good else next_try_at(attempts, now=now, spread=random.random())
    state = OutboxState.FAILED if again else OutboxState.GIVEN_UP
    changed = OutboxMessage.objects.filter(pk=message.pk, state__in=OPEN).update(
        state=state,
        attempts=attempts,
        due_at=again or now,
        settled_at=None if again else now,
        phase=phase,
        reason=reason,
    )
    Attempt.objects.create(message=message, at=now, phase=phase, ok=False, detail=reason)
    return state if changed else None


@transaction.atomic
def put_off(message: OutboxMessage, *, until: datetime) -> None:
    """Give the claim back untried: something else has to go first."""
    OutboxMessage.objects.filter(pk=message.pk, state__in=OPEN).update(due_at=until)


@transaction.atomic
def try_again(message: OutboxMessage, *, now: datetime) -> None:
    """A person asks for a message that was given up to be tried afresh."""
    OutboxMessage.objects.filter(pk=message.pk, state__in=[OutboxState.GIVEN_UP, OutboxState.FAILED]).update(
        state=OutboxState.QUEUED, attempts=0, due_at=now, settled_at=None
    )
    transaction.on_commit(lambda: start(message.pk))

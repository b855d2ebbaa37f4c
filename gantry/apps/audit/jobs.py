"""Jobs on PostgreSQL: send one message, and sweep for what was missed."""

from contextlib import suppress
from uuid import UUID

from django.conf import settings
from django.utils import timezone
from django.utils.module_loading import import_string
from procrastinate.contrib.django import app
from procrastinate.exceptions import AlreadyEnqueued

from gantry.apps.audit.models import OutboxMessage


@app.task(name="send_message", queue="outbox")
def send_message(message: str) -> None:
    """Hand one outbox row to its door. The job carries only the id; a second run of it does no harm."""
    row = OutboxMessage.objects.filter(pk=UUID(message)).values("door").first()
    if row and (path := settings.GANTRY_DOORS.get(row["door"])):
        import_string(path)(UUID(message), now=timezone.now())


@app.periodic(cron="* * * * *")
@app.task(name="sweep_outbox", queue="outbox", queueing_lock="sweep_outbox")
def sweep_outbox(timestamp: int) -> None:
    """Start every message that is due: those whose job was lost, and those waiting to be tried again."""
    for key in (
        OutboxMessage.objects.filter(state__in=["queued", "failed", "sent"], due_at__lte=timezone.now())
        .order_by("due_at")
        .values_list("pk", flat=True)[:500]
    ):
        # A message whose job still waits in the queue needs no second one.
        with suppress(AlreadyEnqueued):
            send_message.configure(queueing_lock=f"send:{key}").defer(message=str(key))

"""Jobs of the doors that nobody asks for: images that came late, and studies that are whole and wait."""

from django.utils import timezone
from procrastinate.contrib.django import app

from gantry.apps.scanning.services import images


@app.periodic(cron="* * * * *")
@app.task(name="send_images", queue="outbox", queueing_lock="send_images")
def send_images(timestamp: int) -> None:
    """The outbox's own sweep starts the messages that this leaves."""
    now = timezone.now()
    images.send_what_is_ready(now=now)
    images.send_late_instances(now=now)

"""Jobs of the doors that nobody asks for: late images, studies that are whole and wait, dose reports to read."""

from django.utils import timezone
from procrastinate.contrib.django import app

from gantry.apps.scanning.services import images
from gantry.gateways.dicom import dose_incoming, dose_outgoing


@app.periodic(cron="* * * * *")
@app.task(name="send_images", queue="outbox", queueing_lock="send_images")
def send_images(timestamp: int) -> None:
    """The outbox's own sweep starts the messages that this leaves."""
    now = timezone.now()
    images.send_what_is_ready(now=now)
    images.send_late_instances(now=now)


@app.periodic(cron="* * * * *")
@app.task(name="dose_reports", queue="outbox", queueing_lock="dose_reports")
def dose_reports(timestamp: int) -> None:
    """Reads those that came in; puts ours among the images that have come since."""
    now = timezone.now()
    dose_incoming.read_new(now=now)
    dose_incoming.read_injectors(now=now)
    dose_outgoing.join_images(now=now)

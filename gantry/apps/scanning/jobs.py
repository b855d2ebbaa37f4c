"""Jobs of the scan day: an injection that no scan followed is found though nobody wrote how the visit ended."""

from django.utils import timezone
from procrastinate.contrib.django import app

from gantry.apps.scanning.services.leaving import watch
from gantry.domain.events import system


@app.periodic(cron="*/5 * * * *")
@app.task(name="watch_injected", queue="scanning", queueing_lock="watch_injected")
def watch_injected(timestamp: int) -> None:
    watch(now=timezone.now(), by=system("uptake watch"))

"""Jobs of booking: end holds whose time is up, ask again the day before, and keep the calendar's change list short."""

from django.utils import timezone
from procrastinate.contrib.django import app

from gantry.apps.booking import services
from gantry.apps.booking.calendar import trim_changes


@app.periodic(cron="* * * * *")
@app.task(name="expire_holds", queue="booking", queueing_lock="expire_holds")
def expire_holds(timestamp: int) -> None:
    services.expire_holds(timezone.now())


@app.periodic(cron="5 6,12,16 * * *")
@app.task(name="recheck_authorisations", queue="booking", queueing_lock="recheck_authorisations")
def recheck_authorisations(timestamp: int) -> None:
    """Before the day starts, at noon, and before people go home."""
    services.recheck_authorisations(timezone.now())


@app.periodic(cron="17 * * * *")
@app.task(name="trim_calendar_changes", queue="booking", queueing_lock="trim_calendar_changes")
def trim_calendar_changes(timestamp: int) -> None:
    trim_changes()

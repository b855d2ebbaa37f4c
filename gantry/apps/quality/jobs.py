"""Jobs of the measures: what is kept of them follows the events within a minute."""

from django.utils import timezone
from procrastinate.contrib.django import app

from gantry.apps.quality.kept import keep


@app.periodic(cron="* * * * *")
@app.task(name="keep_measures", queue="quality", queueing_lock="keep_measures")
def keep_measures(timestamp: int) -> None:
    keep(timezone.localdate(timezone.now()))

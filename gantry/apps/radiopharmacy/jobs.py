"""Jobs of the hot lab: at a run's cut-off only what was ordered may still be promised; past its time a vial is expired."""

from datetime import timedelta

from django.utils import timezone
from procrastinate.contrib.django import app

from gantry.apps.radiopharmacy import services
from gantry.apps.radiopharmacy.models import SupplyRun
from gantry.domain.events import system

LOOK_BACK = timedelta(days=3)
"""A worker that was down over a weekend still closes what it missed."""


@app.periodic(cron="* * * * *")
@app.task(name="close_runs", queue="tracer", queueing_lock="close_runs")
def close_runs(timestamp: int) -> None:
    now = timezone.now()
    for run in SupplyRun.objects.filter(cut_off_at__range=(now - LOOK_BACK, now)).order_by("cut_off_at"):
        services.close_run(run, now=now, by=system("supply clock"))


@app.periodic(cron="* * * * *")
@app.task(name="expire_batches", queue="tracer", queueing_lock="expire_batches")
def expire_batches(timestamp: int) -> None:
    services.expire_due(now=timezone.now(), by=system("tracer clock"))

"""Decides that the worker's clock waits while past weeks are lived: by today's clock every cut-off of theirs is over."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta

from django.utils import timezone
from procrastinate.contrib.django import app
from procrastinate.contrib.django.models import ProcrastinateJob
from procrastinate.exceptions import AlreadyEnqueued

CLOCKS = ("close_runs", "expire_batches", "expire_holds", "lapse_authorisations", "recheck_authorisations")
"""Jobs that end something because its time is up."""
AT_MOST = timedelta(minutes=30)
"""Killed in the middle, the living weeks hold up the clock no longer than this."""
TRIES = 5


@contextmanager
def clocks_waiting() -> Iterator[None]:
    """A job of the same name stands in each clock's place, so that the worker starts no other."""
    mine = [key for name in CLOCKS if (key := stand_in(name)) is not None]
    try:
        yield
    finally:
        for key in mine:
            app.job_manager.cancel_job_by_id(key, delete_job=True)


def stand_in(name: str) -> int | None:
    task = app.tasks[name]
    for _ in range(TRIES):
        with suppress(AlreadyEnqueued):
            return task.configure(schedule_at=timezone.now() + AT_MOST).defer(timestamp=0)
        for key in ProcrastinateJob.objects.filter(queueing_lock=name, status="todo").values_list("pk", flat=True):
            app.job_manager.cancel_job_by_id(key, delete_job=True)
    return None

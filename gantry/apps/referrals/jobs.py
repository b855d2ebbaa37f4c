"""Looks every hour for authorisations that no longer stand, and every night for drafts kept too long."""

from django.utils import timezone
from procrastinate.contrib.django import app

from gantry.apps.referrals.services.covering import lapse_due
from gantry.apps.referrals.services.drafts import drop_old_drafts


@app.periodic(cron="10 * * * *")
@app.task(name="lapse_authorisations", queue="referrals", queueing_lock="lapse_authorisations")
def lapse_authorisations(timestamp: int) -> None:
    """An authorisation that has run out, or whose every site has lost its cover, is ended and decided again."""
    lapse_due(timezone.now())


@app.periodic(cron="20 3 * * *")
@app.task(name="drop_old_drafts", queue="referrals", queueing_lock="drop_old_drafts")
def forget_drafts(timestamp: int) -> None:
    drop_old_drafts(timezone.now())

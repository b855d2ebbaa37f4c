"""Keeps the breach date that referrals sort by in step with their pathway's clocks."""

from gantry.apps.audit.models import Event
from gantry.apps.pathways.models import Pathway
from gantry.apps.pathways.services import earliest_breach
from gantry.apps.referrals.models import Referral


def on_clock_changed(event: Event) -> None:
    """News from the room below: a clock was adjusted or stopped by the trust that owns it."""
    pathway = Pathway.objects.filter(pk=event.about.get("pathway")).first()
    if pathway:
        Referral.objects.filter(pathway=pathway).update(breach_on=earliest_breach(pathway))

"""Snow is over sooner than was said: the site opens again, and what is worked out from now on counts on it."""

from datetime import datetime

from django.db import transaction

from gantry.apps.audit.models import Event
from gantry.apps.audit.services import Stale, append
from gantry.apps.estate import services as estate
from gantry.apps.estate.models import Site
from gantry.apps.scheduling.models import RecoveryPlan, Trouble
from gantry.apps.scheduling.services.recovering import cause_of
from gantry.apps.scheduling.services.refusals import NotPossible
from gantry.domain.events import Actor, EventKind
from gantry.domain.scheduling.failures import FailureKind


def still_shut(event: Event, site: Site, *, now: datetime) -> Trouble | None:
    """The trouble that keeps people away from this site and has not ended yet."""
    return Trouble.objects.filter(event=event.pk, site=site, kind=FailureKind.SNOW.value, to_at__gt=now).first()


def reopened(event: Event, site: Site) -> datetime | None:
    """Since when it has been over, where somebody said so."""
    said = Event.objects.filter(kind=EventKind.SITE_REOPENED.value, root_event=event.pk, site=site.pk)
    return said.order_by("-happened_at").values_list("happened_at", flat=True).first()


@transaction.atomic
def reopen(event: Event, site: Site, *, now: datetime, by: Actor) -> Event:
    """Nobody is moved by it: options are worked out again, and who was moved stays until it is undone. Raises NotPossible."""
    trouble = still_shut(event, site, now=now)
    if trouble is None or trouble.to_at is None:
        raise NotPossible("It is over already")
    until = trouble.to_at
    if not Trouble.objects.filter(pk=trouble.pk, to_at=until).update(to_at=max(now, trouble.from_at)):
        raise Stale(trouble.pk)
    if trouble.shut:
        estate.open_early(site, closed_from=trouble.from_at, closed_until=until, at=now)
    RecoveryPlan.objects.filter(root_event=event.pk, site=site, state="open").update(options=[])
    return append(
        EventKind.SITE_REOPENED,
        subjects={"site": site.pk},
        happened_at=now,
        recorded_at=now,
        by=by,
        site=site.pk,
        cause=cause_of(event),
        data={"said_until": until, "was_shut": trouble.shut},
    )

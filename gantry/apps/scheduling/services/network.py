"""One root event that spoils several sites' days: every site's options side by side; all lists move, or go back, in one act."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime
from uuid import UUID

from django.db import transaction

from gantry.apps.audit.models import Event
from gantry.apps.estate.models import Site
from gantry.apps.scheduling.models import RecoveryPlan
from gantry.apps.scheduling.services import recovering, undoing
from gantry.apps.scheduling.services.recovering import Looked
from gantry.apps.scheduling.services.refusals import CannotBuild, NotPossible
from gantry.domain.events import Actor
from gantry.domain.scheduling.recovery import Option


@dataclass(frozen=True, slots=True)
class SiteRecovery:
    site: Site
    on: date
    row: RecoveryPlan
    looked: Looked | None
    """None: the day cannot be worked out; `broken` says why."""
    options: list[Option]
    broken: str = ""

    @property
    def ready(self) -> int | None:
        """The best option that asks nobody anything first."""
        return next((number for number, option in enumerate(self.options) if option.ready), None)


def of_event(event: Event, sites: Iterable[UUID], *, now: datetime, again: bool = False) -> list[SiteRecovery]:
    """Every site's recovery, for the sites that the reader may see."""
    allowed, found = set(sites), []
    for site, on in recovering.sites_hit(event):
        if site.pk not in allowed:
            continue
        try:
            row, looked, options = recovering.open_recovery(event, now=now, again=again, site=site)
        except CannotBuild as broken:
            # One site's rows keep no other site from its recovery.
            kept = RecoveryPlan.objects.filter(root_event=event.pk, site=site, on=on).first()
            kept = kept or RecoveryPlan(root_event=event.pk, site=site, on=on, known_at=now)
            found.append(SiteRecovery(site, on, kept, None, [], str(broken)))
            continue
        found.append(SiteRecovery(site, on, row, looked, options))
    return found


@transaction.atomic
def accept_all(event: Event, sites: Iterable[UUID], *, now: datetime, by: Actor) -> list[RecoveryPlan]:
    """The best ready option of every site that has none accepted yet: all lists move, or none. Raises NotPossible."""
    waiting = [each for each in of_event(event, sites, now=now) if each.row.state != "accepted"]
    if not waiting:
        raise NotPossible("Every site has accepted already")
    if stuck := [each.site.name for each in waiting if each.ready is None]:
        raise NotPossible(*(f"{name}: no option is ready, open it and decide there" for name in stuck))
    done = []
    for each in waiting:
        assert each.ready is not None
        done.append(recovering.accept(each.row, each.ready, now=now, by=by))
    return done


def accepted(event: Event, sites: Iterable[UUID]) -> list[RecoveryPlan]:
    rows = RecoveryPlan.objects.filter(root_event=event.pk, site__in=list(sites), state="accepted")
    return list(rows.select_related("site").order_by("site__name", "on"))


def why_not_undone(event: Event, sites: Iterable[UUID]) -> list[str]:
    """Why all lists together cannot go back: one person who knows is enough."""
    return [f"{row.site.name}: {reason}" for row in accepted(event, sites) for reason in undoing.why_not_undone(row)]


def undo_all(event: Event, sites: Iterable[UUID], *, now: datetime, by: Actor) -> list[RecoveryPlan]:
    """Everybody at every site back where they were in one act, or nobody. Raises NotPossible."""
    return undoing.undo_together(accepted(event, sites), now=now, by=by)

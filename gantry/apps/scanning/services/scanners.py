"""The scanners of a room as an injection needs them: fit, running, and what each owes to people who are injected."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from uuid import UUID

from gantry.apps.estate.models import Closure, Deployment, Scanner, Session, Site
from gantry.apps.estate.services import why_not_fit
from gantry.apps.scanning.models import Visit
from gantry.apps.scanning.services.steps import progress_of, protocol_of
from gantry.domain.injecting import ScannerNow
from gantry.domain.scan import NOTHING, Act, Progress, VisitState, Waiting, window

type Hours = tuple[tuple[datetime, datetime], ...]


@dataclass(slots=True)
class Running:
    """One scanner today, before anybody in particular asks."""

    scanner: Scanner
    unfit: str | None
    hours: Hours | None
    free_from: datetime
    owed: list[tuple[UUID, Waiting]] = field(default_factory=list)

    def for_visit(self, visit: Visit) -> ScannerNow:
        weight = visit.weight_kg or visit.appointment.referral.weight_kg
        heavy = weight is not None and weight > self.scanner.max_weight_kg
        unfit = f"{self.scanner} takes up to {self.scanner.max_weight_kg} kg" if heavy else None
        owed = tuple(waiting for key, waiting in self.owed if key != visit.pk)
        return ScannerNow(self.scanner.name, self.unfit or unfit, self.free_from, owed, self.hours)


def scanners_at(site: Site, now: datetime) -> list[Scanner]:
    standing = Deployment.objects.filter(site=site, from_at__lte=now).exclude(to_at__lte=now)
    return [d.scanner for d in standing.select_related("scanner").order_by("scanner__name")]


def here_on(site: Site, on: date) -> list[Visit]:
    """Everybody in the building: what the scanners owe is owed to some of them."""
    here = Visit.objects.filter(site=site, on=on, state=VisitState.PRESENT)
    return list(
        here.select_related("appointment__referral__patient", "appointment__scanner").prefetch_related(
            "steps", "injections"
        )
    )


def running(
    site: Site, on: date, *, at: datetime, here: Iterable[Visit], also: Iterable[Scanner] = ()
) -> list[Running]:
    """Each scanner that stands here, with what it owes. `also`: those that somebody is booked on, wherever they stand."""
    standing = {s.pk: s for s in (*scanners_at(site, at), *also)}
    hours = hours_of(site, on)
    found = {
        key: Running(
            s, why_not_fit(s, zone=site.zone, at=at), None if hours is None else hours.get(key, ()), at
        )
        for key, s in standing.items()
    }  # fmt: skip
    for visit in here:
        mine = found.get(owed_by(visit))
        if mine is None:
            continue
        progress = progress_of(visit)
        for scan in protocol_of(visit).of(Act.ACQUIRE):
            done = progress.get(scan.key, NOTHING)
            if done.began_at and not done.done_at:
                mine.free_from = max(mine.free_from, done.began_at + timedelta(minutes=scan.minutes))
        mine.owed += [(visit.pk, waiting) for waiting in waiting_for(visit, progress)]
    return list(found.values())


def owed_by(visit: Visit) -> UUID:
    """The scanner that owes this person a scan: the fallback that was named when they were injected, else their own.

    Whoever was sent to another scanner after that is owed it there.
    """
    since = visit.appointment.redirected_at
    named = [i for i in visit.injections.all() if i.fallback_id and (since is None or i.injected_at > since)]
    return max(named, key=lambda i: i.injected_at).fallback_id if named else visit.appointment.scanner_id


def waiting_for(visit: Visit, progress: Progress) -> list[Waiting]:
    """The windows that are open for this person's scans."""
    protocol, found = protocol_of(visit), []
    for scan in protocol.of(Act.ACQUIRE):
        moments = window(protocol, scan.key, progress)
        if moments and progress.get(scan.key, NOTHING).reached_at is None:
            found.append(Waiting(moments.least, moments.most, timedelta(minutes=scan.minutes)))
    return found


def hours_of(site: Site, on: date) -> dict[UUID, Hours] | None:
    """Sessions less closures, by scanner. None where the site keeps no hours for this day."""
    sessions = list(Session.objects.filter(site=site, on=on).order_by("starts_at"))
    if not sessions:
        return None
    first, last = min(s.starts_at for s in sessions), max(s.ends_at for s in sessions)
    shut = list(Closure.objects.filter(site=site, to_at__gt=first, from_at__lt=last))
    found: dict[UUID, Hours] = {}
    for session in sessions:
        mine = [(c.from_at, c.to_at) for c in shut if c.scanner_id in (None, session.scanner_id)]
        open_ = cut((session.starts_at, session.ends_at), mine)
        found[session.scanner_id] = (*found.get(session.scanner_id, ()), *open_)
    return found


def cut(open_: tuple[datetime, datetime], shut: Sequence[tuple[datetime, datetime]]) -> Hours:
    """What is left of an opening when these times are taken out of it."""
    left = [open_]
    for since, until in shut:
        left = [
            part
            for a, b in left
            for part in ((a, min(b, since)), (max(a, until), b))
            if part[0] < part[1]
        ]  # fmt: skip
    return tuple(left)

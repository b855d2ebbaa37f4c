"""Fills a database with years of one network: what was lived at each site, copied over the days before and after it."""

from dataclasses import replace
from datetime import timedelta
from uuid import UUID

from django.db import connection, transaction

from benchmarks.lived import BY, DAY, TODAY, lived, opened, people, places, received, run_of
from benchmarks.past import Copy, copy, copy_supply, without_indexes
from gantry.apps.audit.models import Event
from gantry.apps.estate.models import Room, Site
from gantry.apps.quality.kept import keep
from gantry.apps.radiopharmacy import services as radiopharmacy
from gantry.apps.radiopharmacy.models import LedgerEntry
from gantry.apps.referrals.models import Referral
from gantry.domain.ledger import STILL_HERE

A_DAY = 10
"""Scans a day at each site, of one run and one batch: one every fifty minutes, the two uptake rooms by turns."""
APART = timedelta(minutes=50)
ONE_DAY, FORTNIGHT = timedelta(days=1), timedelta(days=14)
MARK = "bench-pages"
STAGES = ("to_vet", "to_book", "told")


def load(past: int, open_ones: int, sites: int) -> None:
    """All in one transaction, the events' indexes made again after it: kept up row by row they cost most of the time."""
    if Referral.objects.filter(source_key__startswith=MARK).exists():
        return
    each, third = past // sites, open_ones // sites // len(STAGES)
    own = connection.settings_dict["NAME"].startswith("pages_")
    if own:
        with connection.cursor() as cursor:
            # A trigger numbers the worklist's changes; it does not run while copies are made.
            cursor.execute(
                "ALTER TABLE scanning_scheduledstep ALTER change SET DEFAULT nextval('scanning_worklist_change')"
            )
    with transaction.atomic():
        made = places(sites)
        people(made[0])
        done = [lived(made, place, MARK) for place in range(sites)]
        waiting = [(stage, place, opened(made, place, stage, MARK)) for stage in STAGES for place in range(sites)]
        with without_indexes(Event), connection.cursor() as cursor:
            if own:
                cursor.execute("SET LOCAL session_replication_role = replica")
            for place, referral in enumerate(done):
                days = supplies(400_000 + place * 10_000, -1, -(-(each - 1) // A_DAY))
                supply = copy_supply(run_of(made[1][place], DAY), days)
                copy(referral, behind(each - 1, 100_000 + place * each, days, rooms(made[1][place])), supply)
            for number, (stage, place, referral) in enumerate(waiting):
                first = 200_000 + number * third
                if stage == "told":
                    days = supplies(450_000 + place * 10_000, 1, (third - 1) // A_DAY)
                    supply = copy_supply(run_of(made[1][place], TODAY), days)
                    copy(referral, ahead(third - 1, first, days, rooms(made[1][place])), supply)
                else:
                    copy(referral, [Copy(first + n, -n * timedelta(minutes=45)) for n in range(1, third)])
        for site in made[1]:
            received(site)
            disposed(site)
    keep(TODAY.date())
    with connection.cursor() as cursor:
        cursor.execute("VACUUM ANALYZE")


def disposed(site: Site) -> None:
    """What had decayed left the store every fortnight; the last one's is there still."""
    stored = LedgerEntry.objects.filter(site=site, way__in=[way.value for way in STILL_HERE])
    first = stored.order_by("at").values_list("at", flat=True)[0]
    until = first + FORTNIGHT
    while until < TODAY - FORTNIGHT:
        items = list(stored.filter(at__gte=until - FORTNIGHT, at__lt=until))
        radiopharmacy.dispose(
            site, route="contractor", items=items, at=until + ONE_DAY, now=until + ONE_DAY, by=BY, already_happened=True
        )
        until += FORTNIGHT


def supplies(first: int, step: int, count: int) -> list[Copy]:
    """One a day, back or ahead."""
    return [Copy(first + n, step * n * ONE_DAY) for n in range(1, count + 1)]


def behind(count: int, first: int, days: list[Copy], rooms: tuple[UUID, UUID]) -> list[Copy]:
    """From the day before the lived one back, each day full from its first hour on."""
    return [on(first + n, days[n // A_DAY], n % A_DAY, rooms) for n in range(count)]


def ahead(count: int, first: int, days: list[Copy], rooms: tuple[UUID, UUID]) -> list[Copy]:
    """The rest of the lived day, of its own supply, then the days after it."""
    same = [replace(on(first + n, Copy(0, ONE_DAY * 0), n, rooms), day=None) for n in range(1, min(A_DAY, count + 1))]
    later = range(A_DAY, count + 1)
    return same + [on(first + n, days[n // A_DAY - 1], n % A_DAY, rooms) for n in later]


def on(n: int, day: Copy, place: int, rooms: tuple[UUID, UUID]) -> Copy:
    return Copy(n, day.shift + place * APART, day.n, rooms[place % 2])


def rooms(site: Site) -> tuple[UUID, UUID]:
    one, other = Room.objects.filter(site=site, kind="uptake").order_by("name").values_list("pk", flat=True)
    return one, other

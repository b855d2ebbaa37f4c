"""Holds who and what the acts are performed with: the network's rows, its people as actors, the script and the clock."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from gantry.apps.accounts.access import acting_for
from gantry.apps.accounts.models import Person
from gantry.apps.estate.models import Network, Organisation, Site
from gantry.apps.estate.models import Scanner as ScannerRow
from gantry.cli.demonstration.clock import Clock
from gantry.cli.demonstration.places import LONDON, NAME
from gantry.cli.demonstration.staff import PROVIDERS, interfaces, referrers
from gantry.domain.access import Role
from gantry.domain.events import Actor
from gantry.domain.network.script import Script
from gantry.gateways.emulators.scanner import Scanner
from gantry.reference.network import SITES

CHOSEN_ORDER = ("RBV01", "R0A01", "NZZ01", "NZZ02", "NZZ03")
"""The sites by how many people they serve; rank 0 is the busiest."""
SHARES = (0.42, 0.62, 0.76, 0.88, 1.0)


@dataclass(frozen=True, slots=True)
class Player:
    """A person with the actor that their roles give them."""

    person: Person
    actor: Actor


@dataclass(slots=True)
class Stage:
    network: Network
    organisations: dict[str, Organisation]
    sites: list[Site]
    scanners: dict[object, list[ScannerRow]]
    players: dict[tuple[Role, str], list[Player]]
    script: Script
    clock: Clock
    seed: int
    loaded_at: datetime
    """The moment by which the opening hours of the last day were chosen."""
    wire: Callable[[str], Scanner] | None = None
    """Gives the emulated scanner of an AE title, when scans go over the wire; else they are recorded by hand."""

    def has_come(self, at: datetime) -> bool:
        return at <= self.clock.now()

    def who(self, role: Role, ods: str = "NZZ", turn: int = 0) -> Player:
        found = self.players[role, ods]
        return found[turn % len(found)]

    def site_at(self, share: float) -> Site:
        """Where somebody at this place along the list of everyone would rather go."""
        return self.sites[next(rank for rank, upto in enumerate(SHARES) if share < upto or upto == SHARES[-1])]

    def working(self, at: datetime) -> datetime:
        """The next moment of office hours: nobody vets or telephones at night or on a Sunday."""
        local = at.astimezone(LONDON)
        if local.hour >= 18:
            local = (local + timedelta(days=1)).replace(hour=8, minute=local.minute)
        elif local.hour < 8:
            local = local.replace(hour=8)
        while local.weekday() >= 5:
            local = (local + timedelta(days=1)).replace(hour=8)
        return local


def open_stage(script: Script, clock: Clock, *, seed: int, now: datetime) -> Stage:
    sites = [Site.objects.select_related("organisation").get(ods_code=ods) for ods in CHOSEN_ORDER if ods in SITES]
    players: dict[tuple[Role, str], list[Player]] = {}
    for one in (*PROVIDERS, *referrers(), *interfaces()):
        person = Person.objects.get(email=one.email)
        players.setdefault((one.role, one.ods), []).append(Player(person, acting_for(person, now=now).actor))
    return Stage(
        network=Network.objects.select_related("provider").get(name=NAME),
        organisations={row.ods_code: row for row in Organisation.objects.all()},
        sites=sites,
        scanners={
            site.pk: list(ScannerRow.objects.filter(deployments__site=site).order_by("ae_title")) for site in sites
        },
        players=players,
        script=script,
        clock=clock,
        seed=seed,
        loaded_at=now,
    )

"""A Tuesday of eight booked people on one scanner; at ten past seven the first batch fails its quality control."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from gantry.apps.accounts.models import Person
from gantry.apps.audit.models import Event
from gantry.apps.booking import services as booking
from gantry.apps.booking.models import Appointment
from gantry.apps.booking.services import Choice
from gantry.apps.estate.models import Scanner, Site
from gantry.apps.radiopharmacy import services as radiopharmacy
from gantry.apps.radiopharmacy.models import Batch
from gantry.domain.access import Role
from gantry.domain.events import Cause, CauseCode, Initiator, system
from tests.apps.factories import (
    NOW,
    Made,
    make_accepted,
    make_batch,
    make_network,
    make_person,
    make_practitioner,
    make_run,
    make_scanner,
    make_session,
)

TUESDAY = NOW.date() + timedelta(days=1)
BY = system("tests")


def at(hour: int, minute: int = 0) -> datetime:
    return datetime(TUESDAY.year, TUESDAY.month, TUESDAY.day, hour, minute, tzinfo=UTC)


KNOWN = at(7, 10)


@dataclass
class Morning:
    made: Made
    scanner: Scanner
    batch: Batch | None
    lead: Person
    booked: list[Appointment]

    def fail(self) -> Event:
        assert self.batch is not None
        cause = Cause(CauseCode.BATCH_FAILED_QC, Initiator.SUPPLIER)
        return radiopharmacy.fail_batch(self.batch, cause=cause, now=KNOWN, by=BY)


def make_morning(
    people: int = 8,
    *,
    told: bool = True,
    asleep: Collection[int] = (),
    made: Made | None = None,
    site: Site | None = None,
    received: bool = True,
) -> Morning:
    """Arrivals every half hour from half past seven, where the protocol allows; another run at eleven; a free Wednesday.

    `asleep` numbers those who are scanned under anaesthetic. Not `received`: the first batch is still to come.
    """
    made = made or make_network()
    site = site or made.site
    scanner = make_scanner(site, rooms=6)
    for days in (0, 1, 2):
        make_session(site, scanner, TUESDAY + timedelta(days=days))
    make_run(made, due_at=at(11), capacity_mbq=6_000, site=site)
    make_run(made, due_at=at(7) + timedelta(days=1), capacity_mbq=20_000, site=site)
    first = make_run(made, due_at=at(7), capacity_mbq=10_000, site=site)
    practitioner = make_practitioner(made)
    booked = []
    for number in range(people):
        referral = make_accepted(made, practitioner=practitioner)
        if number in asleep:
            referral.answers["anaesthetic_required"] = "general_anaesthetic"
            referral.save(update_fields=["answers"])
        arrival = at(7, 30) + timedelta(minutes=30 * number)
        held = booking.hold(
            referral.procedures.get(), Choice(site.pk, scanner.pk, arrival), now=NOW, by=BY
        )  # fmt: skip
        assert isinstance(held, Appointment), held
        booking.confirm(held, now=NOW, by=BY)
        booked.append(booking.tell(held, channel="phone", now=NOW, by=BY) if told else held)
    batch = make_batch(first, accepted=False) if received else None
    return Morning(made, scanner, batch, make_person(Role.SESSION_LEAD, made.provider), booked)

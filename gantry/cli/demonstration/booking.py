"""Performs the acts of booking: offered, held, booked, told; moved or cancelled by the patient or by what has failed."""

from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import datetime, time, timedelta

from django.db import transaction

from gantry.apps.booking import services as booking
from gantry.apps.booking.models import Appointment
from gantry.apps.booking.services import readying
from gantry.apps.correspondence import services as correspondence
from gantry.apps.referrals.models import RequestedProcedure
from gantry.apps.referrals.services import authorisation_for
from gantry.cli.demonstration import word
from gantry.cli.demonstration.places import LONDON
from gantry.cli.demonstration.stage import Player, Stage
from gantry.domain.access import Role
from gantry.domain.appointment import AppointmentState
from gantry.domain.events import Cause
from gantry.domain.message import Occasion
from gantry.domain.network.script import CAUSE, Story, Upset
from gantry.domain.readiness import Item
from gantry.solvers.offers import Wish

COMING = (AppointmentState.BOOKED.value, AppointmentState.TOLD.value)
TRIES = 6
AFTER_A_DAY = timedelta(days=1)
MOVES = frozenset({Upset.PATIENT_CANCELS, Upset.PATIENT_MOVES, Upset.WE_MOVE})
SAID = {Upset.WE_MOVE: "Two radiographers are ill"}
OFFERS = 12
RING_FROM, RING_AGAIN = time(9, 20), timedelta(hours=3)
SLOT_MIN = 25
LAST_RESORT = Wish()


class Booking:
    """One person's appointments."""

    def __init__(self, stage: Stage, story: Story, expected: Callable[[Appointment], None]) -> None:
        self.stage, self.story, self.expected = stage, story, expected
        self.calls = self.booked = 0
        self.seen: set[object] = set()
        """Appointments that ended without a scan, and have been followed up."""

    @property
    def coordinator(self) -> Player:
        return self.stage.who(Role.BOOKING_COORDINATOR)

    def begin(self, procedure: RequestedProcedure, now: datetime) -> None:
        at = self.stage.working(now + self.story.booked)
        for call in range(self.story.wishes.calls):
            self.stage.clock.at(at + timedelta(minutes=35 * call), lambda on: self.ring(procedure, on))
        at += timedelta(minutes=35 * self.story.wishes.calls)
        self.stage.clock.at(at, lambda on: self.book(procedure, on))

    def ring(self, procedure: RequestedProcedure, now: datetime) -> None:
        if procedure.referral.contacts.filter(at=now).exists():
            return
        booking.log_attempt(
            procedure.referral, channel="phone", outcome="no_answer", now=now, by=self.coordinator.actor
        )
        self.stage.clock.done()

    def again(self, appointment: Appointment) -> None:
        """Whoever did not come or was turned away is rung on the next working day, and offered another date."""
        if appointment.pk in self.seen:
            return
        self.seen.add(appointment.pk)
        if self.story.chased:
            at = self.stage.working(appointment.arrival_at + AFTER_A_DAY)
            self.stage.clock.at(at, lambda on: self.ring_back(appointment.procedure, on))

    def ring_back(self, procedure: RequestedProcedure, now: datetime) -> None:
        if not procedure.referral.contacts.filter(at=now).exists():
            booking.log_attempt(
                procedure.referral, channel="phone", outcome="spoke", now=now, by=self.coordinator.actor
            )
            self.stage.clock.done()
        self.calls = 0
        self.stage.clock.at(now + timedelta(minutes=6), lambda at: self.book(procedure, at))

    def book(self, procedure: RequestedProcedure, now: datetime) -> None:
        """On the telephone: offers are read out, one is held, and the hold is booked."""
        self.calls += 1
        kept = list(Appointment.objects.filter(procedure=procedure, replaces=None).order_by("pk"))
        if self.booked < len(kept):
            self.follow(kept[self.booked], now)
            return
        if authorisation_for(procedure) is None:
            return
        appointment = self.choose(procedure, now)
        if appointment is None:
            if self.calls < TRIES:
                self.stage.clock.at(self.stage.working(now + AFTER_A_DAY), lambda at: self.book(procedure, at))
            return
        self.follow(appointment, now)

    def choose(self, procedure: RequestedProcedure, now: datetime) -> Appointment | None:
        by = self.coordinator.actor
        offers = self.offers(procedure, now)
        if not offers:
            return None
        shown = offers[: self.story.wishes.declines + 3]
        rows = booking.make_offers(procedure, shown, now=now, by=by)
        declined = min(self.story.wishes.declines, len(shown) - 1)
        for row in rows[:declined]:
            booking.decline(row, "Another appointment at that time", now=now, by=by)
        for choice in self.asked_for(shown[declined], now):
            if held := self.take(procedure, choice, now):
                self.stage.clock.done(2 + bool(rows) + declined)
                return held
        return None

    def take(self, procedure: RequestedProcedure, choice: booking.Choice, now: datetime) -> Appointment | None:
        """One transaction: a hold of the past is never seen standing, so no job takes it for one whose time is up."""
        by = self.coordinator.actor
        with suppress(booking.Refused), transaction.atomic():
            held = booking.hold(procedure, choice, now=now, by=by)
            if isinstance(held, Appointment):
                return booking.confirm(held, now=now + timedelta(minutes=3), by=by)
        return None

    def asked_for(self, offer: booking.Offer, now: datetime) -> Iterator[booking.Choice]:
        """ "Could it be about half past ten?": times near the wish on the offered day, then the offer as it was made."""
        first = offer.arrival_at.astimezone(LONDON)
        slots = max(0, self.story.wishes.minute_of_day - minute_of(first)) // SLOT_MIN
        scanners = [scanner.pk for scanner in self.stage.scanners[offer.choice.site]]
        for step in (0, 1, 2, -1, 3):
            at = offer.arrival_at + timedelta(minutes=SLOT_MIN * max(slots + step, 0))
            if at > now and at.astimezone(LONDON).date() == first.date():
                yield from (booking.Choice(offer.choice.site, scanner, at) for scanner in scanners)
        yield offer.choice

    def offers(self, procedure: RequestedProcedure, now: datetime) -> list[booking.Offer]:
        """What suits the person: their site and their hour where there is one, else whatever there is."""
        wishes, site = self.story.wishes, self.stage.site_at(self.story.wishes.site_rank)
        wanted = (self.story.refers_at + timedelta(days=wishes.in_days)).date()
        from_day = max(wanted, now.astimezone(LONDON).date())
        for wish in (
            Wish(sites=frozenset({site.pk}), from_day=from_day, to_day=from_day),
            Wish(sites=frozenset({site.pk}), from_day=from_day, to_day=from_day + timedelta(days=4)),
            Wish(from_day=from_day),
            LAST_RESORT,
        ):
            if found := booking.offers_for(procedure, now=now, wish=wish, limit=OFFERS):
                first = min(offer.arrival_at.astimezone(LONDON).date() for offer in found)
                same_day = [one for one in found if one.arrival_at.astimezone(LONDON).date() == first]
                return sorted(same_day, key=lambda one: abs(minute_of(one.arrival_at) - wishes.minute_of_day))
        return []

    def follow(self, appointment: Appointment, now: datetime) -> None:
        """What comes after a booking: the patient is told, perhaps changes their mind, and comes."""
        self.booked += 1
        self.stage.clock.at(now + timedelta(minutes=4) + self.story.told, lambda at: self.tell(appointment, at))
        if self.story.upset in MOVES and self.booked == 1:
            at = appointment.arrival_at - self.story.upset_before
            if at > now + timedelta(hours=1):
                self.stage.clock.at(at, lambda on: self.change_of_mind(appointment, on))
        self.expected(appointment)

    def tell(self, appointment: Appointment, now: datetime) -> None:
        appointment.refresh_from_db()
        if appointment.state == AppointmentState.BOOKED:
            with word.answered(self.stage, appointment.referral_id, now):
                booking.tell(appointment, channel="phone", now=now, by=self.coordinator.actor)
            self.stage.clock.done()
        self.rung_before(appointment, now)

    def rung_before(self, appointment: Appointment, now: datetime) -> None:
        """On the last working day before; whoever was hard to reach for the booking is so again."""
        on = appointment.arrival_at.astimezone(LONDON).date() - timedelta(days=1)
        on -= timedelta(days=max(0, on.weekday() - 4))
        at = datetime.combine(on, RING_FROM, tzinfo=LONDON) + timedelta(minutes=self.story.wishes.minute_of_day % 120)
        if at <= now:
            return
        if self.story.wishes.calls:
            self.stage.clock.at(at, lambda moment: self.ready(appointment, {Item.ANSWERED: False}, moment))
            at += RING_AGAIN
        open_ = Item.TRANSPORT if self.story.upset is not Upset.NONE else None
        said = {item: item is not open_ for item in readying.asked(appointment)}
        self.stage.clock.at(at, lambda moment: self.ready(appointment, said, moment))

    def ready(self, appointment: Appointment, said: dict[Item, bool], now: datetime) -> None:
        appointment.refresh_from_db()
        if appointment.state in COMING and not appointment.readiness.filter(at=now).exists():
            readying.confirm_readiness(appointment, said, now=now, by=self.coordinator.actor)
            self.stage.clock.done()

    def change_of_mind(self, appointment: Appointment, now: datetime) -> None:
        appointment.refresh_from_db()
        if appointment.state not in COMING:
            self.after_move(appointment, now)
            return
        code, initiator = CAUSE[self.story.upset]
        cause = Cause(code, initiator, note=SAID.get(self.story.upset, "Asked by telephone"))
        if self.story.upset is Upset.PATIENT_CANCELS:
            with word.answered(self.stage, appointment.referral_id, now):
                booking.cancel(appointment, cause=cause, now=now, by=self.coordinator.actor)
            self.stage.clock.done()
            again = self.stage.working(now + AFTER_A_DAY)
            self.stage.clock.at(again, lambda at: self.book(appointment.procedure, at))
            return
        self.move(appointment, cause, now)

    def move(self, appointment: Appointment, cause: Cause, now: datetime) -> None:
        """To the soonest other day that suits; cancelled, and rung again, where there is none."""
        appointment.refresh_from_db()
        if appointment.state not in COMING:
            self.after_move(appointment, now)
            return
        by = self.coordinator.actor
        tomorrow = appointment.arrival_at.astimezone(LONDON).date() + timedelta(days=1)
        for offer in booking.offers_for(appointment.procedure, now=now, wish=Wish(from_day=tomorrow), limit=6):
            with word.answered(self.stage, appointment.referral_id, now):
                moved = booking.move(appointment, offer.choice, cause=cause, now=now, by=by)
                if isinstance(moved, Appointment) and appointment.told_at is not None:
                    correspondence.write(moved, Occasion.MOVED, was=appointment, cause=cause, now=now, by=by)
            if isinstance(moved, Appointment):
                self.stage.clock.done()
                self.told_again(moved, now)
                return
        with word.answered(self.stage, appointment.referral_id, now):
            booking.cancel(appointment, cause=cause, now=now, by=by)
        self.stage.clock.done()
        again = self.stage.working(now + AFTER_A_DAY)
        self.stage.clock.at(again, lambda at: self.book(appointment.procedure, at))

    def after_move(self, appointment: Appointment, now: datetime) -> None:
        """Moved before an interruption: the one that replaced it is followed."""
        replaced = Appointment.objects.filter(replaces=appointment).first()
        if replaced is not None:
            self.told_again(replaced, now)

    def told_again(self, appointment: Appointment, now: datetime) -> None:
        self.stage.clock.at(now + timedelta(minutes=5), lambda at: self.tell(appointment, at))
        self.expected(appointment)


def minute_of(at: datetime) -> int:
    local = at.astimezone(LONDON)
    return local.hour * 60 + local.minute

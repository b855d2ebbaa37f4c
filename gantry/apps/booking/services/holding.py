"""Holds a slot while somebody is on the telephone, books it, or lets it go."""

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from django.db import IntegrityError, transaction
from django.utils import timezone

from gantry.apps.audit.ids import new_id
from gantry.apps.audit.models import Event
from gantry.apps.audit.services import Stale, append
from gantry.apps.booking.models import Appointment
from gantry.apps.booking.services import claiming
from gantry.apps.booking.services.claiming import Claim, Taken, site_day
from gantry.apps.booking.services.need import nuclide_for, prescribed_mbq, shape_for
from gantry.apps.booking.services.offering import Choice, Offer, offers_for, settle_offers, subjects_of
from gantry.apps.booking.services.places import why_not
from gantry.apps.estate.models import Scanner, Site
from gantry.apps.referrals.models import Authorisation, RequestedProcedure
from gantry.apps.referrals.services import authorisation_for, point_to, why_not_covered_now
from gantry.domain.access import Role
from gantry.domain.appointment import (
    APPOINTMENT,
    HOLD_FOR,
    AppointmentEvent,
    AppointmentState,
    Planned,
    hold_expires_at,
    planned,
)
from gantry.domain.events import Actor, Cause, EventKind, system
from gantry.domain.lifecycle import advance
from gantry.reference.protocols import product_of
from gantry.solvers.offers import Wish

BOOKED_ONCE = "procedure_booked_once"
STANDING = (AppointmentState.BOOKED.value, AppointmentState.TOLD.value, AppointmentState.ARRIVED.value)
GONE_WORDS = {
    claiming.SCANNER: "Somebody else took the scanner at that time",
    claiming.ROOM: "No uptake room is left at that time",
    "activity": "No tracer is left for that time",
}


class Refused(Exception):
    """It may not be done, for these reasons; nothing was changed."""

    def __init__(self, reasons: Iterable[str]) -> None:
        self.reasons = list(reasons)
        super().__init__("; ".join(self.reasons))


@dataclass(frozen=True, slots=True)
class Gone:
    """Somebody was first. What was there before is unchanged; these are the other choices now."""

    reason: str
    other_choices: list[Offer]


@dataclass(frozen=True, slots=True)
class Wanted:
    """A choice with its rows, its plan and the authorisation that it rests on."""

    procedure: RequestedProcedure
    authorisation: Authorisation
    site: Site
    scanner: Scanner
    plan: Planned


def hold(
    procedure: RequestedProcedure,
    choice: Choice,
    *,
    now: datetime,
    by: Actor,
    wish: Wish | None = None,
    hold_for: timedelta = HOLD_FOR,
    source_key: str | None = None,
) -> Appointment | Gone:
    """Scanner, room and activity in one transaction, for a few minutes. Raises Refused."""
    try:
        with transaction.atomic():
            return _hold(procedure, choice, now=now, by=by, hold_for=hold_for, source_key=source_key)
    except Taken as taken:
        return gone(procedure, choice, taken, now=now, wish=wish)


def _hold(
    procedure: RequestedProcedure,
    choice: Choice,
    *,
    now: datetime,
    by: Actor,
    hold_for: timedelta,
    source_key: str | None,
) -> Appointment:
    claiming.lock_procedure(procedure.pk)
    held = Appointment.objects.filter(procedure=procedure, state=AppointmentState.HELD.value).select_related("site")
    days = [site_day(row.site, row.scan_at) for row in held]
    site = site_chosen(choice)
    claiming.lock(site_day(site, choice.arrival_at), *days)
    if standing := Appointment.objects.filter(procedure=procedure, state__in=STANDING).first():
        local = standing.scan_at.astimezone(ZoneInfo(standing.site.zone))
        raise Refused([f"This scan is already booked, for {local:%H:%M on %-d %B %Y}: move that appointment instead"])
    wanted = want(procedure, choice, site, now=now)
    for row in held.all():
        expire(row, now=now, by=by, why="another choice was held")
    expire_in_the_way(wanted, now=now)
    appointment, claim = claim_for(
        wanted,
        AppointmentState.HELD,
        hold_expires_at=hold_expires_at(now, hold_for),
        held_by=by.id[:80],
        source_key=source_key,
    )
    record(
        EventKind.SLOT_HELD,
        appointment,
        now=now,
        by=by,
        data={"claim": asdict(claim), "until": appointment.hold_expires_at},
    )
    settle_offers(procedure, choice, "taken")
    return appointment


def site_chosen(choice: Choice) -> Site:
    """Raises Refused."""
    site = Site.objects.filter(pk=choice.site).first()
    if site is None:
        raise Refused(["There is no such site: choose again"])
    return site


def want(procedure: RequestedProcedure, choice: Choice, site: Site, *, now: datetime) -> Wanted:
    """The choice with its facts. Raises Refused with everything that stands against it."""
    scanner = Scanner.objects.filter(pk=choice.scanner).first()
    if scanner is None:
        raise Refused(["There is no such scanner: choose again"])
    authorisation = authorisation_for(procedure)
    plan = planned(shape_for(procedure), choice.arrival_at)
    reasons = why_not(procedure, authorisation, site=site, scanner=scanner, plan=plan, now=now)
    if reasons or authorisation is None:
        raise Refused(reasons)
    return Wanted(procedure, authorisation, site, scanner, plan)


def claim_for(wanted: Wanted, state: AppointmentState, **columns: Any) -> tuple[Appointment, Claim]:
    """The appointment with all that it needs, or Taken and nothing."""
    procedure, plan = wanted.procedure, wanted.plan
    allotment, activity_mbq = claiming.take_activity(
        wanted.site,
        product_of(procedure.tracer),
        prescribed_mbq(wanted.authorisation),
        nuclide_for(procedure),
        plan.injection_at,
    )
    appointment = Appointment(
        pk=new_id(),
        referral=procedure.referral,
        procedure=procedure,
        authorisation=wanted.authorisation,
        site=wanted.site,
        scanner=wanted.scanner,
        allotment=allotment,
        activity_mbq=activity_mbq,
        arrival_at=plan.arrival_at,
        injection_at=plan.injection_at,
        scan_at=plan.scan_at,
        ends_at=plan.ends_at,
        state=state.value,
        **columns,
    )
    appointment.save(force_insert=True)
    return appointment, claiming.reserve(appointment, plan)


def gone(
    procedure: RequestedProcedure, choice: Choice, taken: Taken, *, now: datetime, wish: Wish | None = None
) -> Gone:
    settle_offers(procedure, choice, "gone")
    return Gone(GONE_WORDS[taken.what], offers_for(procedure, now=now, wish=wish))


def confirm(appointment: Appointment, *, now: datetime, by: Actor) -> Appointment:
    """Held becomes booked. A hold whose time is up may still be booked while nobody else has taken it.

    Raises Refused and Stale.
    """
    on = site_day(appointment.site, appointment.arrival_at)[1]
    try:
        with transaction.atomic():
            if reasons := why_not_covered_now(appointment.authorisation, site=appointment.site, on=on):
                raise Refused(reasons)
            advance_to(appointment, AppointmentEvent.BOOK, hold_expires_at=None, held_by="")
            confirmed = {"claim_order": claiming.claim_order()}
            record(
                EventKind.APPOINTMENT_BOOKED,
                appointment,
                now=now,
                by=by,
                data={**moments(appointment), "confirmed": confirmed},
            )
            point_to(
                appointment.referral,
                said="Tell the patient their date",
                owner=Role.BOOKING_COORDINATOR,
                due_at=now + timedelta(days=1),
            )
    except IntegrityError as refused:
        if claiming.broken(refused) != BOOKED_ONCE:
            raise
        raise Refused(["This scan was booked by somebody else meanwhile"]) from refused
    return appointment


def let_go(appointment: Appointment, *, now: datetime, by: Actor) -> Appointment:
    """The person on the telephone wanted something else: the slot is free at once. Raises Stale."""
    with transaction.atomic():
        claiming.lock(site_day(appointment.site, appointment.arrival_at))
        expire(appointment, now=now, by=by, why="let go")
    return appointment


def expire_holds(now: datetime) -> int:
    """End every hold whose time is up; each in its own transaction."""
    count = 0
    overdue = Appointment.objects.filter(state=AppointmentState.HELD.value, hold_expires_at__lte=now)
    for row in overdue.select_related("site", "referral", "procedure__referral"):
        with transaction.atomic():
            claiming.lock(site_day(row.site, row.arrival_at))
            try:
                expire(row, now=now, by=system("holds"), why="time was up")
                count += 1
            except Stale:
                continue  # booked or let go while we waited for the lock
    return count


def expire_in_the_way(wanted: Wanted, *, now: datetime) -> None:
    """Holds whose time is up give way to whoever asks, without waiting for the job."""
    overdue = Appointment.objects.filter(
        state=AppointmentState.HELD.value,
        hold_expires_at__lte=now,
        site=wanted.site,
        arrival_at__lt=wanted.plan.scanner.end,
        ends_at__gt=wanted.plan.arrival_at,
    )
    for row in overdue.select_related("site", "referral", "procedure__referral"):
        if site_day(row.site, row.arrival_at) == site_day(wanted.site, wanted.plan.arrival_at):
            expire(row, now=now, by=system("holds"), why="time was up and somebody else asked")


def expire(appointment: Appointment, *, now: datetime, by: Actor, why: str) -> None:
    """Under the lock of its day. Raises Stale."""
    advance_to(appointment, AppointmentEvent.EXPIRE, ended_at=now)
    give_back(EventKind.HOLD_EXPIRED, appointment, now=now, by=by, data={"why": why})
    timezone_day = timezone.localdate(now) + timedelta(days=1)
    point_to(
        appointment.referral,
        said="Offer dates, times and sites",
        owner=Role.BOOKING_COORDINATOR,
        due_at=timezone.make_aware(datetime.combine(timezone_day, datetime.min.time())) + timedelta(hours=17),
    )


def give_back(
    kind: EventKind,
    appointment: Appointment,
    *,
    now: datetime,
    by: Actor,
    happened_at: datetime | None = None,
    cause: Cause | None = None,
    data: dict[str, Any] | None = None,
    subjects: dict[str, UUID] | None = None,
) -> Event:
    """Scanner, room and activity are free again, and the event says so."""
    claiming.release([appointment])
    claiming.give_activity_back(appointment)
    returned = {
        "allotment": appointment.allotment_id,
        "activity_mbq": appointment.activity_mbq,
        "claim_order": claiming.claim_order(),
    }
    return record(
        kind,
        appointment,
        now=now,
        by=by,
        happened_at=happened_at,
        cause=cause,
        data={"returned": returned, **(data or {})},
        subjects=subjects,
    )


def advance_to(appointment: Appointment, event: AppointmentEvent, **columns: Any) -> None:
    """Compare and set. Raises IllegalMove for what the table forbids and Stale when somebody was first."""
    before = AppointmentState(appointment.state)
    after = advance(APPOINTMENT, before, event)
    moved = Appointment.objects.filter(pk=appointment.pk, state=before.value).update(state=after.value, **columns)
    if not moved:
        raise Stale(appointment.pk)
    appointment.state = after.value
    for name, value in columns.items():
        setattr(appointment, name, value)


def record(
    kind: EventKind,
    appointment: Appointment,
    *,
    now: datetime,
    by: Actor,
    happened_at: datetime | None = None,
    cause: Cause | None = None,
    data: dict[str, Any] | None = None,
    subjects: dict[str, UUID] | None = None,
) -> Event:
    return append(
        kind,
        subjects={**subjects_of(appointment.procedure), "appointment": appointment.pk, **(subjects or {})},
        happened_at=happened_at or now,
        recorded_at=now,
        by=by,
        organisation=appointment.referral.provider_id,
        site=appointment.site_id,
        cause=cause,
        data=data,
    )


def moments(appointment: Appointment) -> dict[str, Any]:
    return {
        "scanner": appointment.scanner_id,
        "arrival_at": appointment.arrival_at,
        "injection_at": appointment.injection_at,
        "scan_at": appointment.scan_at,
        "ends_at": appointment.ends_at,
    }

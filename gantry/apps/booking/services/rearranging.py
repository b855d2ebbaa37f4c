"""Moves several people at once, also into each other's places: everything is let go of, then claimed, in one transaction.

The exclusion constraint and the allotment's CHECK still decide: what cannot all be had is not had at all. Whoever is
here already goes too: to another scanner or a later scan, with what is in them counted where it was drawn.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta
from uuid import UUID
from zoneinfo import ZoneInfo

from django.db import transaction

from gantry.apps.audit.ids import new_id
from gantry.apps.booking.models import Appointment, Reservation
from gantry.apps.booking.services import claiming
from gantry.apps.booking.services.changing import checked, still_told
from gantry.apps.booking.services.claiming import Claim, Taken, site_day
from gantry.apps.booking.services.holding import (
    GONE_WORDS,
    Refused,
    Wanted,
    advance_to,
    expire_in_the_way,
    moments,
    point_to,
    record,
    site_chosen,
)
from gantry.apps.booking.services.need import nuclide_for, prescribed_mbq, shape_for
from gantry.apps.booking.services.offering import Choice
from gantry.apps.booking.services.places import why_not, why_not_for_one_here
from gantry.apps.estate.models import Scanner
from gantry.apps.referrals.services import authorisation_for
from gantry.domain.access import Role
from gantry.domain.appointment import AppointmentEvent, AppointmentState, Planned, VisitShape, planned
from gantry.domain.events import Actor, Cause, EventKind


@dataclass(frozen=True, slots=True)
class Less:
    """Less activity and a longer scan, under a rule that a practitioner approved."""

    fraction: float
    scan_min: int
    under: UUID


@dataclass(frozen=True, slots=True)
class Change:
    """Where one person goes."""

    appointment: Appointment
    choice: Choice
    allotment: UUID | None = None
    """The run to take from first; another of the same tracer may do."""
    injection_at: datetime | None = None
    scan_at: datetime | None = None
    """For whoever is here: their arrival has happened, so these are said, not counted from it. Of whoever is injected,
    when they really were."""
    injected: bool = False
    less: Less | None = None
    transport: str = ""
    """The journey to be booked, where they go to another site because of us."""

    @property
    def here(self) -> bool:
        return self.appointment.state == AppointmentState.ARRIVED


def rearrange(changes: Sequence[Change], *, cause: Cause, now: datetime, by: Actor) -> list[Appointment]:
    """A new appointment for each, in their order, or nothing at all. Raises Refused, naming every time that is in the way, and Stale."""
    checked(cause)
    with transaction.atomic():
        days = [site_day(c.appointment.site, c.appointment.arrival_at) for c in changes]
        sites = {c.choice.site: site_chosen(c.choice) for c in changes}
        claiming.lock(*days, *(site_day(sites[c.choice.site], c.choice.arrival_at) for c in changes))
        wanted = [wanted_by(change, now=now) for change in changes]
        for each in wanted:
            expire_in_the_way(each, now=now)
        here = [change.here for change in changes]
        released = [let_go_of(change, now=now) for change in changes]
        new: dict[int, tuple[Appointment, Claim]] = {}
        # What is in somebody is counted first: it was drawn, whoever else wants of that run.
        for number in sorted(range(len(changes)), key=lambda n: not changes[n].injected):
            new[number] = claimed(changes[number], wanted[number], here=here[number], now=now)
        for number, change in enumerate(changes):
            tell_of(
                change, *new[number], here=here[number], released=released[number], cause=cause, now=now, by=by
            )  # fmt: skip
        return [new[number][0] for number in range(len(changes))]


def wanted_by(change: Change, *, now: datetime) -> Wanted:
    """The choice with its facts. Raises Refused with everything that stands against it, and whose it is."""
    row = change.appointment
    site, scanner = site_chosen(change.choice), Scanner.objects.filter(pk=change.choice.scanner).first()
    if scanner is None:
        raise Refused(["There is no such scanner: choose again"])
    plan = plan_of(change)
    if change.here:
        authorisation = row.authorisation
        reasons = why_not_for_one_here(
            row, site=site, scanner=scanner, plan=plan, injected=change.injected, now=now
        )  # fmt: skip
    else:
        authorisation = authorisation_for(row.procedure) or row.authorisation
        reasons = why_not(row.procedure, authorisation, site=site, scanner=scanner, plan=plan, now=now)
    if reasons:
        raise Refused([f"{row.referral.patient.name}: {reason}" for reason in reasons])
    return Wanted(row.procedure, authorisation, site, scanner, plan)


def shape_of(appointment: Appointment, less: Less | None = None) -> VisitShape:
    """As booked before: a longer scan stays longer."""
    shape = shape_for(appointment.procedure)
    if less is not None:
        return replace(shape, scan_min=less.scan_min)
    if appointment.fraction < 1.0:
        return replace(shape, scan_min=round((appointment.ends_at - appointment.scan_at).total_seconds() / 60))
    return shape


def plan_of(change: Change) -> Planned:
    row = change.appointment
    if not change.here:
        return planned(shape_of(row, change.less), change.choice.arrival_at)
    scan_at = change.scan_at or row.scan_at
    injection_at = change.injection_at or row.injection_at
    lasts = timedelta(minutes=change.less.scan_min) if change.less else row.ends_at - row.scan_at
    # Whoever came and was injected before their time was here by then: no row has an injection after its scan.
    return Planned(min(row.arrival_at, injection_at), injection_at, scan_at, scan_at + lasts)


def let_go_of(change: Change, *, now: datetime) -> int:
    row = change.appointment
    advance_to(row, AppointmentEvent.REPLACE, ended_at=now)
    claiming.release([row])
    claiming.give_activity_back(row)
    return claiming.claim_order()


def from_now(plan: Planned, now: datetime) -> Planned:
    """What is left of the visit of somebody who is here: the room where they were is not theirs in the past."""
    return replace(plan, arrival_at=min(max(plan.arrival_at, now), plan.scan_at - timedelta(minutes=1)))


def claimed(change: Change, wanted: Wanted, *, here: bool, now: datetime) -> tuple[Appointment, Claim]:
    """Raises Refused when somebody else has it."""
    row, plan, name = change.appointment, wanted.plan, change.appointment.referral.patient.name
    fraction = change.less.fraction if change.less else row.fraction
    try:
        if change.injected:
            allotment, activity_mbq = row.allotment, row.activity_mbq
            claiming.promise_again(allotment.pk, activity_mbq)
        else:
            allotment, activity_mbq = claiming.take_activity(
                wanted.site,
                row.allotment.tracer,
                prescribed_mbq(wanted.authorisation) * fraction,
                nuclide_for(row.procedure),
                plan.injection_at,
                first=change.allotment,
            )
        new = Appointment(
            pk=new_id(),
            referral=row.referral,
            procedure=row.procedure,
            authorisation=wanted.authorisation,
            site=wanted.site,
            scanner=wanted.scanner,
            allotment=allotment,
            activity_mbq=activity_mbq,
            fraction=fraction,
            given_under=change.less.under if change.less else row.given_under,
            arrival_at=plan.arrival_at,
            injection_at=plan.injection_at,
            scan_at=plan.scan_at,
            ends_at=plan.ends_at,
            state=AppointmentState.BOOKED.value,
            replaces=row,
            first_told_for=row.first_told_for,
            redirected_at=now if here else None,
            transport=change.transport,
            notes=row.notes,
        )
        new.save(force_insert=True)
        claim = claiming.reserve(new, from_now(plan, now) if here else plan)
    except Taken as taken:
        there = who_is_there(wanted) if taken.what == claiming.SCANNER else ""
        raise Refused([f"{name}: {GONE_WORDS[taken.what].lower()}{there}; look again"]) from taken
    if here:
        advance_to(new, AppointmentEvent.ARRIVE, told_at=row.told_at)
    return new, claim


def who_is_there(wanted: Wanted) -> str:
    """The booking that stands where somebody was to go: its scanner, its site and its minutes, and nobody's name.

    It may be at a site whose people the reader may not see.
    """
    span, zone = wanted.plan.scanner, ZoneInfo(wanted.site.zone)
    held = Reservation.objects.filter(
        resource=wanted.scanner.pk, active=True, during__overlap=(span.start, span.end)
    ).select_related("appointment")
    times = sorted(f"{each.appointment.scan_at.astimezone(zone):%H:%M}" for each in held)
    return f": {wanted.scanner.name} at {wanted.site.name} is booked at {' and '.join(times)}" if times else ""


def tell_of(
    change: Change,
    new: Appointment,
    claim: Claim,
    *,
    here: bool,
    untold: bool = False,
    released: int,
    cause: Cause,
    now: datetime,
    by: Actor,
) -> None:
    """The same events as for one who is moved alone. The old one's first: its worklist item goes before the new one comes."""
    row = change.appointment
    record(
        EventKind.APPOINTMENT_MOVED,
        row,
        now=now,
        by=by,
        cause=cause,
        subjects={"replaced_by": new.pk},
        data={
            "returned": {
                "allotment": row.allotment_id,
                "activity_mbq": row.activity_mbq,
                "claim_order": released,
            },
            "was_told": row.told_at is not None and not untold,
            "from": row.scan_at,
            "to": new.scan_at,
            "from_scanner": row.scanner_id,
            "to_scanner": new.scanner_id,
            "here": here,
            "injected": change.injected,
        },
    )
    if new.site_id != row.site_id:
        record(
            EventKind.SITE_CHANGED, new, now=now, by=by, cause=cause,
            data={"from": row.site_id, "to": new.site_id, "transport": change.transport},
        )  # fmt: skip
    record(
        EventKind.APPOINTMENT_BOOKED, new, now=now, by=by, subjects={"replaces": row.pk},
        data={
            **moments(new),
            "claim": asdict(claim),
            **({"fraction": new.fraction, "given_under": new.given_under} if new.fraction < 1.0 else {}),
        },
    )  # fmt: skip
    if here:
        point_to(
            new.referral, said=f"Scan on {new.scanner.name} at {new.site.name}", owner=Role.RADIOGRAPHER,
            due_at=new.scan_at,
        )  # fmt: skip
        return
    point_to(
        new.referral,
        said="Tell the patient their new date" + (" and book their transport" if change.transport else ""),
        owner=Role.BOOKING_COORDINATOR,
        due_at=now + timedelta(days=1),
    )


def put_back(appointments: Sequence[Appointment], *, cause: Cause, now: datetime, by: Actor) -> list[Appointment]:
    """Undo of moves that nobody was told: the old places and runs again, also where a run is in trouble, all or none.

    Raises Refused when somebody else has an old place, and Stale.
    """
    checked(cause)
    with transaction.atomic():
        pairs = [(row, replaced(row)) for row in appointments]
        claiming.lock(*(site_day(each.site, each.arrival_at) for pair in pairs for each in pair))
        changes = [Change(row, Choice(old.site_id, old.scanner_id, old.arrival_at)) for row, old in pairs]
        here = [change.here for change in changes]
        released = [let_go_of(change, now=now) for change in changes]
        again = [as_before(row, old, now=now, here=was) for (row, old), was in zip(pairs, here, strict=True)]
        for number, (change, (new, claim)) in enumerate(zip(changes, again, strict=True)):
            tell_of(
                change, new, claim, here=here[number], untold=True, released=released[number], cause=cause, now=now, by=by
            )  # fmt: skip
            old = pairs[number][1]
            if not here[number] and old.told_at is not None:
                still_told(new, old)
        return [new for new, _ in again]


def replaced(row: Appointment) -> Appointment:
    if row.replaces is None:
        raise Refused(["This appointment replaced no other"])
    return row.replaces


SAME_AGAIN = (
    *("referral_id", "procedure_id", "authorisation_id", "site_id", "scanner_id", "allotment_id", "activity_mbq"),
    *("fraction", "given_under", "arrival_at", "injection_at", "scan_at", "ends_at", "first_told_for", "notes"),
    "transport",
)


def as_before(row: Appointment, old: Appointment, *, now: datetime, here: bool) -> tuple[Appointment, Claim]:
    """Raises Refused."""
    claiming.promise_again(old.allotment_id, old.activity_mbq)
    again = Appointment(
        pk=new_id(),
        state=AppointmentState.BOOKED.value,
        replaces=row,
        redirected_at=now if here else None,
        **{name: getattr(old, name) for name in SAME_AGAIN},
    )
    again.save(force_insert=True)
    try:
        claim = claiming.reserve(again, Planned(old.arrival_at, old.injection_at, old.scan_at, old.ends_at))
    except Taken as taken:
        name = row.referral.patient.name
        raise Refused([f"{name}: somebody else has the {taken.what} of the old time"]) from taken
    if here:
        advance_to(again, AppointmentEvent.ARRIVE, told_at=old.told_at)
    return again, claim


__all__ = ["Change", "Less", "put_back", "rearrange"]

"""Works out what can be done after a root event, does what a named person accepts, and undoes it while nobody knows."""

from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from django.db import transaction

from gantry.apps.audit.ids import new_id
from gantry.apps.audit.models import Event, OutboxMessage
from gantry.apps.audit.services import Stale, append
from gantry.apps.booking import services as booking
from gantry.apps.booking.models import Appointment, ContactAttempt
from gantry.apps.booking.services import Choice, Gone, Refused
from gantry.apps.booking.services.offering import Offer
from gantry.apps.estate.models import ActivityAllotment, Fault, Site
from gantry.apps.scheduling.models import RecoveryMove, RecoveryPlan
from gantry.apps.scheduling.services.building import Built, build, later_offers, other_day, other_days, said_offer
from gantry.domain.appointment import AppointmentState
from gantry.domain.events import Actor, Cause, CauseCode, EventKind, Initiator
from gantry.domain.scheduling.failures import Failure, FailureKind, Situation, Standing, injected
from gantry.domain.scheduling.problem import Plan, PlannedVisit
from gantry.domain.scheduling.recovery import Option, Way, faults_of, option
from gantry.reference.recovering import APPROVED
from gantry.solvers.recovery import options_after

TRACER_LOST = (
    EventKind.BATCH_FAILED,
    EventKind.BATCH_REJECTED,
    EventKind.BATCH_RECALLED,
    EventKind.ORDER_FAILED,
)
ROOTS = (*TRACER_LOST, EventKind.SCANNER_FAILED)
HERE = (Standing.HERE, Standing.INJECTED, Standing.SCANNING, Standing.SCANNED)
KNOWN_BY = ("spoke", "spoke_to_other", "message_left")


class NotPossible(Exception):
    """It cannot be done as it stands, for these reasons; nothing was changed."""

    def __init__(self, *reasons: str) -> None:
        self.reasons = list(reasons)
        super().__init__("; ".join(reasons))


@dataclass(frozen=True, slots=True)
class Looked:
    """A failure on one site's day, as it stands at this moment."""

    event: Event
    built: Built
    situation: Situation
    offers: dict[str, Offer]


def root_event(key: UUID) -> Event | None:
    """The failure of that id; whose site it is, the page asks before it shows anything."""
    return Event.objects.filter(pk=key, kind__in=[kind.value for kind in ROOTS]).first()


def root_events(site: Site, on: date) -> list[Event]:
    """Failures of the day that a recovery can start from, the newest first."""
    zone = ZoneInfo(site.zone)
    kinds = [kind.value for kind in ROOTS]
    near = Event.objects.filter(site=site.pk, kind__in=kinds).order_by("-happened_at")[:50]
    return [event for event in near if day_of(event, zone) == on]


def day_of(event: Event, zone: ZoneInfo) -> date:
    """The day that is hit: of the run, else of the moment."""
    allotment = lost_allotment(event)
    return (allotment.reference_at if allotment else event.happened_at).astimezone(zone).date()


def lost_allotment(event: Event) -> ActivityAllotment | None:
    run = event.about.get("run")
    return ActivityAllotment.objects.filter(supply_run=run).first() if run else None


def look(event: Event, *, now: datetime) -> Looked:
    """Raises NotPossible for an event that no recovery starts from."""
    if event.kind not in {kind.value for kind in ROOTS} or event.site is None:
        raise NotPossible("No recovery starts from this event")
    site = Site.objects.get(pk=event.site)
    on = day_of(event, ZoneInfo(site.zone))
    built = build(site, on, now=now, wide=True)
    offers = other_days(built, now=now)
    about = {
        ref: replace_day(facts, offers.get(ref)) for ref, facts in built.circumstances.items()
    }  # fmt: skip
    failure = failure_of(event, built, now=now)
    return Looked(event, built, Situation(built.day, built.plan, failure, about, APPROVED.value), offers)


def replace_day(facts: Any, offer: Offer | None) -> Any:
    return replace(facts, other_day=other_day(offer)) if offer is not None else facts


def failure_of(event: Event, built: Built, *, now: datetime) -> Failure:
    known = built.day.minute(now)
    if event.kind == EventKind.SCANNER_FAILED:
        fault = Fault.objects.filter(event=event.pk).first()
        until = built.day.minute(fault.to_at) if fault and fault.to_at else None
        return Failure(
            FailureKind.SCANNER_DOWN, event.about["scanner"], known, built.day.minute(event.happened_at), until
        )
    allotment = lost_allotment(event)
    subject = str(allotment.pk) if allotment else ""
    remaining = float(event.data.get("remaining_mbq") or 0.0)
    if remaining > 0:
        return Failure(FailureKind.BATCH_SHORT, subject, known, mbq=remaining)
    return Failure(FailureKind.BATCH_LOST, subject, known)


def options_for(looked: Looked, *, seconds: float = 0.5) -> list[Option]:
    return options_after(looked.situation, seconds=seconds)


# What is written down, so that the page shows one set of options until somebody asks for another look


def kept(made: Option) -> dict[str, Any]:
    return {
        "way": made.way.value,
        "fraction": made.fraction,
        "visits": [[v.patient, v.scanner, v.delivery, v.injection_min, v.uptake_min] for v in made.plan.visits],
        "orders": dict(made.plan.orders),
        "left_out": dict(made.plan.left_out),
    }


def read(looked: Looked, written: dict[str, Any]) -> Option:
    """The option again, worked out against the day as it stands now. Raises KeyError when people have changed."""
    plan = Plan(
        tuple(PlannedVisit(*visit) for visit in written["visits"]), written["orders"], written["left_out"]
    )  # fmt: skip
    return option(looked.situation, Way(written["way"]), plan, written["fraction"])


@transaction.atomic
def open_recovery(event: Event, *, now: datetime, again: bool = False) -> tuple[RecoveryPlan, Looked, list[Option]]:
    """The recovery of this event with its options as they stand. Worked out once; again when asked, or when overtaken."""
    looked = look(event, now=now)
    row, made = RecoveryPlan.objects.select_for_update().get_or_create(
        root_event=event.pk, site=looked.built.site, on=looked.built.on, defaults={"known_at": now}
    )
    if row.state == "accepted":
        return row, looked, []
    if not made and not again and row.options:
        options = [o for written in row.options if (o := still(looked, written)) is not None]
        if len(options) == len(row.options):
            return row, looked, options
    options = options_for(looked)
    row.options, row.known_at = [kept(each) for each in options], now
    row.save(update_fields=["options", "known_at"])
    return row, looked, options


def still(looked: Looked, written: dict[str, Any]) -> Option | None:
    """The written option if it has no fault in the day as it is now."""
    try:
        made = read(looked, written)
    except (KeyError, StopIteration):
        return None
    return None if faults_of(looked.situation, made) else made


def changed_visits(looked: Looked, made: Option) -> list[tuple[Appointment, PlannedVisit]]:
    """Rows that have to move so that the plan can be carried out: another time, place, scanner or run."""
    found = []
    for visit in made.plan.visits:
        before, row = looked.built.plan.visit(visit.patient), looked.built.appointments[visit.patient]
        patient = looked.situation.day.patient(visit.patient)
        movable = row.state in (AppointmentState.BOOKED, AppointmentState.TOLD)
        if movable and visit != before and not injected(looked.situation, patient):
            found.append((row, visit))
    return found


def accept(
    row: RecoveryPlan, number: int, *, met: frozenset[str] = frozenset(), now: datetime, by: Actor
) -> RecoveryPlan:
    """Carry out option `number` (from 0). `met` names the patients who said yes. Raises NotPossible and Stale."""
    with transaction.atomic():
        row = RecoveryPlan.objects.select_for_update().get(pk=row.pk)
        if row.state == "accepted":
            raise Stale(row.pk)
        event = Event.objects.get(pk=row.root_event)
        looked = look(event, now=now)
        made = still(looked, row.options[number]) if number < len(row.options) else None
        if made is None:
            raise NotPossible("The day has changed since this was worked out: look again")
        if missing := [n for n in made.needs if n.holds_up and not (n.kind == "patient" and n.patient in met)]:
            raise NotPossible(*(f"{name_of(looked, n.patient)} {n.words}".strip() for n in missing))
        cause = cause_of(event)
        done = carry_out(looked, made, cause, now=now, by=by)
        RecoveryMove.objects.bulk_create([RecoveryMove(pk=new_id(), recovery=row, **each) for each in done])
        row.state, row.chosen, row.accepted_by, row.accepted_at = "accepted", number, by.name, now
        row.save(update_fields=["state", "chosen", "accepted_by", "accepted_at"])
        append(
            EventKind.RECOVERY_CHOSEN,
            subjects={"recovery": row.pk, **{k: UUID(v) for k, v in event.about.items() if k in ("batch", "scanner", "run")}},
            happened_at=now,
            recorded_at=now,
            by=by,
            site=row.site_id,
            cause=cause,
            data={"chosen": made.title, "moved": len(made.moves), "called_off": len(made.called_off)},
        )  # fmt: skip
    return row


def name_of(looked: Looked, ref: str) -> str:
    row = looked.built.appointments.get(ref)
    return row.referral.patient.name if row else ""


def cause_of(event: Event) -> Cause:
    """Every displaced appointment names the one root event."""
    return Cause(
        CauseCode(event.cause_code or CauseCode.SCANNER_FAILED),
        Initiator(event.cause_initiator or Initiator.PROVIDER),
        root_event=event.pk,
    )


def carry_out(looked: Looked, made: Option, cause: Cause, *, now: datetime, by: Actor) -> list[dict[str, Any]]:
    """Those who go to another day first, then each move once its place is free. All or nothing."""
    done: list[dict[str, Any]] = []
    for move in made.called_off:
        row = looked.built.appointments[move.patient]
        if move.standing in HERE or row.state == AppointmentState.ARRIVED:
            done.append(by_hand(row, "is here: tell them yourself and turn the visit away on the board"))
            continue
        done.append(to_another_day(row, looked, cause, now=now, by=by))
    waiting = changed_visits(looked, made)
    for move in made.moves:
        row = looked.built.appointments[move.patient]
        if move.now_min is not None and row.pk not in {each.pk for each, _ in waiting}:
            at = looked.built.at(move.now_min).astimezone(ZoneInfo(row.site.zone))
            done.append(by_hand(row, f"is here: tell them that it will be {at:%H:%M}"))
    while waiting:
        step = next(((row, visit) for row, visit in waiting if free_of(row, visit, waiting, looked)), None)
        if step is None:
            raise NotPossible("Some people would have to change places with each other: choose another option")
        waiting.remove(step)
        done.append(to_visit(*step, looked, cause, now=now, by=by))
    return done


def free_of(
    row: Appointment, visit: PlannedVisit, waiting: list[tuple[Appointment, PlannedVisit]], looked: Looked
) -> bool:
    """Whether nobody who still has to move stands on the scanner at that time."""
    start = looked.built.at(visit.scan_min)
    end = start + (row.ends_at - row.scan_at)
    return not any(
        str(other.scanner_id) == visit.scanner and other.scan_at < end and start < other.ends_at
        for other, _ in waiting
        if other.pk != row.pk
    )


def to_visit(
    row: Appointment, visit: PlannedVisit, looked: Looked, cause: Cause, *, now: datetime, by: Actor
) -> dict[str, Any]:
    patient = looked.situation.day.patient(visit.patient)
    scanner = looked.built.day.scanner(visit.scanner)
    arrival_at = looked.built.at(visit.injection_min - patient.preparation_min)
    choice = Choice(UUID(scanner.place), UUID(scanner.ref), arrival_at)
    moved = moved_or_not(row, choice, cause, now=now, by=by)
    if row.told_at is not None and (moved.arrival_at, moved.site_id) == (row.arrival_at, row.site_id):
        booking.still_told(moved, row)
    local = arrival_at.astimezone(ZoneInfo(moved.site.zone))
    return {"was": row, "now": moved, "outcome": "moved", "said": f"{local:%H:%M} at {moved.site.name}"}


def to_another_day(row: Appointment, looked: Looked, cause: Cause, *, now: datetime, by: Actor) -> dict[str, Any]:
    """A place on another day is kept for them at once; with none, the appointment ends and they are offered one."""
    shown = looked.offers.get(str(row.pk))
    offers = [shown, *later_offers(looked.built, str(row.pk), now=now)] if shown else []
    for offer in offers:
        try:
            moved = booking.move(row, offer.choice, cause=cause, now=now, by=by)
        except Refused:
            continue
        if isinstance(moved, Appointment):
            return {"was": row, "now": moved, "outcome": "another_day", "said": said_offer(offer)}
    booking.cancel(row, cause=cause, now=now, by=by)
    return {"was": row, "now": None, "outcome": "another_day", "said": "No other time found yet: ring and offer one"}


def moved_or_not(row: Appointment, choice: Choice, cause: Cause, *, now: datetime, by: Actor) -> Appointment:
    name = row.referral.patient.name
    try:
        moved = booking.move(row, choice, cause=cause, now=now, by=by)
    except Refused as refused:
        raise NotPossible(*(f"{name}: {reason}" for reason in refused.reasons)) from refused
    if isinstance(moved, Gone):
        raise NotPossible(f"{name}: {moved.reason.lower()}; look again")
    return moved


def by_hand(row: Appointment, said: str) -> dict[str, Any]:
    return {"was": row, "now": None, "outcome": "by_hand", "said": said}


# Undo


def why_not_undone(row: RecoveryPlan) -> list[str]:
    """Undo works until one message is delivered or spoken; empty means that it still does."""
    if row.state != "accepted" or row.accepted_at is None:
        return ["Nothing has been accepted"]
    reasons = []
    moves = list(row.moves.select_related("was", "now", "was__referral__patient"))
    for move in moves:
        name = move.was.referral.patient.name
        if move.now is not None and move.now.replaces_id is not None:
            current = move.now
            told_since = current.told_at is not None and current.told_at >= row.accepted_at
            if told_since:
                reasons.append(f"{name} has been told")
            elif current.state not in (AppointmentState.BOOKED, AppointmentState.TOLD):
                reasons.append(f"The new appointment of {name} has changed since")
        if move.outcome == "another_day" and move.now is None:
            reasons.append(f"{name} has no appointment any more: book one")
    spoken = ContactAttempt.objects.filter(
        referral__in=[m.was.referral_id for m in moves], at__gte=row.accepted_at, outcome__in=KNOWN_BY
    )
    if spoken.exists():
        reasons.append("Somebody has been spoken to")
    sent = OutboxMessage.objects.filter(
        event__root_event=row.root_event, event__recorded_at__gte=row.accepted_at, state__in=["sent", "delivered"]
    )
    if sent.exists():
        reasons.append("A message has gone out")
    return reasons


def undo(row: RecoveryPlan, *, now: datetime, by: Actor) -> RecoveryPlan:
    """Everybody back where they were, while nobody knows. Raises NotPossible and Stale."""
    with transaction.atomic():
        row = RecoveryPlan.objects.select_for_update().get(pk=row.pk)
        if reasons := why_not_undone(row):
            raise NotPossible(*reasons)
        cause = cause_of(Event.objects.get(pk=row.root_event))
        cause = Cause(cause.code, cause.initiator, cause.root_event, note="recovery undone")
        waiting = list(row.moves.filter(now__isnull=False).select_related("was", "now__replaces__site", "now__site"))
        while waiting:
            move = next((m for m in waiting if not _in_the_way(m, waiting)), None)
            if move is None:
                raise NotPossible("Some people would have to change places with each other: move them one by one")
            waiting.remove(move)
            try:
                booking.move_back(move.now, cause=cause, now=now, by=by)
            except Refused as refused:
                raise NotPossible(*refused.reasons) from refused
        row.moves.update(undone=True)
        row.state, row.undone_by, row.undone_at = "undone", by.name, now
        row.options = []
        row.save(update_fields=["state", "undone_by", "undone_at", "options"])
        append(
            EventKind.RECOVERY_CHOSEN,
            subjects={"recovery": row.pk},
            happened_at=now,
            recorded_at=now,
            by=by,
            site=row.site_id,
            cause=cause,
            data={"undone": True},
        )
    return row


def _in_the_way(move: RecoveryMove, waiting: list[RecoveryMove]) -> bool:
    return any(
        m.pk != move.pk
        and m.now.scanner_id == move.was.scanner_id
        and m.now.scan_at < move.was.ends_at
        and move.was.scan_at < m.now.ends_at
        for m in waiting
    )

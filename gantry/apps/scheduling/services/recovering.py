"""Works out what can be done after a root event, and does what a named person accepts."""

from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from django.db import transaction

from gantry.apps.audit.ids import new_id
from gantry.apps.audit.models import Event
from gantry.apps.audit.services import Stale, append
from gantry.apps.booking import services as booking
from gantry.apps.booking.models import Appointment
from gantry.apps.booking.services import Change, Choice, Less, Refused
from gantry.apps.booking.services.offering import Offer
from gantry.apps.booking.services.readying import confirm_readiness
from gantry.apps.estate.models import ActivityAllotment, Fault, Site
from gantry.apps.radiopharmacy.models import SupplyRun
from gantry.apps.radiopharmacy.services import confirm_order, place_order
from gantry.apps.radiopharmacy.services.allotments import settle_loss
from gantry.apps.radiopharmacy.services.refusals import NotDone
from gantry.apps.scheduling.models import RecoveryMove, RecoveryPlan, Trouble
from gantry.apps.scheduling.services.approving import rules_on
from gantry.apps.scheduling.services.building import (
    Built,
    build,
    km_between,
    later_offers,
    other_day,
    other_days,
    said_offer,
)
from gantry.apps.scheduling.services.refusals import NotPossible, said_in_words
from gantry.apps.scheduling.services.widening import with_open_runs, with_other_tracers
from gantry.domain.appointment import AppointmentState
from gantry.domain.events import Actor, Cause, CauseCode, EventKind, Initiator
from gantry.domain.readiness import Item
from gantry.domain.scheduling.failures import Failure, FailureKind, Situation, Standing, injected, standing
from gantry.domain.scheduling.problem import Plan, PlannedVisit
from gantry.domain.scheduling.recovery import (
    Need,
    NeedKind,
    Option,
    Way,
    faults_of,
    given_less,
    lengthening_rule,
    option,
    ordered_more,
)
from gantry.solvers.recovery import options_after

TRACER_LOST = (
    EventKind.BATCH_FAILED,
    EventKind.BATCH_REJECTED,
    EventKind.BATCH_RECALLED,
    EventKind.ORDER_FAILED,
)
ROOTS = (*TRACER_LOST, EventKind.SCANNER_FAILED, EventKind.DAY_DISRUPTED)
MOVABLE = (AppointmentState.BOOKED, AppointmentState.TOLD, AppointmentState.ARRIVED)
IN_THE_ROWS = (FailureKind.SCANNER_DOWN, FailureKind.BATCH_LOST, FailureKind.BATCH_LATE)
"""A run that was put off or lost says so itself, also once another has come in its place."""
HERE = (Standing.HERE, Standing.INJECTED, Standing.SCANNING, Standing.SCANNED)


@dataclass(frozen=True, slots=True)
class Looked:
    """A failure on one site's day, as it stands at this moment."""

    event: Event
    built: Built
    situation: Situation
    offers: dict[str, Offer]


def root_event(key: UUID) -> Event | None:
    """The failure of that id; whose site it is, the page asks before it shows anything."""
    return Event.objects.filter(pk=key, kind__in=[kind.value for kind in ROOTS], root_event=None).first()


def sites_hit(event: Event) -> list[tuple[Site, date]]:
    """Each site's day that one root event spoils: a cyclotron feeds several."""
    troubles = list(Trouble.objects.filter(event=event.pk).select_related("site").order_by("site__name", "on"))
    if troubles:
        return [(trouble.site, trouble.on) for trouble in troubles]
    site = Site.objects.filter(pk=event.site).first() if event.site else None
    return [(site, day_of(event, ZoneInfo(site.zone)))] if site else []


def root_events(site: Site, on: date) -> list[Event]:
    """Failures of the day that a recovery can start from, the newest first. What failed under a root is not one itself."""
    zone = ZoneInfo(site.zone)
    kinds = [kind.value for kind in ROOTS if kind is not EventKind.DAY_DISRUPTED]
    near = Event.objects.filter(site=site.pk, kind__in=kinds, root_event=None).order_by("-happened_at")[:50]
    found = [event for event in near if day_of(event, zone) == on]
    said = Trouble.objects.filter(site=site, on=on).values("event")
    found += Event.objects.filter(pk__in=said)
    return sorted(found, key=lambda event: event.happened_at, reverse=True)


def open_roots(site: Site, on: date) -> list[Event]:
    """Those that still ask for something: neither accepted here nor said to be over."""
    settled = set(RecoveryPlan.objects.filter(site=site, on=on, state="accepted").values_list("root_event", flat=True))
    over = Event.objects.filter(kind=EventKind.SITE_REOPENED.value, site=site.pk, root_event__isnull=False)
    settled |= set(over.values_list("root_event", flat=True))
    return [event for event in root_events(site, on) if event.pk not in settled]


def settled_roots(site: Site, on: date) -> list[Event]:
    """Those whose recovery is accepted or over: whoever rings people, or undoes it, finds them again."""
    still = {event.pk for event in open_roots(site, on)}
    return [event for event in root_events(site, on) if event.pk not in still]


def day_of(event: Event, zone: ZoneInfo) -> date:
    """The day that is hit: of the run, else of the moment."""
    allotment = lost_allotment(event)
    return (allotment.reference_at if allotment else event.happened_at).astimezone(zone).date()


def lost_allotment(event: Event) -> ActivityAllotment | None:
    run = event.about.get("run")
    return ActivityAllotment.objects.filter(supply_run=run).first() if run else None


def look(event: Event, *, now: datetime, site: Site | None = None) -> Looked:
    """One site's day as the event leaves it. Raises NotPossible for an event that no recovery starts from."""
    hit = sites_hit(event) if event.kind in {kind.value for kind in ROOTS} else []
    day = next(((place, on) for place, on in hit if site is None or place.pk == site.pk), None)
    if day is None:
        raise NotPossible("No recovery starts from this event")
    with said_in_words(*day):
        return looked_at(event, *day, now=now)


def looked_at(event: Event, place: Site, on: date, *, now: datetime) -> Looked:
    built = with_other_tracers(build(place, on, now=now, wide=True))
    built, cut_offs = with_open_runs(built, now=now)
    offers = other_days(built, now=now)
    about = {
        ref: replace(
            facts,
            fraction=built.appointments[ref].fraction,
            other_day=other_day(offers[ref], built.appointments[ref], built.on) if ref in offers else facts.other_day,
        )
        for ref, facts in built.circumstances.items()
    }
    failure = failure_of(event, built, now=now)
    others = others_of(event, built, now=now)
    situation = Situation(built.day, built.plan, failure, about, rules_on(built), cut_offs, others)
    return Looked(event, built, situation, offers)


def others_of(event: Event, built: Built, *, now: datetime) -> tuple[Failure, ...]:
    """What else was said of this day and is not over. Broken scanners and lost runs are in the rows already."""
    told = Trouble.objects.filter(site=built.site, on=built.on).exclude(event=event.pk).order_by("said_at", "pk")
    found = [failure_told(trouble, built, now=now) for trouble in told if trouble.kind not in IN_THE_ROWS]
    return tuple(each for each in found if each.to_min is None or each.to_min > each.known_min)


def failure_told(trouble: Trouble, built: Built, *, now: datetime) -> Failure:
    return Failure(
        FailureKind(trouble.kind),
        trouble.subjects[0],
        built.day.minute(now),
        built.day.minute(trouble.from_at),
        arrives(trouble, built) if trouble.to_at else None,
        trouble.mbq or 0.0,
        tuple(trouble.subjects[1:]),
        trouble.shut,
    )


def failure_of(event: Event, built: Built, *, now: datetime) -> Failure:
    known = built.day.minute(now)
    trouble = Trouble.objects.filter(event=event.pk, site=built.site, on=built.on).first()
    if trouble is not None:
        return failure_told(trouble, built, now=now)
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


def arrives(trouble: Trouble, built: Built) -> int:
    """When it is over: of a late run, the first minute at which it can be injected."""
    row = built.allotments.get(trouble.subjects[0])
    late = trouble.kind == FailureKind.BATCH_LATE and row is not None
    return built.day.minute(row.usable_from if late else trouble.to_at)


def options_for(looked: Looked, *, seconds: float = 0.5) -> list[Option]:
    with said_in_words(looked.built.site, looked.built.on):
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
def open_recovery(
    event: Event, *, now: datetime, again: bool = False, site: Site | None = None
) -> tuple[RecoveryPlan, Looked, list[Option]]:
    """The recovery of one site's day with its options as they stand. Worked out once; again when asked, or overtaken."""
    looked = look(event, now=now, site=site)
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
    """Rows that have to move so that the plan can be carried out: another time, place, scanner or run, also of those here."""
    found, less = [], set(given_less(looked.situation, made))
    for visit in made.plan.visits:
        before, row = looked.built.plan.visit(visit.patient), looked.built.appointments[visit.patient]
        where = standing(looked.situation, looked.situation.day.patient(visit.patient))
        changed = visit != before or visit.patient in less
        if row.state in MOVABLE and changed and where not in (Standing.SCANNING, Standing.SCANNED):
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
        looked = look(event, now=now, site=row.site)
        made = still(looked, row.options[number]) if number < len(row.options) else None
        if made is None:
            raise NotPossible("The day has changed since this was worked out: look again")
        if missing := [n for n in made.needs if n.holds_up and not (n.can_be_met and n.key in met)]:
            raise NotPossible(*(need_words(looked, n, name_of(looked, n.patient)) for n in missing))
        cause = cause_of(event)
        order_more(looked, made, now=now, by=by)
        done = carry_out(looked, made, cause, now=now, by=by)
        after(looked, made, cause, now=now, by=by)
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


def need_words(looked: Looked, need: Need, name: str) -> str:
    """A need as the page says it: a run by its hour and its supplier, not by its number."""
    if need.kind is not NeedKind.SUPPLIER or need.ref not in looked.built.allotments:
        return f"{name} {need.words}".strip()
    row = looked.built.allotments[need.ref]
    run = SupplyRun.objects.select_related("supplier", "site").get(pk=row.supply_run)
    zone = ZoneInfo(run.site.zone)
    words = need.words.removesuffix(f" on {need.ref}")
    return (
        f"{run.supplier.name} {words} of {run.tracer} for {run.due_at.astimezone(zone):%H:%M}, "
        f"made at {run.production_site}: order before {run.cut_off_at.astimezone(zone):%H:%M}"
    )


def order_more(looked: Looked, made: Option, *, now: datetime, by: Actor) -> None:
    """What a supplier said yes to on the telephone is ordered, before anybody is promised it. Raises NotPossible."""
    for ref, mbq in ordered_more(looked.situation, made.way, made.plan).items():
        run = SupplyRun.objects.get(pk=looked.built.allotments[ref].supply_run)
        people = sum(visit.delivery == ref for visit in made.plan.visits)
        try:
            order = place_order(run, activity_mbq=mbq, patients=people, now=now, by=by)
        except NotDone as refused:
            raise NotPossible(*refused.reasons) from refused
        confirm_order(order, supplier_reference="by telephone", now=now, by=by)


def name_of(looked: Looked, ref: str) -> str:
    row = looked.built.appointments.get(ref)
    return row.referral.patient.name if row else ""


def cause_of(event: Event) -> Cause:
    """Every displaced appointment names the one root event. Nobody but a late patient moves at a patient's wish."""
    by = Initiator(event.cause_initiator or Initiator.PROVIDER)
    return Cause(
        CauseCode(event.cause_code or CauseCode.SCANNER_FAILED),
        Initiator.PROVIDER if by is Initiator.PATIENT else by,
        root_event=event.pk,
    )


def after(looked: Looked, made: Option, cause: Cause, *, now: datetime, by: Actor) -> None:
    """What a short run does not hold is promised to nobody; whoever is injected and will not be scanned is a breach."""
    failure = looked.situation.failure
    allotment = looked.built.allotments.get(failure.subject)
    if failure.kind is FailureKind.BATCH_SHORT and allotment is not None and allotment.supply_run:
        settle_loss(SupplyRun.objects.get(pk=allotment.supply_run), failure.mbq, now=now)
    for move in made.abandoned:
        row = looked.built.appointments[move.patient]
        append(
            EventKind.BREACH_RECORDED,
            subjects={
                "appointment": row.pk,
                "procedure": row.procedure_id,
                "referral": row.referral_id,
                "patient": row.referral.patient_id,
            },
            happened_at=now,
            recorded_at=now,
            by=by,
            site=row.site_id,
            cause=cause,
            data={"act": "not_scanned", "reasons": [f"Injected and not scanned: {move.why}"]},
        )


def carry_out(looked: Looked, made: Option, cause: Cause, *, now: datetime, by: Actor) -> list[dict[str, Any]]:
    """Those who go to another day first, then everybody else at once, into each other's places too. All or nothing."""
    done: list[dict[str, Any]] = []
    for move in made.called_off:
        row = looked.built.appointments[move.patient]
        if move.abandoned:
            done.append(
                by_hand(row, "is injected and cannot be scanned: end the visit on the board; an incident is open")
            )
            continue
        if move.standing in HERE or row.state == AppointmentState.ARRIVED:
            done.append(by_hand(row, "is here: tell them yourself and turn the visit away on the board"))
            continue
        done.append(to_another_day(row, looked, cause, now=now, by=by))
    changed = changed_visits(looked, made)
    changes = [change_for(row, visit, looked, made) for row, visit in changed]
    try:
        moved = booking.rearrange(changes, cause=cause, now=now, by=by)
    except Refused as refused:
        raise NotPossible("The day has changed since this was worked out: look again", *refused.reasons) from refused
    for change, new in zip(changes, moved, strict=True):
        done.append(what_became(change, new))
        if new.transport and new.redirected_at is None:
            # Open until somebody rings and books it: the day's list of who is ready shows it from this moment.
            confirm_readiness(new, {Item.TRANSPORT: False}, note=f"To book: {new.transport}", now=now, by=by)
    return done


def change_for(row: Appointment, visit: PlannedVisit, looked: Looked, made: Option) -> Change:
    """One person's part of the plan as booking does it."""
    built, patient = looked.built, made.day.patient(visit.patient)
    was, scanner = looked.situation.day.patient(visit.patient), made.day.scanner(visit.scanner)
    here, hot = row.state == AppointmentState.ARRIVED, injected(looked.situation, was)
    arrival_at = row.arrival_at if here else built.at(visit.injection_min - patient.preparation_min)
    rule = lengthening_rule(looked.situation, was, made.fraction) if patient.activity_mbq < was.activity_mbq else None
    return Change(
        row,
        Choice(UUID(scanner.place), UUID(scanner.ref), arrival_at),
        allotment=None if hot else allotment_of(looked, visit.delivery),
        injection_at=built.injected_at.get(visit.patient) if hot else built.at(visit.injection_min) if here else None,
        scan_at=built.at(visit.scan_min) if here else None,
        injected=hot,
        less=Less(row.fraction * made.fraction, patient.scan_min, UUID(rule.ref)) if rule is not None else None,
        transport=transport_words(row, built.sites[scanner.place], hot=hot)
        if scanner.place != str(row.site_id)
        else "",
    )


def allotment_of(looked: Looked, delivery: str) -> UUID | None:
    row = looked.built.allotments.get(delivery)
    return row.pk if row is not None else None


def transport_words(row: Appointment, to: Site, *, hot: bool) -> str:
    """The journey that somebody has to book, because the move is ours."""
    km = km_between(row.site, to.latitude, to.longitude)
    start = row.site.name if hot or row.state == AppointmentState.ARRIVED else "home"
    with_them = ", injected: the driver and both sites know" if hot else ""
    return f"From {start} to {to.name}, about {km:.0f} km from {row.site.name}, and back{with_them}"[:200]


def what_became(change: Change, new: Appointment) -> dict[str, Any]:
    """What whoever rings them, or stands before them, says."""
    row, zone = change.appointment, ZoneInfo(new.site.zone)
    if new.redirected_at is not None:
        at = f"{new.scan_at.astimezone(zone):%H:%M}"
        where = f" at {new.site.name}" if new.site_id != row.site_id else ""
        standing_words = "is injected" if change.injected else "is here"
        said = f"{standing_words}: scan on {new.scanner.name}{where} at {at}; the board and both worklists show it"
        return {"was": row, "now": new, "outcome": "redirected", "said": said}
    if row.told_at is not None and (new.arrival_at, new.site_id) == (row.arrival_at, row.site_id):
        booking.still_told(new, row)
    local = new.arrival_at.astimezone(zone)
    needs = ". Book their transport" if new.transport else ""
    return {"was": row, "now": new, "outcome": "moved", "said": f"{local:%H:%M} at {new.site.name}{needs}"}


def scanner_name(looked: Looked, ref: str) -> str:
    return looked.built.scanners[ref].name


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


def by_hand(row: Appointment, said: str) -> dict[str, Any]:
    return {"was": row, "now": None, "outcome": "by_hand", "said": said}

"""What a recovery knows beyond the day as it is booked: what else could be had."""

from dataclasses import replace
from datetime import datetime, timedelta
from itertools import chain

from gantry.apps.booking.models import Appointment
from gantry.apps.estate.models import ActivityAllotment
from gantry.apps.radiopharmacy.models import SupplyRun
from gantry.apps.radiopharmacy.services.allotments import coming_mbq
from gantry.apps.scheduling.services.building import Built
from gantry.domain.activity import prescribe
from gantry.domain.appointment import ADULT_AGE
from gantry.domain.decay import Nuclide
from gantry.domain.scan import Act, age_in_years, shape
from gantry.domain.scheduling.failures import Circumstances, OtherTracer
from gantry.domain.scheduling.problem import Day, Delivery, Plan, Tracer, Uptake
from gantry.reference.indications import INDICATIONS
from gantry.reference.protocols import product_of, protocol, usual_for
from gantry.reference.schemes import scheme
from gantry.reference.tracers import TRACERS
from gantry.reference.tracers import tracer as tracer_facts

# What could still be ordered


def with_open_runs(built: Built, *, now: datetime) -> tuple[Built, dict[str, int]]:
    """Runs whose cut-off is ahead bring what is ordered or promised, and more if a supplier confirms it in time."""
    keys = {a.supply_run: ref for ref, a in built.allotments.items() if a.supply_run}
    runs = SupplyRun.objects.filter(pk__in=list(keys), site=built.site, cut_off_at__gt=now).prefetch_related("orders")
    open_, orders, cut_offs = {}, dict(built.plan.orders), {}
    for run in runs:
        ref = keys[run.pk]
        allotment, had = built.allotments[ref], built.day.delivery(ref).ordered_mbq or 0.0
        promised = had - allotment.free_mbq
        sure = min(had, max(promised, coming_mbq(run)))
        if had - sure <= 0:
            continue
        open_[ref], orders[ref], cut_offs[ref] = had, sure, built.day.minute(run.cut_off_at)
    if not open_:
        return built, {}
    deliveries = tuple(
        replace(d, ordered_mbq=None, least_mbq=0.0, most_mbq=open_[d.ref]) if d.ref in open_ else d
        for d in built.day.deliveries
    )
    plan = Plan(built.plan.visits, orders, built.plan.left_out)
    return replace(built, day=replace(built.day, deliveries=deliveries), plan=plan), cut_offs


# What else the indication allows


def with_other_tracers(built: Built) -> Built:
    """Tracers that the accepted indication names beside the one that was authorised, where somebody delivers them today."""
    wanted = {ref: others_for(row) for ref, row in built.appointments.items()}
    codes = set(chain.from_iterable(wanted.values()))
    if not codes:
        return built
    start, end = built.day.origin - timedelta(hours=12), built.day.origin + timedelta(days=1)
    here = ActivityAllotment.objects.filter(
        site=built.site, usable_from__gte=start, usable_from__lt=end, tracer__in={product_of(c) for c in codes}
    )
    coming = {row.tracer: row for row in here.order_by("usable_from", "pk")}
    more = [row for row in here if str(row.pk) not in built.allotments and row.free_mbq > 0]
    about: dict[str, Circumstances] = {
        ref: replace(
            facts,
            other_tracers=tuple(
                made
                for code in wanted[ref]
                if product_of(code) in coming and (made := other_tracer(built.appointments[ref], code)) is not None
            ),
        )
        for ref, facts in built.circumstances.items()
    }
    had = {t.code for t in built.day.tracers}
    day = replace(
        built.day,
        tracers=(*built.day.tracers, *(half_life(code) for code in sorted({row.tracer for row in more} - had))),
        deliveries=(*built.day.deliveries, *(spare(built.day, row) for row in more)),
    )
    return replace(
        built, day=day, circumstances=about, allotments={**built.allotments, **{str(row.pk): row for row in more}}
    )


def others_for(row: Appointment) -> tuple[str, ...]:
    known = INDICATIONS.get(row.referral.indication_code)
    own = product_of(row.procedure.tracer)
    return tuple(sorted(c for c in known.value.tracers if product_of(c) != own)) if known else ()


def half_life(code: str) -> Tracer:
    nuclide: Nuclide = tracer_facts(code).nuclide
    return Tracer(code, nuclide.half_life.total_seconds() / 60)


def spare(day: Day, row: ActivityAllotment) -> Delivery:
    return Delivery(
        ref=str(row.pk),
        place=str(row.site_id),
        tracer=row.tracer,
        arrives_min=day.minute(row.usable_from),
        expires_min=day.minute(row.usable_to) + 1,
        reference_min=day.minute(row.reference_at),
        ordered_mbq=row.free_mbq,
    )


def other_tracer(row: Appointment, code: str) -> OtherTracer | None:
    """As its own protocol and scheme would have it; nobody has authorised it.

    None without what the scheme asks, and for children: a practitioner prescribes each of theirs.
    """
    if code not in TRACERS:
        return None
    facts, patient = tracer_facts(code), row.referral.patient
    age = age_in_years(patient.date_of_birth, row.scan_at.date()) if patient.date_of_birth else None
    rule, weight = scheme(facts.scheme, row.scan_at.date()).value, row.referral.weight_kg
    if weight is None or rule.needs_minutes or (age is not None and age < ADULT_AGE):
        return None
    made = protocol(usual_for(code))
    window = next((step.window for step in made.of(Act.ACQUIRE) if step.window is not None), None)
    planned = shape(made)
    uptake = planned.uptake_min if window is None else window.planned
    return OtherTracer(
        product_of(code),
        float(prescribe(rule, weight).prescribed_mbq),
        Uptake(uptake, uptake, uptake),
        planned.scan_min,
    )

"""Judges any plan of a day by the problem alone: it knows no solver, and says what is wrong in words."""

from collections.abc import Iterator

from gantry.domain.scheduling.problem import (
    Day,
    Delivery,
    Hold,
    Patient,
    Plan,
    PlannedVisit,
    Score,
    capacities,
    holds,
    in_time,
    moved,
    why_not_visit,
)

TOLERANCE_MBQ = 1e-6


def faults(day: Day, plan: Plan) -> list[str]:
    """Everything that is wrong with a plan; empty means that it can be carried out."""
    return [
        *unknown(day, plan),
        *not_allowed(day, plan),
        *overlaps(day, plan),
        *overdrawn(day, plan),
        *orders(day, plan),
    ]


def unknown(day: Day, plan: Plan) -> Iterator[str]:
    patients = {p.ref for p in day.patients}
    seen: set[str] = set()
    for visit in plan.visits:
        if visit.patient not in patients:
            yield f"{visit.patient} is not a patient of this day"
        if visit.patient in seen:
            yield f"{visit.patient} is planned twice"
        seen.add(visit.patient)
        if visit.scanner not in {s.ref for s in day.scanners}:
            yield f"{visit.scanner} is not a scanner of this day"
        if visit.delivery not in {d.ref for d in day.deliveries}:
            yield f"{visit.delivery} is not a delivery of this day"
    for ref in sorted(patients - seen - set(plan.left_out)):
        yield f"{ref} is neither planned nor left out with a reason"
    for ref in sorted(seen & set(plan.left_out)):
        yield f"{ref} is both planned and left out"


def known(day: Day, plan: Plan) -> Iterator[tuple[Patient, PlannedVisit]]:
    patients = {p.ref: p for p in day.patients}
    scanners = {s.ref for s in day.scanners}
    deliveries = {d.ref for d in day.deliveries}
    for visit in plan.visits:
        if visit.patient in patients and visit.scanner in scanners and visit.delivery in deliveries:
            yield patients[visit.patient], visit


def not_allowed(day: Day, plan: Plan) -> Iterator[str]:
    for patient, visit in known(day, plan):
        yield from why_not_visit(day, patient, visit)


def overlaps(day: Day, plan: Plan) -> Iterator[str]:
    """Sweep each resource's holds: at no minute more of them than there are units."""
    limits = capacities(day)
    by_resource: dict[str, list[tuple[Hold, str]]] = {}
    for patient, visit in known(day, plan):
        for hold in holds(day, patient, visit):
            by_resource.setdefault(hold.resource, []).append((hold, patient.ref))
    for resource, taken in sorted(by_resource.items()):
        marks = sorted(
            [(h.start, 1, ref) for h, ref in taken if h.end > h.start]
            + [(h.end, -1, ref) for h, ref in taken if h.end > h.start]
        )
        held: list[str] = []
        for minute, change, ref in marks:
            if change < 0:
                held.remove(ref)
                continue
            held.append(ref)
            if len(held) > limits[resource]:
                kind, _, name = resource.partition(":")
                yield f"{', '.join(sorted(held))} need the {kind} of {name} at once at minute {minute}"


def drawn(day: Day, plan: Plan, delivery: Delivery) -> float:
    return sum(
        day.drawn_mbq(patient, visit.injection_min, delivery)
        for patient, visit in known(day, plan)
        if visit.delivery == delivery.ref
    )


def available(plan: Plan, delivery: Delivery) -> float:
    """MBq at the reference minute that the plan may draw: what was ordered, or what the plan says to order."""
    return delivery.ordered_mbq if delivery.ordered_mbq is not None else plan.orders.get(delivery.ref, 0.0)


def overdrawn(day: Day, plan: Plan) -> Iterator[str]:
    for delivery in day.deliveries:
        needed, there = drawn(day, plan, delivery), available(plan, delivery)
        if needed > there * (1 + 1e-9) + TOLERANCE_MBQ:
            yield f"{delivery.ref} holds {there:.1f} MBq at its reference time and the plan draws {needed:.1f}"


def without_tracer(day: Day, plan: Plan) -> list[str]:
    """Whose dose is not there: runs that hold less than is drawn from them, and injections before or after their hours."""
    deliveries = {d.ref: d for d in day.deliveries}
    found = []
    for ref in overdrawn_refs(day, plan):
        people = sum(visit.delivery == ref for visit in plan.visits)
        needed, there = drawn(day, plan, deliveries[ref]), available(plan, deliveries[ref])
        found.append(f"{ref} holds {there:,.0f} MBq; the plan draws {needed:,.0f} MBq of it, for {people} people")
    for patient, visit in known(day, plan):
        delivery = deliveries[visit.delivery]
        if not delivery.arrives_min <= visit.injection_min < delivery.expires_min:
            found.append(f"{patient.ref} cannot be injected from {delivery.ref} at minute {visit.injection_min}")
    return found


def overdrawn_refs(day: Day, plan: Plan) -> Iterator[str]:
    for delivery in day.deliveries:
        if drawn(day, plan, delivery) > available(plan, delivery) * (1 + 1e-9) + TOLERANCE_MBQ:
            yield delivery.ref


def orders(day: Day, plan: Plan) -> Iterator[str]:
    deliveries = {d.ref: d for d in day.deliveries}
    for ref, mbq in plan.orders.items():
        delivery = deliveries.get(ref)
        if delivery is None or delivery.ordered_mbq is not None:
            yield f"{ref} is not a delivery that can still be ordered"
        elif mbq < 0 or (delivery.most_mbq is not None and mbq > delivery.most_mbq + TOLERANCE_MBQ):
            yield f"{ref} cannot be ordered at {mbq:.1f} MBq: the most is {delivery.most_mbq}"
        elif 0 < mbq < delivery.least_mbq - TOLERANCE_MBQ:
            yield f"{ref} cannot be ordered at {mbq:.1f} MBq: the least is {delivery.least_mbq:.1f}"


def activity_pence(day: Day, plan: Plan) -> float:
    """What the plan's activity costs: runs used, activity ordered, journeys, and what an order already placed wastes."""
    total = 0.0
    used = {visit.delivery for visit in plan.visits}
    for delivery in day.deliveries:
        if delivery.ordered_mbq is not None:
            left = max(0.0, delivery.ordered_mbq - drawn(day, plan, delivery))
            total += left / 1000 * day.waste_pence_per_gbq
            continue
        mbq = plan.orders.get(delivery.ref, 0.0)
        if mbq > 0 or delivery.ref in used:
            total += delivery.price_pence + mbq / 1000 * delivery.price_pence_per_gbq
    places = {s.ref: s.place for s in day.scanners}
    for patient, visit in known(day, plan):
        total += patient.away_pence.get(places[visit.scanner], 0)
    return total


def overtime_min(day: Day, plan: Plan) -> int:
    """Minutes that each scanner works beyond its place's paid hours."""
    total = 0
    for scanner in day.scanners:
        limit = day.place(scanner.place).overtime_from_min
        if limit is None:
            continue
        ends = [
            visit.scan_min + patient.scan_min + scanner.turnaround_min
            for patient, visit in known(day, plan)
            if visit.scanner == scanner.ref
        ]
        total += max(0, max(ends, default=limit) - limit)
    return total


def waiting_min(day: Day, patient: Patient, visit: PlannedVisit) -> int:
    """Minutes of uptake beyond its target, and minutes outside the time that suits the patient."""
    beyond = max(0, visit.uptake_min - patient.uptake.target_min)
    if patient.prefers is None:
        return beyond
    scan = visit.scan_min
    return beyond + max(0, patient.prefers.start - scan) + max(0, scan - patient.prefers.end)


def staff_dose(day: Day, patient: Patient, visit: PlannedVisit) -> float:
    """MBq-minutes: activity handled at injection, and what is left in the patient when they are positioned."""
    half_life = day.tracer(patient.tracer).half_life_min
    at_scan = patient.activity_mbq * 2 ** (-visit.uptake_min / half_life)
    return patient.activity_mbq * day.steps.inject_min + at_scan * day.steps.void_min


def score(day: Day, plan: Plan) -> Score:
    """The plan's costs, the gravest first."""
    planned = {patient.ref: visit for patient, visit in known(day, plan)}
    return Score(
        unscanned_weight=sum(p.weight for p in day.patients if p.ref not in planned or not in_time(p, planned[p.ref])),
        moved=sum(
            moved(day, p, planned[p.ref]) * (1 + (p.told.moves_before if p.told else 0))
            for p in day.patients
            if p.ref in planned
        ),
        activity_pence=round(activity_pence(day, plan), 4),
        overtime_min=overtime_min(day, plan),
        waiting_min=sum(waiting_min(day, p, v) for p, v in known(day, plan)),
        staff_dose=round(sum(staff_dose(day, p, v) for p, v in known(day, plan)), 3),
    )

"""What a recovery knows beyond the day as it is booked: when people were really injected, and what else could be had."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime

from gantry.apps.booking.models import Appointment
from gantry.apps.radiopharmacy.models import Dose
from gantry.apps.scheduling.services.building import Built, window_of
from gantry.domain.scheduling.problem import Day, Delivery, Patient, Plan, PlannedVisit, Uptake
from gantry.domain.supply import DoseState


def as_injected(built: Built) -> Built:
    """Each injection at its own minute: the window that is left is counted from it, not from what was planned."""
    given = Dose.objects.filter(
        appointment__in=list(built.appointments.values()), state=DoseState.ADMINISTERED, injected_at__isnull=False
    )
    at = {str(key): when for key, when in given.order_by("injected_at").values_list("appointment", "injected_at")}
    if not at:
        return built
    visits, patients = [], {p.ref: p for p in built.day.patients}
    for visit in built.plan.visits:
        if visit.patient in at:
            row, patient = built.appointments[visit.patient], patients[visit.patient]
            visit, patients[visit.patient] = counted_from(built.day, row, patient, visit, at[visit.patient])
        visits.append(visit)
    day = replace(built.day, patients=tuple(patients.values()))
    plan = Plan(tuple(visits), built.plan.orders, built.plan.left_out)
    deliveries = tuple(held(day, each, plan, built.appointments, at) for each in day.deliveries)
    return replace(built, day=replace(day, deliveries=deliveries), plan=plan)


def counted_from(
    day: Day, row: Appointment, patient: Patient, visit: PlannedVisit, at: datetime
) -> tuple[PlannedVisit, Patient]:
    """On the day's grid, with the window moved by what rounding took: no scan starts before or after what is allowed."""
    exact = (at - day.origin).total_seconds() / 60
    injection, grid = int(exact // day.grid_min) * day.grid_min, day.grid_min
    late, scan = exact - injection, visit.scan_min
    window = window_of(row, round((row.scan_at - row.injection_at).total_seconds() / 60))
    uptake = Uptake(
        int(-(-(window.least_min + late) // grid) * grid),
        int(-(-(window.target_min + late) // grid) * grid),
        int((window.most_min + late) // grid * grid),
    )
    there = PlannedVisit(visit.patient, visit.scanner, visit.delivery, injection, max(0, scan - injection))
    return there, replace(patient, uptake=uptake)


def held(
    day: Day, delivery: Delivery, plan: Plan, rows: Mapping[str, Appointment], at: Mapping[str, datetime]
) -> Delivery:
    """What left this delivery in people left it when it did, also when that was more than was promised."""
    mine = [visit for visit in plan.visits if visit.delivery == delivery.ref and visit.patient in at]
    if not mine or delivery.ordered_mbq is None:
        return delivery
    more = sum(
        max(0.0, day.drawn_mbq(day.patient(v.patient), v.injection_min, delivery) - rows[v.patient].activity_mbq)
        for v in mine
    )
    return replace(
        delivery,
        arrives_min=min(delivery.arrives_min, *(v.injection_min for v in mine)),
        expires_min=max(delivery.expires_min, *(v.injection_min + 1 for v in mine)),
        ordered_mbq=delivery.ordered_mbq + more,
    )

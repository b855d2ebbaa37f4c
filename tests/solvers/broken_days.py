"""Seeded days under way, with their plans and something that went wrong: for the tests of recovery and its timing."""

from dataclasses import replace
from datetime import UTC, datetime
from random import Random

from gantry.domain.scheduling.failures import (
    Circumstances,
    Failure,
    FailureKind,
    LengthenRule,
    OtherDay,
    Rules,
    Situation,
    TransferRule,
)
from gantry.domain.scheduling.problem import Day, Delivery, Patient, Place, Plan, Scanner, Told, Tracer, Uptake, Window
from gantry.solvers.recovery import repair

FDG = Tracer("FDG", 109.77)
NOBODY = Failure(FailureKind.SNOW, "nowhere", -(10**5))


def day_of(seed: int, patients: int, scanners: int, runs: int) -> Day:
    rng = Random(f"{seed}/{patients}/{scanners}/{runs}")
    people = []
    for number in range(patients):
        child = rng.random() < 0.05
        people.append(
            Patient(
                ref=f"P{number:02}",
                tracer="FDG",
                activity_mbq=120.0 if child else float(rng.randint(200, 400)),
                uptake=Uptake(55, 60, 75),
                scan_min=45 if child else rng.choice([15, 20, 20, 25]),
                weight=rng.choice([1, 1, 1, 2, 4]),
                anaesthetist=child,
                needs=frozenset({"paediatric"}) if child else frozenset(),
            )
        )
    arrivals = [450, 690, 840][:runs]
    return Day(
        datetime(2026, 11, 23, tzinfo=UTC),
        "Europe/London",
        (FDG,),
        (
            Place(
                "A", Window(420, 1140), 4 * scanners, scanners, scanners, frozenset({"paediatric"}), (Window(480, 780),)
            ),
            Place("B", Window(420, 1140), 4),
        ),
        (
            *(Scanner(f"S{n}", "A", (Window(495, 1080),)) for n in range(scanners)),
            Scanner("T0", "B", (Window(495, 1080),)),
        ),
        (
            *(
                Delivery(f"D{n}", "A", "FDG", at, at + 600, at, price_pence_per_gbq=1_000)
                for n, at in enumerate(arrivals)
            ),
            Delivery("late run", "A", "FDG", 780, 1200, 780, price_pence=15_000, price_pence_per_gbq=4_000),
            Delivery("B run", "B", "FDG", 480, 1100, 480, ordered_mbq=4_000),
        ),
        tuple(people),
    )


def planned_day(seed: int, patients: int, scanners: int, runs: int) -> tuple[Day, Plan]:
    """Everybody who fits at A, told their times; some were moved before. Two runs are ordered with a tenth to spare."""
    day = day_of(seed, patients, scanners, runs)
    at_a = replace(
        day,
        patients=tuple(replace(p, away_pence={"A": 0}) for p in day.patients),
        deliveries=tuple(replace(d, ordered_mbq=0.0) if d.ref == "late run" else d for d in day.deliveries),
    )
    plan = repair(Situation(at_a, Plan(()), NOBODY), at_a, seconds=0.1, seed=seed)
    rng = Random(seed)
    told = []
    for patient in day.patients:
        visit = plan.visit(patient.ref)
        if visit is None:
            told.append(patient)
            continue
        moves = int(rng.random() < 0.2)
        told.append(replace(patient, told=Told("A", visit.injection_min - patient.preparation_min, moves)))
    ordered = tuple(
        replace(d, ordered_mbq=plan.orders.get(d.ref, 0.0) * 1.1) if d.ref.startswith("D") else d
        for d in day.deliveries
    )
    return replace(day, patients=tuple(told), deliveries=ordered), Plan(plan.visits, {}, plan.left_out)


def situation(seed: int, patients: int, scanners: int, runs: int, failure: Failure) -> Situation:
    day, plan = planned_day(seed, patients, scanners, runs)
    rng = Random(f"who/{seed}")
    about = {
        p.ref: Circumstances(
            journey_min=rng.choice([20, 45, 90]),
            child=p.anaesthetist,
            insulin=rng.random() < 0.1,
            inpatient=rng.random() < 0.1,
            authorised_places=frozenset({"A", "B"}) if rng.random() < 0.5 else frozenset({"A"}),
            elsewhere={"B": 2_500} if rng.random() < 0.4 and not p.anaesthetist else {},
            other_day=OtherDay("Thursday 26 November, 09:20", rng.random() < 0.8) if rng.random() < 0.9 else None,
        )
        for p in day.patients
    }
    rules = Rules((LengthenRule("Dr Example", "FDG", 0.7),), TransferRule("the adviser", {("A", "B"): 15}))
    return Situation(day, plan, failure, about, rules, {"B run": 0, **{f"D{n}": 0 for n in range(3)}})

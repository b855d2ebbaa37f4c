"""Days that Hypothesis draws: small enough to try every plan, with every rule of the day somewhere in them."""

from collections.abc import Iterator
from datetime import UTC, datetime

from hypothesis import strategies as st

from gantry.domain.scheduling.check import drawn, faults, score
from gantry.domain.scheduling.problem import (
    Day,
    Delivery,
    Lock,
    Patient,
    Place,
    Plan,
    PlannedVisit,
    Scanner,
    Score,
    Steps,
    Told,
    Tracer,
    Uptake,
    Window,
    capacities,
    choices,
    holds,
)

ORIGIN = datetime(2026, 11, 23, 0, 0, tzinfo=UTC)
FDG = Tracer("FDG", 109.77)
PSMA = Tracer("PSMA", 67.71)


def patient(ref: str = "P1", **over: object) -> Patient:
    fields: dict[str, object] = {
        "ref": ref,
        "tracer": "FDG",
        "activity_mbq": 250.0,
        "uptake": Uptake(60, 60, 60),
        "scan_min": 20,
        "preparation_min": 30,
    }
    return Patient(**{**fields, **over})  # type: ignore[arg-type]


def place(ref: str = "A", **over: object) -> Place:
    fields: dict[str, object] = {
        "ref": ref,
        "opens": Window(420, 1200),
        "uptake_rooms": 4,
        "injectors": 2,
        "hot_toilets": 2,
    }
    return Place(**{**fields, **over})  # type: ignore[arg-type]


def scanner(ref: str = "S1", **over: object) -> Scanner:
    fields: dict[str, object] = {"ref": ref, "place": "A", "open": (Window(540, 1080),)}
    return Scanner(**{**fields, **over})  # type: ignore[arg-type]


def delivery(ref: str = "D1", **over: object) -> Delivery:
    fields: dict[str, object] = {
        "ref": ref,
        "place": "A",
        "tracer": "FDG",
        "arrives_min": 450,
        "expires_min": 1050,
        "reference_min": 450,
        "price_pence_per_gbq": 1000,
    }
    return Delivery(**{**fields, **over})  # type: ignore[arg-type]


def day(patients: tuple[Patient, ...] = (), **over: object) -> Day:
    fields: dict[str, object] = {
        "origin": ORIGIN,
        "zone": "Europe/London",
        "tracers": (FDG, PSMA),
        "places": (place(),),
        "scanners": (scanner(),),
        "deliveries": (delivery(),),
        "patients": patients or (patient(),),
    }
    return Day(**{**fields, **over})  # type: ignore[arg-type]


@st.composite
def patients(draw: st.DrawFn, ref: str, places: list[str], *, locks: bool) -> Patient:
    lock = None
    if locks and draw(st.integers(0, 4)) == 0:
        lock = Lock(
            place=draw(st.sampled_from([None, *places])),
            scanner=draw(st.sampled_from([None, "S1", "S2"])),
            injection_min=draw(st.sampled_from([None, 510, 540, 570])),
            delivery=draw(st.sampled_from([None, None, "D1"])),
        )
    told = None
    if draw(st.integers(0, 3)) == 0:
        told = Told(draw(st.sampled_from(places)), draw(st.sampled_from([480, 510, 540])), draw(st.integers(0, 2)))
    least = draw(st.sampled_from([30, 45, 60]))
    return Patient(
        ref=ref,
        tracer=draw(st.sampled_from(["FDG", "FDG", "FDG", "PSMA"])),
        activity_mbq=draw(st.integers(100, 400)),
        uptake=Uptake(least, least, least + draw(st.sampled_from([0, 0, 15, 30]))),
        scan_min=draw(st.sampled_from([10, 15, 17, 20, 30, 45])),
        preparation_min=draw(st.sampled_from([10, 30, 45])),
        earliest_min=draw(st.sampled_from([0, 0, 0, 495])),
        latest_min=draw(st.sampled_from([None, None, None, 500, 540])),
        limit_min=draw(st.sampled_from([None, None, 600, 630])),
        weight=draw(st.integers(1, 4)),
        needs=draw(st.sampled_from([frozenset(), frozenset(), frozenset({"contrast"}), frozenset({"paediatric"})])),
        anaesthetist=draw(st.integers(0, 5)) == 0,
        play_specialist=draw(st.integers(0, 5)) == 0,
        prefers=draw(st.sampled_from([None, None, Window(600, 630)])),
        away_pence=draw(st.sampled_from([{}, {}, dict(zip(places, (0, 700), strict=False)), {"A": 0}])),
        told=told,
        lock=lock,
    )


@st.composite
def deliveries(draw: st.DrawFn, ref: str, place_ref: str) -> Delivery:
    least = draw(st.sampled_from([0.0, 0.0, 300.0, 900.0]))
    return Delivery(
        ref=ref,
        place=place_ref,
        tracer=draw(st.sampled_from(["FDG", "FDG", "PSMA"])),
        arrives_min=draw(st.sampled_from([480, 490, 525])),
        expires_min=draw(st.sampled_from([530, 570, 600])),
        reference_min=draw(st.sampled_from([420, 480, 540])),
        ordered_mbq=draw(st.sampled_from([None, None, None, 400.0, 700.0])),
        least_mbq=least,
        most_mbq=draw(st.sampled_from([None, None, least + 450.0])),
        price_pence=draw(st.sampled_from([0, 0, 200, 3000])),
        price_pence_per_gbq=draw(st.sampled_from([0, 1000, 4000])),
    )


@st.composite
def days(draw: st.DrawFn, *, most_patients: int = 3, grid: tuple[int, ...] = (15, 30), locks: bool = True) -> Day:
    places = draw(st.sampled_from([["A"], ["A"], ["A", "B"]]))
    return Day(
        origin=ORIGIN,
        zone="Europe/London",
        tracers=(FDG, PSMA),
        places=tuple(
            Place(
                ref,
                Window(450, draw(st.sampled_from([660, 700]))),
                uptake_rooms=draw(st.integers(1, 3)),
                injectors=draw(st.integers(1, 2)),
                hot_toilets=draw(st.integers(1, 2)),
                capabilities=draw(st.sampled_from([frozenset(), frozenset({"paediatric"})])),
                anaesthetist=draw(st.sampled_from([(), (Window(500, 640),)])),
                play_specialist=draw(st.sampled_from([(), (Window(450, 560), Window(560, 700))])),
                play_specialists=draw(st.sampled_from([1, 1, 2])),
                overtime_from_min=draw(st.sampled_from([None, 600, 620])),
            )
            for ref in places
        ),
        scanners=tuple(
            Scanner(
                f"S{number}",
                draw(st.sampled_from(places)),
                draw(st.sampled_from([(Window(540, 690),), (Window(540, 690),), (Window(545, 590), Window(605, 690))])),
                draw(st.sampled_from([frozenset({"contrast"}), frozenset({"contrast"}), frozenset()])),
                draw(st.sampled_from([0, 0, 5, 7])),
            )
            for number in range(1, 1 + draw(st.integers(1, 3)))
        ),
        deliveries=tuple(
            draw(deliveries(f"D{number}", draw(st.sampled_from(places))))
            for number in range(1, 1 + draw(st.integers(1, 3)))
        ),
        patients=tuple(
            draw(patients(f"P{number}", places, locks=locks))
            for number in range(1, 1 + draw(st.integers(1, most_patients)))
        ),
        steps=draw(st.sampled_from([Steps(), Steps(30, 10, 7, 15), Steps(30, 10, 5, 10, room_until_min=0)])),
        grid_min=draw(st.sampled_from(grid)),
        loss_percent=draw(st.sampled_from([0.0, 5.0])),
        waste_pence_per_gbq=draw(st.sampled_from([0, 3000])),
    )


def ordered(of_day: Day, visits: tuple[PlannedVisit, ...]) -> Plan:
    """A plan that orders no more than it draws, or the least that can be ordered."""
    bare = Plan(visits)
    used = {v.delivery for v in visits}
    left_out = {p.ref: "tried without" for p in of_day.patients if bare.visit(p.ref) is None}
    orders = {
        d.ref: max(d.least_mbq, drawn(of_day, bare, d))
        for d in of_day.deliveries
        if d.ref in used and d.ordered_mbq is None
    }
    return Plan(visits, orders, left_out)


def every_plan(of_day: Day) -> Iterator[Plan]:
    """Each patient left out or at any allowed visit; what the checker faults is no plan."""
    limits = capacities(of_day)
    options = [[*choices(of_day, p)] for p in of_day.patients]
    taken: dict[tuple[str, int], int] = {}

    def extended(number: int, visits: tuple[PlannedVisit, ...]) -> Iterator[tuple[PlannedVisit, ...]]:
        if number == len(options):
            yield visits
            return
        if of_day.patients[number].lock is None:
            yield from extended(number + 1, visits)
        for visit in options[number]:
            cells = [
                (h.resource, minute)
                for h in holds(of_day, of_day.patients[number], visit)
                for minute in range(h.start, h.end)
            ]
            for cell in cells:
                taken[cell] = taken.get(cell, 0) + 1
            if all(taken[cell] <= limits[cell[0]] for cell in cells):
                yield from extended(number + 1, (*visits, visit))
            for cell in cells:
                taken[cell] -= 1

    for visits in extended(0, ()):
        plan = ordered(of_day, visits)
        if not faults(of_day, plan):
            yield plan


def number_of_plans(of_day: Day) -> int:
    total = 1
    for one in of_day.patients:
        total *= 1 + sum(1 for _ in choices(of_day, one))
    return total


def best_of_every(of_day: Day) -> Score | None:
    return min((score(of_day, plan) for plan in every_plan(of_day)), default=None)

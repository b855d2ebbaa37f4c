"""The day plan: the checker finds nothing, every plan that can be tried is no better, and the proof holds by itself."""

from dataclasses import astuple, replace
from math import exp2
from random import Random
from time import perf_counter

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings

from benchmarks.days import Instance, realistic
from gantry.domain.scheduling.certificate import Certificate, bound, uncovered
from gantry.domain.scheduling.check import faults, score
from gantry.domain.scheduling.problem import Day, Lock, Plan, Told, Uptake, Window
from gantry.solvers import day_plan
from gantry.solvers.day_plan import Infeasible, Planned, Stage, Unfinished, plan_day
from gantry.solvers.day_plan.activity import too_dear
from gantry.solvers.day_plan.branching import in_part, torn_counts, torn_draws, torn_starts
from gantry.solvers.day_plan.columns import columns_of
from gantry.solvers.day_plan.packing import Packing
from gantry.solvers.day_plan.places import as_columns
from gantry.solvers.day_plan.relaxation import Branch, Relaxation
from tests.solvers.drawn_days import (
    PSMA,
    best_of_every,
    day,
    days,
    delivery,
    every_plan,
    number_of_plans,
    patient,
    place,
    scanner,
)

SLOW = settings(
    deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much]
)


def planned(of_day: Day, seconds: float = 30.0) -> Planned:
    found = plan_day(of_day, seconds=seconds)
    assert isinstance(found, Planned), found
    return found


@given(days(most_patients=8, grid=(5,)))
@settings(SLOW, max_examples=60)
def test_a_plan_can_be_carried_out_and_its_proof_holds(drawn_day):
    found = plan_day(drawn_day)
    if isinstance(found, Infeasible):
        assert found.reasons
        return
    assert isinstance(found, Planned)
    assert faults(drawn_day, found.plan) == []
    assert found.score == score(drawn_day, found.plan)
    assert set(found.plan.left_out) | {v.patient for v in found.plan.visits} == {p.ref for p in drawn_day.patients}
    proof = bound(drawn_day, found.certificate)
    assert proof == pytest.approx(found.bound, abs=1e-5) or proof > found.bound
    assert proof <= found.score.activity_pence + 1e-3
    assert found.score.activity_pence - proof <= found.gap * max(1, found.score.activity_pence) + 1e-3


@given(days())
@settings(SLOW, max_examples=150)
def test_every_plan_that_can_be_tried_is_no_better(drawn_day):
    assume(1 < number_of_plans(drawn_day) <= 6000)
    found, best = plan_day(drawn_day), best_of_every(drawn_day)
    if best is None:
        assert isinstance(found, Infeasible)
        return
    assert isinstance(found, Planned)
    assert found.proved == frozenset(Stage)
    assert found.score.unscanned_weight == best.unscanned_weight
    assert found.score.moved == best.moved
    assert found.score.activity_pence == pytest.approx(best.activity_pence, abs=1e-3)
    assert found.score.overtime_min == best.overtime_min
    assert found.score.waiting_min == best.waiting_min
    assert found.score.staff_dose == pytest.approx(best.staff_dose, abs=0.01)


@given(days(locks=False))
@settings(SLOW, max_examples=60)
def test_columns_are_the_choices_of_the_domain(drawn_day):
    from gantry.domain.scheduling.problem import choices, in_time, moved

    columns = columns_of(drawn_day)
    mine = set()
    for column in range(columns.count):
        visit = columns.one(column)
        mine |= {replace(visit, scanner=s.ref) for s in columns.groups[columns.group[column]]}
        person, source = drawn_day.patient(visit.patient), drawn_day.delivery(visit.delivery)
        assert columns.drawn[column] == pytest.approx(drawn_day.drawn_mbq(person, visit.injection_min, source))
        assert bool(columns.in_time[column]) == in_time(person, visit)
        assert bool(columns.moves[column]) == moved(drawn_day, person, visit)
    assert mine == {visit for p in drawn_day.patients for visit in choices(drawn_day, p)}


def rushed(number: int, **over: object):
    """People who must all come at once: whatever is scarce then decides."""
    return tuple(patient(f"P{n}", earliest_min=480, latest_min=480, **over) for n in range(1, number + 1))


LIKE = (scanner("S1"), scanner("S2"))
FORBIDS = {
    "scanner": (day(rushed(2), scanners=LIKE), {"scanners": (scanner("S1"),)}),
    "uptake room": (day(rushed(2), scanners=LIKE), {"places": (place(uptake_rooms=1),)}),
    "injector": (day(rushed(2), scanners=LIKE), {"places": (place(injectors=1),)}),
    "hot toilet": (day(rushed(2), scanners=LIKE), {"places": (place(hot_toilets=1),)}),
    "cleaning": (
        day(tuple(patient(f"P{n}", earliest_min=460 + 20 * n, latest_min=460 + 20 * n) for n in (1, 2))),
        {"scanners": (scanner(turnaround_min=10),)},
    ),
    "scanner's hours": (day(rushed(1)), {"scanners": (scanner(open=(Window(620, 1080),)),)}),
    "place's hours": (day(rushed(1)), {"places": (place(opens=Window(420, 590)),)}),
    "capability": (
        day((patient(needs=frozenset({"contrast"})),), scanners=(scanner(capabilities=frozenset({"contrast"})),)),
        {"scanners": (scanner(),)},
    ),
    "anaesthetist": (
        day((patient(anaesthetist=True),), places=(place(anaesthetist=(Window(540, 700),)),)),
        {"places": (place(),)},
    ),
    "play specialist": (
        day((patient(play_specialist=True),), places=(place(play_specialist=(Window(450, 700),)),)),
        {"places": (place(),)},
    ),
    "one anaesthetist": (
        day(
            rushed(2, anaesthetist=True),
            scanners=LIKE,
            places=(place("A", anaesthetist=(Window(540, 700),)), place("B", anaesthetist=(Window(540, 700),))),
            deliveries=(delivery(), delivery("D2", place="B")),
        ),
        None,
    ),
    "expiry": (day(rushed(1)), {"deliveries": (delivery(expires_min=500),)}),
    "arrival of the delivery": (day(rushed(1)), {"deliveries": (delivery(arrives_min=600),)}),
    "largest order": (day(rushed(2), scanners=LIKE), {"deliveries": (delivery(most_mbq=500.0),)}),
    "activity ordered": (day(rushed(2), scanners=LIKE), {"deliveries": (delivery(ordered_mbq=500.0),)}),
    "tracer": (day(rushed(1)), {"deliveries": (delivery(tracer=PSMA.code),)}),
    "where the patient can go": (day((patient(),)), {"patients": (patient(away_pence={"B": 1}),)}),
}


@pytest.mark.parametrize("rule", FORBIDS)
def test_each_rule_can_forbid(rule):
    free, tightened = FORBIDS[rule]
    if tightened is None:
        assert planned(free).score.unscanned_weight == 1
        return
    assert planned(free).score.unscanned_weight == 0
    tight = replace(free, **tightened)
    assert planned(tight).score.unscanned_weight > 0
    assert faults(tight, planned(tight).plan) == []
    assert all(planned(tight).plan.left_out.values())


def test_two_anaesthetists_can_work_at_once():
    of_day = day(
        rushed(2, anaesthetist=True), scanners=LIKE, places=(place(anaesthetist=(Window(540, 700),), anaesthetists=2),)
    )
    found = planned(of_day)
    assert found.score.unscanned_weight == 0
    assert bound(of_day, found.certificate) == pytest.approx(found.bound)
    one = replace(of_day, places=(replace(of_day.places[0], anaesthetists=1),))
    assert planned(one).score.unscanned_weight == 1


@pytest.mark.parametrize("rule", ["one_visit_each", "resources_suffice", "activity_suffices"])
def test_a_packing_without_one_of_its_rules_is_caught(rule, monkeypatch):
    """Every row of the packing is needed: without it a plan comes out that the checker or the brute force refuses."""
    monkeypatch.setattr(Packing, rule, lambda self: None)
    chance = Random(5)
    caught = False
    for _ in range(12):
        people = tuple(
            patient(f"P{n}", activity_mbq=chance.randint(100, 400), scan_min=chance.choice([15, 20, 30]))
            for n in range(6)
        )
        dear = delivery("D2", price_pence_per_gbq=4000)
        of_day = day(people, deliveries=(delivery(most_mbq=900.0), dear), places=(place(uptake_rooms=2),))
        try:
            found = plan_day(of_day, seconds=5)
        except (ValueError, KeyError):
            caught = True
            break
        if not isinstance(found, Planned) or faults(of_day, found.plan):
            caught = True
            break
    assert caught


def by_exponential_cost(of_day: Day) -> list[str]:
    """One scanner, no side constraints: what order draws the least activity?

    With scans back to back, of two neighbours j, k from minute s, j first costs q_j·2^(s/T) + q_k·2^((s+p_j)/T); k first
    the other way round. j first is cheaper exactly if q_j / (2^(p_j/T) − 1) is larger: the mirror, for costs that grow with
    time, of the exponential-cost rule of M. H. Rothkopf, Scheduling independent tasks on parallel processors, Management
    Science 12(5), 1966, 437–447.
    """
    half_life = of_day.tracers[0].half_life_min
    return [
        p.ref
        for p in sorted(
            of_day.patients, key=lambda p: p.activity_mbq / (exp2(p.scan_min / half_life) - 1), reverse=True
        )
    ]


@pytest.mark.parametrize("seed", range(6))
def test_one_scanner_alone_follows_the_exponential_cost_rule(seed):
    chance = Random(seed)
    people = tuple(
        patient(f"P{n}", activity_mbq=100 + 7.3 * n + chance.random() * 300, scan_min=5 * chance.randint(2, 7))
        for n in range(9)
    )
    of_day = day(
        people,
        places=(place(uptake_rooms=20, injectors=20, hot_toilets=20),),
        deliveries=(delivery(arrives_min=480, reference_min=480),),
    )
    found = planned(of_day)
    assert found.score.unscanned_weight == 0
    assert [v.patient for v in sorted(found.plan.visits, key=lambda v: v.scan_min)] == by_exponential_cost(of_day)
    assert found.gap <= 1e-4


def test_a_told_patient_is_moved_only_for_somebody_who_would_be_left_out():
    told = patient("P1", told=Told("A", 450), activity_mbq=400)
    of_day = day((told, patient("P2", latest_min=450, earliest_min=450)), places=(place(injectors=1),))
    assert planned(of_day).score.unscanned_weight == 0
    assert planned(of_day).score.moved == 1
    alone = day((told, patient("P2")))
    assert planned(alone).score.moved == 0


def test_who_was_moved_before_is_moved_last():
    people = (
        patient("P1", told=Told("A", 450, moves_before=2)),
        patient("P2", told=Told("A", 450)),
    )
    found = planned(day(people, places=(place(injectors=1),)))
    assert found.score.moved == 1
    first = found.plan.visit("P1")
    assert first is not None and first.injection_min == 480


def test_a_second_run_is_used_only_when_it_pays():
    people = tuple(patient(f"P{n}", scan_min=30) for n in range(8))
    second = delivery("D2", arrives_min=600, reference_min=600, price_pence=100)
    of_day = day(people, deliveries=(delivery(), second))
    assert "D2" in planned(of_day).plan.orders
    dear = replace(of_day, deliveries=(delivery(), replace(second, price_pence=100_000)))
    assert "D2" not in planned(dear).plan.orders


def test_a_least_order_is_paid_for_in_full():
    found = planned(day((patient(activity_mbq=100),), deliveries=(delivery(least_mbq=2000.0),)))
    assert found.plan.orders == {"D1": 2000.0}
    assert found.score.activity_pence == pytest.approx(2000)


def test_what_is_ordered_already_is_used_before_it_is_wasted():
    ordered, other = delivery("D1", ordered_mbq=2000.0), delivery("D2", price_pence_per_gbq=1)
    of_day = day((patient(),), deliveries=(ordered, other), waste_pence_per_gbq=5000)
    assert {v.delivery for v in planned(of_day).plan.visits} == {"D1"}
    assert {v.delivery for v in planned(replace(of_day, waste_pence_per_gbq=0)).plan.visits} == {"D1"}


def test_a_lock_is_kept_whatever_it_costs():
    locked = patient("P1", lock=Lock(scanner="S2", injection_min=900))
    found = planned(day((locked, patient("P2")), scanners=LIKE))
    visit = found.plan.visit("P1")
    assert visit is not None and (visit.scanner, visit.injection_min) == ("S2", 900)


def test_a_locked_patient_past_the_limit_is_still_planned():
    locked = patient("P1", limit_min=600, lock=Lock(injection_min=900))
    found = planned(day((locked, patient("P2"))))
    assert found.plan.visit("P1") is not None
    assert found.score.unscanned_weight == 1


def test_locks_that_contradict_are_named_and_only_they():
    people = (
        patient("P1", lock=Lock(scanner="S1", injection_min=600)),
        patient("P2", lock=Lock(injection_min=700)),
        patient("P3", lock=Lock(scanner="S1", injection_min=610)),
        patient("P4"),
    )
    found = plan_day(day(people, scanners=LIKE))
    assert isinstance(found, Infeasible)
    assert found.reasons == (
        "P1 is locked on S1, to injection at 10:00",
        "P3 is locked on S1, to injection at 10:10",
    )


def test_a_lock_that_nothing_allows_stands_alone():
    people = (patient("P1", lock=Lock(injection_min=60)), patient("P2", lock=Lock(injection_min=600)))
    found = plan_day(day(people))
    assert isinstance(found, Infeasible)
    assert len(found.reasons) == 1
    assert "P1 is locked to injection at 01:00" in found.reasons[0]


def test_locks_that_draw_more_than_there_is_contradict():
    people = tuple(patient(f"P{n}", lock=Lock(delivery="D1")) for n in range(4))
    found = plan_day(day(people, deliveries=(delivery(most_mbq=800.0), delivery("D2"))))
    assert isinstance(found, Infeasible)
    assert len(found.reasons) == 3


def test_locks_that_stand_in_each_others_way_are_kept_together_before_anybody_else():
    people = tuple(
        patient(f"P{n}", lock=Lock(injection_min=540 + 5 * n), uptake=Uptake(60, 60, 60 + 15 * n)) for n in range(4)
    )
    columns = columns_of(day((*people, patient("P9"))))
    kept = day_plan.locked_together(columns, perf_counter() + 30, 0)
    assert day_plan.kept_locks(columns, kept) == len(kept) == 4
    filled = day_plan.greedy(columns, kept)
    assert set(kept) < set(filled)
    assert len(filled) == 5
    clash = columns_of(day(tuple(replace(p, uptake=Uptake(60, 60, 60)) for p in people)))
    assert day_plan.locked_together(clash, perf_counter() + 30, 0) == ()


def test_an_empty_day_is_a_plan():
    found = planned(day((patient(tracer=PSMA.code),)))
    assert found.plan == Plan((), {}, {"P1": "No delivery of PSMA goes where the patient can be scanned"})
    assert found.proved == frozenset(Stage)
    assert bound(day((patient(tracer=PSMA.code),)), found.certificate) == 0


def test_the_same_day_and_seed_give_the_same_plan():
    of_day = day(tuple(patient(f"P{n}", activity_mbq=200 + 10 * n) for n in range(12)), scanners=LIKE)
    assert plan_day(of_day, seed=3) == plan_day(of_day, seed=3)


def test_out_of_time_a_plan_is_still_a_plan():
    people = tuple(patient(f"P{n}", uptake=Uptake(50, 60, 70), scan_min=20 + n % 3) for n in range(40))
    of_day = day(people, scanners=LIKE, deliveries=(delivery(most_mbq=9000.0, price_pence=5000),))
    found = plan_day(of_day, seconds=0.0)
    assert isinstance(found, Planned)
    assert faults(of_day, found.plan) == []
    assert bound(of_day, found.certificate) <= found.score.activity_pence + 1e-3
    # What is not proved is not said to be: a plan with more time is better.
    assert Stage.ACTIVITY not in found.proved


def test_out_of_time_with_locks_nothing_is_claimed(monkeypatch):
    people = (patient("P1", lock=Lock()), patient("P2", lock=Lock()))
    monkeypatch.setattr(day_plan, "greedy", lambda columns, first=(): ())
    found = plan_day(day(people), seconds=0.0)
    assert isinstance(found, Planned | Unfinished)


def test_a_dominated_visit_is_not_missed():
    """Two runs that nothing limits: the columns left are the cheaper ones, and what is scarce is never left out."""
    runs = (delivery(), delivery("D2", arrives_min=600, reference_min=600), delivery("D3", most_mbq=500.0))
    columns = columns_of(day((patient(),), deliveries=runs))
    left = columns.undominated()
    scarce, late = columns.delivery == 2, (columns.delivery != 2) & (columns.injection >= 600)
    assert (left.delivery == 2).sum() == scarce.sum()
    assert set(left.delivery[(left.delivery != 2) & (left.injection >= 600)]) == {1}
    assert late.sum() == 2 * ((left.delivery == 1) & (left.injection >= 600)).sum()


def test_rows_met_by_search_are_those_that_hold():
    columns = columns_of(day((patient(scan_min=17), patient("P2", anaesthetist=False)), scanners=LIKE))
    few = np.arange(0, columns.count, 7)
    resources, minutes = np.array([0, 1, 0, 2, 3]), np.array([560, 500, 700, 505, 650])
    met = set(zip(*(each.tolist() for each in columns.meeting(few, resources, minutes)), strict=True))
    held = {
        (place, row)
        for place, column in enumerate(few)
        for row in range(len(resources))
        for kind in range(len(columns.resource))
        if columns.resource[kind, column] == resources[row]
        and columns.starts[kind, column] <= minutes[row] < columns.ends[kind, column]
    }
    assert met == held
    assert met


def test_a_day_of_very_many_visits_is_planned_near_its_proof(monkeypatch):
    """The way of weeks, on a day: fewer first guesses, a packing of the likeliest, and no claim that it is the best."""
    of_day = day(tuple(patient(f"P{n}", activity_mbq=200 + 11 * n, scan_min=15 + 5 * (n % 3)) for n in range(14)))
    best = planned(of_day)
    for module in ("activity", "relaxation", ""):
        monkeypatch.setattr(f"gantry.solvers.day_plan{module and '.' + module}.MANY_COLUMNS", 100)
    monkeypatch.setattr("gantry.solvers.day_plan.activity.MANY", 10)
    found = planned(of_day)
    assert faults(of_day, found.plan) == []
    assert found.score.unscanned_weight == best.score.unscanned_weight
    assert bound(of_day, found.certificate) == pytest.approx(found.bound)
    assert found.bound <= best.score.activity_pence + 1e-3
    assert best.score.activity_pence - 1e-3 <= found.score.activity_pence <= 1.02 * best.score.activity_pence


def test_where_fractions_leave_a_gap_splitting_starts_closes_it():
    """A published day whose one relaxation stops 0.3 % below the best plan: early and late halves of one scan."""
    of_day = realistic(Instance("uncapped", 12, 1, 1, 0))
    found = planned(of_day)
    assert Stage.ACTIVITY in found.proved
    assert found.gap <= 1e-4
    assert any(prices.starts for prices in found.certificate.prices)
    assert bound(of_day, found.certificate) == pytest.approx(found.bound)
    one = replace(found.certificate, prices=found.certificate.prices[:1])
    assert bound(of_day, one) == float("-inf")


def test_each_way_of_splitting_raises_the_bound_and_leaves_nothing_unspoken():
    of_day = realistic(Instance("capped", 20, 1, 2, 2))
    columns = columns_of(of_day).undominated()
    relaxation = Relaxation(columns, perf_counter() + 60, 0)
    reached = day_plan.first_reach(columns, relaxation)
    relaxation.ask(reached.value, reached.moves)
    relaxation.price(columns.pence, too_dear(columns), too_dear(columns), fixed=True)
    root = relaxation.solve(Branch())
    raised = set()
    for torn in (in_part, torn_starts, torn_draws, torn_counts):
        for ones, others in torn(columns, root)[:2]:
            parts = [relaxation.solve(ones), relaxation.solve(others)]
            assert min(part.bound for part in parts) >= root.bound - 1e-6
            raised |= {torn.__name__} if max(part.bound for part in parts) > root.bound + 1e-6 else set()
            proof = Certificate(reached.value, reached.moves, tuple(part.prices for part in parts))
            runs = frozenset(d.ref for d in of_day.deliveries)
            whole = replace(proof, prices=tuple(replace(each, perhaps=runs - each.runs) for each in proof.prices))
            assert uncovered(of_day, whole) is None
            assert bound(of_day, proof) == pytest.approx(min(part.bound for part in parts))
    assert raised == {"in_part", "torn_starts", "torn_draws", "torn_counts"}


def test_what_stands_of_a_plan_from_before_is_begun_with():
    """With no time at all the plan in hand is kept, and one who can no longer come does not bind anybody."""
    of_day = realistic(Instance("capped", 20, 2, 2, 1))
    before = planned(of_day, 60.0).plan
    at_once, again = plan_day(of_day, seconds=0.0), plan_day(of_day, seconds=0.0, before=before)
    assert isinstance(at_once, Planned) and isinstance(again, Planned)
    assert astuple(again.score) <= astuple(score(of_day, before)) < astuple(at_once.score)
    gone = before.visits[len(before.visits) // 2].patient
    fewer = replace(of_day, patients=tuple(p for p in of_day.patients if p.ref != gone), scanners=of_day.scanners[:1])
    later = plan_day(fewer, seconds=2.0, before=before)
    assert isinstance(later, Planned)
    assert faults(fewer, later.plan) == []


def test_how_much_is_scanned_is_proved_where_activity_is_short():
    """The programme's floor is above what any plan reaches: splitting it over how many draw on a run says so."""
    columns = columns_of(realistic(Instance("capped", 16, 1, 2, 0))).undominated()
    scarce = replace(columns, day=replace(columns.day, deliveries=tuple(
        replace(d, most_mbq=1500.0) for d in columns.day.deliveries
    )))  # fmt: skip
    relaxation = Relaxation(scarce, perf_counter() + 60, 0)
    reached = day_plan.first_reach(scarce, relaxation)
    settled = day_plan.exact_reach(scarce, reached, deadline=perf_counter() + 30, seed=0)
    assert reached.columns is not None
    assert reached.score == reached.top == settled.score == settled.top


def test_a_week_is_shared_out_and_each_place_planned_by_itself(monkeypatch):
    people = tuple(
        patient(f"P{n:02}", activity_mbq=180 + 17 * (n * 7 % 20), scan_min=20 + 5 * (n % 3), away_pence=away)
        for n, away in enumerate([{"A": 0, "B": 60}, {"A": 60, "B": 0}, {"B": 0}] * 6)
    )
    of_day = day(
        people,
        places=(place("A"), place("B")),
        scanners=(scanner(), scanner("S2", place="B")),
        deliveries=(delivery(), delivery("D2", place="B", price_pence=500)),
    )
    best = planned(of_day)
    monkeypatch.setattr(day_plan, "MANY_COLUMNS", 100)
    shared = planned(of_day)
    assert faults(of_day, shared.plan) == []
    assert shared.score == best.score
    put_together = []
    monkeypatch.setattr(day_plan, "as_columns", lambda *each: put_together.append(as_columns(*each)) or [])
    assert planned(of_day).score == best.score, "a sharing out that loses people is not used"
    assert sum(map(len, put_together)) == len(people)


def test_brute_force_is_not_vacuous():
    of_day = day(rushed(2), scanners=LIKE, grid_min=30)
    assert len(list(every_plan(of_day))) > 4

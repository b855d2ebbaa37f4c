"""A day, its judge and its proof: each rule says in words what it found, and a proof that proves nothing is seen."""

from dataclasses import replace
from datetime import datetime
from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gantry.domain.scheduling.certificate import (
    Certificate,
    Choice,
    Extent,
    Prices,
    Takers,
    Visits,
    bound,
    extent,
    one_bound,
    uncovered,
    unspoken,
)
from gantry.domain.scheduling.check import faults, score, waiting_min
from gantry.domain.scheduling.problem import (
    Day,
    Lock,
    Plan,
    PlannedVisit,
    Told,
    Uptake,
    Window,
    choices,
    holds,
    locked_in_words,
    why_left_out,
    why_not_visit,
)
from tests.solvers.drawn_days import PSMA, day, delivery, patient, place, scanner

VISIT = PlannedVisit("P1", "S1", "D1", 480, 60)


def plan(*visits: PlannedVisit, **over: object) -> Plan:
    fields: dict[str, object] = {"visits": visits, "orders": {"D1": 5000.0}}
    return Plan(**{**fields, **over})  # type: ignore[arg-type]


def test_a_good_plan_has_no_faults():
    assert faults(day(), plan(VISIT)) == []


@pytest.mark.parametrize(
    ("of_day", "visit", "said"),
    [
        (day(places=(place(), place("B")), deliveries=(delivery(place="B"),)), VISIT, "D1 goes to B, not A"),
        (day(deliveries=(delivery(tracer="PSMA"),)), VISIT, "D1 is PSMA; P1 is to have FDG"),
        (day(deliveries=(delivery(expires_min=470),)), VISIT, "D1 cannot be injected at minute 480"),
        (day(), replace(VISIT, injection_min=481), "P1 is off the 5-minute grid"),
        (day(), replace(VISIT, uptake_min=65), "P1: an uptake of 65 minutes is outside the protocol's"),
        (day(scanners=(scanner(open=()),)), VISIT, "S1 is not open for the scan of P1"),
        (day((patient(earliest_min=500),)), VISIT, "P1 cannot come so early"),
        (day((patient(latest_min=440),)), VISIT, "P1 cannot come so late"),
        (day(places=(place(opens=Window(420, 560)),)), VISIT, "P1 would leave after A closes"),
        (day((patient(needs=frozenset({"hoist"})),)), VISIT, "P1 needs hoist"),
        (day((patient(away_pence={"B": 1}),)), VISIT, "P1 cannot go to A"),
        (day((patient(anaesthetist=True),)), VISIT, "No anaesthetist is there for P1"),
        (day((patient(play_specialist=True),)), VISIT, "No play specialist is there for P1"),
        (day((patient(lock=Lock(injection_min=500)),)), VISIT, "P1 is locked elsewhere"),
    ],
)
def test_each_rule_of_a_visit_says_what_it_found(of_day, visit, said):
    assert said in list(why_not_visit(of_day, of_day.patients[0], visit))
    assert said in faults(of_day, plan(visit))


TWO = day((patient("P1"), patient("P2")), scanners=(scanner("S1"), scanner("S2")))
SECOND = PlannedVisit("P2", "S2", "D1", 485, 60)


@pytest.mark.parametrize(
    ("of_day", "given", "said"),
    [
        (day(), plan(replace(VISIT, patient="P9")), "P9 is not a patient of this day"),
        (day(), plan(VISIT, VISIT), "P1 is planned twice"),
        (day(), plan(replace(VISIT, scanner="S9")), "S9 is not a scanner of this day"),
        (day(), plan(replace(VISIT, delivery="D9")), "D9 is not a delivery of this day"),
        (TWO, plan(VISIT), "P2 is neither planned nor left out with a reason"),
        (day(), plan(VISIT, left_out={"P1": "why"}), "P1 is both planned and left out"),
        (day(), plan(VISIT, orders={"D1": 10.0}), "D1 holds 10.0 MBq at its reference time and the plan draws 302.1"),
        (day(), plan(VISIT, orders={"D1": 500.0, "D9": 1.0}), "D9 is not a delivery that can still be ordered"),
        (
            day(deliveries=(delivery(most_mbq=400.0),)),
            plan(VISIT, orders={"D1": 500.0}),
            "D1 cannot be ordered at 500.0 MBq: the most is 400.0",
        ),
        (
            day(deliveries=(delivery(least_mbq=600.0),)),
            plan(VISIT, orders={"D1": 500.0}),
            "D1 cannot be ordered at 500.0 MBq: the least is 600.0",
        ),
        (
            TWO,
            plan(VISIT, replace(SECOND, scanner="S1")),
            "P1, P2 need the scanner of S1 at once at minute 545",
        ),
        (
            replace(TWO, places=(place(uptake_rooms=1),)),
            plan(VISIT, SECOND),
            "P1, P2 need the room of A at once at minute 465",
        ),
    ],
)
def test_each_rule_of_a_plan_says_what_it_found(of_day, given, said):
    assert said in faults(of_day, given)


def test_two_on_two_scanners_are_no_fault():
    assert faults(TWO, plan(VISIT, SECOND)) == []
    runs = replace(TWO, deliveries=(delivery(), delivery("D2")))
    assert faults(runs, plan(VISIT, SECOND, orders={"D1": 5000.0, "D2": 0.0})) == []


def test_a_visit_holds_what_it_takes():
    one = patient(anaesthetist=True, play_specialist=True)
    held = {h.resource: (h.start, h.end) for h in holds(day((one,)), one, VISIT)}
    assert held == {
        "scanner:S1": (540, 560),
        "room:A": (460, 535),
        "injector:A": (480, 485),
        "toilet:A": (535, 540),
        "anaesthetist:A": (540, 570),
        "play:A": (450, 540),
    }
    at_once = patient(uptake=Uptake(0, 0, 5))
    assert "toilet:A" not in {h.resource for h in holds(day((at_once,)), at_once, replace(VISIT, uptake_min=0))}


def test_a_score_counts_what_it_says():
    people = (
        patient("P1", told=Told("A", 460, 2), limit_min=530, weight=3, away_pence={"A": 70}),
        patient("P2", prefers=Window(600, 620), uptake=Uptake(55, 60, 70)),
        patient("P3", weight=2),
    )
    of_day = day(
        people,
        places=(place(overtime_from_min=550),),
        deliveries=(delivery(price_pence=500), delivery("D2", ordered_mbq=1000.0), delivery("D3", price_pence=900)),
        waste_pence_per_gbq=2000,
    )
    given = plan(VISIT, PlannedVisit("P2", "S1", "D2", 500, 70), orders={"D1": 400.0}, left_out={"P3": "no time"})
    reached = score(of_day, given)
    taken = of_day.drawn_mbq(people[1], 500, of_day.delivery("D2"))
    assert (reached.unscanned_weight, reached.moved) == (5, 3)
    assert reached.activity_pence == pytest.approx(500 + 400 + 70 + (1000 - taken) * 2, abs=1e-3)
    assert (reached.overtime_min, reached.waiting_min) == (40, 40)
    assert reached.staff_dose > 0
    assert waiting_min(of_day, people[1], PlannedVisit("P2", "S1", "D2", 600, 60)) == 40
    assert score(replace(of_day, places=(place(),)), given).overtime_min == 0


def test_a_lock_in_words():
    assert locked_in_words(day(), patient()) == ""
    assert locked_in_words(day(), patient(lock=Lock())) == "P1 is locked into the day"
    full = patient(lock=Lock("A", "S1", 605, "D1"))
    assert locked_in_words(day(), full) == "P1 is locked at A, on S1, to injection at 10:05, to D1"
    assert day().clock(605 + 1440) == "24 Nov 10:05"


@pytest.mark.parametrize(
    ("of_day", "said"),
    [
        (day(scanners=()), "There is no scanner"),
        (day((patient(needs=frozenset({"hoist"})),)), "No scanner offers hoist"),
        (day((patient(away_pence={"B": 1}),)), "No scanner that suits is at a place the patient can go to"),
        (day((patient(tracer=PSMA.code),)), "No delivery of PSMA goes where the patient can be scanned"),
        (
            day((patient(lock=Lock(injection_min=60)),)),
            "P1 is locked to injection at 01:00, which the day does not allow",
        ),
        (day((patient(anaesthetist=True),)), "No anaesthetic session holds the scan"),
        (day((patient(play_specialist=True),)), "No play specialist's session holds the visit"),
        (
            day((patient(latest_min=100),)),
            "No injection fits the patient's hours, the delivery and the scanner's hours together",
        ),
        (day((patient(limit_min=100),)), "Every time that is possible is after the clinical limit"),
        (
            day(),
            "Every time that is possible, injections from 08:00 to 16:40, would displace patients who together count "
            "for at least as much, or draw activity that is not there",
        ),
    ],
)
def test_why_a_patient_is_left_out(of_day, said):
    assert why_left_out(of_day, of_day.patients[0]) == said


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: Window(2, 1),
        lambda: Uptake(60, 50, 70),
        lambda: patient(scan_min=0),
        lambda: day((patient(), patient())),
        lambda: day(origin=datetime(2026, 11, 23)),  # noqa: DTZ001
        lambda: delivery(price_pence=-1),
        lambda: delivery(least_mbq=5.0, most_mbq=4.0),
    ],
)
def test_what_cannot_be_is_not_built(wrong):
    with pytest.raises(ValueError):
        wrong()


def test_minutes_and_instants_are_the_same_thing():
    assert day().minute(day().at(605)) == 605


# Proofs


def test_without_prices_each_patient_takes_the_cheapest():
    assert bound(day(), Certificate(0, 0, (Prices(frozenset()),))) == 0
    locked = day((patient(lock=Lock()),))
    least = min(
        locked.drawn_mbq(locked.patients[0], v.injection_min, delivery()) for v in choices(locked, locked.patients[0])
    )
    assert bound(locked, Certificate(1, 0, (Prices(frozenset()),))) == pytest.approx(least)


def every(of_day: Day) -> Visits:
    return [(p, tuple(choices(of_day, p))) for p in of_day.patients]


def test_paying_for_value_moves_the_bound_up_to_the_truth():
    of_day = day((patient(told=Told("A", 450)), patient("P2")))
    cheapest = min(
        of_day.drawn_mbq(of_day.patients[1], v.injection_min, delivery()) for v in choices(of_day, of_day.patients[1])
    )
    proof = Certificate(2, 0, (Prices(frozenset(), value=5000, move=100000),))
    assert bound(of_day, proof) == pytest.approx(2 * cheapest)


def test_a_price_of_a_minute_is_charged_to_whom_it_meets_and_paid_back_for_what_there_is():
    of_day = day((patient(latest_min=450), patient("P2", latest_min=450)))
    value = {"value": 5000.0}
    free = one_bound(of_day, Certificate(1, 0, ()), Prices(frozenset(), **value), every(of_day))
    minute = {("injector:A", 480): 10.0}
    scarce = Prices(frozenset(), minute=minute, **value)
    assert one_bound(of_day, Certificate(1, 0, ()), scarce, every(of_day)) == pytest.approx(free)
    elsewhere = {("injector:A", 100): 10.0, ("injector:A", 2000): 10.0}
    outside = Prices(frozenset(), minute=elsewhere, **value)
    charged = one_bound(of_day, Certificate(1, 0, ()), outside, every(of_day))
    assert charged == pytest.approx(free - 40)


def test_each_kind_of_delivery_has_its_part_in_a_bound():
    runs = (
        delivery("D1", ordered_mbq=1000.0),
        delivery("D2", price_pence=300, least_mbq=100.0, most_mbq=900.0),
        delivery("D3", price_pence=70),
    )
    of_day = day(deliveries=runs, waste_pence_per_gbq=1000)
    nothing = Certificate(0, 0, ())
    paid, visits = Prices(frozenset({"D2", "D3"})), every(of_day)
    assert one_bound(of_day, nothing, paid, visits) == pytest.approx(1000 + 370 - drawable(of_day))
    open_runs = Prices(
        frozenset(), frozenset({"D2", "D3"}), mbq={"D1": 1.0}, least={"D2": 0.5}, share={("P1", "D3"): 99}
    )
    assert one_bound(of_day, nothing, open_runs, visits) == pytest.approx(-29)
    neither = Prices(frozenset(), mbq={"D1": 2.0})
    assert one_bound(of_day, nothing, neither, visits) == pytest.approx(-1000)


def drawable(of_day):
    return max(
        of_day.drawn_mbq(of_day.patients[0], v.injection_min, of_day.delivery("D1"))
        for v in choices(of_day, of_day.patients[0])
        if v.delivery == "D1"
    )


@pytest.mark.parametrize(
    "prices",
    [
        Prices(frozenset(), value=-1),
        Prices(frozenset(), minute={("scanner:S1", 5): -1}),
        Prices(frozenset(), least={"D1": 2.0}),
        Prices(frozenset(), mbq={"D1": 2.0}),
        Prices(frozenset(), takers={"D1": Takers(0, 1)}, more={"D1": -1.0}),
        Prices(frozenset(), fewer={"D1": 1.0}),
    ],
)
def test_prices_that_no_proof_may_use_are_refused(prices):
    with pytest.raises(ValueError):
        bound(day(), Certificate(0, 0, (prices,)))


def test_a_choice_without_prices_proves_nothing():
    of_day = day(deliveries=(delivery("D1", price_pence=5), delivery("D2", least_mbq=5.0), delivery("D3")))
    none, one, both = frozenset[str](), frozenset({"D1"}), frozenset({"D1", "D2"})
    assert uncovered(of_day, Certificate(0, 0, ())) == Choice()
    assert uncovered(of_day, Certificate(0, 0, (Prices(none),))) == Choice(frozenset({"run D1"}))
    assert uncovered(of_day, Certificate(0, 0, (Prices(none, one),))) == Choice(frozenset({"run D2"}))
    assert uncovered(of_day, Certificate(0, 0, (Prices(none, both),))) is None
    assert (
        uncovered(of_day, Certificate(0, 0, (Prices(one, frozenset({"D2"})), Prices(none, frozenset({"D2"}))))) is None
    )
    assert bound(of_day, Certificate(0, 0, (Prices(none),))) == float("-inf")


def test_prices_for_some_starts_speak_for_no_other():
    of_day = day((patient(),))
    whole = extent(of_day).starts
    early, late = Window(whole.start, 700), Window(700, whole.end)
    paid = {"value": 5000.0}
    both = [Prices(frozenset(), starts={"P1": window}, **paid) for window in (early, late)]
    assert uncovered(of_day, Certificate(1, 0, (both[0],))) == Choice(starts={"P1": late})
    assert bound(of_day, Certificate(1, 0, (both[0],))) == float("-inf")
    at_700 = min(
        of_day.drawn_mbq(of_day.patients[0], v.injection_min, delivery())
        for v in every(of_day)[0][1]
        if v.scan_min >= 700
    )
    assert one_bound(of_day, Certificate(1, 0, ()), both[1], every(of_day)) == pytest.approx(at_700)
    assert bound(of_day, Certificate(1, 0, tuple(both))) == bound(
        of_day, Certificate(1, 0, (Prices(frozenset(), **paid),))
    )


@given(st.data())
@settings(derandomize=True, max_examples=200)
def test_what_is_unspoken_is_found_exactly(data):
    """Beside trying every choice of two runs, three starts, one draw and one count one by one."""
    whole, runs, people = Extent(Window(0, 4), frozenset("abc"), Takers(0, 3)), ("D1", "D2"), ("P1", "P2", "P3")
    leaves = []
    for _ in range(data.draw(st.integers(0, 7))):
        of_run = [data.draw(st.sampled_from(["paid", "unused", "open", "open"])) for _ in runs]
        starts = {}
        for one in people:
            if data.draw(st.booleans()):
                first = data.draw(st.integers(0, 3))
                starts[one] = Window(first, data.draw(st.integers(first, 4)))
        paid = frozenset(ref for ref, what in zip(runs, of_run, strict=True) if what == "paid")
        unused = frozenset(ref for ref, what in zip(runs, of_run, strict=True) if what == "unused")
        draws = {"P3": frozenset(data.draw(st.sets(st.sampled_from("abc"))))} if data.draw(st.booleans()) else {}
        least = data.draw(st.integers(0, 3))
        takers = {"a": Takers(least, data.draw(st.integers(least, 3)))} if data.draw(st.booleans()) else {}
        leaves.append(Choice(paid, unused, starts, draws, takers))

    def spoken(paid: frozenset[str], at: dict[str, int], drawn: str, count: int) -> bool:
        return any(
            leaf.yes <= paid
            and not leaf.no & paid
            and drawn in leaf.draws.get("P3", whole.draws)
            and all(n.least <= count <= n.most for n in leaf.takers.values())
            and all(w.start <= at[one] < w.end for one, w in leaf.starts.items())
            for leaf in leaves
        )

    everything = [
        (paid, dict(zip(people, at, strict=True)), drawn, count)
        for paid in map(frozenset, ([], ["D1"], ["D2"], ["D1", "D2"]))
        for at in product(range(4), repeat=3)
        for drawn in "abc"
        for count in range(4)
    ]
    found = unspoken(whole, leaves, Choice())
    assert (found is None) == all(spoken(*one) for one in everything)
    if found is not None:
        some = dict.fromkeys(people, 0) | {one: window.start for one, window in found.starts.items()}
        least = found.takers.get("a", whole.takers).least
        assert not spoken(found.yes, some, min(found.draws.get("P3", whole.draws)), least)


def test_prices_for_how_many_draw_on_a_delivery_speak_for_no_other_number():
    of_day = day((patient(), patient("P2")))
    none, some = (Prices(frozenset(), takers={"D1": n}, value=5000.0) for n in (Takers(0, 0), Takers(1, 2)))
    assert uncovered(of_day, Certificate(1, 0, (none,))) == Choice(takers={"D1": Takers(1, 2)})
    assert uncovered(of_day, Certificate(1, 0, (none, some))) is None
    at_most = replace(none, more={"D1": 7000.0})
    assert one_bound(of_day, Certificate(1, 0, ()), at_most, every(of_day)) == 5000
    plain = one_bound(of_day, Certificate(1, 0, ()), Prices(frozenset(), value=5000.0), every(of_day))
    one = replace(some, takers={"D1": Takers(1, 1)}, more={"D1": 100.0})
    both = replace(some, takers={"D1": Takers(2, 2)}, fewer={"D1": 100.0})
    # Two take part: the one too many costs 100, and where two are asked for nothing is gained by them.
    assert one_bound(of_day, Certificate(1, 0, ()), one, every(of_day)) == pytest.approx(plain + 100)
    assert one_bound(of_day, Certificate(1, 0, ()), both, every(of_day)) == pytest.approx(plain)


def test_who_is_scanned_for_certain_pays_and_who_is_left_out_does_not():
    of_day = day((patient(), patient("P2")))
    sure, out = Prices(frozenset(), scanned=frozenset({"P1"})), Prices(frozenset(), left_out=frozenset({"P1"}))
    least = min(of_day.drawn_mbq(of_day.patients[0], v.injection_min, delivery()) for v in every(of_day)[0][1])
    assert one_bound(of_day, Certificate(0, 0, ()), sure, every(of_day)) == pytest.approx(least)
    assert one_bound(of_day, Certificate(0, 0, ()), out, every(of_day)) == 0
    assert uncovered(of_day, Certificate(0, 0, (sure,))) == Choice(no=frozenset({"patient P1"}))
    assert bound(of_day, Certificate(0, 0, (sure, out))) == 0
    nowhere = replace(sure, starts={"P1": Window(0, 1)})
    assert one_bound(of_day, Certificate(0, 0, ()), nowhere, every(of_day)) == float("inf")

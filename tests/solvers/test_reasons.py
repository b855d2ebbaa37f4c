"""An infeasible day names the fewest locks that contradict one another: as brute force finds them on tiny days."""

from dataclasses import replace
from itertools import combinations
from time import perf_counter

from hypothesis import assume, given, settings
from hypothesis import strategies as st

from gantry.domain.scheduling.check import faults
from gantry.domain.scheduling.problem import Day, Lock, Window, choices, locked_in_words
from gantry.solvers.day_plan import Infeasible, plan_day
from gantry.solvers.day_plan.reasons import Asking, conflict, fewest, reaching, shrunk
from tests.solvers.drawn_days import day, delivery, every_plan, patient, place, scanner


def can_be_kept(of_day: Day, refs: tuple[str, ...]) -> bool:
    """By trying every plan."""
    alone = replace(of_day, patients=tuple(p for p in of_day.patients if p.ref in refs))
    return any(len(plan.visits) == len(refs) and not faults(alone, plan) for plan in every_plan(alone))


def smallest_size(of_day: Day) -> int:
    refs = [p.ref for p in of_day.patients if p.lock is not None]
    sizes = (n for n in range(1, len(refs) + 1) for some in combinations(refs, n) if not can_be_kept(of_day, some))
    return next(sizes, 0)


@st.composite
def contradicting(draw: st.DrawFn) -> Day:
    """Up to five locks on one or two scanners, one room or two: some of them meet."""
    people = tuple(
        patient(
            f"P{n}",
            scan_min=draw(st.sampled_from([20, 30, 45])),
            activity_mbq=draw(st.sampled_from([200.0, 400.0])),
            lock=Lock(scanner=draw(st.sampled_from([None, "S1"])), injection_min=draw(st.sampled_from([480, 495, 510, 540]))),
        )
        for n in range(1, 1 + draw(st.integers(2, 5)))
    )  # fmt: skip
    scanners = tuple(scanner(f"S{n}") for n in range(1, 1 + draw(st.integers(1, 2))))
    return day(
        people,
        scanners=scanners,
        places=(place(uptake_rooms=draw(st.integers(1, 3)), opens=Window(420, 800)),),
        deliveries=(delivery(ordered_mbq=draw(st.sampled_from([900.0, 1500.0, 9000.0])), expires_min=545),),
        grid_min=15,
    )


@given(contradicting())
@settings(max_examples=60, deadline=None)
def test_the_fewest_locks_are_named_as_brute_force_finds_them(of_day: Day):
    size = smallest_size(of_day)
    assume(size)
    found = conflict(of_day, deadline=perf_counter() + 20, seed=0)
    assert found.smallest
    assert len(found.reasons) == size
    named = tuple(p.ref for p in of_day.patients if locked_in_words(of_day, p) in found.reasons)
    if len(named) == size:
        assert not can_be_kept(of_day, named)


def test_a_pair_is_named_where_leaving_out_one_at_a_time_ends_with_three():
    """P1 to P3 draw more than there is together; P4 and P5 simply meet. One by one, the pair goes first."""
    big = [patient(f"P{n}", activity_mbq=400.0, lock=Lock(injection_min=450 + 30 * n)) for n in (1, 2, 3)]
    small = [patient(f"P{n}", activity_mbq=1.0, lock=Lock(injection_min=600)) for n in (4, 5)]
    of_day = day((*small, *big), deliveries=(delivery(ordered_mbq=1300.0, reference_min=450),))
    ask = Asking(of_day, perf_counter() + 20, 0)
    refs = [p.ref for p in of_day.patients]
    one_by_one = shrunk(refs, ask)
    assert one_by_one == {"P1", "P2", "P3"}
    assert fewest(refs, one_by_one, ask) == (frozenset({"P4", "P5"}), True)
    told = plan_day(of_day, seconds=10)
    assert isinstance(told, Infeasible) and told.smallest
    assert told.reasons == tuple(f"{ref} is locked to injection at 10:00" for ref in ("P4", "P5"))


def test_out_of_time_is_not_called_the_smallest():
    class Silent(Asking):
        def kept_with(self, refs):
            return None

    silent = Silent(day((patient("P1"), patient("P2"))), deadline=0.0, seed=0)
    assert fewest(["P1", "P2"], frozenset({"P1", "P2"}), silent) == (frozenset({"P1", "P2"}), False)


def test_a_lock_that_nothing_allows_stands_alone():
    of_day = day(
        (patient("P1"), patient("P2", lock=Lock(injection_min=1000))), scanners=(scanner(open=(Window(540, 600),)),)
    )
    assert next(choices(of_day, of_day.patients[1]), None) is None
    found = conflict(of_day, deadline=perf_counter(), seed=0)
    assert found.smallest and len(found.reasons) == 1


def test_the_fewest_that_reach_into_each_set():
    sets = [frozenset("AB"), frozenset("BC"), frozenset("CD")]
    assert reaching(sets, 3) in (frozenset("BC"), frozenset("BD"), frozenset("AC"))
    assert reaching(sets, 2) is None
    assert reaching([], 1) == frozenset()

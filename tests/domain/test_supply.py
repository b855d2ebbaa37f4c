"""What a vial holds, who may be given from it, whom a lost one displaces, and when a dose is surely a person's."""

from datetime import UTC, date, datetime, timedelta
from math import isclose

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gantry.domain.decay import Assay
from gantry.domain.lifecycle import IllegalMove, advance
from gantry.domain.supply import (
    BATCH,
    DOSE,
    ORDER,
    Balance,
    BatchEvent,
    BatchFacts,
    BatchState,
    Difference,
    DoseEvent,
    DoseState,
    Match,
    OrderEvent,
    OrderState,
    Person,
    Promise,
    Wanted,
    displaced,
    left_mbq,
    needed_mbq,
    same_code,
    volume_ml,
    why_not_accepted,
    why_not_matched,
    why_not_ordered,
    why_not_usable,
)
from gantry.reference.nuclides import F18

T = datetime(2026, 11, 23, 7, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("table", "states", "events"),
    [(ORDER, OrderState, OrderEvent), (BATCH, BatchState, BatchEvent), (DOSE, DoseState, DoseEvent)],
)
def test_nothing_moves_but_by_the_table(table, states, events):
    for state in states:
        for event in events:
            if (state, event) in table:
                assert advance(table, state, event) is table[state, event]
            else:
                with pytest.raises(IllegalMove):
                    advance(table, state, event)


def test_a_dose_never_goes_back_and_a_batch_is_never_accepted_from_quarantine():
    assert not any(after is DoseState.PREPARED for after in DOSE.values())
    assert {before for (before, event) in BATCH if event is BatchEvent.ACCEPT} == {BatchState.SUPPLIER_RELEASED}


@pytest.mark.parametrize(("minutes", "gbq"), [(30, 7.58), (45, 13.75)])
def test_ten_people_cost_more_the_slower_the_list(minutes, gbq):
    """Ten injections of 280 MBq: every half hour 7.58 GBq, every three quarters 13.75 GBq."""
    wanted = [Wanted(280, T + timedelta(minutes=minutes * n)) for n in range(10)]
    assert isclose(needed_mbq(wanted, F18, reference_at=T), gbq * 1000, rel_tol=0.002)
    assert isclose(needed_mbq(wanted, F18, reference_at=T, loss=0.05), gbq * 1050, rel_tol=0.002)


def test_a_volume_follows_the_concentration():
    vial = Assay(F18, 2_500, T)
    assert isclose(volume_ml(250, vial, 10, T), 1.0)
    assert isclose(volume_ml(250, vial, 10, T + F18.half_life), 2.0)


@given(
    st.lists(st.tuples(st.floats(1, 400), st.floats(0, 400)), max_size=8),
    st.floats(0, 600),
)
def test_what_is_left_is_what_came_less_what_was_taken_at_any_moment(draws, minutes):
    received, at = Assay(F18, 10_000, T), T + timedelta(minutes=minutes)
    taken = [Assay(F18, mbq, T + timedelta(minutes=m)) for mbq, m in draws]
    so_far = [each for each in taken if each.at <= at]
    total = left_mbq(received, taken, at) + sum(each.activity_at(at) for each in so_far)
    assert isclose(total, received.activity_at(at), rel_tol=1e-9)


def test_a_balance_says_what_nobody_can_explain():
    assert isclose(Balance(T, 1000, 400, 20, 100, 0, 450).unexplained_mbq, 30)


@pytest.mark.parametrize(
    ("state", "product", "minutes", "words"),
    [
        (BatchState.ACCEPTED, "FDG", 0, []),
        (BatchState.SPENT, "FDG", 0, []),
        (BatchState.EXPIRED, "FDG", 0, []),
        (BatchState.RECEIVED, "FDG", 0, ["not accepted"]),
        (BatchState.RECALLED, "FDG", 0, ["recalled"]),
        (BatchState.ACCEPTED, "NAF", 0, ["this person is to have NAF"]),
        (BatchState.ACCEPTED, "FDG", 60, ["expired"]),
        (BatchState.REJECTED, "NAF", 60, ["rejected", "NAF", "expired"]),
    ],
)
def test_what_may_be_used(state, product, minutes, words):
    facts = BatchFacts("B1", "FDG", state, T + timedelta(hours=1))
    said = list(why_not_usable(facts, product=product, at=T + timedelta(minutes=minutes)))
    assert len(said) == len(words) and all(word in reason for word, reason in zip(words, said, strict=True))


def test_what_ran_out_in_quarantine_was_never_good():
    facts = BatchFacts("B1", "FDG", BatchState.EXPIRED, T + timedelta(hours=1), accepted=False)
    assert list(why_not_usable(facts, product="FDG", at=T)) == ["Batch B1 was never accepted for use"]


def test_the_cut_off_is_a_guard():
    def why(now=T, mbq=100.0, free=100.0):
        return list(why_not_ordered(now=now, cut_off_at=T, activity_mbq=mbq, free_mbq=free))

    assert why() == []
    assert "cut-off" in why(now=T + timedelta(seconds=1))[0]
    assert why(mbq=0) == ["Order more than 0 MBq"]
    assert "100 MBq more" in why(mbq=101)[0]


def test_a_difference_has_closed_ends_and_says_its_numbers():
    assert Difference(900, 1000, 10).within and Difference(1100, 1000, 10).within
    assert not Difference(899, 1000, 10).within
    assert str(Difference(800, 1000, 10)).startswith("20.0 % less than expected: 800 MBq measured")
    assert Difference(5, 0, 10).percent == 0


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({}, None),
        ({"state": BatchState.RECEIVED}, "release has to be recorded first"),
        ({"accepted_by": " quinn  PERSON "}, "cannot also accept"),
        ({"at": T + timedelta(hours=2)}, "expired"),
        ({"difference": Difference(500, 1000, 10)}, "50.0 % less"),
    ],
)
def test_why_a_batch_is_not_accepted(change, words):
    plain = {
        "state": BatchState.SUPPLIER_RELEASED,
        "number": "B1",
        "released_by": "Quinn Person",
        "accepted_by": "Ray Other",
        "difference": Difference(1000, 1000, 10),
        "expires_at": T + timedelta(hours=1),
        "at": T,
    }
    said = list(why_not_accepted(**(plain | change)))
    assert (len(said) == 1 and words in said[0]) if words else said == []


PERSON = Person("9990000018", date(1958, 3, 14), "Testcase")


@pytest.mark.parametrize(
    ("match", "words"),
    [
        (Match(barcode="d123"), None),
        (Match(barcode="D 123"), None),
        (Match(barcode="D124"), "scanned barcode is D124"),
        (Match(), "Scan the syringe"),
        (Match(nhs_number="999 000 0018"), "Scan the syringe"),
        (Match(nhs_number="999 000 0018", family_name="TESTCASE"), None),
        (Match(barcode="D123", family_name="Other"), "family name"),
        (Match(nhs_number="9990000026", date_of_birth=date(1958, 3, 14), family_name="Testcase"), "NHS number"),
        (Match(date_of_birth=date(1958, 3, 15), family_name="Testcase"), "date of birth"),
    ],
)
def test_a_scan_or_two_typed_checks(match, words):
    said = list(why_not_matched(match, barcode="D123", person=PERSON, for_this_person=True))
    assert (len(said) == 1 and words in said[0]) if words else said == []


def test_another_persons_dose_is_never_matched_and_nothing_equals_nothing():
    said = list(why_not_matched(Match(barcode="D123"), barcode="D123", person=PERSON, for_this_person=False))
    assert said == ["This dose is for another person"]
    assert not same_code("", "") and same_code("a b", "AB")
    assert Match(barcode="x").kind == "scan" and Match().kind == "typed"


def promise(name: str, mbq: float, minutes: int) -> Promise:
    return Promise(name, mbq, T + timedelta(minutes=minutes))


def test_a_short_batch_serves_the_first_injections_and_displaces_the_rest():
    people = [promise("c", 300, 60), promise("a", 300, 0), promise("b", 500, 30)]
    assert [p.appointment for p in displaced(people, 0)] == ["a", "b", "c"]
    assert [p.appointment for p in displaced(people, 600)] == ["b"]
    assert displaced(people, 1100) == ()


@given(st.lists(st.floats(1, 500), max_size=12), st.floats(0, 3000))
def test_who_stays_is_never_more_than_there_is(sizes, remaining):
    people = [promise(str(n), mbq, n) for n, mbq in enumerate(sizes)]
    gone = {p.appointment for p in displaced(people, remaining)}
    assert sum(p.activity_mbq for p in people if p.appointment not in gone) <= remaining + 1e-6

"""The ledger conserves under any sequence of events; what was planted wrong is named by its own rule."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from math import isclose

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from gantry.domain.decay import Assay, net_administered_mbq
from gantry.domain.implausible import (
    Drawing,
    Rule,
    VialNow,
    explanations,
    findings,
    forgotten_residuals,
    implied_half_life,
    recheck,
    residual_findings,
)
from gantry.domain.ledger import (
    END,
    Entry,
    Instrument,
    Verdict,
    Way,
    balance,
    by_container,
    containers,
    investigation,
    on_site_mbq,
    running,
    standing,
)
from gantry.reference.nuclides import F18, GA68

AT = datetime(2026, 11, 23, 8, 0, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
WELL = Instrument("Calibrator 1", scale_percent=2.0, reading_percent=1.0)
OTHER = Instrument("Calibrator 2", scale_percent=2.0, reading_percent=1.0)


def entry(way, source, target, mbq, at=AT, *, key="", instrument=WELL, corrects="", nuclide=F18) -> Entry:
    return Entry(key or f"{way}-{source}-{target}-{at:%H%M}", way, source, target, Assay(nuclide, mbq, at), instrument,
                 "R. Roe", corrects=corrects)  # fmt: skip


def received(mbq=10_000.0, vial="V1", at=AT, **more):
    return entry(Way.RECEIVED, END[Way.RECEIVED], vial, mbq, at, **more)


def drawn(mbq, syringe="S1", at=AT, vial="V1", **more):
    return entry(Way.DRAWN, vial, syringe, mbq, at, **more)


def out(way, container, mbq, at=AT, **more):
    return entry(way, container, END[way], mbq, at, **more)


def counted(container, mbq, at=AT, **more):
    return entry(Way.COUNTED, container, container, mbq, at, **more)


def test_a_days_work_adds_up_at_any_instant():
    injected, later = AT + 20 * MINUTE, AT + 90 * MINUTE
    syringe, rest = Assay(F18, 300, AT), Assay(F18, 6, AT + 30 * MINUTE)
    book = [
        received(),
        drawn(300),
        out(Way.ADMINISTERED, "S1", net_administered_mbq(syringe, rest, injected), injected),
        out(Way.RESIDUAL, "S1", 6, AT + 30 * MINUTE),
        drawn(400, "S2"),
        out(Way.WASTED, "S2", 400),
        out(Way.SPILT, "V1", 50),
        out(Way.SAMPLED, "V1", 5),
        out(Way.TRANSFERRED_OUT, "V1", 1_000),
        out(Way.RETURNED, "V1", 200),
    ]
    said = balance(book, later)
    assert isclose(said.in_mbq, said.out_mbq + said.left_mbq, rel_tol=1e-9) and said.within
    assert isclose(said.left_mbq, Assay(F18, 10_000 - 300 - 400 - 50 - 5 - 1_200, AT).activity_at(later))
    assert [line.way for line in said.out][:3] == [Way.ADMINISTERED, Way.RESIDUAL, Way.WASTED]
    assert isclose(balance(book, later, {"S1"}).left_mbq, 0, abs_tol=1e-9)
    assert containers(book) == {"V1", "S1", "S2"}


def test_what_is_counted_is_held_against_the_book_and_the_entries_are_named():
    book = [received(), drawn(300), counted("V1", 9_200)]
    asked = investigation(balance(book, AT + 60 * MINUTE, {"V1"}))
    assert asked is not None and asked.difference_mbq > 0 and len(asked.entries) == 3
    assert asked.entries[0].startswith("received") and "is missing" in str(asked)
    assert investigation(balance([*book[:2], counted("V1", 9_650)], AT, {"V1"})) is None


def test_more_taken_out_than_came_in_is_asked_about_without_any_count():
    asked = investigation(balance([received(100), drawn(300)], AT))
    assert asked is not None and isclose(asked.difference_mbq, -200)
    assert "more was found" in str(asked)


def test_a_calibration_shared_by_all_readings_cancels_and_another_instruments_does_not():
    """By hand: readings 1 % of 10,000, 300 and 9,700 in quadrature, scale 2 % of nothing; then of 9,700 and 9,700."""
    one = balance([received(), drawn(300), counted("V1", 9_700)], AT, {"V1"})
    two = balance([received(), drawn(300), counted("V1", 9_700, instrument=OTHER)], AT, {"V1"})
    assert isclose(one.uncertainty_mbq, 2 * (100**2 + 3**2 + 97**2) ** 0.5)
    assert isclose(two.uncertainty_mbq, 2 * (100**2 + 3**2 + 97**2 + 194**2 + 194**2) ** 0.5)


def test_a_correction_stands_in_the_place_of_what_it_corrects():
    wrong = received(1_000, key="a")
    book = [wrong, received(10_000, key="b", corrects="a")]
    assert [each.key for each in standing(book)] == ["b"]
    assert balance(book, AT).in_mbq == 10_000


def test_movement_after_a_count_does_not_disturb_what_was_counted():
    book = [received(), counted("V1", 10_000), drawn(500, at=AT + 30 * MINUTE)]
    said = balance(book, AT + 60 * MINUTE, {"V1"})
    assert isclose(said.difference_mbq, 0, abs_tol=1e-6)


def test_a_whole_day_is_stated_at_one_instant_before_or_after_and_nothing_that_happened_later_counts():
    late = AT + 120 * MINUTE
    book = [received(), drawn(300, at=late), out(Way.WASTED, "V1", 50, late + MINUTE)]
    said = balance(book, AT, until=late)
    assert isclose(said.in_mbq, 10_000) and not said.of(Way.WASTED) and isclose(said.left_mbq, 10_000)
    vial = balance(book, AT, {"V1"}, until=late)
    assert isclose(vial.of(Way.DRAWN), Assay(F18, 300, late).activity_at(AT)) and vial.of(Way.DRAWN) > 300
    assert isclose(vial.in_mbq, vial.out_mbq + vial.left_mbq)


def test_each_container_is_stated_alone_and_together_they_are_the_whole():
    """Draws are out of one and into another; a verdict says what it rests on."""
    late = AT + 60 * MINUTE
    book = [
        received(), drawn(300), drawn(400, "S2"), out(Way.ADMINISTERED, "S1", 280, AT + 5 * MINUTE),
        out(Way.RESIDUAL, "S1", 6, AT + 20 * MINUTE), counted("V1", 9_300, AT + MINUTE), counted("S2", 300, AT + MINUTE),
    ]  # fmt: skip
    parts, whole = by_container(book, late), balance(book, late)
    assert parts.keys() == {"V1", "S1", "S2"}
    assert all(parts[name] == balance(book, late, {name}) for name in parts)
    assert isclose(sum(part.left_mbq for part in parts.values()), whole.left_mbq)
    assert isclose(sum(p.of(Way.ADMINISTERED, Way.RESIDUAL) for p in parts.values()), whole.out_mbq)
    verdicts = {name: part.verdict for name, part in parts.items()}
    assert verdicts == {"V1": Verdict.AGREES, "S1": Verdict.BY_THE_BOOK, "S2": Verdict.ASK}


def test_a_container_is_read_line_by_line_with_what_each_leaves():
    book = [received(1_000), drawn(300), counted("V1", 690, AT + MINUTE), out(Way.SPILT, "V1", 20, AT + 110 * MINUTE)]
    lines = running(book, "V1")
    assert [round(line.moved_mbq) for line in lines] == [1_000, -300, 0, -20]
    assert [round(line.left_mbq, 1) for line in lines[:2]] == [1_000, 700]
    assert isclose(lines[3].left_mbq, Assay(F18, 700, AT).activity_at(AT + 110 * MINUTE) - 20)
    assert [line.entry.key for line in running(book, "S1")] == [book[1].key] and running(book, "S1")[0].left_mbq == 300


def test_what_is_in_a_person_is_no_longer_a_holding():
    book = [received(), drawn(300), out(Way.ADMINISTERED, "S1", 300), out(Way.WASTED, "V1", 700)]
    assert on_site_mbq(book, AT) == 9_700


@pytest.mark.parametrize(
    ("way", "source", "target"),
    [(Way.DRAWN, "V1", "V1"), (Way.COUNTED, "V1", "V2"), (Way.RECEIVED, "V1", "V2"), (Way.WASTED, "V1", "S1")],
)
def test_an_entry_with_the_wrong_ends_is_no_entry(way, source, target):
    with pytest.raises(ValueError, match=r"waste|moves|comes from|goes to"):
        entry(way, source, target, 1)


# Planted errors, each caught by the rule of its name

VIAL = VialNow(F18, 8_000, 10.0)


def drawing(mbq, *, ml=None, wanted=250.0, nuclide=F18) -> Drawing:
    return Drawing(Assay(nuclide, mbq, AT), VIAL, ml, wanted, most_ml=10)


def rules(found) -> list[Rule]:
    return [each.rule for each in found]


@given(st.floats(80, 700), st.booleans())
def test_a_plain_draw_has_no_finding(mbq, with_volume):
    assert not findings(drawing(mbq, ml=mbq / 800 if with_volume else None, wanted=mbq))


@given(st.floats(80, 700))
def test_kbq_typed_for_mbq_is_named_with_a_volume_and_without(mbq):
    for ml in (mbq / 800, None):
        assert rules(findings(drawing(mbq * 1000, ml=ml, wanted=mbq))) == [Rule.KBQ_FOR_MBQ]
        assert rules(findings(drawing(mbq / 1000, ml=ml, wanted=mbq))) == [Rule.KBQ_FOR_MBQ]


@given(st.floats(80, 700), st.sampled_from([-1, 1]))
def test_a_clock_wrong_by_an_hour_is_named(mbq, hours):
    wrong = Assay(F18, mbq, AT).activity_at(AT + timedelta(hours=hours))
    found = findings(drawing(wrong, ml=mbq / 800))
    assert rules(found) == [Rule.WRONG_CLOCK] and str(found[0]).startswith("Clock wrong by an hour: ")


@given(st.floats(80, 300), st.floats(1.2, 3))
def test_a_swapped_syringe_is_named_with_the_one_that_it_is(mbq, ratio):
    book = {"S1": Assay(F18, mbq, AT), "S2": Assay(F18, mbq * ratio, AT)}
    later = AT + 25 * MINUTE
    found = recheck(Assay(F18, book["S2"].activity_at(later), later), "S1", book)
    assert found is not None and found.rule is Rule.SWAPPED_SYRINGE and found.entries == ("S1", "S2")
    assert recheck(Assay(F18, book["S1"].activity_at(later), later), "S1", book) is None


def test_a_forgotten_residual_is_named_until_it_is_measured():
    given_at = AT + 5 * MINUTE
    book = [received(), drawn(300), out(Way.ADMINISTERED, "S1", 290, given_at)]
    assert not forgotten_residuals(book, AT + 10 * MINUTE, after=30 * MINUTE)
    found = forgotten_residuals(book, AT + 60 * MINUTE, after=30 * MINUTE)
    assert rules(found) == [Rule.FORGOTTEN_RESIDUAL] and "55 minutes ago" in found[0].said
    book.append(out(Way.RESIDUAL, "S1", 5, AT + 50 * MINUTE))
    assert not forgotten_residuals(book, AT + 60 * MINUTE, after=30 * MINUTE)


def test_a_wrong_nuclide_is_named_by_its_label_and_by_its_decay():
    assert Rule.WRONG_NUCLIDE in rules(findings(drawing(250, ml=250 / 800, nuclide=GA68)))
    first, later = Assay(F18, 300, AT), AT + 80 * MINUTE
    second = Assay(F18, Assay(GA68, 300, AT).activity_at(later), later)
    found = recheck(second, "S1", {"S1": first}, known=[F18, GA68])
    assert found is not None and found.rule is Rule.WRONG_NUCLIDE and "Ga-68" in found.said
    half = implied_half_life(first, second)
    assert half is not None and isclose(half / GA68.half_life, 1)


@pytest.mark.parametrize("ml", [-1, 0, 10.5, 12])
def test_an_impossible_volume_is_named(ml):
    assert Rule.IMPOSSIBLE_VOLUME in rules(findings(drawing(250, ml=ml)))


def test_an_impossible_concentration_and_too_much_are_named():
    assert rules(findings(drawing(250, ml=1.0))) == [Rule.IMPOSSIBLE_CONCENTRATION]
    assert rules(findings(drawing(9_000, wanted=None))) == [Rule.MORE_THAN_THERE]


@pytest.mark.parametrize(
    ("mbq", "at", "named"),
    [
        (6_000, 10, Rule.KBQ_FOR_MBQ),
        (400, 10, Rule.SWAPPED_SYRINGE),
        (6, -50, Rule.WRONG_CLOCK),
        (6, 70, Rule.WRONG_CLOCK),
        (6, 10, None),
    ],
)
def test_a_residual_that_cannot_be_is_named(mbq, at, named):
    residual = Assay(F18, mbq, AT + at * MINUTE)
    found = residual_findings(Assay(F18, 300, AT - 10 * MINUTE), residual, AT, now=AT + 12 * MINUTE)
    assert rules(found) == ([named] if named else [])


def test_a_difference_points_at_the_entry_whose_slip_explains_it():
    """300 MBq at nine was written down as at ten: the vial is missing what decayed in that hour."""
    late = AT + timedelta(hours=4)
    left = Assay(F18, 1_000 - 500, AT).activity_at(late)
    book = [received(1_000), drawn(500, at=AT + timedelta(hours=1)), counted("V1", left, late)]
    said = balance(book, late, {"V1"})
    asked = investigation(said)
    assert asked is not None
    found = explanations(book, asked.entries, said.difference_mbq, said.uncertainty_mbq, late)
    assert (Rule.WRONG_CLOCK, ("drawn-V1-S1-0900",)) in [(each.rule, each.entries) for each in found]


def test_of_a_syringe_what_was_drawn_into_it_is_what_came_in():
    """Drawn at eight, written down as at nine: the book expects what an hour's decay had already taken."""
    late = AT + timedelta(hours=2)
    book = [
        received(),
        drawn(300, at=AT + timedelta(hours=1)),
        counted("S1", Assay(F18, 300, AT).activity_at(late), late),
    ]
    said = balance(book, late, {"S1"})
    assert said.difference_mbq > said.uncertainty_mbq
    found = explanations(book, said.in_play, said.difference_mbq, said.uncertainty_mbq, late, of="S1")
    assert (Rule.WRONG_CLOCK, (book[1].key,)) in [(each.rule, each.entries) for each in found]
    assert not [
        each
        for each in explanations(book, said.in_play, said.difference_mbq, said.uncertainty_mbq, late, of="V1")
        if each.rule is Rule.WRONG_CLOCK and each.entries == (book[1].key,)
    ]


# Any sequence of events


class HotLab(RuleBasedStateMachine):
    """A lab where the truth is known: what really is in each container, and everything written down as it happened."""

    def __init__(self):
        super().__init__()
        self.now, self.book, self.truth = AT, [], {}
        self.given, self.residual_due, self.number = 0.0, {}, 0

    @initialize(mbq=st.floats(2_000, 20_000))
    def a_vial_comes(self, mbq):
        self.put(Way.RECEIVED, END[Way.RECEIVED], "V0", mbq)
        self.truth["V0"] = Assay(F18, mbq, self.now)

    def put(self, way, source, target, mbq, at=None):
        self.number += 1
        at = at or self.now
        self.book.append(entry(way, source, target, mbq, at, key=f"{self.number:04}"))

    def is_in(self, name):
        return self.truth[name].activity_at(self.now)

    def set(self, name, mbq):
        self.truth[name] = Assay(F18, max(0.0, mbq), self.now)

    @rule(minutes=st.integers(1, 90))
    def time_passes(self, minutes):
        self.now += minutes * MINUTE

    @rule(mbq=st.floats(500, 5_000), way=st.sampled_from([Way.RECEIVED, Way.ELUTED, Way.TRANSFERRED_IN]))
    def another_comes(self, mbq, way):
        name = f"V{self.number}"
        self.put(way, END[way], name, mbq)
        self.set(name, mbq)

    @rule(share=st.floats(0.01, 0.3))
    def a_syringe_is_drawn(self, share):
        vial = max((n for n in self.truth if n[0] == "V"), key=self.is_in)
        mbq, name = self.is_in(vial) * share, f"S{self.number}"
        self.put(Way.DRAWN, vial, name, mbq)
        self.set(vial, self.is_in(vial) - mbq)
        self.set(name, mbq)

    def syringe(self):
        return next((n for n in self.truth if n[0] == "S" and n not in self.residual_due and self.is_in(n)), None)

    @precondition(lambda self: self.syringe() is not None)
    @rule(left=st.floats(0.0, 0.1), minutes=st.integers(1, 30))
    def a_dose_is_given_and_its_residual_measured(self, left, minutes):
        name, injected = self.syringe(), self.now
        rest = self.is_in(name) * left
        given = self.is_in(name) - rest
        self.put(Way.ADMINISTERED, name, END[Way.ADMINISTERED], given)
        self.set(name, rest)
        self.now += minutes * MINUTE
        self.put(Way.RESIDUAL, name, END[Way.RESIDUAL], self.is_in(name))
        self.set(name, 0)
        assert injected < self.now

    @rule(
        share=st.floats(0.01, 1.0),
        way=st.sampled_from([Way.WASTED, Way.SPILT, Way.SAMPLED, Way.TRANSFERRED_OUT, Way.RETURNED]),
    )
    def some_leaves(self, share, way):
        name = max(self.truth, key=self.is_in)
        mbq = self.is_in(name) * share
        self.put(way, name, END[way], mbq)
        self.set(name, self.is_in(name) - mbq)

    @rule()
    def a_vial_ends_and_what_is_left_is_thrown_away(self):
        """Spent, past its time, failed or recalled."""
        vial = max((n for n in self.truth if n[0] == "V"), key=self.is_in)
        self.put(Way.WASTED, vial, END[Way.WASTED], self.is_in(vial))
        self.set(vial, 0)

    @rule()
    def a_container_is_counted(self):
        name = max(self.truth, key=self.is_in)
        self.put(Way.COUNTED, name, name, self.is_in(name))

    @invariant()
    def nothing_is_made_and_nothing_is_lost(self):
        for at in (self.now, self.now + 200 * MINUTE):
            whole = balance(self.book, at)
            assert isclose(whole.in_mbq, whole.out_mbq + whole.left_mbq, rel_tol=1e-7, abs_tol=1e-7)
            assert investigation(whole) is None
        for name in self.truth:
            here = balance(self.book, self.now, {name})
            assert isclose(here.left_mbq, self.is_in(name), rel_tol=1e-6, abs_tol=1e-6 * here.in_mbq + 1e-9)
            assert here.within

    @invariant()
    def a_planted_loss_is_asked_about(self):
        """A fifth of everything gone without an entry, found when the fullest container is counted."""
        name = max(self.truth, key=self.is_in, default=None)
        if name is None or self.is_in(name) < 0.5 * balance(self.book, self.now, {name}).in_mbq:
            return
        found = counted(name, self.is_in(name) * 0.8, self.now, key="planted")
        asked = investigation(balance([*self.book, found], self.now, {name}))
        assert asked is not None and "planted" in asked.entries


HotLab.TestCase.settings = settings(max_examples=40, stateful_step_count=15, deadline=None)
TestHotLab = HotLab.TestCase


@given(st.lists(st.tuples(st.floats(1, 500), st.integers(0, 300)), min_size=1, max_size=8))
def test_the_order_in_which_things_are_written_down_does_not_matter(draws):
    book = [received(), *(drawn(m, f"S{n}", AT + t * MINUTE, key=f"k{n}") for n, (m, t) in enumerate(draws))]
    late = AT + timedelta(hours=8)
    said = [balance(order, late).left_mbq for order in (book, book[::-1])]
    assert all(isclose(one, other, rel_tol=1e-9, abs_tol=1e-9) for one, other in pairwise(said))


def test_below_what_an_instrument_can_read_nothing_is_missing_and_a_real_difference_is_not_forgiven_by_decay():
    today = AT + timedelta(days=40)
    old = [received(10_000), drawn(300), out(Way.WASTED, "V1", 0.004, today)]
    for at in (AT, today - timedelta(hours=1), today, today + timedelta(hours=9)):
        assert balance(old, at, {"V1"}, until=today).verdict is Verdict.BY_THE_BOOK, at
        assert by_container(old, at, until=today)["V1"].verdict is Verdict.BY_THE_BOOK
    short = [received(10_000), entry(Way.COUNTED, "V1", "V1", 5_000)]
    for at in (AT, today):
        assert balance(short, at, {"V1"}, until=today).verdict is Verdict.ASK
    visible = [received(10_000), out(Way.WASTED, "V1", 1.0, today)]
    assert balance(visible, today, {"V1"}).verdict is Verdict.ASK

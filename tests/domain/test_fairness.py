"""Shares with their doubt: what falls on some more than on others is said, and what may be chance is said to be."""

from dataclasses import replace
from datetime import date

import pytest

from gantry.domain.deprivation import decile_of_rank, normal
from gantry.domain.fairness import (
    NOT_HELD,
    Promised,
    age_band,
    chance,
    deprivation_band,
    distance_band,
    groups,
    sentence,
    wilson,
)


def people(count: int, moved: int, again: int = 0, **of: str) -> list[Promised]:
    return [Promised(2 if n < again else 1 if n < moved else 0, of) for n in range(count)]


@pytest.mark.parametrize(
    ("born", "said"),
    [
        (date(2011, 11, 25), "0 to 15"),
        (date(2010, 11, 24), "16 to 39"),
        (date(1946, 11, 25), "65 to 79"),
        (date(1946, 11, 24), "80 and over"),
        (None, NOT_HELD),
    ],
)
def test_age_turns_on_the_birthday(born: date | None, said: str) -> None:
    assert age_band(born, date(2026, 11, 24)) == said


def test_distance_has_bands_and_what_is_not_held_is_not_guessed() -> None:
    assert [distance_band(km) for km in (0.0, 9.9, 10.0, 29.9, 60.0, None)] == [
        *["under 10 km"] * 2,
        *["10 to 29 km"] * 2,
        "60 km and more",
        NOT_HELD,
    ]


def test_wilson_is_inside_nought_and_one_and_narrows_with_more_people() -> None:
    assert wilson(0, 0) == (0.0, 1.0)
    assert wilson(0, 10)[0] == 0.0 and wilson(10, 10)[1] == 1.0
    # Newcombe 1998, table I: 81 of 263.
    assert wilson(81, 263) == pytest.approx((0.2553, 0.3662), abs=5e-5)
    narrow, wide = wilson(100, 1000), wilson(10, 100)
    assert narrow[1] - narrow[0] < wide[1] - wide[0]


def test_groups_are_counted_and_small_ones_keep_their_share_to_themselves() -> None:
    found = groups([*people(20, 4, 1, age="80 and over"), *people(3, 1, age="16 to 39"), *people(6, 0, age=NOT_HELD)])
    assert [(g.band, g.people, g.moved, g.again, g.shown) for g in found] == [
        ("16 to 39", 3, 1, 0, False),
        ("80 and over", 20, 4, 1, True),
        # Beside a small one alone, the next smallest: the whole less the rest would give it away.
        (NOT_HELD, 6, 0, 0, False),
    ]


def test_two_that_are_too_small_hide_each_other_and_one_alone_hides_with_the_next() -> None:
    two = groups([*people(20, 4, age="80 and over"), *people(3, 1, age="16 to 39"), *people(2, 0, age="0 to 15")])
    assert [g.shown for g in two] == [False, False, True]
    assert [g.shown for g in groups(people(3, 1, age="16 to 39"))] == [False]
    by_heading = groups([*people(9, 1, age="16 to 39", language="x"), *people(9, 1, age="0 to 15", language="x")])
    assert all(g.shown for g in by_heading)


def test_a_decile_is_a_fifth_and_the_most_deprived_comes_first() -> None:
    assert [deprivation_band(d) for d in (1, 2, 3, 10, None)] == [
        *["most deprived fifth"] * 2, "second most deprived fifth", "least deprived fifth", NOT_HELD,
    ]  # fmt: skip
    said = [g.band for g in groups([*people(9, 0, by="least deprived fifth"), *people(9, 0, by="most deprived fifth")])]
    assert said == ["most deprived fifth", "least deprived fifth"]
    for wrong in (0, 11):
        with pytest.raises(IndexError):
            deprivation_band(wrong)


def test_a_rank_is_the_tenth_of_its_areas() -> None:
    assert [decile_of_rank(r, 32844) for r in (1, 3284, 3285, 32844)] == [1, 1, 2, 10]
    with pytest.raises(ValueError, match="rank 0"):
        decile_of_rank(0, 10)


def test_a_postcode_is_a_key_without_its_space_and_what_is_none_is_empty() -> None:
    assert [normal(p) for p in ("m20 4bx", " EC1A4EU", "M20", "nothing", "W1A 0AX;")] == [
        "M204BX",
        "EC1A4EU",
        "",
        "",
        "",
    ]


def test_the_sentence_names_the_group_that_chance_does_not_explain() -> None:
    clear = [*people(200, 100, 10, age="80 and over"), *people(200, 10, age="40 to 64")]
    said = sentence(clear)
    assert said.startswith(
        "Of 400 people who were told a time, 110 were moved by us (27.5 %), 10 of them more than once."
    )
    assert "Age 80 and over was moved more than chance would do: 50.0 % against 5.0 % of the others" in said
    assert said.endswith("allowing for the 2 groups compared.")
    few = sentence([*people(10, 2, age="80 and over"), *people(10, 1, age="40 to 64")])
    assert few.endswith("None of the 2 groups compared was moved more than chance would do.")
    assert "No two groups" in sentence(people(10, 2, age="80 and over"))
    assert sentence(people(9, 0, age="80 and over")) == "Of 9 people who were told a time, 0 were moved by us (0.0 %)."
    assert sentence([]) == "Nobody was told a time for these days."
    assert "1 was moved by us" in sentence(people(10, 1, age="80 and over"))


def test_one_of_many_groups_must_stand_out_more_than_one_alone() -> None:
    """Four of six moved where seven of the other thirty-four were: alone it would be sure, as the most extreme of many not."""
    of = [*people(6, 4, site="one"), *people(34, 7, site="two")]
    assert 0.02 < chance(4, 6, 11, 40) < 0.05
    many = [replace(p, groups=p.groups | {f"heading {h}": f"{n % 2}" for h in range(8)}) for n, p in enumerate(of)]
    assert "None of the 18 groups compared was moved more than chance would do" in sentence(many)


def test_chance_is_fishers() -> None:
    # The lady tasting tea: all four of four right by lot once in seventy, three or more seventeen times.
    assert chance(4, 4, 4, 8) == pytest.approx(1 / 70)
    assert chance(3, 4, 4, 8) == pytest.approx(17 / 70)
    assert chance(0, 5, 3, 20) == pytest.approx(1)

"""Reference data: every fact has a source and a day, points at things that exist, and carries its mark."""

from datetime import date, timedelta

import pytest

from gantry.domain import identifiers
from gantry.domain.waiting import Standard
from gantry.reference import clocks, lists, network, nuclides, postcodes, preparation, schemes, tracers
from gantry.reference.context import LISTS
from gantry.reference.dated import ASSUMED_NOTICE, RECALLED_NOTICE, Fact, NothingInForce, in_force
from gantry.reference.indications import INDICATIONS
from gantry.reference.limits import LIMITS, limits

ROWS = [
    *nuclides.NUCLIDES.values(),
    *tracers.TRACERS.values(),
    *(fact for editions in (*schemes.SCHEMES.values(), *schemes.CARDS.values()) for fact in editions),
    *schemes.BEDS.values(),
    *INDICATIONS.values(),
    *preparation.FDG_RULES.values(),
    *preparation.FDG_ADVICE,
    *lists.DEFAULT_CODES.values(),
    *network.ORGANISATIONS.values(),
    *network.SITES.values(),
    *(fact for row in clocks.DAYS.values() for fact in row),
    *(fact for row in LIMITS.values() for fact in row),
]


@pytest.mark.parametrize("fact", ROWS, ids=lambda fact: str(getattr(fact.value, "code", fact.value))[:30])
def test_every_fact_says_where_it_comes_from(fact):
    assert fact.source
    assert fact.valid_from <= date(2026, 1, 1)
    if fact.recalled:
        assert fact.mark == RECALLED_NOTICE


def test_a_day_has_the_fact_of_that_day():
    share = clocks.SHARE_PERCENT[Standard.FDS_28]
    assert in_force(share, date(2024, 3, 31)).value == 75
    assert in_force(share, date(2024, 4, 1)).value == 77
    with pytest.raises(NothingInForce, match="2020-01-01"):
        in_force(share, date(2020, 1, 1))


def test_a_confirmed_fact_has_no_mark_and_a_notice_stands_before_the_mark():
    assert Fact(1, "", "a", date(2026, 1, 1)).mark == ""
    assert Fact(1, "", "a", date(2026, 1, 1), recalled=True, notice="Ours").mark == "Ours"


def test_half_life_of_f18_gives_the_published_minutes():
    assert round(nuclides.F18.half_life / timedelta(minutes=1), 2) == 109.77
    assert set(nuclides.RADIONUCLIDE_OLD_SRT.values()) <= set(nuclides.RADIONUCLIDE_SCT)


def test_half_lives_that_are_not_in_a_product_s_characteristics_are_marked():
    marked = {symbol for symbol, fact in nuclides.NUCLIDES.items() if fact.mark}
    assert {"F-18", "Ga-68", "Rb-82", "Ge-68", "Sr-82"} == nuclides.NUCLIDES.keys() - marked


def test_tracers_point_at_schemes_cards_and_possible_windows():
    for code, fact in tracers.TRACERS.items():
        tracer = tracers.tracer(code)
        assert tracer is fact.value
        assert tracer.scheme in schemes.SCHEMES
        assert not tracer.paediatric_card or tracer.paediatric_card in schemes.CARDS
        assert tracer.uptake_from_min <= tracer.uptake_min <= tracer.uptake_to_min
        assert tracer.is_fdg is code.startswith("FDG")
        assert fact.mark


def test_indications_name_tracers_that_exist():
    for fact in INDICATIONS.values():
        assert fact.value.tracers <= tracers.TRACERS.keys(), fact.value.code


def test_lists_have_no_value_twice():
    for name, choices in LISTS.items():
        values = [choice.value for choice in choices]
        assert len(set(values)) == len(values), name


def test_limits_of_a_day_name_what_is_recalled():
    assert "days_after_surgery" in limits(date(2026, 11, 20)).recalled
    assert "weight_to_kg" not in limits(date(2026, 11, 20)).recalled
    assert limits(date(2020, 1, 1)).weight_to_kg == 350


def test_the_demonstration_marks_what_it_invents():
    for code, fact in network.ORGANISATIONS.items():
        assert identifiers.valid_ods(code)
        real = fact.value.latitude is not None
        assert (fact.mark == ASSUMED_NOTICE) is not real, code
    for code, site in network.SITES.items():
        assert site.mark == ASSUMED_NOTICE
        assert site.value.employer in network.ORGANISATIONS
        assert site.value.host in network.ORGANISATIONS
        assert identifiers.ods_kind(code) in (identifiers.OdsKind.TRUST_SITE, identifiers.OdsKind.INDEPENDENT_SITE)
    scanners = [ae for site in network.SITES.values() for ae in site.value.scanners]
    assert len(set(scanners)) == len(scanners)
    assert all(len(ae) <= 16 for ae in scanners)
    assert network.KINDS.keys() >= network.REFERRERS
    assert "RH8" not in network.REFERRERS


@pytest.mark.parametrize(
    ("postcode", "place"), [("M20 4BX", "M"), ("ls9 7tf", "LS"), (" S10 2JF", "S"), ("CH63 4JY", "CH")]
)
def test_a_postcode_is_placed_by_its_area(postcode, place):
    assert postcodes.locate(postcode) == postcodes.AREAS[place].value


@pytest.mark.parametrize("postcode", ["", "ZZ99 3VZ", "not one", "12345"])
def test_a_postcode_of_no_known_area_has_no_place(postcode):
    assert postcodes.locate(postcode) is None

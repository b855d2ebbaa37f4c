"""Licences: a gap of one day is a gap, another employer is another, and an authorisation covers only what it names."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gantry.domain.licence import (
    Authorisation,
    Duty,
    EmployerLicence,
    Entitlement,
    PractitionerLicence,
    Register,
    SiteInPlay,
    sites_authorised,
    spans,
    why_not_administered,
    why_not_authorised,
    why_not_covered,
    why_not_licensed,
)

FDG = "PET-FDG-ONC"
MAY = date(2026, 5, 1)
DAY = timedelta(days=1)
CHRISTIE = SiteInPlay("RBV01", "RBV", "Christie PET-CT")
BRADFORD = SiteInPlay("NZZ02", "NZZ")
AT_CHRISTIE = EmployerLicence("E1", "RBV", "RBV01", frozenset({FDG}), date(2022, 1, 1), date(2026, 5, 3))
AT_BRADFORD = EmployerLicence("E2", "NZZ", "NZZ02", frozenset({FDG}), date(2022, 1, 1), date(2027, 1, 1))
RENEWED = replace(AT_CHRISTIE, number="E3", valid_from=date(2026, 5, 5), valid_to=date(2031, 5, 4))
DR_A = PractitionerLicence("P1", "dr-a", frozenset({FDG}), date(2022, 1, 1), date(2027, 1, 1))
BY_CHRISTIE = Entitlement("dr-a", "RBV", Duty.PRACTITIONER, date(2022, 1, 1))
BY_BRADFORD = Entitlement("dr-a", "NZZ", Duty.PRACTITIONER, date(2022, 1, 1), date(2026, 5, 2), frozenset({FDG}))
REGISTER = Register((AT_CHRISTIE, AT_BRADFORD, RENEWED), (DR_A,), (BY_CHRISTIE, BY_BRADFORD))


def why_not(sites, first=MAY, last=MAY, register=REGISTER, procedure=FDG):
    return why_not_authorised(procedure, sites=sites, window=(first, last), practitioner="dr-a", register=register)


def test_one_day_both_licences():
    assert why_not_licensed(FDG, MAY, employer=[AT_CHRISTIE], practitioner=[DR_A]) == []
    assert why_not_licensed(FDG, date(2030, 1, 1), employer=[AT_CHRISTIE], practitioner=[DR_A]) == [
        "No employer licence covers PET-FDG-ONC on 1 January 2030",
        "No practitioner licence covers PET-FDG-ONC on 1 January 2030",
    ]


def test_everything_in_date_leaves_nothing_to_say():
    assert why_not([CHRISTIE, BRADFORD]) == []


def test_each_gap_in_the_window_is_dated():
    assert why_not([CHRISTIE, BRADFORD], MAY, date(2026, 5, 10)) == [
        "No employer licence at Christie PET-CT covers PET-FDG-ONC on 4 May 2026",
        "NZZ has not entitled this practitioner for PET-FDG-ONC from 3 May 2026 to 10 May 2026",
    ]


def test_a_licence_of_another_site_employer_person_or_duty_does_not_count():
    elsewhere = Register(
        (replace(AT_CHRISTIE, site="RBV02"), replace(AT_CHRISTIE, employer="NZZ")),
        (replace(DR_A, person="dr-b"),),
        (replace(BY_CHRISTIE, duty=Duty.OPERATOR), replace(BY_CHRISTIE, procedures=frozenset({"PET-NAF"}))),
    )
    assert why_not([CHRISTIE], register=elsewhere) == [
        "No licence of this practitioner covers PET-FDG-ONC on 1 May 2026",
        "No employer licence at Christie PET-CT covers PET-FDG-ONC on 1 May 2026",
        "RBV has not entitled this practitioner for PET-FDG-ONC on 1 May 2026",
    ]


def test_a_site_without_a_name_is_called_by_its_code():
    assert "No employer licence at NZZ02" in why_not([BRADFORD], procedure="PET-NAF")[1]


def test_windows_that_mean_nothing():
    assert why_not([]) == ["No site is in play"]
    assert why_not([CHRISTIE], MAY, MAY - DAY) == ["The window ends on 30 April 2026, before it starts on 1 May 2026"]
    assert why_not([CHRISTIE], MAY, MAY + 367 * DAY) == ["The window is longer than 366 days"]


def test_the_sites_that_can_be_authorised_now():
    window = (MAY, date(2026, 5, 3))
    sites = sites_authorised(FDG, sites=[CHRISTIE, BRADFORD], window=window, practitioner="dr-a", register=REGISTER)
    assert sites == [CHRISTIE]


@given(st.sets(st.integers(0, 20)))
def test_spans_name_exactly_the_days_that_are_not_covered(covered):
    days = [MAY + n * DAY for n in range(21)]
    said = " ".join(spans(lambda on: (on - MAY).days in covered, days[0], days[-1]))
    bare = [n for n in range(21) if n not in covered]
    edges = [n for n in bare if n - 1 not in bare or n + 1 not in bare]
    named = [days[n].strftime("%-d %B %Y") for n in edges]
    assert [name in said for name in named] == [True] * len(named)
    assert said.count("2026") == len(named)


AT = datetime(2026, 5, 1, 10, tzinfo=UTC)
GIVEN = Authorisation(
    practitioner="dr-a",
    employers=frozenset({"RBV"}),
    sites=frozenset({"RBV01"}),
    tracer="FDG",
    procedure=FDG,
    authorised_at=AT - 7 * DAY,
    valid_to=date(2026, 5, 3),
)
ASKED = {"site": "RBV01", "employer": "RBV", "tracer": "FDG", "procedure": FDG, "at": AT}


@pytest.mark.parametrize(
    ("changes", "reasons"),
    [
        ({}, []),
        ({"site": "RBV02"}, ["The authorisation does not cover the site RBV02"]),
        ({"employer": "NZZ"}, ["The authorisation does not cover the employer NZZ"]),
        ({"tracer": "NAF"}, ["The authorisation is for FDG, not NAF"]),
        ({"procedure": "PET-NAF"}, ["The authorisation is for procedure PET-FDG-ONC, not PET-NAF"]),
        ({"at": AT + 3 * DAY}, ["The authorisation ended on 3 May 2026; this is on 4 May 2026"]),
        ({"at": AT - 8 * DAY}, ["The authorisation was given on 24 April 2026, after this time"]),
        # Half past eleven at night in UTC is already the next day in London.
        (
            {"at": datetime(2026, 5, 3, 23, 30, tzinfo=UTC)},
            ["The authorisation ended on 3 May 2026; this is on 4 May 2026"],
        ),
    ],
)
def test_an_authorisation_covers_only_what_it_names(changes, reasons):
    assert why_not_covered(GIVEN, **ASKED | changes) == reasons


def test_a_withdrawn_or_absent_authorisation():
    withdrawn = replace(GIVEN, withdrawn_at=AT - DAY)
    assert why_not_covered(withdrawn, **ASKED) == ["The authorisation was withdrawn on 30 April 2026"]
    assert why_not_covered(replace(GIVEN, withdrawn_at=AT + DAY), **ASKED) == []
    assert why_not_covered(None, **ASKED) == ["Nobody has authorised this exposure"]


def test_an_authorisation_without_a_zone_cannot_be_built():
    with pytest.raises(ValueError, match="timezone-aware"):
        replace(GIVEN, authorised_at=datetime(2026, 5, 1))  # noqa: DTZ001
    with pytest.raises(ValueError, match="timezone-aware"):
        replace(GIVEN, withdrawn_at=datetime(2026, 5, 1))  # noqa: DTZ001


def test_at_injection_the_papers_are_looked_at_again():
    asked = {"site": CHRISTIE, "tracer": "FDG", "procedure": FDG, "at": AT}
    assert why_not_administered(GIVEN, REGISTER, **asked) == []
    assert why_not_administered(None, REGISTER, **asked) == ["Nobody has authorised this exposure"]
    later = replace(GIVEN, valid_to=date(2026, 6, 1))
    assert why_not_administered(later, REGISTER, **asked | {"at": AT + 3 * DAY}) == [
        "No employer licence at Christie PET-CT covers PET-FDG-ONC on 4 May 2026"
    ]

"""Reading a sender's text: what is read, what is refused and where, and that keeping answers loses nothing."""

from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gantry.domain.referral import ITEM, Kind, Severity, plain, typed, unknown_names
from tests.domain.answers import CONTEXT, complete


@pytest.mark.parametrize(
    ("raw", "answers"),
    [
        ({"Family_Name": " Test "}, {"family_name": "Test"}),
        ({"nhs_number": "999 000 0018"}, {"nhs_number": "9990000018"}),
        ({"referring_org_ods": " rbv "}, {"referring_org_ods": "RBV"}),
        ({"postcode": "m204bx"}, {"postcode": "M20 4BX"}),
        ({"postcode": "nowhere"}, {"postcode": "NOWHERE"}),
        ({"date_of_birth": "4/5/1960"}, {"date_of_birth": date(1960, 5, 4)}),
        ({"date_of_birth": "4 May 1960"}, {"date_of_birth": date(1960, 5, 4)}),
        ({"date_of_birth": "19600504"}, {"date_of_birth": date(1960, 5, 4)}),
        ({"date_of_birth": date(1960, 5, 4)}, {"date_of_birth": date(1960, 5, 4)}),
        (
            {"date_of_birth-day": "4", "date_of_birth-month": "5", "date_of_birth-year": "1960"},
            {"date_of_birth": date(1960, 5, 4)},
        ),
        ({"date_of_birth": datetime(2026, 7, 1, 23, 30, tzinfo=UTC)}, {"date_of_birth": date(2026, 7, 2)}),
        ({"date_of_birth": datetime(2026, 7, 1, 23, 30)}, {"date_of_birth": date(2026, 7, 1)}),  # noqa: DTZ001
        ({"request_datetime": "2026-07-01T09:00"}, {"request_datetime": datetime(2026, 7, 1, 8, tzinfo=UTC)}),
        ({"request_datetime": "2026-07-01T09:00Z"}, {"request_datetime": datetime(2026, 7, 1, 9, tzinfo=UTC)}),
        (
            {"request_datetime": datetime(2026, 1, 1, 9, tzinfo=ZoneInfo("Europe/London"))},
            {"request_datetime": datetime(2026, 1, 1, 9, tzinfo=UTC)},
        ),
        ({"weight_kg": "72.5 kg"}, {"weight_kg": 72.5}),
        ({"weight_kg": 72}, {"weight_kg": 72.0}),
        ({"planned_scan": "No"}, {"planned_scan": False}),
        ({"planned_scan": True}, {"planned_scan": True}),
        ({"diabetes": "Insulin"}, {"diabetes": "insulin"}),
        ({"allergies": "contrast; Latex, contrast"}, {"allergies": ("contrast", "latex")}),
        ({"allergies": ["contrast"]}, {"allergies": ("contrast",)}),
        ({"allergies": ","}, {}),
        ({"report_to": "rbv, R0A"}, {"report_to": ("RBV", "R0A")}),
        ({"report_to": 7}, {"report_to": ("7",)}),
        ({"prior_imaging": "none"}, {"prior_imaging": ()}),
        ({"prior_imaging_none": "yes"}, {"prior_imaging": ()}),
        ({"prior_imaging": []}, {"prior_imaging": ()}),
        (
            {"prior_imaging": "CT|Chest|1/11/2026|RBV01|yes; "},
            {
                "prior_imaging": (
                    {
                        "modality": "CT",
                        "region": "Chest",
                        "date": date(2026, 11, 1),
                        "site_ods": "RBV01",
                        "images_received": True,
                    },
                )
            },
        ),
        (
            {
                "treatment_history-2-agent": "R-CHOP",
                "treatment_history-0-treatment_type": "chemo",
                "treatment_history-0-cycle_number": "4",
                "treatment_history-0-last_date-day": "1",
                "treatment_history-0-last_date-month": "11",
                "treatment_history-0-last_date-year": "2026",
                "treatment_history-1-agent": " ",
            },
            {
                "treatment_history": (
                    {"treatment_type": "chemo", "last_date": date(2026, 11, 1), "cycle_number": 4},
                    {"agent": "R-CHOP"},
                )
            },
        ),
        ({"treatment_history": [{"Agent": "R-CHOP"}, "?"]}, {"treatment_history": ({"agent": "R-CHOP"},)}),
        ({"timing_check": "fine", "title": "", "email": None, "allergies": []}, {}),
    ],
)
def test_text_is_read(raw, answers):
    assert typed(raw, CONTEXT) == (answers, [])


@pytest.mark.parametrize(
    ("raw", "field", "says"),
    [
        ({"weight_kg": "heavy"}, "weight_kg", "give a number"),
        ({"weight_kg": "7٢"}, "weight_kg", "give a number"),
        ({"weight_kg": float("nan")}, "weight_kg", "give a number"),
        ({"weight_kg": True}, "weight_kg", "give a number"),
        ({"weight_date": "31/2/2026"}, "weight_date", "real date"),
        ({"weight_date-day": "31"}, "weight_date", "real date"),
        ({"request_datetime": "soon"}, "request_datetime", "date and time"),
        ({"request_datetime": "2026-03-29T01:30"}, "request_datetime", "clocks went forward"),
        ({"request_datetime": "0001-01-01T00:00+14:00"}, "request_datetime", "year 1 cannot"),
        ({"weight_date": "20/11/0026"}, "weight_date", "year 26 cannot"),
        ({"weight_date": date.max}, "weight_date", "year 9999 cannot"),
        ({"planned_scan": "perhaps"}, "planned_scan", "yes or no"),
        ({"diabetes": "sweet"}, "diabetes", "“sweet” is not one of: none, diet"),
        ({"indication_code": "?"}, "indication_code", ", …"),
        ({"allergies": "none, latex"}, "allergies", "cannot both be true"),
        ({"family_name": "A\x00B"}, "family_name", "control character"),
        ({"address": "x" * 4001}, "address", "at most 4000"),
        ({"treatment_history-0-cycle_number": "1.5"}, "treatment_history-0-cycle_number", "whole number"),
    ],
)
def test_what_cannot_be_read_is_left_out_and_told_in_the_senders_words(raw, field, says):
    answers, wrong = typed(raw, CONTEXT)
    assert answers == {}
    assert [(finding.field, finding.severity) for finding in wrong] == [(field, Severity.QUERY)]
    assert says in wrong[0].message


def test_an_unreadable_date_of_birth_is_refused_with_a_place_to_send_it():
    _, wrong = typed({"date_of_birth": "long ago"}, CONTEXT)
    assert wrong[0].severity is Severity.REFUSE
    assert wrong[0].where_to


def test_without_its_list_a_code_is_kept_as_given():
    from dataclasses import replace

    assert typed({"indication_code": " X "}, replace(CONTEXT, lists={}))[0] == {"indication_code": "X"}


def test_a_complete_referral_survives_being_kept():
    answers = complete(
        prior_imaging=({"modality": "CT", "region": "Chest", "date": date(2026, 1, 2), "images_received": False},)
    )
    assert typed(plain(answers), CONTEXT) == (answers, [])


VALUES = st.one_of(
    st.text(max_size=30), st.none(), st.booleans(), st.integers(), st.floats(), st.lists(st.text(max_size=5))
)


@given(st.dictionaries(st.sampled_from(sorted(ITEM)), VALUES))
def test_nothing_a_sender_types_raises_and_what_is_read_is_read_again(raw):
    answers, _ = typed(raw, CONTEXT)
    assert typed(plain(answers), CONTEXT) == (answers, [])


def test_unknown_names_are_found():
    raw = {
        "Family_Name": "",
        "shoe_size": "",
        "weight_date-day": "",
        "prior_imaging_none": "",
        "prior_imaging-0-region": "",
    }
    assert unknown_names(raw) == ["shoe_size"]


def test_every_kind_that_is_asked_can_be_read():
    from gantry.domain.referral.typed import READ

    assert set(READ) == set(Kind) - {Kind.ROWS, Kind.DERIVED}

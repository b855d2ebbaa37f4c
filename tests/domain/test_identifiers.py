"""Identifiers: the published vectors, the laws of the check digits, and what each form refuses."""

from datetime import date
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gantry.domain.identifiers import (
    NhsRange,
    OdsKind,
    Register,
    clean_gmc,
    clean_nhs_number,
    clean_postcode,
    is_our_accession,
    looks_like_gp_practice,
    make_accession,
    nhs_check_digit,
    nhs_number_warnings,
    nhs_range,
    nth_test_nhs_number,
    ods_kind,
    registration,
    spaced_nhs_number,
    uid_from_uuid,
    valid_nhs_number,
    valid_ods,
    why_not_accession,
    why_not_nhs_number,
    why_not_uid,
)


@pytest.mark.parametrize(
    "number", ["9990000018", "9990000026", "9990000034", "4000000004", "9434765919", "4010232137", "943 476 5919"]
)
def test_published_numbers_pass(number):
    assert valid_nhs_number(number)


@pytest.mark.parametrize(
    "number", ["9990000019", *(f"999123456{d}" for d in range(10)), *(f"999000000{d}" for d in range(10))]
)
def test_a_wrong_or_impossible_check_digit_is_refused(number):
    assert why_not_nhs_number(number).startswith("The NHS number's check digit is wrong")


def test_a_remainder_of_zero_gives_check_digit_nought():
    nine = next(f"{n:09d}" for n in range(400_000_000, 400_001_000) if nhs_check_digit(f"{n:09d}") == 0)
    assert valid_nhs_number(nine + "0")


@pytest.mark.parametrize(
    ("text", "why"),
    [("", "digits only"), ("99900000l8", "digits only"), ("٩٩٩٠٠٠٠٠١٨", "digits only"), ("999000001", "this has 9")],
)
def test_form_is_refused_in_words(text, why):
    assert why in why_not_nhs_number(text)


@given(st.integers(0, 899_999), st.integers(0, 9), st.integers(1, 9))
def test_one_mistyped_digit_is_always_caught(n, place, shift):
    number = nth_test_nhs_number(n)
    wrong = number[:place] + str((int(number[place]) + shift) % 10) + number[place + 1 :]
    assert valid_nhs_number(number)
    assert not valid_nhs_number(wrong)


@given(st.integers(0, 899_999), st.integers(0, 8))
def test_two_swapped_neighbours_are_always_caught(n, place):
    number = nth_test_nhs_number(n)
    swapped = number[:place] + number[place + 1] + number[place] + number[place + 2 :]
    assert valid_nhs_number(swapped) is (swapped == number)


def test_the_row_of_test_numbers_never_repeats():
    row = [nth_test_nhs_number(n) for n in range(5_000)]
    assert len(set(row)) == 5_000
    assert row[:3] == ["9990000018", "9990000026", "9990000034"]
    for n in (-1, 900_000):
        with pytest.raises(ValueError, match="counted from 0"):
            nth_test_nhs_number(n)


@pytest.mark.parametrize(
    ("number", "which", "warned"),
    [
        ("4000000004", NhsRange.ENGLAND, None),
        ("6000000006", NhsRange.ENGLAND, None),
        ("9990000018", NhsRange.TEST, "test data"),
        ("9434765919", NhsRange.ELSEWHERE, "outside the ranges"),
        ("1111111111", NhsRange.ELSEWHERE, "one digit ten times"),
    ],
)
def test_ranges_warn_and_never_refuse(number, which, warned):
    assert valid_nhs_number(number)
    assert nhs_range(number) is which
    warnings = nhs_number_warnings(number)
    assert (warned is None and warnings == []) or warned in warnings[0]


def test_numbers_are_shown_in_threes():
    assert spaced_nhs_number("9990000018") == "999 000 0018"
    assert spaced_nhs_number("12345") == "12345"
    assert clean_nhs_number(" 999-000\u20110018 ") == "9990000018"


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        ("RH8", OdsKind.TRUST),
        ("rh802", OdsKind.TRUST_SITE),
        ("NT9", OdsKind.INDEPENDENT_PROVIDER),
        ("AC7", OdsKind.INDEPENDENT_PROVIDER),
        ("NV701", OdsKind.INDEPENDENT_SITE),
        ("A81001", OdsKind.GP_PRACTICE),
        ("N81001", OdsKind.GP_PRACTICE),
        ("V81999", OdsKind.DEFAULT),
        ("X99999", OdsKind.DEFAULT),
        ("QMJ", OdsKind.ICB),
        ("ZZZZ", OdsKind.OTHER),
    ],
)
def test_ods_shapes(code, kind):
    assert valid_ods(code)
    assert ods_kind(code) is kind


def test_a_practice_by_its_shape():
    assert looks_like_gp_practice("a81001")
    assert not looks_like_gp_practice("V81997")
    assert not looks_like_gp_practice("RH8")
    assert not valid_ods("R!8")


@given(
    st.sampled_from(["RH802", "RRK", "NV701", "RJE01XYZ"]),
    st.dates(date(2020, 1, 1), date(2060, 1, 1)),
    st.integers(0, 32**4 - 1),
    st.data(),
)
def test_our_accession_numbers_fit_and_check_themselves(site, on, number, data):
    accession = make_accession(site, on, number)
    assert why_not_accession(accession) is None
    assert len(accession) <= 16
    assert is_our_accession(accession)
    place = data.draw(st.integers(0, len(accession) - 1))
    other = data.draw(st.sampled_from("0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ").filter(lambda c: c != accession[place]))
    assert not is_our_accession(accession[:place] + other + accession[place + 1 :])


def test_accession_numbers_differ_and_have_a_limit():
    day = date(2026, 11, 22)
    assert len({make_accession("RH802", day, n) for n in range(3_000)}) == 3_000
    with pytest.raises(ValueError, match="four base-32 places"):
        make_accession("RH802", day, 32**4)


@pytest.mark.parametrize(
    ("text", "why"), [(" ", "empty"), ("A" * 17, "this has 17"), ("A\\B", "no backslash"), ("A\x1bB", "no backslash")]
)
def test_accession_numbers_that_no_wire_can_carry(text, why):
    assert why in why_not_accession(text)


def test_accession_numbers_made_elsewhere_are_taken():
    assert why_not_accession("1234-ABC/7") is None
    assert not is_our_accession("1234-ABC/7")


@given(st.uuids())
def test_a_uid_comes_from_a_uuid(uuid):
    assert why_not_uid(uid_from_uuid(uuid)) is None


def test_uids():
    assert uid_from_uuid(UUID(int=1)) == "2.25.1"
    assert "1 to 64" in why_not_uid("")
    assert "1 to 64" in why_not_uid("1." * 33)
    for wrong in ("2.25.01", "3.1", "2..5", "2"):
        assert "leading zeros" in why_not_uid(wrong)


@pytest.mark.parametrize(
    ("text", "stored"),
    [
        ("sw1a1aa", "SW1A 1AA"),
        ("M13 9wl", "M13 9WL"),
        ("zz993cz", "ZZ99 3CZ"),
        ("GIR 0AA", "GIR 0AA"),
        ("12345", None),
        ("", None),
    ],
)
def test_postcodes(text, stored):
    assert clean_postcode(text) == stored


@pytest.mark.parametrize(
    ("text", "register"),
    [
        ("C1234567", Register.GMC),
        ("1234567", Register.GMC),
        ("RA12345", Register.HCPC),
        ("12A3456B", Register.NMC),
        ("C9999998", Register.DEFAULT),
        ("hello", None),
    ],
)
def test_registers(text, register):
    assert registration(text) is register


def test_a_gmc_number_is_seven_digits():
    assert clean_gmc("C 1234567") == "1234567"
    assert clean_gmc("C9999998") is None
    assert clean_gmc("RA12345") is None

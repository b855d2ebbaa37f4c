"""Decides what is a well-formed identifier: NHS number, ODS code, accession number, UID, postcode, registration.

Form is all that is decided here; whether the thing exists is for whoever issues it. Text is taken as people
and machines type it (spaces, hyphens, lower case) and given back in one stored form, or not at all.
"""

import re
from collections.abc import Sequence
from datetime import date
from enum import StrEnum
from uuid import UUID

NHS_WEIGHTS = (10, 9, 8, 7, 6, 5, 4, 3, 2)
ACCESSION_MAX = 16
"""DICOM value representation SH, PS3.5 6.2."""
UID_MAX = 64
"""DICOM value representation UI, PS3.5 9.1."""

SEPARATORS = re.compile(r"[\s\u00a0\u2010-\u2015.-]+")


class NhsNumberStatus(StrEnum):
    """NHS number status indicator code (NHS data dictionary)."""

    VERIFIED = "01"
    NOT_TRACED = "02"
    TRACE_REQUIRED = "03"
    TRACE_NO_OR_MANY_MATCHES = "04"
    NEEDS_RESOLUTION = "05"
    TRACE_IN_PROGRESS = "06"
    NOT_PRESENT_NOT_REQUIRED = "07"
    TRACE_POSTPONED_BABY = "08"


class NhsRange(StrEnum):
    """Who issues numbers that begin like this one."""

    ENGLAND = "England, Wales and Isle of Man"
    TEST = "test data"
    ELSEWHERE = "not a range issued in England, Wales or the Isle of Man"


def nhs_check_digit(first_nine: str) -> int | None:
    """The tenth digit, modulo 11; None when the nine digits can never be issued."""
    total = sum(weight * int(digit) for weight, digit in zip(NHS_WEIGHTS, first_nine, strict=True))
    check = 11 - total % 11
    if check == 10:
        return None
    return 0 if check == 11 else check


def clean_nhs_number(text: str) -> str:
    """The number as stored: digits with the separators people type taken out; anything else left to be refused."""
    return SEPARATORS.sub("", text.strip())


def why_not_nhs_number(text: str) -> str | None:
    """Why this is not an NHS number; None means that it is one."""
    number = clean_nhs_number(text)
    if not (number.isascii() and number.isdigit()):
        return "An NHS number has digits only"
    if len(number) != 10:
        return f"An NHS number has 10 digits; this has {len(number)}"
    check = nhs_check_digit(number[:9])
    if check is None or check != int(number[9]):
        return "The NHS number's check digit is wrong: a digit is mistyped or two are swapped"
    return None


def valid_nhs_number(text: str) -> bool:
    return why_not_nhs_number(text) is None


def nhs_range(number: str) -> NhsRange:
    """Which range a clean number lies in (National Imaging Registry specification)."""
    first_nine = int(number[:9])
    if number.startswith("999"):
        return NhsRange.TEST
    if 400_000_000 <= first_nine <= 499_999_999 or 600_000_000 <= first_nine <= 799_999_999:
        return NhsRange.ENGLAND
    return NhsRange.ELSEWHERE


def nhs_number_warnings(text: str) -> list[str]:
    """What a person should know about a valid number: worth a look, never a refusal."""
    number = clean_nhs_number(text)
    if len(set(number)) == 1:
        return ["This NHS number is one digit ten times: perhaps typed to get past a form"]
    match nhs_range(number):
        case NhsRange.TEST:
            return ["This NHS number is in the range kept for test data"]
        case NhsRange.ELSEWHERE:
            return ["This NHS number is outside the ranges issued in England, Wales and the Isle of Man"]
        case _:
            return []


def spaced_nhs_number(number: str) -> str:
    """As shown to people: 999 000 0018."""
    clean = clean_nhs_number(number)
    return f"{clean[:3]} {clean[3:6]} {clean[6:]}" if len(clean) == 10 else number


def nth_test_nhs_number(n: int) -> str:
    """The nth number of a fixed row of valid test numbers, counting from 0: 9990000018, 9990000026, ...

    Each ten numbers with the same first eight digits hold nine or ten that can be issued; nine are used.
    """
    if not 0 <= n < 900_000:
        raise ValueError("the row has 900,000 numbers, counted from 0")
    decade, place = divmod(n, 9)
    first_nines = [f"999{decade:05d}{digit}" for digit in range(10)]
    return [f"{nine}{check}" for nine in first_nines if (check := nhs_check_digit(nine)) is not None][place]


class OdsKind(StrEnum):
    """What the shape of an ODS code says it may be. The organisation's real kind is in the directory."""

    TRUST = "NHS trust"
    TRUST_SITE = "NHS trust site"
    INDEPENDENT_PROVIDER = "independent provider"
    INDEPENDENT_SITE = "independent provider site"
    GP_PRACTICE = "GP practice"
    ICB = "integrated care board"
    DEFAULT = "default code"
    OTHER = "other organisation"


ODS_SHAPES: tuple[tuple[str, OdsKind], ...] = (
    (r"V8199[789]|X9999[89]|8999[79]|XMD00", OdsKind.DEFAULT),
    (r"[A-HJ-NPWY][0-9]{5}", OdsKind.GP_PRACTICE),
    (r"R[0-9A-Z]{2}", OdsKind.TRUST),
    (r"R[0-9A-Z]{2}[0-9A-Z]{2,6}", OdsKind.TRUST_SITE),
    (r"[AN8][0-9A-Z]{2}", OdsKind.INDEPENDENT_PROVIDER),
    (r"[AN8][0-9A-Z]{2}[0-9A-Z]{2,6}", OdsKind.INDEPENDENT_SITE),
    (r"Q[0-9A-Z]{2}", OdsKind.ICB),
)
"""First match wins."""

ODS_FORM = re.compile(r"[0-9A-Z]{3,10}")


def clean_ods(text: str) -> str:
    return text.strip().upper()


def valid_ods(text: str) -> bool:
    """Three to ten letters and digits: the widest form the directory issues."""
    return ODS_FORM.fullmatch(clean_ods(text)) is not None


def ods_kind(text: str) -> OdsKind:
    """A guess from the shape alone; ask the directory before acting on it."""
    code = clean_ods(text)
    return next((kind for shape, kind in ODS_SHAPES if re.fullmatch(shape, code)), OdsKind.OTHER)


def looks_like_gp_practice(text: str) -> bool:
    """One letter and five digits, as practices have."""
    return ods_kind(text) is OdsKind.GP_PRACTICE


ACCESSION_LETTERS = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
"""The running number has no I, L, O or U: nobody reads one for another over the telephone."""


def make_accession(site_ods: str, on: date, number: int) -> str:
    """An accession number that fits DICOM SH: site, year and day, running number, check letter.

    Six characters of the site at most are kept; the number is base 32, four places (over a million a day).
    """
    if not 0 <= number < 32**4:
        raise ValueError("the running number must fit four base-32 places")
    places = "".join(ACCESSION_LETTERS[number >> shift & 31] for shift in (15, 10, 5, 0))
    body = f"{clean_ods(site_ods)[:6]}{on:%y%j}{places}"
    return body + accession_check(body)


def accession_check(body: str) -> str:
    """One character that catches every mistyped one, and nearly every swap of neighbours (ISO 7064, modulo 37,36)."""
    letters = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"
    product = 36
    for character in body:
        product = ((product + letters.index(character)) % 36 or 36) * 2 % 37
    return letters[(37 - product) % 36]


def why_not_accession(text: str) -> str | None:
    """Why this cannot be an accession number on any wire. Numbers made elsewhere need no check letter."""
    if not text.strip():
        return "The accession number is empty"
    if len(text.strip()) > ACCESSION_MAX:
        return f"An accession number has at most {ACCESSION_MAX} characters (DICOM SH); this has {len(text.strip())}"
    if "\\" in text or any(ord(character) < 32 or ord(character) == 127 for character in text):
        return "An accession number has no backslash and no control characters"
    return None


def is_our_accession(text: str) -> bool:
    """Made by `make_accession`: the last character checks the others."""
    return re.fullmatch(r"[0-9A-Z]{13,16}", text) is not None and accession_check(text[:-1]) == text[-1]


def uid_from_uuid(uuid: UUID) -> str:
    """A DICOM UID under 2.25, the arc for UUIDs (PS3.5 B.2). The caller makes the UUID."""
    return f"2.25.{uuid.int}"


def why_not_uid(text: str) -> str | None:
    if not text or len(text) > UID_MAX:
        return f"A UID has 1 to {UID_MAX} characters"
    if re.fullmatch(r"(0|[1-9][0-9]*)(\.(0|[1-9][0-9]*))+", text) is None or text[0] not in "012":
        return "A UID is numbers joined by dots, without leading zeros, and begins with 0, 1 or 2"
    return None


POSTCODE = re.compile(r"(GIR0AA|[A-PR-UWYZ][A-HJ-Y]?[0-9][0-9A-HJKPSTUW]?[0-9][ABD-HJLNP-UW-Z]{2})")
PSEUDO_POSTCODE = re.compile(r"ZZ99[0-9][A-Z]{2}")
"""Countries, no fixed abode and not known, as the NHS postcode directory writes them."""


def clean_postcode(text: str) -> str | None:
    """The postcode as stored, one space before the last three; None when it is not one."""
    packed = re.sub(r"\s+", "", text).upper()
    if POSTCODE.fullmatch(packed) or PSEUDO_POSTCODE.fullmatch(packed):
        return f"{packed[:-3]} {packed[-3:]}"
    return None


class Register(StrEnum):
    """Which professional register a number belongs to."""

    GMC = "GMC"
    HCPC = "HCPC"
    NMC = "NMC"
    DEFAULT = "default code"


REGISTRATION_SHAPES: Sequence[tuple[str, Register]] = (
    (r"C9999998|G9999998|G9999981|R9999981|X9999998", Register.DEFAULT),
    (r"C?[0-9]{7}", Register.GMC),
    (r"(RA|DT|CS|PH|OD|BS|CH|HAD|OT|OR|PA|PO|PYL|SL)[0-9]{5,6}", Register.HCPC),
    (r"[0-9]{2}[A-L][0-9]{4}[A-Z]", Register.NMC),
)


def clean_registration(text: str) -> str:
    return re.sub(r"[\s-]+", "", text).upper()


def registration(text: str) -> Register | None:
    """Which register a number's form belongs to; None when it fits none."""
    number = clean_registration(text)
    return next((register for shape, register in REGISTRATION_SHAPES if re.fullmatch(shape, number)), None)


def clean_gmc(text: str) -> str | None:
    """Seven digits, as the GMC prints them; NHS data sets put a C in front."""
    number = clean_registration(text)
    return number.removeprefix("C") if re.fullmatch(r"C?[0-9]{7}", number) and number != "C9999998" else None

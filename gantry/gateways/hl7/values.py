"""Decides what the data types of chapter 2A mean here: times, people, organisations, coded elements, numbers."""

import re
from dataclasses import dataclass
from datetime import date, datetime, timedelta, timezone, tzinfo

from gantry.domain.identifiers import (
    OdsKind,
    clean_gmc,
    clean_ods,
    clean_registration,
    ods_kind,
    registration,
    valid_ods,
)

from .message import Segment

TIME = re.compile(
    r"(?P<date>\d{4}(?:\d{2}(?:\d{2})?)?)"
    r"(?P<clock>(?:\d{2}(?:\d{2}(?:\d{2}(?:\.\d{1,6})?)?)?)?)"
    r"(?P<offset>[+-]\d{4})?"
)
REGISTERS = frozenset({"GMC", "HCPC", "NMC", "GDC"})


@dataclass(frozen=True, slots=True)
class Coded:
    """CE, CWE: a code, its text, its system."""

    code: str = ""
    text: str = ""
    system: str = ""

    @property
    def words(self) -> str:
        return self.text or self.code

    @property
    def described(self) -> str:
        return f"{self.text} ({self.code})" if self.text and self.code else self.words

    def __bool__(self) -> bool:
        return bool(self.code or self.text)


@dataclass(frozen=True, slots=True)
class Clinician:
    """XCN: who asked. `registration` only when the message or its form says that it is one."""

    number: str = ""
    family_name: str = ""
    given_name: str = ""
    title: str = ""
    registration: str = ""

    @property
    def name(self) -> str:
        return " ".join(part for part in (self.title, self.given_name, self.family_name) if part)

    def __bool__(self) -> bool:
        return bool(self.number or self.family_name)


NO_CODE = Coded()
NOBODY = Clinician()


def read_coded(segment: Segment, number: int, repetition: int = 1) -> Coded:
    code, text, system = (segment.component(number, part, repetition=repetition) for part in (1, 2, 3))
    return Coded(code, text, system)


def read_clinician(segment: Segment, number: int) -> Clinician:
    """The repetition with a national number first, else the first one."""
    found = [clinician for rep in segment.repetitions(number) if (clinician := one_clinician(segment, rep))]
    return next((clinician for clinician in found if clinician.registration), found[0] if found else NOBODY)


def one_clinician(segment: Segment, rep: str) -> Clinician:
    identifier = segment.part(rep, 1)
    authorities = {segment.part(rep, part).upper() for part in (8, 9, 13)}
    return Clinician(
        identifier,
        segment.part(rep, 2),
        segment.part(rep, 3),
        segment.part(rep, 6),
        register_number(identifier, authorities),
    )


def register_number(identifier: str, authorities: set[str]) -> str:
    """C and seven digits is a GMC number wherever it stands; seven digits alone only when XCN says GMC."""
    gmc = clean_gmc(identifier)
    if gmc and ("GMC" in authorities or clean_registration(identifier).startswith("C")):
        return gmc
    if authorities & REGISTERS and registration(identifier):
        return clean_registration(identifier)
    return ""


def read_organisation(segment: Segment, number: int) -> str:
    """XON: the ODS code, where XON.3 or XON.10 is one and the assigner, when named, is ODS."""
    for rep in segment.repetitions(number):
        assigners = {segment.part(rep, part).upper() for part in (6, 7)} - {""}
        for part in (10, 3):
            code = segment.part(rep, part)
            if "ODS" in assigners and valid_ods(code):
                return clean_ods(code)
            if not assigners and (found := ods_or_empty(code)):
                return found
    return ""


def ods_or_empty(text: str) -> str:
    """The code, where nothing says that it is ODS but its shape: a trust, a provider, a practice or a board.

    Whether the organisation exists is for the directory.
    """
    code = clean_ods(text)
    if len(code) > 6 or ods_kind(code) in (OdsKind.OTHER, OdsKind.DEFAULT):
        return ""
    return code if len(code) == 3 or any(character.isdigit() for character in code) else ""


def read_date(text: str) -> date | None:
    """A whole date; None when it is missing a part or is not one."""
    moment = TIME.fullmatch(text.strip())
    if moment is None or len(moment["date"]) < 8:
        return None
    try:
        return datetime.strptime(moment["date"], "%Y%m%d").date()  # noqa: DTZ007 a date of birth has no zone
    except ValueError:
        return None


def read_time(text: str, zone: tzinfo) -> datetime | None:
    """TS, DTM: aware. A time sent without an offset is the wall clock of `zone`; a bare date is its midnight."""
    moment = TIME.fullmatch(text.strip())
    day = read_date(text)
    if moment is None or day is None:
        return None
    clock = moment["clock"].partition(".")[0].ljust(6, "0")
    try:
        naive = datetime.strptime(f"{day:%Y%m%d}{clock}", "%Y%m%d%H%M%S")  # noqa: DTZ007 the zone is set below
        return naive.replace(tzinfo=read_offset(moment["offset"]) or zone)
    except ValueError:
        return None


def read_offset(text: str | None) -> tzinfo | None:
    if not text:
        return None
    minutes = int(text[1:3]) * 60 + int(text[3:5])
    return timezone(timedelta(minutes=-minutes if text[0] == "-" else minutes))


def read_number(text: str) -> float | None:
    """NM: decimal digits, an optional sign and point; no exponent, no infinity."""
    return float(text) if re.fullmatch(r"[+-]?(?:\d{1,12}(?:\.\d{0,12})?|\.\d{1,12})", text.strip()) else None

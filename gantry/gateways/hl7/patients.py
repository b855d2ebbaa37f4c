"""Decides who a message is about: PID, PD1, NK1 and AL1 into one set of facts, with what is wrong in PID's own places."""

from dataclasses import dataclass
from datetime import date

from gantry.domain.identifiers import (
    clean_nhs_number,
    clean_ods,
    clean_postcode,
    looks_like_gp_practice,
    why_not_nhs_number,
)

from .message import Message, Segment
from .refusals import Fault, Refusal, gap
from .values import read_date

NHS_AUTHORITIES = frozenset({"NHS", "NHSNBR", "2.16.840.1.113883.2.1.4.1", "HTTPS://FHIR.NHS.UK/ID/NHS-NUMBER"})
NHS_TYPES = frozenset({"NH", "NHS"})
NOT_LOCAL = frozenset({"SS", "DL", "PPN", "CZ", "AN", "VN", "ACSN", "SB", "TAX"})
"""CX.5 (table 0203): numbers of a person that are not the hospital's number for a patient."""

ETHNIC_CATEGORIES = frozenset({*"ABCDEFGHJKLMNPRSZ", "99"})

STATED_GENDER = {
    "M": "1", "F": "2", "1": "1", "2": "2", "9": "9", "A": "9", "I": "9", "U": "X", "X": "X", "0": "X",
}  # fmt: skip
"""Table 0001 and the NHS codes that PID-8 carries in this country, to the NHS code. O and N have no equal."""


NO_KNOWN_ALLERGY = frozenset({"716186003", "NKA", "NKDA", "NIL", "NONE", "NO KNOWN ALLERGIES", "NO KNOWN ALLERGY"})
ALLERGY_WORDS = (("contrast", "contrast"), ("iodi", "contrast"), ("latex", "latex"), ("plaster", "plaster"))


@dataclass(frozen=True, slots=True)
class Allergy:
    """AL1. `kind` is the data set's word: none, contrast, plaster, drugs, latex, other."""

    kind: str
    what: str


@dataclass(frozen=True, slots=True)
class PatientIdentifier:
    value: str
    assigner: str
    type: str
    location: str


@dataclass(frozen=True, slots=True)
class PatientFacts:
    """What a message says of a person. Empty means that it did not say."""

    nhs_number: str = ""
    nhs_number_status: str = ""
    identifiers: tuple[PatientIdentifier, ...] = ()
    local_id: str = ""
    local_id_assigner: str = ""
    family_name: str = ""
    given_name: str = ""
    middle_names: str = ""
    title: str = ""
    date_of_birth: date | None = None
    stated_gender: str = ""
    ethnic_category: str = ""
    address: str = ""
    postcode: str = ""
    phones: tuple[str, ...] = ()
    email: str = ""
    gp_practice_ods: str = ""
    next_of_kin: str = ""
    next_of_kin_phone: str = ""
    allergies: tuple[Allergy, ...] = ()
    died: bool = False


def read_patient(message: Message) -> tuple[PatientFacts, tuple[Refusal, ...]]:
    """The person of the first PID, and everything wrong with it at once."""
    pid = message.first("PID")
    if pid is None:
        return PatientFacts(), (Refusal("PID^1", Fault.SEGMENT_SEQUENCE, "The message has no PID segment"),)
    refusals: list[Refusal] = []
    identifiers = read_identifiers(pid)
    nhs_number = nhs_number_of(identifiers, refusals)
    local = local_identifier(identifiers)
    if not identifiers:
        refusals.append(Refusal("PID^1^3^1", Fault.REQUIRED_FIELD_MISSING, "PID-3 holds no patient identifier"))
    family_name, given_name, middle_names, title = read_name(pid)
    if not family_name:
        refusals.append(Refusal("PID^1^5^1^1", Fault.REQUIRED_FIELD_MISSING, "The patient's family name is missing"))
    born = pid.component(7)
    date_of_birth = read_date(born)
    if born and date_of_birth is None:
        refusals.append(Refusal("PID^1^7^1", Fault.DATA_TYPE, "PID-7 is not a date (YYYYMMDD)"))
    gender = pid.component(8).upper()
    if gender and gender not in STATED_GENDER:
        refusals.append(
            gap("PID^1^8^1", "PID-8 has no equal among 1, 2, 9 and X: ask the referrer", Fault.TABLE_VALUE_NOT_FOUND)
        )
    died = pid.component(30).upper() == "Y" or bool(pid.component(29))
    if died:
        refusals.append(gap("PID^1^30^1", "PID-29 or PID-30 says that the patient has died", Fault.DATA_TYPE))
    address, postcode = read_address(pid)
    phones, email = read_telecom(pid)
    kin, kin_phone = next_of_kin(message)
    facts = PatientFacts(
        nhs_number=nhs_number,
        nhs_number_status=nhs_status(pid, nhs_number),
        identifiers=identifiers,
        local_id=local.value if local else "",
        local_id_assigner=local.assigner if local else "",
        family_name=family_name,
        given_name=given_name,
        middle_names=middle_names,
        title=title,
        date_of_birth=date_of_birth,
        stated_gender=STATED_GENDER.get(gender, ""),
        ethnic_category=ethnic_category(pid),
        address=address,
        postcode=postcode,
        phones=phones,
        email=email,
        gp_practice_ods=gp_practice(message),
        next_of_kin=kin,
        next_of_kin_phone=kin_phone,
        allergies=allergies(message),
        died=died,
    )
    return facts, tuple(refusals)


def read_identifiers(pid: Segment) -> tuple[PatientIdentifier, ...]:
    """PID-3, then PID-2 and PID-4 as older systems fill them; repeats once."""
    found: dict[tuple[str, str, str], PatientIdentifier] = {}
    for number in (3, 2, 4):
        for place, rep in enumerate(pid.repetitions(number), start=1):
            value, kind = pid.part(rep, 1), pid.part(rep, 5).upper()
            assigner = pid.part(rep, 4, 1) or pid.part(rep, 4, 2)
            if value:
                found.setdefault(
                    (value, assigner, kind), PatientIdentifier(value, assigner, kind, pid.location(number, place))
                )
    return tuple(found.values())


def is_nhs(identifier: PatientIdentifier) -> bool:
    """Only where CX.4 or CX.5 says so: ten digits alone prove nothing."""
    return identifier.assigner.upper() in NHS_AUTHORITIES or identifier.type in NHS_TYPES


def nhs_number_of(identifiers: tuple[PatientIdentifier, ...], refusals: list[Refusal]) -> str:
    """The NHS number when exactly one valid one is given; each that fails is a refusal in its own place."""
    valid: dict[str, None] = {}
    for identifier in filter(is_nhs, identifiers):
        why_not = why_not_nhs_number(identifier.value)
        if why_not:
            refusals.append(Refusal(identifier.location, Fault.DATA_TYPE, why_not))
            continue
        number = clean_nhs_number(identifier.value)
        if valid and number not in valid:
            refusals.append(Refusal(identifier.location, Fault.DATA_TYPE, "PID-3 holds two different NHS numbers"))
        valid[number] = None
    return next(iter(valid), "")


def nhs_status(pid: Segment, nhs_number: str) -> str:
    """PID-32 as the sender's engine fills it (NSTS01 or 01); a number nobody vouched for is "present, not traced"."""
    stated = pid.component(32).upper().removeprefix("NSTS")
    if stated in {f"0{digit}" for digit in range(1, 9)}:
        return stated
    return "02" if nhs_number else ""


def local_identifier(identifiers: tuple[PatientIdentifier, ...]) -> PatientIdentifier | None:
    """The hospital's own number: a medical record or patient number first, then any that could be one."""
    others = [identifier for identifier in identifiers if not is_nhs(identifier)]
    for kinds in ({"MR"}, {"PI", "PT", "PK"}):
        for identifier in others:
            if identifier.type in kinds:
                return identifier
    return next((identifier for identifier in others if identifier.type not in NOT_LOCAL), None)


def read_name(pid: Segment) -> tuple[str, str, str, str]:
    """The legal name (XPN.7 L) when repetitions say which is which, else the first with a family name."""
    repetitions = sorted(pid.repetitions(5), key=lambda rep: pid.part(rep, 7).upper() not in ("L", ""))
    for rep in repetitions:
        if family := pid.part(rep, 1):
            return family, pid.part(rep, 2), pid.part(rep, 3), pid.part(rep, 5)
    return "", "", "", ""


def read_address(pid: Segment) -> tuple[str, str]:
    """Lines joined by commas, and the postcode when it is one of this country's."""
    for rep in pid.repetitions(11):
        parts = [pid.part(rep, part) for part in (1, 2, 8, 3, 4)]
        postcode = pid.part(rep, 5)
        lines = [part for part in parts if part]
        if lines or postcode:
            return ", ".join(lines), clean_postcode(postcode) or postcode
    return "", ""


def read_telecom(pid: Segment) -> tuple[tuple[str, ...], str]:
    """Telephone numbers in order (home, then work), and the first e-mail address."""
    phones: dict[str, None] = {}
    email = ""
    for number in (13, 14):
        for rep in pid.repetitions(number):
            use, kind = pid.part(rep, 2).upper(), pid.part(rep, 3).upper()
            address = pid.part(rep, 4)
            if "@" in address or use == "NET" or kind in ("INTERNET", "X.400"):
                email = email or (address if "@" in address else pid.part(rep, 1))
                continue
            written = pid.part(rep, 1) or "".join(pid.part(rep, part) for part in (5, 6, 7)) or pid.part(rep, 12)
            if any(letter.isdigit() for letter in written):
                phones[written] = None
    return tuple(phones), email


def ethnic_category(pid: Segment) -> str:
    """PID-22 where this country's senders put it. Table 0189's H, N and U (Hispanic or not) are other words."""
    code = pid.component(22).upper()
    if "HISPANIC" in pid.component(22, 2).upper() or "0189" in pid.component(22, 3):
        return ""
    return code if code in ETHNIC_CATEGORIES else ""


def gp_practice(message: Message) -> str:
    """PD1-3 (XON.3 or XON.10), else the assigning facility of PD1-4."""
    pd1 = message.first("PD1")
    if pd1 is None:
        return ""
    for number, part in ((3, 3), (3, 10), (4, 14), (4, 1)):
        code = clean_ods(pd1.component(number, part))
        if looks_like_gp_practice(code):
            return code
    return ""


def next_of_kin(message: Message) -> tuple[str, str]:
    """Name with relation, and telephone, of the first NK1."""
    nk1 = message.first("NK1")
    if nk1 is None:
        return "", ""
    name = " ".join(part for part in (nk1.component(2, 2), nk1.component(2, 1)) if part)
    relation = nk1.component(3, 2) or nk1.component(3, 1)
    return ", ".join(part for part in (name, relation) if part), nk1.component(5) or nk1.component(5, 12)


def allergies(message: Message) -> tuple[Allergy, ...]:
    """AL1-3 in words, with the reaction where it is told; each once."""
    found: dict[Allergy, None] = {}
    for al1 in message.all("AL1"):
        code, words = al1.component(3, 1), al1.component(3, 2)
        what = words or code
        if not what:
            continue
        if {code.upper(), words.upper()} & NO_KNOWN_ALLERGY:
            found[Allergy("none", "")] = None
            continue
        reaction = ", ".join(part for rep in al1.repetitions(5) if (part := al1.part(rep, 1)))
        kind = next((kind for word, kind in ALLERGY_WORDS if word in what.lower()), "")
        kind = kind or ("drugs" if al1.component(2).upper() == "DA" else "other")
        found[Allergy(kind, f"{what} ({reaction})" if reaction else what)] = None
    return tuple(found)

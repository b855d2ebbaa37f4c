"""Tells a patient of ours as a FHIR Patient, and reads the facts of one that somebody sent."""

from collections.abc import Iterator, Mapping
from typing import Any

from gantry.domain.identifiers import valid_nhs_number
from gantry.gateways.fhir import resource as sql
from gantry.gateways.fhir.reading import Tree
from gantry.gateways.fhir.resource import NHS_NUMBER, Resource, Search, arr, case, day, obj, said, text, when
from gantry.gateways.fhir.values import whole_day

VERIFICATION = "https://fhir.hl7.org.uk/StructureDefinition/Extension-UKCore-NHSNumberVerificationStatus"
VERIFICATION_CODES = "https://fhir.hl7.org.uk/CodeSystem/UKCore-NHSNumberVerificationStatus"
ENGLAND_CODES = "https://fhir.hl7.org.uk/CodeSystem/UKCore-NHSNumberVerificationStatusEngland"
STATUS: Mapping[str, str] = {
    "01": "number-present-and-verified",
    "02": "number-present-but-not-traced",
    "03": "trace-required",
    "04": "trace-attempted-no-match-or-multiple-match-found",
    "05": "trace-needs-to-be-resolved",
    "06": "trace-in-progress",
    "07": "number-not-present-and-trace-not-required",
    "08": "trace-postponed",
}
OUR_STATUS = {word: code for code, word in STATUS.items()} | {code: code for code in STATUS}
GENDER = {"1": "male", "2": "female", "9": "other"}
STATED = {"male": "1", "female": "2", "other": "9", "unknown": "X"}
HOSPITAL = "urn:gantry:hospital-number"
SYSTEMS = {"hospital number": HOSPITAL}

IDENTIFIERS = f"""(
    SELECT json_agg(one) FROM (
        SELECT {
    obj(
        extension=when(
            "r.nhs_number_status <> ''",
            arr(
                obj(
                    url=text(VERIFICATION),
                    valueCodeableConcept=obj(
                        coding=arr(
                            obj(
                                system=text(VERIFICATION_CODES),
                                code=case("r.nhs_number_status", STATUS, "trace-required"),
                            )
                        )
                    ),
                )
            ),
        ),
        system=text(NHS_NUMBER),
        value="r.nhs_number",
    )
} AS one WHERE r.nhs_number <> ''
        UNION ALL
        SELECT {
    obj(
        system=f"CASE i.system WHEN 'hospital number' THEN {text(HOSPITAL)} ELSE i.system END",
        value="i.value",
        assigner=when("i.assigner <> ''", obj(identifier=obj(system=text(sql.ODS_ORGANISATION), value="i.assigner"))),
    )
} FROM (SELECT * FROM patients_identifier WHERE patient_id = r.id ORDER BY id) i
    ) AS listed)"""


def contact(system: str, expression: str, rank: int) -> str:
    return f"SELECT {obj(system=text(system), value=expression, rank=str(rank))} AS one WHERE {expression} <> ''"


TELECOM = f"""(SELECT json_agg(one) FROM ({contact("phone", "r.phone_primary", 1)} UNION ALL {
    contact("phone", "r.phone_alt", 2)
} UNION ALL {contact("email", "r.email", 3)}) AS listed)"""

UPDATED = sql.changed(sql.BORN)
JSON = obj(
    resourceType=text("Patient"),
    id="r.id",
    meta=obj(lastUpdated=sql.instant(UPDATED)),
    identifier=IDENTIFIERS,
    name=arr(
        obj(
            use=text("official"),
            family=said("r.family_name"),
            given=when("r.given_name <> ''", arr("r.given_name")),
            prefix=when("r.title <> ''", arr("r.title")),
        )
    ),
    telecom=TELECOM,
    gender=when("r.stated_gender <> ''", case("r.stated_gender", GENDER, "unknown")),
    birthDate=day("r.date_of_birth"),
    address=when(
        "r.address <> '' OR r.postcode <> ''",
        arr(obj(use=text("home"), text=said("r.address"), postalCode=said("r.postcode"))),
    ),
    generalPractitioner=when(
        "r.gp_practice_ods <> ''",
        arr(
            obj(
                type=text("Organization"),
                identifier=obj(system=text(sql.ODS_ORGANISATION), value="r.gp_practice_ods"),
            )
        ),
    ),
)

RESOURCE = Resource(
    type="Patient",
    columns={"active": "active", "gender": "gender", "birthDate": "birth_date"},
    rows="patients_patient r",
    json=JSON,
    seen="(r.organisations && who.organisations OR r.id = ANY(who.opened))",
    patient="r.id",
    updated=UPDATED,
    searches={
        "identifier": Search(
            "token",
            f"(({sql.token(text(NHS_NUMBER), 'r.nhs_number')}) OR EXISTS (SELECT 1 FROM patients_identifier i WHERE"
            " i.patient_id = r.id AND i.value = %(value)s AND (%(system)s::text IS NULL OR %(system)s::text ="
            f" CASE i.system WHEN 'hospital number' THEN {text(HOSPITAL)} ELSE i.system END)))",
        ),
        "family": Search("string", "r.family_name ILIKE %(starts)s"),
        "birthdate": Search("date", "r.date_of_birth::timestamp AT TIME ZONE 'Europe/London'"),
    },
    creates=True,
)


def answers(tree: Tree, path: str) -> Iterator[tuple[str, Any, str]]:
    """(data-set item, value, FHIRPath) for everything that a Patient says of the minimum data set."""
    yield from numbers(tree, path)
    name, at = first_of(tree.get("name"), f"{path}.name", prefer="official")
    given = [str(one) for one in name.get("given") or () if one]
    words = str(name.get("text") or "").split()
    yield "family_name", name.get("family") or (words[-1] if words and not given else ""), f"{at}.family"
    yield "given_name", " ".join(given), f"{at}.given"
    yield "title", " ".join(str(one) for one in name.get("prefix") or ()), f"{at}.prefix"
    yield "date_of_birth", whole_day(tree.get("birthDate")) or tree.get("birthDate"), f"{path}.birthDate"
    yield "stated_gender", STATED.get(str(tree.get("gender")), ""), f"{path}.gender"
    yield from where_and_how(tree, path)
    for place, one in enumerate(tree.get("generalPractitioner") or ()):
        identifier = one.get("identifier") or {}
        if str(identifier.get("system", "")).lower() == sql.ODS_ORGANISATION.lower():
            yield "gp_practice_ods", identifier.get("value"), f"{path}.generalPractitioner[{place}]"


def numbers(tree: Tree, path: str) -> Iterator[tuple[str, Any, str]]:
    local = False
    for place, one in enumerate(tree.get("identifier") or ()):
        at, value = f"{path}.identifier[{place}]", str(one.get("value") or "").strip()
        if str(one.get("system", "")).lower() == NHS_NUMBER.lower():
            yield "nhs_number", value, f"{at}.value"
            yield "nhs_number_status", status_of(one, value), f"{at}.extension"
        elif value and not local:
            local = True
            assigner = (one.get("assigner") or {}).get("identifier") or {}
            yield "local_patient_id", value, f"{at}.value"
            yield "local_patient_id_assigner", assigner.get("value", ""), f"{at}.assigner"


def status_of(identifier: Tree, number: str) -> str:
    """What the sender says of the number; a number that cannot be one is never taken as verified."""
    for one in identifier.get("extension") or ():
        if one.get("url") == VERIFICATION:
            for coding in (one.get("valueCodeableConcept") or {}).get("coding") or ():
                said_code = OUR_STATUS.get(str(coding.get("code")), "")
                if said_code:
                    return said_code if said_code != "01" or valid_nhs_number(number) else "03"
    return "02" if number else ""


def where_and_how(tree: Tree, path: str) -> Iterator[tuple[str, Any, str]]:
    address, at = first_of(tree.get("address"), f"{path}.address", prefer="home")
    lines = [str(line) for line in address.get("line") or ()]
    whole = [*lines, *(str(address[name]) for name in ("city", "district") if name in address)]
    yield "address", "\n".join(dict.fromkeys(whole)) or str(address.get("text") or ""), at
    yield "postcode", address.get("postalCode"), f"{at}.postalCode"
    numbers_found = [
        (str(one.get("system")), str(one.get("value") or ""), f"{where}.telecom[{place}]")
        for where, holder in holders(tree, path)
        for place, one in enumerate(holder.get("telecom") or ())
    ]
    phones = [(value, at) for system, value, at in numbers_found if system == "phone" and value]
    for item, (value, at) in zip(("phone_primary", "phone_alt"), phones, strict=False):
        yield item, value, at
    for system, value, at in numbers_found:
        if system == "email":
            yield "email", value, at
            break
    for place, one in enumerate(tree.get("communication") or ()):
        language = coded(one.get("language"))
        if language and not language.startswith("en"):
            yield "interpreter_language", language, f"{path}.communication[{place}].language"


def holders(tree: Tree, path: str) -> Iterator[tuple[str, Tree]]:
    """The patient's own numbers, also where they stand in a contact that is the patient."""
    yield path, tree
    for place, one in enumerate(tree.get("contact") or ()):
        codes = {coding.get("code") for kind in one.get("relationship") or () for coding in kind.get("coding") or ()}
        if "ONESELF" in codes:
            yield f"{path}.contact[{place}]", one


def coded(concept: Any) -> str:
    codings = (concept or {}).get("coding") or () if isinstance(concept, dict) else ()
    return next((str(one["code"]) for one in codings if one.get("code")), "")


def first_of(rows: Any, path: str, *, prefer: str) -> tuple[Tree, str]:
    """The row of that use, else the first, with its place."""
    listed = [one for one in rows or () if isinstance(one, dict)]
    for place, one in enumerate(listed):
        if one.get("use") == prefer:
            return one, f"{path}[{place}]"
    return (listed[0], f"{path}[0]") if listed else ({}, f"{path}[0]")

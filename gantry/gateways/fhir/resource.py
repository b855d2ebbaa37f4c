"""Says what a served resource type is: its columns as a statement, and how our own rows are told as one, in SQL.

The JSON is built by the database in the statement that also decides who may see it and writes who did.
Every expression here is fixed text; values come only as parameters.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from gantry.domain.access import Verb


@dataclass(frozen=True, slots=True)
class Search:
    """A search parameter: its type for the CapabilityStatement, and the condition that it puts on a row."""

    type: str
    sql: str
    """A condition on `%(value)s`; for a token also on `%(system)s` (null where none was given), for text on
    `%(starts)s`. Of a reference the value is a key, or null; of a date it is the moment itself."""


@dataclass(frozen=True, slots=True, eq=False)
class Resource:
    type: str
    columns: Mapping[str, str] = field(default_factory=dict)
    """Element → column of a statement."""
    rows: str = ""
    """FROM clause; the row itself is `r`."""
    json: str = ""
    seen: str = "true"
    """Whether `who` may see `r`."""
    patient: str = "NULL::uuid"
    searches: Mapping[str, Search] = field(default_factory=dict)
    updated: str = ""
    """When it last changed: what _lastUpdated asks, and meta says."""
    verb: Verb = Verb.SEE_REFERRALS
    creates: bool = False
    """Whether others may state one of these here."""
    key: str = "r.id"


NHS_NUMBER = "https://fhir.nhs.uk/Id/nhs-number"
ODS_ORGANISATION = "https://fhir.nhs.uk/Id/ods-organization-code"
ODS_SITE = "https://fhir.nhs.uk/Id/ods-site-code"
GMC = "https://fhir.hl7.org.uk/Id/gmc-number"
ACCESSION = "http://terminology.hl7.org/CodeSystem/v2-0203"
SNOMED = "http://snomed.info/sct"
DICOM = "http://dicom.nema.org/resources/ontology/DCM"
OURS = "urn:gantry:code"
"""Codes of ours that no national system has."""


def instant(expression: str) -> str:
    return f"""to_char({expression} AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')"""


def day(expression: str) -> str:
    return f"to_char({expression}, 'YYYY-MM-DD')"


def said(expression: str) -> str:
    """Text, or nothing where it is empty."""
    return f"nullif({expression}, '')"


def obj(**members: str) -> str:
    """A JSON object; a member ending in an underscore is a reserved word of Python."""
    inside = ", ".join(f"'{name.rstrip('_')}', {value}" for name, value in members.items())
    return f"json_build_object({inside})"


def arr(*members: str) -> str:
    return f"json_build_array({', '.join(members)})"


def when(condition: str, value: str) -> str:
    return f"CASE WHEN {condition} THEN {value} END"


def text(value: str) -> str:
    """A fixed word."""
    return "'" + value.replace("'", "''") + "'"


def case(expression: str, words: Mapping[str, str], otherwise: str) -> str:
    chosen = " ".join(f"WHEN {text(ours)} THEN {text(theirs)}" for ours, theirs in words.items())
    return f"CASE {expression} {chosen} ELSE {text(otherwise)} END"


def reference(kind: str, expression: str, display: str = "NULL") -> str:
    return when(f"{expression} IS NOT NULL", obj(reference=f"'{kind}/' || {expression}", display=display))


def organisation(row: str) -> str:
    """An organisation is named by its ODS code, which everybody can resolve."""
    identifier = obj(system=text(ODS_ORGANISATION), value=f"{row}.ods_code")
    return obj(type=text("Organization"), identifier=identifier, display=said(f"{row}.name"))


def changed(fallback: str, *subjects: str) -> str:
    """When the history last spoke of it."""
    keys = ", ".join(subjects or ("r.id",))
    last = f"(SELECT max(e.recorded_at) FROM audit_event e WHERE e.subjects && ARRAY[{keys}])"
    return f"coalesce({last}, {fallback})"


BORN = "to_timestamp(('x' || left(translate(r.id::text, '-', ''), 12))::bit(48)::bigint / 1000.0)"
"""When an id was made: a UUIDv7 begins with its milliseconds."""

BY_ORGANISATION = "(r.organisations && who.organisations OR {patient} = ANY(who.opened))"
"""`for_user` of the rows that hang from a referral, in SQL."""


COLLEAGUE = """({organisation} = ANY(who.organisations) OR {organisation} IN (
    SELECT unnest(ARRAY[n.provider_id, s.organisation_id]) FROM estate_network n
    JOIN estate_network_members m ON m.network_id = n.id LEFT JOIN estate_site s ON s.network_id = n.id
    WHERE m.organisation_id = ANY(who.organisations)))"""
"""Registered people of one's own organisations, and of those that scan for them: a referrer may know who answers."""


def token(system: str, value: str) -> str:
    """A token's condition; a system asked for must be the row's."""
    return f"({value} = %(value)s AND (%(system)s::text IS NULL OR %(system)s::text = {system}))"

"""Decides whether a referral is about somebody we know: by agreed identity, never by likeness."""

from collections.abc import Iterable
from dataclasses import dataclass, fields
from datetime import date, datetime
from uuid import UUID

from django.db import connection, transaction

from gantry.apps.audit.services import append
from gantry.apps.patients.models import Identifier, Patient
from gantry.domain.events import Actor, EventKind
from gantry.domain.identifiers import NhsNumberStatus, nhs_range, valid_nhs_number
from gantry.domain.identifiers import NhsRange as Range

HOSPITAL_NUMBER = "hospital number"
"""The system of an identifier that an organisation gives to its own patients; the assigner is its ODS code."""


@dataclass(frozen=True, slots=True)
class GivenIdentifier:
    value: str
    assigner: str
    system: str = HOSPITAL_NUMBER


@dataclass(frozen=True, slots=True)
class PatientFacts:
    """A person as a sender describes them. Empty means that the sender did not say."""

    family_name: str
    given_name: str = ""
    date_of_birth: date | None = None
    title: str = ""
    stated_gender: str = ""
    sex_assigned_at_birth: str = ""
    nhs_number: str = ""
    nhs_number_status: str = ""
    nhs_number_unavailable_reason: str = ""
    address: str = ""
    postcode: str = ""
    phone_primary: str = ""
    phone_alt: str = ""
    email: str = ""
    gp_practice_ods: str = ""
    language: str = ""
    interpreter_required: bool | None = None
    adjustments: str = ""
    identifiers: tuple[GivenIdentifier, ...] = ()
    latitude: float | None = None
    longitude: float | None = None

    @property
    def has_verified_number(self) -> bool:
        return self.nhs_number_status == NhsNumberStatus.VERIFIED and valid_nhs_number(self.nhs_number)


def why_not_identified(facts: PatientFacts) -> list[tuple[str, str]]:
    """(field, reason) for each thing without which nobody could even be asked about this person."""
    reasons = []
    if not facts.family_name:
        reasons.append(("family_name", "A patient without a family name cannot be asked about"))
    if not facts.nhs_number and not facts.identifiers:
        reasons.append(("nhs_number", "Nothing identifies this person: give the NHS number or the hospital number"))
    return reasons


@transaction.atomic
def find_or_add(facts: PatientFacts, *, organisations: Iterable[UUID], now: datetime, by: Actor) -> Patient:
    """The patient these facts are about, or a new one. Two requests at one moment make one patient."""
    lock_identity(facts)
    patient = match(facts)
    if patient is None:
        patient = add(facts)
        keep_identifiers(patient, facts)
    else:
        fill_in(patient, facts)
    let_see(patient, organisations)
    return patient


def match(facts: PatientFacts) -> Patient | None:
    """Somebody whose identity agrees; where two facts about identity differ, nobody."""
    if facts.date_of_birth is None:
        return None
    born = Patient.objects.filter(date_of_birth=facts.date_of_birth)
    if valid_nhs_number(facts.nhs_number):
        numbered = born.filter(nhs_number=facts.nhs_number).order_by("nhs_number_status", "pk")
        for patient in numbered:
            verified = facts.has_verified_number and patient.nhs_number_status == NhsNumberStatus.VERIFIED
            # A number that nobody traced proves a person only together with the name.
            if verified or patient.family_name.casefold() == facts.family_name.casefold():
                return patient
    for given in facts.identifiers:
        found = born.filter(
            identifiers__system=given.system, identifiers__value=given.value, identifiers__assigner=given.assigner
        ).first()
        if found and not contradicts(found, facts):
            return found
    return None


def contradicts(patient: Patient, facts: PatientFacts) -> bool:
    """Two different NHS numbers are two people until a person says otherwise."""
    return bool(patient.nhs_number and facts.nhs_number and patient.nhs_number != facts.nhs_number)


def conflicts(facts: PatientFacts) -> list[tuple[str, str]]:
    """(field, what) where an identifier that we hold belongs to somebody who does not fit these facts."""
    found = []
    same = match(facts)
    if facts.has_verified_number:
        holder = Patient.objects.filter(nhs_number=facts.nhs_number, nhs_number_status=NhsNumberStatus.VERIFIED).first()
        if holder and holder != same:
            found.append(("nhs_number", "We hold this NHS number with another date of birth: one of them is wrong"))
    for given in facts.identifiers:
        row = Identifier.objects.filter(system=given.system, value=given.value, assigner=given.assigner).first()
        if row and (same is None or row.patient_id != same.pk):
            found.append(
                ("local_patient_id", "We hold this hospital number for a patient with other details: check it")
            )
    return found


def status_of(facts: PatientFacts) -> str:
    """As stated, unless somebody else holds the number as theirs."""
    taken = Patient.objects.filter(nhs_number=facts.nhs_number, nhs_number_status=NhsNumberStatus.VERIFIED)
    if facts.has_verified_number and taken.exists():
        return NhsNumberStatus.NEEDS_RESOLUTION.value
    return facts.nhs_number_status


def add(facts: PatientFacts) -> Patient:
    described = {
        field.name: getattr(facts, field.name)
        for field in fields(facts)
        if field.name not in ("identifiers", "interpreter_required", "nhs_number_status")
    }
    return Patient.objects.create(
        **described,
        nhs_number_status=status_of(facts),
        interpreter_required=bool(facts.interpreter_required),
        synthetic=valid_nhs_number(facts.nhs_number) and nhs_range(facts.nhs_number) is Range.TEST,
    )


@transaction.atomic
def fill_in(patient: Patient, facts: PatientFacts) -> Patient:
    """Write what was not known before; what is known stays, for a person to change."""
    changed = []
    if facts.nhs_number and not patient.nhs_number:
        patient.nhs_number, patient.nhs_number_status = facts.nhs_number, status_of(facts)
        changed += ["nhs_number", "nhs_number_status"]
    for name in (field.name for field in fields(facts) if field.name not in ("identifiers", "interpreter_required")):
        value = getattr(facts, name)
        if value in ("", None) or getattr(patient, name) not in ("", None):
            continue
        setattr(patient, name, value)
        changed.append(name)
    if facts.interpreter_required and not patient.interpreter_required:
        patient.interpreter_required = True
        changed.append("interpreter_required")
    if changed:
        patient.save(update_fields=changed)
    keep_identifiers(patient, facts)
    return patient


def keep_identifiers(patient: Patient, facts: PatientFacts) -> None:
    """Every alias is kept; one that we hold for somebody else is left with them."""
    for given in facts.identifiers:
        Identifier.objects.get_or_create(
            system=given.system, value=given.value, assigner=given.assigner, defaults={"patient": patient}
        )


def let_see(patient: Patient, organisations: Iterable[UUID]) -> None:
    """A referral gives its organisations a reason to see the patient."""
    wider = list(dict.fromkeys([*patient.organisations, *organisations]))
    if wider != patient.organisations:
        patient.organisations = wider
        patient.save(update_fields=["organisations"])


@transaction.atomic
def load_deprivation(rows: Iterable[tuple[str, str, int]], *, index: str, now: datetime) -> int:
    """(postcode, area, decile) of a whole file, in place of what was there of these postcodes. Returns how many."""
    with connection.cursor() as cursor:
        cursor.execute("DROP TABLE IF EXISTS pg_temp.incoming")
        cursor.execute("CREATE TEMPORARY TABLE incoming (postcode text, area text, decile smallint) ON COMMIT DROP")
        with cursor.copy("COPY incoming FROM STDIN") as file:
            for row in rows:
                file.write_row(row)
        cursor.execute(
            """
            INSERT INTO patients_areadeprivation (postcode, area, decile, index, loaded_at)
            SELECT DISTINCT ON (postcode) postcode, area, decile, %s, %s FROM incoming ORDER BY postcode, decile
            ON CONFLICT (postcode) DO UPDATE
            SET area = excluded.area, decile = excluded.decile, index = excluded.index, loaded_at = excluded.loaded_at
            """,
            [index[:60], now],
        )
        return cursor.rowcount


@transaction.atomic
def record_death(patient: Patient, *, on: date, source: str, now: datetime, by: Actor) -> bool:
    """Once; whoever says it first is kept as its source. False where it was known."""
    known = Patient.objects.filter(pk=patient.pk, died_on=None).update(died_on=on, death_source=source[:120])
    if not known:
        return False
    patient.died_on, patient.death_source = on, source[:120]
    append(
        EventKind.PATIENT_DIED,
        subjects={"patient": patient.pk},
        happened_at=now,
        recorded_at=now,
        by=by,
        data={"on": on.isoformat(), "source": source[:120]},
    )
    return True


@transaction.atomic
def protect_contact(patient: Patient, *, protected: bool, reason: str, now: datetime, by: Actor) -> bool:
    """Sets the flag, or lifts it, with a reason. False where it was so already."""
    if not Patient.objects.filter(pk=patient.pk, contact_protected=not protected).update(contact_protected=protected):
        return False
    patient.contact_protected = protected
    append(
        EventKind.CONTACT_PROTECTED,
        subjects={"patient": patient.pk},
        happened_at=now,
        recorded_at=now,
        by=by,
        data={"protected": protected, "reason": reason[:200]},
    )
    return True


def lock_identity(facts: PatientFacts) -> None:
    """Wait for anybody adding the same person now: one lock per identifier, in one order, until the commit."""
    keys = [f"{given.system}|{given.value}|{given.assigner}" for given in facts.identifiers]
    if facts.nhs_number:
        keys.append(f"nhs|{facts.nhs_number}")
    with connection.cursor() as cursor:
        for key in sorted(set(keys)):
            cursor.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", [f"patient|{key}"])

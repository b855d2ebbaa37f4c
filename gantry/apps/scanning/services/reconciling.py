"""Images that nobody could be sure of: a person looks at both sides and decides; the decision can be taken back."""

from dataclasses import dataclass
from datetime import datetime

from django.db import transaction

from gantry.apps.accounts.models import Person
from gantry.apps.audit.services import Stale, append
from gantry.apps.referrals.models import RequestedProcedure
from gantry.apps.scanning.models import ReconcileItem, Study, StudyState
from gantry.apps.scanning.services.keeping import about, appointment_of
from gantry.domain.events import Actor, EventKind


class NotThePerson(Exception):
    """Images that belong to no procedure go to nobody."""


class NeedsNote(Exception):
    """A match of images that name somebody else, and images kept apart, need a word of why."""


@dataclass(frozen=True, slots=True)
class Difference:
    """One fact on both sides, and what to say of it."""

    what: str
    theirs: str
    ours: str
    said: str
    """same, differs, not sent, or not held."""


@transaction.atomic
def reconcile(
    item: ReconcileItem,
    *,
    procedure: RequestedProcedure | None,
    note: str,
    by: Actor,
    person: Person,
    now: datetime,
) -> Study:
    """A person says whose these images are, or (None) that they belong to no request of ours and stay apart.

    Raises Stale when somebody settled it first, NeedsNote when a word of why is owed.
    """
    if not note.strip() and (procedure is None or any(d.said == "differs" for d in differences(item, procedure))):
        raise NeedsNote
    decision = "matched" if procedure else "kept_apart"
    settled = ReconcileItem.objects.filter(pk=item.pk, state="open").update(
        state="settled", decision=decision, note=note, settled_at=now, settled_by=person
    )
    if not settled:
        raise Stale(item.study_id)
    study = Study.objects.select_for_update().get(pk=item.study_id)
    if procedure:
        study.state, study.procedure, study.appointment = StudyState.MATCHED, procedure, appointment_of(procedure)
        Study.objects.filter(pk=study.pk).update(state=study.state, procedure=procedure, appointment=study.appointment)
    append(
        EventKind.IMAGES_RECONCILED,
        subjects=about(study) | {"reconcile_item": item.pk},
        happened_at=now,
        recorded_at=now,
        by=by,
        organisation=item.provider_id,
        site=item.site_id,
        data={"decision": decision.replace("_", " "), "note": note},
    )
    return study


def differences(item: ReconcileItem, procedure: RequestedProcedure) -> list[Difference]:
    """Both sides, fact by fact, with the difference in words: colour alone says nothing."""
    patient, theirs = procedure.referral.patient, item.theirs
    born = f"{patient.date_of_birth:%Y%m%d}" if patient.date_of_birth else ""
    booked = appointment_of(procedure)
    scanned_on = f"{booked.scan_at:%Y%m%d}" if booked else ""
    rows = (
        ("NHS number", theirs.get("patient_id", "").replace(" ", ""), patient.nhs_number),
        ("Name", theirs.get("patient_name", ""), f"{patient.family_name}^{patient.given_name}"),
        ("Born", theirs.get("birth_date", ""), born),
        ("Accession number", theirs.get("accession_number", ""), procedure.accession_number),
        ("Scan date", theirs.get("study_date", ""), scanned_on),
        ("Study", item.study.study_uid, procedure.study_uid),
    )
    return [Difference(what, sent, held, _judged(what, sent, held)) for what, sent, held in rows]


def _judged(what: str, sent: str, held: str) -> str:
    if not sent:
        return "not sent"
    if not held:
        return "not held"
    if what == "Name":
        sent, held = (name.casefold().rstrip("^").split("=")[0] for name in (sent, held))
        sent = "^".join(sent.split("^")[:2])
    return "same" if sent == held else "differs"

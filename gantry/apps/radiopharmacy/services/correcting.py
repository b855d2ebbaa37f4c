"""Puts right an entry that a finding calls wrong: another entry that names it stands in its place, and says whose it is."""

from datetime import datetime

from django.db import transaction

from gantry.apps.audit.models import Event
from gantry.apps.radiopharmacy.models import Batch, Disposal, Dose, Investigation, LedgerEntry, WasteItem
from gantry.apps.radiopharmacy.services import doses, ledger
from gantry.apps.radiopharmacy.services.investigations import record
from gantry.apps.radiopharmacy.services.refusals import NotDone
from gantry.domain.events import Actor, EventKind
from gantry.domain.investigation import State, why_not_corrected
from gantry.domain.ledger import Way


def to_correct(row: Investigation) -> LedgerEntry | None:
    """The entry that the finding calls wrong, while nothing stands in its place."""
    entry = LedgerEntry.objects.filter(pk=row.entry).first()
    return None if entry is None or correction_of(entry) is not None else entry


def correction_of(entry: LedgerEntry) -> LedgerEntry | None:
    return LedgerEntry.objects.filter(corrects=entry.pk).first()


def in_place_of(row: Investigation) -> tuple[LedgerEntry, LedgerEntry] | None:
    """The entry that the finding blames, and what stands in its place; None while nothing does."""
    wrong = LedgerEntry.objects.filter(pk=row.entry).first()
    right = None if wrong is None else correction_of(wrong)
    return None if wrong is None or right is None else (wrong, right)


@transaction.atomic
def correct_entry(
    row: Investigation, *, activity_mbq: float, at: datetime, why: str, now: datetime, by: Actor
) -> LedgerEntry:
    """The first entry stays as it was written. Raises NotDone for what the finding does not blame, or what has gone."""
    # The batch is locked first: two people who correct the same entry at once leave one correction.
    batch = Batch.objects.select_for_update(of=("self",)).select_related("site").get(pk=row.batch_id)
    wrong = to_correct(row)
    reasons = list(
        why_not_corrected(
            State(row.state), None if wrong is None else Way(wrong.way), activity_mbq=activity_mbq, at=at, now=now, why=why,
            same=wrong is not None and (wrong.activity_mbq, wrong.at) == (activity_mbq, at),
        )
    )  # fmt: skip
    if wrong and Disposal.objects.filter(site=batch.site_id, entries__contains=[wrong.pk]).exists():
        reasons.append("What this entry says has been disposed of: correct the disposal first")
    if reasons or wrong is None:
        raise NotDone(reasons)
    data = {
        "container": row.container,
        "way": wrong.way,
        "wrote": wrong.by_name,
        "was_mbq": wrong.activity_mbq,
        "was_at": wrong.at,
        "mbq": activity_mbq,
        "at": at,
        "why": why.strip(),
        "corrects": str(wrong.pk),
    }
    event = record(row, EventKind.ENTRY_CORRECTED, at=at, now=now, by=by, data=data)
    new = ledger.write(
        batch, Way(wrong.way), wrong.source, wrong.target, activity_mbq, at=at, instrument=wrong.instrument,
        volume_ml=wrong.volume_ml, by_name=by.name, event=event.pk, corrects=wrong.pk,
    )  # fmt: skip
    _follow(batch, wrong, new, event)
    for container in sorted({row.container, *(_ends(new) & set(batch.containers.values_list("barcode", flat=True)))}):
        ledger.judge(batch, container, at=max(at, row.at), now=now, by=by)
    row.refresh_from_db()
    return new


def _ends(entry: LedgerEntry) -> set[str]:
    return {entry.source, entry.target}


def _follow(batch: Batch, wrong: LedgerEntry, new: LedgerEntry, event: Event) -> None:
    """What is kept beside the ledger of the same act says what the ledger now says."""
    dose = Dose.objects.select_related("container", "batch__site").filter(container__barcode__in=_ends(new)).first()
    if wrong.way == Way.WASTED:
        WasteItem.objects.filter(batch=batch, event=wrong.event).update(activity_mbq=new.activity_mbq, at=new.at)
    if dose is None:
        return
    if wrong.way in (Way.DRAWN, Way.RECEIVED):
        Dose.objects.filter(pk=dose.pk).update(drawn_mbq=new.activity_mbq, drawn_at=new.at)
    elif wrong.way == Way.RESIDUAL:
        Dose.objects.filter(pk=dose.pk).update(residual_mbq=new.activity_mbq, residual_at=new.at)
    dose.refresh_from_db(fields=["drawn_mbq", "drawn_at", "residual_mbq", "residual_at"])
    # What was given is worked out from the other two.
    if dose.injected_at is not None and wrong.way != Way.COUNTED:
        doses.retime(dose, injected_at=dose.injected_at)

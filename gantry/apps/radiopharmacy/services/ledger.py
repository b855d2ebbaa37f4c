"""Writes the ledger beside every act of the hot lab, and reads it back as the domain's entries."""

from collections.abc import Iterable
from datetime import datetime
from math import isclose
from uuid import UUID

from gantry.apps.audit.models import Event
from gantry.apps.estate.services import uncertainty_of
from gantry.apps.radiopharmacy.models import Batch, Disposal, Dose, LedgerEntry, WasteItem
from gantry.apps.radiopharmacy.services import investigations
from gantry.apps.radiopharmacy.services.stock import nuclide_of
from gantry.domain.decay import Assay
from gantry.domain.events import Actor
from gantry.domain.ledger import (
    END,
    INWARD,
    Balance,
    Entry,
    Instrument,
    Way,
    balance,
    investigation,
    standing,
)
from gantry.domain.supply import ENDED
from gantry.reference.hot_lab import CALIBRATOR
from gantry.reference.nuclides import NUCLIDES


def vial_of(batch: Batch) -> str:
    """The barcode of the vial that the batch came in."""
    return str(
        batch.containers.filter(kind="vial").order_by("pk").values_list("barcode", flat=True).first() or batch.number
    )


def post(
    batch: Batch,
    way: Way,
    container: str,
    mbq: float,
    *,
    to: str = "",
    at: datetime,
    instrument: str,
    by: Actor,
    event: Event,
    volume_ml: float | None = None,
    computed: bool = False,
    corrects: UUID | None = None,
) -> LedgerEntry:
    """One entry, in the transaction of the act that it belongs to. `to` is the other container of a draw."""
    source, target = (END[way], container) if way in INWARD else (container, to or END.get(way, container))
    return write(
        batch, way, source, target, mbq, at=at, instrument=instrument, volume_ml=volume_ml, computed=computed,
        by_name=by.name, event=event.pk, corrects=corrects,
    )  # fmt: skip


def write(
    batch: Batch, way: Way, source: str, target: str, mbq: float, *, at: datetime, instrument: str, by_name: str,
    event: UUID, volume_ml: float | None = None, computed: bool = False, corrects: UUID | None = None,
) -> LedgerEntry:  # fmt: skip
    known = uncertainty_of(batch.site, instrument) if instrument else CALIBRATOR.value
    return LedgerEntry.objects.create(
        site_id=batch.site_id,
        batch=batch,
        nuclide=nuclide_of(batch.tracer).symbol,
        way=way,
        source=source,
        target=target,
        # A residual above what was drawn leaves less than nothing to have been given: the book shows it, as nothing.
        activity_mbq=max(0.0, mbq),
        at=at,
        instrument=instrument,
        scale_percent=known.scale_percent,
        reading_percent=known.reading_percent,
        volume_ml=volume_ml,
        computed=computed,
        by_name=by_name,
        event=event,
        corrects=corrects,
    )


def standing_entry(dose: Dose, way: Way) -> UUID | None:
    """The entry of this way that holds for a dose now."""
    entries = LedgerEntry.objects.filter(batch_id=dose.batch_id, way=way, source=dose.container.barcode)
    replaced = LedgerEntry.objects.filter(batch_id=dose.batch_id, corrects__isnull=False).values("corrects")
    return entries.exclude(pk__in=replaced).order_by("-pk").values_list("pk", flat=True).first()


def given(dose: Dose, *, by_name: str = "", event: UUID | None = None) -> LedgerEntry:
    """What went into the person, net at the injection. A residual or a corrected time writes it anew."""
    before = LedgerEntry.objects.filter(pk=standing_entry(dose, Way.ADMINISTERED)).first()
    if event is None and before is not None:
        by_name, event = before.by_name, before.event
    into = LedgerEntry.objects.filter(batch_id=dose.batch_id, way__in=(Way.DRAWN, Way.RECEIVED))
    drawn = into.filter(target=dose.container.barcode).first()
    return write(
        dose.batch, Way.ADMINISTERED, dose.container.barcode, END[Way.ADMINISTERED], dose.net_mbq or 0.0,
        at=dose.injected_at, instrument=drawn.instrument if drawn else "", computed=True, by_name=by_name,
        event=event or dose.pk, corrects=before.pk if before else None,
    )  # fmt: skip


def as_entry(row: LedgerEntry) -> Entry:
    return Entry(
        str(row.pk),
        Way(row.way),
        row.source,
        row.target,
        Assay(NUCLIDES[row.nuclide].value, row.activity_mbq, row.at),
        Instrument(row.instrument, row.scale_percent, row.reading_percent),
        row.by_name,
        row.volume_ml,
        str(row.corrects or ""),
    )


def entries_of(batch: Batch) -> list[Entry]:
    return as_entries(batch.entries.all())


def as_entries(rows: Iterable[LedgerEntry]) -> list[Entry]:
    """In the order in which they were written."""
    return [as_entry(row) for row in sorted(rows, key=lambda r: r.pk)]


def statement(batch: Batch, *, at: datetime) -> Balance:
    """Where every MBq of a batch went: its vial and all of its syringes, at one instant."""
    return balance(entries_of(batch), at)


def vial_statement(batch: Batch, *, at: datetime) -> Balance:
    return balance(entries_of(batch), at, {vial_of(batch)})


def in_vial_mbq(batch: Batch, *, at: datetime) -> float:
    """What a vial holds by its book, read afresh; from its last count where it was counted."""
    entries = as_entries(LedgerEntry.objects.filter(batch=batch))
    return max(0.0, balance(entries, at, {vial_of(batch)}).left_mbq)


def thrown_away(batch: Batch) -> LedgerEntry | None:
    """What was left in a vial when it ended, worked out and not measured, as it stands."""
    rows = LedgerEntry.objects.filter(batch=batch, way=Way.WASTED, source=vial_of(batch), computed=True)
    replaced = LedgerEntry.objects.filter(batch=batch, corrects__isnull=False).values("corrects")
    return rows.exclude(pk__in=replaced).order_by("-pk").first()


def settle(batch: Batch, *, by: Actor) -> None:
    """Something was told after the vial had ended: what was worked out to be left in it then is worked out again.

    What was measured stands, and what has been disposed of has gone: the difference is asked about instead.
    """
    row = thrown_away(batch)
    if row is None or Disposal.objects.filter(site=batch.site_id, entries__contains=[row.pk]).exists():
        return
    held = standing(as_entries(LedgerEntry.objects.filter(batch=batch)))
    # A vial that is counted after its end says nothing about what was thrown away before.
    late = [each for each in held if each.way is Way.COUNTED and each.assay.at >= row.at]
    entries = [each for each in held if each.key != str(row.pk) and each not in late]
    last = max((each.assay.at for each in entries), default=row.at)
    left = max(0.0, balance(entries, row.at, {vial_of(batch)}, until=max(last, row.at)).left_mbq)
    if isclose(left, row.activity_mbq, rel_tol=1e-9, abs_tol=1e-9):
        return
    write(
        batch, Way.WASTED, row.source, row.target, left, at=row.at, instrument=row.instrument, by_name=by.name,
        event=row.event, computed=True, corrects=row.pk,
    )  # fmt: skip
    WasteItem.objects.filter(batch=batch, dose=None, event=row.event).update(activity_mbq=left)


def count(
    batch: Batch, mbq: float, *, at: datetime, instrument: str, now: datetime, by: Actor, event: Event
) -> Event | None:  # fmt: skip
    """What is in the vial, measured. A difference beyond uncertainty is asked about, with the entries to look at."""
    post(batch, Way.COUNTED, vial_of(batch), mbq, at=at, instrument=instrument, by=by, event=event)
    return judge(batch, vial_of(batch), at=at, now=now, by=by)


def judge(batch: Batch, container: str, *, at: datetime, now: datetime, by: Actor) -> Event | None:
    """After an act on a container: a difference that its instruments cannot explain becomes somebody's question."""
    if batch.state in ENDED:
        settle(batch, by=by)
    entries = as_entries(LedgerEntry.objects.filter(batch=batch))
    asked = investigation(balance(entries, at, {container}))
    return None if asked is None else investigations.ask(batch, container, asked, now=now, by=by)

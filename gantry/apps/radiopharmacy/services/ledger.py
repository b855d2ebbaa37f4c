"""Writes the ledger beside every act of the hot lab, and reads it back as the domain's entries."""

from collections.abc import Iterable
from datetime import datetime
from uuid import UUID

from gantry.apps.audit.models import Event
from gantry.apps.audit.services import append
from gantry.apps.estate.services import uncertainty_of
from gantry.apps.radiopharmacy.models import Batch, Dose, LedgerEntry
from gantry.apps.radiopharmacy.services.stock import nuclide_of
from gantry.domain.decay import Assay
from gantry.domain.events import Actor, EventKind
from gantry.domain.ledger import (
    END,
    INWARD,
    Balance,
    Entry,
    Instrument,
    Way,
    balance,
    investigation,
)
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
    drawn = LedgerEntry.objects.filter(batch_id=dose.batch_id, way=Way.DRAWN, target=dose.container.barcode).first()
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


def count(
    batch: Batch, mbq: float, *, at: datetime, instrument: str, now: datetime, by: Actor, event: Event
) -> Event | None:  # fmt: skip
    """What is in the vial, measured. A difference beyond uncertainty is asked about, with the entries to look at."""
    post(batch, Way.COUNTED, vial_of(batch), mbq, at=at, instrument=instrument, by=by, event=event)
    entries = as_entries(LedgerEntry.objects.filter(batch=batch))
    asked = investigation(balance(entries, at, {vial_of(batch)}))
    if asked is None:
        return None
    return append(
        EventKind.BALANCE_QUERIED,
        subjects={"batch": batch.pk},
        happened_at=at,
        recorded_at=now,
        by=by,
        site=batch.site_id,
        data={
            "said": str(asked),
            "difference_mbq": asked.difference_mbq,
            "uncertainty_mbq": asked.uncertainty_mbq,
            "entries": list(asked.entries),
        },
    )

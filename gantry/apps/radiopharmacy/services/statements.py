"""Where every megabecquerel of a site went: by nuclide and container for any day, and by cause and payer over a period."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from uuid import UUID
from zoneinfo import ZoneInfo

from gantry.apps.estate.models import Site
from gantry.apps.radiopharmacy.models import Container, LedgerEntry, WasteItem
from gantry.apps.radiopharmacy.services.ledger import as_entries
from gantry.apps.radiopharmacy.services.permits import entries_at, payer
from gantry.domain.decay import Assay, Nuclide
from gantry.domain.ledger import After, Balance, Way, balance, by_container, running
from gantry.reference.nuclides import NUCLIDES
from gantry.reference.tracers import TRACERS

TRACE_MBQ = 0.05
"""Less than this is not said to be left from another day."""
COLUMNS: tuple[tuple[str, tuple[Way, ...]], ...] = (
    ("Came in", (Way.RECEIVED, Way.ELUTED, Way.TRANSFERRED_IN)),
    ("Given, net", (Way.ADMINISTERED,)),
    ("Residual", (Way.RESIDUAL,)),
    ("Waste", (Way.WASTED,)),
    ("Spilt", (Way.SPILT,)),
    ("Quality control", (Way.SAMPLED,)),
    ("Sent on or back", (Way.TRANSFERRED_OUT, Way.RETURNED)),
)
"""Came in, less what was drawn from it or into it, is all that follows, what is left, and what nobody can explain."""


@dataclass(frozen=True, slots=True)
class Row:
    """One container, or the whole of a nuclide."""

    name: str
    kind: str
    batch: UUID | None
    number: str
    key: UUID | None
    said: Balance

    @property
    def cells(self) -> tuple[float, ...]:
        return tuple(self.said.of(*ways) for _, ways in COLUMNS)

    @property
    def drawn_mbq(self) -> float:
        """Into a syringe above nothing, out of a vial below; over both ends nothing."""
        into = sum(line.activity_mbq for line in self.said.into if line.way is Way.DRAWN)
        return into - sum(line.activity_mbq for line in self.said.out if line.way is Way.DRAWN)


@dataclass(frozen=True, slots=True)
class NuclideStatement:
    """Every container of one nuclide that moved on the day or still held something, and all of them together."""

    nuclide: Nuclide
    rows: tuple[Row, ...]
    whole: Row


@dataclass(frozen=True, slots=True)
class SiteStatement:
    site: Site
    on: date
    at: datetime
    """Everything is corrected for decay to this instant."""
    until: datetime
    """What happened later does not count."""
    nuclides: tuple[NuclideStatement, ...]

    @property
    def to_ask(self) -> int:
        return sum(not row.said.within for one in self.nuclides for row in one.rows)


def day_of(site: Site, on: date) -> tuple[datetime, datetime]:
    """The site's own local day."""
    zone = ZoneInfo(site.zone)
    return datetime.combine(on, time(), tzinfo=zone), datetime.combine(on + timedelta(days=1), time(), tzinfo=zone)


def site_statement(site: Site, on: date, *, at: datetime, now: datetime) -> SiteStatement:
    """Of one local day up to now, at one instant. A container is stated over its whole life, so nothing is carried over."""
    first, end = day_of(site, on)
    until = min(now, end - timedelta(microseconds=1))
    found = []
    for symbol in sorted(
        LedgerEntry.objects.filter(site=site, at__lte=until).values_list("nuclide", flat=True).distinct()
    ):
        nuclide = NUCLIDES[symbol].value
        one = _of_nuclide(site, nuclide, first, until, at)
        if one is not None:
            found.append(one)
    return SiteStatement(site, on, at, until, tuple(found))


def _of_nuclide(
    site: Site, nuclide: Nuclide, first: datetime, until: datetime, at: datetime
) -> NuclideStatement | None:
    rows = entries_at(site, nuclide, until)
    by_batch: dict[UUID, list[LedgerEntry]] = defaultdict(list)
    for row in rows:
        by_batch[row.batch_id].append(row)
    shown: list[LedgerEntry] = []
    for mine in by_batch.values():
        left = balance(as_entries(mine), until).left_mbq
        if left >= TRACE_MBQ or any(row.at >= first for row in mine):
            shown += mine
    if not shown:
        return None
    entries = as_entries(shown)
    parts = by_container(entries, at, until=until)
    kept = {
        box.barcode: box for box in Container.objects.filter(barcode__in=list(parts)).select_related("batch")
    }  # fmt: skip
    batch_of = {name: row.batch_id for row in shown for name in (row.source, row.target) if name in parts}
    lines = [_line(name, said, kept.get(name), batch_of[name]) for name, said in parts.items()]
    lines.sort(key=lambda line: (line.number, line.kind != "vial", _first(line.said)))
    whole = Row(nuclide.symbol, "all", None, "", None, balance(entries, at, until=until))
    return NuclideStatement(nuclide, tuple(lines), whole)


def _line(name: str, said: Balance, box: Container | None, batch: UUID) -> Row:
    if box is None:
        return Row(name, "container", batch, "", None, said)
    return Row(name, box.kind, batch, box.batch.number, box.pk, said)


def _first(said: Balance) -> tuple[str, ...]:
    """Keys of entries rise with time: syringes stand in the order in which they were drawn."""
    return min((line.entries for line in said.into), default=())


@dataclass(frozen=True, slots=True)
class Journey:
    """One container from its first entry to its last, stated at the moment when it last was filled."""

    lines: tuple[After, ...]
    said: Balance

    def share_percent(self, mbq: float) -> float:
        """Of what came in; the same at any instant, as all of it decays alike."""
        return mbq / self.said.in_mbq * 100 if self.said.in_mbq else 0.0


def journey(container: Container, *, now: datetime) -> Journey:
    """Where every megabecquerel of one vial or syringe went."""
    entries = as_entries(LedgerEntry.objects.filter(batch=container.batch_id, at__lte=now))
    name = container.barcode
    lines = running(entries, name)
    filled = max((line.entry.assay.at for line in lines if line.moved_mbq > 0), default=now)
    return Journey(tuple(lines), balance(entries, filled, {name}, until=now))


@dataclass(frozen=True, slots=True)
class Wasted:
    """What one cause wasted of one product, and at whose cost."""

    cause: str
    pays: str
    tracer: str
    items: int
    activity_mbq: float
    """Each as it was when it was thrown away."""
    bought_mbq: float
    """The same at the reference time of its order, where it was ordered: what was paid for."""
    pence: float | None
    """None: no price is recorded for its run."""


def waste_over(site: Site, *, first: date, last: date) -> list[Wasted]:
    """Both days included, in the site's own days; the most activity first."""
    start, _ = day_of(site, first)
    _, end = day_of(site, last)
    rows = WasteItem.objects.filter(batch__site=site, at__gte=start, at__lt=end, activity_mbq__gt=0)
    sums: dict[tuple[str, str, str], list[WasteItem]] = defaultdict(list)
    for item in rows.select_related("batch__order__run"):
        sums[item.cause_code, payer(item.cause_code, item.at.date()), item.batch.tracer].append(item)
    found = [_wasted(*key, items) for key, items in sums.items()]
    return sorted(found, key=lambda line: (-line.bought_mbq, line.cause))


def _wasted(cause: str, pays: str, tracer: str, items: Sequence[WasteItem]) -> Wasted:
    nuclide = TRACERS[tracer].value.nuclide
    bought = [Assay(nuclide, one.activity_mbq, one.at).activity_at(one.batch.reference_at) for one in items]
    prices = [one.batch.order.run.price_pence_per_gbq if one.batch.order else 0 for one in items]
    pence = sum(mbq / 1000 * price for mbq, price in zip(bought, prices, strict=True))
    return Wasted(
        cause, pays, tracer, len(items), sum(one.activity_mbq for one in items), sum(bought), pence if any(prices) else None
    )  # fmt: skip


def by_payer(lines: Iterable[Wasted]) -> dict[str, float]:
    sums: dict[str, float] = defaultdict(float)
    for line in lines:
        sums[line.pays] += line.bought_mbq
    return dict(sums)

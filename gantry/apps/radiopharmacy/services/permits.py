"""Holdings and disposals against the site's environmental permit; the decay store and what may leave it."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from uuid import UUID
from zoneinfo import ZoneInfo

from django.db import transaction
from django.db.models import F, Func, Q, Sum
from django.db.models.functions import Coalesce, TruncMonth

from gantry.apps.audit.ids import new_id
from gantry.apps.audit.services import append
from gantry.apps.booking.models import Appointment
from gantry.apps.estate.models import Site
from gantry.apps.radiopharmacy.models import (
    Disposal,
    Dose,
    Generator,
    LedgerEntry,
    Permit,
    SupplyRun,
    TracerOrder,
    WasteItem,
)
from gantry.apps.radiopharmacy.services.ledger import as_entries, as_entry
from gantry.apps.radiopharmacy.services.refusals import NotDone
from gantry.apps.radiopharmacy.services.stock import nuclide_of
from gantry.domain.appointment import ACTIVE
from gantry.domain.decay import Assay, Nuclide, fraction_left
from gantry.domain.events import Actor, CauseCode, EventKind
from gantry.domain.ledger import STILL_HERE, Way, on_site_mbq
from gantry.domain.permit import Coming, Terms, kept_too_long, release_at, why_not_disposed, why_not_ordered
from gantry.domain.supply import OrderState
from gantry.reference.causes import CauseOwner, causes_on
from gantry.reference.generators import GENERATORS
from gantry.reference.hot_lab import TO_SEWER
from gantry.reference.nuclides import NUCLIDES
from gantry.reference.protocols import product_of

KEPT_FOR = timedelta(days=400)
"""Further back nothing of these nuclides is left to be kept."""
FORGET_AFTER = 30
"""Half-lives: a thousand-millionth is left."""


def entries_at(site: Site, nuclide: Nuclide, at: datetime) -> list[LedgerEntry]:
    since = at - FORGET_AFTER * nuclide.half_life
    return list(LedgerEntry.objects.filter(site=site, nuclide=nuclide.symbol, at__gte=since, at__lte=at).order_by("pk"))


def held_mbq(site: Site, nuclide: Nuclide, *, at: datetime) -> float:
    """Everything of a nuclide that is here unsealed: in vials, syringes, bins, on the floor, and on generators' columns."""
    return held_of_each(site, [nuclide], at=at)[nuclide.symbol]


def held_of_each(site: Site, nuclides: Sequence[Nuclide], *, at: datetime) -> dict[str, float]:
    """The same of several at once, in three readings of the rows."""
    recent = Q(pk=None)
    for nuclide in nuclides:
        recent |= Q(nuclide=nuclide.symbol, at__gte=at - FORGET_AFTER * nuclide.half_life)
    here: dict[str, list[LedgerEntry]] = {nuclide.symbol: [] for nuclide in nuclides}
    for row in LedgerEntry.objects.filter(recent, site=site, at__lte=at).order_by("pk"):
        here[row.nuclide].append(row)
    away = dict.fromkeys(here, 0.0)
    for one in Disposal.objects.filter(recent, site=site, at__lte=at):
        away[one.nuclide] += one.activity_mbq * fraction_left(NUCLIDES[one.nuclide].value, at - one.at)
    columns = on_columns_mbq(site, nuclides, at=at)
    return {
        symbol: max(0.0, on_site_mbq(as_entries(rows), at) - away[symbol]) + columns[symbol]
        for symbol, rows in here.items()
    }


def on_columns_mbq(site: Site, nuclides: Sequence[Nuclide], *, at: datetime) -> dict[str, float]:
    """A parent nuclide on its generators. What has grown on a column is the daughter's, and counts once it is eluted."""
    found = dict.fromkeys((nuclide.symbol for nuclide in nuclides), 0.0)
    parents = {code: fact.value.parent for code, fact in GENERATORS.items() if fact.value.parent.symbol in found}
    here = Generator.objects.filter(site=site, kind__in=parents, made_at__lte=at).exclude(retired_at__lte=at)
    for one in here if parents else ():
        parent = parents[one.kind]
        found[parent.symbol] += Assay(parent, one.calibrated_mbq, one.calibrated_at).activity_at(at)
    return found


def permit_for(site: Site, nuclide: str, on: date, *, sealed: bool = False) -> Permit | None:
    """The one in force, else the latest: a permit that has run out still says so."""
    mine = Permit.objects.filter(site=site, nuclide=nuclide, sealed=sealed)
    return mine.filter(valid_from__lte=on, valid_to__gte=on).first() or mine.order_by("-valid_to").first()


def add_permit(
    site: Site,
    *,
    number: str,
    nuclide: str,
    holding_mbq: float,
    sewer_mbq_a_month: float | None,
    valid_from: date,
    valid_to: date,
    accumulation_days: int | None = None,
    solid_mbq_a_month: float | None = None,
    contractor_mbq_a_month: float | None = None,
    sealed: bool = False,
) -> Permit:
    """One row a nuclide, as the paper says. Raises NotDone when a row of that day is there already."""
    if valid_to < valid_from:
        raise NotDone(["A permit ends after it begins"])
    row, made = Permit.objects.get_or_create(
        site=site,
        nuclide=nuclide,
        sealed=sealed,
        valid_from=valid_from,
        defaults={
            "number": number.strip(),
            "holding_mbq": holding_mbq,
            "sewer_mbq_a_month": sewer_mbq_a_month,
            "solid_mbq_a_month": solid_mbq_a_month,
            "contractor_mbq_a_month": contractor_mbq_a_month,
            "valid_to": valid_to,
            "accumulation_days": accumulation_days,
        },
    )
    if not made:
        raise NotDone([f"Permit {row.number} for {nuclide} from that day is recorded already"])
    return row


def terms_of(permit: Permit | None) -> Terms | None:
    if permit is None:
        return None
    days = permit.accumulation_days
    by_route = {
        "sewer": permit.sewer_mbq_a_month,
        "solid": permit.solid_mbq_a_month,
        "contractor": permit.contractor_mbq_a_month,
    }
    return Terms(
        permit.number,
        permit.nuclide,
        permit.valid_from,
        permit.valid_to,
        permit.holding_mbq,
        {route: limit for route, limit in by_route.items() if limit is not None},
        None if days is None else timedelta(days=days),
    )


def why_over_permit(run: SupplyRun, activity_mbq: float, *, now: datetime) -> list[str]:
    """Why an order for this run would break the site's permit when it arrives."""
    nuclide = nuclide_of(run.tracer)
    on = run.reference_at.astimezone(ZoneInfo(run.site.zone)).date()
    terms = terms_of(permit_for(run.site, nuclide.symbol, on))
    if terms is None and not has_permits(run.site):
        return []
    waiting = TracerOrder.objects.filter(
        site=run.site, state__in=[OrderState.PLACED, OrderState.CONFIRMED], run__reference_at__lte=run.reference_at,
        run__reference_at__gte=now - timedelta(days=1),
    ).select_related("run")  # fmt: skip
    coming = [Coming(o.activity_mbq, o.run.reference_at) for o in waiting if nuclide_of(o.tracer) == nuclide]
    return list(
        why_not_ordered(
            terms, nuclide=nuclide, held_mbq=held_mbq(run.site, nuclide, at=now), coming=coming,
            wanted=Coming(activity_mbq, run.reference_at), now=now, on=on,
            month_mbq={"sewer": sewer_with(run, activity_mbq, nuclide)}, names_others=has_permits(run.site),
        )
    )  # fmt: skip


def has_permits(site: Site) -> bool:
    """Whether any permit for open sources is recorded; a site without one is not judged, and its pages say so."""
    return Permit.objects.filter(site=site, sealed=False).exists()


def sewer_with(run: SupplyRun, activity_mbq: float, nuclide: Nuclide) -> float:
    """To the sewer in the month of a run: what has gone, and the share of what is still to be given in it.

    Everybody who was promised activity counts at their injection. Of a run that nobody was promised of, all of the order.
    """
    first, end = month_of(run.site, run.reference_at)
    injected = Dose.objects.filter(injected_at__isnull=False, appointment__isnull=False).values("appointment")
    waiting = Appointment.objects.filter(
        site=run.site, injection_at__gte=first, injection_at__lt=end, state__in=[state.value for state in ACTIVE],
        allotment__supply_run__isnull=False,
    ).exclude(pk__in=injected)  # fmt: skip
    mine, given = False, 0.0
    for row in waiting.select_related("allotment", "procedure"):
        if nuclide_of(product_of(row.procedure.tracer)) != nuclide:
            continue
        mine = mine or row.allotment.supply_run == run.pk
        given += Assay(nuclide, row.activity_mbq, row.allotment.reference_at).activity_at(row.injection_at)
    gone = sewer_this_month(run.site, nuclide.symbol, at=run.reference_at)
    return gone + TO_SEWER.value * (given + (0.0 if mine else activity_mbq))


def month_of(site: Site, at: datetime) -> tuple[datetime, datetime]:
    """The site's own calendar month."""
    zone = ZoneInfo(site.zone)
    first = at.astimezone(zone).date().replace(day=1)
    following = (first + timedelta(days=32)).replace(day=1)
    return datetime.combine(first, time(), tzinfo=zone), datetime.combine(following, time(), tzinfo=zone)


def sewer_this_month(site: Site, nuclide: str, *, at: datetime) -> float:
    """Poured away, and what people passed before they left: a share of each net activity, at its injection."""
    first, end = month_of(site, at)
    poured = Disposal.objects.filter(site=site, nuclide=nuclide, route="sewer", at__gte=first, at__lt=end)
    given = LedgerEntry.objects.filter(site=site, nuclide=nuclide, at__gte=first, at__lt=end, way=Way.ADMINISTERED)
    replaced = LedgerEntry.objects.filter(site=site, corrects__isnull=False).values("corrects")
    net = sum(given.exclude(pk__in=replaced).values_list("activity_mbq", flat=True))
    return sum(poured.values_list("activity_mbq", flat=True)) + net * TO_SEWER.value


def month_by_route(site: Site, nuclide: str, route: str, *, at: datetime) -> float:
    """What has left by this route in the site's calendar month."""
    if route == "sewer":
        return sewer_this_month(site, nuclide, at=at)
    first, end = month_of(site, at)
    gone = Disposal.objects.filter(site=site, nuclide=nuclide, route=route, at__gte=first, at__lt=end)
    return float(sum(gone.values_list("activity_mbq", flat=True)))


@dataclass(frozen=True, slots=True)
class MonthLine:
    """One nuclide by one route in one calendar month, against what the permit of its last day allows."""

    first: date
    nuclide: str
    route: str
    activity_mbq: float
    limit_mbq: float | None

    @property
    def over(self) -> bool:
        return self.limit_mbq is not None and self.activity_mbq > self.limit_mbq


ROUTES = ("sewer", "solid", "contractor")


def months_of(site: Site, *, at: datetime, count: int = 12) -> list[MonthLine]:
    """The last months of every nuclide that left by any route, newest first; all of them in three statements."""
    zone = ZoneInfo(site.zone)
    months = [at.astimezone(zone).date().replace(day=1)]
    while len(months) < count:
        months.append((months[-1] - timedelta(days=1)).replace(day=1))
    within = {
        "site": site,
        "at__gte": datetime.combine(months[-1], time(), tzinfo=zone),
        "at__lt": month_of(site, at)[1],
    }
    by_month = {"month": TruncMonth("at", tzinfo=zone)}
    replaced = LedgerEntry.objects.filter(site=site, corrects__isnull=False).values("corrects")
    net = Coalesce(Sum("activity_mbq", filter=~Q(pk__in=replaced)), 0.0)
    given = (
        LedgerEntry.objects.filter(way=Way.ADMINISTERED, **within).annotate(**by_month).values_list("month", "nuclide")
    )
    gone = Disposal.objects.filter(**within).annotate(**by_month).values_list("month", "nuclide", "route")
    left: dict[date, dict[str, Counter[str]]] = {month: {} for month in months}
    for month, symbol, mbq in given.annotate(net=net).order_by():
        left[month.date()].setdefault(symbol, Counter())["sewer"] += mbq * TO_SEWER.value
    for month, symbol, route, mbq in gone.annotate(mbq=Sum("activity_mbq")).order_by():
        left[month.date()].setdefault(symbol, Counter())[route] += mbq
    permits = list(Permit.objects.filter(site=site, sealed=False).order_by("pk"))
    found = []
    for month, symbols in left.items():
        last = (month + timedelta(days=32)).replace(day=1) - timedelta(days=1)
        for symbol, by_route in sorted(symbols.items()):
            terms = terms_of(in_force([each for each in permits if each.nuclide == symbol], last))
            for route in ROUTES:
                limit = terms.monthly_mbq.get(route) if terms else None
                if by_route[route] or limit is not None:
                    found.append(MonthLine(month, symbol, route, float(by_route[route]), limit))
    return found


def in_force(permits: Sequence[Permit], on: date) -> Permit | None:
    """As `permit_for` chooses, of rows that are read already."""
    standing = (each for each in permits if each.valid_from <= on <= each.valid_to)
    return next(standing, max(permits, key=lambda each: each.valid_to, default=None))


@dataclass(frozen=True, slots=True)
class Stored:
    """One thing in the decay store."""

    entry: LedgerEntry
    now_mbq: float
    release_at: datetime
    too_long: bool = False
    """Kept for longer than the permit lets waste accumulate."""

    @property
    def what(self) -> str:
        return {Way.RESIDUAL: "used syringe", Way.SPILT: "spill", Way.SAMPLED: "sample"}.get(
            Way(self.entry.way), "waste"
        )  # fmt: skip


def decay_store(site: Site, *, at: datetime) -> list[Stored]:
    """What is kept until it has decayed, without what has been disposed of; soonest first."""
    month = at - KEPT_FOR
    gone = Disposal.objects.filter(site=site, at__gte=month).values(one=Func(F("entries"), function="unnest"))
    ways = [way.value for way in STILL_HERE]
    rows = LedgerEntry.objects.filter(site=site, way__in=ways, at__gte=month, at__lte=at, activity_mbq__gt=0)
    replaced = rows.exclude(corrects=None).values("corrects")
    stored: list[Stored] = []
    terms: dict[str, Terms | None] = {}
    on = at.astimezone(ZoneInfo(site.zone)).date()
    # A year of syringes has left the store: only what is still in it is read.
    for row in rows.exclude(pk__in=gone).exclude(pk__in=replaced).select_related("batch"):
        nuclide = NUCLIDES[row.nuclide].value
        if row.nuclide not in terms:
            terms[row.nuclide] = terms_of(permit_for(site, row.nuclide, on))
        long = kept_too_long(terms[row.nuclide], since=row.at, at=at)
        stored.append(Stored(row, as_entry(row).mbq(at), release_at(nuclide, row.at), long))
    return sorted(stored, key=lambda s: s.release_at)


@transaction.atomic
def dispose(
    site: Site,
    *,
    route: str,
    items: Sequence[LedgerEntry] = (),
    nuclide: str = "",
    activity_mbq: float | None = None,
    at: datetime,
    now: datetime,
    by: Actor,
    override_reason: str = "",
    already_happened: bool = False,
) -> Disposal:
    """Off the premises: from the store when it has decayed, or to the sewer within the month's limit. Raises NotDone."""
    symbols = {row.nuclide for row in items} | ({nuclide} if nuclide else set())
    if len(symbols) != 1:
        raise NotDone(["Dispose of one nuclide at a time"])
    (symbol,) = symbols
    known = NUCLIDES[symbol].value
    mbq = sum(as_entry(row).mbq(at) for row in items) if activity_mbq is None else activity_mbq
    on = at.astimezone(ZoneInfo(site.zone)).date()
    reasons = list(
        why_not_disposed(
            terms_of(permit_for(site, symbol, on)),
            route=route,
            activity_mbq=mbq,
            this_month_mbq=month_by_route(site, symbol, route, at=at),
            releases=[release_at(known, row.at) for row in items],
            at=at,
        )
    )
    again = {pk for row in Disposal.objects.filter(site=site) for pk in row.entries} & {row.pk for row in items}
    if again:
        raise NotDone(["It has been disposed of already"])
    if reasons and not already_happened and not override_reason.strip():
        raise NotDone(reasons, may_override=True)
    row = Disposal(
        pk=new_id(), site=site, nuclide=symbol, route=route, activity_mbq=mbq, at=at,
        entries=[item.pk for item in items], by_name=by.name,
    )  # fmt: skip
    event = append(
        EventKind.ACTIVITY_DISPOSED,
        subjects={"disposal": row.pk},
        happened_at=at,
        recorded_at=now,
        by=by,
        site=site.pk,
        data={"nuclide": symbol, "route": route, "mbq": mbq, "breach": reasons, "override": override_reason.strip()},
    )
    row.event = event.pk
    row.save(force_insert=True)
    return row


@dataclass(frozen=True, slots=True)
class WasteLine:
    cause: str
    pays: str
    items: int
    activity_mbq: float


def waste_by_cause(site: Site, *, first: datetime, end: datetime) -> list[WasteLine]:
    """What was wasted, why, and who pays: the supplier for what the supplier must prevent, else the provider."""
    sums: dict[str, tuple[int, float]] = {}
    rows = WasteItem.objects.filter(Q(batch__site=site), at__gte=first, at__lt=end).values_list(
        "cause_code", "activity_mbq"
    )
    for code, mbq in rows:
        count, total = sums.get(code, (0, 0.0))
        sums[code] = count + 1, total + mbq
    return sorted(
        (WasteLine(code, payer(code, first.date()), n, mbq) for code, (n, mbq) in sums.items()),
        key=lambda w: -w.activity_mbq,
    )


def payer(code: str, on: date) -> str:
    """By the owner of the cause. What is left over or expires is the provider's own order."""
    if code not in CauseCode._value2member_map_:
        return "provider"
    return "supplier" if causes_on(on)[CauseCode(code)].owner is CauseOwner.SUPPLIER else "provider"


def disposals_of(site: Site, *, at: datetime) -> list[Disposal]:
    first, end = month_of(site, at)
    return list(Disposal.objects.filter(site=site, at__gte=first, at__lt=end).order_by("-at"))


def item_ids(raw: Sequence[str]) -> list[UUID]:
    """Raises ValueError for what is no key."""
    return [UUID(each) for each in raw]

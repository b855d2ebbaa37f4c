"""Lists what a site's day is reckoned with, each with the row that says it, or that nobody has said it."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from gantry.apps.estate.models import Closure, Deployment, Organisation, Room, RoomKind, Scanner, Session, Site
from gantry.apps.radiopharmacy.models import SupplyRun
from gantry.apps.scheduling.models import Attendance, DayFacts, Fitting, PeopleSession, ScannerFittings, SupplierTerms
from gantry.apps.scheduling.services.reckoning import usual_fittings


@dataclass(frozen=True, slots=True)
class Reckoned:
    """One line: what, how it stands, and who said so."""

    what: str
    value: str
    source: str
    said: bool = True


@dataclass(frozen=True, slots=True)
class Held:
    """The rows of one site's day."""

    site: Site
    facts: DayFacts | None
    sessions: tuple[PeopleSession, ...]
    scanners: tuple[Scanner, ...]
    fitted: dict[object, ScannerFittings]
    terms: tuple[SupplierTerms, ...]
    suppliers: tuple[tuple[Organisation, str], ...]
    lines: tuple[Reckoned, ...]


def held(site: Site, on: date) -> Held:
    zone = ZoneInfo(site.zone)
    start = datetime.combine(on, time(), zone)
    end = start + timedelta(days=1)
    facts = DayFacts.objects.filter(site=site).first()
    sessions = tuple(
        PeopleSession.objects.filter(site=site, starts_at__lt=end, ends_at__gt=start, called_off_at=None).order_by(
            "starts_at", "kind"
        )
    )
    standing = Deployment.objects.filter(site=site, from_at__lt=end).exclude(to_at__lte=start)
    scanners = tuple(Scanner.objects.filter(pk__in=standing.values("scanner")).order_by("name"))
    fitted = {row.scanner_id: row for row in ScannerFittings.objects.filter(scanner__in=scanners)}
    runs = SupplyRun.objects.filter(site=site, due_at__gte=start - timedelta(days=14), due_at__lt=end)
    pairs = {(run.supplier, run.tracer) for run in runs.select_related("supplier")}
    terms = tuple(SupplierTerms.objects.filter(site=site).select_related("supplier").order_by("tracer"))
    lines = (
        *of_doors(site, facts, zone, start, end),
        *of_people(site, sessions, zone),
        *of_scanners(site, scanners, fitted, zone, start, end),
        *of_terms(terms),
    )
    suppliers = tuple(sorted(pairs, key=lambda pair: (pair[1], pair[0].name)))
    return Held(site, facts, sessions, scanners, fitted, terms, suppliers, lines)


def of_doors(site: Site, facts: DayFacts | None, zone: ZoneInfo, start: datetime, end: datetime) -> Iterator[Reckoned]:
    by = f"{facts.by_name}, {facts.at.astimezone(zone):%-d %B %Y}" if facts else ""
    if facts and (facts.doors_open or facts.doors_close):
        value = f"{facts.doors_open or 'any time':%H:%M} to " if facts.doors_open else "Any time to "
        yield Reckoned("Doors", value + (f"{facts.doors_close:%H:%M}" if facts.doors_close else "any time"), by)
    else:
        yield Reckoned("Doors", "Open whenever a scan is", "Nobody has said", said=False)
    last = Session.objects.filter(site=site, starts_at__lt=end, ends_at__gt=start).order_by("-ends_at").first()
    if facts and facts.paid_until:
        yield Reckoned("Overtime from", f"{facts.paid_until:%H:%M}", by)
    elif last:
        yield Reckoned("Overtime from", f"{last.ends_at.astimezone(zone):%H:%M}", "The end of the day's last session")
    counts = {
        kind: Room.objects.filter(site=site, kind=kind).count() for kind in (RoomKind.UPTAKE, RoomKind.HOT_TOILET)
    }
    yield Reckoned("Uptake rooms", str(counts[RoomKind.UPTAKE]), "The site's rooms")
    if counts[RoomKind.HOT_TOILET]:
        yield Reckoned("Hot toilets", str(counts[RoomKind.HOT_TOILET]), "The site's rooms")
    else:
        yield Reckoned("Hot toilets", "As many as uptake rooms", "No hot toilet is on file", said=False)
    if facts and facts.injectors:
        yield Reckoned("Injections at once", str(facts.injectors), by)
    else:
        yield Reckoned("Injections at once", "As many as uptake rooms", "Nobody has said", said=False)


def of_people(site: Site, sessions: tuple[PeopleSession, ...], zone: ZoneInfo) -> Iterator[Reckoned]:
    for kind in Attendance:
        mine = [row for row in sessions if row.kind == kind]
        for row in mine:
            hours = f"{row.starts_at.astimezone(zone):%H:%M} to {row.ends_at.astimezone(zone):%H:%M}"
            yield Reckoned(kind.label, hours + (f", {row.people} people" if row.people > 1 else ""), row.by_name)
        if mine:
            continue
        if kind == Attendance.ANAESTHETIST and "anaesthesia" not in site.capabilities:
            yield Reckoned(kind.label, "None: no anaesthetics at this site", "The site's capabilities")
        else:
            yield Reckoned(kind.label, "One, all day", "No session is on file", said=False)


def of_scanners(
    site: Site,
    scanners: tuple[Scanner, ...],
    fitted: dict[object, ScannerFittings],
    zone: ZoneInfo,
    start: datetime,
    end: datetime,
) -> Iterator[Reckoned]:
    labels = dict(Fitting.choices)
    for scanner in scanners:
        spans = Session.objects.filter(site=site, scanner=scanner, starts_at__lt=end, ends_at__gt=start)
        hours = [f"{s.starts_at.astimezone(zone):%H:%M} to {s.ends_at.astimezone(zone):%H:%M}" for s in spans]
        shut = Closure.objects.filter(site=site, from_at__lt=end, to_at__gt=start, scanner__in=[scanner]).count()
        value = " and ".join(hours) or "Shut"
        yield Reckoned(
            scanner.name, value + (f", less {shut} closures" if shut else ""), "Sessions, closures and open faults"
        )
        row = fitted.get(scanner.pk)
        has = sorted(row.has) if row else sorted(usual_fittings(site))
        words = ", ".join(labels.get(each, each) for each in has) or "Nothing special"
        said = row.by_name if row else "Nobody has said: as the site"
        yield Reckoned(
            f"{scanner.name} has", f"{words}; table to {scanner.max_weight_kg} kg", said, said=row is not None
        )


def of_terms(terms: tuple[SupplierTerms, ...]) -> Iterator[Reckoned]:
    for row in terms:
        value = (
            f"£{row.price_pence / 100:,.2f} for a run and £{row.price_pence_per_gbq / 100:,.2f} for a GBq; "
            f"at least {row.least_mbq:,.0f} MBq"
        )
        yield Reckoned(f"{row.tracer} from {row.supplier.name}", value, row.by_name)
    if not terms:
        yield Reckoned("Price of the tracer", "By each run", "No supplier's terms are on file", said=False)

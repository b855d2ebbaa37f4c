"""Makes the demonstration's organisations, sites, scanners, sessions and supply runs; what is invented says `assumed`."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from django.db import transaction

from gantry.apps.estate.models import (
    Deployment,
    EmployerLicence,
    Endpoint,
    EndpointKind,
    Network,
    Organisation,
    Room,
    RoomKind,
    Scanner,
    Session,
    Site,
)
from gantry.apps.estate.services import add_device
from gantry.apps.radiopharmacy import services as radiopharmacy
from gantry.apps.radiopharmacy.models import Permit, SupplyRun
from gantry.apps.radiopharmacy.services.sources import SourceFacts, leak_test, receive_source
from gantry.apps.scheduling.services.noting import Doors, note_doors, note_terms
from gantry.domain.events import system
from gantry.domain.instrument import DeviceKind
from gantry.domain.ordering import Tariff
from gantry.gateways.emulators.addresses import HOSPITAL
from gantry.reference.network import ORGANISATIONS, PROVIDER, REFERRERS, SITES, SUPPLIER, ScanningSite
from gantry.reference.nuclides import F18
from gantry.reference.tracers import TRACERS

LONDON = ZoneInfo("Europe/London")
NAME = "Northern PET-CT"
WEEKS = timedelta(weeks=6)
PAPERS = timedelta(days=3 * 365)
CALIBRATOR, INJECTOR, METER = "Calibrator 1", "Injector 1", "Meter 1"
INJECTOR_AT = {"RBV01": "INJRBV1", "R0A01": "INJR0A1", "NZZ03": "INJNZZ3"}
"""The sites with an automatic injector, and the title under which it sends its dose reports."""
RUN_MBQ = {"FDG": 14_000.0, "PSMA-1007": 4_000.0}
LEAST_ORDER_MBQ, RUN_PENCE, GBQ_PENCE = 1_500.0, 12_000, 21_000
"""Invented: a plan's costs should be seen in pounds."""
FIRST_RUN_BEFORE_OPENING = timedelta(minutes=40)
RUNS_APART = timedelta(hours=5, minutes=30)
CUT_OFF_HOUR = time(16, 0)
PSMA_DAYS = frozenset({1, 3})
"""Tuesdays and Thursdays."""
OPEN_TODAY_BEFORE, OPEN_TODAY_AFTER = timedelta(hours=5), timedelta(hours=6)


@dataclass(frozen=True, slots=True)
class Hours:
    """When a site's scanners are open on one local day."""

    opens: datetime
    closes: datetime


def hours_on(facts: ScanningSite, on: date, now: datetime) -> Hours | None:
    """The site's usual hours. On the day it is loaded each is open around `now`, whatever the day and the hour:
    whoever opens the demonstration on a Sunday night sees a working day."""
    opens = datetime.combine(on, time.fromisoformat(facts.opens), tzinfo=LONDON)
    closes = datetime.combine(on, time.fromisoformat(facts.closes), tzinfo=LONDON)
    today = now.astimezone(LONDON)
    if on == today.date():
        midnight = datetime.combine(on, time(0, 5), tzinfo=LONDON)
        opens = min(opens, max(midnight, quarter(today - OPEN_TODAY_BEFORE)))
        closes = max(closes, min(midnight + timedelta(hours=23, minutes=50), quarter(today + OPEN_TODAY_AFTER)))
        return Hours(opens, closes)
    return Hours(opens, closes) if str(on.isoweekday()) in facts.days else None


def quarter(at: datetime) -> datetime:
    return at.replace(minute=at.minute - at.minute % 15, second=0, microsecond=0)


@transaction.atomic
def make_organisations(now: datetime) -> Network:
    """Organisations, the network, its sites with scanners, rooms and licences, and where messages go."""
    made = {}
    for fact in ORGANISATIONS.values():
        one = fact.value
        made[one.ods] = Organisation.objects.get_or_create(
            ods_code=one.ods,
            defaults={
                "name": one.name,
                "kind": one.kind.value,
                "latitude": one.latitude,
                "longitude": one.longitude,
                "phone": "01632 960 100" if one.ods == PROVIDER else "",
                "assumed": bool(fact.notice),
            },
        )[0]
    network, _ = Network.objects.get_or_create(
        name=NAME,
        defaults={"provider": made[PROVIDER], "outside_contact": "Referral desk, 01632 960 100"},
    )
    network.members.add(made[PROVIDER], *(made[ods] for ods in sorted(REFERRERS)))
    for fact in SITES.values():
        make_site(network, made, fact.value, now)
    for ods in sorted(REFERRERS):
        make_endpoints(made[ods])
    return network


def make_site(network: Network, organisations: dict[str, Organisation], facts: ScanningSite, now: datetime) -> Site:
    able = {
        "paediatric": facts.sees_children,
        "anaesthesia": facts.anaesthetics,
        "radiotherapy_planning": facts.radiotherapy_planning,
        "isolation": True,
        "hoist": True,
    }
    site, made = Site.objects.get_or_create(
        ods_code=facts.ods,
        defaults={
            "organisation": organisations[facts.employer],
            "network": network,
            "name": facts.name,
            "latitude": facts.latitude,
            "longitude": facts.longitude,
            "capabilities": [name for name, has in able.items() if has],
            "getting_there": "Invented for the demonstration: nobody is expected here.",
            "assumed": True,
        },
    )
    if not made:
        return site
    began = now - PAPERS
    for number, ae_title in enumerate(facts.scanners, start=1):
        scanner = Scanner.objects.create(
            name=f"Scanner {number}" if len(facts.scanners) > 1 else "Scanner",
            ae_title=ae_title,
            manufacturer="Invented",
            model="PET-CT 1",
            max_weight_kg=facts.table_limit_kg,
            assumed=True,
        )
        Deployment.objects.create(scanner=scanner, site=site, from_at=began)
    for number in range(1, facts.uptake_rooms + 1):
        Room.objects.create(site=site, kind=RoomKind.UPTAKE, name=f"Uptake {number}")
    for kind, name in ((RoomKind.HOT_LAB, "Hot lab"), (RoomKind.WAITING, "Waiting"), (RoomKind.HOT_TOILET, "Toilet")):
        Room.objects.create(site=site, kind=kind, name=name)
    EmployerLicence.objects.create(
        site=site,
        number=f"DEMO-E-{facts.ods}",
        procedures=[fact.value.procedure_code for fact in TRACERS.values()],
        valid_from=began.date(),
        valid_to=(now + PAPERS).date(),
    )
    make_hot_lab(site, began, now)
    make_day_facts(site, organisations[SUPPLIER], began)
    return site


def make_day_facts(site: Site, supplier: Organisation, began: datetime) -> None:
    """What the site's days are reckoned with: two may inject at once, and the supplier's terms."""
    by = system("demonstration")
    note_doors(site, Doors(injectors=2), now=began, by=by)
    for tracer in RUN_MBQ:
        note_terms(
            site, supplier, tracer, least_mbq=LEAST_ORDER_MBQ, price_pence=RUN_PENCE,
            price_pence_per_gbq=GBQ_PENCE, now=began, by=by,
        )  # fmt: skip


def make_hot_lab(site: Site, began: datetime, now: datetime) -> None:
    """A calibrator with its certificate, tested each morning by the script, and what the site's permit allows."""
    add_device(
        site, kind=DeviceKind.CALIBRATOR, name=CALIBRATOR, manufacturer="Invented", serial=f"DEMO-C-{site.ods_code}",
        scale_percent=1.5, reading_percent=0.5,
    )  # fmt: skip
    if ae_title := INJECTOR_AT.get(site.ods_code):
        add_device(
            site, kind=DeviceKind.INJECTOR, name=INJECTOR, manufacturer="Invented", serial=f"DEMO-I-{site.ods_code}",
            ae_title=ae_title,
        )  # fmt: skip
        add_device(
            site, kind=DeviceKind.GLUCOMETER, name=METER, manufacturer="Invented", serial=f"DEMO-M-{site.ods_code}"
        )
    Permit.objects.create(
        site=site, number=f"DEMO-P-{site.ods_code}", nuclide=F18.symbol, holding_mbq=60_000, sewer_mbq_a_month=80_000,
        accumulation_days=30, valid_from=began.date(), valid_to=(now + PAPERS).date(), assumed=True,
    )  # fmt: skip
    Permit.objects.create(
        site=site, number=f"DEMO-P-{site.ods_code}", nuclide="Cs-137", holding_mbq=20, sealed=True,
        valid_from=began.date(), valid_to=(now + PAPERS).date(), assumed=True,
    )  # fmt: skip
    source = receive_source(
        site, SourceFacts("Cs-137", f"DEMO-S-{site.ods_code}", "Calibrator check source", 9.2, began, "Hot lab safe"),
        at=began, now=began, by=system("demonstration"),
    )  # fmt: skip
    leak_test(source, passed=True, at=now - PAPERS / 4, now=now - PAPERS / 4, by=system("demonstration"))


def make_endpoints(organisation: Organisation) -> None:
    """The emulated hospital plays every referrer's integration engine and PACS, on loopback."""
    common = {"organisation": organisation, "host": HOSPITAL.host}
    Endpoint.objects.get_or_create(
        **common,
        kind=EndpointKind.HL7,
        defaults={"port": HOSPITAL.mllp_port, "application": "TIE", "facility": organisation.ods_code},
    )
    Endpoint.objects.get_or_create(
        **common, kind=EndpointKind.DICOM, defaults={"port": HOSPITAL.dicom_port, "ae_title": HOSPITAL.ae_title}
    )


def days_around(now: datetime, weeks: timedelta) -> Iterator[date]:
    today = now.astimezone(LONDON).date()
    for offset in range(-weeks.days, weeks.days + 1):
        yield today + timedelta(days=offset)


@transaction.atomic
def make_sessions(now: datetime, weeks: timedelta) -> None:
    """Each scanner's opening hours for the past and the coming weeks."""
    rows = []
    for fact in SITES.values():
        site = Site.objects.get(ods_code=fact.value.ods)
        for scanner in Scanner.objects.filter(deployments__site=site):
            for on in days_around(now, weeks):
                if hours := hours_on(fact.value, on, now):
                    roles = ["radiographer", "radiographer", "session_lead"]
                    rows.append(
                        Session(
                            site=site,
                            scanner=scanner,
                            on=on,
                            starts_at=hours.opens,
                            ends_at=hours.closes,
                            roles_required=roles,
                        )
                    )
    Session.objects.bulk_create(rows, ignore_conflicts=True)


@dataclass(frozen=True, slots=True)
class Due:
    """One run of a site's day."""

    tracer: str
    number: int
    due_at: datetime


def runs_on(facts: ScanningSite, on: date, now: datetime) -> list[Due]:
    hours = hours_on(facts, on, now)
    if hours is None:
        return []
    first = hours.opens - FIRST_RUN_BEFORE_OPENING
    found = [Due("FDG", 0, first)]
    while found[-1].due_at + RUNS_APART + timedelta(hours=2) < hours.closes:
        found.append(Due("FDG", len(found), found[-1].due_at + RUNS_APART))
    if facts.radiotherapy_planning and on.weekday() in PSMA_DAYS:
        found.append(Due("PSMA-1007", len(found), first + timedelta(minutes=20)))
    return found


def make_runs(now: datetime, weeks: timedelta) -> None:
    """What the supplier brings, and so how much may be promised on each day."""
    supplier = Organisation.objects.get(ods_code=SUPPLIER)
    for fact in SITES.values():
        site = Site.objects.get(ods_code=fact.value.ods)
        had = set(SupplyRun.objects.filter(site=site).values_list("tracer", "due_at"))
        with transaction.atomic():
            for on in days_around(now, weeks):
                for due in runs_on(fact.value, on, now):
                    if (due.tracer, due.due_at) in had:
                        continue
                    radiopharmacy.open_run(
                        supplier=supplier,
                        site=site,
                        tracer=due.tracer,
                        production_site="Northern cyclotron (invented)",
                        due_at=due.due_at,
                        reference_at=due.due_at,
                        cut_off_at=datetime.combine(on - timedelta(days=1), CUT_OFF_HOUR, tzinfo=LONDON),
                        capacity_mbq=RUN_MBQ[due.tracer],
                        tariff=Tariff(RUN_PENCE, GBQ_PENCE),
                        assumed=True,
                    )

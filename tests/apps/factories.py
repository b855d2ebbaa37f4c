"""Valid by default, synthetic for ever: networks, people, patients and referrals for tests; times are arguments."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from itertools import count
from uuid import UUID
from zoneinfo import ZoneInfo

from gantry.apps.accounts.access import Acting, acting_for
from gantry.apps.accounts.models import Entitlement, Person, PractitionerLicence, RoleGrant
from gantry.apps.booking import services as booking
from gantry.apps.booking.models import Appointment
from gantry.apps.estate.models import (
    ActivityAllotment,
    Deployment,
    Device,
    EmployerLicence,
    Network,
    Organisation,
    OrganisationKind,
    Room,
    RoomKind,
    Scanner,
    Session,
    Site,
)
from gantry.apps.estate.services import add_device, record_instrument_test
from gantry.apps.patients.models import Patient
from gantry.apps.patients.services import GivenIdentifier, PatientFacts, find_or_add
from gantry.apps.radiopharmacy import services as radiopharmacy
from gantry.apps.radiopharmacy.models import Batch, SupplyRun
from gantry.apps.referrals import services as referrals
from gantry.apps.referrals.models import Referral, RequestedProcedure
from gantry.domain.access import Role
from gantry.domain.events import Actor, system
from gantry.domain.identifiers import nth_test_nhs_number
from gantry.domain.instrument import DeviceKind, TestKind
from gantry.domain.referral import VetDecision
from gantry.reference.tracers import TRACERS

NOW = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)
"""A Monday morning."""

PAPERS_FROM, PAPERS_TO = date(2024, 1, 1), date(2029, 12, 31)
PROCEDURES = tuple(fact.value.procedure_code for fact in TRACERS.values())
numbers = count(1)


@dataclass(frozen=True, slots=True)
class Made:
    """A small network: a trust that refers, a provider that scans, two licensed sites of two employers."""

    network: Network
    trust: Organisation
    provider: Organisation
    site: Site
    """The provider's own."""
    other_site: Site
    """At the trust, whose employer is the trust."""


def make_organisation(
    ods: str, kind: OrganisationKind = OrganisationKind.ACUTE_TRUST, name: str = "", phone: str = ""
) -> Organisation:
    return Organisation.objects.get_or_create(
        ods_code=ods, defaults={"name": name or f"{ods} hospitals", "kind": kind, "phone": phone}
    )[0]


def make_site(
    network: Network,
    employer: Organisation,
    ods: str,
    *,
    name: str = "",
    capabilities: Iterable[str] = ("paediatric", "anaesthesia", "radiotherapy_planning", "isolation", "hoist"),
    procedures: Iterable[str] = PROCEDURES,
    licensed: tuple[date, date] = (PAPERS_FROM, PAPERS_TO),
) -> Site:
    site = Site.objects.create(
        network=network,
        organisation=employer,
        ods_code=ods,
        name=name or f"{ods} PET-CT",
        latitude=53.43,
        longitude=-2.23,
        capabilities=list(capabilities),
    )
    if procedures:
        EmployerLicence.objects.create(
            site=site,
            number=f"E-{ods}",
            procedures=list(procedures),
            valid_from=licensed[0],
            valid_to=licensed[1],
        )
    return site


def make_network(trust_ods: str = "RBV", provider_ods: str = "NZZ") -> Made:
    provider = make_organisation(provider_ods, OrganisationKind.INDEPENDENT_PROVIDER, phone="01632 960 100")
    trust = make_organisation(trust_ods)
    network = Network.objects.create(name="Northern PET-CT", provider=provider, outside_contact="Referral desk")
    network.members.add(trust, provider)
    return Made(
        network,
        trust,
        provider,
        make_site(network, provider, f"{provider_ods}01"),
        make_site(network, trust, f"{trust_ods}01"),
    )


def make_person(
    role: Role,
    organisation: Organisation,
    *,
    name: str = "",
    email: str = "",
    gmc: str = "",
    password: str | None = None,
) -> Person:
    number = next(numbers)
    person = Person.objects.create_user(
        email=email or f"{role.value}{number}@example.test",
        password=password,
        name=name or f"{role.value.replace('_', ' ').title()} {number}",
        registration=gmc or f"GMC C{number:07d}",
    )
    RoleGrant.objects.create(person=person, organisation=organisation, role=role.value, valid_from=PAPERS_FROM)
    return person


def acting(person: Person, now: datetime = NOW) -> Acting:
    return acting_for(person, now=now)


def actor(person: Person, now: datetime = NOW) -> Actor:
    return acting(person, now).actor


def make_practitioner(
    made: Made,
    *,
    employers: Iterable[Organisation] | None = None,
    procedures: Iterable[str] = PROCEDURES,
    licensed: tuple[date, date] = (PAPERS_FROM, PAPERS_TO),
    password: str | None = None,
) -> Person:
    """Licensed by ARSAC for the procedures and entitled by each employer of the network's sites."""
    person = make_person(Role.PRACTITIONER, made.provider, password=password)
    PractitionerLicence.objects.create(
        person=person,
        number=f"P-{person.registration[-4:]}",
        procedures=list(procedures),
        valid_from=licensed[0],
        valid_to=licensed[1],
    )
    for employer in (made.provider, made.trust) if employers is None else employers:
        Entitlement.objects.create(person=person, employer=employer, duty="practitioner", valid_from=PAPERS_FROM)
    return person


def patient_facts(number: int | None = None, **over: object) -> PatientFacts:
    n = next(numbers) if number is None else number
    nhs_number = nth_test_nhs_number(n)
    facts = {
        "family_name": "Testcase",
        "given_name": f"Number{n}",
        "date_of_birth": date(1958, 3, 14),
        "stated_gender": "2",
        "sex_assigned_at_birth": "female",
        "nhs_number": nhs_number,
        "nhs_number_status": "01",
        "phone_primary": "01632 960 001",
        "postcode": "M20 4BX",
        "identifiers": (GivenIdentifier(f"H{n:06d}", "RBV"),),
    }
    return PatientFacts(**(facts | over))


def make_patient(made: Made, *, number: int | None = None, now: datetime = NOW, **over: object) -> Patient:
    facts = patient_facts(number, **over)
    return find_or_add(facts, organisations=[made.trust.pk, made.provider.pk], now=now, by=system("tests"))


def complete_answers(
    made: Made, *, now: datetime = NOW, number: int | None = None, **over: object
) -> dict[str, object]:
    """A plain FDG referral with nothing to ask back."""
    n = next(numbers) if number is None else number
    today = now.date()
    answers: dict[str, object] = {
        "nhs_number": nth_test_nhs_number(n),
        "nhs_number_status": "01",
        "local_patient_id": f"H{n:06d}",
        "local_patient_id_assigner": made.trust.ods_code,
        "family_name": "Testcase",
        "given_name": f"Number{n}",
        "date_of_birth": date(1958, 3, 14),
        "stated_gender": "2",
        "sex_assigned_at_birth": "female",
        "address": "1 Test Street, Testown",
        "postcode": "M20 4BX",
        "phone_primary": "01632 960 001",
        "preferred_contact": "phone",
        "reasonable_adjustments": ("none",),
        "gp_practice_ods": "V81999",
        "interpreter_required": False,
        "transport": "own",
        "arrival_mobility": "walking",
        "patient_status": "03",
        "overseas_private_status": "nhs",
        "referrer_name": "Dr Pat Example",
        "referrer_role": "consultant",
        "gmc_or_hcpc": "C1234567",
        "responsible_consultant": "Dr Pat Example",
        "responsible_consultant_gmc": "C1234567",
        "referring_org_ods": made.trust.ods_code,
        "referring_site_ods": f"{made.trust.ods_code}01",
        "report_to": (made.trust.ods_code,),
        "mdt_name": "Lung MDT",
        "mdt_date": today + timedelta(days=10),
        "request_datetime": now,
        "priority": "2",
        "cancer_pathway": "urgent_suspected",
        "pathway_id": f"PPI{n:09d}",
        "pathway_issuer": made.trust.ods_code,
        "suspected_cancer_type": "03",
        "fds_clock_start": today - timedelta(days=5),
        "target_fds_date": today + timedelta(days=23),
        "requested_scan_by": today + timedelta(days=10),
        "planned_scan": False,
        "funding_route": "nhse_standard",
        "indication_code": "ONC-NSC",
        "tumour_site": "C34.1",
        "histology": "Adenocarcinoma",
        "stage": "T2 N1",
        "scan_purpose": "staging",
        "tracer_requested": "FDG",
        "body_region": "skull_base_to_mid_thigh",
        "clinical_question": "Stage before radical treatment: is there nodal or distant disease?",
        "treatment_history": (),
        "surgery_or_biopsy_last_6w": False,
        "prior_imaging": (
            {"modality": "CT", "region": "Chest", "date": today - timedelta(days=9), "site_ods": made.trust.ods_code},
        ),
        "recent_reports_attached": True,
        "iv_contrast_requested": False,
        "weight_kg": 71.5,
        "weight_date": today - timedelta(days=3),
        "weight_basis": "measured",
        "diabetes": "none",
        "infection_risk": ("none",),
        "allergies": ("none",),
        "claustrophobia": "none",
        "lie_flat_30min": True,
        "continence": "continent",
        "support_need": ("none",),
        "escort": "not_needed",
        "anaesthetic_required": "none",
        "declaration": True,
        "declared_by": "Dr Pat Example",
        "declared_at": now,
    }
    return {name: value for name, value in (answers | over).items() if value is not None}


def submission(
    made: Made, answers: dict[str, object] | None = None, *, door: str = "web", key: str = "", **over: object
) -> referrals.Submission:
    fields: dict[str, object] = {
        "door": door,
        "source_key": key or f"{door}:{next(numbers)}",
        "answers": complete_answers(made) if answers is None else answers,
        "network": made.network,
        "sender_organisation": made.trust,
    }
    return referrals.Submission(**(fields | over))


def make_referral(
    made: Made, *, now: datetime = NOW, by: Actor | None = None, referrer: Person | None = None, **answers: object
) -> Referral:
    """Received, complete and waiting to be vetted."""
    given = submission(made, complete_answers(made, now=now, **answers), referrer=referrer)
    received = referrals.receive(given, now=now, by=by or system("tests"))
    assert isinstance(received, referrals.Received), received.findings
    return received.referral


FDG_BODY = referrals.Wanted(
    "PET-FDG-ONC", "FDG", "FDG PET-CT, skull base to mid-thigh", "fdg_body", "2026.1", 250.0, "fdg-3.5"
)


def accepting(
    *wanted: referrals.Wanted, sites: Iterable[UUID] = (), decision: VetDecision = VetDecision.ACCEPT
) -> referrals.Vetting:
    return referrals.Vetting(
        decision,
        procedures=wanted or (FDG_BODY,),
        sites=tuple(sites),
        justified=True,
        justification="Matches a commissioned indication",
        indication_row="ONC-NSC",
        indication_edition="RCR 2022, 4th edition",
    )


def make_accepted(
    made: Made, *, practitioner: Person | None = None, now: datetime = NOW, **answers: object
) -> Referral:
    """Vetted and authorised: `referral.procedures.get()` is ready to book."""
    person = practitioner or make_practitioner(made)
    referral = make_referral(made, now=now, **answers)
    vetted = referrals.vet(
        referral, accepting(), version=referral.version, now=now, by=actor(person, now), person=person
    )
    assert isinstance(vetted, referrals.Vetted), vetted.reasons
    return vetted.referral


def make_scanner(site: Site, *, name: str = "Scanner 1", ae_title: str = "", rooms: int = 2) -> Scanner:
    """A scanner that stands at the site, with uptake rooms."""
    scanner = Scanner.objects.create(name=name, ae_title=ae_title or f"PET{next(numbers)}")
    Deployment.objects.create(scanner=scanner, site=site, from_at=NOW - timedelta(days=400))
    for number in range(rooms):
        Room.objects.create(site=site, kind=RoomKind.UPTAKE, name=f"Uptake {number + 1}")
    return scanner


def make_run(
    made: Made, *, due_at: datetime = NOW, capacity_mbq: float = 20_000, tracer: str = "FDG", site: Site | None = None
) -> SupplyRun:
    """A run with its allotment, due at `due_at`, cut off the afternoon before."""
    return radiopharmacy.open_run(
        supplier=make_organisation("SUP01", OrganisationKind.SUPPLIER, "Test isotopes"),
        site=site or made.site,
        tracer=tracer,
        production_site="Testown",
        due_at=due_at,
        reference_at=due_at,
        cut_off_at=due_at - timedelta(hours=16),
        capacity_mbq=capacity_mbq,
    )


def make_calibrator(site: Site, *, at: datetime, name: str = "Calibrator 1") -> Device:
    """Registered, and its daily test passed a little before."""
    device = add_device(site, kind=DeviceKind.CALIBRATOR, name=name)
    before = at - timedelta(minutes=20)
    record_instrument_test(device, TestKind.CONSTANCY, off=0.4, at=before, now=before, by=system("hot lab"))
    return device


def make_batch(
    run: SupplyRun, *, accepted: bool = True, measured_mbq: float = 10_000, number: str = "", calibrator: bool = True
) -> Batch:
    """Ordered in time, received at the run's hour, released by the supplier and accepted on site by somebody else."""
    before, at, by = run.cut_off_at - timedelta(hours=1), run.due_at, system("hot lab")
    if calibrator:
        make_calibrator(run.site, at=at)
    order = radiopharmacy.place_order(run, activity_mbq=10_000, patients=10, now=before, by=by)
    radiopharmacy.confirm_order(order, supplier_reference="S-1", now=before, by=by)
    facts = radiopharmacy.DeliveryFacts(
        number=number or f"B{next(numbers)}",
        stated_mbq=10_000,
        reference_at=run.reference_at,
        expires_at=at + timedelta(hours=10),
        measured_mbq=measured_mbq,
        measured_at=at,
        instrument="Calibrator 1",
        received_at=at,
        volume_ml=10.0,
    )
    batch = radiopharmacy.receive_delivery(order, facts, now=at, by=by)
    if accepted:
        radiopharmacy.release_batch(batch, released_by="Quinn Person", released_at=at, now=at, by=by)
        radiopharmacy.accept_batch(batch, now=at, by=by)
    return batch


def make_session(site: Site, scanner: Scanner, on: date, *, opens: int = 8, closes: int = 18) -> Session:
    zone = ZoneInfo(site.zone)
    return Session.objects.create(
        site=site,
        scanner=scanner,
        on=on,
        starts_at=datetime.combine(on, time(opens), zone),
        ends_at=datetime.combine(on, time(closes), zone),
    )


def make_bookable(
    made: Made, *, site: Site | None = None, days: int = 3, rooms: int = 2, mbq: float = 20_000, now: datetime = NOW
) -> Scanner:
    """A scanner with sessions from tomorrow on, and activity for each of those days (no supply run behind it)."""
    site = site or made.site
    scanner = make_scanner(site, rooms=rooms)
    for day in range(1, days + 1):
        on = now.date() + timedelta(days=day)
        opens = make_session(site, scanner, on).starts_at
        ActivityAllotment.objects.create(
            site=site,
            tracer="FDG",
            reference_at=opens,
            usable_from=opens,
            usable_to=opens + timedelta(hours=9),
            total_mbq=mbq,
            free_mbq=mbq,
        )
    return scanner


def hold_first(procedure: RequestedProcedure, *, now: datetime = NOW, by: Actor | None = None) -> Appointment:
    """The best choice of the network, held."""
    offer = booking.offers_for(procedure, now=now)[0]
    held = booking.hold(procedure, offer.choice, now=now, by=by or system("tests"))
    assert isinstance(held, Appointment), held
    return held


def make_booked_appointment(
    made: Made, *, practitioner: Person | None = None, now: datetime = NOW, told: bool = True, **answers: object
) -> Appointment:
    """Referred, vetted, held, booked and told. The network needs `make_bookable` first."""
    referral = make_accepted(made, practitioner=practitioner, now=now, **answers)
    appointment = hold_first(referral.procedures.get(), now=now)
    booking.confirm(appointment, now=now, by=system("tests"))
    return booking.tell(appointment, channel="phone", now=now, by=system("tests")) if told else appointment

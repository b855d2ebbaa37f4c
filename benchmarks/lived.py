"""Five sites and the few referrals that are lived through the services for the pages bench; and the pages it asks."""

from collections.abc import Iterator
from datetime import timedelta

from django.test import Client

from gantry.apps.accounts.models import Entitlement, Person
from gantry.apps.booking import services as booking
from gantry.apps.booking.models import Appointment
from gantry.apps.estate.models import Site
from gantry.apps.estate.services import record_test
from gantry.apps.radiopharmacy import services as radiopharmacy
from gantry.apps.radiopharmacy.models import Batch, Dose
from gantry.apps.referrals import services as referrals
from gantry.apps.referrals.models import Referral, RequestedProcedure
from gantry.apps.reporting import services as reporting
from gantry.apps.reporting.models import Report
from gantry.apps.scanning.models import Study, Visit
from gantry.apps.scanning.services import images, visits
from gantry.domain.access import Role
from gantry.domain.events import system
from gantry.domain.scan import Phase
from gantry.domain.supply import Match
from tests.apps.factories import (
    FDG_BODY,
    NOW,
    PAPERS_FROM,
    Made,
    accepting,
    actor,
    complete_answers,
    make_batch,
    make_network,
    make_person,
    make_practitioner,
    make_run,
    make_scanner,
    make_session,
    make_site,
    submission,
)
from tests.apps.reports import TEXT, receive

BY = system("bench")
ROLES = {
    "refers": Role.REFERRER,
    "books": Role.BOOKING_COORDINATOR,
    "dispenses": Role.RADIOPHARMACIST,
    "scans": Role.RADIOGRAPHER,
    "reports": Role.REPORTER,
    "manages": Role.MANAGER,
}
DAY = NOW + timedelta(days=1)


def places(count: int) -> tuple[Made, list[Site], Person]:
    made = make_network()
    sites = [made.site, made.other_site]
    sites += [make_site(made.network, made.provider, f"NZZ{n:02d}") for n in range(2, count)]
    for site in sites:
        scanner = make_scanner(site)
        make_session(site, scanner, DAY.date())
        make_run(made, due_at=DAY.replace(hour=7), site=site)
        record_test(scanner, passed=True, at=DAY.replace(hour=6), now=DAY, by=BY, site=site)
    return made, sites, make_practitioner(made)


def accepted(where: tuple[Made, list[Site], Person], site: Site | None, mark: str, number: int) -> Referral:
    made, _, practitioner = where
    given = submission(made, complete_answers(made, number=number), key=f"{mark}:{number}")
    got = referrals.receive(given, now=NOW, by=BY)
    assert isinstance(got, referrals.Received), got
    if site is None:
        return got.referral
    decision = accepting(FDG_BODY, sites=[site.pk])
    vetted = referrals.vet(
        got.referral, decision, version=got.referral.version, now=NOW, by=actor(practitioner), person=practitioner
    )
    assert isinstance(vetted, referrals.Vetted), vetted
    return vetted.referral


def told(procedure: RequestedProcedure) -> Appointment:
    offer = booking.offers_for(procedure, now=NOW)[0]
    held = booking.hold(procedure, offer.choice, now=NOW, by=BY)
    assert isinstance(held, Appointment), held
    booking.confirm(held, now=NOW, by=BY)
    return booking.tell(held, channel="phone", now=NOW, by=BY)


def lived(where: tuple[Made, list[Site], Person], place: int, mark: str) -> Referral:
    """From the referral to the report, at one site."""
    made, sites, _ = where
    site = sites[place]
    referral = accepted(where, site, mark, 9000 + place)
    procedure = referral.procedures.get()
    appointment = told(procedure)
    batch = make_batch(site.supply_runs.get() if hasattr(site, "supply_runs") else run_of(site))
    person = make_person(Role.RADIOGRAPHER, made.provider)
    by, at = actor(person), appointment.arrival_at
    visit = Visit.objects.get(appointment=appointment)
    visits.arrive(visit, happened_at=at, now=at, by=by)
    said = {"weigh": {"weight_kg": 71.5}, "glucose": {"glucose_mmol_per_l": 5.4}, "enquire": {"answer": "no"}}
    steps = [step.key for step in visits.protocol_of(visit).steps]
    for key in steps[: steps.index("inject")]:
        visits.record_step(visit, key, phase=Phase.DONE, happened_at=at, now=at, by=by, extra=said.get(key, {}))
    at = appointment.injection_at
    dose = radiopharmacy.draw(
        batch, activity_mbq=250, at=at, instrument="Calibrator 1", now=at, by=by
    )  # fmt: skip
    radiopharmacy.assign(dose, appointment, now=at, by=by)
    given = visits.inject(
        visit, "inject", dose, injected_at=at, match=Match(barcode=dose.container.barcode), now=at, by=by, person=person
    )
    assert not isinstance(given, visits.NotAuthorised), given.reasons
    dose.refresh_from_db()
    radiopharmacy.assay_residual(
        dose, activity_mbq=4.0, at=at + timedelta(minutes=5), instrument="Calibrator 1", now=at, by=by
    )  # fmt: skip
    at = appointment.scan_at
    for key, phase in (("void", Phase.DONE), ("scan", Phase.START), ("scan", Phase.DONE), ("check", Phase.DONE)):
        visits.record_step(visit, key, phase=phase, happened_at=at, now=at, by=by, extra={"complete": True})
    visits.leave(visit, happened_at=appointment.ends_at, now=appointment.ends_at, by=by, cause=None)
    study = receive(visit, now=at)
    images.check_images(study, acceptable=True, note="", by=by, now=at)
    reporter = make_person(Role.REPORTER, made.provider)
    Entitlement.objects.create(person=reporter, employer=made.provider, duty="reporter", valid_from=PAPERS_FROM)
    report = reporting.open_report(procedure, by=actor(reporter), person=reporter, now=at).report
    reporting.verify(report, TEXT, version=report.version, by=actor(reporter), person=reporter, now=at)
    referral.refresh_from_db()
    return referral


def run_of(site: Site) -> object:
    from gantry.apps.radiopharmacy.models import SupplyRun

    return SupplyRun.objects.get(site=site)


def opened(where: tuple[Made, list[Site], Person], stage: str, mark: str) -> Referral:
    """One that still waits: for a decision, for a booking, or for its day."""
    number = {"to_vet": 9100, "to_book": 9101, "told": 9102}[stage]
    referral = accepted(where, None if stage == "to_vet" else where[1][0], mark, number)
    if stage == "told":
        told(referral.procedures.get())
    return referral


def people(made: Made) -> None:
    """Who opens the pages; the practitioner is there already."""
    for said, role in ROLES.items():
        person = make_person(role, made.trust if role is Role.REFERRER else made.provider)
        Person.objects.filter(pk=person.pk).update(email=f"{said}@bench.test")


def pages() -> Iterator[tuple[str, Client, str, str]]:
    """Every page of the path: its name, who opens it, its address, and what must stand on it."""
    waiting = Referral.objects.filter(state="to_vet").first()
    appointment = Appointment.objects.filter(state="told").order_by("-arrival_at").first()
    to_book = RequestedProcedure.objects.filter(referral__state="accepted", appointments=None).first()
    site, visit = Site.objects.order_by("ods_code").first(), Visit.objects.order_by("-on").first()
    batch, dose = Batch.objects.first(), Dose.objects.order_by("-pk").first()
    study, report = Study.objects.order_by("-pk").first(), Report.objects.order_by("-pk").first()
    practitioner = Person.objects.filter(grants__role=Role.PRACTITIONER).first()
    who = {said: signed_in(Person.objects.get(email=f"{said}@bench.test")) for said in ROLES}
    who["decides"] = signed_in(practitioner)
    for name, role, path, wanted in (
        ("refer", "refers", "/referrals/new/", "NHS number"),
        ("referrals", "refers", "/referrals/?who=", "TESTCASE"),
        ("a referral", "refers", f"/referrals/{waiting.pk}/", "TESTCASE"),
        ("to decide", "decides", "/referrals/vetting/", "TESTCASE"),
        ("decide", "decides", f"/referrals/{waiting.pk}/vet/", "TESTCASE"),
        ("booking list", "books", "/booking/", "TESTCASE"),
        ("book", "books", f"/booking/scan/{to_book.pk}/", "TESTCASE"),
        ("an appointment", "books", f"/booking/appointment/{appointment.pk}/", "TESTCASE"),
        ("hot lab", "dispenses", f"/tracer/?site={site.pk}", "Hot lab"),
        ("a batch", "dispenses", f"/tracer/batches/{batch.pk}/", batch.number),
        ("draw", "dispenses", f"/tracer/batches/{batch.pk}/draw/", batch.number),
        ("a dose", "dispenses", f"/tracer/doses/{dose.pk}/", "TESTCASE"),
        ("board", "scans", f"/board/{site.pk}/", site.name),
        ("a visit", "scans", f"/board/visits/{visit.pk}/", "TESTCASE"),
        ("held images", "scans", "/images/held/", "images"),
        ("a study", "reports", f"/images/{study.pk}/", "TESTCASE"),
        ("to read", "reports", "/reports/", "To read"),
        ("write", "reports", f"/reports/write/{report.procedure_id}/", "TESTCASE"),
        ("issued reports", "refers", "/reports/issued/", "TESTCASE"),
        ("a report", "refers", f"/reports/{report.pk}/", "TESTCASE"),
        ("timeline", "refers", f"/timeline/referral/{report.procedure.referral_id}/", "TESTCASE"),
        ("search", "books", "/search/?q=testcase", "TESTCASE"),
        ("measures", "manages", "/measures/", "easures"),
    ):
        yield name, who[role], path, wanted


def signed_in(person: Person) -> Client:
    client = Client()
    client.force_login(person, backend="django.contrib.auth.backends.ModelBackend")
    return client

"""Five sites and the few referrals that are lived through the services for the pages bench."""

from datetime import datetime, timedelta

from gantry.apps.accounts.models import Entitlement, Person
from gantry.apps.booking import services as booking
from gantry.apps.booking.models import Appointment
from gantry.apps.estate.models import Site
from gantry.apps.estate.services import record_test
from gantry.apps.radiopharmacy import services as radiopharmacy
from gantry.apps.radiopharmacy.models import Batch, SupplyRun
from gantry.apps.referrals import services as referrals
from gantry.apps.referrals.models import Referral, RequestedProcedure
from gantry.apps.reporting import services as reporting
from gantry.apps.scanning.models import Visit
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
    "leads": Role.SESSION_LEAD,
}
DAY = NOW + timedelta(days=1)
"""The last of the past."""

TODAY = NOW + timedelta(days=2)
"""The morning on which the pages are opened."""


def places(count: int) -> tuple[Made, list[Site], Person]:
    made = make_network()
    sites = [made.site, made.other_site]
    sites += [make_site(made.network, made.provider, f"NZZ{n:02d}") for n in range(2, count)]
    for site in sites:
        scanner = make_scanner(site)
        for day in (DAY, TODAY):
            make_session(site, scanner, day.date())
            make_run(made, due_at=day.replace(hour=7), site=site)
            record_test(scanner, passed=True, at=day.replace(hour=6), now=day, by=BY, site=site)
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


def told(procedure: RequestedProcedure, on: datetime) -> Appointment:
    """At the first time of a day that is offered."""
    offers = [
        offer for offer in booking.offers_for(procedure, now=NOW, limit=200) if offer.arrival_at.date() == on.date()
    ]
    offer = min(offers, key=lambda offer: offer.arrival_at)
    held = booking.hold(procedure, offer.choice, now=NOW, by=BY)
    assert isinstance(held, Appointment), held
    booking.confirm(held, now=NOW, by=BY)
    return booking.tell(held, channel="phone", now=NOW, by=BY)


def lived(where: tuple[Made, list[Site], Person], place: int, mark: str) -> Referral:
    """From the referral to the report that was acted on, at one site."""
    made, sites, _ = where
    site = sites[place]
    referral = accepted(where, site, mark, 9000 + place)
    procedure = referral.procedures.get()
    appointment = told(procedure, DAY)
    batch = make_batch(run_of(site, DAY))
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
    referrer = Person.objects.get(email="refers@bench.test")
    reporting.record_action(
        report.versions.get(),
        action="Discussed at the MDT; listed for surgery",
        organisations=frozenset({made.trust.pk}),
        by=actor(referrer),
        person=referrer,
        now=at + timedelta(hours=20),
    )
    batch.refresh_from_db()
    radiopharmacy.expire_batch(batch, now=batch.expires_at, by=BY)
    referral.refresh_from_db()
    return referral


def run_of(site: Site, on: datetime) -> SupplyRun:
    return SupplyRun.objects.get(site=site, due_at__date=on.date())


def opened(where: tuple[Made, list[Site], Person], place: int, stage: str, mark: str) -> Referral:
    """One that still waits: for a decision, for a booking, or for its day."""
    number = {"to_vet": 9100, "to_book": 9200, "told": 9300}[stage] + place
    site = where[1][place]
    referral = accepted(where, None if stage == "to_vet" else site, mark, number)
    if stage == "told":
        told(referral.procedures.get(), TODAY)
    return referral


def received(site: Site) -> Batch:
    """Today's activity: accepted, and nothing drawn of it yet."""
    return make_batch(run_of(site, TODAY))


def people(made: Made) -> None:
    """Who opens the pages; the practitioner is there already."""
    for said, role in ROLES.items():
        person = make_person(role, made.trust if role is Role.REFERRER else made.provider)
        Person.objects.filter(pk=person.pk).update(email=f"{said}@bench.test")

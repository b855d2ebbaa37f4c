"""Who takes part in a journey, and the steps that journeys share."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from playwright.sync_api import Browser, expect

from gantry.apps.accounts.models import Entitlement, Person
from gantry.apps.booking import services as booking
from gantry.apps.booking.models import Appointment
from gantry.apps.estate.models import Scanner
from gantry.apps.estate.services import record_test
from gantry.apps.radiopharmacy import services as radiopharmacy
from gantry.apps.radiopharmacy.models import SupplyRun
from gantry.apps.referrals.models import Referral, RequestedProcedure
from gantry.apps.reporting.models import Report, ReportDispatch
from gantry.apps.scanning.models import ImageDispatch, PerformedStep, Study, Visit
from gantry.apps.scanning.services import visits
from gantry.domain.access import Role
from gantry.domain.scan import Phase
from gantry.domain.supply import Match
from tests.apps.factories import (
    PAPERS_FROM,
    Made,
    actor,
    make_batch,
    make_network,
    make_person,
    make_practitioner,
    make_run,
    make_scanner,
    make_session,
)
from tests.gateways.dicom_samples import new_uid
from tests.gateways.peers import Orthanc, run_findscu
from tests.journeys import scanner as wire
from tests.journeys.hospital import Engine
from tests.journeys.house import House, seat, until

MONDAY = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)
TUESDAY = MONDAY + timedelta(days=1)


@dataclass
class Cast:
    made: Made
    scanner: Scanner
    run: SupplyRun
    referrer: Person
    practitioner: Person
    coordinator: Person
    pharmacist: Person
    physicist: Person
    radiographer: Person
    reporter: Person


def make_cast() -> Cast:
    made = make_network()
    scanner = make_scanner(made.site, ae_title=wire.STATION)
    reporter = make_person(Role.REPORTER, made.provider)
    Entitlement.objects.create(person=reporter, employer=made.provider, duty="reporter", valid_from=PAPERS_FROM)
    make_session(made.site, scanner, TUESDAY.date())
    return Cast(
        made,
        scanner,
        make_run(made, due_at=TUESDAY.replace(hour=7)),
        make_person(Role.REFERRER, made.trust, name="Dr Pat Example", gmc="GMC C1234567"),
        make_practitioner(made),
        make_person(Role.BOOKING_COORDINATOR, made.provider),
        make_person(Role.RADIOPHARMACIST, made.provider),
        make_person(Role.PHYSICIST, made.provider),
        make_person(Role.RADIOGRAPHER, made.provider),
        reporter,
    )


def decided_with_two_keys(house: House, browser: Browser, cast: Cast, referral: Referral) -> RequestedProcedure:
    """The practitioner justifies the exposure on the page."""
    with seat(house, browser, cast.practitioner) as desk:
        desk.open("/referrals/vetting/")
        page = desk.open(f"/referrals/{referral.pk}/vet/")
        page.keyboard.press("y")
        page.keyboard.press("a")
        expect(page.locator(".message--success")).to_contain_text("accepted")
        desk.judge()
    return referral.procedures.get()


def booked_and_told(house: House, cast: Cast, procedure: RequestedProcedure) -> Appointment:
    now, by = house.now(), actor(cast.coordinator, house.now())
    offer = booking.offers_for(procedure, now=now)[0]
    held = booking.hold(procedure, offer.choice, now=now, by=by)
    assert isinstance(held, Appointment), held
    booking.confirm(held, now=now, by=by)
    return booking.tell(held, channel="phone", now=now, by=by)


def injected(house: House, cast: Cast, appointment: Appointment) -> Visit:
    """The tracer, the checks before and the injection, each at its own hour."""
    batch = make_batch(cast.run)
    visit = Visit.objects.get(appointment=appointment)
    at = appointment.arrival_at
    house.turn(at)
    by = actor(cast.radiographer, at)
    record_test(cast.scanner, passed=True, at=at - timedelta(hours=1), now=at, by=by, site=cast.made.site)
    visits.arrive(visit, happened_at=at, now=at, by=by)
    said = {"weigh": {"weight_kg": 71.5}, "glucose": {"glucose_mmol_per_l": 5.4}, "enquire": {"answer": "no"}}
    steps = [step.key for step in visits.protocol_of(visit).steps]
    for key in steps[: steps.index("inject")]:
        visits.record_step(visit, key, phase=Phase.DONE, happened_at=at, now=at, by=by, extra=said.get(key, {}))
    at = appointment.injection_at
    house.turn(at)
    dose = radiopharmacy.draw(
        batch, activity_mbq=250, at=at, instrument="Calibrator 1", now=at, by=by
    )  # fmt: skip
    radiopharmacy.assign(dose, appointment, now=at, by=by)
    given = visits.inject(
        visit,
        "inject",
        dose,
        injected_at=at,
        match=Match(barcode=dose.container.barcode),
        now=at,
        by=by,
        person=cast.radiographer,
    )
    assert not isinstance(given, visits.NotAuthorised), given.reasons
    visits.record_step(
        visit, "void", phase=Phase.DONE, happened_at=at + timedelta(minutes=50), now=at + timedelta(minutes=50), by=by
    )  # fmt: skip
    return visit


def asked_by_the_scanner(house: House, procedure: RequestedProcedure) -> wire.Whose:
    """DCMTK's findscu, as the scanner, finds this patient and no other."""
    names = (
        *("PatientName", "PatientID", "PatientBirthDate", "PatientSex", "AccessionNumber", "StudyInstanceUID"),
        "RequestedProcedureID",
    )
    inside = "ScheduledProcedureStepSequence[0]"
    keys = [*names, f"{inside}.ScheduledProcedureStepID", f"{inside}.Modality"]
    keys.append(f"{inside}.ScheduledStationAETitle={wire.STATION}")
    (item,) = run_findscu(house.dicom_port, keys, called=wire.OURS, calling=wire.STATION)
    whose = wire.Whose.of(item)
    patient = procedure.referral.patient
    assert (whose.nhs_number, whose.accession) == (patient.nhs_number, procedure.accession_number)
    assert whose.study_uid == procedure.study_uid
    return whose


def scanned_and_stored(house: House, procedure: RequestedProcedure, whose: wire.Whose) -> set[str]:
    """MPPS by dcmjs-dimse, PET and CT by storescu: matched to the procedure. What it sent, by SOP instance UID."""
    began = house.now()
    house.pass_time(minutes=20)
    uid = new_uid()
    assert wire.perform(house.dicom_port, whose, uid, began=began, ended=house.now()) == [0, 0]
    step = PerformedStep.objects.get(sop_instance_uid=uid)
    assert (step.state, step.scheduled_step.procedure) == ("completed", procedure)
    files = wire.files_of(whose, house.folder)
    assert wire.store(house.dicom_port, files) == [0] * len(files)
    study = Study.objects.get(procedure=procedure)
    assert (study.state, study.instances.count()) == ("matched", len(files))
    return wire.uids(files)


def proved_at_the_hospital(procedure: RequestedProcedure, pacs: Orthanc, sent: set[str]) -> None:
    """Delivered is only what the far end showed; and it is all there, byte for byte of identity."""
    study = Study.objects.get(procedure=procedure)
    until(
        lambda: ImageDispatch.objects.get(study=study).state == "delivered",
        what=f"delivery of {study.instances.count()} images",
    )
    dispatch = ImageDispatch.objects.get(study=study)
    assert dispatch.proof and dispatch.proved == len(sent)
    assert pacs.instance_uids() == sent


def acknowledged(procedure: RequestedProcedure, engine: Engine) -> Report:
    """The report's ORU was accepted by the hospital's engine, once, with the NHS number and the PDF."""
    report = Report.objects.get(procedure=procedure)
    until(
        lambda: ReportDispatch.objects.get(version__report=report).delivered_at is not None,
        what="the acknowledgement of the report",
    )
    (message,) = engine.received
    assert str(message.segment("MSH")[9]) == "ORU^R01^ORU_R01"
    assert procedure.referral.patient.nhs_number in str(message.segment("PID"))
    assert procedure.accession_number in str(message.segment("OBR"))
    assert any(str(obx[2]) == "ED" for obx in message.segments("OBX")), "no PDF in the message"
    return report

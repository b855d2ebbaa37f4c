"""A scan that waits to be read: booked, its images matched and checked, and somebody entitled to read them."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from gantry.apps.accounts.models import Entitlement, Person
from gantry.apps.estate.models import Endpoint, Organisation
from gantry.apps.referrals.models import RequestedProcedure
from gantry.apps.reporting import services as reporting
from gantry.apps.reporting.models import Report, ReportVersion
from gantry.apps.scanning.models import Study, Visit
from gantry.apps.scanning.services import images
from gantry.domain.access import Role
from gantry.domain.events import Actor
from tests.apps.factories import NOW, PAPERS_FROM, actor, make_organisation, make_person
from tests.apps.scan_day import Day, make_booked, make_day

READ_AT = NOW + timedelta(hours=3)
TEXT = reporting.Sections(
    "FDG, 248 MBq, 61 minutes.", "Avid right hilar node.\nNo distant disease.", "N1 disease; no metastases."
)


@dataclass
class Reading:
    day: Day
    visit: Visit
    study: Study
    reporter: Person

    @property
    def by(self) -> Actor:
        return actor(self.reporter)

    @property
    def procedure(self) -> RequestedProcedure:
        return self.visit.appointment.procedure

    @property
    def trust(self) -> Organisation:
        return self.day.made.trust

    def report(self, now: datetime = READ_AT) -> Report:
        return reporting.open_report(self.procedure, by=self.by, person=self.reporter, now=now).report

    def verified(self, now: datetime = READ_AT, text: reporting.Sections = TEXT) -> ReportVersion:
        report = self.report(now)
        return reporting.verify(
            report, text, version=report.version, by=self.by, person=self.reporter, now=now
        )  # fmt: skip


def make_reporter(day: Day, **fields: str) -> Person:
    person = make_person(Role.REPORTER, day.made.provider, **fields)
    Entitlement.objects.create(person=person, employer=day.made.provider, duty="reporter", valid_from=PAPERS_FROM)
    return person


def receive(visit: Visit, *, number: int = 1, now: datetime = NOW, **over: object) -> Study:
    procedure = visit.appointment.procedure
    patient = procedure.referral.patient
    said = {
        "sop_instance_uid": f"{procedure.study_uid}.2.{number}",
        "sop_class_uid": "1.2.840.10008.5.1.4.1.1.128",
        "transfer_syntax_uid": "1.2.840.10008.1.2.1",
        "study_uid": procedure.study_uid,
        "series_uid": f"{procedure.study_uid}.2",
        "size_bytes": 2048,
        "sha256": f"{number:064x}",
        "path": f"00/{procedure.study_uid}/{number}.dcm",
        "patient_id": patient.nhs_number,
        "nhs_number": patient.nhs_number,
        "patient_name": f"{patient.family_name}^{patient.given_name}",
        "birth_date": f"{patient.date_of_birth:%Y%m%d}",
        "accession_number": procedure.accession_number,
        "modality": "PT",
        "study_date": f"{now:%Y%m%d}",
        "series_description": "PET AC",
        "calling_ae_title": "PETCT1",
        "tracers": (images.TracerSeen("FDG", now, 248.0, 6586.2, 71.5),),
    }
    kept = images.keep_instance(images.ReceivedInstance(**(said | over)), now=now)
    assert isinstance(kept, images.KeptInstance)
    return Study.objects.get(pk=kept.study)


def make_reading(*, checked: bool = True, day: Day | None = None, **answers: object) -> Reading:
    day = day or make_day()
    visit = make_booked(day, **answers)
    study = receive(visit)
    if checked:
        images.check_images(study, acceptable=True, note="", by=day.by, now=NOW + timedelta(hours=2))
    return Reading(day, visit, study, make_reporter(day))


def listener(organisation: Organisation, port: int, kind: str = "hl7") -> Endpoint:
    return Endpoint.objects.create(
        organisation=organisation, kind=kind, host="127.0.0.1", port=port, application="TIE"
    )  # fmt: skip


def another_trust(ods: str = "RXX") -> Organisation:
    return make_organisation(ods)

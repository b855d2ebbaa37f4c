"""Performs what follows a scan: images kept and proved at the hospital, the report written, delivered, read, acted on."""

from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from uuid import UUID

from django.db import transaction
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_dataset

from gantry.apps.audit.models import OutboxMessage
from gantry.apps.radiopharmacy.models import Dose
from gantry.apps.referrals import services as referrals
from gantry.apps.reporting import services as reporting
from gantry.apps.reporting.models import Report, ReportVersion
from gantry.apps.scanning.models import ImageDispatch, ScheduledStep, Study, Visit
from gantry.apps.scanning.services import dosing, images, injectors
from gantry.cli.demonstration.places import LONDON
from gantry.cli.demonstration.stage import Player, Stage
from gantry.domain.access import Role
from gantry.domain.network.script import Story
from gantry.domain.referral import ReferralState
from gantry.domain.report import ReportState
from gantry.gateways.dicom import dose_incoming, dose_outgoing
from gantry.gateways.dicom.commitment import Asked
from gantry.gateways.dicom.dose_wiring import report_of
from gantry.gateways.dicom.send import Proof
from gantry.gateways.dicom.status import Refusal, Status
from gantry.gateways.dicom.storage import Kept, Sent, Store, StoredInstance, store
from gantry.gateways.dicom.wiring import received
from gantry.gateways.emulators import pictures
from gantry.gateways.emulators.doses import ct_dose_report
from gantry.gateways.emulators.hospital import Pacs, Results
from gantry.gateways.emulators.injector import READS_HIGH_PERCENT, Injector
from gantry.gateways.hl7.ack import Acknowledgement, read_acknowledgement
from gantry.gateways.hl7.outgoing import report_message
from gantry.gateways.hl7.results import to_oru

MINUTE = timedelta(minutes=1)
WRITING = timedelta(minutes=40)
RECENT = timedelta(days=2)
"""Studies of the last two days have a few slices; earlier ones have a single one, so that a report has images."""
SENT_AFTER = timedelta(minutes=6)
MEASURED, WORKER_WAITS = timedelta(minutes=6), timedelta(hours=1)
"""When a residual is measured after its injection; how long a worker leaves the report to whoever lives the past weeks."""
TOLD, READS_HIGH, UNREGISTERED = timedelta(days=7), 6, 7
"""Injectors tell of the last week; one report in so many reads high or comes from a device that nobody registered."""
TECHNIQUE = "F-18 FDG PET-CT, skull base to mid-thigh. Low-dose CT for attenuation correction."
FINDINGS = (
    "Invented for the demonstration. Intense uptake in the known primary; no avid nodes; no distant disease.",
    "Invented for the demonstration. Physiological distribution. No focus of abnormal uptake.",
    "Invented for the demonstration. Avid mediastinal nodes, SUVmax 7.2. Liver and skeleton are clear.",
    "Invented for the demonstration. Uptake less than liver at the earlier sites: Deauville 3.",
)
CONCLUSIONS = (
    "No evidence of distant metastasis.",
    "No avid disease.",
    "Nodal disease; no distant metastasis.",
    "Complete metabolic response.",
)
ACTIONS = ("Discussed at the MDT: surgery", "Clinic brought forward", "Chemotherapy continues", "Follow-up in 3 months")


class Following:
    """One scanned person's images and report."""

    def __init__(self, stage: Stage, story: Story, hospital: Results, pacs: Pacs, images_root: Path) -> None:
        self.stage, self.story = stage, story
        self.hospital, self.pacs, self.images_root = hospital, pacs, images_root

    @property
    def reporter(self) -> Player:
        return self.stage.who(Role.REPORTER, turn=self.story.person.number)

    @property
    def variant(self) -> int:
        return self.story.person.number % len(FINDINGS)

    # Images

    def injected(self, dose: Dose, now: datetime) -> None:
        """Kept from the worker until `given`: by today's clock it is long due, and would be dated today."""
        if self.stage.wire is None and self.stage.has_come(now + MEASURED):
            waiting = OutboxMessage.objects.filter(door=dosing.DOOR, body__dose=str(dose.pk))
            waiting.update(due_at=self.stage.clock.now() + WORKER_WAITS)

    def given(self, dose: Dose, now: datetime) -> None:
        """The dose report is written: in the past weeks here, at the moment at which a worker would have done it."""
        if self.stage.wire is None and self.stage.has_come(now):
            messages = OutboxMessage.objects.filter(door=dosing.DOOR, body__dose=str(dose.pk))
            messages.filter(settled_at=None).update(due_at=now)
            for message in messages.order_by("pk"):
                dose_outgoing.write(message.pk, now=now, sync=False)
            if self.stage.clock.now() - now < TOLD:
                self.told_by_injector(dose, now)

    def told_by_injector(self, dose: Dose, now: datetime) -> None:
        """What the site's injector says of it: once it reads high, and once it comes from one that nobody has registered."""
        with transaction.atomic():
            injection = dosing.injection_of(str(dose.pk))
        if injection is None or injection.injector is None or injection.injector_reports.exists():
            return
        number = self.story.person.number
        device = Injector(
            "INJLOAN" if number % UNREGISTERED == 1 else injection.injector.ae_title,
            reads_percent=9.0 if number % READS_HIGH == 1 else READS_HIGH_PERCENT,
        )

        def index(stored: StoredInstance) -> Kept | Refusal:
            answer = injectors.keep(received(stored), now=now)
            return Refusal(Status.CONFLICT, answer.reason) if isinstance(answer, images.Conflict) else Kept()

        report = device.data_set(device.report(report_of(injection, now=now), LONDON))
        put(report, Store(self.images_root, index, LONDON, sync=False), device.ae_title)
        dose_incoming.read_injectors(now=now)
        self.stage.clock.done()

    def scanned(self, visit: Visit, now: datetime) -> None:
        """The scanner stores its images; once the room has checked them they go to the hospital."""
        procedure = visit.appointment.procedure
        if not Study.objects.filter(procedure=procedure).exists():
            for picture in self.pictures(visit, now):
                self.keep(picture, visit.appointment.scanner.ae_title, now)
            dose_incoming.read_new(now=now)
            dose_outgoing.join_images(now=now, sync=False)
            self.stage.clock.done()
        after = now + self.story.after.reported
        self.stage.clock.at(self.stage.working(after - WRITING), lambda at: self.draft(visit, at))

    def pictures(self, visit: Visit, now: datetime) -> list[Dataset]:
        step = ScheduledStep.objects.get(appointment=visit.appointment_id)
        given = visit.injections.select_related("dose").order_by("injected_at").first()
        recent = self.stage.clock.now() - now < RECENT
        subject = pictures.Subject(
            patient_name=f"{step.family_name}^{step.given_name}",
            patient_id=step.patient_id,
            issuer=step.patient_id_issuer,
            birth_date=step.birth_date,
            sex=step.sex,
            weight_kg=step.weight_kg,
            accession_number=step.accession_number,
            study_uid=step.study_uid,
            requested_procedure_id=step.requested_procedure_id,
            scheduled_step_id=step.scheduled_step_id,
            description=step.description,
            referring_physician=step.referring_physician,
            station=step.station_name,
            started_at=now.astimezone(LONDON),
            injected_at=(given.injected_at if given else now).astimezone(LONDON),
            injected_mbq=(given.dose.net_mbq if given else 0.0) or 0.0,
        )
        made = pictures.study(subject, slices=4 if recent else 1, pixels=64 if recent else 16)
        return [*(made if recent else made[-1:]), ct_dose_report(subject)]

    def keep(self, picture: Dataset, ae_title: str, now: datetime) -> None:
        """Through the storage and the service of the DICOM door, at this moment of the script."""

        def index(stored: StoredInstance) -> Kept | Refusal:
            answer = images.keep_instance(received(stored), now=now)
            return Refusal(Status.CONFLICT, answer.reason) if isinstance(answer, images.Conflict) else Kept(answer.held)

        put(picture, Store(self.images_root, index, LONDON, sync=False), ae_title)

    def checked(self, visit: Visit, now: datetime) -> None:
        """The check has sent them on their way; in the past weeks the emulated PACS answers at once, in this process."""
        at = now + SENT_AFTER
        if not self.stage.has_come(at):
            return
        study = Study.objects.filter(appointment=visit.appointment_id).first()
        for dispatch in ImageDispatch.objects.filter(study=study, state="queued").select_related("message"):
            pairs = []
            for row in dispatch.study.instances.all():
                picture = dcmread(self.images_root / row.path)
                put(picture, Store(self.pacs.root, self.pacs.keep, LONDON, sync=False), "GANTRY")
                pairs.append((row.sop_class_uid, row.sop_instance_uid))
            report = self.pacs.committed(Asked("", "GANTRY", tuple(pairs)))
            if not report.failed:
                images.images_proved(
                    dispatch.message, proved=len(report.committed), proof=Proof.COMMITMENT.value, now=at
                )  # fmt: skip
                self.stage.clock.done()

    # Report

    def draft(self, visit: Visit, now: datetime) -> None:
        self.stage.clock.at(now + WRITING, lambda at: self.issue(visit, at))
        report = self.report_of(visit)
        if report is not None and (report.state != ReportState.DRAFT or report.draft):
            return
        opened = reporting.open_report(
            visit.appointment.procedure, by=self.reporter.actor, person=self.reporter.person, now=now
        )
        reporting.save_draft(
            opened.report, self.sections(""), version=opened.report.version, person=self.reporter.person,
            now=now + 5 * MINUTE,
        )  # fmt: skip
        self.stage.clock.done(2)
        if self.story.after.preliminary:
            report = Report.objects.get(pk=opened.report.pk)
            issued = self.said(reporting.issue_preliminary, report, self.sections(), now + 8 * MINUTE)
            self.stage.clock.done(bool(issued))

    def report_of(self, visit: Visit) -> Report | None:
        return Report.objects.filter(procedure=visit.appointment.procedure_id).first()

    def sections(self, conclusion: str | None = None) -> reporting.Sections:
        return reporting.Sections(
            TECHNIQUE, FINDINGS[self.variant], CONCLUSIONS[self.variant] if conclusion is None else conclusion
        )

    def issue(self, visit: Visit, now: datetime) -> None:
        report = self.report_of(visit)
        if report is not None and report.state in (ReportState.DRAFT, ReportState.PRELIMINARY):
            if self.said(reporting.verify, report, self.sections(), now) is None:
                return
            self.stage.clock.done()
        after = self.story.after
        if after.read is not None:
            self.stage.clock.at(self.stage.working(now + after.read), lambda at: self.read(visit, at))
        if after.amended is not None:
            self.stage.clock.at(self.stage.working(now + after.amended), lambda at: self.amend(visit, at))

    def said(self, verb: Callable[..., ReportVersion], report: Report, sections: reporting.Sections, now: datetime,
             **more: str) -> ReportVersion | None:  # fmt: skip
        """Issued and, in the past weeks, answered by the emulated hospital's engine in the same transaction: nobody
        else sends it at another hour. None where it may not be issued: the images were never acceptable."""
        player = self.reporter
        with transaction.atomic():
            try:
                version = verb(
                    report, sections, version=report.version, by=player.actor, person=player.person, now=now, **more
                )
            except reporting.Refused:
                return None
            if self.stage.has_come(now + MINUTE):
                self.deliver(version, now + MINUTE)
        return version

    def deliver(self, version: ReportVersion, now: datetime) -> None:
        for dispatch in version.dispatches.filter(state="queued").select_related("message"):
            message = to_oru(report_message(dispatch.message, reporting.dispatch_of(dispatch.message)))
            answer = read_acknowledgement(self.hospital.receive(message))
            if isinstance(answer, Acknowledgement) and answer.accepted:
                reporting.report_delivered(
                    dispatch.message, proof=f"{answer.code} to {answer.control_id}", now=now
                )  # fmt: skip

    def amend(self, visit: Visit, now: datetime) -> None:
        report = self.report_of(visit)
        if report is not None and report.state == ReportState.FINAL:
            sections = self.sections(f"{CONCLUSIONS[self.variant]} Small thyroid focus noted on second reading.")
            self.said(reporting.amend, report, sections, now, reason="Second reading at the MDT")
            self.stage.clock.done()

    def read(self, visit: Visit, now: datetime) -> None:
        version = self.latest(visit)
        referrer = self.referrer
        if version is None or referrer is None:
            return
        read = reporting.record_reading(
            version, organisations=self.readers, by=referrer.actor, person=referrer.person, now=now
        )
        self.stage.clock.done(bool(read))
        if self.story.after.acted is not None:
            self.stage.clock.at(self.stage.working(now + self.story.after.acted), lambda at: self.act(visit, at))

    @property
    def referrer(self) -> Player | None:
        return next(iter(self.stage.players.get((Role.REFERRER, self.story.hospital), ())), None)

    @property
    def readers(self) -> frozenset[UUID]:
        return frozenset({self.stage.organisations[self.story.hospital].pk})

    def latest(self, visit: Visit) -> ReportVersion | None:
        found = ReportVersion.objects.filter(report__procedure=visit.appointment.procedure_id)
        return found.order_by("-number").first()

    def act(self, visit: Visit, now: datetime) -> None:
        """What was done because of the report; the referral is finished with."""
        version, referrer = self.latest(visit), self.referrer
        if version is None or referrer is None:
            return
        referral = visit.appointment.referral
        referral.refresh_from_db(fields=["state"])
        if referral.state != ReferralState.ACCEPTED:
            return
        reporting.record_action(
            version, action=ACTIONS[self.variant], organisations=self.readers, by=referrer.actor,
            person=referrer.person, now=now,
        )  # fmt: skip
        by = self.stage.who(Role.BOOKING_COORDINATOR).actor
        referrals.close(referral, reason="Reported, read and acted on", now=now + MINUTE, by=by)
        self.stage.clock.done(2)


def put(picture: Dataset, into: Store, ae_title: str) -> None:
    """One C-STORE request's worth, handed to the storage of a door. Raises NotKept."""
    whole = DicomBytesIO()
    whole.is_little_endian, whole.is_implicit_VR = True, False
    write_dataset(whole, picture)
    sent = Sent(
        str(picture.SOPClassUID), str(picture.SOPInstanceUID), str(picture.file_meta.TransferSyntaxUID),
        memoryview(whole.getvalue()), ae_title,
    )  # fmt: skip
    answer = store(sent, into)
    if isinstance(answer, Refusal):
        raise NotKept(answer.comment)


class NotKept(Exception):
    """An image of the demonstration was refused: the reason is the door's."""

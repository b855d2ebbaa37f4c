"""The scan day and its images: visits, steps, the worklist, what scanners reported, and studies with every instance."""

import pghistory
import pgtrigger
from django.contrib.postgres.fields import ArrayField
from django.db import models

from gantry.apps.audit.lifecycles import only_legal_moves
from gantry.apps.audit.models import Row
from gantry.apps.booking.models import Appointment
from gantry.apps.radiopharmacy.models import Dose, of_site
from gantry.apps.referrals.models import RequestedProcedure, of_referrals
from gantry.domain.access import Scope
from gantry.domain.scan import PERFORMED_STEP, VISIT, StepState, VisitState


@pghistory.track()
class Visit(Row):
    """One person's presence at a site for one appointment."""

    appointment = models.OneToOneField(Appointment, on_delete=models.PROTECT, related_name="visit")
    site = models.ForeignKey("estate.Site", on_delete=models.PROTECT, related_name="visits")
    on = models.DateField()
    """The local day at the site."""
    protocol = models.CharField(max_length=40)
    protocol_version = models.CharField(max_length=20)
    state = models.CharField(max_length=10, choices=[(s.value, s.value) for s in VisitState])
    room = models.ForeignKey("estate.Room", on_delete=models.PROTECT, null=True, related_name="+")
    arrived_at = models.DateTimeField(null=True)
    left_at = models.DateTimeField(null=True)
    ended_early = models.BooleanField(default=False)
    weight_kg = models.FloatField(null=True)
    glucose_mmol_per_l = models.FloatField(null=True)
    glucose_meter = models.CharField(max_length=60, blank=True)
    glucose_doubt = models.TextField(blank=True)
    """Why the reading is marked: its meter is unknown here, untested today, or failed."""
    version = models.PositiveIntegerField(default=1)

    class Meta:
        triggers = [only_legal_moves("visit_lifecycle", "state", VISIT)]
        indexes = [models.Index(fields=["site", "on"], name="visit_day")]

    def __str__(self) -> str:
        return f"visit {self.pk}"

    @classmethod
    def scope(cls, scope: Scope) -> models.Q:
        return of_referrals(scope, "appointment__referral")


class StepDone(Row):
    """A protocol step that happened, as the board shows it. A correction replaces it and says why."""

    visit = models.ForeignKey(Visit, on_delete=models.PROTECT, related_name="steps")
    key = models.CharField(max_length=40)
    act = models.CharField(max_length=20)
    phase = models.CharField(max_length=6, default="done")
    """start or done: an acquisition has both."""
    happened_at = models.DateTimeField()
    by_name = models.CharField(max_length=120)
    event = models.UUIDField()
    breach = models.JSONField(default=list)
    """Why it should not have been done yet: recorded all the same."""
    current = models.BooleanField(default=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["visit", "key", "phase"], condition=models.Q(current=True), name="step_done_once"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.key} {self.phase}"

    @classmethod
    def scope(cls, scope: Scope) -> models.Q:
        return of_referrals(scope, "visit__appointment__referral")


class Injection(Row):
    """One administration. The net activity is computed from assays, at the injection's own instant."""

    visit = models.ForeignKey(Visit, on_delete=models.PROTECT, related_name="injections")
    step_key = models.CharField(max_length=40)
    dose = models.OneToOneField(Dose, on_delete=models.PROTECT, related_name="injection")
    injected_at = models.DateTimeField()
    by = models.ForeignKey("accounts.Person", on_delete=models.PROTECT, null=True, related_name="+")
    by_name = models.CharField(max_length=120)
    match = models.CharField(max_length=10)
    """scan, or typed: how the dose was matched to the person."""
    body_site = models.CharField(max_length=60, blank=True)
    breach = models.JSONField(default=list)
    override_reason = models.TextField(blank=True)
    fallback = models.ForeignKey("estate.Scanner", on_delete=models.PROTECT, null=True, related_name="+")
    """The scanner that was named to take this person where their own could not."""
    injector = models.ForeignKey("estate.Device", on_delete=models.PROTECT, null=True, related_name="+")
    """The device that gave it; None: by hand."""
    event = models.UUIDField()

    def __str__(self) -> str:
        return f"injection {self.injected_at:%H:%M}"

    @classmethod
    def scope(cls, scope: Scope) -> models.Q:
        return of_referrals(scope, "visit__appointment__referral")


class ScheduledStep(Row):
    """A worklist item: what a scanner is to do, for whom, when. Its own identifier, never the accession number."""

    scheduled_step_id = models.CharField(max_length=16, unique=True)
    appointment = models.OneToOneField(Appointment, on_delete=models.PROTECT, null=True, related_name="scheduled_step")
    procedure = models.ForeignKey(RequestedProcedure, on_delete=models.PROTECT, null=True, related_name="steps")
    site = models.ForeignKey("estate.Site", on_delete=models.PROTECT, null=True, related_name="+")
    station_ae_title = models.CharField(max_length=16, blank=True)
    station_name = models.CharField(max_length=16, blank=True)
    modality = models.CharField(max_length=16, default="PT")
    starts_at = models.DateTimeField()
    zone = models.CharField(max_length=40, default="Europe/London")
    accession_number = models.CharField(max_length=16, blank=True)
    requested_procedure_id = models.CharField(max_length=16, blank=True)
    study_uid = models.CharField(max_length=64)
    patient_id = models.CharField(max_length=64)
    patient_id_issuer = models.CharField(max_length=64, blank=True)
    family_name = models.CharField(max_length=120)
    given_name = models.CharField(max_length=120, blank=True)
    birth_date = models.DateField(null=True)
    sex = models.CharField(max_length=1, blank=True)
    weight_kg = models.FloatField(null=True)
    referring_physician = models.CharField(max_length=120, blank=True)
    description = models.CharField(max_length=64, blank=True)
    procedure_code = models.CharField(max_length=40, blank=True)
    extra = models.JSONField(default=dict)
    """Attributes that a worklist item carried and we do not use, as DICOM JSON: returned as they came."""
    state = models.CharField(max_length=12, default="scheduled")
    """scheduled, started, done, removed: only the first two are on the worklist."""
    changed_at = models.DateTimeField()
    change = models.BigIntegerField(default=0, editable=False)
    """Numbered by the database in the order of commits: a reader that holds N asks only for what came after N."""

    class Meta:
        triggers = [
            # The lock lasts to the commit, so no number becomes visible before a smaller one.
            pgtrigger.Trigger(
                name="number_the_change",
                when=pgtrigger.Before,
                operation=pgtrigger.Insert | pgtrigger.Update,
                func=(
                    "PERFORM pg_advisory_xact_lock(71030001);"
                    " NEW.change = nextval('scanning_worklist_change'); RETURN NEW;"
                ),
            ),
        ]
        indexes = [
            models.Index(fields=["change"], name="scheduled_change"),
            models.Index(fields=["starts_at", "station_ae_title"], name="scheduled_when"),
        ]

    def __str__(self) -> str:
        return self.scheduled_step_id

    @classmethod
    def scope(cls, scope: Scope) -> models.Q:
        return of_site(scope)


@pghistory.track()
class PerformedStep(Row):
    """A modality performed procedure step, as the scanner told it. Where taps and MPPS disagree both are kept."""

    sop_instance_uid = models.CharField(max_length=64, unique=True)
    performed_step_id = models.CharField(max_length=16, blank=True)
    scheduled_step = models.ForeignKey(ScheduledStep, on_delete=models.PROTECT, null=True, related_name="performed")
    site = models.ForeignKey("estate.Site", on_delete=models.PROTECT, null=True, related_name="+")
    station_ae_title = models.CharField(max_length=16, blank=True)
    study_uid = models.CharField(max_length=64, blank=True)
    accession_number = models.CharField(max_length=16, blank=True)
    patient_id = models.CharField(max_length=64, blank=True)
    state = models.CharField(max_length=12, choices=[(s.value, s.value) for s in StepState])
    started_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True)
    discontinuation_reason = models.CharField(max_length=120, blank=True)
    series = models.JSONField(default=list)

    class Meta:
        triggers = [only_legal_moves("performed_step_lifecycle", "state", PERFORMED_STEP)]

    def __str__(self) -> str:
        return self.sop_instance_uid

    @classmethod
    def scope(cls, scope: Scope) -> models.Q:
        return of_site(scope)


class StudyState(models.TextChoices):
    MATCHED = "matched"
    HELD = "held"


class Study(Row):
    """What a scanner stored under one Study Instance UID for one identity. Held until it surely belongs to somebody."""

    study_uid = models.CharField(max_length=64)
    identity = models.CharField(max_length=64)
    """A digest of patient id, issuer, name and accession as sent: two patients in one study are two rows."""
    state = models.CharField(max_length=10, choices=StudyState)
    procedure = models.ForeignKey(RequestedProcedure, on_delete=models.PROTECT, null=True, related_name="studies")
    appointment = models.ForeignKey(Appointment, on_delete=models.PROTECT, null=True, related_name="studies")
    accession_number = models.CharField(max_length=64, blank=True)
    patient_id = models.CharField(max_length=64, blank=True)
    patient_id_issuer = models.CharField(max_length=64, blank=True)
    patient_name = models.CharField(max_length=324, blank=True)
    birth_date = models.CharField(max_length=16, blank=True)
    sex = models.CharField(max_length=16, blank=True)
    description = models.CharField(max_length=64, blank=True)
    study_date = models.CharField(max_length=16, blank=True)
    modalities = ArrayField(models.CharField(max_length=16), default=list)
    received_at = models.DateTimeField()
    last_instance_at = models.DateTimeField()
    instances_count = models.PositiveIntegerField(default=0)
    calling_ae_title = models.CharField(max_length=16, blank=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["study_uid", "identity"], name="study_once")]
        indexes = [models.Index(fields=["state", "received_at"], name="study_state")]

    def __str__(self) -> str:
        return self.study_uid

    @classmethod
    def scope(cls, scope: Scope) -> models.Q:
        # A held study belongs to nobody yet: only those who reconcile see it, through ReconcileItem's site.
        return of_referrals(scope, "procedure__referral")


class Series(Row):
    study = models.ForeignKey(Study, on_delete=models.PROTECT, related_name="series")
    series_uid = models.CharField(max_length=64)
    modality = models.CharField(max_length=16, blank=True)
    description = models.CharField(max_length=64, blank=True)
    number = models.IntegerField(null=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["study", "series_uid"], name="series_once")]

    def __str__(self) -> str:
        return self.series_uid

    @classmethod
    def scope(cls, scope: Scope) -> models.Q:
        return of_referrals(scope, "study__procedure__referral")


DOSE_CLASSES = [
    "1.2.840.10008.5.1.4.1.1.88.22",
    "1.2.840.10008.5.1.4.1.1.88.67",
    "1.2.840.10008.5.1.4.1.1.88.68",
]
"""The structured reports in which a dose comes: enhanced, X-ray, radiopharmaceutical."""


class Instance(Row):
    """One stored object: where its bytes are, and their digest."""

    study = models.ForeignKey(Study, on_delete=models.PROTECT, related_name="instances")
    series = models.ForeignKey(Series, on_delete=models.PROTECT, related_name="instances")
    sop_instance_uid = models.CharField(max_length=64, unique=True)
    sop_class_uid = models.CharField(max_length=64)
    transfer_syntax_uid = models.CharField(max_length=64)
    size = models.PositiveBigIntegerField()
    sha256 = models.CharField(max_length=64)
    path = models.CharField(max_length=300)
    """Below the images root."""
    received_at = models.DateTimeField()

    class Meta:
        indexes = [
            # Only reports are in it, so that an image costs nothing.
            models.Index(
                fields=["received_at"], name="instance_report", condition=models.Q(sop_class_uid__in=DOSE_CLASSES)
            ),
        ]

    def __str__(self) -> str:
        return self.sop_instance_uid

    @classmethod
    def scope(cls, scope: Scope) -> models.Q:
        return of_referrals(scope, "study__procedure__referral")


class ReconcileItem(Row):
    """Images whose identity we cannot be sure of: both sides shown, a person decides."""

    study = models.ForeignKey(Study, on_delete=models.PROTECT, related_name="reconcile_items")
    site = models.ForeignKey("estate.Site", on_delete=models.PROTECT, null=True, related_name="+")
    provider = models.ForeignKey("estate.Organisation", on_delete=models.PROTECT, null=True, related_name="+")
    reason = models.TextField()
    theirs = models.JSONField(default=dict)
    ours = models.JSONField(default=list)
    """What we hold that is nearest: a list, for there may be more than one."""
    state = models.CharField(max_length=10, default="open")
    opened_at = models.DateTimeField()
    settled_at = models.DateTimeField(null=True)
    settled_by = models.ForeignKey("accounts.Person", on_delete=models.PROTECT, null=True, related_name="+")
    decision = models.CharField(max_length=20, blank=True)
    """matched, kept_apart, or sent_back."""
    note = models.TextField(blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["study"], condition=models.Q(state="open"), name="reconcile_open_once"),
        ]

    def __str__(self) -> str:
        return self.reason

    @classmethod
    def scope(cls, scope: Scope) -> models.Q:
        return models.Q(provider__in=scope.organisations) | of_site(scope)


class ImageCheck(Row):
    study = models.ForeignKey(Study, on_delete=models.PROTECT, related_name="checks")
    by_name = models.CharField(max_length=120)
    at = models.DateTimeField()
    acceptable = models.BooleanField()
    note = models.TextField(blank=True)
    event = models.UUIDField()
    withdrawn_at = models.DateTimeField(null=True)
    """The images were looked at as another person's: they are looked at again under the right name."""

    def __str__(self) -> str:
        return "acceptable" if self.acceptable else "not acceptable"

    @classmethod
    def scope(cls, scope: Scope) -> models.Q:
        return of_referrals(scope, "study__procedure__referral")


class ImageDispatch(Row):
    """A study on its way to one organisation's PACS: delivered when the far end proved every instance."""

    study = models.ForeignKey(Study, on_delete=models.PROTECT, related_name="dispatches")
    organisation = models.ForeignKey("estate.Organisation", on_delete=models.PROTECT, related_name="+")
    endpoint = models.ForeignKey("estate.Endpoint", on_delete=models.PROTECT, related_name="+")
    message = models.OneToOneField("audit.OutboxMessage", on_delete=models.PROTECT, related_name="image_dispatch")
    state = models.CharField(max_length=12, default="queued")
    instances = models.PositiveIntegerField(default=0)
    proved = models.PositiveIntegerField(default=0)
    proof = models.CharField(max_length=30, blank=True)
    """storage_commitment, c_find or qido."""
    delivered_at = models.DateTimeField(null=True)
    withdrawn_at = models.DateTimeField(null=True)
    """It went under the wrong name: `removal` follows it until the far end no longer shows it."""

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["study", "endpoint"], condition=models.Q(withdrawn_at=None), name="image_dispatch_once"
            )
        ]

    def __str__(self) -> str:
        return f"{self.organisation} {self.state}"

    @classmethod
    def scope(cls, scope: Scope) -> models.Q:
        return of_referrals(scope, "study__procedure__referral")


class ImageRemoval(Row):
    """Images that went to a PACS under the wrong name: followed until it shows none of them, and somebody was told."""

    dispatch = models.OneToOneField(ImageDispatch, on_delete=models.PROTECT, related_name="removal")
    provider = models.ForeignKey("estate.Organisation", on_delete=models.PROTECT, related_name="+")
    message = models.OneToOneField("audit.OutboxMessage", on_delete=models.PROTECT, related_name="image_removal")
    also = ArrayField(models.CharField(max_length=64), default=list)
    """What left with them and is no longer among them: dose reports of the other person."""
    asked_at = models.DateTimeField()
    removed_at = models.DateTimeField(null=True)
    proof = models.CharField(max_length=30, blank=True)
    told_at = models.DateTimeField(null=True)
    told_whom = models.CharField(max_length=120, blank=True)
    told_by_name = models.CharField(max_length=120, blank=True)

    def __str__(self) -> str:
        return "removed" if self.removed_at else "still there"

    @classmethod
    def scope(cls, scope: Scope) -> models.Q:
        return models.Q(provider__in=scope.organisations)


class DoseRecord(Row):
    """What a scanner's images say of the tracer. Sources that disagree are shown, never averaged."""

    study = models.ForeignKey(Study, on_delete=models.PROTECT, related_name="dose_records")
    source = models.CharField(max_length=12)
    """pet_header, or rrdsr: a dose report says it."""
    series_uid = models.CharField(max_length=64)
    report_uid = models.CharField(max_length=64, blank=True)
    """Of the dose report, where several lie in one series."""
    replaces = ArrayField(models.CharField(max_length=64), default=list)
    """The reports that this one says it stands in the place of."""
    radiopharmaceutical = models.CharField(max_length=64, blank=True)
    injected_at = models.DateTimeField(null=True)
    total_dose_mbq = models.FloatField(null=True)
    half_life_s = models.FloatField(null=True)
    weight_kg = models.FloatField(null=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["study", "source", "series_uid", "report_uid"], name="dose_record_once")
        ]

    def __str__(self) -> str:
        return self.source

    @classmethod
    def scope(cls, scope: Scope) -> models.Q:
        return of_referrals(scope, "study__procedure__referral")


class DoseReport(Row):
    """Our own dose report of one injection: a file, written again when what it says has changed."""

    injection = models.ForeignKey(Injection, on_delete=models.PROTECT, related_name="reports")
    number = models.PositiveSmallIntegerField()
    report_uid = models.CharField(max_length=64, unique=True)
    study_uid = models.CharField(max_length=64)
    says = models.CharField(max_length=64)
    """A digest of its contents without the moment of writing: the same again is not written again."""
    path = models.CharField(max_length=300)
    """Below the images root."""
    size = models.PositiveBigIntegerField()
    sha256 = models.CharField(max_length=64)
    net_mbq = models.FloatField()
    injected_at = models.DateTimeField()
    written_at = models.DateTimeField()
    replaces = models.OneToOneField("self", on_delete=models.PROTECT, null=True, related_name="replaced_by")
    instance = models.OneToOneField(Instance, on_delete=models.PROTECT, null=True, related_name="dose_report")
    """Among the images of the study, once there are any: it leaves with them."""
    event = models.UUIDField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["injection", "number"], name="dose_report_once")]
        indexes = [
            models.Index(fields=["written_at"], name="dose_report_waits", condition=models.Q(instance__isnull=True))
        ]

    def __str__(self) -> str:
        return f"dose report {self.number}"

    @classmethod
    def scope(cls, scope: Scope) -> models.Q:
        return of_referrals(scope, "injection__visit__appointment__referral")


class DoseObject(Row):
    """A dose report that came in, read once after it was kept. What it says of CT lies below it, else in DoseRecord."""

    instance = models.OneToOneField(Instance, on_delete=models.PROTECT, related_name="dose_object")
    study = models.ForeignKey(Study, on_delete=models.PROTECT, related_name="dose_objects")
    kind = models.CharField(max_length=8)
    """ct, tracer, or none: it states no dose that we can read."""
    manufacturer = models.CharField(max_length=64, blank=True)
    started_at = models.DateTimeField(null=True)
    ended_at = models.DateTimeField(null=True)
    total_dlp_mgy_cm = models.FloatField(null=True)
    total_events = models.PositiveIntegerField(null=True)
    read_at = models.DateTimeField()

    def __str__(self) -> str:
        return self.kind

    @classmethod
    def scope(cls, scope: Scope) -> models.Q:
        return of_referrals(scope, "study__procedure__referral")


class Irradiation(Row):
    """One exposure of a CT, as its report states it; a later report may state the same one again."""

    report = models.ForeignKey(DoseObject, on_delete=models.PROTECT, related_name="irradiations")
    place = models.PositiveSmallIntegerField()
    uid = models.CharField(max_length=64, blank=True)
    protocol = models.CharField(max_length=64, blank=True)
    ctdi_vol_mgy = models.FloatField(null=True)
    dlp_mgy_cm = models.FloatField(null=True)
    alerts = models.JSONField(default=list)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["report", "place"], name="irradiation_once")]

    def __str__(self) -> str:
        return self.protocol or self.uid

    @classmethod
    def scope(cls, scope: Scope) -> models.Q:
        return of_referrals(scope, "report__study__procedure__referral")


class InjectorReport(Row):
    """What an injector sent of one injection: beside our record once it surely speaks of it, else held with the reasons."""

    site = models.ForeignKey("estate.Site", on_delete=models.PROTECT, null=True, related_name="+")
    device = models.ForeignKey("estate.Device", on_delete=models.PROTECT, null=True, related_name="+")
    provider = models.ForeignKey("estate.Organisation", on_delete=models.PROTECT, null=True, related_name="+")
    calling_ae_title = models.CharField(max_length=16, blank=True)
    sop_instance_uid = models.CharField(max_length=64, unique=True)
    sop_class_uid = models.CharField(max_length=64)
    study_uid = models.CharField(max_length=64)
    path = models.CharField(max_length=300)
    """Below the images root."""
    size = models.PositiveBigIntegerField()
    sha256 = models.CharField(max_length=64)
    received_at = models.DateTimeField()
    nhs_number = models.CharField(max_length=10, blank=True)
    patient_id = models.CharField(max_length=64, blank=True)
    patient_name = models.CharField(max_length=324, blank=True)
    accession_number = models.CharField(max_length=64, blank=True)
    manufacturer = models.CharField(max_length=64, blank=True)
    radiopharmaceutical = models.CharField(max_length=64, blank=True)
    nuclide = models.CharField(max_length=10, blank=True)
    injected_at = models.DateTimeField(null=True)
    clock_stated = models.BooleanField(default=True)
    activity = models.FloatField(null=True)
    """The number as it was said, in `unit`: never converted."""
    unit = models.CharField(max_length=16, blank=True)
    replaces = ArrayField(models.CharField(max_length=64), default=list)
    state = models.CharField(max_length=10, default="came")
    """came (not read yet), waits (for what the room has yet to record), held (a person says), matched, set_aside."""
    reasons = models.JSONField(default=list)
    injection = models.ForeignKey(Injection, on_delete=models.PROTECT, null=True, related_name="injector_reports")
    settled_at = models.DateTimeField(null=True)
    settled_by_name = models.CharField(max_length=120, blank=True)
    note = models.TextField(blank=True)

    class Meta:
        indexes = [
            models.Index(
                fields=["received_at"],
                name="injector_report_open",
                condition=models.Q(state__in=["came", "waits", "held"]),
            ),
        ]

    def __str__(self) -> str:
        return f"injector report {self.state}"

    @property
    def mbq(self) -> float | None:
        """What it says in MBq; None where it says it in anything else."""
        return self.activity if self.unit == "MBq" else None

    @classmethod
    def scope(cls, scope: Scope) -> models.Q:
        # One that is held belongs to nobody yet: only those of the site or its provider see it.
        return (
            of_site(scope)
            | models.Q(site=None, provider__in=scope.organisations)
            | of_referrals(scope, "injection__visit__appointment__referral")
        )


class DoseReview(Row):
    """A dose that somebody is asked to look at: a level was passed, a scanner raised its alert, or sources disagree."""

    procedure = models.ForeignKey(RequestedProcedure, on_delete=models.PROTECT, related_name="dose_reviews")
    site = models.ForeignKey("estate.Site", on_delete=models.PROTECT, null=True, related_name="+")
    what = models.CharField(max_length=8)
    """ct, tracer, or sources: they disagree about one injection."""
    reasons = models.JSONField(default=list)
    state = models.CharField(max_length=10, default="open")
    opened_at = models.DateTimeField()
    settled_at = models.DateTimeField(null=True)
    settled_by_name = models.CharField(max_length=120, blank=True)
    finding = models.TextField(blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["procedure", "what"], condition=models.Q(state="open"), name="dose_review_open_once"
            ),
        ]
        indexes = [models.Index(fields=["state", "opened_at"], name="dose_review_state")]

    def __str__(self) -> str:
        return f"{self.what} {self.state}"

    @classmethod
    def scope(cls, scope: Scope) -> models.Q:
        return of_referrals(scope, "procedure__referral")

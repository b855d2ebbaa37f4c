"""Referrals, what was asked and answered, the procedures requested, and who authorised them."""

import pghistory
from django.contrib.postgres.fields import ArrayField
from django.contrib.postgres.indexes import GinIndex
from django.db import models

from gantry.apps.audit.models import Row
from gantry.apps.patients.models import Patient
from gantry.domain.access import Scope


@pghistory.track(exclude=["answers"])
class Referral(Row):
    """One request by a referrer. `answers` hold the whole data set as given; the columns are what queries need."""

    patient = models.ForeignKey(Patient, on_delete=models.PROTECT, related_name="referrals")
    pathway = models.ForeignKey("pathways.Pathway", on_delete=models.PROTECT, null=True, related_name="referrals")
    network = models.ForeignKey("estate.Network", on_delete=models.PROTECT, related_name="+")
    provider = models.ForeignKey("estate.Organisation", on_delete=models.PROTECT, related_name="+")
    referring_organisation = models.ForeignKey("estate.Organisation", on_delete=models.PROTECT, related_name="+")
    referrer = models.ForeignKey("accounts.Person", on_delete=models.PROTECT, null=True, related_name="+")
    referrer_name = models.CharField(max_length=120, blank=True)
    organisations = ArrayField(models.UUIDField(), default=list)
    """Everyone with a reason to see it: referrer, provider, and each that is to have the report."""
    door = models.CharField(max_length=10)
    source_key = models.CharField(max_length=200, null=True, unique=True)
    """The sender's own identity for this request: a repeat finds the same referral."""
    placer_order_number = models.CharField(max_length=80, blank=True)
    data_set_version = models.CharField(max_length=20)
    answers = models.JSONField(default=dict)
    state = models.CharField(max_length=24)
    version = models.PositiveIntegerField(default=1)
    priority = models.PositiveSmallIntegerField(default=1)
    """DID priority: 1 routine, 2 urgent, 3 two-week-wait type."""
    not_before = models.DateField(null=True)
    needed_by = models.DateField(null=True)
    breach_on = models.DateField(null=True)
    """The earliest breach date of its pathway's running clocks, kept for sorting."""
    indication_code = models.CharField(max_length=20, blank=True)
    tracer = models.CharField(max_length=40, blank=True)
    procedure_code = models.CharField(max_length=40, blank=True)
    capabilities = ArrayField(models.CharField(max_length=30), default=list)
    weight_kg = models.FloatField(null=True)
    received_at = models.DateTimeField()
    completed_at = models.DateTimeField(null=True)
    closed_at = models.DateTimeField(null=True)
    next_step = models.CharField(max_length=120, blank=True)
    next_owner = models.CharField(max_length=40, blank=True)
    """The role whose list it stands on: nobody waits unseen (invariant 10)."""
    due_at = models.DateTimeField(null=True)

    class Meta:
        indexes = [
            GinIndex(fields=["organisations"], name="referral_organisations"),
            models.Index(fields=["state", "breach_on", "needed_by"], name="referral_risk"),
            models.Index(fields=["referring_organisation", "received_at"], name="referral_sender"),
            models.Index(fields=["provider", "state", "due_at"], name="referral_due"),
            # Who may see many rows that hang on referrals, without reading the referrals themselves: their answers are long.
            models.Index(fields=["id"], include=["organisations"], name="referral_seen"),
        ]

    def __str__(self) -> str:
        return str(self.pk)

    @classmethod
    def scope(cls, scope: Scope) -> models.Q:
        return models.Q(organisations__overlap=list(scope.organisations)) | models.Q(patient__in=list(scope.patients))


def of_referrals(scope: Scope, field: str = "referral") -> models.Q:
    """Rows that hang from a referral are seen by those who may see it."""
    return models.Q(**{f"{field}__organisations__overlap": list(scope.organisations)}) | models.Q(
        **{f"{field}__patient__in": list(scope.patients)}
    )


class ReportRecipient(Row):
    """An organisation that is to have the report and images."""

    referral = models.ForeignKey(Referral, on_delete=models.PROTECT, related_name="recipients")
    organisation = models.ForeignKey("estate.Organisation", on_delete=models.PROTECT, related_name="+")

    class Meta:
        constraints = [models.UniqueConstraint(fields=["referral", "organisation"], name="recipient_once")]

    def __str__(self) -> str:
        return str(self.organisation)

    @classmethod
    def scope(cls, scope: Scope) -> models.Q:
        return of_referrals(scope)


class ReferralDraft(Row):
    """What a referrer has typed and not yet sent."""

    person = models.ForeignKey("accounts.Person", on_delete=models.CASCADE, related_name="drafts")
    answers = models.JSONField(default=dict)
    updated_at = models.DateTimeField()

    def __str__(self) -> str:
        return f"draft {self.pk}"


class Finding(Row):
    """A gap or a fault in a referral, in the sender's coordinates; resolved when an answer puts it right."""

    referral = models.ForeignKey(Referral, on_delete=models.PROTECT, related_name="findings")
    code = models.CharField(max_length=20)
    field = models.CharField(max_length=60)
    coordinate = models.CharField(max_length=120, blank=True)
    message = models.TextField()
    severity = models.CharField(max_length=10)
    resolved_at = models.DateTimeField(null=True)

    def __str__(self) -> str:
        return f"{self.code} {self.field}"

    @classmethod
    def scope(cls, scope: Scope) -> models.Q:
        return of_referrals(scope)


class ReferralQuestion(Row):
    referral = models.ForeignKey(Referral, on_delete=models.PROTECT, related_name="questions")
    asked_at = models.DateTimeField()
    asked_by = models.ForeignKey("accounts.Person", on_delete=models.PROTECT, null=True, related_name="+")
    text = models.TextField()
    fields = ArrayField(models.CharField(max_length=60), default=list)
    due_at = models.DateTimeField(null=True)
    answered_at = models.DateTimeField(null=True)
    answered_by = models.ForeignKey("accounts.Person", on_delete=models.PROTECT, null=True, related_name="+")
    answer = models.TextField(blank=True)

    def __str__(self) -> str:
        return f"question {self.pk}"

    @classmethod
    def scope(cls, scope: Scope) -> models.Q:
        return of_referrals(scope)


class RequestedProcedure(Row):
    """DICOM and IHE's Requested Procedure. Accession number, procedure, step and study are four identifiers."""

    referral = models.ForeignKey(Referral, on_delete=models.PROTECT, related_name="procedures")
    accession_number = models.CharField(max_length=16, unique=True)
    study_uid = models.CharField(max_length=64, unique=True)
    requested_procedure_id = models.CharField(max_length=16, unique=True)
    procedure_code = models.CharField(max_length=40)
    title = models.CharField(max_length=120)
    tracer = models.CharField(max_length=40)
    protocol = models.CharField(max_length=40, blank=True)
    protocol_version = models.CharField(max_length=20, blank=True)
    minutes_per_bed = models.FloatField(null=True)
    """As prescribed: the planned scan is as long as it makes it. None: the protocol's own minutes."""
    created_at = models.DateTimeField()

    def __str__(self) -> str:
        return self.accession_number

    @classmethod
    def scope(cls, scope: Scope) -> models.Q:
        return of_referrals(scope)


class VettingDecision(Row):
    referral = models.ForeignKey(Referral, on_delete=models.PROTECT, related_name="decisions")
    decision = models.CharField(max_length=24)
    by = models.ForeignKey("accounts.Person", on_delete=models.PROTECT, related_name="+")
    at = models.DateTimeField()
    reason_code = models.CharField(max_length=40, blank=True)
    reason = models.TextField(blank=True)
    where_to = models.TextField(blank=True)
    indication_row = models.CharField(max_length=40, blank=True)
    indication_edition = models.CharField(max_length=40, blank=True)

    def __str__(self) -> str:
        return self.decision

    @classmethod
    def scope(cls, scope: Scope) -> models.Q:
        return of_referrals(scope)


@pghistory.track()
class Authorisation(Row):
    """IR(ME)R reg 11: justified and authorised by a licensed practitioner, for these employers, sites and tracer."""

    procedure = models.ForeignKey(RequestedProcedure, on_delete=models.PROTECT, related_name="authorisations")
    practitioner = models.ForeignKey("accounts.Person", on_delete=models.PROTECT, related_name="+")
    licence_number = models.CharField(max_length=40)
    procedure_code = models.CharField(max_length=40)
    tracer = models.CharField(max_length=40)
    sites = ArrayField(models.UUIDField())
    employers = ArrayField(models.UUIDField())
    includes = ArrayField(models.CharField(max_length=20), default=list)
    """pet, ct, contrast."""
    activity_mbq = models.FloatField(null=True)
    """Prescribed activity at injection."""
    scheme = models.CharField(max_length=60, blank=True)
    minutes_per_bed = models.FloatField(null=True)
    weight_kg = models.FloatField(null=True)
    """That the activity was computed for."""
    computed_mbq = models.FloatField(null=True)
    """By the scheme alone, before its limits and rounding: the decision can be judged again by the numbers of its day."""
    justification = models.TextField(blank=True)
    valid_from = models.DateField()
    valid_to = models.DateField()
    state = models.CharField(max_length=12, default="valid")
    at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True)
    ended_reason = models.TextField(blank=True)

    def __str__(self) -> str:
        return f"{self.procedure_code} {self.state}"

    @classmethod
    def scope(cls, scope: Scope) -> models.Q:
        return of_referrals(scope, "procedure__referral")


class Prior(Row):
    """An earlier study that the reporter wants beside this one: wanted, asked for, received."""

    referral = models.ForeignKey(Referral, on_delete=models.PROTECT, related_name="priors")
    modality = models.CharField(max_length=10)
    region = models.CharField(max_length=60, blank=True)
    on = models.DateField(null=True)
    held_by = models.CharField(max_length=12, blank=True)
    asked_at = models.DateTimeField(null=True)
    received_at = models.DateTimeField(null=True)

    def __str__(self) -> str:
        return self.modality

    @classmethod
    def scope(cls, scope: Scope) -> models.Q:
        return of_referrals(scope)

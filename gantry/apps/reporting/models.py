"""Reports, their versions that never change, and each recipient's proof, reading and act."""

import pghistory
import pgtrigger
from django.db import models

from gantry.apps.audit.lifecycles import only_legal_moves
from gantry.apps.audit.models import Row
from gantry.apps.referrals.models import RequestedProcedure, of_referrals
from gantry.apps.scanning.models import Study
from gantry.domain.access import Scope
from gantry.domain.report import DISPATCH, REPORT, DispatchState, ReportState


@pghistory.track()
class Report(Row):
    """The report of one requested procedure. A draft's text lives here; what is issued becomes a version."""

    procedure = models.OneToOneField(RequestedProcedure, on_delete=models.PROTECT, related_name="report")
    study = models.ForeignKey(Study, on_delete=models.PROTECT, null=True, related_name="reports")
    state = models.CharField(max_length=20, choices=[(s.value, s.value) for s in ReportState])
    draft = models.JSONField(default=dict)
    """technique, findings, conclusion: as last saved, before the next version."""
    opened_by = models.ForeignKey("accounts.Person", on_delete=models.PROTECT, null=True, related_name="+")
    opened_at = models.DateTimeField(null=True)
    version = models.PositiveIntegerField(default=1)

    class Meta:
        triggers = [only_legal_moves("report_lifecycle", "state", REPORT)]

    def __str__(self) -> str:
        return f"report {self.pk}"

    @classmethod
    def scope(cls, scope: Scope) -> models.Q:
        return of_referrals(scope, "procedure__referral")


class ReportVersion(Row):
    """What was issued, word for word. Never edited, never removed."""

    report = models.ForeignKey(Report, on_delete=models.PROTECT, related_name="versions")
    number = models.PositiveSmallIntegerField()
    state = models.CharField(max_length=20)
    question = models.TextField(blank=True)
    technique = models.TextField(blank=True)
    findings = models.TextField(blank=True)
    conclusion = models.TextField(blank=True)
    author = models.ForeignKey("accounts.Person", on_delete=models.PROTECT, related_name="+")
    registration = models.CharField(max_length=30, blank=True)
    issued_at = models.DateTimeField()
    reason = models.TextField(blank=True)
    """Why it was amended or withdrawn, or released without an NHS number."""
    event = models.UUIDField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["report", "number"], name="report_version_once")]
        indexes = [models.Index(fields=["issued_at"], name="report_version_issued")]
        triggers = [pgtrigger.Protect(name="never_edited", operation=pgtrigger.Update | pgtrigger.Delete)]

    def __str__(self) -> str:
        return f"version {self.number} {self.state}"

    @classmethod
    def scope(cls, scope: Scope) -> models.Q:
        return of_referrals(scope, "report__procedure__referral")


@pghistory.track()
class ReportDispatch(Row):
    """One version on its way to one recipient by one door: the wire's proof, then a reading, then an act."""

    version = models.ForeignKey(ReportVersion, on_delete=models.PROTECT, related_name="dispatches")
    organisation = models.ForeignKey("estate.Organisation", on_delete=models.PROTECT, related_name="+")
    endpoint = models.ForeignKey("estate.Endpoint", on_delete=models.PROTECT, null=True, related_name="+")
    message = models.OneToOneField(
        "audit.OutboxMessage", on_delete=models.PROTECT, null=True, related_name="report_dispatch"
    )
    state = models.CharField(max_length=12, choices=[(s.value, s.value) for s in DispatchState])
    proof = models.CharField(max_length=120, blank=True)
    delivered_at = models.DateTimeField(null=True)
    read_at = models.DateTimeField(null=True)
    read_by_name = models.CharField(max_length=120, blank=True)
    acted_at = models.DateTimeField(null=True)
    acted_by_name = models.CharField(max_length=120, blank=True)
    action = models.TextField(blank=True)
    owner = models.ForeignKey("accounts.Person", on_delete=models.PROTECT, null=True, related_name="+")
    """The person who owns a dispatch that was given up."""

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["version", "organisation", "endpoint"], name="report_dispatch_once", nulls_distinct=False
            )
        ]
        triggers = [only_legal_moves("dispatch_lifecycle", "state", DISPATCH)]

    def __str__(self) -> str:
        return f"{self.organisation} {self.state}"

    @classmethod
    def scope(cls, scope: Scope) -> models.Q:
        return of_referrals(scope, "version__report__procedure__referral")

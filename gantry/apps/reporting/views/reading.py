"""A report as it was issued: every version, who has it, who read it, and what was done."""

from typing import Any
from uuid import UUID

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_POST

from gantry.apps.accounts.access import requires
from gantry.apps.audit.timeline import timeline
from gantry.apps.reporting import services
from gantry.apps.reporting.forms import Acting
from gantry.apps.reporting.models import Report, ReportDispatch, ReportVersion
from gantry.apps.ui.parts import Tag
from gantry.domain.access import Verb
from gantry.domain.lifecycle import allowed
from gantry.domain.report import REPORT, DispatchState, ReportEvent, ReportState

DISPATCH_TAGS = {
    DispatchState.QUEUED: Tag("Waiting to go", "info"),
    DispatchState.SENT: Tag("Sent, not proved", "info"),
    DispatchState.DELIVERED: Tag("Delivered", "good"),
    DispatchState.READ: Tag("Read", "good"),
    DispatchState.ACTED_ON: Tag("Acted on", "good"),
    DispatchState.FAILED: Tag("Failed, trying again", "soon"),
    DispatchState.GIVEN_UP: Tag("Given up", "late"),
    DispatchState.SUPERSEDED: Tag("A later version went instead", "off"),
}


def tag_of(row: ReportDispatch) -> Tag:
    if row.endpoint is None and row.state == DispatchState.GIVEN_UP:
        return Tag("No address: read here", "soon")
    return DISPATCH_TAGS[DispatchState(row.state)]


def report_for(request: HttpRequest, key: UUID) -> Report:
    rows = Report.objects.for_user(request.acting.scope).select_related(
        "study__appointment__site",
        "procedure__referral__patient",
        "procedure__referral__provider",
        "procedure__referral__referring_organisation",
    )
    return get_object_or_404(rows, pk=key)


def is_ours(request: HttpRequest, report: Report) -> bool:
    """The provider's own people see every version for ever; a recipient sees nothing of a withdrawn one."""
    return report.procedure.referral.provider_id in request.acting.scope.organisations


@requires(Verb.READ_REPORT)
def read(request: HttpRequest, key: UUID) -> HttpResponse:
    report = report_for(request, key)
    versions = list(report.versions.select_related("author").order_by("-number"))
    if not versions:
        raise Http404("nothing is issued yet")
    newest = versions[0]
    mine = request.acting.scope.organisations
    if request.headers.get("Sec-Purpose") is None:
        services.record_reading(
            newest, organisations=mine, by=request.acting.actor, person=request.acting.person, now=request.now
        )
    return page(request, report, versions, Acting(now=request.now))


def page(
    request: HttpRequest, report: Report, versions: list[ReportVersion], form: Acting, status: int = 200
) -> HttpResponse:
    ours, newest, mine = is_ours(request, report), versions[0], request.acting.scope.organisations
    withdrawn = newest.state == ReportState.WITHDRAWN
    sent = (
        ReportDispatch.objects.for_user(request.acting.scope)
        .filter(version__report=report)
        .select_related("organisation", "endpoint", "message", "owner", "version")
    )
    if not ours:
        sent = sent.filter(organisation__in=mine)
    rows = list(sent.order_by("-version__number", "organisation__name", "pk"))
    events = allowed(REPORT, ReportState(report.state))
    context: dict[str, Any] = {
        "report": report,
        "procedure": report.procedure,
        "referral": report.procedure.referral,
        "patient": report.procedure.referral.patient,
        "newest": newest,
        "older": versions[1:],
        "withdrawn": withdrawn,
        "hide_older": withdrawn and not ours,
        "scanned_at": services.paper_of(newest).scanned_at,
        "dispatches": [(row, tag_of(row)) for row in rows],
        "here": [row for row in rows if row.organisation_id in mine and row.version_id == newest.pk],
        "form": form,
        "may_own": request.acting.may(Verb.OWN_FAILURES),
        "may_amend": request.acting.may(Verb.VERIFY_REPORT) and ReportEvent.AMEND in events,
        "may_withdraw": request.acting.may(Verb.VERIFY_REPORT) and ReportEvent.WITHDRAW in events,
        "may_reopen": request.acting.may(Verb.VERIFY_REPORT) and ReportEvent.REOPEN in events,
        "events": timeline(report.pk) if ours else [],
    }
    return render(request, "reporting/read.html", context, status=status)


@require_POST
@requires(Verb.READ_REPORT)
def act(request: HttpRequest, key: UUID) -> HttpResponse:
    report = report_for(request, key)
    versions = list(report.versions.select_related("author").order_by("-number"))
    if not versions:
        raise Http404("nothing is issued yet")
    form = Acting(request.POST, now=request.now)
    if not form.is_valid():
        return page(request, report, versions, form, status=422)
    done = services.record_action(
        versions[0],
        action=form.cleaned_data["action"],
        organisations=request.acting.scope.organisations,
        by=request.acting.actor,
        person=request.acting.person,
        now=request.now,
    )
    if done:
        messages.success(request, "Recorded.")
    else:
        messages.error(request, "Only a recipient of this report records what was done.")
    return redirect("reporting:read", key)


@requires(Verb.READ_REPORT)
def pdf(request: HttpRequest, key: UUID) -> HttpResponse:
    rows = ReportVersion.objects.for_user(request.acting.scope).select_related(
        "author", "report__study__appointment__site", "report__procedure__referral__patient"
    )
    version = get_object_or_404(rows, pk=key)
    report = version.report
    gone = report.state == ReportState.WITHDRAWN and version.state != ReportState.WITHDRAWN
    if gone and not is_ours(request, report):
        raise Http404("withdrawn")
    services.record_reading(
        version,
        organisations=request.acting.scope.organisations,
        by=request.acting.actor,
        person=request.acting.person,
        now=request.now,
    )
    answer = HttpResponse(services.pdf_of(version), content_type="application/pdf")
    name = f"{report.procedure.accession_number}-v{version.number}.pdf"
    answer["Content-Disposition"] = f'inline; filename="{name}"'
    answer["Cache-Control"] = "private, no-store"
    return answer


@require_POST
@requires(Verb.OWN_FAILURES)
def again(request: HttpRequest, key: UUID) -> HttpResponse:
    """Its owner has mended the cause and sends it again."""
    dispatch = get_object_or_404(
        ReportDispatch.objects.for_user(request.acting.scope).select_related(
            "message", "organisation", "version__report__study", "version__report__procedure__referral"
        ),
        pk=key,
    )
    services.send_again(dispatch, by=request.acting.actor, now=request.now)
    messages.success(request, f"It is on its way to {dispatch.organisation.name} again.")
    return redirect("reporting:read", dispatch.version.report_id)

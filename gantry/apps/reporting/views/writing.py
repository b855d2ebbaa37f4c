"""Nothing between the eye and the text: one page to look, write and sign."""

from typing import Any
from uuid import UUID

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.views.decorators.http import require_POST

from gantry.apps.accounts.access import requires
from gantry.apps.audit.services import Stale
from gantry.apps.audit.timeline import timeline
from gantry.apps.referrals.models import RequestedProcedure
from gantry.apps.referrals.services import case_of
from gantry.apps.referrals.views.showing import said_answers
from gantry.apps.reporting import services
from gantry.apps.reporting.forms import TEXTS, Checking, Withdrawing, Writing
from gantry.apps.reporting.models import Report
from gantry.apps.reporting.services import history
from gantry.apps.reporting.services.writing import VERIFIED
from gantry.apps.scanning.services import images
from gantry.apps.ui.stale import stale_page
from gantry.domain.access import Verb
from gantry.domain.lifecycle import IllegalMove, allowed
from gantry.domain.referral.items import Group
from gantry.domain.report import REPORT, ReportEvent, ReportState


def procedure_for(request: HttpRequest, key: UUID) -> RequestedProcedure:
    rows = RequestedProcedure.objects.for_user(request.acting.scope).select_related(
        "referral__patient", "referral__referring_organisation", "referral__provider"
    )
    return get_object_or_404(rows, pk=key)


def form_for(request: HttpRequest, report: Report, data: Any = None) -> Writing:
    patient = report.procedure.referral.patient
    said = {name: report.draft.get(name, "") for name in TEXTS}
    if not report.draft and report.state == ReportState.DRAFT:
        said["technique"] = history.technique(report.procedure)
    return Writing(
        data,
        now=request.now,
        initial={**said, "version": report.version},
        without_number=not patient.nhs_number or patient.nhs_number_status != VERIFIED,
        amending=report.state in (ReportState.FINAL, ReportState.AMENDED),
    )


@requires(Verb.REPORT)
def write(request: HttpRequest, key: UUID) -> HttpResponse:
    """Opening the page takes the pen; somebody else's pen is shown, with their name and since when."""
    procedure = procedure_for(request, key)
    opened = services.open_report(
        procedure,
        by=request.acting.actor,
        person=request.acting.person,
        now=request.now,
        take_over=request.method == "POST" and "take_over" in request.POST,
    )
    if request.method == "POST" and "take_over" in request.POST:
        return redirect("reporting:write", key)
    report = opened.report
    if request.method == "POST":
        return written(request, report)
    return page(request, report, form_for(request, report), elsewhere=opened.elsewhere)


def written(request: HttpRequest, report: Report) -> HttpResponse:
    form, doing = form_for(request, report, request.POST), request.POST.get("do", "save")
    if not form.is_valid():
        return page(request, report, form, status=422)
    said: dict[str, Any] = {
        "version": form.cleaned_data["version"],
        "by": request.acting.actor,
        "person": request.acting.person,
        "now": request.now,
        "exception_reason": form.cleaned_data.get("exception_reason", ""),
    }
    try:
        if doing == "save":
            services.save_draft(
                report, form.sections, version=said["version"], person=request.acting.person, now=request.now
            )
            messages.success(request, "Saved. Nobody else sees it yet.")
            return redirect("reporting:write", report.procedure_id)
        if doing not in {"preliminary", "verify", "amend"}:
            return page(request, report, form, status=400)
        if not request.acting.may(Verb.VERIFY_REPORT):
            return page(
                request, report, form, reasons=["Your role writes drafts; it does not issue reports"], status=422
            )
        if doing == "preliminary":
            version = services.issue_preliminary(report, form.sections, **said)
        elif doing == "verify":
            version = services.verify(report, form.sections, **said)
        else:
            version = services.amend(report, form.sections, reason=form.cleaned_data.get("reason", ""), **said)
    except services.Refused as refused:
        keep_words(request, report, form)
        return page(request, report, form, reasons=refused.reasons, status=422)
    except services.OpenElsewhere as held:
        return page(request, report, form, elsewhere=held.elsewhere, status=409)
    except Stale as stale:
        return overtaken(request, report, form, stale)
    except IllegalMove:
        messages.error(request, "The report has moved on since this page was drawn.")
        return redirect("reporting:write", report.procedure_id)
    messages.success(request, f"Version {version.number} is issued and on its way.")
    return redirect("reporting:read", report.pk)


def keep_words(request: HttpRequest, report: Report, form: Writing) -> None:
    """A refusal must not cost a word: what was typed is the draft now."""
    try:
        saved = services.save_draft(
            report, form.sections, version=form.cleaned_data["version"], person=request.acting.person, now=request.now
        )
    except (Stale, services.OpenElsewhere):
        return
    form.data = form.data.copy()
    form.data["version"] = str(saved.version)
    for name in TEXTS:
        form.data[f"initial-{name}"] = saved.draft.get(name, "")


def overtaken(request: HttpRequest, report: Report, form: Writing, stale: Stale) -> HttpResponse:
    now = Report.objects.for_user(request.acting.scope).select_related("opened_by").get(pk=report.pk)
    who = now.opened_by.name if now.opened_by else (stale.last.by_name if stale.last else "somebody else")
    at = now.opened_at or (stale.last.recorded_at if stale.last else request.now)
    return stale_page(
        request,
        form,
        stored={name: now.draft.get(name, "") for name in TEXTS},
        changed_by=who,
        changed_at=at,
        version=str(now.version),
    )


@require_POST
@requires(Verb.REPORT)
def draft(request: HttpRequest, key: UUID) -> HttpResponse:
    """The page saves itself while somebody types: a word about it, and the version for the next save."""
    report = get_object_or_404(
        Report.objects.for_user(request.acting.scope).select_related("procedure__referral__patient"), pk=key
    )
    form, said, wrong, version = form_for(request, report, request.POST), "", False, None
    if not form.is_valid():
        said, wrong = "Not saved: see the marked fields", True
    else:
        try:
            saved = services.save_draft(
                report,
                form.sections,
                version=form.cleaned_data["version"],
                person=request.acting.person,
                now=request.now,
            )
            version = saved.version
            said = f"Saved {timezone.localtime(request.now):%H:%M:%S}"
        except services.OpenElsewhere as held:
            said, wrong = f"Not saved: {held.elsewhere.name} has it open", True
        except Stale:
            said, wrong = "Not saved: it was changed elsewhere. Use Save to see both.", True
    return render(
        request,
        "reporting/saved.html",
        {"said": said, "wrong": wrong, "version": version, "texts": [(n, form.data.get(n, "")) for n in TEXTS]},
    )


@require_POST
@requires(Verb.CHECK_IMAGES)
def check(request: HttpRequest, key: UUID) -> HttpResponse:
    procedure = procedure_for(request, key)
    form, found = Checking(request.POST, now=request.now), history.studies(procedure)
    if not found:
        messages.error(request, "There are no images to check yet.")
    elif form.is_valid():
        acceptable = form.cleaned_data["acceptable"] == "yes"
        for study in found:
            images.check_images(
                study, acceptable=acceptable, note=form.cleaned_data["note"], by=request.acting.actor, now=request.now
            )
        messages.success(
            request, "Images checked. They are on their way." if acceptable else "Recorded: not acceptable."
        )
    else:
        for errors in form.errors.values():
            messages.error(request, " ".join(errors))
    return redirect("reporting:write", key)


@require_POST
@requires(Verb.REPORT)
def leave(request: HttpRequest, key: UUID) -> HttpResponse:
    """Put the pen down for somebody else."""
    report = get_object_or_404(Report.objects.for_user(request.acting.scope), pk=key)
    services.put_down(report, person=request.acting.person)
    return redirect("reporting:list")


@requires(Verb.VERIFY_REPORT)
def withdraw(request: HttpRequest, key: UUID) -> HttpResponse:
    report = get_object_or_404(
        Report.objects.for_user(request.acting.scope).select_related("procedure__referral__patient"), pk=key
    )
    if ReportEvent.WITHDRAW not in allowed(REPORT, ReportState(report.state)):
        messages.error(request, "There is nothing issued to withdraw.")
        return redirect("reporting:read", key)
    form = Withdrawing(request.POST or None, now=request.now, initial={"version": report.version})
    status = 200
    if request.method == "POST":
        status = 422
        if form.is_valid():
            try:
                services.withdraw(
                    report,
                    reason=form.cleaned_data["why"],
                    wrong_person=form.cleaned_data["wrong_person"] == "yes",
                    version=form.cleaned_data["version"],
                    by=request.acting.actor,
                    person=request.acting.person,
                    now=request.now,
                )
            except (Stale, IllegalMove):
                messages.error(
                    request, "The report has changed since this page was drawn. Look again before you decide."
                )
                return redirect("reporting:withdraw", key)
            messages.success(request, "Withdrawn. Everyone who had it is being told.")
            return redirect("reporting:read", key)
    had = report.versions.values_list("dispatches__organisation__name", flat=True).distinct()
    context = {"report": report, "form": form, "had": sorted({name for name in had if name})}
    return render(request, "reporting/withdraw.html", context, status=status)


@require_POST
@requires(Verb.VERIFY_REPORT)
def reopen(request: HttpRequest, key: UUID) -> HttpResponse:
    report = get_object_or_404(Report.objects.for_user(request.acting.scope), pk=key)
    try:
        services.reopen(
            report, version=report.version, by=request.acting.actor, person=request.acting.person, now=request.now
        )
    except (Stale, IllegalMove):
        messages.error(request, "The report has moved on.")
    return redirect("reporting:write", report.procedure_id)


def page(
    request: HttpRequest,
    report: Report,
    form: Writing,
    *,
    reasons: list[str] | None = None,
    elsewhere: Any = None,
    status: int = 200,
) -> HttpResponse:
    procedure = procedure_for(request, report.procedure_id)
    events = allowed(REPORT, ReportState(report.state))
    case = case_of(procedure.referral, timezone.localdate(request.now))
    answers = dict(said_answers(case))
    check_row, day = services.latest_check(procedure), history.the_day(procedure)
    why_not = reasons
    if why_not is None and (ReportEvent.VERIFY in events or ReportEvent.AMEND in events):
        # An empty page knows that it is empty: only what writing will not mend is said beforehand.
        why_not = services.why_not_issued(
            report, services.Sections(*["-"] * len(TEXTS)), person=request.acting.person, now=request.now
        )
    return render(
        request,
        "reporting/write.html",
        {
            "report": report,
            "procedure": procedure,
            "referral": procedure.referral,
            "patient": procedure.referral.patient,
            "form": form,
            "elsewhere": elsewhere,
            "refused": reasons or [],
            "why_not": [] if reasons else why_not or [],
            "may_verify": request.acting.may(Verb.VERIFY_REPORT) and ReportEvent.VERIFY in events,
            "may_preliminary": request.acting.may(Verb.VERIFY_REPORT) and ReportEvent.ISSUE_PRELIMINARY in events,
            "may_amend": request.acting.may(Verb.VERIFY_REPORT) and ReportEvent.AMEND in events,
            "may_write": bool(events & {ReportEvent.VERIFY, ReportEvent.AMEND}),
            "withdrawn": report.state == ReportState.WITHDRAWN,
            "may_reopen": request.acting.may(Verb.VERIFY_REPORT) and ReportEvent.REOPEN in events,
            "question": procedure.referral.answers.get("clinical_question") or "",
            "history": [pair for pair in answers.get(Group.CLINICAL.value, []) if pair[0] != "Question to answer"],
            "safety": answers.get(Group.SAFETY.value, []),
            "day": day,
            "earlier": history.earlier(procedure, day),
            "priors": history.outside(procedure),
            "studies": history.studies(procedure),
            "sent": history.sent(procedure),
            "check": check_row,
            "checking": Checking(now=request.now),
            "may_check": request.acting.may(Verb.CHECK_IMAGES),
            "versions": list(report.versions.select_related("author").order_by("-number")),
            "events": timeline(report.pk)[:12],
        },
        status=status,
    )

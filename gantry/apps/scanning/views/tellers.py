"""One injection by all who speak of it; and an injector's report that is held until a person says what it speaks of."""

from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from django import forms
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone

from gantry.apps.accounts.access import requires
from gantry.apps.audit.services import Stale
from gantry.apps.audit.timeline import timeline
from gantry.apps.scanning.models import DoseRecord, DoseReview, Injection, InjectorReport, Study, StudyState
from gantry.apps.scanning.services import injectors
from gantry.apps.scanning.services.dosing import given_as
from gantry.apps.scanning.services.reconciling import NeedsNote
from gantry.apps.scanning.services.tellers import tellers
from gantry.apps.ui.fields import Radios
from gantry.apps.ui.forms import Form
from gantry.domain.access import Verb
from gantry.domain.activity import effective_dose_msv
from gantry.domain.scan import age_in_years
from gantry.reference.effective_dose import coefficient, why_none
from gantry.reference.hot_lab import TELLERS_APART_PERCENT
from gantry.reference.tracers import tracer

NONE = "none"


class DecisionForm(Form):
    choice = forms.ChoiceField(label="Which injection does it speak of?", widget=Radios())
    note = forms.CharField(
        label="How do you know?", required=False, max_length=600, widget=forms.Textarea(attrs={"rows": 2})
    )
    marks_optional = False

    def __init__(self, *args: Any, choices: list[tuple[str, str]], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["choice"].choices = [*choices, (NONE, "None of ours: set it aside")]


@requires(Verb.SEE_BOARD, Verb.REVIEW_DOSE, Verb.SEE_REFERRALS)
def injection(request: HttpRequest, key: UUID) -> HttpResponse:
    scope = request.acting.scope
    rows = Injection.objects.for_user(scope).select_related(
        "dose__container", "injector", "visit__site", "visit__appointment__authorisation",
        "visit__appointment__referral__patient",
    )  # fmt: skip
    row = get_object_or_404(rows.prefetch_related("reports"), pk=key)
    procedure = row.visit.appointment.procedure_id
    reports = list(
        InjectorReport.objects.for_user(scope)
        .filter(injection=row, state="matched")
        .select_related("device")
        .order_by("received_at")
    )
    records = DoseRecord.objects.for_user(scope).filter(study__procedure=procedure).order_by("series_uid", "report_uid")
    studies = Study.objects.for_user(scope).filter(procedure=procedure, state=StudyState.MATCHED)
    with timezone.override(ZoneInfo(row.visit.site.zone)):
        return render(
            request,
            "scanning/injection.html",
            {
                "injection": row,
                "patient": row.visit.appointment.referral.patient,
                "rows": tellers([row], records, reports),
                "reports": reports,
                "reviews": DoseReview.objects.for_user(scope)
                .filter(procedure=procedure, what="sources")
                .order_by("opened_at"),
                "study": studies.order_by("received_at").first(),
                "apart": TELLERS_APART_PERCENT,
                "effective": effective_dose_of(row),
                "events": timeline(row.dose_id),
            },
        )


def effective_dose_of(row: Injection) -> str:
    """Of the tracer, with the mark of its coefficient; or why it is not computed."""
    product = tracer(given_as(row))
    on = row.injected_at.astimezone(ZoneInfo(row.visit.site.zone)).date()
    born = row.visit.appointment.referral.patient.date_of_birth
    age = age_in_years(born, on) if born else None
    known = coefficient(product.code, age, on)
    if known is None:
        return why_none(product.name, age)
    msv = effective_dose_msv(row.dose.net_mbq or row.dose.drawn_mbq, known.value)
    return f"{msv:.1f} mSv by {known.value:g} mSv/MBq" + (f". {known.mark}" if known.mark else "")


@requires(Verb.REVIEW_DOSE, Verb.SEE_MEASURES, Verb.RECONCILE)
def report(request: HttpRequest, key: UUID) -> HttpResponse:
    scope = request.acting.scope
    rows = InjectorReport.objects.for_user(scope).select_related("device", "site", "injection")
    row = get_object_or_404(rows.distinct(), pk=key)
    may = row.state in injectors.OPEN and (request.acting.may(Verb.REVIEW_DOSE) or request.acting.may(Verb.RECONCILE))
    with timezone.override(ZoneInfo(row.site.zone if row.site else "Europe/London")):
        form, status = None, 200
        if may:
            found = {str(each.pk): each for each in candidates(request, row)}
            choices = [(pk, words(each)) for pk, each in found.items()]
            form = DecisionForm(request.POST or None, now=request.now, choices=choices)
            if request.method == "POST" and form.is_valid() and decided(request, row, form, found):
                return redirect("scanning:injector_report", row.pk)
            status = 422 if form.errors else 200
        context = {"row": row, "form": form, "events": timeline(row.pk)}
        return render(request, "scanning/injector_report.html", context, status=status)


def candidates(request: HttpRequest, row: InjectorReport) -> list[Injection]:
    """Within the person's scope, of the days about it."""
    rows = Injection.objects.for_user(request.acting.scope).filter(
        injected_at__range=(row.received_at - injectors.WAITS_FOR, row.received_at + injectors.WAITS_FOR)
    )
    about = ("dose", "visit__appointment__procedure", "visit__appointment__referral__patient")
    return injectors.near(row, rows.select_related(*about).order_by("injected_at"))


def words(each: Injection) -> str:
    name = each.visit.appointment.referral.patient.name
    return f"{name}, {timezone.localtime(each.injected_at):%H:%M}, {each.dose.net_mbq or each.dose.drawn_mbq:.0f} MBq"


def decided(request: HttpRequest, row: InjectorReport, form: DecisionForm, found: dict[str, Injection]) -> bool:
    given = form.cleaned_data
    try:
        injectors.decide(
            row, found.get(given["choice"]), note=given["note"], by=request.acting.actor, now=request.now
        )  # fmt: skip
    except NeedsNote:
        form.add_error("note", "Say how you know")
        return False
    except Stale:
        messages.warning(request, "Somebody decided this a moment ago.")
        return True
    messages.success(request, "Recorded with your name.")
    return True

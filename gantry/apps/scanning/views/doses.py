"""Doses that somebody is asked to look at: a reference level passed, or a scanner's own alert; and what was found."""

from datetime import date
from typing import Any
from uuid import UUID

from django import forms
from django.contrib import messages
from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render

from gantry.apps.accounts.access import requires
from gantry.apps.audit.services import Stale
from gantry.apps.estate.models import Site
from gantry.apps.scanning.models import DoseReview, Injection, InjectorReport, Study, StudyState
from gantry.apps.scanning.services import dosing, injectors
from gantry.apps.ui.forms import Form
from gantry.domain.access import Scope, Verb
from gantry.domain.activity import ReviewLevel
from gantry.reference.dated import Fact
from gantry.reference.levels import CT_LEVELS, FAR_PERCENT, MIDDLE_OF, MIDDLE_OVER_DAYS, tracer_level
from gantry.reference.schemes import CARD_SOURCE, CHILD_UNDER
from gantry.reference.tracers import TRACERS

LATEST = 25
WHAT = {"ct": "CT", "tracer": "Tracer", "sources": "Sources"}


class FindingForm(Form):
    finding = forms.CharField(label="What you found", max_length=600, widget=forms.Textarea(attrs={"rows": 2}))
    marks_optional = False


@requires(Verb.REVIEW_DOSE, Verb.SEE_MEASURES)
def reviews(request: HttpRequest) -> HttpResponse:
    rows = DoseReview.objects.for_user(request.acting.scope).select_related("procedure__referral__patient", "site")
    settled = rows.filter(state="settled").order_by("-settled_at")[:LATEST]
    return render(
        request,
        "scanning/doses.html",
        {
            "open": [shown(request, row) for row in rows.filter(state="open").order_by("opened_at")[:100]],
            "settled": [shown(request, row) for row in settled],
            "held": held_reports(request),
            "levels": [fact for known in CT_LEVELS.values() for fact in known[-1:]],
            "tracer_levels": levels_in_force(request.now.date()),
            "far": FAR_PERCENT,
            "card_source": CARD_SOURCE,
            "middles": dosing.middles(sites_of(request), now=request.now),
            "middle_of": MIDDLE_OF,
            "days": MIDDLE_OVER_DAYS,
            "may_settle": request.acting.may(Verb.REVIEW_DOSE),
        },
    )


@requires(Verb.REVIEW_DOSE, Verb.SEE_MEASURES)
def review(request: HttpRequest, key: UUID) -> HttpResponse:
    row = get_object_or_404(
        DoseReview.objects.for_user(request.acting.scope).select_related("procedure__referral__patient", "site"), pk=key
    )
    may = request.acting.may(Verb.REVIEW_DOSE)
    form = FindingForm(request.POST or None, now=request.now)
    if request.method == "POST" and may and form.is_valid():
        try:
            dosing.settle_review(row, finding=form.cleaned_data["finding"], now=request.now, by=request.acting.actor)
            messages.success(request, "Recorded with your name.")
        except Stale:
            messages.warning(request, "Somebody looked at it before you: see what they found.")
        return redirect("scanning:dose_review", row.pk)
    study = study_of(request.acting.scope, row)
    return render(
        request,
        "scanning/dose_review.html",
        {
            **shown(request, row),
            "form": form if may and row.state == "open" else None,
            "ct": dosing.ct_of(study) if study else None,
            "given": Injection.objects.for_user(request.acting.scope)
            .filter(visit__appointment__procedure=row.procedure_id)
            .order_by("injected_at"),
        },
        status=422 if form.errors else 200,
    )


def levels_in_force(on: date) -> list[tuple[str, Fact[ReviewLevel]]]:
    """Of adults; a child's is read off the dosage card."""
    found = []
    for code, product in TRACERS.items():
        level = tracer_level(code, on, age=CHILD_UNDER.value, weight_kg=None)
        if level is not None:
            found.append((product.value.name, level))
    return found


def held_reports(request: HttpRequest) -> list[InjectorReport]:
    """What injectors sent and nobody could be sure of."""
    rows = InjectorReport.objects.for_user(request.acting.scope).filter(state__in=injectors.OPEN)
    return list(rows.select_related("device", "site").distinct().order_by("received_at")[:100])


def sites_of(request: HttpRequest) -> QuerySet[Site]:
    mine = request.acting.scope.organisations
    return Site.objects.filter(Q(organisation__in=mine) | Q(network__provider__in=mine)).order_by("name")


def shown(request: HttpRequest, row: DoseReview) -> dict[str, Any]:
    return {"review": row, "what": WHAT[row.what], "study": study_of(request.acting.scope, row)}


def study_of(scope: Scope, row: DoseReview) -> Study | None:
    rows = Study.objects.for_user(scope).filter(procedure=row.procedure_id, state=StudyState.MATCHED)
    return rows.order_by("received_at").first()

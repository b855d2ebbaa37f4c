"""Images: whose they are, when nobody could be sure; and one study with all that is known of it."""

from dataclasses import replace
from datetime import datetime
from typing import Any
from uuid import UUID

from django import forms
from django.contrib import messages
from django.db.models import Count, Sum
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.views.decorators.http import require_POST

from gantry.apps.accounts.access import requires
from gantry.apps.audit.services import Stale
from gantry.apps.audit.timeline import timeline
from gantry.apps.referrals.models import RequestedProcedure
from gantry.apps.scanning.models import (
    DoseRecord,
    DoseReview,
    ImageDispatch,
    Injection,
    InjectorReport,
    PerformedStep,
    ReconcileItem,
    Study,
)
from gantry.apps.scanning.services import dosing, images
from gantry.apps.scanning.services.tellers import Teller, tellers
from gantry.apps.scanning.views.withdrawing import aftermath
from gantry.apps.ui.fields import Radios
from gantry.apps.ui.forms import Form
from gantry.apps.ui.listing import Column, Listing
from gantry.apps.ui.parts import Tag
from gantry.apps.ui.wording import say_nhs_number
from gantry.domain.access import Scope, Verb
from gantry.domain.ct_dose import effective_dose_msv, why_review
from gantry.domain.identifiers import valid_nhs_number
from gantry.reference.levels import FAR_PERCENT, MSV_PER_MGY_CM, ct_level, region_of
from gantry.reference.schemes import CHILD_UNDER

APART = "apart"


WHICH = (("", "Held"), ("settled", "Decided"))


QUEUE = Listing(
    caption="Images whose owner is not sure",
    columns=(
        Column("name", "Name as sent", lambda i: i.theirs.get("patient_name") or "none", plain=None),
        Column("number", "Patient id as sent", lambda i: i.theirs.get("patient_id") or "none"),
        Column("accession", "Accession as sent", lambda i: i.theirs.get("accession_number") or "none"),
        Column("reason", "Why it is held", lambda i: i.reason),
        Column("images", "Images", lambda i: i.study.instances_count, numeric=True),
        Column("site", "Site", lambda i: i.site.name if i.site else "Unknown scanner", sort="site__name"),
        Column("opened", "Since", lambda i: i.opened_at, sort="opened_at"),
        Column("state", "State", lambda i: Tag("Held", "held") if i.state == "open" else said_of(i)),
    ),
    href=lambda i: reverse("scanning:reconcile_item", args=[i.pk]),
    default_sort="opened",
)


def said_of(item: ReconcileItem) -> Tag:
    return Tag("Matched", "good") if item.decision == "matched" else Tag("Kept apart", "off")


@requires(Verb.RECONCILE)
def reconcile(request: HttpRequest) -> HttpResponse:
    which = "settled" if request.GET.get("which") == "settled" else ""
    rows = ReconcileItem.objects.for_user(request.acting.scope).select_related("study", "site")
    rows = rows.filter(state=which or "open")
    if QUEUE.wants_csv(request):
        return QUEUE.csv(request, rows, "held-images.csv")
    return render(
        request, "scanning/reconcile.html", {"listing": QUEUE.page(request, rows), "which": which, "choices": WHICH}
    )


class Decision(Form):
    choice = forms.ChoiceField(label="Whose images are these?", widget=Radios())
    note = forms.CharField(
        label="How do you know?",
        required=False,
        max_length=600,
        widget=forms.Textarea(attrs={"rows": 2}),
        help_text="Needed when something differs, and when they are kept apart",
    )
    marks_optional = False

    def __init__(self, *args: Any, candidates: list[RequestedProcedure], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["choice"].choices = [
            *((str(p.pk), f"{p.referral.patient.name}: {p.title}, accession {p.accession_number}") for p in candidates),
            (APART, "Nobody's here: keep them apart"),
        ]


def candidates_for(request: HttpRequest, item: ReconcileItem, asked: str) -> list[RequestedProcedure]:
    """What shares a number with the images, and what the person looked up by accession number: within their scope."""
    rows = RequestedProcedure.objects.for_user(request.acting.scope).select_related("referral__patient")
    found = {row.pk: row for row in rows.filter(pk__in=item.ours).order_by("-created_at")}
    if asked:
        found |= {row.pk: row for row in rows.filter(accession_number=asked)}
    return list(found.values())


@requires(Verb.RECONCILE)
def reconcile_item(request: HttpRequest, key: UUID) -> HttpResponse:
    rows = ReconcileItem.objects.for_user(request.acting.scope).select_related("study", "site", "settled_by")
    item = get_object_or_404(rows, pk=key)
    asked = (request.GET.get("accession") or request.POST.get("accession") or "").strip().upper()[:16]
    candidates = candidates_for(request, item, asked)
    form = Decision(request.POST or None, now=request.now, candidates=candidates)
    status = 200
    if request.method == "POST":
        status = 422
        if form.is_valid():
            chosen = form.cleaned_data["choice"]
            procedure = next((each for each in candidates if str(each.pk) == chosen), None)
            try:
                images.reconcile(
                    item,
                    procedure=procedure,
                    note=form.cleaned_data["note"],
                    by=request.acting.actor,
                    person=request.acting.person,
                    now=request.now,
                )
            except images.NeedsNote:
                form.add_error("note", "Say how you know whose they are")
            except Stale:
                messages.error(request, "Somebody decided this a moment ago.")
                return redirect("scanning:reconcile_item", key)
            else:
                messages.success(request, "Matched." if procedure else "Kept apart.")
                return redirect("scanning:reconcile")
    context = {
        "item": item,
        "study": item.study,
        "theirs": theirs(item),
        "sides": [(each, [in_words(row) for row in images.differences(item, each)]) for each in candidates],
        "asked": asked,
        "not_found": bool(asked) and not any(each.accession_number == asked for each in candidates),
        "form": form,
        "events": timeline(item.study_id),
        **aftermath(request, item.study),
    }
    return render(request, "scanning/reconcile_item.html", context, status=status)


def in_words(row: images.Difference) -> images.Difference:
    return replace(row, theirs=as_read(row.what, row.theirs), ours=as_read(row.what, row.ours))


def as_read(what: str, value: str) -> str:
    """A DICOM date and an NHS number as people read them; anything else as it was sent."""
    if what in {"Born", "Scan date", "Study date"} and len(value) == 8 and value.isdecimal():
        try:
            return f"{datetime.strptime(value, '%Y%m%d').date():%-d %b %Y}"  # noqa: DTZ007 - a date alone
        except ValueError:
            return value
    return say_nhs_number(value) if what in {"NHS number", "Patient id"} and valid_nhs_number(value) else value


def theirs(item: ReconcileItem) -> list[tuple[str, str]]:
    said = item.theirs
    return [
        (label, as_read(label, said.get(name) or "not sent"))
        for label, name in (
            ("Name", "patient_name"),
            ("Patient id", "patient_id"),
            ("Issued by", "patient_id_issuer"),
            ("Born", "birth_date"),
            ("Sex", "sex"),
            ("Accession number", "accession_number"),
            ("Study date", "study_date"),
            ("Description", "description"),
        )
    ]


@requires(Verb.SEE_REFERRALS)
def study(request: HttpRequest, key: UUID) -> HttpResponse:
    """A study of somebody in scope, or one that is held and that this person may decide about."""
    scope = request.acting.scope
    rows = Study.objects.for_user(scope).select_related("procedure__referral__patient", "appointment__site")
    held = ReconcileItem.objects.for_user(scope).filter(study=key) if request.acting.may(Verb.RECONCILE) else None
    item = held.select_related("study").first() if held is not None else None
    row = rows.filter(pk=key).first() or (item.study if item else None)
    if row is None:
        raise Http404("study")
    records = list(row.dose_records.order_by("series_uid", "report_uid"))
    context = {
        "study": row,
        "item": held.order_by("-opened_at").first() if held is not None else None,
        "series": row.series.annotate(count=Count("instances"), size=Sum("instances__size")).order_by("number", "pk"),
        "checks": row.checks.order_by("-at"),
        "dispatches": row.dispatches.select_related("organisation", "message").order_by("organisation__name"),
        "doses": doses(scope, row, records),
        "ct": ct_dose(row),
        "reviews": DoseReview.objects.for_user(scope).filter(procedure=row.procedure_id).order_by("opened_at")
        if row.procedure_id
        else [],
        "steps": PerformedStep.objects.for_user(scope)
        .filter(scheduled_step__procedure=row.procedure_id)
        .order_by("started_at")
        if row.procedure_id
        else [],
        "may_own": request.acting.may(Verb.OWN_FAILURES),
        "may_reconcile": request.acting.may(Verb.RECONCILE),
        **aftermath(request, row),
        "events": timeline(row.pk),
    }
    return render(request, "scanning/study.html", context)


@require_POST
@requires(Verb.OWN_FAILURES)
def again(request: HttpRequest, key: UUID) -> HttpResponse:
    """Its owner has mended the cause and sends the study again: only what is missing goes out."""
    rows = ImageDispatch.objects.for_user(request.acting.scope).select_related(
        "message", "organisation", "study__procedure__referral"
    )
    dispatch = get_object_or_404(rows, pk=key)
    if images.send_again(dispatch, by=request.acting.actor, now=request.now):
        messages.success(request, f"The images are on their way to {dispatch.organisation.name} again.")
    return redirect("scanning:study", dispatch.study_id)


def doses(scope: Scope, row: Study, records: list[DoseRecord]) -> list[Teller]:
    """Every source beside the others: one that differs from the room's record says so, and none is averaged."""
    if not row.procedure_id:
        return tellers([], records, [])
    given = (
        Injection.objects.for_user(scope)
        .filter(visit__appointment__procedure=row.procedure_id)
        .select_related("dose", "visit")
        .prefetch_related("reports")
        .order_by("injected_at")
    )
    reports = (
        InjectorReport.objects.for_user(scope)
        .filter(injection__visit__appointment__procedure=row.procedure_id, state="matched")
        .select_related("device")
        .order_by("received_at")
        .distinct()
    )
    return tellers(list(given), records, reports)


def ct_dose(row: Study) -> dict[str, Any] | None:
    """What its CT gave, and the level that it is held against."""
    said = dosing.ct_of(row)
    if said is None or row.procedure is None:
        return {"said": said, "level": None, "region": ""} if said else None
    zone = row.appointment.site.zone if row.appointment else "Europe/London"
    region, age = region_of(row.procedure.tracer), dosing.age_of(row.procedure, zone, row.received_at)
    level, factor = ct_level(region, row.received_at.date(), age=age), MSV_PER_MGY_CM.get(region)
    grown = age is not None and age >= CHILD_UNDER.value
    return {
        "said": said,
        "region": region,
        "level": level,
        "reasons": list(why_review(said, level.value if level else None, far_percent=FAR_PERCENT["ct"].value)),
        "msv": effective_dose_msv(said.dlp_mgy_cm, factor.value) if factor and grown else None,
        "factor": factor,
    }

"""Taking a match of images back: who has them is shown before, and followed afterwards until they do not."""

from typing import Any
from uuid import UUID

from django import forms
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_POST

from gantry.apps.accounts.access import requires
from gantry.apps.audit.services import Stale
from gantry.apps.scanning.models import ImageRemoval, Study
from gantry.apps.scanning.services import images
from gantry.apps.ui.forms import Form
from gantry.apps.ui.parts import Tag
from gantry.domain.access import Verb


class WithdrawForm(Form):
    reason = forms.CharField(
        label="How do you know that they are not this person's?",
        max_length=600,
        widget=forms.Textarea(attrs={"rows": 2}),
    )
    procedure = forms.UUIDField(widget=forms.HiddenInput)
    marks_optional = False


@requires(Verb.RECONCILE)
def withdraw(request: HttpRequest, key: UUID) -> HttpResponse:
    rows = Study.objects.for_user(request.acting.scope).select_related("procedure__referral__patient")
    study = get_object_or_404(rows, pk=key, state="matched")
    form = WithdrawForm(request.POST or None, initial={"procedure": study.procedure_id}, now=request.now)
    status = 200
    if request.method == "POST":
        status = 422
        if form.is_valid():
            try:
                item = images.withdraw(
                    study,
                    procedure=form.cleaned_data["procedure"],
                    reason=form.cleaned_data["reason"],
                    by=request.acting.actor,
                    now=request.now,
                )
            except images.NeedsNote:
                form.add_error("reason", "Say how you know")
            except Stale:
                messages.error(request, "Somebody changed whose these images are a moment ago: look again.")
                return redirect("scanning:study", key)
            else:
                messages.success(request, "Taken back: the images are held again.")
                return redirect("scanning:reconcile_item", item.pk)
    context = {
        "study": study,
        "form": form,
        "told": images.must_be_told(study),
        "going": study.dispatches.filter(withdrawn_at=None).exclude(state="delivered").select_related("organisation"),
    }
    return render(request, "scanning/withdraw.html", context, status=status)


@require_POST
@requires(Verb.RECONCILE, Verb.OWN_FAILURES)
def told(request: HttpRequest, key: UUID) -> HttpResponse:
    """Somebody at the other end was asked by name; the PACS is looked at again."""
    rows = ImageRemoval.objects.for_user(request.acting.scope).select_related("message", "dispatch__organisation")
    removal = get_object_or_404(rows, pk=key)
    try:
        images.told(
            removal, whom=request.POST.get("whom") or removal.told_whom, by=request.acting.actor, now=request.now
        )
    except images.NeedsNote:
        messages.error(request, "Say whom you told.")
    else:
        messages.success(request, f"{removal.dispatch.organisation.name} is looked at again.")
    return redirect("scanning:study", removal.dispatch.study_id)


def aftermath(request: HttpRequest, study: Study) -> dict[str, Any]:
    """Of a match that was taken back: who must be told, and each PACS until it shows nothing."""
    rows = ImageRemoval.objects.for_user(request.acting.scope).filter(dispatch__study=study)
    found = rows.select_related("dispatch__organisation", "message").order_by("asked_at", "pk")
    return {
        "removals": [(row, tag_of(row)) for row in found],
        "to_be_told": images.to_be_told(study),
    }


def tag_of(row: ImageRemoval) -> Tag:
    if row.removed_at:
        return Tag("Gone", "good")
    return Tag("Still there: yours to settle", "late") if row.message.state == "given_up" else Tag("Looked for", "held")

"""A package that leaves by road: the survey, the label that it asks for, and the paper that travels with it."""

from uuid import UUID

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone

from gantry.apps.accounts.access import requires
from gantry.apps.radiopharmacy import services
from gantry.apps.radiopharmacy.forms import ConsignForm
from gantry.apps.radiopharmacy.models import Batch, Consignment
from gantry.apps.radiopharmacy.services import carriage
from gantry.apps.radiopharmacy.views.sites import zone_of
from gantry.apps.radiopharmacy.views.today import SEES, name_of
from gantry.domain.access import Verb
from gantry.reference.carriage import CATEGORIES, TUNNEL, TYPE_A


@requires(Verb.DRAW)
def consign(request: HttpRequest, key: UUID) -> HttpResponse:
    row = get_object_or_404(
        Batch.objects.for_user(request.acting.scope)
        .select_related("site", "supplier")
        .prefetch_related("deliveries", "doses", "waste", "entries"),
        pk=key,
    )
    zone, refused = zone_of(row.site), request.POST.get("refused") == "1"
    initial = {
        "consignee": row.supplier.name,
        "address": row.supplier.postcode,
        "activity_mbq": round(services.left_in(row, request.now), 1),
    }
    form = ConsignForm(request.POST or None, initial=initial, refused=refused, now=request.now, zone=zone)
    reasons: list[str] = []
    with timezone.override(zone):
        if request.method == "POST" and form.is_valid():
            try:
                made = carriage.consign(
                    row,
                    form.parcel(),
                    at=form.cleaned_data["at"],
                    now=request.now,
                    by=request.acting.actor,
                    already_happened=bool(form.cleaned_data.get("already_happened")),
                )
                messages.success(request, f"{made.label}, transport index {made.transport_index:g}. Print its paper.")
                return redirect("tracer:paper", made.pk)
            except services.NotDone as why:
                reasons = why.reasons
                form = ConsignForm(request.POST, refused=True, now=request.now, zone=zone)
        return render(
            request,
            "tracer/consign.html",
            {
                "batch": row,
                "tracer": name_of(row.tracer),
                "form": form,
                "reasons": reasons,
                "categories": CATEGORIES.value,
            },
            status=422 if form.errors or reasons else 200,
        )


@requires(*SEES)
def paper(request: HttpRequest, key: UUID) -> HttpResponse:
    row = get_object_or_404(
        Consignment.objects.for_user(request.acting.scope).select_related("batch__site__organisation"), pk=key
    )
    with timezone.override(zone_of(row.batch.site)):
        return render(
            request,
            "tracer/paper.html",
            {
                "row": row,
                "tracer": name_of(row.batch.tracer),
                "nuclide": services.nuclide_of(row.batch.tracer).symbol,
                "named": TYPE_A,
                "tunnel": TUNNEL,
                "back": f"/tracer/batches/{row.batch_id}/",
            },
        )

"""A package that leaves by road: the survey, the label that it asks for, and the paper that travels with it."""

from datetime import datetime, tzinfo
from uuid import UUID

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone

from gantry.apps.accounts.access import requires
from gantry.apps.radiopharmacy import services
from gantry.apps.radiopharmacy.forms import ConsignForm
from gantry.apps.radiopharmacy.models import Batch, Consignment, LedgerEntry
from gantry.apps.radiopharmacy.services import carriage
from gantry.apps.radiopharmacy.services.ledger import as_entry
from gantry.apps.radiopharmacy.views.sites import zone_of
from gantry.apps.radiopharmacy.views.today import SEES, name_of
from gantry.domain.access import Verb
from gantry.domain.ledger import Way
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
    left = carriage.without_paper(row)
    initial = started(row, left, request.now)
    told = {"entries": [(str(one.pk), said_of(one, zone)) for one in left], "now": request.now, "zone": zone}
    form = ConsignForm(request.POST or None, initial=initial, refused=refused, **told)
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
                    entry=next((one for one in left if str(one.pk) == form.cleaned_data["entry"]), None),
                    already_happened=bool(form.cleaned_data.get("already_happened")),
                )
                messages.success(request, f"{made.label}, transport index {made.transport_index:g}. Print its paper.")
                return redirect("tracer:paper", made.pk)
            except services.NotDone as why:
                reasons = why.reasons
                form = ConsignForm(request.POST, refused=True, **told)
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


def started(batch: Batch, left: list[LedgerEntry], now: datetime) -> dict[str, object]:
    """The oldest that has left without a paper; else what is in the vial, to its supplier."""
    back = {"consignee": batch.supplier.name, "address": batch.supplier.postcode}
    if not left:
        return {**back, "activity_mbq": round(services.left_in(batch, now), 1)}
    entry = left[0]
    facts = {"entry": str(entry.pk), "activity_mbq": round(as_entry(entry).mbq(now), 1)}
    return facts if entry.way == Way.TRANSFERRED_OUT else back | facts


def said_of(entry: LedgerEntry, zone: tzinfo) -> str:
    way = "to another site" if entry.way == Way.TRANSFERRED_OUT else "back to the supplier"
    return f"{entry.activity_mbq:,.1f} MBq {way} at {entry.at.astimezone(zone):%H:%M}"


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

"""Runs that suppliers offer, what is ordered of them and for how much, and every way an order ends."""

from uuid import UUID

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone

from gantry.apps.accounts.access import requires
from gantry.apps.audit.services import Stale
from gantry.apps.audit.timeline import timeline
from gantry.apps.estate.models import Organisation, OrganisationKind
from gantry.apps.radiopharmacy import services
from gantry.apps.radiopharmacy.forms import CancelForm, ConfirmForm, LossForm, OrderForm, RunForm
from gantry.apps.radiopharmacy.models import SupplyRun, TracerOrder
from gantry.apps.radiopharmacy.services.allotments import coming_mbq, promises
from gantry.apps.radiopharmacy.services.orders import OPEN_ORDERS, left_without, tariff_of
from gantry.apps.radiopharmacy.views.sites import site_for, sites_for, zone_of
from gantry.apps.radiopharmacy.views.today import SEES, lines, name_of
from gantry.domain.access import Verb
from gantry.domain.lifecycle import IllegalMove
from gantry.domain.ordering import Payer, Tariff
from gantry.reference.hot_lab import DISPENSE_LOSS
from gantry.reference.protocols import product_of
from gantry.reference.tracers import TRACERS

PAYERS = {Payer.NOBODY: "Nobody", Payer.PROVIDER: "We do", Payer.SUPPLIER: "The supplier"}


def pounds(pence: int) -> str:
    return f"£{pence / 100:,.2f}"


def priced(tariff: Tariff) -> str:
    """A run's prices in words; one without any says so."""
    parts = [f"{pounds(tariff.run_pence)} for the run"] if tariff.run_pence else []
    parts += [f"{pounds(tariff.pence_per_gbq)} a GBq"] if tariff.pence_per_gbq else []
    return ", ".join(parts) or "not recorded"


@requires(Verb.ORDER_TRACER)
def open_run(request: HttpRequest) -> HttpResponse:
    """A supplier's run to a site, from which activity may be promised and ordered."""
    site = site_for(request)
    zone = zone_of(site)
    suppliers = Organisation.objects.filter(kind=OrganisationKind.SUPPLIER).order_by("name")
    products = [(code, name_of(code)) for code in TRACERS if product_of(code) == code]
    last = SupplyRun.objects.for_user(request.acting.scope).filter(site=site).order_by("-due_at").first()
    initial = (
        {"tracer": last.tracer, "supplier": str(last.supplier_id), "production_site": last.production_site}
        if last
        else {}
    )
    form = RunForm(
        request.POST or None,
        initial=initial,
        suppliers=[(str(one.pk), one.name) for one in suppliers],
        products=products,
        now=request.now,
        zone=zone,
    )
    with timezone.override(zone):
        if request.method == "POST" and form.is_valid():
            try:
                run = services.add_run(
                    suppliers.get(pk=form.cleaned_data["supplier"]),
                    site,
                    form.facts(),
                    now=request.now,
                    by=request.acting.actor,
                )
                messages.success(
                    request, "The run is open: its activity may be promised, and ordered until the cut-off."
                )
                return redirect("tracer:order", run.pk)
            except services.NotDone as refused:
                for reason in refused.reasons:
                    form.add_error(None, reason)
        return render(
            request,
            "tracer/open_run.html",
            {"site": site, "sites": list(sites_for(request)), "form": form},
            status=422 if form.errors else 200,
        )


@requires(Verb.ORDER_TRACER)
def order(request: HttpRequest, run: UUID) -> HttpResponse:
    """Order for a run: what its promises need at the reference time, worked out and shown."""
    row = get_object_or_404(SupplyRun.objects.for_user(request.acting.scope).select_related("site", "supplier"), pk=run)
    zone = zone_of(row.site)
    wanted = list(promises(row))
    booked = sum(p.activity_mbq for p in wanted)
    suggested = booked * (1 + DISPENSE_LOSS.value) - coming_mbq(row)
    initial = {"activity_mbq": max(0, round(suggested / 50) * 50) or None, "patients": len(wanted)}
    form = OrderForm(request.POST or None, initial=initial, now=request.now, zone=zone)
    with timezone.override(zone):
        if request.method == "POST" and form.is_valid():
            given = form.cleaned_data
            try:
                placed = services.place_order(
                    row,
                    activity_mbq=float(given["activity_mbq"]),
                    patients=given["patients"],
                    now=request.now,
                    by=request.acting.actor,
                )
                messages.success(request, "Order placed. Confirm it when the supplier answers.")
                return redirect("tracer:one_order", placed.pk)
            except services.NotDone as refused:
                for reason in refused.reasons:
                    form.add_error(None, reason)
        return render(
            request,
            "tracer/order.html",
            {
                "run": row,
                "tracer": name_of(row.tracer),
                "line": lines(SupplyRun.objects.for_user(request.acting.scope).filter(pk=row.pk), request.now)[0],
                "people": len(wanted),
                "booked": booked,
                "loss": DISPENSE_LOSS,
                "form": form,
                "price": priced(tariff_of(row)),
            },
            status=422 if form.errors else 200,
        )


@requires(*SEES)
def one_order(request: HttpRequest, key: UUID) -> HttpResponse:
    row = get_object_or_404(
        TracerOrder.objects.for_user(request.acting.scope).select_related("run__supplier", "site"), pk=key
    )
    zone, what = zone_of(row.site), request.POST.get("what", "")
    confirm = ConfirmForm(request.POST if what == "confirm" else None, prefix="confirm", now=request.now, zone=zone)
    loss = LossForm(request.POST if what == "fail" else None, prefix="loss", now=request.now, zone=zone)
    late = request.now > row.run.cut_off_at
    cancel = CancelForm(
        request.POST if what == "cancel" else None, prefix="cancel", late=late, now=request.now, zone=zone
    )  # fmt: skip
    form = {"confirm": confirm, "fail": loss, "cancel": cancel}.get(what)
    may_order, live = request.acting.may(Verb.ORDER_TRACER), row.state in OPEN_ORDERS
    with timezone.override(zone):
        if request.method == "POST" and form is not None and form.is_valid() and may_order:
            settle(request, row, what, form)
            if not form.errors:
                return redirect("tracer:one_order", row.pk)
        return render(
            request,
            "tracer/one_order.html",
            {
                "order": row,
                "tracer": name_of(row.tracer),
                "confirm": confirm,
                "loss": loss,
                "cancel": cancel,
                "late": late,
                "left_without": len(left_without(row)) if live and may_order else 0,
                "live": live,
                "price": pounds(row.price_pence) if row.price_pence else "not recorded",
                "prices": priced(tariff_of(row.run)),
                "paid_by": PAYERS[Payer(row.paid_by)] if row.paid_by else None,
                "events": timeline(row.pk),
                "may_order": may_order,
                "may_receive": request.acting.may(Verb.RECEIVE_TRACER),
            },
            status=422 if form is not None and form.errors else 200,
        )


def settle(request: HttpRequest, row: TracerOrder, what: str, form) -> None:
    """One of the ways on from here; a refusal is put on its form."""
    now, by = request.now, request.acting.actor
    try:
        if what == "confirm":
            services.confirm_order(
                row, supplier_reference=form.cleaned_data["supplier_reference"], now=now, by=by
            )  # fmt: skip
            messages.success(request, "Confirmed.")
        elif what == "cancel":
            services.cancel_order(
                row, reason=form.cleaned_data["reason"], payer=form.given_payer(), agreed=form.cleaned_data.get("agreed", ""),
                now=now, by=by,
            )  # fmt: skip
            messages.success(request, "Cancelled.")
        else:
            event = services.fail_order(row, cause=form.given_cause(), now=now, by=by)
            messages.warning(request, f"Failed. Appointments without activity: {len(event.data['displaced'])}.")
    except services.NotDone as refused:
        for reason in refused.reasons:
            form.add_error(None, reason)
    except Stale:
        messages.warning(request, "Somebody was there first; look at what happened below.")
    except IllegalMove:
        messages.warning(request, "That cannot be done any more.")

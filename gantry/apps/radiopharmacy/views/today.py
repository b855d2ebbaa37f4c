"""The hot lab's day: what is here, what is coming, what is promised, what waits to be accepted."""

from dataclasses import dataclass
from datetime import datetime, time, timedelta
from uuid import UUID

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone

from gantry.apps.accounts.access import requires
from gantry.apps.audit.services import Stale
from gantry.apps.audit.timeline import timeline
from gantry.apps.estate.models import Site
from gantry.apps.radiopharmacy import services
from gantry.apps.radiopharmacy.forms import ConfirmForm, LossForm, OrderForm
from gantry.apps.radiopharmacy.models import Batch, Dose, SupplyRun, TracerOrder
from gantry.apps.radiopharmacy.services.allotments import LIVE_ORDERS, allotments_of, coming_mbq, promises
from gantry.apps.radiopharmacy.services.stock import Hour, by_hour, hours_from
from gantry.apps.radiopharmacy.views.sites import asked_day, site_for, sites_for, zone_of
from gantry.apps.ui.charts import decay_chart
from gantry.apps.ui.parts import Chart
from gantry.domain.access import Verb
from gantry.domain.decay import Assay
from gantry.domain.lifecycle import IllegalMove
from gantry.domain.supply import BatchState, OrderState
from gantry.reference.hot_lab import DISPENSE_LOSS
from gantry.reference.tracers import TRACERS


def name_of(product: str) -> str:
    """What is in the vial, without what it is for."""
    return TRACERS[product].value.name.partition(",")[0]


SEES = (Verb.RECEIVE_TRACER, Verb.ORDER_TRACER, Verb.DRAW)


@dataclass(frozen=True, slots=True)
class RunLine:
    run: SupplyRun
    ordered_mbq: float
    promised_mbq: float
    free_mbq: float
    orders: list[TracerOrder]
    open: bool


def lines(runs, now: datetime) -> list[RunLine]:
    rows = list(runs.prefetch_related("orders__batches").select_related("supplier"))
    allotments = allotments_of(rows)
    found = []
    for run in rows:
        row = allotments.get(run.pk)
        total, free = (row.total_mbq, row.free_mbq) if row else (0.0, 0.0)
        live = [o for o in run.orders.all() if o.state in LIVE_ORDERS]
        found.append(
            RunLine(run, sum(o.activity_mbq for o in live), total - free, free, live, now <= run.cut_off_at)
        )  # fmt: skip
    return found


@requires(*SEES)
def today(request: HttpRequest) -> HttpResponse:
    site = site_for(request)
    on, zone = asked_day(request, site), zone_of(site)
    start = datetime.combine(on, time(), tzinfo=zone)
    end = start + timedelta(days=1)
    scope = request.acting.scope
    runs = SupplyRun.objects.for_user(scope).filter(site=site, due_at__gte=start, due_at__lt=end).order_by("due_at")
    ahead = SupplyRun.objects.for_user(scope).filter(site=site, due_at__gte=end, cut_off_at__gte=request.now)
    batches = (
        Batch.objects.for_user(scope)
        .filter(site=site, reference_at__gte=start - timedelta(hours=6), reference_at__lt=end)
        .prefetch_related("deliveries", "doses", "waste", "entries")
        .order_by("reference_at")
    )
    moment = request.now if start <= request.now < end else start + timedelta(hours=7)
    products = sorted({b.tracer for b in batches} | {r.tracer for r in runs})
    hours = {product: by_hour(site, product, hours=hours_from(moment, 10)) for product in products}
    waiting = Dose.objects.for_user(scope).filter(site=site, state__in=["prepared", "assigned"])
    given = Dose.objects.for_user(scope).filter(site=site, state="administered", injected_at__range=(start, end))
    together = ("container", "batch", "appointment__referral__patient")
    with timezone.override(zone):
        return render(
            request,
            "tracer/today.html",
            {
                "site": site,
                "sites": list(sites_for(request)),
                "on": on,
                "before": on - timedelta(days=1),
                "after": on + timedelta(days=1),
                "runs": lines(runs, request.now),
                "ahead": lines(ahead.order_by("due_at")[:12], request.now),
                "batches": [
                    {"batch": b, "left": services.left_in(b, moment), "delivery": b.deliveries.all()[0]}
                    for b in batches
                    if b.deliveries.all()
                ],
                "charts": [chart(product, hours[product], site) for product in products if is_there(hours[product])],
                "hours": [(name_of(product), hours[product]) for product in products],
                "sent": Batch.objects.for_user(scope)
                .filter(site=site, state=BatchState.EXPECTED, order=None)
                .order_by("reference_at"),
                "waiting": waiting.select_related(*together).order_by("drawn_at"),
                "given": given.select_related(*together).order_by("injected_at"),
                "may_order": request.acting.may(Verb.ORDER_TRACER),
                "may_receive": request.acting.may(Verb.RECEIVE_TRACER),
                "may_draw": request.acting.may(Verb.DRAW),
            },
        )


def is_there(hours: list[Hour]) -> bool:
    """Nothing here and nothing coming is said by the table; a chart of it would be an empty frame."""
    return any(hour.left_mbq or hour.coming_mbq for hour in hours)


def chart(product: str, hours: list[Hour], site: Site) -> Chart:
    """What is here and comes, as it decays, and what of it is promised; the sums between hours are the domain's."""
    nuclide = services.nuclide_of(product)

    def before(moment: datetime) -> Hour:
        return max((h for h in hours if h.at <= moment), key=lambda h: h.at, default=hours[0])

    def at(moment: datetime) -> float:
        last = before(moment)
        return Assay(nuclide, last.left_mbq + last.coming_mbq, last.at).activity_at(moment)

    def committed(moment: datetime) -> float:
        last = before(moment)
        return Assay(nuclide, last.needed_mbq, last.at).activity_at(moment)

    return decay_chart(
        f"{name_of(product)}: committed and free",
        [hour.at for hour in hours],
        at,
        zone=zone_of(site),
        committed_at=committed,
    )


@requires(Verb.ORDER_TRACER)
def order(request: HttpRequest, run: UUID) -> HttpResponse:
    """Order for a run: what its promises need at the reference time, worked out and shown."""
    row = get_object_or_404(SupplyRun.objects.for_user(request.acting.scope).select_related("site", "supplier"), pk=run)
    zone, nuclide = zone_of(row.site), services.nuclide_of(row.tracer)
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
                "half_life": nuclide.half_life,
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
    form = {"confirm": confirm, "fail": loss}.get(what)
    with timezone.override(zone):
        if request.method == "POST" and form is not None and form.is_valid() and request.acting.may(Verb.ORDER_TRACER):
            return settle(request, row, what, form)
        return render(
            request,
            "tracer/one_order.html",
            {
                "order": row,
                "tracer": name_of(row.tracer),
                "confirm": confirm,
                "loss": loss,
                "live": row.state in (OrderState.PLACED, OrderState.CONFIRMED),
                "events": timeline(row.pk),
                "may_order": request.acting.may(Verb.ORDER_TRACER),
                "may_receive": request.acting.may(Verb.RECEIVE_TRACER),
            },
            status=422 if form is not None and form.errors else 200,
        )


def settle(request: HttpRequest, row: TracerOrder, what: str, form) -> HttpResponse:
    now, by = request.now, request.acting.actor
    try:
        if what == "confirm":
            services.confirm_order(
                row, supplier_reference=form.cleaned_data["supplier_reference"], now=now, by=by
            )  # fmt: skip
            messages.success(request, "Confirmed.")
        else:
            event = services.fail_order(row, cause=form.given_cause(), now=now, by=by)
            messages.warning(request, f"Failed. Appointments without activity: {len(event.data['displaced'])}.")
    except Stale:
        messages.warning(request, "Somebody was there first; look at what happened below.")
    except IllegalMove:
        messages.warning(request, "That cannot be done any more.")
    return redirect("tracer:one_order", row.pk)

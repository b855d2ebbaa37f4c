"""The hot lab's day: what is here, what is coming, what is promised, what waits to be accepted."""

from dataclasses import dataclass
from datetime import datetime, time, timedelta

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone

from gantry.apps.accounts.access import requires
from gantry.apps.estate.models import Site
from gantry.apps.radiopharmacy import services
from gantry.apps.radiopharmacy.models import Batch, Dose, SupplyRun, TracerOrder
from gantry.apps.radiopharmacy.services.allotments import LIVE_ORDERS, allotments_of
from gantry.apps.radiopharmacy.services.investigations import still_open
from gantry.apps.radiopharmacy.services.stock import Hour, by_hour, hours_from
from gantry.apps.radiopharmacy.views.sites import asked_day, site_for, sites_for, zone_of
from gantry.apps.ui.charts import decay_chart
from gantry.apps.ui.parts import Chart
from gantry.domain.access import Verb
from gantry.domain.decay import Assay
from gantry.domain.supply import IN_HAND, BatchState
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
    waiting = Dose.objects.for_user(scope).filter(site=site, state__in=IN_HAND)
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
                "asked": still_open(scope, site=site)[:5],
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

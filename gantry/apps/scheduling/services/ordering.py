"""From a day as it is booked to what should be ordered: how much on which run, for whom, and what changed since."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from math import ceil
from typing import TypedDict
from uuid import UUID

from django.db import transaction

from gantry.apps.booking.services.readying import Ready, readiness_of
from gantry.apps.estate.models import Site
from gantry.apps.radiopharmacy import services as radiopharmacy
from gantry.apps.radiopharmacy.models import SupplyRun, TracerOrder
from gantry.apps.radiopharmacy.services.allotments import LIVE_ORDERS
from gantry.apps.radiopharmacy.services.orders import OPEN_ORDERS
from gantry.apps.scheduling.models import OrderBasis
from gantry.apps.scheduling.services.building import Built, build
from gantry.apps.scheduling.services.refusals import NotPossible
from gantry.domain.events import Actor
from gantry.domain.ordering import Tariff
from gantry.domain.scheduling.orders import Amount, Changed, Draw, Order, Readiness, Terms, amount, changes
from gantry.domain.scheduling.orders import orders as orders_of
from gantry.domain.scheduling.problem import Day, Delivery
from gantry.reference.hot_lab import DISPENSE_LOSS
from gantry.reference.ordering import CHANGED_CHANCE, CHANGED_MBQ, PENCE_PER_GBQ, SENT_HOME_PENCE, STEP_MBQ


@dataclass(frozen=True, slots=True)
class Proposal:
    """What one run should bring, what is ordered of it, and how the two came to differ."""

    run: SupplyRun
    order: Order
    without_margin: Amount
    live: tuple[TracerOrder, ...]
    basis: OrderBasis | None
    """What the last order was placed for, where it was placed from a plan."""
    changed: tuple[Changed, ...]
    """By procedure."""
    tariff: Tariff
    """As it is weighed: the run's, else its supplier's, else the usual."""
    assumed: bool
    """The price is the usual one: nobody has written another down."""
    open: bool

    @property
    def ordered_mbq(self) -> float:
        return sum(order.activity_mbq for order in self.live)

    @property
    def waits(self) -> bool:
        """It can still be ordered or changed: nothing of it is here, and its cut-off has not passed."""
        return self.open and all(order.state in OPEN_ORDERS for order in self.live)


@dataclass(frozen=True, slots=True)
class Proposed:
    """Every run of a day that somebody draws on."""

    built: Built
    ready: Mapping[str, Ready]
    proposals: tuple[Proposal, ...]
    without_run: float
    """MBq drawn from activity that no supplier's run stands behind."""


def propose_orders(site: Site, on: date, *, now: datetime) -> Proposed:
    built = build(site, on, now=now)
    found = readiness_of(built.appointments.values())
    ready = {ref: found[row.pk] for ref, row in built.appointments.items()}
    by_key = {row.pk: row for row in runs_of(built)}
    runs = {ref: by_key[row.supply_run] for ref, row in built.allotments.items() if row.supply_run in by_key}
    day = orderable(built, site, runs)
    terms = Terms(
        SENT_HOME_PENCE.value,
        {ref: readiness(one) for ref, one in ready.items()},
        {ref: day.minute(run.cut_off_at) for ref, run in runs.items()},
        STEP_MBQ.value,
    )
    orders = orders_of(day, built.plan, terms)
    bases = bases_of(runs.values())
    beside = sum(
        day.drawn_mbq(day.patient(v.patient), v.injection_min, day.delivery(v.delivery))
        for v in built.plan.visits
        if v.delivery not in runs
    )
    proposals = tuple(proposal(built, day, order, runs[order.delivery], bases, now) for order in orders)
    return Proposed(built, ready, tuple(sorted(proposals, key=lambda p: (p.run.due_at, p.run.pk))), beside)


def runs_of(built: Built) -> Sequence[SupplyRun]:
    keys = [row.supply_run for row in built.allotments.values() if row.supply_run]
    return list(SupplyRun.objects.filter(pk__in=keys).select_related("supplier", "site").prefetch_related("orders"))


def bases_of(runs: Iterable[SupplyRun]) -> dict[UUID, OrderBasis]:
    """By run: that of the order which stands, the last where there are several."""
    rows = OrderBasis.objects.filter(order__run__in=list(runs), order__state__in=LIVE_ORDERS)
    return {row.order.run_id: row for row in rows.select_related("order").order_by("pk")}


def orderable(built: Built, site: Site, runs: Mapping[str, SupplyRun]) -> Day:
    """The day as somebody sees it who still orders for it: each run's amount is open, and no lock makes anybody come."""
    return replace(
        built.day,
        deliveries=tuple(as_offered(one, runs.get(one.ref)) for one in built.day.deliveries),
        patients=tuple(replace(one, lock=None) for one in built.day.patients),
        loss_percent=DISPENSE_LOSS.value * 100,
    )


def as_offered(delivery: Delivery, run: SupplyRun | None) -> Delivery:
    if run is None:
        return delivery
    return replace(
        delivery,
        ordered_mbq=None,
        most_mbq=run.capacity_mbq,
        least_mbq=min(delivery.least_mbq, run.capacity_mbq),
        price_pence_per_gbq=delivery.price_pence_per_gbq or PENCE_PER_GBQ.value,
    )


def readiness(one: Ready) -> Readiness:
    return Readiness(one.chance, frozenset(one.standing.settled), frozenset(one.standing.missing))


def proposal(
    built: Built, day: Day, order: Order, run: SupplyRun, bases: Mapping[object, OrderBasis], now: datetime
) -> Proposal:
    live = tuple(one for one in run.orders.all() if one.state in LIVE_ORDERS)
    basis = bases.get(run.pk)
    before = [as_draw(one) for one in basis.draws] if basis else []
    mean = ceil(order.mean_mbq / STEP_MBQ.value)
    delivery = day.delivery(order.delivery)
    most = int((run.capacity_mbq + 1e-9) / STEP_MBQ.value)
    return Proposal(
        run,
        order,
        amount(day, delivery, order.draws, min(mean, most), STEP_MBQ.value),
        live,
        basis,
        tuple(changes(before, by_procedure(built, order.draws), mbq=CHANGED_MBQ, chance=CHANGED_CHANCE))
        if basis
        else (),
        Tariff(delivery.price_pence, delivery.price_pence_per_gbq),
        not built.day.delivery(order.delivery).price_pence_per_gbq,
        now <= run.cut_off_at,
    )


def by_procedure(built: Built, draws: Sequence[Draw]) -> list[Draw]:
    """A moved patient has another appointment, and is the same in the order."""
    return [replace(draw, patient=str(built.appointments[draw.patient].procedure_id)) for draw in draws]


class KeptDraw(TypedDict):
    """A draw as its row keeps it: MBq at the run's reference time."""

    procedure: str
    mbq: float
    chance: float


def as_kept(draw: Draw) -> KeptDraw:
    return {"procedure": draw.patient, "mbq": round(draw.mbq, 3), "chance": round(draw.chance, 6)}


def as_draw(kept: KeptDraw) -> Draw:
    return Draw(kept["procedure"], kept["mbq"], 0, kept["chance"], 0)


@transaction.atomic
def order_for(
    site: Site, on: date, run: SupplyRun, *, activity_mbq: float, reason: str = "", now: datetime, by: Actor
) -> TracerOrder:
    """Order it in one act, and keep what it was ordered for. Instead of what stands, where something stands already.

    Raises NotPossible, and radiopharmacy's NotDone after the cut-off, beyond the run or beyond the permit.
    """
    made = propose_orders(site, on, now=now)
    mine = next((one for one in made.proposals if one.run.pk == run.pk), None)
    if mine is None:
        raise NotPossible("Nobody who is booked on this day draws on that run")
    if mine.live and abs(mine.ordered_mbq - activity_mbq) < 1:
        raise NotPossible(f"{activity_mbq:,.0f} MBq are ordered already")
    patients, tariff = len(mine.order.draws), None if mine.assumed else mine.tariff
    if mine.live:
        order = radiopharmacy.replace_orders(
            run,
            activity_mbq=activity_mbq,
            patients=patients,
            reason=reason.strip() or "Ordered anew from the day's plan",
            tariff=tariff,
            now=now,
            by=by,
        )
    else:
        order = radiopharmacy.place_order(
            run, activity_mbq=activity_mbq, patients=patients, tariff=tariff, now=now, by=by
        )
    OrderBasis.objects.create(
        order=order,
        on=on,
        draws=[as_kept(draw) for draw in by_procedure(made.built, mine.order.draws)],
        best_mbq=mine.order.best.mbq,
        mean_mbq=mine.order.mean_mbq,
        made_at=now,
        by_name=by.name,
    )
    return order

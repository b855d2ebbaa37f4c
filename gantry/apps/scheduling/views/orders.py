"""What tomorrow's plan asks of each run: the order that costs least on average, its margin, and whom to ring first."""

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from uuid import UUID
from zoneinfo import ZoneInfo

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone

from gantry.apps.accounts.access import requires
from gantry.apps.audit.services import Stale
from gantry.apps.booking.forms import ITEM_WORDS
from gantry.apps.booking.models import Appointment
from gantry.apps.booking.services.readying import Ready
from gantry.apps.radiopharmacy.forms import FromPlanForm
from gantry.apps.radiopharmacy.services import NotDone
from gantry.apps.radiopharmacy.views.orders import pounds, priced
from gantry.apps.radiopharmacy.views.sites import sites_for
from gantry.apps.radiopharmacy.views.today import name_of
from gantry.apps.scheduling.services.ordering import Proposal, Proposed, order_for, propose_orders
from gantry.apps.scheduling.services.refusals import NotPossible
from gantry.apps.scheduling.views.odd import in_words
from gantry.domain.access import Verb
from gantry.domain.lifecycle import IllegalMove
from gantry.domain.scheduling.orders import Amount, Changed
from gantry.reference.hot_lab import DISPENSE_LOSS
from gantry.reference.ordering import PENCE_PER_GBQ, SENT_HOME_PENCE

HIDDEN = "A patient of another organisation"


@dataclass(frozen=True, slots=True)
class Size:
    """One size of an order, as a line of the table."""

    words: str
    amount: Amount
    price: str
    mean: str
    chosen: bool


@dataclass(frozen=True, slots=True)
class Drawer:
    """One patient's part of an order."""

    name: str
    appointment: Appointment | None
    injection_at: datetime
    mbq: float
    chance: float
    ready: Ready
    missing: str
    worth: str
    """What it is worth to know whether they come; empty where it is nothing."""


@dataclass(frozen=True, slots=True)
class RunShown:
    proposal: Proposal
    product: str
    price: str
    sizes: tuple[Size, ...]
    people: tuple[Drawer, ...]
    changed: tuple[str, ...]
    margin: str
    form: FromPlanForm


@requires(Verb.SEE_BOARD, Verb.ORDER_TRACER)
@in_words
def orders(request: HttpRequest, site: UUID, on: str) -> HttpResponse:
    place = get_object_or_404(sites_for(request), pk=site)
    try:
        local = date.fromisoformat(on)
    except ValueError:
        raise Http404("day") from None
    zone, may_order = ZoneInfo(place.zone), request.acting.may(Verb.ORDER_TRACER)
    with timezone.override(zone):
        made = propose_orders(place, local, now=request.now)
        names, seen = names_of(request, made)
        shown, wrong = [], False
        for one in made.proposals:
            mine = request.method == "POST" and may_order and request.POST.get("run") == str(one.run.pk)
            form = FromPlanForm(
                request.POST if mine else None,
                prefix=str(one.run.pk)[-6:],
                initial={"activity_mbq": round(one.order.best.mbq)},
                again=bool(one.live),
                now=request.now,
                zone=zone,
            )
            if mine and form.is_valid():
                try:
                    placed = order_for(
                        place,
                        local,
                        one.run,
                        activity_mbq=float(form.cleaned_data["activity_mbq"]),
                        reason=form.cleaned_data.get("reason", ""),
                        now=request.now,
                        by=request.acting.actor,
                    )
                    messages.success(
                        request, f"Ordered {placed.activity_mbq:,.0f} MBq. Confirm it when the supplier answers."
                    )
                    return redirect("scheduling:orders", place.pk, local.isoformat())
                except (NotDone, NotPossible) as refused:
                    for reason in refused.reasons:
                        form.add_error(None, reason)
                except (Stale, IllegalMove):
                    form.add_error(None, "Somebody ordered first: look at what is ordered now")
            wrong = wrong or bool(form.errors)
            shown.append(show(one, made, names, seen, form))
        return render(
            request,
            "scheduling/orders.html",
            {
                "site": place,
                "sites": list(sites_for(request)),
                "on": local,
                "before": local - timedelta(days=1),
                "after": local + timedelta(days=1),
                "runs": shown,
                "booked": len(made.built.plan.visits),
                "without_run": made.without_run,
                "may_order": may_order,
                "may_ask": request.acting.may(Verb.BOOK),
                "loss": DISPENSE_LOSS,
                "sent_home": SENT_HOME_PENCE,
                "usual": PENCE_PER_GBQ,
                "pounds": pounds,
            },
            status=422 if wrong else 200,
        )


def names_of(request: HttpRequest, made: Proposed) -> tuple[dict[str, str], dict[str, Appointment]]:
    """By appointment and by procedure; those whom the asker may not see have no name."""
    rows = Appointment.objects.for_user(request.acting.scope).filter(pk__in=list(made.built.appointments))
    names: dict[str, str] = {}
    seen = {}
    procedures = [one.patient for proposal in made.proposals for one in proposal.changed]
    gone = Appointment.objects.for_user(request.acting.scope).filter(procedure__in=procedures)
    for row in (rows | gone).select_related("referral__patient"):
        names[str(row.pk)] = names[str(row.procedure_id)] = row.referral.patient.name
        seen[str(row.pk)] = row
    return names, seen


def show(
    one: Proposal, made: Proposed, names: dict[str, str], seen: dict[str, Appointment], form: FromPlanForm
) -> RunShown:
    order, run = one.order, one.run
    tariff = one.tariff
    lines = [(one.without_margin, "Average, to a full step"), (order.everybody, "Whole")]
    lines += [(each, f"{each.mbq / order.everybody.mbq * 100:.0f} % of the whole") for each in order.compared]
    said = "the whole" if order.best.mbq == order.everybody.mbq else ""
    lines = [(order.best, said), *(line for line in lines if line[0].mbq != order.best.mbq)]
    kept: dict[float, Size] = {}
    for each, words in lines:
        kept.setdefault(
            each.mbq, Size(words, each, pounds(tariff.of(each.mbq)), pounds(round(each.pence)), each is order.best)
        )
    worth = {question.patient: question.worth_pence for question in order.questions}
    visits = {visit.patient: visit for visit in made.built.plan.visits}
    people = tuple(
        Drawer(
            names.get(draw.patient, HIDDEN),
            seen.get(draw.patient),
            made.built.at(visits[draw.patient].injection_min),
            draw.mbq,
            draw.chance,
            made.ready[draw.patient],
            ", ".join(ITEM_WORDS[item][0].lower() for item in made.ready[draw.patient].standing.missing),
            pounds(round(worth[draw.patient])) if worth.get(draw.patient, 0) >= 1 else "",
        )
        for draw in order.draws
    )
    return RunShown(
        one,
        name_of(run.tracer),
        "not recorded" if one.assumed else priced(tariff),
        tuple(sorted(kept.values(), key=lambda size: size.amount.mbq)),
        people,
        tuple(changed_said(each, names) for each in one.changed),
        pounds(max(0, tariff.of(order.best.mbq) - tariff.of(order.mean_mbq))),
        form,
    )


def changed_said(one: Changed, names: dict[str, str]) -> str:
    name = names.get(one.patient, HIDDEN)
    if one.before is None:
        assert one.now is not None
        return f"{name} is new: {one.now.mbq:,.0f} MBq"
    if one.now is None:
        return f"{name} no longer draws on it: {one.before.mbq:,.0f} MBq less"
    parts = []
    if round(one.now.mbq) != round(one.before.mbq):
        parts.append(f"{one.now.mbq:,.0f} MBq, {one.before.mbq:,.0f} MBq when it was ordered")
    if round(one.now.chance * 100) != round(one.before.chance * 100):
        parts.append(f"comes with {one.now.chance * 100:.0f} %, {one.before.chance * 100:.0f} % when it was ordered")
    return f"{name}: {'; '.join(parts)}"

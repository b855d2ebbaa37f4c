"""Receiving, the two releases, and where every MBq of a batch went."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone

from gantry.apps.accounts.access import requires
from gantry.apps.audit.services import Stale
from gantry.apps.audit.timeline import timeline
from gantry.apps.booking.models import Appointment
from gantry.apps.radiopharmacy import services
from gantry.apps.radiopharmacy.forms import AcceptForm, BenchForm, LossForm, ReceiveForm, ReleaseForm, SpendForm
from gantry.apps.radiopharmacy.models import Batch, LedgerEntry, TracerOrder
from gantry.apps.radiopharmacy.services.batches import difference_of, loss_of
from gantry.apps.radiopharmacy.services.carriage import without_paper
from gantry.apps.radiopharmacy.services.investigations import of_batch
from gantry.apps.radiopharmacy.services.ledger import as_entry
from gantry.apps.radiopharmacy.services.stock import delivery_of
from gantry.apps.radiopharmacy.views.sites import sites_for, usual_instrument, zone_of
from gantry.apps.radiopharmacy.views.today import SEES, name_of
from gantry.domain.access import Verb
from gantry.domain.implausible import explanations, forgotten_residuals
from gantry.domain.ledger import investigation
from gantry.domain.lifecycle import IllegalMove, allowed
from gantry.domain.supply import BATCH, BatchState
from gantry.reference.hot_lab import DELIVERY_TOLERANCE_PERCENT, RESIDUAL_WITHIN, USABLE_FOR


@requires(Verb.RECEIVE_TRACER)
def receive(request: HttpRequest, order: UUID) -> HttpResponse:
    row = get_object_or_404(
        TracerOrder.objects.for_user(request.acting.scope).select_related("run__supplier", "site"), pk=order
    )
    zone = zone_of(row.site)
    initial = {
        "stated_mbq": f"{row.activity_mbq:.10g}",
        "reference_at": row.run.reference_at,
        "expires_at": row.run.reference_at + USABLE_FOR.value,
        "instrument": usual_instrument(request, row.site),
    }
    form = ReceiveForm(request.POST or None, initial=initial, now=request.now, zone=zone)
    with timezone.override(zone):
        if request.method == "POST" and form.is_valid():
            try:
                batch = services.receive_delivery(row, form.facts(), now=request.now, by=request.acting.actor)
                messages.success(request, f"Batch {batch.number} is in quarantine until it is released and accepted.")
                return redirect("tracer:batch", batch.pk)
            except services.NotDone as refused:
                for reason in refused.reasons:
                    form.add_error(None, reason)
            except (Stale, IllegalMove):
                row.refresh_from_db()
                form.add_error(None, f"This order is {row.state} already")
        return render(
            request,
            "tracer/receive.html",
            {"order": row, "tracer": name_of(row.tracer), "form": form},
            status=422 if form.errors else 200,
        )


@requires(Verb.RECEIVE_TRACER)
def receive_sent(request: HttpRequest, key: UUID) -> HttpResponse:
    """Part of a batch that another site sent: measured here, into quarantine here."""
    row = get_object_or_404(Batch.objects.for_user(request.acting.scope).select_related("site", "supplier"), pk=key)
    zone = zone_of(row.site)
    initial = {
        "number": row.number,
        "stated_mbq": f"{row.activity_mbq:.10g}",
        "reference_at": row.reference_at,
        "expires_at": row.expires_at,
        "volume_ml": row.volume_ml,
        "instrument": usual_instrument(request, row.site),
    }
    form = ReceiveForm(request.POST or None, initial=initial, now=request.now, zone=zone)
    with timezone.override(zone):
        if request.method == "POST" and form.is_valid():
            try:
                services.receive_transfer(row, form.facts(), now=request.now, by=request.acting.actor)
                messages.success(
                    request, f"Batch {row.number} is in quarantine until it is released and accepted here."
                )
                return redirect("tracer:batch", row.pk)
            except (Stale, IllegalMove):
                row.refresh_from_db()
                form.add_error(None, f"This batch is {row.state.replace('_', ' ')} already")
        return render(
            request,
            "tracer/receive_sent.html",
            {"batch": row, "tracer": name_of(row.tracer), "form": form},
            status=422 if form.errors else 200,
        )


@requires(*SEES)
def batch(request: HttpRequest, key: UUID) -> HttpResponse:
    row = get_object_or_404(
        Batch.objects.for_user(request.acting.scope)
        .select_related("site", "supplier", "order__run")
        .prefetch_related(
            "containers", "deliveries", "doses__container", "doses__appointment__referral__patient", "waste", "entries"
        ),
        pk=key,
    )
    zone, what = zone_of(row.site), request.POST.get("what", "")
    delivery = delivery_of(row)
    difference = difference_of(delivery) if delivery else None
    within = difference is None or difference.within

    def sent(name: str):
        return request.POST if what == name else None

    told = {"now": request.now, "zone": zone, "initial": {"instrument": usual_instrument(request, row.site)}}
    forms = {
        "release": ReleaseForm(sent("release"), prefix="release", **told),
        "accept": AcceptForm(sent("accept"), prefix="accept", within=within, **told),
        "lose": LossForm(sent("lose"), prefix="lose", **told),
        "spend": SpendForm(sent("spend"), prefix="spend", **told),
        "bench": BenchForm(sent("bench"), prefix="bench", sites=others(request, row), **told),
    }
    form = forms.get(what)
    with timezone.override(zone):
        if request.method == "POST" and form is not None and form.is_valid():
            act(request, row, what, form)
            if not form.errors:
                return redirect("tracer:batch", row.pk)
        lost = loss_of(row)
        entries = services.entries_of(row)
        whole, vial = services.statement(row, at=request.now), services.vial_statement(row, at=request.now)
        displaced = Appointment.objects.for_user(request.acting.scope).filter(
            pk__in=lost.data.get("displaced", []) if lost else []
        )
        return render(
            request,
            "tracer/batch.html",
            {
                "batch": row,
                "tracer": name_of(row.tracer),
                "delivery": delivery,
                "difference": difference,
                "tolerance": DELIVERY_TOLERANCE_PERCENT,
                "left": services.left_in(row, request.now),
                "statement": whole,
                "asked": investigation(whole),
                "lines": history_of(row, request.now),
                "suspects": explanations(
                    entries, whole.in_play, whole.difference_mbq, whole.uncertainty_mbq, request.now
                )
                if investigation(whole)
                else [],
                "in_vial": vial.left_mbq,
                "vial_key": next((box.pk for box in row.containers.all() if box.kind == "vial"), None),
                "investigations": of_batch(row),
                "unpapered": without_paper(row),
                "forgotten": forgotten_residuals(entries, request.now, after=RESIDUAL_WITHIN.value),
                "recipients": services.recipients(row) if lost else [],
                "verbs": {event.value for event in allowed(BATCH, BatchState(row.state))},
                "forms": forms,
                "lost": lost,
                "displaced": displaced.select_related("referral__patient", "site").order_by("injection_at"),
                "events": timeline(row.pk),
                "may_accept": request.acting.may(Verb.ACCEPT_BATCH),
                "may_receive": request.acting.may(Verb.RECEIVE_TRACER),
                "may_draw": request.acting.may(Verb.DRAW),
            },
            status=422 if form is not None and form.errors else 200,
        )


@requires(*SEES)
def recall(request: HttpRequest, key: UUID) -> HttpResponse:
    """Everybody who had activity of a batch, after use as well as before."""
    row = get_object_or_404(Batch.objects.for_user(request.acting.scope).select_related("site", "supplier"), pk=key)
    had = services.recipients(row)
    seen = Appointment.objects.for_user(request.acting.scope).filter(pk__in=[one.appointment for one in had])
    by_key = {one.pk: one for one in seen.select_related("referral__patient", "site")}
    people = [
        {"appointment": by_key[one.appointment], "injected_at": one.injected_at, "net_mbq": one.net_mbq}
        for one in had
        if one.appointment in by_key
    ]
    with timezone.override(zone_of(row.site)):
        return render(
            request,
            "tracer/recall.html",
            {"batch": row, "tracer": name_of(row.tracer), "people": people, "hidden": len(had) - len(people)},
        )


@dataclass(frozen=True, slots=True)
class HistoryLine:
    entry: LedgerEntry
    now_mbq: float
    corrected: bool
    instead_of: LedgerEntry | None


def history_of(batch: Batch, now: datetime) -> list[HistoryLine]:
    """Every entry in the order of its moment, those that another one corrects as well."""
    rows = sorted(batch.entries.all(), key=lambda r: (r.at, r.pk))
    replaced = {row.corrects for row in rows if row.corrects}
    by_key = {row.pk: row for row in rows}
    return [
        HistoryLine(row, as_entry(row).mbq(now), row.pk in replaced, by_key.get(row.corrects) if row.corrects else None)
        for row in rows
    ]


def others(request: HttpRequest, batch: Batch) -> list[tuple[str, str]]:
    return [(str(site.pk), site.name) for site in sites_for(request) if site.pk != batch.site_id]


NEEDS = {
    "release": Verb.RECEIVE_TRACER,
    "accept": Verb.ACCEPT_BATCH,
    "lose": Verb.ACCEPT_BATCH,
    "spend": Verb.DRAW,
    "bench": Verb.DRAW,
}


def act(request: HttpRequest, row: Batch, what: str, form) -> None:
    """One of the verbs that the batch's state allows; a refusal is put on its form."""
    if not request.acting.may(NEEDS[what]):
        raise PermissionDenied(f"You may not {what} a batch")
    now, by, given = request.now, request.acting.actor, form.cleaned_data
    try:
        if what == "release":
            services.release_batch(
                row,
                released_by=given["released_by"],
                released_at=given["released_at"],
                certificate=given["certificate"],
                now=now,
                by=by,
            )
            messages.success(request, "The supplier's release is recorded. Somebody now accepts it for use here.")
        elif what == "accept":
            services.accept_batch(row, now=now, by=by, despite=given.get("despite", ""))
            messages.success(request, f"Batch {row.number} may be used.")
        elif what == "lose":
            refusing = row.state in (BatchState.RECEIVED, BatchState.SUPPLIER_RELEASED) and "reject" in request.POST
            verb = services.reject_batch if refusing else services.fail_batch
            event = verb(row, cause=form.given_cause(), now=now, by=by)
            messages.warning(request, f"Not to be used. Appointments without activity: {len(event.data['displaced'])}.")
        elif what == "bench":
            beside(request, row, given)
        else:
            left = given["activity_mbq"]
            services.spend_batch(
                row, activity_mbq=None if left is None else float(left), at=given["at"], instrument=given["instrument"],
                now=now, by=by,
            )  # fmt: skip
            messages.success(request, "Spent: what was left is in the waste.")
    except services.NotDone as refused:
        for reason in refused.reasons:
            form.add_error(None, reason)
    except (Stale, IllegalMove):
        form.add_error(None, "Somebody was there first: look at what happened below")


def beside(request: HttpRequest, row: Batch, given) -> None:
    """A spill, a sample, a count, something sent back or on. Raises NotDone."""
    now, by = request.now, request.acting.actor
    volume = given["volume_ml"]
    reading = services.Reading(
        float(given["activity_mbq"]), given["at"], given["instrument"], None if volume is None else float(volume)
    )
    match given["act"]:
        case "count":
            asked = services.count_vial(row, reading, now=now, by=by)
            if asked is not None:
                messages.warning(request, f"It does not agree with the ledger: {asked.data['said']}.")
                return
        case "sample":
            services.sample(row, reading, note=given["note"], now=now, by=by)
        case "spill":
            services.spill(row, reading, where=given["note"], now=now, by=by)
        case "return":
            services.send_back(row, reading, reason=given["note"], now=now, by=by)
        case _:
            to = get_object_or_404(sites_for(request), pk=given["to"])
            services.transfer(row, reading, to=to, now=now, by=by)
    messages.success(request, "It is in the ledger.")

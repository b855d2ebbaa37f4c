"""A dose on the bench: drawn, labelled, its residual measured, wasted with a cause."""

from collections.abc import Mapping
from datetime import datetime, time, timedelta
from typing import Any
from uuid import UUID

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone

from gantry.apps.accounts.access import requires
from gantry.apps.audit.services import Stale
from gantry.apps.audit.timeline import timeline
from gantry.apps.booking.models import Appointment
from gantry.apps.estate.models import Site
from gantry.apps.estate.services import why_not_measured_with
from gantry.apps.radiopharmacy import services
from gantry.apps.radiopharmacy.barcodes import code_128
from gantry.apps.radiopharmacy.forms import AssignForm, CheckForm, DrawForm, ResidualForm, ReturnForm, WasteForm
from gantry.apps.radiopharmacy.models import Batch, Dose
from gantry.apps.radiopharmacy.services.doses import residual_of
from gantry.apps.radiopharmacy.services.prescribing import advice_for
from gantry.apps.radiopharmacy.services.stock import as_received, drawn_for
from gantry.apps.radiopharmacy.views.sites import usual_instrument, zone_of
from gantry.apps.radiopharmacy.views.today import SEES, name_of
from gantry.domain.access import Scope, Verb
from gantry.domain.appointment import ACTIVE
from gantry.domain.decay import Assay, Nuclide, why_not_plausible
from gantry.domain.implausible import residual_findings
from gantry.domain.instrument import DeviceKind
from gantry.domain.lifecycle import IllegalMove
from gantry.domain.supply import IN_HAND, Difference, DoseState, volume_ml
from gantry.reference.hot_lab import DELIVERY_TOLERANCE_PERCENT
from gantry.reference.nuclides import NUCLIDES
from gantry.reference.protocols import product_of

NOBODYS = (DoseState.PREPARED, DoseState.RECEIVED)
"""In hand, and for nobody yet."""


def waiting_for(batch: Batch, now: datetime, scope: Scope) -> list[Appointment]:
    return people_for(batch.site, batch.tracer, now, scope)


def people_for(site: Site, tracer: str, now: datetime, scope: Scope) -> list[Appointment]:
    """Today's people for this product who have no dose yet, in the order of their injections."""
    zone = zone_of(site)
    start = datetime.combine(now.astimezone(zone).date(), time(), tzinfo=zone)
    served = (
        Dose.objects.for_user(scope)
        .filter(appointment__isnull=False, state__in=[DoseState.ASSIGNED, DoseState.ADMINISTERED])
        .values("appointment")
    )
    rows = Appointment.objects.for_user(scope).filter(
        site=site,
        injection_at__range=(start, start + timedelta(days=1)),
        state__in=[state.value for state in ACTIVE],
    )
    rows = rows.exclude(pk__in=served).select_related(
        "referral__patient", "procedure", "authorisation__practitioner", "authorisation__procedure__referral", "site"
    )
    return [row for row in rows.order_by("injection_at") if product_of(row.procedure.tracer) == tracer]


@requires(Verb.DRAW)
def draw(request: HttpRequest, key: UUID) -> HttpResponse:
    """Draws a dose, for somebody or for nobody yet; the volume to draw is worked out for each person."""
    row = get_object_or_404(
        Batch.objects.for_user(request.acting.scope)
        .select_related("site")
        .prefetch_related("deliveries", "doses", "waste", "entries"),
        pk=key,
    )
    zone, refused = zone_of(row.site), request.POST.get("refused") == "1"
    people = waiting_for(row, request.now, request.acting.scope)
    with timezone.override(zone):
        plan = [plan_for(row, person, request.now) for person in people]
        choices = [(str(p["appointment"].pk), p["words"]) for p in plan]
        initial = {
            "appointment": request.GET.get("for", ""),
            "instrument": usual_instrument(request, row.site),
            "nuclide": services.nuclide_of(row.tracer).symbol,
        }
        form = DrawForm(
            request.POST or None, initial=initial, people=choices, refused=refused, now=request.now, zone=zone
        )  # fmt: skip
        reasons: list[str] = []
        may_override = False
        if request.method == "POST" and form.is_valid():
            try:
                return drawn(request, row, form)
            except services.NotDone as why:
                reasons, may_override = why.reasons, why.may_override
        if reasons and not refused:
            form = DrawForm(request.POST, people=choices, refused=True, now=request.now, zone=zone)
        return render(
            request,
            "tracer/draw.html",
            {
                "batch": row,
                "tracer": name_of(row.tracer),
                "left": services.left_in(row, request.now),
                "plan": plan,
                "form": form,
                "reasons": reasons,
                "may_override": may_override,
                "chosen": next((p for p in plan if str(p["appointment"].pk) == asked_for(request, form)), None),
                "untested": why_not_measured_with(
                    row.site, str(form["instrument"].value() or ""), kind=DeviceKind.CALIBRATOR, at=request.now
                )
                if form["instrument"].value()
                else [],
            },
            status=422 if form.errors or reasons else 200,
        )


def asked_for(request: HttpRequest, form: DrawForm) -> str:
    return str(form["appointment"].value() or request.GET.get("for", ""))


def plan_for(batch: Batch, appointment: Appointment, now: datetime) -> dict[str, object]:
    """What to draw now so that the prescribed activity is there at the planned injection."""
    advice = advice_for(appointment, now=now)
    prescribed = advice.prescribed_mbq
    at = max(now, appointment.injection_at)
    want = Assay(services.nuclide_of(batch.tracer), prescribed, at).activity_at(now) if prescribed else None
    volume = volume_ml(want, as_received(batch), batch.volume_ml, now) if want and batch.volume_ml else None
    name, clock = appointment.referral.patient.name, timezone.localtime(appointment.injection_at)
    return {
        "appointment": appointment,
        "patient": appointment.referral.patient,
        "prescribed": prescribed,
        "advice": advice,
        "now_mbq": want,
        "volume_ml": volume,
        "words": f"{clock:%H:%M} {name}" + (f", {want:.0f} MBq now" if want else ""),
    }


def wanted_now(batch: Batch, appointment: Appointment, at: datetime) -> float:
    """What the prescription comes to at the moment of drawing."""
    prescribed = advice_for(appointment, now=at).prescribed_mbq
    return Assay(services.nuclide_of(batch.tracer), prescribed, max(at, appointment.injection_at)).activity_at(at)


def read_as(given: Mapping[str, Any]) -> Nuclide | None:
    """What the calibrator was set to; None where nobody read it."""
    return NUCLIDES[given["nuclide"]].value if given["nuclide"] else None


def drawn(request: HttpRequest, batch: Batch, form: DrawForm) -> HttpResponse:
    """Raises NotDone."""
    given, now, by = form.cleaned_data, request.now, request.acting.actor
    happened, volume = bool(given.get("already_happened")), given["volume_ml"]
    person = None
    if given["appointment"]:
        person = get_object_or_404(Appointment.objects.for_user(request.acting.scope), pk=given["appointment"])
    dose = services.draw(
        batch,
        activity_mbq=float(given["activity_mbq"]),
        at=given["at"],
        instrument=given["instrument"],
        volume_ml=None if volume is None else float(volume),
        barcode=given["barcode"],
        now=now,
        by=by,
        wanted_mbq=wanted_now(batch, person, given["at"]) if person else None,
        nuclide=read_as(given),
        override_reason=given.get("override_reason", ""),
        already_happened=happened,
    )
    request.session["instrument"] = given["instrument"]
    if person is not None:
        services.assign(dose, person, now=now, by=by, already_happened=happened)
    messages.success(request, f"Dose {dose.container.barcode} is drawn. Print its label.")
    return redirect("tracer:dose", dose.pk)


@requires(*SEES)
def dose(request: HttpRequest, key: UUID) -> HttpResponse:
    row = get_object_or_404(
        Dose.objects.for_user(request.acting.scope).select_related(
            "container", "batch", "site", "appointment__referral__patient"
        ),
        pk=key,
    )
    zone, what = zone_of(row.site), request.POST.get("what", "")
    initial = {"instrument": usual_instrument(request, row.site)}
    told = {"now": request.now, "zone": zone}
    residual = ResidualForm(
        request.POST if what == "residual" else None, prefix="left",
        initial=initial | {"nuclide": services.nuclide_of(row.tracer).symbol}, **told,
    )  # fmt: skip
    wasting = WasteForm(request.POST if what == "waste" else None, prefix="waste", **told)
    check = CheckForm(request.POST if what == "check" else None, prefix="check", initial=initial, **told)
    back = ReturnForm(request.POST if what == "return" else None, prefix="back", **told)
    people = people_for(row.site, row.tracer, request.now, request.acting.scope) if row.state in NOBODYS else []
    with timezone.override(zone):
        choices = [(str(p.pk), f"{timezone.localtime(p.injection_at):%H:%M} {p.referral.patient.name}") for p in people]
        assigning = AssignForm(request.POST if what == "assign" else None, prefix="assign", people=choices, **told)
        form = {"residual": residual, "waste": wasting, "check": check, "return": back, "assign": assigning}.get(what)
        may = request.acting.may(Verb.DRAW)
        if request.method == "POST" and may and form is not None and form.is_valid():
            settle(request, row, what, form)
            if not form.errors:
                return redirect("tracer:dose", row.pk)
        before = drawn_for(row)
        return render(
            request,
            "tracer/dose.html",
            {
                "dose": row,
                "tracer": name_of(row.tracer),
                "now_mbq": before.activity_at(request.now),
                "doubts": doubts_of(row, request.now),
                "check": check,
                "residual": residual,
                "wasting": wasting,
                "back": back,
                "assigning": assigning if choices else None,
                "in_hand": row.state in IN_HAND,
                "returnable": row.state in NOBODYS or (row.state == DoseState.ASSIGNED and row.stated_mbq is not None),
                "difference": stated_against(row),
                "events": timeline(row.pk),
                "may_draw": may,
            },
            status=422 if form is not None and form.errors else 200,
        )


def stated_against(row: Dose) -> Difference | None:
    """A unit dose as it was measured, against its supplier's label."""
    if row.stated_mbq is None:
        return None
    stated = Assay(services.nuclide_of(row.tracer), row.stated_mbq, row.batch.reference_at)
    return Difference(row.drawn_mbq, stated.activity_at(row.drawn_at), DELIVERY_TOLERANCE_PERCENT.value)


def doubts_of(row: Dose, now: datetime) -> list[str]:
    """What looks wrong about a dose, before it was given or after."""
    if row.injected_at is None:
        return services.why_not_itself(row)
    residual, before = residual_of(row), drawn_for(row)
    named = residual_findings(before, residual, row.injected_at, now=now) if residual else []
    return [str(each) for each in named] + why_not_plausible(before, residual, row.injected_at)


def settle(request: HttpRequest, row: Dose, what: str, form) -> None:
    given, now, by = form.cleaned_data, request.now, request.acting.actor
    try:
        if what == "residual":
            services.assay_residual(
                row,
                activity_mbq=float(given["activity_mbq"]),
                at=given["at"],
                instrument=given["instrument"],
                now=now,
                by=by,
                nuclide=read_as(given),
            )
            request.session["instrument"] = given["instrument"]
            messages.success(
                request, f"Net given: {row.net_mbq:.1f} MBq at {timezone.localtime(row.injected_at):%H:%M}."
            )
        elif what == "check":
            reasons = services.check_dose(
                row,
                activity_mbq=float(given["activity_mbq"]),
                at=given["at"],
                instrument=given["instrument"],
                now=now,
                by=by,
            )
            request.session["instrument"] = given["instrument"]
            if reasons:
                messages.error(request, "It is not what its label says. It may not be given until somebody knows why.")
            else:
                messages.success(request, "It is what its label says.")
        elif what == "assign":
            person = get_object_or_404(Appointment.objects.for_user(request.acting.scope), pk=given["appointment"])
            services.assign(row, person, now=now, by=by)
            messages.success(request, "It is theirs. Print its label.")
        elif what == "return":
            services.return_dose(row, reason=given["reason"], at=given["at"], now=now, by=by)
            messages.success(request, "Sent back unopened: it is in the ledger.")
        else:
            services.waste(row, cause=form.given_cause(), at=given["at"], now=now, by=by)
            messages.success(request, "Wasted, with its cause.")
    except services.NotDone as refused:
        for reason in refused.reasons:
            form.add_error(None, reason)
    except (Stale, IllegalMove):
        form.add_error(None, "Somebody was there first: look at what happened below")


@requires(*SEES)
def label(request: HttpRequest, key: UUID) -> HttpResponse:
    row = get_object_or_404(
        Dose.objects.for_user(request.acting.scope).select_related(
            "container", "batch", "site", "appointment__referral__patient"
        ),
        pk=key,
    )
    patient = row.appointment.referral.patient if row.appointment else None
    with timezone.override(zone_of(row.site)):
        return render(
            request,
            "tracer/label.html",
            {
                "dose": row,
                "patient": patient,
                "tracer": name_of(row.tracer),
                "barcode": code_128(row.container.barcode),
                "back": f"/tracer/doses/{row.pk}/",
            },
        )

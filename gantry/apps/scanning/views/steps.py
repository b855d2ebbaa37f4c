"""Taps of a room: a movement at once, a measurement on its own page, a correction with its reason, and the way home."""

from uuid import UUID

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.views.decorators.http import require_POST

from gantry.apps.accounts.access import requires
from gantry.apps.audit.services import Stale
from gantry.apps.booking.services import Refused
from gantry.apps.scanning.forms import CorrectForm, EndForm, StepForm
from gantry.apps.scanning.models import StepDone, Visit
from gantry.apps.scanning.services import visits
from gantry.apps.scanning.services.board import DONE_WORDS, ONE_TAP
from gantry.apps.scanning.services.steps import completed, meters_at
from gantry.apps.scanning.views.site import visit_for, zone_of
from gantry.domain.access import Verb
from gantry.domain.lifecycle import IllegalMove
from gantry.domain.scan import Act, Phase, ProtocolStep


def back(request: HttpRequest, visit: Visit) -> HttpResponse:
    """To the page the tap came from: the board, or the person's day."""
    if request.POST.get("from") == "visit":
        return redirect("scanning:visit", visit.pk)
    return redirect("scanning:board", visit.site_id)


def step_for(visit: Visit, key: str) -> ProtocolStep:
    try:
        return visits.protocol_of(visit).step(key)
    except KeyError:
        raise Http404("step") from None


def who_first(request: HttpRequest, stale: Stale) -> None:
    last = stale.last
    said = f" {last.by_name}, {timezone.localtime(last.recorded_at):%H:%M}." if last else ""
    messages.warning(request, f"Somebody was there first; nothing was recorded twice.{said}")


@requires(Verb.RECORD_ACT)
@require_POST
def arrive(request: HttpRequest, key: UUID) -> HttpResponse:
    visit = visit_for(request, key)
    with timezone.override(zone_of(visit.site)):
        try:
            visits.arrive(visit, happened_at=request.now, now=request.now, by=request.acting.actor)
        except (Stale, IllegalMove) as moved:
            if isinstance(moved, Stale):
                who_first(request, moved)
            else:
                messages.warning(request, "This person is already recorded as here, or is no longer expected.")
    return back(request, visit)


@requires(Verb.RECORD_ACT)
def step(request: HttpRequest, key: UUID, step: str) -> HttpResponse:
    """A tap records now. Opened, or with something to type, it is a page; both record by the same verb."""
    visit = visit_for(request, key)
    node = step_for(visit, step)
    if node.act is Act.INJECT:
        return redirect("scanning:inject", visit.pk, step)
    phase = Phase(request.POST.get("phase") or request.GET.get("phase") or next_phase(visit, node))
    tapped = request.method == "POST" and request.POST.get("tap") == "1" and node.act in ONE_TAP
    data = {"happened_at": "now", "complete": "yes"} if tapped else request.POST or None
    zone = zone_of(visit.site)
    meters = meters_at(visit.site) if node.act is Act.GLUCOSE else ()
    form = StepForm(data, act=node.act, ending=phase is Phase.DONE, meters=meters, now=request.now, zone=zone)
    with timezone.override(zone):
        if request.method == "POST" and form.is_valid():
            try:
                done = visits.record_step(
                    visit,
                    step,
                    phase=phase,
                    happened_at=form.cleaned_data["happened_at"],
                    now=request.now,
                    by=request.acting.actor,
                    extra=form.extra(),
                )
            except visits.AlreadyRecorded as earlier:
                said = timezone.localtime(earlier.step.happened_at)
                messages.warning(request, f"{node.label} was recorded by {earlier.step.by_name} at {said:%H:%M}.")
                return back(request, visit)
            for reason in done.breach:
                messages.warning(request, f"Recorded. {reason}.")
            return back(request, visit)
        context = {
            "visit": visit,
            "patient": visit.appointment.referral.patient,
            "node": node,
            "title": DONE_WORDS.get(node.act, node.label),
            "phase": phase,
            "form": form,
            "from_page": request.GET.get("from", request.POST.get("from", "")),
        }
        return render(request, "scanning/step.html", context, status=422 if form.errors else 200)


def next_phase(visit: Visit, node: ProtocolStep) -> str:
    began = visit.steps.filter(key=node.key, phase=Phase.START, current=True).exists()
    return Phase.START if node.has_start and not began else Phase.DONE


@requires(Verb.RECORD_ACT)
def correct(request: HttpRequest, key: UUID) -> HttpResponse:
    done = get_object_or_404(StepDone.objects.for_user(request.acting.scope), pk=key)
    visit = visit_for(request, done.visit_id)
    node, zone = step_for(visit, done.key), zone_of(visit.site)
    form = CorrectForm(request.POST or None, now=request.now, zone=zone)
    if node.act is Act.INJECT:
        del form.fields["withdraw"]
        form.fields["happened_at"].required = True
    with timezone.override(zone):
        if request.method == "POST" and form.is_valid():
            try:
                visits.correct_step(
                    done,
                    happened_at=form.cleaned_data["happened_at"],
                    reason=form.cleaned_data["reason"],
                    now=request.now,
                    by=request.acting.actor,
                )
                messages.success(request, f"{node.label} corrected. The first entry is kept.")
            except Stale as stale:
                who_first(request, stale)
            return redirect("scanning:visit", visit.pk)
        context = {"visit": visit, "patient": visit.appointment.referral.patient, "done": done, "node": node}
        return render(request, "scanning/correct.html", {**context, "form": form}, status=422 if form.errors else 200)


@requires(Verb.RECORD_ACT)
def leave(request: HttpRequest, key: UUID) -> HttpResponse:
    """The way home: after a whole scan, early after an injection, or turned away before one."""
    visit = visit_for(request, key)
    whole, injected, zone = completed(visit), visit.injections.exists(), zone_of(visit.site)
    data = {"happened_at": "now", "note": ""} if whole and request.POST.get("tap") == "1" else request.POST or None
    form = EndForm(data, whole=whole, now=request.now, zone=zone)
    with timezone.override(zone):
        if request.method == "POST" and form.is_valid():
            at, by, cause = form.cleaned_data["happened_at"], request.acting.actor, form.given_cause()
            try:
                visits.leave(visit, happened_at=at, now=request.now, by=by, cause=cause)
            except Stale as stale:
                who_first(request, stale)
            except IllegalMove:
                messages.warning(request, "This person is not recorded as here.")
            except Refused as refused:
                form.add_error("cause", " ".join(refused.reasons))
            if not form.errors:
                for dose in visits.unused_doses(visit):
                    messages.warning(request, f"Dose {dose.container.barcode} was drawn for them: record its waste.")
                return back(request, visit)
        return render(
            request,
            "scanning/leave.html",
            {
                "visit": visit,
                "patient": visit.appointment.referral.patient,
                "form": form,
                "whole": whole,
                "injected": injected,
                "from_page": request.GET.get("from", request.POST.get("from", "")),
            },
            status=422 if form.errors else 200,
        )

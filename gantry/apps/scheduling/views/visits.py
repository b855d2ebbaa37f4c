"""One visit of a day: why it is at its time, what the next best would cost, and when the patient can come."""

from uuid import UUID
from zoneinfo import ZoneInfo

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone

from gantry.apps.accounts.access import requires
from gantry.apps.booking.models import Appointment
from gantry.apps.radiopharmacy.views.sites import sites_for
from gantry.apps.scheduling.forms import TimesForm
from gantry.apps.scheduling.models import Fitting, StatedTimes
from gantry.apps.scheduling.services import noting
from gantry.apps.scheduling.services.explaining import Explained, explain
from gantry.apps.scheduling.services.refusals import NotPossible
from gantry.apps.scheduling.views.days import seen
from gantry.apps.scheduling.views.odd import in_words
from gantry.apps.scheduling.views.wording import COSTS, changed, clock, worded
from gantry.domain.access import Verb
from gantry.domain.scheduling.costs import Costs
from gantry.domain.scheduling.problem import PlannedVisit

SECONDS = 3.0
"""How long somebody waits for the answer in which others may move too."""


@requires(Verb.SEE_BOARD)
@in_words
def visit(request: HttpRequest, appointment: UUID) -> HttpResponse:
    rows = Appointment.objects.for_user(request.acting.scope).select_related("site", "referral__patient")
    row = get_object_or_404(rows, pk=appointment, site__in=sites_for(request))
    zone = ZoneInfo(row.site.zone)
    with timezone.override(zone):
        stated = StatedTimes.objects.for_user(request.acting.scope).filter(referral=row.referral_id).first()
        may_note = request.acting.may(Verb.BOOK)
        times = TimesForm(
            request.POST if request.POST.get("what") == "times" else None,
            prefix="times", now=request.now, zone=zone, initial=said(stated),
        )  # fmt: skip
        if request.POST.get("what") == "times" and may_note and noted(request, row, times):
            return redirect("scheduling:visit", row.pk)
        asked = request.POST.get("what") == "wider"
        found = explain(row, now=request.now, seconds=SECONDS if asked else 0.0)
        if found is None:
            raise Http404("visit")
        return render(
            request,
            "scheduling/visit.html",
            {
                "row": row,
                "on": row.arrival_at.astimezone(zone).date(),
                "stated": stated,
                "times": times,
                "may_note": may_note,
                "asked": asked,
                "may_plan": may_note and request.acting.may(Verb.OWN_FAILURES),
                **shown(request, row, found, zone),
            },
            status=422 if times.errors else 200,
        )


def shown(request: HttpRequest, row: Appointment, found: Explained, zone: ZoneInfo) -> dict[str, object]:
    built, names = found.judged.built, seen(request, found.judged.built)
    at = built.at(found.visit.scan_min)
    facts: dict[str, object] = {
        "scan_at": at,
        "arrives_at": built.at(found.visit.injection_min - found.patient.preparation_min),
        "injected_at": built.at(found.visit.injection_min),
        "drafted": found.visit.patient in found.judged.changed,
        "reasons": [worded(each, built, names, zone) for each in found.reasons],
        "weighed": found.weighed,
        "needs": [labelled(each) for each in sorted(found.patient.needs)],
        "lock": built.locks.get(found.visit.patient),
        "movable": found.movable,
        "other": None,
        "wider": None,
    }
    priced_runs = any(d.price_pence_per_gbq for d in built.day.deliveries)
    if found.other is not None:
        facts["other"] = told(found, found.other.visit, found.other.more, zone, priced_runs=priced_runs)
    if found.wider is not None:
        wider = found.wider
        facts["wider"] = told(found, wider.visit or found.visit, wider.more, zone, priced_runs=priced_runs)
        facts["wider"] |= {"left_out": wider.visit is None, "proved": wider.proved}
    return facts


def told(
    found: Explained, then: PlannedVisit, more: Costs, zone: ZoneInfo, *, priced_runs: bool
) -> dict[str, object]:  # fmt: skip
    """Another time of the same person, and what it costs against the one they have."""
    built = found.judged.built
    arrives = built.at(then.injection_min - found.patient.preparation_min)
    return {
        "arrives_at": arrives,
        "injected_at": built.at(then.injection_min),
        "scan_at": built.at(then.scan_min),
        "scanner": built.scanners[then.scanner],
        "typed": clock(arrives, zone),
        "later": lasting(abs(then.scan_min - found.visit.scan_min)),
        "sooner": then.scan_min < found.visit.scan_min,
        "costs": list(zip(COSTS, changed(more, priced_runs=priced_runs), strict=True)),
    }


def lasting(minutes: int) -> str:
    hours, rest = divmod(minutes, 60)
    said = [f"{hours} hour{'' if hours == 1 else 's'}"] if hours else []
    said += [f"{rest} minutes"] if rest or not hours else []
    return " ".join(said)


def labelled(need: str) -> str:
    return dict(Fitting.choices).get(need, need.replace("_", " ").capitalize())


def said(stated: StatedTimes | None) -> dict[str, object]:
    names = ("arrive_from", "arrive_by", "suits_from", "suits_to", "why")
    return {name: getattr(stated, name) for name in names} if stated else {}


def noted(request: HttpRequest, row: Appointment, times: TimesForm) -> bool:
    """True when the page is to be loaded again."""
    if not times.is_valid():
        return False
    try:
        noting.note_times(
            row.referral, times.given(), why=times.cleaned_data["why"], now=request.now, by=request.acting.actor
        )
    except NotPossible as refused:
        for reason in refused.reasons:
            times.add_error(None, reason)
        return False
    messages.success(request, "Noted: plans and recoveries of this patient's day keep to it from now on.")
    return True

"""Somebody says in one line what has gone wrong; the next page is what can be done about it."""

from datetime import date, datetime, time
from uuid import UUID
from zoneinfo import ZoneInfo

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone

from gantry.apps.accounts.access import requires
from gantry.apps.audit.models import Event
from gantry.apps.booking.models import Appointment
from gantry.apps.estate.models import Site
from gantry.apps.radiopharmacy.models import SupplyRun
from gantry.apps.radiopharmacy.views.sites import sites_for
from gantry.apps.scheduling.forms import ACTS, PRODUCTION, TroubleForm
from gantry.apps.scheduling.services import telling
from gantry.apps.scheduling.services.refusals import NotPossible
from gantry.apps.scheduling.services.telling import Said
from gantry.domain.access import Verb
from gantry.domain.scheduling.failures import FailureKind


@requires(Verb.OWN_FAILURES, Verb.RECORD_ACT, Verb.BOOK)
def tell(request: HttpRequest, site: UUID, on: str) -> HttpResponse:
    place = sites_for(request).filter(pk=site).first()
    try:
        local = date.fromisoformat(on)
    except ValueError:
        raise Http404("day") from None
    if place is None:
        raise Http404("site")
    zone = ZoneInfo(place.zone)
    with timezone.override(zone):
        forms = forms_for(request, place, local, zone)
        what = request.POST.get("what", "")
        form = forms.get(what)
        if request.method == "POST" and form is not None and form.is_valid():
            event = told(request, place, local, what, form)
            if event is not None:
                return redirect("scheduling:recover", event.pk)
        shown = [(kind, *ACTS[kind], form) for kind, form in forms.items()]
        wrong = form is not None and bool(form.errors)
        return render(
            request,
            "scheduling/tell.html",
            {"site": place, "on": local, "shown": shown, "posted": form if wrong else None},
            status=422 if wrong else 200,
        )


def forms_for(request: HttpRequest, site: Site, on: date, zone: ZoneInfo) -> dict[str, TroubleForm]:
    """Only what can go wrong here: no patient form on an empty day, no delivery form without a delivery."""
    midnight = datetime.combine(on, time(), zone)
    near = SupplyRun.objects.for_user(request.acting.scope).filter(site=site).order_by("due_at")
    runs = list(near.filter(due_at__gte=midnight, due_at__lte=midnight.replace(hour=23, minute=59)))
    people = (
        Appointment.objects.for_user(request.acting.scope)
        .filter(site=site, arrival_at__gte=midnight, arrival_at__lte=midnight.replace(hour=23, minute=59))
        .filter(state__in=["booked", "told", "arrived"])
        .select_related("referral__patient")
        .order_by("arrival_at")
    )
    choices = {
        "run": [(str(r.pk), f"{r.due_at.astimezone(zone):%H:%M} {r.tracer} from {r.production_site}") for r in runs],
        "production": [(name, name) for name in sorted({r.production_site for r in runs})],
        "patient": [
            (str(a.pk), f"{a.arrival_at.astimezone(zone):%H:%M} {a.referral.patient.name}") for a in people
        ],
    }  # fmt: skip
    what = request.POST.get("what", "")
    found = {}
    for kind in ACTS:
        form = TroubleForm(
            request.POST if what == kind else None,
            kind=kind,
            choices=choices,
            midnight=midnight,
            now=request.now,
            zone=zone,
            initial={name: request.GET.get(name, "") for name in ("run", "patient")},
        )
        if all(choices[name] for name in choices if name in form.fields):
            found[str(kind)] = form
    return found


def told(request: HttpRequest, site: Site, on: date, what: str, form: TroubleForm) -> Event | None:
    """The root event, or the reasons why not on the form."""
    given, now, by = form.cleaned_data, request.now, request.acting.actor
    try:
        if what == PRODUCTION:
            runs = telling.runs_of(given["production"], site, on)
            if not request.acting.may(Verb.OWN_FAILURES):
                # One event for every site that it feeds; who owns no failures says it of their own sites.
                seen = {each.pk for each in sites_for(request)}
                runs = [run for run in runs if run.site_id in seen]
            return telling.tell_production_failed(runs, note=given["note"], now=now, by=by)
        scope = request.acting.scope
        run = SupplyRun.objects.for_user(scope).filter(pk=given["run"]).first() if given.get("run") else None
        patient = (
            Appointment.objects.for_user(scope).filter(pk=given["patient"]).first() if given.get("patient") else None
        )
        mbq = given.get("mbq")
        said = Said(
            FailureKind(what),
            run=run,
            patient=patient,
            since=form.at("since"),
            until=form.at("until"),
            mbq=float(mbq) if mbq is not None else None,
            shut=bool(given.get("shut")),
            by_transport=given.get("why") == "transport",
        )
        return telling.tell(site, on, said, now=now, by=by)
    except NotPossible as refused:
        for reason in refused.reasons:
            form.add_error(None, reason)
        return None

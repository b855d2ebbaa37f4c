"""A scanner today: its daily test, its faults, and being in use again."""

from uuid import UUID

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone

from gantry.apps.accounts.access import requires
from gantry.apps.audit.services import Stale
from gantry.apps.audit.timeline import timeline
from gantry.apps.estate import services as estate
from gantry.apps.estate.models import Scanner
from gantry.apps.scanning.forms import FaultForm, RestoreForm, ScannerTestForm, cause_from
from gantry.apps.scanning.services.scanners import scanners_at
from gantry.apps.scanning.views.site import site_for, zone_of
from gantry.domain.access import Verb


@requires(Verb.RECORD_ACT)
def scanner(request: HttpRequest, site: UUID, key: UUID) -> HttpResponse:
    place = site_for(request, site)
    row = next((s for s in scanners_at(place, request.now) if s.pk == key), None)
    if row is None:
        raise Http404("scanner")
    zone = zone_of(place)
    fault = row.faults.filter(to_at=None).order_by("-from_at").first()
    what = request.POST.get("what", "")
    forms = {
        "test": ScannerTestForm(request.POST if what == "test" else None, prefix="test", now=request.now, zone=zone),
        "restore" if fault else "fault": (RestoreForm if fault else FaultForm)(
            request.POST if what in ("restore", "fault") else None, prefix="state", now=request.now, zone=zone
        ),
    }
    with timezone.override(zone):
        form = forms.get(what)
        if request.method == "POST" and form is not None and form.is_valid():
            record(request, place, row, fault, what, form.cleaned_data)
            return redirect("scanning:scanner", place.pk, row.pk)
        return render(
            request,
            "scanning/scanner.html",
            {
                "site": place,
                "scanner": row,
                "fault": fault,
                "forms": forms,
                "unfit": estate.why_not_fit(row, zone=place.zone, at=request.now),
                "events": timeline(row.pk)[:20],
            },
            status=422 if form is not None and form.errors else 200,
        )


def record(request: HttpRequest, site, row: Scanner, fault, what: str, given: dict) -> None:
    now, by = request.now, request.acting.actor
    if what == "test":
        passed = given["passed"] == "yes"
        estate.record_test(row, passed=passed, at=given["at"], now=now, by=by, site=site, note=given["note"])
        messages.success(request, f"{row}: test {'passed' if passed else 'failed'}.")
    elif what == "fault":
        cause = cause_from(given["cause"], given["note"])
        estate.record_fault(row, cause=cause, at=given["at"], now=now, by=by, site=site, note=given["note"])
        messages.success(request, f"{row} is out of use. Nobody may be injected for it until it is restored.")
    else:
        try:
            estate.restore(fault, at=given["at"], now=now, by=by, site=site)
        except Stale:
            messages.warning(request, "Somebody has restored it already.")

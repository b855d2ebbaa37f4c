"""What the site holds against its permit, what decays in the store, what was disposed of, and what was wasted by whom."""

from dataclasses import dataclass
from datetime import datetime

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone

from gantry.apps.accounts.access import requires
from gantry.apps.estate.models import Site
from gantry.apps.radiopharmacy import services
from gantry.apps.radiopharmacy.forms import DisposalForm, PermitForm
from gantry.apps.radiopharmacy.models import Permit
from gantry.apps.radiopharmacy.services.permits import add_permit, disposals_of, item_ids, month_of, permit_for
from gantry.apps.radiopharmacy.views.sites import site_for, sites_for, zone_of
from gantry.apps.radiopharmacy.views.today import SEES
from gantry.domain.access import Verb
from gantry.reference.hot_lab import TO_SEWER
from gantry.reference.nuclides import NUCLIDES


@dataclass(frozen=True, slots=True)
class Holding:
    """One nuclide against its limits."""

    nuclide: str
    held_mbq: float
    sewer_mbq: float
    permit: Permit | None

    @property
    def over(self) -> bool:
        return self.permit is not None and self.held_mbq > self.permit.holding_mbq

    @property
    def sewer_over(self) -> bool:
        limit = self.permit.sewer_mbq_a_month if self.permit else None
        return limit is not None and self.sewer_mbq > limit


def holdings_of(site: Site, permits: list[Permit], now: datetime) -> list[Holding]:
    on = now.astimezone(zone_of(site)).date()
    named = {permit.nuclide for permit in permits}
    found = []
    for symbol, fact in NUCLIDES.items():
        held = services.held_mbq(site, fact.value, at=now)
        if symbol in named or held >= 0.05:
            sewer = services.sewer_this_month(site, symbol, at=now)
            found.append(Holding(symbol, held, sewer, permit_for(site, symbol, on)))
    return found


@requires(*SEES)
def holdings(request: HttpRequest) -> HttpResponse:
    site, now = site_for(request), request.now
    zone, may = zone_of(site), request.acting.may(Verb.ACCEPT_BATCH)
    what = request.POST.get("what", "")
    form = DisposalForm(request.POST if what == "dispose" else None, now=now, zone=zone)
    permit = PermitForm(request.POST if what == "permit" else None, prefix="permit", now=now, zone=zone)
    stored = services.decay_store(site, at=now)
    with timezone.override(zone):
        asked, verb = (permit, add) if what == "permit" else (form, dispose)
        if request.method == "POST" and asked.is_valid():
            if not may:
                raise PermissionDenied("You may not change holdings")
            if verb(request, site, asked, stored):
                return redirect(f"{reverse('tracer:holdings')}?site={site.pk}")
        first, end = month_of(site, now)
        permits = list(Permit.objects.for_user(request.acting.scope).filter(site=site).order_by("nuclide", "-valid_to"))
        return render(
            request,
            "tracer/holdings.html",
            {
                "site": site,
                "sites": list(sites_for(request)),
                "now": now,
                "holdings": holdings_of(site, permits, now),
                "permits": permits,
                "stored": stored,
                "disposals": disposals_of(site, at=now),
                "waste": services.waste_by_cause(site, first=first, end=end),
                "month": first,
                "sewer": TO_SEWER,
                "form": form,
                "permit_form": permit,
                "may_dispose": may,
            },
            status=422 if form.errors or permit.errors else 200,
        )


def dispose(request: HttpRequest, site: Site, form: DisposalForm, stored) -> bool:
    try:
        wanted = set(item_ids(request.POST.getlist("item")))
    except ValueError:
        wanted = set()
    items = [one.entry for one in stored if one.entry.pk in wanted]
    given = form.cleaned_data
    if not items:
        form.add_error(None, "Tick what has left the store")
        return False
    try:
        row = services.dispose(
            site, route=given["route"], items=items, at=given["at"], now=request.now, by=request.acting.actor,
            override_reason=given["override_reason"],
        )  # fmt: skip
    except services.NotDone as refused:
        for reason in refused.reasons:
            form.add_error(None, reason)
        return False
    messages.success(request, f"{len(items)} gone, {row.activity_mbq:.2f} MBq of {row.nuclide}.")
    return True


def add(request: HttpRequest, site: Site, form: PermitForm, stored) -> bool:
    given = form.cleaned_data
    sewer = given["sewer_mbq_a_month"]
    try:
        row = add_permit(
            site, number=given["number"], nuclide=given["nuclide"], holding_mbq=float(given["holding_mbq"]),
            sewer_mbq_a_month=None if sewer is None else float(sewer), valid_from=given["valid_from"],
            valid_to=given["valid_to"],
        )  # fmt: skip
    except services.NotDone as refused:
        for reason in refused.reasons:
            form.add_error(None, reason)
        return False
    messages.success(request, f"Permit {row.number} for {row.nuclide} is recorded: orders are held against it.")
    return True

"""What the site holds against its permit, what decays in the store, what was disposed of, and what was wasted by whom."""

from dataclasses import dataclass
from datetime import datetime

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils import timezone

from gantry.apps.accounts.access import requires
from gantry.apps.audit.services import Stale
from gantry.apps.estate.models import Site
from gantry.apps.radiopharmacy import services
from gantry.apps.radiopharmacy.forms import DisposalForm, PermitForm, SourceActForm, SourceForm
from gantry.apps.radiopharmacy.models import Permit, SealedSource
from gantry.apps.radiopharmacy.services.investigations import still_open
from gantry.apps.radiopharmacy.services.permits import (
    add_permit,
    disposals_of,
    item_ids,
    month_of,
    months_of,
    permit_for,
)
from gantry.apps.radiopharmacy.services.sources import leak_test, now_mbq, receive_source, source_gone, why_wiped
from gantry.apps.radiopharmacy.views.sites import site_for, sites_for, zone_of
from gantry.apps.radiopharmacy.views.today import SEES
from gantry.domain.access import Verb
from gantry.domain.events import CauseCode
from gantry.domain.permit import WHERE
from gantry.reference.causes import said as cause_said
from gantry.reference.hot_lab import TO_SEWER
from gantry.reference.nuclides import NUCLIDES
from gantry.reference.staff_dose import LEAK_TEST_EVERY


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


@dataclass(frozen=True, slots=True)
class Source:
    """A sealed source that is here, as it is now."""

    row: SealedSource
    now_mbq: float
    wipe: str | None


def sources_of(rows: QuerySet[SealedSource], now: datetime) -> list[Source]:
    return [Source(row, now_mbq(row, now), why_wiped(row, at=now)) for row in rows.order_by("nuclide", "serial")]


def sealed_of(site: Site, sources: list[Source], now: datetime) -> list[Holding]:
    on = now.astimezone(zone_of(site)).date()
    sums: dict[str, float] = {}
    for one in sources:
        sums[one.row.nuclide] = sums.get(one.row.nuclide, 0.0) + one.now_mbq
    return [
        Holding(symbol, mbq, 0.0, permit_for(site, symbol, on, sealed=True)) for symbol, mbq in sorted(sums.items())
    ]


def holdings_of(site: Site, permits: list[Permit], now: datetime) -> list[Holding]:
    on = now.astimezone(zone_of(site)).date()
    named = {permit.nuclide for permit in permits if not permit.sealed}
    found = []
    for symbol, held in services.held_of_each(site, [fact.value for fact in NUCLIDES.values()], at=now).items():
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
    here = SealedSource.objects.for_user(request.acting.scope).filter(site=site)
    sources = sources_of(here.filter(gone_at=None), now)
    names = [(str(one.row.pk), f"{one.row.nuclide} {one.row.serial}") for one in sources]
    source = SourceForm(
        request.POST if what == "source" else None, prefix="source", refused="refused" in request.POST, now=now, zone=zone
    )  # fmt: skip
    change = SourceActForm(
        request.POST if what == "change" else None, prefix="change", sources=names, now=now, zone=zone
    )
    asks = {"permit": (permit, add), "source": (source, take), "change": (change, alter)}
    with timezone.override(zone):
        asked, verb = asks.get(what, (form, dispose))
        if request.method == "POST" and asked.is_valid():
            if not may:
                raise PermissionDenied("You may not change holdings")
            if verb(request, site, asked, stored):
                return redirect(f"{reverse('tracer:holdings')}?site={site.pk}")
            if what == "source" and "already_happened" not in source.fields:
                source = refused_once(source, request, now)
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
                "asked": still_open(request.acting.scope, site=site)[:20],
                "disposals": disposals_of(site, at=now),
                "why": lambda code: cause_said(CauseCode(code), first.date()),
                "waste": services.waste_by_cause(site, first=first, end=end),
                "month": first,
                "sewer": TO_SEWER,
                "sources": sources,
                "sealed": sealed_of(site, sources, now),
                "gone": here.exclude(gone_at=None).order_by("-gone_at")[:10],
                "leak_every": LEAK_TEST_EVERY,
                "source_form": source,
                "change_form": change,
                "form": form,
                "permit_form": permit,
                "may_dispose": may,
            },
            status=422 if any(each.errors for each in (form, permit, source, change)) else 200,
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
    monthly = {
        name: None if given[name] is None else float(given[name])
        for name in ("sewer_mbq_a_month", "solid_mbq_a_month", "contractor_mbq_a_month")
    }
    try:
        row = add_permit(
            site, number=given["number"], nuclide=given["nuclide"], holding_mbq=float(given["holding_mbq"]),
            valid_from=given["valid_from"], valid_to=given["valid_to"], sealed=given["sealed"],
            accumulation_days=given["accumulation_days"], **monthly,
        )  # fmt: skip
    except services.NotDone as refused:
        for reason in refused.reasons:
            form.add_error(None, reason)
        return False
    messages.success(request, f"Permit {row.number} for {row.nuclide} is recorded: orders are held against it.")
    return True


def take(request: HttpRequest, site: Site, form: SourceForm, stored) -> bool:
    try:
        row = receive_source(
            site, form.facts(), at=request.now, now=request.now, by=request.acting.actor,
            already_happened=bool(form.cleaned_data.get("already_happened")),
        )  # fmt: skip
    except services.NotDone as refused:
        for reason in refused.reasons:
            form.add_error(None, reason)
        return False
    messages.success(request, f"Source {row.serial} is held here.")
    return True


def refused_once(form: SourceForm, request: HttpRequest, now: datetime) -> SourceForm:
    """The same form with its errors, and with the way to record what is here all the same."""
    again = SourceForm(request.POST, prefix="source", refused=True, now=now, zone=form.zone)
    again.is_valid()
    for reason in form.non_field_errors():
        again.add_error(None, reason)
    return again


def alter(request: HttpRequest, site: Site, form: SourceActForm, stored) -> bool:
    given, now, by = form.cleaned_data, request.now, request.acting.actor
    rows = SealedSource.objects.for_user(request.acting.scope).filter(site=site)
    row = get_object_or_404(rows, pk=given["source"])
    try:
        if given["act"] == "gone":
            source_gone(row, to=given["to"], at=given["at"], now=now, by=by)
        else:
            leak_test(row, passed=given["act"] == "passed", at=given["at"], now=now, by=by)
    except services.NotDone as refused:
        for reason in refused.reasons:
            form.add_error(None, reason)
        return False
    except Stale:
        form.add_error(None, "It has left already")
        return False
    messages.success(request, f"Recorded of source {row.serial}.")
    return True


@requires(*SEES)
def disposals(request: HttpRequest) -> HttpResponse:
    """What left by each route in each month, against what the permit allows."""
    site = site_for(request)
    with timezone.override(zone_of(site)):
        return render(
            request,
            "tracer/disposals.html",
            {
                "site": site,
                "sites": list(sites_for(request)),
                "months": months_of(site, at=request.now),
                "where": WHERE,
                "sewer": TO_SEWER,
            },
        )

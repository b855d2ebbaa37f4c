"""The site's measuring devices: what they were tested for today, what is due, and recording a test."""

from uuid import UUID

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils import timezone

from gantry.apps.accounts.access import requires
from gantry.apps.estate.models import Device, InstrumentTest, Site
from gantry.apps.estate.services import add_device, latest_tests, record_instrument_test, rules_of
from gantry.apps.radiopharmacy.forms import DeviceForm, DeviceTestForm
from gantry.apps.radiopharmacy.views.sites import site_for, sites_for, zone_of
from gantry.apps.radiopharmacy.views.today import SEES
from gantry.domain.access import Verb
from gantry.domain.instrument import DeviceKind, TestKind, overdue, why_not_trusted
from gantry.reference.hot_lab import DEVICE_TESTS


def state_of(device: Device, now) -> dict[str, object]:
    latest, rules = latest_tests(device, at=now), rules_of(device)
    return {
        "device": device,
        "reasons": why_not_trusted(device.name, latest, rules),
        "overdue": overdue(latest, rules, at=now),
        "latest": {test.kind: test for test in latest},
        "rules": rules,
    }


@requires(*SEES)
def instruments(request: HttpRequest) -> HttpResponse:
    site, now = site_for(request), request.now
    zone, what = zone_of(site), request.POST.get("what", "")
    scope = request.acting.scope
    devices = list(
        Device.objects.for_user(scope).filter(site=site, retired_at=None).select_related("site").order_by("name")
    )
    told = {"now": now, "zone": zone}
    choices = [(str(one.pk), one.name) for one in devices]
    test = DeviceTestForm(request.POST if what == "test" else None, devices=choices, prefix="test", **told)
    adding = DeviceForm(request.POST if what == "device" else None, prefix="device", **told)
    form = {"test": test, "device": adding}.get(what)
    with timezone.override(zone):
        if request.method == "POST" and form is not None and form.is_valid():
            keep(request, site, what, form)
            return redirect(f"{reverse('tracer:instruments')}?site={site.pk}")
        recent = InstrumentTest.objects.for_user(scope).filter(device__site=site).select_related("device")
        return render(
            request,
            "tracer/instruments.html",
            {
                "site": site,
                "sites": list(sites_for(request)),
                "states": [state_of(device, now) for device in devices],
                "recent": recent.order_by("-at", "-pk")[:20],
                "test": test,
                "adding": adding,
                "marks": sorted({fact.mark for rows in DEVICE_TESTS.values() for _, fact in rows if fact.mark}),
                "may_test": request.acting.may(Verb.DRAW),
                "may_add": request.acting.may(Verb.ACCEPT_BATCH),
            },
            status=422 if form is not None and form.errors else 200,
        )


def keep(request: HttpRequest, site: Site, what: str, form) -> None:
    given, now = form.cleaned_data, request.now
    if what == "device":
        if not request.acting.may(Verb.ACCEPT_BATCH):
            raise PermissionDenied("You may not register a device")
        device = add_device(
            site, kind=DeviceKind(given["kind"]), name=given["name"], serial=given["serial"], ae_title=given["ae_title"]
        )
        messages.success(request, f"{device.name} is registered. From now on it needs its tests.")
        return
    if not request.acting.may(Verb.DRAW):
        raise PermissionDenied("You may not record a test")
    device = get_object_or_404(Device.objects.for_user(request.acting.scope), pk=UUID(given["device"]), site=site)
    off, readings = form.off(zone_of(site))
    row = record_instrument_test(
        device, TestKind(given["kind"]), off=off, at=given["at"], now=now, by=request.acting.actor, readings=readings,
        note=given["note"],
    )  # fmt: skip
    said = f"{device.name}, {row.kind}: {row.off_percent:+.1f} %, ±{row.allowed_percent:g} % is allowed."
    (messages.success if row.passed else messages.error)(request, f"{'Passed' if row.passed else 'Failed'}. {said}")

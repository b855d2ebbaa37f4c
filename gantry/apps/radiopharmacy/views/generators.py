"""The site's generators: what an elution should give now, today's breakthrough, and when they come to their end."""

from datetime import timedelta
from uuid import UUID

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils import timezone

from gantry.apps.accounts.access import requires
from gantry.apps.audit.services import Stale
from gantry.apps.audit.timeline import timeline
from gantry.apps.radiopharmacy import services
from gantry.apps.radiopharmacy.forms import BreakthroughForm, EluteForm, GeneratorForm, KitForm
from gantry.apps.radiopharmacy.models import Batch, Elution, Generator, GeneratorDay
from gantry.apps.radiopharmacy.services import generators as verbs
from gantry.apps.radiopharmacy.views.sites import site_for, sites_for, usual_instrument, zone_of
from gantry.apps.radiopharmacy.views.today import SEES
from gantry.domain.access import Verb
from gantry.domain.generator import DayState, Kind
from gantry.domain.lifecycle import IllegalMove
from gantry.reference.generators import ELUTION_YIELD, GENERATORS
from gantry.reference.tracers import TRACERS


@requires(*SEES)
def generators(request: HttpRequest) -> HttpResponse:
    site, now = site_for(request), request.now
    zone, may = zone_of(site), request.acting.may(Verb.ACCEPT_BATCH)
    form = GeneratorForm(request.POST or None, now=now, zone=zone)
    with timezone.override(zone):
        if request.method == "POST" and form.is_valid():
            if not may:
                raise PermissionDenied("You may not install a generator")
            given = form.cleaned_data
            try:
                row = verbs.install(
                    site, kind=given["kind"], number=given["number"], made_at=given["calibrated_at"],
                    calibrated_mbq=float(given["calibrated_mbq"]), calibrated_at=given["calibrated_at"],
                )  # fmt: skip
                return redirect("tracer:generator", row.pk)
            except services.NotDone as refused:
                for reason in refused.reasons:
                    form.add_error(None, reason)
        mine = (
            Generator.objects.for_user(request.acting.scope).filter(site=site, retired_at=None).select_related("site")
        )
        rows = [
            {
                "row": one,
                "kind": verbs.kind_of(one),
                "now_mbq": verbs.expected_mbq(one, at=now),
                "today": today(request, one),
            }
            for one in mine.order_by("number")
        ]
        return render(
            request,
            "tracer/generators.html",
            {"site": site, "sites": list(sites_for(request)), "rows": rows, "form": form, "may": may},
            status=422 if form.errors else 200,
        )


def today(request: HttpRequest, generator: Generator) -> str:
    on = request.now.astimezone(zone_of(generator.site)).date()
    days = GeneratorDay.objects.for_user(request.acting.scope).filter(generator=generator, on=on)
    return str(days.values_list("state", flat=True).first() or DayState.UNTESTED.value)


@requires(*SEES)
def generator(request: HttpRequest, key: UUID) -> HttpResponse:
    row = get_object_or_404(Generator.objects.for_user(request.acting.scope).select_related("site"), pk=key)
    zone, what, now = zone_of(row.site), request.POST.get("what", ""), request.now
    kind, told = verbs.kind_of(row), {"now": now, "zone": zone}
    initial = {"instrument": usual_instrument(request, row.site)}
    elute = EluteForm(request.POST if what == "elute" else None, prefix="elute", initial=initial, **told)
    test = BreakthroughForm(request.POST if what == "test" else None, prefix="test", kind=kind, **told)
    last = row_elutions(request, row).first()
    initial = initial | {"expires_at": now + KIT_LASTS}
    kit = KitForm(
        request.POST if what == "kit" else None, prefix="kit", initial=initial, products=products_of(kind), **told
    )
    form = {"elute": elute, "test": test, "kit": kit}.get(what)
    with timezone.override(zone):
        if request.method == "POST" and form is not None and form.is_valid():
            made = act(request, row, what, form, last)
            if made is not None:
                return redirect("tracer:batch", made.pk)
            if not form.errors:
                return redirect("tracer:generator", row.pk)
        return render(
            request,
            "tracer/generator.html",
            {
                "generator": row,
                "kind": kind,
                "fact": GENERATORS[row.kind],
                "efficiency": ELUTION_YIELD,
                "now_mbq": verbs.expected_mbq(row, at=now),
                "ended": verbs.why_ended(row, at=now),
                "ready_at": verbs.ready_at(row, at=now),
                "today": today(request, row),
                "elutions": row_elutions(request, row).prefetch_related("preparations__batch")[:20],
                "last": last,
                "kit": kit,
                "elute": elute,
                "test": test,
                "events": timeline(row.pk),
                "may_elute": request.acting.may(Verb.DRAW),
                "may_release": request.acting.may(Verb.ACCEPT_BATCH),
                "list": f"{reverse('tracer:generators')}?site={row.site_id}",
            },
            status=422 if form is not None and form.errors else 200,
        )


KIT_LASTS = timedelta(hours=4)
"""What the form proposes; the kit's own leaflet says."""


def row_elutions(request: HttpRequest, row: Generator) -> QuerySet[Elution]:
    return Elution.objects.for_user(request.acting.scope).filter(day__generator=row).order_by("-at")


def products_of(kind: Kind) -> list[tuple[str, str]]:
    """What may be made from its daughter."""
    return [(code, fact.value.name) for code, fact in TRACERS.items() if fact.value.nuclide == kind.daughter]


def act(request: HttpRequest, row: Generator, what: str, form, last: Elution | None) -> Batch | None:
    """Elute, test, or label a kit: the batch that it became."""
    now, by = request.now, request.acting.actor
    needs = Verb.ACCEPT_BATCH if what == "test" else Verb.DRAW
    if not request.acting.may(needs):
        raise PermissionDenied(f"You may not {what} a generator")
    if what == "kit":
        return label(request, form, last)
    if what == "elute":
        given = form.cleaned_data
        reading = services.Reading(
            float(given["activity_mbq"]), given["at"], given["instrument"], float(given["volume_ml"])
        )
        made = verbs.elute(row, reading, now=now, by=by)
        messages.success(request, f"{made.activity_mbq:.0f} MBq of {made.expected_mbq:.0f} MBq expected.")
        return None
    try:
        day = verbs.release_or_block(verbs.day_of(row, now), form.tests(), at=now, now=now, by=by)
    except (IllegalMove, Stale):
        form.add_error(None, "Today has been decided already: look at what happened below")
        return None
    (messages.success if day.state == DayState.RELEASED else messages.error)(
        request, f"The generator is {day.state} today."
    )
    return None


def label(request: HttpRequest, form: KitForm, last: Elution | None) -> Batch | None:
    """A kit, with the latest elution; in quarantine until its quality control is released and accepted."""
    if last is None:
        form.add_error(None, "Nothing has been eluted yet")
        return None
    given, volume = form.cleaned_data, form.cleaned_data["volume_ml"]
    reading = services.Reading(
        float(given["activity_mbq"]), given["at"], given["instrument"], None if volume is None else float(volume)
    )
    try:
        made = verbs.prepare(
            last, reading, tracer=given["tracer"], kit=given["kit"], kit_lot=given["kit_lot"], number=given["number"],
            expires_at=given["expires_at"], now=request.now, by=request.acting.actor,
        )  # fmt: skip
    except services.NotDone as refused:
        for reason in refused.reasons:
            form.add_error(None, reason)
        return None
    messages.success(
        request, f"Batch {made.number} is in quarantine until its quality control is released and accepted."
    )
    return made

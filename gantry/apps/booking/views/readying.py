"""The day before: who is ready, whom to ring first, and what was heard."""

from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from uuid import UUID
from zoneinfo import ZoneInfo

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils import timezone

from gantry.apps.accounts.access import requires
from gantry.apps.booking.forms import ITEM_WORDS, ReadinessForm
from gantry.apps.booking.models import Appointment
from gantry.apps.booking.services import Refused
from gantry.apps.booking.services.readying import HERE, UPCOMING, Ready, confirm_readiness, readiness_of
from gantry.apps.booking.views.calling import need_facts, patient_facts, preparation
from gantry.apps.booking.views.worklist import STATES
from gantry.apps.estate.chosen import chosen, remember
from gantry.apps.estate.models import Site
from gantry.apps.ui.parts import Card, Tag
from gantry.domain.access import Verb
from gantry.domain.readiness import Item
from gantry.reference.attendance import GLUCOSE, GLUCOSE_TREATED, RISKS

WEEKEND = 5


@dataclass(frozen=True, slots=True)
class Line:
    appointment: Appointment
    ready: Ready
    tags: tuple[Tag | None, ...]
    """One for each item, in the order of the columns; None where it is not asked of this person."""
    state: Tag


def site_of(request: HttpRequest) -> Site:
    mine = Site.objects.filter(network__provider__in=request.acting.scope.organisations) | Site.objects.filter(
        organisation__in=request.acting.scope.organisations
    )
    asked = request.GET.get("site", "")
    try:
        found = mine.filter(pk=UUID(asked)).first() if asked else None
    except ValueError:
        raise Http404("site") from None
    if asked and found is None:
        raise Http404("site")
    site = found or chosen(request, mine) or mine.order_by("name").first()
    if site is None:
        raise Http404("site")
    if found:
        remember(request, found)
    return site


def day_of(request: HttpRequest, site: Site) -> date:
    """The one asked for, else the next day on which people come."""
    try:
        return date.fromisoformat(request.GET.get("on", ""))
    except ValueError:
        on = request.now.astimezone(ZoneInfo(site.zone)).date() + timedelta(days=1)
        return on + timedelta(days=max(0, 7 - on.weekday()) if on.weekday() >= WEEKEND else 0)


@requires(Verb.BOOK, Verb.ORDER_TRACER)
def ready(request: HttpRequest) -> HttpResponse:
    """Everybody of one day at one site, those with most still to settle first."""
    site = site_of(request)
    on, zone = day_of(request, site), ZoneInfo(site.zone)
    start = datetime.combine(on, time(), tzinfo=zone)
    rows = list(
        Appointment.objects.for_user(request.acting.scope)
        .filter(
            site=site,
            arrival_at__gte=start,
            arrival_at__lt=start + timedelta(days=1),
            state__in=[state.value for state in (*UPCOMING, *HERE)],
        )
        .select_related("referral__patient", "procedure")
        .order_by("arrival_at", "pk")
    )
    found = readiness_of(rows)
    lines = [
        Line(row, found[row.pk], tags_of(found[row.pk]), STATES.get(row.state, Tag("Scanned", "plain"))) for row in rows
    ]
    lines.sort(key=lambda line: (line.appointment.state in HERE, line.ready.standing.ready))
    open_ = sum(not line.ready.standing.ready and line.appointment.state in UPCOMING for line in lines)
    with timezone.override(zone):
        return render(
            request,
            "booking/ready.html",
            {
                "site": site,
                "sites": list(sites_seen(request)),
                "on": on,
                "before": on - timedelta(days=1),
                "after": on + timedelta(days=1),
                "lines": lines,
                "heads": [words[0] for words in ITEM_WORDS.values()],
                "cards": [
                    Card("Still to settle", open_, tone="soon" if open_ else "good"),
                    Card("Ready", sum(line.ready.standing.ready for line in lines), tone="good"),
                    Card(
                        "Expected to come, of " + str(len(lines)),
                        f"{sum(line.ready.chance for line in lines):.1f}",
                        tone="info",
                    ),
                ],
                "facts": [*RISKS, GLUCOSE, GLUCOSE_TREATED],
                "may_ask": request.acting.may(Verb.BOOK),
            },
        )


def sites_seen(request: HttpRequest):
    mine = request.acting.scope.organisations
    return (Site.objects.filter(network__provider__in=mine) | Site.objects.filter(organisation__in=mine)).order_by(
        "name"
    )


def tags_of(one: Ready) -> tuple[Tag | None, ...]:
    return tuple(tag_of(one, item) if item in one.standing.asked else None for item in ITEM_WORDS)


def tag_of(one: Ready, item: Item) -> Tag:
    _, _, settled, still_open = ITEM_WORDS[item]
    note = one.notes.get(item)
    if note is None:
        return Tag("Not asked", "plain")
    return Tag(settled, "good") if note.settled else Tag(still_open, "late")


@requires(Verb.BOOK)
def readiness(request: HttpRequest, appointment: UUID) -> HttpResponse:
    """One call: what to ask, what to read out, and what was heard."""
    row = get_object_or_404(
        Appointment.objects.for_user(request.acting.scope).select_related(
            "site", "scanner", "referral__patient", "procedure__referral__patient"
        ),
        pk=appointment,
    )
    zone = ZoneInfo(row.site.zone)
    one = readiness_of([row])[row.pk]
    form = ReadinessForm(request.POST or None, asked=one.standing.asked, now=request.now, zone=zone)
    status = 200
    with timezone.override(zone):
        if request.method == "POST":
            status = 422
            if form.is_valid():
                try:
                    confirm_readiness(
                        row,
                        form.said(),
                        note=form.cleaned_data["note"],
                        now=request.now,
                        by=request.acting.actor,
                        happened_at=min(form.cleaned_data["at"], request.now),
                    )
                    messages.success(request, f"Kept what {row.referral.patient.name} said.")
                    on = timezone.localdate(row.arrival_at)
                    return redirect(f"{reverse('booking:ready')}?site={row.site_id}&on={on.isoformat()}")
                except Refused as refused:
                    for reason in refused.reasons:
                        form.add_error(None, reason)
        return render(
            request,
            "booking/readiness.html",
            {
                "appointment": row,
                "patient": row.referral.patient,
                "form": form,
                "upcoming": row.state in UPCOMING,
                "notes": [(ITEM_WORDS[item][0], tag_of(one, item), note) for item, note in one.notes.items()],
                "chance": one.chance,
                "facts": patient_facts(row.procedure),
                "need": need_facts(row.procedure),
                "preparation": preparation(row.procedure.tracer),
            },
            status=status,
        )

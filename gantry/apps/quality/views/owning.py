"""Incidents, each with the events around it; and a cause, which may be corrected by a later word with its reason."""

from dataclasses import dataclass
from uuid import UUID

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.timezone import localdate

from gantry.apps.accounts.access import requires
from gantry.apps.audit.models import Event
from gantry.apps.audit.timeline import as_read, said, timeline
from gantry.apps.estate.models import Site
from gantry.apps.quality import services
from gantry.apps.quality.forms import CorrectCauseForm
from gantry.apps.quality.models import Incident
from gantry.apps.referrals.models import Referral
from gantry.apps.ui.listing import Column, Filter, Listing
from gantry.apps.ui.parts import Link, TimelineEvent
from gantry.domain.access import Verb
from gantry.domain.events import EventKind


def incident_list(request: HttpRequest) -> Listing:
    names = dict(Site.objects.values_list("pk", "name"))
    return Listing(
        caption="Incidents",
        columns=(
            Column("opened", "Opened", lambda one: one.opened_at, sort="opened_at"),
            Column("happened", "Happened", lambda one: one.happened_at, sort="happened_at"),
            Column("about", "Whom or what", lambda one: one.about or "–", sort="about"),
            Column("what", "What happened", lambda one: one.summary),
            Column("site", "Site", lambda one: names.get(one.site, ""), sort="site"),
        ),
        href=lambda one: reverse("quality:incident", args=[one.pk]),
        filters=(
            Filter(
                "site",
                "Site",
                lambda rows, key: rows.filter(site=key),
                choices=[(str(key), name) for key, name in sorted(names.items(), key=lambda pair: pair[1])],
            ),
        ),
        default_sort="-opened",
    )


@requires(Verb.SEE_MEASURES)
def incidents(request: HttpRequest) -> HttpResponse:
    scope = request.acting.scope
    listing, rows = incident_list(request), services.with_names(Incident.objects.for_user(scope), scope)
    if listing.wants_csv(request):
        return listing.csv(request, rows, "incidents.csv")
    return render(request, "quality/incidents.html", {"listing": listing.page(request, rows)})


@requires(Verb.SEE_MEASURES)
def incident(request: HttpRequest, key: UUID) -> HttpResponse:
    """What was recorded though a gate said no, with everything that happened around it."""
    row = Incident.objects.for_user(request.acting.scope).filter(pk=key).first()
    if row is None:
        raise Http404(key)
    root = services.behind(row)
    about = next((root.about[role] for role in ("visit", "appointment", "referral", "batch") if role in root.about), "")
    names = dict(Site.objects.values_list("pk", "name"))
    return render(
        request,
        "quality/incident.html",
        {
            "incident": row,
            "site": names.get(row.site, ""),
            "root": as_read(root),
            "events": timeline(UUID(about), where=lambda site: names.get(site, "")) if about else [],
            "opens": opens(request, root),
            "cause": cause_link(request, root) if root.cause_code else None,
        },
    )


def opens(request: HttpRequest, event: Event) -> list[Link]:
    """The subjects of an event that this person may open."""
    found = []
    referral = event.about.get("referral")
    if referral and Referral.objects.for_user(request.acting.scope).filter(pk=referral).exists():
        found.append(Link("The referral from start to end", reverse("desk:timeline", args=["referral", referral])))
        if "visit" in event.about:
            found.append(Link("The day of the scan", reverse("scanning:visit", args=[event.about["visit"]])))
    return found


def cause_link(request: HttpRequest, event: Event) -> Link | None:
    if not event.cause_code or event.kind == EventKind.CAUSE_CORRECTED or not request.acting.may(Verb.CORRECT_CAUSE):
        return None
    return Link(f"Correct the cause of “{said(event.kind).lower()}”", reverse("quality:cause", args=[event.pk]))


@dataclass(frozen=True, slots=True)
class Word:
    """One word on a cause, and why it was said where it corrects another."""

    event: TimelineEvent
    reason: str


@requires(Verb.CORRECT_CAUSE)
def cause(request: HttpRequest, key: UUID) -> HttpResponse:
    """Why something ended, moved or failed: each word that was said of it, and room for a better one."""
    event = services.caused(key, request.acting.scope)
    if event is None:
        raise Http404(key)
    words = services.causes_said(event)
    latest = words[-1]
    begin = {"initiator": latest.cause_initiator, "code": latest.cause_code, "seen": str(latest.pk)}
    form = CorrectCauseForm(
        request.POST or None, initial=begin, on=localdate(event.happened_at), last=str(latest.pk), now=request.now
    )
    if request.method == "POST" and form.is_valid():
        given = form.cause(event.root_event)
        services.correct_cause(
            event, given, reason=form.cleaned_data["reason"], now=request.now, by=request.acting.actor
        )
        messages.success(request, "The cause is corrected. What was said first is kept beside it.")
        return redirect("quality:cause", event.pk)
    return render(
        request,
        "quality/cause.html",
        {
            "event": event,
            "what": said(event.kind),
            "words": [Word(as_read(one), one.data.get("reason", "")) for one in words],
            "opens": opens(request, event),
            "form": form,
        },
        status=422 if form.errors else 200,
    )

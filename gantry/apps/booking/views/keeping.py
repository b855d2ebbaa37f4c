"""One appointment: confirm it, tell the patient, move it, end it, and see what happened to it."""

from collections.abc import Callable
from typing import Any
from uuid import UUID

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_POST

from gantry.apps.accounts.access import requires
from gantry.apps.audit import timeline as words
from gantry.apps.audit.models import Event
from gantry.apps.audit.services import Stale
from gantry.apps.booking import services
from gantry.apps.booking.forms import CauseForm, ChoiceForm, NotAttendedForm, TellForm, WishForm
from gantry.apps.booking.models import Appointment
from gantry.apps.booking.services.readying import readiness_of
from gantry.apps.booking.services.waiting import roots_near
from gantry.apps.booking.views.calling import need_facts, patient_facts, preparation
from gantry.apps.referrals.services import sites_of, why_not_covered_now
from gantry.apps.ui.parts import Link, NextStep, Tag
from gantry.domain.access import Verb
from gantry.domain.appointment import APPOINTMENT, AppointmentEvent, AppointmentState
from gantry.domain.lifecycle import IllegalMove, allowed

STATE_TAGS = {
    AppointmentState.HELD: Tag("Held", "held"),
    AppointmentState.BOOKED: Tag("Booked, not told", "soon"),
    AppointmentState.TOLD: Tag("Booked and told", "good"),
    AppointmentState.ARRIVED: Tag("Here", "info"),
    AppointmentState.FULFILLED: Tag("Scanned", "good"),
    AppointmentState.REPLACED: Tag("Moved", "plain"),
    AppointmentState.EXPIRED: Tag("Hold ended", "plain"),
    AppointmentState.CANCELLED: Tag("Cancelled", "late"),
    AppointmentState.TURNED_AWAY: Tag("Turned away", "late"),
    AppointmentState.DID_NOT_ATTEND: Tag("Did not attend", "late"),
    AppointmentState.WAS_NOT_BROUGHT: Tag("Was not brought", "late"),
}


def found(request: HttpRequest, appointment: UUID) -> Appointment:
    rows = Appointment.objects.for_user(request.acting.scope).select_related(
        "site__organisation",
        "scanner",
        "procedure__referral__patient",
        "referral__patient",
        "authorisation__practitioner",
    )
    return get_object_or_404(rows, pk=appointment)


@requires(Verb.BOOK, Verb.SEE_REFERRALS)
def appointment(request: HttpRequest, appointment: UUID) -> HttpResponse:
    return page(request, found(request, appointment))


def page(request: HttpRequest, row: Appointment, *, status: int = 200, **more: Any) -> HttpResponse:
    can = allowed(APPOINTMENT, AppointmentState(row.state))
    may_book = request.acting.may(Verb.BOOK)
    movable = may_book and AppointmentEvent.REPLACE in can and row.state != AppointmentState.ARRIVED
    sites = [(s.pk, s.name) for s in sites_of(row.referral) if s.pk in row.authorisation.sites]
    wish = WishForm(request.GET if request.method == "GET" and request.GET else None, sites=sites, now=request.now)
    roots = root_events(request, row)
    on = timezone.localdate(row.arrival_at)
    offers = more.pop("offers", None)
    if offers is None and movable:
        offers = [
            offer
            for offer in services.offers_for(row.procedure, now=request.now, wish=wish.wish())
            if offer.arrival_at != row.arrival_at
        ]
    context = {
        "appointment": row,
        "procedure": row.procedure,
        "patient": row.referral.patient,
        "state": STATE_TAGS[AppointmentState(row.state)],
        "facts": patient_facts(row.procedure),
        "need": need_facts(row.procedure),
        "replaced_by": getattr(row, "replaced_by", None),
        "can": {event.value for event in can} if may_book else set(),
        "movable": movable,
        "not_covered": why_not_covered_now(row.authorisation, site=row.site, on=on)
        if AppointmentEvent.REPLACE in can
        else [],
        "offers": offers or [],
        "wish": wish,
        "tell": TellForm(now=request.now),
        "move_cause": CauseForm(prefix="move", on=request.now.date(), roots=roots, now=request.now),
        "cancel_cause": CauseForm(prefix="cancel", on=request.now.date(), roots=roots, now=request.now),
        "missed": NotAttendedForm(now=request.now),
        "past": row.arrival_at <= request.now,
        "readiness": readiness_of([row])[row.pk],
        "preparation": preparation(row.procedure.tracer),
        "timeline": words.timeline(row.pk),
        "next_step": NextStep(
            row.referral.next_step,
            row.referral.next_owner.replace("_", " "),
            row.referral.due_at,
            late=bool(row.referral.due_at and row.referral.due_at < request.now),
        )
        if row.referral.next_step
        else None,
    }
    return render(request, "booking/appointment.html", {**context, **more}, status=status)


def root_events(request: HttpRequest, row: Appointment) -> list[tuple[str, str]]:
    return [
        (str(event.pk), f"{words.said(event.kind)}, {timezone.localtime(event.happened_at):%-d %B %H:%M}")
        for event in roots_near(row, now=request.now)
    ]


type Act = Callable[[HttpRequest, Appointment], HttpResponse]


def acting_on(act: Act) -> Callable[..., HttpResponse]:
    """A button on an appointment. The page says which state it was drawn in: if that has passed, say who changed it."""

    @requires(Verb.BOOK)
    @require_POST
    def posted(request: HttpRequest, appointment: UUID) -> HttpResponse:
        row = found(request, appointment)
        drawn = request.POST.get("state", row.state)
        try:
            if drawn != row.state:
                raise Stale(row.pk)
            return act(request, row)
        except (Stale, IllegalMove) as overtaken:
            last = overtaken.last if isinstance(overtaken, Stale) else Stale(row.pk).last
            return stale(request, found(request, appointment), last)
        except services.Refused as refused:
            row.refresh_from_db()
            return page(request, found(request, appointment), status=409, refused=refused.reasons)

    return posted


def stale(request: HttpRequest, row: Appointment, last: Event | None) -> HttpResponse:
    link = Link("Open it as it is now", reverse("booking:appointment", args=[row.pk]))
    return render(
        request,
        "booking/stale.html",
        {
            "appointment": row,
            "patient": row.referral.patient,
            "state": STATE_TAGS[AppointmentState(row.state)],
            "said": words.said(last.kind) if last else "",
            "last": last,
            "link": link,
        },
        status=409,
    )


@acting_on
def confirm(request: HttpRequest, row: Appointment) -> HttpResponse:
    services.confirm(row, now=request.now, by=request.acting.actor)
    if request.POST.get("told"):
        services.tell(row, channel="phone", now=request.now, by=request.acting.actor)
        messages.success(request, "Booked, and the patient knows.")
    else:
        messages.success(request, "Booked. The patient has still to be told.")
    return redirect("booking:appointment", row.pk)


@acting_on
def let_go(request: HttpRequest, row: Appointment) -> HttpResponse:
    services.let_go(row, now=request.now, by=request.acting.actor)
    messages.success(request, "Let go: anybody may have that slot now.")
    return redirect("booking:book", row.procedure_id)


@acting_on
def tell(request: HttpRequest, row: Appointment) -> HttpResponse:
    form = TellForm(request.POST, now=request.now)
    if not form.is_valid():
        return page(request, row, status=422, tell=form)
    services.tell(
        row,
        channel=form.cleaned_data["channel"],
        now=request.now,
        by=request.acting.actor,
        happened_at=min(form.cleaned_data["at"], request.now),
    )
    messages.success(request, "The patient knows.")
    return redirect("booking:appointment", row.pk)


@acting_on
def move(request: HttpRequest, row: Appointment) -> HttpResponse:
    roots = root_events(request, row)
    form = CauseForm(request.POST, prefix="move", on=request.now.date(), roots=roots, now=request.now)
    chosen = ChoiceForm(choice_posted(request))
    if not form.is_valid() or not chosen.is_valid():
        refused = [] if chosen.is_valid() else ["Choose the new date and time"]
        return page(request, row, status=422, move_cause=form, refused=refused)
    moved = services.move(row, chosen.choice(), cause=form.cause(), now=request.now, by=request.acting.actor)
    if isinstance(moved, services.Gone):
        return page(request, row, status=409, gone=moved, offers=moved.other_choices, move_cause=form)
    messages.success(request, "Moved. The old slot is free; the patient has still to be told.")
    return redirect("booking:appointment", moved.pk)


def choice_posted(request: HttpRequest) -> dict[str, str]:
    """One radio carries all three: site, scanner and arrival."""
    site, _, rest = request.POST.get("choice", "").partition(" ")
    scanner, _, arrival = rest.partition(" ")
    return {"site": site, "scanner": scanner, "arrival_at": arrival}


@acting_on
def cancel(request: HttpRequest, row: Appointment) -> HttpResponse:
    roots = root_events(request, row)
    form = CauseForm(request.POST, prefix="cancel", on=request.now.date(), roots=roots, now=request.now)
    if not form.is_valid():
        return page(request, row, status=422, cancel_cause=form)
    services.cancel(row, cause=form.cause(), now=request.now, by=request.acting.actor)
    messages.success(request, "Cancelled. The slot and its tracer are free.")
    return redirect("booking:appointment", row.pk)


@acting_on
def not_attended(request: HttpRequest, row: Appointment) -> HttpResponse:
    form = NotAttendedForm(request.POST, now=request.now)
    if not form.is_valid():
        return page(request, row, status=422, missed=form)
    services.not_attended(
        row, at_risk=form.cleaned_data["at_risk"], note=form.cleaned_data["note"],
        now=request.now, by=request.acting.actor,
    )  # fmt: skip
    messages.success(request, "Recorded. Ring to find out why.")
    return redirect("booking:appointment", row.pk)

"""One scan to book, while the patient is on the telephone: choices, a hold, the preparation to read out, the booking."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.views.decorators.http import require_POST

from gantry.apps.accounts.access import requires
from gantry.apps.audit.services import Stale
from gantry.apps.booking import services
from gantry.apps.booking.forms import AttemptForm, ChoiceForm, TellForm, WishForm
from gantry.apps.booking.services.waiting import ACTIVE, PRIORITIES
from gantry.apps.referrals.models import RequestedProcedure
from gantry.apps.referrals.services import authorisation_for, sites_of, why_not_by_site
from gantry.apps.ui.wording import say_nhs_number
from gantry.domain.access import Verb
from gantry.domain.appointment import AppointmentState
from gantry.domain.referral import ITEM
from gantry.reference.preparation import FDG_ADVICE
from gantry.reference.tracers import tracer


def found(request: HttpRequest, procedure: UUID) -> RequestedProcedure:
    rows = RequestedProcedure.objects.for_user(request.acting.scope).select_related("referral__patient")
    return get_object_or_404(rows, pk=procedure)


@requires(Verb.BOOK)
def book(request: HttpRequest, procedure: UUID) -> HttpResponse:
    row = found(request, procedure)
    standing = row.appointments.filter(state__in=ACTIVE).order_by("-pk").first()
    if standing and standing.state != AppointmentState.HELD:
        return redirect("booking:appointment", standing.pk)
    return page(request, row)


def page(request: HttpRequest, row: RequestedProcedure, *, status: int = 200, **more: Any) -> HttpResponse:
    authorisation = authorisation_for(row)
    sites = [site for site in sites_of(row.referral) if authorisation and site.pk in authorisation.sites]
    wish = WishForm(request.GET if request.method == "GET" and request.GET else None,
                    sites=[(s.pk, s.name) for s in sites], now=request.now)  # fmt: skip
    held = row.appointments.filter(state=AppointmentState.HELD.value).select_related("site", "scanner").first()
    offers = more.pop("offers", None)
    if offers is None:
        offers = services.offers_for(row, now=request.now, wish=wish.wish())
    context = {
        "procedure": row,
        "referral": row.referral,
        "patient": row.referral.patient,
        "facts": patient_facts(row),
        "need": need_facts(row),
        "authorisation": authorisation,
        "not_covered": {} if authorisation is None else not_covered(request, authorisation, sites),
        "wish": wish,
        "offers": offers,
        "held": held,
        "attempt": AttemptForm(now=request.now),
        "tell": TellForm(now=request.now),
        "contacts": row.referral.contacts.order_by("-at", "-pk")[:8],
        "declined": row.offers.filter(state="declined").select_related("site").order_by("-pk")[:5],
        "preparation": preparation(row.tracer),
    }
    return render(request, "booking/book.html", {**context, **more}, status=status)


def patient_facts(row: RequestedProcedure) -> list[tuple[str, Any]]:
    patient = row.referral.patient
    return [
        ("NHS number", say_nhs_number(patient.nhs_number)),
        ("Born", patient.date_of_birth),
        ("Telephone", [n for n in (patient.phone_primary, patient.phone_alt) if n]),
        ("Language", f"{patient.language}, interpreter needed" if patient.interpreter_required else patient.language),
        ("Adjustments", patient.adjustments),
        ("Lives at", patient.postcode),
    ]


def need_facts(row: RequestedProcedure) -> list[tuple[str, Any]]:
    referral = row.referral
    answers = referral.answers
    return [
        ("Scan", row.title),
        ("Priority", PRIORITIES.get(referral.priority, "")),
        ("Needed by", referral.needed_by),
        ("Not before", referral.not_before),
        ("Breach", referral.breach_on),
        ("Needs", ", ".join(each.replace("_", " ") for each in referral.capabilities)),
        ("Weight", f"{referral.weight_kg:g} kg" if referral.weight_kg else None),
        ("Diabetes", None if answers.get("diabetes") in (None, "none") else choice("diabetes", answers)),
        ("Transport", choice("transport", answers)),
    ]


def choice(name: str, answers: Mapping[str, Any]) -> str | None:
    """An answer in the data set's own words rather than its code."""
    said = answers.get(name)
    words = {one.value: one.label for one in ITEM[name].choices}
    return words.get(str(said), str(said)) if said not in (None, "") else None


def not_covered(request: HttpRequest, authorisation: Any, sites: list[Any]) -> dict[str, list[str]]:
    """Sites whose papers do not hold today, in the practitioner's own reasons."""
    on = max(timezone.localdate(request.now), authorisation.valid_from)
    reasons = why_not_by_site(
        authorisation.procedure_code, sites=sites, window=(on, on), person=authorisation.practitioner
    )
    return {site.name: reasons[site.pk] for site in sites if reasons[site.pk]}


def preparation(tracer_code: str) -> list[str]:
    """What to read out."""
    of = tracer(tracer_code)
    return [fact.value for fact in FDG_ADVICE] if of.is_fdg else [of.preparation]


@requires(Verb.BOOK)
@require_POST
def hold(request: HttpRequest, procedure: UUID) -> HttpResponse:
    row = found(request, procedure)
    form = ChoiceForm(request.POST)
    if not form.is_valid():
        return page(request, row, status=422, refused=["That choice could not be read: choose again"])
    choice = form.choice()
    keep_what_was_offered(request, row)
    try:
        held = services.hold(row, choice, now=request.now, by=request.acting.actor)
    except services.Refused as refused:
        return page(request, row, status=409, refused=refused.reasons)
    except Stale:
        return page(request, row, status=409, refused=["Somebody else changed this booking just now: choose again"])
    if isinstance(held, services.Gone):
        return page(request, row, status=409, gone=held, offers=held.other_choices)
    messages.success(request, "Held while you talk. Read out the preparation, then book it.")
    return redirect("booking:book", row.pk)


def keep_what_was_offered(request: HttpRequest, row: RequestedProcedure) -> None:
    """Once a day and person: the choices that stood on the page when somebody started to hold."""
    if not row.offers.filter(made_at__date=request.now.date()).exists():
        offers = services.offers_for(row, now=request.now)
        services.make_offers(row, offers, now=request.now, by=request.acting.actor)


@requires(Verb.BOOK)
@require_POST
def decline(request: HttpRequest, procedure: UUID) -> HttpResponse:
    """They do not want this one: offered, refused, and why."""
    row = found(request, procedure)
    form = ChoiceForm(request.POST)
    if not form.is_valid():
        return page(request, row, status=422, refused=["That choice could not be read: choose again"])
    keep_what_was_offered(request, row)
    offer = row.offers.filter(
        arrival_at=form.cleaned_data["arrival_at"], scanner=form.cleaned_data["scanner"], state="made"
    ).first()
    if offer:
        services.decline(
            offer, request.POST.get("reason", "").strip() or "Not said", now=request.now, by=request.acting.actor
        )
    return redirect("booking:book", row.pk)


@requires(Verb.BOOK)
@require_POST
def attempt(request: HttpRequest, procedure: UUID) -> HttpResponse:
    row = found(request, procedure)
    form = AttemptForm(request.POST, now=request.now)
    if not form.is_valid():
        return page(request, row, status=422, attempt=form)
    given = form.cleaned_data
    standing = row.appointments.filter(state__in=ACTIVE).order_by("-pk").first()
    services.log_attempt(
        row.referral,
        channel=given["channel"],
        outcome=given["outcome"],
        note=given["note"],
        appointment=standing,
        now=request.now,
        by=request.acting.actor,
        happened_at=min(given["at"], request.now),
    )
    messages.success(request, "The call is on record.")
    return redirect("booking:book", row.pk)

"""One referral: what was asked, what was decided, what happened, and what may be done to it now."""

from collections.abc import Iterable
from typing import Any
from uuid import UUID

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import NoReverseMatch, reverse
from django.utils import timezone

from gantry.apps.accounts.access import requires
from gantry.apps.audit.services import Stale
from gantry.apps.audit.timeline import timeline
from gantry.apps.estate.models import Site
from gantry.apps.referrals import services
from gantry.apps.referrals.forms import (
    label_of,
)
from gantry.apps.referrals.models import Referral
from gantry.apps.referrals.services.stages import read_stages
from gantry.apps.referrals.views.cells import PRIORITY, Where
from gantry.apps.ui.forms import Form
from gantry.apps.ui.parts import Link, NextStep
from gantry.apps.ui.stale import as_typed
from gantry.apps.ui.wording import say_nhs_number
from gantry.domain.access import Verb
from gantry.domain.lifecycle import allowed
from gantry.domain.referral import REFERRAL, Kind, ReferralEvent, ReferralState, choices_of
from gantry.domain.referral.data_set import ITEMS


def one(request: HttpRequest, key: UUID) -> Referral:
    rows = Referral.objects.for_user(request.acting.scope)
    return get_object_or_404(
        rows.select_related("patient", "referring_organisation", "provider", "network", "pathway"), pk=key
    )


@requires(Verb.SEE_REFERRALS)
def detail(request: HttpRequest, key: UUID) -> HttpResponse:
    referral = one(request, key)
    read_stages([referral])
    return render(request, "referrals/detail.html", shown(request, referral))


def shown(request: HttpRequest, referral: Referral, **more: Any) -> dict[str, Any]:
    on = timezone.localdate(request.now)
    case = services.case_of(referral, on)
    sites = list(Site.objects.all())
    names, codes = {site.pk: site.name for site in sites}, {site.ods_code: site.name for site in sites}
    codes[referral.referring_organisation.ods_code] = referral.referring_organisation.name
    return {
        "referral": referral,
        "where": Where(referral),
        "who": who(referral),
        "what": what(referral),
        "answers": said_answers(case),
        "findings": [
            (label_of(row.field), row) for row in referral.findings.filter(resolved_at=None).order_by("severity", "pk")
        ],
        "questions": list(referral.questions.select_related("asked_by", "answered_by").order_by("-asked_at")),
        "decisions": list(referral.decisions.select_related("by").order_by("-at")),
        "procedures": list(referral.procedures.order_by("created_at")),
        "authorisations": authorisations(referral),
        "priors": list(referral.priors.order_by("-on")),
        "recipients": [row.organisation.name for row in referral.recipients.select_related("organisation")],
        "events": timeline(referral.pk, where=lambda site: names.get(site, ""), codes=codes),
        "next_step": next_step(request, referral),
        "acts": acts(request, referral),
        **more,
    }


def who(referral: Referral) -> list[tuple[str, Any]]:
    patient = referral.patient
    return [
        ("NHS number", say_nhs_number(patient.nhs_number) if patient.nhs_number else "None given"),
        ("Born", patient.date_of_birth),
        ("Phone", patient.phone_primary),
        ("Postcode", patient.postcode),
        ("Needs", patient.adjustments.replace("_", " ")),
        ("Interpreter", patient.language if patient.interpreter_required else "Not needed"),
    ]


def what(referral: Referral) -> list[tuple[str, Any]]:
    return [
        ("From", f"{referral.referrer_name or '–'}, {referral.referring_organisation.name}"),
        ("Received", referral.received_at),
        ("Priority", PRIORITY.get(referral.priority, "")),
        ("Wanted by", referral.needed_by),
        ("Not before", referral.not_before),
        ("First breach", referral.breach_on),
        ("Tracer", referral.tracer),
        ("Site must offer", ", ".join(referral.capabilities).replace("_", " ")),
    ]


def said_answers(case: Any) -> list[tuple[str, list[tuple[str, Any]]]]:
    """What was answered, by part of the data set, in the words of its choices."""
    parts: dict[str, list[tuple[str, Any]]] = {}
    for item in ITEMS:
        value = case.answers.get(item.name)
        if value in (None, ""):
            continue
        words = {choice.value: choice.label for choice in choices_of(item, case.context)}
        parts.setdefault(item.group.value, []).append((item.label, in_words(value, words, item.columns)))
    return list(parts.items())


def in_words(value: Any, words: dict[str, str], columns: Iterable[Any] = ()) -> Any:
    if isinstance(value, tuple) and not value:
        return "None"
    if isinstance(value, tuple) and isinstance(value[0], dict):
        return [row_in_words(row, columns) for row in value]
    if isinstance(value, tuple):
        return ", ".join(words.get(each, str(each)) for each in value)
    return words.get(value, value) if isinstance(value, str) else value


def row_in_words(row: dict[str, Any], columns: Iterable[Any]) -> str:
    cells = []
    for column in columns:
        value = row.get(column.name)
        if value in (None, ""):
            continue
        if column.kind is Kind.CHOICE:
            value = next((one.label for one in column.choices if one.value == value), value)
        if column.kind is Kind.YES_NO:
            value = f"{column.label.lower()}: {'yes' if value else 'no'}"
        cells.append(f"{value:%-d %b %Y}" if column.kind is Kind.DATE else str(value))
    return ", ".join(cells)


def authorisations(referral: Referral) -> list[tuple[Any, list[str]]]:
    """Each with the names of the sites it reaches."""
    names = {site.pk: site.name for site in Site.objects.filter(network=referral.network)}
    found = []
    for procedure in referral.procedures.all():
        for row in procedure.authorisations.select_related("practitioner").order_by("-at"):
            found.append((row, [names.get(key, "another network's site") for key in row.sites]))
    return found


def next_step(request: HttpRequest, referral: Referral) -> NextStep | None:
    if not referral.next_step:
        return None
    late = referral.due_at is not None and referral.due_at < request.now
    return NextStep(referral.next_step, referral.next_owner.replace("_", " ").capitalize(), referral.due_at, late=late)


def acts(request: HttpRequest, referral: Referral) -> dict[str, Any]:
    """What this person may do to it now: the lifecycle and their roles both agree."""
    can = allowed(REFERRAL, ReferralState(referral.state))
    acting = request.acting
    return {
        "answer": acting.may(Verb.ANSWER) and referral.state == ReferralState.AWAITING_REFERRER,
        "vet": acting.may(Verb.VET) and (ReferralEvent.ACCEPT in can or services.waits_again(referral)),
        "withdraw": acting.may(Verb.REFER) and ReferralEvent.WITHDRAW in can,
        "hold": acting.may(Verb.BOOK) and ReferralEvent.HOLD in can,
        "resume": acting.may(Verb.BOOK) and ReferralEvent.RESUME in can,
        "back": (acting.may(Verb.BOOK) or acting.may(Verb.VET)) and ReferralEvent.RETURN_TO_VETTING in can,
        "close": acting.may(Verb.BOOK) and ReferralEvent.CLOSE in can,
        "reopen": (acting.may(Verb.VET) or acting.may(Verb.BOOK)) and ReferralEvent.REOPEN in can,
        "again": acting.may(Verb.REFER),
        "book": booking_links(referral) if acting.may(Verb.BOOK) and referral.state == ReferralState.ACCEPTED else [],
    }


def booking_links(referral: Referral) -> list[Link]:
    """The room above says where a procedure is booked; where it is not there, nothing is offered."""
    try:
        return [Link(f"Book {row.title}", reverse("booking:book", args=[row.pk])) for row in referral.procedures.all()]
    except NoReverseMatch:
        return []


def overtaken(request: HttpRequest, referral: Referral, stale: Stale, form: Form | None = None) -> HttpResponse:
    """Nothing was saved: the page says who changed what, shows what was typed, and the person decides again."""
    if form is not None and stale.last is not None:
        at = stale.last.recorded_at
        theirs = [event for event in timeline(referral.pk) if event.recorded_at == at]
        context = {
            "referral": Referral.objects.for_user(request.acting.scope).get(pk=referral.pk),
            "changed_by": stale.last.by_name,
            "theirs": theirs,
            "yours": as_typed(form),
        }
        return render(request, "referrals/overtaken.html", context, status=409)
    who = stale.last.by_name if stale.last else "Somebody else"
    what = stale.last.kind.replace("_", " ") if stale.last else "changed it"
    messages.error(request, f"{who} changed this first ({what}). Nothing of yours was saved: look again and decide.")
    return redirect("referrals:detail", referral.pk)

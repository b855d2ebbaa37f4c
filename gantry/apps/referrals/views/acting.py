"""The small acts on a referral: withdraw, hold, resume, send back, close, open again."""

from collections.abc import Callable
from typing import Any
from uuid import UUID

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.http import require_POST

from gantry.apps.accounts.access import requires
from gantry.apps.audit.services import Stale
from gantry.apps.referrals import services
from gantry.apps.referrals.forms import (
    HoldForm,
    ReasonForm,
    WithdrawForm,
)
from gantry.apps.referrals.models import Referral
from gantry.apps.referrals.views.showing import one, overtaken
from gantry.apps.ui.listing import whole_number
from gantry.domain.access import Verb
from gantry.domain.lifecycle import IllegalMove


def act(
    request: HttpRequest,
    key: UUID,
    form_class: type[Any],
    title: str,
    button: str,
    verb: Callable[..., Any],
    done: str,
) -> HttpResponse:
    """A small form, then one verb."""
    referral = one(request, key)
    form = form_class(request.POST or None, initial={"version": referral.version}, now=request.now)
    if request.method == "POST" and form.is_valid():
        given = {name: value for name, value in form.cleaned_data.items() if name != "version"}
        try:
            verb(referral, given, version=form.cleaned_data["version"], now=request.now, by=request.acting.actor)
        except Stale as stale:
            return overtaken(request, referral, stale)
        except IllegalMove as illegal:
            messages.error(request, f"Not possible now: the referral is {illegal.state.replace('_', ' ')}")
            return redirect("referrals:detail", referral.pk)
        messages.success(request, done)
        return redirect("referrals:detail", referral.pk)
    context = {"referral": referral, "form": form, "title": title, "button": button}
    return render(request, "referrals/act.html", context, status=422 if form.errors else 200)


@requires(Verb.REFER)
def withdraw(request: HttpRequest, key: UUID) -> HttpResponse:
    def verb(referral: Referral, given: dict[str, Any], **more: Any) -> Any:
        return services.withdraw(referral, **given, **more)

    return act(request, key, WithdrawForm, "Withdraw the referral", "Withdraw", verb, "Withdrawn")


@requires(Verb.BOOK)
def hold(request: HttpRequest, key: UUID) -> HttpResponse:
    def verb(referral: Referral, given: dict[str, Any], **more: Any) -> Any:
        until = timezone.make_aware(timezone.datetime.combine(given["until"], timezone.datetime.min.time().replace(9)))
        return services.put_on_hold(referral, reason=given["reason"], until=until, **more)

    return act(request, key, HoldForm, "Put on hold", "Put on hold", verb, "On hold")


@requires(Verb.BOOK, Verb.VET)
def return_to_vetting(request: HttpRequest, key: UUID) -> HttpResponse:
    def verb(referral: Referral, given: dict[str, Any], **more: Any) -> Any:
        return services.return_to_vetting(referral, given["reason"], **more)

    done = "Back with the practitioner"
    return act(request, key, ReasonForm, "Send back to be decided again", "Send back", verb, done)


@requires(Verb.BOOK)
def close(request: HttpRequest, key: UUID) -> HttpResponse:
    def verb(referral: Referral, given: dict[str, Any], **more: Any) -> Any:
        return services.close(referral, **given, **more)

    return act(request, key, ReasonForm, "Close the referral", "Close", verb, "Closed")


@requires(Verb.BOOK, Verb.VET)
def reopen(request: HttpRequest, key: UUID) -> HttpResponse:
    def verb(referral: Referral, given: dict[str, Any], **more: Any) -> Any:
        return services.reopen(referral, **given, **more)

    return act(request, key, ReasonForm, "Open it again", "Open again", verb, "Open again: to be decided")


@requires(Verb.BOOK)
@require_POST
def resume(request: HttpRequest, key: UUID) -> HttpResponse:
    referral = one(request, key)
    version = request.POST.get("version", "")
    try:
        services.resume(
            referral,
            version=whole_number(version),
            now=request.now,
            by=request.acting.actor,
        )
    except Stale as stale:
        return overtaken(request, referral, stale)
    except IllegalMove:
        messages.error(request, "It is not on hold any more")
    else:
        messages.success(request, "Resumed: it waits for a date again")
    return redirect("referrals:detail", referral.pk)

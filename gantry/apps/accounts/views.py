"""Becoming another demonstration person, and opening one patient outside one's scope."""

from uuid import UUID

from django import forms
from django.conf import settings
from django.contrib import messages
from django.contrib.auth import login, user_logged_in
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.http import require_POST

from gantry.apps.accounts.access import public, requires
from gantry.apps.accounts.models import BreakGlass, Person
from gantry.apps.accounts.services import ReasonMissing, break_glass, is_known, review_break_glass, signed_in
from gantry.apps.ui.forms import Form, Section
from gantry.domain.access import Verb

BACKEND = "django.contrib.auth.backends.ModelBackend"


@public
@require_POST
def switch_person(request: HttpRequest) -> HttpResponse:
    """Only where the demonstration is on, and only to one of its own people."""
    if not settings.DEMONSTRATION:
        raise PermissionDenied("This is not a demonstration")
    people = Person.objects.filter(is_demonstration=True, is_active=True)
    person = get_object_or_404(people, pk=_key(request.POST.get("person")))
    login(request, person, backend=BACKEND)
    onward = request.POST.get("next", "/")
    safe = url_has_allowed_host_and_scheme(
        onward, allowed_hosts={request.get_host()}, require_https=request.is_secure()
    )
    return redirect(onward if safe else "/")


def _key(text: str | None) -> UUID:
    try:
        return UUID(text or "")
    except ValueError:
        raise Http404 from None


class Reason(Form):
    reason = forms.CharField(
        label="Why do you need to see this patient now?",
        help_text="Your reason is kept with your name and read by somebody else.",
        widget=forms.Textarea(attrs={"rows": 3}),
        max_length=1000,
    )
    layout = (Section("", "reason"),)


@requires(Verb.BREAK_GLASS)
def open_patient(request: HttpRequest, patient: UUID) -> HttpResponse:
    if not is_known(patient):
        raise Http404
    form = Reason(request.POST or None, now=request.now)
    if request.method == "POST" and form.is_valid():
        try:
            break_glass(request.acting, patient, reason=form.cleaned_data["reason"], now=request.now)
        except ReasonMissing:
            form.add_error("reason", "Say why, in at least ten letters")
        else:
            messages.success(request, "Open to you for four hours")
            return redirect(reverse("desk:timeline", args=["patient", patient]))
    return render(request, "accounts/break_glass.html", {"form": form}, status=422 if form.errors else 200)


@requires(Verb.OWN_FAILURES)
def opened(request: HttpRequest) -> HttpResponse:
    """What was opened by people of one's own organisations, and who has looked at why."""
    rows = BreakGlass.objects.filter(person__grants__organisation__in=request.acting.scope.organisations).distinct()
    if request.method == "POST":
        row = get_object_or_404(rows, pk=_key(request.POST.get("opened")))
        if not review_break_glass(row, by=request.acting.person, now=request.now):
            messages.error(request, "Somebody other than the one who opened it must look at it, once")
        return redirect("break_glass_review")
    recent = rows.select_related("person", "reviewed_by").order_by("-from_at")[:200]
    return render(request, "accounts/opened.html", {"rows": recent})


def on_sign_in(sender: object, request: HttpRequest, user: Person, **_: object) -> None:
    signed_in(user, now=timezone.now(), how=request.resolver_match.url_name if request.resolver_match else "session")


user_logged_in.connect(on_sign_in, dispatch_uid="accounts.signed_in")

"""What day plans weigh, who signed it, and the clinical lead's own signature."""

from datetime import date
from uuid import UUID

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone

from gantry.apps.accounts.access import requires
from gantry.apps.audit.services import Stale
from gantry.apps.estate.models import Network, Organisation
from gantry.apps.scheduling.forms import SignForm
from gantry.apps.scheduling.models import WeightsSigned
from gantry.apps.scheduling.services import noting
from gantry.apps.scheduling.services.refusals import NotPossible
from gantry.domain.access import Verb
from gantry.domain.scheduling.weights import Signature, digest
from gantry.reference.day_plans import weights_on

PRIORITIES = {1: "Routine", 2: "Urgent", 3: "Two-week-wait type"}


@requires(Verb.SEE_BOARD, Verb.SIGN_WEIGHTS)
def weights(request: HttpRequest) -> HttpResponse:
    today = timezone.localdate(request.now)
    fact = weights_on(today)
    provider = provider_of(request)
    may_sign = request.acting.may(Verb.SIGN_WEIGHTS) and provider is not None
    sign = SignForm(
        request.POST if request.method == "POST" else None,
        now=request.now, zone=timezone.get_current_timezone(), initial={"valid_from": today},
    )  # fmt: skip
    if request.method == "POST" and may_sign and provider is not None and signed(request, provider, sign):
        return redirect("scheduling:weights")
    standing = noting.standing_on(provider.pk, today) if provider else None
    return render(
        request,
        "scheduling/weights.html",
        {
            "fact": fact,
            "today": today,
            "digest": digest(fact.value),
            "priorities": [(PRIORITIES.get(number, str(number)), weight) for number, weight in fact.value.priority],
            "near": nearness(fact.value.near),
            "standing": standing,
            "is_signed": isinstance(standing, Signature),
            "given": WeightsSigned.objects.for_user(request.acting.scope).order_by("-at"),
            "provider": provider,
            "sign": sign,
            "may_sign": may_sign,
        },
        status=422 if sign.errors else 200,
    )


def provider_of(request: HttpRequest) -> Organisation | None:
    """Whose days they are: the provider that runs the network of the person's own organisation."""
    mine = request.acting.scope.organisations
    own = Network.objects.filter(provider__in=mine).select_related("provider").order_by("name").first()
    network = own or Network.objects.filter(members__in=mine).select_related("provider").order_by("name").first()
    return network.provider if network else None


def nearness(near: tuple[tuple[int, int], ...]) -> list[tuple[str, int]]:
    said, before = [], None
    for days, more in near:
        if days == 0:
            words = "On the last day, and after it"
        else:
            words = f"{(before or 0) + 1} to {days} days left"
        said.append((words, more))
        before = days
    return said


def signed(request: HttpRequest, provider: Organisation, sign: SignForm) -> bool:
    """True when the page is to be loaded again."""
    if not sign.is_valid():
        return False
    valid_from: date = sign.cleaned_data["valid_from"]
    try:
        noting.sign_weights(
            provider, request.POST.get("digest", ""), valid_from=valid_from, person=request.acting.person,
            now=request.now, by=request.acting.actor,
        )  # fmt: skip
    except NotPossible as refused:
        for reason in refused.reasons:
            sign.add_error(None, reason)
        return False
    except Stale:
        messages.warning(request, "The values have changed since this page was drawn: read them again before you sign.")
        return True
    messages.success(request, f"Signed: these values count from {valid_from:%-d %B %Y}, until one of them changes.")
    return True


def line_for(site_provider: UUID, on: date) -> tuple[bool, str]:
    """For a plan's page: whether its weights are signed, and by whom or why not."""
    standing = noting.standing_on(site_provider, on)
    if isinstance(standing, Signature):
        return True, f"Weights signed by {standing.by} on {standing.signed_on:%-d %B %Y}"
    return False, standing.reason

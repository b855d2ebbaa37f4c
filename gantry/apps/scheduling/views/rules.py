"""What a recovery may do only by rule: practitioners approve and withdraw here, and the adviser's letters are kept here."""

from uuid import UUID

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone

from gantry.apps.accounts.access import requires
from gantry.apps.audit.services import Stale
from gantry.apps.estate.models import Site
from gantry.apps.radiopharmacy.views.sites import sites_for
from gantry.apps.scheduling.forms import LessActivityForm, TransferForm
from gantry.apps.scheduling.models import LessActivityRule, TransferRule
from gantry.apps.scheduling.services import approving
from gantry.apps.scheduling.services.refusals import NotPossible
from gantry.apps.ui.forms import Form
from gantry.apps.ui.wording import pluralise
from gantry.domain.access import Verb
from gantry.reference.protocols import protocol


@requires(Verb.VET, Verb.OWN_FAILURES, Verb.BOOK)
def rules(request: HttpRequest) -> HttpResponse:
    sites = list(sites_for(request))
    less = less_form(request, sites) if request.acting.may(Verb.VET) else None
    transfer = transfer_form(request, sites) if request.acting.may(Verb.OWN_FAILURES) and len(sites) > 1 else None
    posted: Form | None = None
    if request.method == "POST":
        what = request.POST.get("what", "")
        if what == "withdraw":
            withdrawn(request, sites)
            return redirect("scheduling:rules")
        posted = {"less": less, "transfer": transfer}.get(what)
        if posted is not None and posted.is_valid() and saved(request, posted, sites):
            return redirect("scheduling:rules")
    today = timezone.localdate(request.now)
    scope = request.acting.scope
    by_less = LessActivityRule.objects.for_user(scope).select_related("site", "practitioner").order_by("-at", "pk")
    by_letter = TransferRule.objects.for_user(scope).select_related("site", "to_site", "adviser").order_by("-at", "pk")
    wrong = posted is not None and bool(posted.errors)
    return render(
        request,
        "scheduling/rules.html",
        {
            "less": [(row, protocol(row.protocol).title, may_withdraw(request, row)) for row in by_less],
            "used": approving.used([row.pk for row in by_less]),
            "transfers": [(row, may_withdraw(request, row)) for row in by_letter],
            "today": today,
            "less_form": less,
            "transfer_form": transfer,
            "posted": posted if wrong else None,
        },
        status=422 if wrong else 200,
    )


def less_form(request: HttpRequest, sites: list[Site]) -> LessActivityForm:
    mine = request.POST if request.POST.get("what") == "less" else None
    protocols = [(code, protocol(code).title) for code in approving.may_be_shortened()]
    return LessActivityForm(mine, protocols=protocols, sites=named(sites), now=request.now)


def transfer_form(request: HttpRequest, sites: list[Site]) -> TransferForm:
    mine = request.POST if request.POST.get("what") == "transfer" else None
    return TransferForm(mine, sites=named(sites), now=request.now)


def named(sites: list[Site]) -> list[tuple[str, str]]:
    return [(str(site.pk), site.name) for site in sites]


def saved(request: HttpRequest, form: Form, sites: list[Site]) -> bool:
    """Kept, or the reasons on the form."""
    given, by_id, by = form.cleaned_data, {str(site.pk): site for site in sites}, request.acting.actor
    try:
        if isinstance(form, LessActivityForm):
            rows = approving.approve(
                approving.Less(
                    protocol=given["protocol"],
                    least_fraction=float(given["least_percent"]) / 100,
                    children=given["children"],
                    sites=[by_id[key] for key in given["sites"]],
                    valid_from=given["valid_from"],
                    valid_to=given["valid_to"],
                    reason=given["reason"],
                ),
                request.acting.person,
                now=request.now,
                by=by,
            )
            messages.success(request, f"Approved for {pluralise(len(rows), 'site')}. Recovery may use it from now on.")
        else:
            row = approving.allow_transfer(
                approving.Taken(
                    site=by_id[given["site"]],
                    to_site=by_id[given["to_site"]],
                    minutes=given["minutes"],
                    adviser=given["adviser"],
                    appointed_by=given["appointed_by"],
                    letter=given["letter"],
                    conditions=given["conditions"],
                    valid_from=given["valid_from"],
                    valid_to=given["valid_to"],
                ),
                now=request.now,
                by=by,
            )
            messages.success(request, f"The rule from {row.site.name} to {row.to_site.name} is kept.")
    except NotPossible as refused:
        for reason in refused.reasons:
            form.add_error(None, reason)
        return False
    return True


def may_withdraw(request: HttpRequest, row: LessActivityRule | TransferRule) -> bool:
    """Any practitioner may stop what a practitioner approved; a transfer, whoever owns failures."""
    needed = Verb.VET if isinstance(row, LessActivityRule) else Verb.OWN_FAILURES
    return row.withdrawn_at is None and request.acting.may(needed)


def withdrawn(request: HttpRequest, sites: list[Site]) -> None:
    try:
        row = approving.found(UUID(request.POST.get("rule", "")), [site.pk for site in sites])
    except ValueError:
        raise Http404("rule") from None
    if row is None or not may_withdraw(request, row):
        raise Http404("rule")
    try:
        approving.withdraw(row, reason=request.POST.get("reason", ""), now=request.now, by=request.acting.actor)
        messages.success(request, "Withdrawn. No option uses it from now on.")
    except NotPossible as refused:
        for reason in refused.reasons:
            messages.error(request, reason)
    except Stale:
        messages.warning(request, "Somebody withdrew it first.")

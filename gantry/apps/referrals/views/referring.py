"""One dense page to refer on: prefilled, kept as a draft, asking only what applies, with every error at once."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_POST

from gantry.apps.accounts.access import requires
from gantry.apps.audit.ids import new_id
from gantry.apps.estate.models import Network, Organisation
from gantry.apps.patients.models import Patient
from gantry.apps.referrals import services
from gantry.apps.referrals.forms import ReferralForm
from gantry.apps.referrals.services import drafts
from gantry.apps.ui.forms import without_nul
from gantry.domain.access import Verb
from gantry.domain.referral import Severity

SETTLED_AT_THE_DOOR = frozenset({"MDS-20", "MDS-21", "MDS-23"})
"""Primary care and other networks: more typing would not help, so the door decides at once."""


def key_of(text: str | None) -> UUID | None:
    try:
        return UUID(text or "")
    except ValueError:
        return None


def organisation_for(request: HttpRequest, code: str = "") -> Organisation | None:
    """The organisation that this person refers for: the one named, if it is theirs, else their first."""
    own = drafts.organisations_of_person(request.acting.scope.organisations)
    return next((one for one in own if one.ods_code == code), own[0] if own else None)


def form_of(
    request: HttpRequest,
    organisation: Organisation | None,
    *,
    network: Network | None = None,
    data: Any = None,
    initial: Mapping[str, Any] | None = None,
) -> ReferralForm:
    on = timezone.localdate(request.now)
    network = network or drafts.network_of(organisation)
    data = without_nul(data) if data is not None else None
    referring = services.organisation_of(data.get("referring_org_ods") if data is not None else None)
    context = services.context_for(network, on, referring=referring or organisation)
    filled = {"request_datetime": request.now}
    if data is not None and data.get("declaration"):
        filled |= {"declared_by": request.acting.person.name, "declared_at": request.now}
    return ReferralForm(data, context=context, on=on, now=request.now, filled=filled, initial=dict(initial or {}))


@requires(Verb.REFER)
def new(request: HttpRequest) -> HttpResponse:
    """The page. A draft's address opens it again; a known patient's opens it with what we hold."""
    person = request.acting.person
    organisation = organisation_for(request, request.POST.get("referring_org_ods", ""))
    network = drafts.network_of(organisation)
    if network is None:
        return render(request, "referrals/no_network.html", status=503)
    key = key_of(request.POST.get("draft") or request.GET.get("draft"))
    if key is None or drafts.is_of_another(key, person):
        key = new_id()
    if request.method == "POST":
        return taken(request, organisation, key)
    draft = drafts.draft_of(key, person)
    initial: dict[str, Any] = dict(draft.answers) if draft else drafts.prefilled(person, organisation)
    patient = key_of(request.GET.get("patient"))
    if patient and not draft:
        known = get_object_or_404(Patient.objects.for_user(request.acting.scope), pk=patient)
        initial |= drafts.of_patient(known, organisation)
    form = form_of(request, organisation, network=network, initial=initial)
    return page(request, form, key, saved_at=draft.updated_at if draft else None)


def page(request: HttpRequest, form: ReferralForm, key: UUID, *, status: int = 200, **more: Any) -> HttpResponse:
    left = form.required_left()
    others = [draft for draft in drafts.drafts_of(request.acting.person) if draft.pk != key]
    context = {
        "form": form,
        "parts": list(form.parts()),
        "draft": key,
        "left": left,
        "drafts": [(draft, name_of(draft.answers)) for draft in others[:5]],
        "warnings": [one for one in form.found if one.severity is Severity.WARN] if status == 422 else [],
    }
    return render(request, "referrals/new.html", context | more, status=status)


def name_of(answers: Mapping[str, Any]) -> str:
    name = f"{answers.get('family_name', '')}, {answers.get('given_name', '')}".strip(", ")
    return name or "No name yet"


def taken(request: HttpRequest, organisation: Organisation | None, key: UUID) -> HttpResponse:
    form = form_of(request, organisation, data=request.POST)
    person = request.acting.person
    act = request.POST.get("act", "send")
    if act in ("save", "check", "find", "rows"):
        return kept(request, form, organisation, key, act)
    blocking = [one for one in form.found if one.severity is not Severity.WARN]
    at_the_door = any(one.code in SETTLED_AT_THE_DOOR for one in blocking)
    askable = all(one.severity is Severity.QUERY for one in blocking) and bool(form.answers.get("declaration"))
    if blocking and not at_the_door and not (act == "send_with_gaps" and askable):
        form.show(blocking)
        return page(request, form, key, status=422, gaps=len(blocking) if askable else 0)
    got = services.receive(
        services.Submission(
            door="web",
            source_key=f"web:{key}",
            answers=form.answers,
            network=drafts.network_of(organisation),
            sender_organisation=organisation,
            referrer=person,
        ),
        now=request.now,
        by=request.acting.actor,
    )
    if isinstance(got, services.Refused):
        return refused(request, form, key, got)
    drafts.drop_draft(key, person)
    if got.where_to and not got.repeated:
        messages.warning(request, f"Kept and passed to a person. {got.where_to}")
    else:
        messages.success(request, "Already sent: this is it" if got.repeated else "Referral sent")
    return redirect("referrals:detail", got.referral.pk)


def refused(request: HttpRequest, form: ReferralForm, key: UUID, got: services.Refused) -> HttpResponse:
    """With nothing that was typed lost: the draft stays."""
    drafts.save_draft(key, request.acting.person, form.raw(), now=request.now)
    return render(request, "referrals/refused.html", {"refused": got, "draft": key}, status=422)


def kept(
    request: HttpRequest, form: ReferralForm, organisation: Organisation | None, key: UUID, act: str
) -> HttpResponse:
    """Everything but sending: the draft is saved each time."""
    raw = form.raw()
    if act == "find":
        patient = drafts.known_by_number(str(raw.get("nhs_number", "")), request.acting.scope)
        if patient:
            raw |= {name: value for name, value in drafts.of_patient(patient, organisation).items() if name not in raw}
            raw["date_of_birth"] = str(raw.get("date_of_birth", ""))
            messages.success(request, "Filled in from what we hold. Check it with the patient.")
        else:
            messages.info(request, "We hold nobody with this NHS number whom you may see")
    if act == "rows":
        for name, count in form.row_counts.items():
            raw[f"{name}_rows"] = str(count + 2)
    drafts.save_draft(key, request.acting.person, raw, now=request.now)
    if act == "save":
        messages.success(request, "Draft saved. It is kept for 30 days.")
    return redirect(f"{reverse('referrals:new')}?draft={key}")


@requires(Verb.REFER)
@require_POST
def check(request: HttpRequest) -> JsonResponse:
    """For the script: which questions apply now; what was typed is kept as a draft."""
    organisation = organisation_for(request, request.POST.get("referring_org_ods", ""))
    form = form_of(request, organisation, data=request.POST)
    key = key_of(request.POST.get("draft"))
    if key is None:
        return JsonResponse({"error": "The page has no draft"}, status=400)
    try:
        drafts.save_draft(key, request.acting.person, form.raw(), now=request.now)
    except PermissionError:
        raise Http404(key) from None
    saved = timezone.localtime(request.now).strftime("%H:%M")
    return JsonResponse({"asked": sorted(form.asked), "left": form.required_left(), "saved": saved})


@requires(Verb.REFER)
@require_POST
def drop(request: HttpRequest, key: UUID) -> HttpResponse:
    drafts.drop_draft(key, request.acting.person)
    messages.success(request, "Draft thrown away")
    return redirect("referrals:new")

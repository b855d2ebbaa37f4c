"""What waits for my decision, by breach date; and one referral with everything that a decision needs."""

from datetime import date
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone

from gantry.apps.accounts.access import requires
from gantry.apps.audit.services import Stale
from gantry.apps.referrals import services
from gantry.apps.referrals.forms import QUICK, AcceptForm, AskForm, RedirectForm, RejectForm
from gantry.apps.referrals.models import Referral
from gantry.apps.referrals.services.proposing import MatchingRow, Proposal, matching_rows, propose
from gantry.apps.referrals.views.cells import PRIORITY, Person
from gantry.apps.referrals.views.following import search
from gantry.apps.referrals.views.showing import one, overtaken, said_answers, shown
from gantry.apps.ui.listing import Column, Filter, Listing, Search
from gantry.domain.access import Verb
from gantry.domain.injecting import in_all
from gantry.domain.lifecycle import IllegalMove
from gantry.domain.referral import Case, ReferralState, RejectionReason, VetDecision
from gantry.domain.scan import age_in_years
from gantry.domain.waiting import days_left_in_words
from gantry.reference.indications import INDICATIONS
from gantry.reference.protocols import PROTOCOLS
from gantry.reference.tracers import TRACERS

BY_HAND = "prescribed by hand"

VETTING = Listing(
    caption="Referrals to decide",
    columns=(
        Column("patient", "Patient", Person, sort=("patient__family_name", "patient__given_name")),
        Column("breach", "Breach", lambda row: row.breach_on, sort=("breach_on", "needed_by", "due_at")),
        Column("wanted", "Wanted by", lambda row: row.needed_by, sort="needed_by"),
        Column("priority", "Priority", lambda row: PRIORITY.get(row.priority, ""), sort="-priority"),
        Column(
            "indication",
            "Indication",
            lambda row: INDICATIONS[row.indication_code].value.title if row.indication_code in INDICATIONS else "",
            sort="indication_code",
        ),
        Column("tracer", "Tracer", lambda row: row.tracer, sort="tracer", hide_narrow=True),
        Column("from", "From", lambda row: row.referring_organisation.name, hide_narrow=True),
        Column("next", "To do", lambda row: row.next_step, sort="next_step"),
        Column("due", "Decide by", lambda row: row.due_at, sort="due_at"),
    ),
    href=lambda row: reverse("referrals:vet", args=[row.pk]),
    filters=(
        Filter(
            "tracer",
            "Tracer",
            lambda rows, value: rows.filter(tracer=value),
            [(code, fact.value.name) for code, fact in TRACERS.items()],
        ),
        Search("q", "Name or NHS number", search),
    ),
    default_sort="breach",
)
FORMS = {
    VetDecision.ACCEPT: AcceptForm,
    VetDecision.QUERY: AskForm,
    VetDecision.REJECT: RejectForm,
    VetDecision.REDIRECT: RedirectForm,
}


def waiting(request: HttpRequest) -> Any:
    rows = Referral.objects.for_user(request.acting.scope).filter(services.undecided())
    return rows.select_related("patient", "referring_organisation")


@requires(Verb.VET)
def vetting(request: HttpRequest) -> HttpResponse:
    rows = waiting(request)
    if VETTING.wants_csv(request):
        return VETTING.csv(request, rows, "to-decide.csv")
    asked = Referral.objects.for_user(request.acting.scope).filter(state=ReferralState.AWAITING_REFERRER.value)
    context = {"listing": VETTING.page(request, rows), "asked": asked.count()}
    return render(request, "referrals/vetting.html", context)


def forms_for(
    request: HttpRequest, referral: Referral, case: Case, proposal: Proposal, decision: str
) -> dict[str, Any]:
    """The form that was posted holds what was typed; the others are as proposed."""
    wanted = proposal.wanted
    sites = services.sites_of(referral)
    matching = matching_rows(case)
    made = {}
    for each, form_class in FORMS.items():
        posted = request.POST if decision == each.value else None
        initial: dict[str, Any] = {"version": referral.version}
        more: dict[str, Any] = {}
        if form_class is AcceptForm:
            initial |= {
                "tracer": wanted.tracer,
                "proposed_for": wanted.tracer,
                "requested_tracer": referral.tracer,
                "protocol": wanted.protocol,
                "scheme": wanted.scheme,
                "proposed_scheme": wanted.scheme,
                "minutes_per_bed": wanted.minutes_per_bed,
                "proposed_minutes": f"{wanted.minutes_per_bed:g}" if wanted.minutes_per_bed else "",
                "activity_mbq": wanted.activity_mbq,
                "indication_row": matching[0].indication.code if matching else "",
                "contrast": "contrast" in wanted.includes,
            }
            more = {
                "tracers": [(code, fact.value.name) for code, fact in TRACERS.items()],
                "protocols": [(code, fact.value.title) for code, fact in PROTOCOLS.items()],
                "schemes": [(way.code, way.title) for way in proposal.ways],
                "indications": indication_choices(matching),
                "sites": [(str(site.pk), site.name) for site in sites],
            }
        made[each.value] = form_class(posted, initial=initial, auto_id=f"id_{each.value}_%s", now=request.now, **more)
    return made


def indication_choices(matching: list[MatchingRow]) -> list[tuple[str, str]]:
    return [(row.indication.code, f"{row.indication.code}: {row.indication.title}") for row in matching]


@requires(Verb.VET)
def vet(request: HttpRequest, key: UUID) -> HttpResponse:
    referral = one(request, key)
    case = services.case_of(referral, timezone.localdate(request.now))
    decision = request.POST.get("decision", "") if request.method == "POST" else ""
    tracer = request.POST.get("tracer", "") or request.GET.get("tracer", "")
    if decision == VetDecision.ACCEPT and tracer in TRACERS and tracer != request.POST.get("proposed_for"):
        # The activity on the page is the other tracer's: it is proposed anew before anybody can accept it.
        messages.info(request, f"Tracer changed to {TRACERS[tracer].value.name}: check the protocol and activity")
        return redirect(f"{request.path}?tracer={tracer}")
    asked = request.POST if decision else request.GET
    scheme, minutes = asked.get("scheme", ""), as_minutes(asked.get("minutes_per_bed", ""))
    if decision == VetDecision.ACCEPT and computed_otherwise(request):
        messages.info(request, "Scheme or minutes per bed changed: check the activity and the length of the scan")
        chosen = {"tracer": tracer, "scheme": scheme, "minutes_per_bed": asked.get("minutes_per_bed", "")}
        return redirect(f"{request.path}?{urlencode(chosen)}")
    proposal = propose(
        case, tracer, asked.get("protocol", "") if decision else "", scheme=scheme, minutes_per_bed=minutes
    )
    forms = forms_for(request, referral, case, proposal, decision)
    if decision not in forms:
        return page(request, referral, case, proposal, forms)
    form = forms[decision]
    if not form.is_valid():
        return page(request, referral, case, proposal, forms, posted=decision, status=422)
    try:
        got = services.vet(
            referral,
            decided(VetDecision(decision), form, proposal),
            version=form.cleaned_data["version"],
            now=request.now,
            by=request.acting.actor,
            person=request.acting.person,
        )
    except Stale as stale:
        return overtaken(request, referral, stale, form)
    except IllegalMove as illegal:
        messages.error(request, f"Not possible now: the referral is {illegal.state.replace('_', ' ')}")
        return redirect("referrals:detail", referral.pk)
    if isinstance(got, services.NotVetted):
        for reason in got.reasons:
            form.add_error(place_of(decision, reason), reason)
        return page(request, referral, case, proposal, forms, posted=decision, refused=got, status=422)
    return on_to_the_next(request, referral, got)


def as_minutes(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def computed_otherwise(request: HttpRequest) -> bool:
    """The activity on the page is that of another scheme or another number of minutes: proposed anew before it is accepted."""
    sent = request.POST
    if not sent.get("scheme") or "proposed_scheme" not in sent:
        return False
    minutes, before = as_minutes(sent.get("minutes_per_bed", "")), as_minutes(sent.get("proposed_minutes", ""))
    return sent["scheme"] != sent["proposed_scheme"] or minutes != before


def place_of(decision: str, reason: str) -> str | None:
    if decision == VetDecision.ACCEPT:
        for start, name in (
            ("Justify", "justified"),
            ("Prescribe", "activity_mbq"),
            ("Say what you changed", "change"),
        ):
            if reason.startswith(start):
                return name
    return "question" if decision == VetDecision.QUERY else None


def decided(decision: VetDecision, form: Any, proposal: Proposal) -> services.Vetting:
    """The page's words as a decision."""
    given = form.cleaned_data
    match decision:
        case VetDecision.ACCEPT:
            changed = bool(given["change"].strip()) or given["tracer"] != given["requested_tracer"]
            wanted = proposal.wanted
            activity = float(given["activity_mbq"])
            return services.Vetting(
                VetDecision.ACCEPT_WITH_CHANGE if changed else VetDecision.ACCEPT,
                procedures=(
                    services.Wanted(
                        procedure_code=wanted.procedure_code,
                        tracer=wanted.tracer,
                        title=wanted.title,
                        protocol=given["protocol"],
                        protocol_version=PROTOCOLS[given["protocol"]].value.version,
                        activity_mbq=activity,
                        scheme=wanted.scheme if activity == wanted.activity_mbq else BY_HAND,
                        minutes_per_bed=wanted.minutes_per_bed,
                        weight_kg=wanted.weight_kg,
                        computed_mbq=wanted.computed_mbq,
                        includes=("pet", "ct", "contrast") if given["contrast"] else ("pet", "ct"),
                    ),
                ),
                sites=tuple(UUID(one) for one in given["sites"]),
                justified=given["justified"],
                justification=given["indication_row"] or "Outside the table of indications",
                change=given["change"],
                indication_row=given["indication_row"],
                indication_edition=INDICATIONS[given["indication_row"]].value.edition
                if given["indication_row"] in INDICATIONS
                else "",
            )
        case VetDecision.QUERY:
            return services.Vetting(decision, question=form.text(), fields=form.about())
        case VetDecision.REJECT:
            return services.Vetting(
                decision,
                reason=RejectionReason(given["reason"]),
                explanation=given["explanation"],
                where_to=given["where_to"],
            )
        case _:
            return services.Vetting(decision, where_to=given["where_to"], explanation=given["explanation"])


def on_to_the_next(request: HttpRequest, referral: Referral, got: services.Vetted) -> HttpResponse:
    """The next one by breach date, so that a list is worked without going back to it."""
    words = {
        "accept": "accepted",
        "accept_with_change": "accepted with your change",
        "query": "asked back",
        "reject": "not accepted",
        "redirect": "passed on",
    }
    name = referral.patient.name
    messages.success(request, f"{name}: {words[got.decision.decision]}")
    names = {site.pk: site.name for site in services.sites_of(referral)}
    for key, reasons in got.left_out.items():
        messages.warning(request, f"Not authorised at {names.get(key, 'a site')}: {'; '.join(reasons)}")
    following = waiting(request).exclude(pk=referral.pk).order_by("breach_on", "needed_by", "due_at", "pk").first()
    if following is None:
        return redirect("referrals:vetting")
    return redirect("referrals:vet", following.pk)


def page(
    request: HttpRequest,
    referral: Referral,
    case: Case,
    proposal: Proposal,
    forms: dict[str, Any],
    *,
    posted: str = "",
    refused: services.NotVetted | None = None,
    status: int = 200,
) -> HttpResponse:
    today = timezone.localdate(request.now)
    window = services.window_of(referral, today)
    sites = services.sites_of(referral)
    person = request.acting.person
    reasons = services.why_not_by_site(proposal.wanted.procedure_code, sites=sites, window=window, person=person)
    left = (referral.breach_on - today).days if referral.breach_on else None
    context = shown(
        request,
        referral,
        case=case,
        forms=forms,
        posted=posted,
        refused=refused,
        proposal=proposal,
        matching=matching_rows(case),
        window=window,
        left=days_left_in_words(left) if left is not None else "",
        sites=[(site, reasons[site.pk]) for site in sites],
        licences=list(person.licences.order_by("-valid_to")),
        quick=QUICK,
        can_vet=referral.state == ReferralState.TO_VET or services.waits_again(referral),
        question=case.text("clinical_question"),
        in_one_look=in_one_look(case),
        in_all=cumulative(referral, proposal.wanted, today),
    )
    return render(request, "referrals/vet.html", context, status=status)


def cumulative(referral: Referral, wanted: services.Wanted, on: date) -> str:
    """Another injection is another exposure: what was given already stands beside the decision."""
    born = referral.patient.date_of_birth
    mbq = float(wanted.activity_mbq or 0.0)
    msv = services.msv_of(wanted.tracer, mbq, age_in_years(born, on) if born else None, on)
    return in_all(services.given_to(referral), mbq=mbq, msv=msv, ct=services.ct_had(referral))


def in_one_look(case: Case) -> list[tuple[str, Any]]:
    """What every vetter looks for first."""
    wanted = {
        "Purpose", "Tumour site (ICD-10 or SNOMED CT)", "Histology", "Stage", "Region", "Treatment so far",
        "Surgery or biopsy in the last six weeks", "Weight, kg", "Diabetes", "Pregnant", "Allergies",
        "Intravenous contrast wanted", "eGFR, mL/min/1.73 m²", "Claustrophobia or anxiety",
        "Sedation or anaesthetic", "Infection",
    }  # fmt: skip
    return [pair for _, pairs in said_answers(case) for pair in pairs if pair[0] in wanted]

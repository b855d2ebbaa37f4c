"""The deliberate match of one dose to one person: says why not, and records what happened either way."""

from uuid import UUID

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone

from gantry.apps.accounts.access import requires
from gantry.apps.audit.services import Stale
from gantry.apps.estate.models import Device, Scanner
from gantry.apps.radiopharmacy.models import Dose
from gantry.apps.radiopharmacy.services import Impossible, NotDone
from gantry.apps.radiopharmacy.services.stock import drawn_for
from gantry.apps.referrals.models import Authorisation
from gantry.apps.referrals.services import ct_had, given_to, msv_of
from gantry.apps.scanning.forms import InjectForm, dose_choice
from gantry.apps.scanning.models import Visit
from gantry.apps.scanning.services import visits
from gantry.apps.scanning.services.injecting import authorisation_of, fallbacks_for, injectors_at
from gantry.apps.scanning.views.site import visit_for, zone_of
from gantry.apps.ui.wording import say_mbq
from gantry.domain.access import Scope, Verb
from gantry.domain.injecting import in_all
from gantry.domain.scan import Act, age_in_years
from gantry.domain.supply import IN_HAND
from gantry.reference.protocols import product_of
from gantry.reference.schemes import TOLERANCE_PERCENT


def doses_for(visit: Visit, tracer: str, scope: Scope) -> list[Dose]:
    """Drawn at this site, the right product, for this person or for nobody yet; this person's own first."""
    waiting = (
        Dose.objects.for_user(scope)
        .filter(site=visit.site, state__in=IN_HAND)
        .select_related("container", "batch", "appointment__referral")
        .order_by("drawn_at")
    )
    mine = [d for d in waiting if product_of(d.tracer) == product_of(tracer)]
    mine = [d for d in mine if d.appointment_id in (None, visit.appointment_id)]
    return sorted(mine, key=lambda d: d.appointment_id is None)


@requires(Verb.INJECT)
def inject(request: HttpRequest, key: UUID, step: str) -> HttpResponse:
    visit = visit_for(request, key)
    try:
        node = visits.protocol_of(visit).step(step)
    except KeyError:
        raise Http404("step") from None
    if node.act is not Act.INJECT:
        raise Http404("step")
    tracer, zone = node.tracer or visit.appointment.procedure.tracer, zone_of(visit.site)
    found = doses_for(visit, tracer, request.acting.scope)
    choices = [dose_choice(d, f"{say_mbq(drawn_for(d).activity_at(request.now))} now") for d in found]
    sisters = {str(s.pk): s for s in fallbacks_for(visit, node, at=request.now)}
    named = [(key, s.name) for key, s in sisters.items()]
    devices = {str(d.pk): d for d in injectors_at(visit.site)}
    told = {
        "doses": choices, "fallbacks": named, "injectors": [(key, d.name) for key, d in devices.items()], "now": request.now,
        "zone": zone,
    }  # fmt: skip
    refused = "refused" in request.POST or request.POST.get("how") == "override"
    form = InjectForm(request.POST or None, refused=refused, **told)
    outcome: visits.NotAuthorised | None = None
    with timezone.override(zone):
        if request.method == "POST" and form.is_valid():
            dose = chosen(visit, form, request.acting.scope)
            if dose is None:
                form.add_error("barcode", "No dose of this site carries this barcode")
            else:
                given = form.cleaned_data
                fallback, device = sisters.get(given.get("fallback", "")), devices.get(given.get("injector", ""))
                outcome = attempt(request, visit, step, dose, form, fallback, device)
                if outcome is None and not form.errors:
                    return redirect("scanning:board", visit.site_id)
        if outcome is not None and ("override_reason" in form.fields) is bool(outcome.never):
            form = InjectForm(request.POST, refused=not outcome.never, **told)
            form.is_valid()
        before = visits.why_not(visit, step, None, at=request.now)
        authorisation = authorisation_of(visit.appointment, tracer)
        return render(
            request,
            "scanning/inject.html",
            {
                "visit": visit,
                "patient": visit.appointment.referral.patient,
                "node": node,
                "form": form,
                "found": found,
                "before": before.reasons,
                "outcome": outcome,
                "prescribed": authorisation.activity_mbq if authorisation else None,
                "tolerance": TOLERANCE_PERCENT,
                "doubt": visit.glucose_doubt,
                "in_all": cumulative(visit, authorisation, tracer),
                "already": visit.steps.filter(key=step, current=True).first(),
            },
            status=422 if form.errors or outcome else 200,
        )


def cumulative(visit: Visit, authorisation: Authorisation | None, tracer: str) -> str:
    """What this person has had for this referral, and what it comes to with this dose; nothing before a first one."""
    referral, mbq = visit.appointment.referral, (authorisation.activity_mbq or 0.0) if authorisation else 0.0
    born = referral.patient.date_of_birth
    age = age_in_years(born, visit.on) if born else None
    earlier = [g for g in given_to(referral) if g.visit != str(visit.pk)]
    return in_all(earlier, mbq=mbq, msv=msv_of(tracer, mbq, age, visit.on), ct=ct_had(referral))


def chosen(visit: Visit, form: InjectForm, scope: Scope) -> Dose | None:
    given = form.cleaned_data
    here = Dose.objects.for_user(scope).filter(site=visit.site)
    here = here.select_related("container", "batch", "appointment__referral")
    if given["barcode"]:
        return here.filter(container__barcode__iexact="".join(given["barcode"].split())).first()
    return here.filter(pk=given["dose"]).first()


def attempt(
    request: HttpRequest,
    visit: Visit,
    step: str,
    dose: Dose,
    form: InjectForm,
    fallback: Scanner | None,
    injector: Device | None,
) -> visits.NotAuthorised | None:
    """Recorded, or the reasons why not; what clashes with somebody else's entry is said on the form."""
    given = form.cleaned_data
    happened = request.POST.get("how") == "happened"
    override = given.get("override_reason", "") if request.POST.get("how") == "override" else ""
    if request.POST.get("how") == "override" and not override.strip():
        form.add_error("override_reason", "Say why it has to go ahead now: your name stands beside it")
        at, match = given["injected_at"], form.match()
        return visits.why_not(visit, step, dose, at=at, match=match, fallback=fallback, injector=injector)
    try:
        outcome = visits.inject(
            visit,
            step,
            dose,
            injected_at=given["injected_at"],
            match=form.match(),
            override_reason=override,
            now=request.now,
            by=request.acting.actor,
            person=request.acting.person,
            already_happened=happened,
            body_site=given["body_site"],
            fallback=fallback,
            injector=injector,
        )
    except visits.AlreadyRecorded as earlier:
        said = timezone.localtime(earlier.step.happened_at)
        form.add_error(None, f"{earlier.step.by_name} recorded this injection at {said:%H:%M}")
        return None
    except (Impossible, NotDone) as impossible:
        form.add_error(None, " ".join(impossible.reasons))
        return None
    except Stale:
        form.add_error(None, "Somebody used this dose a moment ago: look at the board before you go on")
        return None
    if isinstance(outcome, visits.NotAuthorised):
        return outcome
    net = say_mbq(outcome.dose.net_mbq)
    name = visit.appointment.referral.patient.name
    messages.success(
        request, f"{name}: {net} at {timezone.localtime(outcome.injected_at):%H:%M}. Measure the residual."
    )
    for reason in outcome.breach:
        messages.warning(request, f"Recorded as a breach: {reason}.")
    return None

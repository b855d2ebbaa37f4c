"""What a site's day is reckoned with: each fact with who said it, what nobody has said, and the forms that say it."""

from datetime import date, datetime, time
from uuid import UUID
from zoneinfo import ZoneInfo

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone

from gantry.apps.accounts.access import requires
from gantry.apps.audit.services import Stale
from gantry.apps.estate.models import Organisation, Site
from gantry.apps.radiopharmacy.views.sites import sites_for
from gantry.apps.scheduling.forms import DoorsForm, FittingsForm, PeopleForm, TermsForm
from gantry.apps.scheduling.models import PeopleSession
from gantry.apps.scheduling.services import noting
from gantry.apps.scheduling.services.reckoned import Held, held
from gantry.apps.scheduling.services.reckoning import usual_fittings
from gantry.apps.scheduling.services.refusals import NotPossible
from gantry.apps.scheduling.views.odd import in_words
from gantry.apps.ui.forms import Form
from gantry.domain.access import Verb

HEADED = {"doors": "the doors", "people": "this session", "terms": "this supplier"}
"""What each form is about, for the name of its button."""


@requires(Verb.SEE_BOARD)
@in_words
def reckons(request: HttpRequest, site: UUID, on: str) -> HttpResponse:
    place = get_object_or_404(sites_for(request), pk=site)
    try:
        local = date.fromisoformat(on)
    except ValueError:
        raise Http404("day") from None
    zone = ZoneInfo(place.zone)
    with timezone.override(zone):
        rows = held(place, local)
        may_note = request.acting.may(Verb.OWN_FAILURES)
        what = request.POST.get("what", "")
        shown = forms_of(request, rows, what, zone)
        form = shown.get(what)
        if request.method == "POST" and may_note and noted(request, place, local, what, form, zone):
            return redirect("scheduling:reckons", place.pk, local.isoformat())
        wrong = form is not None and bool(form.errors)
        return render(
            request,
            "scheduling/reckons.html",
            {
                "site": place,
                "on": local,
                "rows": rows,
                "forms": [(name, HEADED.get(name, "this scanner"), form) for name, form in shown.items()],
                "posted": form if wrong else None,
                "may_note": may_note,
            },
            status=422 if wrong else 200,
        )


def forms_of(request: HttpRequest, rows: Held, what: str, zone: ZoneInfo) -> dict[str, Form]:
    def given(name: str) -> object:
        return request.POST if what == name else None

    facts = rows.facts
    names = ("doors_open", "doors_close", "paid_until", "injectors")
    doors = {name: getattr(facts, name) for name in names} if facts else {}
    common = {"now": request.now, "zone": zone}
    found: dict[str, Form] = {
        "doors": DoorsForm(given("doors"), prefix="doors", initial=doors, **common),
        "people": PeopleForm(given("people"), prefix="people", **common),
    }
    for scanner in rows.scanners:
        row, name = rows.fitted.get(scanner.pk), f"fittings-{scanner.pk}"
        has = sorted(row.has if row else usual_fittings(rows.site))
        found[name] = FittingsForm(given(name), prefix=name, scanner=scanner, initial={"has": has}, **common)
    if rows.suppliers:
        pairs = [(f"{supplier.pk}|{tracer}", f"{tracer} from {supplier.name}") for supplier, tracer in rows.suppliers]
        found["terms"] = TermsForm(given("terms"), prefix="terms", suppliers=pairs, **common)
    return found


def noted(
    request: HttpRequest, site: Site, on: date, what: str, form: Form | None, zone: ZoneInfo
) -> bool:  # fmt: skip
    """True when the page is to be loaded again."""
    now, by = request.now, request.acting.actor
    try:
        if what == "off":
            sessions = PeopleSession.objects.for_user(request.acting.scope).filter(site=site)
            noting.call_off_session(get_object_or_404(sessions, pk=request.POST.get("session")), now=now, by=by)
        elif form is None or not form.is_valid():
            return False
        elif isinstance(form, DoorsForm):
            noting.note_doors(site, form.given(), now=now, by=by)
        elif isinstance(form, PeopleForm):
            given = form.cleaned_data
            noting.note_session(
                site, kind=given["kind"], starts_at=at(on, given["starts"], zone),
                ends_at=at(on, given["ends"], zone), people=given["people"], now=now, by=by,
            )  # fmt: skip
        elif isinstance(form, FittingsForm):
            noting.note_fittings(form.scanner, form.cleaned_data["has"], site, now=now, by=by)
        elif isinstance(form, TermsForm):
            key, _, tracer = form.cleaned_data["of"].partition("|")
            noting.note_terms(
                site, get_object_or_404(Organisation, pk=key), tracer, least_mbq=float(form.cleaned_data["least"]),
                price_pence=form.pence("run"), price_pence_per_gbq=form.pence("gbq"), now=now, by=by,
            )  # fmt: skip
    except NotPossible as refused:
        for reason in refused.reasons:
            form.add_error(None, reason)
        return False
    except Stale:
        messages.warning(request, "Somebody called this session off first.")
        return True
    messages.success(request, "Noted. The day's plans are reckoned with it from now on.")
    return True


def at(on: date, clock: time, zone: ZoneInfo) -> datetime:
    return datetime.combine(on, clock, zone)

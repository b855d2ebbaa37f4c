"""What the people who work with activity receive: each their own, and all of them for whoever keeps the record."""

from uuid import UUID

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils import timezone

from gantry.apps.accounts.access import requires
from gantry.apps.accounts.models import Person, RoleGrant
from gantry.apps.radiopharmacy import services
from gantry.apps.radiopharmacy.forms import LookForm, StaffDoseForm
from gantry.apps.radiopharmacy.models import StaffDose
from gantry.apps.radiopharmacy.services.staff import record_staff_dose, review_staff_dose, standing_doses, year_of
from gantry.apps.radiopharmacy.views.sites import site_for, sites_for, zone_of
from gantry.apps.radiopharmacy.views.today import SEES
from gantry.apps.ui.wording import say_date
from gantry.domain.access import Role, Verb
from gantry.domain.staff_dose import Part
from gantry.reference.staff_dose import staff_limits

WORK_WITH_ACTIVITY = [
    role.value for role in (Role.RADIOGRAPHER, Role.RADIOPHARMACIST, Role.PHYSICIST, Role.SESSION_LEAD)
]


def people_of(request: HttpRequest) -> QuerySet[Person]:
    """Everybody whose record may be seen: of these organisations for whoever keeps it, else oneself."""
    if not request.acting.may(Verb.ACCEPT_BATCH):
        return Person.objects.filter(pk=request.acting.person.pk)
    on = request.now.date()
    grants = RoleGrant.objects.for_user(request.acting.scope).filter(role__in=WORK_WITH_ACTIVITY, valid_from__lte=on)
    grants = grants.filter(Q(valid_to=None) | Q(valid_to__gte=on))
    return Person.objects.filter(pk__in=grants.values("person")).order_by("name")


@requires(*SEES)
def staff(request: HttpRequest) -> HttpResponse:
    site, now = site_for(request), request.now
    zone, keeps = zone_of(site), request.acting.may(Verb.ACCEPT_BATCH)
    people = list(people_of(request))
    readings = StaffDose.objects.for_user(request.acting.scope).filter(site=site, person__in=people, corrected_by=None)
    known = [(str(r.pk), said_of(r)) for r in readings.select_related("person").order_by("-last", "person__name")[:60]]
    form = StaffDoseForm(
        request.POST or None, people=[(str(p.pk), p.name) for p in people], known=known, now=now, zone=zone
    )  # fmt: skip
    with timezone.override(zone):
        if request.method == "POST" and form.is_valid():
            if not keeps:
                raise PermissionDenied("You may not record what others receive")
            if recorded(request, site, form):
                return redirect(f"{reverse('tracer:staff')}?site={site.pk}")
        asked = readings.exclude(asks=[]).select_related("person", "review").order_by("-last")[:30]
        return render(
            request,
            "tracer/staff.html",
            {
                "site": site,
                "sites": list(sites_for(request)),
                "on": now.astimezone(zone).date(),
                "years": year_of(people, site, now=now),
                "limits": [staff_limits(part, now.date()) for part in Part],
                "asked": asked,
                "form": form if keeps else None,
                "keeps": keeps,
            },
            status=422 if form.errors else 200,
        )


def said_of(row: StaffDose) -> str:
    return f"{row.person.name}, {row.part}, {say_date(row.first)} to {say_date(row.last)}: {row.msv:g} mSv"


def recorded(request: HttpRequest, site, form: StaffDoseForm) -> bool:
    given = form.cleaned_data
    person = get_object_or_404(people_of(request), pk=given["person"])
    before = next((row for row in standing_doses(person) if str(row.pk) == given["corrects"]), None)
    try:
        row = record_staff_dose(
            site, person, form.reading(), corrects=before, now=request.now, by=request.acting.actor
        )  # fmt: skip
    except services.NotDone as refused:
        for reason in refused.reasons:
            form.add_error(None, reason)
        return False
    if row.asks:
        messages.warning(request, f"Recorded. Somebody has to look: {'; '.join(row.asks)}.")
    else:
        messages.success(request, f"Recorded for {person.name}.")
    return True


@requires(Verb.ACCEPT_BATCH)
def look(request: HttpRequest, key: UUID) -> HttpResponse:
    """A reading that asked for a look, and what was found."""
    rows = StaffDose.objects.for_user(request.acting.scope).select_related("person", "site", "review")
    row = get_object_or_404(rows, pk=key)
    seen = getattr(row, "review", None)
    form = LookForm(request.POST or None, now=request.now)
    if request.method == "POST" and form.is_valid():
        try:
            review_staff_dose(row, finding=form.cleaned_data["finding"], now=request.now, by=request.acting.actor)
            messages.success(request, "Recorded with your name.")
            return redirect(f"{reverse('tracer:staff')}?site={row.site_id}")
        except services.NotDone as refused:
            for reason in refused.reasons:
                form.add_error(None, reason)
    return render(
        request,
        "tracer/look.html",
        {"row": row, "seen": seen, "form": None if seen else form},
        status=422 if form.errors else 200,
    )

"""Where each person starts, the timeline of any subject, what needs somebody, and search across rooms."""

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.db.models import Count, Model, Q
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import NoReverseMatch, reverse
from django.utils import timezone

from gantry.apps.accounts.access import requires
from gantry.apps.audit.timeline import timeline
from gantry.apps.booking.models import Appointment
from gantry.apps.estate.chosen import chosen
from gantry.apps.estate.models import Site
from gantry.apps.patients.models import Patient
from gantry.apps.radiopharmacy.models import Batch, Investigation, TracerOrder
from gantry.apps.radiopharmacy.services.investigations import still_open
from gantry.apps.referrals.models import Referral, RequestedProcedure
from gantry.apps.reporting.models import Report, ReportDispatch
from gantry.apps.scanning.models import ImageDispatch, ReconcileItem, Study, Visit
from gantry.apps.ui.listing import Column, Filter, Listing
from gantry.apps.ui.parts import Link, NextStep
from gantry.apps.ui.wording import say_date, say_nhs_number
from gantry.domain.access import Role, Verb

ANYBODY = tuple(Verb)
HOME: tuple[tuple[Role, str], ...] = (
    (Role.REFERRER, "referrals:list"),
    (Role.BOOKING_COORDINATOR, "booking:list"),
    (Role.PRACTITIONER, "referrals:vetting"),
    (Role.RADIOGRAPHER, "scanning:board"),
    (Role.RADIOPHARMACIST, "tracer:today"),
    (Role.PHYSICIST, "tracer:today"),
    (Role.SESSION_LEAD, "desk:watch"),
    (Role.REPORTER, "reporting:list"),
    (Role.MANAGER, "quality:measures"),
    (Role.CLINICAL_LEAD, "scheduling:weights"),
)


def site_of(request: HttpRequest) -> Site | None:
    """The site a person works at: the one chosen last, else their employer's, else where most people come today."""
    organisations = request.acting.scope.organisations
    mine = Site.objects.filter(Q(organisation__in=organisations) | Q(network__provider__in=organisations))
    busy = Count("visits", filter=Q(visits__on=timezone.localdate(request.now)))
    return (
        chosen(request, mine)
        or mine.filter(organisation__in=organisations).order_by("name").first()
        or mine.annotate(today=busy).order_by("-today", "name").first()
    )


@requires(*ANYBODY)
def home(request: HttpRequest) -> HttpResponse:
    """Everyone signs in to their work, never to a menu."""
    for role, name in HOME:
        if role not in request.acting.roles:
            continue
        try:
            site = site_of(request) if name == "scanning:board" else None
            return redirect(reverse(name, args=[site.pk] if site else []))
        except NoReverseMatch:
            continue
    return render(request, "desk/nothing.html", status=403)


@dataclass(frozen=True, slots=True)
class Kind:
    """A subject that has a timeline: its table, what it is called, and the page that acts on it."""

    model: type[Model]
    title: str
    page: str = ""


KINDS = {
    "patient": Kind(Patient, "Patient"),
    "referral": Kind(Referral, "Referral", "referrals:detail"),
    "procedure": Kind(RequestedProcedure, "Requested procedure"),
    "appointment": Kind(Appointment, "Appointment", "booking:appointment"),
    "visit": Kind(Visit, "Visit", "scanning:visit"),
    "study": Kind(Study, "Images"),
    "report": Kind(Report, "Report", "reporting:read"),
    "batch": Kind(Batch, "Batch", "tracer:batch"),
    "order": Kind(TracerOrder, "Tracer order"),
    "investigation": Kind(Investigation, "Investigation", "tracer:investigation"),
}


@requires(Verb.SEE_REFERRALS)
def subject(request: HttpRequest, kind: str, key: UUID) -> HttpResponse:
    known = KINDS.get(kind)
    row = known.model.objects.for_user(request.acting.scope).filter(pk=key).first() if known else None
    if known is None or row is None:
        raise Http404(kind)
    referral = row if isinstance(row, Referral) else None
    sites = list(Site.objects.all())
    names, codes = {site.pk: site.name for site in sites}, {site.ods_code: site.name for site in sites}
    return render(
        request,
        "desk/timeline.html",
        {
            "kind": known.title,
            "name": _name(row),
            "events": timeline(key, where=lambda site: names.get(site, ""), codes=codes),
            "next_step": _next(referral, request) if referral else None,
            "page": _page(known, row),
            "referrals": _referrals(row, request) if isinstance(row, Patient) else [],
        },
    )


def _name(row: Any) -> str:
    if isinstance(row, Patient):
        return row.name
    if isinstance(row, Referral):
        return row.patient.name
    return str(row)


def _page(kind: Kind, row: Any) -> Link | None:
    try:
        return Link(f"Open the {kind.title.lower()}", reverse(kind.page, args=[row.pk])) if kind.page else None
    except NoReverseMatch:
        return None


def _referrals(patient: Patient, request: HttpRequest) -> list[tuple[Link, NextStep | None]]:
    """Each referral of a patient, newest first, with what is to be done."""
    rows = Referral.objects.for_user(request.acting.scope).filter(patient=patient).order_by("-received_at")
    return [
        (
            Link(
                f"Referral of {say_date(timezone.localdate(row.received_at))}",
                reverse("referrals:detail", args=[row.pk]),
            ),
            _next(row, request),
        )
        for row in rows[:20]
    ]


def _next(referral: Referral, request: HttpRequest) -> NextStep | None:
    if not referral.next_step:
        return None
    late = referral.due_at is not None and referral.due_at < request.now
    return NextStep(referral.next_step, referral.next_owner.replace("_", " "), referral.due_at, late=late)


@dataclass(frozen=True, slots=True)
class Found:
    what: str
    name: str
    detail: str
    href: str


@requires(Verb.SEE_REFERRALS)
def search(request: HttpRequest) -> HttpResponse:
    text = request.GET.get("q", "").strip()
    found: list[Found] = []
    outside: Patient | None = None
    if text:
        found, outside = _search(request, text)
    return render(request, "desk/search.html", {"q": text, "found": found, "outside": outside})


def _search(request: HttpRequest, text: str) -> tuple[list[Found], Patient | None]:
    scope = request.acting.scope
    digits = "".join(c for c in text if c.isdigit())
    found = [
        Found(
            "Accession number", p.accession_number, p.title, reverse("desk:timeline", args=["referral", p.referral_id])
        )
        for p in RequestedProcedure.objects.for_user(scope).filter(accession_number__iexact=text)[:5]
    ]
    names = Q()
    for word in text.replace(",", " ").split():
        names &= Q(family_name__istartswith=word) | Q(given_name__istartswith=word)
    wanted = Q(nhs_number=digits) if len(digits) == 10 else names
    for patient in Patient.objects.for_user(scope).filter(wanted).order_by("family_name", "given_name")[:50]:
        born = f"born {patient.date_of_birth:%-d %B %Y}" if patient.date_of_birth else "date of birth not given"
        detail = f"{say_nhs_number(patient.nhs_number)}, {born}" if patient.nhs_number else born
        found.append(Found("Patient", patient.name, detail, reverse("desk:timeline", args=["patient", patient.pk])))
    outside = None
    if not found and len(digits) == 10 and request.acting.may(Verb.BREAK_GLASS):
        # Only an exact NHS number finds somebody outside one's organisations, and shows nothing but that they exist.
        outside = Patient.objects.filter(nhs_number=digits).only("pk").first()
    return found, outside


LATE = Listing(
    caption="Referrals whose next step is overdue",
    columns=(
        Column(
            "patient", "Patient", lambda one: one.patient.name, sort=("patient__family_name", "patient__given_name")
        ),
        Column("step", "Next step", lambda one: one.next_step, sort="next_step"),
        Column("owner", "Owner", lambda one: one.next_owner.replace("_", " "), sort="next_owner"),
        Column("due", "Was due", lambda one: one.due_at, sort="due_at"),
    ),
    href=lambda one: reverse("desk:timeline", args=["referral", one.pk]),
    filters=(
        Filter(
            "owner",
            "Owner",
            lambda rows, owner: rows.filter(next_owner=owner),
            choices=[(role.value, role.value.replace("_", " ").capitalize()) for role in Role],
        ),
    ),
    default_sort="due",
)
SHOWN = 50
"""Of each other kind; there is work to do long before there are more, and the page says when there are."""


@requires(Verb.OWN_FAILURES)
def watch(request: HttpRequest) -> HttpResponse:
    """What needs somebody: messages given up, images held, referrals past their time. Nobody waits unseen."""
    scope = request.acting.scope
    late = Referral.objects.for_user(scope).filter(due_at__lt=request.now, closed_at=None).exclude(next_step="")
    late = late.select_related("patient")
    if LATE.wants_csv(request):
        return LATE.csv(request, late, "overdue.csv")
    reports = ReportDispatch.objects.for_user(scope).filter(state__in=["failed", "given_up"])
    images = ImageDispatch.objects.for_user(scope).filter(state__in=["failed", "given_up"])
    held = ReconcileItem.objects.for_user(scope).filter(state="open")
    differences = still_open(scope)
    batches = Batch.objects.for_user(scope).filter(state__in=["failed", "rejected", "recalled"])
    return render(
        request,
        "desk/watch.html",
        {
            "late": LATE.page(request, late),
            "late_count": late.count(),
            "reports": reports.select_related("organisation", "message", "version__report").order_by("pk")[:SHOWN],
            "images": images.select_related("organisation", "message", "study").order_by("pk")[:SHOWN],
            "undelivered_count": reports.count() + images.count(),
            "held": held.select_related("site").order_by("opened_at")[:SHOWN],
            "held_count": held.count(),
            "batches": batches.select_related("site").order_by("-reference_at")[:SHOWN],
            "batch_count": batches.count(),
            "differences": differences[:SHOWN],
            "difference_count": differences.count(),
            "now": request.now,
        },
    )

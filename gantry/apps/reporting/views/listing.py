"""What do I read next? For those who report, the scans that wait; for those who referred, the reports that came."""

from django.db.models import Exists, F, OuterRef, Prefetch, Q, QuerySet, Subquery
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse

from gantry.apps.accounts.access import requires
from gantry.apps.referrals.models import RequestedProcedure
from gantry.apps.reporting.models import Report, ReportDispatch, ReportVersion
from gantry.apps.reporting.services.writing import LOCK
from gantry.apps.scanning.models import ImageDispatch, PerformedStep, StepDone, Study
from gantry.apps.ui.listing import Column, Filter, Listing, Search
from gantry.apps.ui.parts import Tag
from gantry.domain.access import Verb
from gantry.domain.identifiers import clean_nhs_number
from gantry.domain.report import ReportState
from gantry.domain.scan import StepState

ISSUED = (ReportState.FINAL, ReportState.AMENDED, ReportState.WITHDRAWN)
STATE_TAGS = {
    ReportState.DRAFT: Tag("Being written", "info"),
    ReportState.PRELIMINARY: Tag("Preliminary", "soon"),
    ReportState.FINAL: Tag("Final", "good"),
    ReportState.AMENDED: Tag("Amended", "held"),
    ReportState.WITHDRAWN: Tag("Withdrawn", "late"),
    ReportState.ENTERED_IN_ERROR: Tag("Entered in error", "late"),
}


def search(prefix: str):
    def apply(rows: QuerySet, text: str) -> QuerySet:
        digits = clean_nhs_number(text)
        if digits.isdigit() and len(digits) == 10:
            return rows.filter(**{f"{prefix}referral__patient__nhs_number": digits})
        words = Q(**{f"{prefix}accession_number": text.upper()})
        names = Q()
        for word in text.replace(",", " ").split():
            names &= Q(**{f"{prefix}referral__patient__family_name__istartswith": word}) | Q(
                **{f"{prefix}referral__patient__given_name__istartswith": word}
            )
        return rows.filter(words | names)

    return apply


WHICH = (("", "To read"), ("no_images", "Scanned, no images here"), ("reported", "Reported"))


def narrowed(request: HttpRequest, rows: QuerySet) -> QuerySet:
    """What was asked for; a search looks through all of them."""
    which = request.GET.get("which", "")
    if which == "reported":
        return rows.filter(report__state__in=ISSUED)
    if not which and request.GET.get("q"):
        return rows
    waiting = Q(report=None) | Q(report__state__in=[ReportState.DRAFT, ReportState.PRELIMINARY])
    # Found first, among all that ever were: whether each was scanned is then asked of these few alone.
    unread = RequestedProcedure.objects.for_user(request.acting.scope).filter(waiting).values_list("pk", flat=True)
    rows = rows.filter(pk__in=list(unread))
    return rows.filter(has_images=False) if which == "no_images" else rows


def patient_of(procedure: RequestedProcedure) -> str:
    return procedure.referral.patient.name


def images_cell(procedure: RequestedProcedure) -> Tag:
    if not procedure.studies_here:
        return Tag("No images yet", "soon")
    checks = [check for study in procedure.studies_here for check in study.checks_here]
    check = max(checks, key=lambda each: (each.at, each.pk), default=None)
    if check is None:
        return Tag("Not checked", "info")
    return Tag("Checked", "good") if check.acceptable else Tag("Not acceptable", "late")


def sent_cell(procedure: RequestedProcedure) -> str:
    sent = [d for study in procedure.studies_here for d in study.dispatches_here]
    done = sum(1 for each in sent if each.state == "delivered")
    return f"{done} of {len(sent)} delivered" if sent else "Not sent"


def work_list(request: HttpRequest) -> Listing:
    def report_cell(procedure: RequestedProcedure) -> Tag:
        report = getattr(procedure, "report", None)
        if report is None:
            return Tag("To read", "plain")
        open_by = report.opened_by
        if (
            open_by
            and open_by != request.acting.person
            and report.opened_at
            and report.opened_at > request.now - LOCK
            and report.state in (ReportState.DRAFT, ReportState.PRELIMINARY)
        ):
            return Tag(f"Open: {open_by.name}", "held")
        return STATE_TAGS[ReportState(report.state)]

    return Listing(
        caption="Scans to read",
        columns=(
            Column("patient", "Patient", patient_of, sort="referral__patient__family_name"),
            Column("title", "Scan", lambda p: p.title),
            Column(
                "breach",
                "Breach",
                lambda p: p.referral.breach_on,
                sort=("earliest", "referral__needed_by", "scanned_at"),
            ),
            Column("wanted", "Wanted by", lambda p: p.referral.needed_by, sort="referral__needed_by"),
            Column("scanned", "Scanned", lambda p: p.scanned_at, sort="scanned_at"),
            Column("images", "Images", images_cell),
            Column("sent", "To hospitals", sent_cell, hide_narrow=True),
            Column("report", "Report", report_cell),
            Column("accession", "Accession", lambda p: p.accession_number, hide_narrow=True),
        ),
        href=lambda p: reverse("reporting:write", args=[p.pk]),
        filters=(Search("q", "Name, NHS number or accession number", search("")),),
        default_sort="breach",
    )


def scanned(request: HttpRequest) -> QuerySet:
    """Procedures with something to read, or that a room or a scanner says were scanned."""
    studies = Study.objects.filter(procedure=OuterRef("pk"), state="matched")
    told = PerformedStep.objects.filter(scheduled_step__procedure=OuterRef("pk"), state=StepState.COMPLETED)
    tapped = StepDone.objects.filter(
        visit__appointment__procedure=OuterRef("pk"), act="acquire", phase="done", current=True
    )
    return (
        RequestedProcedure.objects.for_user(request.acting.scope)
        .annotate(
            has_images=Exists(studies),
            scanned_at=tapped.order_by("happened_at").values("happened_at")[:1],
            earliest=F("referral__breach_on"),
        )
        .filter(Q(has_images=True) | Exists(told) | Exists(tapped))
        .select_related("referral__patient", "report__opened_by")
        .prefetch_related(
            Prefetch("studies", Study.objects.filter(state="matched"), to_attr="studies_here"),
            Prefetch("studies_here__checks", to_attr="checks_here"),
            Prefetch("studies_here__dispatches", ImageDispatch.objects.all(), to_attr="dispatches_here"),
        )
    )


@requires(Verb.REPORT, Verb.READ_REPORT)
def reports(request: HttpRequest) -> HttpResponse:
    if not request.acting.may(Verb.REPORT):
        return redirect("reporting:issued")
    listing, rows = work_list(request), narrowed(request, scanned(request))
    if listing.wants_csv(request):
        return listing.csv(request, rows, "to-read.csv")
    return render(
        request,
        "reporting/list.html",
        {
            "listing": listing.page(request, rows),
            "issued": False,
            "which": request.GET.get("which", ""),
            "choices": WHICH,
        },
    )


def read_filter(rows: QuerySet, value: str) -> QuerySet:
    if value == "unread":
        return rows.filter(read_here=None)
    return rows.filter(acted_here=None) if value == "not_acted" else rows


def issued_list(request: HttpRequest) -> Listing:
    def known(report: Report) -> Tag:
        if report.acted_here:
            return Tag("Acted on", "good")
        return Tag("Read", "info") if report.read_here else Tag("Not read", "soon")

    return Listing(
        caption="Reports",
        columns=(
            Column(
                "patient",
                "Patient",
                lambda r: patient_of(r.procedure),
                sort="procedure__referral__patient__family_name",
            ),
            Column("title", "Scan", lambda r: r.procedure.title),
            Column("state", "Report", lambda r: STATE_TAGS[ReportState(r.state)], sort="state"),
            Column("issued", "Issued", lambda r: r.issued_at, sort="issued_at"),
            Column("known", "At your hospital", known),
            Column("referrer", "Referred by", lambda r: r.procedure.referral.referrer_name, hide_narrow=True),
            Column("accession", "Accession", lambda r: r.procedure.accession_number, hide_narrow=True),
        ),
        href=lambda r: reverse("reporting:read", args=[r.pk]),
        filters=(
            Filter("known", "Show", read_filter, [("unread", "Not read"), ("not_acted", "Not acted on")]),
            Search("q", "Name, NHS number or accession number", search("procedure__")),
        ),
        default_sort="-issued",
    )


@requires(Verb.READ_REPORT)
def issued(request: HttpRequest) -> HttpResponse:
    here = ReportDispatch.objects.filter(
        version__report=OuterRef("pk"), organisation__in=request.acting.scope.organisations
    )
    # The newest version is the one that none follows: read along the index of what was issued last, page by page.
    later = ReportVersion.objects.filter(report=OuterRef("pk"), number__gt=OuterRef("number"))
    newest = here.filter(version=OuterRef("last_version"))
    rows = (
        Report.objects.for_user(request.acting.scope)
        .annotate(issued_at=F("versions__issued_at"), last_version=F("versions__pk"), number=F("versions__number"))
        .filter(~Exists(later), last_version__isnull=False)
        # When, and not whether: an EXISTS would be answered for every report there is before the page is cut from them.
        .annotate(
            read_here=Subquery(newest.exclude(read_at=None).values("read_at")[:1]),
            acted_here=Subquery(newest.exclude(acted_at=None).values("acted_at")[:1]),
        )
        .select_related("procedure__referral__patient")
    )
    listing = issued_list(request)
    if listing.wants_csv(request):
        return listing.csv(request, rows, "reports.csv")
    return render(request, "reporting/list.html", {"listing": listing.page(request, rows), "issued": True})

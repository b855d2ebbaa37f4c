"""The ledger as pages: a site's day at one instant, one vial or syringe line by line, and what was wasted at whose cost."""

from datetime import date, datetime, time, timedelta
from uuid import UUID

from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.utils import timezone

from gantry.apps.accounts.access import requires
from gantry.apps.estate.models import Site
from gantry.apps.radiopharmacy.models import Container, Dose, Investigation
from gantry.apps.radiopharmacy.services.investigations import still_open
from gantry.apps.radiopharmacy.services.statements import (
    COLUMNS,
    SiteStatement,
    by_payer,
    journey,
    site_statement,
    waste_over,
)
from gantry.apps.radiopharmacy.views.sites import asked_day, site_for, sites_for, zone_of
from gantry.apps.radiopharmacy.views.today import SEES, name_of
from gantry.apps.ui.listing import csv_file
from gantry.apps.ui.typed import NotUnderstood, read_date, read_time
from gantry.domain.events import CauseCode
from gantry.domain.ledger import Verdict
from gantry.reference.causes import said as cause_said

NOON = time(12)
TONES = {Verdict.ASK: "late", Verdict.AGREES: "good", Verdict.BY_THE_BOOK: "plain"}


def asked_instant(request: HttpRequest, site: Site, on: date) -> datetime:
    """The time that was typed, on that day; else now on the day itself, and noon on any other."""
    zone = zone_of(site)
    try:
        clock = read_time(request.GET.get("at", ""))
    except NotUnderstood:
        if on == request.now.astimezone(zone).date():
            return request.now
        clock = NOON
    return datetime.combine(on, clock, tzinfo=zone)


@requires(*SEES)
def statement(request: HttpRequest) -> HttpResponse:
    """In = net given + residual + waste + spill + quality control + sent + left, of every container, at one instant."""
    site = site_for(request)
    on = min(asked_day(request, site), request.now.astimezone(zone_of(site)).date())
    with timezone.override(zone_of(site)):
        said = site_statement(site, on, at=asked_instant(request, site, on), now=request.now)
        if request.GET.get("format") == "csv":
            return as_csv(said)
        return render(
            request,
            "tracer/statement.html",
            {
                "site": site,
                "sites": list(sites_for(request)),
                "on": on,
                "today": request.now.astimezone(zone_of(site)).date(),
                "before": on - timedelta(days=1),
                "after": on + timedelta(days=1),
                "said": said,
                "columns": [label for label, _ in COLUMNS],
                "tones": TONES,
                "open": still_open(request.acting.scope, site=site),
            },
        )


def as_csv(said: SiteStatement) -> HttpResponse:
    head = [
        "Nuclide", "Decayed to", "Batch", "Container", "Kind", COLUMNS[0][0], "Drawn in less out",
        *(label for label, _ in COLUMNS[1:]), "Left", "Not explained", "Uncertainty, k = 2", "Verdict",
    ]  # fmt: skip
    rows = (
        [
            one.nuclide.symbol, said.at, row.number, row.name, row.kind,
            *(round(mbq, 3) for mbq in (row.cells[0], row.drawn_mbq, *row.cells[1:], row.said.left_mbq)),
            round(row.said.difference_mbq, 3), round(row.said.uncertainty_mbq, 3), row.said.verdict,
        ]
        for one in said.nuclides
        for row in (*one.rows, one.whole)
    )  # fmt: skip
    return csv_file(head, rows, f"ledger-{said.site.ods_code}-{said.on.isoformat()}.csv")


@requires(*SEES)
def container(request: HttpRequest, key: UUID) -> HttpResponse:
    """Where every megabecquerel of one vial or syringe went."""
    rows = Container.objects.for_user(request.acting.scope).select_related("batch__site", "batch__supplier")
    box = get_object_or_404(rows, pk=key)
    doses = Dose.objects.for_user(request.acting.scope).select_related("appointment__referral__patient", "container")
    doses = doses.filter(batch=box.batch)
    mine = next((dose for dose in doses if dose.container_id == box.pk), None)
    found = journey(box, now=request.now)
    asked = Investigation.objects.for_user(request.acting.scope).filter(batch=box.batch, container=box.barcode)
    with timezone.override(zone_of(box.batch.site)):
        return render(
            request,
            "tracer/container.html",
            {
                "box": box,
                "batch": box.batch,
                "tracer": name_of(box.batch.tracer),
                "dose": mine,
                "to": {dose.container.barcode: dose for dose in doses},
                "found": found,
                "tones": TONES,
                "asked": asked.order_by("-opened_at"),
            },
        )


def asked_period(request: HttpRequest, site: Site) -> tuple[date, date]:
    """Two days, both included; this month so far where they are not given or make no sense."""
    today = request.now.astimezone(zone_of(site)).date()
    try:
        first = read_date(request.GET.get("from", ""), today, past=True)
        last = read_date(request.GET.get("to", ""), today)
    except NotUnderstood:
        return today.replace(day=1), today
    return (first, last) if first <= last else (last, first)


@requires(*SEES)
def waste(request: HttpRequest) -> HttpResponse:
    """What was wasted between two days: by cause, by who pays, and what it had cost."""
    site = site_for(request)
    first, last = asked_period(request, site)
    lines = waste_over(site, first=first, last=last)
    if request.GET.get("format") == "csv":
        head = ["Cause", "Who pays", "Product", "Items", "MBq when wasted", "MBq at the reference time", "Pounds"]
        rows = (
            [in_words(one.cause, first), one.pays, one.tracer, one.items, round(one.activity_mbq, 1), round(one.bought_mbq, 1),
             None if one.pence is None else round(one.pence / 100, 2)]
            for one in lines
        )  # fmt: skip
        return csv_file(head, rows, f"waste-{site.ods_code}-{first.isoformat()}-{last.isoformat()}.csv")
    with timezone.override(zone_of(site)):
        return render(
            request,
            "tracer/waste.html",
            {
                "site": site,
                "sites": list(sites_for(request)),
                "first": first,
                "last": last,
                "lines": [(one, in_words(one.cause, first), name_of(one.tracer)) for one in lines],
                "payers": by_payer(lines),
                "pence": {who: sum(one.pence or 0 for one in lines if one.pays == who) for who in by_payer(lines)},
            },
        )


def in_words(cause: str, on: date) -> str:
    if cause in CauseCode._value2member_map_:
        return cause_said(CauseCode(cause), on)
    return {"left_over": "Left over", "expired": "Past its time"}.get(cause, cause.replace("_", " ").capitalize())

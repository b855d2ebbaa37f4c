"""Differences in the ledger as questions: whose they are, by when, what was found, and who closed them."""

from datetime import datetime
from uuid import UUID

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils import timezone

from gantry.apps.accounts.access import requires
from gantry.apps.audit.services import Stale
from gantry.apps.audit.timeline import timeline
from gantry.apps.radiopharmacy import services
from gantry.apps.radiopharmacy.forms import ConcludeForm, CorrectForm
from gantry.apps.radiopharmacy.models import Container, Investigation, LedgerEntry
from gantry.apps.radiopharmacy.services import correcting
from gantry.apps.radiopharmacy.services import investigations as asking
from gantry.apps.radiopharmacy.views.sites import site_for, sites_for, zone_of
from gantry.apps.radiopharmacy.views.today import SEES, name_of
from gantry.apps.ui.listing import Column, Filter, Listing
from gantry.apps.ui.parts import Tag
from gantry.apps.ui.wording import page_now
from gantry.domain.access import Verb
from gantry.domain.implausible import Finding, explanations
from gantry.domain.investigation import BY_RULE, IN_WORDS, Found, State, overdue, why_not_closed
from gantry.domain.ledger import Verdict, balance
from gantry.domain.lifecycle import IllegalMove
from gantry.reference.hot_lab import INVESTIGATE_WITHIN

TONES = {State.OPEN: "late", State.TAKEN: "soon", State.CONCLUDED: "info", State.CLOSED: "off"}
WORDS = {
    State.OPEN: "nobody has it yet",
    State.TAKEN: "being looked into",
    State.CONCLUDED: "to close",
    State.CLOSED: "closed",
}


def state_of(row: Investigation) -> Tag:
    state = State(row.state)
    if overdue(state, row.due_at, page_now()):
        return Tag(f"overdue, {WORDS[state]}", "late")
    return Tag(WORDS[state], TONES[state])


def owner_of(row: Investigation) -> str:
    return row.owner_name or row.owner_role.replace("_", " ").capitalize()


def difference_of(row: Investigation) -> str:
    return f"{row.difference_mbq:+,.1f} ±{row.uncertainty_mbq:,.1f} MBq"


LIST = Listing(
    caption="Differences in the ledger, those that wait first",
    columns=(
        Column("container", "Container", lambda row: row.container, sort="container"),
        Column("batch", "Batch", lambda row: row.batch.number, sort="batch__number", hide_narrow=True),
        Column("difference", "Not explained", difference_of, numeric=True),
        Column("state", "State", state_of, plain=lambda row: state_of(row).text),
        Column("owner", "Owner", owner_of, sort="owner_name"),
        Column("due", "Due", lambda row: row.due_at, sort=("-closed_at", "due_at")),
        Column("found", "It was", lambda row: IN_WORDS[Found(row.found)] if row.found else "–"),
        Column("closed", "Closed by", lambda row: row.closed_by or "–", sort="closed_by", hide_narrow=True),
    ),
    href=lambda row: reverse("tracer:investigation", args=[row.pk]),
    filters=(
        Filter(
            "state",
            "State",
            lambda rows, wanted: rows.filter(closed_at=None) if wanted == "open" else rows.exclude(closed_at=None),
            choices=[("open", "Still open"), ("closed", "Closed")],
        ),
    ),
    default_sort="due",
)


@requires(*SEES)
def investigations(request: HttpRequest) -> HttpResponse:
    site = site_for(request)
    rows = Investigation.objects.for_user(request.acting.scope).filter(site=site).select_related("batch")
    with timezone.override(zone_of(site)):
        if LIST.wants_csv(request):
            return LIST.csv(request, rows, f"investigations-{site.ods_code}.csv")
        waits = rows.filter(closed_at=None)
        return render(
            request,
            "tracer/investigations.html",
            {
                "site": site,
                "sites": list(sites_for(request)),
                "listing": LIST.page(request, rows),
                "open": waits.count(),
                "late": waits.filter(due_at__lt=request.now).count(),
                "within": INVESTIGATE_WITHIN,
            },
        )


@requires(*SEES)
def investigation(request: HttpRequest, key: UUID) -> HttpResponse:
    rows = Investigation.objects.for_user(request.acting.scope).select_related("batch__site", "batch__supplier", "site")
    row = get_object_or_404(rows, pk=key)
    zone, what = zone_of(row.site), request.POST.get("what", "")
    named = asking.named_entries(row)
    suspects = suspects_of(row)
    form = ConcludeForm(
        request.POST if what == "conclude" else None,
        entries=[(str(entry.pk), said_of(entry, zone)) for entry in named],
        initial=started(row, suspects),
        now=request.now,
        zone=zone,
    )
    wrong = correcting.to_correct(row)
    right = CorrectForm(
        request.POST if what == "correct" else None,
        prefix="right",
        initial={"at": wrong.at} if wrong else None,
        now=request.now,
        zone=zone,
    )
    sent = {"conclude": form, "correct": right}.get(what)
    may = request.acting.may(Verb.ACCEPT_BATCH)
    reasons: list[str] = []
    with timezone.override(zone):
        if request.method == "POST" and (sent is None or sent.is_valid()):
            if not may:
                raise PermissionDenied("You may not answer for the ledger")
            reasons = act(request, row, what, sent)
            if not reasons:
                return redirect("tracer:investigation", row.pk)
        box = Container.objects.for_user(request.acting.scope).filter(barcode=row.container).first()
        return render(
            request,
            "tracer/investigation.html",
            {
                "row": row,
                "tracer": name_of(row.batch.tracer),
                "state": state_of(row),
                "owner": owner_of(row),
                "box": box,
                "named": named,
                "blamed": row.entry,
                "wrong": wrong if row.state in (State.CONCLUDED, State.CLOSED) else None,
                "wrong_said": said_of(wrong, zone) if wrong else "",
                "right": right,
                "corrected": corrected(row),
                "suspects": suspects,
                "suspected": {key for each in suspects for key in each.entries},
                "now_said": standing_now(row, request.now),
                "found": IN_WORDS[Found(row.found)] if row.found else "",
                "mine": row.owner_name == request.acting.actor.name,
                "may": may,
                "form": form,
                "reasons": reasons,
                "stops": stops(row, request),
                "events": timeline(row.pk),
                "within": INVESTIGATE_WITHIN,
            },
            status=422 if form.errors or right.errors or reasons else 200,
        )


def suspects_of(row: Investigation) -> list[Finding]:
    """Which single slip in which entry would explain it."""
    return explanations(
        services.entries_of(row.batch), [str(key) for key in row.entries], row.difference_mbq, row.uncertainty_mbq, row.at,
        of=row.container,
    )  # fmt: skip


def started(row: Investigation, suspects: list[Finding]) -> dict[str, str]:
    """What was concluded before, else the only slip that would explain it."""
    if row.found:
        return {"found": row.found, "entry": str(row.entry or ""), "finding": row.finding}
    if len(suspects) == 1 and suspects[0].rule in BY_RULE:
        return {"found": BY_RULE[suspects[0].rule], "entry": suspects[0].entries[0]}
    return {}


def said_of(entry: LedgerEntry, zone) -> str:
    clock = entry.at.astimezone(zone)
    return f"{clock:%H:%M} {entry.way.replace('_', ' ')} {entry.activity_mbq:,.1f} MBq, {entry.by_name}"


def standing_now(row: Investigation, now: datetime) -> str:
    """Whether the container adds up now: something may have been recorded or measured since."""
    said = balance(services.entries_of(row.batch), now, {row.container})
    if said.verdict is Verdict.ASK:
        return f"It does not add up now: {said.difference_mbq:+,.1f} ±{said.uncertainty_mbq:,.1f} MBq"
    return "It adds up now" if said.verdict is Verdict.AGREES else "Nobody has measured it again"


def corrected(row: Investigation) -> str:
    """What stands in the place of the entry that was wrong, and whose it is."""
    found = correcting.in_place_of(row)
    if found is None:
        return ""
    wrong, right = found
    return f"{right.activity_mbq:,.1f} MBq instead of {wrong.activity_mbq:,.1f} MBq, {right.by_name}"


def same_minute(typed: datetime, kept: datetime) -> datetime:
    """A time that was left as it stood is the time that was kept, to the second."""
    return kept if typed == kept.replace(second=0, microsecond=0) else typed


def stops(row: Investigation, request: HttpRequest) -> list[str]:
    """Why this person may not close it; nothing where they may."""
    if row.state != State.CONCLUDED:
        return []
    wrote = next((entry.by_name for entry in asking.named_entries(row) if entry.pk == row.entry), "")
    by = request.acting.actor.name
    return list(why_not_closed(Found(row.found), concluded_by=row.concluded_by, wrote=wrote, closing=by))


def act(request: HttpRequest, row: Investigation, what: str, form: ConcludeForm | CorrectForm | None) -> list[str]:
    """Why it was not done; nothing when it was."""
    told = {"now": request.now, "by": request.acting.actor}
    try:
        match what:
            case "take":
                asking.take(row, **told)
                messages.success(request, "It is yours.")
            case "correct" if form is not None:
                given, wrong = form.cleaned_data, correcting.to_correct(row)
                at = given["at"] if wrong is None else same_minute(given["at"], wrong.at)
                correcting.correct_entry(
                    row, activity_mbq=float(given["activity_mbq"]), at=at, why=given["why"], **told
                )
                messages.success(
                    request, "Corrected, with your name. The entry that was wrong stays as it was written."
                )
            case "conclude" if form is not None:
                given = form.cleaned_data
                entry = UUID(given["entry"]) if given["entry"] else None
                asking.conclude(row, found=Found(given["found"]), finding=given["finding"], entry=entry, **told)
                messages.success(request, "The finding is kept with your name. Somebody now closes it.")
            case "close":
                asking.close(row, **told)
                messages.success(request, "Closed, with your name.")
            case _:
                return ["Choose what to do"]
    except services.NotDone as refused:
        return refused.reasons
    except (Stale, IllegalMove):
        return ["Somebody was there first: look at what happened below"]
    return []

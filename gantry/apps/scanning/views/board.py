"""The board of a room, and one person's day."""

from datetime import date, timedelta
from uuid import UUID

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone

from gantry.apps.accounts.access import requires
from gantry.apps.audit.timeline import timeline
from gantry.apps.estate.chosen import chosen, remember
from gantry.apps.radiopharmacy.models import Dose
from gantry.apps.scanning.models import Visit
from gantry.apps.scanning.services import dosing
from gantry.apps.scanning.services.board import board, card_of, of_day
from gantry.apps.scanning.services.injecting import authorisation_of
from gantry.apps.scanning.services.leaving import unused_doses
from gantry.apps.scanning.services.steps import progress_of, protocol_of
from gantry.apps.scanning.views.site import local_day, site_for, sites_for, visit_for, zone_of
from gantry.domain.access import Verb
from gantry.domain.scan import NOTHING, Act, due, window
from gantry.reference.protocols import PROTOCOLS
from gantry.reference.tracers import TRACERS


@requires(Verb.SEE_BOARD)
def choose(request: HttpRequest) -> HttpResponse:
    """Which room? Nobody is asked who has only one, or who has said so before; the board's own switch asks for another."""
    mine = sites_for(request)
    if asked := request.GET.get("site"):
        return redirect("scanning:board", site_for(request, key_of(asked)).pk)
    sites = list(mine)
    if len(sites) == 1:
        return redirect("scanning:board", sites[0].pk)
    if "all" not in request.GET and (before := chosen(request, mine)):
        return redirect("scanning:board", before.pk)
    return render(request, "scanning/choose.html", {"sites": sites})


@requires(Verb.SEE_BOARD)
def room(request: HttpRequest, site: UUID) -> HttpResponse:
    place = site_for(request, site)
    remember(request, place)
    today = local_day(place, request.now)
    on = asked_day(request, today)
    visits = list(of_day(Visit.objects.for_user(request.acting.scope), place, on))
    with timezone.override(zone_of(place)):
        return render(
            request,
            "scanning/board.html",
            {
                "site": place,
                "sites": list(sites_for(request)),
                "on": on,
                "today": today,
                "before": on - timedelta(days=1),
                "after": on + timedelta(days=1),
                "board": board(visits, place, now=request.now),
                "names": {code: fact.value.name.partition(",")[0] for code, fact in TRACERS.items()},
                "may_see_lab": any(map(request.acting.may, (Verb.RECEIVE_TRACER, Verb.ORDER_TRACER, Verb.DRAW))),
                "may_record": request.acting.may(Verb.RECORD_ACT),
                "may_inject": request.acting.may(Verb.INJECT),
            },
        )


def key_of(text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError:
        raise Http404("site") from None


def asked_day(request: HttpRequest, today: date) -> date:
    try:
        return date.fromisoformat(request.GET.get("on", ""))
    except ValueError:
        return today


@requires(Verb.SEE_BOARD)
def visit(request: HttpRequest, key: UUID) -> HttpResponse:
    """Everything about one person's day: what was done, what comes next, what it cost in activity, what happened."""
    row = visit_for(request, key)
    protocol, progress = protocol_of(row), progress_of(row)
    waiting = {step.key for step in due(protocol, progress)}
    recorded = {(step.key, step.phase): step for step in row.steps.all() if step.current}
    with timezone.override(zone_of(row.site)):
        return render(
            request,
            "scanning/visit.html",
            {
                "visit": row,
                "patient": row.appointment.referral.patient,
                "card": card_of(row, now=request.now),
                "protocol": protocol,
                "reports": dosing.said_of_reports(row),
                "given": dict(row.injections.values_list("dose", "pk")),
                "recalled": PROTOCOLS[protocol.code].mark,
                "steps": [
                    {
                        "step": step,
                        "began": recorded.get((step.key, "start")),
                        "done": recorded.get((step.key, "done")),
                        "due": step.key in waiting,
                        "began_at": progress.get(step.key, NOTHING).began_at,
                        "window": window(protocol, step.key, progress),
                        "inject": step.act is Act.INJECT,
                    }
                    for step in protocol.steps
                ],
                "doses": Dose.objects.for_user(request.acting.scope)
                .filter(appointment=row.appointment_id)
                .select_related("container", "batch"),
                "unused": unused_doses(row) if row.state == "left" else [],
                "authorisation": authorisation_of(row.appointment, row.appointment.procedure.tracer),
                "events": timeline(row.pk, where=lambda site: ""),
                "may_record": request.acting.may(Verb.RECORD_ACT),
                "may_inject": request.acting.may(Verb.INJECT),
            },
        )

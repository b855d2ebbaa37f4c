"""One day at one site: a timeline with the tracer under it, a table, locks, tried changes, and publishing."""

from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from uuid import UUID
from zoneinfo import ZoneInfo

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone

from gantry.apps.accounts.access import requires
from gantry.apps.audit.services import Stale
from gantry.apps.booking.models import Appointment
from gantry.apps.estate.models import Site
from gantry.apps.radiopharmacy.views.sites import site_for, sites_for
from gantry.apps.scheduling.drawing import day_svg, left_at, tracers_here
from gantry.apps.scheduling.forms import ChangeForm, PublishForm
from gantry.apps.scheduling.models import Lock, PlanVersion
from gantry.apps.scheduling.services import drafting, proposing, recovering
from gantry.apps.scheduling.services.building import Built, build
from gantry.apps.scheduling.services.drafting import Judged
from gantry.apps.scheduling.services.proposing import Proposed
from gantry.apps.scheduling.services.refusals import NotPossible
from gantry.apps.scheduling.views.odd import in_words
from gantry.apps.scheduling.views.recovery import odd_words, title_of
from gantry.apps.scheduling.views.weights import line_for
from gantry.apps.scheduling.views.wording import COSTS, changed, clock, priced, worded
from gantry.apps.ui.parts import Tag
from gantry.domain.access import Verb
from gantry.domain.appointment import AppointmentState
from gantry.domain.scheduling import costs as cost

STATES = {
    AppointmentState.BOOKED: Tag("not told", "soon"),
    AppointmentState.TOLD: Tag("told", "good"),
    AppointmentState.ARRIVED: Tag("here", "info"),
    AppointmentState.FULFILLED: Tag("scanned", "plain"),
}


@dataclass(frozen=True, slots=True)
class Line:
    appointment: Appointment
    name: str
    seen: bool
    arrival: datetime
    injection: datetime
    scan: datetime
    ends: datetime
    scanner: str
    state: Tag
    mbq: float
    was: datetime | None
    was_on: str
    """The scanner that they were booked on, where the draft has another."""
    lock: Lock | None
    movable: bool


@requires(Verb.SEE_BOARD)
def choose(request: HttpRequest) -> HttpResponse:
    """Today at the person's own site."""
    site = site_for(request)
    return redirect("scheduling:day", site.pk, request.now.astimezone(ZoneInfo(site.zone)).date().isoformat())


@requires(Verb.SEE_BOARD)
@in_words
def day(request: HttpRequest, site: UUID, on: str) -> HttpResponse:
    place = get_object_or_404(sites_for(request), pk=site)
    try:
        local = date.fromisoformat(on)
    except ValueError:
        raise Http404("day") from None
    zone = ZoneInfo(place.zone)
    with timezone.override(zone):
        built = build(place, local, now=request.now)
        draft = drafting.draft_of(place, local)
        names = seen(request, built)
        may_plan = request.acting.may(Verb.OWN_FAILURES) and request.acting.may(Verb.BOOK)
        what = request.POST.get("what", "")
        change = ChangeForm(
            request.POST if what == "change" else None,
            prefix="change",
            now=request.now,
            zone=zone,
            people=[(ref, f"{clock(a.arrival_at, zone)} {names[ref]}") for ref, a in built.appointments.items() if ref in names and a.state in drafting.MOVABLE],
            scanners=[(s.ref, built.scanners[s.ref].name) for s in built.day.scanners],
            midnight=datetime.combine(local, time(), zone),
        )  # fmt: skip
        publish = PublishForm(request.POST if what == "publish" else None, prefix="publish", now=request.now, zone=zone)
        if request.method == "POST" and may_plan and act(request, place, local, what, change, publish, draft):
            return redirect("scheduling:day", place.pk, local.isoformat())
        judged = drafting.judge(built, draft.changes if draft else {})
        now_min = built.day.minute(request.now)
        form = {"change": change, "publish": publish}.get(what)
        return render(
            request,
            "scheduling/day.html",
            {
                "site": place,
                "sites": list(sites_for(request)),
                "on": local,
                "before": local - timedelta(days=1),
                "after": local + timedelta(days=1),
                "lines": lines(judged, names),
                "svg": day_svg(
                    built,
                    judged.plan,
                    names,
                    changed=frozenset(judged.changed),
                    now_min=now_min,
                    movable=movable(built, names) if may_plan else frozenset(),
                ),
                "hours": hours(built, judged),
                "draft": draft,
                "judged": judged,
                "faults": [worded(fault, built, names, zone) for fault in judged.faults],
                "costs": costs(judged),
                "without_tracer": [worded(each, built, names, zone) for each in built.without_tracer],
                "odd": odd_words(request, built),
                "strained": [worded(fault, built, names, zone) for fault in built.strained],
                "weights": line_for(place.network.provider_id, local),
                "change": change,
                "publish": publish,
                "roots": [(event, title_of(event, request.now)) for event in recovering.open_roots(place, local)],
                "settled": [(event, title_of(event, request.now)) for event in recovering.settled_roots(place, local)],
                "last": PlanVersion.objects.for_user(request.acting.scope)
                .filter(site=place, on=local, state="published")
                .order_by("-number")
                .first(),
                "may_plan": may_plan,
                "may_tell": any(request.acting.may(v) for v in (Verb.OWN_FAILURES, Verb.RECORD_ACT, Verb.BOOK)),
            },
            status=422 if form is not None and form.errors else 200,
        )


def act(
    request: HttpRequest, site: Site, on: date, what: str, change: ChangeForm, publish: PublishForm, draft: PlanVersion | None
) -> bool:  # fmt: skip
    """True when the page is to be loaded again."""
    now, by = request.now, request.acting.actor
    rows = Appointment.objects.for_user(request.acting.scope).filter(site=site)
    try:
        if what == "change":
            if not change.is_valid():
                return False
            wanted, scanner = change.wanted()
            row = get_object_or_404(rows, pk=wanted)
            drafting.change(site, on, row, scanner=scanner, arrival_at=change.arrival_at(), now=now, by=by)
        elif what == "propose":
            said_of(request, proposing.propose(site, on, now=now, by_name=by.name))
        elif what == "publish" and draft is not None:
            if not publish.is_valid():
                return False
            drafting.publish(draft, cause=publish.given_cause(), now=now, by=by)
            messages.success(request, "Published: the worklist follows. Those who moved are to be told.")
        elif what == "drop" and draft is not None:
            drafting.drop(draft)
        elif what == "lock":
            row = get_object_or_404(rows, pk=request.POST.get("appointment"))
            drafting.lock(row, reason="Stays, by " + by.name, now=now, by=by)
        elif what == "lift":
            row = get_object_or_404(
                Lock.objects.for_user(request.acting.scope), pk=request.POST.get("lock"), appointment__site=site
            )
            drafting.lift(row, now=now, by=by)
    except NotPossible as refused:
        built = build(site, on, now=now)
        for reason in refused.reasons:
            messages.error(request, worded(reason, built, seen(request, built), ZoneInfo(site.zone)))
    except Stale:
        messages.warning(request, "Somebody published or dropped this draft first.")
    return True


def said_of(request: HttpRequest, made: Proposed) -> None:
    """What the proposal is, and how sure it is that there is no better one."""
    saved = f"{made.saved_mbq:,.0f} MBq less" if made.saved_mbq >= 0 else f"{-made.saved_mbq:,.0f} MBq more"
    sure = "No plan does better: proved" if made.proved else "The best found in the time; a better one may exist"
    people = f"{made.changed} {'person changes' if made.changed == 1 else 'people change'}"
    messages.success(request, f"Proposed in the draft: {people}, {saved}. {sure}. Nothing is booked yet.")


def seen(request: HttpRequest, built: Built) -> dict[str, str]:
    rows = Appointment.objects.for_user(request.acting.scope).filter(pk__in=list(built.appointments))
    return {str(row.pk): row.referral.patient.name for row in rows.select_related("referral__patient")}


def movable(built: Built, names: dict[str, str]) -> frozenset[str]:
    """Who may be dragged: those whom the form beside the timeline offers as well."""
    rows = built.appointments.items()
    return frozenset(r for r, a in rows if r in names and a.state in drafting.MOVABLE and r not in built.locks)


def lines(judged: Judged, names: dict[str, str]) -> list[Line]:
    built, found = judged.built, []
    for visit in judged.plan.visits:
        row, patient = built.appointments[visit.patient], built.day.patient(visit.patient)
        arrival = built.at(visit.injection_min - patient.preparation_min)
        before = built.plan.visit(visit.patient)
        delivery = built.day.delivery(visit.delivery)
        found.append(
            Line(
                appointment=row,
                name=names.get(visit.patient, "A patient of another organisation"),
                seen=visit.patient in names,
                arrival=arrival,
                injection=built.at(visit.injection_min),
                scan=built.at(visit.scan_min),
                ends=built.at(visit.scan_min + patient.scan_min),
                scanner=built.scanners[visit.scanner].name,
                state=STATES[AppointmentState(row.state)],
                mbq=built.day.drawn_mbq(patient, visit.injection_min, delivery),
                was=row.arrival_at if visit.patient in judged.changed and row.arrival_at != arrival else None,
                was_on=built.scanners[before.scanner].name if before and before.scanner != visit.scanner else "",
                lock=built.locks.get(visit.patient),
                movable=row.state in drafting.MOVABLE,
            )
        )
    return sorted(found, key=lambda each: (each.scan, each.name))


@dataclass(frozen=True, slots=True)
class ByHour:
    """MBq left of each tracer at each full hour, by the plan."""

    at: tuple[datetime, ...]
    left: tuple[tuple[str, tuple[float, ...]], ...]


def hours(built: Built, judged: Judged) -> ByHour | None:
    minutes = [v.injection_min for v in judged.plan.visits]
    if not minutes:
        return None
    full = range(min(minutes) // 60 * 60, max(minutes) + 61, 60)
    left = tuple(
        (tracer, tuple(left_at(built, judged.plan, m, tracer) for m in full)) for tracer in tracers_here(built)
    )
    return ByHour(tuple(built.at(m) for m in full), left)


def costs(judged: Judged) -> list[tuple[str, ...]]:
    """What the day costs as it is booked, in the order in which it counts; with a draft, what that costs and the difference."""
    day, booked = judged.built.day, judged.built.plan
    priced_runs = any(d.price_pence_per_gbq for d in day.deliveries)
    before = cost.costs(day, booked)
    stands = priced(before, priced_runs=priced_runs)
    if not judged.changed:
        return list(zip(COSTS, stands, strict=True))
    after = cost.costs(day, judged.plan)
    columns = (stands, priced(after, priced_runs=priced_runs), changed(after.less(before), priced_runs=priced_runs))
    return list(zip(COSTS, *columns, strict=True))

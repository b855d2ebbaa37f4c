"""The manager's page: each measure says its number in words, draws it, and opens to the events behind it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from uuid import UUID

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils.timezone import localdate

from gantry.apps.accounts.access import requires
from gantry.apps.audit.timeline import as_read
from gantry.apps.quality import services
from gantry.apps.quality.models import Incident
from gantry.apps.quality.views.owning import cause_link
from gantry.apps.referrals.models import Referral, RequestedProcedure
from gantry.apps.scanning.models import DoseReview
from gantry.apps.ui.charts import Series, bar_chart, line_chart
from gantry.apps.ui.listing import page_number
from gantry.apps.ui.parts import Card, Chart, Link
from gantry.apps.ui.wording import pluralise, say_date
from gantry.domain.access import Verb
from gantry.domain.measures import Measure, Share, ShareResult, Unit, Wait

WEEKS, PAGE = 12, 25
LONGEST = timedelta(days=7 * 157)
"""Three years and a day or two: a chart of more weeks says nothing, and takes long to draw."""
FIRST, LAST = date(2000, 1, 1), date(2100, 1, 1)


@dataclass(frozen=True, slots=True)
class Period:
    start: date
    end: date

    def __str__(self) -> str:
        return f"{say_date(self.start)} to {say_date(self.end)}"


def period_of(request: HttpRequest) -> Period:
    """From the address, else the twelve weeks up to yesterday; of a longer one, its last three years."""
    end = _day(request.GET.get("to")) or localdate(request.now) - timedelta(days=1)
    start = _day(request.GET.get("from")) or end - timedelta(days=7 * WEEKS - 1)
    start, end = min(start, end), max(start, end)
    return Period(max(start, end - LONGEST), end)


def _day(text: str | None) -> date | None:
    """A day within the years that anything here can be about, or nothing."""
    try:
        day = date.fromisoformat(text or "")
    except ValueError:
        return None
    return day if FIRST <= day <= LAST else None


def say_share(result: ShareResult) -> str:
    if not result.counted:
        return "No scan was told to a patient for these dates."
    return f"{result.met:,} of {pluralise(result.counted, 'scan')} ({result.percent:.1f} %)."


def say_span(span: timedelta | None) -> str:
    if span is None:
        return "none"
    days = span.total_seconds() / 86_400
    return f"{days:.1f} days" if days >= 1 else f"{span.total_seconds() / 3600:.1f} hours"


@dataclass(frozen=True, slots=True)
class Shown:
    measure: Measure
    number: str
    sentence: str
    href: str
    chart: Chart
    total: int
    """How many units are behind it."""
    beside: Sequence[str] = ()


def _share(measure: Share, period: Period, weeks: dict[date, ShareResult], fixed: int) -> Shown:
    result = services.together(weeks.values())
    peak = max(weeks.items(), key=lambda w: w[1].percent or 0, default=None)
    sentence = say_share(result)
    if peak and peak[1].met:
        sentence += f" The worst week began on {say_date(peak[0])}: {peak[1].met} of {peak[1].counted}."
    return Shown(
        measure=measure,
        number=f"{result.percent:.1f} %" if result.percent is not None else "–",
        sentence=sentence,
        href=_opens(measure, period),
        chart=bar_chart(
            measure.title,
            [f"{monday:%-d %b}" for monday in weeks],
            [Series("Share of scans", [round(r.percent or 0, 2) for r in weeks.values()])],
            sentence=sentence,
            unit="%",
        ),
        total=result.counted,
        beside=(f"{fixed} of the causes behind it were corrected later.",) if fixed else (),
    )


def _mondays(period: Period) -> list[date]:
    first = period.start - timedelta(days=period.start.weekday())
    return [first + timedelta(days=7 * i) for i in range((period.end - period.start).days // 7 + 1)]


def _wait(measure: Wait, period: Period, waits: services.Waits, now: datetime) -> Shown:
    mondays = _mondays(period)
    result = waits.result(start=period.start, end=period.end, now=now)
    medians: list[float | None] = []
    for monday in mondays:
        week = waits.result(start=monday, end=monday + timedelta(days=6), now=now)
        medians.append(round(week.median.total_seconds() / 86_400, 2) if week.median is not None else None)
    sentence = (
        f"{result.finished:,} finished: half within {say_span(result.median)}, nine in ten within {say_span(result.p90)}. "
        f"{result.waiting:,} still {'waits' if result.waiting == 1 else 'wait'}"
        + (f", the longest for {say_span(result.longest_waiting)}." if result.waiting else ".")
    )
    return Shown(
        measure=measure,
        number=say_span(result.median) if result.median is not None else "–",
        sentence=sentence,
        href=_opens(measure, period),
        chart=line_chart(
            measure.title,
            [f"{monday:%-d %b}" for monday in mondays],
            [Series("Median days", medians)],
            sentence=sentence,
            unit="days",
        ),
        total=result.finished + result.waiting,
    )


def _opens(measure: Measure, period: Period) -> str:
    return f"{reverse('quality:measure', args=[measure.code])}?from={period.start}&to={period.end}"


def shown(request: HttpRequest, measures: Sequence[Measure], period: Period) -> list[Shown]:
    """All of a kind are read at once: they are about the same people."""
    scope, within = request.acting.scope, {"start": period.start, "end": period.end}
    shares = [one for one in measures if isinstance(one, Share)]
    others = [one for one in measures if isinstance(one, Wait)]
    weeks = services.share_weeks(shares, scope, **within) if shares else {}
    fixed = services.corrections_behind(shares, scope, **within) if shares else {}
    mondays = _mondays(period)
    last = max(period.end, mondays[-1] + timedelta(days=6))
    waits = services.waits(others, scope, start=mondays[0], end=last) if others else {}
    return [
        _share(one, period, weeks[one.code], fixed[one.code])
        if isinstance(one, Share)
        else _wait(one, period, waits[one.code], request.now)
        for one in measures
    ]


@requires(Verb.SEE_MEASURES)
def measures(request: HttpRequest) -> HttpResponse:
    period = period_of(request)
    found = shown(request, list(services.measures_on(request.now.date()).values()), period)
    incidents = Incident.objects.for_user(request.acting.scope).order_by("-opened_at")
    cards = [Card(one.measure.title, one.number, one.sentence, one.href) for one in found]
    return render(
        request,
        "quality/measures.html",
        {
            "period": period,
            "shown": found,
            "number_cards": cards,
            "incidents": incidents[:10],
            "incident_count": incidents.count(),
            "doses": DoseReview.objects.for_user(request.acting.scope).filter(state="open").count(),
        },
    )


@dataclass(frozen=True, slots=True)
class Unfolded:
    """One unit behind a number: its name, its verdict, and its events."""

    link: Link
    verdict: str
    events: Sequence[object]
    causes: Sequence[Link] = ()


@requires(Verb.SEE_MEASURES)
def measure(request: HttpRequest, code: str) -> HttpResponse:
    found = services.measure(code, request.now.date())
    if found is None:
        raise Http404(code)
    period, page = period_of(request), page_number(request)
    (one,) = shown(request, [found], period)
    here = {"start": period.start, "end": period.end, "first": (page - 1) * PAGE, "count": PAGE}
    if isinstance(found, Share):
        verdicts = {
            u.unit: f"Told {say_date(u.day)}: {'in the number' if u.met else 'among the rest'}"
            for u in services.share_units(found, request.acting.scope, **here)
        }
    else:
        verdicts = {
            w.unit: f"{'Took' if w.until else 'Has waited'} {say_span((w.until or request.now) - w.since)}"
            for w in services.wait_units(found, request.acting.scope, now=request.now, **here)
        }
    return render(
        request,
        "quality/measure.html",
        {
            "period": period,
            "one": one,
            "units": _unfold(request, found, list(verdicts), verdicts),
            "total": one.total,
            "page": page,
            "more": one.total > page * PAGE,
        },
    )


def _unfold(request: HttpRequest, found: Measure, keys: Sequence[UUID], verdicts: dict[UUID, str]) -> list[Unfolded]:
    events = services.events_behind(found, keys)
    scope = request.acting.scope
    if found.unit is Unit.PROCEDURE:
        names = {
            p.pk: (p.accession_number, p.referral_id)
            for p in RequestedProcedure.objects.for_user(scope).filter(pk__in=keys)
        }
    else:
        names = {
            r.pk: (f"Referral of {say_date(r.received_at.date())}", r.pk)
            for r in Referral.objects.for_user(scope).filter(pk__in=keys)
        }
    return [
        Unfolded(
            Link(names[key][0], reverse("desk:timeline", args=["referral", names[key][1]])),
            verdicts[key],
            [as_read(event) for event in events if key in event.subjects],
            [link for event in events if key in event.subjects and (link := cause_link(request, event))],
        )
        for key in keys
        if key in names
    ]

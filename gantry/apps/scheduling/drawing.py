"""Draws a day as SVG: each scanner's lane, uptake and scan of each person, and under it what is left of the tracer."""

from collections.abc import Callable, Mapping
from zoneinfo import ZoneInfo

from markupsafe import Markup, escape

from gantry.apps.scheduling.services.building import Built
from gantry.domain.scheduling.problem import Plan, PlannedVisit

WIDTH, LEFT, RIGHT, LANE, TOP, GRAPH = 960, 96, 12, 46, 24, 96


def day_svg(
    built: Built,
    plan: Plan,
    names: Mapping[str, str],
    *,
    changed: frozenset[str],
    now_min: int | None,
    movable: frozenset[str] = frozenset(),
) -> str:
    """Server-drawn, without script and without inline styles. The table beside it says the same.

    Whoever is `movable` carries what a drag needs: who, when they arrive, and on which lane.
    """
    day = built.day
    scanners = [s for s in day.scanners if s.place == str(built.site.pk)]
    spans = [(v.injection_min, v.scan_min + day.patient(v.patient).scan_min) for v in plan.visits]
    spans += [(w.start, w.end) for s in scanners for w in s.open]
    first = min((a for a, _ in spans), default=8 * 60) // 60 * 60
    last = -(-max((b for _, b in spans), default=18 * 60) // 60) * 60
    lanes = len(scanners) * LANE
    height = TOP + lanes + GRAPH + 34

    def x(minute: float) -> float:
        return LEFT + (WIDTH - LEFT - RIGHT) * (minute - first) / max(1, last - first)

    body: list[str] = []
    for hour in range(first, last + 1, 60):
        body.append(
            f'<line class="dayline__hour" x1="{x(hour):.1f}" y1="{TOP}" x2="{x(hour):.1f}" y2="{height - 24}"/>'
        )
        at = day.at(hour).astimezone(_zone(built))
        body.append(f'<text class="dayline__label" x="{x(hour):.1f}" y="14" text-anchor="middle">{at:%H}</text>')
    for number, scanner in enumerate(scanners):
        y = TOP + number * LANE
        shut = first
        for window in (*scanner.open, None):
            until = window.start if window else last
            if until > shut:
                body.append(
                    f'<rect class="dayline__shut" x="{x(shut):.1f}" y="{y}" width="{x(until) - x(shut):.1f}" height="{LANE - 4}"/>'
                )
            shut = max(shut, window.end) if window else last
        body.append(
            f'<rect class="dayline__room" data-scanner="{escape(scanner.ref)}" x="{LEFT}" y="{y}" '
            f'width="{WIDTH - LEFT - RIGHT}" height="{LANE - 4}"/>'
        )
        body.append(
            f'<text class="dayline__lane" x="4" y="{y + 26}">{escape(built.scanners[scanner.ref].name[:14])}</text>'
        )
        for visit in plan.visits:
            if visit.scanner != scanner.ref:
                continue
            end = visit.scan_min + day.patient(visit.patient).scan_min
            name = names.get(visit.patient, "")
            said = f"{name}: injection {_clock(built, visit.injection_min)}, scan {_clock(built, visit.scan_min)} to {_clock(built, end)}"
            kind = "dayline__scan--changed" if visit.patient in changed else ""
            kind += " dayline__locked" if visit.patient in built.locks else ""
            body.append(
                f"<g{_handle(built, visit) if visit.patient in movable else ''}><title>{escape(said)}</title>"
                f'<rect class="dayline__uptake" x="{x(visit.injection_min):.1f}" y="{y + 28}" '
                f'width="{x(visit.scan_min) - x(visit.injection_min):.1f}" height="10"/>'
                f'<rect class="dayline__scan {kind}" x="{x(visit.scan_min):.1f}" y="{y + 4}" '
                f'width="{x(end) - x(visit.scan_min):.1f}" height="22"/>'
                f'<text class="dayline__name" x="{x(visit.scan_min) + 2:.1f}" y="{y + 19}">{escape(_initials(name))}</text></g>'
            )
    body += _decay(built, plan, x, first, last, TOP + lanes + 6)
    if now_min is not None and first <= now_min <= last:
        body.append(
            f'<line class="dayline__now" x1="{x(now_min):.1f}" y1="{TOP}" x2="{x(now_min):.1f}" y2="{height - 24}"/>'
        )
    label = f"{len(plan.visits)} scans on {len(scanners)} scanners; yellow is uptake, blue the scan, green the tracer that is left"
    scale = (WIDTH - LEFT - RIGHT) / max(1, last - first)
    return Markup(
        f'<svg viewBox="0 0 {WIDTH} {height}" role="img" aria-label="{escape(label)}" '
        f'data-per-minute="{scale:.5f}" data-grid="{day.grid_min}">{"".join(body)}</svg>'
    )


def _handle(built: Built, visit: PlannedVisit) -> str:
    arrival = visit.injection_min - built.day.patient(visit.patient).preparation_min
    local = built.day.at(arrival).astimezone(_zone(built))
    return (
        f' class="dayline__visit" data-appointment="{escape(visit.patient)}" data-scanner="{escape(visit.scanner)}"'
        f' data-arrival="{local.hour * 60 + local.minute}"'
    )


def left_at(built: Built, plan: Plan, minute: int) -> float:
    """MBq in hand at a minute, by the plan: what has come, less what has been injected, decayed."""
    day, total = built.day, 0.0
    for delivery in day.deliveries:
        if delivery.place != str(built.site.pk) or not delivery.arrives_min <= minute < delivery.expires_min:
            continue
        drawn = sum(
            day.drawn_mbq(day.patient(v.patient), v.injection_min, delivery)
            for v in plan.visits
            if v.delivery == delivery.ref and v.injection_min <= minute
        )
        there = max(0.0, (delivery.ordered_mbq or plan.orders.get(delivery.ref, 0.0)) - drawn)
        total += there * 0.5 ** ((minute - delivery.reference_min) / day.tracer(delivery.tracer).half_life_min)
    return total


def _decay(built: Built, plan: Plan, x: Callable[[float], float], first: int, last: int, top: int) -> list[str]:
    values = [(m, left_at(built, plan, m)) for m in range(first, last + 1, 10)]
    most = max((v for _, v in values), default=0.0)
    if most <= 0:
        return [f'<text class="dayline__label" x="4" y="{top + 40}">No tracer</text>']
    points = " ".join(f"{x(m):.1f},{top + GRAPH * (1 - v / most):.1f}" for m, v in values)
    base = top + GRAPH
    return [
        f'<polygon class="dayline__area" points="{x(first):.1f},{base} {points} {x(last):.1f},{base}"/>',
        f'<polyline class="dayline__decay" points="{points}"/>',
        f'<text class="dayline__label" x="4" y="{top + 12}">{most:,.0f} MBq</text>',
        f'<text class="dayline__label" x="4" y="{base}">0 MBq left</text>',
    ]


def _initials(name: str) -> str:
    return "".join(part[0] for part in name.replace(",", " ").split()[:2]).upper()


def _clock(built: Built, minute: int) -> str:
    return f"{built.day.at(minute).astimezone(_zone(built)):%H:%M}"


def _zone(built: Built) -> ZoneInfo:
    return ZoneInfo(built.site.zone)

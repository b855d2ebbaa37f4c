"""Draws a day as SVG: on each scanner's lane the scans, under them each person's uptake; at the foot the tracer that is left."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from zoneinfo import ZoneInfo

from django.urls import reverse
from markupsafe import Markup, escape

from gantry.apps.scheduling.services.building import Built
from gantry.domain.scheduling.problem import Plan, PlannedVisit, Scanner

WIDTH, LEFT, RIGHT, TOP = 1120, 92, 10, 22
SCAN, ROW, GAP, GRAPH = 24, 17, 12, 104
LETTER = 6.2
"""Width of a letter of a name, about: one that does not fit is cut."""


@dataclass(frozen=True, slots=True)
class Lane:
    """One scanner's strip: the scans on top, then as many rows as people are here at once."""

    scanner: Scanner
    top: int
    rows: Mapping[str, int]
    """Patient → row of their uptake."""
    height: int


@dataclass(frozen=True, slots=True)
class Canvas:
    built: Built
    first: int
    last: int
    bottom: int

    def x(self, minute: float) -> float:
        return LEFT + (WIDTH - LEFT - RIGHT) * (minute - self.first) / max(1, self.last - self.first)

    def wide(self, start: float, end: float) -> float:
        return max(0.0, self.x(end) - self.x(start))

    def clock(self, minute: int) -> str:
        return f"{self.built.day.at(minute).astimezone(ZoneInfo(self.built.site.zone)):%H:%M}"


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

    Whoever is `movable` carries what a move needs: who, when they arrive, and on which lane.
    """
    day = built.day
    scanners = [s for s in day.scanners if s.place == str(built.site.pk)]
    spans = [(arrival(built, v), v.scan_min + day.patient(v.patient).scan_min) for v in plan.visits]
    spans += [(w.start, w.end) for s in scanners for w in s.open]
    first = min((a for a, _ in spans), default=8 * 60) // 60 * 60
    last = -(-max((b for _, b in spans), default=18 * 60) // 60) * 60
    lanes = list(lanes_of(built, plan, scanners))
    foot = lanes[-1].top + lanes[-1].height + GAP if lanes else TOP
    canvas = Canvas(built, first, last, foot + GRAPH)
    body = [*hours(canvas)]
    for lane in lanes:
        body += empty_lane(canvas, lane)
        for visit in plan.visits:
            if visit.scanner == lane.scanner.ref:
                body += one_visit(canvas, lane, visit, names, changed=changed, movable=movable)
    body += decay(canvas, plan, foot)
    if now_min is not None and first <= now_min <= last:
        at = canvas.x(now_min)
        body.append(f'<line class="dayline__now" x1="{at:.1f}" y1="{TOP}" x2="{at:.1f}" y2="{canvas.bottom}"/>')
        body.append(f'<text class="dayline__label" x="{at + 3:.1f}" y="{foot + 4}">now</text>')
    label = (
        f"{len(plan.visits)} scans on {len(scanners)} scanners: blue the scan, under it in yellow the same person's "
        "uptake from injection; at the foot the tracer that is left. The table says the same"
    )
    scale = (WIDTH - LEFT - RIGHT) / max(1, last - first)
    return Markup(
        f'<svg viewBox="0 0 {WIDTH} {canvas.bottom + 42}" role="img" aria-label="{escape(label)}" '
        f'data-per-minute="{scale:.5f}" data-grid="{day.grid_min}">{"".join(body)}</svg>'
    )


def arrival(built: Built, visit: PlannedVisit) -> int:
    return visit.injection_min - built.day.patient(visit.patient).preparation_min


def lanes_of(built: Built, plan: Plan, scanners: Sequence[Scanner]) -> Iterator[Lane]:
    top = TOP
    for scanner in scanners:
        mine = sorted(
            (v for v in plan.visits if v.scanner == scanner.ref), key=lambda v: (arrival(built, v), v.patient)
        )
        free: list[int] = []
        rows: dict[str, int] = {}
        for visit in mine:
            row = next((n for n, since in enumerate(free) if since <= arrival(built, visit)), len(free))
            free[row : row + 1] = [visit.scan_min]
            rows[visit.patient] = row
        height = SCAN + 4 + ROW * max(1, len(free))
        yield Lane(scanner, top, rows, height)
        top += height + GAP


def hours(canvas: Canvas) -> Iterator[str]:
    for hour in range(canvas.first, canvas.last + 1, 60):
        at = canvas.x(hour)
        yield f'<line class="dayline__hour" x1="{at:.1f}" y1="{TOP}" x2="{at:.1f}" y2="{canvas.bottom}"/>'
        anchor = "end" if hour == canvas.last else "middle"
        yield f'<text class="dayline__label" x="{at:.1f}" y="{TOP - 8}" text-anchor="{anchor}">{canvas.clock(hour)}</text>'


def empty_lane(canvas: Canvas, lane: Lane) -> Iterator[str]:
    scanner, shut = lane.scanner, canvas.first
    name = canvas.built.scanners[scanner.ref].name
    for start, end in [*((w.start, w.end) for w in scanner.open), (canvas.last, canvas.last)]:
        if start > shut:
            yield (
                f'<rect class="dayline__shut" x="{canvas.x(shut):.1f}" y="{lane.top}" '
                f'width="{canvas.wide(shut, start):.1f}" height="{lane.height}"/>'
            )
        shut = max(shut, end)
    yield (
        f'<rect class="dayline__room" data-scanner="{escape(scanner.ref)}" data-name="{escape(name)}" x="{LEFT}" '
        f'y="{lane.top}" width="{WIDTH - LEFT - RIGHT}" height="{lane.height}"/>'
    )
    yield f'<text class="dayline__lane" x="2" y="{lane.top + 16}">{escape(name[:14])}</text>'


def one_visit(
    canvas: Canvas,
    lane: Lane,
    visit: PlannedVisit,
    names: Mapping[str, str],
    *,
    changed: frozenset[str],
    movable: frozenset[str],
) -> Iterator[str]:
    built, patient = canvas.built, canvas.built.day.patient(visit.patient)
    name, comes, end = names.get(visit.patient, ""), arrival(built, visit), visit.scan_min + patient.scan_min
    low = lane.top + SCAN + 4 + ROW * lane.rows[visit.patient]
    kind = "dayline__scan dayline__scan--changed" if visit.patient in changed else "dayline__scan "
    kind += " dayline__locked" if visit.patient in built.locks else ""
    said = (
        f"{name or 'Somebody'}: comes {canvas.clock(comes)}, injection {canvas.clock(visit.injection_min)}, "
        f"scan {canvas.clock(visit.scan_min)} to {canvas.clock(end)}"
    )
    yield f"<g{handle(canvas, visit) if visit.patient in movable else ''}><title>{escape(said)}</title>"
    yield (
        f'<rect class="dayline__before" x="{canvas.x(comes):.1f}" y="{low + 4}" '
        f'width="{canvas.wide(comes, visit.injection_min):.1f}" height="{ROW - 8}"/>'
    )
    wide = canvas.wide(visit.injection_min, visit.scan_min)
    yield (
        f'<rect class="dayline__uptake" x="{canvas.x(visit.injection_min):.1f}" y="{low}" width="{wide:.1f}" '
        f'height="{ROW - 2}"/>'
    )
    yield (
        f'<text class="dayline__who" x="{canvas.x(visit.injection_min) + 3:.1f}" y="{low + 11}">'
        f"{escape(cut(family(name), wide))}</text>"
    )
    yield (
        f'<rect class="{kind}" x="{canvas.x(visit.scan_min):.1f}" y="{lane.top + 1}" '
        f'width="{canvas.wide(visit.scan_min, end):.1f}" height="{SCAN}"/>'
    )
    block = canvas.wide(visit.scan_min, end)
    words = family(name) if len(family(name)) * LETTER < block else initials(name)
    yield (
        f'<text class="dayline__name" x="{canvas.x(visit.scan_min) + 3:.1f}" y="{lane.top + 17}">{escape(words)}</text></g>'
    )


def handle(canvas: Canvas, visit: PlannedVisit) -> str:
    local = canvas.built.day.at(arrival(canvas.built, visit)).astimezone(ZoneInfo(canvas.built.site.zone))
    return (
        f' class="dayline__visit" data-appointment="{escape(visit.patient)}" data-scanner="{escape(visit.scanner)}"'
        f' data-arrival="{local.hour * 60 + local.minute}" data-why="{reverse("scheduling:visit", args=[visit.patient])}"'
    )


def tracers_here(built: Built) -> list[str]:
    here = str(built.site.pk)
    return sorted({d.tracer for d in built.day.deliveries if d.place == here})


def left_at(built: Built, plan: Plan, minute: int, tracer: str) -> float:
    """MBq in hand of one tracer at a minute, by the plan: what has come, less what has been injected, decayed."""
    day, total = built.day, 0.0
    for delivery in day.deliveries:
        if delivery.place != str(built.site.pk) or delivery.tracer != tracer:
            continue
        if not delivery.arrives_min <= minute < delivery.expires_min:
            continue
        drawn = sum(
            day.drawn_mbq(day.patient(v.patient), v.injection_min, delivery)
            for v in plan.visits
            if v.delivery == delivery.ref and v.injection_min <= minute
        )
        there = max(0.0, (delivery.ordered_mbq or plan.orders.get(delivery.ref, 0.0)) - drawn)
        total += there * 0.5 ** ((minute - delivery.reference_min) / day.tracer(delivery.tracer).half_life_min)
    return total


def decay(canvas: Canvas, plan: Plan, top: int) -> Iterator[str]:
    """One curve for each tracer, on one scale; each says its name where it is highest."""
    built, base, height = canvas.built, top + GRAPH, GRAPH - 14
    minutes = range(canvas.first, canvas.last + 1, 5)
    curves = {tracer: [left_at(built, plan, m, tracer) for m in minutes] for tracer in tracers_here(built)}
    most = max((max(values) for values in curves.values()), default=0.0)
    yield f'<line class="dayline__base" x1="{LEFT}" y1="{base}" x2="{WIDTH - RIGHT}" y2="{base}"/>'
    if most <= 0:
        yield f'<text class="dayline__label" x="2" y="{top + 40}">No tracer</text>'
        return

    def y(value: float) -> float:
        return base - height * value / most

    for share in (1.0, 0.5):
        yield f'<text class="dayline__label" x="2" y="{y(most * share) + 4:.1f}">{most * share:,.0f} MBq</text>'
    yield f'<text class="dayline__label" x="2" y="{base + 4}">0 MBq left</text>'
    for number, (tracer, values) in enumerate(curves.items()):
        points = " ".join(f"{canvas.x(m):.1f},{y(v):.1f}" for m, v in zip(minutes, values, strict=True))
        start, end = canvas.x(canvas.first), canvas.x(canvas.last)
        yield f'<polygon class="dayline__area" points="{start:.1f},{base} {points} {end:.1f},{base}"/>'
        yield f'<polyline class="dayline__decay dayline__decay--{number % 3}" points="{points}"/>'
        peak = values.index(max(values))
        yield f'<text class="dayline__label" x="{canvas.x(minutes[peak]) + 6:.1f}" y="{y(values[peak]) + 4:.1f}">{escape(tracer)}</text>'
    yield from arrivals(canvas, base)


def arrivals(canvas: Canvas, base: int) -> Iterator[str]:
    """When each delivery can be used; of two close to each other the second stands lower."""
    here, ends = str(canvas.built.site.pk), [float("-inf")] * 3
    for delivery in sorted(canvas.built.day.deliveries, key=lambda d: (d.arrives_min, d.ref)):
        if delivery.place == here and canvas.first <= delivery.arrives_min <= canvas.last:
            at = canvas.x(delivery.arrives_min)
            words = f"▲ {canvas.clock(delivery.arrives_min)} {delivery.tracer}"
            row = next((n for n, end in enumerate(ends) if end < at), len(ends) - 1)
            ends[row] = at + (len(words) + 1) * LETTER
            yield f'<text class="dayline__label" x="{at:.1f}" y="{base + 13 + 12 * row}">{escape(words)}</text>'


def family(name: str) -> str:
    return name.partition(",")[0]


def cut(words: str, wide: float) -> str:
    room = int((wide - 6) / LETTER)
    return words if len(words) <= room else words[: max(0, room - 1)].rstrip("- ") + "…" if room > 2 else ""


def initials(name: str) -> str:
    return "".join(part[0] for part in name.replace(",", " ").split()[:2]).upper()

"""Draws line, bar and decay charts as SVG on the server: no script, no colour alone, black on white in print."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, tzinfo
from math import ceil, floor, log10

from markupsafe import Markup, escape

from gantry.apps.ui.parts import Chart
from gantry.apps.ui.wording import pluralise, say_mbq

WIDTH, HEIGHT = 720, 280
LEFT, RIGHT, TOP, BOTTOM = 56, 16, 30, 44


@dataclass(frozen=True, slots=True)
class Series:
    """A line or a set of bars; None is a gap, drawn as one."""

    label: str
    values: Sequence[float | None]


def line_chart(
    title: str,
    labels: Sequence[str],
    series: Sequence[Series],
    *,
    sentence: str,
    unit: str = "",
    target: float | None = None,
    target_label: str = "Target",
    zero: bool = True,
) -> Chart:
    """Lines over equal steps. `sentence` says what the drawing shows, with its numbers."""
    scale = _Scale(
        [v for s in series for v in s.values if v is not None] + ([target] if target is not None else []), zero
    )
    step = (WIDTH - LEFT - RIGHT) / max(1, len(labels) - 1)
    x = [LEFT + i * step for i in range(len(labels))]
    body = [scale.axes(unit), _x_labels(labels, x)]
    for number, each in enumerate(series):
        for run in _runs(each.values):
            points = " ".join(f"{x[i]:.1f},{scale.y(v):.1f}" for i, v in run)
            body.append(f'<polyline class="chart__line chart__line--{number % 4}" points="{points}"/>')
            body += [
                f'<circle class="chart__dot chart__dot--{number % 4}" cx="{x[i]:.1f}" cy="{scale.y(v):.1f}" r="3"/>' for i, v in run
            ]  # fmt: skip
    if target is not None:
        body.append(_target(scale, target, f"{target_label} {_number(target)}{unit and ' ' + unit}"))
    return _chart(title, body, sentence, labels, series, unit, legend=len(series) > 1)


def bar_chart(
    title: str,
    labels: Sequence[str],
    series: Sequence[Series],
    *,
    sentence: str,
    unit: str = "",
    target: float | None = None,
    target_label: str = "Target",
) -> Chart:
    """Bars side by side per label, each with its number on top when there is room."""
    values = [v for s in series for v in s.values if v is not None]
    scale = _Scale([*values, *([target] if target is not None else [])], True)
    slot = (WIDTH - LEFT - RIGHT) / max(1, len(labels))
    width = min(48.0, slot * 0.8 / max(1, len(series)))
    body = [scale.axes(unit), _x_labels(labels, [LEFT + slot * (i + 0.5) for i in range(len(labels))])]
    for number, each in enumerate(series):
        for i, value in enumerate(each.values):
            if value is None:
                continue
            left = LEFT + slot * (i + 0.5) + (number - len(series) / 2) * width
            top, base = sorted((scale.y(value), scale.y(0)))
            body.append(
                f'<rect class="chart__bar chart__bar--{number % 4}" x="{left:.1f}" y="{top:.1f}" '
                f'width="{width - 2:.1f}" height="{max(base - top, 0.5):.1f}"/>'
            )
            if width >= 22:
                body.append(
                    f'<text class="chart__value" x="{left + width / 2 - 1:.1f}" y="{top - 4:.1f}" '
                    f'text-anchor="middle">{_number(value)}</text>'
                )
    if target is not None:
        body.append(_target(scale, target, f"{target_label} {_number(target)}{unit and ' ' + unit}"))
    return _chart(title, body, sentence, labels, series, unit, legend=len(series) > 1)


def decay_chart(
    title: str,
    moments: Sequence[datetime],
    activity_at: Callable[[datetime], float],
    *,
    zone: tzinfo,
    floor_mbq: float | None = None,
    floor_label: str = "Least for a dose",
    marks: Sequence[tuple[datetime, str]] = (),
    committed_at: Callable[[datetime], float] | None = None,
) -> Chart:
    """Activity against the clock. The domain does the physics: `activity_at` is asked, never computed here.

    `committed_at` is what is promised of it: a second line, and what lies between the two is free.
    """
    values = [activity_at(moment) for moment in moments]
    promised = [committed_at(moment) for moment in moments] if committed_at else []
    labels = [f"{moment.astimezone(zone):%H:%M}" for moment in moments]
    scale = _Scale([*values, *promised, *([floor_mbq] if floor_mbq is not None else [])], True)
    first, last = moments[0], moments[-1]

    def across(moment: datetime) -> float:
        return LEFT + (WIDTH - LEFT - RIGHT) * ((moment - first) / (last - first))

    steps = [first + (last - first) * i / 60 for i in range(61)]
    points = " ".join(f"{across(m):.1f},{scale.y(activity_at(m)):.1f}" for m in steps)
    base = scale.y(0)
    body = [
        scale.axes("MBq"),
        _x_labels(labels, [across(m) for m in moments]),
        f'<polygon class="chart__area" points="{LEFT},{base:.1f} {points} {across(last):.1f},{base:.1f}"/>',
        f'<polyline class="chart__line chart__line--0" points="{points}"/>',
    ]
    if committed_at is not None:
        below = " ".join(f"{across(m):.1f},{scale.y(committed_at(m)):.1f}" for m in steps)
        body.append(f'<polyline class="chart__line chart__line--1" points="{below}"/>')
        for number, words in enumerate(("Here and expected", "Committed")):
            x, y = LEFT + number * 190, HEIGHT - 8
            body.append(
                f'<line class="chart__line chart__line--{number}" x1="{x}" x2="{x + 30}" y1="{y}" y2="{y}"/>'
                f'<text class="chart__tick" x="{x + 36}" y="{y + 4}">{words}</text>'
            )
    for at, label in marks:
        x = across(at)
        side, shift = ("end", -4) if x > WIDTH * 0.75 else ("start", 4)
        body.append(
            f'<line class="chart__mark" x1="{x:.1f}" x2="{x:.1f}" y1="{TOP}" y2="{base:.1f}"/>'
            f'<text class="chart__value" x="{x + shift:.1f}" y="{TOP + 10}" text-anchor="{side}">{escape(label)}</text>'
        )
    enough_until = None
    if floor_mbq is not None:
        body.append(_target(scale, floor_mbq, f"{floor_label} {say_mbq(floor_mbq)}", at_start=True))
        enough_until = max((m for m in steps if activity_at(m) >= floor_mbq), default=None)
    sentence = f"{say_mbq(values[0])} at {labels[0]}, {say_mbq(values[-1])} at {labels[-1]}."
    if floor_mbq is not None:
        sentence += (
            f" Below {say_mbq(floor_mbq)} after about {enough_until.astimezone(zone):%H:%M}."
            if enough_until is not None and enough_until < last
            else f" Above {say_mbq(floor_mbq)} throughout."
            if enough_until
            else f" Never as much as {say_mbq(floor_mbq)}."
        )
    if committed_at is None:
        rows = [(label, say_mbq(value)) for label, value in zip(labels, values, strict=True)]
        return Chart(title, _svg(title, sentence, body), sentence, ("Time", "Activity"), rows)
    wanted = [each for each in zip(values, promised, labels, strict=True) if each[1] > 0]
    if wanted:
        have, part, at = min(wanted, key=lambda each: each[0] - each[1])
        words = f"{say_mbq(have - part)} is free" if have >= part else f"{say_mbq(part - have)} is short"
        sentence += f" At the tightest, {at}, {words}."
    else:
        sentence += " Nothing of it is committed."
    table = [
        (
            label,
            say_mbq(value),
            say_mbq(part),
            say_mbq(value - part) if value >= part else f"short {say_mbq(part - value)}",
        )
        for label, value, part in zip(labels, values, promised, strict=True)
    ]
    return Chart(
        title, _svg(title, sentence, body), sentence, ("Time", "Here and expected", "Committed", "Free"), table
    )


class _Scale:
    """A vertical axis with round numbers."""

    def __init__(self, values: Sequence[float], zero: bool) -> None:
        low, high = (min(values), max(values)) if values else (0.0, 1.0)
        if zero:
            low, high = min(0.0, low), max(0.0, high)
        if low == high:
            high = low + 1
        rough = (high - low) / 4
        power = 10.0 ** floor(log10(rough))
        self.step = next(m * power for m in (1, 2, 2.5, 5, 10) if m * power >= rough * 0.999)
        self.low, self.high = floor(low / self.step) * self.step, ceil(high / self.step - 1e-9) * self.step

    def y(self, value: float) -> float:
        return TOP + (HEIGHT - TOP - BOTTOM) * (self.high - value) / (self.high - self.low)

    def axes(self, unit: str) -> str:
        lines = []
        for i in range(round((self.high - self.low) / self.step) + 1):
            value = self.low + i * self.step
            y = self.y(value)
            lines.append(
                f'<line class="chart__grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>'
                f'<text class="chart__tick" x="{LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{_number(value)}</text>'
            )
        if unit:
            lines.append(f'<text class="chart__tick" x="0" y="14">{escape(unit)}</text>')
        return "".join(lines)


def _runs(values: Sequence[float | None]) -> list[list[tuple[int, float]]]:
    runs: list[list[tuple[int, float]]] = [[]]
    for i, value in enumerate(values):
        if value is None:
            runs.append([])
        else:
            runs[-1].append((i, value))
    return [run for run in runs if run]


def _x_labels(labels: Sequence[str], x: Sequence[float]) -> str:
    every = max(1, ceil(len(labels) * 56 / (WIDTH - LEFT - RIGHT)))
    return "".join(
        f'<text class="chart__tick" x="{min(max(x[i], LEFT), WIDTH - RIGHT - 14):.1f}" y="{HEIGHT - BOTTOM + 20}" '
        f'text-anchor="middle">{escape(labels[i])}</text>'
        for i in range(0, len(labels), every)
    )


def _target(scale: _Scale, value: float, label: str, *, at_start: bool = False) -> str:
    y = scale.y(value)
    x, side = (LEFT + 6, "start") if at_start else (WIDTH - RIGHT - 4, "end")
    above = y - 5 if y > TOP + 16 else y + 14
    return (
        f'<line class="chart__target" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>'
        f'<text class="chart__value" x="{x}" y="{above:.1f}" text-anchor="{side}">{escape(label)}</text>'
    )


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 100 or float(value).is_integer() else f"{value:,.3g}"


def _svg(title: str, sentence: str, body: Sequence[str]) -> Markup:
    return Markup(
        f'<svg class="chart__svg" xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" '
        f'aria-label="{escape(title)}. {escape(sentence)}"><title>{escape(title)}</title><desc>{escape(sentence)}</desc>'
        f"{''.join(body)}</svg>"
    )


def _chart(
    title: str,
    body: list[str],
    sentence: str,
    labels: Sequence[str],
    series: Sequence[Series],
    unit: str,
    *,
    legend: bool,
) -> Chart:
    if legend:
        at = LEFT
        for number, each in enumerate(series):
            body.append(
                f'<rect class="chart__bar chart__bar--{number % 4}" x="{at}" y="{HEIGHT - 14}" width="12" height="12"/>'
                f'<text class="chart__tick" x="{at + 17}" y="{HEIGHT - 4}">{escape(each.label)}</text>'
            )
            at += 32 + 8 * len(each.label)
    columns = ["", *(f"{s.label} ({unit})" if unit else s.label for s in series)]
    rows = [(label, *(s.values[i] for s in series)) for i, label in enumerate(labels)]
    shown = sentence or f"{pluralise(len(labels), 'value')}."
    return Chart(title, _svg(title, shown, body), shown, columns, rows)

"""Chart primitives (scatter, ranges, stacked bars, histogram) as inline SVG, coloured by the page.

Every figure has a title and a description for readers who cannot see it, and every mark a tooltip.
Model text is cleaned and escaped here, because the result is marked as safe HTML.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
from markupsafe import Markup

from plenary.preferences import FloatArray
from plenary.safe_text import strip_hidden

SIZE, MARGIN = 340.0, 46.0
WIDTH, ROW, LEFT = 680.0, 34.0, 190.0
NARROW, NARROW_LEFT = 370.0, 114.0


class Range(NamedTuple):
    """A labelled value with an interval (equal ends for none); kind picks mark and colour."""

    label: str
    value: float
    low: float
    high: float
    kind: str


class Axis(NamedTuple):
    """A linear axis: data limits, pixel limits, tick values."""

    low: float
    high: float
    start: float
    end: float
    ticks: tuple[float, ...]

    def at(self, value: float) -> float:
        """Pixel of a value, clipped to the axis."""
        share = (min(max(value, self.low), self.high) - self.low) / (self.high - self.low)
        return round(self.start + share * (self.end - self.start), 1)


class Series(NamedTuple):
    """Points of one kind: x [N], y [N] and a tooltip each."""

    x: FloatArray
    y: FloatArray
    labels: Sequence[str]
    kind: str


def axis(low: float, high: float, start: float, end: float, ticks: int = 5) -> Axis:
    """An axis with round ticks that contain both limits; around a single value it is 1 wide."""
    if high - low < 1e-9:
        low, high = low - 0.5, high + 0.5
    step = _round_step((high - low) / max(ticks - 1, 1))
    first, last = np.floor(low / step + 1e-9), np.ceil(high / step - 1e-9)
    values = tuple(float(round(k * step, 10)) for k in np.arange(first, last + 1))
    return Axis(values[0], values[-1], start, end, values)


def _round_step(raw: float) -> float:
    if not raw > 0:
        return 1.0
    size = 10 ** np.floor(np.log10(raw))
    return float(size * next(f for f in (1, 2, 2.5, 5, 10) if raw <= f * size * (1 + 1e-9)))


def scatter(
    series: Series, limits: tuple[float, float], names: tuple[str, str], title: str, finding: str
) -> Markup:
    """A square scatter with the identity line; names are those of the x and the y axis."""
    x = axis(*limits, MARGIN, SIZE - 12)
    y = axis(*limits, SIZE - MARGIN, 12)
    parts = [*_grid(x, y), _line(x.at(x.low), y.at(x.low), x.at(x.high), y.at(x.high), "identity")]
    parts += [
        _mark(x.at(a), y.at(b), series.kind, label)
        for a, b, label in zip(series.x.tolist(), series.y.tolist(), series.labels, strict=True)
        if np.isfinite(a) and np.isfinite(b)
    ]
    parts.append(_text((MARGIN + SIZE - 12) / 2, SIZE - 8, names[0], "middle"))
    middle = (SIZE - MARGIN + 12) / 2
    upright = Markup(
        '<text x="12" y="{0}" text-anchor="middle" transform="rotate(-90 12 {0})">{1}</text>'
    )
    parts.append(upright.format(middle, names[1]))
    return _figure(SIZE, SIZE, title, finding, parts)


def ranges(
    rows: Sequence[Range],
    limits: tuple[float, float],
    title: str,
    finding: str,
    band: tuple[float, float] | None = None,
    *,
    narrow: bool = False,
) -> Markup:
    """Values with intervals, one row each, on a common axis; `band` is shaded behind them.

    narrow: for short labels, so that a phone shows it whole.
    """
    height = ROW * len(rows) + 34
    width, margin = (NARROW, NARROW_LEFT) if narrow else (WIDTH, LEFT)
    x = axis(*limits, margin, width - 70, 4 if narrow else 6)
    parts = []
    if band is not None:
        left, right = x.at(band[0]), x.at(band[1])
        parts.append(_box(left, 6, right - left, height - 34, "band", "placebo"))
    parts += [_line(x.at(t), 6, x.at(t), height - 28, "grid") for t in x.ticks]
    parts += [_text(x.at(t), height - 10, f"{t:g}", "middle") for t in x.ticks]
    if x.low < 0 < x.high:
        parts.append(_line(x.at(0), 6, x.at(0), height - 28, "identity"))
    for k, row in enumerate(rows):
        middle = 6 + ROW * (k + 0.5)
        parts.append(_text(margin - 14, middle + 4, row.label, "end"))
        if row.high > row.low:
            parts.append(_line(x.at(row.low), middle, x.at(row.high), middle, f"bar {row.kind}"))
        parts.append(_mark(x.at(row.value), middle, row.kind, f"{row.label}: {row.value:.3f}", 6))
        parts.append(_text(width - 58, middle + 4, f"{row.value:.3f}", "start"))
    return _figure(width, height, title, finding, parts)


def stacked(
    rows: Sequence[tuple[str, Sequence[float]]], names: Sequence[str], title: str, finding: str
) -> Markup:
    """Bars of shares that add up to 1, one row each; their style classes are part0, part1, ..."""
    height = ROW * len(rows) + 46
    x = Axis(0.0, 1.0, LEFT, WIDTH - 22, (0.0, 0.25, 0.5, 0.75, 1.0))
    parts = [_text(x.at(t), height - 26, f"{t:.0%}", "middle") for t in x.ticks]
    for k, (label, shares) in enumerate(rows):
        top, start = 6 + ROW * k, 0.0
        parts.append(_text(LEFT - 14, top + ROW / 2 + 2, label, "end"))
        for n, share in enumerate(shares):
            left, right = x.at(start), x.at(start + share)
            tip = f"{names[n]}: {share:.1%}"
            parts.append(_box(left, top + 3, max(right - left, 0), ROW - 8, f"part{n}", tip))
            if share >= 0.08:
                said = Markup('<text x="{:g}" y="{:g}" text-anchor="middle" class="on{}">{}</text>')
                parts.append(said.format((left + right) / 2, top + ROW / 2 + 3, n, f"{share:.0%}"))
            start += share
    step = WIDTH / len(names)
    for n, name in enumerate(names):
        parts.append(_box(8 + n * step, height - 16, 10, 10, f"part{n}", name))
        parts.append(_text(22 + n * step, height - 7, name, "start"))
    return _figure(WIDTH, height, title, finding, parts)


def histogram(
    sides: Sequence[tuple[str, FloatArray]], name: str, title: str, finding: str, bins: int = 16
) -> Markup:
    """Counts of several samples side by side in common bins; kinds are the names of the sides."""
    top = max(float(np.abs(values).max()) for _, values in sides)
    x = axis(0.0, top if top > 0 else 1.0, MARGIN, WIDTH - 12, 8)
    edges = np.linspace(x.low, x.high, bins + 1)
    counts = [np.histogram(values, edges)[0] for _, values in sides]
    height = 210.0
    y = axis(0.0, float(max(count.max() for count in counts)), height - MARGIN, 12, 5)
    parts = _grid(x, y)
    wide = (x.at(edges[1]) - x.at(edges[0]) - 3) / len(sides)
    for k, ((kind, _), count) in enumerate(zip(sides, counts, strict=True)):
        for left, right, n in zip(edges[:-1], edges[1:], count.tolist(), strict=True):
            if n:
                at, tip = x.at(left) + 1.5 + k * wide, f"{kind}, {left:.2f} to {right:.2f}: {n}"
                parts.append(_box(at, y.at(n), wide, y.start - y.at(n), f"column {kind}", tip))
    parts.append(_text((MARGIN + WIDTH - 12) / 2, height - 8, name, "middle"))
    return _figure(WIDTH, height, title, finding, parts)


def _box(x: float, y: float, width: float, height: float, kind: str, tip: str) -> Markup:
    return Markup(
        '<rect x="{:.1f}" y="{:.1f}" width="{:.1f}" height="{:.1f}" class="{}"><title>{}</title>'
        "</rect>"
    ).format(x, y, width, height, kind, strip_hidden(tip))


def _figure(
    width: float, height: float, title: str, finding: str, parts: Iterable[Markup]
) -> Markup:
    return Markup(
        '<svg role="img"{5} viewBox="0 0 {0:g} {1:g}" width="{0:g}" height="{1:g}">'
        "<title>{2}</title><desc>{3}</desc>{4}</svg>"
    ).format(
        width, height, strip_hidden(title), strip_hidden(finding), Markup("").join(parts),
        Markup(' class="wide"') if width == WIDTH else "",
    )  # fmt: skip


def _grid(x: Axis, y: Axis) -> list[Markup]:
    parts = [_line(x.at(t), y.start, x.at(t), y.end, "grid") for t in x.ticks]
    parts += [_line(x.start, y.at(t), x.end, y.at(t), "grid") for t in y.ticks]
    parts += [_text(x.at(t), y.start + 16, f"{t:g}", "middle") for t in x.ticks]
    parts += [_text(x.start - 6, y.at(t) + 4, f"{t:g}", "end") for t in y.ticks]
    return parts


def _line(x1: float, y1: float, x2: float, y2: float, kind: str) -> Markup:
    return Markup('<line x1="{:g}" y1="{:g}" x2="{:g}" y2="{:g}" class="{}"/>').format(
        x1, y1, x2, y2, kind
    )


def _text(x: float, y: float, text: str, anchor: str) -> Markup:
    return Markup('<text x="{:g}" y="{:g}" text-anchor="{}">{}</text>').format(
        x, y, anchor, strip_hidden(text)
    )


def _mark(x: float, y: float, kind: str, label: str, size: float = 4) -> Markup:
    """A circle before, a diamond after, else a square, so that colour is never the only cue."""
    tooltip = Markup("<title>{}</title>").format(strip_hidden(label))
    if kind == "before":
        shape = Markup('<circle cx="{:g}" cy="{:g}" r="{:g}" class="mark before">{}</circle>')
        return shape.format(x, y, size, tooltip)
    if kind == "after":
        r = size + 1
        points = f"{x:g},{y - r:g} {x + r:g},{y:g} {x:g},{y + r:g} {x - r:g},{y:g}"
        return Markup('<polygon points="{}" class="mark after">{}</polygon>').format(
            points, tooltip
        )
    shape = Markup('<rect x="{:g}" y="{:g}" width="{:g}" height="{:g}" class="mark {}">{}</rect>')
    return shape.format(x - size, y - size, 2 * size, 2 * size, kind, tooltip)

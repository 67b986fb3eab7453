"""Figures of the viewer as SVG: narrow enough for a phone, coloured by its style sheet.

Each has a title, the finding as its description, and a tooltip on every mark. Shape and colour
carry the same information: a ring is before, a diamond after, an upright line the population.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from markupsafe import Markup

from personas.representativeness import CategoryShare
from plenary.figures.svg import Axis, axis
from plenary.safe_text import strip_hidden

WIDTH, ROW = 460.0, 30.0
TILE = 40.0
STEPS = 4

# Column and row of each state in a grid of equal tiles, roughly where it lies.
GRID: Mapping[str, tuple[str, int, int]] = {
    "Alaska": ("AK", 0, 0), "Maine": ("ME", 11, 0),
    "Vermont": ("VT", 10, 1), "New Hampshire": ("NH", 11, 1),
    "Washington": ("WA", 1, 2), "Idaho": ("ID", 2, 2), "Montana": ("MT", 3, 2),
    "North Dakota": ("ND", 4, 2), "Minnesota": ("MN", 5, 2), "Illinois": ("IL", 6, 2),
    "Wisconsin": ("WI", 7, 2), "Michigan": ("MI", 8, 2), "New York": ("NY", 9, 2),
    "Rhode Island": ("RI", 10, 2), "Massachusetts": ("MA", 11, 2),
    "Oregon": ("OR", 1, 3), "Nevada": ("NV", 2, 3), "Wyoming": ("WY", 3, 3),
    "South Dakota": ("SD", 4, 3), "Iowa": ("IA", 5, 3), "Indiana": ("IN", 6, 3),
    "Ohio": ("OH", 7, 3), "Pennsylvania": ("PA", 8, 3), "New Jersey": ("NJ", 9, 3),
    "Connecticut": ("CT", 10, 3),
    "California": ("CA", 1, 4), "Utah": ("UT", 2, 4), "Colorado": ("CO", 3, 4),
    "Nebraska": ("NE", 4, 4), "Missouri": ("MO", 5, 4), "Kentucky": ("KY", 6, 4),
    "West Virginia": ("WV", 7, 4), "Virginia": ("VA", 8, 4), "Maryland": ("MD", 9, 4),
    "Delaware": ("DE", 10, 4),
    "Arizona": ("AZ", 2, 5), "New Mexico": ("NM", 3, 5), "Kansas": ("KS", 4, 5),
    "Arkansas": ("AR", 5, 5), "Tennessee": ("TN", 6, 5), "North Carolina": ("NC", 7, 5),
    "South Carolina": ("SC", 8, 5), "District of Columbia": ("DC", 9, 5),
    "Oklahoma": ("OK", 4, 6), "Louisiana": ("LA", 5, 6), "Mississippi": ("MS", 6, 6),
    "Alabama": ("AL", 7, 6), "Georgia": ("GA", 8, 6),
    "Hawaii": ("HI", 0, 7), "Texas": ("TX", 4, 7), "Florida": ("FL", 9, 7),
}  # fmt: skip


class PlottedInterval(NamedTuple):
    """A value with its interval."""

    value: float
    low: float
    high: float


class PlottedChange(NamedTuple):
    """A row of a before/after figure; either value may be missing."""

    label: str
    before: PlottedInterval | None
    after: PlottedInterval | None


def tile_map(citizens: Mapping[str, int], title: str, finding: str) -> Markup:
    """Every state as a tile with its number of citizens; darker means more."""
    most = max(citizens.values(), default=0)
    parts = []
    for state, (code, column, row) in GRID.items():
        count = citizens.get(state, 0)
        step = 0 if not count else 1 + min(STEPS - 1, (count - 1) * STEPS // max(most, 1))
        parts.append(
            Markup(
                '<g class="tile{}"><title>{}: {} {}</title><rect x="{:g}" y="{:g}" width="{:g}" '
                'height="{:g}" rx="3"/><text x="{:g}" y="{:g}">{}</text><text x="{:g}" y="{:g}" '
                'class="count">{}</text></g>'
            ).format(
                step,
                state,
                count,
                "citizen" if count == 1 else "citizens",
                column * TILE + 1,
                row * TILE + 1,
                TILE - 2,
                TILE - 2,
                (column + 0.5) * TILE,
                row * TILE + 16,
                code,
                (column + 0.5) * TILE,
                row * TILE + 32,
                count or "",
            )
        )
    return _figure(12 * TILE, 8 * TILE, title, finding, parts, "map")


def distribution(rows: Sequence[CategoryShare], title: str, finding: str) -> Markup:
    """Categories of one attribute: band of sampling error, population (line), panel (dot)."""
    x = _across(max(max(row.panel, row.high) for row in rows))
    parts = _scale(x, len(rows), percent=True)
    for k, row in enumerate(rows):
        y = _middle(k)
        parts.append(_label(k, row.category))
        band = Markup('<rect class="band" x="{:g}" y="{:g}" width="{:g}" height="10"/>')
        parts.append(band.format(x.at(row.low), y - 5, x.at(row.high) - x.at(row.low)))
        truth = Markup('<line class="truth" x1="{0:g}" x2="{0:g}" y1="{1:g}" y2="{2:g}"/>')
        parts.append(truth.format(x.at(row.population), y - 8, y + 8))
        said = f"{row.category}: panel {row.panel:.1%}, population {row.population:.1%}"
        dot = Markup('<circle class="drawn" cx="{:g}" cy="{:g}" r="4.5"><title>{}</title></circle>')
        parts.append(dot.format(x.at(row.panel), y, said))
    return _figure(WIDTH, _height(len(rows)), title, finding, parts)


def changes(rows: Sequence[PlottedChange], title: str, finding: str) -> Markup:
    """Shares before (ring) and after (diamond) with intervals, one row each, 0 to 100 %."""
    x = _across(1.0)
    parts = _scale(x, len(rows), percent=True)
    half = Markup('<line class="half" x1="{0:g}" x2="{0:g}" y1="4" y2="{1:g}"/>')
    parts.append(half.format(x.at(0.5), _height(len(rows)) - 24))
    for k, row in enumerate(rows):
        parts.append(_label(k, row.label))
        for kind, found, shift in (("before", row.before, -5), ("after", row.after, 5)):
            if found is not None:
                parts.append(_interval(x, found, _middle(k) + shift, kind, row.label))
    return _figure(WIDTH, _height(len(rows)), title, finding, parts)


def bars(rows: Sequence[tuple[str, float]], unit: str, title: str, finding: str) -> Markup:
    """Horizontal bars from zero, with their numbers."""
    x = _across(max((value for _, value in rows), default=1.0) * 1.25 or 1.0)
    parts: list[Markup] = []
    for k, (label, value) in enumerate(rows):
        y = _middle(k)
        parts.append(_label(k, label))
        rect = Markup('<rect class="length" x="{:g}" y="{:g}" width="{:g}" height="14"/>')
        parts.append(rect.format(x.start, y - 7, max(x.at(value) - x.start, 1)))
        parts.append(_text(x.at(value) + 5, y + 4, f"{value:,.1f} {unit}", "start"))
    return _figure(WIDTH, _height(len(rows)) - 20, title, finding, parts)


def _interval(x: Axis, found: PlottedInterval, y: float, kind: str, label: str) -> Markup:
    said = f"{label}, {kind}: {found.value:.1%} ({found.low:.1%} to {found.high:.1%})"
    line = Markup('<line class="bar {}" x1="{:g}" x2="{:g}" y1="{:g}" y2="{:g}"/>').format(
        kind, x.at(found.low), x.at(found.high), y, y
    )
    at = x.at(found.value)
    if kind == "before":
        shape = Markup('<circle class="mark before" cx="{:g}" cy="{:g}" r="4.5">').format(at, y)
        return line + shape + Markup("<title>{}</title></circle>").format(strip_hidden(said))
    corners = f"{at:g},{y - 6:g} {at + 6:g},{y:g} {at:g},{y + 6:g} {at - 6:g},{y:g}"
    shape = Markup('<polygon class="mark after" points="{}">').format(corners)
    return line + shape + Markup("<title>{}</title></polygon>").format(strip_hidden(said))


def _across(most: float) -> Axis:
    return axis(0.0, most, 176.0, WIDTH - 18, 5)


def _middle(k: int) -> float:
    return 6 + ROW * (k + 0.5)


def _height(rows: int) -> float:
    return ROW * rows + 34


def _scale(x: Axis, rows: int, *, percent: bool) -> list[Markup]:
    line = Markup('<line class="grid" x1="{0:g}" x2="{0:g}" y1="4" y2="{1:g}"/>')
    parts = [line.format(x.at(tick), _height(rows) - 24) for tick in x.ticks]
    for tick in x.ticks:
        name = f"{100 * tick:g} %" if percent else f"{tick:g}"
        parts.append(_text(x.at(tick), _height(rows) - 8, name, "middle"))
    return parts


def _label(k: int, text: str) -> Markup:
    return _text(166, _middle(k) + 4, strip_hidden(text, 25), "end")


def _text(x: float, y: float, text: str, anchor: str) -> Markup:
    pattern = Markup('<text x="{:g}" y="{:g}" text-anchor="{}">{}</text>')
    return pattern.format(x, y, anchor, strip_hidden(text))


def _figure(
    width: float, height: float, title: str, finding: str, parts: Iterable[Markup], kind: str = ""
) -> Markup:
    return Markup(
        '<svg role="img" class="{}" viewBox="0 0 {:g} {:g}" width="{:g}" height="{:g}">'
        "<title>{}</title><desc>{}</desc>{}</svg>"
    ).format(
        kind,
        width,
        height,
        width,
        height,
        strip_hidden(title),
        strip_hidden(finding),
        Markup("").join(parts),
    )

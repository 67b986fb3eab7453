"""How results show themselves: a page's piece for notebooks, axes of matplotlib."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape
from typing import TYPE_CHECKING

from plenary.errors import ConfigError
from plenary.table import Table

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# The figures of plenary.figures leave colours to their page; light and dark notebooks read these.
STYLE = """<style>
.plenary{font-family:sans-serif;font-size:13px}
.plenary svg{max-width:100%;height:auto}
.plenary svg text{font:12px sans-serif;fill:currentColor}
.plenary .grid{stroke:#8884}.plenary .identity,.plenary .half{stroke:#8889;stroke-dasharray:4 3}
.plenary .band{fill:#8ab4}.plenary .truth{stroke:currentColor;stroke-width:2}
.plenary .drawn,.plenary .mark{fill:#c4552b}.plenary .mark.before{fill:#4c78a8}
.plenary .bar{stroke:#c4552b;stroke-width:2}.plenary .bar.before{stroke:#4c78a8}
.plenary .length{fill:#4c78a8}
</style>"""
BEFORE, AFTER, MUTED = "#4c78a8", "#c4552b", "#999999"


def piece(title: str, *parts: str | Table) -> str:
    """A titled piece of a page with the style of its figures."""
    shown = (p if isinstance(p, str) else Table(p.columns)._repr_html_() for p in parts)
    return f'{STYLE}<div class="plenary"><p><b>{escape(title)}</b></p>{"".join(shown)}</div>'


def said(lines: Iterable[str]) -> str:
    """Lines as a paragraph."""
    return f"<p>{'<br>'.join(map(escape, lines))}</p>"


def open_axes(axes: Axes | None, rows: int) -> Axes:
    """The axes given, or new ones tall enough; ConfigError where matplotlib is not installed."""
    if axes is not None:
        return axes
    try:
        from matplotlib import pyplot
    except ImportError as error:
        raise ConfigError(
            "plot needs matplotlib, which is not installed; pip install matplotlib, or look at "
            "the result itself in a notebook"
        ) from error
    return pyplot.subplots(figsize=(8, max(2.5, 0.28 * rows + 1)), layout="constrained")[1]


def draw_ranges(
    axes: Axes,
    labels: Sequence[str],
    rows: Sequence[tuple[float, float, float]],
    colour: str,
    name: str,
    lift: float = 0.0,
) -> None:
    """Values with intervals, one row per label, the first on top."""
    places = [len(labels) - 1 - k + lift for k in range(len(labels))]
    value = [row[0] for row in rows]
    errors = [
        [max(0.0, v - low) for v, low, _ in rows],
        [max(0.0, high - v) for v, _, high in rows],
    ]
    axes.errorbar(value, places, xerr=errors, fmt="o", color=colour, markersize=4, label=name)
    axes.set_yticks([len(labels) - 1 - k for k in range(len(labels))], labels)

"""The figure of panel against population, as SVG in the report or as an SVG or PNG file.

In the report, the page's style sheet colours the figure; a separate file contains its own style.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from markupsafe import Markup

from personas.representativeness import CategoryShare
from plenary.errors import ConfigError
from plenary.runs.records.base import read_record
from plenary.runs.records.panel import SharesRecord

ROW, LEFT, RIGHT, WIDTH, TOP = 17.0, 250.0, 24.0, 760.0, 44.0
STYLE = (
    "text{font:12px sans-serif;fill:#222}.head{font-weight:bold}.band{fill:#cfd8e3}"
    ".truth{stroke:#44546a;stroke-width:2}.drawn{fill:#b4441c}.grid{stroke:#e6e6e6}"
)
TITLE = "The panel compared with the population"


def finding(table: Sequence[CategoryShare]) -> str:
    """What the figure shows, in one sentence."""
    outside = sum(not row.inside for row in table)
    return f"{outside} of {len(table)} categories are outside the 95 % band of a random sample."


def panel_figure(table: Sequence[CategoryShare], style: str = "") -> Markup:
    """Every category: band of sampling error, population (line) and panel (dot), in per cent."""
    top = max(max(row.panel, row.high) for row in table)
    scale = (WIDTH - LEFT - RIGHT) / top
    parts: list[Markup] = []
    y, attribute = TOP, ""
    for row in table:
        if row.attribute != attribute:
            attribute = row.attribute
            y += ROW * 1.4
            parts.append(_text(8, y, attribute.replace("_", " "), "start", "head"))
        y += ROW
        parts += _row(row, y, scale)
    height = y + 16
    grid = [
        Markup('<line class="grid" x1="{0:.1f}" x2="{0:.1f}" y1="{1}" y2="{2:.0f}"/>').format(
            LEFT + step / 10 * scale, TOP, y + 6
        )
        + _text(LEFT + step / 10 * scale, TOP - 6, f"{step * 10} %", "middle", "")
        for step in range(int(top * 10) + 1)
    ]
    head = Markup(
        '<svg xmlns="http://www.w3.org/2000/svg" role="img" class="wide" '
        'viewBox="0 0 {0:g} {1:.0f}" width="{0:g}" height="{1:.0f}">'
        "<title>{2}</title><desc>{3}</desc>{4}"
    ).format(WIDTH, height, TITLE, finding(table), Markup(style))
    caption = _text(8, 18, f"{TITLE}: {finding(table)}", "start", "head")
    return Markup("").join([head, caption, *grid, *parts, Markup("</svg>")])


def read_shares(path: Path) -> tuple[CategoryShare, ...]:
    """The table that a run keeps; DataError when there is none."""
    record = read_record(SharesRecord, path)
    return tuple(CategoryShare(**row.model_dump()) for row in record.categories)


def write_figure(table: Sequence[CategoryShare], path: Path) -> None:
    """Write the figure as .svg, or as .png with matplotlib; ConfigError for another ending."""
    if path.suffix == ".svg":
        path.write_text(panel_figure(table, f"<style>{STYLE}</style>"), encoding="utf-8")
    elif path.suffix == ".png":
        _write_png(table, path)
    else:
        raise ConfigError(f"figure {path.name!r} is neither .svg nor .png; end it in one of them")


def _write_png(table: Sequence[CategoryShare], path: Path) -> None:
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise ConfigError(
            f"figure {path.name!r} needs matplotlib; pip install 'plenary[figures]' or write .svg"
        ) from error
    rows = list(table)[::-1]
    places = range(len(rows))
    figure = Figure(figsize=(9, 0.19 * len(rows) + 1), layout="constrained")
    axes = figure.subplots()
    low = [row.low for row in rows]
    axes.barh(places, [r.high - r.low for r in rows], left=low, color="#cfd8e3", label="95 % band")
    axes.plot([r.population for r in rows], places, "|", color="#44546a", label="population")
    axes.plot([r.panel for r in rows], places, "o", color="#b4441c", markersize=4, label="panel")
    axes.set_yticks(places, [f"{r.attribute}: {r.category}" for r in rows], fontsize=7)
    axes.set_ylim(-1, len(rows))
    axes.set_xlabel("share")
    axes.set_title(TITLE)
    figure.legend(loc="outside lower center", ncols=3)
    figure.savefig(path, dpi=140)


def _row(row: CategoryShare, y: float, scale: float) -> list[Markup]:
    low, high = LEFT + row.low * scale, LEFT + row.high * scale
    band = Markup('<rect class="band" x="{:.1f}" y="{:.1f}" width="{:.1f}" height="10"/>').format(
        low, y - 9, high - low
    )
    truth = Markup('<line class="truth" x1="{0:.1f}" x2="{0:.1f}" y1="{1:.1f}" y2="{2:.1f}"/>')
    dot = Markup(
        '<circle class="drawn" cx="{:.1f}" cy="{:.1f}" r="4"><title>{}: panel {:.1%}, population '
        "{:.1%}, band {:.1%} to {:.1%}</title></circle>"
    ).format(
        LEFT + row.panel * scale, y - 4, row.category, row.panel, row.population, row.low, row.high
    )
    name = _text(LEFT - 8, y, row.category, "end", "")
    return [name, band, truth.format(LEFT + row.population * scale, y - 11, y + 3), dot]


def _text(x: float, y: float, text: str, anchor: str, kind: str) -> Markup:
    return Markup('<text x="{:.1f}" y="{:.1f}" text-anchor="{}" class="{}">{}</text>').format(
        x, y, anchor, kind, text
    )

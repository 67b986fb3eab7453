from __future__ import annotations

from html.parser import HTMLParser

import numpy as np
import pytest
from markupsafe import Markup

from plenary.figures.page_parts import Head, Tile
from plenary.figures.svg import Series, scatter
from plenary.report.elements import Drawing, QuotedStatement, ReportTable, Section, shown
from plenary.report.page import ReportPage, render
from plenary.report.shift import MOVEMENTS
from plenary.report.tables import settings
from plenary.report.verdict import RunVerdict
from plenary.runs.config import load_config
from plenary.runs.records.assembly import Summary

EVIL = "</blockquote><script>alert(1)</script>\u202egnp.exe\x07 {{ 7*7 }} <img src=http://x/>"


def page(text: str) -> ReportPage:
    summary = Summary(
        name="one", seconds=1.0, agreement_before=0.5, agreement_after=0.6, gain=0.1, gain_low=0.0,
        gain_high=0.2, ceiling=0.9, citizens=2, outcomes=4, pairs=3, held_out_pairs=1,
        invalid_share=0.0, imputed_share=0.0, seed=0, config_hash="abc", deterministic=True,
        report="report.html",
    )  # fmt: skip
    series = Series(np.array([0.1]), np.array([0.2]), [text], "after")
    drawing = Drawing(scatter(series, (0.0, 1.0), ("x", "y"), text, text), text)
    row = ((text, text),)
    heads = (Head(text), Head(text, True))
    section = Section(text, (text,), (drawing,), (ReportTable(text, heads, row, text),), text)
    wide = ((text,) * 8,)
    return ReportPage(
        style=Markup("body { margin: 0 }"), style_hash="sha256-x", version="0", created="now",
        summary=summary, summary_json=summary.model_dump_json(indent=2),
        verdict=RunVerdict(text, "moved", (text,), (text,), (text,)),
        tiles=(Tile(text, text, text),),
        agreement_figure=drawing.drawing, measures=((text, "1", "2"),), scatters=(drawing,),
        calibration=(drawing,), moved=(wide[0][1:],), all_moved=wide, moved_heads=MOVEMENTS,
        moved_caption=text, panel_note=text, chosen=row,
        margins=((text, "1", "2", "3"),), panel_drawing=drawing, categories=((text,) * 7,),
        assembly_note=text, ballots=((text, "1", "2", "3", "4"),),
        diagnostics=((text,) * 3,), strata=((text,) * 6,),
        statements=(QuotedStatement(text, text, text, text),), training=row, limits=(text,),
        settings=((text, text, text),), provenance=row, controls=Markup(""),
        banner=text, plan=section, retest=section, measured=(section, section),
        batteries=(section,),
    )  # fmt: skip


class Outline(HTMLParser):
    """Tags opened, and attributes that could load or run something."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.dangerous: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.dangerous += [n for n, _ in attrs if n in ("src", "href", "style") or n[:2] == "on"]


def test_model_text_is_shown_and_never_run() -> None:
    html = render(page(EVIL))
    outline = Outline()
    outline.feed(html)
    assert not outline.tags & {"script", "img", "iframe", "link", "object"}
    assert not outline.dangerous
    assert "&lt;script&gt;alert(1)" in html
    assert "{{ 7*7 }}" in html
    assert "\u202e" not in html
    assert "\x07" not in html


def test_policy_forbids_everything_but_the_style() -> None:
    html = render(page("plain"))
    assert "default-src 'none'; style-src 'sha256-x'" in html
    assert '<html lang="en">' in html


@pytest.mark.parametrize(
    ("value", "text"),
    [(None, "none"), ([], "none"), (["a", "b"], "a, b"), (0.5, "0.5"), (True, "True")],
)
def test_settings_are_shown_as_written(value: object, text: str) -> None:
    assert shown(value) == text


def test_settings_that_differ_are_marked() -> None:
    rows = {name: mark for name, _, mark in settings(load_config(None, ["seed=4"]))}
    assert rows["seed"] == "set"
    assert rows["assembly.rounds"] == ""

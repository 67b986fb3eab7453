"""The figure of the panel against the population, and the table beside it."""

from __future__ import annotations

import re
import sys
import xml.etree.ElementTree as ET

import pytest

from personas.representativeness import CategoryShare
from plenary.errors import ConfigError
from plenary.figures.panel import finding, panel_figure, write_figure
from plenary.report.tables import categories

TABLE = (
    CategoryShare("sex", "woman", 0.5, 0.52, 0.4, 0.6, 52),
    CategoryShare("sex", "<script>", 0.5, 0.48, 0.4, 0.6, 48),
    CategoryShare("age", "under 25", 0.1, 0.3, 0.05, 0.15, 30),
)


def test_inline_figure_leaves_its_colours_to_the_page():
    drawing = panel_figure(TABLE)
    assert "<style" not in drawing
    assert "style=" not in drawing
    assert "<script" not in drawing
    tree = ET.fromstring(drawing)
    name = "{http://www.w3.org/2000/svg}"
    assert tree.get("role") == "img"
    assert tree.findtext(f"{name}title")
    assert tree.findtext(f"{name}desc") == finding(TABLE)
    assert finding(TABLE).startswith("1 of 3 categories are outside")
    assert len(tree.findall(f"{name}circle")) == len(TABLE)


def test_positions_are_on_one_scale():
    drawing = panel_figure(TABLE)
    dots = [float(x) for x in re.findall(r'<circle[^>]* cx="([\d.]+)"', drawing)]
    lines = [float(x) for x in re.findall(r'<line class="truth" x1="([\d.]+)"', drawing)]
    unit = (dots[0] - lines[0]) / (0.52 - 0.5)
    assert dots[2] - lines[2] == pytest.approx(unit * (0.3 - 0.1), rel=0.05)


def test_a_file_brings_its_own_colours(tmp_path):
    write_figure(TABLE, tmp_path / "p.svg")
    assert ".drawn{fill:" in (tmp_path / "p.svg").read_text("utf-8")


def test_the_table_marks_what_lies_outside():
    rows = categories(TABLE)
    assert rows[0] == ("sex", "woman", "50.0%", "52.0%", "40.0% to 60.0%", "52", "")
    assert rows[2][-1] == "outside"


def test_a_png_without_matplotlib_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(ConfigError, match=r"'p.png' .*pip install 'plenary\[figures\]'"):
        write_figure(TABLE, tmp_path / "p.png")

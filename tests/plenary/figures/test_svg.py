from __future__ import annotations

from xml.etree import ElementTree

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from plenary.figures.svg import Range, Series, axis, histogram, ranges, scatter, stacked

EVIL = '<script>alert(1)</script> & "quotes"'


def test_scatter_is_well_formed_and_escapes_labels() -> None:
    series = Series(np.array([0.0, 1.0]), np.array([0.5, np.nan]), [EVIL, "b"], "after")
    drawn = scatter(series, (-1.0, 1.0), ("x", "y"), "Title", "Finding")
    tree = ElementTree.fromstring(str(drawn))
    assert len(tree.findall("polygon")) == 1
    assert tree.findtext("title") == "Title"
    assert tree.findtext("desc") == "Finding"
    assert tree.findtext("polygon/title") == EVIL


@pytest.mark.parametrize(
    ("kind", "shape"), [("before", "circle"), ("after", "polygon"), ("target", "rect")]
)
def test_kinds_differ_in_shape(kind: str, shape: str) -> None:
    drawn = ranges([Range("label", 0.5, 0.4, 0.6, kind)], (0.0, 1.0), "t", "f")
    tree = ElementTree.fromstring(str(drawn))
    assert len(tree.findall(shape)) == 1
    assert [line for line in tree.findall("line") if "bar" in line.attrib["class"]]


def test_value_without_interval_has_no_bar() -> None:
    drawn = ranges([Range("label", 0.5, 0.5, 0.5, "after")], (0.0, 1.0), "t", "f")
    assert 'class="bar' not in drawn


@given(st.floats(-100, 100), st.floats(0.01, 200))
def test_axis_holds_its_limits_on_round_ticks(low: float, width: float) -> None:
    made = axis(low, low + width, 0.0, 100.0)
    assert made.low <= low + 1e-6 * width
    assert made.high >= low + width - 1e-6 * width
    assert 2 <= len(made.ticks) <= 8
    assert made.at(made.low) == 0
    assert made.at(made.high) == 100


def test_an_axis_about_one_value_has_a_width() -> None:
    drawn = ranges([Range("label", 0.0, 0.0, 0.0, "after")], (0.0, 1e-17), "t", "f", (0.0, 0.0))
    assert "nan" not in drawn
    assert 'class="band"' in drawn


def test_stacked_bars_fill_their_row() -> None:
    drawn = stacked([("one", (0.5, 0.3, 0.2))], ("a", "b", EVIL), "t", "f")
    tree = ElementTree.fromstring(str(drawn))
    bars = [r for r in tree.findall("rect") if float(r.attrib["height"]) > 10]
    widths = [float(r.attrib["width"]) for r in bars]
    assert np.allclose(np.array(widths) / sum(widths), (0.5, 0.3, 0.2), atol=0.01)
    assert bars[2].findtext("title") == f"{EVIL}: 20.0%"


def test_histograms_count_every_value_once() -> None:
    sides = (("before", np.array([0.1, 0.2, 3.0])), ("after", np.zeros(4)))
    tree = ElementTree.fromstring(str(histogram(sides, "size", "t", "f")))
    counts = {"before": 0, "after": 0}
    for box in tree.findall("rect"):
        kind, _, number = (box.findtext("title") or "").partition(", ")
        counts[kind] += int(number.rpartition(": ")[2])
    assert counts == {"before": 3, "after": 4}

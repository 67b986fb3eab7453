from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from evaluation.stats.intervals import mean_interval
from evaluation.stats.paired_proportions import non_inferior, paired, supported_margin
from plenary.errors import DataError
from plenary.seeding import generator


def answers(both: int, lost: int, gained: int, neither: int) -> tuple[np.ndarray, np.ndarray]:
    cells = [(1, 1)] * both + [(1, 0)] * lost + [(0, 1)] * gained + [(0, 0)] * neither
    table = np.array(cells, dtype=bool)
    return table[:, 0], table[:, 1]


@pytest.mark.parametrize(("lost", "gained"), [(9, 2), (0, 5), (7, 7), (1, 0), (25, 12)])
def test_exact_test_is_scipys(lost: int, gained: int) -> None:
    found = paired(*answers(30, lost, gained, 11))
    assert (found.lost, found.gained) == (lost, gained)
    exact = min(1.0, 2 * stats.binom.cdf(min(lost, gained), lost + gained, 0.5))
    assert found.p_value == pytest.approx(exact)
    assert found.change == pytest.approx(found.after - found.before)
    assert found.low < found.change < found.high


def test_published_example() -> None:
    # Agresti, Categorical Data Analysis, table 10.1: 794, 150, 86, 570; difference -0.04.
    found = paired(*answers(794, 150, 86, 570), level=0.95)
    assert found.change == pytest.approx(-0.04)
    assert found.low == pytest.approx(-0.059, abs=0.001)
    assert found.high == pytest.approx(-0.021, abs=0.001)


def test_no_change_is_still_uncertain() -> None:
    few, many = paired(*answers(20, 0, 0, 5)), paired(*answers(200, 0, 0, 50))
    assert few.p_value == 1.0
    assert few.high > many.high > 0 > many.low > few.low


@pytest.mark.slow
def test_one_sided_bounds_cover() -> None:
    rng = generator(11, "coverage")
    p = np.array([0.55, 0.12, 0.06, 0.27])
    held = np.array([paired(*answers(*row)).low for row in rng.multinomial(200, p, size=2000)])
    assert 0.93 < np.mean(held <= p[2] - p[1]) < 0.98


@pytest.mark.parametrize(
    ("items", "points"), [(100, 7.9), (200, 5.6), (500, 3.5), (1000, 2.5), (2000, 1.8)]
)
def test_margins_of_the_reference(items: int, points: float) -> None:
    assert 100 * supported_margin(items) == pytest.approx(points, abs=0.06)


def test_verdicts() -> None:
    assert non_inferior(-0.01, 0.04, 0.05) == "kept"
    assert non_inferior(0.01, 0.07, 0.05) == "undecided"
    assert non_inferior(0.06, 0.09, 0.05) == "lost"
    assert non_inferior(float("nan"), float("nan"), 0.05) == "undecided"


def test_mean_interval_is_students() -> None:
    values = generator(0, "t").standard_normal(12)
    expected = stats.t.interval(0.9, 11, values.mean(), stats.sem(values))
    assert mean_interval(values) == pytest.approx(expected)


def test_unequal_sets_are_refused() -> None:
    with pytest.raises(DataError, match="3 items before and 2 after"):
        paired(np.ones(3, bool), np.ones(2, bool))

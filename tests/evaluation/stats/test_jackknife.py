"""The jackknife of a mean is its usual standard error; units go out whole."""

import numpy as np
import pytest
from scipy import stats

from evaluation.stats.jackknife import jackknife, jackknife_correlation, leave_one_out


def test_a_mean_has_its_usual_interval():
    x = np.random.default_rng(0).standard_normal(12)
    found = jackknife(x.mean(), (x.sum() - x) / 11, 0.95)
    assert found.error == pytest.approx(stats.sem(x))
    assert (found.low, found.high) == pytest.approx(
        stats.t.interval(0.95, 11, x.mean(), found.error)
    )


def test_a_correlation_stays_within_its_bounds():
    found = jackknife_correlation(np.array([0.99, 0.95, 0.999, 0.98]), 0.95)
    assert -1 < found.low < found.value < found.high < 1


def test_groups_are_left_out_whole():
    weights = leave_one_out(["b", "a", "b"])
    assert weights.tolist() == [[1, 1, 1], [1, 0, 1], [0, 1, 0]]
    assert leave_one_out(["a", "a"]).tolist() == [[1, 1], [0, 1], [1, 0]]

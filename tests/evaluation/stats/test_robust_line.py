"""The common scale ignores what moved; the step-up rule matches its definition."""

import numpy as np
import pytest

from evaluation.stats.multiple_testing import reject_fdr
from evaluation.stats.robust_line import robust_line


def test_line_is_found_although_a_fifth_moved():
    rng = np.random.default_rng(0)
    x, sd = rng.standard_normal(100), np.full(100, 0.05)
    y = 0.3 + 1.7 * x + 0.05 * rng.standard_normal(100)
    y[:20] += 2.0
    line = robust_line(x + 0.05 * rng.standard_normal(100), y, sd, sd)
    assert line.slope == pytest.approx(1.7, abs=0.04)
    assert line.offset == pytest.approx(0.3, abs=0.04)
    assert line.weight[:20].max() < 0.1
    assert line.weight[20:].mean() > 0.8


def test_line_is_symmetric_in_its_two_sides():
    rng = np.random.default_rng(1)
    latent = rng.standard_normal(80)
    x, y = latent + 0.3 * rng.standard_normal(80), 2 * latent + 0.6 * rng.standard_normal(80)
    forward = robust_line(x, y, np.full(80, 0.3), np.full(80, 0.6))
    backward = robust_line(y, x, np.full(80, 0.6), np.full(80, 0.3))
    assert forward.slope * backward.slope == pytest.approx(1, abs=1e-3)


def test_benjamini_hochberg_on_the_published_example():
    p = np.array(
        [
            0.0001,
            0.0004,
            0.0019,
            0.0095,
            0.0201,
            0.0278,
            0.0298,
            0.0344,
            0.0459,
            0.3240,
            0.4262,
            0.5719,
        ]
    )
    p = np.concatenate([p, [0.6528, 0.7590, 1.0]])
    assert reject_fdr(p, 0.05).sum() == 4
    assert reject_fdr(p[::-1], 0.05)[-4:].all()
    assert not reject_fdr(np.full(5, 0.9), 0.05).any()

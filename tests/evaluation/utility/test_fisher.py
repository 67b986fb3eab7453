"""The explicit information matrix equals a brute-force sum over cells, in every form."""

import numpy as np
import pytest

from evaluation.utility.fisher import FisherPattern, Information
from evaluation.utility.newton import solve


def _brute(first, second, said, precision, k):
    """Sum over cells of the outer products that two parameters' slopes of z and log lapse give."""
    full = np.diag(precision)
    pairs = np.unique(np.sort(np.stack([first, second], axis=1), axis=1), axis=0).tolist()
    full[-1, -1] += said.on_lapse
    for n, (i, j) in enumerate(zip(first.tolist(), second.tolist(), strict=True)):
        low, high = sorted((i, j))
        p = pairs.index([low, high])
        slope = np.zeros(2 * k + 2)
        slope[i], slope[j], slope[2 * k] = said.inverse[p] * np.array([1, -1, 1])
        slope[k + low], slope[k + high] = (
            -said.z[n] * said.low_share[p],
            -said.z[n] * said.high_share[p],
        )
        full += said.on_z[n] * np.outer(slope, slope)
        full[-1] += said.with_lapse[n] * slope
        full[:, -1] += said.with_lapse[n] * slope
    return full


def _random(k, n, seed=0):
    rng = np.random.default_rng(seed)
    first = rng.integers(0, k, n)
    second = (first + rng.integers(1, k, n)) % k
    pairs = len(np.unique(np.minimum(first, second) * k + np.maximum(first, second)))
    share = rng.uniform(0.2, 0.8, pairs)
    on_z, by_lapse = rng.uniform(0.5, 2, n), 0.2 * rng.standard_normal(n)
    said = Information(
        rng.standard_normal(n),
        on_z,
        on_z * by_lapse,
        float(on_z @ by_lapse**2),
        rng.uniform(0.5, 2, pairs),
        share,
        1 - share,
    )
    return first, second, said, rng.uniform(0.5, 2, 2 * k + 2), rng


def test_dense_product_inverse_and_blocks_are_one_matrix():
    first, second, said, precision, rng = _random(7, 60)
    fisher, full = (
        FisherPattern(first, second, 7).fisher(said, precision),
        _brute(first, second, said, precision, 7),
    )
    x = rng.standard_normal(16)
    assert np.allclose(fisher.dense(), full, rtol=1e-12)
    assert np.allclose(fisher.product(x), full @ x, rtol=1e-11)
    assert np.allclose(fisher.inverse(), np.linalg.inv(full), atol=1e-12)
    blocks = np.zeros_like(full)
    for i in range(7):
        at = np.ix_([i, 7 + i], [i, 7 + i])
        blocks[at] = full[at]
    blocks[-2:, -2:] = full[-2:, -2:]
    assert np.allclose(fisher.near_inverse(x), np.linalg.solve(blocks, x), rtol=1e-10)
    assert np.allclose(fisher.near_variance(), np.diag(np.linalg.inv(blocks))[:14], rtol=1e-10)


@pytest.mark.parametrize("k", [20, 200])
def test_solve_inverts_it_densely_and_by_iteration(k):
    first, second, said, precision, rng = _random(k, 20 * k)
    fisher = FisherPattern(first, second, k).fisher(said, precision)
    x = rng.standard_normal(2 * k + 2)
    assert np.allclose(solve(fisher, fisher.product(x), 1e-9), x, atol=1e-6)

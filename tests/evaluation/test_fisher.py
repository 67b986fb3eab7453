"""The explicit information matrix equals a brute-force sum over cells, in every form."""

import numpy as np
import pytest

from evaluation.fisher import Pattern, Rows
from evaluation.newton import solve


def _brute(first, second, rows, precision, k):
    full = np.diag(precision)
    for n, (i, j) in enumerate(zip(first, second, strict=True)):
        row = np.zeros(2 * k + 2)
        row[i] += rows.by_mu[n]
        row[j] -= rows.by_mu[n]
        row[k + i] += rows.by_first[n]
        row[k + j] += rows.by_second[n]
        row[2 * k], row[2 * k + 1] = rows.by_mu[n], rows.by_lapse[n]
        full += np.outer(row, row)
    return full


def _random(k, n, seed=0):
    rng = np.random.default_rng(seed)
    first = rng.integers(0, k, n)
    second = (first + rng.integers(1, k, n)) % k
    rows = Rows(*rng.standard_normal((4, n)))
    return first, second, rows, rng.uniform(0.5, 2, 2 * k + 2), rng


def test_dense_product_inverse_and_blocks_are_one_matrix():
    first, second, rows, precision, rng = _random(7, 60)
    fisher, full = (
        Pattern(first, second, 7).fisher(rows, precision),
        _brute(first, second, rows, precision, 7),
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
    first, second, rows, precision, rng = _random(k, 20 * k)
    fisher = Pattern(first, second, k).fisher(rows, precision)
    x = rng.standard_normal(2 * k + 2)
    assert np.allclose(solve(fisher, fisher.product(x), 1e-9), x, atol=1e-6)

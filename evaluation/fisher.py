"""The expected Fisher information of cells as one explicit sparse matrix with a dense border.

Parameters are (mu [K], log sigma [K], order bias, log lapse). Outcomes meet in pairs, so the first
2K are sparse; the last two touch everything. Filling a fixed pattern and multiplying by it is
several times cheaper than a pass over the cells for each product.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy import linalg, sparse

from plenary.preferences import FloatArray, IntArray


class Rows(NamedTuple):
    """Square root of the information: one row a cell, entries [N].

    by_mu (first outcome; the second has the opposite sign; also that of the order bias), by_first
    and by_second (log sigma of the two), by_lapse.
    """

    by_mu: FloatArray
    by_first: FloatArray
    by_second: FloatArray
    by_lapse: FloatArray


class Fisher(NamedTuple):
    """Information plus prior precision: core [2K, 2K] sparse, border [2K, 2], corner [2, 2]."""

    core: sparse.csr_array
    border: FloatArray
    corner: FloatArray
    corner_inverse: FloatArray
    mu_mu: FloatArray
    mu_sigma: FloatArray
    sigma_sigma: FloatArray

    @property
    def size(self) -> int:
        """Parameters, 2K + 2."""
        return len(self.border) + 2

    def product(self, x: FloatArray) -> FloatArray:
        """The matrix times x [2K + 2]."""
        inner, outer = x[:-2], x[-2:]
        return np.concatenate(
            [self.core @ inner + self.border @ outer, inner @ self.border + self.corner @ outer]
        )

    def dense(self) -> FloatArray:
        """The matrix, dense [2K + 2, 2K + 2]."""
        full = np.empty((self.size, self.size))
        full[:-2, :-2] = self.core.toarray()
        full[:-2, -2:], full[-2:, :-2] = self.border, self.border.T
        full[-2:, -2:] = self.corner
        return full

    def near_inverse(self, x: FloatArray) -> FloatArray:
        """X [2K + 2] times the inverse of the 2 x 2 blocks on the diagonal: the preconditioner."""
        k = len(self.mu_mu)
        mu, sigma = x[:k], x[k : 2 * k]
        scale = 1 / (self.mu_mu * self.sigma_sigma - self.mu_sigma**2)
        return np.concatenate(
            [
                (self.sigma_sigma * mu - self.mu_sigma * sigma) * scale,
                (self.mu_mu * sigma - self.mu_sigma * mu) * scale,
                self.corner_inverse @ x[-2:],
            ]
        )

    def near_variance(self) -> FloatArray:
        """Diagonal [2K] of that inverse: each outcome's variance if all others were known."""
        scale = self.mu_mu * self.sigma_sigma - self.mu_sigma**2
        return np.concatenate([self.sigma_sigma / scale, self.mu_mu / scale])

    def inverse(self) -> FloatArray:
        """The inverse, dense [2K + 2, 2K + 2]: the Laplace covariance."""
        full = self.dense()
        potrf, potri = linalg.get_lapack_funcs(("potrf", "potri"), (full,))
        factor, info = potrf(full, lower=1)
        if info:
            raise np.linalg.LinAlgError(f"information of {self.size} parameters is not positive")
        half, _ = potri(factor, lower=1)
        lower = np.tril(half)
        return lower + np.tril(lower, -1).T


class Pattern:
    """Where cells [N] put their information; made once a data set."""

    def __init__(self, first: IntArray, second: IntArray, outcomes: int) -> None:
        """Number the pairs met, and lay out the sparse entries of K = `outcomes` outcomes."""
        k = self.outcomes = outcomes
        low, high = np.minimum(first, second), np.maximum(first, second)
        codes, self.pair = np.unique(low * outcomes + high, return_inverse=True)
        self.sign = np.where(first == low, 1.0, -1.0)
        self.low, self.high = codes // outcomes, codes % outcomes
        self._layout(np.arange(k))

    def _layout(self, each: IntArray) -> None:
        k, low, high = self.outcomes, self.low, self.high
        above = [(low, high), (low, k + high), (high, k + low), (k + low, k + high)]
        blocks = [*above, *((c, r) for r, c in above)]
        blocks += [(each, each), (each, k + each), (k + each, each), (k + each, k + each)]
        rows = np.concatenate([r for r, _ in blocks])
        columns = np.concatenate([c for _, c in blocks])
        self._order = np.argsort(rows * (2 * k) + columns)
        self._columns = columns[self._order].astype(np.int32)
        counts = np.bincount(rows, minlength=2 * k)
        self._starts = np.concatenate([[0], np.cumsum(counts)]).astype(np.int32)

    @property
    def pairs(self) -> int:
        """Distinct pairs met, P."""
        return len(self.low)

    def by_pair(self, values: FloatArray) -> FloatArray:
        """Sums [P] of cell values [N] over the cells of each pair."""
        return np.bincount(self.pair, values, self.pairs).astype(float, copy=False)

    def _spread(self, low: FloatArray, high: FloatArray) -> FloatArray:
        """Sums [K] over pairs of what each gives to its two outcomes."""
        k = self.outcomes
        total = np.bincount(self.low, low, k) + np.bincount(self.high, high, k)
        return total.astype(float, copy=False)

    def fisher(self, rows: Rows, precision: FloatArray) -> Fisher:
        """Information of `rows` plus the diagonal prior `precision` [2K + 2]."""
        k, total, forward = self.outcomes, self.by_pair, self.sign > 0
        mu, lapse = rows.by_mu, rows.by_lapse
        signed = mu * self.sign
        low = np.where(forward, rows.by_first, rows.by_second)
        high = np.where(forward, rows.by_second, rows.by_first)
        squared, low_mu, high_mu = total(mu * mu), total(signed * low), total(signed * high)
        across = total(low * high)
        diagonal = (
            self._spread(squared, squared) + precision[:k],
            self._spread(low_mu, -high_mu),
            self._spread(total(low * low), total(high * high)) + precision[k : 2 * k],
        )
        above = (-squared, high_mu, -low_mu, across)
        entries = np.concatenate(
            [*above, *above, diagonal[0], diagonal[1], diagonal[1], diagonal[2]]
        )
        core = sparse.csr_array(
            (entries[self._order], self._columns, self._starts), shape=(2 * k, 2 * k)
        )
        border = np.empty((2 * k, 2))
        for column, by in enumerate((mu, lapse)):
            on_mu = total(signed * by)
            border[:k, column] = self._spread(on_mu, -on_mu)
            border[k:, column] = self._spread(total(low * by), total(high * by))
        cross = float(mu @ lapse)
        corner = np.array([[mu @ mu, cross], [cross, lapse @ lapse]]) + np.diag(precision[-2:])
        inverse = np.asarray(np.linalg.inv(corner), dtype=float)
        return Fisher(core, border, corner, inverse, *diagonal)

"""Fisher information of the utility fit, as a sparse matrix with a dense border.

Parameters are (mu [K], log sigma [K], order bias, log lapse). Outcomes are compared in pairs, so
the first 2K are sparse; the last two touch everything. Filling a fixed pattern and multiplying by
it is several times cheaper than a pass over the cells for each product.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy import linalg, sparse

from plenary.preferences import FloatArray, IntArray


class Information(NamedTuple):
    """Information about the latent differences z, by cell [N], and how z is formed, by pair.

    z; on_z: expected information on it; with_lapse: that shared with the log lapse; on_lapse: that
    on the log lapse, all cells together. inverse, low_share, high_share [P]: 1 / d with d^2 =
    sigma_low^2 + sigma_high^2, and the two parts of d^2 (0 where spreads are held).
    """

    z: FloatArray
    on_z: FloatArray
    with_lapse: FloatArray
    on_lapse: float
    inverse: FloatArray
    low_share: FloatArray
    high_share: FloatArray


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


class FisherPattern:
    """Where cells [N] put their information; made once per data set."""

    def __init__(self, first: IntArray, second: IntArray, outcomes: int) -> None:
        """Number the distinct pairs, and prepare the sparse entries of K = `outcomes` outcomes."""
        self.outcomes = outcomes
        low, high = np.minimum(first, second), np.maximum(first, second)
        codes, self.pair = _numbered(low * outcomes + high)
        self.sign = np.where(first == low, 1.0, -1.0)
        self.low, self.high = codes // outcomes, codes % outcomes
        self._layout(np.arange(outcomes))

    def _layout(self, each: IntArray) -> None:
        k, low, high, p = self.outcomes, self.low, self.high, self.pairs
        above = [(low, high), (low, k + high), (high, k + low), (k + low, k + high)]
        blocks = [*above, *((c, r) for r, c in above)]
        blocks += [(each, each), (each, k + each), (k + each, each), (k + each, k + each)]
        rows = np.concatenate([r for r, _ in blocks])
        columns = np.concatenate([c for _, c in blocks])
        layout = sparse.csr_array((np.arange(len(rows)), (rows, columns)), shape=(2 * k, 2 * k))
        layout.sort_indices()
        self._columns = layout.indices.astype(np.int32)
        self._starts = layout.indptr.astype(np.int32)
        # Entries below the diagonal repeat those above it.
        self._order = np.where(layout.data < 4 * p, layout.data, layout.data - 4 * p)

    @property
    def pairs(self) -> int:
        """Number of distinct pairs, P."""
        return len(self.low)

    def by_pair(self, values: FloatArray) -> FloatArray:
        """Sums [P] of cell values [N] over the cells of each pair."""
        return np.bincount(self.pair, values, self.pairs).astype(float, copy=False)

    def by_outcome(self, low: FloatArray, high: FloatArray) -> FloatArray:
        """Sums [K] over pairs of what each gives [P] to its two outcomes."""
        k = self.outcomes
        total = np.bincount(self.low, low, k) + np.bincount(self.high, high, k)
        return total.astype(float, copy=False)

    def fisher(self, said: Information, precision: FloatArray) -> Fisher:
        """Information `said` plus the diagonal prior `precision` [2K + 2]."""
        k, total, inverse = self.outcomes, self.by_pair, said.inverse
        low, high = said.low_share, said.high_share
        by_z = said.on_z * said.z
        squared, turned = inverse**2 * total(said.on_z), -inverse * total(self.sign * by_z)
        curved = total(by_z * said.z)
        diagonal = (
            self.by_outcome(squared, squared) + precision[:k],
            self.by_outcome(low * turned, -high * turned),
            self.by_outcome(low * low * curved, high * high * curved) + precision[k : 2 * k],
        )
        entries = (-squared, high * turned, -low * turned, low * high * curved)
        filled = np.concatenate([*entries, diagonal[0], diagonal[1], diagonal[1], diagonal[2]])
        core = sparse.csr_array(
            (filled[self._order], self._columns, self._starts), shape=(2 * k, 2 * k)
        )
        sides = (
            (inverse**2 * total(self.sign * said.on_z), inverse * total(by_z)),
            (inverse * total(self.sign * said.with_lapse), total(said.with_lapse * said.z)),
        )
        border = np.stack([self._side(on_mu, on_sigma, low, high) for on_mu, on_sigma in sides], 1)
        cross = float(inverse @ total(said.with_lapse))
        corner = np.array([[squared.sum(), cross], [cross, said.on_lapse]]) + np.diag(
            precision[-2:]
        )
        inverted = np.asarray(np.linalg.inv(corner), dtype=float)
        return Fisher(core, border, corner, inverted, *diagonal)

    def _side(
        self, on_mu: FloatArray, on_sigma: FloatArray, low: FloatArray, high: FloatArray
    ) -> FloatArray:
        """A column [2K] of the border from sums over pairs [P]."""
        return np.concatenate(
            [self.by_outcome(on_mu, -on_mu), self.by_outcome(-low * on_sigma, -high * on_sigma)]
        )


def _numbered(codes: IntArray) -> tuple[IntArray, IntArray]:
    """The distinct codes in increasing order, and the place of each code [N] among them."""
    if len(codes) and (np.diff(codes) < 0).any():
        distinct, place = np.unique(codes, return_inverse=True)
        return distinct, place
    fresh = np.concatenate([[True], codes[1:] != codes[:-1]])
    return codes[fresh], np.cumsum(fresh) - 1

"""The baseline of active.py: the published utility fit and its choice of pairs, written afresh.

1,000 Adam epochs at a learning rate of 0.01 on one averaged probability a pair, float32, no prior,
cold start every round; the next pairs are drawn from the closest tenth by utility that also lie in
the least asked fifth, both widened by half up to five times (docs/references.md, key fitting).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

from evaluation.design import all_pairs, pair_codes
from plenary.preferences import FloatArray, IntArray
from plenary.seeding import generator

EPOCHS, RATE, FLOOR = 1000, 0.01, 1e-5
CLOSEST, LEAST_ASKED, WIDER, TRIES = 10.0, 20.0, 1.5, 5

Float32Array = NDArray[np.float32]


class Adam:
    """Adam with its usual constants on one float32 vector."""

    def __init__(self, size: int) -> None:
        """Start with zero moments."""
        self._first, self._second = np.zeros((2, size), dtype=np.float32)
        self._steps = 0

    def step(self, gradient: Float32Array) -> Float32Array:
        """What to add to the parameters."""
        self._steps += 1
        self._first += np.float32(0.1) * (gradient - self._first)
        self._second += np.float32(0.001) * (gradient * gradient - self._second)
        first = self._first / np.float32(1 - 0.9**self._steps)
        second = self._second / np.float32(1 - 0.999**self._steps)
        return np.float32(-RATE) * first / (np.sqrt(second) + np.float32(1e-8))


class Baseline(NamedTuple):
    """Utilities and variances [K] of the baseline's fit."""

    mu: Float32Array
    variance: Float32Array


def baseline_fit(pairs: IntArray, p: FloatArray, outcomes: int) -> Baseline:
    """Fit pairs [P, 2] with the averaged probability p [P] that the first is preferred."""
    i, j, target = pairs[:, 0], pairs[:, 1], p.astype(np.float32)
    theta = np.zeros(2 * outcomes, dtype=np.float32)
    theta[:outcomes] = 0.01 * generator(0, "baseline").standard_normal(outcomes)
    adam = Adam(2 * outcomes)
    for _ in range(EPOCHS):
        theta += adam.step(_gradient(theta, i, j, target))
    return _standardised(theta)[0]


def _standardised(theta: Float32Array) -> tuple[Baseline, np.float32]:
    """Utilities of mean 0 and sd 1 with their variances, and the sd taken out."""
    k = len(theta) // 2
    scale = np.float32(theta[:k].std(ddof=1) + FLOOR)
    mu = ((theta[:k] - theta[:k].mean()) / scale).astype(np.float32)
    variance = np.exp(theta[k:]) / scale**2 + np.float32(FLOOR)
    return Baseline(mu, variance.astype(np.float32)), scale


def _gradient(theta: Float32Array, i: IntArray, j: IntArray, target: Float32Array) -> Float32Array:
    """Gradient [2K] of the mean cross-entropy, through the standardisation."""
    k = len(theta) // 2
    (mu, variance), scale = _standardised(theta)
    total = variance[i] + variance[j] + np.float32(FLOOR)
    root = np.sqrt(total)
    z = (mu[i] - mu[j]) / root
    p = ndtr(z).clip(1e-6, 1 - 1e-6)
    slope = np.exp(-z * z / 2) * np.float32(0.39894228) * (p - target) / (p * (1 - p)) / len(i)
    by_pair, by_total = slope / root, -slope * z / total / 2
    by_mu = np.bincount(i, by_pair, k) - np.bincount(j, by_pair, k)
    by_log = (np.bincount(i, by_total, k) + np.bincount(j, by_total, k)) * (variance - FLOOR)
    by_scale = (by_mu @ mu + 2 * by_log.sum()) / scale
    raw = (by_mu - by_mu.mean()) / scale - by_scale * mu / (k - 1)
    return np.concatenate([raw, by_log]).astype(np.float32)


class BaselineChooser:
    """The baseline's choice of pairs among all that were not asked."""

    def __init__(self, outcomes: int) -> None:
        """Begin with every pair unasked."""
        self._pairs, self._outcomes = all_pairs(outcomes), outcomes
        self._left = np.ones(len(self._pairs), dtype=bool)
        self._degree = np.zeros(outcomes, dtype=np.int64)
        self._codes = pair_codes(self._pairs, outcomes)

    def asked(self, pairs: IntArray) -> None:
        """Strike pairs [P, 2] out."""
        at = np.searchsorted(self._codes, pair_codes(pairs, self._outcomes))
        self._left[at] = False
        self._degree += np.bincount(pairs.ravel(), minlength=self._outcomes)

    def choose(self, mu: FloatArray, count: int, rng: np.random.Generator) -> IntArray:
        """The next `count` pairs [count, 2]."""
        pairs = self._pairs[self._left]
        gap = np.abs(mu[pairs[:, 0]] - mu[pairs[:, 1]])
        degree = self._degree[pairs].sum(axis=1)
        found, close, rare = np.empty(0, dtype=np.int64), CLOSEST, LEAST_ASKED
        for _ in range(TRIES):
            near = gap <= np.percentile(gap, close)
            found = np.flatnonzero(near & (degree <= np.percentile(degree, rare)))
            if len(found) >= count:
                return pairs[rng.permutation(found)[:count]]
            close, rare = min(close * WIDER, 100.0), min(rare * WIDER, 100.0)
        rest = rng.permutation(np.setdiff1d(np.arange(len(pairs)), found))
        return pairs[np.concatenate([found, rest[: count - len(found)]])]

"""Confidence intervals: bootstrap over outcomes (pairs as edges of a graph), Student's t."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy import stats

from plenary.preferences import FloatArray, IntArray


class Interval(NamedTuple):
    """Ends of an interval."""

    low: float
    high: float


def node_weights(pairs: IntArray, replicates: int, rng: np.random.Generator) -> FloatArray:
    """Bootstrap weights [B, P]: a pair's weight is the product of its outcomes' resampled counts.

    A replicate that draws no pair at all is drawn again.
    """
    members, positions = np.unique(pairs, return_inverse=True)
    positions, k = positions.reshape(pairs.shape), len(members)
    weights = np.zeros((replicates, len(pairs)))
    empty = np.ones(replicates, dtype=bool)
    while empty.any():
        drawn = rng.multinomial(k, np.full(k, 1 / k), size=int(empty.sum())).astype(float)
        weights[empty] = drawn[:, positions[:, 0]] * drawn[:, positions[:, 1]]
        empty = weights.sum(axis=1) == 0
    return weights


def bootstrap_interval(values: FloatArray, weights: FloatArray, level: float) -> Interval:
    """Percentile interval of the weighted mean of per-pair values [P] under weights [B, P]."""
    means = weights @ values / weights.sum(axis=1)
    low, high = np.quantile(means, [(1 - level) / 2, (1 + level) / 2])
    return Interval(float(low), float(high))


class Estimate(NamedTuple):
    """A figure with its interval, its chance level or floor (NaN: none), and a count.

    units: the number of pairs, triads, splits or ladders behind it.
    """

    value: float
    low: float
    high: float
    floor: float
    units: int


def mean_interval(values: FloatArray, level: float = 0.90) -> Interval:
    """Student's t interval of the mean of independent values [N]; NaN with fewer than two."""
    if len(values) < 2:
        return Interval(float("nan"), float("nan"))
    half = stats.t.ppf(0.5 + level / 2, len(values) - 1) * values.std(ddof=1) / len(values) ** 0.5
    return Interval(float(values.mean() - half), float(values.mean() + half))

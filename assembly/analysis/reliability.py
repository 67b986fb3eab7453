"""Reliability of labels by panel size (n-curve, Spearman-Brown): how many citizens are enough.

Shapes: C citizens, P pairs, G clusters, N panel sizes. An agreement of one half is chance.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy.special import ndtr

from assembly.aggregation.consensus import linearised
from assembly.aggregation.electorate import weighted_mean
from assembly.record.ballots import Votes, citizen_shares
from evaluation.stats.intervals import Estimate, node_weights
from plenary.errors import ConfigError, NotMeasured
from plenary.preferences import FloatArray, IntArray


class Panels(NamedTuple):
    """Two disjoint panels on the same pairs.

    agreement: share of pairs with the same majority, a tie counting one half. reliability:
    correlation of their shares about one half, at least 0; independent of which outcome is listed
    first. difference: root mean square difference of their shares, 0 is best.
    """

    agreement: Estimate
    reliability: Estimate
    difference: Estimate


def compare_panels(
    one: FloatArray,
    two: FloatArray,
    pairs: IntArray,
    rng: np.random.Generator,
    *,
    level: float = 0.95,
    draws: int = 1000,
) -> Panels:
    """Shares [P] of two panels on pairs [P, 2]; intervals resample outcomes for fixed panels."""
    both = ~(np.isnan(one) | np.isnan(two))
    if not both.any():
        raise NotMeasured(
            f"none of {len(pairs)!r} pairs is voted on by both panels; ask both the same pairs"
        )
    a, b = one[both] - 0.5, two[both] - 0.5
    resampled = node_weights(pairs[both], draws, rng)
    weights = np.concatenate([np.ones((1, len(a))), resampled])
    agree = _mean(weights, 0.5 + 0.5 * np.sign(a) * np.sign(b))
    scale = np.sqrt(_mean(weights, a**2) * _mean(weights, b**2))
    correlation = _mean(weights, a * b) / np.maximum(scale, 1e-12)
    apart = np.sqrt(_mean(weights, (a - b) ** 2))
    return Panels(
        _measure(agree, 0.5, len(a), level),
        _measure(correlation, 0.0, len(a), level),
        _measure(apart, float("nan"), len(a), level),
    )


def _mean(weights: FloatArray, values: FloatArray) -> FloatArray:
    return weights @ values / weights.sum(axis=1)


def _measure(draws: FloatArray, floor: float, units: int, level: float) -> Estimate:
    """The first value, and the interval of the remaining ones."""
    low, high = np.quantile(draws[1:], [(1 - level) / 2, (1 + level) / 2])
    return Estimate(float(draws[0]), float(low), float(high), floor, units)


class ReliabilityCurve(NamedTuple):
    """Reliability and agreement of panels of N sizes (citizens); all figures [N].

    reliability: correlation about one half of the shares of two independent panels of that size,
    signal / (signal + noise / n) (Spearman-Brown [spearman1910]). agreement: share of pairs on
    which their majorities agree.
    with_everybody: share on which one panel's majority agrees with that of the whole population,
    which is what a model that repeats the labels reaches. halves_reliability, halves_agreement: the
    same as measured between disjoint parts of this panel; NaN where two of that size cannot be
    formed.
    signal: variance about one half of the population's shares over pairs. noise: variance between
    citizens (times their dependence in clusters), mean over pairs.
    """

    sizes: tuple[int, ...]
    reliability: FloatArray
    agreement: FloatArray
    with_everybody: FloatArray
    halves_reliability: FloatArray
    halves_agreement: FloatArray
    signal: float
    noise: float


def size_curve(
    votes: Votes,
    pairs: int,
    weights: FloatArray,
    phase: int,
    sizes: Sequence[int],
    rng: np.random.Generator,
    *,
    clusters: IntArray | None = None,
    draws: int = 200,
) -> ReliabilityCurve:
    """The n-curve of a panel; weights [C], clusters [C] of dependent citizens (default: none).

    Closed form: a panel's share scatters about the population's with the linearised variance,
    scaled by C / n, and normally; the population's shares are the observed ones shrunk toward one
    half until their spread is the signal (as in `reliability_ceiling`). Two panels agree on a pair
    with probability q^2 + (1 - q)^2, q = Phi(|p - 1/2| / sd); one agrees with the population with
    probability q.
    """
    citizens = len(weights)
    groups = np.arange(citizens) if clusters is None else clusters
    shares = citizen_shares(votes, phase, citizens, pairs)
    shares = shares[:, ~np.isnan(shares).all(axis=0)]
    p = weighted_mean(shares, weights)
    variance = linearised(shares, weights, p, groups).variance
    known = ~np.isnan(variance)
    if len(np.unique(groups)) < 2:
        raise ConfigError(f"{citizens!r} citizens in one cluster; seat more tables")
    if not known.any():
        raise NotMeasured(
            f"{citizens!r} citizens, but on every pair fewer than two groups have valid ballots; "
            "seat more tables, or check the invalid ballots"
        )
    p, variance, shares = p[known], variance[known], shares[:, known]
    observed = float(np.mean((p - 0.5) ** 2))
    signal = max(observed - float(variance.mean()), 0.0)
    distance = np.sqrt(signal / max(observed, 1e-12)) * np.abs(p - 0.5)
    n = np.array(sizes, dtype=np.float64)
    noise = variance * citizens
    sd = np.sqrt(noise / n[:, None])
    q = ndtr(np.divide(distance, sd, out=np.full(sd.shape, np.inf), where=sd > 0))
    cut = [_halves(shares, weights, groups, size, draws, rng) for size in sizes]
    return ReliabilityCurve(
        tuple(sizes),
        signal / np.maximum(signal + noise.mean() / n, 1e-12),
        (q**2 + (1 - q) ** 2).mean(axis=1),
        q.mean(axis=1),
        np.array([half.reliability for half in cut]),
        np.array([half.agreement for half in cut]),
        signal,
        float(noise.mean()),
    )


class _Halves(NamedTuple):
    reliability: float
    agreement: float


def _halves(
    shares: FloatArray,
    weights: FloatArray,
    groups: IntArray,
    size: int,
    draws: int,
    rng: np.random.Generator,
) -> _Halves:
    """Two disjoint parts of `size` citizens, made of whole clusters, over random splits."""
    names, at = np.unique(groups, return_inverse=True)
    count = round(size * len(names) / len(weights))
    if count < 1 or 2 * count > len(names):
        return _Halves(float("nan"), float("nan"))
    found = []
    for _ in range(draws):
        rank = rng.permutation(len(names))[at]
        parts = (rank < count, (rank >= count) & (rank < 2 * count))
        a, b = (weighted_mean(shares[part], weights[part]) - 0.5 for part in parts)
        both = ~(np.isnan(a) | np.isnan(b))
        if both.any():
            a, b = a[both], b[both]
            scale = max(float(np.sqrt((a**2).mean() * (b**2).mean())), 1e-12)
            agree = float(np.mean(0.5 + 0.5 * np.sign(a) * np.sign(b)))
            found.append((float((a * b).mean()) / scale, agree))
    if not found:
        return _Halves(float("nan"), float("nan"))
    return _Halves(*(float(value) for value in np.mean(found, axis=0)))

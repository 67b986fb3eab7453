"""Laplace standard errors of utilities and their normalisation: exact, or by random probes.

Random sign probes are used where K is large. Shapes: K outcomes. The information matrix is that of
evaluation/utility/fisher.py.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from evaluation.utility.fisher import Fisher
from evaluation.utility.newton import solve
from plenary.preferences import BoolArray, FloatArray
from plenary.seeding import generator

PROBES, PROBE_TOLERANCE = 8, 2e-2
EXACT_TOLERANCE = 1e-3
SPREAD_PROBES = 1200
SAME = 1e-9


class Normalisation(NamedTuple):
    """Utilities rescaled to mean 0 and sd 1 over some members, and its effect on small changes.

    values [K]; scale: raw units in one unit of values; inside [K]: 1 / members for a member, else
    0.
    """

    values: FloatArray
    scale: float
    inside: FloatArray

    def forward(self, change: FloatArray) -> FloatArray:
        """Change of the values [K, ...] for a small one [K, ...] of raw ones (delta method)."""
        centred = change - self.inside @ change
        return (
            centred - np.multiply.outer(self.values, (self.values * self.inside) @ change)
        ) / self.scale

    def transpose(self, weights: FloatArray) -> FloatArray:
        """The transposed map, on weights [K]."""
        stretch = self.values * self.inside * (self.values @ weights)
        return (weights - self.inside * weights.sum() - stretch) / self.scale

    def errors(self, covariance: FloatArray) -> FloatArray:
        """Standard errors of the values [K] from the covariance [K, K] of the raw utilities."""
        return np.sqrt(np.diag(self.forward(self.forward(covariance).T)))

    def diagonal(self, own: FloatArray, to_mean: FloatArray, to_scale: FloatArray) -> FloatArray:
        """Variances [K] of the values, from a covariance C's diagonal and two of its products.

        to_mean = C @ inside and to_scale = C @ (values * inside), all [K]. The delta method written
        out, so that C itself is never formed.
        """
        v, weight = self.values, self.values * self.inside
        constant = self.inside @ to_mean
        cross, both = weight @ to_mean, weight @ to_scale
        total = own - 2 * (to_mean + v * to_scale) + constant + 2 * v * cross + v * v * both
        return total / self.scale**2


def standardise(mu: FloatArray, members: BoolArray) -> Normalisation:
    """The normalisation that gives raw utilities mu [K] mean 0 and sd 1 over `members` [K].

    Utilities that do not differ keep their raw unit, a typical sigma.
    """
    scale = float(mu[members].std())
    scale = scale if scale > SAME else 1.0
    return Normalisation((mu - mu[members].mean()) / scale, scale, members / members.sum())


class StandardErrors(NamedTuple):
    """Standard errors [K] of the utilities in a normalisation, and of the raw order bias."""

    utilities: FloatArray
    order_bias: float


def exact_errors(fisher: Fisher, normalisation: Normalisation) -> StandardErrors:
    """Standard errors from the inverted information."""
    covariance = fisher.inverse()
    k = len(normalisation.values)
    bias = float(np.sqrt(covariance[2 * k, 2 * k]))
    return StandardErrors(normalisation.errors(covariance[:k, :k]), bias)


def _neumann(fisher: Fisher, x: FloatArray) -> FloatArray:
    """First-order inverse times x [2K + 2]: each outcome alone, corrected for its neighbours.

    Its diagonal is `near_variance`, since the correction only links different outcomes.
    """
    k = len(fisher.mu_mu)
    near = fisher.near_inverse(x)
    inner = near[: 2 * k]
    own = np.concatenate(
        [
            fisher.mu_mu * inner[:k] + fisher.mu_sigma * inner[k:],
            fisher.mu_sigma * inner[:k] + fisher.sigma_sigma * inner[k:],
        ]
    )
    around = np.concatenate([fisher.core @ inner - own, np.zeros(2)])
    return near - fisher.near_inverse(around)


def probed_errors(fisher: Fisher, normalisation: Normalisation) -> StandardErrors:
    """Standard errors, with random sign probes for what the first-order inverse misses.

    The estimate of each variance is unbiased; its relative noise is below 2 % on graphs of degree
    20, because the probes see only the second-order remainder.
    """
    k, rest = len(normalisation.values), fisher.size - len(normalisation.values)
    rng, missed = generator(0, "laplace", "probes"), np.zeros(k)
    for _ in range(PROBES):
        signs = rng.choice([-1.0, 1.0], k)
        right = np.concatenate([normalisation.transpose(signs), np.zeros(rest)])
        remainder = solve(fisher, right, PROBE_TOLERANCE) - _neumann(fisher, right)
        missed += signs * normalisation.forward(remainder[:k])
    near = [
        _neumann(fisher, np.concatenate([side, np.zeros(rest)]))[:k]
        for side in (normalisation.inside, normalisation.values * normalisation.inside)
    ]
    known = normalisation.diagonal(fisher.near_variance()[:k], *near)
    # A noisy estimate may fall below the error with all other outcomes known, which is a floor.
    floor = fisher.near_variance()[:k] / normalisation.scale**2 / 4
    variance = np.maximum(known + missed / PROBES, floor)
    bias = np.zeros(fisher.size)
    bias[2 * k] = 1.0
    spread = float(np.sqrt(solve(fisher, bias, EXACT_TOLERANCE)[2 * k]))
    return StandardErrors(np.sqrt(variance), spread)


class MeanVariance(NamedTuple):
    """Mean posterior variance of a utility and of a log spread, raw normalisation."""

    mu: float
    log_sigma: float


def mean_variance(fisher: Fisher, exact: bool) -> MeanVariance:
    """The mean variances from which the priors' sds are re-estimated.

    Beyond small K the mean over outcomes of one or two random probes is within 2 %; for log spreads
    these are used, while for utilities, which vary much more than their errors, the variance with
    all others known is good enough.
    """
    k = len(fisher.mu_mu)
    if exact:
        diagonal = np.diag(fisher.inverse())
        return MeanVariance(float(diagonal[:k].mean()), float(diagonal[k : 2 * k].mean()))
    rng, total = generator(0, "laplace", "spread"), 0.0
    probes = max(1, SPREAD_PROBES // k)
    for _ in range(probes):
        signs = np.concatenate([np.zeros(k), rng.choice([-1.0, 1.0], k), np.zeros(2)])
        total += float(signs @ solve(fisher, signs, PROBE_TOLERANCE)) / k
    return MeanVariance(float(fisher.near_variance()[:k].mean()), total / probes)

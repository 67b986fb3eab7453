"""The reference method, reimplemented from the paper's description, as the baseline of our fit.

A Thurstonian model with one averaged probability per pair, no prior and no order bias; float32
Adam, 1000 epochs at learning rate 0.01, mu standardised at every step, cold start in every round.
Edges: a random 2-regular graph, then batches taken from pairs that are both in the bottom 10 % of
|mu difference| and the bottom 20 % of degree sum, widened by half up to five times; at the end
pseudo-labels for all unasked pairs with a probability above .95 (docs/references.md, key
mazeika2025).

The fit is here twice: by automatic differentiation, as the reference does it, and with the gradient
written out, three times faster, where only the utilities matter.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.special import ndtr

from evaluation.elicitation.design import all_pairs, pair_codes, random_regular_pairs
from plenary.preferences import FloatArray, IntArray
from plenary.seeding import generator

EPOCHS, RATE, FLOOR, CONFIDENT = 1000, 0.01, 1e-5, 0.95
CLOSEST, LEAST_ASKED, WIDER, TRIES = 10.0, 20.0, 1.5, 5

Float32Array = NDArray[np.float32]


class AdamFit(NamedTuple):
    """mu [K] (mean 0, sd 1) and variance [K]."""

    mu: FloatArray
    variance: FloatArray

    def probability(self, i: IntArray, j: IntArray) -> FloatArray:
        """Probability [...] that i is preferred to j."""
        z = (self.mu[i] - self.mu[j]) / np.sqrt(self.variance[i] + self.variance[j])
        return np.asarray(ndtr(z))


def _standardised_tensors(mu: torch.Tensor, log_variance: torch.Tensor) -> tuple[torch.Tensor, ...]:
    scale = mu.std() + FLOOR
    return (mu - mu.mean()) / scale, torch.exp(log_variance) / scale**2 + FLOOR


def adam_fit(pairs: IntArray, share: FloatArray, outcomes: int, seed: int) -> AdamFit:
    """Fit averaged shares [P] of pairs [P, 2], every pair weighing the same."""
    torch.set_num_threads(1)
    draw = torch.Generator().manual_seed(seed)
    mu = torch.randn(outcomes, generator=draw).mul_(0.01).requires_grad_()
    log_variance = torch.zeros(outcomes, requires_grad=True)
    i, j = torch.from_numpy(pairs[:, 0].copy()), torch.from_numpy(pairs[:, 1].copy())
    goal = torch.from_numpy(share).float()
    optimiser = torch.optim.Adam([mu, log_variance], lr=RATE)
    for _ in range(EPOCHS):
        optimiser.zero_grad()
        centred, variance = _standardised_tensors(mu, log_variance)
        z = (centred[i] - centred[j]) / torch.sqrt(variance[i] + variance[j])
        p = torch.distributions.Normal(0.0, 1.0).cdf(z).clamp(1e-6, 1 - 1e-6)
        torch.nn.functional.binary_cross_entropy(p, goal).backward()
        optimiser.step()
    with torch.no_grad():
        centred, variance = _standardised_tensors(mu, log_variance)
    return AdamFit(centred.double().numpy(), variance.double().numpy())


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


def fit_by_hand(pairs: IntArray, p: FloatArray, outcomes: int) -> AdamFit:
    """The same fit with the gradient written out."""
    i, j, target = pairs[:, 0], pairs[:, 1], p.astype(np.float32)
    theta = np.zeros(2 * outcomes, dtype=np.float32)
    theta[:outcomes] = 0.01 * generator(0, "baseline").standard_normal(outcomes)
    adam = Adam(2 * outcomes)
    for _ in range(EPOCHS):
        theta += adam.step(_gradient(theta, i, j, target))
    mu, variance = _standardised(theta)[:2]
    return AdamFit(mu.astype(float), variance.astype(float))


def _standardised(theta: Float32Array) -> tuple[Float32Array, Float32Array, np.float32]:
    """Utilities [K] of mean 0 and sd 1 with their variances [K], and the sd taken out."""
    k = len(theta) // 2
    scale = np.float32(theta[:k].std(ddof=1) + FLOOR)
    mu = ((theta[:k] - theta[:k].mean()) / scale).astype(np.float32)
    variance = np.exp(theta[k:]) / scale**2 + np.float32(FLOOR)
    return mu, variance.astype(np.float32), scale


def _gradient(theta: Float32Array, i: IntArray, j: IntArray, target: Float32Array) -> Float32Array:
    """Gradient [2K] of the mean cross-entropy, through the standardisation."""
    k = len(theta) // 2
    mu, variance, scale = _standardised(theta)
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


class Chooser:
    """The baseline's choice of pairs among all that were not asked."""

    def __init__(self, outcomes: int) -> None:
        """Begin with every pair unasked."""
        self._pairs, self._outcomes = all_pairs(outcomes), outcomes
        self._left = np.ones(len(self._pairs), dtype=bool)
        self._degree = np.zeros(outcomes, dtype=np.int64)
        self._codes = pair_codes(self._pairs, outcomes)

    def asked(self, pairs: IntArray) -> None:
        """Remove pairs [P, 2] from the choice."""
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


def pseudo_label_fit(fitted: AdamFit, pairs: IntArray, share: FloatArray, seed: int) -> AdamFit:
    """Refit with a hard label for every unasked pair of which the fit is at least 95 % sure."""
    k = len(fitted.mu)
    others = all_pairs(k)
    p = fitted.probability(*others.T)
    asked = np.isin(pair_codes(others, k), pair_codes(pairs, k))
    sure = ~asked & (np.maximum(p, 1 - p) > CONFIDENT)
    added = others[sure]
    everything = np.concatenate([pairs, added])
    labels = np.concatenate([share, (p[sure] > 0.5).astype(float)]).astype(float)
    return adam_fit(everything, labels, k, seed)


def active_loop(
    ask: Callable[[IntArray], FloatArray],
    outcomes: int,
    total: int,
    batch: int,
    rng: np.random.Generator,
) -> AdamFit:
    """Elicit and fit in rounds, then pseudo-labels; `ask` gives shares [P] of pairs [P, 2]."""
    pairs, chooser = random_regular_pairs(outcomes, 2, rng), Chooser(outcomes)
    share = ask(pairs)
    chooser.asked(pairs)
    fitted = adam_fit(pairs, share, outcomes, 0)
    while len(pairs) < total:
        new = chooser.choose(fitted.mu, batch, rng)
        chooser.asked(new)
        pairs, share = np.concatenate([pairs, new]), np.concatenate([share, ask(new)])
        fitted = adam_fit(pairs, share, outcomes, len(pairs))
    return pseudo_label_fit(fitted, pairs, share, 1)

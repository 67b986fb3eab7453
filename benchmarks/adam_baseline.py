"""The reference method as the paper describes it, written anew: our fit is measured against it.

A Thurstonian model with one averaged probability a pair, no prior, no order bias; float32 Adam,
1000 epochs at learning rate 0.01, mu standardised at every step, cold start in every round. Edges:
a random 2-regular graph, then batches taken from pairs that are both in the bottom 10 % of |mu
difference| and the bottom 20 % of degree sum, widened by half up to five times; at the end
pseudo-labels for all unasked pairs with a probability above .95.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch

from plenary.preferences import FloatArray, IntArray

EPOCHS, RATE, FLOOR, CONFIDENT = 1000, 0.01, 1e-5, 0.95
NEAR, RARE, WIDEN, TRIES = 0.10, 0.20, 1.5, 5


class AdamFit(NamedTuple):
    """mu [K] (mean 0, sd 1) and variance [K]."""

    mu: FloatArray
    variance: FloatArray

    def probability(self, i: IntArray, j: IntArray) -> FloatArray:
        """Probability [...] that i is preferred to j."""
        z = (self.mu[i] - self.mu[j]) / np.sqrt(self.variance[i] + self.variance[j])
        return torch.special.ndtr(torch.from_numpy(z)).numpy()


def _standardised(mu: torch.Tensor, log_variance: torch.Tensor) -> tuple[torch.Tensor, ...]:
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
        centred, variance = _standardised(mu, log_variance)
        z = (centred[i] - centred[j]) / torch.sqrt(variance[i] + variance[j])
        p = torch.distributions.Normal(0.0, 1.0).cdf(z).clamp(1e-6, 1 - 1e-6)
        torch.nn.functional.binary_cross_entropy(p, goal).backward()
        optimiser.step()
    with torch.no_grad():
        centred, variance = _standardised(mu, log_variance)
    return AdamFit(centred.double().numpy(), variance.double().numpy())


def ring(outcomes: int, rng: np.random.Generator) -> IntArray:
    """A random 2-regular graph [K, 2]."""
    order = rng.permutation(outcomes)
    return np.sort(np.stack([order, np.roll(order, -1)], axis=1), axis=1)


def select(mu: FloatArray, asked: IntArray, batch: int, rng: np.random.Generator) -> IntArray:
    """Next pairs [<= batch, 2]: close in utility and seldom met, among all that are left."""
    k = len(mu)
    i, j = np.triu_indices(k, 1)
    free = np.ones((k, k), dtype=bool)
    free[asked[:, 0], asked[:, 1]] = False
    left = free[i, j]
    i, j = i[left], j[left]
    gap, met = np.abs(mu[i] - mu[j]), np.bincount(asked.ravel(), minlength=k)
    both = np.zeros(len(i), dtype=bool)
    degree, near, rare = met[i] + met[j], NEAR, RARE
    for _ in range(TRIES):
        both = (gap <= np.quantile(gap, min(near, 1))) & (
            degree <= np.quantile(degree, min(rare, 1))
        )
        if both.sum() >= batch:
            break
        near, rare = near * WIDEN, rare * WIDEN
    picked = np.flatnonzero(both)
    picked = rng.permutation(picked)[:batch]
    if len(picked) < batch:
        others = np.setdiff1d(np.arange(len(i)), picked)
        fill = rng.choice(others, min(batch - len(picked), len(others)), replace=False)
        picked = np.concatenate([picked, fill])
    return np.stack([i[picked], j[picked]], axis=1)


def pseudo_label_fit(fitted: AdamFit, pairs: IntArray, share: FloatArray, seed: int) -> AdamFit:
    """Refit with a hard label for every unasked pair of which the fit is at least 95 % sure."""
    k = len(fitted.mu)
    i, j = np.triu_indices(k, 1)
    free = np.ones((k, k), dtype=bool)
    free[pairs[:, 0], pairs[:, 1]] = False
    p = fitted.probability(i, j)
    sure = free[i, j] & (np.maximum(p, 1 - p) > CONFIDENT)
    added = np.stack([i[sure], j[sure]], axis=1)
    everything = np.concatenate([pairs, added])
    labels = np.concatenate([share, (p[sure] > 0.5).astype(float)]).astype(float)
    return adam_fit(everything, labels, k, seed)


def active_loop(
    ask: Callable[[IntArray], FloatArray],
    outcomes: int,
    total: int,
    batch: int,
    rng: np.random.Generator,
) -> tuple[AdamFit, IntArray]:
    """Elicit and fit in rounds, then pseudo-labels; `ask` gives shares [P] of pairs [P, 2]."""
    pairs = ring(outcomes, rng)
    share = ask(pairs)
    fitted = adam_fit(pairs, share, outcomes, 0)
    while len(pairs) < total:
        new = select(fitted.mu, pairs, batch, rng)
        pairs, share = np.concatenate([pairs, new]), np.concatenate([share, ask(new)])
        fitted = adam_fit(pairs, share, outcomes, len(pairs))
    return pseudo_label_fit(fitted, pairs, share, 1), pairs

"""Planted worlds: utilities that are known, and the answers they give."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pytest
from scipy.special import ndtr

from evaluation.elicitation.elicit import both_orders
from evaluation.utility.laplace import standardise
from evaluation.utility.thurstonian import FitSettings, central
from plenary.preferences import ComparisonCounts, FloatArray, IntArray


@dataclass(frozen=True, slots=True)
class PlantedWorld:
    """Utilities mu [K], spreads sigma [K], order bias in mu units, lapse rate, pair noise sd."""

    mu: FloatArray
    sigma: FloatArray
    bias: float = 0.0
    lapse: float = 0.0
    pair_noise: float = 0.0

    @property
    def centred(self) -> FloatArray:
        """The utilities [K] in the normalisation that fits report by default."""
        return standardise(self.mu, central(self.mu, FitSettings().trim)).values

    def p_first(self, shown: IntArray, noise: FloatArray | float = 0.0) -> FloatArray:
        """True P(first chosen) [N] of presentations [N, 2]."""
        i, j = shown.T
        spread = np.sqrt(self.sigma[i] ** 2 + self.sigma[j] ** 2)
        return self.lapse / 2 + (1 - self.lapse) * ndtr(
            (self.mu[i] - self.mu[j] + self.bias + noise) / spread
        )

    def answers(
        self, pairs: IntArray, rng: np.random.Generator, count: int | None
    ) -> ComparisonCounts:
        """Both orders of every pair: `count` answers each, or exact probabilities if None."""
        shown = both_orders(pairs)
        noise = np.repeat(rng.standard_normal(len(pairs)) * self.pair_noise, 2) * np.tile(
            [1, -1], len(pairs)
        )
        p, zero = self.p_first(shown, noise), np.zeros(len(shown))
        if count is None:
            return ComparisonCounts(shown[:, 0], shown[:, 1], p, zero + 1, zero, zero + 1)
        wins = rng.binomial(count, p).astype(float)
        return ComparisonCounts(shown[:, 0], shown[:, 1], wins, zero + count, zero, zero + np.nan)


WorldMaker = Callable[..., PlantedWorld]


@pytest.fixture(scope="session")
def planted() -> WorldMaker:
    """`planted(K, rng, sigma=.35, spread=.4, ...)` draws a world with heterogeneous sigma."""

    def make(
        k: int, rng: np.random.Generator, sigma: float = 0.35, spread: float = 0.4, **rest: float
    ) -> PlantedWorld:
        mu = rng.standard_normal(k)
        return PlantedWorld(
            (mu - mu.mean()) / mu.std(), sigma * np.exp(spread * rng.standard_normal(k)), **rest
        )

    return make

"""Worlds with known utilities, and their answers, shared by the benchmarks of the utility fit."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from scipy.special import ndtr, rel_entr

from evaluation.elicitation.design import random_pairs
from evaluation.elicitation.elicit import both_orders
from plenary.preferences import ComparisonCounts, FloatArray, IntArray

HELD_OUT = 4000

SHAPES: dict[str, Callable[[int, np.random.Generator], FloatArray]] = {
    "normal": lambda k, rng: rng.standard_normal(k),
    "bimodal": lambda k, rng: rng.choice([-1.0, 1.0], k) + 0.35 * rng.standard_normal(k),
    "t5": lambda k, rng: rng.standard_t(5, k),
    "exponential": lambda k, rng: rng.exponential(size=k),
    "t3": lambda k, rng: rng.standard_t(3, k),
}


class Regime(NamedTuple):
    """How a world departs from a clean one, in units of the sd of mu, except rates and counts.

    budget: pairs asked, in units of K log2 K. answers: per prompt; None means exact probabilities.
    shape: distribution of mu (SHAPES).
    """

    budget: float = 2.0
    answers: int | None = 10
    bias: float = 0.1
    lapse: float = 0.0
    pair_noise: float = 0.0
    shape: str = "normal"


REGIMES = {
    "clean": Regime(),
    "half budget": Regime(budget=0.5),
    "single answers": Regime(answers=1),
    "order-biased": Regime(bias=0.3),
    "lapsing": Regime(lapse=0.03),
    "bias and lapses": Regime(bias=0.3, lapse=0.03),
    "pair noise": Regime(pair_noise=0.25),
    "heavy-tailed": Regime(shape="t3"),
    "soft": Regime(answers=None),
}


class World(NamedTuple):
    """Planted mu [K] (mean 0, sd 1) and sigma [K], pairs asked [P, 2], cells [2P], a hold-out.

    held [H, 2] unseen pairs and p_held [H], their true probability over the two orders.
    """

    mu: FloatArray
    sigma: FloatArray
    pairs: IntArray
    cells: ComparisonCounts
    held: IntArray
    p_held: FloatArray


def p_first(
    mu: FloatArray, sigma: FloatArray, shown: IntArray, regime: Regime, noise: FloatArray
) -> FloatArray:
    """True probability [N] that the outcome shown first is chosen."""
    i, j = shown.T
    z = (mu[i] - mu[j] + regime.bias + noise) / np.hypot(sigma[i], sigma[j])
    return regime.lapse / 2 + (1 - regime.lapse) * ndtr(z)


def answers(
    mu: FloatArray, sigma: FloatArray, pairs: IntArray, regime: Regime, rng: np.random.Generator
) -> ComparisonCounts:
    """Both orders of every pair [P, 2], two consecutive cells per pair."""
    shown = both_orders(pairs)
    noise = np.repeat(regime.pair_noise * rng.standard_normal(len(pairs)), 2)
    p = p_first(mu, sigma, shown, regime, noise * np.tile([1, -1], len(pairs)))
    zero = np.zeros(len(p))
    if regime.answers is None:
        return ComparisonCounts(shown[:, 0], shown[:, 1], p, zero + 1, zero, zero + 1)
    wins = rng.binomial(regime.answers, p).astype(float)
    return ComparisonCounts(
        shown[:, 0], shown[:, 1], wins, zero + regime.answers, zero, zero + np.nan
    )


def world(
    k: int, regime: Regime, seed: int, sigma: float = 0.35, pairs: int | None = None
) -> World:
    """Draw a world of K = `k` outcomes and ask it `pairs` pairs, or those of the budget."""
    rng = np.random.default_rng(seed)
    raw = SHAPES[regime.shape](k, rng)
    mu = (raw - raw.mean()) / raw.std()
    spread = sigma * np.exp(0.4 * rng.standard_normal(k))
    possible = k * (k - 1) // 2
    wanted = pairs or round(regime.budget * k * np.log2(k))
    drawn = random_pairs(k, min(possible, wanted + HELD_OUT), rng)
    drawn = drawn[rng.permutation(len(drawn))]
    asked = drawn[: min(wanted, int(0.8 * possible))]
    held = drawn[len(asked) :][:HELD_OUT]
    noise = regime.pair_noise * rng.standard_normal(len(held))
    forward = p_first(mu, spread, held, regime, noise)
    backward = 1 - p_first(mu, spread, held[:, ::-1], regime, -noise)
    cells = answers(mu, spread, asked, regime, rng)
    return World(mu, spread, asked, cells, held, (forward + backward) / 2)


def excess_kl(truth: FloatArray, p: FloatArray) -> float:
    """Mean KL(truth || p), nats a choice: cross-entropy beyond the least possible."""
    p = p.clip(1e-9, 1 - 1e-9)
    return float(np.mean(rel_entr(truth, p) + rel_entr(1 - truth, 1 - p)))

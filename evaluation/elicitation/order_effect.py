"""The order effect (position bias), estimated from a pilot in both orders, and its spread."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy import special, stats

from plenary.preferences import ComparisonCounts, FloatArray, IntArray
from plenary.seeding import generator

REPLICATES, MOST = 400, 1000
LEADS, LEAD_SDS = np.linspace(-5, 5, 41), np.array([0.5, 1.0, 2.0, 4.0])
EFFECTS, BIASES, SPREADS = np.linspace(-4, 4, 81), np.linspace(-2, 2, 41), np.linspace(0, 2, 21)
# Probability assumed for an exact answer of 0 or 1, whose probit would be infinite.
EDGE = 1e-9


class OrderPilot(NamedTuple):
    """What a pilot in both orders found, in probits of a pair; positive favours the first slot.

    bias: the shift that all pairs share. spread: standard deviation over pairs of what each pair
    adds to it, without sampling noise; low and high are its 90 % interval. One random order per
    query, with the shared bias modelled, is sound as long as the spread is small.
    """

    pairs: int
    bias: float
    spread: float
    low: float
    high: float


def _both(cells: ComparisonCounts, pairs: IntArray) -> IntArray:
    """Rows of `cells` [P, 2] in which each pair [P, 2] was answered as given and swapped."""
    shown = np.stack([cells.first, cells.second], axis=1).tolist()
    at = {(a, b): k for k, (a, b) in enumerate(shown)}
    places = [(at.get((a, b)), at.get((b, a))) for a, b in pairs.tolist()]
    return np.array([p for p in places if None not in p], dtype=np.int64).reshape(-1, 2)


def _exact(share: FloatArray, rng: np.random.Generator) -> OrderPilot:
    """From exact probabilities [P, 2]: the probits add up to twice the pair's order effect."""
    shift = stats.norm.ppf(share.clip(EDGE, 1 - EDGE)).mean(axis=1)
    drawn = shift[rng.integers(0, len(shift), (REPLICATES, len(shift)))]
    low, high = np.quantile(drawn.std(axis=1, ddof=1), [0.05, 0.95])
    mean, sd = float(shift.mean()), float(shift.std(ddof=1))
    return OrderPilot(len(shift), mean, sd, float(low), float(high))


def _likelihood(wins: FloatArray, trials: FloatArray) -> FloatArray:
    """Likelihood [P, leads, effects] of counts [P, 2], up to a factor per pair."""
    lead, effect = LEADS[:, None], EFFECTS[None, :]
    logs = np.zeros((len(wins), len(LEADS), len(EFFECTS)))
    for slot, z in enumerate((effect + lead, effect - lead)):
        won, lost = wins[:, slot], (trials - wins)[:, slot]
        logs += np.multiply.outer(won, special.log_ndtr(z))
        logs += np.multiply.outer(lost, special.log_ndtr(-z))
    return np.exp(logs - logs.max(axis=(1, 2), keepdims=True))


def _normal(grid: FloatArray, mean: FloatArray, sd: FloatArray) -> FloatArray:
    """Weights [grid, M] of M normal distributions on a grid; sd 0 is the nearest point."""
    z = (grid[:, None] - mean) / np.maximum(sd, 0.3 * (grid[1] - grid[0]))
    weight = np.exp(-z * z / 2)
    return weight / weight.sum(axis=0)


def _counted(wins: FloatArray, trials: FloatArray) -> OrderPilot:
    """From counts [P, 2]: posterior means on a grid with flat priors, leads summed out.

    Moments of smoothed probits would hide half of a large spread.
    """
    table = _likelihood(wins, trials)
    bias, spread = (axis.ravel() for axis in np.meshgrid(BIASES, SPREADS, indexing="ij"))
    effects = _normal(EFFECTS, bias, spread)
    logs = [
        np.log(np.einsum("ple,l->pe", table, leads) @ effects).sum(axis=0)
        for leads in _normal(LEADS, np.zeros(len(LEAD_SDS)), LEAD_SDS).T
    ]
    total = special.logsumexp(logs, axis=0)
    weight = np.exp(total - special.logsumexp(total))
    of_spread = weight.reshape(len(BIASES), -1).sum(axis=0).cumsum()
    low, high = SPREADS[np.searchsorted(of_spread, [0.05, 0.95]).clip(max=len(SPREADS) - 1)]
    return OrderPilot(
        len(wins), float(weight @ bias), float(weight @ spread), *map(float, (low, high))
    )


def order_effect(cells: ComparisonCounts, pairs: IntArray, seed: int = 0) -> OrderPilot:
    """Estimate the order effect from pairs [P, 2] asked in both orders; NaN with fewer than 3.

    Of more than 1,000 pairs answered in counts, only the first 1,000 are used.
    """
    answered = cells.select(cells.trials > 0)
    both = _both(answered, pairs)
    if len(both) < 3:
        return OrderPilot(len(both), np.nan, np.nan, np.nan, np.nan)
    wins, trials = answered.wins[both], answered.trials[both]
    if not np.isnan(answered.mass[both]).any():
        return _exact(wins / trials, generator(seed, "order pilot"))
    return _counted(wins[:MOST], trials[:MOST])._replace(pairs=len(both))

"""Whether personas change votes (persona ablation), and each citizen's preference cycles."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from assembly.aggregation.electorate import hard, weighted_mean
from evaluation.consistency.coherence import closed_triads
from evaluation.stats.intervals import Estimate, bootstrap_interval, node_weights
from plenary.errors import NotMeasured
from plenary.preferences import FloatArray, IntArray


class VoteGap(NamedTuple):
    """How far citizens' ballots are from those of a comparison, by weight.

    gap: mean absolute difference of the shares, 0 when the persona has no effect. flips: share of
    citizens x pairs that choose the other outcome. between: standard deviation between citizens on
    a pair, root mean square over pairs; 0 if all personas answer alike. Intervals resample
    outcomes. by_citizen [C]: mean absolute difference.
    """

    gap: Estimate
    flips: Estimate
    between: float
    by_citizen: FloatArray


def vote_gap(
    shares: FloatArray,
    comparison: FloatArray,
    pairs: IntArray,
    weights: FloatArray,
    rng: np.random.Generator,
    *,
    level: float = 0.95,
    draws: int = 1000,
) -> VoteGap:
    """Ballots [C, P] against the answers without a persona [P], or of shuffled personas [C, P].

    Sampled answers differ by chance alone: compare the gap with that between two runs of the same
    personas, which the re-ask condition gives.
    """
    other = np.broadcast_to(comparison, shares.shape)
    apart = np.abs(shares - other)
    kept = ~np.isnan(apart).all(axis=0)
    if not kept.any():
        raise NotMeasured(f"none of {len(pairs)!r} pairs is answered in both; ask them alike")
    turned = np.where(np.isnan(apart), np.nan, np.abs(hard(shares) - hard(other)))
    resampled = node_weights(pairs[kept], draws, rng)

    def measured(cells: FloatArray) -> Estimate:
        values = weighted_mean(cells[:, kept], weights)
        ends = bootstrap_interval(values, resampled, level)
        return Estimate(float(values.mean()), *ends, 0.0, int(kept.sum()))

    around = weighted_mean((shares - weighted_mean(shares, weights)) ** 2, weights)[kept]
    count = (~np.isnan(apart)).sum(axis=1)
    total = np.nansum(apart, axis=1)
    each = np.divide(total, count, out=np.full(len(count), np.nan), where=count > 0)
    between = float(np.sqrt(np.nanmean(around)))
    return VoteGap(measured(apart), measured(turned), between, each)


class Cycles(NamedTuple):
    """Expected cycle rates; lower is better, random answers give 1/4.

    by_citizen [C]: mean over the closed triads on which all three ballots are valid, NaN without
    any.
    panel: that of the weighted shares. triads: how many the design closes.
    """

    by_citizen: FloatArray
    panel: float
    triads: int


def citizen_cycles(
    shares: FloatArray, pairs: IntArray, weights: FloatArray, outcomes: int
) -> Cycles:
    """Cycle rates on the closed triads of pairs [P, 2]: p_ij p_jk p_ki + p_ji p_kj p_ik.

    From raw shares, not majorities: rounding would turn decisiveness into coherence. A design
    without closed triads measures nothing (NaN).
    """
    triads = closed_triads(pairs, outcomes)
    if not len(triads):
        return Cycles(np.full(len(shares), np.nan), float("nan"), 0)
    at = {frozenset(pair): k for k, pair in enumerate(pairs.tolist())}
    rows = np.vstack([shares, weighted_mean(shares, weights)])

    def toward(first: int, second: int) -> FloatArray:
        """P(triad's outcome `first` over `second`) [C + 1, T]."""
        place = np.array([at[frozenset((t[first], t[second]))] for t in triads.tolist()])
        same = pairs[place, 0] == triads[:, first]
        return np.where(same, rows[:, place], 1.0 - rows[:, place])

    ij, jk, ki = toward(0, 1), toward(1, 2), toward(2, 0)
    rates = weighted_mean((ij * jk * ki + (1 - ij) * (1 - jk) * (1 - ki)).T, np.ones(len(triads)))
    return Cycles(rates[:-1], float(rates[-1]), len(triads))

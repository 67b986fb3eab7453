"""Aggregation rules: plain functions from citizens' shares to one answer a pair, in one dict.

Shapes: C citizens, P pairs, K outcomes. `shares` [C, P] is each citizen's probability of preferring
the pair's first outcome, NaN where there is no valid ballot; `weights` [C] are design weights. A
citizen without a ballot on a pair is left out of that pair, never filled in. A user's own function
of the same type can be passed wherever a rule is taken.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from plenary.preferences import FloatArray, IntArray


class Verdict(NamedTuple):
    """What a rule says.

    p [P]: answer for the pair's first outcome; a share for `weighted_share`, else 1 won, 0 lost,
    0.5 tied; NaN where nobody voted.
    scores [K]: standing of each outcome, higher is better, 0 to 1; NaN for an outcome in no voted
    pair.
    """

    p: FloatArray
    scores: FloatArray


Rule = Callable[[FloatArray, IntArray, FloatArray, int], Verdict]


def weighted_mean(values: FloatArray, weights: FloatArray) -> FloatArray:
    """Weighted mean of the columns of `values` [C, P] over rows that are not NaN; else NaN."""
    there = ~np.isnan(values)
    total = weights @ there
    with np.errstate(invalid="ignore"):
        return (weights @ np.where(there, values, 0.0)) / np.where(total > 0, total, np.nan)


def hard(shares: FloatArray) -> FloatArray:
    """Shares as cast votes: 1 above one half, 0 below, 0.5 at it; NaN stays."""
    return np.where(
        np.isnan(shares), np.nan, 0.5 + 0.5 * np.sign(np.nan_to_num(shares, nan=0.5) - 0.5)
    )


def weighted_share(
    shares: FloatArray, pairs: IntArray, weights: FloatArray, outcomes: int
) -> Verdict:
    """Weighted mean share a pair: p = sum(w s) / sum(w). The default: it keeps how close a pair is.

    Two citizens with shares .9 and .2 and weights 1 and 3: p = (.9 + .6) / 4 = .375.
    Scores are the mean share an outcome wins over the pairs it is in.
    """
    p = weighted_mean(shares, weights)
    return Verdict(p, _mean_won(p, pairs, outcomes))


def majority(shares: FloatArray, pairs: IntArray, weights: FloatArray, outcomes: int) -> Verdict:
    """Weighted majority of cast votes a pair; a citizen at one half counts half for each side.

    Two citizens with shares .9 and .2 and weights 1 and 3: 1 against 3, so p = 0.
    Scores are the mean weighted vote share over the pairs an outcome is in.
    """
    cast = weighted_mean(hard(shares), weights)
    return Verdict(hard(cast), _mean_won(cast, pairs, outcomes))


def borda(shares: FloatArray, pairs: IntArray, weights: FloatArray, outcomes: int) -> Verdict:
    """Borda count from cast pairwise votes: mean weighted vote share over an outcome's pairs.

    With all pairs and rankings as ballots the score is Borda's count divided by (K - 1) n (Borda
    1784). A pair goes to the outcome with the higher score, whatever the vote on the pair itself.
    Tennessee's capital (42 % M>N>C>K, 26 % N>C>K>M, 15 % C>K>N>M, 17 % K>C>N>M):
    M 126, N 194, C 173, K 107 of 300 each; Nashville wins.
    """
    scores = _mean_won(weighted_mean(hard(shares), weights), pairs, outcomes)
    return Verdict(_by_score(scores, pairs), scores)


def copeland(shares: FloatArray, pairs: IntArray, weights: FloatArray, outcomes: int) -> Verdict:
    """Copeland's score: pairs won plus half the pairs tied, over the pairs an outcome is in.

    Copeland 1951; dividing keeps scores comparable where outcomes meet unequally many others.
    Tennessee's capital: Nashville 3 of 3, Chattanooga 2, Knoxville 1, Memphis 0.
    """
    won = hard(weighted_mean(hard(shares), weights))
    scores = _mean_won(won, pairs, outcomes)
    return Verdict(_by_score(scores, pairs), scores)


RULES: dict[str, Rule] = {
    "weighted_share": weighted_share,
    "majority": majority,
    "borda": borda,
    "copeland": copeland,
}


def _mean_won(p: FloatArray, pairs: IntArray, outcomes: int) -> FloatArray:
    """Mean of p over the pairs of each outcome, p seen from that outcome's side."""
    voted = ~np.isnan(p)
    total, met = np.zeros(outcomes), np.zeros(outcomes)
    for side, won in ((0, p), (1, 1.0 - p)):
        np.add.at(total, pairs[voted, side], won[voted])
        np.add.at(met, pairs[voted, side], 1.0)
    return np.divide(total, met, out=np.full(outcomes, np.nan), where=met > 0)


def _by_score(scores: FloatArray, pairs: IntArray) -> FloatArray:
    gap = scores[pairs[:, 0]] - scores[pairs[:, 1]]
    # Equal scores reach us through sums in another order; a true difference is far above this.
    return np.where(
        np.isnan(gap), np.nan, 0.5 + 0.5 * np.sign(np.where(np.abs(gap) < 1e-12, 0.0, gap))
    )

"""What every aggregation rule takes and returns: the electorate (all votes) and a rule's result.

Shapes: C citizens, P pairs, K outcomes, G strata.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from plenary.errors import DataError
from plenary.preferences import FloatArray, IntArray

TIED = 1e-9


@dataclass(frozen=True, slots=True)
class Electorate:
    """Ballots, the pairs they are about, and the strata the citizens represent.

    shares [C, P]: each citizen's probability of preferring pairs[:, 0], 0 to 1; NaN where there is
    no valid ballot, and the citizen is left out of that pair; nothing is filled in.
    pairs [P, 2]: outcome indices. weights [C]: design weights, 0 or more, in any unit.
    outcomes: K. strata [C]: stratum 0..G-1 of each citizen. strata_shares [G]: the strata's shares
    of the population, sum 1; where the census does not give them, those of the weights:
    `np.bincount(strata, weights) / weights.sum()`.
    DataError when sizes or ranges do not fit together.
    """

    shares: FloatArray
    pairs: IntArray
    weights: FloatArray
    outcomes: int
    strata: IntArray
    strata_shares: FloatArray

    def __post_init__(self) -> None:
        citizens, pairs = self.shares.shape
        sizes = (len(self.weights), len(self.strata), len(self.pairs))
        if sizes != (citizens, citizens, pairs):
            raise DataError(
                f"{sizes!r} weights, strata and pairs for shares of shape {self.shares.shape!r}; "
                "give one weight and one stratum per citizen and one share per pair"
            )
        _within("outcome", self.pairs, self.outcomes)
        _within("stratum", self.strata, len(self.strata_shares))
        if not (self.weights >= 0).all() or not np.isfinite(self.weights).all():
            raise DataError(f"lowest weight {self.weights.min()!r}; give finite weights, 0 or more")
        if abs(self.strata_shares.sum() - 1) > 1e-6 or self.strata_shares.min() < 0:
            raise DataError(
                f"population shares {self.strata_shares.tolist()!r} of the strata; "
                "give shares, 0 or more, that sum to 1"
            )
        if ((self.shares < 0) | (self.shares > 1)).any():
            raise DataError(
                f"shares from {np.nanmin(self.shares)!r} to {np.nanmax(self.shares)!r}; "
                "give probabilities, and NaN where there is no ballot"
            )

    @classmethod
    def unstratified(
        cls, shares: FloatArray, pairs: IntArray, weights: FloatArray, outcomes: int
    ) -> Electorate:
        """Everybody in one stratum."""
        strata = np.zeros(len(weights), dtype=np.int64)
        return cls(shares, pairs, weights, outcomes, strata, np.ones(1))


def _within(name: str, codes: IntArray, size: int) -> None:
    if len(codes) and not (codes.min() >= 0 and codes.max() < size):
        raise DataError(
            f"{name} {int(codes.max())!r} (lowest {int(codes.min())!r}) where {size!r} are known; "
            "number them from 0"
        )


class RuleResult(NamedTuple):
    """What a rule answers, both with ties kept and with ties broken.

    p [P]: answer for the pair's first outcome. Rules of shares (`weighted_share`,
    `group_informed_consensus` and the Thurstonian rules) give a share; the others give 1 for won, 0
    for lost and 0.5 for tied. NaN where no vote decides.
    scores [K]: standing of each outcome, higher is better; unit stated by the rule, NaN where it
    has none.
    ranks [K]: weak ranking by score, 1 is best, tied outcomes share the better rank (1, 1, 3); 0
    for an outcome without a score.
    order [<= K]: strict ranking, best first, of the outcomes with a score. Ties fall to the lower
    index, the fixed order usual in computational social choice [brandt2016]: reproducible and
    anonymous, but not neutral, so read ties from `ranks`.
    """

    p: FloatArray
    scores: FloatArray
    ranks: IntArray
    order: IntArray


Rule = Callable[[Electorate], RuleResult]


def verdict(p: FloatArray, scores: FloatArray) -> RuleResult:
    """A result from answers [P] and scores [K]; scores equal up to rounding are tied.

    Scores .5, .8, .5, NaN: ranks 2, 1, 2, 0 and order 1, 0, 2.
    """
    known = np.flatnonzero(~np.isnan(scores))
    falling = known[np.argsort(-scores[known], kind="stable")]
    drop = np.diff(-scores[falling], prepend=-np.inf) > TIED
    group = np.cumsum(drop)
    ranks = np.zeros(len(scores), dtype=np.int64)
    ranks[falling] = (np.flatnonzero(drop) + 1)[group - 1]
    return RuleResult(p, scores, ranks, falling[np.lexsort((falling, group))])


def by_score(scores: FloatArray, pairs: IntArray) -> RuleResult:
    """The result in which each pair [P] goes to the outcome with the higher score [K]."""
    return verdict(won(scores[pairs[:, 0]] - scores[pairs[:, 1]]), scores)


def won(lead: FloatArray) -> FloatArray:
    """1 for a lead above rounding, 0 below, 0.5 at it; NaN stays."""
    return np.where(np.isnan(lead), np.nan, 0.5 + 0.5 * (lead > TIED) - 0.5 * (lead < -TIED))


def hard(shares: FloatArray) -> FloatArray:
    """Shares as votes cast: 1 above one half, 0 below, 0.5 at it; NaN stays."""
    return won(shares - 0.5)


def weighted_mean(values: FloatArray, weights: FloatArray) -> FloatArray:
    """Weighted mean of the columns of `values` [C, P] over rows that are not NaN, else NaN."""
    there = ~np.isnan(values)
    total = weights @ there
    with np.errstate(invalid="ignore"):
        return (weights @ np.where(there, values, 0.0)) / np.where(total > 0, total, np.nan)


def mean_won(p: FloatArray, pairs: IntArray, outcomes: int) -> FloatArray:
    """Mean of p [P] over the pairs of each outcome [K], with p taken from that outcome's side."""
    voted = ~np.isnan(p)
    total, met = np.zeros(outcomes), np.zeros(outcomes)
    for side, answer in ((0, p), (1, 1.0 - p)):
        np.add.at(total, pairs[voted, side], answer[voted])
        np.add.at(met, pairs[voted, side], 1.0)
    return np.divide(total, met, out=np.full(outcomes, np.nan), where=met > 0)


class StratumShares(NamedTuple):
    """Weighted shares p [G, P], NaN without a ballot, and Kish's effective votes n [G, P]."""

    p: FloatArray
    n: FloatArray


def stratum_shares(electorate: Electorate, strata: IntArray, count: int) -> StratumShares:
    """Shares in each of `count` strata [C]; n = (sum w)^2 / sum w^2, for any unit of weight."""
    member = np.equal.outer(np.arange(count), strata) * electorate.weights
    there = ~np.isnan(electorate.shares)
    total, squared = member @ there, member**2 @ there
    some = total > 0
    wins = member @ np.where(there, electorate.shares, 0.0)
    return StratumShares(
        np.divide(wins, total, out=np.full(total.shape, np.nan), where=some),
        np.divide(total**2, squared, out=np.zeros(total.shape), where=some),
    )
